//! DPM-Solver++ (3M): the exponential three-step method on the probability flow.
//!
//! ```text
//! h = ln(r/r'),  h₁, h₂ the two steps before,  q₁ = h₁/h,  q₂ = h₂/h
//! φ₂ = (e^{−h} − 1)/h + 1,       φ₃ = φ₂/h − ½
//! d₁ = (D − D₁)/q₁,   d₂ = (D₁ − D₂)/q₂,   c = (d₁ − d₂)/(q₁ + q₂)
//! ȳ' = (r'/r) ȳ + (1 − r'/r) D + φ₂ (d₁ + q₁ c) − k φ₃ c
//! ```
//!
//! `D` is carried on as the parabola `D + (s/h)(d₁ + q₁ c) + (s/h)² c` in `λ = −ln r` through its last three values, and integrated. As
//! `∫₀ʰ (s/h)² e^{s−h} ds = −2 φ₃`, the exact factor of the curvature is `k = 2`. The published code has `k = 1`, and with it the order is
//! 2 from any start, as measured. The second step has only two values and is DPM-Solver++ (2M)'s; the first is Euler's, of order 2
//! as well: so by default (`start = "plain"`) everything is as published, with `k = 1`. With `start = "heun"` the first two steps are
//! Heun's and `k = 2`. The last step, to `r' = 0`, is Euler's. Order 3 with that start, 2 without; one network call a step, and two
//! more for the start.
//!
//! Source: Lu, Zhou, Bao, Chen, Li and Zhu (2022), arXiv 2211.01095, as in `diffusers`, in the logarithm of
//! the state.

use serde::{Deserialize, Serialize};

use crate::dpm_solver_2m::log_ratio;
use crate::error::SampleError;
use crate::heun;
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

/// The first two steps of a three-step method.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Euler, then two-step: no further network calls; the curvature as published.
    #[default]
    Plain,
    /// Two steps of Heun's: two more network calls; the curvature as it should be, and order 3.
    Heun,
}

/// Settings of DPM-Solver++ (3M).
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct DpmSolver3MConfig {
    /// The first two steps.
    pub start: Start,
}

/// DPM-Solver++ (3M); see the module documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DpmSolver3M {
    config: DpmSolver3MConfig,
}

impl DpmSolver3M {
    /// The sampler with these settings; all are allowed.
    pub fn new(config: DpmSolver3MConfig) -> Self {
        Self { config }
    }
}

/// `(e^{−h} − 1)/h + 1`.
fn phi_2(h: f64) -> f64 {
    // Below, the two terms cancel to more than half of the digits.
    if h < 1e-4 { h * (0.5 - h / 6.0) } else { (-h).exp_m1() / h + 1.0 }
}

/// `φ₂/h − ½`, negative.
fn phi_3(h: f64) -> f64 {
    // The series h/6 with the sign that φ₂/h − ½ has.
    if h < 1e-3 { h * (-1.0 / 6.0 + h / 24.0) } else { phi_2(h) / h - 0.5 }
}

impl<S: State> Sampler<S> for DpmSolver3M {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let rho = (s.v_next / s.v).sqrt();
        let denoised = s.denoise(s.v)?;
        let h = log_ratio(s.v, s.v_next);
        let warm = self.config.start == Start::Heun && s.history.len() < 2;
        match *s.history.as_slice() {
            _ if s.v_next == 0.0 => s.state.combine(0.0, &[(1.0, &denoised)]),
            _ if warm => heun::correct(s, &denoised)?,
            [] => s.state.combine(rho, &[(1.0 - rho, &denoised)]),
            [(v_before, ref before)] => {
                let slope = 0.5 * (1.0 - rho) * h / log_ratio(v_before, s.v);
                s.state.combine(rho, &[(1.0 - rho + slope, &denoised), (-slope, before)]);
            }
            [(v1, ref first), (v2, ref second), ..] => {
                let (q1, q2) = (log_ratio(v1, s.v) / h, log_ratio(v2, v1) / h);
                let weight = if self.config.start == Start::Heun { 2.0 } else { 1.0 };
                // The factors of d₁ and d₂, then of D, D₁ and D₂.
                let curve = (phi_2(h) * q1 - weight * phi_3(h)) / (q1 + q2);
                let (f1, f2) = ((phi_2(h) + curve) / q1, -curve / q2);
                s.state.combine(rho, &[(1.0 - rho + f1, &denoised), (f2 - f1, first), (-f2, second)]);
            }
        }
        s.remember(denoised, 2);
        Ok(())
    }

    fn calls(&self, steps: usize) -> usize {
        let warm = if self.config.start == Start::Heun { steps.saturating_sub(1).min(2) } else { 0 };
        steps + warm
    }

    fn name(&self) -> &'static str {
        "dpm-solver-3m"
    }
}
