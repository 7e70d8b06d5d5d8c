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
//! | [`state`] | what a sampler can do with a state, and where its noise comes from |
//! | [`grid`] | the noise levels a sampler visits |
//! | [`prior`] | where reverse time starts |
//! | [`sampler`] | the contract of a sampler, and the loop that runs it |
//! | [`dale_langevin`] | the paper's exponentiated update |
//! | [`heun`] | second-order probability flow |
//! | [`stochastic_heun`] | the same, with noise put back before each step |
//! | [`published`] | the authors' form of the exponentiated update |
//!
//! The feature `torch` adds tensors as states.

pub mod dale_langevin;
pub mod error;
pub mod grid;
pub mod heun;
pub mod prior;
pub mod published;
pub mod sampler;
pub mod state;
pub mod stochastic_heun;
#[cfg(feature = "torch")]
pub mod torch;

pub use dale_langevin::DaleLangevin;
pub use error::{ConfigError, SampleError};
pub use grid::{Grid, GridConfig};
pub use heun::Heun;
pub use prior::{Prior, PriorConfig};
pub use published::{PublishedConfig, PublishedDaleLangevin};
pub use sampler::{Sampler, SamplerConfig, Step, Stepper};
pub use state::{AddressedNoise, NoiseSource, State};
pub use stochastic_heun::{StochasticHeun, StochasticHeunConfig};
