//! What orders are measured on: the truths, the range, the grids, and every sampler with what theory says of it.
//!
//! | sampler | weak | strong | source |
//! |---|---|---|---|
//! | Dale–Langevin | 1 | 1 | Euler–Maruyama with additive noise |
//! | unconstrained | 1 | ½ | Euler–Maruyama with multiplicative noise |
//! | Milstein | 1 | 1 | Kloeden and Platen (1992), section 10.3 |
//! | ancestral | 1 | 1 | Dale–Langevin up to terms of second order in a step |
//! | SDE-DPM-Solver++ 2M | 2 | 1 | [`crate::sde_dpm_solver_2m`] |
//! | Euler, Heun, DPM-Solver++ 2M, 3M | 1, 2, 2, 3 | the same | ordinary differential equation; 3M has 2 without a warm start |
//! | the others | – | – | no order: they converge to the truth as their settings are refined |
//!
//! [`Theory::of`] matches on the kind without a rest, so that a new sampler does not compile without its theory.

use gbm_sde::LogNormalMixture;

use super::Range;
use super::coupled::Coupling;
use crate::adaptive::AdaptiveConfig;
use crate::config::SamplerConfig;
use crate::corrected::CorrectedConfig;
use crate::dpm_solver_3m::{DpmSolver3MConfig, Start};
use crate::grid::GridConfig;
use crate::published::PublishedConfig;
use crate::sde_dpm_solver_2m::SdeDpmSolver2MConfig;
use crate::stochastic_heun::StochasticHeunConfig;
use crate::unconstrained::AmbientConfig;

/// How far a slope may be from theory.
pub const MARGIN: f64 = 0.2;

/// Where the theory holds: away from r = 0, on steps that are small against the noise level.
pub const RANGE: Range = Range { from: 0.8, to: 0.2 };

/// Seed of starts and paths in two dimensions.
const SEED: u64 = 3;

/// Noise level at which practical grids start.
pub const R_MAX: f64 = 3.0;

/// Last noise level of practical grids before 0.
pub const R_MIN: f64 = 0.002;

/// Two log-normals in one dimension.
pub fn one_dimension() -> LogNormalMixture {
    LogNormalMixture::new(vec![0.35, 0.65], vec![vec![-0.8], vec![0.7]], vec![vec![0.1], vec![0.15]])
        .expect("a valid mixture")
}

/// Two correlated log-normals in two dimensions.
pub fn two_dimensions() -> LogNormalMixture {
    let means = vec![vec![-0.6, 0.5], vec![0.7, -0.4]];
    let covariances = vec![vec![vec![0.1, 0.05], vec![0.05, 0.15]], vec![vec![0.2, -0.06], vec![-0.06, 0.1]]];
    LogNormalMixture::with_covariances(vec![0.4, 0.6], means, covariances).expect("a valid mixture")
}

/// What theory says of a sampler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Theory {
    /// A solver of the reverse equation with its two orders.
    Stochastic {
        /// Order of laws.
        weak: f64,
        /// Order of paths.
        strong: f64,
    },
    /// A solver of the probability flow: one order for laws and paths.
    Flow {
        /// The order.
        order: f64,
    },
    /// No order; refined settings bring it to the truth.
    Convergence,
}

impl Theory {
    /// The theory of a sampler; every kind has one.
    pub fn of(sampler: &SamplerConfig) -> Self {
        match *sampler {
            SamplerConfig::DaleLangevin {} | SamplerConfig::Milstein(_) | SamplerConfig::Ancestral {} => {
                Self::Stochastic { weak: 1.0, strong: 1.0 }
            }
            SamplerConfig::Unconstrained(_) => Self::Stochastic { weak: 1.0, strong: 0.5 },
            SamplerConfig::SdeDpmSolver2M(config) if config.eta > 0.0 => Self::Stochastic { weak: 2.0, strong: 1.0 },
            SamplerConfig::SdeDpmSolver2M(_) | SamplerConfig::Heun {} | SamplerConfig::DpmSolver2M {} => {
                Self::Flow { order: 2.0 }
            }
            SamplerConfig::Euler {} => Self::Flow { order: 1.0 },
            SamplerConfig::DpmSolver3M(config) => match config.start {
                Start::Plain => Self::Flow { order: 2.0 },
                Start::Heun => Self::Flow { order: 3.0 },
            },
            SamplerConfig::Adaptive(_)
            | SamplerConfig::StochasticHeun(_)
            | SamplerConfig::PredictorCorrector(_)
            | SamplerConfig::PublishedDaleLangevin(_)
            | SamplerConfig::PublishedUnconstrained(_) => Self::Convergence,
        }
    }

    /// Order of means, covariances and distances of laws, where there is one.
    pub fn weak(self) -> Option<f64> {
        match self {
            Self::Stochastic { weak, .. } => Some(weak),
            Self::Flow { order } => Some(order),
            Self::Convergence => None,
        }
    }

