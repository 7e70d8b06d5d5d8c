//! The numbers of tensors, read from where they lie in the file.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use half::{bf16, f16};

use super::error::Flaw;
use super::object::{Objects, Tensor, Value, start_of};
use super::{Array, Dtype};

/// First byte in the file and length in bytes, by the storage's name.
pub(super) type Places = HashMap<String, (u64, u64)>;

/// Bytes read at once; a multiple of every number's size.
const PIECE: usize = 1 << 18;

/// All tensors of a state dictionary, itself or under the key `state_dict`; other values are left out.
pub(super) fn read_all(
    file: &File,
    length: u64,
    (objects, value, places): &(Objects, Value, Places),
) -> Result<BTreeMap<String, Array>, Flaw> {
    let inner = objects.item(*value, "state_dict").filter(|inner| objects.dict(*inner).is_some());
    let dict = inner.unwrap_or(*value);
    let Some(items) = objects.dict(dict) else { return Err(Flaw::NoTensors { found: objects.describe(dict) }) };
    let named = |&(key, value): &(Value, Value)| objects.text(key).zip(objects.tensor(value));
    let tensors: BTreeMap<&str, &Tensor> = items.iter().filter_map(named).collect();
    if tensors.is_empty() {
        let keys: Vec<_> = items.iter().take(10).map(|(key, _)| objects.describe(*key)).collect();
        return Err(Flaw::NoTensors { found: format!("a dictionary without tensors: [{}]", keys.join(", ")) });
    }
    let mut arrays = BTreeMap::new();
    let mut spent = 0;
    for (name, tensor) in tensors {
        let key = objects.text(Value::At(tensor.storage.key)).unwrap_or_default();
        let missing = || Flaw::MissingStorage { name: start_of(name), key: start_of(key) };
        let &(start, bytes) = places.get(key).ok_or_else(missing)?;
        let reach = Reach::of(name, tensor, bytes)?;
        // Tensors may share numbers or repeat them. A file can thereby ask for any amount of memory, a sensible one does not; of
        // numbers that are only passed over, a sensible one asks for more.
        spent += reach.count + reach.span / 64;
        if spent > u128::from(length) {
            return Err(Flaw::TooLarge { name: start_of(name), needed: spent, length });
        }
        arrays.insert(name.to_owned(), read(file, start, tensor, &reach)?);
    }
    Ok(arrays)
}

/// Which numbers of its storage a tensor looks at.
struct Reach {
    /// The first.
    first: u64,
    /// From the first to the last.
    span: u128,
    /// How many the tensor has.
    count: u128,
    /// Whether it has them all, in their order.
    dense: bool,
}

impl Reach {
    /// Checked against `bytes`, the length of the storage.
    fn of(name: &str, tensor: &Tensor, bytes: u64) -> Result<Self, Flaw> {
        let storage = &tensor.storage;
        let what = || format!("tensor {:?}", start_of(name));
        let size = |needed: u128, available: u64, unit| Flaw::Size { what: what(), needed, available, unit };
        let stored = u128::from(storage.count) * u128::from(storage.dtype.size());
        if stored > u128::from(bytes) {
            return Err(size(stored, bytes, "bytes"));
        }
        let (view, available) = storage.view.unwrap_or((0, storage.count));
        if u128::from(view) + u128::from(available) > u128::from(storage.count) {
            return Err(size(u128::from(view) + u128::from(available), storage.count, "numbers"));
        }
        let mut count: u128 = 1;
        let mut span: u128 = 1;
        let mut dense = true;
        for (&n, &stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
            dense &= n == 1 || u128::from(stride) == count;
            count = count.saturating_mul(n.into());
            // Below 2¹²⁶ in each of at most 64 dimensions: too large a span saturates, and is refused.
            span = span.saturating_add(u128::from(n.saturating_sub(1)) * u128::from(stride));
        }
        if count == 0 {
            return Ok(Self { first: 0, span: 0, count: 0, dense: true });
        }
        let needed = span.saturating_add(tensor.offset.into());
        if needed > u128::from(available) {
            return Err(size(needed, available, "numbers"));
        }
        Ok(Self { first: view + tensor.offset, span, count, dense })
    }
}

fn read(file: &File, start: u64, tensor: &Tensor, reach: &Reach) -> Result<Array, Flaw> {
    let dtype = tensor.storage.dtype;
    let shape: Vec<usize> = tensor.shape.iter().map(|&n| n as usize).collect();
    let stored = read_run(file, start + reach.first * dtype.size(), dtype, reach.span as usize)?;
    let values = if reach.dense { stored } else { gather(&stored, tensor, reach.count as usize) };
    Ok(Array { shape, dtype, values })
}

/// `count` numbers from a byte of the file on; whoever asks knows that the file has them.
pub(super) fn read_run(mut file: &File, start: u64, dtype: Dtype, count: usize) -> Result<Vec<f32>, Flaw> {
    let mut values = Vec::with_capacity(count);
    let mut left = count * dtype.size() as usize;
    let mut piece = vec![0; left.min(PIECE)];
    file.seek(SeekFrom::Start(start))?;
    while left > 0 {
        let bytes = &mut piece[..left.min(PIECE)];
        file.read_exact(bytes)?;
        extend(&mut values, dtype, bytes);
        left -= bytes.len();
    }
    Ok(values)
}

fn extend(values: &mut Vec<f32>, dtype: Dtype, bytes: &[u8]) {
    fn all<const N: usize>(values: &mut Vec<f32>, bytes: &[u8], of: impl Fn([u8; N]) -> f32) {
        values.extend(bytes.as_chunks::<N>().0.iter().map(|&b| of(b)));
    }
    match dtype {
        Dtype::F64 => all(values, bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F32 => all(values, bytes, f32::from_le_bytes),
        Dtype::F16 => all(values, bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::Bf16 => all(values, bytes, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::I64 => all(values, bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::I32 => all(values, bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::I16 => all(values, bytes, |b| f32::from(i16::from_le_bytes(b))),
        Dtype::I8 => all(values, bytes, |b| f32::from(i8::from_le_bytes(b))),
        Dtype::U8 => all(values, bytes, |[b]| f32::from(b)),
        Dtype::Bool => all(values, bytes, |[b]| f32::from(b != 0)),
    }
}

/// The tensor's numbers in row-major order, from those between its first and its last.
fn gather(stored: &[f32], tensor: &Tensor, count: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(count);
    let mut index = vec![0; tensor.shape.len()];
    let mut at = 0;
    for _ in 0..count {
        values.push(stored[at]);
        for ((i, &n), &stride) in index.iter_mut().zip(&tensor.shape).zip(&tensor.strides).rev() {
            *i += 1;
            if *i < n {
                at += stride as usize;
                break;
            }
            at -= (*i - 1) as usize * stride as usize;
            *i = 0;
        }
    }
    values
}
