//! Distances of known distributions: what they must be, what must change nothing, and what input they refuse.

mod common;

use common::normal;
use metrics::splitmix::SplitMix64;
use metrics::{InfiniteOptions, MetricsError, Set, SlicedOptions, fid, fid_infinity, sliced_wasserstein};
use ndarray::{Array1, Array2, Axis};

/// N(c 1, diag(s²)) against N(0, 1), in eight dimensions.
fn stretched(rows: usize, seed: u64) -> Array2<f32> {
    normal(rows, 8, seed) * Array1::linspace(0.5_f32, 1.5, 8) + 0.25
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count * (count - 1.0))).sqrt())
}

#[test]
fn extrapolation_removes_the_bias() {
    // d² = 8 c² + Σ (s − 1)²; 300 samples overestimate it, the intercept does not.
    let truth = 8.0 * 0.0625 + Array1::linspace(0.5, 1.5, 8).mapv(|s: f64| (s - 1.0).powi(2)).sum();
    let reference = normal(100_000, 8, 1);
    let options = InfiniteOptions { sizes: 10, smallest: 100, seed: 0 };
    let (mut plain, mut extrapolated) = (Vec::new(), Vec::new());
    for seed in 10..90 {
        let sample = stretched(300, seed);
        plain.push(fid(sample.view(), reference.view()).unwrap().distance);
        extrapolated.push(fid_infinity(sample.view(), reference.view(), &options).unwrap().intercept);
    }
    let ((plain, plain_error), (mean, error)) = (mean_and_error(&plain), mean_and_error(&extrapolated));
    assert!(plain - truth > 4.0 * plain_error, "{plain} ± {plain_error}, truth {truth}");
    assert!((mean - truth).abs() < 3.5 * error, "{mean} ± {error}, truth {truth}");
}

#[test]
fn extrapolation_ends_at_all_samples_and_does_not_see_their_order() {
    let (sample, reference) = (stretched(400, 1), normal(500, 8, 2));
    let options = InfiniteOptions { sizes: 5, smallest: 100, seed: 3 };
    let found = fid_infinity(sample.view(), reference.view(), &options).unwrap();
    assert_eq!(found.points.iter().map(|point| point.0).collect::<Vec<_>>(), [100, 175, 250, 325, 400]);
    let all = fid(sample.view(), reference.view()).unwrap().distance;
    assert!((found.points[4].1 / all - 1.0).abs() < 1e-12);
    assert!(found.slope > 0.0 && found.standard_error > 0.0);
    let shuffled = sample.select(Axis(0), &SplitMix64::new(1).choose(400, 400));
    let other = fid_infinity(shuffled.view(), reference.view(), &options).unwrap();
    assert!((other.intercept / found.intercept - 1.0).abs() < 1e-11, "{} {}", other.intercept, found.intercept);
}

#[test]
fn extrapolation_refuses_what_it_cannot_do() {
    let (sample, reference) = (stretched(50, 1), normal(50, 8, 2));
    let with = |sizes, smallest| {
        fid_infinity(sample.view(), reference.view(), &InfiniteOptions { sizes, smallest, seed: 0 }).unwrap_err()
    };
    assert_eq!(with(2, 10).to_string(), "the number of sizes is 2; it must be at least 3");
    assert!(matches!(with(5, 1), MetricsError::TooSmall { value: 1, least: 2, .. }));
    assert_eq!(with(5, 51).to_string(), "the smallest size is 51; it cannot be more than the 50 sample rows");
    assert_eq!(with(5, 47).to_string(), "the number of sample rows is 50; it must be at least 51");
}

#[test]
fn slices_of_a_shift() {
    // A shift by c costs E (θ·c)² = |c|²/d, whatever the distribution.
    let sample = normal(700, 6, 1).mapv(|v| (v * 64.0).round() / 64.0);
    let found = sliced_wasserstein(sample.view(), (&sample + 0.5).view(), &SlicedOptions::default()).unwrap();
    assert!((found.squared - 0.25).abs() < 4.0 * found.squared_standard_error, "{found:?}");
    assert!((found.distance - 0.5).abs() < 4.0 * found.standard_error, "{found:?}");
    let itself = sliced_wasserstein(sample.view(), sample.view(), &SlicedOptions::default()).unwrap();
    assert_eq!((itself.distance, itself.standard_error), (0.0, 0.0));
}

#[test]
fn slices_of_a_stretch() {
    // N(0, s²) and N(0, 1) in every direction: W = |s − 1|, plus the distance of finite samples.
    let (sample, reference) = (normal(20_000, 5, 1).mapv(|v| 1.5 * v), normal(15_000, 5, 2));
    let options = SlicedOptions { directions: 100, seed: 1 };
    let found = sliced_wasserstein(sample.view(), reference.view(), &options).unwrap();
    assert!((found.distance - 0.5).abs() < 0.02, "{found:?}");
    let back = sliced_wasserstein(reference.view(), sample.view(), &options).unwrap();
    assert!((back.squared / found.squared - 1.0).abs() < 1e-12);
}

#[test]
fn slices_do_not_see_order_or_threads() {
    let (sample, reference) = (normal(600, 7, 1).mapv(|v| v + 0.1), normal(500, 7, 2));
    let options = SlicedOptions { directions: 70, seed: 0 };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| sliced_wasserstein(sample.view(), reference.view(), &options).unwrap())
    };
    let one = on(1);
    assert_eq!(one, on(3));
    let shuffled = sample.select(Axis(0), &SplitMix64::new(1).choose(600, 600));
    let other = sliced_wasserstein(shuffled.view(), reference.view(), &options).unwrap();
    assert!((other.squared / one.squared - 1.0).abs() < 1e-12);
}

#[test]
fn slices_refuse_what_they_cannot_do() {
    let good = normal(5, 3, 1);
    let with = |sample: &Array2<f32>, directions| {
        sliced_wasserstein(sample.view(), good.view(), &SlicedOptions { directions, seed: 0 }).unwrap_err()
    };
    assert!(matches!(with(&good, 1), MetricsError::TooSmall { value: 1, least: 2, .. }));
    assert_eq!(with(&Array2::zeros((0, 3)), 9), MetricsError::NoRows { set: Set::Sample });
    assert_eq!(with(&normal(5, 2, 1), 9), MetricsError::DimensionMismatch { sample: 2, reference: 3 });
    let mut bad = good.clone();
    bad[(2, 1)] = f32::NAN;
    assert!(matches!(with(&bad, 9), MetricsError::NonFinite { row: 2, column: 1, .. }));
}
