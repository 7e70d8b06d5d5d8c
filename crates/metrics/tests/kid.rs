//! Kernel distance against its definition, and that it is unbiased.

mod common;

use common::normal;
use metrics::{KidOptions, MetricsError, Resampling, Set, kid_bootstrap, kid_exact, kid_subsets};
use ndarray::{Array2, Axis};

/// The definition, term by term.
fn naive(a: &Array2<f32>, b: &Array2<f32>) -> f64 {
    let d = a.ncols() as f64;
    let kernel = |x: &Array2<f32>, i: usize, y: &Array2<f32>, j: usize| {
        let dot: f64 = x.row(i).iter().zip(y.row(j)).map(|(&p, &q)| f64::from(p) * f64::from(q)).sum();
        (dot / d + 1.0).powi(3)
    };
    let within = |x: &Array2<f32>| {
        let n = x.nrows();
        let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).filter(|(i, j)| i != j);
        pairs.map(|(i, j)| kernel(x, i, x, j)).sum::<f64>() / (n * (n - 1)) as f64
    };
    let (m, n) = (a.nrows(), b.nrows());
    let across: f64 = (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| kernel(a, i, b, j)).sum();
    within(a) + within(b) - 2.0 * across / (m * n) as f64
}

#[test]
fn agrees_with_the_double_loop() {
    // 1,100 rows: more than two blocks, the last one partly filled.
    for (m, n, d) in [(2, 2, 1), (30, 41, 5), (512, 513, 3), (1100, 300, 16)] {
        let (a, b) = (normal(m, d, 1), normal(n, d, 2).mapv(|v| 1.2 * v + 0.3));
        let (found, expected) = (kid_exact(a.view(), b.view()).unwrap(), naive(&a, &b));
        assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "{m} {n} {d}: {found} {expected}");
    }
}

#[test]
fn is_unbiased() {
    // 1,000 draws of equal distributions: the mean is 0 within three standard errors, and a good half is on either side.
    let values: Vec<f64> =
        (0..1000).map(|i| kid_exact(normal(12, 3, 2 * i).view(), normal(15, 3, 2 * i + 1).view()).unwrap()).collect();
    let mean = values.iter().sum::<f64>() / 1000.0;
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 999.0).sqrt();
    assert!(mean.abs() < 3.0 * sd / 1000_f64.sqrt(), "{mean} with sd {sd}");
    assert!(values.iter().filter(|&&v| v < 0.0).count() > 300);
}

#[test]
fn a_shifted_normal() {
    // x ~ N(0, I), y ~ N(c 1, I) in d dimensions. With p = 1 + c²: E k(x, x') = 1 + 3/d, E k(x, y) = 1 + 3p/d and
    // E k(y, y') = p³ + 3p (1 + 2c²)/d + 6c²/d², hence KID = p³ − 1 + 3 (c² + 2c⁴)/d + 6c²/d².
    let (d, c2) = (6.0, 0.25_f64);
    let truth = (1.0 + c2).powi(3) - 1.0 + 3.0 * (c2 + 2.0 * c2 * c2) / d + 6.0 * c2 / (d * d);
    let values: Vec<f64> = (0..200)
        .map(|i| {
            let (a, b) = (normal(100, 6, 2 * i), normal(90, 6, 2 * i + 1).mapv(|v| v + 0.5));
            let forth = kid_exact(a.view(), b.view()).unwrap();
            assert!((forth / kid_exact(b.view(), a.view()).unwrap() - 1.0).abs() < 1e-11);
            forth
        })
        .collect();
    let mean = values.iter().sum::<f64>() / 200.0;
    let error = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (199.0 * 200.0)).sqrt();
    assert!((mean - truth).abs() < 3.5 * error, "{mean} ± {error}, truth {truth}");
}

#[test]
fn a_subset_of_everything_is_the_exact_value() {
    let (a, b) = (normal(40, 4, 1), normal(40, 4, 2));
    let options = KidOptions { subsets: 3, size: 40, seed: 0 };
    let found = kid_subsets(a.view(), b.view(), &options).unwrap();
    assert!((found.mean - kid_exact(a.view(), b.view()).unwrap()).abs() < 1e-12);
    assert!(found.sd < 1e-12);
}

#[test]
fn subsets_scatter_around_the_exact_value() {
    let (a, b) = (normal(600, 4, 1), normal(700, 4, 2).mapv(|v| v + 0.2));
    let options = KidOptions { subsets: 400, size: 60, seed: 3 };
    let found = kid_subsets(a.view(), b.view(), &options).unwrap();
    let exact = kid_exact(a.view(), b.view()).unwrap();
    assert!((found.mean - exact).abs() < 4.0 * found.sd / 20.0, "{found:?} {exact}");
    assert_eq!(found, kid_subsets(a.view(), b.view(), &options).unwrap());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(found, pool.install(|| kid_subsets(a.view(), b.view(), &options).unwrap()));
}

