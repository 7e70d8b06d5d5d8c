//! Precision, recall, density and coverage: do the samples lie where the reference lies, and is all of the reference covered?
//!
//! With `r(x)` the distance of a row to its k-th nearest other row of its own set, and the ball of radius `r(x)` around it,
//!
//! ```text
//! precision = share of samples y inside the ball of some reference x        density  = number of such balls, mean over y, over k
//! recall    = share of references x inside the ball of some sample y        coverage = share of x whose own ball holds a sample
//! ```
//!
//! Precision and recall: Kynkäänniemi, Karras, Laine, Lehtinen and Aila, *Improved precision and recall metric for assessing
//! generative models*, 2019. Density and coverage: Naeem, Oh, Uh, Choi and Yoo, *Reliable fidelity and diversity metrics for
//! generative models*, 2020. A row on the surface of a ball is outside of it (`<`), as in the authors' package `prdc`, whose numbers
//! these are. Every comparison is decided on exact distances (`screen.rs`).

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{MetricsError, Set, check_pair};
use crate::interval::{Interval, Resampling};
use crate::neighbours::{check_k, search};
use crate::screen::Rows;

/// Addresses of the two sides' resamples.
const SAMPLE_STREAM: u64 = 0x7072_6401;
const REFERENCE_STREAM: u64 = 0x7072_6402;

/// Settings of the four numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrdcOptions {
    /// The neighbour whose distance is the radius of a ball.
    pub k: usize,
    /// How the intervals are made.
    pub resampling: Resampling,
}

impl Default for PrdcOptions {
    /// k = 5, as Naeem et al. chose.
    fn default() -> Self {
        Self { k: 5, resampling: Resampling::default() }
    }
}

/// The four numbers. Each interval resamples the images that the number is a mean over, with all balls as they are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prdc {
    /// Share of samples inside the reference's balls.
    pub precision: Interval,
    /// Share of references inside the samples' balls.
    pub recall: Interval,
    /// Reference balls that a sample is in, on average, divided by k; can pass 1.
    pub density: Interval,
    /// Share of references whose ball holds a sample.
    pub coverage: Interval,
    /// What they were computed with.
    pub options: PrdcOptions,
}

/// Precision, recall, density and coverage of a feature matrix (N × d) against a reference (M × d). Memory: one copy of both.
///
/// # Errors
/// k = 0, or not below N and M; fewer than two rows, different dimensions, a value that is not finite (with its row and column);
/// resampling options that make no sense.
pub fn prdc(
    sample: ArrayView2<'_, f32>,
    reference: ArrayView2<'_, f32>,
    options: &PrdcOptions,
) -> Result<Prdc, MetricsError> {
    check_pair(sample, reference)?;
    check_k(options.k, sample.nrows() - 1, Set::Sample)?;
    check_k(options.k, reference.nrows() - 1, Set::Reference)?;
    options.resampling.check()?;
    let (sample, reference) = Rows::pair(sample, reference);
    let (sample_radii, reference_radii) = (radii(&sample, options.k), radii(&reference, options.k));
    let inside = compare(&sample, &sample_radii, &reference, &reference_radii);

    let share = |flags: &[bool]| flags.iter().map(|&flag| f64::from(u8::from(flag))).collect::<Vec<f64>>();
    let precise: Vec<f64> = inside.balls.iter().map(|&count| f64::from(u8::from(count > 0))).collect();
    let dense: Vec<f64> = inside.balls.iter().map(|&count| f64::from(count) / options.k as f64).collect();
    let resampling = &options.resampling;
    Ok(Prdc {
        precision: resampling.mean(&precise, SAMPLE_STREAM),
        recall: resampling.mean(&share(&inside.recalled), REFERENCE_STREAM),
        density: resampling.mean(&dense, SAMPLE_STREAM),
        coverage: resampling.mean(&share(&inside.covered), REFERENCE_STREAM),
        options: *options,
    })
}

/// Squared distance of every row to its k-th nearest other row.
fn radii(rows: &Rows<'_>, k: usize) -> Vec<f64> {
    let own: Vec<usize> = (0..rows.len()).collect();
    search(rows, rows, k, Some(&own)).squared.column(k - 1).to_vec()
}

struct Inside {
    /// For each sample, how many reference balls it is in.
    balls: Vec<u32>,
    /// For each reference, whether it is in the ball of some sample.
    recalled: Vec<bool>,
    /// For each reference, whether some sample is in its ball.
    covered: Vec<bool>,
}

impl Inside {
    fn none(samples: usize, references: usize) -> Self {
        Self { balls: vec![0; samples], recalled: vec![false; references], covered: vec![false; references] }
    }

    fn merge(mut self, other: Self) -> Self {
        self.balls.iter_mut().zip(&other.balls).for_each(|(a, b)| *a += b);
        self.recalled.iter_mut().zip(&other.recalled).for_each(|(a, b)| *a |= b);
        self.covered.iter_mut().zip(&other.covered).for_each(|(a, b)| *a |= b);
        self
    }
}

