//! Spread of the kernel distance under resampling of the rows of both sides.
//!
//! A resample draws m of the m sample rows and n of the n reference rows with replacement. With wᵢ and vⱼ how often a row is drawn,
//! and without the pairs of a row with itself, which would bias the distance upwards,
//!
//! ```text
//! KID* = Σ_{i≠j} wᵢ wⱼ k(xᵢ, xⱼ) / Σ_{i≠j} wᵢ wⱼ + Σ_{i≠j} vᵢ vⱼ k(yᵢ, yⱼ) / Σ_{i≠j} vᵢ vⱼ − 2 Σ_{ij} wᵢ vⱼ k(xᵢ, yⱼ) / (m n)
//! ```
//!
//! Every block of the kernel is made once and multiplied with the counts of all resamples.

use faer::Par;
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::blocks::{Side, over_blocks, widen};
use super::combine;
use crate::dense;
use crate::error::{MetricsError, check_pair};
use crate::interval::{Interval, Resampling};
use crate::splitmix::SplitMix64;

/// Addresses of the two sides' draws.
const SAMPLE_STREAM: u64 = 0x6b69_6403;
const REFERENCE_STREAM: u64 = 0x6b69_6404;

/// Kernel distance over all pairs of rows (m × d and n × d), with its bootstrap spread. The same bit for bit for every number of
/// threads.
///
/// The percentile interval is one for the distance between the two distributions that the rows were drawn from, rows on both sides taken
/// as independent draws, when these distributions differ by more than the noise. Where they are equal the distance scatters around 0 by
/// its second order alone, and a resample adds to that the product of the data's own deviation and the resample's: the standard
/// deviation is then on average √3 times too large and the interval too wide, so that it holds 0 more often than its level says. It is
/// not a test of equality. A resample that draws a single row all the time, likely only when there are two or three, is drawn anew.
///
/// Beside [`super::kid_exact`] it costs one product of each block of the kernel with the counts, and all products are in `f64`; memory
/// is a count (4 bytes) for each row and resample.
///
/// # Errors
/// As [`super::kid_exact`]; also fewer than two resamples or a level outside (0, 1).
pub fn kid_bootstrap(
    sample: ArrayView2<'_, f32>,
    reference: ArrayView2<'_, f32>,
    options: &Resampling,
) -> Result<Interval, MetricsError> {
    check_pair(sample, reference)?;
    options.check()?;
    let (estimate, values) = values(sample, reference, options);
    Ok(options.interval_of(estimate, values))
}

/// The distance of the rows as they are, and of every resample.
fn values(sample: ArrayView2<'_, f32>, reference: ArrayView2<'_, f32>, options: &Resampling) -> (f64, Vec<f64>) {
    let (m, n) = (sample.nrows(), reference.nrows());
    let (w, v) = (counts(m, SAMPLE_STREAM, options), counts(n, REFERENCE_STREAM, options));
    let (x, y) = Side::given(sample, reference);
    let across = sums(&x, &w, &y, &v, &x.pairs_across(&y), false);
    let (within_x, within_y) =
        (sums(&x, &w, &x, &w, &x.pairs_within(), true), sums(&y, &v, &y, &v, &y.pairs_within(), true));
    let values = (0..options.resamples)
        .map(|r| {
            within_x.resampled[r] / pairs_drawn(&w, r) + within_y.resampled[r] / pairs_drawn(&v, r)
                - 2.0 * across.resampled[r] / (m as f64 * n as f64)
        })
        .collect();
    (combine(within_x.all, within_y.all, across.all, m, n), values)
}

/// How often every row is drawn: resamples × rows, in a type that blocks are widened from.
fn counts(rows: usize, stream: u64, options: &Resampling) -> Array2<f32> {
    let mut counts = Array2::zeros((options.resamples, rows));
    counts.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(index, mut to)| {
        let mut generator = SplitMix64::addressed(options.seed, stream, index as u64);
        let mut drawn = generator.resample_counts(rows);
        while drawn.iter().filter(|&&count| count > 0).count() < 2 {
            drawn = generator.resample_counts(rows);
        }
        to.iter_mut().zip(drawn).for_each(|(to, count)| *to = count as f32);
    });
    counts
}

/// Σ_{i≠j} wᵢ wⱼ.
fn pairs_drawn(counts: &Array2<f32>, resample: usize) -> f64 {
    let row = counts.row(resample);
    let rows = row.len() as f64;
    rows * rows - row.iter().map(|&count| f64::from(count).powi(2)).sum::<f64>()
}

