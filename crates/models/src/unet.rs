//! The U-Net: an encoder and a decoder of residual blocks joined by skip connections, conditioned on the noise level.
//!
//! A patch stem (space-to-depth) folds `patch × patch` pixels into channels, so that a 28 × 28 image is processed at
//! 14 × 14: most of the quality for a quarter of the cost. Every level down halves the resolution.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::layers::{Attention, Conv, GroupNorm, LevelEmbedding, ResBlock, Start};
use crate::params::{Layout, Weights};
use crate::{ModelError, Result};

/// Size of the network, as in the experiment's `[network]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UNetConfig {
    /// Image channels.
    pub channels: i64,
    /// Image height and width in pixels.
    pub size: i64,
    /// Side of the square of pixels folded into channels; 1 for none.
    pub patch: i64,
    /// Channels of each level, from the finest.
    pub widths: Vec<i64>,
    /// Residual blocks for each level of the encoder.
    pub blocks: usize,
    /// Residual blocks for each level of the decoder.
    pub decoder_blocks: usize,
    /// Whether each level has self-attention.
    pub attention: Vec<bool>,
    /// Heads of each attention.
    pub heads: i64,
    /// Width of the noise level's embedding.
    pub embedding: i64,
    /// Groups of the group normalizations.
    pub groups: i64,
    /// Probability of dropping a feature in training.
    pub dropout: f64,
}

impl Default for UNetConfig {
    fn default() -> Self {
        Self {
            channels: 1,
            size: 28,
            patch: 2,
            widths: vec![48, 96],
            blocks: 2,
            decoder_blocks: 2,
            attention: vec![false, true],
            heads: 2,
            embedding: 128,
            groups: 8,
            dropout: 0.0,
        }
    }
}

impl UNetConfig {
    /// Checks everything that would make the network impossible.
    ///
    /// # Errors
    /// [`ModelError::Config`] with the key, its value and the reason.
    pub fn validate(&self) -> Result<()> {
        let refuse = |key, value: String, reason: String| Err(ModelError::Config { key, value, reason });
        let levels = self.widths.len();
        if levels == 0 {
            return refuse("network.widths", "[]".into(), "name at least one level".into());
        }
        for (key, value) in [
            ("network.channels", self.channels),
            ("network.size", self.size),
            ("network.patch", self.patch),
            ("network.heads", self.heads),
            ("network.embedding", self.embedding),
            ("network.groups", self.groups),
            ("network.blocks", self.blocks as i64),
            ("network.decoder_blocks", self.decoder_blocks as i64),
        ] {
            if !(1..=65_536).contains(&value) {
                return refuse(key, value.to_string(), "must be between 1 and 65536".into());
            }
        }
        if levels > 16 {
            return refuse("network.widths", format!("{:?}", self.widths), "at most 16 levels".into());
        }
        for &width in &self.widths {
            if !(1..=65_536).contains(&width) || width % self.groups != 0 {
                let reason = format!("{width} is not a positive multiple of network.groups = {}", self.groups);
                return refuse("network.widths", format!("{:?}", self.widths), reason);
            }
        }
        if self.attention.len() != levels {
            let reason = format!("needs one value for each of the {levels} widths");
            return refuse("network.attention", format!("{:?}", self.attention), reason);
        }
        let attended = self.widths.iter().zip(&self.attention).filter(|(_, a)| **a).map(|(w, _)| *w);
        if let Some(width) = attended.chain(self.widths.last().copied()).find(|w| w % self.heads != 0) {
            let reason = format!("does not divide the width {width} of a level with attention");
            return refuse("network.heads", self.heads.to_string(), reason);
        }
        let factor = self.patch << (levels - 1);
        if self.size % factor != 0 {
            let reason = format!("not divisible by patch × 2^(levels − 1) = {factor}");
            return refuse("network.size", self.size.to_string(), reason);
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse("network.dropout", self.dropout.to_string(), "must be in [0, 1)".into());
        }
        Ok(())
    }
}

/// A residual block, perhaps followed by attention.
#[derive(Debug)]
struct Stage {
    block: ResBlock,
    attention: Option<Attention>,
}

impl Stage {
    fn forward(&self, w: &Weights, x: &Tensor, embedding: &Tensor, train: bool) -> Result<Tensor> {
        let h = self.block.forward(w, x, embedding, train)?;
        match &self.attention {
            Some(attention) => attention.forward(w, &h),
            None => Ok(h),
        }
    }
}

/// One resolution of the encoder or of the decoder.
#[derive(Debug)]
struct Level {
    stages: Vec<Stage>,
    resample: Option<Conv>,
}

