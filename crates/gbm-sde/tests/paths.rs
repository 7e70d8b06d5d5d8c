//! Paths: exact ones compose, bridges have the law of Bayes' rule, the schemes converge at their strong orders.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{Drift, Gbm, Noise, PathPoint, ProcessError, Schedule, ScheduleConfig, Stream, Variance};

fn gbm() -> Gbm {
    let variance = Variance::Linear { sigma_min: 0.4, sigma_max: 1.1 };
    Gbm::new(Schedule::new(ScheduleConfig { variance, drift: Drift::Free(0.25), horizon: 1.5 }).unwrap())
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
}

#[test]
fn bad_paths_are_refused() {
    let gbm = gbm();
    let schemes = [Gbm::path, Gbm::euler_maruyama, Gbm::milstein];
    for scheme in schemes {
        let refused = scheme(&gbm, 1.0, &[0.5, 0.2], &[0.0, 0.0]);
        assert_eq!(refused, Err(ProcessError::Order { index: 1, time: 0.2, previous: 0.5 }));
        assert_eq!(scheme(&gbm, 1.0, &[0.5], &[]), Err(ProcessError::Length { times: 1, normals: 0 }));
        assert!(scheme(&gbm, 1.0, &[f64::NAN], &[0.0]).is_err() && scheme(&gbm, 1.0, &[-0.1], &[0.0]).is_err());
        assert_eq!(scheme(&gbm, -1.0, &[0.5], &[0.0]), Err(ProcessError::Value { index: 0, value: -1.0 }));
        assert_eq!(scheme(&gbm, 0.0, &[0.5], &[0.0]), Err(ProcessError::Value { index: 0, value: 0.0 }));
    }
    let (start, end) = (PathPoint { t: 0.2, x: 1.3 }, PathPoint { t: 1.2, x: 2.0 });
    let bridge = |times: &[f64]| gbm.bridge(start, end, times, &vec![0.1; times.len()]);
    assert!(bridge(&[0.2, 0.5, 0.5, 1.2, 1.2]).is_ok());
    assert_eq!(bridge(&[0.1]), Err(ProcessError::Order { index: 0, time: 0.1, previous: 0.2 }));
    assert_eq!(bridge(&[0.5, 1.3]), Err(ProcessError::Order { index: 2, time: 1.2, previous: 1.3 }));
    assert!(bridge(&[0.5, 0.4]).is_err() && bridge(&[f64::NAN]).is_err());
    assert!(gbm.bridge(start, end, &[0.5], &[]).is_err());
    for (from, to) in [(1.2, 0.2), (0.5, 0.5), (-0.5, 0.5), (1.6, 1.7), (f64::NAN, 1.0), (0.2, f64::NAN)] {
        let ends = gbm.bridge(PathPoint { t: from, x: 1.0 }, PathPoint { t: to, x: 1.0 }, &[], &[]);
        assert!(matches!(ends, Err(ProcessError::Ends { .. })), "{from} {to}");
    }
    assert_eq!(
        gbm.bridge(PathPoint { t: 0.2, x: 0.0 }, end, &[0.5], &[0.0]),
        Err(ProcessError::Value { index: 0, value: 0.0 })
    );
    assert!(gbm.bridge(start, PathPoint { t: 1.2, x: f64::NAN }, &[0.5], &[0.0]).is_err());
}

/// Bayes' rule on transition densities: p(x_t | x_s, x_u) = p(x_t | x_s) p(x_u | x_t)/p(x_u | x_s).
#[test]
fn bridge_law_is_bayes_rule() {
    let gbm = gbm();
    let (start, end) = (PathPoint { t: 0.2, x: 1.3 }, PathPoint { t: 1.2, x: 2.4 });
    for t in [0.25, 0.6, 1.1] {
        let law = gbm.bridge_law(start, end, t).unwrap();
        for x in [0.8, 1.5, 2.9] {
            let there = gbm.transition_between(start.t, start.x, t).unwrap().pdf(x);
            let on = gbm.transition_between(t, x, end.t).unwrap().pdf(end.x);
            let whole = gbm.transition_between(start.t, start.x, end.t).unwrap().pdf(end.x);
            assert!((law.pdf(x) * whole / (there * on) - 1.0).abs() < 1e-12, "t {t}, x {x}");
        }
        let one = gbm.bridge(start, end, &[t], &[0.7]).unwrap()[0];
        assert!((one / law.sample(0.7) - 1.0).abs() < 1e-14);
    }
    assert!(gbm.bridge_law(start, end, 0.2).is_err() && gbm.bridge_law(start, end, 1.2).is_err());
}

