//! The form before PyTorch 1.6: five pickles (a number that says so, the version, the machine, the objects, the storages' keys), then
//! for each key the count of its numbers, as 64 bits, and the numbers.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;

use super::pickle::{Machine, Node, tensors};
use super::{Array, Reason, arrays};

/// `0x1950a86a20f9469cfc6c`, as little-endian bytes.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Version of the form.
const VERSION: i64 = 1001;

/// Reads all tensors.
///
/// # Errors
/// A file cut short, a program that does more than build tensors, or storages that do not fit them.
pub fn read(mut file: File) -> Result<BTreeMap<String, Array>, Reason> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Reason::Io)?;
    let mut rest = bytes.as_slice();
    let mut next = || -> Result<(Machine<'_>, usize), Reason> {
        let mut machine = Machine::new(rest);
        let top = machine.run()?;
        rest = rest.get(machine.place()..).unwrap_or_default();
        Ok((machine, top))
    };
    let (machine, top) = next()?;
    if !matches!(machine.node(top), Some(Node::Long(bytes)) if *bytes == MAGIC) {
        return Err(Reason::NotTorch);
    }
    let (machine, top) = next()?;
    if !matches!(machine.node(top), Some(Node::Int(VERSION))) {
        return Err(Reason::NotTorch);
    }
    let (machine, top) = next()?;
    if matches!(machine.entry(top, "little_endian"), Some(Node::Bool(false))) {
        return Err(Reason::BigEndian);
    }
    let (machine, top) = next()?;
    let views = tensors(&machine, top)?;
    let kinds: HashMap<&str, usize> =
        views.iter().map(|(_, view)| (view.storage.key.as_str(), view.storage.kind.size())).collect();
    let (machine, top) = next()?;
    let mut places: HashMap<String, &[u8]> = HashMap::new();
    for key in machine.texts(top).ok_or(Reason::NotTorch)? {
        let short = || Reason::Short { key: key.clone() };
        let (count, after) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let count = usize::try_from(i64::from_le_bytes(*count)).map_err(|_| short())?;
        // Without a tensor nobody knows how wide its numbers are, and where the next storage begins.
        let size = kinds.get(key.as_str()).copied().ok_or_else(short)?;
        let length = count.checked_mul(size).filter(|&n| n <= after.len()).ok_or_else(short)?;
        let (numbers, after) = after.split_at(length);
        places.insert(key, numbers);
        rest = after;
    }
    let views = views.clone();
    arrays(views, |key, _| {
        places.get(key).map(|bytes| bytes.to_vec()).ok_or_else(|| Reason::Short { key: key.to_owned() })
    })
}
