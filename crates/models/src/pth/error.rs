//! Why a file of weights is not read.

use std::io;
use std::path::PathBuf;

/// A file of weights that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {flaw}", path = path.display())]
pub struct PthError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What is wrong with a file of weights. Offsets count from the file's start.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// Reading failed.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The content is of none of the known kinds.
    #[error("neither a file of torch.save nor safetensors: it starts with {start:02x?}")]
    Unknown {
        /// Its first bytes.
        start: Vec<u8>,
    },
    /// The file ends too early.
    #[error("cut short: byte {offset} starts {wanted} bytes, and {available} are left")]
    Truncated {
        /// Where the missing piece starts.
        offset: u64,
        /// Its length.
        wanted: u64,
        /// What there is of it.
        available: u64,
    },
    /// A pickle asks for something that a state dictionary does not need, which is never run.
    #[error(
        "byte {offset} of the pickle asks for {name}, which a state dictionary does not need: not read, nothing was run"
    )]
    Refused {
        /// A class or function as `module.name`, or the instruction and its object.
        name: String,
        /// Where.
        offset: u64,
    },
    /// An instruction that is none, or one that torch.save does not write.
    #[error("the pickle has the unknown instruction 0x{code:02x} at byte {offset}")]
    Opcode {
        /// The instruction.
        code: u8,
        /// Where.
        offset: u64,
    },
    /// A pickle whose instructions do not fit together.
    #[error("the pickle is damaged at byte {offset}: {reason}")]
    Pickle {
        /// Where.
        offset: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// A pickle that would need more memory than any state dictionary.
    #[error("the pickle has more than {limit} instructions")]
    TooLong {
        /// How many are read.
        limit: u64,
    },
    /// A zip archive whose records do not fit together.
    #[error("the zip archive is damaged: {reason}")]
    Zip {
        /// What does not fit.
        reason: String,
    },
    /// torch.save does not compress; what is compressed is not read.
    #[error("{entry} in the zip archive is compressed (method {method})")]
    Compressed {
        /// The entry.
        entry: String,
        /// Number of the method.
        method: u16,
    },
    /// The content of an entry is not what was written.
    #[error("{entry} in the zip archive has the check sum {found:08x}, expected {expected:08x}")]
    CheckSum {
        /// The entry.
        entry: String,
        /// As stored.
        expected: u32,
        /// Of the content.
        found: u32,
    },
    /// Written by a machine with the other order of bytes.
    #[error("its numbers are not in little-endian order")]
    ByteOrder,
    /// No dictionary of tensors.
    #[error("holds no state dictionary, but {found}")]
    NoTensors {
        /// What was found in its place.
        found: String,
    },
    /// A tensor whose storage is not in the file.
    #[error("storage {key:?} of tensor {name:?} is missing")]
    MissingStorage {
        /// The tensor.
        name: String,
        /// The storage's name.
        key: String,
    },
    /// A tensor that reaches beyond its storage, or a storage beyond what the file has of it.
    #[error("{what} needs {needed} {unit}, its storage has {available}")]
    Size {
        /// Tensor or storage.
        what: String,
        /// How many it needs.
        needed: u128,
        /// How many there are.
        available: u64,
        /// Of what.
        unit: &'static str,
    },
    /// More numbers than a file of this length can hold.
    #[error("{needed} numbers up to tensor {name:?}, too many for a file of {length} bytes")]
    TooLarge {
        /// The first tensor that is too much.
        name: String,
        /// Numbers so far.
        needed: u128,
        /// Length of the file.
        length: u64,
    },
    /// A type of numbers that is not read.
    #[error("tensor {name:?} has the type {dtype}, which is not read")]
    Type {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
    /// A safetensors header that does not fit the file.
    #[error("damaged safetensors: {reason}")]
    SafeTensors {
        /// What does not fit.
        reason: String,
    },
}
