//! Weights that PyTorch saved (`.pth`, `.pt`), without executing them, and safetensors.
//!
//! `torch.save` writes a pickle: a program that builds objects and may call any function that it names. [`pickle`] is a machine that
//! can only build what a dictionary of tensors is made of, and refuses everything else by name. The numbers lie beside the program:
//!
//! | form | written | numbers |
//! |---|---|---|
//! | [`archive`] | since PyTorch 1.6 | one entry of a zip archive for each storage |
//! | [`legacy`] | before, and on request | one after the other behind the program |
//!
//! A tensor is a view of a storage: offset, shape and strides. Numbers of all kinds are returned as `f32`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

pub use self::error::{PthError, Reason};
use self::pickle::View;
pub use self::storage::Kind;

pub mod archive;
mod error;
pub mod legacy;
pub mod pickle;
mod storage;

/// A tensor in the order of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its shape; empty for a single number.
    pub shape: Vec<usize>,
    /// As many values as the shape says.
    pub values: Vec<f32>,
}

/// Reads a `.pth` file, of either form, or a safetensors file, whatever its name.
///
/// # Errors
/// [`PthError`]: no such file, cut short, or something that is not a dictionary of tensors.
pub fn read_weights(path: &Path) -> Result<BTreeMap<String, Array>, PthError> {
    let at = |reason: Reason| PthError { path: path.to_owned(), reason };
    let mut file = File::open(path).map_err(|e| at(Reason::Io(e)))?;
    let mut start = Vec::new();
    file.by_ref().take(4).read_to_end(&mut start).map_err(|e| at(Reason::Io(e)))?;
    file.seek(SeekFrom::Start(0)).map_err(|e| at(Reason::Io(e)))?;
    match start.as_slice() {
        [b'P', b'K', ..] => archive::read(file),
        [0x80, version, ..] if *version <= 5 => legacy::read(file),
        _ => safe(file),
    }
    .map_err(at)
}

/// SHA-256 of a file, in lower-case hexadecimal.
///
/// # Errors
/// [`PthError`] if it cannot be read.
pub fn sha256_of(path: &Path) -> Result<String, PthError> {
    let at = |e| PthError { path: path.to_owned(), reason: Reason::Io(e) };
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path).map_err(at)?, &mut hash).map_err(at)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn safe(mut file: File) -> Result<BTreeMap<String, Array>, Reason> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Reason::Io)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|_| Reason::Unknown)?;
    let mut arrays = BTreeMap::new();
    for (name, view) in tensors.tensors() {
        let kind = match view.dtype() {
            Dtype::F64 => Kind::F64,
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            Dtype::I64 => Kind::I64,
            Dtype::I32 => Kind::I32,
            Dtype::I16 => Kind::I16,
            Dtype::I8 => Kind::I8,
            Dtype::U8 | Dtype::BOOL => Kind::U8,
            other => return Err(Reason::Number { name, kind: format!("{other:?}") }),
        };
        let mut values = Vec::with_capacity(view.shape().iter().product());
        kind.extend(&mut values, view.data());
        arrays.insert(name, Array { shape: view.shape().to_vec(), values });
    }
    Ok(arrays)
}

/// Makes arrays of views, storage by storage; `load` gives the bytes of a storage by key.
fn arrays(
    views: Vec<(String, View)>,
    mut load: impl FnMut(&str, usize) -> Result<Vec<u8>, Reason>,
) -> Result<BTreeMap<String, Array>, Reason> {
    if views.is_empty() {
        return Err(Reason::NoTensors);
    }
    let mut by_storage: BTreeMap<String, Vec<(String, View)>> = BTreeMap::new();
    for (name, view) in views {
        by_storage.entry(view.storage.key.clone()).or_default().push((name, view));
    }
    let mut arrays = BTreeMap::new();
    for (key, views) in by_storage {
        let Some(storage) = views.first().map(|(_, view)| view.storage.clone()) else { continue };
        let wanted = storage.count.checked_mul(storage.kind.size()).ok_or(Reason::Short { key: key.clone() })?;
        let bytes = load(&key, wanted)?;
        if bytes.len() != wanted {
            return Err(Reason::Short { key });
        }
        let mut numbers = Vec::with_capacity(storage.count);
        storage.kind.extend(&mut numbers, &bytes);
        for (name, view) in views {
            if view.storage != storage {
                return Err(Reason::Outside { name });
            }
            let values = view.values(&numbers).ok_or(Reason::Outside { name: name.clone() })?;
            arrays.insert(name, Array { shape: view.shape, values });
        }
    }
    Ok(arrays)
}
