//! The authors' form of both updates: fixed step size, inner repetitions, noise annealing.
//!
//! ```text
//! for k = N − 1 … 0, with v = σ² (k + 1)/N and c = anneal^{N−1−k}:
//!     L times   Dale–Langevin    x ← x exp(δ (3/2 σ² − μ + σ² h) + c σ √δ z)
//!               unconstrained    x ← x (1 + δ (2 σ² − μ + σ² h) + c σ √δ z)
//! then, at k = 0, `final_passes` times Dale–Langevin without noise
//! ```
//!
//! with `μ = σ²/2`. As `h + 1 = (D − ȳ)/v`, the first is `ȳ ← ȳ + δ σ² (D − ȳ)/v + c σ √δ z` in the centred log state.
//! The level only tells the network where it is; the step size does not follow the grid, so this is not a solver of the
//! reverse equation unless `δ L N = T` and `anneal = 1`. Use it on the `published` grid.
//!
//! Source: the code published with Shetty, Prasath and Seelamantula (2025), arXiv 2510.02730.

use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, SampleError, counted, positive};
use crate::sampler::{Sampler, Stepper};
use crate::state::{Bracket, State};

/// Settings of the published sampler; the defaults are the MNIST ones.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// The update that is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Update {
    Exponentiated,
    Unconstrained,
}

impl Default for PublishedConfig {
    fn default() -> Self {
        Self { delta: 6.165e-4, inner: 1, anneal: 0.995, sigma: 0.8, final_passes: 0 }
    }
}

/// A published sampler; see the module documentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Published {
    config: PublishedConfig,
    update: Update,
}

impl Published {
    /// The published Dale–Langevin sampler.
    ///
    /// # Errors
    /// Names the setting that is not positive and finite, or zero.
    pub fn dale_langevin(config: PublishedConfig) -> Result<Self, ConfigError> {
        Self { config, update: Update::Exponentiated }.checked()
    }

    /// The published unconstrained sampler.
    ///
    /// # Errors
    /// Names the setting that is not positive and finite, or zero.
    pub fn unconstrained(config: PublishedConfig) -> Result<Self, ConfigError> {
        Self { config, update: Update::Unconstrained }.checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        let (what, config) = (self.title(), &self.config);
        positive(what, "delta", config.delta)?;
        positive(what, "anneal", config.anneal)?;
        positive(what, "sigma", config.sigma)?;
        counted(what, "inner", config.inner)?;
        Ok(self)
    }

    fn title(&self) -> &'static str {
        match self.update {
            Update::Exponentiated => "published-dale-langevin",
            Update::Unconstrained => "published-unconstrained",
        }
    }

    fn noisy<S: State>(&self, s: &mut Stepper<'_, S>, scale: f64) -> Result<(), SampleError> {
        let PublishedConfig { delta, sigma, .. } = self.config;
        let dv = delta * sigma * sigma;
        let denoised = s.denoise(s.v)?;
        let (beta, eta) = (dv / s.v, scale * dv.sqrt());
        match self.update {
            Update::Exponentiated => s.combine(1.0 - beta, &[(beta, &denoised)], eta),
            // 2σ² − μ + σ² h = σ² (½ + (D − ȳ)/v)
            Update::Unconstrained => {
                let z = s.normal()?;
                s.multiply(&Bracket { one: 1.0 + 0.5 * dv, slope: beta, noise: eta, square: 0.0 }, &denoised, &z);
                Ok(())
            }
        }
    }

    fn noise_free<S: State>(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let beta = self.config.delta * self.config.sigma.powi(2) / s.v;
        let denoised = s.denoise(s.v)?;
        s.state.combine(1.0 - beta, &[(beta, &denoised)]);
        Ok(())
    }
}

impl<S: State> Sampler<S> for Published {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        let scale = self.config.anneal.powf(s.index as f64);
        for _ in 0..self.config.inner {
            self.noisy(s, scale)?;
        }
        if s.index + 1 == s.total {
            for _ in 0..self.config.final_passes {
                self.noise_free(s)?;
            }
        }
        Ok(())
    }

    fn calls(&self, steps: usize) -> usize {
        steps * self.config.inner + self.config.final_passes
    }

    fn name(&self) -> &'static str {
        self.title()
    }
}
