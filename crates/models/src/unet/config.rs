//! Size of the U-Net, and sizes with a name.

use serde::{Deserialize, Serialize};

use crate::{ModelError, Result};

/// Size of the network, as in the experiment's `[network]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Number of classes that an image can be asked of; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub classes: i64,
}

fn is_zero(n: &i64) -> bool {
    *n == 0
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
            classes: 0,
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
        if !(0..=65_536).contains(&self.classes) {
            return refuse("network.classes", self.classes.to_string(), "must be between 0 and 65536".into());
        }
        if levels > 16 {
            return refuse("network.widths", format!("{:?}", self.widths), "at most 16 levels".into());
        }
        if self.channels.saturating_mul(self.patch).saturating_mul(self.patch) > 65_536 {
            let reason = format!("times patch² = {} makes more than 65536 channels", self.patch * self.patch);
            return refuse("network.channels", self.channels.to_string(), reason);
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

/// Sizes with a name, after their number of parameters, for one channel of 28 × 28 pixels and no classes.
pub const PRESETS: [&str; 5] = ["unet-2m", "unet-9m", "unet-17m", "unet-34m", "unet-60m"];

impl UNetConfig {
    /// The size of this name.
    ///
    /// # Errors
    /// [`ModelError::Config`] that lists the names there are.
    pub fn preset(name: &str) -> Result<Self> {
        let grown = |width: i64, embedding, heads| Self {
            widths: vec![width, 2 * width],
            blocks: 3,
            decoder_blocks: 3,
            heads,
            embedding,
            dropout: 0.1,
            ..Self::default()
        };
        match name {
            "unet-2m" => Ok(Self::default()),
            "unet-9m" => Ok(grown(96, 256, 4)),
            "unet-17m" => Ok(grown(128, 512, 4)),
            "unet-34m" => Ok(grown(192, 256, 6)),
            "unet-60m" => Ok(grown(256, 256, 8)),
            other => {
                let reason = format!("no such size; there are {}", PRESETS.join(", "));
                Err(ModelError::Config { key: "network.preset", value: format!("{other:?}"), reason })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unet::UNet;

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
            (UNetConfig { classes: -1, ..UNetConfig::default() }, "network.classes"),
            (UNetConfig { groups: 0, ..UNetConfig::default() }, "network.groups"),
        ];
        for (config, wanted) in cases {
            match config.validate() {
                Err(ModelError::Config { key, .. }) => assert_eq!(key, wanted),
                other => panic!("{wanted}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_size_has_about_the_parameters_of_its_name() {
        for name in PRESETS {
            let millions: f64 = name.trim_start_matches("unet-").trim_end_matches('m').parse().unwrap();
            let net = UNet::new(UNetConfig::preset(name).unwrap()).unwrap();
            let found = net.layout().total() as f64 / 1e6;
            assert!((found - millions).abs() <= 0.5, "{name}: {found}");
        }
        assert!(UNetConfig::preset("unet-3m").unwrap_err().to_string().contains("unet-9m"));
    }
}
