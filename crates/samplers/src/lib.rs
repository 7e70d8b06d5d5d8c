//! Reverse-time samplers of multiplicative diffusion.
//!
//! In the centred log state `ȳ = ln x − m` every sampler is a table of coefficients for one kernel,
//!
//! ```text
//! ȳ' = α ȳ + Σ_j β_j D_j + η z,        D_j = D(ȳ_j, v_j),     z ~ N(0, I)
//! ```
//!
//! over the log denoiser `D` of [`score_match::Denoiser`]. A new sampler is a new file with a new table.
//!
//! | module | idea |
//! |---|---|
//! | [`state`] | what a sampler can do with a state |
//! | [`kernels`] | the elementwise kernels: one pass, vector lanes, all threads, noise given or drawn inside |
//! | [`noise`] | where its noise comes from |
//! | [`refined`] | noise of one Brownian path for halved steps |
//! | [`grid`] | the noise levels a sampler visits |
//! | [`prior`] | where reverse time starts |
//! | [`sampler`] | the contract of a sampler, and the loop that runs it |
//! | [`likelihood`] | log density along the probability flow, and bits per dimension |
//! | [`order`] | the order of a sampler, measured against exact truth |
//! | [`config`] | samplers as tables of a configuration file |
//! | [`mirror`] | mirrored Langevin and exponentiated gradient on energies that the user gives, with fixed signs |
//!
//! | sampler | idea | order |
//! |---|---|---|
//! | [`dale_langevin`] | the paper's exponentiated update | strong 1, weak 1 |
//! | [`unconstrained`] | the paper's other update, in ambient space; can change signs | strong ½, weak 1 |
//! | [`milstein`] | the same with Milstein's term | strong 1, weak 1 |
//! | [`ancestral`] | the exact reverse transition for data at `D` | weak 1 |
//! | [`euler`] | probability flow | 1 |
//! | [`heun`] | probability flow | 2 |
//! | [`dpm_solver_2m`] | probability flow, exponential two-step | 2 |
//! | [`dpm_solver_3m`] | probability flow, exponential three-step | 3 with a start by Heun's steps, else 2 |
//! | [`adaptive`] | probability flow, embedded Runge–Kutta with a tolerance | |
//! | [`stochastic_heun`] | Heun, with noise put back before each step | |
//! | [`sde_dpm_solver_2m`] | exponential two-step with noise | strong 1, weak 2 |
//! | [`corrected`] | any of these, corrected by Langevin dynamics at each level | |
//! | [`published`] | the authors' form of both updates | |
//!
//! The feature `torch` adds tensors as states.

pub mod adaptive;
pub mod ancestral;
pub mod config;
pub mod corrected;
pub mod dale_langevin;
pub mod dpm_solver_2m;
pub mod dpm_solver_3m;
mod embedded;
pub mod error;
pub mod euler;
pub mod grid;
pub mod heun;
pub mod kernels;
pub mod likelihood;
pub mod milstein;
pub mod mirror;
pub mod noise;
pub mod order;
mod prefetch;
pub mod prior;
pub mod published;
pub mod refined;
pub mod sampler;
pub mod sde_dpm_solver_2m;
pub mod state;
pub mod stochastic_heun;
#[cfg(feature = "torch")]
pub mod torch;
pub mod unconstrained;

pub use adaptive::{Adaptive, AdaptiveConfig};
pub use ancestral::Ancestral;
pub use config::SamplerConfig;
pub use corrected::{Corrected, CorrectedConfig};
pub use dale_langevin::DaleLangevin;
pub use dpm_solver_2m::DpmSolver2M;
pub use dpm_solver_3m::{DpmSolver3M, DpmSolver3MConfig, Start};
pub use error::{ConfigError, SampleError};
pub use euler::Euler;
pub use grid::{Grid, GridConfig};
pub use heun::Heun;
pub use likelihood::ambient::PixelScale;
pub use likelihood::{Flow, LogDensity, Solver, Tolerance};
pub use milstein::Milstein;
pub use noise::{AddressedNoise, NoiseSource};
pub use prior::{FittedPrior, Prior, PriorConfig, PriorStatistics};
pub use published::{Published, PublishedConfig};
pub use refined::RefinedNoise;
pub use sampler::{Sampled, Sampler, Step, Stepper};
pub use sde_dpm_solver_2m::{SdeDpmSolver2M, SdeDpmSolver2MConfig};
pub use state::{Bracket, State};
pub use stochastic_heun::{StochasticHeun, StochasticHeunConfig};
#[cfg(feature = "torch")]
pub use torch::DeviceNoise;
pub use unconstrained::{AmbientConfig, Unconstrained};
