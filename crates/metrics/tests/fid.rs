//! Fréchet distance against closed forms, and its invariances.

mod common;

use common::normal;
use metrics::{
    Accumulator, BootstrapOptions, MetricsError, Moments, Prepared, Resampled, Set, bootstrap_fid, fid, frechet,
};
use ndarray::{Array1, Array2, Axis, array, concatenate};
use proptest::prelude::*;

fn diagonal(mean: &[f64], variances: &[f64]) -> Moments {
    Moments::new(100, Array1::from(mean.to_vec()), Array2::from_diag(&Array1::from(variances.to_vec())))
        .expect("valid moments")
}

#[test]
fn diagonal_gaussians() {
    // d² = Σ (μ₁ − μ₂)² + (σ₁ − σ₂)²
    let a = diagonal(&[0.0, 1.0, -2.0], &[1.0, 4.0, 9.0]);
    let b = diagonal(&[1.0, 1.0, 0.0], &[4.0, 0.25, 9.0]);
    let expected = (1.0 + 0.0 + 4.0) + (1.0 + 2.25 + 0.0);
    let found = frechet(&a, &b).unwrap();
    assert!((found.distance - expected).abs() < 1e-13, "{found:?}");
    assert!((found.mean_term - 5.0).abs() < 1e-14);
}

#[test]
fn two_dimensions_that_do_not_commute() {
    // In two dimensions tr √(S₁S₂) = √(tr S₁S₂ + 2 √(det S₁ det S₂)).
    let (s1, s2) = (array![[2.0, 0.6], [0.6, 1.0]], array![[1.0, -0.5], [-0.5, 3.0]]);
    let det = |s: &Array2<f64>| s[(0, 0)] * s[(1, 1)] - s[(0, 1)] * s[(1, 0)];
    let cross = (s1.dot(&s2).diag().sum() + 2.0 * (det(&s1) * det(&s2)).sqrt()).sqrt();
    let expected = s1.diag().sum() + s2.diag().sum() - 2.0 * cross;
    let zero = Array1::zeros(2);
    let a = Moments::new(0, zero.clone(), s1).unwrap();
    let b = Moments::new(0, zero, s2).unwrap();
    assert!((frechet(&a, &b).unwrap().distance - expected).abs() < 1e-14);
}

#[test]
fn rank_deficient_gaussians() {
    // Onto the first axis only against the first two: (1 − 2)² + (0 − 3)².
    let a = diagonal(&[0.0; 3], &[1.0, 0.0, 0.0]);
    let b = diagonal(&[0.0; 3], &[4.0, 9.0, 0.0]);
    let found = frechet(&a, &b).unwrap();
    assert!((found.distance - 10.0).abs() < 1e-13, "{found:?}");
    assert_eq!((found.sample.rank, found.reference.rank), (1, 2));
    // A point mass against a Gaussian: |μ₁ − μ₂|² + tr S.
    let point = diagonal(&[1.0, 0.0, 0.0], &[0.0; 3]);
    assert!((frechet(&point, &b).unwrap().distance - 14.0).abs() < 1e-13);
}

#[test]
fn a_set_and_itself() {
    for (rows, columns) in [(400, 16), (12, 40), (300, 128)] {
        let a = normal(rows, columns, 1);
        let found = fid(a.view(), a.view()).unwrap();
        assert!(found.distance < 1e-9 * columns as f64, "{rows} × {columns}: {found:?}");
        assert_eq!(found.sample.too_few_rows(), rows <= columns);
        assert_eq!(found.sample.rank, columns.min(rows - 1));
    }
}

#[test]
fn order_and_batches_change_nothing() {
    let mixing = normal(24, 24, 9);
    let a = normal(1500, 24, 2).dot(&mixing).mapv(|v| v.max(0.0) + 30.0);
    let b = normal(900, 24, 3).dot(&mixing).mapv(|v| (1.1 * v).max(0.0) + 30.0);
    let expected = fid(a.view(), b.view()).unwrap().distance;

    let order = metrics::splitmix::SplitMix64::new(4).choose(1500, 1500);
    let shuffled = a.select(Axis(0), &order);
    let close = |found: f64| assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    close(fid(shuffled.view(), b.view()).unwrap().distance);

    let reference = Prepared::new(Moments::from_features(b.view()).unwrap()).unwrap();
    for batch in [1, 7, 100, 1499] {
        let mut whole = Accumulator::new(24);
        for (i, rows) in shuffled.axis_chunks_iter(Axis(0), batch).enumerate() {
            if i % 2 == 0 {
                whole.push(rows).unwrap();
            } else {
                let mut part = Accumulator::new(24);
                part.push(rows).unwrap();
                whole.merge(&part).unwrap();
            }
        }
        assert_eq!(whole.n(), 1500);
        let moments = whole.finish().unwrap();
        close(Prepared::new(moments).unwrap().distance(&reference).unwrap().distance);
    }
}

