//! The layers of the U-Net: each knows its parameters' ids and computes with the [`Weights`] it is given.

use tch::{Device, Kind, Tensor};

use crate::Result;
use crate::native::attention::attention;
use crate::native::norm_silu::norm_silu;
use crate::params::{Init, Layout, ParamId, Weights};

/// Two-dimensional convolution with bias and "same" padding.
#[derive(Clone, Debug)]
pub struct Conv {
    weight: ParamId,
    bias: ParamId,
    padding: i64,
    stride: i64,
}

impl Conv {
    /// A `kernel × kernel` convolution; `init` is that of its weight.
    pub fn new(layout: &mut Layout, name: &str, io: (i64, i64), kernel: i64, start: Start) -> Result<Self> {
        let fan_in = io.0 * kernel * kernel;
        Ok(Self {
            weight: layout.add(&format!("{name}.weight"), &[io.1, io.0, kernel, kernel], start.weight(fan_in))?,
            bias: layout.add(&format!("{name}.bias"), &[io.1], start.weight(fan_in))?,
            padding: kernel / 2,
            stride: 1,
        })
    }

    /// The same, moving by `stride` pixels.
    #[must_use]
    pub fn strided(self, stride: i64) -> Self {
        Self { stride, ..self }
    }

    /// `[B, in, H, W]` to `[B, out, H/stride, W/stride]`.
    pub fn forward(&self, w: &Weights, x: &Tensor) -> Result<Tensor> {
        let (s, p) = ([self.stride; 2], [self.padding; 2]);
        let out = x.f_conv2d(w.get(self.weight), Some(w.get(self.bias)), s, p, [1, 1], 1)?;
        w.seen(self.weight, x, &out)?;
        Ok(out)
    }
}

/// How a layer's weight and bias start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// PyTorch's default.
    Default,
    /// Zero, so that a residual branch starts as nothing.
    Zero,
}

impl Start {
    fn weight(self, fan_in: i64) -> Init {
        match self {
            Self::Default => Init::Uniform { fan_in },
            Self::Zero => Init::Zeros,
        }
    }
}

/// Affine map of the last dimension.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: ParamId,
    bias: ParamId,
}

impl Linear {
    /// From `io.0` to `io.1` features.
    pub fn new(layout: &mut Layout, name: &str, io: (i64, i64)) -> Result<Self> {
        let init = Init::Uniform { fan_in: io.0 };
        Ok(Self {
            weight: layout.add(&format!("{name}.weight"), &[io.1, io.0], init)?,
            bias: layout.add(&format!("{name}.bias"), &[io.1], init)?,
        })
    }

    /// `[…, in]` to `[…, out]`.
    pub fn forward(&self, w: &Weights, x: &Tensor) -> Result<Tensor> {
        let out = x.f_linear(w.get(self.weight), Some(w.get(self.bias)))?;
        w.seen(self.weight, x, &out)?;
        Ok(out)
    }
}

/// Added to variances, as PyTorch does.
const EPSILON: f64 = 1e-5;

/// Group normalization (Wu and He, 2018).
#[derive(Clone, Debug)]
pub struct GroupNorm {
    weight: ParamId,
    bias: ParamId,
    groups: i64,
}

impl GroupNorm {
    /// Over `channels` in `groups`.
    pub fn new(layout: &mut Layout, name: &str, channels: i64, groups: i64) -> Result<Self> {
        Ok(Self {
            weight: layout.add(&format!("{name}.weight"), &[channels], Init::Ones)?,
            bias: layout.add(&format!("{name}.bias"), &[channels], Init::Zeros)?,
            groups,
        })
    }

    /// `[B, C, H, W]` to the same shape.
    pub fn forward(&self, w: &Weights, x: &Tensor) -> Result<Tensor> {
        self.computed(w, x, None, false)
    }

    /// `SiLU(norm(x) (1 + scale) + shift)`, with scale and shift from `level: [B, 2C]` if it is there; one pass over memory.
    pub fn silu(&self, w: &Weights, x: &Tensor, level: Option<&Tensor>) -> Result<Tensor> {
        self.computed(w, x, level, true)
    }

    fn computed(&self, w: &Weights, x: &Tensor, level: Option<&Tensor>, gated: bool) -> Result<Tensor> {
        let out = norm_silu(x, w.get(self.weight), w.get(self.bias), level, self.groups, EPSILON, gated)?;
        w.seen(self.weight, x, &out)?;
        Ok(out)
    }
}

/// Residual block: norm, SiLU, convolution, norm scaled and shifted by the noise level, SiLU, convolution.
#[derive(Clone, Debug)]
pub struct ResBlock {
    norm1: GroupNorm,
    conv1: Conv,
    level: Linear,
    norm2: GroupNorm,
    conv2: Conv,
    skip: Option<Conv>,
    dropout: f64,
}

impl ResBlock {
    /// From `io.0` to `io.1` channels, conditioned on an embedding of width `embedding`.
    pub fn new(
        layout: &mut Layout,
        name: &str,
        io: (i64, i64),
        embedding: i64,
        groups: i64,
        dropout: f64,
    ) -> Result<Self> {
        let skip =
            if io.0 == io.1 { None } else { Some(Conv::new(layout, &format!("{name}.skip"), io, 1, Start::Default)?) };
        Ok(Self {
            norm1: GroupNorm::new(layout, &format!("{name}.norm1"), io.0, groups)?,
            conv1: Conv::new(layout, &format!("{name}.conv1"), io, 3, Start::Default)?,
            level: Linear::new(layout, &format!("{name}.level"), (embedding, 2 * io.1))?,
            norm2: GroupNorm::new(layout, &format!("{name}.norm2"), io.1, groups)?,
            conv2: Conv::new(layout, &format!("{name}.conv2"), (io.1, io.1), 3, Start::Zero)?,
            skip,
            dropout,
        })
    }

