//! The gamma truth against scipy, quadrature in sixty digits (values in `gamma_reference.toml`) and its own definitions.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::analytic::{Gamma, GammaError, GroundTruth};
use gbm_sde::quadrature::integrate;
use gbm_sde::{Drift, Noise, Schedule, ScheduleConfig, Stream, Variance};
use proptest::prelude::*;

const INF: f64 = f64::INFINITY;

fn law(shape: f64, scale: f64) -> Gamma {
    Gamma::new(shape, scale).unwrap()
}

fn normal(x: f64, variance: f64) -> f64 {
    (-0.5 * x * x / variance).exp() / (std::f64::consts::TAU * variance).sqrt()
}

/// A row of the reference file, by name of the column.
type Row = Box<dyn Fn(&str) -> f64>;

fn reference(table: &str) -> Vec<Row> {
    let text: toml::Table = include_str!("gamma_reference.toml").parse().unwrap();
    let rows = text[table].as_array().unwrap().clone();
    rows.into_iter().map(|row| Box::new(move |name: &str| row[name].as_float().unwrap()) as Row).collect()
}

#[test]
fn clean_densities_are_scipys() {
    let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 2.0 };
    let schedule = Schedule::new(config).unwrap();
    for row in reference("clean") {
        let (law, y) = (law(row("shape"), row("scale")), row("y"));
        let near =
            |found: f64, truth: f64| assert!((found - truth).abs() < 2e-14 * truth.abs().max(1.0), "{found} {truth}");
        near(law.marginal(y, 0.0).log_pdf, row("log_pdf"));
        near(law.ambient_log_pdf(&schedule, 0.0, &[y.exp()]), row("ambient_log_pdf"));
        let (x, mut s, mut h) = (y.exp(), [0.0], [0.0]);
        law.stein_score_into(&schedule, 0.0, &[x], &mut s);
        law.hyvarinen_score_into(&schedule, 0.0, &[x], &mut h);
        near(s[0] * x, (row("shape") - 1.0) - x / row("scale"));
        near(h[0], row("shape") - 1.0 - x / row("scale"));
    }
}

#[test]
fn noised_values_are_right_from_tiny_to_huge_levels_and_far_out() {
    let rows = reference("noised");
    assert_eq!(rows.len(), 60);
    for row in rows {
        let (k, y, v) = (row("shape"), row("y_bar"), row("v"));
        let found = law(k, row("scale")).marginal(y, v);
        let near = |what: &str, found: f64, size: f64| {
            let off = (found - row(what)).abs();
            assert!(off <= 1e-13 * size, "k {k}, y {y}, v {v}: {what} {found}, not {}: {off:e}", row(what));
        };
        // Where the mode is far from the data, the terms k²v and kȳ are what is rounded.
        let terms = 1.0 + y.abs() * k.max(1.0) + if y < 0.0 { k * k * v } else { 0.0 };
        near("log_pdf", found.log_pdf, row("log_pdf").abs() + terms);
        near("log_score", found.log_score, row("log_score").abs() + 0.1 * (1.0 + y.abs()) / v.max(1.0));
        near("denoised", found.denoised, row("denoised").abs().max(y.abs()) + 1.0);
    }
}

#[test]
fn the_clean_law_is_the_limit() {
    for y in [-3.0, 0.1, 1.4] {
        let (clean, noised) = (law(2.5, 0.8).marginal(y, 0.0), law(2.5, 0.8).marginal(y, 1e-10));
        assert!((clean.log_pdf - noised.log_pdf).abs() < 1e-8 && (clean.denoised - noised.denoised).abs() < 1e-8);
        assert!((clean.log_score - noised.log_score).abs() < 1e-8);
    }
}

#[test]
fn densities_integrate_to_one() {
    for (k, v) in [(0.6, 0.0), (0.6, 0.9), (2.5, 0.02), (2.5, 5.0), (30.0, 0.4)] {
        let law = law(k, 1.3);
        let area = integrate(|y| law.marginal(y, v).log_pdf.exp(), -INF, INF, 1e-11).unwrap();
        assert!((area.value - 1.0).abs() < 1e-11, "k {k}, v {v}: {area:?}");
    }
}

#[test]
fn the_ambient_density_integrates_to_one_and_its_moment_moves_with_the_drift() {
    let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.6 }, drift: Drift::Free(0.3), horizon: 2.0 };
    let schedule = Schedule::new(config).unwrap();
    let law = law(2.5, 0.8);
    let density = |x: f64| law.ambient_log_pdf(&schedule, 1.4, &[x]).exp();
    let area = integrate(density, 0.0, INF, 1e-11).unwrap().value;
    let mean = integrate(|x| if x < 1e9 { x * density(x) } else { 0.0 }, 0.0, INF, 1e-11).unwrap().value;
    assert!((area - 1.0).abs() < 1e-10, "{area}");
    assert!((mean - 2.5 * 0.8 * (0.3f64 * 1.4).exp()).abs() < 1e-9, "{mean}");
    assert_eq!(law.ambient_log_pdf(&schedule, 1.4, &[-1.0]), -INF);
}

#[test]
fn posterior_means_are_those_of_direct_quadrature() {
    for (k, theta, y_bar, v) in
        [(0.7, 1.3, -1.0, 0.5), (2.5, 0.4, 0.3, 0.05), (6.0, 0.2, 2.0, 3.0), (1.7, 2.0, -4.0, 20.0)]
    {
        let found = law(k, theta).marginal(y_bar, v);
        let joint = |y: f64| {
            let prior = (k * y - y.exp() / theta - k * theta.ln() - libm::lgamma(k)).exp();
            prior * normal(y_bar - y, v)
        };
        let mass = integrate(joint, -INF, INF, 1e-13).unwrap().value;
        let mean = integrate(|y| y * joint(y), -INF, INF, 1e-13).unwrap().value / mass;
        assert!((found.denoised - mean).abs() < 1e-11, "{found:?} {mean}");
        assert!((found.log_pdf - mass.ln()).abs() < 1e-11);
        assert!((found.log_score - (mean - y_bar) / v).abs() < 1e-10);
    }
}

