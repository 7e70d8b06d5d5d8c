//! The order of every sampler on a log-normal mixture with exact scores, within 0.2 of theory; samplers without an order converge to
//! the truth.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use std::ops::ControlFlow;

use gbm_sde::{LogNormalMixture, Noise, Stream};
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use samplers::order::coupled::{CoupledError, Coupling, Estimate, coupled_errors};
use samplers::order::law::{LawError, law_error};
use samplers::order::{Range, slope};
use samplers::{
    AddressedNoise, DaleLangevin, DpmSolver3M, DpmSolver3MConfig, GridConfig, Sampler, SamplerConfig, Start,
};

type Dense = Array2<f64>;

/// How far a slope may be from theory.
const MARGIN: f64 = 0.2;

/// Where the theory holds: away from r = 0, on steps that are small against the noise level.
const RANGE: Range = Range { from: 0.8, to: 0.2 };

fn one() -> LogNormalMixture {
    LogNormalMixture::new(vec![0.35, 0.65], vec![vec![-0.8], vec![0.7]], vec![vec![0.1], vec![0.15]]).unwrap()
}

fn two() -> LogNormalMixture {
    let means = vec![vec![-0.6, 0.5], vec![0.7, -0.4]];
    let covariances = vec![vec![vec![0.1, 0.05], vec![0.05, 0.15]], vec![vec![0.2, -0.06], vec![-0.06, 0.1]]];
    LogNormalMixture::with_covariances(vec![0.4, 0.6], means, covariances).unwrap()
}

fn config(text: &str) -> SamplerConfig {
    toml::from_str(text).unwrap()
}

/// Sampler, weak order, steps of the grids.
const WEAK: [(&str, f64, [usize; 3]); 10] = [
    ("kind = 'dale-langevin'", 1.0, [64, 128, 256]),
    ("kind = 'unconstrained'", 1.0, [64, 128, 256]),
    ("kind = 'milstein'", 1.0, [64, 128, 256]),
    ("kind = 'ancestral'", 1.0, [64, 128, 256]),
    ("kind = 'sde-dpm-solver-2m'", 2.0, [16, 32, 64]),
    ("kind = 'euler'", 1.0, [64, 128, 256]),
    ("kind = 'heun'", 2.0, [64, 128, 256]),
    ("kind = 'dpm-solver-2m'", 2.0, [64, 128, 256]),
    // Its error of order 3 is large: more steps until the one of order 2 shows.
    ("kind = 'dpm-solver-3m'", 2.0, [256, 512, 1024]),
    ("kind = 'dpm-solver-3m'\nstart = 'heun'", 3.0, [64, 128, 256]),
];

/// Mean and variance of `ln x` and the Wasserstein-1 distance of `x`, all by quadrature.
#[test]
fn weak_orders() {
    WEAK.par_iter().for_each(|(text, theory, steps)| {
        let sampler = config(text).build().unwrap();
        let error = |&n: &usize| law_error(&*sampler, &one(), &RANGE.grid(n).unwrap()).unwrap();
        let errors: Vec<LawError> = steps.iter().map(error).collect();
        // Nothing to speak of reached negative x.
        assert!(errors.iter().all(|e| e.lost.abs() < 1e-11), "{text}: {errors:?}");
        type Part = fn(&LawError) -> f64;
        let parts: [(&str, Part); 3] =
            [("mean", |e| e.log_mean), ("variance", |e| e.log_variance), ("Wasserstein-1", |e| e.wasserstein)];
        for (name, part) in parts {
            let values: Vec<f64> = errors.iter().map(|e| part(e).abs()).collect();
            let order = slope(steps, &values);
            assert!((order - theory).abs() < MARGIN, "{text}: {name} has order {order}, errors {values:?}");
        }
    });
}

fn coupled(text: &str, reference: &dyn Sampler<Dense>, paths: usize) -> ([usize; 3], Vec<CoupledError>) {
    let sampler = config(text).build().unwrap();
    let steps = [16, 32, 64];
    let coupling = Coupling { range: RANGE, steps: steps.to_vec(), reference_halvings: 3, paths, seed: 3 };
    (steps, coupled_errors(&*sampler, reference, &two(), &coupling).unwrap())
}

/// Paths in two dimensions against those of a far finer Dale–Langevin run on the same Brownian motion.
#[test]
fn strong_orders() {
    let theory = [
        ("kind = 'dale-langevin'", 1.0),
        ("kind = 'unconstrained'", 0.5),
        ("kind = 'milstein'", 1.0),
        ("kind = 'ancestral'", 1.0),
    ];
    theory.par_iter().for_each(|(text, theory)| {
        let (steps, errors) = coupled(text, &DaleLangevin, 2000);
        let values: Vec<f64> = errors.iter().map(|e| e.strong.value).collect();
        let order = slope(&steps, &values);
        assert!((order - theory).abs() < MARGIN, "{text}: order {order}, errors {values:?}");
    });
}

