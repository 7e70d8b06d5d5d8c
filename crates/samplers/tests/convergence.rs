//! With exact scores the samplers converge to the data, at the order that theory gives.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use std::ops::ControlFlow;

use gbm_sde::{LogNormalMixture, Noise, Stream};
use ndarray::{Array2, Axis};
use samplers::{
    AddressedNoise, DaleLangevin, Grid, GridConfig, Heun, NoiseSource, SampleError, Sampler, StochasticHeun,
    StochasticHeunConfig,
};
use score_match::{Denoiser, LinearDenoiser};

type Dense = Array2<f64>;

fn one() -> LogNormalMixture {
    LogNormalMixture::new(vec![0.35, 0.65], vec![vec![-1.0], vec![0.8]], vec![vec![0.1], vec![0.25]]).unwrap()
}

fn two() -> LogNormalMixture {
    let means = vec![vec![-1.0, 0.5], vec![0.8, -0.7]];
    LogNormalMixture::new(vec![0.4, 0.6], means, vec![vec![0.1, 0.2], vec![0.3, 0.1]]).unwrap()
}

/// `n` exact draws of the state at level `v`.
fn start(mixture: &LogNormalMixture, n: usize, v: f64) -> Dense {
    let noise = Noise::new(31);
    let mut state = Dense::zeros((n, mixture.dim()));
    for (i, mut row) in state.axis_iter_mut(Axis(0)).enumerate() {
        let mut y = vec![0.0; mixture.dim()];
        mixture.sample_into(&noise, Stream::PRIOR, i as u64, &mut y);
        for (j, value) in row.iter_mut().enumerate() {
            *value = y[j] + v.sqrt() * noise.normal(Stream::PERTURB, i as u64, 0, j);
        }
    }
    state
}

fn run(sampler: &dyn Sampler<Dense>, denoiser: &dyn Denoiser<Dense>, state: Dense, grid: &Grid) -> Dense {
    let mut noise = AddressedNoise::sampler(17, 0);
    sampler.sample(state, denoiser, &mut noise, grid, &mut |_| ControlFlow::Continue(())).unwrap().state
}

/// Wasserstein-1 distance of one coordinate to the clean data: mean distance of sorted values to quantiles.
fn wasserstein(state: &Dense, mixture: &LogNormalMixture, axis: usize) -> f64 {
    let mut values = state.column(axis).to_vec();
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let distance = |(i, y): (usize, &f64)| (y - mixture.marginal_quantile(axis, (i as f64 + 0.5) / n, 0.0)).abs();
    values.iter().enumerate().map(distance).sum::<f64>() / n
}

fn karras(steps: usize) -> Grid {
    GridConfig::Karras { r_min: 0.01, r_max: 3.0, rho: 7.0, steps }.build(None).unwrap()
}

#[test]
fn dale_langevin_reaches_the_data_in_one_dimension() {
    let w: Vec<f64> = [8, 32, 128, 400]
        .map(|steps| wasserstein(&run(&DaleLangevin, &one(), start(&one(), 10_000, 9.0), &karras(steps)), &one(), 0))
        .to_vec();
    assert!(w[0] > 2.0 * w[1] && w[1] > 2.0 * w[2], "{w:?}");
    // Sampling error alone is about 0.01 at this number.
    assert!(w[3] < 0.025, "{w:?}");
}

/// One-dimensional flow keeps quantiles, so the end points of quantiles are known exactly and no sampling error is left.
#[test]
fn heun_reaches_the_data_in_one_dimension() {
    let n = 400;
    let quantile = |i: usize| one().marginal_quantile(0, (i as f64 + 0.5) / n as f64, 9.0);
    let state = Dense::from_shape_fn((n, 1), |(i, _)| quantile(i));
    let w: Vec<f64> = [8, 16, 32, 64]
        .map(|steps| wasserstein(&run(&Heun, &one(), state.clone(), &karras(steps)), &one(), 0))
        .to_vec();
    assert!(w.windows(2).all(|w| w[1] < 0.5 * w[0]), "{w:?}");
    assert!(w[3] < 2e-3, "{w:?}");
}

