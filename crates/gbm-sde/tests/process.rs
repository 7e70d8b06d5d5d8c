//! The process against its own differential equation: the transition density solves the Fokker–Planck equation, the
//! reverse drifts carry the marginals back, the step coefficients integrate the drifts.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::process::fokker_planck::Differences;
use gbm_sde::{Drift, Gbm, LogNormal, LogStep, ProcessError, Schedule, ScheduleConfig, StepError, Variance};

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

/// The library's own residual: the three terms by other differences, fourth order on a true density, and not small for a wrong drift.
#[test]
fn fokker_planck_residual_falls_with_the_grid_and_only_for_the_right_process() {
    let gbm = gbm();
    let density = |x: f64, t: f64| gbm.transition(1.3, t).unwrap().pdf(x);
    let (xs, times) = ([0.6, 1.0, 1.7, 3.0], [0.4, 0.9, 1.3]);
    let worst = |gbm: &Gbm, step: f64| {
        let grid = gbm.fokker_planck_grid(density, &xs, &times, Differences { dx: step, dt: step }).unwrap();
        assert_eq!((grid.len(), grid[0].len()), (3, 4));
        grid.iter().flatten().map(|terms| terms.residual().abs() / terms.scale()).fold(0.0, f64::max)
    };
    let (coarse, fine) = (worst(&gbm, 0.04), worst(&gbm, 0.02));
    assert!(coarse < 0.02 && coarse / fine > 13.0 && coarse / fine < 19.0, "{coarse} {fine}");
    assert!(worst(&gbm, 1e-3) < 1e-7, "{}", worst(&gbm, 1e-3));
    let variance = Variance::Linear { sigma_min: 0.4, sigma_max: 1.1 };
    for (drift, variance) in [
        (Drift::Free(-0.25), variance.clone()),
        (Drift::ZeroLog, variance),
        (Drift::Free(0.25), Variance::Linear { sigma_min: 0.5, sigma_max: 1.1 }),
    ] {
        let wrong = Gbm::new(Schedule::new(ScheduleConfig { variance, drift, horizon: 1.5 }).unwrap());
        assert!(worst(&wrong, 1e-3) > 0.05);
    }
    // Rows are times, columns are values; each term on its own.
    let grid = gbm.fokker_planck_grid(density, &xs, &times, Differences::default()).unwrap();
    let (x, t, terms) = (xs[2], times[1], grid[1][2]);
    let (mu, s2) = (gbm.schedule.mu(t), gbm.schedule.sigma(t).powi(2));
    let h = 1e-4;
    let change = (density(x, t + h) - density(x, t - h)) / (2.0 * h);
    let transport = mu * ((x + h) * density(x + h, t) - (x - h) * density(x - h, t)) / (2.0 * h);
    assert!((terms.change - change).abs() < 1e-6 && (terms.transport - transport).abs() < 1e-6);
    let flux = |x: f64| 0.5 * s2 * x * x * density(x, t);
    assert!((terms.diffusion - (flux(x + h) - 2.0 * flux(x) + flux(x - h)) / (h * h)).abs() < 1e-6);
    assert_eq!(terms.scale(), terms.change.abs().max(terms.transport.abs()).max(terms.diffusion.abs()));
}

#[test]
fn fokker_planck_differences_must_fit() {
    let (gbm, steps) = (gbm(), Differences::default());
    let at = |x: f64, t: f64, steps| gbm.fokker_planck(|_, _| 1.0, x, t, steps);
    assert!(at(1.0, 0.0021, steps).is_ok() && at(1.0, 1.4979, steps).is_ok());
    for (x, t) in
        [(1.0, 0.0019), (1.0, 1.4981), (0.0, 0.5), (-1.0, 0.5), (f64::NAN, 0.5), (1.0, f64::NAN), (f64::INFINITY, 0.5)]
    {
        assert!(matches!(at(x, t, steps), Err(ProcessError::Stencil { .. })), "{x} {t}");
    }
    for steps in [(0.0, 1e-3), (1e-3, 0.0), (0.5, 1e-3), (-1e-3, 1e-3)] {
        assert!(at(1.0, 0.5, Differences { dx: steps.0, dt: steps.1 }).is_err());
    }
}

