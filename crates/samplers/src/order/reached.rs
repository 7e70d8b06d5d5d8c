//! How near a sampler comes to the truth on a practical grid, down to 0, and whether refined settings bring it there.
//!
//! ```text
//! W₁(N)      Wasserstein-1 distance of ln |x| to the clean data, from the exact law at the first level
//! scatter    W₁ between two runs with different seeds
//! ```
//!
//! A sampler without an order converges when its best settings end within [`NEAR`] of the truth, and each of the last three
//! refinements has brought it nearer by at least a fifth, unless it was already as near as the scatter or the grid's own last step lets
//! it come.

use super::OrderError;
use super::problem::{Practical, R_MIN};
use super::ranked::{Ensemble, distance};
use crate::ancestral::Ancestral;
use crate::grid::Grid;

/// A distance that counts as near: about a hundredth of the standard deviation of `ln x` in
/// [`one_dimension`](super::problem::one_dimension).
pub const NEAR: f64 = 0.01;

/// How much of the distance may be left after a refinement.
const LEFT: f64 = 0.8;

/// Refinements that must show it.
const REFINEMENTS: usize = 3;

/// How many times the floor a distance may be to count as on it.
const ABOVE_FLOOR: f64 = 2.0;

/// Where a sampler ended on a grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reached {
    /// Steps of the grid.
    pub steps: usize,
    /// Network calls.
    pub calls: usize,
    /// Distance to the clean data, the mean of two seeds.
    pub wasserstein: f64,
    /// Distance between two seeds; 0 without noise.
    pub scatter: f64,
    /// Part of the states that ended with the wrong sign.
    pub negative: f64,
}

impl Practical {
    /// Runs it twice.
    ///
    /// # Errors
    /// When the settings are not allowed, the grid starts elsewhere than the ensemble, or the sampler fails.
    pub fn reach(&self, ensemble: &Ensemble) -> Result<Reached, OrderError> {
        let (sampler, grid) = (self.sampler.build()?, self.grid.build(None)?);
        let first = ensemble.run(&*sampler, &grid, 1)?;
        let second = if first.draws > 0 { ensemble.run(&*sampler, &grid, 2)? } else { first.clone() };
        Ok(Reached {
            steps: grid.steps(),
            calls: first.calls,
            wasserstein: 0.5 * (first.wasserstein + second.wasserstein),
            scatter: distance(&first.states, &second.states),
            negative: 0.5 * (first.negative + second.negative),
        })
    }
}

/// What the step from [`R_MIN`] to 0 leaves when all before it was exact and it ends in `D`.
///
/// # Errors
/// As [`Ensemble::new`].
pub fn last_step(truth: &gbm_sde::LogNormalMixture, states: usize) -> Result<f64, OrderError> {
    let v = R_MIN * R_MIN;
    Ok(Ensemble::new(truth, v, states)?.run(&Ancestral, &Grid::new(vec![v, 0.0])?, 0)?.wasserstein)
}

/// Whether a sampler, run with ever finer settings, converges to the truth on a grid whose last step leaves so much.
pub fn converges(reached: &[Reached], last_step: f64) -> bool {
    let settled = |r: &Reached| r.wasserstein <= ABOVE_FLOOR * r.scatter.max(last_step);
    let nearer = |pair: &[Reached]| pair[1].wasserstein <= LEFT * pair[0].wasserstein || settled(&pair[1]);
    let late = reached.len().saturating_sub(REFINEMENTS + 1);
    reached.len() > REFINEMENTS
        && reached.iter().all(|r| r.wasserstein.is_finite())
        && reached.last().is_some_and(|r| r.wasserstein <= NEAR)
        && reached[late..].windows(2).all(nearer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::problem::{R_MAX, one_dimension, subjects};

    fn run(distances: &[f64], scatter: f64) -> bool {
        let reached = |&wasserstein: &f64| Reached { steps: 1, calls: 1, wasserstein, scatter, negative: 0.0 };
        converges(&distances.iter().map(reached).collect::<Vec<_>>(), 1e-6)
    }

    #[test]
    fn verdicts() {
        assert!(run(&[0.5, 0.6, 0.04, 0.02, 0.009], 0.0));
        assert!(!run(&[0.5, 0.6, 0.04, 0.02, 0.011], 0.0), "too far");
        assert!(!run(&[0.005, 0.0048, 0.0046, 0.0044], 0.0), "stuck");
        assert!(run(&[0.005, 0.002, 0.0021, 0.0019], 0.0012), "on the floor of the scatter");
        assert!(run(&[1e-3, 1e-6, 1.9e-6, 1e-6], 0.0), "on the floor of the last step");
        assert!(!run(&[0.005, 0.004, 0.003], 0.0), "too few");
        assert!(!run(&[f64::NAN, 0.04, 0.02, 0.01, 0.005], 0.0));
    }

    #[test]
    fn the_last_step_leaves_the_posterior_variance() {
        // D is within v g of the state, and W₁ between the exact law and that of D is ½ v ∫ |p'| up to higher orders.
        let (truth, v) = (one_dimension(), R_MIN * R_MIN);
        let slope = |y: f64| (truth.marginal_pdf(0, y + 1e-4, v) - truth.marginal_pdf(0, y - 1e-4, v)).abs() / 2e-4;
        let total: f64 = (0..60_000).map(|i| slope(-3.0 + 1e-4 * f64::from(i)) * 1e-4).sum();
        let found = last_step(&truth, 4096).unwrap();
        assert!((found / (0.5 * v * total) - 1.0).abs() < 0.02, "{found} {}", 0.5 * v * total);
    }

    #[test]
    fn without_noise_there_is_no_scatter() {
        let ensemble = Ensemble::new(&one_dimension(), R_MAX * R_MAX, 256).unwrap();
        let found = |name: &str| {
            let subject = subjects().into_iter().find(|s| s.name == name).unwrap();
            subject.practical()[1].reach(&ensemble).unwrap()
        };
        let (flow, noisy) = (found("euler"), found("ancestral"));
        assert!(flow.scatter == 0.0 && noisy.scatter > 0.0);
        assert_eq!((flow.steps, flow.calls, flow.negative), (10, 10, 0.0));
    }
}
