//! Which samplers are compared, at how many network calls, on which grids.

use anyhow::{Result, bail};
use samplers::{
    AdaptiveConfig, AmbientConfig, CorrectedConfig, DpmSolver3MConfig, GridConfig, PriorConfig, PublishedConfig,
    SamplerConfig, SdeDpmSolver2MConfig, StochasticHeunConfig,
};
use tch::Tensor;

use super::Request;
use crate::config::SamplingConfig;

/// Churn of the stochastic Heun method.
const CHURN: StochasticHeunConfig = StochasticHeunConfig { churn: 8.0 };

/// Tolerances of the adaptive method: what they cost shows only when it runs.
const TOLERANCES: [f64; 6] = [0.3, 0.1, 0.03, 0.01, 0.003, 0.001];

/// Samplers that leave the noise of their last step in the image go down to where that is about one of 255 grey levels; the
/// others end in `D`, which has none.
const QUIET: f64 = 0.004;

/// What runs at any number of calls. The paper's own two come first.
fn samplers() -> Vec<SamplerConfig> {
    let predictor = Box::new(SamplerConfig::DpmSolver2M {});
    vec![
        SamplerConfig::DaleLangevin {},
        SamplerConfig::Unconstrained(AmbientConfig::default()),
        SamplerConfig::Milstein(AmbientConfig::default()),
        SamplerConfig::Ancestral {},
        SamplerConfig::Euler {},
        SamplerConfig::Heun {},
        SamplerConfig::DpmSolver2M {},
        SamplerConfig::DpmSolver3M(DpmSolver3MConfig::default()),
        SamplerConfig::StochasticHeun(CHURN),
        SamplerConfig::SdeDpmSolver2M(SdeDpmSolver2MConfig::default()),
        SamplerConfig::PredictorCorrector(CorrectedConfig { predictor, snr: 0.1, corrections: 1 }),
    ]
}

/// All rows, those with few calls first.
pub(super) fn plans(base: &SamplingConfig, request: &Request) -> Result<Vec<SamplingConfig>> {
    let mut plans = Vec::new();
    for (number, sampler) in samplers().into_iter().enumerate() {
        let more = if number < 2 { request.paper_calls.as_slice() } else { &[] };
        for &calls in request.calls.iter().chain(more) {
            let steps = steps(&sampler, calls)?;
            let grid = with_steps(&base.grid, &sampler, steps);
            plans.push((calls, SamplingConfig { n: request.n, sampler: sampler.clone(), grid, ..base.clone() }));
        }
    }
    for tolerance in TOLERANCES {
        let adaptive = AdaptiveConfig { relative: tolerance, absolute: tolerance, ..AdaptiveConfig::default() };
        let sampler = SamplerConfig::Adaptive(adaptive);
        // From the top to the smallest level in one grid step, and the step to 0.
        let grid = with_steps(&base.grid, &sampler, 2);
        plans.push(((1.0 / tolerance) as usize, SamplingConfig { n: request.n, sampler, grid, ..base.clone() }));
    }
    for (inner, sampler) in published() {
        let grid = GridConfig::Published { sigma: 0.8, steps: 1000 };
        let prior = PriorConfig::LogNormal { a: 0.1565, b: 0.8353 };
        let sampling = SamplingConfig { n: request.n, sampler, grid, prior, ..base.clone() };
        plans.push((1000 * inner, sampling));
    }
    plans.sort_by_key(|(calls, _)| *calls);
    let known: Vec<String> = names(plans.iter().map(|(_, plan)| plan))?.iter().map(ToString::to_string).collect();
    if let Some(unknown) = request.only.iter().find(|name| !known.contains(name)) {
        bail!("there is no sampler `{unknown}` to compare; there are {}", known.join(", "));
    }
    let mut kept = Vec::new();
    for (_, plan) in plans {
        let name = plan.sampler.build::<Tensor>()?.name();
        if request.only.is_empty() || request.only.iter().any(|one| one == name) {
            kept.push(plan);
        }
    }
    Ok(kept)
}

/// The authors' settings for MNIST.
fn published() -> [(usize, SamplerConfig); 2] {
    let unconstrained = PublishedConfig { delta: 1.438e-4, inner: 4, ..PublishedConfig::default() };
    [
        (1, SamplerConfig::PublishedDaleLangevin(PublishedConfig::default())),
        (4, SamplerConfig::PublishedUnconstrained(unconstrained)),
    ]
}

/// Names of the samplers, each once, in the order of the table.
pub(super) fn names<'a>(plans: impl IntoIterator<Item = &'a SamplingConfig>) -> Result<Vec<&'static str>> {
    let order: Vec<&'static str> =
        samplers().iter().map(|s| s.build::<Tensor>().map(|s| s.name())).collect::<Result<_, _>>()?;
    let place = |name: &str| order.iter().position(|one| *one == name).unwrap_or(order.len());
    let mut names = Vec::new();
    for plan in plans {
        let name = plan.sampler.build::<Tensor>()?.name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| place(name));
    Ok(names)
}

/// The most steps that take at most `calls` network calls, at least one.
fn steps(sampler: &SamplerConfig, calls: usize) -> Result<usize> {
    let sampler = sampler.build::<Tensor>()?;
    Ok((1..=calls.max(1)).rev().find(|&steps| sampler.calls(steps) <= calls).unwrap_or(1))
}

/// The experiment's grid with `n` steps, for this sampler.
fn with_steps(grid: &GridConfig, sampler: &SamplerConfig, n: usize) -> GridConfig {
    let lowest = |r_min: f64| if sampler.leaves_noise() { r_min.min(QUIET) } else { r_min };
    match *grid {
        GridConfig::NoiseLevel { r_min, r_max, .. } => GridConfig::NoiseLevel { r_min: lowest(r_min), r_max, steps: n },
        GridConfig::Karras { r_min, r_max, rho, .. } => {
            GridConfig::Karras { r_min: lowest(r_min), r_max, rho, steps: n }
        }
        GridConfig::LogNoise { r_min, r_max, .. } => GridConfig::LogNoise { r_min: lowest(r_min), r_max, steps: n },
        GridConfig::UniformTime { .. } => GridConfig::UniformTime { steps: n },
        GridConfig::Published { sigma, .. } => GridConfig::Published { sigma, steps: n },
        GridConfig::Table { .. } => grid.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sampler_gets_the_steps_that_its_calls_allow() {
        for (sampler, expected) in samplers().into_iter().zip([20, 20, 20, 20, 20, 10, 20, 20, 10, 20, 10]) {
            assert_eq!(steps(&sampler, 20).unwrap(), expected, "{sampler:?}");
            assert_eq!(steps(&sampler, 1).unwrap(), 1);
        }
    }
}
