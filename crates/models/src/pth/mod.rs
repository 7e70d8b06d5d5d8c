//! Weights from PyTorch's files, without running what they contain.
//!
//! A `.pth` or `.pt` file is a pickle, which is a program: Python's own reader runs it, and whoever made the file decides what it
//! does. Here a pickle can make numbers, texts, tuples, lists and dictionaries, and name what a state dictionary consists of:
//!
//! - `collections.OrderedDict`, with the attributes of a module's state dictionary (ignored)
//! - `torch._utils._rebuild_tensor_v2` and `torch._utils._rebuild_parameter`
//! - `torch.FloatStorage` and the storages of the other types in [`Dtype`]
//!
//! Any other class or function is refused by its name ([`Flaw::Refused`]). Both formats are read: the zip archive of PyTorch 1.6
//! and later, and what was written before. Lengths in a file are compared with the file's own before memory is taken for them, and
//! a file cannot ask for more numbers than it has bytes. Errors, not panics, come of any damage.
//!
//! ```no_run
//! let weights = models::pth::read_weights("inception.pth".as_ref())?;
//! let first = &weights["Conv2d_1a_3x3.conv.weight"];
//! println!("{:?}: {:?}", first.shape, first.values);
//! # Ok::<(), models::pth::PthError>(())
//! ```

mod digest;
mod error;
mod input;
mod legacy;
mod object;
mod pickle;
mod rebuild;
mod safetensors;
mod tensor;
mod zip;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use self::input::Input;
use self::object::{Objects, Value};
use self::tensor::Places;
use self::zip::Archive;

pub use self::digest::sha256_of;
pub(crate) use self::digest::sha256_of_bytes;
pub use self::error::{Flaw, PthError};

/// A tensor: its numbers in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Lengths of its dimensions; none for a single number.
    pub shape: Vec<usize>,
    /// The type in the file.
    pub dtype: Dtype,
    /// Its numbers, as many as the product of `shape`. Rounded to the nearest f32 where the file has f64, or whole numbers beyond
    /// 2²⁴; a truth value is 0 or 1.
    pub values: Vec<f32>,
}

/// Types of numbers in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Dtype {
    const STORAGES: [(Self, &'static str); 10] = [
        (Self::F64, "DoubleStorage"),
        (Self::F32, "FloatStorage"),
        (Self::F16, "HalfStorage"),
        (Self::Bf16, "BFloat16Storage"),
        (Self::I64, "LongStorage"),
        (Self::I32, "IntStorage"),
        (Self::I16, "ShortStorage"),
        (Self::I8, "CharStorage"),
        (Self::U8, "ByteStorage"),
        (Self::Bool, "BoolStorage"),
    ];

    fn of_storage(class: &str) -> Option<Self> {
        Self::STORAGES.iter().find(|(_, name)| *name == class).map(|(dtype, _)| *dtype)
    }

    fn storage(self) -> &'static str {
        Self::STORAGES.iter().find(|(dtype, _)| *dtype == self).map_or("", |(_, name)| name)
    }

    /// Bytes of one number.
    fn size(self) -> u64 {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// The tensors of a file of `torch.save`: of a state dictionary, or of the one under the key `state_dict` of a dictionary. What
/// is not a tensor is left out.
///
/// # Errors
/// What is wrong with the file, with its path.
pub fn read(path: &Path) -> Result<BTreeMap<String, Array>, PthError> {
    at(path, read_torch)
}

/// As [`read`], of a file of `torch.save` or of safetensors; its content tells which.
///
/// # Errors
/// As [`read`].
pub fn read_weights(path: &Path) -> Result<BTreeMap<String, Array>, PthError> {
    at(path, |file, length, start| {
        // First, since the header's length can happen to look like the start of a pickle.
        if safetensors::is_safetensors(start, length) {
            return safetensors::read_all(file, length);
        }
        read_torch(file, length, start)
    })
}

/// Opens a file, and says its length and what it starts with.
fn at<T>(path: &Path, read: impl FnOnce(&File, u64, &[u8]) -> Result<T, Flaw>) -> Result<T, PthError> {
    let opened = || {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut start = Vec::new();
        (&file).take(16).read_to_end(&mut start)?;
        read(&file, length, &start)
    };
    opened().map_err(|flaw| PthError { path: path.to_owned(), flaw })
}

fn read_torch(file: &File, length: u64, start: &[u8]) -> Result<BTreeMap<String, Array>, Flaw> {
    let content = if start.starts_with(b"PK\x03\x04") {
        open_zip(file, length)?
    } else if legacy::is_pickle(start) {
        legacy::open(file, length)?
    } else {
        return Err(Flaw::Unknown { start: start.to_owned() });
    };
    tensor::read_all(file, length, &content)
}

/// The pickled object `<folder>/data.pkl`, and where the numbers of its storages `<folder>/data/<name>` are.
fn open_zip(file: &File, length: u64) -> Result<(Objects, Value, Places), Flaw> {
    let archive = Archive::open(file, length)?;
    let folder = |name: &str| name.strip_suffix("/data.pkl").filter(|f| !f.contains('/')).map(str::to_owned);
    let mut folders = archive.names().filter_map(folder);
    let none = || Flaw::NoTensors { found: "a zip archive that torch.save did not write".to_owned() };
    let (Some(folder), None) = (folders.next(), folders.next()) else { return Err(none()) };
    if let Some((start, size)) = archive.find(&format!("{folder}/byteorder"))?
        && Input::new(file, start, start + size)?.bytes(size)? != b"little"
    {
        return Err(Flaw::ByteOrder);
    }
    let (start, size) = archive.find(&format!("{folder}/data.pkl"))?.ok_or_else(none)?;
    let (objects, value) = pickle::load(&mut Input::new(file, start, start + size)?)?;
    let mut places = Places::new();
    for storage in objects.storages() {
        let key = objects.text(Value::At(storage.key)).unwrap_or_default();
        if places.contains_key(key) {
            continue;
        }
        if let Some(place) = archive.find(&format!("{folder}/data/{key}"))? {
            places.insert(key.to_owned(), place);
        }
    }
    Ok((objects, value, places))
}
