//! Mirror descent and mirrored Langevin dynamics on energies that the user gives, on an orthant: `x > 0`, or any other fixed signs
//! (Dale's law).
//!
//! The mirror map is the entropy `φ(x) = Σ x ln x − x`, whose dual variable is the logarithm, `y = ∇φ(x) = ln x`. With fixed signs
//! `s` it is that of the magnitude, `x = s ⊙ e^y`. All updates are exponentiated,
//!
//! ```text
//! x ← x ⊙ exp(−η u + …)
//! ```
//!
//! and so keep every sign. What `u` is, is a type, because two methods that share the mirror map differ in it:
//!
//! | type of the exponent | `u` | flow as `η → 0` | Langevin dynamics with the stationary density `∝ e^{−f(x)}` |
//! |---|---|---|---|
//! | [`AmbientGradient`] | `s ⊙ ∇ₓf` | `dx/dt = −\|x\| ∇ₓf` | `dy = −s ∇ₓf dt + √(2/\|x\|) dB` |
//! | [`LogGradient`] | `x ⊙ ∇ₓf = ∇_y f` | `dx/dt = −x² ∇ₓf` | `dy = (1 − x ∇ₓf) dt + √2 dB` |
//!
//! The first is exponentiated gradient descent (EGD; Kivinen and Warmuth 1997), natural gradient descent in the metric
//! `∇²φ = 1/x`; its Langevin dynamics is the mirror Langevin diffusion of Zhang, Peyré, Fadili and Pereyra (2020). The second is
//! gradient descent on the logarithm, in the metric `1/x²`; its Langevin dynamics is the mirrored one of Hsieh, Kavis, Rolland and
//! Cevher (2018): plain Langevin dynamics on the dual potential `W(y) = f(s e^y) − Σ y`. The noise-free Dale–Langevin update is of
//! this second kind. The two exponents differ by the factor `|x|`, the ratio of the metrics, and only by it.
//!
//! Where the extra terms come from: a diffusion of `y` with mobility `a(y)` keeps `e^{−W}` if
//!
//! ```text
//! dy = (−a W' + a') dt + √(2a) dB,      W' = ∂f/∂y − 1
//! ```
//!
//! The `−1` is the Jacobian of the exponential function: without it the samples would have the density `e^{−f}/x`. With `a = 1` it
//! leaves the drift `1 − x ∇f`; with `a = 1/|x|` it and `a' = −a` cancel, so EGD's exponent needs no correction. In `x`, by Itô's
//! formula, the first row is `dx = (s − |x| ∇f) dt + √(2|x|) dB`; for a gamma density that is the Cox–Ingersoll–Ross process.
//!
//! | module | idea |
//! |---|---|
//! | [`energy`] | what the user gives: a gradient, and a value where there is one |
//! | [`exponent`] | the two gradients in the exponent |
//! | [`exponentiated_gradient`] | the optimizer |
//! | [`mirrored_langevin`] | the sampler |
//!
//! The state is `y` and the signs: neither a sign nor a zero can arise in it. `x` itself is 0 or infinite only where `s e^y` is, once
//! rounded. The feature `torch` adds the update of tensors in place, for training networks.
//!
//! Sources: Kivinen and Warmuth, *Exponentiated gradient versus gradient descent for linear predictors*, Information and Computation
//! 132 (1997); Hsieh et al., *Mirrored Langevin dynamics*, NeurIPS 2018, arXiv 1802.10174; Zhang et al., *Wasserstein control of mirror
//! Langevin Monte Carlo*, COLT 2020, arXiv 2002.04363; Cornford et al., *Brain-like learning with exponentiated gradients*, bioRxiv
//! 2024.10.25.620272.

pub mod energy;
pub mod error;
pub mod exponent;
pub mod exponentiated_gradient;
pub mod mirrored_langevin;
mod orthant;
#[cfg(feature = "torch")]
pub mod torch;

pub use energy::Energy;
pub use error::MirrorError;
pub use exponent::{AmbientGradient, ExponentGradient, LogGradient};
pub use exponentiated_gradient::{ExponentiatedGradient, ExponentiatedGradientConfig};
pub use mirrored_langevin::{MirroredLangevin, MirroredLangevinConfig};
