//! Grids, priors and samplers from configuration: their values, and the refusals.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{Drift, Noise, Schedule, ScheduleConfig, Variance};
use ndarray::Array2;
use samplers::{
    AdaptiveConfig, ConfigError, FittedPrior, Grid, GridConfig, Prior, PriorConfig, PublishedConfig, Sampler,
    SamplerConfig,
};
use score_match::DataMoments;

fn schedule() -> Schedule {
    let variance = Variance::Geometric { r_min: 0.05, r_max: 4.0 };
    Schedule::new(ScheduleConfig { variance, drift: Drift::ZeroLog, horizon: 2.0 }).unwrap()
}

#[test]
fn karras_levels() {
    // Karras et al., equation 5, evaluated independently: σ_min 0.002, σ_max 80, ρ 7, the middle of 3 levels.
    let grid = GridConfig::Karras { r_min: 0.002, r_max: 80.0, rho: 7.0, steps: 3 }.build(None).unwrap();
    assert_eq!(grid.levels().len(), 4);
    assert_eq!((grid.levels()[0], grid.levels()[2], grid.levels()[3]), (6400.0, 0.002f64.powi(2), 0.0));
    assert!((grid.levels()[1].sqrt() / MIDDLE - 1.0).abs() < 1e-12, "{}", grid.levels()[1].sqrt());
    assert_eq!((grid.steps(), grid.start()), (3, 6400.0));
}

const MIDDLE: f64 = 2.515_218_976_147_159_4;

#[test]
fn other_grids() {
    let geometric = GridConfig::LogNoise { r_min: 0.01, r_max: 1.0, steps: 3 }.build(None).unwrap();
    assert!((geometric.levels()[1] - 0.01).abs() < 1e-15);
    let time = GridConfig::UniformTime { steps: 4 }.build(Some(&schedule())).unwrap();
    for (i, &v) in time.levels().iter().enumerate() {
        assert!((v - schedule().log_variance(2.0 - 0.5 * i as f64)).abs() < 1e-14);
    }
    let published = GridConfig::Published { sigma: 0.8, steps: 1000 }.build(None).unwrap();
    assert_eq!(published.steps(), 1000);
    // The network is told 0.64 (k + 1)/1000 at k = 999 … 0.
    for (i, k) in (0..1000).rev().enumerate() {
        assert!((published.levels()[i] - 0.64 * (k as f64 + 1.0) / 1000.0).abs() < 1e-15);
    }
    for steps in [1, 2] {
        assert_eq!(GridConfig::LogNoise { r_min: 0.1, r_max: 1.0, steps }.build(None).unwrap().steps(), steps);
    }
}

#[test]
fn bad_grids_are_refused() {
    let refuse = |config: GridConfig| config.build(None).unwrap_err();
    let karras = |r_min, r_max, rho, steps| refuse(GridConfig::Karras { r_min, r_max, rho, steps });
    assert_eq!(karras(2.0, 1.0, 7.0, 5), ConfigError::Range { r_min: 2.0, r_max: 1.0 });
    assert_eq!(karras(0.1, 1.0, 7.0, 0), ConfigError::Zero { what: "grid", name: "steps" });
    assert!(karras(0.0, 1.0, 7.0, 5).to_string().contains("r_min"));
    assert!(karras(0.1, f64::NAN, 7.0, 5).to_string().contains("r_max"));
    assert!(karras(0.1, 1.0, -1.0, 5).to_string().contains("rho"));
    assert_eq!(refuse(GridConfig::UniformTime { steps: 3 }), ConfigError::NoSchedule);
    assert!(matches!(refuse(GridConfig::Published { sigma: -0.8, steps: 10 }), ConfigError::NotPositive { .. }));
    // So close that levels coincide in double precision.
    let close = karras(1.0, 1.0 + 1e-15, 7.0, 100);
    assert!(matches!(close, ConfigError::NotFalling { .. }), "{close}");
    for levels in [
        vec![1.0],
        vec![],
        vec![1.0, 0.5],
        vec![1.0, 1.0, 0.0],
        vec![0.0, 0.0],
        vec![f64::NAN, 0.0],
        vec![f64::INFINITY, 0.0],
        vec![1.0, 0.0, 0.0],
    ] {
        assert!(Grid::new(levels.clone()).is_err(), "{levels:?}");
    }
}

