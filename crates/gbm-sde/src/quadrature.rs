//! One-dimensional integrals by the double-exponential rule, on finite and infinite intervals.
//!
//! ```math
//! \begin{aligned}
//! \int_a^b f(x)\,dx &= \int_{-\infty}^{\infty} f(x(t))\,x'(t)\,dt \approx h \sum_j f(x(jh))\,x'(jh), \qquad s = \tfrac{\pi}{2}\sinh t \\
//! x &= \tfrac{a+b}{2} + \tfrac{b-a}{2}\tanh s \;\text{(finite)}, \quad a + e^{s} \;\text{(half-line)}, \quad \sinh s \;\text{(line)}
//! \end{aligned}
//! ```
//!
//! After the substitution the integrand falls off doubly exponentially, so the trapezoidal rule converges geometrically
//! for every analytic integrand, and each halving of the step about doubles the number of right digits. Singularities at a
//! finite end do no harm if that end is 0; elsewhere they are limited by how close to the end a number can be.
//!
//! The substitution has a scale of its own, about 1: shift and scale an integrand whose features are far narrower than its
//! distance from 0, or split the interval there. A component that falls between some 400 nodes is not seen.
//!
//! Source: Takahasi and Mori, *Double exponential formulas for numerical integration*, Publ. RIMS 9 (1974). The crates
//! that offer the rule stop at finite intervals, or bring a whole linear algebra with them.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use std::f64::consts::FRAC_PI_2;

/// Coarsest step, halved at most [`LAST_LEVEL`] times.
const FIRST_STEP: f64 = 0.5;
/// The first level whose agreement with the level before is believed: about 400 nodes.
const FIRST_JUDGED: usize = 4;
const LAST_LEVEL: usize = 12;
/// Past this `t` every map has met its end in double precision.
const REACH: f64 = 6.2;
/// Infinite ends are cut here: powers of `x` up to the third stay finite, and what decays as `|x|^{-1.2}` has lost 1e-16.
const FAR: f64 = 1e80;
/// And a finite end is not approached closer than about this, so that `1/x` stays finite.
const NEAR: f64 = 1e-300;

/// Why an integral has no value.
///
/// ```
/// use gbm_sde::quadrature::{QuadratureError, integrate};
/// assert_eq!(integrate(|x| x, 0.0, 1.0, -1e-9), Err(QuadratureError::Tolerance(-1e-9)));
/// assert!(matches!(integrate(|x| 1.0 / x, 0.0, 1.0, 1e-9), Err(QuadratureError::NotConverged { .. })));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuadratureError {
    /// An end of the interval is not a number, or both are the same infinity.
    #[error("quadrature: [{a}, {b}] is not an interval")]
    Interval {
        /// Lower end.
        a: f64,
        /// Upper end.
        b: f64,
    },
    /// The tolerance must be a positive number.
    #[error("quadrature: the tolerance must be positive and finite, got {0}")]
    Tolerance(f64),
    /// The integrand is infinite or not a number inside the interval.
    #[error("quadrature: the integrand is {value} at {x}")]
    NotFinite {
        /// Where.
        x: f64,
        /// What it is there.
        value: f64,
    },
    /// The finest step still does not meet the tolerance: the integrand is rough, too narrow for the scale of the
    /// interval, or its integral diverges.
    #[error("quadrature: error {error:e} of the value {value} is above the tolerance {tolerance:e}")]
    NotConverged {
        /// The best value.
        value: f64,
        /// Its estimated error, relative to the integral of `|f|`.
        error: f64,
        /// The tolerance asked for.
        tolerance: f64,
    },
}

/// An integral with its error estimate.
///
/// ```
/// let area = gbm_sde::quadrature::integrate(|x| x * x, 0.0, 3.0, 1e-12)?;
/// assert!((area.value - 9.0).abs() < 1e-13 && area.error < 1e-11);
/// # Ok::<(), gbm_sde::quadrature::QuadratureError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Integral {
    /// The value.
    pub value: f64,
    /// Estimated absolute error: the change at the last halving (the true one is usually far smaller), the terms cut off at
    /// the ends, and rounding.
    pub error: f64,
    /// How many times the integrand was called.
    pub evaluations: usize,
}

