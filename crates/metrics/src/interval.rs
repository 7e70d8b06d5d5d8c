//! Percentile intervals of a mean over images, by resampling the images (Efron and Tibshirani, *An introduction to the bootstrap*,
//! 1993, chapter 13).
//!
//! Precision, density, authenticity and their like are means of one number for each image, given the other side. A resample draws N
//! of the N numbers with replacement; the other side is taken as it is.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::MetricsError;
use crate::splitmix::SplitMix64;

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resampling {
    /// Number of resamples, at least 2.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Probability that the interval holds, inside (0, 1).
    pub level: f64,
}

impl Default for Resampling {
    /// 200 resamples with seed 0, and a 95% interval.
    fn default() -> Self {
        Self { resamples: 200, seed: 0, level: 0.95 }
    }
}

impl Resampling {
    pub(crate) fn check(&self) -> Result<(), MetricsError> {
        if self.resamples < 2 {
            return Err(MetricsError::TooSmall { what: "the number of resamples", value: self.resamples, least: 2 });
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(MetricsError::Level(self.level));
        }
        Ok(())
    }

    /// The interval of `estimate` from what `statistic` says of each resample, given how often each of `n` images is drawn.
    pub(crate) fn interval(
        &self,
        estimate: f64,
        n: usize,
        stream: u64,
        statistic: impl Fn(&[u32]) -> f64 + Sync,
    ) -> Interval {
        let values: Vec<f64> = (0..self.resamples as u64)
            .into_par_iter()
            .map(|index| statistic(&SplitMix64::addressed(self.seed, stream, index).resample_counts(n)))
            .collect();
        self.interval_of(estimate, values)
    }

    /// The interval of `estimate` from its values on resamples.
    pub(crate) fn interval_of(&self, estimate: f64, values: Vec<f64>) -> Interval {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Interval { estimate, sd, low: quantile(&sorted, tail), high: quantile(&sorted, 1.0 - tail) }
    }

    /// The interval of a mean.
    pub(crate) fn mean(&self, values: &[f64], stream: u64) -> Interval {
        let n = values.len() as f64;
        let estimate = values.iter().sum::<f64>() / n;
        self.interval(estimate, values.len(), stream, |counts| {
            values.iter().zip(counts).map(|(value, &count)| value * f64::from(count)).sum::<f64>() / n
        })
    }
}

/// A number with its spread, in the number's own units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The number on the images as they are.
    pub estimate: f64,
    /// Standard deviation over the resamples (divisor: their number less 1).
    pub sd: f64,
    /// Lower end of the percentile interval.
    pub low: f64,
    /// Upper end of the percentile interval.
    pub high: f64,
}

/// Quantile of sorted values with linear interpolation between the neighbours (numpy's default).
pub(crate) fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let position = probability * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let sorted = [0.0, 1.0, 2.0, 4.0];
        assert_eq!(quantile(&sorted, 0.0), 0.0);
        assert_eq!(quantile(&sorted, 0.5), 1.5);
        assert_eq!(quantile(&sorted, 1.0), 4.0);
    }

    #[test]
    fn a_share_scatters_as_a_binomial() {
        // 300 of 1,000: sd √(0.3 · 0.7 / 1000).
        let values: Vec<f64> = (0..1000).map(|i| f64::from(u8::from(i % 10 < 3))).collect();
        let options = Resampling { resamples: 2000, ..Default::default() };
        let found = options.mean(&values, 1);
        let sd = (0.3_f64 * 0.7 / 1000.0).sqrt();
        assert!((found.estimate - 0.3).abs() < 1e-15);
        assert!((found.sd / sd - 1.0).abs() < 0.07, "{found:?}");
        assert!((found.low - (0.3 - 1.96 * sd)).abs() < 0.3 * sd, "{found:?}");
        assert!((found.high - (0.3 + 1.96 * sd)).abs() < 0.3 * sd, "{found:?}");
        assert_eq!(found, options.mean(&values, 1));
        assert_ne!(found, Resampling { seed: 1, ..options }.mean(&values, 1));
    }

    #[test]
    fn options_are_checked() {
        let few = Resampling { resamples: 1, ..Default::default() };
        assert!(matches!(few.check(), Err(MetricsError::TooSmall { value: 1, least: 2, .. })));
        for level in [0.0, 1.0, f64::NAN] {
            assert!(matches!(Resampling { level, ..Default::default() }.check(), Err(MetricsError::Level(_))));
        }
    }
}
