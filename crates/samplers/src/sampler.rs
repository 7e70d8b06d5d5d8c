//! The contract of a sampler: one step from a level `v` down to `v' < v`. The loop over a grid is the same for all.

use std::ops::ControlFlow;

use score_match::{DenoiseError, Denoiser};
use serde::{Deserialize, Serialize};

use crate::dale_langevin::DaleLangevin;
use crate::error::{ConfigError, SampleError};
use crate::grid::Grid;
use crate::heun::Heun;
use crate::published::{PublishedConfig, PublishedDaleLangevin};
use crate::state::{NoiseSource, State};
use crate::stochastic_heun::{StochasticHeun, StochasticHeunConfig};

/// What a callback sees after each step; the state is not copied.
#[derive(Debug)]
pub struct Step<'a, S> {
    /// The step just done, from 0.
    pub index: usize,
    /// Number of steps.
    pub total: usize,
    /// The level reached.
    pub v: f64,
    /// The centred log state at that level.
    pub state: &'a S,
}

/// Everything one step works with.
pub struct Stepper<'a, S> {
    /// The centred log state at `v`, which the step moves to `v_next`.
    pub state: S,
    /// The step, from 0.
    pub index: usize,
    /// Number of steps.
    pub total: usize,
    /// The level at the start of the step.
    pub v: f64,
    /// The level at its end.
    pub v_next: f64,
    denoiser: &'a dyn Denoiser<S>,
    noise: &'a mut dyn NoiseSource<S>,
    draws: u32,
}

impl<S: State> Stepper<'_, S> {
    /// The log denoiser at the state and a level.
    ///
    /// # Errors
    /// What the denoiser says, or that its answer has another shape than the state.
    pub fn denoise(&self, v: f64) -> Result<S, SampleError> {
        self.denoise_at(&self.state, v)
    }

    /// The log denoiser at another state and a level.
    ///
    /// # Errors
    /// As [`Stepper::denoise`].
    pub fn denoise_at(&self, state: &S, v: f64) -> Result<S, SampleError> {
        let failed = |source| SampleError::Denoise { index: self.index, source };
        let denoised = self.denoiser.denoise(state, v).map_err(failed)?;
        let (expected, found) = (state.dims(), denoised.dims());
        if expected == found { Ok(denoised) } else { Err(failed(DenoiseError::Shape { expected, found })) }
    }

    /// Fresh standard normals in the shape of the state.
    ///
    /// # Errors
    /// What the noise source says, or that its answer has another shape than the state.
    pub fn normal(&mut self) -> Result<S, SampleError> {
        let z = self.noise.normal(&self.state, self.draws)?;
        self.draws = self.draws.wrapping_add(1);
        let (expected, found) = (self.state.dims(), z.dims());
        if expected == found { Ok(z) } else { Err(SampleError::NoiseShape { expected, found }) }
    }
}

/// A reverse-time sampler in the centred log state.
pub trait Sampler<S: State> {
    /// Moves `s.state` from level `s.v` to `s.v_next`.
    ///
    /// # Errors
    /// When the denoiser or the noise source fails.
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError>;

    /// Network calls for a grid of `steps` steps.
    fn calls(&self, steps: usize) -> usize {
        steps
    }

    /// The name used in configuration files and tables.
    fn name(&self) -> &'static str {
        "unnamed"
    }

    /// Runs all steps of a grid from a draw of the prior at its first level. `on_step` is called after every step and may
    /// stop the run, which then returns the state reached.
    ///
    /// # Errors
    /// When a step fails.
    fn sample(
        &self,
        start: S,
        denoiser: &dyn Denoiser<S>,
        noise: &mut dyn NoiseSource<S>,
        grid: &Grid,
        on_step: &mut dyn FnMut(Step<'_, S>) -> ControlFlow<()>,
    ) -> Result<S, SampleError> {
        let total = grid.steps();
        let mut s = Stepper { state: start, index: 0, total, v: 0.0, v_next: 0.0, denoiser, noise, draws: 0 };
        for (index, pair) in grid.levels().windows(2).enumerate() {
            (s.index, s.v, s.v_next) = (index, pair[0], pair[1]);
            self.step(&mut s)?;
            if on_step(Step { index, total, v: s.v_next, state: &s.state }).is_break() {
                break;
            }
        }
        Ok(s.state)
    }
}

/// A sampler as written in a configuration file. Variants without settings have braces because serde would otherwise let
/// unknown keys pass.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SamplerConfig {
    /// The exponentiated update with the grid's own steps.
    DaleLangevin {},
    /// Second-order probability flow.
    Heun {},
    /// Second-order probability flow with churn.
    StochasticHeun(StochasticHeunConfig),
    /// The authors' form of the exponentiated update; belongs on the `published` grid.
    PublishedDaleLangevin(PublishedConfig),
}

impl SamplerConfig {
    /// Checks the settings and makes the sampler.
    ///
    /// # Errors
    /// Names the setting that is not allowed.
    pub fn build<S: State>(&self) -> Result<Box<dyn Sampler<S>>, ConfigError> {
        Ok(match *self {
            Self::DaleLangevin {} => Box::new(DaleLangevin),
            Self::Heun {} => Box::new(Heun),
            Self::StochasticHeun(config) => Box::new(StochasticHeun::new(config)?),
            Self::PublishedDaleLangevin(config) => Box::new(PublishedDaleLangevin::new(config)?),
        })
    }
}
