//! Spread of the Fréchet distance under resampling of the rows (Efron, *Bootstrap methods: another look at the jackknife*, 1979).
//!
//! A resample draws N of the N rows with replacement. Row i then has an integer weight wᵢ and, with `x` centred once on the mean of
//! all rows,
//!
//! ```text
//! δ = (1/N) Σ wᵢ xᵢ,    cov = ( Σ wᵢ xᵢ xᵢᵀ − N δ δᵀ ) / (N − 1)
//! ```
//!
//! so a resample costs one product over the rows with wᵢ > 0 (63% of them) and copies nothing.
//!
//! Mind that the Fréchet distance is biased upwards by about `1/N`, and a resample adds that bias once more: the mean of the resamples
//! lies above the estimate. The interval is of the distance of N images: the percentiles of the resamples, moved by `estimate − mean`.
//! It says nothing of the bias that the estimate itself has; for that see [`crate::infinite`].

use faer::Par;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dense;
use crate::error::{MetricsError, Set, check_pair};
use crate::fid::Prepared;
use crate::interval::quantile;
use crate::moments::Moments;
use crate::splitmix::SplitMix64;

/// Rows that are squared in one piece.
const BLOCK_ROWS: usize = 256;

/// Squared spread, in parts of the squared distance from the centre, below which rows are the same.
const SAME: f64 = 1e-10;

/// Addresses of the two sides' draws.
const SAMPLE_STREAM: u64 = 0x6669_6401;
const REFERENCE_STREAM: u64 = 0x6669_6402;

/// Which rows are resampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resampled {
    /// The sample side; the reference is taken as given.
    #[default]
    Sample,
    /// Both sides, independently.
    Both,
}

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapOptions {
    /// Number of resamples, at least 2.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Which rows are resampled.
    pub resampled: Resampled,
    /// Probability that the percentile interval holds, inside (0, 1).
    pub level: f64,
}

impl Default for BootstrapOptions {
    /// 50 resamples of the sample side with seed 0, and a 95% interval.
    fn default() -> Self {
        Self { resamples: 50, seed: 0, resampled: Resampled::Sample, level: 0.95 }
    }
}

/// A Fréchet distance with its spread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The distance on the rows as they are.
    pub estimate: f64,
    /// Mean over the resamples; above the estimate, see the module's text.
    pub mean: f64,
    /// Standard deviation over the resamples (N − 1).
    pub sd: f64,
    /// Lower end of the interval, not below 0.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// How it was resampled.
    pub options: BootstrapOptions,
    /// The distance of each resample, in the order of their indices.
    pub values: Vec<f64>,
}

/// Fréchet distance between two feature matrices (N × d and M × d) with its bootstrap spread. Bit for bit the same for every number
/// of threads.
///
/// # Errors
/// As [`crate::fid::fid`]; also fewer than two resamples or a level outside (0, 1).
pub fn bootstrap_fid(
    sample: ArrayView2<'_, f32>,
    reference: ArrayView2<'_, f32>,
    options: &BootstrapOptions,
) -> Result<Bootstrap, MetricsError> {
    check_pair(sample, reference)?;
    if options.resamples < 2 {
        return Err(MetricsError::TooSmall { what: "the number of resamples", value: options.resamples, least: 2 });
    }
    if !(options.level > 0.0 && options.level < 1.0) {
        return Err(MetricsError::Level(options.level));
    }
    let sample_moments = Moments::of_set(sample, Set::Sample)?;
    let reference_moments = Moments::of_set(reference, Set::Reference)?;
    // One thread for each decomposition: the resamples fill the threads, and rounding does not depend on their number.
    let par = Par::Seq;
    let fixed = Prepared::with(reference_moments.clone(), par)?;
    let estimate = Prepared::with(sample_moments.clone(), par)?.distance_with(&fixed, par)?.distance;

    let values = (0..options.resamples as u64)
        .into_par_iter()
        .map(|index| {
            let draw = |features: ArrayView2<'_, f32>, moments: &Moments, stream| {
                let counts = SplitMix64::addressed(options.seed, stream, index).resample_counts(features.nrows());
                Prepared::with(weighted_moments(features, moments.mean(), &counts), par)
            };
            let resample = draw(sample, &sample_moments, SAMPLE_STREAM)?;
            let distance = match options.resampled {
                Resampled::Sample => resample.distance_with(&fixed, par)?,
                Resampled::Both => {
                    resample.distance_with(&draw(reference, &reference_moments, REFERENCE_STREAM)?, par)?
                }
            };
            Ok(distance.distance)
        })
        .collect::<Result<Vec<f64>, MetricsError>>()?;

    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let tail = (1.0 - options.level) / 2.0;
    Ok(Bootstrap {
        estimate,
        mean,
        sd,
        low: (quantile(&sorted, tail) + estimate - mean).max(0.0),
        high: quantile(&sorted, 1.0 - tail) + estimate - mean,
        options: *options,
        values,
    })
}