    /// Order of paths, where there is one.
    pub fn strong(self) -> Option<f64> {
        match self {
            Self::Stochastic { strong, .. } => Some(strong),
            Self::Flow { order } => Some(order),
            Self::Convergence => None,
        }
    }
}

/// A sampler that is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Its kind in a configuration file, and what sets it off from another of the same kind.
    pub name: &'static str,
    /// The sampler; for those without an order its coarsest settings.
    pub sampler: SamplerConfig,
}

/// A sampler on a grid down to 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Practical {
    /// The sampler.
    pub sampler: SamplerConfig,
    /// Its grid, from [`R_MAX`].
    pub grid: GridConfig,
}

/// All samplers.
pub fn subjects() -> Vec<Subject> {
    let subject = |name, sampler| Subject { name, sampler };
    let warm = DpmSolver3MConfig { start: Start::Heun };
    vec![
        subject("dale-langevin", SamplerConfig::DaleLangevin {}),
        subject("unconstrained", SamplerConfig::Unconstrained(AmbientConfig::default())),
        subject("milstein", SamplerConfig::Milstein(AmbientConfig::default())),
        subject("ancestral", SamplerConfig::Ancestral {}),
        subject("sde-dpm-solver-2m", SamplerConfig::SdeDpmSolver2M(SdeDpmSolver2MConfig::default())),
        subject("euler", SamplerConfig::Euler {}),
        subject("heun", SamplerConfig::Heun {}),
        subject("dpm-solver-2m", SamplerConfig::DpmSolver2M {}),
        subject("dpm-solver-3m", SamplerConfig::DpmSolver3M(DpmSolver3MConfig::default())),
        subject("dpm-solver-3m (start heun)", SamplerConfig::DpmSolver3M(warm)),
        subject("adaptive", adaptive(TOLERANCES[0])),
        subject("stochastic-heun", SamplerConfig::StochasticHeun(CHURN)),
        subject("predictor-corrector", corrected(STEPS[0])),
        subject("published-dale-langevin", SamplerConfig::PublishedDaleLangevin(published(LEVELS[0]))),
        subject("published-unconstrained", SamplerConfig::PublishedUnconstrained(published(LEVELS[0]))),
    ]
}

/// Steps of practical grids.
const STEPS: [usize; 8] = [5, 10, 20, 40, 80, 160, 320, 640];

/// Levels of the published forms, whose uniform steps are wasted on the large noise levels.
const LEVELS: [usize; 9] = [5, 10, 20, 40, 80, 160, 320, 640, 1280];

/// Tolerances of the adaptive method.
const TOLERANCES: [f64; 7] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7];

/// Churn of stochastic Heun, for all steps together.
const CHURN: StochasticHeunConfig = StochasticHeunConfig { churn: 8.0 };

fn adaptive(tolerance: f64) -> SamplerConfig {
    SamplerConfig::Adaptive(AdaptiveConfig { relative: tolerance, absolute: tolerance, ..AdaptiveConfig::default() })
}

/// One correction after each Euler step. The correction's own error is of the order of its step, which falls with the grid's.
fn corrected(steps: usize) -> SamplerConfig {
    let predictor = Box::new(SamplerConfig::Euler {});
    SamplerConfig::PredictorCorrector(CorrectedConfig { predictor, snr: 1.0 / steps as f64, corrections: 1 })
}

/// Steps that add up to the horizon, and no annealing: what makes a solver of the published form.
fn published(steps: usize) -> PublishedConfig {
    PublishedConfig { delta: 1.0 / steps as f64, inner: 1, anneal: 1.0, sigma: R_MAX, final_passes: 0 }
}

impl Subject {
    /// What theory says of it.
    pub fn theory(&self) -> Theory {
        Theory::of(&self.sampler)
    }

    /// Steps of the grids over [`RANGE`] on which its law is followed.
    pub fn law_steps(&self) -> [usize; 3] {
        match self.sampler {
            // A law of pairs of states.
            SamplerConfig::SdeDpmSolver2M(_) => [16, 32, 64],
            // Its error of order 3 is large: more steps until the one of order 2 shows.
            SamplerConfig::DpmSolver3M(DpmSolver3MConfig { start: Start::Plain }) => [256, 512, 1024],
            _ => [64, 128, 256],
        }
    }

