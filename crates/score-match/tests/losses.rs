//! Losses: the scalar identities, and that explicit and denoising matching differ by the constant that the theory gives.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{LogNormalMixture, Noise, Stream};
use ndarray::{Array1, Array2, Axis, Zip};
use score_match::{Denoiser, LinearDenoiser, ScoreError, TimeWeight, loss};

#[test]
fn denoiser_and_score_residuals_are_one() {
    for (y0, eps, v, denoised) in [(0.3, -1.2, 0.5, 0.1), (-1.0, 2.0, 1e-4, -1.01), (0.0, 0.3, 25.0, 0.4)] {
        let y_bar: f64 = y0 + f64::sqrt(v) * eps;
        let h = (denoised - y_bar) / v - 1.0;
        let (a, b) = (loss::hyvarinen_residual(h, eps, v), loss::denoiser_residual(denoised, y0, v));
        assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} {b}");
    }
    // The target is x ∂ₓ ln p(x | x_0) of the log-normal transition.
    let (x0, v, eps) = (1.7f64, 0.3f64, 0.9);
    let law = gbm_sde::LogNormal::new(x0.ln() - 0.2, v.sqrt()).unwrap();
    assert!((loss::hyvarinen_target(eps, v) - law.hyvarinen_score(law.sample(eps))).abs() < 1e-12);
}

fn mixture() -> LogNormalMixture {
    let means = vec![vec![-0.5, 0.4], vec![0.6, -0.1]];
    LogNormalMixture::new(vec![0.3, 0.7], means, vec![vec![0.05, 0.1], vec![0.2, 0.06]]).unwrap()
}

/// E‖h_θ − target‖² − E‖h_θ − h‖² does not depend on θ (theorem 5.1): for each θ the difference of the two is an average
/// whose value must be the same within its own standard error.
#[test]
fn explicit_and_denoising_matching_differ_by_a_constant() {
    let (n, v) = (200_000usize, 0.35f64);
    let noise = Noise::new(8);
    let mut eps = Array2::<f64>::zeros((n, 2));
    noise.rows_normal_f64(Stream::PERTURB, 0, 0, eps.as_slice_mut().unwrap(), 2);
    let mut y0 = Array2::<f64>::zeros((n, 2));
    for (i, mut row) in y0.axis_iter_mut(Axis(0)).enumerate() {
        mixture().sample_into(&noise, Stream::PRIOR, i as u64, row.as_slice_mut().unwrap());
    }
    let y_bar = &y0 + &(&eps * v.sqrt());
    let exact = (mixture().denoise(&y_bar, v).unwrap() - &y_bar) / v - 1.0;
    let levels = Array1::from_elem(n, v);
    let models: [Array2<f64>; 4] =
        [Array2::zeros((n, 2)), exact.clone(), y_bar.mapv(|y| -1.0 - y / 0.6), y_bar.mapv(|y| (2.0 * y).sin() - 0.5)];
    let constants = models.iter().map(|h| {
        let esm = loss::explicit(h.view(), exact.view()).unwrap();
        loss::denoising(h.view(), eps.view(), levels.view()).unwrap() - esm
    });
    let constants: Vec<f64> = constants.collect();
    let target = eps.mapv(|e| loss::hyvarinen_target(e, v));
    for (h, constant) in models.iter().zip(&constants) {
        // The difference between two θ is E[(h_θ' − h_θ)·(h − target)], whose summands have this spread.
        let product = Zip::from(h).and(&exact).and(&target).map_collect(|h, g, t| (h - g) * (g - t)).sum_axis(Axis(1));
        let error = product.std(1.0) / (n as f64).sqrt();
        assert!((constant - constants[1]).abs() <= 4.5 * error + 1e-12, "{constants:?} {error}");
        // and it is far below what a wrong target would make
        assert!(error < 0.02);
    }
}

