//! Exponentiated gradient descent: an optimizer that keeps every sign.
//!
//! ```text
//! x ← x ⊙ exp(−η u),      u = s ⊙ ∇ₓf (EGD)   or   u = x ⊙ ∇ₓf (descent on the logarithm)
//! ```
//!
//! With the ambient gradient it is mirror descent with the entropy: of all `x'` it takes the one that minimizes
//! `η ⟨∇f(x), x'⟩ + D_φ(x', x)` with the generalized Kullback–Leibler divergence `D_φ(x', x) = Σ x' ln(x'/x) − x' + x`. A
//! coordinate whose best value is 0 with slope `λ > 0` falls like `e^{−ηλk}` there; with the log-space gradient only like `1/(ηλk)`.
//!
//! Source: Kivinen and Warmuth (1997), the unnormalized form EGU; Beck and Teboulle, *Mirror descent and nonlinear projected
//! subgradient methods for convex optimization*, Operations Research Letters 31 (2003).

use std::marker::PhantomData;

use ndarray::{Array2, ArrayView2};

use super::energy::Energy;
use super::error::MirrorError;
use super::exponent::{AmbientGradient, ExponentGradient};
use super::orthant::Orthant;
use crate::error::positive;

/// Settings of [`ExponentiatedGradient`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentiatedGradientConfig {
    /// Learning rate `η`, positive.
    pub rate: f64,
}

impl Default for ExponentiatedGradientConfig {
    fn default() -> Self {
        Self { rate: 0.1 }
    }
}

/// The optimizer on rows of parameters, each row a problem of its own.
///
/// A parameter never changes its sign. It becomes 0 only when its magnitude falls below the smallest double precision number, and even then its
/// logarithm is kept, so that it can come back.
///
/// ```
/// use ndarray::{ArrayView2, ArrayViewMut2, array};
/// use samplers::mirror::{AmbientGradient, ExponentiatedGradient, ExponentiatedGradientConfig};
/// // ½(x − target)²: the first two can be reached, the last has the wrong sign and stops at 0.
/// let target = array![[0.5, -2.0, 1.0]];
/// let distance = |x: ArrayView2<f64>, mut gradient: ArrayViewMut2<f64>| gradient.assign(&(&x - &target));
/// let config = ExponentiatedGradientConfig { rate: 0.2 };
/// let mut egd = ExponentiatedGradient::<AmbientGradient>::new(array![[1.0, -1.0, -1.0]], &config)?;
/// for _ in 0..300 {
///     egd.step(&distance)?;
/// }
/// let x = egd.parameters();
/// assert!((x[[0, 0]] - 0.5).abs() < 1e-9 && (x[[0, 1]] + 2.0).abs() < 1e-9);
/// assert!(x[[0, 2]] < 0.0 && x[[0, 2]] > -1e-9);
/// # Ok::<(), samplers::mirror::MirrorError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ExponentiatedGradient<E = AmbientGradient> {
    state: Orthant,
    gradient: Array2<f64>,
    rate: f64,
    steps: u32,
    exponent: PhantomData<E>,
}

impl<E: ExponentGradient> ExponentiatedGradient<E> {
    /// Starts at `start`, whose signs stay.
    ///
    /// # Errors
    /// [`MirrorError::Start`] at a start that is 0 or not finite, or a rate that is not allowed.
    pub fn new(start: Array2<f64>, config: &ExponentiatedGradientConfig) -> Result<Self, MirrorError> {
        positive("exponentiated gradient", "rate", config.rate)?;
        let gradient = Array2::zeros(start.dim());
        Ok(Self { state: Orthant::new(start)?, gradient, rate: config.rate, steps: 0, exponent: PhantomData })
    }

    /// The parameters.
    pub fn parameters(&self) -> ArrayView2<'_, f64> {
        self.state.values()
    }

    /// Their dual variables, the logarithms of their magnitudes.
    pub fn log_magnitudes(&self) -> ArrayView2<'_, f64> {
        self.state.log_magnitudes()
    }

    /// Steps made.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// One step down `energy`.
    ///
    /// # Errors
    /// [`MirrorError::Diverged`]; then nothing was changed.
    pub fn step(&mut self, energy: &(impl Energy + ?Sized)) -> Result<(), MirrorError> {
        energy.gradient(self.state.values(), self.gradient.view_mut());
        descend::<E>(&mut self.state, self.steps, self.rate, self.gradient.view())?;
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    /// One step against an ambient gradient that comes from elsewhere, such as a mini-batch.
    ///
    /// # Errors
    /// [`MirrorError::Shape`], [`MirrorError::Diverged`]; then nothing was changed.
    pub fn step_against(&mut self, gradient: ArrayView2<'_, f64>) -> Result<(), MirrorError> {
        descend::<E>(&mut self.state, self.steps, self.rate, gradient)?;
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }
}

fn descend<E: ExponentGradient>(
    state: &mut Orthant,
    step: u32,
    rate: f64,
    gradient: ArrayView2<'_, f64>,
) -> Result<(), MirrorError> {
    state.update(step, gradient, None, |x, y, g, _| y - rate * E::exponent(x, g))
}
