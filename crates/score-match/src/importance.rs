//! Importance sampling of noise levels: draw more where the loss is large, and divide by how much more.
//!
//! ```math
//! \mathbb{E}_{v \sim p}\, \ell(v) = \mathbb{E}_{v \sim q} \Big[ \frac{p(v)}{q(v)}\, \ell(v) \Big],
//! \qquad \frac{q}{p} \propto w(v)
//! ```
//!
//! `$p$` is a [`TimeSampling`], `$w$` a [`TimeWeight`]: one of the closed forms, or a table of measured losses per level. The
//! variance of the estimate is least when `$w$` is the root mean square of `$\ell$` at `$v$` (Kahn and Marshall 1953; for
//! diffusion models Nichol and Dhariwal 2021).
//!
//! In the coordinate `$u = F_p(v)$` the base law is uniform, whatever it is. There the proposal is taken constant on each of
//! `$M$` equal cells, with the value of `$w$` at the middle, mixed with a share `$\alpha$` of the base law (a *defensive*
//! mixture, Hesterberg 1995), so that no correction exceeds `$1/\alpha$`:
//!
//! ```math
//! q_j = \alpha + (1 - \alpha)\, \frac{w_j}{\frac1M \sum_i w_i}, \qquad \text{correction} = 1/q_j
//! ```
//!
//! The correction is that of the density which is drawn from, so cells make the loss no less unbiased.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use crate::error::{ScoreError, positive};
use crate::time::TimeSampling;
use crate::weight::TimeWeight;

/// A noise level and the factor that its loss is multiplied by.
///
/// ```
/// use score_match::{ImportanceOptions, ImportanceSampling, TimeSampling, TimeWeight, WeightedLevel};
/// let base = TimeSampling::Uniform { r_min: 0.1, r_max: 1.0 };
/// // λ = 1 asks for the base law itself, which needs no correction.
/// let sampling = ImportanceSampling::new(base, &TimeWeight::Likelihood, 0.2, ImportanceOptions::default())?;
/// let WeightedLevel { v, correction } = sampling.quantile(0.3);
/// assert!((v - base.quantile(0.3)).abs() < 1e-12 && (correction - 1.0).abs() < 1e-12);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightedLevel {
    /// Log variance.
    pub v: f64,
    /// `p/q`: positive, with mean 1 over draws.
    pub correction: f64,
}

/// How the proposal is made.
///
/// ```
/// use score_match::{ImportanceOptions, ImportanceSampling, TimeSampling, TimeWeight};
/// let base = TimeSampling::LogUniform { r_min: 0.01, r_max: 4.0 };
/// let options = ImportanceOptions { defensive: 0.25, ..ImportanceOptions::default() };
/// let sampling = ImportanceSampling::new(base, &TimeWeight::Paper, 0.2, options)?;
/// // λ = v² leaves low levels almost to the base law, whose share bounds the correction.
/// let correction = sampling.quantile(0.01).correction;
/// assert!(correction > 3.9 && correction <= 4.0);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImportanceOptions {
    /// Number of cells `M`, at least 1.
    pub cells: usize,
    /// Share `α` of draws from the base law, in `(0, 1]`.
    pub defensive: f64,
}

impl Default for ImportanceOptions {
    /// 1024 cells, a tenth from the base law.
    fn default() -> Self {
        Self { cells: 1024, defensive: 0.1 }
    }
}

/// A time sampling with density proportional to a weight, relative to a base law.
///
/// ```
/// use score_match::{ImportanceOptions, ImportanceSampling, TimeSampling, TimeWeight};
/// let base = TimeSampling::LogUniform { r_min: 0.01, r_max: 4.0 };
/// // measured: twice the loss at r = 1 as at r = 0.1
/// let losses = toml::from_str::<TimeWeight>("table = { r = [0.1, 1.0], lambda = [0.3, 0.6] }")?;
/// let sampling = ImportanceSampling::new(base, &losses, 0.2, ImportanceOptions::default())?;
/// let (low, high) = (sampling.quantile(0.01), sampling.quantile(0.99));
/// assert!(low.correction > 1.0 && high.correction < 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ImportanceSampling {
    base: TimeSampling,
    /// `q_j`, with mean 1.
    density: Vec<f64>,
    /// Probability of all cells up to and including `j`; the last is 1.
    cumulative: Vec<f64>,
}

