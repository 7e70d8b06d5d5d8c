//! With exact scores, 100,000 end samples cannot be told from the truth in 1, 2 and 16 dimensions: by Kolmogorov and Smirnov's test of
//! each coordinate, and by the maximum mean discrepancy (MMD) to as many draws of the truth. The same tests at the same number
//! do tell a Dale–Langevin sampler whose 3/2 is 1/2 or 1.4.
//!
//! The level is 10⁻³ for each law and test: over coordinates with Bonferroni's correction, over the blocks of
//! the MMD by its normal limit, one-sided. MMD: Gaussian kernel, unbiased in each of 200 blocks of 500 and 500 samples, and averaged:
//!
//! ```text
//! MMD² = 1/(n(n−1)) Σ_{i≠j} k(x_i, x_j) + k(y_i, y_j) − k(x_i, y_j) − k(x_j, y_i),      t = mean/(standard deviation/√200)
//! ```
//!
//! Source: Gretton et al., *A kernel two-sample test*, JMLR 13 (2012); blocks: Zaremba, Gretton and Blaschko, *B-tests*, NeurIPS 2013.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use std::ops::ControlFlow;

use gbm_sde::goodness::kolmogorov_smirnov;
use gbm_sde::normal::normal_quantile;
use gbm_sde::{LogNormalMixture, LogStep, Noise, Stream};
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use samplers::{AddressedNoise, DaleLangevin, Grid, GridConfig, Heun, SampleError, Sampler, SdeDpmSolver2M, Stepper};

type Dense = Array2<f64>;

const N: usize = 100_000;
const BLOCK: usize = 500;
const LEVEL: f64 = 1e-3;

/// Draws of the truth that the samples are compared with.
const FRESH: Stream = Stream(71);

fn laws() -> [LogNormalMixture; 3] {
    let one = LogNormalMixture::new(vec![0.35, 0.65], vec![vec![-0.8], vec![0.7]], vec![vec![0.1], vec![0.15]]);
    let covariances = vec![vec![vec![0.1, 0.05], vec![0.05, 0.15]], vec![vec![0.2, -0.06], vec![-0.06, 0.1]]];
    let two = LogNormalMixture::with_covariances(vec![0.4, 0.6], vec![vec![-0.6, 0.5], vec![0.7, -0.4]], covariances);
    let wave = |scale: f64, shift: f64, k: f64| (0..16).map(|i| shift + scale * (k * f64::from(i)).cos()).collect();
    let (means, variances) =
        (vec![wave(0.5, 0.2, 1.0), wave(0.4, -0.3, 2.3)], vec![wave(0.05, 0.15, 0.7), wave(0.08, 0.2, 1.9)]);
    let sixteen = LogNormalMixture::new(vec![0.45, 0.55], means, variances);
    [one, two, sixteen].map(Result::unwrap)
}

/// Rows `first …` of the truth's draws, noised to `r`.
fn draws(truth: &LogNormalMixture, stream: Stream, first: usize, rows: usize, r: f64) -> Dense {
    let source = AddressedNoise { noise: Noise::new(41), stream: Stream::PERTURB, first_index: first as u64 };
    let mut state = source.rows_f64(rows, truth.dim(), 0).mapv_into(|z| r * z);
    let mut clean = vec![0.0; truth.dim()];
    for (index, mut row) in (first as u64..).zip(state.rows_mut()) {
        truth.sample_into(&source.noise, stream, index, &mut clean);
        row.iter_mut().zip(&clean).for_each(|(y, clean)| *y += clean);
    }
    state
}

/// `N` end samples from exact starts; pieces of the batch on all threads.
fn samples(sampler: &(dyn Sampler<Dense> + Sync), truth: &LogNormalMixture, grid: &Grid) -> Dense {
    const ROWS: usize = 2000;
    let pieces: Vec<Dense> = (0..N / ROWS)
        .into_par_iter()
        .map(|piece| {
            let start = draws(truth, Stream::PRIOR, piece * ROWS, ROWS, grid.start().sqrt());
            let mut noise = AddressedNoise::sampler(43, (piece * ROWS) as u64);
            sampler.sample(start, truth, &mut noise, grid, &mut |_| ControlFlow::Continue(())).unwrap().state
        })
        .collect();
    ndarray::concatenate(Axis(0), &pieces.iter().map(|piece| piece.view()).collect::<Vec<_>>()).unwrap()
}

/// The smallest p-value of the coordinates, times their number.
fn least_p_value(state: &Dense, truth: &LogNormalMixture) -> f64 {
    let p_value = |axis: usize| {
        let column = state.column(axis).to_vec();
        kolmogorov_smirnov(&column, |y| truth.marginal_cdf(axis, y, 0.0)).unwrap().p_value
    };
    (0..truth.dim()).into_par_iter().map(p_value).reduce(|| 1.0, f64::min) * truth.dim() as f64
}

