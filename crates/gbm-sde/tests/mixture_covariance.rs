//! Mixtures with full covariance, and the ambient side, against quadrature, rotations and finite differences.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::analytic::GroundTruth;
use gbm_sde::quadrature::integrate;
use gbm_sde::{Drift, LogNormalMixture, MixtureError, Noise, Schedule, ScheduleConfig, Stream, Variance};

const INF: f64 = f64::INFINITY;
/// Weight, mean and `S₁₁, S₁₂, S₂₂` of each component of [`two`].
const PARTS: [(f64, [f64; 2], [f64; 3]); 2] =
    [(0.35, [-1.0, 0.5], [0.4, 0.25, 0.3]), (0.65, [0.7, -0.2], [0.2, -0.12, 0.5])];

fn two() -> LogNormalMixture {
    let covariances = PARTS.map(|(_, _, [a, b, c])| vec![vec![a, b], vec![b, c]]).to_vec();
    let means = PARTS.map(|part| part.1.to_vec()).to_vec();
    LogNormalMixture::with_covariances(PARTS.map(|part| part.0).to_vec(), means, covariances).unwrap()
}

/// Density of [`two`] at level `v`, from the inverse of a two by two matrix.
fn density(y: [f64; 2], v: f64) -> f64 {
    let part = |(w, mu, [a, b, c]): (f64, [f64; 2], [f64; 3])| {
        let (a, c) = (a + v, c + v);
        let determinant = a * c - b * b;
        let [p, q] = [y[0] - mu[0], y[1] - mu[1]];
        let form = (c * p * p - 2.0 * b * p * q + a * q * q) / determinant;
        w * (-0.5 * form).exp() / (std::f64::consts::TAU * determinant.sqrt())
    };
    PARTS.map(part).iter().sum()
}

fn three() -> LogNormalMixture {
    let covariances = vec![
        vec![vec![0.5, 0.2, -0.1], vec![0.2, 0.3, 0.05], vec![-0.1, 0.05, 0.4]],
        vec![vec![0.1, 0.0, 0.02], vec![0.0, 0.6, -0.3], vec![0.02, -0.3, 0.5]],
    ];
    let means = vec![vec![0.1, -0.4, 0.8], vec![-0.6, 0.5, 0.0]];
    LogNormalMixture::with_covariances(vec![2.0, 3.0], means, covariances).unwrap()
}

fn schedule() -> Schedule {
    let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.6 }, drift: Drift::Free(0.3), horizon: 2.0 };
    Schedule::new(config).unwrap()
}

#[test]
fn density_and_denoiser_agree_with_brute_force_in_two_dimensions() {
    // Sums over a grid are exact to rounding for Gaussians wider than the step.
    let step = 0.04;
    let grid = || (-150..=150).map(move |i| f64::from(i) * step);
    for v in [0.05, 0.7, 6.0] {
        for y_bar in [[-0.8, 0.3], [0.2, 0.1], [1.9, -1.4]] {
            let (mut mass, mut mean) = (0.0, [0.0; 2]);
            for a in grid() {
                for b in grid() {
                    let distance = (y_bar[0] - a).powi(2) + (y_bar[1] - b).powi(2);
                    let joint =
                        density([a, b], 0.0) * (-0.5 * distance / v).exp() / (std::f64::consts::TAU * v) * step * step;
                    mass += joint;
                    mean[0] += joint * a;
                    mean[1] += joint * b;
                }
            }
            let mut d = [0.0; 2];
            two().denoise_into(&y_bar, v, &mut d);
            assert!((two().log_pdf(&y_bar, v) - mass.ln()).abs() < 1e-11);
            assert!((two().log_pdf(&y_bar, v) - density(y_bar, v).ln()).abs() < 1e-13);
            assert!((d[0] - mean[0] / mass).abs() < 1e-10 && (d[1] - mean[1] / mass).abs() < 1e-10, "{d:?} {mean:?}");
        }
    }
}

#[test]
fn scores_are_slopes_and_obey_tweedie_in_three_dimensions() {
    let mixture = three();
    for v in [0.0, 0.03, 0.8, 25.0] {
        for y in [[0.0, 0.1, 0.4], [-0.5, 0.6, 0.1], [2.0, -2.0, 1.0]] {
            let (mut g, mut d) = ([0.0; 3], [0.0; 3]);
            mixture.log_score_into(&y, v, &mut g);
            mixture.denoise_into(&y, v, &mut d);
            for axis in 0..3 {
                let at = |shift: f64| {
                    let mut y = y;
                    y[axis] += shift;
                    mixture.log_pdf(&y, v)
                };
                let e = 1e-4;
                let slope = (8.0 * (at(e) - at(-e)) - (at(2.0 * e) - at(-2.0 * e))) / (12.0 * e);
                assert!((g[axis] - slope).abs() < 1e-9 * (1.0 + g[axis].abs()), "{} {slope}", g[axis]);
                assert!((d[axis] - (y[axis] + v * g[axis])).abs() < 1e-13 * (1.0 + v));
            }
        }
    }
}