#[test]
fn noise_added_in_two_parts_is_noise_added_at_once() {
    let law = law(1.6, 0.7);
    for (v1, v2, y) in [(0.0, 0.3, 0.4), (0.2, 0.9, -1.5), (1.0, 6.0, 2.0)] {
        let joint = |u: f64| law.marginal(u, v1).log_pdf.exp() * normal(y - u, v2 - v1);
        let found = integrate(joint, -INF, INF, 1e-11).unwrap().value;
        assert!((found.ln() - law.marginal(y, v2).log_pdf).abs() < 1e-10);
    }
}

#[test]
fn far_out_everything_stays_finite() {
    for (k, v) in [(1e-3, 1e4), (0.05, 1e-8), (2.0, 1e-8), (2.0, 1.0), (900.0, 1e4), (1e5, 0.1)] {
        for y in [-1e6, -1e3, -30.0, 30.0, 1e3, 1e6] {
            let found = law(k, 0.9).marginal(y, v);
            assert!(
                found.log_pdf.is_finite() && found.log_score.is_finite() && found.denoised.is_finite(),
                "{k} {v} {y}"
            );
            let gap = found.denoised - (y + v * found.log_score);
            assert!(gap.abs() <= 1e-13 * (y.abs() + k * v + found.denoised.abs() + 1.0), "{k} {v} {y}: {gap:e}");
        }
    }
    let nothing = |found: gbm_sde::analytic::Marginal| {
        found.log_pdf.is_nan() && found.log_score.is_nan() && found.denoised.is_nan()
    };
    assert!(nothing(law(2.0, 1.0).marginal(f64::NAN, 0.0)) && nothing(law(2.0, 1.0).marginal(0.0, -1.0)));
    assert!(nothing(law(2.0, 1.0).marginal(INF, 1.0)) && nothing(law(2.0, 1.0).marginal(0.0, INF)));
}

#[test]
fn draws_follow_the_law() {
    let (noise, n) = (Noise::new(11), 40_000);
    for (k, theta) in [(0.3, 0.7), (1.0, 1.4), (4.5, 0.2)] {
        let law = law(k, theta);
        let mut draws = vec![[0.0; 2]; n];
        draws.iter_mut().enumerate().for_each(|(i, row)| law.sample_into(&noise, Stream::PRIOR, i as u64, row));
        assert_eq!(draws[7][1], law.sample(&noise, Stream::PRIOR, 7, 1));
        for column in 0..2 {
            for q in 1..40 {
                let edge = theta.ln() + (k.ln() - 2.0 / k.min(1.0)) + f64::from(q) * (0.1 + 0.1 / k.min(1.0));
                let below = draws.iter().filter(|row| row[column] <= edge).count() as f64 / n as f64;
                let truth = integrate(|y| law.marginal(y, 0.0).log_pdf.exp(), -INF, edge, 1e-10).unwrap().value;
                // Kolmogorov's statistic is below 1.95/√n in 999 of 1000 samples.
                assert!((below - truth).abs() < 1.95 / (n as f64).sqrt(), "k {k}, {edge}: {below} {truth}");
            }
        }
        let ranks = |row: &[f64; 2]| row.map(|y| f64::from(u8::from(y > theta.ln() + k.ln() - 0.3)) - 0.5);
        let means =
            draws.iter().map(ranks).fold([0.0; 3], |[a, b, c], [x, y]| [a + x, b + y, c + x * y]).map(|s| s / n as f64);
        assert!((means[2] - means[0] * means[1]).abs() < 4.0 * 0.25 / (n as f64).sqrt());
    }
}

#[test]
fn bad_parameters_are_refused() {
    for bad in [0.0, -1.0, f64::NAN, INF] {
        assert!(matches!(Gamma::new(bad, 1.0), Err(GammaError::Shape(_))));
        assert!(matches!(Gamma::new(1.0, bad), Err(GammaError::Scale(_))));
    }
    assert_eq!((law(2.5, 0.4).shape(), law(2.5, 0.4).scale()), (2.5, 0.4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn scores_are_slopes_of_the_log_density(k in 0.2..20.0f64, theta in 0.1..5.0f64, y in -6.0..4.0f64, v in 0.01..30.0f64) {
        let law = law(k, theta);
        let at = |shift: f64| law.marginal(y + shift, v).log_pdf;
        let e = 1e-3;
        let slope = (8.0 * (at(e) - at(-e)) - (at(2.0 * e) - at(-2.0 * e))) / (12.0 * e);
        let found = law.marginal(y, v).log_score;
        prop_assert!((found - slope).abs() < 1e-8 * (1.0 + found.abs()), "{} {}", found, slope);
    }

    #[test]
    fn coordinates_are_independent(k in 0.2..20.0f64, y in prop::array::uniform3(-4.0..3.0f64), v in 0.01..3.0f64) {
        let law = law(k, 0.7);
        let single = y.map(|y| law.marginal(y, v));
        let (mut g, mut d) = ([0.0; 3], [0.0; 3]);
        law.log_score_into(&y, v, &mut g);
        law.denoise_into(&y, v, &mut d);
        prop_assert_eq!(law.log_pdf(&y, v), single.iter().map(|m| m.log_pdf).sum::<f64>());
        prop_assert_eq!(g, single.map(|m| m.log_score));
        prop_assert_eq!(d, single.map(|m| m.denoised));
    }
}
