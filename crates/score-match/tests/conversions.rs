//! Parameterizations, preconditioning, weights and time sampling against their defining identities.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::LogNormal;
use proptest::prelude::*;
use score_match::{DataMoments, Level, Parameterization, Precondition, ScoreError, TimeSampling, TimeWeight};

fn level(v: f64, m: f64) -> Level {
    Level { v, m, moments: DataMoments { log_mean: 0.1, log_sd: 0.4 } }
}

/// What a denoiser is in each parameterization, from the definitions.
fn defined(p: Parameterization, denoised: f64, y_bar: f64, level: &Level) -> f64 {
    let r = level.v.sqrt();
    let g = (denoised - y_bar) / level.v;
    let noise = (y_bar - denoised) / r;
    match p {
        Parameterization::Hyvarinen => g - 1.0,
        Parameterization::Stein => (g - 1.0) / (y_bar + level.m).exp(),
        Parameterization::LogScore => g,
        Parameterization::Noise => noise,
        Parameterization::Denoiser => denoised,
        Parameterization::Velocity => {
            let DataMoments { log_mean, log_sd } = level.moments;
            let phi = (r / log_sd).atan();
            phi.cos() * noise - phi.sin() * (denoised - log_mean) / log_sd
        }
    }
}

proptest! {
    #[test]
    fn every_parameterization_goes_there_and_back(
        ln_v in -6.0..4.0f64, m in -2.0..2.0f64, y_bar in -3.0..3.0f64, denoised in -3.0..3.0f64,
    ) {
        let level = level(ln_v.exp(), m);
        for p in Parameterization::ALL {
            let value = p.from_denoiser(denoised, y_bar, &level);
            let back = p.to_denoiser(value, y_bar, &level);
            prop_assert!((back - denoised).abs() < 1e-12 * (1.0 + level.v), "{p:?}: {back} {denoised}");
            let again = p.from_denoiser(back, y_bar, &level);
            prop_assert!((again - value).abs() < 1e-9 * (1.0 + value.abs()), "{p:?}");
        }
    }

    /// Between any two directly, against definitions written out here, and back.
    #[test]
    fn any_two_convert_directly(
        ln_v in -6.0..4.0f64, m in -2.0..2.0f64, y_bar in -3.0..3.0f64, denoised in -3.0..3.0f64,
    ) {
        let level = level(ln_v.exp(), m);
        level.check().unwrap();
        for from in Parameterization::ALL {
            let value = defined(from, denoised, y_bar, &level);
            for to in Parameterization::ALL {
                let expected = defined(to, denoised, y_bar, &level);
                let found = from.convert(to, value, y_bar, &level);
                // What rounding of the value itself makes of the result.
                let moved = from.convert(to, value + 1e-15 * (1.0 + value.abs()), y_bar, &level) - found;
                let tolerance = 1e-12 * (1.0 + expected.abs()) + 20.0 * moved.abs();
                prop_assert!((found - expected).abs() < tolerance, "{from:?} to {to:?}: {found} {expected}");
                let back = to.convert(from, found, y_bar, &level);
                let moved = to.convert(from, found + 1e-15 * (1.0 + found.abs()), y_bar, &level) - back;
                let tolerance = 1e-12 * (1.0 + value.abs()) + 20.0 * moved.abs();
                prop_assert!((back - value).abs() < tolerance, "{from:?} to {to:?} and back: {back} {value}");
            }
            prop_assert_eq!(from.convert(from, value, y_bar, &level), value);
            prop_assert_eq!(from.to_denoiser(value, y_bar, &level), from.convert(Parameterization::Denoiser, value, y_bar, &level));
        }
    }

    /// For log-normal data every score is known from the marginal itself.
    #[test]
    fn scores_are_those_of_the_marginal(ln_v in -4.0..3.0f64, m in -1.0..1.0f64, z in -3.0..3.0f64) {
        let (mean, data) = (0.3, 0.2);
        let level = level(ln_v.exp(), m);
        let marginal = LogNormal::new(mean + m, (data + level.v).sqrt()).unwrap();
        let x = marginal.sample(z);
        let y_bar = x.ln() - m;
        let denoised = mean + data / (data + level.v) * (y_bar - mean);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b.abs());
        prop_assert!(near(Parameterization::Stein.from_denoiser(denoised, y_bar, &level), marginal.stein_score(x)));
        prop_assert!(near(Parameterization::Hyvarinen.from_denoiser(denoised, y_bar, &level), marginal.hyvarinen_score(x)));
        // ln p_Y(y) = ln p_X(e^y) + y, so its derivative is h + 1.
        prop_assert!(near(Parameterization::LogScore.from_denoiser(denoised, y_bar, &level), marginal.hyvarinen_score(x) + 1.0));
    }

    /// For the clean value itself, ε̂ is the noise, and (data, noise) and (state, velocity) are one rotation apart.
    #[test]
    fn noise_and_velocity_are_a_rotation(ln_v in -6.0..4.0f64, y0 in -2.0..2.0f64, eps in -3.0..3.0f64) {
        let level = level(ln_v.exp(), 0.0);
        let r = level.v.sqrt();
        let y_bar = y0 + r * eps;
        prop_assert!((Parameterization::Noise.from_denoiser(y0, y_bar, &level) - eps).abs() < 1e-9 / r.min(1.0));
        let phi = (r / 0.4).atan();
        let w = phi.cos() * eps - phi.sin() * (y0 - 0.1) / 0.4;
        let state = phi.cos() * (y0 - 0.1) / 0.4 + phi.sin() * eps;
        prop_assert!((Parameterization::Velocity.from_denoiser(y0, y_bar, &level) - w).abs() < 1e-9 / r.min(1.0));
        prop_assert!(((y_bar - 0.1) / (level.v + 0.16).sqrt() - state).abs() < 1e-12 * (1.0 + state.abs()));
        let target = Precondition::new(level.moments).unwrap().target(y0, y_bar, level.v);
        prop_assert!((target + w).abs() < 1e-9 / r.min(1.0));
    }

    /// Karras et al., appendix B.6: unit input, unit target, and the least amplification of the network's error. The target
    /// is linear in the independent clean deviation and noise, so its variance is a sum of two squares.
    #[test]
    fn preconditioning_is_optimal(ln_v in -10.0..6.0f64, sd in 0.05..3.0f64) {
        let v = ln_v.exp();
        let p = Precondition::new(DataMoments { log_mean: -0.7, log_sd: sd }).unwrap();
        let c = p.at(v);
        prop_assert!((c.c_in * c.c_in * (sd * sd + v) - 1.0).abs() < 1e-12);
        let target = |u0: f64, eps: f64| p.target(-0.7 + u0, -0.7 + u0 + v.sqrt() * eps, v);
        let variance = target(sd, 0.0).powi(2) + target(0.0, 1.0).powi(2);
        prop_assert!((variance - 1.0).abs() < 1e-9);
        // c_out² = (1 − c_skip)² σ_d² + c_skip² v is least at the chosen c_skip.
        let amplification = |skip: f64| (1.0 - skip).powi(2) * sd * sd + skip * skip * v;
        prop_assert!((amplification(c.c_skip) / (c.c_out * c.c_out) - 1.0).abs() < 1e-9);
        prop_assert!(amplification(c.c_skip + 0.01) > amplification(c.c_skip));
        prop_assert!(amplification(c.c_skip - 0.01) > amplification(c.c_skip));
        prop_assert!((c.c_noise.exp() - v.sqrt()).abs() < 1e-12 * v.sqrt());
        // EDM's weight makes the loss on D the unweighted loss on the network's output.
        prop_assert!((TimeWeight::Edm.denoiser_factor(v, sd) * c.c_out * c.c_out - 1.0).abs() < 1e-12);
    }
}

