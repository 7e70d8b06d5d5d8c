//! The analytic truths as denoisers.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{Gamma, GroundTruth, LogNormalMixture};
use ndarray::array;
use score_match::{DenoiseError, Denoiser};

#[test]
fn rows_of_a_mixture_are_denoised_one_by_one() {
    let covariance = vec![vec![0.4, 0.25], vec![0.25, 0.3]];
    let truth = LogNormalMixture::with_covariances(vec![1.0], vec![vec![0.2, -0.5]], vec![covariance]).unwrap();
    let y_bar = array![[0.3_f64, -0.7], [1.5, 0.2], [-2.0, 0.1]];
    let found = truth.denoise(&y_bar, 0.6).unwrap();
    for (row, found) in y_bar.rows().into_iter().zip(found.rows()) {
        // One Gaussian: S (S + vI)⁻¹ with the inverse of a two by two matrix.
        let (p, q, det) = (row[0] - 0.2, row[1] + 0.5, 1.0 * 0.9 - 0.25 * 0.25);
        let (a, b) = ((0.9 * p - 0.25 * q) / det, (1.0 * q - 0.25 * p) / det);
        assert!((found[0] - (0.2 + 0.4 * a + 0.25 * b)).abs() < 1e-14);
        assert!((found[1] - (-0.5 + 0.25 * a + 0.3 * b)).abs() < 1e-14);
    }
    assert!(matches!(truth.denoise(&array![[0.0, 0.0, 0.0]], 0.6), Err(DenoiseError::Shape { .. })));
    assert!(matches!(truth.denoise(&y_bar, -1.0), Err(DenoiseError::NonFinite { .. })));

    // In single precision too, in whatever order the values lie.
    let columns = y_bar.mapv(|y| y as f32).reversed_axes().as_standard_layout().into_owned().reversed_axes();
    assert!(!columns.is_standard_layout());
    let single = truth.denoise(&columns, 0.6).unwrap();
    assert!(single.iter().zip(&found).all(|(single, found)| (f64::from(*single) - found).abs() < 1e-6));
    assert!(matches!(truth.denoise(&array![[0.0_f32, 0.0, 0.0]], 0.6), Err(DenoiseError::Shape { .. })));
    assert!(matches!(truth.denoise(&columns, -1.0), Err(DenoiseError::NonFinite { .. })));
}

#[test]
fn coordinates_of_gamma_are_denoised_one_by_one() {
    let truth = Gamma::new(2.5, 0.4).unwrap();
    let y_bar = array![[0.3, -0.7, 1.1], [1.5, 0.2, -30.0]];
    let found = truth.denoise(&y_bar, 0.6).unwrap();
    assert_eq!(found.shape(), [2, 3]);
    for (row, found) in y_bar.rows().into_iter().zip(found.rows()) {
        let mut g = [0.0; 3];
        truth.log_score_into(&row.to_vec(), 0.6, &mut g);
        for ((y, d), g) in row.iter().zip(found).zip(g) {
            assert!((d - (y + 0.6 * g)).abs() < 1e-13);
        }
    }
    assert_eq!(truth.denoise(&y_bar, 0.0).unwrap(), y_bar);
    for v in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(truth.denoise(&y_bar, v), Err(DenoiseError::NonFinite { .. })));
    }
    assert!(matches!(truth.denoise(&array![[f64::NAN]], 0.6), Err(DenoiseError::NonFinite { .. })));
}
