//! The U-Net: an encoder and a decoder of residual blocks joined by skip connections, conditioned on the noise level.
//!
//! A patch stem (space-to-depth) folds `patch × patch` pixels into channels, so that a 28 × 28 image is processed at
//! 14 × 14: most of the quality for a quarter of the cost. Every level down halves the resolution.
//!
//! A network with classes has an embedding for each of them and one more for "any", which is added to that of the noise level; an
//! image without a class is one of "any".

use tch::{Kind, Tensor};

use crate::layers::{Attention, ClassEmbedding, Conv, GroupNorm, LevelEmbedding, ResBlock, Start};
use crate::params::{Layout, Weights};
use crate::{ModelError, Result};

mod config;
pub mod summary;

pub use config::{PRESETS, UNetConfig};

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

/// The layout of a network's parameters.
///
/// # Errors
/// [`ModelError::Config`] if the settings are impossible.
pub fn layout_of(config: &UNetConfig) -> Result<Layout> {
    Ok(UNet::new(config.clone())?.layout)
}

/// The network's structure; its numbers are [`Weights`].
#[derive(Debug)]
pub struct UNet {
    config: UNetConfig,
    layout: Layout,
    embedding: LevelEmbedding,
    classes: Option<ClassEmbedding>,
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
        let classes =
            if config.classes > 0 { Some(ClassEmbedding::new(l, "classes", config.classes, e)?) } else { None };
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
        Ok(Self { config, layout, embedding, classes, stem, down, middle, up, norm, out })
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

    /// `x: [B, C, S, S]` (about unit variance), `c_noise: [B]` (ln of the noise level) to `[B, C, S, S]` in f32. `classes: [B]`, if
    /// the network has any, are integers below [`UNetConfig::classes`], or equal to it for "any", which is what none stands for.
    ///
    /// # Errors
    /// [`ModelError::Shape`] if `x` is not made of images of the configured size; [`ModelError::Config`] if the network has no
    /// classes and is asked for some.
    pub fn forward(
        &self,
        w: &Weights,
        x: &Tensor,
        c_noise: &Tensor,
        classes: Option<&Tensor>,
        train: bool,
    ) -> Result<Tensor> {
        let UNetConfig { channels, size, patch, .. } = self.config;
        if x.dim() != 4 || x.size()[1..] != [channels, size, size] {
            let expected = vec![-1, channels, size, size];
            return Err(ModelError::Shape { what: "input of the U-Net", expected, found: x.size() });
        }
        let embedding = self.embedding.forward(w, c_noise)?;
        let embedding = match (&self.classes, classes) {
            (Some(table), wanted) => embedding.f_add(&table.forward(w, wanted, x.size()[0])?)?,
            (None, None) => embedding,
            (None, Some(_)) => {
                let reason = "this network was not trained with classes".to_owned();
                return Err(ModelError::Config { key: "network.classes", value: "0".to_owned(), reason });
            }
        }
        .f_silu()?;
        let folded = channels_last(&x.f_to_kind(w.kind())?.f_pixel_unshuffle(patch)?)?;
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
        Ok(h.f_pixel_shuffle(patch)?.f_to_kind(Kind::Float)?.f_contiguous()?)
    }
}

