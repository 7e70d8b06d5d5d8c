//! Geometric Brownian motion (GBM) as a diffusion process, in double precision.
//!
//! ```text
//! dX = μ(t) X dt + σ(t) X dW          X_t = X_0 exp(m(t) + √v(t) ε),   ε ~ N(0, 1)
//! m(t) = ∫₀ᵗ (μ − σ²/2),              v(t) = ∫₀ᵗ σ²
//! ```
//!
//! The logarithm of GBM is Gaussian, so all mathematics of the process is scalar: a schedule gives `m(t)` and `v(t)`, and
//! everything else is a handful of coefficients computed from them. Coordinates are independent.
//!
//! | module | idea |
//! |---|---|
//! | [`schedule`] | `μ, σ, m, v` as functions of time, checked once, and the inverse `t(v)` |
//! | [`lognormal`] | the log-normal law: density, quantile, moments, scores, fit |
//! | [`process`] | exact perturbation and paths, reverse-time drifts, probability flow |
//! | [`step`](mod@step) | coefficients of one reverse step between two levels |
//! | [`philox`] | the counter-based generator Philox4x32-10 |
//! | [`gaussian`] | uniform bits to a pair of normals, the same on every platform |
//! | [`noise`] | draws as a function of `(seed, stream, index, step, element)` |
//! | [`quadrature`] | integrals on finite and infinite intervals, to rounding |
//! | [`analytic`] | ground truths: log-normal mixtures and gamma, with density, scores and denoiser at every level |

pub mod analytic;
pub mod gaussian;
pub mod lognormal;
pub mod noise;
pub mod philox;
pub mod process;
pub mod quadrature;
pub mod schedule;
pub mod step;

pub use analytic::{Gamma, GammaError, GroundTruth, LogNormalMixture, MixtureError};
pub use lognormal::{LogNormal, LogNormalError};
pub use noise::{Noise, Stream};
pub use process::{Gbm, ProcessError};
pub use schedule::{Drift, Schedule, ScheduleConfig, ScheduleError, Variance};
pub use step::{Exponent, LogStep, StepError};