/// The normal deviate `t` of the MMD between the rows of two arrays; see the module documentation.
fn discrepancy(x: &Dense, y: &Dense) -> f64 {
    let d = x.ncols();
    let factor = -0.5 / (0.3 * d as f64);
    let (x, y) = (x.as_slice().unwrap(), y.as_slice().unwrap());
    let kernel = |a: &[f64], b: &[f64]| (factor * a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>()).exp();
    let blocks: Vec<f64> = x
        .par_chunks(BLOCK * d)
        .zip(y.par_chunks(BLOCK * d))
        .map(|(x, y)| {
            let (x, y): (Vec<&[f64]>, Vec<&[f64]>) = (x.chunks(d).collect(), y.chunks(d).collect());
            let pairs = (0..BLOCK).flat_map(|i| (0..i).map(move |j| (i, j)));
            let term = |(i, j): (usize, usize)| {
                kernel(x[i], x[j]) + kernel(y[i], y[j]) - kernel(x[i], y[j]) - kernel(x[j], y[i])
            };
            2.0 * pairs.map(term).sum::<f64>() / (BLOCK * (BLOCK - 1)) as f64
        })
        .collect();
    let n = blocks.len() as f64;
    let mean = blocks.iter().sum::<f64>() / n;
    let variance = blocks.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n - 1.0);
    mean / (variance / n).sqrt()
}

/// Both tests of a sampler: p-value of the coordinates together, and the deviate of the MMD.
fn judge(sampler: &(dyn Sampler<Dense> + Sync), truth: &LogNormalMixture, steps: usize) -> (f64, f64) {
    let grid = GridConfig::LogNoise { r_min: 0.02, r_max: 2.0, steps }.build(None).unwrap();
    let state = samples(sampler, truth, &grid);
    let outcome = (least_p_value(&state, truth), discrepancy(&state, &draws(truth, FRESH, 0, N, 0.0)));
    println!("{} dimensions, {}: p = {:.2e}, t = {:.2}", truth.dim(), sampler.name(), outcome.0, outcome.1);
    outcome
}

/// Dale–Langevin with another number than 3/2 in `Δ ln x = Δv (3/2 + h) − ∫μ + √Δv z`.
struct Altered(f64);

impl Sampler<Dense> for Altered {
    fn step(&self, s: &mut Stepper<'_, Dense>) -> Result<(), SampleError> {
        let step = LogStep { v: s.v, v_next: s.v_next, dm: 0.0 };
        let (denoised, z) = (s.denoise(s.v)?, s.normal()?);
        let drift = (self.0 - 1.5) * step.dv();
        s.state = &s.state * step.alpha() + &denoised * step.beta() + &z * step.eta() + drift;
        Ok(())
    }

    fn name(&self) -> &'static str {
        "altered"
    }
}

/// Steps of the Dale–Langevin runs: what is left of their error is a third of what the tests can see.
const STEPS: usize = 300;

#[test]
fn end_samples_cannot_be_told_from_the_truth() {
    let samplers: [(&(dyn Sampler<Dense> + Sync), usize); 3] =
        [(&DaleLangevin, STEPS), (&Heun, 40), (&SdeDpmSolver2M::default(), 80)];
    for truth in laws() {
        for (sampler, steps) in samplers {
            let (p_value, t) = judge(sampler, &truth, steps);
            assert!(p_value > LEVEL, "{}, {} dimensions: p-value {p_value}", sampler.name(), truth.dim());
            assert!(t < -normal_quantile(LEVEL), "{}, {} dimensions: MMD deviate {t}", sampler.name(), truth.dim());
        }
    }
}

#[test]
fn a_wrong_drift_is_noticed() {
    let grid = GridConfig::LogNoise { r_min: 0.02, r_max: 0.8, steps: 9 }.build(None).unwrap();
    let run = |sampler: &dyn Sampler<Dense>| {
        let start = draws(&laws()[1], Stream::PRIOR, 0, 5, 0.8);
        let mut noise = AddressedNoise::sampler(43, 0);
        sampler.sample(start, &laws()[1], &mut noise, &grid, &mut |_| ControlFlow::Continue(())).unwrap().state
    };
    // Unaltered it is Dale–Langevin.
    assert!((run(&Altered(1.5)) - run(&DaleLangevin)).iter().all(|e| e.abs() < 1e-12));
    for truth in laws() {
        for number in [0.5, 1.4] {
            let (p_value, t) = judge(&Altered(number), &truth, STEPS);
            assert!(p_value < LEVEL, "{number}, {} dimensions: p-value {p_value}", truth.dim());
            assert!(t > -normal_quantile(LEVEL), "{number}, {} dimensions: MMD deviate {t}", truth.dim());
        }
    }
}
