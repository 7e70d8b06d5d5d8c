//! Heun's method on the probability flow, in the noise level `r = √v`.
//!
//! ```text
//! dȳ/dr = (ȳ − D)/r,       ρ = r'/r
//! predictor   ỹ  = ρ ȳ + (1 − ρ) D                                          D = D(ȳ, r²)
//! corrector   ȳ' = ρ ȳ + ½ (1 − ρ)(2 − 1/ρ) D + ½ (1 − ρ)/ρ D̃               D̃ = D(ỹ, r'²)
//! ```
//!
//! The corrector is the trapezoidal rule with both slopes written out, so that one pass over memory does it. The step to
//! `r' = 0` is the predictor alone, which there is `ȳ' = D`. Order 2; `2N − 1` network calls for `N` steps.
//!
//! Source: Karras, Aittala, Aila and Laine (2022), algorithm 1, in the logarithm of the state.

use crate::error::SampleError;
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

/// Second-order probability flow; see the module documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heun;

/// Factors of `ȳ`, `D` and `D̃` in the corrector, for `ρ = r'/r`, positive.
pub(crate) fn corrector(rho: f64) -> (f64, f64, f64) {
    let rest = 1.0 - rho;
    (rho, 0.5 * rest * (2.0 - 1.0 / rho), 0.5 * rest / rho)
}

/// The step from the state with its denoised one, to a level above 0.
pub(crate) fn correct<S: State>(s: &mut Stepper<'_, S>, first: &S) -> Result<(), SampleError> {
    let rho = (s.v_next / s.v).sqrt();
    let mut predicted = s.state.duplicate();
    predicted.combine(rho, &[(1.0 - rho, first)]);
    let second = s.denoise_at(&predicted, s.v_next)?;
    let (alpha, beta, gamma) = corrector(rho);
    s.state.combine(alpha, &[(beta, first), (gamma, &second)]);
    Ok(())
}

impl<S: State> Sampler<S> for Heun {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let first = s.denoise(s.v)?;
        if s.v_next == 0.0 {
            s.state = first;
            return Ok(());
        }
        correct(s, &first)
    }

    fn calls(&self, steps: usize) -> usize {
        (2 * steps).saturating_sub(1)
    }

    fn name(&self) -> &'static str {
        "heun"
    }
}
