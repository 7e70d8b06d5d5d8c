//! Traces, directional derivatives and probes of implicit score matching, on models whose derivatives are known.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{LogNormalMixture, Noise, Stream};
use ndarray::{Array1, Array2, Axis, array};
use score_match::implicit::{implicit, implicit_rows, rows_from_slopes, sliced, sliced_rows};
use score_match::{DenoiseError, Denoiser, ProbeLaw, Probes, ScoreAt, ScoreError, ScoreModel, Trace};

/// h = y Mᵀ, whose Jacobian is M.
struct Linear(Array2<f64>);

impl ScoreModel for Linear {
    fn score(&self, y: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
        Ok(y.dot(&self.0.t()))
    }

    fn directional(&self, _: &Array2<f64>, u: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
        Ok(u.dot(&self.0.t()))
    }
}

fn matrix() -> Array2<f64> {
    array![[0.4, -1.3, 0.2], [0.7, -0.9, 0.5], [1.1, 0.3, 0.25]]
}

fn states() -> Array2<f64> {
    let mut y = Array2::zeros((50, 3));
    Noise::new(2).rows_normal_f64(Stream(80), 0, 0, y.as_slice_mut().unwrap(), 3);
    y
}

#[test]
fn a_linear_model_by_hand() {
    let (model, y) = (Linear(matrix()), array![[1.0, 2.0, -1.0]]);
    let h = [0.4 - 2.6 - 0.2, 0.7 - 1.8 - 0.5, 1.1 + 0.6 - 0.25];
    let norm: f64 = h.iter().map(|h| h * h).sum();
    let total: f64 = h.iter().sum();
    let expected = 0.5 * norm + total + (0.4 - 0.9 + 0.25);
    assert!((implicit(&model, &y, Trace::Exact).unwrap() - expected).abs() < 1e-14);
    // Two probes by hand.
    let probes = Probes { count: 2, first_index: 4, ..Probes::new(9) };
    let (mut quadratic, mut slices) = (0.0, 0.0);
    for probe in 0..2 {
        let u = probes.rows(probe, 1, 3);
        let q = u.dot(&matrix()).dot(&u.t())[[0, 0]];
        let p: f64 = (0..3).map(|i| h[i] * u[[0, i]]).sum();
        quadratic += 0.5 * q;
        slices += 0.5 * (0.5 * p * p + p * u.sum() + q);
    }
    let hutchinson = implicit(&model, &y, Trace::Hutchinson(probes)).unwrap();
    assert!((hutchinson - (0.5 * norm + total + quadratic)).abs() < 1e-14);
    assert!((sliced(&model, &y, probes).unwrap() - slices).abs() < 1e-14);
}

#[test]
fn difference_quotients_are_derivatives() {
    let y = states();
    let u = Probes { law: ProbeLaw::Normal, ..Probes::new(1) }.rows(0, 50, 3);
    // h_i = sin(y_i + 2 y_0 y_1), J u = cos(…) (u_i + 2 (u_0 y_1 + y_0 u_1))
    let cross = |a: &Array2<f64>, b: &Array2<f64>| (&a.column(0) * &b.column(1)).insert_axis(Axis(1));
    let model = |y: &Array2<f64>| (y + &(cross(y, y) * 2.0)).mapv(f64::sin);
    let exact = (&y + &(cross(&y, &y) * 2.0)).mapv(f64::cos) * (&u + &((cross(&u, &y) + cross(&y, &u)) * 2.0));
    let found = model.directional(&y, &u).unwrap();
    assert!((&found - &exact).iter().all(|e| e.abs() < 2e-8), "{}", (&found - &exact).mapv(f64::abs).sum());
    // and for a smooth model nearly to rounding
    let gentle = |y: &Array2<f64>| y.mapv(|y| (0.5 * y).exp());
    let found = gentle.directional(&y, &u).unwrap();
    let exact = y.mapv(|y| 0.5 * (0.5 * y).exp()) * &u;
    assert!((&found - &exact).iter().all(|e| e.abs() < 5e-12));
}

#[test]
fn exact_traces_pick_the_diagonal() {
    let y = states();
    let coupled = |y: &Array2<f64>| {
        let shifted = Array2::from_shape_fn(y.dim(), |(i, j)| y[[i, (j + 1) % 3]]);
        y * &shifted
    };
    let slopes = Array2::from_shape_fn(y.dim(), |(i, j)| y[[i, (j + 1) % 3]]);
    let expected = rows_from_slopes(coupled(&y).view(), slopes.view()).unwrap();
    let found = implicit_rows(&coupled, &y, Trace::Exact).unwrap();
    assert!((&found - &expected).iter().all(|e: &f64| e.abs() < 1e-10));
    assert_eq!(Trace::default(), Trace::Exact);
}

