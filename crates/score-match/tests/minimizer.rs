//! The minimizer of denoising score matching over a rich family is the true Hyvärinen score.
//!
//! The family is linear, `h = Σ c_k φ_k(y)` with a line and Gaussian bumps, so the minimizer solves normal equations.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

mod common;

use common::law::{Law, gamma_law, mixture, mixture_law};
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use gbm_sde::{Noise, Stream};
use score_match::loss::hyvarinen_target;

/// What the rounding of the normal equations leaves of the distance.
const FLOOR: f64 = 1e-5;

/// A line and `bumps` Gaussian bumps over `[low, high]`, as wide as they are apart.
fn basis(y: f64, bumps: usize, low: f64, high: f64) -> Vec<f64> {
    let spacing = (high - low) / (bumps - 1) as f64;
    let bump = |k: usize| (-0.5 * ((y - low) / spacing - k as f64).powi(2)).exp();
    [1.0, y].into_iter().chain((0..bumps).map(bump)).collect()
}

fn normal_equations(size: usize, nodes: impl Iterator<Item = (Vec<f64>, f64, f64)>) -> (Mat<f64>, Mat<f64>) {
    let (mut matrix, mut right) = (Mat::<f64>::zeros(size, size), Mat::<f64>::zeros(size, 1));
    for (phi, weight, target) in nodes {
        for i in 0..size {
            right[(i, 0)] += weight * phi[i] * target;
            for j in 0..=i {
                matrix[(i, j)] += weight * phi[i] * phi[j];
            }
        }
    }
    // Bumps that no data reach leave the matrix singular to rounding.
    (0..size).for_each(|i| matrix[(i, i)] += 1e-12);
    (matrix, right)
}

fn dot(coefficients: &Mat<f64>, phi: &[f64]) -> f64 {
    phi.iter().enumerate().map(|(k, phi)| coefficients[(k, 0)] * phi).sum()
}

/// Root mean square distance of the minimizer of M-DSM to the true score.
fn distance(law: &Law, bumps: usize, low: f64, high: f64) -> f64 {
    let nodes = law.joint.iter().filter(|n| n.weight > 1e-20);
    let nodes = nodes.map(|n| (basis(n.y, bumps, low, high), n.weight, hyvarinen_target(n.eps, law.v)));
    let (matrix, right) = normal_equations(bumps + 2, nodes);
    let solution = matrix.llt(Side::Lower).unwrap().solve(&right);
    let square = law.expect(|n| (dot(&solution, &basis(n.y, bumps, low, high)) - n.truth).powi(2));
    square.sqrt()
}

#[test]
fn the_minimizer_comes_to_the_true_score_as_the_family_grows() {
    for (law, low, high) in [(mixture_law(0.35), -4.5, 4.5), (gamma_law(2.3, 1.4, 0.35), -13.0, 5.0)] {
        let distances = [6, 12, 24, 36].map(|bumps| distance(&law, bumps, low, high));
        let shrinks = |pair: &[f64]| pair[1] < 0.2 * pair[0] || pair[1] < FLOOR;
        assert!(distances.windows(2).all(shrinks) && distances[0] > FLOOR, "{}: {distances:?}", law.name);
        assert!(distances[3] < FLOOR, "{}: {distances:?}", law.name);
    }
}

#[test]
fn the_fit_to_a_sample_is_the_true_score_within_its_error() {
    let (n, v, bumps, low, high) = (60_000usize, 0.35, 30, -2.6, 3.0);
    let (mixture, noise) = (mixture(), Noise::new(33));
    let draws = (0..n as u64).map(|index| {
        let mut y0 = [0.0];
        mixture.sample_into(&noise, Stream::PRIOR, index, &mut y0);
        let eps = noise.normal(Stream::PERTURB, index, 0, 0);
        (basis(y0[0] + f64::sqrt(v) * eps, bumps, low, high), 1.0 / n as f64, hyvarinen_target(eps, v))
    });
    let draws: Vec<_> = draws.collect();
    let (matrix, right) = normal_equations(bumps + 2, draws.iter().cloned());
    let factor = matrix.llt(Side::Lower).unwrap();
    let solution = factor.solve(&right);
    for y in [-1.2, -0.8, -0.4, 0.0, 0.3, 0.6, 1.0, 1.4] {
        let phi = basis(y, bumps, low, high);
        let column = Mat::from_fn(bumps + 2, 1, |i, _| phi[i]);
        // The sandwich, as the mean square of each draw's influence on the prediction at y.
        let influence = factor.solve(&column);
        let variance = draws.iter().map(|(phi, weight, target)| {
            weight * ((dot(&solution, phi) - target) * dot(&influence, phi)).powi(2) / n as f64
        });
        let variance: f64 = variance.sum();
        let mut denoised = [0.0];
        mixture.denoise_into(&[y], v, &mut denoised);
        let truth = (denoised[0] - y) / v - 1.0;
        let error = dot(&solution, &phi) - truth;
        assert!(error.abs() < 4.42 * variance.sqrt(), "{y}: {error} {}", variance.sqrt());
        assert!(variance.sqrt() < 0.06, "the error bars say something: {}", variance.sqrt());
    }
}
