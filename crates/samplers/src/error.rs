//! What can go wrong when a sampler is set up, and when it runs.

use gbm_sde::ScheduleError;
use score_match::{DenoiseError, ScoreError};

/// A refused setting of a grid, prior or sampler.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A number that must be positive and finite is not.
    #[error("{what}: {name} must be positive and finite, got {value}")]
    NotPositive {
        /// `grid`, `prior` or the sampler's name.
        what: &'static str,
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A number that must be finite is not.
    #[error("{what}: {name} must be finite, got {value}")]
    NotFinite {
        /// `grid`, `prior` or the sampler's name.
        what: &'static str,
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// The lower end of the noise levels is not below the upper one.
    #[error("grid: r_min = {r_min} must be below r_max = {r_max}")]
    Range {
        /// Lower end.
        r_min: f64,
        /// Upper end.
        r_max: f64,
    },
    /// A number that must not be negative is, or is not finite.
    #[error("{what}: {name} must be finite and at least 0, got {value}")]
    Negative {
        /// The sampler's name.
        what: &'static str,
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A number is not below its limit.
    #[error("{what}: {name} must be below {limit}, got {value}")]
    TooLarge {
        /// The sampler's name.
        what: &'static str,
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be below.
        limit: f64,
    },
    /// A sampler whose steps cannot be corrected.
    #[error("predictor-corrector: `{0}` cannot be the predictor")]
    Predictor(&'static str),
    /// A count is zero.
    #[error("{what}: {name} must be at least 1")]
    Zero {
        /// `grid` or the sampler's name.
        what: &'static str,
        /// The count.
        name: &'static str,
    },
    /// A grid that is uniform in time needs a schedule.
    #[error("grid: `uniform-time` needs a schedule")]
    NoSchedule,
    /// A number of steps that halving the steps of a base grid cannot give.
    #[error("noise: {steps} steps are not those of a grid halved {halvings} times")]
    Halvings {
        /// Steps of the grid.
        steps: usize,
        /// How often each base step was to be halved.
        halvings: u32,
    },
    /// Levels must fall strictly, from a positive one down to 0.
    #[error("grid: levels must fall strictly and end at 0, got {value} after {previous} at position {index}")]
    NotFalling {
        /// Position of the offending level.
        index: usize,
        /// The level.
        value: f64,
        /// The level before it (infinity at the first).
        previous: f64,
    },
    /// Fewer than two levels.
    #[error("grid: at least 2 levels are needed, got {0}")]
    TooShort(usize),
    /// The schedule was asked for something outside it.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A prior that is made of a data set, without one.
    #[error("prior: `{0}` is fitted to a data set, and there is none (or one that was fitted for other settings)")]
    NoData(&'static str),
    /// A class without images has no average.
    #[error("prior: no image of class {class} among {classes} classes, so it has no average")]
    EmptyClass {
        /// The class.
        class: usize,
        /// Number of classes: the largest label and one.
        classes: usize,
    },
    /// A prior was fitted to images of another size.
    #[error("prior: fitted to images of {expected} pixels, used for images of {found}")]
    Pixels {
        /// Pixels of the data set's images.
        expected: usize,
        /// Pixels that were asked for.
        found: usize,
    },
    /// The statistics of a data set could not be computed.
    #[error("prior: {0}")]
    Fit(#[from] ScoreError),
}

/// Why a sampler stopped without a result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SampleError {
    /// The denoiser failed.
    #[error("step {index}: {source}")]
    Denoise {
        /// The step, from 0.
        index: usize,
        /// What the denoiser said.
        source: DenoiseError,
    },
    /// A noise source gave an array of another shape than the state's.
    #[error("noise has shape {found:?}, the state {expected:?}")]
    NoiseShape {
        /// Shape of the state.
        expected: Vec<usize>,
        /// Shape of the noise.
        found: Vec<usize>,
    },
    /// A noise source that has one draw for each step was asked for more.
    #[error("noise: draw {draw} (counted from 0) was asked for on a grid of {steps} steps, which has one for each")]
    NoiseExhausted {
        /// The draw, from 0.
        draw: usize,
        /// Steps of the grid.
        steps: usize,
    },
    /// An adaptive sampler needs ever smaller steps.
    #[error("step {index}: {steps} steps did not suffice; they got stuck at r = {r}")]
    NoProgress {
        /// The grid step, from 0.
        index: usize,
        /// Steps made or refused within it.
        steps: usize,
        /// The noise level reached.
        r: f64,
    },
    /// A setting that is refused when it is used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A state that does not say its shape has no dimension, and so no density.
    #[error("likelihood: the state does not say its shape")]
    Shapeless,
    /// A start's density was not given for every row.
    #[error("likelihood: {found} densities of the start for {expected} rows")]
    StartDensity {
        /// Rows of the state.
        expected: usize,
        /// Densities.
        found: usize,
    },
    /// The tensor library failed.
    #[error("sampler: {0}")]
    Backend(String),
}

pub(crate) fn positive(what: &'static str, name: &'static str, value: f64) -> Result<(), ConfigError> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(ConfigError::NotPositive { what, name, value }) }
}

pub(crate) fn not_negative(what: &'static str, name: &'static str, value: f64) -> Result<(), ConfigError> {
    if value.is_finite() && value >= 0.0 { Ok(()) } else { Err(ConfigError::Negative { what, name, value }) }
}

pub(crate) fn finite(what: &'static str, name: &'static str, value: f64) -> Result<(), ConfigError> {
    if value.is_finite() { Ok(()) } else { Err(ConfigError::NotFinite { what, name, value }) }
}

pub(crate) fn counted(what: &'static str, name: &'static str, value: usize) -> Result<(), ConfigError> {
    if value > 0 { Ok(()) } else { Err(ConfigError::Zero { what, name }) }
}