    /// What its means and covariances in two dimensions are measured on.
    pub fn moments(&self) -> Coupling {
        let on = |first: usize, paths| Coupling {
            range: RANGE,
            steps: vec![first, 2 * first, 4 * first],
            reference_halvings: 2,
            paths,
            seed: SEED,
        };
        match self.sampler {
            // Its paths are far from the exact ones, and the more of them it takes to see its law.
            SamplerConfig::Unconstrained(_) => on(16, 128_000),
            SamplerConfig::Milstein(_) => on(16, 64_000),
            // So small that it shows on few steps only.
            SamplerConfig::SdeDpmSolver2M(_) => on(8, 128_000),
            SamplerConfig::DpmSolver3M(DpmSolver3MConfig { start: Start::Plain }) => on(256, 2000),
            _ if matches!(self.theory(), Theory::Flow { .. }) => on(16, 2000),
            _ => on(16, 16_000),
        }
    }

    /// What its paths in two dimensions are measured on.
    pub fn paths(&self) -> Coupling {
        match self.theory() {
            Theory::Flow { .. } => self.moments(),
            _ => {
                let steps = vec![64, 128, 256];
                Coupling { range: RANGE, steps, reference_halvings: 2, paths: 2000, seed: SEED }
            }
        }
    }

    /// The sampler whose paths on far finer steps stand for the exact ones: of weak order 2 where there is noise, of order 3 where
    /// there is none.
    pub fn reference(&self) -> SamplerConfig {
        match self.theory() {
            Theory::Flow { .. } => SamplerConfig::DpmSolver3M(DpmSolver3MConfig { start: Start::Heun }),
            _ => SamplerConfig::SdeDpmSolver2M(SdeDpmSolver2MConfig::default()),
        }
    }

    /// From few network calls to many, from the same start at [`R_MAX`] down to 0.
    pub fn practical(&self) -> Vec<Practical> {
        let karras = |steps| GridConfig::Karras { r_min: R_MIN, r_max: R_MAX, rho: 7.0, steps };
        let on_karras = |sampler: SamplerConfig, steps| Practical { sampler, grid: karras(steps) };
        let on_own = |sampler, steps| Practical { sampler, grid: GridConfig::Published { sigma: R_MAX, steps } };
        match self.sampler {
            // From the start to the smallest level in one grid step, and the step to 0.
            SamplerConfig::Adaptive(_) => TOLERANCES.map(|tolerance| on_karras(adaptive(tolerance), 2)).to_vec(),
            SamplerConfig::PredictorCorrector(_) => STEPS[..7].iter().map(|&n| on_karras(corrected(n), n)).collect(),
            SamplerConfig::PublishedDaleLangevin(_) => {
                LEVELS.map(|n| on_own(SamplerConfig::PublishedDaleLangevin(published(n)), n)).to_vec()
            }
            SamplerConfig::PublishedUnconstrained(_) => {
                LEVELS.map(|n| on_own(SamplerConfig::PublishedUnconstrained(published(n)), n)).to_vec()
            }
            // Two network calls a step.
            SamplerConfig::Heun {} | SamplerConfig::StochasticHeun(_) => {
                STEPS[..7].iter().map(|&n| on_karras(self.sampler.clone(), n)).collect()
            }
            _ => STEPS.map(|n| on_karras(self.sampler.clone(), n)).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// The names that a configuration file can give, as its reader lists them, are those of the samplers here.
    #[test]
    fn every_kind_is_there() {
        let message = toml::from_str::<SamplerConfig>("kind = 'none'").unwrap_err().to_string();
        let listed = message.split("expected one of").nth(1).unwrap();
        let mut kinds: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
        kinds.sort_unstable();
        let mut found: Vec<&str> =
            subjects().iter().map(|s| s.sampler.build::<Array2<f64>>().unwrap().name()).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, kinds);
        assert!(kinds.len() >= 14, "{kinds:?}");
    }

    #[test]
    fn names_are_kinds_and_differ() {
        let subjects = subjects();
        for (i, subject) in subjects.iter().enumerate() {
            let kind = subject.sampler.build::<Array2<f64>>().unwrap().name();
            assert!(subject.name.starts_with(kind), "{} {kind}", subject.name);
            assert!(subjects[..i].iter().all(|other| other.name != subject.name));
        }
    }

    #[test]
    fn practical_grids_start_at_one_level_and_cost_ever_more() {
        for subject in subjects() {
            let mut before = 0;
            for Practical { sampler, grid } in subject.practical() {
                let (sampler, grid) = (sampler.build::<Array2<f64>>().unwrap(), grid.build(None).unwrap());
                assert!((grid.start() - R_MAX * R_MAX).abs() < 1e-12, "{}", subject.name);
                let calls = sampler.calls(grid.steps());
                assert!(calls > before || subject.name == "adaptive", "{}", subject.name);
                before = calls;
            }
        }
    }

    #[test]
    fn without_noise_the_exponential_method_is_a_flow() {
        let sampler = SamplerConfig::SdeDpmSolver2M(SdeDpmSolver2MConfig { eta: 0.0 });
        assert_eq!(Theory::of(&sampler), Theory::Flow { order: 2.0 });
    }
}
