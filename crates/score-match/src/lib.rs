//! Multiplicative score matching: one contract, many parameterizations, and the losses that train them.
//!
//! Three scores of one marginal and one denoiser are the same information:
//!
//! ```math
//! h = x \odot s, \qquad g = h + 1 = \nabla_y \ln p_Y(y), \qquad
//! D(\bar y, v) = \mathbb{E}[\ln x_0 \mid \bar y] = \bar y + v\, g, \qquad \bar y = \ln x_t - m(t)
//! ```
//!
//! | module | idea |
//! |---|---|
//! | [`denoiser`] | the contract `D(ȳ, v)` that networks, analytic truths and samplers share |
//! | [`divergence`] | the denoiser with the trace of its derivative, for densities along the probability flow |
//! | [`parameterization`] | Hyvärinen, Stein, log-space score, noise, denoiser and velocity, converted exactly |
//! | [`precondition`] | scales that give the network unit-variance inputs and targets at every noise level |
//! | [`weight`] | time weights `λ(v)` in front of the loss |
//! | [`time`] | which noise levels a batch is trained at |
//! | [`importance`] | noise levels drawn in proportion to a weight, with the correction |
//! | [`sequence`] | low-discrepancy sequences, so that batches interleave |
//! | [`term`] | the losses of one coordinate, for numbers and tensors |
//! | [`loss`] | explicit and denoising score matching, and why all three losses are one |
//! | [`implicit`] | implicit and sliced score matching: exact and stochastic traces |
//! | [`probe`] | random directions for them |
//! | [`nonnegative`] | Hyvärinen's score matching for non-negative data: estimators with standard errors |
//! | [`linear`] | the best linear denoiser of a data set, in closed form: the baseline to beat |
//! | [`low_rank`] | the normal law of low rank plus diagonal covariance that fits a data set |
//!
//! The feature `torch` adds the tensor versions.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

pub mod denoiser;
pub mod divergence;
pub mod error;
pub mod implicit;
pub mod importance;
pub mod linear;
pub mod loss;
pub mod low_rank;
pub mod nonnegative;
pub mod parameterization;
pub mod precondition;
pub mod probe;
pub mod sequence;
pub mod term;
pub mod time;
#[cfg(feature = "torch")]
pub mod torch;
pub mod weight;

pub use denoiser::{DenoiseError, Denoiser};
pub use divergence::{Differences, Divergence, Traced};
pub use error::ScoreError;
pub use implicit::{ScoreAt, ScoreModel, Trace};
pub use importance::{ImportanceOptions, ImportanceSampling, WeightedLevel};
pub use linear::LinearDenoiser;
pub use low_rank::LowRankNormal;
pub use nonnegative::Estimate;
pub use parameterization::{Level, Parameterization};
pub use precondition::{Coefficients, DataMoments, Precondition};
pub use probe::{ProbeLaw, Probes};
pub use sequence::Sequence;
pub use time::TimeSampling;
pub use weight::{PowerWeight, TimeWeight, WeightTable};