/// The network's structure; its numbers are [`Weights`].
#[derive(Debug)]
pub struct UNet {
    config: UNetConfig,
    layout: Layout,
    embedding: LevelEmbedding,
    stem: Conv,
    down: Vec<Level>,
    middle: (ResBlock, Attention, ResBlock),
    up: Vec<Level>,
    norm: GroupNorm,
    out: Conv,
}

impl UNet {
    /// Builds the structure and the layout of its parameters.
    ///
    /// # Errors
    /// [`ModelError::Config`] if the settings are impossible.
    pub fn new(config: UNetConfig) -> Result<Self> {
        config.validate()?;
        let mut layout = Layout::default();
        let l = &mut layout;
        let (e, g, drop) = (config.embedding, config.groups, config.dropout);
        let folded = config.channels * config.patch * config.patch;
        let levels = config.widths.len();
        let mut width = config.widths[0];

        let embedding = LevelEmbedding::new(l, "embedding", e)?;
        let stem = Conv::new(l, "stem", (folded, width), 3, Start::Default)?;
        let mut skips = vec![width];
        let mut down = Vec::new();
        for (i, &wide) in config.widths.iter().enumerate() {
            let mut stages = Vec::new();
            for j in 0..config.blocks {
                let name = format!("down.{i}.{j}");
                let block = ResBlock::new(l, &name, (width, wide), e, g, drop)?;
                let attention = Self::attention(l, &name, &config, i)?;
                stages.push(Stage { block, attention });
                width = wide;
            }
            skips.push(width);
            let resample = if i + 1 < levels {
                let conv = Conv::new(l, &format!("down.{i}.resample"), (width, width), 3, Start::Default)?;
                Some(conv.strided(2))
            } else {
                None
            };
            down.push(Level { stages, resample });
        }

        let middle = (
            ResBlock::new(l, "middle.0", (width, width), e, g, drop)?,
            Attention::new(l, "middle.attention", width, g, config.heads)?,
            ResBlock::new(l, "middle.1", (width, width), e, g, drop)?,
        );

        let mut up = Vec::new();
        for (i, &wide) in config.widths.iter().enumerate().rev() {
            let mut stages = Vec::new();
            for j in 0..config.decoder_blocks {
                let name = format!("up.{i}.{j}");
                let skip = if j == 0 { config.widths[i] } else { 0 };
                let block = ResBlock::new(l, &name, (width + skip, wide), e, g, drop)?;
                let attention = Self::attention(l, &name, &config, i)?;
                stages.push(Stage { block, attention });
                width = wide;
            }
            let resample = if i > 0 {
                Some(Conv::new(l, &format!("up.{i}.resample"), (width, config.widths[i - 1]), 3, Start::Default)?)
            } else {
                None
            };
            width = if i > 0 { config.widths[i - 1] } else { width };
            up.push(Level { stages, resample });
        }
        let norm = GroupNorm::new(l, "out.norm", width, g)?;
        let out = Conv::new(l, "out.conv", (width, folded), 3, Start::Zero)?;
        Ok(Self { config, layout, embedding, stem, down, middle, up, norm, out })
    }

    fn attention(layout: &mut Layout, name: &str, config: &UNetConfig, level: usize) -> Result<Option<Attention>> {
        if !config.attention[level] {
            return Ok(None);
        }
        let name = format!("{name}.attention");
        Ok(Some(Attention::new(layout, &name, config.widths[level], config.groups, config.heads)?))
    }

