//! The process against its own differential equation: the transition density solves the Fokker–Planck equation, the
//! reverse drifts carry the marginals back, the step coefficients integrate the drifts.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{Drift, Gbm, LogNormal, LogStep, Schedule, ScheduleConfig, StepError, Variance};

fn gbm() -> Gbm {
    let variance = Variance::Linear { sigma_min: 0.4, sigma_max: 1.1 };
    Gbm::new(Schedule::new(ScheduleConfig { variance, drift: Drift::Free(0.25), horizon: 1.5 }).unwrap())
}

/// First and second derivative by central differences of fourth order.
fn derivatives(f: impl Fn(f64) -> f64, x: f64, h: f64) -> (f64, f64) {
    let (a, b, c, d, e) = (f(x - 2.0 * h), f(x - h), f(x), f(x + h), f(x + 2.0 * h));
    ((a - 8.0 * b + 8.0 * d - e) / (12.0 * h), (-a + 16.0 * b - 30.0 * c + 16.0 * d - e) / (12.0 * h * h))
}

#[test]
fn transition_density_solves_the_fokker_planck_equation() {
    let gbm = gbm();
    let density = |x: f64, t: f64| gbm.transition(1.3, t).unwrap().pdf(x);
    for t in [0.4, 0.9, 1.3] {
        let (mu, s2) = (gbm.schedule.mu(t), gbm.schedule.sigma(t).powi(2));
        for x in [0.6, 1.0, 1.7, 3.0] {
            let (change, _) = derivatives(|t| density(x, t), t, 1e-3);
            let (transport, _) = derivatives(|x| mu * x * density(x, t), x, 1e-3);
            let (_, spread) = derivatives(|x| s2 * x * x * density(x, t), x, 1e-3);
            assert!((change + transport - 0.5 * spread).abs() < 1e-7, "t {t}, x {x}");
        }
    }
}

#[test]
fn mean_variance_and_median_of_the_transition() {
    let (gbm, t) = (gbm(), 1.1);
    let law = gbm.transition(2.0, t).unwrap();
    let v = gbm.schedule.log_variance(t);
    assert!((law.mean() / (2.0 * (0.25 * t).exp()) - 1.0).abs() < 1e-14);
    assert!((law.variance() / (4.0 * (0.5 * t).exp() * v.exp_m1()) - 1.0).abs() < 1e-13);
    assert!((law.median() - gbm.perturb(2.0, t, 0.0)).abs() < 1e-14);
    assert!((gbm.perturb(2.0, t, 1.4) - law.sample(1.4)).abs() < 1e-13);
    assert!(gbm.transition(2.0, 0.0).is_err());
}

/// For log-normal data every marginal is log-normal, and the flow maps quantile to quantile: dY/dt of a fixed quantile.
#[test]
fn flow_velocity_moves_quantiles() {
    let gbm = gbm();
    let (mean, s2) = (0.2, 0.3);
    let path = |t: f64, z: f64| mean + gbm.schedule.log_drift(t) + (s2 + gbm.schedule.log_variance(t)).sqrt() * z;
    for (t, z) in [(0.2, -1.0), (0.7, 0.5), (1.2, 2.0)] {
        let total: f64 = s2 + gbm.schedule.log_variance(t);
        let marginal = LogNormal::new(mean + gbm.schedule.log_drift(t), total.sqrt()).unwrap();
        let g = 1.0 + marginal.hyvarinen_score(path(t, z).exp());
        let (velocity, _) = derivatives(|t| path(t, z), t, 1e-3);
        assert!((gbm.flow_velocity(g, t) - velocity).abs() < 1e-9);
    }
}

/// Reverse time run with its own drift keeps the marginals: the Fokker–Planck equation of the reverse process, whose density
/// falls back in τ = T − t, is the forward one with the sign of time turned.
#[test]
fn reverse_drifts_solve_the_reversed_fokker_planck_equation() {
    let gbm = gbm();
    let law = |t: f64| {
        let (m, v) = (gbm.schedule.log_drift(t), gbm.schedule.log_variance(t));
        LogNormal::new(0.2 + m, (0.3 + v).sqrt()).unwrap()
    };
    for t in [0.3, 0.8, 1.2] {
        let s2 = gbm.schedule.sigma(t).powi(2);
        for x in [0.7, 1.2, 2.5] {
            let (change, _) = derivatives(|t| law(t).pdf(x), t, 1e-3);
            let flux = |x: f64| gbm.reverse_drift(x, law(t).hyvarinen_score(x), t) * law(t).pdf(x);
            let (transport, _) = derivatives(flux, x, 1e-3);
            let (_, spread) = derivatives(|x| s2 * x * x * law(t).pdf(x), x, 1e-3);
            assert!((-change + transport - 0.5 * spread).abs() < 1e-7, "ambient t {t}, x {x}");

            let density = |y: f64, t: f64| law(t).pdf(y.exp()) * y.exp();
            let y = x.ln();
            let (change, _) = derivatives(|t| density(y, t), t, 1e-3);
            let flux = |y: f64| gbm.log_reverse_drift(law(t).hyvarinen_score(y.exp()), t) * density(y, t);
            let (transport, _) = derivatives(flux, y, 1e-3);
            let (_, spread) = derivatives(|y| s2 * density(y, t), y, 1e-3);
            assert!((-change + transport - 0.5 * spread).abs() < 1e-7, "log t {t}, x {x}");
        }
    }
}