/// The same numbers, on a CPU with the channels of a pixel side by side in memory, a layout that all later operations keep: there
/// convolutions in bf16 with matrix instructions are 1.6 to 9 times as fast in it forward and 1.2 to 3 times backward, and others about
/// as fast or faster.
fn channels_last(x: &Tensor) -> Result<Tensor> {
    match x.device() {
        tch::Device::Cpu => {
            let (b, c, rows, cols) = x.size4()?;
            let x = x.f_permute([0, 2, 3, 1])?.f_contiguous()?;
            // Not permuted back: the strides of a single channel, which address nothing, say what later operations make of it.
            Ok(x.f_as_strided([b, c, rows, cols], [c * rows * cols, 1, cols * c, c], None)?)
        }
        _ => Ok(x.shallow_clone()),
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
        let out = net.forward(&weights, &x, &Tensor::zeros([3], (Kind::Float, Device::Cpu)), None, false).unwrap();
        assert_eq!(out.size(), [3, 1, 8, 8]);
        assert_eq!(out.abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn every_parameter_receives_a_gradient_once_training_has_begun() {
        for classes in [0, 2] {
            every_parameter(classes);
        }
    }

    fn every_parameter(classes: i64) {
        let net = UNet::new(UNetConfig { classes, ..small() }).unwrap();
        // One image with a class that is not the only one, one with none.
        let classes = (classes > 0).then(|| Tensor::from_slice(&[0_i64, 2]));
        let mut flat = Flat::initialized(net.layout(), 0, Device::Cpu).unwrap();
        let _ = tch::no_grad(|| flat.tensor_mut().f_add_scalar_(0.01)).unwrap();
        let mut weights = flat.weights(net.layout(), Kind::Float, Gradient::Wanted).unwrap();
        let x = Tensor::arange(128, (Kind::Float, Device::Cpu)).sin().reshape([2, 1, 8, 8]);
        let out = net.forward(&weights, &x, &Tensor::from_slice(&[-1.0_f32, 0.5]), classes.as_ref(), true).unwrap();
        let gradient = weights.gradient(&out.square().sum(Kind::Float)).unwrap();
        for entry in net.layout().entries() {
            let part = gradient.narrow(0, entry.offset, entry.len());
            assert!(part.abs().max().double_value(&[]) > 0.0, "{} has no gradient", entry.name);
        }
    }

    #[test]
    fn one_to_four_channels_and_sizes_from_16_to_256_are_computed() {
        for (channels, size, patch, levels) in [(1, 16, 1, 2), (3, 32, 2, 3), (4, 64, 4, 2), (2, 256, 4, 4)] {
            let config = UNetConfig {
                channels,
                size,
                patch,
                widths: vec![8; levels],
                attention: (0..levels).map(|level| level + 1 == levels).collect(),
                ..small()
            };
            let net = UNet::new(config).unwrap();
            let flat = Flat::initialized(net.layout(), 0, Device::Cpu).unwrap();
            let mut weights = flat.weights(net.layout(), Kind::Float, Gradient::Wanted).unwrap();
            let x = Tensor::ones([1, channels, size, size], (Kind::Float, Device::Cpu));
            let out = net.forward(&weights, &x, &Tensor::from_slice(&[0.5_f32]), None, true).unwrap();
            assert_eq!(out.size(), x.size());
            let gradient = weights.gradient(&(out - 1.0).square().sum(Kind::Float)).unwrap();
            assert!(gradient.isfinite().all().int64_value(&[]) == 1 && gradient.abs().max().double_value(&[]) > 0.0);
        }
    }

    #[test]
    fn channels_stay_last_from_layer_to_layer() {
        for (patch, size) in [(1, 8), (2, 8)] {
            let net = UNet::new(UNetConfig { patch, ..small() }).unwrap();
            let flat = Flat::initialized(net.layout(), 0, Device::Cpu).unwrap();
            for kind in [Kind::Float, Kind::BFloat16] {
                let w = flat.weights(net.layout(), kind, Gradient::Unwanted).unwrap();
                let embedding = Tensor::zeros([3, 16], (kind, Device::Cpu));
                let wave = Tensor::arange(3 * size * size, (Kind::Float, Device::Cpu)).sin();
                let x = wave.reshape([3, 1, size, size]).to_kind(kind);
                let last = |x: &Tensor| assert_eq!(x.stride()[1], 1, "{patch} {kind:?}: {:?}", x.stride());
                let mut h = channels_last(&x.pixel_unshuffle(patch)).unwrap();
                assert!(h.equal(&x.pixel_unshuffle(patch)));
                last(&h);
                h = net.stem.forward(&w, &h).unwrap();
                last(&h);
                for level in &net.down {
                    h = level.stages[0].forward(&w, &h, &embedding, false).unwrap();
                    last(&h);
                }
                last(&net.middle.1.forward(&w, &h).unwrap());
            }
        }
    }

    #[test]
    fn a_wrong_input_shape_is_an_error() {
        let net = UNet::new(small()).unwrap();
        let flat = Flat::initialized(net.layout(), 0, Device::Cpu).unwrap();
        let weights = flat.weights(net.layout(), Kind::Float, Gradient::Unwanted).unwrap();
        let x = Tensor::ones([3, 1, 9, 8], (Kind::Float, Device::Cpu));
        assert!(matches!(net.forward(&weights, &x, &x, None, false), Err(ModelError::Shape { .. })));
    }

    #[test]
    fn a_class_changes_the_output_and_none_stands_for_any() {
        let net = UNet::new(UNetConfig { classes: 3, ..small() }).unwrap();
        let mut flat = Flat::initialized(net.layout(), 0, Device::Cpu).unwrap();
        let _ = tch::no_grad(|| flat.tensor_mut().f_add_scalar_(0.01)).unwrap();
        let weights = flat.weights(net.layout(), Kind::Float, Gradient::Unwanted).unwrap();
        let x = Tensor::ones([2, 1, 8, 8], (Kind::Float, Device::Cpu));
        let level = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        let of = |classes: Option<[i64; 2]>| {
            net.forward(&weights, &x, &level, classes.map(|c| Tensor::from_slice(&c)).as_ref(), false).unwrap()
        };
        let mixed = of(Some([1, 3]));
        assert!(!mixed.get(0).allclose(&mixed.get(1), 1e-6, 1e-7, false));
        assert!(mixed.get(1).allclose(&of(None).get(0), 1e-6, 1e-7, false));
        let none = UNet::new(small()).unwrap();
        let classes = Tensor::from_slice(&[0_i64, 1]);
        assert!(matches!(none.forward(&weights, &x, &level, Some(&classes), false), Err(ModelError::Config { .. })));
    }
}