fn compare(sample: &Rows<'_>, sample_radii: &[f64], reference: &Rows<'_>, reference_radii: &[f64]) -> Inside {
    let none = || Inside::none(sample.len(), reference.len());
    // Rounded outwards: surely inside below the first, surely outside from the second on.
    let bounds: Vec<(f32, f32)> = reference_radii.iter().map(|&radius| reference.in_unit(radius)).collect();
    let visit = |mut found: Inside, block| {
        sample.scan(block, reference, |y, first, low| {
            let own = sample.in_unit(sample_radii[y]);
            for (j, &low) in low.iter().enumerate() {
                let x = first + j;
                let ball = bounds[x];
                if low >= own.1.max(ball.1) {
                    continue;
                }
                let high = low + sample.width(y, reference, x);
                // The exact distance is asked for only where the bounds straddle a surface.
                let inside = |(lowest, highest): (f32, f32), radius: f64| {
                    high < lowest || (low < highest && sample.squared(y, reference, x) < radius)
                };
                if inside(ball, reference_radii[x]) {
                    found.balls[y] += 1;
                    found.covered[x] = true;
                }
                if !found.recalled[x] && inside(own, sample_radii[y]) {
                    found.recalled[x] = true;
                }
            }
        });
        found
    };
    sample.blocks().fold(none, visit).reduce(none, Inside::merge)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::screen;
    use crate::splitmix::SplitMix64;

    /// Sums of uniform draws on a lattice, so that distances equal to a radius occur.
    fn features(rows: usize, columns: usize, levels: usize, seed: u64) -> Array2<f32> {
        let mut generator = SplitMix64::new(seed);
        Array2::from_shape_fn((rows, columns), |_| (generator.below(levels) + generator.below(levels)) as f32 / 4.0)
    }

    /// `prdc.compute_prdc`, term by term.
    fn naive(sample: &Array2<f32>, reference: &Array2<f32>, k: usize) -> [f64; 4] {
        let distance = |a: &Array2<f32>, i: usize, b: &Array2<f32>, j: usize| screen::squared(a.view(), i, b.view(), j);
        let radii = |a: &Array2<f32>| -> Vec<f64> {
            (0..a.nrows())
                .map(|i| {
                    let mut all: Vec<f64> = (0..a.nrows()).map(|j| distance(a, i, a, j)).collect();
                    all.sort_by(f64::total_cmp);
                    all[k]
                })
                .collect()
        };
        let (own, other) = (radii(sample), radii(reference));
        let (n, m) = (sample.nrows(), reference.nrows());
        let balls: Vec<usize> =
            (0..n).map(|y| (0..m).filter(|&x| distance(sample, y, reference, x) < other[x]).count()).collect();
        let recalled = (0..m).filter(|&x| (0..n).any(|y| distance(sample, y, reference, x) < own[y])).count();
        let covered = (0..m).filter(|&x| (0..n).any(|y| distance(sample, y, reference, x) < other[x])).count();
        let share = |count: usize, of: usize| count as f64 / of as f64;
        [
            share(balls.iter().filter(|&&count| count > 0).count(), n),
            share(recalled, m),
            share(balls.iter().sum(), n) / k as f64,
            share(covered, m),
        ]
    }

    fn numbers(found: &Prdc) -> [f64; 4] {
        [found.precision, found.recall, found.density, found.coverage].map(|interval| interval.estimate)
    }

    fn close(found: [f64; 4], expected: [f64; 4]) {
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-12, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn agrees_with_the_definition_also_on_surfaces_of_balls() {
        for (n, m, d, levels, k) in [(2, 2, 1, 3, 1), (40, 60, 2, 3, 3), (300, 850, 3, 20, 5), (400, 400, 30, 400, 5)] {
            let sample = features(n, d, levels, 1).mapv(|v| 0.75 * v);
            let reference = features(m, d, levels, 2);
            let options = PrdcOptions { k, ..Default::default() };
            let found = prdc(sample.view(), reference.view(), &options).unwrap();
            close(numbers(&found), naive(&sample, &reference, k));
        }
    }

    #[test]
    fn a_copy_of_the_reference_is_precise_and_covers_it() {
        let a = features(300, 8, 1000, 1);
        let found = prdc(a.view(), a.view(), &PrdcOptions::default()).unwrap();
        // A sample lies in its own ball and in those of the rows that count it among their nearest 4 (the 5th is on the surface).
        close(numbers(&found), [1.0; 4]);
        assert_eq!((found.precision.low, found.precision.high), (1.0, 1.0));
        let far = a.mapv(|v| v + 1e4);
        close(numbers(&prdc(far.view(), a.view(), &PrdcOptions::default()).unwrap()), [0.0; 4]);
    }

    #[test]
    fn threads_and_order_change_nothing() {
        let (a, b) = (features(500, 5, 1000, 1), features(400, 5, 1000, 2).mapv(|v| 0.9 * v));
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| prdc(a.view(), b.view(), &PrdcOptions::default()).unwrap())
        };
        let one = on(1);
        assert_eq!(one, on(3));
        let order = SplitMix64::new(1).choose(500, 500);
        let shuffled = a.select(ndarray::Axis(0), &order);
        close(numbers(&prdc(shuffled.view(), b.view(), &PrdcOptions::default()).unwrap()), numbers(&one));
    }

    #[test]
    fn bad_input_is_named() {
        let (five, ten) = (features(5, 2, 9, 1), features(10, 2, 9, 2));
        let error = prdc(five.view(), ten.view(), &PrdcOptions::default()).unwrap_err();
        assert_eq!(error, MetricsError::Neighbours { k: 5, available: 4, set: Set::Sample });
        let error = prdc(ten.view(), five.view(), &PrdcOptions::default()).unwrap_err();
        assert_eq!(error, MetricsError::Neighbours { k: 5, available: 4, set: Set::Reference });
        let resampling = Resampling { level: 2.0, ..Default::default() };
        let error = prdc(ten.view(), ten.view(), &PrdcOptions { resampling, ..Default::default() });
        assert_eq!(error.unwrap_err(), MetricsError::Level(2.0));
        let mut bad = ten.clone();
        bad[(7, 1)] = f32::NEG_INFINITY;
        let error = prdc(ten.view(), bad.view(), &PrdcOptions::default()).unwrap_err();
        assert!(matches!(error, MetricsError::NonFinite { set: Set::Reference, row: 7, column: 1, .. }));
    }
}
