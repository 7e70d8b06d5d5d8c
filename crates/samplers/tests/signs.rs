//! Dale's law, numerically: the exponentiated update and every log-space sampler keep all signs, whatever the coefficients, and
//! make a zero or an infinity only where the result rounded to single precision is one, never what is not a number. The
//! unconstrained update flips signs as often as the Gaussian tail says.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use std::ops::ControlFlow;

use gbm_sde::exponential::exp;
use gbm_sde::{Exponent, LogNormalMixture, LogStep, Noise, Stream};
use ndarray::Array2;
use rayon::prelude::*;
use samplers::{AddressedNoise, GridConfig, Sampler, SamplerConfig, Unconstrained};
use score_match::{DenoiseError, Denoiser};

/// Updates with one set of coefficients.
const BLOCK: usize = 1 << 14;

/// The update under test, `x ← x exp(a + b h + c z)` in single precision: here from its formula, the exponential in four factors
/// so that one that overflows alone does not spoil a product that does not. A fused kernel is tested by calling it here.
fn update(x: &mut [f32], h: &[f32], z: &[f32], exponent: &Exponent) {
    for ((x, &h), &z) in x.iter_mut().zip(h).zip(z) {
        let quarter = f64::from(exp(0.25 * in_single(exponent, h, z).clamp(-350.0, 350.0)));
        *x = (f64::from(*x) * (quarter * quarter) * (quarter * quarter)) as f32;
    }
}

/// The exponent with its coefficients rounded once.
fn in_single(exponent: &Exponent, h: f32, z: f32) -> f32 {
    exponent.a as f32 + exponent.b as f32 * h + exponent.c as f32 * z
}

/// Whether `found` may be `x eᵉ`: its sign that of `x`, and zero or infinite only where the product rounds to that, up to the few
/// units in the last place of the exponential.
fn allowed(x: f32, e: f32, found: f32) -> bool {
    let truth = f64::from(x.abs()) * f64::from(e).exp();
    let (least, most) = (2f64.powi(-150), f64::from(f32::MAX) * (1.0 + 2f64.powi(-25)));
    let (zero, infinite) = (truth < least * (1.0 + 1e-6), truth > most * (1.0 - 1e-6));
    !found.is_nan()
        && found.is_sign_negative() == x.is_sign_negative()
        && (found != 0.0 || zero)
        && (found.is_finite() || infinite)
}

