//! What a state dictionary's pickle is made of: plain values, and the few classes of PyTorch that it needs.
//!
//! Objects lie in one list and name each other by their place in it. So an object that contains itself, or one nested a million
//! deep, is no more than some numbers, and what an instruction makes is never a copy of something large.

use std::fmt;

use super::Dtype;

/// A value on the machine's stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// Something of which nobody asks what it is: a float, bytes, a set.
    Other,
    Global(Global),
    /// The object at this place.
    At(usize),
}

/// The classes and functions that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

impl Global {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", _) => Self::Storage(Dtype::of_storage(name)?),
            _ => return None,
        })
    }
}

impl fmt::Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OrderedDict => f.write_str("collections.OrderedDict"),
            Self::RebuildTensor => f.write_str("torch._utils._rebuild_tensor_v2"),
            Self::RebuildParameter => f.write_str("torch._utils._rebuild_parameter"),
            Self::Storage(dtype) => write!(f, "torch.{}", dtype.storage()),
        }
    }
}

/// An object that others can name.
#[derive(Debug)]
pub(super) enum Object {
    Text(String),
    /// A whole number of more than eight bytes, little-endian.
    Long(Vec<u8>),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Order, Vec<(Value, Value)>),
    Storage(Box<Storage>),
    Tensor(Box<Tensor>),
}

/// Whether a dictionary is an `OrderedDict`, which alone may carry attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    Plain,
    Ordered,
}

/// Numbers in the file that tensors look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    pub(super) dtype: Dtype,
    /// The place of its name.
    pub(super) key: usize,
    /// Numbers under that name.
    pub(super) count: u64,
    /// The part of them that it is: first and number. Old files have such views.
    pub(super) view: Option<(u64, u64)>,
}

/// A tensor before its numbers are read; counts and strides are of numbers.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

/// All objects of one pickle.
#[derive(Debug, Default)]
pub(super) struct Objects(Vec<Object>);

impl Objects {
    pub(super) fn add(&mut self, object: Object) -> Value {
        self.0.push(object);
        Value::At(self.0.len() - 1)
    }

    pub(super) fn get(&self, value: Value) -> Option<&Object> {
        let Value::At(place) = value else { return None };
        self.0.get(place)
    }

    pub(super) fn get_mut(&mut self, value: Value) -> Option<&mut Object> {
        let Value::At(place) = value else { return None };
        self.0.get_mut(place)
    }

    pub(super) fn text(&self, value: Value) -> Option<&str> {
        if let Some(Object::Text(text)) = self.get(value) { Some(text) } else { None }
    }

    pub(super) fn tuple(&self, value: Value) -> Option<&[Value]> {
        if let Some(Object::Tuple(items)) = self.get(value) { Some(items) } else { None }
    }

    pub(super) fn list(&self, value: Value) -> Option<&[Value]> {
        if let Some(Object::List(items)) = self.get(value) { Some(items) } else { None }
    }

    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        if let Some(Object::Dict(_, items)) = self.get(value) { Some(items) } else { None }
    }

    pub(super) fn storage(&self, value: Value) -> Option<Storage> {
        if let Some(Object::Storage(storage)) = self.get(value) { Some(**storage) } else { None }
    }

    pub(super) fn tensor(&self, value: Value) -> Option<&Tensor> {
        if let Some(Object::Tensor(tensor)) = self.get(value) { Some(tensor) } else { None }
    }

    /// The storages of all tensors.
    pub(super) fn storages(&self) -> impl Iterator<Item = Storage> {
        self.0.iter().filter_map(|o| if let Object::Storage(storage) = o { Some(**storage) } else { None })
    }

    /// The value under a key; the last, if there are several.
    pub(super) fn item(&self, dict: Value, key: &str) -> Option<Value> {
        self.dict(dict)?.iter().rev().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, value)| *value)
    }

    /// What a value is, for messages.
    pub(super) fn describe(&self, value: Value) -> String {
        let kind = match (value, self.get(value)) {
            (Value::None, _) => "None",
            (Value::Bool(_), _) => "a truth value",
            (Value::Int(_), _) | (_, Some(Object::Long(_))) => "a whole number",
            (Value::Global(global), _) => return global.to_string(),
            (_, Some(Object::Text(text))) => return format!("the text {:?}", start_of(text)),
            (_, Some(Object::Tuple(_))) => "a tuple",
            (_, Some(Object::List(_))) => "a list",
            (_, Some(Object::Dict(..))) => "a dictionary",
            (_, Some(Object::Storage(_))) => "a storage",
            (_, Some(Object::Tensor(_))) => "a tensor",
            (Value::Other | Value::At(_), _) => "another value",
        };
        kind.to_owned()
    }
}

/// As much of a text as belongs into a message.
pub(super) fn start_of(text: &str) -> String {
    text.chars().take(100).collect()
}