/// Chapman and Kolmogorov: from 0 to s and on to t is from 0 to t.
#[test]
fn transitions_compose() {
    let gbm = gbm();
    let (s, t, x) = (0.5, 1.2, 2.1);
    let h = 0.01;
    let sum: f64 = (-900..=900)
        .map(|i| (f64::from(i) * h).exp())
        .map(|z| gbm.transition(1.3, s).unwrap().pdf(z) * gbm.transition_between(s, z, t).unwrap().pdf(x) * z * h)
        .sum();
    assert!((sum / gbm.transition(1.3, t).unwrap().pdf(x) - 1.0).abs() < 1e-12);
    assert!(gbm.transition_between(0.5, 1.0, 0.5).is_err() && gbm.transition_between(0.5, 1.0, 0.4).is_err());
    assert!(gbm.transition_between(0.5, -1.0, 0.6).is_err());
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
fn published_ambient_step_comes_out_of_the_general_one() {
    let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.11), horizon: 1.0 };
    let step = LogStep::between_times(&Schedule::new(config).unwrap(), 0.5, 0.49).unwrap();
    let (delta, s2, mu, h, z, x) = (0.01, 0.64, 0.11, -1.7, 0.6, 1.3);
    let factor = 1.0 + delta * (2.0 * s2 - mu + s2 * h) + 0.8 * 0.1 * z;
    assert!((step.euler_factor().apply(x, h, z) - x * factor).abs() < 1e-14);
    let milstein = factor + 0.5 * s2 * delta * (z * z - 1.0);
    assert!((step.milstein_factor().apply(x, h, z) - x * milstein).abs() < 1e-14);
}

/// `1 + a + b h + c z` integrates the ambient reverse drift and the quadratic variation of any schedule.
#[test]
fn ambient_coefficients_integrate_the_ambient_reverse_drift() {
    let gbm = gbm();
    let (t, t_next, h) = (1.2, 0.7, -1.9);
    let step = LogStep::between_times(&gbm.schedule, t, t_next).unwrap();
    let euler = step.euler_factor();
    let n = 2000;
    let width = (t - t_next) / f64::from(n);
    let times = (0..n).map(|i| t_next + (f64::from(i) + 0.5) * width);
    let drift: f64 = times.clone().map(|t| gbm.reverse_drift(1.0, h, t) * width).sum();
    let quadratic: f64 = times.map(|t| gbm.schedule.sigma(t).powi(2) * width).sum();
    assert!((euler.a + euler.b * h - drift).abs() < 1e-7);
    assert!((euler.c * euler.c - quadratic).abs() < 1e-7);
    assert_eq!(step.milstein_factor().euler, euler);
    assert!((step.milstein_factor().d - 0.5 * quadratic).abs() < 1e-7);
}

/// All three updates are one to the order of the step: they differ from the exponential by 1 (Euler) and 3/2 (Milstein) in √Δv.
#[test]
fn ambient_updates_approach_the_exponential_one_at_their_order() {
    let gbm = gbm();
    let (t, x, h, z) = (1.0, 1.4, -1.2, 0.9);
    let gap = |delta: f64| {
        let step = LogStep::between_times(&gbm.schedule, t, t - delta).unwrap();
        let exact = step.exponent().apply(x, h, z);
        [(step.euler_factor().apply(x, h, z) - exact).abs(), (step.milstein_factor().apply(x, h, z) - exact).abs()]
    };
    let (coarse, fine) = (gap(4e-4), gap(1e-4));
    assert!((coarse[0] / fine[0] - 4.0).abs() < 0.3, "{:?} {:?}", coarse, fine);
    assert!((coarse[1] / fine[1] - 8.0).abs() < 0.6, "{:?} {:?}", coarse, fine);
}

#[test]
fn steps_must_fall() {
    assert_eq!(LogStep::between_levels(0.5, 0.5), Err(StepError::Levels { from: 0.5, to: 0.5 }));
    for (v, v_next) in [(0.1, 0.2), (0.1, -0.1), (f64::INFINITY, 1.0), (f64::NAN, 0.0), (1.0, f64::NAN)] {
        assert!(LogStep::between_levels(v, v_next).is_err());
    }
}
