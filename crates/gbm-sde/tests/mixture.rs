//! The mixture against quadrature and finite differences.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{LogNormalMixture, MixtureError, Noise, Stream};

fn one() -> LogNormalMixture {
    LogNormalMixture::new(vec![1.0, 3.0], vec![vec![-1.0], vec![0.8]], vec![vec![0.05], vec![0.3]]).unwrap()
}

fn two() -> LogNormalMixture {
    let means = vec![vec![-1.0, 0.5], vec![0.8, -0.2]];
    LogNormalMixture::new(vec![0.4, 0.6], means, vec![vec![0.05, 0.2], vec![0.3, 0.1]]).unwrap()
}

fn normal(x: f64, variance: f64) -> f64 {
    (-0.5 * x * x / variance).exp() / (std::f64::consts::TAU * variance).sqrt()
}

#[test]
fn denoiser_and_density_agree_with_quadrature() {
    let prior = |y: f64| 0.25 * normal(y + 1.0, 0.05) + 0.75 * normal(y - 0.8, 0.3);
    let grid = || (-60_000..=60_000).map(|i| f64::from(i) * 1e-4);
    for v in [0.01, 0.5, 9.0] {
        for y_bar in [-2.0, -0.3, 0.1, 1.5] {
            let joint = |y: f64| prior(y) * normal(y_bar - y, v);
            let mass: f64 = grid().map(joint).sum::<f64>() * 1e-4;
            let mean: f64 = grid().map(|y| y * joint(y)).sum::<f64>() * 1e-4 / mass;
            let mut d = [0.0];
            one().denoise_into(&[y_bar], v, &mut d);
            assert!((d[0] - mean).abs() < 1e-10, "v {v}, y {y_bar}: {} {mean}", d[0]);
            assert!((one().log_pdf(&[y_bar], v) - mass.ln()).abs() < 1e-10);
        }
    }
}

#[test]
fn score_is_the_gradient_of_the_density_and_obeys_tweedie() {
    let mixture = two();
    for v in [0.02, 0.7, 20.0] {
        for y in [[-1.0, 0.4], [0.1, 0.1], [3.0, -2.0]] {
            let (mut g, mut d) = ([0.0; 2], [0.0; 2]);
            mixture.log_score_into(&y, v, &mut g);
            mixture.denoise_into(&y, v, &mut d);
            for axis in 0..2 {
                let at = |shift: f64| {
                    let mut y = y;
                    y[axis] += shift;
                    mixture.log_pdf(&y, v)
                };
                let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((g[axis] - numeric).abs() < 1e-6 * (1.0 + g[axis].abs()));
                assert!((d[axis] - (y[axis] + v * g[axis])).abs() < 1e-12 * (1.0 + v));
            }
        }
    }
}

#[test]
fn far_away_nothing_underflows() {
    let mut d = [0.0];
    one().denoise_into(&[400.0], 0.5, &mut d);
    assert!((d[0] - (0.8 + 0.3 / 0.8 * 399.2)).abs() < 1e-9);
    assert!(one().log_pdf(&[-1e4], 0.5).is_finite());
}

#[test]
fn marginals_are_consistent() {
    let mixture = two();
    for p in [1e-6, 0.1, 0.5, 0.9, 0.999] {
        let q = mixture.marginal_quantile(0, p, 0.3);
        assert!((mixture.marginal_cdf(0, q, 0.3) - p).abs() < 1e-14);
        let slope = (mixture.marginal_cdf(0, q + 1e-5, 0.3) - mixture.marginal_cdf(0, q - 1e-5, 0.3)) / 2e-5;
        assert!((mixture.marginal_pdf(0, q, 0.3) - slope).abs() < 1e-8);
    }
    assert!(mixture.marginal_cdf(2, 0.0, 0.1).is_nan() && mixture.marginal_quantile(0, 1.5, 0.1).is_nan());
}

#[test]
fn samples_have_the_marginal_distribution() {
    let (mixture, noise, n) = (two(), Noise::new(5), 100_000);
    for axis in 0..2 {
        let mut draws: Vec<f64> = (0..n)
            .map(|i| {
                let mut y = [0.0; 2];
                mixture.sample_into(&noise, Stream::PRIOR, i, &mut y);
                y[axis]
            })
            .collect();
        draws.sort_by(f64::total_cmp);
        let n = n as f64;
        let distance =
            draws.iter().enumerate().map(|(i, &y)| (mixture.marginal_cdf(axis, y, 0.0) - (i as f64 + 0.5) / n).abs());
        // Kolmogorov's statistic is below 1.95/√n in 999 of 1000 samples.
        assert!(distance.fold(0.0, f64::max) < 1.95 / n.sqrt());
    }
}

#[test]
fn bad_mixtures_are_refused() {
    let new = |w: &[f64], m: &[&[f64]], s: &[&[f64]]| {
        let rows = |a: &[&[f64]]| a.iter().map(|r| r.to_vec()).collect();
        LogNormalMixture::new(w.to_vec(), rows(m), rows(s)).unwrap_err()
    };
    assert!(matches!(new(&[], &[], &[]), MixtureError::Components { .. }));
    assert!(matches!(new(&[1.0], &[&[0.0]], &[]), MixtureError::Components { variances: 0, .. }));
    assert!(matches!(new(&[1.0], &[&[0.0, 1.0]], &[&[1.0]]), MixtureError::Dimension { found: 1, expected: 2, .. }));
    assert!(matches!(new(&[1.0], &[&[]], &[&[]]), MixtureError::Dimension { .. }));
    assert!(matches!(new(&[-1.0], &[&[0.0]], &[&[1.0]]), MixtureError::Value { what: "weight", .. }));
    assert!(matches!(new(&[1.0], &[&[f64::NAN]], &[&[1.0]]), MixtureError::Value { what: "mean", .. }));
    assert!(matches!(new(&[1.0], &[&[0.0]], &[&[0.0]]), MixtureError::Value { what: "variance", .. }));
}

/// Draws of a mixture of four that do not overlap fall into each as often as its weight says.
#[test]
fn every_component_is_drawn_as_often_as_its_weight_says() {
    let weights = [0.1, 0.35, 0.15, 0.4];
    let means = (0..4).map(|k| vec![10.0 * f64::from(k)]).collect();
    let mixture = LogNormalMixture::new(weights.to_vec(), means, vec![vec![0.1]; 4]).unwrap();
    let (noise, n) = (Noise::new(11), 20_000);
    let mut counts = [0_usize; 4];
    let mut y = [0.0];
    for index in 0..n {
        mixture.sample_into(&noise, Stream::PRIOR, index, &mut y);
        counts[(y[0] / 10.0).round() as usize] += 1;
    }
    for (count, weight) in counts.iter().zip(weights) {
        let error = (weight * (1.0 - weight) / n as f64).sqrt();
        assert!((*count as f64 / n as f64 - weight).abs() < 4.5 * error, "{counts:?}");
    }
}
