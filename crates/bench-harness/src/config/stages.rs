//! The tables `[training]` and `[sampling]`.

use models::average::AverageKind;
use models::denoise::Head;
use models::optim::AdamConfig;
use models::precision::Precision;
use samplers::{GridConfig, PriorConfig, SamplerConfig};
use schemars::JsonSchema;
use score_match::{TimeSampling, TimeWeight};
use serde::{Deserialize, Serialize};

/// How the learning rate falls after its warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Not at all.
    Constant,
    /// To zero along half a cosine.
    Cosine,
}

/// How an image's squared errors become its loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Their mean over the pixels.
    #[default]
    Mean,
    /// Their sum: the published choice, which Adam's epsilon can tell from the mean.
    Sum,
}

impl Reduction {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which weights a training run keeps for sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The exponential moving average at the end.
    Ema,
    /// Those with the smallest loss on a single batch: the published choice.
    SmallestBatchLoss,
}

/// The `[training]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// What the network's output means.
    pub head: Head,
    /// Number of optimizer steps.
    pub steps: u64,
    /// Images for each step.
    pub batch: usize,
    /// Largest learning rate.
    pub rate: f64,
    /// Steps over which the rate rises from zero.
    pub warmup: u64,
    /// What it does afterwards.
    pub decay: Decay,
    /// Adam's settings.
    #[serde(default)]
    pub adam: AdamConfig,
    /// Largest norm of the gradient; no clipping if absent.
    pub clip: Option<f64>,
    /// Decay of the moving average (with a warm-up).
    pub ema: f64,
    /// Which weights are kept.
    pub keep: Keep,
    /// Weight of the loss by noise level.
    pub weight: TimeWeight,
    /// Mean or sum over the pixels.
    #[serde(default, skip_serializing_if = "Reduction::is_default")]
    pub reduction: Reduction,
    /// Distribution of the noise levels.
    pub time: TimeSampling,
    /// Added to `v` where the network and the loss see it: the authors' code is one step off (σ²/N), ours is not.
    #[serde(default)]
    pub level_offset: f64,
    /// Element type of the network's arithmetic.
    #[serde(default)]
    pub precision: Precision,
    /// Whether f32 on a GPU may be rounded to TF32 in matrix products and convolutions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tf32: bool,
    /// Further averages of the weights; power functions are kept from every checkpoint, for `dale average`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub averages: Vec<AverageKind>,
    /// Part of the images whose class is hidden from a network with classes, so that it learns "any".
    #[serde(default = "tenth", skip_serializing_if = "is_tenth")]
    pub class_dropout: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Checkpoints that are kept besides the best.
    #[serde(default = "two")]
    pub keep_checkpoints: usize,
    /// Images in the grid of samples that is drawn at every checkpoint; 0 for none.
    #[serde(default)]
    pub grid: usize,
    /// Steps between judgements of `evaluation.training_images` samples, a multiple of `checkpoint_every`; 0 for none.
    #[serde(default)]
    pub eval_every: u64,
    /// Steps between lines of `metrics.jsonl`.
    pub log_every: u64,
}

fn tenth() -> f64 {
    0.1
}

fn is_tenth(part: &f64) -> bool {
    *part == tenth()
}

fn two() -> usize {
    2
}

/// The `[sampling]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SamplingConfig {
    /// Number of images.
    pub n: usize,
    /// Images the network sees at once; another value changes how sums are rounded, nothing else.
    pub batch: usize,
    /// The sampler.
    pub sampler: SamplerConfig,
    /// Its noise levels.
    pub grid: GridConfig,
    /// Where it starts.
    #[serde(default)]
    pub prior: PriorConfig,
    /// Where its noise comes from.
    #[serde(default, skip_serializing_if = "NoiseKind::is_addressed")]
    pub noise: NoiseKind,
    /// Class of all images, for a network with classes; absent, image `i` is of class `i` modulo their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<i64>,
    /// Strength of the class: 0 for any class, 1 for it as it was learned, more to exaggerate it (two passes of the network each).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub guidance: f64,
    /// What becomes of images for which the network's output is not finite.
    #[serde(default, skip_serializing_if = "Diverging::is_stop")]
    pub diverging: Diverging,
}

/// What becomes of images for which the network's output is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Diverging {
    /// Sampling stops with an error.
    #[default]
    Stop,
    /// They get no more score, and end clamped to the range that is shown; their number is reported.
    Keep,
}

impl Diverging {
    fn is_stop(&self) -> bool {
        *self == Self::Stop
    }
}

fn one() -> f64 {
    1.0
}

fn is_one(strength: &f64) -> bool {
    *strength == one()
}

/// Where a sampler's noise comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseKind {
    /// From (seed, image, step): image *i* is the same whatever the batch and the device.
    #[default]
    Addressed,
    /// From libtorch's generator on the device: fast, and not batch independent.
    Device,
}

impl NoiseKind {
    fn is_addressed(&self) -> bool {
        *self == Self::Addressed
    }
}
