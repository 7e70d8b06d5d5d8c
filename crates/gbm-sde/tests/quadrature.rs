//! The integration rule against closed forms.

#![allow(clippy::unwrap_used, reason = "these integrals are known to exist")]

use std::f64::consts::{E, PI};

use gbm_sde::quadrature::{Integral, QuadratureError, integrate};

const INF: f64 = f64::INFINITY;

fn near(found: Integral, truth: f64, relative: f64) {
    let off = (found.value - truth).abs();
    assert!(off <= relative * truth.abs(), "{found:?} where {truth} is right");
    assert!(off <= found.error.max(1e-15 * truth.abs()), "{found:?}: the error is {off}");
}

#[test]
fn smooth_integrands_come_out_to_rounding() {
    near(integrate(f64::exp, -0.5, 1.7, 1e-14).unwrap(), 1.7f64.exp() - (-0.5f64).exp(), 2e-15);
    near(integrate(|x| 1.0 / (1.0 + x * x), -1.0, 3.0, 1e-14).unwrap(), 3f64.atan() + PI / 4.0, 2e-15);
    near(integrate(|x| x.powi(9) - 3.0 * x * x, 0.0, 2.0, 1e-14).unwrap(), 102.4 - 8.0, 2e-15);
    near(integrate(|x| 1.0 / x, 1e-3, 1e3, 1e-14).unwrap(), 6.0 * 10f64.ln(), 3e-15);
}

#[test]
fn infinite_intervals() {
    near(
        integrate(|x| (-0.5 * (x - 3.0).powi(2) / 0.04).exp(), -INF, INF, 1e-13).unwrap(),
        0.2 * (2.0 * PI).sqrt(),
        1e-14,
    );
    near(integrate(|x| 1.0 / (1.0 + x * x), -INF, INF, 1e-14).unwrap(), PI, 3e-15);
    near(integrate(|x| (-2.0 * x).exp(), 1.5, INF, 1e-14).unwrap(), 0.5 * (-3f64).exp(), 3e-15);
    near(integrate(|x| x.exp() * x * x, -INF, 1.0, 1e-14).unwrap(), E, 3e-15);
    near(integrate(|x| x.powf(-1.5), 1.0, INF, 1e-14).unwrap(), 2.0, 3e-15);
    near(integrate(|x: f64| (x - x.exp()).exp(), -INF, INF, 1e-14).unwrap(), 1.0, 3e-15);
}

#[test]
fn singular_ends() {
    near(integrate(|x| x.powf(-0.75), 0.0, 1.0, 1e-14).unwrap(), 4.0, 3e-15);
    near(integrate(f64::ln, 0.0, 1.0, 1e-14).unwrap(), -1.0, 3e-15);
    near(integrate(|x| (-x).exp() / x.sqrt(), 0.0, INF, 1e-14).unwrap(), PI.sqrt(), 3e-15);
    // At an end other than 0 numbers are too sparse, and the rule knows.
    near(integrate(|x| (1.0 - x).powf(-0.5), 0.0, 1.0, 1e-7).unwrap(), 2.0, 1e-7);
    assert!(integrate(|x| (1.0 - x).powf(-0.5), 0.0, 1.0, 1e-12).is_err());
}

#[test]
fn orientation_and_cancellation() {
    near(integrate(|x| x * x, 2.0, -1.0, 1e-14).unwrap(), -3.0, 2e-15);
    near(integrate(|x| (-x).exp(), INF, 0.0, 1e-14).unwrap(), -1.0, 2e-15);
    let odd = integrate(|x| x * (-x * x).exp(), -INF, INF, 1e-14).unwrap();
    assert!(odd.value.abs() <= 1e-16 && odd.evaluations > 200);
    assert_eq!(integrate(|_| 0.0, 0.0, 1.0, 1e-14).unwrap().value, 0.0);
    assert_eq!(integrate(|_| 1.0, 2.0, 2.0, 1e-14).unwrap(), Integral { value: 0.0, error: 0.0, evaluations: 0 });
}

#[test]
fn the_error_shrinks_with_the_tolerance() {
    let wave = |x: f64| (40.0 * x).cos() * (-x * x).exp();
    let truth = PI.sqrt() * (-400f64).exp();
    let (rough, fine) = (integrate(wave, -INF, INF, 1e-4).unwrap(), integrate(wave, -INF, INF, 1e-13).unwrap());
    assert!(rough.evaluations < fine.evaluations && fine.error < 2e-13);
    assert!((fine.value - truth).abs() < fine.error);
}

#[test]
fn what_has_no_integral_is_refused() {
    let refused = |f: fn(f64) -> f64, a, b, tolerance| integrate(f, a, b, tolerance).unwrap_err();
    assert!(matches!(refused(|x| x, f64::NAN, 1.0, 1e-9), QuadratureError::Interval { .. }));
    assert!(matches!(refused(|x| x, 0.0, f64::NAN, 1e-9), QuadratureError::Interval { .. }));
    assert!(matches!(refused(|x| x, INF, INF, 1e-9), QuadratureError::Interval { .. }));
    for tolerance in [0.0, -1.0, f64::NAN, INF] {
        assert!(matches!(refused(|x| x, 0.0, 1.0, tolerance), QuadratureError::Tolerance(_)));
    }
    assert!(matches!(refused(|x| 1.0 / x, -1.0, 1.0, 1e-9), QuadratureError::NotFinite { x: 0.0, .. }));
    assert!(matches!(refused(|x| 1.0 / x, 0.0, 1.0, 1e-9), QuadratureError::NotConverged { .. }));
    assert!(matches!(refused(|x| 1.0 / x, 1.0, INF, 1e-9), QuadratureError::NotConverged { .. }));
    assert!(matches!(refused(|x| x.sin().signum(), -50.0, 51.3, 1e-12), QuadratureError::NotConverged { .. }));
}
