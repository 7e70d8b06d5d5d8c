//! The contract of a sampler: one step from a level `v` down to `v' < v`. The loop over a grid is the same for all.

use std::cell::Cell;
use std::ops::ControlFlow;

use score_match::{DenoiseError, Denoiser};

use crate::error::SampleError;
use crate::grid::Grid;
use crate::noise::{NoiseSource, in_shape};
use crate::state::{Bracket, State};

/// What a callback sees after each step; the state is not copied.
#[derive(Debug)]
pub struct Step<'a, S> {
    /// The step just done, from 0.
    pub index: usize,
    /// Number of steps.
    pub total: usize,
    /// The level reached.
    pub v: f64,
    /// The centred log state at that level; where signs can change, of the magnitude.
    pub state: &'a S,
    /// The signs, 1 or −1, once an ambient sampler has made a step.
    pub signs: Option<&'a S>,
    /// Network calls so far.
    pub calls: usize,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled<S> {
    /// The centred log state; where signs can change, of the magnitude.
    pub state: S,
    /// The signs, 1 or −1, if an ambient sampler made the steps.
    pub signs: Option<S>,
    /// Network calls.
    pub calls: usize,
}

/// Everything one step works with.
pub struct Stepper<'a, S: State> {
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
    calls: Cell<usize>,
    signs: Option<S>,
    /// Denoised states of earlier steps with their levels, the latest first.
    pub(crate) history: Vec<(f64, S)>,
    /// What an adaptive sampler found to be a good step size.
    pub(crate) pace: Option<f64>,
}

impl<'a, S: State> Stepper<'a, S> {
    fn new(state: S, total: usize, denoiser: &'a dyn Denoiser<S>, noise: &'a mut dyn NoiseSource<S>) -> Self {
        Self {
            state,
            index: 0,
            total,
            v: 0.0,
            v_next: 0.0,
            denoiser,
            noise,
            draws: 0,
            calls: Cell::new(0),
            signs: None,
            history: Vec::new(),
            pace: None,
        }
    }

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
        self.calls.set(self.calls.get() + 1);
        let denoised = self.denoiser.denoise(state, v).map_err(failed)?;
        let (expected, found) = (state.dims(), denoised.dims());
        if expected == found { Ok(denoised) } else { Err(failed(DenoiseError::Shape { expected, found })) }
    }

    /// Fresh standard normals in the shape of the state.
    ///
    /// # Errors
    /// What the noise source says, or that its answer has another shape than the state.
    pub fn normal(&mut self) -> Result<S, SampleError> {
        let z = in_shape(&self.state, self.noise.normal(&self.state, self.draws)?)?;
        self.draws = self.draws.wrapping_add(1);
        Ok(z)
    }

    /// `ȳ ← alpha ȳ + Σ β_j D_j + eta z` with fresh standard normals `z`, which need not lie in memory.
    ///
    /// # Errors
    /// As [`Stepper::normal`].
    pub fn combine(&mut self, alpha: f64, terms: &[(f64, &S)], eta: f64) -> Result<(), SampleError> {
        self.noise.combine(&mut self.state, alpha, terms, eta, self.draws)?;
        self.draws = self.draws.wrapping_add(1);
        Ok(())
    }

    /// Denoised states of earlier steps, `(v, D)`, the latest first: what [`Stepper::remember`] was given.
    pub fn history(&self) -> &[(f64, S)] {
        &self.history
    }

    /// Keeps the denoised state of this step for the steps to come; the last `most` are kept.
    pub fn remember(&mut self, denoised: S, most: usize) {
        self.history.insert(0, (self.v, denoised));
        self.history.truncate(most);
    }

    /// One update in ambient space, `x ← x B`, with [`State::multiply`]; signs start at 1.
    pub fn multiply(&mut self, bracket: &Bracket, denoised: &S, z: &S) {
        let mut signs = self.signs.take().unwrap_or_else(|| self.state.filled(1.0));
        self.state.multiply(&mut signs, bracket, denoised, z);
        self.signs = Some(signs);
    }
}

/// A reverse-time sampler in the centred log state.
pub trait Sampler<S: State> {
    /// Moves `s.state` from level `s.v` to `s.v_next`.
    ///
    /// # Errors
    /// When the denoiser or the noise source fails.
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError>;

    /// Network calls for a grid of `steps` steps, where that is known beforehand; for an adaptive sampler the fewest.
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
    ) -> Result<Sampled<S>, SampleError> {
        let total = grid.steps();
        let mut s = Stepper::new(start, total, denoiser, noise);
        for (index, pair) in grid.levels().windows(2).enumerate() {
            (s.index, s.v, s.v_next) = (index, pair[0], pair[1]);
            self.step(&mut s)?;
            let seen =
                Step { index, total, v: s.v_next, state: &s.state, signs: s.signs.as_ref(), calls: s.calls.get() };
            if on_step(seen).is_break() {
                break;
            }
        }
        Ok(Sampled { state: s.state, signs: s.signs, calls: s.calls.get() })
    }
}
