//! Adam, clipping by global norm and the exponential moving average, each one pass over the flat buffer.
//!
//! Adam (Kingma and Ba, 2015): `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`,
//! `w ← w − η m̂ / (√v̂ + ε)` with `m̂ = m/(1−β₁ᵏ)`, `v̂ = v/(1−β₂ᵏ)`.

use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad};

use crate::Result;
use crate::fused::{self, Buffers};
use crate::params::Flat;

/// Adam's settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamConfig {
    /// Decay of the gradient's mean.
    pub beta1: f64,
    /// Decay of the gradient's mean square.
    pub beta2: f64,
    /// Added to the root mean square.
    pub epsilon: f64,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }
    }
}

/// Adam's two moments and its count of steps.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    /// Mean of the gradient.
    pub mean: Flat,
    /// Mean of the squared gradient.
    pub square: Flat,
    /// Steps taken.
    pub steps: u64,
}

impl Adam {
    /// Fresh state for these parameters.
    pub fn new(config: AdamConfig, parameters: &Flat) -> Result<Self> {
        Ok(Self { config, mean: parameters.zeros_like()?, square: parameters.zeros_like()?, steps: 0 })
    }

    /// State as it was saved.
    #[must_use]
    pub fn restored(config: AdamConfig, mean: Flat, square: Flat, steps: u64) -> Self {
        Self { config, mean, square, steps }
    }

    /// One step along `gradient` (flat, f32) with learning rate `rate`.
    pub fn step(&mut self, parameters: &mut Flat, gradient: &Tensor, rate: f64) -> Result<()> {
        self.steps += 1;
        let buffers = Buffers {
            weights: parameters.tensor_mut(),
            gradient,
            mean: self.mean.tensor_mut(),
            square: self.square.tensor_mut(),
        };
        fused::adam(buffers, self.steps, rate, self.config)
    }
}

/// Scales `gradient` in place so that its norm is at most `limit`; returns the norm before, as a tensor (no waiting).
pub fn clip_by_norm(gradient: &mut Tensor, limit: f64) -> Result<Tensor> {
    let norm = gradient.f_norm()?;
    let factor = norm.f_add_scalar(1e-12)?.f_reciprocal()?.f_mul_scalar(limit)?.f_clamp_max(1.0)?;
    let _ = gradient.f_mul_(&factor)?;
    Ok(norm)
}

/// Exponential moving average of the parameters.
///
/// The decay at step k is `min(decay, (k + 1)/(k + 10))`: early on it averages over the last tenth, so that a short run is
/// not dominated by its initial values.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    /// The average.
    pub average: Flat,
}

impl Ema {
    /// Starts at the parameters themselves.
    pub fn new(decay: f64, parameters: &Flat) -> Result<Self> {
        Ok(Self { decay, average: parameters.duplicate()? })
    }

    /// State as it was saved.
    #[must_use]
    pub fn restored(decay: f64, average: Flat) -> Self {
        Self { decay, average }
    }

    /// Decay used at step `k`, counted from 0.
    #[must_use]
    pub fn decay_at(&self, k: u64) -> f64 {
        let k = k as f64;
        self.decay.min((k + 1.0) / (k + 10.0))
    }

    /// Takes in the parameters after step `k`.
    pub fn update(&mut self, parameters: &Flat, k: u64) -> Result<()> {
        let weight = 1.0 - self.decay_at(k);
        let _ = no_grad(|| self.average.tensor_mut().f_lerp_(parameters.tensor(), weight))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Init, Layout};
    use tch::Device;

    fn flat(values: &[f32]) -> Flat {
        let mut layout = Layout::default();
        layout.add("w", &[values.len() as i64], Init::Zeros).unwrap();
        Flat::from_tensor(&layout, Tensor::from_slice(values).to_device(Device::Cpu)).unwrap()
    }

    #[test]
    fn adam_follows_its_definition() {
        let config = AdamConfig { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
        let (start, gradients) = ([1.0_f64, -2.0], |k: i32| [0.3 * f64::from(k), -1.0 / f64::from(k)]);
        let mut parameters = flat(&start.map(|w| w as f32));
        let mut adam = Adam::new(config, &parameters).unwrap();
        for k in 1..=5 {
            adam.step(&mut parameters, &Tensor::from_slice(&gradients(k).map(|g| g as f32)), 0.1).unwrap();
        }
        for (i, mut w) in start.into_iter().enumerate() {
            let (mut m, mut v) = (0.0, 0.0);
            for k in 1..=5 {
                let g = gradients(k)[i];
                m = 0.9 * m + 0.1 * g;
                v = 0.95 * v + 0.05 * g * g;
                let (mh, vh): (f64, f64) = (m / (1.0 - 0.9_f64.powi(k)), v / (1.0 - 0.95_f64.powi(k)));
                w -= 0.1 * mh / (vh.sqrt() + 1e-8);
            }
            assert!((parameters.tensor().double_value(&[i as i64]) - w).abs() < 2e-6, "{i}");
        }
    }

    #[test]
    fn clipping_shortens_long_gradients_and_leaves_short_ones() {
        let mut long = Tensor::from_slice(&[3.0_f32, 4.0]);
        assert!((clip_by_norm(&mut long, 1.0).unwrap().double_value(&[]) - 5.0).abs() < 1e-6);
        assert!((long.norm().double_value(&[]) - 1.0).abs() < 1e-6);
        let mut short = Tensor::from_slice(&[0.3_f32, 0.4]);
        let _ = clip_by_norm(&mut short, 1.0).unwrap();
        assert!((short.norm().double_value(&[]) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_average_of_a_constant_is_that_constant_and_warms_up() {
        let start = flat(&[5.0]);
        let later = flat(&[1.0]);
        let mut ema = Ema::new(0.999, &start).unwrap();
        for k in 0..100 {
            ema.update(&later, k).unwrap();
        }
        assert!((ema.average.tensor().double_value(&[0]) - 1.0).abs() < 1e-3);
        assert!(ema.decay_at(0) < 0.11 && ema.decay_at(1_000_000) == 0.999);
    }
}
