//! Adam and clipping by global norm, each one pass over the flat buffer.
//!
//! Adam (Kingma and Ba, 2015): `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`,
//! `w ← w − η m̂ / (√v̂ + ε)` with `m̂ = m/(1−β₁ᵏ)`, `v̂ = v/(1−β₂ᵏ)`. A weight decay `λ` is added to the gradient (`g + λw`), or, as
//! AdamW does (Loshchilov and Hutter, 2019), shrinks the weights first: `w ← (1 − ηλ) w`.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, no_grad};

use crate::Result;
use crate::native::adam::{self, Buffers};
use crate::params::Flat;

/// Adam's settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AdamConfig {
    /// Decay of the gradient's mean.
    pub beta1: f64,
    /// Decay of the gradient's mean square.
    pub beta2: f64,
    /// Added to the root mean square.
    pub epsilon: f64,
    /// Weight decay.
    #[serde(skip_serializing_if = "is_zero")]
    pub weight_decay: f64,
    /// Whether the weight decay acts on the weights (AdamW) rather than through the gradient.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decoupled: bool,
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.0, decoupled: false }
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

    /// One step along `gradient` (flat, f32) with learning rate `rate`, unless `guard` has been raised: then nothing changes
    /// but the count.
    pub fn step(&mut self, parameters: &mut Flat, gradient: &Tensor, guard: &Guard, rate: f64) -> Result<()> {
        self.steps += 1;
        let buffers = Buffers {
            weights: parameters.tensor_mut(),
            gradient,
            mean: self.mean.tensor_mut(),
            square: self.square.tensor_mut(),
        };
        adam::adam(buffers, &guard.raised, self.steps, rate, self.config)
    }
}

/// A flag on the device, raised by the first number that is not finite and never lowered: from then on optimizer steps do nothing,
/// so the weights stay those that made the bad number, though the host looks only later.
#[derive(Debug)]
pub struct Guard {
    raised: Tensor,
}

impl Guard {
    /// Not raised.
    pub fn new(parameters: &Flat) -> Result<Self> {
        Ok(Self { raised: Tensor::f_zeros([1], (Kind::Float, parameters.tensor().device()))? })
    }

    /// Raises the flag unless both scalars are finite; no waiting.
    pub fn watch(&mut self, loss: &Tensor, norm: &Tensor) -> Result<()> {
        no_grad(|| {
            let bad = loss.f_detach()?.f_add(norm)?.f_isfinite()?.f_logical_not()?.f_to_kind(Kind::Float)?;
            self.raised = self.raised.f_maximum(&bad)?;
            Ok(())
        })
    }

    /// `weight` where the flag is down, zero where it is raised: a scalar on the device.
    pub fn gated(&self, weight: f64) -> Result<Tensor> {
        Ok(self.raised.f_neg()?.f_add_scalar(1.0)?.f_mul_scalar(weight)?)
    }
}

/// Scales `gradient` in place so that its norm is at most `limit`; returns the norm before, as a tensor (no waiting).
pub fn clip_by_norm(gradient: &mut Tensor, limit: f64) -> Result<Tensor> {
    let norm = gradient.f_norm()?;
    let factor = norm.f_add_scalar(1e-12)?.f_reciprocal()?.f_mul_scalar(limit)?.f_clamp_max(1.0)?;
    let _ = gradient.f_mul_(&factor)?;
    Ok(norm)
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
    fn adam_follows_its_definition_with_either_weight_decay() {
        for (weight_decay, decoupled) in [(0.0, false), (0.3, false), (0.3, true)] {
            let config = AdamConfig { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay, decoupled };
            let (start, gradients) = ([1.0_f64, -2.0], |k: i32| [0.3 * f64::from(k), -1.0 / f64::from(k)]);
            let mut parameters = flat(&start.map(|w| w as f32));
            let guard = Guard::new(&parameters).unwrap();
            let mut adam = Adam::new(config, &parameters).unwrap();
            for k in 1..=5 {
                let gradient = Tensor::from_slice(&gradients(k).map(|g| g as f32));
                adam.step(&mut parameters, &gradient, &guard, 0.1).unwrap();
            }
            for (i, mut w) in start.into_iter().enumerate() {
                let (mut m, mut v) = (0.0, 0.0);
                for k in 1..=5 {
                    let g = gradients(k)[i] + if decoupled { 0.0 } else { weight_decay * w };
                    m = 0.9 * m + 0.1 * g;
                    v = 0.95 * v + 0.05 * g * g;
                    let (mh, vh): (f64, f64) = (m / (1.0 - 0.9_f64.powi(k)), v / (1.0 - 0.95_f64.powi(k)));
                    w *= if decoupled { 1.0 - 0.1 * weight_decay } else { 1.0 };
                    w -= 0.1 * mh / (vh.sqrt() + 1e-8);
                }
                assert!((parameters.tensor().double_value(&[i as i64]) - w).abs() < 2e-6, "{i} {decoupled}");
            }
        }
    }

    #[test]
    fn after_a_number_that_is_not_finite_nothing_moves() {
        let mut parameters = flat(&[1.0, 2.0]);
        let mut guard = Guard::new(&parameters).unwrap();
        let mut adam = Adam::new(AdamConfig::default(), &parameters).unwrap();
        let scalar = |x: f32| Tensor::from_slice(&[x]).view([] as [i64; 0]);
        for (loss, norm) in [(1.0, f32::NAN), (1.0, 1.0)] {
            guard.watch(&scalar(loss), &scalar(norm)).unwrap();
            adam.step(&mut parameters, &Tensor::from_slice(&[f32::NAN, 1.0]), &guard, 0.1).unwrap();
        }
        assert!(parameters.tensor().equal(&Tensor::from_slice(&[1.0_f32, 2.0])));
        assert_eq!(guard.gated(0.3).unwrap().double_value(&[0]), 0.0);
    }

    #[test]
    fn clipping_shortens_long_gradients_and_leaves_short_ones() {
        let mut long = Tensor::from_slice(&[3.0_f32, 4.0]);
        let norm = clip_by_norm(&mut long, 1.0).unwrap();
        assert!((norm.double_value(&[]) - 5.0).abs() < 1e-6);
        assert!(long.allclose(&Tensor::from_slice(&[0.6_f32, 0.8]), 1e-6, 0.0, false));
        let mut short = Tensor::from_slice(&[0.3_f32, 0.4]);
        let _ = clip_by_norm(&mut short, 1.0).unwrap();
        assert!(short.allclose(&Tensor::from_slice(&[0.3_f32, 0.4]), 1e-6, 0.0, false));
    }
}
