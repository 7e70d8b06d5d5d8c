//! Stochastic Heun: noise is put back before each second-order step, so that errors of earlier steps are forgotten.
//!
//! ```text
//! γ  = min(churn/N, √2 − 1),      r̂ = r (1 + γ)
//! ŷ  = ȳ + √(r̂² − r²) z
//! ȳ' = the Heun step of the probability flow from (ŷ, r̂) to r'
//! ```
//!
//! With `churn = 0` it is Heun's method. `2N − 1` network calls for `N` steps; no fixed order.
//!
//! Source: Karras, Aittala, Aila and Laine (2022), algorithm 2 with `S_noise = 1`, in the logarithm of the state.

use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, SampleError, not_negative};
use crate::heun::Heun;
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

/// Settings of stochastic Heun.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StochasticHeunConfig {
    /// How much noise is put back over all steps together, not negative.
    pub churn: f64,
}

/// Second-order probability flow with churn; see the module documentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StochasticHeun {
    config: StochasticHeunConfig,
}

impl StochasticHeun {
    /// Checks the settings once.
    ///
    /// # Errors
    /// When the churn is negative or not finite.
    pub fn new(config: StochasticHeunConfig) -> Result<Self, ConfigError> {
        not_negative("stochastic-heun", "churn", config.churn)?;
        Ok(Self { config })
    }
}

impl<S: State> Sampler<S> for StochasticHeun {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let gamma = (self.config.churn / s.total as f64).min(std::f64::consts::SQRT_2 - 1.0);
        if gamma > 0.0 {
            let raised = s.v * (1.0 + gamma).powi(2);
            s.combine(1.0, &[], (raised - s.v).sqrt())?;
            s.v = raised;
        }
        Heun.step(s)
    }

    fn calls(&self, steps: usize) -> usize {
        Sampler::<S>::calls(&Heun, steps)
    }

    fn name(&self) -> &'static str {
        "stochastic-heun"
    }
}