#[test]
fn order_changes_nothing() {
    let (a, b) = (normal(700, 8, 1), normal(600, 8, 2).mapv(|v| v + 1.0));
    let order = metrics::splitmix::SplitMix64::new(1).choose(700, 700);
    let shuffled = a.select(Axis(0), &order);
    let (one, two) = (kid_exact(a.view(), b.view()).unwrap(), kid_exact(shuffled.view(), b.view()).unwrap());
    assert!((one / two - 1.0).abs() < 1e-12);
}

#[test]
fn a_bootstrap_is_the_same_on_any_number_of_threads() {
    let (a, b) = (normal(600, 7, 5), normal(300, 7, 6).mapv(|v| v + 0.3));
    let options = Resampling { resamples: 40, seed: 2, level: 0.9 };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| kid_bootstrap(a.view(), b.view(), &options).unwrap())
    };
    let found = on(1);
    assert_eq!(found, on(3));
    assert!((found.estimate - kid_exact(a.view(), b.view()).unwrap()).abs() < 1e-12);
    assert!(found.low < found.estimate && found.estimate < found.high);
    assert_ne!(found, kid_bootstrap(a.view(), b.view(), &Resampling { seed: 3, ..options }).unwrap());
}

/// Share of 90% intervals that hold the truth, and their standard deviation in units of the distance's own, over fresh draws of
/// N(0, I) and N(c 1, I) in 6 dimensions.
fn coverage(shift: f32, truth: f64) -> Result<(f64, f64), MetricsError> {
    let draws = (0..400)
        .map(|i| {
            let (a, b) = (normal(100, 6, 2 * i), normal(120, 6, 2 * i + 1).mapv(|v| v + shift));
            kid_bootstrap(a.view(), b.view(), &Resampling { resamples: 200, seed: i, level: 0.9 })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let count = draws.len() as f64;
    let held = draws.iter().filter(|found| found.low <= truth && truth <= found.high).count() as f64 / count;
    let mean = draws.iter().map(|found| found.estimate).sum::<f64>() / count;
    let sd = (draws.iter().map(|found| (found.estimate - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    Ok((held, draws.iter().map(|found| found.sd).sum::<f64>() / count / sd))
}

#[test]
fn a_bootstrap_interval_holds_the_truth_as_often_as_it_says() {
    // The truth of `a_shifted_normal`, c = 1.
    let (held, ratio) = coverage(1.0, 7.0 + 3.0 * 3.0 / 6.0 + 6.0 / 36.0).unwrap();
    assert!((0.84..=0.95).contains(&held), "{held}");
    assert!((ratio - 1.0).abs() < 0.1, "{ratio}");
}

#[test]
fn between_equal_distributions_the_bootstrap_interval_is_too_wide() {
    let (held, ratio) = coverage(0.0, 0.0).unwrap();
    assert!(held > 0.95, "{held}");
    assert!((1.5..=2.0).contains(&ratio), "{ratio}");
}

#[test]
fn bad_input_is_named() {
    let (a, b) = (normal(20, 3, 1), normal(10, 3, 2));
    let options = |subsets, size| KidOptions { subsets, size, seed: 0 };
    assert_eq!(
        kid_subsets(a.view(), b.view(), &options(5, 11)).unwrap_err(),
        MetricsError::SubsetSize { size: 11, available: 10, set: Set::Reference }
    );
    assert!(matches!(kid_subsets(a.view(), b.view(), &options(5, 1)), Err(MetricsError::SubsetSize { size: 1, .. })));
    assert!(matches!(kid_subsets(a.view(), b.view(), &options(0, 5)), Err(MetricsError::TooSmall { least: 1, .. })));
    assert!(matches!(
        kid_exact(a.view(), normal(1, 3, 1).view()),
        Err(MetricsError::TooFewRows { set: Set::Reference, rows: 1 })
    ));
    let mut bad = a.clone();
    bad[(1, 0)] = f32::INFINITY;
    assert!(matches!(kid_exact(bad.view(), b.view()), Err(MetricsError::NonFinite { row: 1, column: 0, .. })));
    let defaults = Resampling::default();
    assert!(matches!(
        kid_bootstrap(a.view(), bad.view(), &defaults),
        Err(MetricsError::NonFinite { set: Set::Reference, row: 1, column: 0, .. })
    ));
    let few = kid_bootstrap(a.view(), b.view(), &Resampling { resamples: 1, ..defaults });
    assert!(matches!(few, Err(MetricsError::TooSmall { value: 1, least: 2, .. })));
    let level = kid_bootstrap(a.view(), b.view(), &Resampling { level: 1.5, ..defaults });
    assert_eq!(level.unwrap_err(), MetricsError::Level(1.5));
}
