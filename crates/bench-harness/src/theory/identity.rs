//! An identity of the paper with its residual, the truth it is tried on, and the numerical means of its second side.
//!
//! ```text
//! f'(x) ≈ (64 D(h/4) − 20 D(h/2) + D(h))/45,   D(h) = (f(x+h) − f(x−h))/2h          error O(h⁶)
//! ```

use anyhow::Result;
use gbm_sde::quadrature::integrate;
use gbm_sde::{Drift, GroundTruth, LogNormalMixture, Schedule, ScheduleConfig, Variance};

/// Headings that the identities stand under, in order.
pub const SECTIONS: [&str; 4] =
    ["The forward process", "Three scores and one denoiser", "Reverse time", "Losses and updates"];

/// One identity and how well it holds.
#[derive(Clone, Debug)]
pub struct Identity {
    /// One of [`SECTIONS`].
    pub section: &'static str,
    /// The formula.
    pub latex: &'static str,
    /// How one side is computed.
    pub left: &'static str,
    /// How the other is.
    pub right: &'static str,
    /// Largest difference of the two; in standard errors if `statistical`.
    pub residual: f64,
    /// Largest residual that counts as agreement.
    pub allowed: f64,
    /// Whether one side is a simulation.
    pub statistical: bool,
}

impl Identity {
    /// Whether the two sides agree.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.residual <= self.allowed
    }
}

/// Identities of one section, under construction.
pub(super) struct Ledger {
    section: &'static str,
    pub(super) identities: Vec<Identity>,
}

impl Ledger {
    pub(super) fn new(section: usize) -> Self {
        Self { section: SECTIONS[section], identities: Vec::new() }
    }

    /// Adds an identity whose sides are the pairs of `sides`.
    pub(super) fn add(
        &mut self,
        latex: &'static str,
        means: (&'static str, &'static str),
        allowed: f64,
        sides: &[(f64, f64)],
    ) {
        let residual = worst(sides.iter().map(|(a, b)| a - b));
        self.push(latex, means, allowed, residual, false);
    }

    /// Adds one whose sides differ by `errors` standard errors of a simulation.
    pub(super) fn add_simulated(&mut self, latex: &'static str, means: (&'static str, &'static str), errors: &[f64]) {
        self.push(latex, means, 4.5, worst(errors.iter().copied()), true);
    }

    fn push(
        &mut self,
        latex: &'static str,
        (left, right): (&'static str, &'static str),
        allowed: f64,
        residual: f64,
        statistical: bool,
    ) {
        self.identities.push(Identity { section: self.section, latex, left, right, residual, allowed, statistical });
    }
}

/// Largest absolute value; NaN if any is, so that it counts as a failure.
fn worst(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, x| if x.is_nan() || most.is_nan() { f64::NAN } else { most.max(x.abs()) })
}

/// The integral of `f` from `a` to `b`, to about 1e-13.
pub(super) fn integral(f: impl FnMut(f64) -> f64, a: f64, b: f64) -> Result<f64> {
    Ok(integrate(f, a, b, 1e-13)?.value)
}

/// `f'(x)` from six values within `h`.
pub(super) fn derivative(f: impl Fn(f64) -> f64, x: f64, h: f64) -> f64 {
    let d = |h: f64| (f(x + h) - f(x - h)) / (2.0 * h);
    (64.0 * d(h / 4.0) - 20.0 * d(h / 2.0) + d(h)) / 45.0
}

/// `f''(x)` from seven values within `h`.
pub(super) fn second_derivative(f: impl Fn(f64) -> f64, x: f64, h: f64) -> f64 {
    let middle = f(x);
    let d = |h: f64| (f(x + h) - 2.0 * middle + f(x - h)) / (h * h);
    (64.0 * d(h / 4.0) - 20.0 * d(h / 2.0) + d(h)) / 45.0
}

/// A start law with everything in closed form, and a process that treats no term as zero.
pub(super) struct Truth {
    pub(super) start: LogNormalMixture,
    pub(super) schedule: Schedule,
}