#[test]
fn diagonal_matrices_give_the_diagonal_mixture() {
    let means = vec![vec![-1.0, 0.5, 0.3], vec![0.8, -0.2, 0.0]];
    let variances = [[0.05, 0.2, 0.4], [0.3, 0.1, 0.7]];
    let matrix = |s: &[f64; 3]| (0..3).map(|i| (0..3).map(|j| if i == j { s[i] } else { 0.0 }).collect()).collect();
    let diagonal =
        LogNormalMixture::new(vec![0.4, 0.6], means.clone(), variances.map(|s| s.to_vec()).to_vec()).unwrap();
    let full =
        LogNormalMixture::with_covariances(vec![0.4, 0.6], means, variances.iter().map(matrix).collect()).unwrap();
    let y = [0.2, -0.3, 0.9];
    let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
    assert_eq!(diagonal.log_pdf(&y, 0.3), full.log_pdf(&y, 0.3));
    diagonal.denoise_into(&y, 0.3, &mut a);
    full.denoise_into(&y, 0.3, &mut b);
    assert_eq!(a, b);
    diagonal.sample_into(&Noise::new(3), Stream::PRIOR, 9, &mut a);
    full.sample_into(&Noise::new(3), Stream::PRIOR, 9, &mut b);
    assert_eq!(a, b);
}

#[test]
fn marginals_are_the_density_with_the_other_axis_integrated_out() {
    let (mixture, v) = (two(), 0.2);
    for at in [-1.2, 0.1, 0.9] {
        for axis in 0..2 {
            let line = |other: f64| density(if axis == 0 { [at, other] } else { [other, at] }, v);
            let truth = integrate(line, -INF, INF, 1e-13).unwrap().value;
            assert!((mixture.marginal_pdf(axis, at, v) - truth).abs() < 1e-13);
            let below = integrate(|y| mixture.marginal_pdf(axis, y, v), -INF, at, 1e-13).unwrap().value;
            assert!((mixture.marginal_cdf(axis, at, v) - below).abs() < 1e-13);
            assert!((mixture.marginal_quantile(axis, below, v) - at).abs() < 1e-11);
        }
    }
}

#[test]
fn draws_have_the_moments_of_the_mixture() {
    let (mixture, noise, n) = (two(), Noise::new(8), 100_000u32);
    let mut sums = [0.0; 6];
    for i in 0..n {
        let mut y = [0.0; 2];
        mixture.sample_into(&noise, Stream::PRIOR, u64::from(i), &mut y);
        let [a, b] = y;
        sums.iter_mut().zip([a, b, a * a, a * b, b * b, (a * b).powi(2)]).for_each(|(s, x)| *s += x / f64::from(n));
    }
    let mix = |f: fn([f64; 2], [f64; 3]) -> f64| PARTS.map(|(w, mu, s)| w * f(mu, s)).iter().sum::<f64>();
    let truths = [
        mix(|mu, _| mu[0]),
        mix(|mu, _| mu[1]),
        mix(|mu, s| mu[0] * mu[0] + s[0]),
        mix(|mu, s| mu[0] * mu[1] + s[1]),
        mix(|mu, s| mu[1] * mu[1] + s[2]),
    ];
    // Four standard errors; no variable here has a standard deviation above 1.6.
    for (found, truth) in sums.iter().zip(truths) {
        assert!((found - truth).abs() < 4.0 * 1.6 / f64::from(n).sqrt(), "{sums:?} {truths:?}");
    }
}

#[test]
fn noise_added_in_two_parts_is_noise_added_at_once() {
    let mixture =
        LogNormalMixture::new(vec![1.0, 2.0], vec![vec![-0.7], vec![0.9]], vec![vec![0.1], vec![0.3]]).unwrap();
    for (v1, v2, y) in [(0.0, 0.3, 0.4), (0.2, 0.9, -1.5), (1.0, 6.0, 2.0)] {
        let step = |u: f64| (-0.5 * (y - u) * (y - u) / (v2 - v1)).exp() / (std::f64::consts::TAU * (v2 - v1)).sqrt();
        let found = integrate(|u| mixture.log_pdf(&[u], v1).exp() * step(u), -INF, INF, 1e-13).unwrap().value;
        assert!((found.ln() - mixture.log_pdf(&[y], v2)).abs() < 1e-12);
    }
}

