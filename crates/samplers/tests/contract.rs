//! The contract that every sampler keeps: images do not depend on the batch, calls are counted right, callbacks see every
//! level and can stop, failures carry the step. And the published form is what the authors' equations say.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use std::cell::Cell;
use std::ops::ControlFlow;

use gbm_sde::{LogNormalMixture, Noise, Stream};
use ndarray::Array2;
use samplers::{
    AddressedNoise, AmbientConfig, DaleLangevin, Grid, GridConfig, Heun, Milstein, NoiseSource, Prior, Published,
    PublishedConfig, SampleError, Sampler, SamplerConfig, State, Unconstrained,
};
use score_match::{DenoiseError, Denoiser};

fn mixture() -> LogNormalMixture {
    let means = vec![vec![-1.0, 0.5, 0.0], vec![0.8, -0.7, 0.2]];
    LogNormalMixture::new(vec![0.4, 0.6], means, vec![vec![0.1, 0.2, 0.3], vec![0.3, 0.1, 0.2]]).unwrap()
}

fn published() -> PublishedConfig {
    PublishedConfig { delta: 0.03, inner: 2, anneal: 0.9, sigma: 0.8, final_passes: 3 }
}

fn published_grid(steps: usize) -> Grid {
    GridConfig::Published { sigma: 0.8, steps }.build(None).unwrap()
}

/// Every sampler whose calls do not depend on the state.
const SAMPLERS: &str = "
    [[sampler]]
    kind = 'dale-langevin'
    [[sampler]]
    kind = 'unconstrained'
    drift = 0.0
    [[sampler]]
    kind = 'milstein'
    [[sampler]]
    kind = 'ancestral'
    [[sampler]]
    kind = 'euler'
    [[sampler]]
    kind = 'heun'
    [[sampler]]
    kind = 'dpm-solver-2m'
    [[sampler]]
    kind = 'dpm-solver-3m'
    [[sampler]]
    kind = 'dpm-solver-3m'
    start = 'heun'
    [[sampler]]
    kind = 'stochastic-heun'
    churn = 4.0
    [[sampler]]
    kind = 'sde-dpm-solver-2m'
    [[sampler]]
    kind = 'sde-dpm-solver-2m'
    eta = 0.0
    [[sampler]]
    kind = 'predictor-corrector'
    predictor = { kind = 'dpm-solver-2m' }
    snr = 0.2
    corrections = 2
    [[sampler]]
    kind = 'published-dale-langevin'
    delta = 0.03
    inner = 2
    anneal = 0.9
    final_passes = 3
    [[sampler]]
    kind = 'published-unconstrained'
    delta = 0.03
    inner = 2
    anneal = 0.9
    final_passes = 3
";

#[derive(serde::Deserialize)]
struct File {
    sampler: Vec<SamplerConfig>,
}

fn samplers<S: State + 'static>() -> Vec<Box<dyn Sampler<S>>> {
    toml::from_str::<File>(SAMPLERS).unwrap().sampler.iter().map(|s| s.build().unwrap()).collect()
}

const PRIOR: Prior = Prior { mean: 0.1, sd: 0.9 };

#[test]
fn an_image_does_not_depend_on_its_batch() {
    let noise = Noise::new(6);
    let grid = published_grid(12);
    let go = &mut |_: samplers::Step<'_, Array2<f64>>| ControlFlow::Continue(());
    for sampler in samplers::<Array2<f64>>() {
        let mut run = |first: u64, n: usize| {
            let mut source = AddressedNoise::sampler(6, first);
            sampler.sample(PRIOR.draw_f64(&noise, first, n, 3), &mixture(), &mut source, &grid, go).unwrap().state
        };
        let (all, three, late) = (run(0, 8), run(0, 3), run(5, 2));
        assert_eq!(all.slice_axis(ndarray::Axis(0), (..3).into()), three, "{}", sampler.name());
        assert_eq!(all.slice_axis(ndarray::Axis(0), (5..7).into()), late, "{}", sampler.name());
    }
    let go = &mut |_: samplers::Step<'_, Array2<f32>>| ControlFlow::Continue(());
    for sampler in samplers::<Array2<f32>>() {
        let mut run = |n: usize| {
            let mut source = AddressedNoise::sampler(6, 0);
            sampler.sample(PRIOR.draw_f32(&noise, 0, n, 3), &mixture(), &mut source, &grid, go).unwrap().state
        };
        assert_eq!(run(8).slice_axis(ndarray::Axis(0), (..3).into()), run(3), "{}", sampler.name());
    }
}

