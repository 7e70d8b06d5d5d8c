//! The training error by noise level: `‖D(ȳ, v) − y₀‖²` of every image seen, averaged within bins of `ln v`.

use score_match::TimeSampling;
use serde::{Deserialize, Serialize};

/// Bins over the levels that training draws.
const BINS: usize = 12;

/// The errors since the last line of `metrics.jsonl`.
#[derive(Clone, Debug)]
pub struct LevelBins {
    first: f64,
    width: f64,
    sums: [f64; BINS],
    counts: [u64; BINS],
}

/// One bin of one line of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BinLoss {
    /// Noise level `r = √v` in the middle of the bin, on a logarithmic scale.
    pub r: f64,
    /// Mean squared error of an image, summed over its pixels; none if no image fell into the bin.
    pub error: Option<f64>,
}

impl LevelBins {
    /// Empty bins over the levels of this sampling.
    #[must_use]
    pub fn new(time: &TimeSampling) -> Self {
        // The smallest and largest of many strata: whatever the sampling's form, this is its range.
        let mut levels = vec![0.0; 4096];
        time.stratified(0.5, &mut levels);
        let (low, high) = levels.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(*v), high.max(*v)));
        let (first, last) = (low.ln(), high.ln());
        let width = ((last - first) / BINS as f64).max(1e-12);
        Self { first, width, sums: [0.0; BINS], counts: [0; BINS] }
    }

    /// Adds the errors of images at these log variances.
    pub fn add(&mut self, levels: &[f64], errors: &[f64]) {
        for (v, error) in levels.iter().zip(errors) {
            let bin = (((v.ln() - self.first) / self.width).max(0.0) as usize).min(BINS - 1);
            self.sums[bin] += error;
            self.counts[bin] += 1;
        }
    }

    /// The bins as they are; empties them.
    pub fn take(&mut self) -> Vec<BinLoss> {
        let found = (0..BINS)
            .map(|i| BinLoss {
                r: (0.5 * (self.first + (i as f64 + 0.5) * self.width)).exp(),
                error: (self.counts[i] > 0).then(|| self.sums[i] / self.counts[i] as f64),
            })
            .collect();
        self.sums = [0.0; BINS];
        self.counts = [0; BINS];
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_averaged_where_their_levels_are() {
        let time = TimeSampling::LogNormal { mean: -1.0, sd: 1.0, r_min: 0.01, r_max: 5.0 };
        let mut bins = LevelBins::new(&time);
        let mut levels = vec![0.0; 1200];
        time.stratified(0.3, &mut levels);
        let errors: Vec<f64> = levels.iter().map(|v| v.sqrt()).collect();
        bins.add(&levels, &errors);
        bins.add(&[1e-30, 1e30], &[1.0, 1.0]);
        let found = bins.take();
        for bin in &found[1..found.len() - 1] {
            let error = bin.error.unwrap();
            assert!((error / bin.r).ln().abs() < bins.width, "{bin:?}");
        }
        assert!(bins.take().iter().all(|bin| bin.error.is_none()));
    }
}
