//! Parameterizations: what a network may predict, and the exact way to the log denoiser `D` and back.
//!
//! ```text
//! g = (D − ȳ)/v          log-space score            h = g − 1             Hyvärinen score
//! s = h/x                Stein score, x = e^{ȳ+m}   ε̂ = −√v g             noise
//! w = cos φ ε̂ − sin φ (D − E)/σ_d,   tan φ = √v/σ_d                       velocity
//! ```
//!
//! The velocity is Salimans and Ho's (2022) `v`-prediction for data of standard deviation `σ_d`; it is minus the raw
//! network of [`crate::precondition`]. `w` and `ε̂` stay of order one at every level, `h` and `s` grow as `v → 0`.

use serde::{Deserialize, Serialize};

use crate::precondition::DataMoments;

/// What a network's output means.
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
    /// `(cos φ, sin φ)` with `tan φ = √v/σ_d`.
    fn angle(&self) -> (f64, f64) {
        let total = (self.v + self.moments.log_sd.powi(2)).sqrt();
        (self.moments.log_sd / total, self.v.sqrt() / total)
    }
}

impl Parameterization {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Hyvarinen, Self::Stein, Self::LogScore, Self::Noise, Self::Denoiser, Self::Velocity];

    /// The log denoiser `D` that `value` stands for at the centred log state `y_bar`, elementwise.
    ///
    /// ```
    /// use score_match::{DataMoments, Level, Parameterization};
    /// let level = Level { v: 0.25, m: 0.0, moments: DataMoments { log_mean: 0.0, log_sd: 1.0 } };
    /// assert_eq!(Parameterization::Noise.to_denoiser(2.0, 3.0, &level), 3.0 - 0.5 * 2.0);
    /// ```
    pub fn to_denoiser(self, value: f64, y_bar: f64, level: &Level) -> f64 {
        let r = level.v.sqrt();
        match self {
            Self::Denoiser => value,
            Self::LogScore => y_bar + level.v * value,
            Self::Hyvarinen => y_bar + level.v * (value + 1.0),
            Self::Stein => y_bar + level.v * (value * (y_bar + level.m).exp() + 1.0),
            Self::Noise => y_bar - r * value,
            Self::Velocity => {
                let (cos, sin) = level.angle();
                let DataMoments { log_mean, log_sd } = level.moments;
                // c_skip = cos², c_out = sin σ_d, and the network predicts −w.
                log_mean + cos * cos * (y_bar - log_mean) - sin * log_sd * value
            }
        }
    }

    /// The value that stands for the log denoiser `denoised` at `y_bar`: the inverse of
    /// [`Parameterization::to_denoiser`].
    pub fn from_denoiser(self, denoised: f64, y_bar: f64, level: &Level) -> f64 {
        let g = (denoised - y_bar) / level.v;
        match self {
            Self::Denoiser => denoised,
            Self::LogScore => g,
            Self::Hyvarinen => g - 1.0,
            Self::Stein => (g - 1.0) * (-(y_bar + level.m)).exp(),
            Self::Noise => -level.v.sqrt() * g,
            Self::Velocity => {
                let (cos, sin) = level.angle();
                let DataMoments { log_mean, log_sd } = level.moments;
                -cos * level.v.sqrt() * g - sin * (denoised - log_mean) / log_sd
            }
        }
    }
}
