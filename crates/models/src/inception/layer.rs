//! Convolution, batch normalization with stored moments and ReLU, as one convolution: `w ← w γ/√(s² + ε)`, `b = β − m γ/√(s² + ε)`.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::pth::Array;
use crate::{ModelError, Result};

/// Added to variances, as the network was trained.
const EPSILON: f64 = 1e-3;

/// Weights by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    arrays: &'a BTreeMap<String, Array>,
    device: Device,
}

impl<'a> Source<'a> {
    pub(super) fn new(arrays: &'a BTreeMap<String, Array>, device: Device) -> Self {
        Self { arrays, device }
    }

    pub(super) fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let wrong = |reason: String| ModelError::Weight { name: name.to_owned(), reason };
        let array = self.arrays.get(name).ok_or_else(|| wrong("missing".to_owned()))?;
        let found: Vec<i64> = array.shape.iter().map(|&n| n as i64).collect();
        if found != shape {
            return Err(wrong(format!("shape {found:?}, expected {shape:?}")));
        }
        if let Some(value) = array.values.iter().find(|value| !value.is_finite()) {
            return Err(wrong(format!("holds {value}")));
        }
        Ok(Tensor::from_slice(&array.values).f_view(shape)?.f_to_device(self.device)?)
    }
}

/// Convolution without bias, normalization, ReLU.
#[derive(Debug)]
pub(super) struct ConvNorm {
    weight: Tensor,
    bias: Tensor,
    padding: [i64; 2],
    stride: i64,
}

impl ConvNorm {
    /// From `io.0` to `io.1` channels with a kernel of height × width; the size of the image stays.
    pub(super) fn new(source: &Source<'_>, name: &str, io: (i64, i64), kernel: (i64, i64)) -> Result<Self> {
        let weight = source.tensor(&format!("{name}.conv.weight"), &[io.1, io.0, kernel.0, kernel.1])?;
        let norm =
            |part: &str| Result::Ok(source.tensor(&format!("{name}.bn.{part}"), &[io.1])?.f_to_kind(Kind::Double)?);
        let (gamma, beta, mean, variance) =
            (norm("weight")?, norm("bias")?, norm("running_mean")?, norm("running_var")?);
        let factor = gamma.f_div(&variance.f_add_scalar(EPSILON)?.f_sqrt()?)?;
        let bias = beta.f_sub(&mean.f_mul(&factor)?)?.f_to_kind(Kind::Float)?;
        let weight = weight.f_to_kind(Kind::Double)?.f_mul(&factor.f_view([-1, 1, 1, 1])?)?.f_to_kind(Kind::Float)?;
        Ok(Self { weight, bias, padding: [kernel.0 / 2, kernel.1 / 2], stride: 1 })
    }

    /// Moving by so many pixels.
    pub(super) fn stride(self, stride: i64) -> Self {
        Self { stride, ..self }
    }

    /// Without padding.
    pub(super) fn valid(self) -> Self {
        Self { padding: [0, 0], ..self }
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let out = x.f_conv2d(&self.weight, Some(&self.bias), [self.stride; 2], self.padding, [1, 1], 1)?;
        Ok(out.f_relu()?)
    }
}