/// In log space a bridge is linear in its normals, so their covariance can be read off exactly:
/// cov(Y_t, Y_u) = (v_t − v_s)(v_e − v_u)/(v_e − v_s) for t ≤ u.
#[test]
fn bridge_has_the_covariance_of_a_brownian_bridge() {
    let gbm = gbm();
    let (start, end) = (PathPoint { t: 0.2, x: 1.3 }, PathPoint { t: 1.2, x: 2.4 });
    let times = [0.3, 0.55, 0.8, 1.15, 1.2];
    let logs = |normals: &[f64]| -> Vec<f64> {
        gbm.bridge(start, end, &times, normals).unwrap().iter().map(|x| x.ln()).collect()
    };
    let mean = logs(&[0.0; 5]);
    let columns: Vec<Vec<f64>> = (0..5)
        .map(|j| {
            let mut unit = [0.0; 5];
            unit[j] = 1.0;
            logs(&unit).iter().zip(&mean).map(|(a, b)| a - b).collect()
        })
        .collect();
    let v = |t: f64| gbm.schedule.log_variance(t);
    for i in 0..5 {
        for j in i..5 {
            let covariance: f64 = columns.iter().map(|c| c[i] * c[j]).sum();
            let expected = (v(times[i]) - v(0.2)) * (v(1.2) - v(times[j])) / (v(1.2) - v(0.2));
            assert!((covariance - expected).abs() < 1e-13, "{i} {j}: {covariance} {expected}");
        }
    }
    assert!((mean[4] - 2.4f64.ln()).abs() < 1e-15);
}

/// Root mean square error at the end against the exact path on the same Brownian motion, over 3,000 paths and step counts
/// 16 to 256: the slope in log-log is the strong order.
#[test]
fn schemes_have_strong_orders_one_half_and_one() {
    let (gbm, noise) = (gbm(), Noise::new(5));
    let (paths, fine) = (3000, 256);
    let grid = |n: usize| -> Vec<f64> { (1..=n).map(|i| 1.5 * i as f64 / n as f64).collect() };
    let level = |t: f64| gbm.schedule.log_variance(t);
    let mut errors = [[0.0; 5]; 2];
    let mut normals = vec![0.0; fine];
    for index in 0..paths {
        noise.fill_normal_f64(Stream::PERTURB, index, 0, &mut normals);
        // W(t) of the time-changed motion on the finest grid.
        let mut motion = vec![0.0];
        for (i, (t, z)) in grid(fine).iter().zip(&normals).enumerate() {
            let from = 1.5 * i as f64 / fine as f64;
            motion.push(motion[i] + (level(*t) - level(from)).sqrt() * z);
        }
        let exact = gbm.perturb(1.0, 1.5, motion[fine] / level(1.5).sqrt());
        for (k, n) in [16, 32, 64, 128, 256].into_iter().enumerate() {
            let times = grid(n);
            let stride = fine / n;
            let coarse: Vec<f64> = (0..n)
                .map(|i| {
                    let from = if i == 0 { 0.0 } else { times[i - 1] };
                    (motion[(i + 1) * stride] - motion[i * stride]) / (level(times[i]) - level(from)).sqrt()
                })
                .collect();
            let path = gbm.path(1.0, &times, &coarse).unwrap();
            assert!((path[n - 1] / exact - 1.0).abs() < 1e-11);
            for (scheme, errors) in [Gbm::euler_maruyama, Gbm::milstein].iter().zip(&mut errors) {
                let end = scheme(&gbm, 1.0, &times, &coarse).unwrap()[n - 1];
                errors[k] += (end - exact).powi(2) / paths as f64;
            }
        }
    }
    for (errors, order, name) in [(errors[0], 0.5, "Euler-Maruyama"), (errors[1], 1.0, "Milstein")] {
        // Least squares on five points, log₂ of the step count being −2 … 2 from its middle.
        let slope = errors.iter().zip(-2..).map(|(e, k)| -0.5 * e.log2() * f64::from(k)).sum::<f64>() / 10.0;
        println!("{name}: strong order {slope:.3}");
        assert!((slope - order).abs() < 0.08, "{name}: {slope}");
    }
}
