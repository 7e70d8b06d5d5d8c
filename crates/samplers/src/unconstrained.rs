//! Unconstrained multiplicative sampling (UMS): Euler–Maruyama of reverse time in ambient space.
//!
//! ```text
//! x' = x (1 + a + b h + c z),      a = −∫μ + 2 Δv,   b = Δv,   c = √Δv,   h = (D − ȳ)/v − 1
//! ```
//!
//! The bracket can be negative, and then the sign of `x` changes. Geometric Brownian motion treats `x` and `−x` alike, so the
//! network is asked at `ln |x|` and the sign is carried along: the state is the logarithm of the magnitude, the signs stand in
//! [`Sampled::signs`](crate::Sampled). Strong order ½, weak order 1. Other than the exponentiated update it depends on the drift,
//! given as `κ = μ/σ²`: ½ for zero log-drift, 0 for zero mean drift. Like that update it leaves the noise of its last step in the
//! state.
//!
//! Source: Shetty, Prasath and Seelamantula (2025), arXiv 2510.02730.

use gbm_sde::{EulerFactor, LogStep};
use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, SampleError, finite};
use crate::sampler::{Sampler, Stepper};
use crate::state::{Bracket, State};

/// Settings of the samplers in ambient space.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AmbientConfig {
    /// Drift of the process in units of its squared volatility, `κ = μ/σ²`.
    pub drift: f64,
}

impl Default for AmbientConfig {
    fn default() -> Self {
        Self { drift: 0.5 }
    }
}

/// A step with its log-drift, for `κ = μ/σ²`: `Δm = (κ − ½) Δv`.
pub(crate) fn ambient_step(v: f64, v_next: f64, drift: f64) -> LogStep {
    LogStep { v, v_next, dm: (drift - 0.5) * (v - v_next) }
}

/// The update of the centred state: the factor `1 + a + b h + c z + …` of `x`, times `e^{Δm}` since the centre moves too.
pub(crate) fn bracket(step: &LogStep, factor: &EulerFactor, square: f64) -> Bracket {
    let centre = step.dm.exp();
    let one = 1.0 + factor.a - factor.b - square;
    Bracket { one: centre * one, slope: centre * factor.b / step.v, noise: centre * factor.c, square: centre * square }
}

/// Euler–Maruyama in ambient space; see the module documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Unconstrained {
    config: AmbientConfig,
}

impl Unconstrained {
    /// Checks the settings once.
    ///
    /// # Errors
    /// When the drift is not finite.
    pub fn new(config: AmbientConfig) -> Result<Self, ConfigError> {
        finite("unconstrained", "drift", config.drift)?;
        Ok(Self { config })
    }
}

impl<S: State> Sampler<S> for Unconstrained {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let step = ambient_step(s.v, s.v_next, self.config.drift);
        let denoised = s.denoise(s.v)?;
        let z = s.normal()?;
        s.multiply(&bracket(&step, &step.euler_factor(), 0.0), &denoised, &z);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "unconstrained"
    }
}
