//! An experiment: one TOML file, resolved with a preset and `--set key=value` into typed, checked settings.
//!
//! A file holds an experiment, or what it has different from another file: `extends = "base.toml"`, a path from the file's
//! folder. Each `[preset.NAME]` table is an overlay, merged key by key, and can build on another preset with `extends`. Later
//! wins: the base, the file, the base's preset, the file's preset, `--set`. Unknown keys, wrong types and impossible
//! combinations are errors that name the file, the key and the nearest valid name.

use std::path::Path;

use gbm_sde::schedule::ScheduleConfig;
use models::unet::UNetConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::DataConfig;

mod check;
mod error;
mod layers;
mod origin;
pub mod schema;
pub mod shipped;
mod show;
mod stages;

pub(crate) use error::explain;
pub use error::{ConfigError, suggestion};
pub use layers::{Layers, Resolved, adjust};
pub use origin::{Origin, overlaid};
pub use stages::{Decay, Diverging, Keep, NoiseKind, Reduction, SamplingConfig, TrainingConfig};

/// How bytes become pixels, `x = low + (high − low) u`, `u = byte/255`, and pixels the state that noise is added to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PixelMap {
    /// Pixel of a black image, positive.
    pub low: f64,
    /// Pixel of a white image.
    pub high: f64,
    /// What the noise is added to.
    #[serde(default, skip_serializing_if = "Coordinate::is_log")]
    pub coordinate: Coordinate,
}

/// What the process adds noise to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Coordinate {
    /// The logarithm of the pixel, `y = ln x`: multiplicative noise.
    #[default]
    Log,
    /// The pixel itself, `y = x`: additive noise, the control that says what multiplying contributes. Pixels need not be positive then.
    Linear,
}

impl Coordinate {
    fn is_log(&self) -> bool {
        *self == Self::Log
    }
}

/// The `[evaluation]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Resamples behind the spread of `cnn-fid`.
    pub resamples: usize,
    /// Number and size of the subsets behind KID.
    pub kid_subsets: usize,
    /// Images of each side in a subset.
    pub kid_size: usize,
    /// Noise levels at which the network is set against the linear denoiser.
    pub levels: Vec<f64>,
    /// Held-out images that it is done on.
    pub level_images: usize,
    /// Samples that are judged while training, every `training.eval_every` steps.
    #[serde(default = "thousand", skip_serializing_if = "is_thousand")]
    pub training_images: usize,
}

fn thousand() -> usize {
    1000
}

fn is_thousand(n: &usize) -> bool {
    *n == thousand()
}

/// A whole experiment, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name: the folder of its runs.
    pub name: String,
    /// Seed of everything random.
    pub seed: u64,
    /// The data set.
    pub data: DataConfig,
    /// Bytes to positive pixels.
    pub pixels: PixelMap,
    /// The forward process.
    pub process: ScheduleConfig,
    /// The network's size.
    pub network: UNetConfig,
    /// Training.
    pub training: TrainingConfig,
    /// Sampling.
    pub sampling: SamplingConfig,
    /// Evaluation.
    pub evaluation: EvaluationConfig,
}

/// Reads `path` and what it extends, lays `preset` and the assignments over it, and checks the result.
///
/// # Errors
/// [`ConfigError`] naming the file and the key.
pub fn resolve(path: &Path, preset: &str, assignments: &[String]) -> Result<Experiment, ConfigError> {
    Ok(Layers::read(path)?.resolve(Some(preset), assignments)?.experiment)
}

/// As [`resolve`], for a text that is already read; `path` is for messages, and for what the text extends.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_text(path: &Path, text: &str, preset: &str, assignments: &[String]) -> Result<Experiment, ConfigError> {
    Ok(Layers::parse(path, text)?.resolve(Some(preset), assignments)?.experiment)
}

#[cfg(test)]
mod tests;
