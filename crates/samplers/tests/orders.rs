//! The order of every sampler on a log-normal mixture with exact scores, within 0.2 of theory; samplers without an order converge to
//! the truth.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use ndarray::Array2;
use rayon::prelude::*;
use samplers::order::coupled::{CoupledError, Coupling, Estimate, coupled_errors};
use samplers::order::law::{LawError, law_error};
use samplers::order::problem::{
    MARGIN, Practical, R_MAX, R_MIN, RANGE, Subject, Theory, one_dimension, subjects, two_dimensions,
};
use samplers::order::ranked::Ensemble;
use samplers::order::reached::{Reached, converges, last_step};
use samplers::order::slope;
use samplers::{CorrectedConfig, GridConfig, Sampler, SamplerConfig};

type Dense = Array2<f64>;

/// The samplers with an order, each with its theory.
fn ordered() -> Vec<Subject> {
    subjects().into_iter().filter(|s| s.theory() != Theory::Convergence).collect()
}

/// Mean and variance of `ln x` and the Wasserstein-1 distance of `x`, all by quadrature.
#[test]
fn weak_orders() {
    ordered().par_iter().for_each(|subject| {
        let (name, steps) = (subject.name, subject.law_steps());
        let sampler = subject.sampler.build().unwrap();
        let error = |&n: &usize| law_error(&*sampler, &one_dimension(), &RANGE.grid(n).unwrap()).unwrap();
        let errors: Vec<LawError> = steps.iter().map(error).collect();
        // Nothing to speak of reached negative x.
        assert!(errors.iter().all(|e| e.lost.abs() < 1e-11), "{name}: {errors:?}");
        let theory = subject.theory().weak().unwrap();
        type Part = fn(&LawError) -> f64;
        let parts: [(&str, Part); 3] =
            [("mean", |e| e.log_mean), ("variance", |e| e.log_variance), ("Wasserstein-1", |e| e.wasserstein)];
        for (what, part) in parts {
            let values: Vec<f64> = errors.iter().map(|e| part(e).abs()).collect();
            let order = slope(&steps, &values);
            assert!((order - theory).abs() < MARGIN, "{name}: {what} has order {order}, errors {values:?}");
        }
    });
}

fn coupled(subject: &Subject, coupling: &Coupling) -> Vec<CoupledError> {
    let (sampler, reference) = (subject.sampler.build().unwrap(), subject.reference().build::<Dense>().unwrap());
    coupled_errors(&*sampler, &*reference, &two_dimensions(), coupling).unwrap()
}

/// Paths in two dimensions against those of a far finer run of another sampler on the same Brownian motion, or from the same start.
#[test]
fn strong_orders() {
    ordered().par_iter().for_each(|subject| {
        let (coupling, theory) = (subject.paths(), subject.theory().strong().unwrap());
        let errors = coupled(subject, &coupling);
        let values: Vec<f64> = errors.iter().map(|e| e.strong.value).collect();
        let order = slope(&coupling.steps, &values);
        assert!((order - theory).abs() < MARGIN, "{}: order {order}, errors {values:?}", subject.name);
    });
}

/// Means and the covariance matrix of `x` in two dimensions, of those samplers whose errors show on few paths; `dale orders`
/// measures the others, too.
#[test]
fn covariances_in_two_dimensions() {
    let few: Vec<Subject> = ordered().into_iter().filter(|s| s.moments().paths <= 16_000).collect();
    assert!(few.len() >= 7, "{few:?}");
    few.par_iter().for_each(|subject| {
        let (name, coupling, theory) = (subject.name, subject.moments(), subject.theory().weak().unwrap());
        let errors = coupled(subject, &coupling);
        type Part = fn(&CoupledError) -> Estimate;
        let parts: [(&str, Part); 2] = [("mean", |e| e.mean), ("covariance", |e| e.covariance)];
        for (what, part) in parts {
            let found: Vec<Estimate> = errors.iter().map(part).collect();
            assert!(found.iter().all(|e| e.value > 4.0 * e.standard_error), "{name}: {what} drowns, {found:?}");
            let order = slope(&coupling.steps, &found.iter().map(|e| e.value).collect::<Vec<_>>());
            assert!((order - theory).abs() < MARGIN, "{name}: {what} has order {order}, errors {found:?}");
        }
    });
}

fn reached(subject: &Subject, ensemble: &Ensemble) -> Vec<Reached> {
    subject.practical().par_iter().map(|practical| practical.reach(ensemble).unwrap()).collect()
}

/// Samplers without an order come to the truth on practical grids down to 0, as their settings are refined.
#[test]
fn samplers_without_an_order_converge() {
    let (truth, states) = (one_dimension(), 2048);
    let ensemble = Ensemble::new(&truth, R_MAX * R_MAX, states).unwrap();
    let floor = last_step(&truth, states).unwrap();
    for subject in subjects().iter().filter(|s| s.theory() == Theory::Convergence) {
        let found = reached(subject, &ensemble);
        assert!(converges(&found, floor), "{}: {found:?}", subject.name);
        assert!(found[0].wasserstein > 0.05, "{}: nothing to show, {found:?}", subject.name);
    }
}

/// Corrections repair what a coarse predictor leaves: with more of them, of smaller steps, the end comes nearer to the truth.
#[test]
fn corrections_repair() {
    let ensemble = Ensemble::new(&one_dimension(), R_MAX * R_MAX, 2048).unwrap();
    let distance = |sampler: SamplerConfig, steps| {
        let grid = GridConfig::Karras { r_min: R_MIN, r_max: R_MAX, rho: 7.0, steps };
        Practical { sampler, grid }.reach(&ensemble).unwrap().wasserstein
    };
    let with = |corrections, snr, steps| {
        let predictor = Box::new(SamplerConfig::Euler {});
        distance(SamplerConfig::PredictorCorrector(CorrectedConfig { predictor, snr, corrections }), steps)
    };
    let errors = [distance(SamplerConfig::Euler {}, 8), with(2, 0.2, 8), with(40, 0.05, 8)];
    assert!(errors.windows(2).all(|e| e[1] < 0.8 * e[0]), "{errors:?}");
    let finer = with(40, 0.05, 40);
    assert!(finer < 0.01 && finer < errors[2], "{finer} {errors:?}");
}

/// Tighter tolerances bring the adaptive method to the truth, and the error follows the tolerance.
#[test]
fn adaptive_converges_with_its_tolerance() {
    let error = |tolerance: f64| {
        let config = samplers::AdaptiveConfig { relative: tolerance, absolute: tolerance, ..Default::default() };
        let sampler: Box<dyn Sampler<Dense>> = Box::new(samplers::Adaptive::new(config).unwrap());
        law_error(&*sampler, &one_dimension(), &RANGE.grid(2).unwrap()).unwrap().wasserstein
    };
    let errors = [1e-2, 1e-4, 1e-6, 1e-8].map(error);
    assert!(errors.windows(2).all(|e| e[1] < 0.1 * e[0]), "{errors:?}");
    assert!(errors[3] < 1e-7, "{errors:?}");
}
