//! The law at the end of any run in one dimension, from few states: noise that goes by the rank of a state.
//!
//! ```text
//! start     ȳ_i = Q_v((i + ½)/n),   i < n                      quantiles of the exact law at the first level
//! step      z of the state of rank k is Φ⁻¹(u_k),               u_k = φ₂(k) ⊕ s
//! end       W₁ = 1/n Σ_i |ȳ_(i) − Q₀((i + ½)/n)|                sorted, against the clean data
//! ```
//!
//! `φ₂(k)` is van der Corput's sequence, `⊕` adds the digits of a random number `s` without carry, a new one for each draw. The
//! points `(k/n, u_k)` fill the unit square evenly, so that neighbouring states get normals that represent the normal law, where
//! independent ones would do so only in the mean. Each `u_k` is uniform: every path is a path of the sampler. The scatter of the
//! distance falls faster than `1/√n`; what is left of it shows as the distance of two runs with different seeds.
//! Nothing is asked of the sampler: it may draw as often as it likes in a step, and a sampler without noise has no scatter at
//! all.
//!
//! Source: L'Ecuyer, Lécot and Tuffin (2008), *A Randomized Quasi-Monte Carlo Simulation Method for Markov Chains* (array-RQMC).

use std::ops::ControlFlow;

use gbm_sde::normal::normal_quantile;
use gbm_sde::{LogNormalMixture, Noise, Stream};
use ndarray::Array2;

use super::OrderError;
use crate::error::SampleError;
use crate::grid::Grid;
use crate::noise::NoiseSource;
use crate::sampler::Sampler;

/// Bits of a uniform number.
const BITS: u32 = 53;

/// Normals that go by the rank of a state; see the module documentation.
#[derive(Debug, Clone, Copy)]
pub struct RankedNoise {
    noise: Noise,
    draws: usize,
}

impl RankedNoise {
    /// Noise of a seed.
    pub fn new(seed: u64) -> Self {
        Self { noise: Noise::new(seed), draws: 0 }
    }

    /// The normals of ranks `0, 1, …, n − 1` in draw `step`.
    fn normals(&self, n: usize, step: u32) -> impl Iterator<Item = f64> + use<> {
        let unit = (-f64::from(BITS)).exp2();
        let shift = (self.noise.uniform(Stream::SAMPLER, 0, step, 0) / unit) as u64;
        (0..n as u64).map(move |k| {
            let digits = (k.reverse_bits() >> (u64::BITS - BITS)) ^ shift;
            normal_quantile((digits as f64 + 0.5) * unit)
        })
    }
}

impl NoiseSource<Array2<f64>> for RankedNoise {
    fn normal(&mut self, like: &Array2<f64>, step: u32) -> Result<Array2<f64>, SampleError> {
        let (n, columns) = like.dim();
        if columns != 1 {
            return Err(SampleError::NoiseShape { expected: vec![n, columns], found: vec![n, 1] });
        }
        self.draws += 1;
        let mut ranked: Vec<usize> = (0..n).collect();
        ranked.sort_by(|&a, &b| like[[a, 0]].total_cmp(&like[[b, 0]]));
        let mut z = Array2::zeros((n, 1));
        for (row, normal) in ranked.into_iter().zip(self.normals(n, step)) {
            z[[row, 0]] = normal;
        }
        Ok(z)
    }
}

/// States that stand for the exact law at one level, and the clean data that they should end as.
#[derive(Debug, Clone)]
pub struct Ensemble {
    truth: LogNormalMixture,
    v: f64,
    start: Array2<f64>,
    clean: Vec<f64>,
}

/// Where an ensemble ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// `ln |x|`, sorted.
    pub states: Vec<f64>,
    /// Wasserstein-1 distance of `ln |x|` to the clean data.
    pub wasserstein: f64,
    /// Part of the states whose sign an ambient sampler has changed.
    pub negative: f64,
    /// Network calls.
    pub calls: usize,
    /// Draws of noise; without any, another seed ends at the same states.
    pub draws: usize,
}

impl Ensemble {
    /// `n` states at level `v`.
    ///
    /// # Errors
    /// When the truth has several dimensions.
    pub fn new(truth: &LogNormalMixture, v: f64, n: usize) -> Result<Self, OrderError> {
        if truth.dim() != 1 {
            return Err(OrderError::Dimension(truth.dim()));
        }
        let quantile = |i: usize, v: f64| truth.marginal_quantile(0, (i as f64 + 0.5) / n as f64, v);
        let start = Array2::from_shape_fn((n, 1), |(i, _)| quantile(i, v));
        let clean = (0..n).map(|i| quantile(i, 0.0)).collect();
        Ok(Self { truth: truth.clone(), v, start, clean })
    }

    /// Runs a sampler with exact scores on a grid, its last step to 0 included.
    ///
    /// # Errors
    /// When the grid starts at another level than the ensemble, or the sampler fails.
    pub fn run(&self, sampler: &dyn Sampler<Array2<f64>>, grid: &Grid, seed: u64) -> Result<Ended, OrderError> {
        if (grid.start() / self.v - 1.0).abs() > 1e-12 {
            return Err(OrderError::Start { expected: self.v, found: grid.start() });
        }
        let mut on_step = |_: crate::Step<'_, Array2<f64>>| ControlFlow::Continue(());
        let mut noise = RankedNoise::new(seed);
        let end = sampler.sample(self.start.clone(), &self.truth, &mut noise, grid, &mut on_step)?;
        let n = self.clean.len() as f64;
        let negative = end.signs.map_or(0.0, |signs| signs.iter().filter(|sign| **sign < 0.0).count() as f64 / n);
        let mut states = end.state.into_raw_vec_and_offset().0;
        states.sort_by(f64::total_cmp);
        let wasserstein = distance(&states, &self.clean);
        Ok(Ended { states, wasserstein, negative, calls: end.calls, draws: noise.draws })
    }
}