/// The authors' loop in ambient space, written out, with its own noise look-ups.
#[test]
fn published_form_equals_the_loop_written_out() {
    let PublishedConfig { delta, inner, anneal, sigma, final_passes } = published();
    let (steps, seed, images) = (10, 77, 4usize);
    let sampler = Published::dale_langevin(published()).unwrap();
    let noise = Noise::new(seed);
    let start = PRIOR.draw_f64(&noise, 0, images, 3);
    let mut source = AddressedNoise::sampler(seed, 0);
    let go = &mut |_: samplers::Step<'_, Array2<f64>>| ControlFlow::Continue(());
    let end = sampler.sample(start, &mixture(), &mut source, &published_grid(steps), go).unwrap().state;

    let mu = sigma * sigma / 2.0;
    let mut x = Array2::<f64>::zeros((images, 3));
    for ((i, j), x) in x.indexed_iter_mut() {
        *x = (0.1 + 0.9 * noise.normal(Stream::PRIOR, i as u64, 0, j)).exp();
    }
    let hyvarinen = |x: &Array2<f64>, v: f64| {
        let y = x.mapv(f64::ln);
        (mixture().denoise(&y, v).unwrap() - &y) / v - 1.0
    };
    let (mut c, mut draw) = (1.0, 0);
    for k in (0..steps).rev() {
        let v = sigma * sigma * (k as f64 + 1.0) / steps as f64;
        let passes = inner + if k == 0 { final_passes } else { 0 };
        for pass in 0..passes {
            let h = hyvarinen(&x, v);
            let scale = if pass < inner { c * sigma * delta.sqrt() } else { 0.0 };
            for ((i, j), x) in x.indexed_iter_mut() {
                let z = noise.normal(Stream::SAMPLER, i as u64, draw, j);
                *x *= (delta * (1.5 * sigma * sigma - mu + sigma * sigma * h[[i, j]]) + scale * z).exp();
            }
            draw += u32::from(pass < inner);
        }
        c *= anneal;
    }
    for (a, b) in end.iter().zip(&x) {
        assert!((a - b.ln()).abs() < 1e-12, "{a} {}", b.ln());
    }
}

/// A Dale–Langevin run in ambient space, from the paper's formula with a drift.
#[test]
fn dale_langevin_equals_the_exponentiated_update() {
    let noise = Noise::new(3);
    let grid = GridConfig::LogNoise { r_min: 0.05, r_max: 2.0, steps: 15 }.build(None).unwrap();
    let mut source = AddressedNoise::sampler(3, 0);
    let go = &mut |_: samplers::Step<'_, Array2<f64>>| ControlFlow::Continue(());
    let end = DaleLangevin.sample(PRIOR.draw_f64(&noise, 0, 2, 3), &mixture(), &mut source, &grid, go).unwrap().state;
    let drift = |v: f64| -0.5 * v;
    let mut x = PRIOR.draw_f64(&noise, 0, 2, 3).mapv(|y| (y + drift(4.0)).exp());
    for (k, pair) in grid.levels().windows(2).enumerate() {
        let (v, v_next) = (pair[0], pair[1]);
        let y_bar = x.mapv(|x| x.ln() - drift(v));
        let h = (mixture().denoise(&y_bar, v).unwrap() - &y_bar) / v - 1.0;
        for ((i, j), x) in x.indexed_iter_mut() {
            let z = noise.normal(Stream::SAMPLER, i as u64, k as u32, j);
            let (dv, dm) = (v - v_next, drift(v) - drift(v_next));
            *x *= (-dm + dv * (h[[i, j]] + 1.0) + dv.sqrt() * z).exp();
        }
    }
    assert!(end.iter().zip(&x).all(|(a, b)| (a - b.ln()).abs() < 1e-12));
}

