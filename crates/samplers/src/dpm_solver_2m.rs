//! DPM-Solver++ (2M): the exponential two-step method on the probability flow.
//!
//! ```text
//! λ = −ln r,     h = ln(r/r'),     q = h_before/h,     D̂ = (1 + 1/(2q)) D − 1/(2q) D_before
//! ȳ' = (r'/r) ȳ + (1 − r'/r) D̂
//! ```
//!
//! `D̂` is the denoiser carried on to the middle of the step along a straight line in `λ`. The first step, which has nothing before
//! it, and the last, to `r' = 0`, are Euler's. Order 2; one network call a step.
//!
//! Source: Lu, Zhou, Bao, Chen, Li and Zhu (2022), arXiv 2211.01095, algorithm 2, in the logarithm of the state.

use crate::error::SampleError;
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

/// DPM-Solver++ (2M); see the module documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DpmSolver2M;

/// `ln(r/r')` from the log variances.
pub(crate) fn log_ratio(v: f64, v_next: f64) -> f64 {
    0.5 * (v / v_next).ln()
}

impl<S: State> Sampler<S> for DpmSolver2M {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let rho = (s.v_next / s.v).sqrt();
        let denoised = s.denoise(s.v)?;
        match s.history.first() {
            Some((v_before, before)) if s.v_next > 0.0 => {
                let extra = 0.5 * log_ratio(s.v, s.v_next) / log_ratio(*v_before, s.v);
                let factor = 1.0 - rho;
                s.state.combine(rho, &[(factor * (1.0 + extra), &denoised), (-factor * extra, before)]);
            }
            _ => s.state.combine(rho, &[(1.0 - rho, &denoised)]),
        }
        s.remember(denoised, 1);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "dpm-solver-2m"
    }
}
