//! Preconditioning in log space: scales around a raw network `$F$` such that its input and its training target have unit
//! variance at every noise level, and its error is amplified as little as possible.
//!
//! ```math
//! \begin{aligned}
//! D(\bar y, v) &= E + c_\text{skip}\, u + c_\text{out}\, F(c_\text{in}\, u, c_\text{noise}), && u = \bar y - E \\
//! c_\text{skip} &= \frac{\sigma_d^2}{v + \sigma_d^2}, & c_\text{out} &= \frac{\sqrt{v}\, \sigma_d}{\sqrt{v + \sigma_d^2}} \\
//! c_\text{in} &= \frac{1}{\sqrt{v + \sigma_d^2}}, & c_\text{noise} &= \tfrac12 \ln v = \ln r
//! \end{aligned}
//! ```
//!
//! with `$E = \mathbb{E}[\ln x_0]$` and `$\sigma_d^2 = \operatorname{Var}[\ln x_0]$`. Source: Karras, Aittala, Aila and Laine
//! (2022), appendix B.6, carried over to the logarithm of the data.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use serde::{Deserialize, Serialize};

use crate::error::{ScoreError, finite, positive};

/// Mean and standard deviation of `ln x_0`, over all pixels of a data set.
///
/// ```
/// use score_match::DataMoments;
/// let moments: DataMoments = toml::from_str("log_mean = 0.1\nlog_sd = 0.5")?;
/// assert_eq!(moments, DataMoments { log_mean: 0.1, log_sd: 0.5 });
/// assert!(toml::from_str::<DataMoments>("log_mean = 0.1\nlog_sd = 0.5\nmean = 0.1").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct DataMoments {
    /// `E[ln x_0]`.
    pub log_mean: f64,
    /// `σ_d`, the standard deviation of `ln x_0`; positive.
    pub log_sd: f64,
}

/// The scales at one noise level; see the module documentation.
///
/// ```
/// use score_match::{Coefficients, DataMoments, Precondition};
/// let Coefficients { c_skip, c_out, c_in, c_noise } =
///     Precondition::new(DataMoments { log_mean: 0.1, log_sd: 0.5 })?.at(0.3);
/// // The input has unit variance, the output the variance that the skip leaves: v c_skip.
/// assert!((c_in * c_in * (0.3 + 0.25) - 1.0).abs() < 1e-15 && (c_out * c_out - 0.3 * c_skip).abs() < 1e-15);
/// assert!((c_noise.exp().powi(2) - 0.3).abs() < 1e-15);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// Factor of the centred state in the denoiser.
    pub c_skip: f64,
    /// Factor of the network's output.
    pub c_out: f64,
    /// Factor of the network's input.
    pub c_in: f64,
    /// What the network is told about the noise level: `ln r`.
    pub c_noise: f64,
}

/// Checked preconditioning for a data set.
///
/// ```
/// use score_match::{DataMoments, Precondition};
/// let c = Precondition::new(DataMoments { log_mean: 0.095, log_sd: 0.5 })?.at(0.25);
/// assert_eq!((c.c_skip, c.c_out), (0.5, 0.125f64.sqrt()));
/// # Ok::<(), score_match::ScoreError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precondition {
    moments: DataMoments,
}

impl Precondition {
    /// Checks the moments once.
    ///
    /// ```
    /// use score_match::{DataMoments, Precondition, ScoreError};
    /// let refused = Precondition::new(DataMoments { log_mean: 0.1, log_sd: 0.0 });
    /// assert_eq!(refused, Err(ScoreError::NotPositive { name: "log_sd", value: 0.0 }));
    /// ```
    ///
    /// # Errors
    /// When the mean is not finite or the standard deviation not positive and finite.
    pub fn new(moments: DataMoments) -> Result<Self, ScoreError> {
        finite("log_mean", moments.log_mean)?;
        positive("log_sd", moments.log_sd)?;
        Ok(Self { moments })
    }

    /// The moments of the data.
    pub fn moments(&self) -> DataMoments {
        self.moments
    }

    /// The scales at log variance `v > 0`.
    ///
    /// ```
    /// let scales = score_match::Precondition::new(score_match::DataMoments { log_mean: 0.1, log_sd: 0.5 })?;
    /// let (clean, noise) = (scales.at(1e-12), scales.at(1e12));
    /// // Without noise the state is the answer; in noise alone the network gives it, at the scale of the data.
    /// assert!((clean.c_skip - 1.0).abs() < 1e-11 && clean.c_out < 1e-5);
    /// assert!(noise.c_skip < 1e-11 && (noise.c_out - 0.5).abs() < 1e-11);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    pub fn at(&self, v: f64) -> Coefficients {
        let data = self.moments.log_sd.powi(2);
        let total = v + data;
        Coefficients {
            c_skip: data / total,
            c_out: (v * data / total).sqrt(),
            c_in: 1.0 / total.sqrt(),
            c_noise: 0.5 * v.ln(),
        }
    }

    /// The raw network's target at log variance `v > 0`: the `F` for which `D` equals the clean `y0`, given the state `y_bar`.
    ///
    /// ```
    /// let scales = score_match::Precondition::new(score_match::DataMoments { log_mean: 0.1, log_sd: 0.5 })?;
    /// let (y0, y_bar, v) = (0.4, -0.6, 0.3);
    /// let (c, f) = (scales.at(v), scales.target(y0, y_bar, v));
    /// assert!((0.1 + c.c_skip * (y_bar - 0.1) + c.c_out * f - y0).abs() < 1e-15);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    pub fn target(&self, y0: f64, y_bar: f64, v: f64) -> f64 {
        let c = self.at(v);
        let mean = self.moments.log_mean;
        ((y0 - mean) - c.c_skip * (y_bar - mean)) / c.c_out
    }
}
