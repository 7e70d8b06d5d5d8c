//! The linear denoiser: moments, closed form, sampling and refusals.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{LogNormal, Noise, Stream};
use ndarray::{Array2, Axis, array};
use score_match::{DenoiseError, Denoiser, LinearDenoiser, ScoreError};

/// λ = 3, 1 along the diagonals.
fn known() -> LinearDenoiser {
    LinearDenoiser::from_moments(vec![0.5, -1.0], array![[2.0, 1.0], [1.0, 2.0]].view()).unwrap()
}

#[test]
fn two_dimensions_by_hand() {
    let linear = known();
    assert!((linear.eigenvalues()[0] - 3.0).abs() < 1e-14 && (linear.eigenvalues()[1] - 1.0).abs() < 1e-14);
    assert!((linear.expected_loss(1.0) - (0.75 + 0.5)).abs() < 1e-14);
    assert_eq!(linear.expected_loss(0.0), 0.0);
    assert!((linear.expected_loss(1e12) - 4.0).abs() < 1e-9);
    // C (C + I)⁻¹ = [[5, 1], [1, 5]]/8
    let d = linear.denoise(&array![[1.5, -1.0], [0.5, -1.0]], 1.0).unwrap();
    assert!((d[[0, 0]] - (0.5 + 5.0 / 8.0)).abs() < 1e-14 && (d[[0, 1]] - (-1.0 + 1.0 / 8.0)).abs() < 1e-14);
    assert!((d[[1, 0]] - 0.5).abs() < 1e-15 && (d[[1, 1]] + 1.0).abs() < 1e-15);
}

#[test]
fn divergence_is_the_mean_of_the_difference_of_log_densities() {
    let linear = known();
    let (v, law) = (0.7_f64, LogNormal::new(0.2, 1.3).unwrap());
    let rows = linear.sample_rows(&Noise::new(6), Stream::PRIOR, 0, 200_000);
    let noise = normals(200_000);
    let noised = &rows + &(noise * v.sqrt());
    let own = linear.log_pdf(noised.view(), v).unwrap();
    let normal =
        |y: f64| -0.5 * ((y - law.mu()) / law.sigma()).powi(2) - (law.sigma() * std::f64::consts::TAU.sqrt()).ln();
    let differences: Vec<f64> =
        noised.outer_iter().zip(own).map(|(row, p)| p - row.iter().map(|&y| normal(y)).sum::<f64>()).collect();
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let error = (differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n / n).sqrt();
    let exact = linear.kl_divergence(v, &law).unwrap();
    assert!((mean - exact).abs() < 4.0 * error && error < 0.01 * exact, "{mean} ± {error}, {exact}");
}

#[test]
fn divergence_falls_with_noise_and_refuses_what_has_no_density() {
    let linear = LinearDenoiser::from_moments(vec![0.0, 0.0], array![[1.0, 1.0], [1.0, 1.0]].view()).unwrap();
    let lacks = |v: f64| linear.kl_divergence(v, &LogNormal::new(0.0, (1.0 + v).sqrt()).unwrap());
    let values: Vec<f64> = [0.01, 0.64, 16.0].map(|v| lacks(v).unwrap()).to_vec();
    assert!(values.windows(2).all(|pair| pair[0] > pair[1] && pair[1] > 0.0), "{values:?}");
    assert!(matches!(lacks(0.0), Err(ScoreError::NotPositive { name: "the smallest variance", .. })));
    assert!(matches!(
        linear.kl_divergence(-1.0, &LogNormal::new(0.0, 1.0).unwrap()),
        Err(ScoreError::Negative { name: "v", .. })
    ));
}

/// Standard normals (n × 2), of another stream than the samples.
fn normals(n: usize) -> Array2<f64> {
    let mut z = vec![0.0; 2 * n];
    Noise::new(6).rows_normal_f64(Stream::PERTURB, 0, 0, &mut z, 2);
    Array2::from_shape_vec((n, 2), z).unwrap()
}

#[test]
fn samples_have_the_covariance() {
    // μ + Q√λ z is linear in z: its columns give the covariance exactly.
    let linear = known();
    let column = |z: [f64; 2]| linear.sample(&z).unwrap();
    let zero = column([0.0, 0.0]);
    assert!((zero[0] - 0.5).abs() < 1e-15 && (zero[1] + 1.0).abs() < 1e-15);
    let (a, b) = (column([1.0, 0.0]), column([0.0, 1.0]));
    let centred = |c: &[f64]| [c[0] - 0.5, c[1] + 1.0];
    let (a, b) = (centred(&a), centred(&b));
    for (i, j, value) in [(0, 0, 2.0), (0, 1, 1.0), (1, 1, 2.0)] {
        assert!((a[i] * a[j] + b[i] * b[j] - value).abs() < 1e-14);
    }
    let rows = linear.sample_rows(&Noise::new(4), Stream::PRIOR, 10, 3);
    let mut z = [0.0; 2];
    Noise::new(4).fill_normal_f64(Stream::PRIOR, 12, 0, &mut z);
    let last = linear.sample(&z).unwrap();
    assert!((rows[[2, 0]] - last[0]).abs() < 1e-14 && (rows[[2, 1]] - last[1]).abs() < 1e-14);
}

