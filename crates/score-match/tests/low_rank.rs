//! The low-rank plus diagonal law: the fit, draws and density, against the covariance it was made from and the full
//! one.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{LogNormalMixture, Noise, Stream};
use ndarray::{Array2, Axis, array};
use score_match::{LowRankNormal, ScoreError};

const D: usize = 9;

/// `LLᵀ + diag(ψ)` of rank 2 with unequal ψ.
fn truth() -> (Vec<f64>, Array2<f64>) {
    let factors = Array2::from_shape_fn((D, 2), |(i, k)| ((1.7 * k as f64 + 1.0) * i as f64 + 0.4).sin());
    let mut covariance = factors.dot(&factors.t());
    for i in 0..D {
        covariance[[i, i]] += 0.2 + 0.1 * i as f64;
    }
    ((0..D).map(|i| 0.3 * i as f64 - 1.0).collect(), covariance)
}

fn law(rank: usize) -> LowRankNormal {
    let (mean, covariance) = truth();
    LowRankNormal::from_moments(mean, covariance.view(), rank).unwrap()
}

fn squares(difference: &Array2<f64>) -> f64 {
    difference.iter().map(|e| e * e).sum()
}

#[test]
fn a_covariance_of_that_form_is_found_exactly() {
    let (_, covariance) = truth();
    let found = law(2);
    let largest = covariance.iter().copied().fold(0.0, f64::max);
    assert!((found.covariance() - &covariance).iter().all(|e| e.abs() < 1e-7 * largest));
    assert!(found.diagonal().iter().enumerate().all(|(i, psi)| (psi - 0.2 - 0.1 * i as f64).abs() < 1e-6));
}

#[test]
fn with_too_few_factors_variances_stay_and_the_rest_is_better_than_principal_components() {
    let (_, covariance) = truth();
    let found = law(1);
    let fitted = found.covariance();
    assert!((0..D).all(|i| (fitted[[i, i]] - covariance[[i, i]]).abs() < 1e-12));
    // Principal components are the first turn: the largest eigenvalue, and the diagonal set right.
    let full = score_match::LinearDenoiser::from_moments(vec![0.0; D], covariance.view()).unwrap();
    let mut unit = [0.0; D];
    unit[0] = 1.0;
    let axis = full.sample(&unit).unwrap();
    let mut components = Array2::from_shape_fn((D, D), |(i, j)| axis[i] * axis[j]);
    for i in 0..D {
        components[[i, i]] = covariance[[i, i]];
    }
    assert!(squares(&(fitted - &covariance)) < 0.99 * squares(&(components - &covariance)));
}

#[test]
fn draws_have_the_moments() {
    let (mean, covariance) = truth();
    let (found, v, n) = (law(2), 0.7, 40_000);
    let rows = found.sample_rows(&Noise::new(8), Stream::PRIOR, 0, n, v);
    let centred = &rows - &ndarray::aview1(&mean);
    for i in 0..D {
        for j in 0..=i {
            let expected = covariance[[i, j]] + if i == j { v } else { 0.0 };
            let products = &centred.column(i) * &centred.column(j);
            let error = products.std(0.0) / (n as f64).sqrt();
            assert!((products.mean().unwrap() - expected).abs() < 4.5 * error, "{i} {j}");
        }
        let error = (covariance[[i, i]] + v).sqrt() / (n as f64).sqrt();
        assert!(centred.column(i).mean().unwrap().abs() < 4.0 * error);
    }
}

#[test]
fn a_row_does_not_depend_on_the_batch() {
    let found = law(2);
    let draw = |first, n| found.sample_rows(&Noise::new(8), Stream::PRIOR, first, n, 0.3);
    let (all, late) = (draw(0, 8), draw(5, 2));
    assert_eq!(all.slice_axis(Axis(0), (..3).into()), draw(0, 3));
    assert_eq!(all.slice_axis(Axis(0), (5..7).into()), late);
}

#[test]
fn the_density_is_that_of_the_full_covariance() {
    let (found, v) = (law(2), 0.3);
    let covariance = found.covariance();
    let rows: Vec<Vec<f64>> = covariance.rows().into_iter().map(|row| row.to_vec()).collect();
    let full = LogNormalMixture::with_covariances(vec![1.0], vec![found.mean().to_vec()], vec![rows]).unwrap();
    let y = found.sample_rows(&Noise::new(1), Stream::PRIOR, 0, 20, v);
    for (row, density) in y.rows().into_iter().zip(found.log_pdf(y.view(), v).unwrap()) {
        assert!((density - full.log_pdf(&row.to_vec(), v)).abs() < 1e-11);
    }
}

#[test]
fn fit_is_that_of_the_sample_covariance() {
    let rows = law(2).sample_rows(&Noise::new(3), Stream::PRIOR, 0, 500, 0.0).mapv(|y| y as f32);
    let wide = rows.mapv(f64::from);
    let mean = wide.mean_axis(Axis(0)).unwrap();
    let centred = &wide - &mean;
    let covariance = centred.t().dot(&centred) / 500.0;
    let (a, b) = (
        LowRankNormal::fit(rows.view(), 3).unwrap(),
        LowRankNormal::from_moments(mean.to_vec(), covariance.view(), 3).unwrap(),
    );
    assert!((a.covariance() - b.covariance()).iter().all(|e| e.abs() < 1e-5));
}

#[test]
fn what_cannot_be_fitted_is_named() {
    let rows = array![[0.0f32, 1.0], [1.0, 3.0]];
    let rank = |rank| LowRankNormal::fit(rows.view(), rank).unwrap_err();
    assert_eq!(rank(0), ScoreError::TooFew { name: "the rank", least: 1, value: 0 });
    assert_eq!(rank(3), ScoreError::TooMany { name: "the rank", most: 2, value: 3 });
    assert!(LowRankNormal::fit(rows.slice_axis(Axis(0), (..1).into()), 1).is_err());
    // A constant coordinate has a density only with noise.
    let flat = LowRankNormal::fit(array![[0.0f32, 1.0], [0.0, 3.0]].view(), 1).unwrap();
    assert!(flat.log_pdf(array![[0.0, 1.0]].view(), 0.0).is_err());
    assert!(flat.log_pdf(array![[0.0, 1.0]].view(), 0.1).is_ok());
    assert!(flat.log_pdf(array![[0.0, 1.0]].view(), -0.1).is_err());
    assert!(flat.log_pdf(array![[0.0]].view(), 0.1).is_err());
}
