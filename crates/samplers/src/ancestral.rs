//! Ancestral sampling: the exact reverse transition of a state whose clean value were known to be `D`.
//!
//! ```text
//! ȳ' = D + (v'/v)(ȳ − D) + √(v' (1 − v'/v)) z
//! ```
//!
//! It is the bridge between the noised state and a point mass at `D`: exact for data at one point, weak order 1 otherwise. The
//! last step, to `v' = 0`, ends in `D` without noise. One network call a step.
//!
//! Source: Ho, Jain and Abbeel (2020), arXiv 2006.11239; Song et al. (2021), arXiv 2011.13456, appendix F, in the logarithm
//! of the state.

use crate::error::SampleError;
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

/// Ancestral sampling; see the module documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ancestral;

impl<S: State> Sampler<S> for Ancestral {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let kept = s.v_next / s.v;
        let denoised = s.denoise(s.v)?;
        s.combine(kept, &[(1.0 - kept, &denoised)], (s.v_next * (1.0 - kept)).sqrt())
    }

    fn name(&self) -> &'static str {
        "ancestral"
    }
}
