//! What the functions that a state dictionary's pickle calls would do: storages, tensors, parameters and ordered dictionaries.
//!
//! As in PyTorch's `torch/serialization.py` and `torch/_utils.py`.

use super::error::Flaw;
use super::object::{Global, Object, Order, Storage, Tensor, Value, start_of};
use super::pickle::Machine;

/// Most dimensions of a tensor, as in PyTorch.
const DIMENSIONS: usize = 64;

/// `("storage", class, key, device, count)` and, in old files, one more: `None` or `(key, first, count)` of a view.
pub(super) fn storage(machine: &Machine<'_, '_>, id: Value) -> Result<Storage, Flaw> {
    let objects = &machine.objects;
    let damaged = || machine.damaged("a storage that is not (class, key, device, count)");
    let (kind, rest) = objects.tuple(id).and_then(<[Value]>::split_first).ok_or_else(damaged)?;
    match objects.text(*kind) {
        Some("storage") => {}
        Some(kind) => return Err(machine.refused(format!("the persistent {:?}", start_of(kind)))),
        None => return Err(damaged()),
    }
    let (class, key, count, view) = match *rest {
        [class, key, _, count] => (class, key, count, Value::None),
        [class, key, _, count, view] => (class, key, count, view),
        _ => return Err(damaged()),
    };
    let Value::Global(Global::Storage(dtype)) = class else { return Err(damaged()) };
    let Value::At(place) = key else { return Err(damaged()) };
    objects.text(key).ok_or_else(damaged)?;
    let view = match (view, objects.tuple(view)) {
        (Value::None, _) => None,
        (_, Some(&[_, first, count])) => {
            Some((count_of(first).ok_or_else(damaged)?, count_of(count).ok_or_else(damaged)?))
        }
        _ => return Err(damaged()),
    };
    Ok(Storage { dtype, key: place, count: count_of(count).ok_or_else(damaged)?, view })
}

/// What `callee(*arguments)` gives, for the three functions that are known.
pub(super) fn call(machine: &mut Machine<'_, '_>, callee: Value, arguments: Value) -> Result<Value, Flaw> {
    let Some(items) = machine.objects.tuple(arguments) else {
        return Err(machine.damaged("a function is called without a tuple of arguments"));
    };
    match callee {
        Value::Global(Global::OrderedDict) => match *items {
            [] => Ok(machine.objects.add(Object::Dict(Order::Ordered, Vec::new()))),
            [list] => ordered(machine, list),
            _ => Err(machine.damaged("an ordered dictionary of more than one list")),
        },
        Value::Global(Global::RebuildTensor) => {
            let tensor = tensor(machine, items)?;
            Ok(machine.objects.add(Object::Tensor(Box::new(tensor))))
        }
        Value::Global(Global::RebuildParameter) => match *items {
            [data, _, _] if machine.objects.tensor(data).is_some() => Ok(data),
            _ => Err(machine.damaged("a parameter that is not (tensor, requires_grad, hooks)")),
        },
        callee => Err(machine.refused(format!("a call of {}", machine.objects.describe(callee)))),
    }
}

/// Of a list of pairs, as Python 2 wrote it.
fn ordered(machine: &mut Machine<'_, '_>, list: Value) -> Result<Value, Flaw> {
    let objects = &machine.objects;
    let pair = |&pair: &Value| match objects.list(pair).or_else(|| objects.tuple(pair)) {
        Some(&[key, value]) => Some((key, value)),
        _ => None,
    };
    let length = objects.list(list).map_or(0, <[Value]>::len);
    let items = objects.list(list).and_then(|list| list.iter().map(pair).collect::<Option<Vec<_>>>());
    let items = items.ok_or_else(|| machine.damaged("an ordered dictionary of what is not a list of pairs"))?;
    // The one instruction that copies: each item counts as one.
    machine.spend(length)?;
    Ok(machine.objects.add(Object::Dict(Order::Ordered, items)))
}

/// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`.
fn tensor(machine: &Machine<'_, '_>, items: &[Value]) -> Result<Tensor, Flaw> {
    let objects = &machine.objects;
    let damaged = || machine.damaged("a tensor that is not (storage, offset, size, strides, requires_grad, hooks)");
    let (storage, offset, shape, strides, metadata) = match *items {
        [storage, offset, shape, strides, _, _] => (storage, offset, shape, strides, Value::None),
        [storage, offset, shape, strides, _, _, metadata] => (storage, offset, shape, strides, metadata),
        _ => return Err(damaged()),
    };
    // Metadata says that the numbers are stored with the other sign, or conjugated.
    if metadata != Value::None && objects.dict(metadata).is_none_or(|items| !items.is_empty()) {
        return Err(machine.refused("a tensor with metadata".to_owned()));
    }
    let counts = |value| -> Option<Vec<u64>> {
        let items = objects.tuple(value).filter(|items| items.len() <= DIMENSIONS)?;
        items.iter().map(|&item| count_of(item)).collect()
    };
    let storage = objects.storage(storage).ok_or_else(damaged)?;
    let (shape, strides) = counts(shape).zip(counts(strides)).ok_or_else(damaged)?;
    if shape.len() != strides.len() {
        return Err(machine.damaged("a tensor with more or fewer strides than dimensions"));
    }
    Ok(Tensor { storage, offset: count_of(offset).ok_or_else(damaged)?, shape, strides })
}

fn count_of(value: Value) -> Option<u64> {
    if let Value::Int(n) = value { u64::try_from(n).ok() } else { None }
}