/// Wasserstein-1 distance of two ensembles of the same size, both sorted; NaN if a state is none.
///
/// ```
/// assert_eq!(samplers::order::ranked::distance(&[0.0, 1.0], &[0.5, 1.25]), 0.375);
/// ```
pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DaleLangevin, Euler, GridConfig};
    use gbm_sde::normal::{normal_cdf, normal_pdf};

    #[test]
    fn normals_represent_the_normal_law() {
        let n = 1 << 12;
        let z: Vec<f64> = RankedNoise::new(3).normals(n, 2).collect();
        let moment = |k: i32| z.iter().map(|z| z.powi(k)).sum::<f64>() / n as f64;
        // Independent ones would be off by 0.016 and 0.022.
        assert!(moment(1).abs() < 2e-3 && (moment(2) - 1.0).abs() < 5e-3, "{} {}", moment(1), moment(2));
        // So do those of any run of neighbours: 64 of them stand in 64 equal cells.
        for part in z.chunks(64) {
            let mut cells: Vec<usize> = part.iter().map(|z| (64.0 * normal_cdf(*z)) as usize).collect();
            cells.sort_unstable();
            assert!(cells.into_iter().eq(0..64));
        }
    }

    /// One path alone has independent standard normals.
    #[test]
    fn a_single_rank_is_normal() {
        let draws = 4000;
        let one: Vec<f64> = (0..draws).map(|step| RankedNoise::new(9).normals(64, step).nth(37).unwrap()).collect();
        let fit = gbm_sde::goodness::kolmogorov_smirnov(&one, normal_cdf).unwrap();
        assert!(fit.p_value > 1e-3, "{fit:?}");
        let correlation = one.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / f64::from(draws);
        assert!(correlation.abs() < 4.0 / f64::from(draws).sqrt(), "{correlation}");
    }

    #[test]
    fn noise_goes_by_rank() {
        let state = ndarray::array![[0.3], [-2.0], [5.0], [0.1]];
        let z = RankedNoise::new(1).normal(&state, 6).unwrap();
        let ranked: Vec<f64> = RankedNoise::new(1).normals(4, 6).collect();
        assert_eq!(z, ndarray::array![[ranked[2]], [ranked[0]], [ranked[3]], [ranked[1]]]);
        let error = RankedNoise::new(1).normal(&Array2::zeros((4, 2)), 0).unwrap_err();
        assert_eq!(error, SampleError::NoiseShape { expected: vec![4, 2], found: vec![4, 1] });
    }

    /// On one log-normal every step is affine: the end is normal, with a variance that a recursion gives.
    #[test]
    fn distances_agree_with_a_recursion() {
        let truth = LogNormalMixture::new(vec![1.0], vec![vec![0.3]], vec![vec![0.2]]).unwrap();
        let ensemble = Ensemble::new(&truth, 1.0, 4096).unwrap();
        for steps in [4, 16, 64] {
            let grid = GridConfig::Karras { r_min: 0.01, r_max: 1.0, rho: 7.0, steps }.build(None).unwrap();
            let mut variance = 1.2;
            for pair in grid.levels().windows(2) {
                let dv = pair[0] - pair[1];
                variance = (1.0 - dv / (0.2 + pair[0])).powi(2) * variance + dv;
            }
            // E |z| times the difference of the standard deviations.
            let exact = 2.0 * normal_pdf(0.0) * (variance.sqrt() - 0.2f64.sqrt()).abs();
            let runs: Vec<Ended> = (0..16).map(|seed| ensemble.run(&DaleLangevin, &grid, seed).unwrap()).collect();
            assert!(runs.iter().all(|r| (r.calls, r.draws, r.negative) == (steps, steps, 0.0)));
            let mean = runs.iter().map(|r| r.wasserstein).sum::<f64>() / 16.0;
            let error = (runs.iter().map(|r| (r.wasserstein - mean).powi(2)).sum::<f64>() / 240.0).sqrt();
            assert!((mean - exact).abs() < 4.5 * error, "{steps}: {mean} {exact} {error}");
            // Independent normals would scatter by 0.01.
            let scatter = distance(&runs[0].states, &runs[1].states);
            assert!(error < 3e-4 && scatter > 0.0 && scatter < 4e-3, "{steps}: {error} {scatter}");
        }
    }

    #[test]
    fn without_noise_a_seed_changes_nothing() {
        let truth = LogNormalMixture::new(vec![1.0], vec![vec![0.3]], vec![vec![0.2]]).unwrap();
        let ensemble = Ensemble::new(&truth, 4.0, 64).unwrap();
        let grid = |r_max| GridConfig::NoiseLevel { r_min: 0.1, r_max, steps: 5 }.build(None).unwrap();
        let [a, b] = [1, 2].map(|seed| ensemble.run(&Euler, &grid(2.0), seed).unwrap());
        assert!(a == b && a.draws == 0);
        let error = ensemble.run(&Euler, &grid(3.0), 1).unwrap_err();
        assert_eq!(error, OrderError::Start { expected: 4.0, found: 9.0 });
        let two = LogNormalMixture::new(vec![1.0], vec![vec![0.3; 2]], vec![vec![0.2; 2]]).unwrap();
        assert_eq!(Ensemble::new(&two, 1.0, 8).unwrap_err(), OrderError::Dimension(2));
    }
}
