//! Geometric Brownian motion (GBM) as a diffusion process, in double precision.
//!
//! ```math
//! \begin{aligned}
//! dX &= \mu(t)\, X\, dt + \sigma(t)\, X\, dW, & X_t &= X_0\, e^{m(t) + \sqrt{v(t)}\, \varepsilon}, \quad \varepsilon \sim N(0, 1) \\
//! m(t) &= \int_0^t \bigl(\mu - \tfrac12 \sigma^2\bigr)\, ds, & v(t) &= \int_0^t \sigma^2\, ds
//! \end{aligned}
//! ```
//!
//! The logarithm of GBM is Gaussian, so all mathematics of the process is scalar: a schedule gives `m(t)` and `v(t)`, and
//! everything else is a handful of coefficients computed from them. Coordinates are independent.
//!
//! | module | idea |
//! |---|---|
//! | [`schedule`] | `μ, σ, m, v` as functions of time, checked once, and the inverse `t(v)` |
//! | [`normal`] | the standard normal law in both tails |
//! | [`lognormal`] | the log-normal law: density, quantile, moments, scores, fit |
//! | [`goodness`] | does a sample come from a law: Kolmogorov–Smirnov, Anderson–Darling |
//! | [`process`] | perturbation, paths and bridges, likelihood, reverse-time drifts, probability flow |
//! | [`step`](mod@step) | coefficients of one reverse step between two levels |
//! | [`philox`] | the counter-based generator Philox4x32-10 |
//! | [`gaussian`] | uniform bits to a pair of normals, the same on every platform |
//! | [`noise`] | draws as a function of `(seed, stream, index, step, element)` |
//! | [`rows`] | the normals of many rows at once, on vector lanes |
//! | [`perturb`] | the forward process on single precision rows, its noise included |
//! | [`exponential`] | the exponential function on vector lanes, within 2 units in the last place |
//! | [`quadrature`] | integrals on finite and infinite intervals, to rounding |
//! | [`analytic`] | ground truths: log-normal mixtures and gamma, with density, scores and denoiser at every level |
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

pub mod analytic;
mod batch;
pub mod exponential;
pub mod gaussian;
pub mod goodness;
mod lanes;
pub mod lognormal;
pub mod noise;
pub mod normal;
pub mod perturb;
pub mod philox;
pub mod process;
pub mod quadrature;
pub mod rows;
pub mod schedule;
pub mod step;

pub use analytic::{Gamma, GammaError, GroundTruth, LogNormalMixture, MixtureError};
pub use batch::{Place, Threads, by_pieces};
pub use goodness::{Goodness, GoodnessError};
pub use lanes::{Real, dispatch};
pub use lognormal::{LogNormal, LogNormalError, LogNormalFit};
pub use noise::{Noise, Stream};
pub use perturb::{Level, Perturb, PerturbError};
pub use process::{Gbm, ProcessError, fokker_planck::FokkerPlanck, likelihood::GbmFit, paths::PathPoint};
pub use rows::NormalRows;
pub use schedule::{Drift, Schedule, ScheduleConfig, ScheduleError, Variance};
pub use step::{EulerFactor, Exponent, LogStep, MilsteinFactor, StepError};