#[test]
fn weights_unweight_what_they_say() {
    let (v, sd) = (0.3, 0.5);
    let level = Level { v, m: 0.2, moments: DataMoments { log_mean: 0.1, log_sd: sd } };
    let (y_bar, a, b) = (0.4, 0.7, -0.2);
    let error = |p: Parameterization| (p.from_denoiser(a, y_bar, &level) - p.from_denoiser(b, y_bar, &level)).powi(2);
    let h = error(Parameterization::Hyvarinen);
    let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
    near(TimeWeight::Paper.lambda(v, sd) * h, error(Parameterization::Denoiser));
    near(TimeWeight::Noise.lambda(v, sd) * h, error(Parameterization::Noise));
    near(TimeWeight::Edm.lambda(v, sd) * h, error(Parameterization::Velocity));
    near(TimeWeight::Likelihood.lambda(v, sd) * h, error(Parameterization::LogScore));
    for weight in [TimeWeight::Paper, TimeWeight::Noise, TimeWeight::Edm, TimeWeight::Likelihood] {
        near(weight.denoiser_factor(v, sd) * (a - b).powi(2), weight.lambda(v, sd) * h);
    }
}

const SAMPLINGS: [TimeSampling; 4] = [
    TimeSampling::LogNormal { mean: -1.0, sd: 1.2, r_min: 0.002, r_max: 5.0 },
    TimeSampling::LogUniform { r_min: 0.01, r_max: 4.0 },
    TimeSampling::Uniform { r_min: 0.01, r_max: 4.0 },
    TimeSampling::Published { sigma: 0.8, steps: 1000 },
];

#[test]
fn quantiles_rise_and_stay_inside() {
    for sampling in SAMPLINGS {
        sampling.check().unwrap();
        let levels: Vec<f64> = (0..10_000).map(|i| sampling.quantile((f64::from(i) + 0.5) / 1e4)).collect();
        assert!(levels.windows(2).all(|w| w[0] <= w[1]));
        let (low, high) = match sampling {
            TimeSampling::LogNormal { r_min, r_max, .. }
            | TimeSampling::LogUniform { r_min, r_max }
            | TimeSampling::Uniform { r_min, r_max } => (r_min * r_min, r_max * r_max),
            TimeSampling::Published { sigma, .. } => (sigma * sigma * 0.001, sigma * sigma * 0.999),
        };
        assert!(levels.iter().all(|&v| v >= low * (1.0 - 1e-12) && v <= high * (1.0 + 1e-12)));
    }
}