impl ImportanceSampling {
    /// Draws with density proportional to `weight` relative to `base`, with `sigma_d` the standard deviation of the clean
    /// logarithms (which some weights need), positive.
    ///
    /// ```
    /// use score_match::{ImportanceOptions, ImportanceSampling, ScoreError, TimeSampling, TimeWeight};
    /// let base = TimeSampling::LogUniform { r_min: 0.01, r_max: 4.0 };
    /// let refused = ImportanceSampling::new(base, &TimeWeight::Noise, 0.0, ImportanceOptions::default());
    /// assert_eq!(refused, Err(ScoreError::NotPositive { name: "sigma_d", value: 0.0 }));
    /// ```
    ///
    /// # Errors
    /// When the base law, the weight or an option is refused, or the weight is not positive and finite somewhere.
    pub fn new(
        base: TimeSampling,
        weight: &TimeWeight,
        sigma_d: f64,
        options: ImportanceOptions,
    ) -> Result<Self, ScoreError> {
        base.check()?;
        weight.check()?;
        positive("sigma_d", sigma_d)?;
        let ImportanceOptions { cells, defensive } = options;
        if cells == 0 {
            return Err(ScoreError::TooFew { name: "cells", least: 1, value: 0 });
        }
        positive("defensive", defensive)?;
        if defensive > 1.0 {
            return Err(ScoreError::Order {
                low: "defensive",
                low_value: defensive,
                high: "its limit",
                high_value: 1.0,
            });
        }
        let middle = |j: usize| base.quantile((j as f64 + 0.5) / cells as f64);
        let weights: Vec<f64> = (0..cells).map(|j| weight.lambda(middle(j), sigma_d)).collect();
        weights.iter().try_for_each(|&w| positive("the weight at a level", w))?;
        let mean = weights.iter().sum::<f64>() / cells as f64;
        positive("the mean weight", mean)?;
        let density: Vec<f64> = weights.iter().map(|w| defensive + (1.0 - defensive) * w / mean).collect();
        let total: f64 = density.iter().sum();
        let sums = density.iter().scan(0.0, |sum, q| {
            *sum += q / total;
            Some(*sum)
        });
        Ok(Self { base, cumulative: sums.collect(), density })
    }

    /// The base law.
    pub fn base(&self) -> &TimeSampling {
        &self.base
    }

    /// The level below which a share `u` in `(0, 1)` of the draws lies, with its correction.
    ///
    /// ```
    /// # use score_match::{ImportanceOptions, ImportanceSampling, TimeSampling, TimeWeight};
    /// let base = TimeSampling::Uniform { r_min: 0.01, r_max: 1.0 };
    /// let sampling = ImportanceSampling::new(base, &TimeWeight::Noise, 0.2, ImportanceOptions::default())?;
    /// // λ = v draws more of the high levels: the median rises, and low levels count for more.
    /// let median = sampling.quantile(0.5);
    /// assert!(median.v > base.quantile(0.5) && sampling.quantile(0.1).correction > median.correction);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    pub fn quantile(&self, u: f64) -> WeightedLevel {
        let cells = self.density.len();
        let cell = self.cumulative.partition_point(|&sum| sum <= u).min(cells - 1);
        let before = if cell == 0 { 0.0 } else { self.cumulative[cell - 1] };
        // Within a cell the proposal is uniform in the base law's own u. Rounding must not leave the cell.
        let inside = ((u - before) / (self.cumulative[cell] - before)).clamp(f64::EPSILON, 1.0 - f64::EPSILON);
        let v = self.base.quantile((cell as f64 + inside) / cells as f64);
        WeightedLevel { v, correction: 1.0 / self.density[cell] }
    }

    /// Fills `out` with a stratified batch: the quantiles of `(i + u)/B`, for one uniform `u` in `(0, 1)`.
    ///
    /// ```
    /// # use score_match::{ImportanceOptions, ImportanceSampling, TimeSampling, TimeWeight, WeightedLevel};
    /// let base = TimeSampling::Uniform { r_min: 0.01, r_max: 1.0 };
    /// let sampling = ImportanceSampling::new(base, &TimeWeight::Noise, 0.2, ImportanceOptions::default())?;
    /// let mut batch = vec![WeightedLevel::default(); 4000];
    /// sampling.stratified(0.5, &mut batch);
    /// // Corrected, the mean of v is that of the base law, which is the middle of [r_min², r_max²].
    /// let mean = batch.iter().map(|level| level.correction * level.v).sum::<f64>() / 4000.0;
    /// assert!((mean - 0.5 * (0.0001 + 1.0)).abs() < 1e-3);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    pub fn stratified(&self, u: f64, out: &mut [WeightedLevel]) {
        let size = out.len() as f64;
        for (i, level) in out.iter_mut().enumerate() {
            *level = self.quantile((i as f64 + u) / size);
        }
    }
}
