//! Samplers as tables of a configuration file: `sampler = { kind = "stochastic-heun", churn = 8.0 }`.

use serde::{Deserialize, Serialize};

use crate::adaptive::{Adaptive, AdaptiveConfig};
use crate::ancestral::Ancestral;
use crate::corrected::{Corrected, CorrectedConfig};
use crate::dale_langevin::DaleLangevin;
use crate::dpm_solver_2m::DpmSolver2M;
use crate::dpm_solver_3m::{DpmSolver3M, DpmSolver3MConfig};
use crate::error::ConfigError;
use crate::euler::Euler;
use crate::heun::Heun;
use crate::milstein::Milstein;
use crate::published::{Published, PublishedConfig};
use crate::sampler::Sampler;
use crate::sde_dpm_solver_2m::{SdeDpmSolver2M, SdeDpmSolver2MConfig};
use crate::state::State;
use crate::stochastic_heun::{StochasticHeun, StochasticHeunConfig};
use crate::unconstrained::{AmbientConfig, Unconstrained};

/// A sampler as written in a configuration file. Variants without settings have braces because serde would otherwise let
/// unknown keys pass.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SamplerConfig {
    /// The exponentiated update with the grid's own steps.
    DaleLangevin {},
    /// Euler–Maruyama in ambient space; can change signs.
    Unconstrained(AmbientConfig),
    /// Milstein's method in ambient space; can change signs.
    Milstein(AmbientConfig),
    /// Ancestral sampling.
    Ancestral {},
    /// First-order probability flow.
    Euler {},
    /// Second-order probability flow.
    Heun {},
    /// Two-step exponential probability flow.
    #[serde(rename = "dpm-solver-2m")]
    DpmSolver2M {},
    /// Three-step exponential probability flow.
    #[serde(rename = "dpm-solver-3m")]
    DpmSolver3M(DpmSolver3MConfig),
    /// Probability flow with a tolerance.
    Adaptive(AdaptiveConfig),
    /// Second-order probability flow with churn.
    StochasticHeun(StochasticHeunConfig),
    /// Two-step exponential method with noise.
    #[serde(rename = "sde-dpm-solver-2m")]
    SdeDpmSolver2M(SdeDpmSolver2MConfig),
    /// Another sampler, corrected by Langevin dynamics.
    PredictorCorrector(CorrectedConfig),
    /// The authors' form of the exponentiated update; belongs on the `published` grid.
    PublishedDaleLangevin(PublishedConfig),
    /// The authors' form of the unconstrained update; belongs on the `published` grid.
    PublishedUnconstrained(PublishedConfig),
}

impl SamplerConfig {
    /// Checks the settings and makes the sampler.
    ///
    /// # Errors
    /// Names the setting that is not allowed.
    pub fn build<S: State + 'static>(&self) -> Result<Box<dyn Sampler<S>>, ConfigError> {
        Ok(match *self {
            Self::DaleLangevin {} => Box::new(DaleLangevin),
            Self::Unconstrained(config) => Box::new(Unconstrained::new(config)?),
            Self::Milstein(config) => Box::new(Milstein::new(config)?),
            Self::Ancestral {} => Box::new(Ancestral),
            Self::Euler {} => Box::new(Euler),
            Self::Heun {} => Box::new(Heun),
            Self::DpmSolver2M {} => Box::new(DpmSolver2M),
            Self::DpmSolver3M(config) => Box::new(DpmSolver3M::new(config)),
            Self::Adaptive(config) => Box::new(Adaptive::new(config)?),
            Self::StochasticHeun(config) => Box::new(StochasticHeun::new(config)?),
            Self::SdeDpmSolver2M(config) => Box::new(SdeDpmSolver2M::new(config)?),
            Self::PredictorCorrector(ref config) => Box::new(Corrected::new(config)?),
            Self::PublishedDaleLangevin(config) => Box::new(Published::dale_langevin(config)?),
            Self::PublishedUnconstrained(config) => Box::new(Published::unconstrained(config)?),
        })
    }

    /// Whether it works in ambient space, where signs can change.
    pub fn is_ambient(&self) -> bool {
        matches!(self, Self::Unconstrained(_) | Self::Milstein(_) | Self::PublishedUnconstrained(_))
    }

    /// Whether the noise of its last step stays in the state: its grid should go down to a level that cannot be seen.
    pub fn leaves_noise(&self) -> bool {
        self.is_ambient() || matches!(self, Self::DaleLangevin {} | Self::PublishedDaleLangevin(_))
    }
}