    /// `x: [B, in, H, W]`, `embedding: [B, E]`; result `[B, out, H, W]`. Dropout acts only when `train`.
    pub fn forward(&self, w: &Weights, x: &Tensor, embedding: &Tensor, train: bool) -> Result<Tensor> {
        let h = self.conv1.forward(w, &self.norm1.silu(w, x, None)?)?;
        let level = self.level.forward(w, embedding)?;
        let h = self.norm2.silu(w, &h, Some(&level))?;
        let h = if self.dropout > 0.0 { h.f_dropout(self.dropout, train)? } else { h };
        let h = self.conv2.forward(w, &h)?;
        match &self.skip {
            Some(skip) => Ok(skip.forward(w, x)?.f_add(&h)?),
            None => Ok(x.f_add(&h)?),
        }
    }
}

/// Self-attention over the positions of a feature map, with a residual connection.
#[derive(Clone, Debug)]
pub struct Attention {
    norm: GroupNorm,
    qkv: Conv,
    project: Conv,
    heads: i64,
}

impl Attention {
    /// Over `channels`, in `heads` heads.
    pub fn new(layout: &mut Layout, name: &str, channels: i64, groups: i64, heads: i64) -> Result<Self> {
        Ok(Self {
            norm: GroupNorm::new(layout, &format!("{name}.norm"), channels, groups)?,
            qkv: Conv::new(layout, &format!("{name}.qkv"), (channels, 3 * channels), 1, Start::Default)?,
            project: Conv::new(layout, &format!("{name}.project"), (channels, channels), 1, Start::Zero)?,
            heads,
        })
    }

    /// `[B, C, H, W]` to the same shape.
    pub fn forward(&self, w: &Weights, x: &Tensor) -> Result<Tensor> {
        let (b, c, rows, cols) = x.size4()?;
        let qkv = self.qkv.forward(w, &self.norm.forward(w, x)?)?;
        let qkv = qkv.f_permute([0, 2, 3, 1])?.f_reshape([b, rows * cols, 3, self.heads, c / self.heads])?;
        let out = attention(&qkv)?.f_reshape([b, rows, cols, c])?.f_permute([0, 3, 1, 2])?;
        // Channels are last on a CPU, and first elsewhere.
        let out = if out.device() == Device::Cpu { out } else { out.f_contiguous()? };
        Ok(x.f_add(&self.project.forward(w, &out)?)?)
    }
}

/// Cosines and sines of the log noise level, followed by two linear layers with SiLU between them.
#[derive(Clone, Debug)]
pub struct LevelEmbedding {
    first: Linear,
    second: Linear,
}

impl LevelEmbedding {
    const FREQUENCIES: i64 = 32;

    /// An embedding of `width` features.
    pub fn new(layout: &mut Layout, name: &str, width: i64) -> Result<Self> {
        Ok(Self {
            first: Linear::new(layout, &format!("{name}.first"), (2 * Self::FREQUENCIES, width))?,
            second: Linear::new(layout, &format!("{name}.second"), (width, width))?,
        })
    }

    /// `c_noise: [B]` (ln r) to `[B, width]`, with frequencies from 1/4 to 8 radians for each unit of `c_noise`.
    pub fn forward(&self, w: &Weights, c_noise: &Tensor) -> Result<Tensor> {
        let (low, high) = (0.25_f64.ln(), 8.0_f64.ln());
        let steps = Self::FREQUENCIES;
        let frequencies = Tensor::f_linspace(low, high, steps, (Kind::Float, w.device()))?.f_exp()?;
        let angles = c_noise.f_to_kind(Kind::Float)?.f_unsqueeze(1)?.f_mul(&frequencies)?;
        let features = Tensor::f_cat(&[angles.f_cos()?, angles.f_sin()?], 1)?.f_to_kind(w.kind())?;
        let hidden = self.first.forward(w, &features)?.f_silu()?;
        self.second.forward(w, &hidden)
    }
}

/// An embedding for each class, and one more for "any".
#[derive(Clone, Debug)]
pub struct ClassEmbedding {
    weight: ParamId,
    classes: i64,
}

impl ClassEmbedding {
    /// Of `classes` classes, in `width` features.
    pub fn new(layout: &mut Layout, name: &str, classes: i64, width: i64) -> Result<Self> {
        let init = Init::Uniform { fan_in: width };
        Ok(Self { weight: layout.add(&format!("{name}.weight"), &[classes + 1, width], init)?, classes })
    }

    /// `wanted: [B]` integers, or none for `batch` images of any class, to `[B, width]`.
    pub fn forward(&self, w: &Weights, wanted: Option<&Tensor>, batch: i64) -> Result<Tensor> {
        let any = match wanted {
            None => Some(Tensor::f_full([batch], self.classes, (Kind::Int64, w.device()))?),
            Some(_) => None,
        };
        let index = wanted.or(any.as_ref()).map_or_else(Tensor::new, Tensor::shallow_clone);
        let out = w.get(self.weight).f_index_select(0, &index)?;
        w.looked_up(self.weight, &index, &out)?;
        Ok(out)
    }
}