#[test]
fn fit_finds_mean_and_covariance_across_blocks() {
    // 2,500 rows, more than two blocks, against the plain double loop.
    let (n, d) = (2500, 7);
    let mut z = vec![0.0f32; n * d];
    Noise::new(2).rows_normal(Stream::PRIOR, 0, 0, &mut z, d);
    let mut rows = Array2::from_shape_vec((n, d), z).unwrap();
    for mut row in rows.rows_mut() {
        row[1] = 2.0 * row[0] + 0.1 * row[1] + 100.0;
        row[6] = 0.25;
    }
    let linear = LinearDenoiser::fit(rows.view()).unwrap();
    let wide = rows.mapv(f64::from);
    let mean = wide.mean_axis(Axis(0)).unwrap();
    let centred = &wide - &mean;
    let covariance = centred.t().dot(&centred) / n as f64;
    for (a, b) in linear.mean().iter().zip(&mean) {
        assert!((a - b).abs() < 1e-11 * (1.0 + b.abs()));
    }
    assert!((linear.eigenvalues().iter().sum::<f64>() - covariance.diag().sum()).abs() < 1e-11);
    assert!(linear.eigenvalues().windows(2).all(|w| w[0] >= w[1]) && linear.eigenvalues()[6] >= 0.0);
    // D solves (C + vI) C⁻¹ …: check (C + vI) w = ȳ − μ with D = μ + C w, through the residual, without an inverse.
    let v = 0.3;
    let y = &centred.slice_axis(Axis(0), ndarray::Slice::from(..5)).to_owned() * 1.7 + &mean;
    let w = (&y - &linear.denoise(&y, v).unwrap()) / v;
    let back = covariance.dot(&w.t()).t().to_owned() + &mean;
    let direct = linear.denoise(&y, v).unwrap();
    assert!((&back - &direct).iter().all(|e| e.abs() < 1e-9));
}

#[test]
fn constant_coordinates_return_to_their_mean() {
    let rows = array![[0.5f32, 1.0], [0.5, 2.0], [0.5, 4.0]];
    let linear = LinearDenoiser::fit(rows.view()).unwrap();
    assert!(linear.eigenvalues()[1].abs() < 1e-15);
    let d = linear.denoise(&array![[3.0, 2.0]], 0.1).unwrap();
    assert!((d[[0, 0]] - 0.5).abs() < 1e-12);
    assert_eq!(linear.denoise(&array![[3.0, 2.0]], 0.0).unwrap(), array![[3.0, 2.0]]);
}

#[test]
fn bad_input_is_refused() {
    assert!(matches!(
        LinearDenoiser::fit(Array2::<f32>::zeros((1, 3)).view()),
        Err(ScoreError::TooFew { value: 1, .. })
    ));
    assert!(matches!(LinearDenoiser::fit(Array2::<f32>::zeros((3, 0)).view()), Err(ScoreError::TooFew { .. })));
    let nan = array![[0.0f32, 1.0], [0.0, f32::NAN]];
    assert!(matches!(LinearDenoiser::fit(nan.view()), Err(ScoreError::Data { row: 1, column: 1, .. })));
    let wrong = LinearDenoiser::from_moments(vec![0.0; 2], Array2::zeros((3, 3)).view());
    assert!(matches!(wrong, Err(ScoreError::Shape { .. })));
    let infinite = LinearDenoiser::from_moments(vec![0.0], array![[f64::INFINITY]].view());
    assert!(matches!(infinite, Err(ScoreError::Eigen { dim: 1, .. })));
    let linear = known();
    assert!(matches!(linear.sample(&[0.0; 3]), Err(ScoreError::Shape { .. })));
    assert!(matches!(linear.denoise(&Array2::zeros((1, 3)), 1.0), Err(DenoiseError::Shape { .. })));
    assert!(matches!(linear.denoise(&Array2::zeros((1, 2)), f64::NAN), Err(DenoiseError::NonFinite { .. })));
    assert!(matches!(linear.denoise(&Array2::zeros((1, 2)), -1.0), Err(DenoiseError::NonFinite { .. })));
}

#[test]
fn a_single_denoiser_fits_behind_the_trait_object() {
    let boxed: Box<dyn Denoiser<Array2<f64>>> = Box::new(known());
    assert_eq!(boxed.denoise(&Array2::zeros((0, 2)), 1.0).unwrap().dim(), (0, 2));
}

#[test]
fn the_density_is_that_of_the_normal_law() {
    let covariance = vec![vec![2.0, 1.0], vec![1.0, 2.0]];
    let truth =
        gbm_sde::LogNormalMixture::with_covariances(vec![1.0], vec![vec![0.5, -1.0]], vec![covariance]).unwrap();
    let y = array![[0.3, 0.2], [-4.0, 1.0]];
    for v in [0.0, 0.4] {
        for (row, density) in y.rows().into_iter().zip(known().log_pdf(y.view(), v).unwrap()) {
            assert!((density - truth.log_pdf(&row.to_vec(), v)).abs() < 1e-13);
        }
    }
    assert!(known().log_pdf(y.view(), -1.0).is_err() && known().log_pdf(array![[1.0]].view(), 1.0).is_err());
    let flat = LinearDenoiser::from_moments(vec![0.0; 2], array![[1.0, 0.0], [0.0, 0.0]].view()).unwrap();
    assert!(flat.log_pdf(y.view(), 0.0).unwrap_err().to_string().contains("the smallest variance"));
}
