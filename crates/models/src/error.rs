//! What can go wrong with a network, its weights or its device.

use std::path::PathBuf;

/// Errors of this crate; each carries the offending values.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A network that cannot be built from these settings.
    #[error("network: {key} = {value}: {reason}")]
    Config {
        /// The setting, as it is named in the experiment's file.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why it is impossible.
        reason: String,
    },
    /// Two parameters with one name.
    #[error("parameter {0:?} is defined twice")]
    DuplicateName(String),
    /// The device that was asked for cannot be used.
    #[error("device {wanted}: {reason}")]
    Device {
        /// What was asked for.
        wanted: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// A checkpoint that cannot be read, or belongs to something else.
    #[error("checkpoint {path}: {reason}", path = path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Reading a file failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Writing a file failed; what was there before still is.
    #[error(transparent)]
    Write(#[from] crate::write::WriteError),
    /// An input of the wrong shape.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Which tensor.
        what: &'static str,
        /// The shape it should have (−1: any).
        expected: Vec<i64>,
        /// The shape it has.
        found: Vec<i64>,
    },
    /// A file of weights from elsewhere that cannot be read.
    #[error(transparent)]
    Pth(#[from] crate::pth::PthError),
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A weight that is missing or does not fit.
    #[error("{name}: {reason}")]
    Weight {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A gradient was asked of weights that were made without one.
    #[error("these weights were made without a gradient")]
    NoGradient,
    /// A flat buffer that is not contiguous f32 on the device of the weights.
    #[error("Adam's buffer of the {what} must be contiguous f32 on the device of the weights, found {found}")]
    Buffer {
        /// Which buffer.
        what: &'static str,
        /// What it is.
        found: String,
    },
}

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, ModelError>;