#[test]
fn probes_have_the_stated_laws() {
    for (law, fourth) in [(ProbeLaw::Rademacher, 1.0), (ProbeLaw::Normal, 3.0)] {
        let probes = Probes { law, ..Probes::new(3) };
        let u = probes.rows(2, 20_000, 4);
        let n = 20_000f64;
        let second = u.t().dot(&u) / n;
        for i in 0..4 {
            assert!(u.column(i).sum().abs() / n < 4.42 / n.sqrt());
            for j in 0..4 {
                let expected = f64::from(u8::from(i == j));
                assert!((second[[i, j]] - expected).abs() < 4.42 * f64::sqrt(fourth / n), "{law:?} {i} {j}");
            }
            let moment = u.column(i).mapv(|u| u.powi(4)).mean().unwrap();
            assert!((moment - fourth).abs() < 4.42 * (96.0 / n).sqrt(), "{law:?}: {moment}");
        }
        // Rows and probes are addressed.
        let later = Probes { first_index: 7, ..probes };
        assert_eq!(later.rows(2, 3, 4).row(1), u.row(8));
        assert_ne!(probes.rows(1, 1, 4).row(0), u.row(0));
    }
    let other = Probes { stream: Stream(81), ..Probes::new(3) };
    assert_ne!(other.rows(0, 8, 8), Probes::new(3).rows(0, 8, 8));
}

/// The variance of the module documentation: 2(‖S‖² − Σ S_ii²) and 2‖S‖², with S the symmetric part.
#[test]
fn hutchinson_has_the_stated_variance() {
    let y = Array2::zeros((40_000, 3));
    let model = Linear(matrix());
    let symmetric = (matrix() + matrix().t()) * 0.5;
    let square: f64 = symmetric.iter().map(|s| s * s).sum();
    let diagonal: f64 = symmetric.diag().iter().map(|s| s * s).sum();
    for (law, expected) in [(ProbeLaw::Rademacher, 2.0 * (square - diagonal)), (ProbeLaw::Normal, 2.0 * square)] {
        let rows = implicit_rows(&model, &y, Trace::Hutchinson(Probes { law, ..Probes::new(4) })).unwrap();
        assert!((rows.var(1.0) / expected - 1.0).abs() < 0.1, "{law:?} {} {expected}", rows.var(1.0));
    }
}

fn mixture() -> LogNormalMixture {
    let variances = vec![vec![0.05, 0.1], vec![0.2, 0.06]];
    LogNormalMixture::new(vec![0.3, 0.7], vec![vec![-0.5, 0.4], vec![0.6, -0.1]], variances).unwrap()
}

#[test]
fn denoisers_are_models_of_the_score() {
    let (y, v) = (array![[0.3, -0.2], [1.0, 0.4]], 0.3);
    let h = ScoreAt { denoiser: &mixture(), v }.score(&y).unwrap();
    let denoised = mixture().denoise(&y, v).unwrap();
    for (index, h) in h.indexed_iter() {
        assert!((h - ((denoised[index] - y[index]) / v - 1.0)).abs() < 1e-14);
    }
    let at_zero = ScoreAt { denoiser: &mixture(), v: 0.0 }.score(&y);
    assert_eq!(at_zero, Err(ScoreError::NotPositive { name: "v", value: 0.0 }));
    let wrong = ScoreAt { denoiser: &mixture(), v }.score(&Array2::zeros((1, 3)));
    assert!(matches!(wrong, Err(ScoreError::Denoise(DenoiseError::Shape { .. }))));
}

#[test]
fn bad_models_are_refused() {
    let y = states();
    let narrow = |y: &Array2<f64>| y.clone().remove_column();
    assert!(matches!(implicit(&narrow, &y, Trace::Exact), Err(ScoreError::Shape { name: "the score", .. })));
    assert!(matches!(sliced(&narrow, &y, Probes::new(1)), Err(ScoreError::Shape { .. })));
    let good = |y: &Array2<f64>| y.clone();
    let none = Probes { count: 0, ..Probes::new(1) };
    assert!(matches!(implicit_rows(&good, &y, Trace::Hutchinson(none)), Err(ScoreError::TooFew { value: 0, .. })));
    assert!(matches!(sliced_rows(&good, &y, none), Err(ScoreError::TooFew { .. })));
    let empty = Array2::<f64>::zeros((0, 3));
    assert!(matches!(implicit(&good, &empty, Trace::Exact), Err(ScoreError::TooFew { .. })));
    assert!(matches!(good.directional(&y, &Array2::zeros((1, 3))), Err(ScoreError::Shape { .. })));
    assert!(matches!(rows_from_slopes(y.view(), empty.view()), Err(ScoreError::Shape { .. })));
    struct Bad;
    impl ScoreModel for Bad {
        fn score(&self, y: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
            Ok(y.clone())
        }
        fn directional(&self, _: &Array2<f64>, _: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
            Ok(Array2::zeros((1, 1)))
        }
    }
    assert!(matches!(implicit(&Bad, &y, Trace::Exact), Err(ScoreError::Shape { .. })));
    let _: Array1<f64> = implicit_rows(&good, &empty, Trace::Exact).unwrap();
}

trait RemoveColumn {
    fn remove_column(self) -> Self;
}

impl RemoveColumn for Array2<f64> {
    fn remove_column(mut self) -> Self {
        self.remove_index(Axis(1), 0);
        self
    }
}
