//! Mirrored Langevin dynamics: a sampler of `e^{−f(x)}` on an orthant that keeps every sign.
//!
//! ```text
//! x ← x ⊙ exp( −η s ⊙ ∇f + √(2η/|x|) z )          AmbientGradient
//! x ← x ⊙ exp( −η x ⊙ ∇f + η + √(2η) z )          LogGradient
//! ```
//!
//! Euler–Maruyama steps, not corrected by acceptance, of the two dynamics of the [module above](super). Both keep the density `e^{−f(x)}` per
//! unit of `x`, not of `ln x`, in the limit `η → 0`; at finite `η` the law that they keep is off by a term that is linear in `η`. Use [`LogGradient`],
//! whose noise is additive, unless there is a reason not to: with [`AmbientGradient`](crate::mirror::AmbientGradient) the noise of the logarithm grows without bound
//! towards `x = 0`, so that it needs a small `η` and an energy that keeps away from there. Hsieh et al. (2018) changed the
//! dynamics for that reason.
//!
//! Sources: Hsieh et al. (2018), equation 3.2; Zhang et al. (2020), equation 1.2.

use std::marker::PhantomData;

use gbm_sde::{Noise, Stream};
use ndarray::{Array2, ArrayView2};

use super::energy::Energy;
use super::error::MirrorError;
use super::exponent::{ExponentGradient, LogGradient};
use super::orthant::Orthant;
use crate::error::positive;
use crate::noise::AddressedNoise;

/// Settings of [`MirroredLangevin`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MirroredLangevinConfig {
    /// Step `η`, positive.
    pub step: f64,
    /// Seed of the noise.
    pub seed: u64,
    /// Number of the first chain: chain `i` gets the draws of index `first_chain + i`, whatever the batch.
    pub first_chain: u64,
}

impl Default for MirroredLangevinConfig {
    fn default() -> Self {
        Self { step: 1e-2, seed: 0, first_chain: 0 }
    }
}

/// The sampler on rows of coordinates, each row a chain of its own.
///
/// ```
/// use ndarray::{Array2, ArrayView2, ArrayViewMut2};
/// use samplers::mirror::{LogGradient, MirroredLangevin, MirroredLangevinConfig};
/// // f = x: the exponential law, with mean 1.
/// let energy = |_: ArrayView2<f64>, mut gradient: ArrayViewMut2<f64>| gradient.fill(1.0);
/// let config = MirroredLangevinConfig { step: 0.02, ..Default::default() };
/// let mut chains = MirroredLangevin::<LogGradient>::new(Array2::ones((2_000, 1)), &config)?;
/// for _ in 0..400 {
///     chains.step(&energy)?;
/// }
/// let x = chains.positions();
/// assert!(x.iter().all(|&x| x > 0.0) && (x.sum() / 2_000.0 - 1.0).abs() < 0.1);
/// # Ok::<(), samplers::mirror::MirrorError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MirroredLangevin<E = LogGradient> {
    state: Orthant,
    gradient: Array2<f64>,
    noise: AddressedNoise,
    size: f64,
    steps: u32,
    exponent: PhantomData<E>,
}

impl<E: ExponentGradient> MirroredLangevin<E> {
    /// Starts all chains at `start`, whose signs stay.
    ///
    /// # Errors
    /// [`MirrorError::Start`] at a start that is 0 or not finite, or a step that is not allowed.
    pub fn new(start: Array2<f64>, config: &MirroredLangevinConfig) -> Result<Self, MirrorError> {
        positive("mirrored Langevin", "step", config.step)?;
        let noise =
            AddressedNoise { noise: Noise::new(config.seed), stream: Stream::SAMPLER, first_index: config.first_chain };
        let gradient = Array2::zeros(start.dim());
        let state = Orthant::new(start)?;
        Ok(Self { state, gradient, noise, size: config.step, steps: 0, exponent: PhantomData })
    }

    /// Where the chains are.
    pub fn positions(&self) -> ArrayView2<'_, f64> {
        self.state.values()
    }

    /// The logarithms of their magnitudes.
    pub fn log_magnitudes(&self) -> ArrayView2<'_, f64> {
        self.state.log_magnitudes()
    }

    /// Steps made.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// One step of all chains.
    ///
    /// # Errors
    /// [`MirrorError::Diverged`], then nothing was changed; [`MirrorError::NoiseExhausted`] after 2³² − 1 steps.
    pub fn step(&mut self, energy: &(impl Energy + ?Sized)) -> Result<(), MirrorError> {
        let after = self.steps.checked_add(1).ok_or(MirrorError::NoiseExhausted(self.steps))?;
        energy.gradient(self.state.values(), self.gradient.view_mut());
        let (rows, columns) = self.gradient.dim();
        let z = self.noise.rows_f64(rows, columns, self.steps);
        let (size, root) = (self.size, (2.0 * self.size).sqrt());
        self.state.update(self.steps, self.gradient.view(), Some(z.view()), |x, y, g, z| {
            y + size * (E::CORRECTION - E::exponent(x, g)) + root * E::root_mobility(y) * z
        })?;
        self.steps = after;
        Ok(())
    }
}
