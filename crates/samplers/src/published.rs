//! The authors' form of the exponentiated update: fixed step size, inner repetitions, noise annealing.
//!
//! ```text
//! for k = N − 1 … 0, with v = σ² (k + 1)/N and c = anneal^{N−1−k}:
//!     L times   ȳ ← ȳ + δ σ² (D − ȳ)/v + c σ √δ z
//! then, at k = 0, `final_passes` times the same without noise
//! ```
//!
//! In ambient form the update is `x ← x exp(δ(3/2 σ² − μ + σ² h) + c σ √δ z)` with `μ = σ²/2`, since `h + 1 = (D − ȳ)/v`.
//! The level only tells the network where it is; the step size does not follow the grid, so this is not a solver of the
//! reverse equation unless `δ L N = T` and `anneal = 1`. Use it on the `published` grid.
//!
//! Source: the code published with Shetty, Prasath and Seelamantula (2025), arXiv 2510.02730.

use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, SampleError, counted, positive};
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

const NAME: &str = "published-dale-langevin";

/// Settings of the published sampler; the defaults are the MNIST ones.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PublishedConfig {
    /// Step size `δ` in time, positive.
    pub delta: f64,
    /// Repetitions `L` at each level, at least 1.
    pub inner: usize,
    /// Factor of the noise from one level to the next, positive.
    pub anneal: f64,
    /// Volatility `σ`, positive.
    pub sigma: f64,
    /// Noise-free updates at the last level.
    pub final_passes: usize,
}

impl Default for PublishedConfig {
    fn default() -> Self {
        Self { delta: 6.165e-4, inner: 1, anneal: 0.995, sigma: 0.8, final_passes: 0 }
    }
}

/// The published sampler; see the module documentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedDaleLangevin {
    config: PublishedConfig,
}

impl PublishedDaleLangevin {
    /// Checks the settings once.
    ///
    /// # Errors
    /// Names the setting that is not positive and finite, or zero.
    pub fn new(config: PublishedConfig) -> Result<Self, ConfigError> {
        positive(NAME, "delta", config.delta)?;
        positive(NAME, "anneal", config.anneal)?;
        positive(NAME, "sigma", config.sigma)?;
        counted(NAME, "inner", config.inner)?;
        Ok(Self { config })
    }

    fn update<S: State>(&self, s: &mut Stepper<'_, S>, noise_scale: f64) -> Result<(), SampleError> {
        let PublishedConfig { delta, sigma, .. } = self.config;
        let beta = delta * sigma * sigma / s.v;
        let denoised = s.denoise(s.v)?;
        if noise_scale > 0.0 {
            let z = s.normal()?;
            s.state.combine(1.0 - beta, &[(beta, &denoised), (noise_scale * sigma * delta.sqrt(), &z)]);
        } else {
            s.state.combine(1.0 - beta, &[(beta, &denoised)]);
        }
        Ok(())
    }
}

impl<S: State> Sampler<S> for PublishedDaleLangevin {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let scale = self.config.anneal.powf(s.index as f64);
        for _ in 0..self.config.inner {
            self.update(s, scale)?;
        }
        if s.index + 1 == s.total {
            for _ in 0..self.config.final_passes {
                self.update(s, 0.0)?;
            }
        }
        Ok(())
    }

    fn calls(&self, steps: usize) -> usize {
        steps * self.config.inner + self.config.final_passes
    }

    fn name(&self) -> &'static str {
        NAME
    }
}