/// Updates of `blocks` blocks: `x` over all finite numbers, subnormal ones too, `Δv` over 14 powers of ten, scores over 12.
fn exponentiated_updates(blocks: usize) {
    let outcomes: [usize; 3] = (0..blocks as u64)
        .into_par_iter()
        .map(|block| {
            let noise = Noise::new(91);
            let (mut u, mut z) = (vec![0.0; 2 * BLOCK + 1], vec![0.0f32; BLOCK]);
            noise.fill_uniform_f64(Stream::TIME, block, 0, &mut u);
            noise.fill_normal(Stream::SAMPLER, block, 0, &mut z);
            let v = 10f64.powf(14.0 * u[2 * BLOCK] - 8.0);
            let exponent = LogStep { v, v_next: 0.0, dm: 0.3 * v }.exponent();
            let finite = |u: f64| f32::from_bits((u * 4_294_967_296.0) as u32);
            let start: Vec<f32> =
                u[..BLOCK].iter().map(|&u| finite(u)).map(|x| if x.is_finite() { x } else { 1.0 }).collect();
            // Exponents mostly between −200 and 200, where products can go either way, some far beyond.
            let wanted = |u: f64| ((u - 0.5) * 7.0).sinh().powi(3) * 0.02;
            let h: Vec<f32> =
                u[BLOCK..2 * BLOCK].iter().map(|&u| ((wanted(u) - exponent.a) / exponent.b) as f32).collect();
            let mut x = start.clone();
            update(&mut x, &h, &z, &exponent);
            let mut counts = [0; 3];
            for i in 0..BLOCK {
                let e = in_single(&exponent, h[i], z[i]);
                assert!(allowed(start[i], e, x[i]), "{} exp({e}) came out as {}", start[i], x[i]);
                counts[if x[i] == 0.0 { 0 } else { 1 + usize::from(x[i].is_infinite()) }] += 1;
            }
            counts
        })
        .reduce(|| [0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
    println!("zero, finite, infinite: {outcomes:?}");
    // All three do occur.
    assert!(outcomes.iter().all(|&n| n > blocks * BLOCK / 50), "{outcomes:?}");
}

#[test]
fn the_exponentiated_update_keeps_signs() {
    exponentiated_updates(64);
}

#[test]
#[ignore = "10⁸ updates: some seconds"]
fn the_exponentiated_update_keeps_signs_a_hundred_million_times() {
    exponentiated_updates(100_000_000usize.div_ceil(BLOCK));
}

/// The product with the exponential alone would not do: it is infinite, or 0, where the result is an ordinary number.
#[test]
fn the_plain_product_fails() {
    assert!(!allowed(1e-30, 100.0, 1e-30 * exp(100.0)));
    assert!(!allowed(-1e30, -110.0, -1e30 * exp(-110.0)));
    assert!(!allowed(1.0, 1.0, -2.7) && allowed(1.0, 100.0, f32::INFINITY) && allowed(-1.0, -110.0, -0.0));
}

/// A denoiser of the worst kind: bounded by 150, and otherwise all over the place.
struct Wild;

impl Denoiser<Array2<f32>> for Wild {
    fn denoise(&self, y_bar: &Array2<f32>, v: f64) -> Result<Array2<f32>, DenoiseError> {
        Ok(y_bar.mapv(|y| 150.0 * (1.7 * y + v as f32).sin()))
    }
}

/// One that is as extreme, but smooth enough for an adaptive step.
struct Steep;

impl Denoiser<Array2<f32>> for Steep {
    fn denoise(&self, y_bar: &Array2<f32>, _: f64) -> Result<Array2<f32>, DenoiseError> {
        Ok(y_bar.mapv(|y| 150.0 * (0.02 * y).tanh()))
    }
}

const LOG_SPACE: [&str; 12] = [
    "kind = 'dale-langevin'",
    "kind = 'ancestral'",
    "kind = 'euler'",
    "kind = 'heun'",
    "kind = 'dpm-solver-2m'",
    "kind = 'dpm-solver-3m'",
    "kind = 'dpm-solver-3m'\nstart = 'heun'",
    "kind = 'adaptive'\nabsolute = 10.0",
    "kind = 'stochastic-heun'\nchurn = 20.0",
    "kind = 'sde-dpm-solver-2m'",
    "kind = 'predictor-corrector'\npredictor = { kind = 'heun' }\nsnr = 0.9\ncorrections = 2",
    "kind = 'published-dale-langevin'\ndelta = 0.01\nanneal = 1.1\nsigma = 30.0\nfinal_passes = 2",
];

/// Every log-space sampler over noise levels from 1,000 down to 0.001 in a few steps: `values` updates each at the least.
fn log_space_updates(values: usize) {
    let grid = GridConfig::LogNoise { r_min: 1e-3, r_max: 1e3, steps: 7 }.build(None).unwrap();
    let rows = 1 << 13;
    let chunks = values.div_ceil(rows * 8 * grid.steps());
    LOG_SPACE.par_iter().for_each(|text| {
        let config: SamplerConfig = toml::from_str(text).unwrap();
        assert!(!config.is_ambient());
        let sampler: Box<dyn Sampler<Array2<f32>>> = config.build().unwrap();
        let denoiser: &dyn Denoiser<Array2<f32>> = if text.contains("adaptive") { &Steep } else { &Wild };
        for chunk in 0..chunks {
            let mut noise = AddressedNoise::sampler(23, (chunk * rows) as u64);
            let start = noise.rows_f32(rows, 8, u32::MAX).mapv_into(|z| 60.0 * z);
            let mut seen = |step: samplers::Step<'_, Array2<f32>>| {
                // A log-space sampler has no signs that could change, and its log state is an ordinary number: so is the sign of x.
                assert!(step.signs.is_none(), "{text}");
                for &y in step.state {
                    assert!(y.is_finite() && allowed(1.0, y, exp(y)), "{text}: log state {y} at v = {}", step.v);
                }
                ControlFlow::Continue(())
            };
            sampler.sample(start, denoiser, &mut noise, &grid, &mut seen).unwrap();
        }
    });
}

#[test]
fn log_space_samplers_keep_signs() {
    log_space_updates(400_000);
}

#[test]
#[ignore = "10⁸ updates: some seconds"]
fn log_space_samplers_keep_signs_a_hundred_million_times() {
    log_space_updates(100_000_000 / LOG_SPACE.len());
}

/// 10⁵ unconstrained steps of each size from exact draws at r = 0.8, against the Gaussian tail averaged over the state's law by the
/// trapezoidal rule. Five tests at 10⁻⁴ each, two-sided.
#[test]
fn unconstrained_flips_signs_as_often_as_the_tail_says() {
    let truth =
        LogNormalMixture::new(vec![0.35, 0.65], vec![vec![-0.8], vec![0.7]], vec![vec![0.1], vec![0.15]]).unwrap();
    let (v, n, noise) = (0.64, 100_000, Noise::new(7));
    let mut state = Array2::zeros((n, 1));
    for (index, mut row) in (0..).zip(state.rows_mut()) {
        let mut y = [0.0];
        truth.sample_into(&noise, Stream::PRIOR, index, &mut y);
        row[0] = y[0] + 0.8 * noise.normal(Stream::PERTURB, index, 0, 0);
    }
    for dv in [0.09, 0.12, 0.2, 0.35, 0.6] {
        let step = LogStep { v, v_next: v - dv, dm: 0.0 };
        let expected: f64 = (-4000..=4000)
            .map(|i| 0.002 * f64::from(i))
            .map(|y| {
                let mut g = [0.0];
                truth.log_score_into(&[y], v, &mut g);
                0.002 * truth.marginal_pdf(0, y, v) * step.euler_factor().flip_probability(g[0] - 1.0)
            })
            .sum();
        let grid = samplers::Grid::new(vec![v, v - dv, 0.0]).unwrap();
        let mut source = AddressedNoise::sampler(7, 0);
        let end = Unconstrained::default()
            .sample(state.clone(), &truth, &mut source, &grid, &mut |_| ControlFlow::Break(()))
            .unwrap();
        let flips = end.signs.unwrap().iter().filter(|&&sign| sign < 0.0).count() as f64;
        let error = (n as f64 * expected * (1.0 - expected)).sqrt();
        assert!(n as f64 * expected > 20.0, "Δv = {dv}: too few to count, {expected}");
        // 3.89 standard errors, and the half that a count is rounded by.
        assert!(
            (flips - n as f64 * expected).abs() < 3.89 * error + 0.5,
            "Δv = {dv}: {flips} flips, expected {expected} of {n}"
        );
    }
}