    /// The settings it was built from.
    #[must_use]
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// Names and shapes of its parameters.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// `x: [B, C, S, S]` (about unit variance), `c_noise: [B]` (ln of the noise level) to `[B, C, S, S]` in f32.
    ///
    /// # Errors
    /// [`ModelError::Shape`] if `x` is not made of images of the configured size.
    pub fn forward(&self, w: &Weights, x: &Tensor, c_noise: &Tensor, train: bool) -> Result<Tensor> {
        let UNetConfig { channels, size, patch, .. } = self.config;
        if x.dim() != 4 || x.size()[1..] != [channels, size, size] {
            let expected = vec![-1, channels, size, size];
            return Err(ModelError::Shape { what: "input of the U-Net", expected, found: x.size() });
        }
        let embedding = self.embedding.forward(w, c_noise)?;
        let folded = x.f_to_kind(w.kind())?.f_pixel_unshuffle(patch)?;
        let mut h = self.stem.forward(w, &folded)?;
        let mut skips = Vec::with_capacity(self.down.len());
        for level in &self.down {
            for stage in &level.stages {
                h = stage.forward(w, &h, &embedding, train)?;
            }
            skips.push(h.shallow_clone());
            if let Some(resample) = &level.resample {
                h = resample.forward(w, &h)?;
            }
        }
        h = self.middle.0.forward(w, &h, &embedding, train)?;
        h = self.middle.1.forward(w, &h)?;
        h = self.middle.2.forward(w, &h, &embedding, train)?;
        for level in &self.up {
            if let Some(skip) = skips.pop() {
                h = Tensor::f_cat(&[h, skip], 1)?;
            }
            for stage in &level.stages {
                h = stage.forward(w, &h, &embedding, train)?;
            }
            if let Some(resample) = &level.resample {
                let (_, _, rows, cols) = h.size4()?;
                h = resample.forward(w, &h.f_upsample_nearest2d([2 * rows, 2 * cols], None, None)?)?;
            }
        }
        let h = self.out.forward(w, &self.norm.silu(w, &h, None)?)?;
        Ok(h.f_pixel_shuffle(patch)?.f_to_kind(Kind::Float)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Flat, Gradient};
    use tch::Device;

    fn small() -> UNetConfig {
        UNetConfig { size: 8, widths: vec![8, 16], embedding: 16, groups: 4, ..UNetConfig::default() }
    }

    #[test]
    fn starts_at_zero_and_keeps_the_shape() {
        let net = UNet::new(small()).unwrap();
        let flat = Flat::initialized(net.layout(), 0, Device::Cpu).unwrap();
        let weights = flat.weights(net.layout(), Kind::Float, Gradient::Unwanted).unwrap();
        let x = Tensor::ones([3, 1, 8, 8], (Kind::Float, Device::Cpu));
        let out = net.forward(&weights, &x, &Tensor::zeros([3], (Kind::Float, Device::Cpu)), false).unwrap();
        assert_eq!(out.size(), [3, 1, 8, 8]);
        assert_eq!(out.abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn impossible_settings_name_the_key() {
        let cases = [
            (UNetConfig { widths: vec![48, 90], ..UNetConfig::default() }, "network.widths"),
            (UNetConfig { widths: vec![], attention: vec![], ..UNetConfig::default() }, "network.widths"),
            (UNetConfig { attention: vec![true], ..UNetConfig::default() }, "network.attention"),
            (UNetConfig { size: 27, ..UNetConfig::default() }, "network.size"),
            (UNetConfig { heads: 5, ..UNetConfig::default() }, "network.heads"),
            (UNetConfig { patch: 0, ..UNetConfig::default() }, "network.patch"),
            (UNetConfig { dropout: 1.0, ..UNetConfig::default() }, "network.dropout"),
            (UNetConfig { groups: 0, ..UNetConfig::default() }, "network.groups"),
        ];
        for (config, wanted) in cases {
            match UNet::new(config) {
                Err(ModelError::Config { key, .. }) => assert_eq!(key, wanted),
                other => panic!("{wanted}: {other:?}"),
            }
        }
    }

    #[test]
    fn every_parameter_receives_a_gradient_once_training_has_begun() {
        let net = UNet::new(small()).unwrap();
        let mut flat = Flat::initialized(net.layout(), 0, Device::Cpu).unwrap();
        let _ = tch::no_grad(|| flat.tensor_mut().f_add_scalar_(0.01)).unwrap();
        let mut weights = flat.weights(net.layout(), Kind::Float, Gradient::Wanted).unwrap();
        let x = Tensor::arange(128, (Kind::Float, Device::Cpu)).sin().reshape([2, 1, 8, 8]);
        let out = net.forward(&weights, &x, &Tensor::from_slice(&[-1.0_f32, 0.5]), true).unwrap();
        let gradient = weights.gradient(&out.square().sum(Kind::Float)).unwrap();
        for entry in net.layout().entries() {
            let part = gradient.narrow(0, entry.offset, entry.len());
            assert!(part.abs().max().double_value(&[]) > 0.0, "{} has no gradient", entry.name);
        }
    }

    #[test]
    fn a_wrong_input_shape_is_an_error() {
        let net = UNet::new(small()).unwrap();
        let flat = Flat::initialized(net.layout(), 0, Device::Cpu).unwrap();
        let weights = flat.weights(net.layout(), Kind::Float, Gradient::Unwanted).unwrap();
        let x = Tensor::ones([3, 1, 9, 8], (Kind::Float, Device::Cpu));
        assert!(matches!(net.forward(&weights, &x, &x, false), Err(ModelError::Shape { .. })));
    }
}
