//! Schedules: integrals against quadrature, the inverse, the drift choices, TOML and refusals.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

mod reference;

use gbm_sde::{Drift, Schedule, ScheduleConfig, ScheduleError, Variance};
use proptest::prelude::*;

fn schedule(variance: Variance, drift: Drift, horizon: f64) -> Schedule {
    Schedule::new(ScheduleConfig { variance, drift, horizon }).unwrap()
}

fn all() -> Vec<Schedule> {
    let variances = [
        Variance::Constant { sigma: 0.8 },
        Variance::Linear { sigma_min: 0.1, sigma_max: 1.7 },
        Variance::Linear { sigma_min: 0.0, sigma_max: 2.0 },
        Variance::Geometric { r_min: 0.01, r_max: 3.0 },
        Variance::Karras { r_min: 0.02, r_max: 3.0, rho: 7.0 },
        Variance::Karras { r_min: 0.3, r_max: 1.3, rho: 0.6 },
        Variance::Table { knots: vec![[0.0, 0.0], [0.4, 0.03], [0.9, 0.5], [1.1, 0.55], [2.0, 1.9]] },
    ];
    let drifts = [Drift::ZeroLog, Drift::ZeroMean, Drift::Free(0.3)];
    let pairs = variances.iter().flat_map(|v| drifts.iter().map(move |d| (v.clone(), *d)));
    pairs.map(|(v, d)| schedule(v, d, 2.0)).collect()
}

/// Simpson's rule from 0, between the knots of the table above.
fn integral(f: impl Fn(f64) -> f64, to: f64) -> f64 {
    let knots = [0.0, 0.4, 0.9, 1.1, 2.0];
    let n = 2000;
    let piece = |from: f64, to: f64| {
        let h = (to - from) / f64::from(n);
        let at = |i: i32| f(from + f64::from(i) * h);
        let inner: f64 = (1..n).map(|i| if i % 2 == 1 { 4.0 * at(i) } else { 2.0 * at(i) }).sum();
        (at(0) + inner + at(n)) * h / 3.0
    };
    knots.windows(2).filter(|k| k[0] < to).map(|k| piece(k[0], k[1].min(to))).sum()
}

#[test]
fn variance_and_drift_are_the_integrals_of_the_coefficients() {
    for s in all() {
        for t in [0.0, 0.3, 0.7, 1.999, 2.0] {
            let v = integral(|t| s.sigma(t).powi(2), t);
            let m = integral(|t| s.mu(t) - 0.5 * s.sigma(t).powi(2), t);
            assert!((s.log_variance(t) - v).abs() < 1e-9, "{:?} v({t})", s.config());
            assert!((s.log_drift(t) - m).abs() < 1e-9, "{:?} m({t})", s.config());
        }
    }
}

#[test]
fn geometric_ends_are_exact() {
    let s = schedule(Variance::Geometric { r_min: 0.01, r_max: 3.0 }, Drift::ZeroLog, 2.0);
    assert_eq!((s.log_variance(0.0), s.log_variance(2.0)), (0.0, 9.0));
    // By quadrature of the volatility in 40 digits.
    assert!((s.log_variance(0.7) / 0.005_319_879_297_823_201_6 - 1.0).abs() < 1e-13);
}