fn independent(built: Result<FittedPrior, ConfigError>) -> Prior {
    let FittedPrior::Independent(prior) = built.unwrap() else { panic!() };
    prior
}

#[test]
fn priors() {
    let moments = DataMoments { log_mean: 0.095, log_sd: 0.219 };
    let matched = independent(PriorConfig::default().build(&moments, None, 0.64));
    assert!((matched.mean - 0.095).abs() < 1e-15 && (matched.sd - (0.64f64 + 0.219 * 0.219).sqrt()).abs() < 1e-15);
    let published = independent(PriorConfig::LogNormal { a: 0.1565, b: 0.8353 }.build(&moments, None, 0.64));
    assert_eq!(published, Prior { mean: 0.1565, sd: 0.8353 });
    let draws = published.draw_f64(&Noise::new(2), 0, 200, 500);
    assert!((draws.mean().unwrap() - 0.1565).abs() < 4.0 * 0.8353 / 100_000f64.sqrt());
    assert!((draws.std(0.0) / 0.8353 - 1.0).abs() < 4.0 / 200_000f64.sqrt());
    let late = published.draw_f32(&Noise::new(2), 150, 1, 500);
    assert!(draws.row(150).iter().zip(late.row(0)).all(|(a, b)| (*a as f32 - b).abs() < 1e-6));
    assert!(PriorConfig::LogNormal { a: f64::NAN, b: 1.0 }.build(&moments, None, 1.0).is_err());
    assert!(PriorConfig::LogNormal { a: 0.0, b: 0.0 }.build(&moments, None, 1.0).is_err());
    assert!(PriorConfig::MomentMatched {}.build(&DataMoments { log_mean: 0.0, log_sd: -1.0 }, None, 1.0).is_err());
    assert!(PriorConfig::MomentMatched {}.build(&moments, None, 0.0).is_err());
}

#[derive(serde::Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct File {
    grid: GridConfig,
    prior: PriorConfig,
    sampler: SamplerConfig,
}

const TEXT: &str = "
    grid = { kind = 'karras', r_min = 0.01, r_max = 4.0, rho = 7.0, steps = 18 }
    prior = { kind = 'moment-matched' }
    sampler = { kind = 'heun' }";

#[test]
fn toml_forms() {
    let read = |from: &str, to: &str| toml::from_str::<File>(&TEXT.replace(from, to));
    let file = read("", "").unwrap();
    assert_eq!(file.grid, GridConfig::Karras { r_min: 0.01, r_max: 4.0, rho: 7.0, steps: 18 });
    assert_eq!((file.prior, file.sampler), (PriorConfig::MomentMatched {}, SamplerConfig::Heun {}));
    let other = read("'heun'", "'published-dale-langevin', delta = 2.113e-4, inner = 3").unwrap();
    let expected = PublishedConfig { delta: 2.113e-4, inner: 3, ..PublishedConfig::default() };
    assert_eq!(other.sampler, SamplerConfig::PublishedDaleLangevin(expected));
    let other = read("'moment-matched'", "'log-normal', a = 0.1565, b = 0.8353").unwrap();
    assert_eq!(other.prior, PriorConfig::LogNormal { a: 0.1565, b: 0.8353 });
    let other = read("'moment-matched'", "'full-covariance', rank = 20").unwrap();
    assert_eq!(other.prior, PriorConfig::FullCovariance { rank: 20 });
    let other = read("'moment-matched'", "'full-covariance'").unwrap();
    assert_eq!(other.prior, PriorConfig::FullCovariance { rank: 64 });
    assert_eq!(read("'moment-matched'", "'class-average'").unwrap().prior, PriorConfig::ClassAverage {});
    let other = read("'karras', r_min = 0.01, r_max = 4.0, rho = 7.0, steps = 18", "'published'").unwrap();
    assert_eq!(other.grid, GridConfig::Published { sigma: 0.8, steps: 1000 });
    let other = read("'karras', r_min = 0.01, r_max = 4.0, rho = 7.0, steps = 18", "'table', r = [2.0, 0.5]").unwrap();
    assert_eq!(other.grid.build(None).unwrap().levels(), [4.0, 0.25, 0.0]);
    let nested = "'predictor-corrector', predictor = { kind = 'dpm-solver-3m', start = 'heun' }";
    let SamplerConfig::PredictorCorrector(config) = read("'heun'", nested).unwrap().sampler else { panic!() };
    assert_eq!((config.snr, config.corrections), (0.1, 1));
    let adaptive = AdaptiveConfig { relative: 1e-3, ..AdaptiveConfig::default() };
    assert_eq!(read("'heun'", "'adaptive', relative = 1e-3").unwrap().sampler, SamplerConfig::Adaptive(adaptive));
    for (from, to) in [
        ("'heun'", "'adaptive', relatve = 1e-3"),
        ("'heun'", "'predictor-corrector'"),
        ("'heun'", "'dpm-solver-3m', start = 'heunn'"),
        ("'heun'", "'heunn'"),
        ("'heun'", "'heun', steps = 3"),
        ("'heun'", "'dale-langevin', delta = 3"),
        ("'heun'", "'published-dale-langevin', detla = 1e-4"),
        ("'moment-matched'", "'moment-matched', a = 0.1"),
        ("'moment-matched'", "'full-covariance', rnak = 20"),
        ("'moment-matched'", "'full-covariance', rank = -1"),
        ("'moment-matched'", "'class-average', classes = 10"),
        ("'moment-matched'", "'class-averages'"),
        ("rho = 7.0", "rho = 'seven'"),
        ("rho = 7.0", "rho = 7.0, rhoo = 1"),
    ] {
        assert!(read(from, to).is_err(), "{to}");
    }
}

