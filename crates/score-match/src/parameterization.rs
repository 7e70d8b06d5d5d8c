//! Parameterizations: what a network may predict, and the exact way between any two of them.
//!
//! ```math
//! \begin{aligned}
//! g &= (D - \bar y)/v && \text{log-space score} \\
//! h &= g - 1 && \text{Hyvärinen score} \\
//! s &= h/x, \quad x = e^{\bar y + m} && \text{Stein score} \\
//! \hat\varepsilon &= -\sqrt{v}\, g && \text{noise} \\
//! w &= \cos\varphi\, \hat\varepsilon - \sin\varphi\, (D - E)/\sigma_d, \quad \tan\varphi = \sqrt{v}/\sigma_d && \text{velocity}
//! \end{aligned}
//! ```
//!
//! At a given state each is affine in the log-space score, `$a + b g$`, so the way from one to another is affine as well:
//!
//! | | `$a$` | `$b$` |
//! |---|---|---|
//! | Hyvärinen | `$-1$` | `$1$` |
//! | Stein | `$-1/x$` | `$1/x$` |
//! | log-space score | `$0$` | `$1$` |
//! | noise | `$0$` | `$-\sqrt{v}$` |
//! | denoiser | `$\bar y$` | `$v$` |
//! | velocity | `$-\sin\varphi\, (\bar y - E)/\sigma_d$` | `$-\sqrt{v (v + \sigma_d^2)}/\sigma_d$` |
//!
//! The velocity is Salimans and Ho's (2022) `v`-prediction for data of mean `$E$` and standard deviation `$\sigma_d$`; it is
//! minus the raw network of [`crate::precondition`]. `$w$` and `$\hat\varepsilon$` stay of order one at every level, `$h$`
//! and `$s$` grow as `$v \to 0$`.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use serde::{Deserialize, Serialize};

use crate::error::{ScoreError, finite, positive};
use crate::precondition::DataMoments;

/// What a network's output means; in TOML, a name such as `"log-score"`.
///
/// ```
/// use score_match::{DataMoments, Level, Parameterization};
/// let level = Level { v: 0.25, m: 0.3, moments: DataMoments { log_mean: 0.1, log_sd: 0.5 } };
/// for from in Parameterization::ALL {
///     for to in Parameterization::ALL {
///         let there = from.convert(to, 0.7, -0.4, &level);
///         assert!((to.convert(from, there, -0.4, &level) - 0.7).abs() < 1e-12);
///     }
/// }
/// ```
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Parameterization {
    /// `h = x ⊙ ∇ₓ ln p`.
    Hyvarinen,
    /// `s = ∇ₓ ln p`, as in the authors' code.
    Stein,
    /// `g = ∇_y ln p_Y = h + 1`.
    LogScore,
    /// `ε̂ = −√v g`.
    Noise,
    /// `D` itself.
    Denoiser,
    /// `w = cos φ ε̂ − sin φ (D − E)/σ_d`.
    Velocity,
}

/// The level at which values are converted.
///
/// ```
/// use score_match::{DataMoments, Level, Parameterization};
/// let moments = DataMoments { log_mean: 0.0, log_sd: 1.0 };
/// let level = |m: f64| Level { v: 0.25, m, moments };
/// let stein = |m: f64| Parameterization::Hyvarinen.convert(Parameterization::Stein, 3.0, 0.0, &level(m));
/// // s = h/x is per unit of x, and a drift of ln 2 doubles x.
/// assert_eq!(stein(0.0), 3.0);
/// assert!((stein(2f64.ln()) - 1.5).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Log variance, positive.
    pub v: f64,
    /// Log drift `m`, so that `ln x = ȳ + m`; only the Stein score depends on it.
    pub m: f64,
    /// Moments of the data; only the velocity depends on them.
    pub moments: DataMoments,
}

impl Level {
    /// Checks the values once; conversions at an unchecked level may give NaN.
    ///
    /// ```
    /// use score_match::{DataMoments, Level, ScoreError};
    /// let level = Level { v: 0.0, m: 0.3, moments: DataMoments { log_mean: 0.0, log_sd: 1.0 } };
    /// assert_eq!(level.check(), Err(ScoreError::NotPositive { name: "v", value: 0.0 }));
    /// ```
    ///
    /// # Errors
    /// When `v` or `log_sd` is not positive and finite, or `m` or `log_mean` not finite.
    pub fn check(&self) -> Result<(), ScoreError> {
        positive("v", self.v)?;
        finite("m", self.m)?;
        finite("log_mean", self.moments.log_mean)?;
        positive("log_sd", self.moments.log_sd)
    }
}