#[test]
fn wide_features_of_any_condition_do_not_see_order_or_sides() {
    // Equal scales, scales over six decades, and fewer rows than features.
    for (rows, columns, decades) in [(1200, 100, 0.0), (1200, 100, 6.0), (150, 220, 2.0)] {
        let scales = Array1::from_shape_fn(columns, |j| 10_f32.powf(-decades * j as f32 / columns as f32));
        let a = normal(rows, columns, 2) * &scales;
        let b = (normal(rows, columns, 3) * 1.3 + 0.2) * &scales;
        let expected = fid(a.view(), b.view()).unwrap().distance;
        let order = metrics::splitmix::SplitMix64::new(4).choose(rows, rows);
        let shuffled = a.select(Axis(0), &order);
        for found in [fid(shuffled.view(), b.view()), fid(b.view(), a.view())] {
            let found = found.unwrap().distance;
            assert!((found / expected - 1.0).abs() < 1e-12, "{columns}, {decades}: {found} {expected}");
        }
        let itself = fid(a.view(), a.view()).unwrap();
        assert!(itself.distance < 1e-9, "{columns}, {decades}: {itself:?}");
    }
}

#[test]
fn a_bootstrap_is_the_same_on_any_number_of_threads() {
    let (a, b) = (normal(600, 12, 5), normal(500, 12, 6));
    let options = BootstrapOptions { resamples: 20, resampled: Resampled::Both, ..Default::default() };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bootstrap_fid(a.view(), b.view(), &options).unwrap())
    };
    let (one, three) = (on(1), on(3));
    assert_eq!(one, three);
    assert!((one.estimate - fid(a.view(), b.view()).unwrap().distance).abs() < 1e-12);
    let other = BootstrapOptions { seed: 1, ..options };
    assert_ne!(bootstrap_fid(a.view(), b.view(), &other).unwrap().values, one.values);
}

#[test]
fn the_bootstrap_spread_is_the_spread_of_fresh_draws() {
    // Distance dominated by a shift: the truth is |c|² with a spread that resampling must find.
    let shifted = |seed| normal(400, 4, seed).mapv(|v| v + 1.0);
    let reference = normal(20_000, 4, 1);
    let fresh: Vec<f64> =
        (100..160).map(|seed| fid(shifted(seed).view(), reference.view()).unwrap().distance).collect();
    let mean = fresh.iter().sum::<f64>() / 60.0;
    let sd = (fresh.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 59.0).sqrt();
    let options = BootstrapOptions { resamples: 200, ..Default::default() };
    let boot = bootstrap_fid(shifted(7).view(), reference.view(), &options).unwrap();
    assert!((mean - 4.0).abs() < 0.1, "{mean}");
    assert!((boot.sd / sd - 1.0).abs() < 0.4, "{} against {sd}", boot.sd);
    assert!(boot.low < 4.0 && 4.0 < boot.high, "{boot:?}");
    assert!(boot.low < boot.estimate && boot.estimate < boot.high);
}

#[test]
fn known_gaussians_lie_within_the_bootstrap_interval() {
    // N(½, diag(s²)) against N(0, 1): d² = d/4 + Σ (s − 1)².
    let stretch = Array1::linspace(0.5_f32, 2.0, 6);
    let truth = 1.5 + stretch.iter().map(|&s| (f64::from(s) - 1.0).powi(2)).sum::<f64>();
    let sample = normal(4000, 6, 11) * stretch + 0.5;
    let options = BootstrapOptions { resamples: 200, resampled: Resampled::Both, ..Default::default() };
    let found = bootstrap_fid(sample.view(), normal(4000, 6, 12).view(), &options).unwrap();
    assert!(found.low < truth && truth < found.high, "{} to {}, truth {truth}", found.low, found.high);
    assert!(found.high - found.low < 0.2 * truth);
}

#[test]
fn too_few_rows_are_a_warning_that_names_both_numbers() {
    let (few, many) = (normal(20, 30, 1), normal(40, 30, 2));
    let found = fid(few.view(), many.view()).unwrap();
    let warning = found.sample.warning().expect("20 rows for 30 features");
    assert_eq!(
        warning.to_string(),
        "20 rows for 30 features: the covariance cannot have full rank, and the distance is biased upwards"
    );
    assert_eq!((warning.rows, warning.features), (20, 30));
    assert!(found.reference.warning().is_none());
}

