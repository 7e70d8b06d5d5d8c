//! Time weights: how much each noise level counts.
//!
//! ```math
//! \mathbb{E}_v\, \lambda(v)\, \tfrac12 \|h_\theta - h_\text{target}\|^2
//!   = \mathbb{E}_v\, \frac{\lambda(v)}{v^2}\, \tfrac12 \|D_\theta - y_0\|^2,
//! \qquad h_\theta - h_\text{target} = \frac{D_\theta - y_0}{v}
//! ```
//!
//! | [`TimeWeight`] | `$\lambda(v)$` | `$\lambda/v^2$` on the denoiser's error | what it is |
//! |---|---|---|---|
//! | paper | `$v^2$` | `$1$` | the published training loss: regresses `$v h$` |
//! | noise | `$v$` | `$1/v$` | unweighted noise prediction (Ho et al. 2020) |
//! | edm | `$v (v + \sigma_d^2)/\sigma_d^2$` | `$(v + \sigma_d^2)/(v \sigma_d^2)$` | unit-variance network target (Karras et al. 2022) |
//! | likelihood | `$1$` | `$1/v^2$` | with `$v$` drawn uniformly, the bound on the likelihood (Song et al. 2021) |
//! | power | `$c\, v^a (v + \sigma_d^2)^b$` | `$c\, v^{a-2} (v + \sigma_d^2)^b$` | any of the four above, and between |
//! | table | knots `$(r, \lambda)$` | `$\lambda/r^4$` | measured or hand-made: lines in `$(\ln r, \ln \lambda)$` between the knots |
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use serde::{Deserialize, Serialize};

use crate::error::{ScoreError, finite, positive};

/// A time weight `λ(v)`, relative to denoising score matching on the Hyvärinen score.
///
/// In TOML the first four are names, the custom ones tables:
///
/// ```
/// # #[derive(serde::Deserialize)] struct File { weight: score_match::TimeWeight }
/// use score_match::TimeWeight;
/// for (text, at_quarter) in [
///     ("weight = 'noise'", 0.25),
///     ("weight = { power = { v = 1.5, total = -0.5, scale = 2.0 } }", 2.0 * 0.125 / 0.5f64.sqrt()),
///     ("weight = { table = { r = [0.25, 1.0], lambda = [1.0, 9.0] } }", 3.0),
/// ] {
///     let File { weight } = toml::from_str(text)?;
///     weight.check()?;
///     assert!((weight.lambda(0.25, 0.5) - at_quarter).abs() < 1e-14);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TimeWeight {
    /// `v²`: unweighted on the denoiser.
    Paper,
    /// `v`: unweighted on the predicted noise.
    Noise,
    /// `v (v + σ_d²)/σ_d²`: unweighted on the preconditioned network's output.
    #[default]
    Edm,
    /// `1` per unit of `v`, which is `σ²(t)` per unit of time.
    Likelihood,
    /// A power of `v` times a power of `v + σ_d²`.
    Power(PowerWeight),
    /// A curve through knots.
    Table(WeightTable),
}

/// `scale · v^v · (v + σ_d²)^total`: see [`TimeWeight::Power`].
///
/// ```
/// use score_match::{PowerWeight, TimeWeight};
/// let edm = PowerWeight { v: 1.0, total: 1.0, scale: 4.0 };
/// // with 1/σ_d² for the scale
/// assert_eq!(TimeWeight::Power(edm).lambda(0.3, 0.5), TimeWeight::Edm.lambda(0.3, 0.5));
/// ```
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PowerWeight {
    /// Exponent of `v`, finite.
    pub v: f64,
    /// Exponent of `v + σ_d²`, finite.
    #[serde(default)]
    pub total: f64,
    /// Constant factor, positive.
    #[serde(default = "unit")]
    pub scale: f64,
}

fn unit() -> f64 {
    1.0
}

/// Knots of a weight over the noise level `r = √v`: see [`TimeWeight::Table`]. Beyond the ends the weight stays what it is
/// there.
///
/// ```
/// use score_match::{TimeWeight, WeightTable};
/// let table = TimeWeight::Table(WeightTable { r: vec![0.1, 1.0], lambda: vec![0.01, 1.0] });
/// // Two knots of r² = v, and the line between them in logarithms: the noise weight.
/// assert!((table.lambda(0.09, 0.5) - 0.09).abs() < 1e-15);
/// assert_eq!(table.lambda(7.0, 0.5), 1.0);
/// ```
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WeightTable {
    /// Noise levels, positive and rising; at least one.
    pub r: Vec<f64>,
    /// `λ` at each of them, positive.
    pub lambda: Vec<f64>,
}

