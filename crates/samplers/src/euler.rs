//! Euler's method on the probability flow, in the noise level `r = √v`.
//!
//! ```text
//! dȳ/dr = (ȳ − D)/r,       ρ = r'/r
//! ȳ' = ρ ȳ + (1 − ρ) D
//! ```
//!
//! The same as DDIM, and the first step of every exponential method: exact where `D` stays constant. Order 1; one network call
//! a step.
//!
//! Source: Song, Meng and Ermon (2021), arXiv 2010.02502, in the logarithm of the state.

use crate::error::SampleError;
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

/// First-order probability flow; see the module documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Euler;

impl<S: State> Sampler<S> for Euler {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let rho = (s.v_next / s.v).sqrt();
        let denoised = s.denoise(s.v)?;
        s.state.combine(rho, &[(1.0 - rho, &denoised)]);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "euler"
    }
}