#[test]
fn samplers_are_built_and_checked() {
    let name =
        |config: SamplerConfig| config.build::<Array2<f32>>().map(|s: Box<dyn Sampler<_>>| (s.name(), s.calls(18)));
    assert_eq!(name(SamplerConfig::Heun {}).unwrap(), ("heun", 35));
    assert_eq!(name(SamplerConfig::DaleLangevin {}).unwrap(), ("dale-langevin", 18));
    let published = PublishedConfig { inner: 3, final_passes: 25, ..PublishedConfig::default() };
    assert_eq!(name(SamplerConfig::PublishedDaleLangevin(published)).unwrap(), ("published-dale-langevin", 79));
    for (bad, word) in [
        (PublishedConfig { delta: 0.0, ..published }, "delta"),
        (PublishedConfig { inner: 0, ..published }, "inner"),
        (PublishedConfig { anneal: f64::NAN, ..published }, "anneal"),
        (PublishedConfig { sigma: -0.8, ..published }, "sigma"),
    ] {
        assert!(name(SamplerConfig::PublishedDaleLangevin(bad)).unwrap_err().to_string().contains(word));
    }
}

#[test]
fn settings_that_are_not_allowed_are_named() {
    for (text, words) in [
        ("kind = 'unconstrained'\ndrift = nan", "unconstrained: drift must be finite, got NaN"),
        ("kind = 'milstein'\ndrift = inf", "milstein: drift must be finite"),
        ("kind = 'stochastic-heun'\nchurn = -1.0", "stochastic-heun: churn must be finite and at least 0, got -1"),
        ("kind = 'sde-dpm-solver-2m'\neta = -0.5", "eta must be finite and at least 0, got -0.5"),
        ("kind = 'adaptive'\nrelative = 0.0", "adaptive: relative must be positive"),
        ("kind = 'adaptive'\nabsolute = -1.0", "adaptive: absolute must be positive"),
        ("kind = 'adaptive'\nmost_steps = 0", "adaptive: most_steps must be at least 1"),
        ("kind = 'predictor-corrector'\npredictor = { kind = 'heun' }\nsnr = 1.0", "snr must be below 1, got 1"),
        (
            "kind = 'predictor-corrector'\npredictor = { kind = 'heun' }\ncorrections = 0",
            "corrections must be at least 1",
        ),
        ("kind = 'predictor-corrector'\npredictor = { kind = 'milstein' }", "`milstein` cannot be the predictor"),
        ("kind = 'published-unconstrained'\ndelta = 0.0", "published-unconstrained: delta must be positive"),
    ] {
        let error = toml::from_str::<SamplerConfig>(text).unwrap().build::<Array2<f64>>().err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
}
