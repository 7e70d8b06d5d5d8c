//! The zip archive that `torch.save` writes: `NAME/data.pkl`, and the bytes of storage K as `NAME/data/K`, not compressed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use zip::ZipArchive;

use super::pickle::{Machine, tensors};
use super::{Array, Reason, arrays};

/// Reads all tensors.
///
/// # Errors
/// A damaged archive, a program that does more than build tensors, or storages that do not fit them.
pub fn read(file: File) -> Result<BTreeMap<String, Array>, Reason> {
    let length = file.metadata().map_err(Reason::Io)?.len();
    let mut zip = ZipArchive::new(file).map_err(|e| Reason::Archive(e.to_string()))?;
    let program = zip.file_names().find(|name| name.ends_with("/data.pkl")).map(str::to_owned);
    let program = program.ok_or(Reason::Unknown)?;
    let folder = program.trim_end_matches("data.pkl").to_owned();
    let mut entry = |name: &str| -> Result<Option<Vec<u8>>, Reason> {
        let mut entry = match zip.by_name(name) {
            Ok(entry) => entry,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(Reason::Archive(error.to_string())),
        };
        // Stored entries are no larger than the file: nothing can grow beyond it.
        let mut bytes = Vec::with_capacity(entry.size().min(length) as usize);
        entry.by_ref().take(length).read_to_end(&mut bytes).map_err(|e| Reason::Archive(format!("{name}: {e}")))?;
        Ok(Some(bytes))
    };
    if entry(&format!("{folder}byteorder"))?.is_some_and(|order| order.starts_with(b"big")) {
        return Err(Reason::BigEndian);
    }
    let bytes = entry(&program)?.ok_or(Reason::Unknown)?;
    let mut machine = Machine::new(&bytes);
    let top = machine.run()?;
    let views = tensors(&machine, top)?;
    arrays(views, |key, _| entry(&format!("{folder}data/{key}"))?.ok_or_else(|| Reason::Short { key: key.to_owned() }))
}
