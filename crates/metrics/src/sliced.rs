//! Sliced Wasserstein distance: the mean of one-dimensional distances over random directions.
//!
//! ```text
//! SW² = E_θ W²(θ·X, θ·Y),    W²(a, b) = ∫₀¹ (F_a⁻¹(q) − F_b⁻¹(q))² dq,    θ uniform on the unit sphere
//! ```
//!
//! Rabin, Peyré, Delon and Bernot, *Wasserstein barycenter and its application to texture mixing*, 2011; Bonneel, Rabin, Peyré and
//! Pfister, *Sliced and Radon Wasserstein barycenters of measures*, 2015. Quantile functions of samples are steps, so the integral is a
//! finite sum, also for sides of different size. Unlike the Fréchet distance it sees all of a distribution, not only its first two
//! moments. Like it, it is above zero for two finite samples of one distribution.

use faer::Par;
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dense;
use crate::error::{MetricsError, Set, check_dimensions, check_present};
use crate::splitmix::SplitMix64;

/// Address of the directions.
const STREAM: u64 = 0x7377_6401;

/// Directions that share one pass over the rows.
const TOGETHER: usize = 32;

/// Rows that are projected in one piece.
const BLOCK_ROWS: usize = 256;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlicedOptions {
    /// Number of directions, at least 2.
    pub directions: usize,
    /// Seed of the directions: two results with the same seed and dimension use the same ones.
    pub seed: u64,
}

impl Default for SlicedOptions {
    /// 500 directions of seed 0.
    fn default() -> Self {
        Self { directions: 500, seed: 0 }
    }
}

/// A sliced Wasserstein distance of order 2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sliced {
    /// SW, in feature units.
    pub distance: f64,
    /// Its standard error over the directions: that of the square, divided by 2 SW. 0 when SW is 0.
    pub standard_error: f64,
    /// SW², the mean over the directions.
    pub squared: f64,
    /// Standard error of SW² over the directions.
    pub squared_standard_error: f64,
    /// Which directions.
    pub options: SlicedOptions,
}

/// Sliced Wasserstein distance between two feature matrices (N × d and M × d). The result does not depend on the number of threads.
///
/// # Errors
/// No rows, no columns, different dimensions, a value that is not finite (with its row and column), or fewer than two directions.
pub fn sliced_wasserstein(
    sample: ArrayView2<'_, f32>,
    reference: ArrayView2<'_, f32>,
    options: &SlicedOptions,
) -> Result<Sliced, MetricsError> {
    check_present(sample, Set::Sample)?;
    check_present(reference, Set::Reference)?;
    check_dimensions(sample.ncols(), reference.ncols())?;
    if options.directions < 2 {
        return Err(MetricsError::TooSmall { what: "the number of directions", value: options.directions, least: 2 });
    }
    let groups = options.directions.div_ceil(TOGETHER);
    let values: Vec<f64> = (0..groups)
        .into_par_iter()
        .flat_map_iter(|group| {
            let first = group * TOGETHER;
            let last = (first + TOGETHER).min(options.directions);
            let directions = directions(options.seed, first, last, sample.ncols());
            let (a, b) = (projections(sample, &directions), projections(reference, &directions));
            a.into_iter().zip(b).map(|(a, b)| squared_distance(&a, &b)).collect::<Vec<f64>>()
        })
        .collect();
    let count = values.len() as f64;
    let squared = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - squared).powi(2)).sum::<f64>() / (count - 1.0);
    let squared_standard_error = (variance / count).sqrt();
    let distance = squared.sqrt();
    let standard_error = if distance > 0.0 { squared_standard_error / (2.0 * distance) } else { 0.0 };
    Ok(Sliced { distance, standard_error, squared, squared_standard_error, options: *options })
}

/// Unit vectors as rows: normalized normal draws (Box and Muller). Direction i is the same however many there are.
fn directions(seed: u64, first: usize, last: usize, dimension: usize) -> Array2<f64> {
    let mut directions = Array2::zeros((last - first, dimension));
    for (index, mut row) in (first..last).zip(directions.outer_iter_mut()) {
        let mut generator = SplitMix64::addressed(seed, STREAM, index as u64);
        let mut uniform = move || ((generator.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        for value in &mut row {
            *value = (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        }
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    directions
}

/// Sorted projections of all rows, for each direction.
fn projections(features: ArrayView2<'_, f32>, directions: &Array2<f64>) -> Vec<Vec<f64>> {
    let mut projected = vec![Vec::with_capacity(features.nrows()); directions.nrows()];
    for block in features.axis_chunks_iter(Axis(0), BLOCK_ROWS) {
        let mut rows = Array2::<f64>::zeros(block.dim());
        rows.zip_mut_with(&block, |to, &from| *to = f64::from(from));
        let mut products = Array2::<f64>::zeros((directions.nrows(), rows.nrows()));
        dense::product_transposed(&mut products, directions.view(), rows.view(), Par::Seq);
        projected.iter_mut().zip(products.outer_iter()).for_each(|(to, from)| to.extend(from));
    }
    projected.iter_mut().for_each(|values| values.sort_by(f64::total_cmp));
    projected
}

/// W² of two sorted samples. Probability is counted in units of 1/(n m), so that both step functions break at whole numbers.
fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    let (n, m) = (a.len() as u128, b.len() as u128);
    let (mut i, mut j, mut done) = (0, 0, 0_u128);
    let mut sum = 0.0;
    while i < a.len() && j < b.len() {
        let (end_a, end_b) = ((i as u128 + 1) * m, (j as u128 + 1) * n);
        let end = end_a.min(end_b);
        sum += (end - done) as f64 * (a[i] - b[j]).powi(2);
        done = end;
        i += usize::from(end_a == end);
        j += usize::from(end_b == end);
    }
    sum / (n * m) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_different_length() {
        // Equal sizes: the mean square of paired differences.
        assert!((squared_distance(&[0.0, 1.0], &[2.0, 5.0]) - 10.0).abs() < 1e-15);
        // Quantiles of (0, 3) and (0, 1, 2): pieces of 1/3, 1/6, 1/6, 1/3 with differences 0, −1, 2, 1.
        let expected = 1.0 / 6.0 + 4.0 / 6.0 + 1.0 / 3.0;
        assert!((squared_distance(&[0.0, 3.0], &[0.0, 1.0, 2.0]) - expected).abs() < 1e-15);
        // Repeating every value changes nothing.
        let twice = squared_distance(&[0.0, 0.0, 3.0, 3.0], &[0.0, 1.0, 2.0]);
        assert!((twice - expected).abs() < 1e-15);
    }

    #[test]
    fn directions_are_unit_vectors_of_every_sign() {
        let all = directions(3, 0, 200, 5);
        assert!(all.outer_iter().all(|row| (row.dot(&row) - 1.0).abs() < 1e-14));
        // A coordinate has mean 0 and variance 1/5: 4 standard errors of the mean over 200.
        assert!(all.column(2).sum().abs() / 200.0 < 4.0 * (0.2_f64 / 200.0).sqrt());
        assert_eq!(directions(3, 150, 151, 5).row(0), all.row(150));
    }
}