/// Means and the covariance matrix of `x` in two dimensions; for the probability flow the starts are the same and there is no noise.
#[test]
fn covariances_in_two_dimensions() {
    let theory = [
        ("kind = 'dale-langevin'", 1.0, 4000),
        ("kind = 'euler'", 1.0, 500),
        ("kind = 'heun'", 2.0, 500),
        ("kind = 'dpm-solver-2m'", 2.0, 500),
        ("kind = 'dpm-solver-3m'\nstart = 'heun'", 3.0, 500),
    ];
    theory.par_iter().for_each(|(text, theory, paths)| {
        let exact = DpmSolver3M::new(DpmSolver3MConfig { start: Start::Heun });
        let noisy = text.contains("langevin");
        let reference: &dyn Sampler<Dense> = if noisy { &DaleLangevin } else { &exact };
        let (steps, errors) = coupled(text, reference, *paths);
        type Part = fn(&CoupledError) -> Estimate;
        let parts: [(&str, Part); 2] = [("mean", |e| e.mean), ("covariance", |e| e.covariance)];
        for (name, part) in parts {
            let found: Vec<Estimate> = errors.iter().map(part).collect();
            if noisy {
                assert!(found.iter().all(|e| e.value > 6.0 * e.standard_error), "{text}: {name} drowns, {found:?}");
            }
            let order = slope(&steps, &found.iter().map(|e| e.value).collect::<Vec<_>>());
            assert!((order - theory).abs() < MARGIN, "{text}: {name} has order {order}, errors {found:?}");
        }
    });
}

/// Tighter tolerances bring the adaptive method to the truth, and the error follows the tolerance.
#[test]
fn adaptive_converges_with_its_tolerance() {
    let error = |tolerance: f64| {
        let text = format!("kind = 'adaptive'\nrelative = {tolerance:e}\nabsolute = {tolerance:e}");
        let sampler = config(&text).build().unwrap();
        law_error(&*sampler, &one(), &RANGE.grid(2).unwrap()).unwrap().wasserstein
    };
    let errors = [1e-2, 1e-4, 1e-6, 1e-8].map(error);
    assert!(errors.windows(2).all(|e| e[1] < 0.1 * e[0]), "{errors:?}");
    assert!(errors[3] < 1e-7, "{errors:?}");
}

/// The Wasserstein-1 distance of `ln x` at the end of a grid down to 0 to the clean data, from 10,000 exact starts at its first level.
fn distance(text: &str, grid: &GridConfig) -> f64 {
    let (truth, noise, n) = (one(), Noise::new(31), 10_000);
    let grid = grid.build(None).unwrap();
    let mut state = Dense::zeros((n, 1));
    for (index, mut row) in (0..).zip(state.axis_iter_mut(Axis(0))) {
        let mut y = [0.0];
        truth.sample_into(&noise, Stream::PRIOR, index, &mut y);
        row[0] = y[0] + grid.start().sqrt() * noise.normal(Stream::PERTURB, index, 0, 0);
    }
    let mut noise = AddressedNoise::sampler(17, 0);
    let sampler = config(text).build().unwrap();
    let end = sampler.sample(state, &truth, &mut noise, &grid, &mut |_| ControlFlow::Continue(())).unwrap();
    let mut values = end.state.into_raw_vec_and_offset().0;
    values.sort_by(f64::total_cmp);
    let quantile = |i: usize| truth.marginal_quantile(0, (i as f64 + 0.5) / n as f64, 0.0);
    values.iter().enumerate().map(|(i, y)| (y - quantile(i)).abs()).sum::<f64>() / n as f64
}

/// A little above what 10,000 draws of the truth itself are away from it.
const FLOOR: f64 = 0.02;

fn karras(steps: usize) -> GridConfig {
    GridConfig::Karras { r_min: 0.01, r_max: 3.0, rho: 7.0, steps }
}

#[test]
fn stochastic_heun_converges_with_steps() {
    let errors = [6, 12, 48].map(|steps| distance("kind = 'stochastic-heun'\nchurn = 6.0", &karras(steps)));
    assert!(errors[0] > 1.5 * errors[1] && errors[0] > 0.05 && errors[2] < FLOOR, "{errors:?}");
}

/// Corrections repair what a coarse predictor leaves: with more of them, of smaller steps, the end comes nearer to the truth.
#[test]
fn predictor_corrector_converges_with_corrections() {
    let with = |corrections: usize, snr: f64, steps| {
        let text = format!(
            "kind = 'predictor-corrector'\npredictor = {{ kind = 'euler' }}\nsnr = {snr}\ncorrections = {corrections}"
        );
        distance(&text, &karras(steps))
    };
    let errors = [distance("kind = 'euler'", &karras(8)), with(2, 0.2, 8), with(40, 0.05, 8)];
    assert!(errors.windows(2).all(|e| e[1] < 0.8 * e[0]), "{errors:?}");
    let finer = with(40, 0.05, 40);
    assert!(finer < FLOOR && finer < errors[2], "{finer} {errors:?}");
}

/// With the step `δ = 1/N` and no annealing the published forms are solvers, and converge with the number of levels.
#[test]
fn published_forms_converge_with_steps() {
    for form in ["dale-langevin", "unconstrained"] {
        let error = |steps: usize| {
            let text = format!("kind = 'published-{form}'\ndelta = {:e}\nanneal = 1.0", 1.0 / steps as f64);
            distance(&text, &GridConfig::Published { sigma: 0.8, steps })
        };
        let errors = [3, 12, 640].map(error);
        assert!(errors[0] > 2.0 * errors[1] && errors[1] > 1.5 * errors[2] && errors[2] < FLOOR, "{form}: {errors:?}");
    }
}
