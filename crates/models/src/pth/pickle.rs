//! A machine for the instructions of pickle protocols 2 to 5 that a dictionary of tensors needs. It calls nothing: of the functions
//! that a program may name it knows six, and carries out what they would do.
//!
//! Objects live in one list and refer to each other by their place in it, so that a program can neither make the machine follow a
//! circle nor overflow the stack. Every instruction adds one object at most, and only short ones are copied: memory is bounded by the
//! length of the program.

use super::Reason;
use super::storage::Kind;

/// Longest key of a storage.
const KEY: usize = 256;

/// Most dimensions of a tensor.
const DIMENSIONS: usize = 64;

/// What a program builds.
#[derive(Clone, Debug)]
pub enum Node {
    /// None, and everything that is of no interest.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer beyond 64 bits, as little-endian bytes.
    Long(Vec<u8>),
    /// Text.
    Text(String),
    /// A tuple or a list, by the places of its parts.
    List(Vec<usize>),
    /// A dictionary: keys and values.
    Dict(Vec<(usize, usize)>),
    /// A function or class that we know.
    Global(Global),
    /// Numbers beside the program.
    Storage(Storage),
    /// A view of a storage.
    Tensor(View),
}

/// Functions and classes that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_parameter`.
    Parameter,
    /// A class such as `torch.FloatStorage`.
    Storage(Kind),
}

/// Numbers beside the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Its name.
    pub key: String,
    /// Kind of its numbers.
    pub kind: Kind,
    /// How many there are.
    pub count: usize,
}

/// A tensor as a view of a storage.
#[derive(Clone, Debug)]
pub struct View {
    /// The storage.
    pub storage: Storage,
    /// Its first number.
    pub offset: usize,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Numbers from one index to the next, for each dimension.
    pub strides: Vec<usize>,
}

impl View {
    /// The values in the order of rows; none if they lie outside, or there are more of them than numbers.
    pub(super) fn values(&self, numbers: &[f32]) -> Option<Vec<f32>> {
        let total = self.shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n))?;
        if self.strides.len() != self.shape.len() || total > numbers.len() {
            return None;
        }
        if total == 0 {
            return Some(Vec::new());
        }
        let reach = self.shape.iter().zip(&self.strides).try_fold(self.offset, |reach, (&n, &stride)| {
            (n - 1).checked_mul(stride).and_then(|steps| reach.checked_add(steps))
        })?;
        if reach >= numbers.len() {
            return None;
        }
        let mut values = Vec::with_capacity(total);
        let mut index = vec![0; self.shape.len()];
        let mut place = self.offset;
        loop {
            values.push(*numbers.get(place)?);
            let mut dimension = self.shape.len();
            loop {
                if dimension == 0 {
                    return Some(values);
                }
                dimension -= 1;
                index[dimension] += 1;
                place += self.strides[dimension];
                if index[dimension] < self.shape[dimension] {
                    break;
                }
                place -= self.strides[dimension] * self.shape[dimension];
                index[dimension] = 0;
            }
        }
    }
}

/// Runs one program.
#[derive(Debug)]
pub struct Machine<'a> {
    bytes: &'a [u8],
    place: usize,
    nodes: Vec<Node>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: std::collections::HashMap<usize, usize>,
}

