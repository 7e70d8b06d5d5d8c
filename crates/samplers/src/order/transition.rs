//! What one step of a sampler does, found by running it with given normals: a law of the new state for each old one.
//!
//! ```text
//! log space       ȳ' = m + s z                            three responses, z = 0, 1, −1, say m and s
//! ambient         x' = x (p + q z + w z²)                  and p, q, w
//! ```
//!
//! A fourth response, at `z = ½`, must agree.

use gbm_sde::LogNormalMixture;
use gbm_sde::normal::{normal_cdf, normal_pdf};
use ndarray::Array2;

use super::{Given, OrderError, run};
use crate::grid::Grid;
use crate::sampler::Sampler;

/// The responses that are asked for.
const NORMALS: [f64; 4] = [0.0, 1.0, -1.0, 0.5];

/// How far the fourth response may be off, in units of the state.
const TOLERANCE: f64 = 1e-9;

/// The law of the new log state from one old state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Transition {
    /// `ȳ' = mean + sd z`.
    Additive { mean: f64, sd: f64 },
    /// `ȳ' = y + ln(p + q z + w z²)`, on the branch through `z = 0`; what leaves the positive numbers is lost.
    Ambient { y: f64, p: f64, q: f64, w: f64 },
}

impl Transition {
    /// The new state without noise.
    pub(super) fn centre(&self) -> f64 {
        match *self {
            Self::Additive { mean, .. } => mean,
            Self::Ambient { y, p, .. } => y + p.max(f64::MIN_POSITIVE).ln(),
        }
    }

    /// The normal that leads to a new state, and its derivative by that state; none where no normal does.
    fn normal(&self, to: f64) -> Option<(f64, f64)> {
        match *self {
            Self::Additive { mean, sd } => Some(((to - mean) / sd, 1.0 / sd)),
            Self::Ambient { y, p, q, w } => {
                let factor = (to - y).exp();
                let root = (q * q + 4.0 * w * (factor - p)).sqrt();
                (root > 0.0).then(|| (2.0 * (factor - p) / (q + root), factor / root))
            }
        }
    }

    /// The density of the new log state.
    pub(super) fn density(&self, to: f64) -> f64 {
        self.normal(to).map_or(0.0, |(z, slope)| normal_pdf(z) * slope)
    }

    /// Its distribution function.
    pub(super) fn cdf(&self, to: f64) -> f64 {
        self.normal(to).map_or(0.0, |(z, _)| normal_cdf(z))
    }
}

/// The laws of one step from each of `states`, from `v` to `v_next`, as the first step of a run.
pub(super) fn first_step(
    sampler: &dyn Sampler<Array2<f64>>,
    truth: &LogNormalMixture,
    states: &[f64],
    v: f64,
    v_next: f64,
) -> Result<Vec<Transition>, OrderError> {
    let n = states.len();
    let start = Array2::from_shape_fn((4 * n, 1), |(i, _)| states[i % n]);
    let z = [Array2::from_shape_fn((4 * n, 1), |(i, _)| NORMALS[i / n])];
    let (end, signs) = run(sampler, truth, start, &mut Given::new(&z), &Grid::new(vec![v, v_next, 0.0])?)?;
    let response = |i: usize, k: usize| (end[[k * n + i, 0]], signs[[k * n + i, 0]]);
    (0..n).map(|i| fit(states[i], v, [0, 1, 2, 3].map(|k| response(i, k)))).collect()
}

/// The law of the second step for pairs of states: one before, a node whose first step has the law given, and one now. For a
/// sampler that is additive in the log state, as its first step was found to be, two responses say it all.
pub(super) fn second_step(
    sampler: &dyn Sampler<Array2<f64>>,
    truth: &LogNormalMixture,
    pairs: &[(f64, Transition, f64)],
    levels: [f64; 3],
) -> Result<Vec<Transition>, OrderError> {
    let n = pairs.len();
    let start = Array2::from_shape_fn((2 * n, 1), |(i, _)| pairs[i % n].0);
    // The first normal is the one that leads to the state asked for.
    let leads = |i: usize| pairs[i].1.normal(pairs[i].2).map_or(0.0, |(z, _)| z);
    let z = [
        Array2::from_shape_fn((2 * n, 1), |(i, _)| leads(i % n)),
        Array2::from_shape_fn((2 * n, 1), |(i, _)| NORMALS[i / n]),
    ];
    let [v, v_next, v_last] = levels;
    let grid = Grid::new(vec![v, v_next, v_last, 0.0])?;
    let (end, _) = run(sampler, truth, start, &mut Given::new(&z), &grid)?;
    Ok((0..n).map(|i| Transition::Additive { mean: end[[i, 0]], sd: end[[n + i, 0]] - end[[i, 0]] }).collect())
}

/// The law that the four responses, log state and sign, are of.
fn fit(y: f64, v: f64, responses: [(f64, f64); 4]) -> Result<Transition, OrderError> {
    let [rest, up, down, check] = responses.map(|(state, _)| state);
    let sd = 0.5 * (up - down);
    // Both responses must agree: the symmetric one alone can do so by chance.
    let error = (up + down - 2.0 * rest).abs().max((rest + 0.5 * sd - check).abs());
    if error <= TOLERANCE * (1.0 + rest.abs()) && sd > 0.0 {
        return Ok(Transition::Additive { mean: rest, sd });
    }
    let [p, up, down, check] = responses.map(|(state, sign)| sign * (state - y).exp());
    let (q, w) = (0.5 * (up - down), 0.5 * (up + down) - p);
    let error = (p + 0.5 * q + 0.25 * w - check).abs();
    let within = error <= TOLERANCE * (1.0 + p.abs()) && q > 0.0;
    if within { Ok(Transition::Ambient { y, p, q, w }) } else { Err(OrderError::Transition { v, error }) }
}