#[test]
fn the_ambient_side_follows_from_its_own_density() {
    let (mixture, schedule) = (three(), schedule());
    for t in [0.0, 0.9, 2.0] {
        let x = [1.3, 0.6, 2.4];
        let (mut s, mut h) = ([0.0; 3], [0.0; 3]);
        mixture.stein_score_into(&schedule, t, &x, &mut s);
        mixture.hyvarinen_score_into(&schedule, t, &x, &mut h);
        for axis in 0..3 {
            let at = |shift: f64| {
                let mut x = x;
                x[axis] += shift;
                mixture.ambient_log_pdf(&schedule, t, &x)
            };
            let e = 1e-4;
            let slope = (8.0 * (at(e) - at(-e)) - (at(2.0 * e) - at(-2.0 * e))) / (12.0 * e);
            assert!((s[axis] - slope).abs() < 1e-8 * (1.0 + slope.abs()), "{} {slope}", s[axis]);
            assert!((h[axis] - x[axis] * slope).abs() < 1e-8 * (1.0 + slope.abs()));
        }
    }
    assert_eq!(mixture.ambient_log_pdf(&schedule, 0.5, &[1.0, 0.0, 1.0]), -INF);
}

#[test]
fn the_ambient_density_integrates_to_one_and_its_mean_grows_with_the_drift() {
    let mixture =
        LogNormalMixture::new(vec![1.0, 2.0], vec![vec![-0.7], vec![0.4]], vec![vec![0.1], vec![0.3]]).unwrap();
    let density = |x: f64| mixture.ambient_log_pdf(&schedule(), 1.4, &[x]).exp();
    let area = integrate(density, 0.0, INF, 1e-13).unwrap().value;
    let mean = integrate(|x| x * density(x), 0.0, INF, 1e-13).unwrap().value;
    let clean = ((-0.7f64 + 0.05).exp() + 2.0 * (0.4f64 + 0.15).exp()) / 3.0;
    assert!((area - 1.0).abs() < 1e-13, "{area}");
    assert!((mean - clean * (0.3f64 * 1.4).exp()).abs() < 1e-12, "{mean}");
}

#[test]
fn far_away_nothing_overflows() {
    let (mut d, mut g) = ([0.0; 3], [0.0; 3]);
    for v in [0.0, 0.5, 1e6] {
        three().denoise_into(&[1e5, -1e5, 1e4], v, &mut d);
        three().log_score_into(&[1e5, -1e5, 1e4], v, &mut g);
        assert!(three().log_pdf(&[1e5, -1e5, 1e4], v).is_finite());
        assert!(d.iter().chain(&g).all(|value| value.is_finite()));
    }
}

#[test]
fn bad_covariances_are_refused() {
    let new = |rows: &[&[f64]]| {
        let rows = rows.iter().map(|row| row.to_vec()).collect();
        LogNormalMixture::with_covariances(vec![1.0], vec![vec![0.0, 0.0]], vec![rows]).unwrap_err()
    };
    assert!(matches!(new(&[&[1.0, 0.0]]), MixtureError::Dimension { what: "covariance", found: 1, expected: 2, .. }));
    assert!(matches!(new(&[&[1.0], &[0.0, 1.0]]), MixtureError::Dimension { found: 1, .. }));
    assert!(matches!(new(&[&[1.0, 0.0], &[0.0, f64::NAN]]), MixtureError::Value { what: "covariance", .. }));
    let asymmetric = new(&[&[1.0, 0.1], &[0.2, 1.0]]);
    assert_eq!(asymmetric, MixtureError::Asymmetric { component: 0, row: 0, column: 1, upper: 0.1, lower: 0.2 });
    for off in [1.0, -1.5] {
        assert!(matches!(new(&[&[1.0, off], &[off, 1.0]]), MixtureError::NotPositiveDefinite { .. }));
    }
    assert!(matches!(new(&[&[-1.0, 0.0], &[0.0, 1.0]]), MixtureError::NotPositiveDefinite { eigenvalue: -1.0, .. }));
    assert!(matches!(new(&[&[1e308, 9e307], &[9e307, 1e308]]), MixtureError::NotPositiveDefinite { .. }));
    let none = LogNormalMixture::with_covariances(vec![1.0], vec![vec![0.0]], vec![]).unwrap_err();
    assert!(matches!(none, MixtureError::Components { variances: 0, .. }));
}
