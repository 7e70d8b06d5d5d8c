//! Kernel distance (KID): the unbiased squared maximum mean discrepancy with a cubic kernel.
//!
//! ```text
//! k(x, y) = (x·y / d + 1)³
//! KID = Σ_{i≠j} k(xᵢ, xⱼ) / (m(m − 1)) + Σ_{i≠j} k(yᵢ, yⱼ) / (n(n − 1)) − 2 Σ_{ij} k(xᵢ, yⱼ) / (m n)
//! ```
//!
//! Bińkowski, Sutherland, Arbel and Gretton, *Demystifying MMD GANs*, 2018; the U-statistic of Gretton et al., *A kernel two-sample
//! test*, 2012. Being unbiased it has mean 0 for equal distributions and is then negative half of the time.

mod blocks;
mod bootstrap;
mod single;

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{MetricsError, Set, check_pair};
use crate::splitmix::SplitMix64;
pub use bootstrap::kid_bootstrap;

use blocks::{Block, Element, Side, over_blocks};

/// Addresses of the two sides' draws.
const SAMPLE_STREAM: u64 = 0x6b69_6401;
const REFERENCE_STREAM: u64 = 0x6b69_6402;

/// How the subsets are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KidOptions {
    /// Number of subsets.
    pub subsets: usize,
    /// Rows of each side in a subset, drawn without replacement.
    pub size: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for KidOptions {
    /// 100 subsets of 1,000, as in the original code.
    fn default() -> Self {
        Self { subsets: 100, size: 1000, seed: 0 }
    }
}

/// Kernel distance over subsets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KidSpread {
    /// Mean over the subsets.
    pub mean: f64,
    /// Standard deviation over the subsets (divided by their number, as published tools do). It is the spread of one subset's value,
    /// not the standard error of the mean.
    pub sd: f64,
    /// How the subsets were drawn.
    pub options: KidOptions,
}

/// Kernel distance over all pairs of rows (m × d and n × d). No m × n matrix is kept.
///
/// Products and sums are in `f64`. With more than 64 features and at least 2,048 rows on both sides products are tried in `f32`, about
/// twice as fast: the value is then taken if its error, measured on pilots, is well below a millionth of it, and otherwise computed in
/// `f64` after all, as between two halves of one set. This takes a copy of both
/// matrices, and from the seventh digit on the value may differ between processors; on one it does not depend on the number of threads.
///
/// # Errors
/// Fewer than two rows, different dimensions, a value that is not finite (with its row and column).
pub fn kid_exact(sample: ArrayView2<'_, f32>, reference: ArrayView2<'_, f32>) -> Result<f64, MetricsError> {
    check_pair(sample, reference)?;
    Ok(exact(sample, reference))
}

/// Mean and standard deviation of the kernel distance over seeded random subsets. The result does not depend on the number of threads.
///
/// # Errors
/// As [`kid_exact`]; also a subset below 2 rows or larger than a side, or no subsets.
pub fn kid_subsets(
    sample: ArrayView2<'_, f32>,
    reference: ArrayView2<'_, f32>,
    options: &KidOptions,
) -> Result<KidSpread, MetricsError> {
    check_pair(sample, reference)?;
    if options.subsets == 0 {
        return Err(MetricsError::TooSmall { what: "the number of subsets", value: 0, least: 1 });
    }
    for (set, available) in [(Set::Sample, sample.nrows()), (Set::Reference, reference.nrows())] {
        if options.size < 2 || options.size > available {
            return Err(MetricsError::SubsetSize { size: options.size, available, set });
        }
    }
    let values: Vec<f64> = (0..options.subsets as u64)
        .into_par_iter()
        .map(|index| {
            let draw = |features: ArrayView2<'_, f32>, stream| {
                let rows = SplitMix64::addressed(options.seed, stream, index).choose(features.nrows(), options.size);
                features.select(Axis(0), &rows)
            };
            let (a, b) = (draw(sample, SAMPLE_STREAM), draw(reference, REFERENCE_STREAM));
            exact(a.view(), b.view())
        })
        .collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    Ok(KidSpread { mean, sd, options: *options })
}

/// The distance over all pairs of rows that were checked.
fn exact(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> f64 {
    let (x, y) = Side::given(a, b);
    single::attempt(a, b).unwrap_or_else(|| of_sides::<f64>(&x, &y))
}

/// The distance between two sides, of products in `T`.
fn of_sides<T: Element>(x: &Side<'_>, y: &Side<'_>) -> f64 {
    let across: f64 = over_blocks(x, y, &x.pairs_across(y), |block: Block<'_, T>, _, _| block.sum()).iter().sum();
    combine(sum_within::<T>(x), sum_within::<T>(y), across, x.nrows(), y.nrows())
}

/// Σ_{i≠j} k(xᵢ, xⱼ): every pair once, and then twice.
fn sum_within<T: Element>(x: &Side<'_>) -> f64 {
    let sum = |block: Block<'_, T>, i, j| if i == j { block.sum_below_diagonal() } else { block.sum() };
    2.0 * over_blocks(x, x, &x.pairs_within(), sum).iter().sum::<f64>()
}

fn combine(within_a: f64, within_b: f64, across: f64, m: usize, n: usize) -> f64 {
    let (m, n) = (m as f64, n as f64);
    within_a / (m * (m - 1.0)) + within_b / (n * (n - 1.0)) - 2.0 * across / (m * n)
}