#[test]
fn path_reaches_the_same_end_as_one_perturbation() {
    let gbm = gbm();
    let times = [0.0, 0.3, 0.31, 1.0, 1.5];
    let normals = [3.0, 0.5, -1.2, 2.0, -0.1];
    let path = gbm.path(1.4, &times, &normals).unwrap();
    assert_eq!(path[0], 1.4f64.ln().exp());
    // The increments are independent normals, so their sum is one normal of the total variance.
    let level = |t: f64| gbm.schedule.log_variance(t);
    let sum: f64 = (1..5).map(|i| (level(times[i]) - level(times[i - 1])).sqrt() * normals[i]).sum();
    let end = gbm.perturb(1.4, 1.5, sum / level(1.5).sqrt());
    assert!((path[4] / end - 1.0).abs() < 1e-13);
    assert!(gbm.path(1.0, &[0.5, 0.2], &[0.0, 0.0]).is_err());
    assert!(gbm.path(1.0, &[0.5], &[]).is_err());
    assert!(gbm.path(1.0, &[f64::NAN], &[0.0]).is_err());
}

#[test]
fn step_coefficients_integrate_the_reverse_drift() {
    let gbm = gbm();
    let (t, t_next, h) = (1.2, 0.7, -1.9);
    let e = LogStep::between_times(&gbm.schedule, t, t_next).unwrap().exponent();
    let n = 2000;
    let width = (t - t_next) / f64::from(n);
    let drift: f64 = (0..n).map(|i| gbm.log_reverse_drift(h, t_next + (f64::from(i) + 0.5) * width) * width).sum();
    assert!((e.a + e.b * h - drift).abs() < 1e-7);
    let quadratic: f64 =
        (0..n).map(|i| gbm.schedule.sigma(t_next + (f64::from(i) + 0.5) * width).powi(2) * width).sum();
    assert!((e.c * e.c - quadratic).abs() < 1e-7);
}

#[test]
fn ambient_and_centred_updates_are_one() {
    let gbm = gbm();
    let (t, t_next, x, h, z) = (1.2, 0.7, 1.9f64, -2.3, 0.8);
    let step = LogStep::between_times(&gbm.schedule, t, t_next).unwrap();
    let y_bar = x.ln() - gbm.schedule.log_drift(t);
    let denoised = y_bar + step.v * (h + 1.0);
    let next = step.alpha() * y_bar + step.beta() * denoised + step.eta() * z;
    let ambient = step.exponent().apply(x, h, z);
    assert!((ambient.ln() - gbm.schedule.log_drift(t_next) - next).abs() < 1e-14);
    assert!(step.exponent().apply(-x, h, z) < 0.0);
}

#[test]
fn published_constants_come_out_of_the_general_step() {
    let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.11), horizon: 1.0 };
    let schedule = Schedule::new(config).unwrap();
    let e = LogStep::between_times(&schedule, 0.5, 0.49).unwrap().exponent();
    let (delta, s2, mu) = (0.01, 0.64, 0.11);
    assert!((e.a - delta * (1.5 * s2 - mu)).abs() < 1e-15);
    assert!((e.b - delta * s2).abs() < 1e-15 && (e.c - 0.8 * 0.1).abs() < 1e-14);
}

#[test]
fn steps_must_fall() {
    assert_eq!(LogStep::between_levels(0.5, 0.5), Err(StepError::Levels { from: 0.5, to: 0.5 }));
    for (v, v_next) in [(0.1, 0.2), (0.1, -0.1), (f64::INFINITY, 1.0), (f64::NAN, 0.0), (1.0, f64::NAN)] {
        assert!(LogStep::between_levels(v, v_next).is_err());
    }
}
