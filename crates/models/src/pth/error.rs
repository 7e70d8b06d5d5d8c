//! What can be wrong with a file of weights.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A file that weights cannot be read from.
#[derive(Debug, Error)]
#[error("{path}: {reason}", path = path.display())]
pub struct PthError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub reason: Reason,
}

/// What is wrong.
#[derive(Debug, Error)]
pub enum Reason {
    /// The system refused.
    #[error("{0}")]
    Io(io::Error),
    /// No form that we know.
    #[error("neither a PyTorch file nor safetensors")]
    Unknown,
    /// A damaged zip archive.
    #[error("a damaged archive: {0}")]
    Archive(String),
    /// The program ends too soon, or takes what is not there.
    #[error("a damaged pickle at byte {at}")]
    Damaged {
        /// Place in the program.
        at: usize,
    },
    /// An instruction that no dictionary of tensors needs.
    #[error("instruction 0x{code:02x} at byte {at} is none that a dictionary of tensors needs")]
    Instruction {
        /// The instruction.
        code: u8,
        /// Place in the program.
        at: usize,
    },
    /// A function or class that no dictionary of tensors needs. It was not called.
    #[error("it asks for `{0}`, which no dictionary of tensors needs; it was not called")]
    Refused(String),
    /// Not the header of the older form.
    #[error("a pickle, but not one that torch.save wrote")]
    NotTorch,
    /// Numbers of another machine's order of bytes.
    #[error("its numbers are big-endian")]
    BigEndian,
    /// What was saved is no dictionary with tensors in it.
    #[error("it holds no dictionary of tensors")]
    NoTensors,
    /// A storage with fewer numbers than the program says.
    #[error("storage {key} is cut short")]
    Short {
        /// Its key.
        key: String,
    },
    /// A tensor that reaches beyond its storage.
    #[error("tensor {name} does not fit its storage")]
    Outside {
        /// Its name.
        name: String,
    },
    /// Numbers that we cannot read.
    #[error("tensor {name} has numbers of kind {kind}")]
    Number {
        /// Its name.
        name: String,
        /// Their kind.
        kind: String,
    },
}
