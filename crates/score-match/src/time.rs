//! Time sampling: the law of the noise level `$r = \sqrt v$` that training draws from, given by its quantile function.
//!
//! ```math
//! \begin{aligned}
//! &\text{log-normal} & \ln r &= \text{mean} + \text{sd}\; \Phi^{-1}(u) \text{, clipped to } [\ln r_\text{min}, \ln r_\text{max}] \\
//! &\text{log-uniform} & \ln r &= \ln r_\text{min} + u \ln (r_\text{max}/r_\text{min}) \\
//! &\text{uniform} & v &= r_\text{min}^2 + u\, (r_\text{max}^2 - r_\text{min}^2) \\
//! &\text{published} & v &= \sigma^2 k/N, \quad k = 1 + \lfloor u\, (N - 1) \rfloor
//! \end{aligned}
//! ```
//!
//! The first is that of Karras et al. (2022), the third is uniform in time under constant volatility, the last is the
//! authors' law of the integer steps 1 … N − 1.
//!
//! A batch is stratified: its levels are the quantiles of `$u_i = (i + u)/B$` for one uniform `$u$`, so that every batch
//! covers the whole range and the loss has little variance from the levels. Three parts choose the levels of a run, each
//! free of the others:
//!
//! | part | what it says |
//! |---|---|
//! | [`TimeSampling`], here | the base law `$p(v)$`, which the loss is a mean over |
//! | [`ImportanceSampling`](crate::importance) | the density `$q(v)$` that is drawn from instead, and the correction `$p/q$` of each level |
//! | [`Sequence`](crate::sequence) | the uniform `$u$` of each step, so that the batches of successive steps interleave |
//!
//! Without the second, levels are drawn from the base law; without the third, `$u$` is random. The table of a configuration
//! file names the first alone, the others are chosen in code. All three at once:
//!
//! ```
//! use score_match::{ImportanceOptions, ImportanceSampling, Sequence, TimeSampling, TimeWeight, WeightedLevel};
//! let base = TimeSampling::Uniform { r_min: 0.01, r_max: 1.0 };
//! let sampling = ImportanceSampling::new(base, &TimeWeight::Noise, 0.2, ImportanceOptions::default())?;
//! let (steps, mut batch, mut mean) = (64, [WeightedLevel::default(); 16], 0.0);
//! for step in 0..steps {
//!     sampling.stratified(Sequence::GoldenRatio.uniform(step, 0.37), &mut batch);
//!     // In training: the loss at each level v, times its correction. Here the loss is v itself …
//!     mean += batch.iter().map(|level| level.correction * level.v).sum::<f64>() / (16.0 * steps as f64);
//! }
//! // … and its mean over the base law the middle of [r_min², r_max²].
//! assert!((mean - 0.5 * (0.0001 + 1.0)).abs() < 1e-3);
//! # Ok::<(), score_match::ScoreError>(())
//! ```
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use gbm_sde::lognormal::normal_quantile;
use serde::{Deserialize, Serialize};

use crate::error::{ScoreError, finite, positive};

/// The law of the noise level in training.
///
/// ```
/// use score_match::TimeSampling;
/// let time = TimeSampling::LogUniform { r_min: 0.01, r_max: 1.0 };
/// time.check()?;
/// let mut levels = [0.0; 2];
/// time.stratified(0.5, &mut levels);
/// assert!((levels[1] - 0.1).abs() < 1e-15);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TimeSampling {
    /// `ln r` is normal; the levels beyond the ends are moved to the ends.
    LogNormal {
        /// Mean of `ln r`.
        mean: f64,
        /// Standard deviation of `ln r`, positive.
        sd: f64,
        /// Least noise level, positive.
        r_min: f64,
        /// Greatest noise level.
        r_max: f64,
    },
    /// `ln r` is uniform.
    LogUniform {
        /// Least noise level, positive.
        r_min: f64,
        /// Greatest noise level.
        r_max: f64,
    },
    /// `v = r²` is uniform.
    Uniform {
        /// Least noise level, positive.
        r_min: f64,
        /// Greatest noise level.
        r_max: f64,
    },
    /// The authors' integer time steps under constant volatility and horizon 1.
    Published {
        /// Volatility, positive.
        sigma: f64,
        /// Number of steps `N`, at least 2.
        steps: usize,
    },
}