/// EDM's own spacing of noise levels, scaled and shifted as documented; and its limit, the geometric schedule.
#[test]
fn karras_is_the_spacing_of_edm() {
    let (r_min, r_max, rho) = (0.02, 3.0, 5.0);
    let s = schedule(Variance::Karras { r_min, r_max, rho }, Drift::ZeroLog, 2.0);
    assert_eq!((s.log_variance(0.0), s.log_variance(2.0)), (0.0, 9.0));
    for fraction in [0.01f64, 0.2, 0.57, 0.93] {
        let (low, high) = (f64::powf(r_min, 1.0 / rho), f64::powf(r_max, 1.0 / rho));
        let r = (low + fraction * (high - low)).powf(rho);
        let v = r_max * r_max * (r * r - r_min * r_min) / (r_max * r_max - r_min * r_min);
        assert!((s.log_variance(2.0 * fraction) / v - 1.0).abs() < 1e-11, "{fraction}");
    }
    let limit = schedule(Variance::Karras { r_min, r_max, rho: 1e7 }, Drift::ZeroLog, 2.0);
    let geometric = schedule(Variance::Geometric { r_min, r_max }, Drift::ZeroLog, 2.0);
    for t in [0.1, 0.9, 1.6] {
        assert!((limit.log_variance(t) / geometric.log_variance(t) - 1.0).abs() < 1e-5);
        assert!((limit.sigma(t) / geometric.sigma(t) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn table_is_scipys_pchip_and_meets_its_knots() {
    let laws = reference::laws();
    let s = schedule(Variance::Table { knots: laws.knots.clone() }, Drift::ZeroMean, 1.5);
    for [t, v, slope] in laws.pchip {
        assert!((s.log_variance(t) - v).abs() < 1e-13, "v({t}): {} {v}", s.log_variance(t));
        assert!(
            (s.sigma(t).powi(2) - slope).abs() < 1e-12 * slope.max(1.0),
            "slope at {t}: {} {slope}",
            s.sigma(t).powi(2)
        );
    }
    for [t, v] in laws.knots {
        assert_eq!((s.log_variance(t), s.time_at_variance(v).unwrap()), (v, t));
    }
    let line = schedule(Variance::Table { knots: vec![[0.0, 0.0], [2.0, 3.0]] }, Drift::ZeroLog, 2.0);
    assert!((line.log_variance(0.7) - 1.05).abs() < 1e-15 && (line.sigma(0.7) - 1.5f64.sqrt()).abs() < 1e-15);
    assert!(line.log_variance(f64::NAN).is_nan());
    // A first slope that the three-point formula would make negative is 0, and the way back still works.
    let steep = schedule(Variance::Table { knots: vec![[0.0, 0.0], [1.0, 0.001], [1.1, 5.0]] }, Drift::ZeroLog, 1.1);
    assert_eq!(steep.sigma(0.0), 0.0);
    for v in [1e-12, 1e-7, 5e-4, 0.9e-3, 0.3, 4.999_999] {
        let back = steep.log_variance(steep.time_at_variance(v).unwrap());
        assert!((back / v - 1.0).abs() < 1e-9, "{v} {back}");
    }
}

#[test]
fn drift_choices_fix_median_or_mean() {
    for s in all() {
        let (m, v) = (s.log_drift(1.3), s.log_variance(1.3));
        match s.config().drift {
            Drift::ZeroLog => assert_eq!(m, 0.0),
            Drift::ZeroMean => assert!((m + 0.5 * v).abs() < 1e-15),
            Drift::Free(mu) => assert!((m - (mu * 1.3 - 0.5 * v)).abs() < 1e-14),
        }
    }
}

proptest! {
    #[test]
    fn inverse_finds_the_time(fraction in 0.0..=1.0f64) {
        for s in all() {
            let t = fraction * s.horizon();
            let v = s.log_variance(t);
            let back = s.time_at_variance(v).unwrap();
            prop_assert!((s.log_variance(back) - v).abs() <= 1e-13 * v.max(1e-3), "{:?}", s.config());
        }
    }

    #[test]
    fn variance_grows(a in 0.0..2.0f64, b in 0.0..2.0f64) {
        prop_assume!((a - b).abs() > 1e-9);
        let (low, high) = (a.min(b), a.max(b));
        for s in all() {
            prop_assert!(s.log_variance(low) < s.log_variance(high));
        }
    }
}

#[test]
fn variances_outside_the_range_are_refused() {
    for s in all() {
        let max = s.log_variance(s.horizon());
        assert_eq!(s.time_at_variance(max).unwrap(), s.horizon());
        assert_eq!(s.time_at_variance(0.0).unwrap(), 0.0);
        for v in [-1e-9, max * 1.001, f64::NAN, f64::INFINITY] {
            assert!(matches!(s.time_at_variance(v), Err(ScheduleError::OutOfRange { .. })));
        }
    }
}

#[test]
fn toml_reads_every_form_and_refuses_unknown_keys() {
    let parse = |text: &str| toml::from_str::<ScheduleConfig>(text);
    let published = parse("drift = 'zero-log'\nhorizon = 1.0\nvariance = { kind = 'constant', sigma = 0.8 }").unwrap();
    assert_eq!(published.variance, Variance::Constant { sigma: 0.8 });
    let short = parse("variance = { kind = 'constant', sigma = 0.8 }").unwrap();
    assert_eq!(short, published);
    let free =
        parse("drift = { free = 0.3 }\nvariance = { kind = 'linear', sigma_min = 0.1, sigma_max = 1.0 }").unwrap();
    assert_eq!(free.drift, Drift::Free(0.3));
    let geometric = parse("drift = 'zero-mean'\nvariance = { kind = 'geometric', r_min = 0.1, r_max = 4.0 }").unwrap();
    assert_eq!(parse(&toml::to_string(&geometric).unwrap()).unwrap(), geometric);
    let edm = parse("variance = { kind = 'karras', r_min = 0.002, r_max = 80.0 }").unwrap();
    assert_eq!(edm.variance, Variance::Karras { r_min: 0.002, r_max: 80.0, rho: 7.0 });
    let table = parse("variance = { kind = 'table', knots = [[0.0, 0.0], [0.5, 0.1], [1.0, 0.64]] }").unwrap();
    assert_eq!(table.variance, Variance::Table { knots: vec![[0.0, 0.0], [0.5, 0.1], [1.0, 0.64]] });
    assert_eq!(parse(&toml::to_string(&table).unwrap()).unwrap(), table);
    for wrong in [
        "variance = { kind = 'karras', r_min = 0.002, r_max = 80.0, power = 3.0 }",
        "variance = { kind = 'constant', sigma = 0.8, sigmma = 1.0 }",
        "variance = { kind = 'constant', sigma = 0.8 }\nhorizn = 2.0",
        "variance = { kind = 'constent', sigma = 0.8 }",
        "drift = 'zero'\nvariance = { kind = 'constant', sigma = 0.8 }",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn bad_parameters_are_named_with_their_value() {
    let refuse =
        |variance, drift, horizon| Schedule::new(ScheduleConfig { variance, drift, horizon }).unwrap_err().to_string();
    let good = Variance::Constant { sigma: 0.8 };
    let message = refuse(Variance::Constant { sigma: -1.5 }, Drift::ZeroLog, 1.0);
    assert!(message.contains("sigma") && message.contains("-1.5"), "{message}");
    assert!(refuse(good.clone(), Drift::ZeroLog, 0.0).contains("horizon"));
    assert!(refuse(good.clone(), Drift::Free(f64::NAN), 1.0).contains("drift"));
    assert!(refuse(Variance::Geometric { r_min: 2.0, r_max: 1.0 }, Drift::ZeroLog, 1.0).contains("r_min = 2"));
    assert!(refuse(Variance::Linear { sigma_min: 2.0, sigma_max: 1.0 }, Drift::ZeroLog, 1.0).contains("sigma_min"));
    assert!(refuse(Variance::Linear { sigma_min: -0.1, sigma_max: 1.0 }, Drift::ZeroLog, 1.0).contains("-0.1"));
    assert!(refuse(Variance::Geometric { r_min: 1.0, r_max: 1.0 }, Drift::ZeroLog, 1.0).contains("r_max = 1"));
    assert!(refuse(Variance::Karras { r_min: 2.0, r_max: 1.0, rho: 7.0 }, Drift::ZeroLog, 1.0).contains("r_min = 2"));
    assert!(
        refuse(Variance::Karras { r_min: 0.1, r_max: 1.0, rho: -3.0 }, Drift::ZeroLog, 1.0)
            .contains("rho must be positive and finite, got -3")
    );
    assert!(refuse(Variance::Karras { r_min: 1e-300, r_max: 1e300, rho: 1e-3 }, Drift::ZeroLog, 1.0).contains("v(T)"));
    let table = |knots: &[[f64; 2]]| refuse(Variance::Table { knots: knots.to_vec() }, Drift::ZeroLog, 1.0);
    assert!(table(&[]).contains("got 0") && table(&[[0.0, 0.0]]).contains("got 1"));
    assert!(table(&[[0.0, 0.1], [1.0, 1.0]]).contains("knot 0 = [0, 0.1]"));
    assert!(table(&[[0.1, 0.0], [1.0, 1.0]]).contains("knot 0 = [0.1, 0]"));
    assert!(table(&[[0.0, 0.0], [0.5, f64::NAN], [1.0, 1.0]]).contains("knot 1 = [0.5, NaN]"));
    assert!(table(&[[0.0, 0.0], [0.5, 0.5], [1.0, 0.5]]).contains("knot 2 = [1, 0.5]"));
    assert!(table(&[[0.0, 0.0], [0.5, 0.5], [0.5, 0.6], [1.0, 0.9]]).contains("knot 2 = [0.5, 0.6]"));
    assert!(table(&[[0.0, 0.0], [0.5, 0.5]]).contains("t = 0.5, the horizon at 1"));
    assert!(table(&[[0.0, 0.0], [1e-300, 1e300], [1.0, 1.1e300]]).contains("knot"));
    assert!(refuse(Variance::Constant { sigma: 1e200 }, Drift::ZeroLog, 1.0).contains("v(T)"));
}