#[test]
fn quantiles_have_the_stated_laws() {
    let [log_normal, log_uniform, uniform, published] = SAMPLINGS;
    assert!((log_normal.quantile(0.5) - (-2.0f64).exp()).abs() < 1e-14);
    // Φ(1) of the levels are below one standard deviation.
    assert!((log_normal.quantile(0.841_344_746_068_542_9).sqrt().ln() - 0.2).abs() < 1e-12);
    assert_eq!(log_normal.quantile(1.0 - 1e-9), 25.0);
    assert_eq!(log_normal.quantile(1e-9), 0.002 * 0.002);
    // Rounding up to u = 1 does not leave the authors' steps.
    assert!((published.quantile(1.0) - 0.64 * 0.999).abs() < 1e-15);
    assert!((log_uniform.quantile(0.5).sqrt() - 0.2).abs() < 1e-14);
    assert!((uniform.quantile(0.25) - (0.0001 + 0.25 * 15.9999)).abs() < 1e-12);
    let mut levels = vec![0.0; 999];
    published.stratified(0.5, &mut levels);
    for (i, v) in levels.iter().enumerate() {
        assert!((v - 0.64 * (i + 1) as f64 / 1000.0).abs() < 1e-15, "each of the authors' steps once");
    }
}

#[test]
fn stratified_batches_put_one_level_in_each_quantile() {
    let sampling = SAMPLINGS[1];
    let mut levels = vec![0.0; 64];
    sampling.stratified(0.3, &mut levels);
    for (i, &v) in levels.iter().enumerate() {
        assert!(v > sampling.quantile(i as f64 / 64.0) && v < sampling.quantile((i + 1) as f64 / 64.0));
    }
    sampling.stratified(0.3, &mut []);
}

#[test]
fn bad_parameters_are_named() {
    let refuse = |s: TimeSampling| s.check().unwrap_err().to_string();
    assert!(refuse(TimeSampling::LogNormal { mean: f64::NAN, sd: 1.0, r_min: 0.1, r_max: 1.0 }).contains("mean"));
    assert!(refuse(TimeSampling::LogNormal { mean: 0.0, sd: 0.0, r_min: 0.1, r_max: 1.0 }).contains("sd"));
    assert!(refuse(TimeSampling::LogUniform { r_min: 2.0, r_max: 1.0 }).contains("r_min = 2"));
    assert!(refuse(TimeSampling::LogUniform { r_min: 1.0, r_max: 1.0 }).contains("r_max = 1"));
    assert!(refuse(TimeSampling::Uniform { r_min: 0.0, r_max: 1.0 }).contains("r_min"));
    assert!(refuse(TimeSampling::Published { sigma: 0.8, steps: 1 }).contains("steps"));
    let moments = |log_mean, log_sd| Precondition::new(DataMoments { log_mean, log_sd });
    assert_eq!(moments(0.0, -0.5), Err(ScoreError::NotPositive { name: "log_sd", value: -0.5 }));
    assert!(matches!(moments(f64::INFINITY, 0.5), Err(ScoreError::NotFinite { .. })));
    let good = level(0.5, 0.1);
    assert_eq!(Level { v: 0.0, ..good }.check(), Err(ScoreError::NotPositive { name: "v", value: 0.0 }));
    let log_mean = DataMoments { log_mean: f64::INFINITY, log_sd: 0.4 };
    assert!(matches!(Level { moments: log_mean, ..good }.check(), Err(ScoreError::NotFinite { name: "log_mean", .. })));
    assert!(matches!(Level { m: f64::NAN, ..good }.check(), Err(ScoreError::NotFinite { name: "m", .. })));
    let log_sd = DataMoments { log_mean: 0.0, log_sd: 0.0 };
    assert!(matches!(Level { moments: log_sd, ..good }.check(), Err(ScoreError::NotPositive { name: "log_sd", .. })));
}

#[test]
fn toml_forms() {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        weight: TimeWeight,
        network: Parameterization,
        time: TimeSampling,
    }
    let text = "weight = 'edm'\nnetwork = 'log-score'\ntime = { kind = 'log-normal', mean = -1.0, sd = 1.2, r_min = 0.002, r_max = 5.0 }";
    let file: File = toml::from_str(text).unwrap();
    assert_eq!((file.weight, file.network, file.time), (TimeWeight::Edm, Parameterization::LogScore, SAMPLINGS[0]));
    assert!(toml::from_str::<File>(&text.replace("sd =", "sdd =")).is_err());
    assert!(toml::from_str::<File>(&text.replace("5.0", "5.0, extra = 1")).is_err());
}