/// `a + b g`: a parameterization at one state, as a function of the log-space score.
#[derive(Clone, Copy, Debug)]
struct Affine {
    a: f64,
    b: f64,
}

impl Parameterization {
    /// All of them.
    ///
    /// ```
    /// use score_match::{DataMoments, Level, Parameterization};
    /// let level = Level { v: 0.25, m: 0.0, moments: DataMoments { log_mean: 0.2, log_sd: 1.0 } };
    /// // Where state and denoiser are at the mean, log-space score, noise and velocity vanish.
    /// let at_mean = Parameterization::ALL.map(|p| p.from_denoiser(0.2, 0.2, &level));
    /// let expected = [-1.0, -f64::exp(-0.2), 0.0, 0.0, 0.2, 0.0];
    /// assert!(at_mean.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15));
    /// ```
    pub const ALL: [Self; 6] =
        [Self::Hyvarinen, Self::Stein, Self::LogScore, Self::Noise, Self::Denoiser, Self::Velocity];

    /// The table of the module documentation.
    fn affine(self, y_bar: f64, level: &Level) -> Affine {
        let Level { v, m, moments: DataMoments { log_mean, log_sd } } = *level;
        match self {
            Self::Hyvarinen => Affine { a: -1.0, b: 1.0 },
            Self::Stein => {
                let reciprocal = (-(y_bar + m)).exp();
                Affine { a: -reciprocal, b: reciprocal }
            }
            Self::LogScore => Affine { a: 0.0, b: 1.0 },
            Self::Noise => Affine { a: 0.0, b: -v.sqrt() },
            Self::Denoiser => Affine { a: y_bar, b: v },
            Self::Velocity => {
                let total = (v + log_sd * log_sd).sqrt();
                let sin = v.sqrt() / total;
                Affine { a: -sin * (y_bar - log_mean) / log_sd, b: -v.sqrt() * total / log_sd }
            }
        }
    }

    /// What `value`, given in this parameterization at the centred log state `y_bar`, is in the parameterization `to`. The
    /// Stein score is per unit of `x`; all others are pure numbers.
    ///
    /// ```
    /// use score_match::{DataMoments, Level, Parameterization};
    /// let level = Level { v: 0.25, m: 0.3, moments: DataMoments { log_mean: 0.0, log_sd: 1.0 } };
    /// let (y_bar, noise) = (0.2, 1.5);
    /// let stein = Parameterization::Noise.convert(Parameterization::Stein, noise, y_bar, &level);
    /// // h = −1 − ε/√v and s = h/x
    /// assert!((stein - (-1.0 - 1.5 / 0.5) / f64::exp(0.5)).abs() < 1e-15);
    /// ```
    pub fn convert(self, to: Self, value: f64, y_bar: f64, level: &Level) -> f64 {
        if self == to {
            return value;
        }
        let (from, to) = (self.affine(y_bar, level), to.affine(y_bar, level));
        // One line from value to value; going through g would round h and s where they are small beside 1.
        let slope = to.b / from.b;
        (to.a - slope * from.a) + slope * value
    }

    /// The log denoiser `D` that `value` stands for at the centred log state `y_bar`.
    ///
    /// ```
    /// use score_match::{DataMoments, Level, Parameterization};
    /// let level = Level { v: 0.25, m: 0.0, moments: DataMoments { log_mean: 0.0, log_sd: 1.0 } };
    /// assert_eq!(Parameterization::Noise.to_denoiser(2.0, 3.0, &level), 3.0 - 0.5 * 2.0);
    /// ```
    pub fn to_denoiser(self, value: f64, y_bar: f64, level: &Level) -> f64 {
        self.convert(Self::Denoiser, value, y_bar, level)
    }

    /// The value that stands for the log denoiser `denoised` at `y_bar`: the inverse of
    /// [`Parameterization::to_denoiser`].
    ///
    /// ```
    /// use score_match::{DataMoments, Level, Parameterization};
    /// let level = Level { v: 0.25, m: 0.0, moments: DataMoments { log_mean: 0.0, log_sd: 1.0 } };
    /// // g = (D − ȳ)/v
    /// assert_eq!(Parameterization::LogScore.from_denoiser(2.0, 3.0, &level), (2.0 - 3.0) / 0.25);
    /// ```
    pub fn from_denoiser(self, denoised: f64, y_bar: f64, level: &Level) -> f64 {
        Self::Denoiser.convert(self, denoised, y_bar, level)
    }
}
