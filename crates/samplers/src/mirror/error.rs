//! What can go wrong on an orthant.

use crate::error::ConfigError;

/// Why a start is refused, or a step was not made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MirrorError {
    /// A setting is not allowed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A start that has no sign or no logarithm.
    #[error("mirror: the start at row {row}, column {column} is {value}; it must be finite and not 0")]
    Start {
        /// Row of the array.
        row: usize,
        /// Its column.
        column: usize,
        /// The value there.
        value: f64,
    },
    /// A gradient of another shape than the parameters'.
    #[error("mirror: the gradient has shape {found:?}, the parameters {expected:?}")]
    Shape {
        /// Shape of the parameters.
        expected: [usize; 2],
        /// Shape of the gradient.
        found: [usize; 2],
    },
    /// A step to where no logarithm is finite. Nothing was changed.
    #[error(
        "mirror: step {step}: row {row}, column {column}, at x = {value} with gradient {gradient}, would leave the finite numbers"
    )]
    Diverged {
        /// The step, from 0.
        step: u32,
        /// Row of the array.
        row: usize,
        /// Its column.
        column: usize,
        /// The parameter before the step.
        value: f64,
        /// The gradient there.
        gradient: f64,
    },
    /// All addresses of the noise are used up.
    #[error("mirror: {0} steps used up the noise; go on with another seed or stream")]
    NoiseExhausted(u32),
    /// The tensor library failed.
    #[error("mirror: {0}")]
    Backend(String),
}
