//! Dale–Langevin: the paper's exponentiated update, with exact integrals of the schedule.
//!
//! ```text
//! x' = x exp(−Δm + Δv (h + 1) + √Δv z)        ⇔        ȳ' = (1 − Δv/v) ȳ + (Δv/v) D + √Δv z
//! ```
//!
//! Euler–Maruyama of reverse time in log space, where the noise is additive: weak order 1, strong order 1, and no sign ever
//! changes. The last step, to `v' = 0`, leaves its noise `√v z` in the state: let the last level be small.
//!
//! Source: Shetty, Prasath and Seelamantula (2025), arXiv 2510.02730.

use gbm_sde::LogStep;

use crate::error::SampleError;
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

/// The exponentiated update; see the module documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DaleLangevin;

impl<S: State> Sampler<S> for DaleLangevin {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let step = LogStep { v: s.v, v_next: s.v_next, dm: 0.0 };
        let denoised = s.denoise(s.v)?;
        s.combine(step.alpha(), &[(step.beta(), &denoised)], step.eta())
    }

    fn name(&self) -> &'static str {
        "dale-langevin"
    }
}
