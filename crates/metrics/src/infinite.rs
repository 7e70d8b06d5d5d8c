//! Fréchet distance extrapolated to infinitely many samples.
//!
//! The Fréchet distance of N samples is biased by about `c/N`, with a `c` that depends on the model, so that two models can change
//! places with N. Chong and Forsyth (*Effectively unbiased FID and inception score and where to find them*, 2020) fit
//!
//! ```text
//! FID(n) = FID∞ + c/n
//! ```
//!
//! by least squares to sub-samples of several sizes n, evenly spaced up to N. With `z = 1/n`, p sizes and the residuals e,
//!
//! ```text
//! s² = Σ e² / (p − 2),    standard error of FID∞ = s √( 1/p + z̄² / Σ (z − z̄)² )
//! ```
//!
//! (Draper and Smith, *Applied regression analysis*, 1998, section 1.4). Sub-samples of one set share rows, so their residuals are not
//! independent and the standard error tells of the fit, not of the spread over fresh sets: for that, repeat with fresh samples. The bias
//! of the reference's own finite number stays.
//!
//! Rows are first sorted by their content and then drawn by the seed, so the result does not depend on the order of the images.

use std::cmp::Ordering;

use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::error::{MetricsError, Set, check_pair};
use crate::fid::Prepared;
use crate::moments::Moments;
use crate::splitmix::SplitMix64;

/// Address of the draws.
const STREAM: u64 = 0x696e_6601;

/// Which sub-samples are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfiniteOptions {
    /// Number of sizes, at least 3.
    pub sizes: usize,
    /// Smallest size; at least 2 and below N. Below the number of features the line bends.
    pub smallest: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for InfiniteOptions {
    /// 15 sizes from 5,000 on, as in the authors' code; seed 0.
    fn default() -> Self {
        Self { sizes: 15, smallest: 5000, seed: 0 }
    }
}

/// An extrapolated Fréchet distance, in squared feature units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Infinite {
    /// Intercept of the line: FID∞. Can be slightly negative.
    pub intercept: f64,
    /// Standard error of the intercept, see the module's text for what it does not tell.
    pub standard_error: f64,
    /// Slope `c` against 1/n.
    pub slope: f64,
    /// The sub-samples' sizes with their distances; the last one is of all samples.
    pub points: Vec<(usize, f64)>,
    /// How they were drawn.
    pub options: InfiniteOptions,
}

/// Fréchet distance of a feature matrix (N × d) to a reference (M × d), extrapolated to infinite N.
///
/// # Errors
/// As [`crate::fid::fid`]; also fewer than three sizes, a smallest size below 2, or too large for that many different sizes up to N.
pub fn fid_infinity(
    sample: ArrayView2<'_, f32>,
    reference: ArrayView2<'_, f32>,
    options: &InfiniteOptions,
) -> Result<Infinite, MetricsError> {
    check_pair(sample, reference)?;
    let rows = sample.nrows();
    if options.sizes < 3 {
        return Err(MetricsError::TooSmall { what: "the number of sizes", value: options.sizes, least: 3 });
    }
    if options.smallest < 2 {
        return Err(MetricsError::TooSmall { what: "the smallest size", value: options.smallest, least: 2 });
    }
    if options.smallest > rows {
        let (what, value) = ("the smallest size", options.smallest);
        return Err(MetricsError::TooLarge { what, value, available: rows, set: Set::Sample });
    }
    if options.sizes - 1 > rows - options.smallest {
        let least = options.smallest.saturating_add(options.sizes - 1);
        return Err(MetricsError::TooSmall { what: "the number of sample rows", value: rows, least });
    }
    let reference = Prepared::new(Moments::of_set(reference, Set::Reference)?)?;
    let sorted = by_content(sample);
    let step = (rows - options.smallest) as f64 / (options.sizes - 1) as f64;
    let mut points = Vec::with_capacity(options.sizes);
    for index in 0..options.sizes {
        let size = options.smallest + (index as f64 * step).round() as usize;
        let drawn = SplitMix64::addressed(options.seed, STREAM, index as u64).choose(rows, size);
        let subset: Vec<usize> = drawn.into_iter().map(|i| sorted[i]).collect();
        let moments = Moments::of_set(sample.select(Axis(0), &subset).view(), Set::Sample)?;
        points.push((size, Prepared::new(moments)?.distance(&reference)?.distance));
    }
    let line = Line::fit(points.iter().map(|&(size, distance)| (1.0 / size as f64, distance)));
    Ok(Infinite {
        intercept: line.intercept,
        standard_error: line.standard_error,
        slope: line.slope,
        points,
        options: *options,
    })
}

/// Indices of the rows, sorted by their values.
fn by_content(features: ArrayView2<'_, f32>) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..features.nrows()).collect();
    indices.sort_by(|&i, &j| {
        let (a, b) = (features.row(i), features.row(j));
        a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    indices
}

/// A least-squares line.
struct Line {
    intercept: f64,
    slope: f64,
    standard_error: f64,
}

impl Line {
    /// Through at least three points with different abscissas.
    fn fit(points: impl Iterator<Item = (f64, f64)> + Clone) -> Self {
        let count = points.clone().count() as f64;
        let mean_z = points.clone().map(|(z, _)| z).sum::<f64>() / count;
        let mean_f = points.clone().map(|(_, f)| f).sum::<f64>() / count;
        let spread: f64 = points.clone().map(|(z, _)| (z - mean_z).powi(2)).sum();
        let slope = points.clone().map(|(z, f)| (z - mean_z) * (f - mean_f)).sum::<f64>() / spread;
        let intercept = mean_f - slope * mean_z;
        let residual: f64 = points.map(|(z, f)| (f - intercept - slope * z).powi(2)).sum();
        let variance = residual / (count - 2.0);
        Self { intercept, slope, standard_error: (variance * (1.0 / count + mean_z * mean_z / spread)).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_its_error() {
        // Made by hand: z = 1, 2, 3, 4; f = 3, 5, 6, 10: slope 2.2, intercept 0.5, Σe² = 1.8, s² = 0.9, error √(0.9 (1/4 + 6.25/5)).
        let found = Line::fit([(1.0, 3.0), (2.0, 5.0), (3.0, 6.0), (4.0, 10.0)].into_iter());
        assert!((found.slope - 2.2).abs() < 1e-14 && (found.intercept - 0.5).abs() < 1e-14);
        assert!((found.standard_error - 1.35_f64.sqrt()).abs() < 1e-14, "{}", found.standard_error);
    }

    #[test]
    fn equal_rows_are_equal_in_any_order() {
        let features = ndarray::array![[2.0_f32, 1.0], [1.0, 5.0], [2.0, 0.5], [1.0, 5.0]];
        assert_eq!(by_content(features.view()), [1, 3, 2, 0]);
    }
}