/// Moments of the rows where row i counts `counts[i]` times; `center` is any point near their mean.
fn weighted_moments(features: ArrayView2<'_, f32>, center: &Array1<f64>, counts: &[u32]) -> Moments {
    let dimension = features.ncols();
    let n: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    let drawn: Vec<usize> = (0..counts.len()).filter(|&row| counts[row] > 0).collect();
    let mut block = Array2::<f64>::zeros((BLOCK_ROWS, dimension));
    let mut scatter = Array2::<f64>::zeros((dimension, dimension));
    let mut sum = Array1::<f64>::zeros(dimension);
    for rows in drawn.chunks(BLOCK_ROWS) {
        for (&row, mut target) in rows.iter().zip(block.outer_iter_mut()) {
            let root = f64::from(counts[row]).sqrt();
            let source = features.row(row);
            for j in 0..dimension {
                target[j] = root * (f64::from(source[j]) - center[j]);
            }
            sum.scaled_add(root, &target);
        }
        dense::add_gram_lower(&mut scatter, block.slice_axis(Axis(0), (..rows.len()).into()), Par::Seq);
    }
    let delta = sum / n as f64;
    let raw = scatter.diag().sum();
    dense::add_outer_lower(&mut scatter, -(n as f64), &delta);
    scatter /= (n - 1) as f64;
    // Rows that are all the same, as in a resample of collapsed images, leave only rounding, which has eigenvalues of both signs.
    if scatter.diag().sum() * (n - 1) as f64 <= SAME * raw {
        scatter.fill(0.0);
    }
    dense::mirror_lower(&mut scatter);
    Moments::from_parts(n as usize, center + &delta, scatter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collapsed_and_tiny_sets_have_a_spread_too() {
        let mut generator = SplitMix64::new(5);
        let mut draw =
            |rows| Array2::from_shape_fn((rows, 6), |_| (generator.next_u64() >> 40) as f32 / (1 << 24) as f32);
        let reference = draw(50);
        for (rows, same) in [(2, 0), (3, 0), (40, 39), (40, 40), (200, 198)] {
            let mut sample = draw(rows);
            let first = sample.row(0).to_owned();
            for i in 0..same {
                sample.row_mut(i).assign(&first);
            }
            let found = bootstrap_fid(sample.view(), reference.view(), &BootstrapOptions::default()).unwrap();
            assert!(
                found.low - 1e-12 <= found.estimate && found.estimate <= found.high + 1e-12 && found.sd.is_finite(),
                "{rows}: {found:?}"
            );
        }
    }

    #[test]
    fn weights_are_repeated_rows() {
        let mut generator = SplitMix64::new(3);
        let features =
            Array2::from_shape_fn((700, 5), |_| 3.0 + (generator.next_u64() >> 40) as f32 / (1 << 24) as f32);
        let counts = generator.resample_counts(700);
        let rows: Vec<usize> = (0..700).flat_map(|i| std::iter::repeat_n(i, counts[i] as usize)).collect();
        let repeated = Moments::from_features(features.select(Axis(0), &rows).view()).unwrap();
        let center = Moments::from_features(features.view()).unwrap();
        let weighted = weighted_moments(features.view(), center.mean(), &counts);
        assert_eq!(weighted.n(), 700);
        for (a, b) in weighted.cov().iter().zip(repeated.cov()) {
            assert!((a - b).abs() < 1e-14, "{a} {b}");
        }
        for (a, b) in weighted.mean().iter().zip(repeated.mean()) {
            assert!((a - b).abs() < 1e-13, "{a} {b}");
        }
    }
}