impl WeightTable {
    fn check(&self) -> Result<(), ScoreError> {
        if self.r.is_empty() {
            return Err(ScoreError::TooFew { name: "the number of knots", least: 1, value: 0 });
        }
        if self.r.len() != self.lambda.len() {
            let (found, expected) = (vec![self.lambda.len()], vec![self.r.len()]);
            return Err(ScoreError::Shape { name: "lambda", found, expected });
        }
        self.r.iter().try_for_each(|&r| positive("r", r))?;
        self.lambda.iter().try_for_each(|&lambda| positive("lambda", lambda))?;
        match self.r.windows(2).find(|pair| pair[0] >= pair[1]) {
            Some(pair) => {
                Err(ScoreError::Order { low: "r", low_value: pair[0], high: "the next r", high_value: pair[1] })
            }
            None => Ok(()),
        }
    }

    /// NaN for a table without knots.
    fn at(&self, r: f64) -> f64 {
        let above = self.r.partition_point(|&knot| knot <= r).min(self.lambda.len());
        let (Some(&last), Some(&first)) = (self.lambda.last(), self.lambda.first()) else { return f64::NAN };
        if above == 0 {
            return first;
        }
        match (self.r.get(above), self.lambda.get(above)) {
            (Some(&r1), Some(&lambda1)) => {
                let (r0, lambda0) = (self.r[above - 1], self.lambda[above - 1]);
                lambda0 * ((r / r0).ln() / (r1 / r0).ln() * (lambda1 / lambda0).ln()).exp()
            }
            _ => last,
        }
    }
}

impl TimeWeight {
    /// Checks the parameters of the custom weights; [`TimeWeight::lambda`] of unchecked ones may be NaN.
    ///
    /// ```
    /// use score_match::{PowerWeight, ScoreError, TimeWeight};
    /// let refused = TimeWeight::Power(PowerWeight { v: 1.0, total: 0.0, scale: -2.0 }).check();
    /// assert_eq!(refused, Err(ScoreError::NotPositive { name: "scale", value: -2.0 }));
    /// ```
    ///
    /// # Errors
    /// Names the parameter that is not finite, not positive, in the wrong order or missing.
    pub fn check(&self) -> Result<(), ScoreError> {
        match self {
            Self::Power(power) => {
                finite("v", power.v)?;
                finite("total", power.total)?;
                positive("scale", power.scale)
            }
            Self::Table(table) => table.check(),
            Self::Paper | Self::Noise | Self::Edm | Self::Likelihood => Ok(()),
        }
    }

    /// `λ(v)` at log variance `v > 0`, for a data set whose logarithm has standard deviation `sigma_d > 0`.
    ///
    /// ```
    /// use score_match::{DataMoments, Precondition, TimeWeight};
    /// let c = Precondition::new(DataMoments { log_mean: 0.0, log_sd: 0.5 })?.at(0.3);
    /// // On the denoiser's error, λ/v², the default weight is 1/c_out²: each level's network counts alike.
    /// assert!((TimeWeight::Edm.lambda(0.3, 0.5) / 0.09 - c.c_out.powi(-2)).abs() < 1e-12);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    pub fn lambda(&self, v: f64, sigma_d: f64) -> f64 {
        let total = v + sigma_d * sigma_d;
        match self {
            Self::Paper => v * v,
            Self::Noise => v,
            Self::Edm => v * total / (sigma_d * sigma_d),
            Self::Likelihood => 1.0,
            Self::Power(power) => power.scale * v.powf(power.v) * total.powf(power.total),
            Self::Table(table) => table.at(v.sqrt()),
        }
    }

    /// The same weight as a factor of `‖D − y_0‖²`: `λ(v)/v²`.
    ///
    /// ```
    /// use score_match::TimeWeight;
    /// assert_eq!(TimeWeight::Paper.denoiser_factor(0.25, 0.5), 1.0);
    /// // At v = σ_d² half of the variance is noise: (v + σ_d²)/(v σ_d²) = 2/σ_d².
    /// assert_eq!(TimeWeight::Edm.denoiser_factor(0.25, 0.5), 8.0);
    /// ```
    pub fn denoiser_factor(&self, v: f64, sigma_d: f64) -> f64 {
        self.lambda(v, sigma_d) / (v * v)
    }
}
