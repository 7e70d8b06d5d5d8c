//! SDE-DPM-Solver++ (2M): the exponential two-step method with the noise of the reverse equation.
//!
//! ```text
//! h = ln(r/r'),   q = h_before/h,   a = e^{−(1 + η) h},   D̂ = D + (D − D_before)/(2q)
//! ȳ' = a ȳ + (1 − a) D̂ + r' √(1 − e^{−2ηh}) z
//! ```
//!
//! With `η = 1` it is the reverse equation, and its first step is the ancestral one; with `η = 0` it is DPM-Solver++ (2M). The
//! last step, to `r' = 0`, ends in `D`. One network call a step.
//!
//! Weak order 2, strong order 1, away from `r = 0`. The noise `w` of a step also moves `D`, by `D' w`, and the reverse equation
//! lets that act within the step with a mean weight of ½. Here it does not act at all in its own step, but one step later
//! `D − D_before` holds it and is given the weight ½ once more than `D` itself: the second moment comes out right but for terms of
//! third order in the step, and so does the mean, as `E[D − D_before]` has the Itô term `½ D'' w²` too. A single path is off
//! by the delay, which is of first order.
//!
//! Source: Lu, Zhou, Bao, Chen, Li and Zhu (2022), arXiv 2211.01095, in k-diffusion's form (`dpmpp_2m_sde`, midpoint), in the
//! logarithm of the state.

use serde::{Deserialize, Serialize};

use crate::dpm_solver_2m::log_ratio;
use crate::error::{ConfigError, SampleError, not_negative};
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

const NAME: &str = "sde-dpm-solver-2m";

/// Settings of SDE-DPM-Solver++ (2M).
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SdeDpmSolver2MConfig {
    /// Amount of noise `η`, not negative; 1 is the reverse equation, 0 the probability flow.
    pub eta: f64,
}

impl Default for SdeDpmSolver2MConfig {
    fn default() -> Self {
        Self { eta: 1.0 }
    }
}

/// SDE-DPM-Solver++ (2M); see the module documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SdeDpmSolver2M {
    config: SdeDpmSolver2MConfig,
}

impl SdeDpmSolver2M {
    /// Checks the settings once.
    ///
    /// # Errors
    /// When `eta` is negative or not finite.
    pub fn new(config: SdeDpmSolver2MConfig) -> Result<Self, ConfigError> {
        not_negative(NAME, "eta", config.eta)?;
        Ok(Self { config })
    }
}

impl<S: State> Sampler<S> for SdeDpmSolver2M {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let denoised = s.denoise(s.v)?;
        if s.v_next == 0.0 {
            s.state.combine(0.0, &[(1.0, &denoised)]);
            return Ok(());
        }
        let (h, eta) = (log_ratio(s.v, s.v_next), self.config.eta);
        let kept = (-(1.0 + eta) * h).exp();
        let scale = (s.v_next * -(-2.0 * eta * h).exp_m1()).sqrt();
        let extra = s.history.first().map_or(0.0, |(before, _)| 0.5 * h / log_ratio(*before, s.v));
        let before = s.history.pop();
        let mut terms = vec![((1.0 - kept) * (1.0 + extra), &denoised)];
        terms.extend(before.as_ref().map(|(_, before)| (-(1.0 - kept) * extra, before)));
        if eta > 0.0 {
            s.combine(kept, &terms, scale)?;
        } else {
            s.state.combine(kept, &terms);
        }
        s.remember(denoised, 1);
        Ok(())
    }

    fn name(&self) -> &'static str {
        NAME
    }
}
