//! The log density of data along the probability flow.
//!
//! ```text
//! u = ln r,   dȳ/du = ȳ − D(ȳ, e^{2u}),   d ln p_u(ȳ)/du = −∇·(ȳ − D) = −(d − tr ∂D/∂ȳ)
//! ln p_min(ȳ₀) = ln p_max(ȳ(u_max)) + ∫ (d − tr ∂D/∂ȳ) du          from ln r_min to ln r_max, along ȳ(u_min) = ȳ₀
//! ```
//!
//! The flow is walked up from the data at `r_min` to `r_max`, where the prior's density is known. What comes out is the
//! density of the flow's law **at `r_min`**, which is a law in its own right: it integrates to one, and differs from
//! the law of clean data by noise of standard deviation `r_min` on `ln x`. Nothing is said about `r < r_min`, and
//! nothing is approximated there: the state is put in as it is. The only errors are those of the steps, of the trace
//! where it is estimated, and of the prior, where it is not the flow's own law at `r_max`; for given networks and
//! priors the latter belongs to the model.
//!
//! | solver | error | does an image depend on its batch? |
//! |---|---|---|
//! | [`Solver::Heun`] on a grid | second order in its steps | no |
//! | [`Solver::Adaptive`] | by a tolerance, on the state and on the nats | within the tolerance |
//!
//! Hutchinson's traces are kept apart for each probe, which is the same along the whole path: the mean over the probes
//! is unbiased for the flow, and their spread is its standard error ([`LogDensity::standard_errors`]).
//!
//! [`ambient`] goes on from there to pixels and bits per dimension.
//!
//! Source: Chen et al., *Neural ordinary differential equations* (2018); Grathwohl et al., *FFJORD* (2019); Song et
//! al., *Score-based generative modeling through stochastic differential equations* (2021), appendix D.2.

pub mod ambient;

use std::ops::ControlFlow;

use ndarray::Array2;
use score_match::{DenoiseError, Divergence, Trace};
use serde::{Deserialize, Serialize};

use crate::embedded::{Leg, Problem, advance};
use crate::error::{ConfigError, SampleError, counted, positive};
use crate::grid::Grid;
use crate::heun::corrector;
use crate::state::State;

const NAME: &str = "likelihood";

/// Tolerances of a step of the adaptive solver.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Tolerance {
    /// Allowed error of the state, as a part of `|ȳ|`, positive.
    pub relative: f64,
    /// Allowed error of the state where `ȳ` is small, positive.
    pub absolute: f64,
    /// Allowed error of the log density, in nats, positive.
    pub nats: f64,
    /// Steps, refused ones too, after which a grid interval is given up; at least 1.
    pub most_steps: usize,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { relative: 1e-4, absolute: 1e-4, nats: 1e-4, most_steps: 100_000 }
    }
}

/// How the flow is solved.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Solver {
    /// Heun's method on the grid: two calls for each interval.
    #[default]
    Heun,
    /// Bogacki and Shampine's pair with a tolerance; the grid only says where a callback looks.
    Adaptive(Tolerance),
}

/// A log density with its by-products.
#[derive(Debug, Clone, PartialEq)]
pub struct LogDensity<S> {
    /// `ln p(ȳ₀)` at the grid's lowest positive level, in nats by volume of `ȳ = ln x`: rows × 1 with the exact trace,
    /// else rows × probes.
    pub nats: Array2<f64>,
    /// Where the flow took the data, at the highest level.
    pub latent: S,
    /// Calls of the denoiser with its trace.
    pub calls: usize,
}

impl<S> LogDensity<S> {
    /// The log density of each row: the mean over its probes.
    pub fn means(&self) -> Vec<f64> {
        self.nats.rows().into_iter().map(|row| row.sum() / row.len() as f64).collect()
    }

    /// Standard error of each row's mean over its probes; none with fewer than two.
    pub fn standard_errors(&self) -> Option<Vec<f64>> {
        let n = self.nats.ncols() as f64;
        (self.nats.ncols() > 1).then(|| self.nats.rows().into_iter().map(|row| row.std(1.0) / n.sqrt()).collect())
    }
}

/// What a callback sees after each interval of the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Walked {
    /// The interval just done, from 0, upwards.
    pub index: usize,
    /// Number of intervals.
    pub total: usize,
    /// The level reached.
    pub v: f64,
    /// Calls so far.
    pub calls: usize,
}

/// A probability flow whose density is asked for.
pub struct Flow<'a, S> {
    /// The log denoiser with its trace.
    pub denoiser: &'a dyn Divergence<S>,
    /// Exact, or by probes.
    pub trace: Trace,
    /// How it is solved.
    pub solver: Solver,
}

/// The state with the integral `∫ (d − tr) du` so far.
struct Augmented<S> {
    state: S,
    /// Rows × probes.
    nats: Array2<f64>,
}

/// One flow's equation, with a count of its calls.
struct Equation<'a, 'b, S> {
    flow: &'a Flow<'b, S>,
    index: usize,
    dim: f64,
    calls: usize,
    tolerance: Tolerance,
}