impl TimeSampling {
    /// Checks the parameters; [`TimeSampling::quantile`] of unchecked ones may be NaN.
    ///
    /// ```
    /// use score_match::{ScoreError, TimeSampling};
    /// let refused = TimeSampling::Uniform { r_min: 0.0, r_max: 1.0 }.check();
    /// assert_eq!(refused, Err(ScoreError::NotPositive { name: "r_min", value: 0.0 }));
    /// ```
    ///
    /// # Errors
    /// Names the parameter that is not finite, not positive or in the wrong order.
    pub fn check(&self) -> Result<(), ScoreError> {
        let range = |r_min: f64, r_max: f64| {
            positive("r_min", r_min)?;
            positive("r_max", r_max)?;
            if r_min < r_max {
                Ok(())
            } else {
                Err(ScoreError::Order { low: "r_min", low_value: r_min, high: "r_max", high_value: r_max })
            }
        };
        match *self {
            Self::LogNormal { mean, sd, r_min, r_max } => {
                finite("mean", mean)?;
                positive("sd", sd)?;
                range(r_min, r_max)
            }
            Self::LogUniform { r_min, r_max } | Self::Uniform { r_min, r_max } => range(r_min, r_max),
            Self::Published { sigma, steps } => {
                positive("sigma", sigma)?;
                if steps >= 2 { Ok(()) } else { Err(ScoreError::TooFew { name: "steps", least: 2, value: steps }) }
            }
        }
    }

    /// The log variance `v` below which a share `u` of all training levels lies; `u` in `(0, 1)`.
    ///
    /// ```
    /// // Half of the levels are below the median, where ln r is its mean: v = e^{2 · mean}.
    /// let time = score_match::TimeSampling::LogNormal { mean: -1.2, sd: 1.2, r_min: 0.002, r_max: 80.0 };
    /// assert!((time.quantile(0.5) - f64::exp(-2.4)).abs() < 1e-15);
    /// ```
    pub fn quantile(&self, u: f64) -> f64 {
        match *self {
            Self::LogNormal { mean, sd, r_min, r_max } => {
                let ln_r = mean + sd * normal_quantile(u);
                // `max` and `min` rather than `clamp`, which panics on a range that is not one.
                (2.0 * ln_r).exp().max(r_min * r_min).min(r_max * r_max)
            }
            Self::LogUniform { r_min, r_max } => r_min * r_min * (2.0 * u * (r_max / r_min).ln()).exp(),
            Self::Uniform { r_min, r_max } => r_min * r_min + u * (r_max * r_max - r_min * r_min),
            Self::Published { sigma, steps } => {
                let last = steps.saturating_sub(1) as f64;
                let k = 1.0 + (u * last).floor().min(last - 1.0);
                sigma * sigma * k / steps as f64
            }
        }
    }

    /// Fills `out` with the levels of a stratified batch: the quantiles of `(i + u)/B`, for one uniform `u` in `(0, 1)`.
    ///
    /// ```
    /// let time = score_match::TimeSampling::Uniform { r_min: 0.5, r_max: 1.5 };
    /// let mut levels = [0.0; 4];
    /// time.stratified(0.5, &mut levels);
    /// // the middles of four equal parts of [r_min², r_max²] = [0.25, 2.25]
    /// assert_eq!(levels, [0.5, 1.0, 1.5, 2.0]);
    /// ```
    pub fn stratified(&self, u: f64, out: &mut [f64]) {
        let size = out.len() as f64;
        for (i, v) in out.iter_mut().enumerate() {
            *v = self.quantile((i as f64 + u) / size);
        }
    }
}