/// A sum over the kernel of the rows as they are, and of every resample.
struct Sums {
    all: f64,
    resampled: Vec<f64>,
}

/// Sums over the given blocks; of a side with itself, each block below the diagonal counts twice and the diagonal not at all.
fn sums(a: &Side<'_>, w: &Array2<f32>, b: &Side<'_>, v: &Array2<f32>, pairs: &[(usize, usize)], within: bool) -> Sums {
    let resamples = w.nrows();
    let parts = over_blocks::<f64, Sums>(a, b, pairs, |block, i, j| {
        let kernel = block.kernel();
        if within && i == j {
            kernel.diag_mut().fill(0.0);
        }
        let times = if within && i != j { 2.0 } else { 1.0 };
        let part = |counts: &Array2<f32>, rows: std::ops::Range<usize>| {
            let mut wide = Array2::zeros((0, 0));
            widen(&mut wide, counts.slice_axis(Axis(1), rows.into()));
            wide
        };
        let (own, others) = (part(w, a.range(i)), part(v, b.range(j)));
        let mut weighted = Array2::zeros((resamples, kernel.nrows()));
        dense::product_transposed(&mut weighted, others.view(), kernel.view(), Par::Seq);
        let resampled = weighted.outer_iter().zip(own.outer_iter()).map(|(sums, counts)| times * sums.dot(&counts));
        let all: f64 = kernel.outer_iter().map(|row| row.sum()).sum();
        Sums { all: times * all, resampled: resampled.collect() }
    });
    let mut total = Sums { all: 0.0, resampled: vec![0.0; resamples] };
    for part in parts {
        total.all += part.all;
        total.resampled.iter_mut().zip(part.resampled).for_each(|(to, from)| *to += from);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kid::kid_exact;
    use crate::splitmix::uniform;

    /// Rows repeated as often as they are drawn, each with the row that it came from.
    fn repeated(counts: &Array2<f32>, resample: usize) -> Vec<usize> {
        let counts = counts.row(resample);
        (0..counts.len()).flat_map(|row| std::iter::repeat_n(row, counts[row] as usize)).collect()
    }

    fn kernel(x: &Array2<f32>, i: usize, y: &Array2<f32>, j: usize) -> f64 {
        let dot: f64 = x.row(i).iter().zip(y.row(j)).map(|(&p, &q)| f64::from(p) * f64::from(q)).sum();
        (dot / x.ncols() as f64 + 1.0).powi(3)
    }

    fn mean(
        x: &Array2<f32>,
        of_x: &[usize],
        y: &Array2<f32>,
        of_y: &[usize],
        counted: impl Fn(usize, usize) -> bool,
    ) -> f64 {
        let pairs = of_x.iter().flat_map(|&i| of_y.iter().map(move |&j| (i, j))).filter(|&(i, j)| counted(i, j));
        let (sum, count) = pairs.fold((0.0, 0.0), |(sum, count), (i, j)| (sum + kernel(x, i, y, j), count + 1.0));
        sum / count
    }

    #[test]
    fn counts_are_repeated_rows() {
        // Two rows, of which half of all resamples would be a single one; several blocks, the last one partly filled.
        for (m, n, d, resamples) in [(2, 3, 1, 50), (30, 41, 5, 20), (520, 261, 3, 3)] {
            let (x, y) = (uniform(m, d, 1), uniform(n, d, 2).mapv(|v| 1.2 * v + 0.3));
            let options = Resampling { resamples, seed: 5, ..Default::default() };
            let (estimate, values) = values(x.view(), y.view(), &options);
            assert!((estimate - kid_exact(x.view(), y.view()).unwrap()).abs() < 1e-12);
            let (w, v) = (counts(m, SAMPLE_STREAM, &options), counts(n, REFERENCE_STREAM, &options));
            for (r, found) in values.iter().enumerate() {
                let (of_x, of_y) = (repeated(&w, r), repeated(&v, r));
                assert_eq!((of_x.len(), of_y.len()), (m, n));
                let expected = mean(&x, &of_x, &x, &of_x, |i, j| i != j) + mean(&y, &of_y, &y, &of_y, |i, j| i != j)
                    - 2.0 * mean(&x, &of_x, &y, &of_y, |_, _| true);
                assert!((found - expected).abs() < 1e-12, "{m} {n} {d}, {r}: {found} {expected}");
            }
        }
    }
}