/// The ambient updates, from the paper's formulas on signed states, with a drift; steps so large that signs change.
#[test]
fn the_ambient_samplers_equal_the_paper_and_change_signs() {
    let (seed, images, drift) = (5, 40usize, 0.25);
    let noise = Noise::new(seed);
    let grid = GridConfig::Karras { r_min: 0.3, r_max: 2.0, rho: 3.0, steps: 6 }.build(None).unwrap();
    let config = AmbientConfig { drift };
    let pair: [Box<dyn Sampler<Array2<f64>>>; 2] =
        [Box::new(Unconstrained::new(config).unwrap()), Box::new(Milstein::new(config).unwrap())];
    for (sampler, milstein) in pair.iter().zip([0.0, 1.0]) {
        let mut source = AddressedNoise::sampler(seed, 0);
        let go = &mut |_: samplers::Step<'_, Array2<f64>>| ControlFlow::Continue(());
        let start = PRIOR.draw_f64(&noise, 0, images, 3);
        let end = sampler.sample(start.clone(), &mixture(), &mut source, &grid, go).unwrap();
        let m = |v: f64| (drift - 0.5) * v;
        let mut x = start.mapv(|y| (y + m(4.0)).exp());
        for (k, pair) in grid.levels().windows(2).enumerate() {
            let (v, v_next) = (pair[0], pair[1]);
            let y_bar = x.mapv(|x| x.abs().ln() - m(v));
            let h = (mixture().denoise(&y_bar, v).unwrap() - &y_bar) / v - 1.0;
            let dv = v - v_next; // σ²δ
            for ((i, j), x) in x.indexed_iter_mut() {
                let z = noise.normal(Stream::SAMPLER, i as u64, k as u32, j);
                let square = milstein * 0.5 * dv * (z * z - 1.0);
                *x *= 1.0 + (2.0 - drift + h[[i, j]]) * dv + dv.sqrt() * z + square;
            }
        }
        let signs = end.signs.unwrap();
        assert!(signs.iter().all(|s| s.abs() == 1.0));
        let flipped = signs.iter().filter(|&&s| s < 0.0).count();
        assert!(flipped > 5 && flipped < 110, "{}: {flipped}", sampler.name());
        for ((y, sign), x) in end.state.iter().zip(&signs).zip(&x) {
            assert!((sign * y.exp() / x - 1.0).abs() < 1e-9, "{} {y} {sign} {x}", sampler.name());
        }
    }
}

struct Counting(LogNormalMixture, Cell<usize>);

impl Denoiser<Array2<f64>> for Counting {
    fn denoise(&self, y_bar: &Array2<f64>, v: f64) -> Result<Array2<f64>, DenoiseError> {
        self.1.set(self.1.get() + 1);
        self.0.denoise(y_bar, v)
    }
}

#[test]
fn calls_are_counted_and_levels_seen() {
    let grid = published_grid(9);
    for sampler in samplers::<Array2<f64>>() {
        let denoiser = Counting(mixture(), Cell::new(0));
        let mut seen = vec![];
        let mut on_step = |step: samplers::Step<'_, Array2<f64>>| {
            assert_eq!((step.index, step.total, step.state.dim()), (seen.len(), 9, (2, 3)));
            seen.push(step.v);
            ControlFlow::Continue(())
        };
        let start = Array2::zeros((2, 3));
        let mut noise = AddressedNoise::sampler(0, 0);
        let end = sampler.sample(start, &denoiser, &mut noise, &grid, &mut on_step).unwrap();
        assert_eq!(end.calls, denoiser.1.get());
        assert_eq!(denoiser.1.get(), sampler.calls(9), "{}", sampler.name());
        assert_eq!(seen, grid.levels()[1..]);
    }
}

#[test]
fn a_callback_can_stop() {
    let mut states = vec![];
    let mut on_step = |step: samplers::Step<'_, Array2<f64>>| {
        states.push(step.state.clone());
        if step.index == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut noise = AddressedNoise::sampler(0, 0);
    let end =
        Heun.sample(Array2::ones((1, 3)), &mixture(), &mut noise, &published_grid(9), &mut on_step).unwrap().state;
    assert_eq!(states.len(), 4);
    assert_eq!(states[3], end);
}

