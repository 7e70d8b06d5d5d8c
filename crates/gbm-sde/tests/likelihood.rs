//! Likelihood of an observed path, and the estimates from one: closed forms, the curvature of the likelihood, coverage.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{Drift, Gbm, GbmFit, Noise, ProcessError, Schedule, ScheduleConfig, Stream, Variance};

fn constant(mu: f64, sigma: f64, horizon: f64) -> Gbm {
    let variance = Variance::Constant { sigma };
    Gbm::new(Schedule::new(ScheduleConfig { variance, drift: Drift::Free(mu), horizon }).unwrap())
}

const TIMES: [f64; 7] = [0.3, 0.5, 1.4, 1.5, 2.9, 3.1, 4.0];
const VALUES: [f64; 7] = [1.2, 1.5, 0.9, 0.95, 2.2, 1.7, 2.6];

#[test]
fn likelihood_is_the_product_of_transition_densities() {
    let variance = Variance::Geometric { r_min: 0.1, r_max: 2.0 };
    let gbm = Gbm::new(Schedule::new(ScheduleConfig { variance, drift: Drift::Free(0.2), horizon: 4.0 }).unwrap());
    let expected: f64 =
        (1..7).map(|i| gbm.transition_between(TIMES[i - 1], VALUES[i - 1], TIMES[i]).unwrap().ln_pdf(VALUES[i])).sum();
    let ours = gbm.log_likelihood(&TIMES, &VALUES).unwrap();
    assert!((ours - expected).abs() < 1e-12, "{ours} {expected}");
}

/// At the estimate the gradient vanishes, and the inverse of the negative Hessian holds the squared standard errors.
#[test]
fn estimate_is_the_peak_and_its_curvature_gives_the_errors() {
    let fit = GbmFit::from_path(&TIMES, &VALUES).unwrap();
    let at = |mu: f64, sigma: f64| constant(mu, sigma, 5.0).log_likelihood(&TIMES, &VALUES).unwrap();
    assert!((at(fit.mu, fit.sigma) - fit.log_likelihood).abs() < 1e-12 && fit.increments == 6);
    let f = |a: f64, b: f64| at(fit.mu + a, fit.sigma + b);
    let h = 1e-3;
    assert!((f(h, 0.0) - f(-h, 0.0)).abs() < 1e-8 && (f(0.0, h) - f(0.0, -h)).abs() < 1e-6);
    let second = |f: &dyn Fn(f64) -> f64| {
        (-f(2.0 * h) + 16.0 * f(h) - 30.0 * f(0.0) + 16.0 * f(-h) - f(-2.0 * h)) / (12.0 * h * h)
    };
    let (mm, ss) = (-second(&|d| f(d, 0.0)), -second(&|d| f(0.0, d)));
    // Mixed derivative from the diagonal: f_mm + 2 f_ms + f_ss.
    let ms = 0.5 * (-second(&|d| f(d, d)) - mm - ss);
    let determinant = mm * ss - ms * ms;
    assert!(
        (fit.mu_error / (ss / determinant).sqrt() - 1.0).abs() < 1e-6,
        "{} {}",
        fit.mu_error,
        (ss / determinant).sqrt()
    );
    assert!((fit.sigma_error / (mm / determinant).sqrt() - 1.0).abs() < 1e-6);
}

#[test]
fn equal_spacing_is_the_mean_and_variance_of_log_returns() {
    let times = [2.0, 2.5, 3.0, 3.5];
    let returns = [0.3, -0.1, 0.25f64];
    let mut values = vec![5.0];
    for r in returns {
        values.push(values[values.len() - 1] * f64::exp(r));
    }
    let fit = GbmFit::from_path(&times, &values).unwrap();
    let mean = 0.15;
    let variance = ((0.15f64).powi(2) + 0.25f64.powi(2) + 0.1f64.powi(2)) / 3.0;
    assert!((fit.sigma - (variance / 0.5).sqrt()).abs() < 1e-13);
    assert!((fit.mu - (mean / 0.5 + variance)).abs() < 1e-13);
    assert!((fit.sigma_error - (variance / 0.5 / 6.0).sqrt()).abs() < 1e-13);
}