#[test]
fn weighted_form_equals_the_score_form() {
    let denoised = ndarray::array![[0.1, 0.2], [0.3, -0.4]];
    let y0 = ndarray::array![[0.0, 0.5], [0.2, 0.1]];
    let eps = ndarray::array![[1.0, -0.5], [0.2, 2.0]];
    let v = ndarray::array![0.25, 4.0];
    let mut h = Array2::<f64>::zeros((2, 2));
    for ((i, j), h) in h.indexed_iter_mut() {
        let y_bar: f64 = y0[[i, j]] + f64::sqrt(v[i]) * eps[[i, j]];
        *h = (denoised[[i, j]] - y_bar) / v[i] - 1.0;
    }
    let a = loss::denoising(h.view(), eps.view(), v.view()).unwrap();
    let b = loss::denoising_weighted(denoised.view(), y0.view(), v.view(), &TimeWeight::Likelihood, 0.5).unwrap();
    assert!((a - b).abs() < 1e-13);
    // Unweighted on D: ½ · mean over rows of the squared error.
    let c = loss::denoising_weighted(denoised.view(), y0.view(), v.view(), &TimeWeight::Paper, 0.5).unwrap();
    assert!((c - 0.5 * (0.01 + 0.09 + 0.01 + 0.25) / 2.0).abs() < 1e-15);
}

#[test]
fn shapes_are_checked() {
    let (a, b) = (Array2::<f64>::zeros((3, 2)), Array2::<f64>::zeros((2, 2)));
    let v = Array1::<f64>::ones(2);
    assert!(matches!(loss::explicit(a.view(), b.view()), Err(ScoreError::Shape { .. })));
    assert!(matches!(loss::denoising(a.view(), a.view(), v.view()), Err(ScoreError::Shape { .. })));
    assert!(matches!(loss::denoising(a.view(), b.view(), v.view()), Err(ScoreError::Shape { .. })));
    let weighted = |d: &Array2<f64>, y0: &Array2<f64>| {
        loss::denoising_weighted(d.view(), y0.view(), v.view(), &TimeWeight::Edm, 0.5)
    };
    assert!(matches!(weighted(&a, &a), Err(ScoreError::Shape { name: "the levels", .. })));
    assert!(matches!(weighted(&b, &a), Err(ScoreError::Shape { name: "the clean data", .. })));
    assert!(weighted(&b, &b).is_ok());
    let none = Array2::<f64>::zeros((0, 2));
    assert!(matches!(loss::explicit(none.view(), none.view()), Err(ScoreError::TooFew { .. })));
}

/// The best linear denoiser cannot beat the exact one, and its closed-form loss is what it makes.
#[test]
fn exact_denoiser_beats_the_linear_one() {
    let (n, noise) = (100_000usize, Noise::new(9));
    let mut y0 = Array2::<f64>::zeros((n, 2));
    for (i, mut row) in y0.axis_iter_mut(Axis(0)).enumerate() {
        mixture().sample_into(&noise, Stream::PRIOR, i as u64, row.as_slice_mut().unwrap());
    }
    let linear = LinearDenoiser::fit(y0.mapv(|y| y as f32).view()).unwrap();
    let mut eps = Array2::<f64>::zeros((n, 2));
    noise.rows_normal_f64(Stream::PERTURB, 0, 0, eps.as_slice_mut().unwrap(), 2);
    for v in [0.01, 0.1, 0.5] {
        let y_bar = &y0 + &(&eps * f64::sqrt(v));
        let error = |d: Array2<f64>| (d - &y0).mapv(|e| e * e).sum_axis(Axis(1));
        let lin = error(linear.denoise(&y_bar, v).unwrap());
        let exact = error(mixture().denoise(&y_bar, v).unwrap());
        let spread = lin.std(1.0) / (n as f64).sqrt();
        assert!((lin.mean().unwrap() - linear.expected_loss(v)).abs() < 4.5 * spread, "v {v}");
        assert!(exact.mean().unwrap() < lin.mean().unwrap());
    }
}