/// Times at which identities are tried.
pub(super) const TIMES: [f64; 3] = [0.2, 0.55, 1.3];

/// Values of `ln x` at which identities are tried.
pub(super) const POINTS: [f64; 5] = [-1.4, -0.45, 0.1, 0.65, 1.9];

/// Weights, means and variances of the start law.
pub(super) const START: [(f64, f64, f64); 2] = [(0.35, -0.5, 0.09), (0.65, 0.7, 0.04)];

impl Truth {
    pub(super) fn new() -> Result<Self> {
        let [a, b] = START;
        Ok(Self {
            start: LogNormalMixture::new(vec![a.0, b.0], vec![vec![a.1], vec![b.1]], vec![vec![a.2], vec![b.2]])?,
            schedule: Schedule::new(ScheduleConfig {
                variance: Variance::Linear { sigma_min: 0.3, sigma_max: 1.1 },
                drift: Drift::Free(0.3),
                horizon: 1.5,
            })?,
        })
    }

    /// `(m, v)` at `t`.
    pub(super) fn at(&self, t: f64) -> (f64, f64) {
        (self.schedule.log_drift(t), self.schedule.log_variance(t))
    }

    /// Density of `Y_0` at `y`, written out.
    pub(super) fn start_density(y: f64) -> f64 {
        START.iter().map(|&(w, mu, s)| w * normal(y, mu, s)).sum()
    }

    /// `p_Y(y, t)`.
    pub(super) fn log_density(&self, y: f64, t: f64) -> f64 {
        let (m, v) = self.at(t);
        self.start.log_pdf(&[y - m], v)
    }

    /// `p_X(x, t)`.
    pub(super) fn density(&self, x: f64, t: f64) -> f64 {
        self.start.ambient_log_pdf(&self.schedule, t, &[x]).exp()
    }

    /// The Hyvärinen score `h` in closed form, at the ambient `x`.
    pub(super) fn hyvarinen(&self, x: f64, t: f64) -> f64 {
        let mut out = [0.0];
        self.start.hyvarinen_score_into(&self.schedule, t, &[x], &mut out);
        out[0]
    }

    /// The log-space score `g` in closed form.
    pub(super) fn score(&self, y: f64, t: f64) -> f64 {
        let (m, v) = self.at(t);
        let mut out = [0.0];
        self.start.log_score_into(&[y - m], v, &mut out);
        out[0]
    }

    /// The log denoiser `D` in closed form, at the centred state.
    pub(super) fn denoised(&self, y_bar: f64, v: f64) -> f64 {
        let mut out = [0.0];
        self.start.denoise_into(&[y_bar], v, &mut out);
        out[0]
    }

    /// `E[f(Y_0) | ȳ]` by quadrature over the posterior.
    pub(super) fn posterior(&self, y_bar: f64, v: f64, f: impl Fn(f64) -> f64) -> Result<f64> {
        let weight = |y0: f64| Self::start_density(y0) * normal(y_bar, y0, v);
        let total = integral(weight, -4.0, 4.0)?;
        Ok(integral(|y0| f(y0) * weight(y0), -4.0, 4.0)? / total)
    }
}

/// Density of `N(mean, variance)`, written out: this side of an identity owes the library nothing.
pub(super) fn normal(x: f64, mean: f64, variance: f64) -> f64 {
    (-0.5 * (x - mean).powi(2) / variance).exp() / (std::f64::consts::TAU * variance).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_derivatives() {
        assert!((derivative(f64::sin, 0.7, 0.02) - 0.7_f64.cos()).abs() < 1e-11);
        assert!((second_derivative(f64::sin, 0.7, 0.05) + 0.7_f64.sin()).abs() < 1e-9);
    }

    #[test]
    fn a_side_that_is_no_number_fails() {
        let mut ledger = Ledger::new(0);
        ledger.add("x", ("", ""), 1.0, &[(f64::NAN, 0.0), (0.0, 0.0)]);
        ledger.add("x", ("", ""), 1.0, &[(0.0, 0.0), (1.5, 0.0)]);
        assert!(ledger.identities.iter().all(|i| !i.holds()));
    }
}
