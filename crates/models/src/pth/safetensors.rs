//! Safetensors files, into the same arrays.

use std::collections::BTreeMap;
use std::fs::File;

use safetensors::tensor::{Dtype as Stored, Metadata};

use super::error::Flaw;
use super::input::Input;
use super::object::start_of;
use super::tensor::read_run;
use super::{Array, Dtype};

/// Whether a file of this length that starts so has a header where safetensors have it.
pub(super) fn is_safetensors(start: &[u8], length: u64) -> bool {
    let Some((header, rest)) = start.split_first_chunk::<8>() else { return false };
    rest.first() == Some(&b'{') && u64::from_le_bytes(*header) <= length.saturating_sub(8)
}

pub(super) fn read_all(file: &File, length: u64) -> Result<BTreeMap<String, Array>, Flaw> {
    let broken = |reason: String| Flaw::SafeTensors { reason };
    let mut input = Input::new(file, 0, length)?;
    let header = u64::from_le_bytes(input.array()?);
    let header = input.bytes(header)?;
    let start = input.at();
    // Reading the header checks that the tensors follow each other and that shapes, types and lengths agree.
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| broken(e.to_string()))?;
    let (needed, available) = (metadata.data_len() as u64, length - start);
    if needed != available {
        return Err(broken(format!("its tensors take {needed} bytes, and {available} follow the header")));
    }
    let mut arrays = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let unread = || Flaw::Type { name: start_of(&name), dtype: format!("{:?}", info.dtype) };
        let dtype = dtype_of(info.dtype).ok_or_else(unread)?;
        let (from, to) = info.data_offsets;
        let values = read_run(file, start + from as u64, dtype, (to - from) / dtype.size() as usize)?;
        arrays.insert(name, Array { shape: info.shape.clone(), dtype, values });
    }
    Ok(arrays)
}

fn dtype_of(stored: Stored) -> Option<Dtype> {
    Some(match stored {
        Stored::F64 => Dtype::F64,
        Stored::F32 => Dtype::F32,
        Stored::F16 => Dtype::F16,
        Stored::BF16 => Dtype::Bf16,
        Stored::I64 => Dtype::I64,
        Stored::I32 => Dtype::I32,
        Stored::I16 => Dtype::I16,
        Stored::I8 => Dtype::I8,
        Stored::U8 => Dtype::U8,
        Stored::BOOL => Dtype::Bool,
        _ => return None,
    })
}