/// Without churn it is Heun to the bit; with churn it reaches the data, and its paths are others.
#[test]
fn stochastic_heun_reaches_the_data() {
    let with = |churn| StochasticHeun::new(StochasticHeunConfig { churn }).unwrap();
    let from = || start(&one(), 10_000, 9.0);
    let plain = run(&Heun, &one(), from(), &karras(32));
    assert_eq!(run(&with(0.0), &one(), from(), &karras(32)), plain);
    let churned = run(&with(10.0), &one(), from(), &karras(32));
    assert!(churned.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 0.5), "noise was put back");
    let w = wasserstein(&churned, &one(), 0);
    assert!(w < 0.03, "{w}");
    assert!(StochasticHeun::new(StochasticHeunConfig { churn: -1.0 }).is_err());
}

#[test]
fn both_reach_the_data_in_two_dimensions() {
    let n = 10_000;
    // Mean and covariance of the mixture between the two coordinates.
    let mean = [0.6 * 0.8 - 0.4, 0.4 * 0.5 - 0.6 * 0.7];
    let covariance = -0.4 * 0.5 - 0.6 * 0.8 * 0.7 - mean[0] * mean[1];
    let samplers: [(&dyn Sampler<Dense>, usize); 2] = [(&DaleLangevin, 300), (&Heun, 40)];
    for (sampler, steps) in samplers {
        let end = run(sampler, &two(), start(&two(), n, 9.0), &karras(steps));
        for axis in 0..2 {
            let w = wasserstein(&end, &two(), axis);
            assert!(w < 0.03, "{} axis {axis}: {w}", sampler.name());
        }
        let product = (&end.column(0) - mean[0]) * (&end.column(1) - mean[1]);
        let error = product.std(1.0) / (n as f64).sqrt();
        assert!((product.mean().unwrap() - covariance).abs() < 4.0 * error + 0.01, "{}", sampler.name());
    }
}

/// A unit impulse at one place per row: row 1 starts at 1, row k + 2 gets noise 1 in step k.
struct Impulse;

impl NoiseSource<Dense> for Impulse {
    fn normal(&mut self, like: &Dense, step: u32) -> Result<Dense, SampleError> {
        let mut z = Dense::zeros(like.raw_dim());
        z[[step as usize + 2, 0]] = 1.0;
        Ok(z)
    }
}

/// On Gaussian data every step is affine in state and noise, so the sampler's own response to unit impulses gives the mean
/// and variance of its end point exactly. Equal steps of v, down to 0, from a start whose mean is off by 1. The factors of the
/// mean's deviation telescope, so there even the coarsest grid is exact.
#[test]
fn dale_langevin_has_weak_order_one() {
    let (mean, data, from) = (0.3, 0.25, 4.0);
    let denoiser = LinearDenoiser::from_moments(vec![mean], ndarray::array![[data]].view()).unwrap();
    let steps = [40, 80, 160, 320];
    let errors = steps.map(|n| {
        let levels = (0..=n).map(|i| from * (n - i) as f64 / n as f64).collect();
        let mut state = Dense::from_elem((n + 2, 1), mean + 1.0);
        state[[1, 0]] += 1.0;
        let grid = Grid::new(levels).unwrap();
        let end = DaleLangevin
            .sample(state, &denoiser, &mut Impulse, &grid, &mut |_| ControlFlow::Continue(()))
            .unwrap()
            .state;
        let response = |i: usize| (end[[i, 0]] - end[[0, 0]]).powi(2);
        let variance = (data + from) * response(1) + (2..n + 2).map(response).sum::<f64>();
        // The exact reverse equation shrinks the deviation of the mean by data/(data + from).
        assert!((end[[0, 0]] - mean - data / (data + from)).abs() < 1e-14);
        (variance - data).abs()
    });
    let slope = samplers::order::slope(&steps, &errors);
    assert!((slope - 1.0).abs() < 0.2, "order {slope}, errors {errors:?}");
}
