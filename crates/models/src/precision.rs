//! The element type of the network's arithmetic; the master weights, the loss and the optimizer stay in f32.
//!
//! bf16 pays on processors with native instructions for it and costs on others, so `auto` times both.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::Result;
use crate::denoise::{Condition, Model};
use crate::params::{Flat, Gradient};

/// What to compute in, as in the experiment's `[training]` table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// The faster of the two on this machine.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// 16-bit brain floats over f32 master weights.
    Bf16,
}

/// What was chosen, and the timing that it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// [`Precision::F32`] or [`Precision::Bf16`].
    pub precision: Precision,
    /// Seconds of a forward and backward pass in f32 and in bf16; none if nothing had to be timed.
    pub seconds: Option<(f64, f64)>,
}

impl Choice {
    /// libtorch's name for it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.precision {
            Precision::Bf16 => Kind::BFloat16,
            _ => Kind::Float,
        }
    }
}

/// Settles `wanted` for this model, by timing if it is [`Precision::Auto`].
pub fn choose(wanted: Precision, model: &Model, flat: &Flat, batch: usize) -> Result<Choice> {
    if wanted != Precision::Auto {
        return Ok(Choice { precision: wanted, seconds: None });
    }
    let full = time_pass(model, flat, batch, Kind::Float)?.as_secs_f64();
    let half = time_pass(model, flat, batch, Kind::BFloat16)?.as_secs_f64();
    let precision = if half < 0.9 * full { Precision::Bf16 } else { Precision::F32 };
    Ok(Choice { precision, seconds: Some((full, half)) })
}

/// Whether this processor has instructions for bf16; without them bf16 is slower than f32.
#[must_use]
pub fn native_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(target_arch = "aarch64")]
    {
        std::arch::is_aarch64_feature_detected!("bf16")
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        false
    }
}

/// Fastest of three passes after one to warm up.
fn time_pass(model: &Model, flat: &Flat, batch: usize, kind: Kind) -> Result<Duration> {
    let device = flat.tensor().device();
    let mut weights = flat.weights(model.net.layout(), kind, Gradient::Wanted)?;
    let config = model.net.config();
    let shape = [batch as i64, config.channels, config.size, config.size];
    let input = Tensor::f_ones(shape, (Kind::Float, device))?;
    let levels = vec![0.25; batch];
    let mut best = Duration::MAX;
    for repeat in 0..4 {
        let start = Instant::now();
        let loss =
            model.denoise(&weights, &input, Condition::levels(&levels), true)?.f_square()?.f_mean(Kind::Float)?;
        let _ = weights.gradient(&loss)?;
        if let Device::Cuda(index) = device {
            tch::Cuda::synchronize(index as i64);
        }
        if repeat > 0 {
            best = best.min(start.elapsed());
        }
    }
    Ok(best)
}