/// Intervals of ±1.96 standard errors hold the truth 95% of the time: 2,000 paths of 250 irregular steps, within 4 binomial
/// standard deviations (1.9 points); the estimates' own spread agrees with the stated one to 7%.
#[test]
fn intervals_cover_the_truth() {
    let (mu, sigma) = (0.35, 0.7);
    let gbm = constant(mu, sigma, 40.0);
    let noise = Noise::new(77);
    let (paths, steps) = (2000, 250);
    let mut gaps = vec![0.0; steps];
    noise.fill_uniform_f64(Stream::TIME, 0, 0, &mut gaps);
    let mut times = vec![0.0];
    for (i, gap) in gaps.iter().enumerate() {
        times.push(times[i] + 0.01 + 0.28 * gap * gap);
    }
    assert!(times[steps] < 40.0);
    let (mut inside, mut squares) = ([0; 2], [0.0; 2]);
    let mut normals = vec![0.0; steps];
    for index in 0..paths {
        noise.fill_normal_f64(Stream::PERTURB, index, 0, &mut normals);
        let mut values = vec![1.5];
        values.extend(gbm.path(1.5, &times[1..], &normals).unwrap());
        let fit = GbmFit::from_path(&times, &values).unwrap();
        let scaled = [(fit.mu - mu) / fit.mu_error, (fit.sigma - sigma) / fit.sigma_error];
        for k in 0..2 {
            inside[k] += usize::from(scaled[k].abs() < 1.96);
            squares[k] += scaled[k].powi(2) / paths as f64;
        }
    }
    for k in 0..2 {
        let coverage = inside[k] as f64 / paths as f64;
        println!("coverage {coverage:.4}, spread over stated error {:.4}", squares[k].sqrt());
        assert!(
            (coverage - 0.95).abs() < 0.0195 && (squares[k].sqrt() - 1.0).abs() < 0.07,
            "{k}: {coverage} {}",
            squares[k]
        );
    }
}

#[test]
fn bad_observations_are_refused() {
    let fit = |times: &[f64], values: &[f64]| GbmFit::from_path(times, values).unwrap_err();
    assert_eq!(fit(&[0.0, 1.0], &[1.0, 2.0]), ProcessError::Observations { times: 2, values: 2, least: 3 });
    assert_eq!(fit(&[0.0, 1.0, 2.0], &[1.0, 2.0]), ProcessError::Observations { times: 3, values: 2, least: 3 });
    assert_eq!(fit(&[0.0, 1.0, 2.0], &[1.0, 0.0, 1.0]), ProcessError::Value { index: 1, value: 0.0 });
    assert_eq!(fit(&[0.0, 1.0, 1.0], &[1.0, 2.0, 1.0]), ProcessError::Repeated { index: 2 });
    assert_eq!(fit(&[0.0, 1.0, 0.5], &[1.0, 2.0, 1.0]), ProcessError::Order { index: 2, time: 0.5, previous: 1.0 });
    assert!(matches!(fit(&[0.0, f64::NAN, 0.5], &[1.0, 2.0, 1.0]), ProcessError::Order { .. }));
    assert_eq!(fit(&[0.0, 1.0, 2.0], &[1.0, 1.0, 1.0]), ProcessError::NoSpread(0.0));
    let gbm = constant(0.1, 0.5, 2.0);
    assert!(gbm.log_likelihood(&[0.0, 1.0], &[1.0, 1.1]).is_ok());
    assert!(matches!(gbm.log_likelihood(&[0.0], &[1.0]), Err(ProcessError::Observations { least: 2, .. })));
    assert_eq!(gbm.log_likelihood(&[1.0, 2.5, 3.0], &[1.0, 1.0, 1.0]), Err(ProcessError::Repeated { index: 2 }));
}
