//! The order of a sampler, measured against exact truth on a log-normal mixture.
//!
//! ```text
//! weak     |E f(X_N) − E f(X)| ≈ C N^{−p}        strong     E |X_N − X| ≈ C N^{−p}
//! p        = least-squares slope of −ln(error) against ln(N)
//! ```
//!
//! A sampler runs between two noise levels away from 0, from the exact law at the upper one, on `N` equal steps of the noise
//! level; with its exact scores the law at the lower one is known. Nothing is assumed of the sampler: its own steps are run, as
//! black boxes behind [`Sampler`], so that the order of a new sampler is measured by the same calls:
//!
//! | module | what | how |
//! |---|---|---|
//! | [`law`] | mean, variance and Wasserstein-1 distance of `x` in one dimension | quadrature: no draw is made, no scatter is left |
//! | [`coupled`] | means, covariances and paths in any dimension | Monte Carlo on one Brownian path for all step sizes ([`crate::RefinedNoise`]) |
//! | [`ranked`] | Wasserstein-1 distance at the end of a whole run, in one dimension | few states with noise by rank |
//!
//! [`problem`] holds the truths, the grids and every sampler with its theory; [`reached`] says whether samplers without an order
//! converge.
//!
//! ```
//! use gbm_sde::LogNormalMixture;
//! use samplers::order::{Range, law::law_error, slope};
//! let truth = LogNormalMixture::new(vec![0.4, 0.6], vec![vec![-0.8], vec![0.7]], vec![vec![0.1], vec![0.2]])?;
//! let range = Range { from: 0.8, to: 0.2 };
//! let steps = [16, 32, 64];
//! let mut errors = Vec::new();
//! for n in steps {
//!     errors.push(law_error(&samplers::Heun, &truth, &range.grid(n)?)?.wasserstein);
//! }
//! assert!((slope(&steps, &errors) - 2.0).abs() < 0.1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod coupled;
pub mod law;
pub mod problem;
pub mod ranked;
pub mod reached;
mod transition;

use std::cell::Cell;
use std::ops::ControlFlow;

use gbm_sde::LogNormalMixture;
use ndarray::{Array2, Zip};

use crate::error::{ConfigError, SampleError};
use crate::grid::{Grid, GridConfig};
use crate::noise::NoiseSource;
use crate::sampler::Sampler;

/// Why an order was not measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// The sampler failed.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// The grids cannot be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The law is followed in one dimension only.
    #[error("order: a law in 1 dimension is needed, got {0}")]
    Dimension(usize),
    /// A step that is neither `ȳ' = m + s z` nor `x' = x (p + q z + w z²)` in its normal `z`.
    #[error(
        "order: the step from v = {v} is neither additive in the log state nor quadratic in ambient space; it is off by {error:e}"
    )]
    Transition {
        /// The level at the start of the step.
        v: f64,
        /// By how much the response to a fourth normal differs from what three others say.
        error: f64,
    },
    /// A grid that does not start where the states are.
    #[error("order: the grid starts at v = {found}, the states stand at v = {expected}")]
    Start {
        /// Level of the states.
        expected: f64,
        /// First level of the grid.
        found: f64,
    },
    /// A grid's number of steps that does not double from the one before.
    #[error("order: {next} steps after {before}, where each grid must halve the steps of the one before")]
    NotDoubling {
        /// Steps of a grid.
        before: usize,
        /// Steps of the next.
        next: usize,
    },
}

/// The noise levels `r = √v` between which an order is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The upper one, where the run starts.
    pub from: f64,
    /// The lower one, where it ends.
    pub to: f64,
}

impl Range {
    /// Equal steps of the noise level, and the step to 0 that every grid ends with; it is not run.
    ///
    /// # Errors
    /// Unless `from > to > 0` and there is at least one step.
    pub fn grid(&self, steps: usize) -> Result<Grid, ConfigError> {
        GridConfig::NoiseLevel { r_min: self.to, r_max: self.from, steps: steps + 1 }.build(None)
    }
}

/// Least-squares slope of `−ln(error)` against `ln(steps)`; NaN for fewer than two points or errors that are not positive.
///
/// ```
/// let order = samplers::order::slope(&[10, 20, 40], &[0.3, 0.075, 0.01875]);
/// assert!((order - 2.0).abs() < 1e-12);
/// ```
pub fn slope(steps: &[usize], errors: &[f64]) -> f64 {
    let points: Vec<(f64, f64)> = steps.iter().zip(errors).map(|(&n, e)| ((n as f64).ln(), -e.ln())).collect();
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let (xy, xx) = points.iter().fold((0.0, 0.0), |(a, b), p| (a + (p.0 - x) * (p.1 - y), b + (p.0 - x).powi(2)));
    xy / xx
}

/// Normals given beforehand, one array for each draw; counts the draws.
struct Given<'a> {
    draws: &'a [Array2<f64>],
    used: Cell<usize>,
}

impl<'a> Given<'a> {
    fn new(draws: &'a [Array2<f64>]) -> Self {
        Self { draws, used: Cell::new(0) }
    }
}

impl NoiseSource<Array2<f64>> for Given<'_> {
    fn normal(&mut self, _: &Array2<f64>, step: u32) -> Result<Array2<f64>, SampleError> {
        self.used.set(self.used.get() + 1);
        let (draw, steps) = (step as usize, self.draws.len());
        self.draws.get(draw).cloned().ok_or(SampleError::NoiseExhausted { draw, steps })
    }
}

/// The log state and the signs, 1 where there are none, after all steps of a grid but the last, which goes to 0.
fn run(
    sampler: &dyn Sampler<Array2<f64>>,
    truth: &LogNormalMixture,
    start: Array2<f64>,
    noise: &mut dyn NoiseSource<Array2<f64>>,
    grid: &Grid,
) -> Result<(Array2<f64>, Array2<f64>), SampleError> {
    let last = grid.steps() - 1;
    let mut stop = |step: crate::Step<'_, Array2<f64>>| match step.index + 1 < last {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    };
    let end = sampler.sample(start, truth, noise, grid, &mut stop)?;
    let signs = end.signs.unwrap_or_else(|| Array2::ones(end.state.raw_dim()));
    Ok((end.state, signs))
}

/// `x = ±e^ȳ`.
fn ambient(state: &Array2<f64>, signs: &Array2<f64>) -> Array2<f64> {
    Zip::from(state).and(signs).map_collect(|y, sign| sign * y.exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes() {
        assert!((slope(&[4, 8, 64], &[1.0, 0.5f64.powf(0.7), 0.0625f64.powf(0.7)]) - 0.7).abs() < 1e-14);
        assert!(slope(&[4], &[1.0]).is_nan());
        assert!(!slope(&[4, 8], &[1.0, 0.0]).is_finite());
        assert!(slope(&[4, 8], &[1.0, -1.0]).is_nan());
    }

    #[test]
    fn ranges_are_checked() {
        assert_eq!(Range { from: 2.0, to: 1.0 }.grid(2).unwrap().levels(), [4.0, 2.25, 1.0, 0.0]);
        assert!(Range { from: 1.0, to: 2.0 }.grid(2).is_err());
    }
}
