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
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct DataMoments {
    /// `E[ln x_0]`.
    pub log_mean: f64,
    /// `σ_d`, the standard deviation of `ln x_0`; positive.
    pub log_sd: f64,
}

/// The scales at one noise level; see the module documentation.
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

    /// The raw network's target at `v`: the `F` for which `D` equals the clean `y0`, given the state `y_bar`.
    pub fn target(&self, y0: f64, y_bar: f64, v: f64) -> f64 {
        let c = self.at(v);
        let mean = self.moments.log_mean;
        ((y0 - mean) - c.c_skip * (y_bar - mean)) / c.c_out
    }
}