/// `∫_a^b f(x) dx`, in the units of `f` times those of `x`.
///
/// Either end may be infinite; `a > b` gives the negative. `tolerance` is relative to `∫ |f|` (at least 1e-15 is
/// used), so an integral that cancels to zero converges too. The ends themselves are never evaluated. The integrand is called
/// far out in the tails (up to `|x|` = 1e80): where a density underflows to 0 a factor beside it must not be infinite.
///
/// ```
/// use gbm_sde::quadrature::integrate;
/// let area = integrate(|x| (-0.5 * x * x).exp(), f64::NEG_INFINITY, f64::INFINITY, 1e-14)?;
/// assert!((area.value - std::f64::consts::TAU.sqrt()).abs() < 1e-14);
/// # Ok::<(), gbm_sde::quadrature::QuadratureError>(())
/// ```
///
/// # Errors
/// When the interval or tolerance make no sense, the integrand is not finite at a node, or the rule does not converge.
pub fn integrate(mut f: impl FnMut(f64) -> f64, a: f64, b: f64, tolerance: f64) -> Result<Integral, QuadratureError> {
    if a.is_nan() || b.is_nan() || (a == b && a.is_infinite()) {
        return Err(QuadratureError::Interval { a, b });
    }
    if !(tolerance > 0.0 && tolerance.is_finite()) {
        return Err(QuadratureError::Tolerance(tolerance));
    }
    if a == b {
        return Ok(Integral { value: 0.0, error: 0.0, evaluations: 0 });
    }
    if a > b {
        let forward = integrate(f, b, a, tolerance)?;
        return Ok(Integral { value: -forward.value, ..forward });
    }
    let goal = tolerance.max(1e-15);
    let (mut sum, mut size) = (Sum::default(), Sum::default());
    let mut outermost = [(0.0, 0.0); 2];
    let (mut evaluations, mut before, mut step) = (0, f64::INFINITY, FIRST_STEP);
    let mut level = 0;
    loop {
        let last = (REACH / step) as i32;
        // After the first level only the odd multiples of the step are new.
        let stride = if level == 0 { 1 } else { 2 };
        let first = if level > 0 && last % 2 == 0 { 1 - last } else { -last };
        for t in (first..=last).step_by(stride).map(|j| f64::from(j) * step) {
            let Some((x, slope)) = node(a, b, t) else { continue };
            let value = f(x);
            if !value.is_finite() {
                return Err(QuadratureError::NotFinite { x, value });
            }
            let term = value * slope;
            evaluations += 1;
            sum.add(term);
            size.add(term.abs());
            let side = &mut outermost[usize::from(t > 0.0)];
            if t.abs() > side.0 {
                // About |f| times the distance to the end: what the rule leaves out there.
                *side = (t.abs(), 2.0 * term.abs() / t.cosh());
            }
        }
        let (value, scale) = (step * sum.total(), step * size.total());
        let error = (value - before).abs() + outermost[0].1 + outermost[1].1;
        let converged = scale > 0.0 && error <= goal * scale;
        if level >= FIRST_JUDGED && converged || level == LAST_LEVEL && scale == 0.0 {
            return Ok(Integral { value, error: error + 4.0 * f64::EPSILON * scale, evaluations });
        }
        if level == LAST_LEVEL {
            return Err(QuadratureError::NotConverged { value, error: error / scale, tolerance });
        }
        before = value;
        step *= 0.5;
        level += 1;
    }
}

/// The point `x(t)` inside the interval and `x'(t)`; none where `x` rounds to an end or an infinite end is cut.
fn node(a: f64, b: f64, t: f64) -> Option<(f64, f64)> {
    let (s, ds) = (FRAC_PI_2 * t.sinh(), FRAC_PI_2 * t.cosh());
    let (x, slope) = match (a.is_finite(), b.is_finite()) {
        (true, true) => {
            let half = 0.5 * b - 0.5 * a;
            // From the nearer end, so that points next to it keep their relative accuracy.
            let e = (-2.0 * s.abs()).exp();
            let offset = 2.0 * half * (e / (1.0 + e));
            (if t < 0.0 { a + offset } else { b - offset }, half * ds * 4.0 * e / (1.0 + e).powi(2))
        }
        (true, false) => (a + s.exp(), ds * s.exp()),
        (false, true) => (b - s.exp(), ds * s.exp()),
        (false, false) => (s.sinh(), ds * s.cosh()),
    };
    let cut = slope < NEAR || (a.is_infinite() || b.is_infinite()) && slope > FAR;
    (x > a && x < b && !cut).then_some((x, slope))
}

/// Neumaier's compensated sum: thousands of terms, one rounding.
#[derive(Default)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, term: f64) {
        let next = self.sum + term;
        self.lost += if self.sum.abs() >= term.abs() { (self.sum - next) + term } else { (term - next) + self.sum };
        self.sum = next;
    }

    fn total(&self) -> f64 {
        self.sum + self.lost
    }
}
