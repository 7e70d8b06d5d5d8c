//! Multiplicative score matching: one contract, many parameterizations, and the losses that train them.
//!
//! Three scores of one marginal and one denoiser are the same information:
//!
//! ```text
//! h = x ⊙ s,      g = h + 1 = ∇_y ln p_Y(y),      D(ȳ, v) = E[ln x_0 | ȳ] = ȳ + v g,      ȳ = ln x_t − m(t)
//! ```
//!
//! | module | idea |
//! |---|---|
//! | [`denoiser`] | the contract `D(ȳ, v)` that networks, analytic truths and samplers share |
//! | [`parameterization`] | Hyvärinen, Stein, log-space score, noise, denoiser and velocity, converted exactly |
//! | [`precondition`] | scales that give the network unit-variance inputs and targets at every noise level |
//! | [`weight`] | time weights `λ(v)` in front of the loss |
//! | [`time`] | which noise levels a batch is trained at |
//! | [`loss`] | explicit and denoising score matching, from scalar definitions |
//! | [`linear`] | the best linear denoiser of a data set, in closed form: the baseline to beat |
//!
//! The feature `torch` adds the tensor versions.

pub mod denoiser;
pub mod error;
pub mod linear;
pub mod loss;
pub mod parameterization;
pub mod precondition;
pub mod time;
#[cfg(feature = "torch")]
pub mod torch;
pub mod weight;

pub use denoiser::{DenoiseError, Denoiser};
pub use error::ScoreError;
pub use linear::LinearDenoiser;
pub use parameterization::{Level, Parameterization};
pub use precondition::{Coefficients, DataMoments, Precondition};
pub use time::TimeSampling;
pub use weight::TimeWeight;