impl<S: State> Equation<'_, '_, S> {
    /// `D` and `d − tr ∂D/∂ȳ`.
    fn traced(&mut self, state: &S, v: f64) -> Result<(S, Array2<f64>), SampleError> {
        let failed = |source| SampleError::Denoise { index: self.index, source };
        let traced = self.flow.denoiser.denoise_traced(state, v, self.flow.trace).map_err(failed)?;
        self.calls += 1;
        let (expected, found) = (state.dims(), traced.denoised.dims());
        if expected != found {
            return Err(failed(DenoiseError::Shape { expected, found }));
        }
        if traced.traces.nrows() != expected[0] {
            let (expected, found) = (vec![expected[0], traced.traces.ncols()], traced.traces.shape().to_vec());
            return Err(failed(DenoiseError::Shape { expected, found }));
        }
        if traced.traces.iter().any(|trace| !trace.is_finite()) {
            return Err(failed(DenoiseError::NonFinite { what: "the trace of the derivative", v }));
        }
        Ok((traced.denoised, traced.traces.mapv_into(|trace| self.dim - trace)))
    }

    fn heun(&mut self, mut at: Augmented<S>, v: f64, v_next: f64) -> Result<Augmented<S>, SampleError> {
        let rho = (v_next / v).sqrt();
        let (first, here) = self.traced(&at.state, v)?;
        let mut predicted = at.state.duplicate();
        predicted.combine(rho, &[(1.0 - rho, &first)]);
        let (second, there) = self.traced(&predicted, v_next)?;
        let (alpha, beta, gamma) = corrector(rho);
        at.state.combine(alpha, &[(beta, &first), (gamma, &second)]);
        at.nats.zip_mut_with(&(here + there), |nats, slopes| *nats += 0.5 * rho.ln() * slopes);
        Ok(at)
    }
}

impl<S: State> Problem for Equation<'_, '_, S> {
    type State = Augmented<S>;

    fn slope(&mut self, at: &Augmented<S>, u: f64) -> Result<Augmented<S>, SampleError> {
        let (mut state, nats) = self.traced(&at.state, (2.0 * u).exp())?;
        state.combine(-1.0, &[(1.0, &at.state)]);
        Ok(Augmented { state, nats })
    }

    fn combine(&self, at: &Augmented<S>, alpha: f64, terms: &[(f64, &Augmented<S>)]) -> Augmented<S> {
        let mut state = at.state.duplicate();
        state.combine(alpha, &terms.iter().map(|(b, term)| (*b, &term.state)).collect::<Vec<_>>());
        let start = &at.nats * alpha;
        let nats = terms.iter().fold(start, |sum, (b, term)| sum + &term.nats * *b);
        Augmented { state, nats }
    }

    fn norm(&self, error: &Augmented<S>, moved: &Augmented<S>) -> f64 {
        let Tolerance { relative, absolute, nats, .. } = self.tolerance;
        let state = error.state.error_norm(&moved.state, absolute, relative);
        let worse = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
        error.nats.iter().map(|e| e.abs() / nats).fold(state, worse)
    }

    fn index(&self) -> usize {
        self.index
    }
}

impl<S: State> Flow<'_, S> {
    /// `ln p(ȳ)` of each row of `clean`, at the grid's lowest positive level; `start_density` gives `ln p` of each row
    /// at its highest level. `on_step` is called after every interval and may stop the work: then there is no result.
    ///
    /// # Errors
    /// When the state does not say its shape, the grid has fewer than two positive levels, a tolerance is not positive,
    /// the denoiser or `start_density` fails, or the steps get stuck.
    pub fn log_density(
        &self,
        clean: S,
        start_density: &dyn Fn(&S) -> Result<Vec<f64>, SampleError>,
        grid: &Grid,
        on_step: &mut dyn FnMut(Walked) -> ControlFlow<()>,
    ) -> Result<Option<LogDensity<S>>, SampleError> {
        let mut levels = grid.levels()[..grid.steps()].to_vec();
        levels.reverse();
        if levels.len() < 2 {
            return Err(ConfigError::TooShort(levels.len()).into());
        }
        let tolerance = match self.solver {
            Solver::Heun => Tolerance::default(),
            Solver::Adaptive(tolerance) => tolerance.checked()?,
        };
        let dims = clean.dims();
        let [rows, ref rest @ ..] = dims[..] else {
            return Err(SampleError::Shapeless);
        };
        let dim = rest.iter().product::<usize>() as f64;
        let columns = match self.trace {
            Trace::Exact => 1,
            Trace::Hutchinson(probes) => probes.count as usize,
        };
        let mut at = Augmented { state: clean, nats: Array2::zeros((rows, columns)) };
        let mut equation = Equation { flow: self, index: 0, dim, calls: 0, tolerance };
        let (total, mut pace) = (levels.len() - 1, None);
        for (index, pair) in levels.windows(2).enumerate() {
            equation.index = index;
            at = match self.solver {
                Solver::Heun => equation.heun(at, pair[0], pair[1])?,
                Solver::Adaptive(_) => {
                    let leg =
                        Leg { from: 0.5 * pair[0].ln(), to: 0.5 * pair[1].ln(), most_steps: tolerance.most_steps };
                    advance(&mut equation, at, leg, &mut pace)?
                }
            };
            let seen = Walked { index, total, v: pair[1], calls: equation.calls };
            if on_step(seen).is_break() {
                return Ok(None);
            }
        }
        let start = start_density(&at.state)?;
        if start.len() != rows {
            return Err(SampleError::StartDensity { expected: rows, found: start.len() });
        }
        let mut nats = at.nats;
        for (mut row, start) in nats.rows_mut().into_iter().zip(start) {
            row += start;
        }
        Ok(Some(LogDensity { nats, latent: at.state, calls: equation.calls }))
    }
}

impl Tolerance {
    fn checked(self) -> Result<Self, ConfigError> {
        positive(NAME, "relative", self.relative)?;
        positive(NAME, "absolute", self.absolute)?;
        positive(NAME, "nats", self.nats)?;
        counted(NAME, "most_steps", self.most_steps)?;
        Ok(self)
    }
}
