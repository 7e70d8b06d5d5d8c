//! Kernel distance (KID): the unbiased squared maximum mean discrepancy with a cubic kernel.
//!
//! ```text
//! k(x, y) = (x·y / d + 1)³
//! KID = Σ_{i≠j} k(xᵢ, xⱼ) / (m(m − 1)) + Σ_{i≠j} k(yᵢ, yⱼ) / (n(n − 1)) − 2 Σ_{ij} k(xᵢ, yⱼ) / (m n)
//! ```
//!
//! Bińkowski, Sutherland, Arbel and Gretton, *Demystifying MMD GANs*, 2018; the U-statistic of Gretton et al., *A kernel two-sample
//! test*, 2012. Being unbiased it has mean 0 for equal distributions and is then negative half of the time.

use faer::Par;
use ndarray::{Array2, ArrayView2, ArrayViewMut1, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dense;
use crate::error::{MetricsError, Set, check_pair};
use crate::splitmix::SplitMix64;

/// Side of a block of the kernel matrix; no more than one block for each thread is ever in memory.
const BLOCK: usize = 256;

/// Columns that are multiplied at once: a strip of a block, in `f64`, stays in the cache.
const COLUMNS: usize = 256;

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
/// # Errors
/// Fewer than two rows, different dimensions, a value that is not finite (with its row and column).
pub fn kid_exact(sample: ArrayView2<'_, f32>, reference: ArrayView2<'_, f32>) -> Result<f64, MetricsError> {
    check_pair(sample, reference)?;
    Ok(combine(
        sum_within(sample),
        sum_within(reference),
        sum_across(sample, reference),
        sample.nrows(),
        reference.nrows(),
    ))
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
            combine(
                sum_within(a.view()),
                sum_within(b.view()),
                sum_across(a.view(), b.view()),
                options.size,
                options.size,
            )
        })
        .collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    Ok(KidSpread { mean, sd, options: *options })
}

fn combine(within_a: f64, within_b: f64, across: f64, m: usize, n: usize) -> f64 {
    let (m, n) = (m as f64, n as f64);
    within_a / (m * (m - 1.0)) + within_b / (n * (n - 1.0)) - 2.0 * across / (m * n)
}

/// Σ_{i≠j} k(xᵢ, xⱼ).
fn sum_within(features: ArrayView2<'_, f32>) -> f64 {
    let blocks = features.nrows().div_ceil(BLOCK);
    let pairs: Vec<(usize, usize)> = (0..blocks).flat_map(|i| (0..=i).map(move |j| (i, j))).collect();
    // Every pair once, and then twice: all of a block below the diagonal, and what lies below the diagonal of one on it.
    2.0 * sum_blocks(features, features, &pairs, |i, j, row, columns| if i == j { row } else { columns })
}

/// Σ_{ij} k(xᵢ, yⱼ).
fn sum_across(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> f64 {
    let (rows, columns) = (a.nrows().div_ceil(BLOCK), b.nrows().div_ceil(BLOCK));
    let pairs: Vec<(usize, usize)> = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).collect();
    sum_blocks(a, b, &pairs, |_, _, _, columns| columns)
}

/// Sum of the kernel over blocks; `counted(i, j, row, columns)` says how many columns of a row of block (i, j) count.
fn sum_blocks(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    pairs: &[(usize, usize)],
    counted: impl Fn(usize, usize, usize, usize) -> usize + Sync,
) -> f64 {
    let scale = 1.0 / a.ncols() as f64;
    let sums: Vec<f64> = pairs
        .par_iter()
        .map_init(Buffers::default, |buffers, &(i, j)| {
            let products = buffers.products(a, i, b, j);
            let columns = products.ncols();
            // Row by row, so that rounding errors stay small and the order is fixed.
            let sum_row = |(row, values): (usize, ArrayViewMut1<'_, f64>)| {
                let mut values = values.slice_axis_move(Axis(0), (..counted(i, j, row, columns)).into());
                values.mapv_inplace(|dot| {
                    let base = dot * scale + 1.0;
                    base * base * base
                });
                values.sum()
            };
            products.outer_iter_mut().enumerate().map(sum_row).sum()
        })
        .collect();
    // Collected in the order of the pairs: the sum is the same for every number of threads.
    sums.iter().sum()
}

/// What one thread works in: fresh memory for each block would cost as much as a good part of the product.
#[derive(Default)]
struct Buffers {
    left: Array2<f64>,
    right: Array2<f64>,
    products: Array2<f64>,
}

impl Buffers {
    /// The products of block `i` of `a` with block `j` of `b`.
    fn products(&mut self, a: ArrayView2<'_, f32>, i: usize, b: ArrayView2<'_, f32>, j: usize) -> &mut Array2<f64> {
        let (a, b) = (block(a, i), block(b, j));
        resize(&mut self.products, (a.nrows(), b.nrows()));
        self.products.fill(0.0);
        for (a, b) in a.axis_chunks_iter(Axis(1), COLUMNS).zip(b.axis_chunks_iter(Axis(1), COLUMNS)) {
            widen(&mut self.left, a);
            widen(&mut self.right, b);
            dense::add_product_transposed(&mut self.products, self.left.view(), self.right.view(), Par::Seq);
        }
        &mut self.products
    }
}

fn block(features: ArrayView2<'_, f32>, index: usize) -> ArrayView2<'_, f32> {
    let start = index * BLOCK;
    let end = (start + BLOCK).min(features.nrows());
    features.slice_axis_move(Axis(0), (start..end).into())
}

fn resize(buffer: &mut Array2<f64>, shape: (usize, usize)) {
    if buffer.dim() != shape {
        *buffer = Array2::zeros(shape);
    }
}

fn widen(buffer: &mut Array2<f64>, values: ArrayView2<'_, f32>) {
    resize(buffer, values.dim());
    buffer.zip_mut_with(&values, |to, &from| *to = f64::from(from));
}
