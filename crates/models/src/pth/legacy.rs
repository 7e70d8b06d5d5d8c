//! Files of torch.save before PyTorch 1.6: pickles one after the other, then the numbers.
//!
//! A magic number, the protocol's version, what the machine was, the object, the list of the storages' names; then for each name
//! the count as i64 and the numbers themselves.

use std::collections::HashMap;
use std::fs::File;

use super::error::Flaw;
use super::input::Input;
use super::object::{Object, Objects, Value, start_of};
use super::pickle;
use super::tensor::Places;

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;

/// Whether a file that starts so is one of these, or at least a pickle.
pub(super) fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..])
}

/// The pickled object, and where the numbers of its storages are.
pub(super) fn open(file: &File, length: u64) -> Result<(Objects, Value, Places), Flaw> {
    let mut input = Input::new(file, 0, length)?;
    let (objects, magic) = pickle::load(&mut input)?;
    if !matches!(objects.get(magic), Some(Object::Long(bytes)) if *bytes == MAGIC) {
        return Err(Flaw::NoTensors { found: format!("a pickle of {}", objects.describe(magic)) });
    }
    let offset = input.at();
    let (_, version) = pickle::load(&mut input)?;
    if version != Value::Int(VERSION) {
        return Err(Flaw::Pickle { offset, reason: "the format's version is not 1001" });
    }
    let (objects, machine) = pickle::load(&mut input)?;
    if objects.item(machine, "little_endian") != Some(Value::Bool(true)) {
        return Err(Flaw::ByteOrder);
    }
    let (objects, value) = pickle::load(&mut input)?;
    let offset = input.at();
    let (names, keys) = pickle::load(&mut input)?;
    let damaged = || Flaw::Pickle { offset, reason: "no list of the storages' names" };
    let keys = names.list(keys).ok_or_else(damaged)?;

    let mut wanted = HashMap::new();
    for storage in objects.storages() {
        let key = objects.text(Value::At(storage.key)).ok_or_else(damaged)?;
        if *wanted.entry(key).or_insert((storage.dtype, storage.count)) != (storage.dtype, storage.count) {
            return Err(Flaw::Pickle { offset, reason: "a storage has two types or lengths" });
        }
    }
    let mut places = Places::new();
    for &key in keys {
        let key = names.text(key).ok_or_else(damaged)?;
        let unused = Flaw::Pickle { offset, reason: "a storage that no tensor has" };
        let &(dtype, count) = wanted.get(key).ok_or(unused)?;
        let found = u64::from_le_bytes(input.array()?);
        if found != count {
            let what = format!("storage {:?}", start_of(key));
            return Err(Flaw::Size { what, needed: count.into(), available: found, unit: "numbers" });
        }
        let start = input.at();
        // A length that overflows is longer than the file, which is what the error says.
        let bytes = count.saturating_mul(dtype.size());
        input.skip(bytes)?;
        places.insert(key.to_owned(), (start, bytes));
    }
    Ok((objects, value, places))
}