struct Fails(u32, Cell<u32>);

impl Denoiser<Array2<f64>> for Fails {
    fn denoise(&self, y_bar: &Array2<f64>, v: f64) -> Result<Array2<f64>, DenoiseError> {
        self.1.set(self.1.get() + 1);
        match self.1.get() == self.0 {
            true => Err(DenoiseError::NonFinite { what: "the output", v }),
            false => Ok(y_bar.clone()),
        }
    }
}

struct WrongShape;

impl Denoiser<Array2<f64>> for WrongShape {
    fn denoise(&self, y_bar: &Array2<f64>, _: f64) -> Result<Array2<f64>, DenoiseError> {
        Ok(Array2::zeros((y_bar.nrows() + 1, y_bar.ncols())))
    }
}

impl NoiseSource<Array2<f64>> for WrongShape {
    fn normal(&mut self, _: &Array2<f64>, _: u32) -> Result<Array2<f64>, SampleError> {
        Ok(Array2::zeros((1, 1)))
    }
}

#[test]
fn failures_carry_the_step_and_the_shapes() {
    let go = &mut |_: samplers::Step<'_, Array2<f64>>| ControlFlow::Continue(());
    let grid = published_grid(5);
    let mut noise = AddressedNoise::sampler(0, 0);
    let error = DaleLangevin.sample(Array2::zeros((2, 3)), &Fails(3, Cell::new(0)), &mut noise, &grid, go).unwrap_err();
    let source = DenoiseError::NonFinite { what: "the output", v: grid.levels()[2] };
    assert_eq!(error, SampleError::Denoise { index: 2, source });
    assert!(error.to_string().contains("step 2") && error.to_string().contains("not finite"));
    for sampler in samplers::<Array2<f64>>() {
        let error = sampler.sample(Array2::zeros((2, 3)), &WrongShape, &mut noise, &grid, go).unwrap_err();
        let source = DenoiseError::Shape { expected: vec![2, 3], found: vec![3, 3] };
        assert_eq!(error, SampleError::Denoise { index: 0, source });
    }
    let error = DaleLangevin.sample(Array2::zeros((2, 3)), &mixture(), &mut WrongShape, &grid, go).unwrap_err();
    assert_eq!(error, SampleError::NoiseShape { expected: vec![2, 3], found: vec![1, 1] });
}

#[test]
fn combine_is_a_linear_combination_at_every_size_and_layout() {
    for (rows, columns) in [(1, 1), (3, 5), (300, 300)] {
        let mut values = vec![0.0; 5 * rows * columns];
        Noise::new(1).fill_normal_f64(Stream::PRIOR, 0, 0, &mut values);
        let part = |k: usize| {
            Array2::from_shape_vec((rows, columns), values[k * rows * columns..][..rows * columns].to_vec()).unwrap()
        };
        let factors = [0.5, -1.5, 2.0, 0.25];
        let others: Vec<Array2<f64>> = (1..5).map(part).collect();
        for count in 0..=4 {
            let terms: Vec<(f64, &Array2<f64>)> = factors.iter().copied().zip(&others).take(count).collect();
            let mut state = part(0);
            state.combine(0.75, &terms);
            let expected = terms.iter().fold(part(0) * 0.75, |sum, (b, d)| sum + *d * *b);
            assert!((&state - &expected).iter().all(|e| e.abs() < 1e-14));
            // The other memory order, and single precision.
            let mut turned = part(0).reversed_axes().as_standard_layout().to_owned().reversed_axes();
            turned.combine(0.75, &terms);
            assert_eq!(turned, state);
            let narrow: Vec<Array2<f32>> = others.iter().map(|d| d.mapv(|d| d as f32)).collect();
            let terms: Vec<(f64, &Array2<f32>)> = factors.iter().copied().zip(&narrow).take(count).collect();
            let mut state = part(0).mapv(|y| y as f32);
            state.combine(0.75, &terms);
            assert!(state.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 2e-6 * (1.0 + b.abs())));
        }
    }
}
