//! Errors of means, covariances and paths in any dimension, on one Brownian path for all step sizes.
//!
//! ```text
//! strong       E ‖X_N − X‖
//! means        ‖E X_N − E X‖
//! covariances  ‖Cov X_N − Cov X‖      (Frobenius)
//! ```
//!
//! `X` is what a reference sampler makes of the same start and the same path ([`crate::RefinedNoise`]) on a far finer grid. As
//! `X_N − X` is small the scatter of its mean is too, and comes with the answer. Samplers of the reverse equation (Dale–Langevin,
//! ancestral, the ambient ones) share one solution for one path, so one of them can be the reference of another.

use gbm_sde::{LogNormalMixture, Stream};
use ndarray::{Array2, Axis};

use super::{OrderError, Range, ambient, run};
use crate::noise::AddressedNoise;
use crate::refined::RefinedNoise;
use crate::sampler::Sampler;

/// Paths that are run together.
const BATCH: usize = 500;

/// What is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Coupling {
    /// Between which noise levels.
    pub range: Range,
    /// Steps of the grids, each twice as many as before.
    pub steps: Vec<usize>,
    /// How often the steps of the last grid are halved for the reference.
    pub reference_halvings: u32,
    /// Number of paths.
    pub paths: usize,
    /// Seed of starts and paths.
    pub seed: u64,
}

/// An error with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Standard error of the value (for a norm: root of the summed variances of its parts).
    pub standard_error: f64,
}

/// The errors of one grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoupledError {
    /// Number of steps.
    pub steps: usize,
    /// Mean distance of a path's end from the reference's.
    pub strong: Estimate,
    /// Distance of the means.
    pub mean: Estimate,
    /// Distance of the covariance matrices.
    pub covariance: Estimate,
}

/// Runs a sampler on all grids, and the reference on the finest.
///
/// # Errors
/// When the grids do not halve each other's steps, or a sampler fails or draws more than once a step.
pub fn coupled_errors(
    sampler: &dyn Sampler<Array2<f64>>,
    reference: &dyn Sampler<Array2<f64>>,
    truth: &LogNormalMixture,
    coupling: &Coupling,
) -> Result<Vec<CoupledError>, OrderError> {
    let Coupling { range, ref steps, reference_halvings, paths, seed } = *coupling;
    if let Some(pair) = steps.windows(2).find(|pair| pair[1] != 2 * pair[0]) {
        return Err(OrderError::NotDoubling { before: pair[0], next: pair[1] });
    }
    let Some(&finest) = steps.last() else { return Ok(Vec::new()) };
    let depth = steps.len() as u32 - 1 + reference_halvings;
    let mut ends = vec![Array2::zeros((paths, truth.dim())); steps.len() + 1];
    for first in (0..paths).step_by(BATCH) {
        let rows = BATCH.min(paths - first);
        let base = AddressedNoise::sampler(seed, first as u64);
        let start = start(truth, &base, range.from, rows);
        let runs = steps.iter().map(|&n| (sampler, n)).chain([(reference, finest << reference_halvings)]);
        for (k, ((sampler, n), ends)) in runs.zip(&mut ends).enumerate() {
            let grid = range.grid(n)?;
            let mut noise = RefinedNoise::new(base, &grid, if k == steps.len() { depth } else { k as u32 })?;
            let (state, signs) = run(sampler, truth, start.clone(), &mut noise, &grid)?;
            ends.slice_axis_mut(Axis(0), (first..first + rows).into()).assign(&ambient(&state, &signs));
        }
    }
    let exact = &ends[steps.len()];
    Ok(steps.iter().zip(&ends).map(|(&n, x)| compare(n, x, exact)).collect())
}

/// Exact draws of the state at a noise level.
fn start(truth: &LogNormalMixture, base: &AddressedNoise, r: f64, rows: usize) -> Array2<f64> {
    let noise = AddressedNoise { stream: Stream::PERTURB, ..*base };
    let mut state = noise.rows_f64(rows, truth.dim(), 0).mapv_into(|z| r * z);
    let mut clean = vec![0.0; truth.dim()];
    for (index, mut row) in (base.first_index..).zip(state.rows_mut()) {
        truth.sample_into(&base.noise, Stream::PRIOR, index, &mut clean);
        row.iter_mut().zip(&clean).for_each(|(y, clean)| *y += clean);
    }
    state
}

fn compare(steps: usize, x: &Array2<f64>, exact: &Array2<f64>) -> CoupledError {
    let (n, d) = x.dim();
    let off = x - exact;
    let distances = off.rows().into_iter().map(|row| row.dot(&row).sqrt());
    let centred = |x: &Array2<f64>| x - &x.sum_axis(Axis(0)).mapv_into(|sum| sum / n as f64);
    let (x, exact) = (centred(x), centred(exact));
    let means: Vec<Estimate> = off.columns().into_iter().map(|c| mean(c.iter().copied())).collect();
    let products = (0..d * d).map(|e| {
        let (i, j) = (e / d, e % d);
        mean((0..n).map(|p| x[[p, i]] * x[[p, j]] - exact[[p, i]] * exact[[p, j]]))
    });
    CoupledError { steps, strong: mean(distances), mean: norm(means), covariance: norm(products) }
}

/// Mean of values, with its standard error.
fn mean(values: impl Iterator<Item = f64>) -> Estimate {
    let (n, sum, squares) = values.fold((0.0, 0.0, 0.0), |(n, sum, squares), v| (n + 1.0, sum + v, squares + v * v));
    let value = sum / n;
    Estimate { value, standard_error: ((squares / n - value * value).max(0.0) / n).sqrt() }
}

/// The Euclidean norm of estimates.
fn norm(parts: impl IntoIterator<Item = Estimate>) -> Estimate {
    let add = |(a, b): (f64, f64), part: Estimate| (a + part.value.powi(2), b + part.standard_error.powi(2));
    let (value, error) = parts.into_iter().fold((0.0, 0.0), add);
    Estimate { value: value.sqrt(), standard_error: error.sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DaleLangevin;

    #[test]
    fn norms_of_estimates() {
        let part = |value, standard_error| Estimate { value, standard_error };
        assert_eq!(norm([part(3.0, 0.6), part(-4.0, 0.8)]), part(5.0, 1.0));
        let found = mean([1.0, 3.0].into_iter());
        assert_eq!(found, part(2.0, 0.5f64.sqrt()));
    }

    #[test]
    fn grids_must_double() {
        let truth = LogNormalMixture::new(vec![1.0], vec![vec![0.3; 2]], vec![vec![0.2; 2]]).unwrap();
        let range = Range { from: 0.8, to: 0.2 };
        let coupling = |steps| Coupling { range, steps, reference_halvings: 0, paths: 600, seed: 1 };
        let run = |steps| coupled_errors(&DaleLangevin, &DaleLangevin, &truth, &coupling(steps));
        assert_eq!(run(vec![4, 8, 12]).unwrap_err(), OrderError::NotDoubling { before: 8, next: 12 });
        assert!(run(vec![]).unwrap().is_empty());
        // The finest grid is the reference: the same path, the same end.
        let found = run(vec![4, 8]).unwrap();
        assert!(found[0].strong.value > 0.01);
        assert!(found[1].strong.value < 1e-13 && found[1].covariance.value < 1e-12, "{found:?}");
    }
}