#[test]
fn bad_input_is_named() {
    let good = normal(10, 3, 1);
    let mut bad = good.clone();
    bad[(4, 2)] = f32::NAN;
    let error = fid(good.view(), bad.view()).unwrap_err();
    assert_eq!(error.to_string(), "the reference feature at row 4, column 2 is NaN");
    let one = normal(1, 3, 1);
    assert_eq!(fid(one.view(), good.view()).unwrap_err(), MetricsError::TooFewRows { set: Set::Sample, rows: 1 });
    let wide = normal(10, 4, 1);
    assert_eq!(fid(good.view(), wide.view()).unwrap_err(), MetricsError::DimensionMismatch { sample: 3, reference: 4 });
    assert_eq!(
        Moments::from_features(Array2::zeros((5, 0)).view()).unwrap_err(),
        MetricsError::NoColumns { set: Set::Sample }
    );
    let mut accumulator = Accumulator::new(3);
    assert!(matches!(accumulator.push(wide.view()), Err(MetricsError::BatchDimension { .. })));
    assert!(matches!(accumulator.push(bad.view()), Err(MetricsError::NonFinite { row: 4, column: 2, .. })));
    assert_eq!(accumulator.n(), 0);
    assert!(matches!(accumulator.finish(), Err(MetricsError::TooFewRows { rows: 0, .. })));

    let mean = Array1::zeros(2);
    let negative = Moments::new(0, mean.clone(), array![[1.0, 0.0], [0.0, -1.0]]).unwrap();
    assert!(matches!(Prepared::new(negative), Err(MetricsError::NotPositive { .. })));
    let skewed = Moments::new(0, mean.clone(), array![[1.0, 0.5], [0.0, 1.0]]);
    assert!(matches!(skewed, Err(MetricsError::NotSymmetric { .. })));
    let shape = Moments::new(0, mean.clone(), Array2::zeros((2, 3)));
    assert!(matches!(shape, Err(MetricsError::MomentShape { .. })));
    let infinite = Moments::new(0, mean, array![[1.0, 0.0], [0.0, f64::INFINITY]]);
    assert!(matches!(infinite, Err(MetricsError::MomentNonFinite { index: (1, 1), .. })));

    let options = |resamples, level| BootstrapOptions { resamples, level, ..Default::default() };
    let few = bootstrap_fid(good.view(), good.view(), &options(1, 0.9));
    assert!(matches!(few, Err(MetricsError::TooSmall { value: 1, least: 2, .. })));
    let level = bootstrap_fid(good.view(), good.view(), &options(5, 1.0));
    assert_eq!(level.unwrap_err(), MetricsError::Level(1.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn symmetric_and_nonnegative(seed in 0_u64..1_000_000, rows in 2_usize..40, columns in 1_usize..20) {
        let (a, b) = (normal(rows, columns, seed), normal(rows + 3, columns, seed + 1));
        let forth = fid(a.view(), b.view()).unwrap().distance;
        let back = fid(b.view(), a.view()).unwrap().distance;
        prop_assert!(forth >= 0.0);
        prop_assert!((forth - back).abs() <= 1e-11 * (1.0 + forth), "{} {}", forth, back);
    }

    #[test]
    fn a_shift_costs_its_square(seed in 0_u64..1_000_000, rows in 2_usize..40, columns in 1_usize..20) {
        // Shifts by small integers of values on a coarse lattice are exact in f32.
        let a = normal(rows, columns, seed).mapv(|v| (v * 64.0).round() / 64.0);
        let shift = Array1::from_shape_fn(columns, |j| (j % 5) as f32 - 2.0);
        let expected: f64 = shift.iter().map(|&c| f64::from(c).powi(2)).sum();
        let found = fid(a.view(), (&a + &shift).view()).unwrap().distance;
        prop_assert!((found - expected).abs() < 1e-9 * (1.0 + expected), "{} {}", found, expected);
    }

    #[test]
    fn repeating_all_rows_changes_the_covariance_only_by_its_divisor(seed in 0_u64..1_000_000, rows in 2_usize..30) {
        let a = normal(rows, 5, seed);
        let twice = concatenate(Axis(0), &[a.view(), a.view()]).unwrap();
        let (one, two) = (Moments::from_features(a.view()).unwrap(), Moments::from_features(twice.view()).unwrap());
        let factor = (2.0 * (rows as f64 - 1.0)) / (2.0 * rows as f64 - 1.0);
        for (x, y) in one.cov().iter().zip(two.cov()) {
            prop_assert!((x * factor - y).abs() < 1e-12);
        }
    }
}