impl<'a> Machine<'a> {
    /// For the program at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, place: 0, nodes: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: Default::default() }
    }

    /// Number of bytes that were read.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }

    /// An object.
    #[must_use]
    pub fn node(&self, id: usize) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The value of a dictionary under a key, the last one of equals.
    #[must_use]
    pub fn entry(&self, id: usize, key: &str) -> Option<&Node> {
        let Node::Dict(pairs) = self.node(id)? else { return None };
        let found = pairs.iter().rev().find(|(k, _)| matches!(self.node(*k), Some(Node::Text(text)) if text == key))?;
        self.node(found.1)
    }

    /// The parts of a list of texts.
    #[must_use]
    pub fn texts(&self, id: usize) -> Option<Vec<String>> {
        let Node::List(parts) = self.node(id)? else { return None };
        let text = |&id: &usize| if let Some(Node::Text(text)) = self.node(id) { Some(text.clone()) } else { None };
        parts.iter().map(text).collect()
    }

    /// Carries the program out up to its end; the place of its result.
    ///
    /// # Errors
    /// [`Reason`]: a damaged program, or one that wants more than to build tensors.
    pub fn run(&mut self) -> Result<usize, Reason> {
        loop {
            let at = self.place;
            let code = self.take(1)?[0];
            match code {
                0x80 => drop(self.take(1)?),                                      // PROTO
                0x95 => drop(self.take(8)?),                                      // FRAME
                b'.' => return self.pop(),                                        // STOP
                b'(' => self.marks.push(self.stack.len()),                        // MARK
                b'N' => self.push(Node::None),                                    // NONE
                0x88 | 0x89 => self.push(Node::Bool(code == 0x88)),               // NEWTRUE, NEWFALSE
                b')' | b']' => self.push(Node::List(Vec::new())),                 // EMPTY_TUPLE, EMPTY_LIST
                b'}' => self.push(Node::Dict(Vec::new())),                        // EMPTY_DICT
                b'K' => self.integer(1)?,                                         // BININT1
                b'M' => self.integer(2)?,                                         // BININT2
                b'J' => self.integer(4)?,                                         // BININT
                0x8a => self.long(1)?,                                            // LONG1
                0x8b => self.long(4)?,                                            // LONG4
                b'G' => self.skip(8)?,                                            // BINFLOAT
                b'X' => self.text(4)?,                                            // BINUNICODE
                0x8c => self.text(1)?,                                            // SHORT_BINUNICODE
                0x8d => self.text(8)?,                                            // BINUNICODE8
                b'U' => self.text(1)?,                                            // SHORT_BINSTRING
                b'T' => self.text(4)?,                                            // BINSTRING
                b'C' => self.sized(1).map(drop).map(|()| self.push(Node::None))?, // SHORT_BINBYTES
                b'B' => self.sized(4).map(drop).map(|()| self.push(Node::None))?, // BINBYTES
                b'q' => self.keep(1)?,                                            // BINPUT
                b'r' => self.keep(4)?,                                            // LONG_BINPUT
                0x94 => {
                    // MEMOIZE
                    let top = self.top()?;
                    self.memo.insert(self.memo.len(), top);
                }
                b'h' => self.recall(1)?,      // BINGET
                b'j' => self.recall(4)?,      // LONG_BINGET
                b'0' => drop(self.pop()?),    // POP
                b'1' => drop(self.marked()?), // POP_MARK
                b't' | b'l' => {
                    // TUPLE, LIST
                    let parts = self.marked()?;
                    self.push(Node::List(parts));
                }
                0x85..=0x87 => {
                    // TUPLE1 to TUPLE3
                    let count = usize::from(code - 0x84);
                    let from = self.stack.len().checked_sub(count).ok_or(self.damaged())?;
                    let parts = self.stack.split_off(from);
                    self.push(Node::List(parts));
                }
                b'a' => {
                    // APPEND
                    let part = self.pop()?;
                    self.append(&[part])?;
                }
                b'e' => {
                    // APPENDS
                    let parts = self.marked()?;
                    self.append(&parts)?;
                }
                b's' => {
                    // SETITEM
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(&[key, value])?;
                }
                b'u' => {
                    // SETITEMS
                    let items = self.marked()?;
                    self.set(&items)?;
                }
                b'd' => {
                    // DICT
                    let items = self.marked()?;
                    self.push(Node::Dict(Vec::new()));
                    self.set(&items)?;
                }
                b'c' => {
                    // GLOBAL
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(&module, &name)?;
                }
                0x93 => {
                    // STACK_GLOBAL
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Some(Node::Text(name)), Some(Node::Text(module))) = (self.node(name), self.node(module))
                    else {
                        return Err(self.damaged());
                    };
                    let (module, name) = (module.clone(), name.clone());
                    self.global(&module, &name)?;
                }
                b'R' => {
                    // REDUCE
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    let made = self.call(function, arguments)?;
                    self.push(made);
                }
                b'b' => {
                    // BUILD: what else a dictionary carries (its metadata) is of no interest.
                    let _state = self.pop()?;
                    let top = self.top()?;
                    if !matches!(self.node(top), Some(Node::Dict(_))) {
                        return Err(Reason::Instruction { code, at });
                    }
                }
                b'Q' => {
                    // BINPERSID
                    let id = self.pop()?;
                    let storage = self.storage(id)?;
                    self.push(Node::Storage(storage));
                }
                _ => return Err(Reason::Instruction { code, at }),
            }
        }
    }

    fn damaged(&self) -> Reason {
        Reason::Damaged { at: self.place }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Reason> {
        let end = self.place.checked_add(count).filter(|&end| end <= self.bytes.len()).ok_or(self.damaged())?;
        let found = &self.bytes[self.place..end];
        self.place = end;
        Ok(found)
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    fn pop(&mut self) -> Result<usize, Reason> {
        self.stack.pop().ok_or(self.damaged())
    }

    fn top(&self) -> Result<usize, Reason> {
        self.stack.last().copied().ok_or(self.damaged())
    }

    /// What lies above the last mark.
    fn marked(&mut self) -> Result<Vec<usize>, Reason> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or(self.damaged())?;
        Ok(self.stack.split_off(mark))
    }

    /// An unsigned little-endian number of so many bytes.
    fn unsigned(&mut self, bytes: usize) -> Result<usize, Reason> {
        let value = self.take(bytes)?.iter().rev().fold(0_u64, |value, &byte| (value << 8) | u64::from(byte));
        usize::try_from(value).map_err(|_| self.damaged())
    }

    fn sized(&mut self, bytes: usize) -> Result<&'a [u8], Reason> {
        let count = self.unsigned(bytes)?;
        self.take(count)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Reason> {
        self.take(bytes)?;
        self.push(Node::None);
        Ok(())
    }

    fn integer(&mut self, bytes: usize) -> Result<(), Reason> {
        let value = self.unsigned(bytes)? as i64;
        // Only the one of four bytes has a sign.
        self.push(Node::Int(if bytes == 4 { i64::from(value as i32) } else { value }));
        Ok(())
    }

    fn long(&mut self, bytes: usize) -> Result<(), Reason> {
        let found = self.sized(bytes)?;
        let negative = found.last().is_some_and(|byte| byte & 0x80 != 0);
        self.push(if found.len() <= 8 {
            let start = if negative { -1_i64 } else { 0 };
            Node::Int(found.iter().rev().fold(start, |value, &byte| (value << 8) | i64::from(byte)))
        } else {
            Node::Long(found.to_vec())
        });
        Ok(())
    }

    fn text(&mut self, bytes: usize) -> Result<(), Reason> {
        let text = String::from_utf8_lossy(self.sized(bytes)?).into_owned();
        self.push(Node::Text(text));
        Ok(())
    }

    fn line(&mut self) -> Result<String, Reason> {
        let rest = &self.bytes[self.place..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or(self.damaged())?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.place += length + 1;
        Ok(line)
    }

    fn keep(&mut self, bytes: usize) -> Result<(), Reason> {
        let (index, top) = (self.unsigned(bytes)?, self.top()?);
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Result<(), Reason> {
        let index = self.unsigned(bytes)?;
        let id = self.memo.get(&index).copied().ok_or(self.damaged())?;
        self.stack.push(id);
        Ok(())
    }

    fn append(&mut self, more: &[usize]) -> Result<(), Reason> {
        let (top, damaged) = (self.top()?, self.damaged());
        let Some(Node::List(parts)) = self.nodes.get_mut(top) else { return Err(damaged) };
        parts.extend(more);
        Ok(())
    }

    fn set(&mut self, items: &[usize]) -> Result<(), Reason> {
        let (top, damaged) = (self.top()?, self.damaged());
        let Some(Node::Dict(pairs)) = self.nodes.get_mut(top) else { return Err(damaged) };
        let (whole, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(damaged);
        }
        pairs.extend(whole.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), Reason> {
        let full = format!("{module}.{name}");
        let global = match full.as_str() {
            "collections.OrderedDict" => Global::OrderedDict,
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => Global::Tensor,
            "torch._utils._rebuild_parameter" => Global::Parameter,
            class => Global::Storage(Kind::of_class(class).ok_or(Reason::Refused(full.clone()))?),
        };
        self.push(Node::Global(global));
        Ok(())
    }

    fn call(&self, function: usize, arguments: usize) -> Result<Node, Reason> {
        let (Some(Node::Global(function)), Some(Node::List(arguments))) = (self.node(function), self.node(arguments))
        else {
            return Err(self.damaged());
        };
        let part = |index: usize| arguments.get(index).and_then(|&id| self.node(id));
        match (function, part(0)) {
            (Global::OrderedDict, None) => Ok(Node::Dict(Vec::new())),
            (Global::Parameter, Some(Node::Tensor(view))) => Ok(Node::Tensor(view.clone())),
            (Global::Tensor, Some(Node::Storage(storage))) => {
                let offset = self.size(part(1)).ok_or(self.damaged())?;
                let (shape, strides) = (self.sizes(part(2)), self.sizes(part(3)));
                let (shape, strides) = shape.zip(strides).ok_or(self.damaged())?;
                Ok(Node::Tensor(View { storage: storage.clone(), offset, shape, strides }))
            }
            _ => Err(self.damaged()),
        }
    }

    fn size(&self, node: Option<&Node>) -> Option<usize> {
        if let Some(Node::Int(value)) = node { usize::try_from(*value).ok() } else { None }
    }

    fn sizes(&self, node: Option<&Node>) -> Option<Vec<usize>> {
        let Some(Node::List(parts)) = node else { return None };
        if parts.len() > DIMENSIONS {
            return None;
        }
        parts.iter().map(|&id| self.size(self.node(id))).collect()
    }

    /// `('storage', class, key, location, count)`, and in the older form a view of another storage, which nobody writes any more.
    fn storage(&self, id: usize) -> Result<Storage, Reason> {
        let Some(Node::List(parts)) = self.node(id) else { return Err(self.damaged()) };
        let part = |index: usize| parts.get(index).and_then(|&id| self.node(id));
        match (part(0), part(1), part(2), self.size(part(4)), part(5)) {
            (
                Some(Node::Text(tag)),
                Some(Node::Global(Global::Storage(kind))),
                Some(Node::Text(key)),
                Some(count),
                None | Some(Node::None),
            ) if tag == "storage" && key.len() <= KEY => Ok(Storage { key: key.clone(), kind: *kind, count }),
            _ => Err(self.damaged()),
        }
    }
}

/// The tensors of a dictionary, or of the one under its key `state_dict`, with their names.
///
/// # Errors
/// [`Reason::NoTensors`] if it is none.
pub(super) fn tensors(machine: &Machine<'_>, top: usize) -> Result<Vec<(String, View)>, Reason> {
    let inner = machine.entry(top, "state_dict");
    let Some(Node::Dict(pairs)) = inner.or_else(|| machine.node(top)) else { return Err(Reason::NoTensors) };
    let named = pairs.iter().filter_map(|&(key, value)| match (machine.node(key), machine.node(value)) {
        (Some(Node::Text(name)), Some(Node::Tensor(view))) => Some((name.clone(), view.clone())),
        _ => None,
    });
    Ok(named.collect())
}
