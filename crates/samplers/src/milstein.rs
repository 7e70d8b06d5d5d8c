//! Milstein's method of reverse time in ambient space.
//!
//! ```text
//! x' = x (1 + a + b h + c z + d (z² − 1)),      d = ½ Δv,   a, b, c as for the unconstrained sampler
//! ```
//!
//! The term with `z²` restores strong order 1; weak order 1. It can change signs too, though more rarely: at `h = −3/2` and zero
//! log-drift the bracket is `½ (1 + (1 + √Δv z)²) − ½ Δv`, negative for no `z` while `Δv < 1`.
//!
//! Source: Milstein (1975), here with multiplicative noise in every coordinate.

use crate::error::{ConfigError, SampleError, finite};
use crate::sampler::{Sampler, Stepper};
use crate::state::State;
use crate::unconstrained::{AmbientConfig, ambient_step, bracket};

/// Milstein's method in ambient space; see the module documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Milstein {
    config: AmbientConfig,
}

impl Milstein {
    /// Checks the settings once.
    ///
    /// # Errors
    /// When the drift is not finite.
    pub fn new(config: AmbientConfig) -> Result<Self, ConfigError> {
        finite("milstein", "drift", config.drift)?;
        Ok(Self { config })
    }
}

impl<S: State> Sampler<S> for Milstein {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let step = ambient_step(s.v, s.v_next, self.config.drift);
        let factor = step.milstein_factor();
        let denoised = s.denoise(s.v)?;
        let z = s.normal()?;
        s.multiply(&bracket(&step, &factor.euler, factor.d), &denoised, &z);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "milstein"
    }
}
