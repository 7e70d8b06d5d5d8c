//! The instructions of a pickle, protocols 2 to 5, as torch.save writes them.
//!
//! A pickle is a program for a stack machine. Python's own machine lets it import anything and call it; this one makes numbers,
//! texts, tuples, lists and dictionaries, and knows the classes of [`Global`] by name. Whatever else is named, called or built is
//! an error. The instructions are those of <https://github.com/python/cpython/blob/3.13/Lib/pickletools.py>.

use std::collections::HashMap;

use super::error::Flaw;
use super::input::Input;
use super::object::{Global, Object, Objects, Order, Value, start_of};
use super::rebuild;

/// Instructions of one pickle: a network of a thousand tensors with Adam's moments needs about 100,000.
const LIMIT: u64 = 1 << 21;

/// Reads one pickle: its objects and the one that it stands for.
pub(super) fn load(input: &mut Input<'_>) -> Result<(Objects, Value), Flaw> {
    let mut machine = Machine {
        offset: input.at(),
        input,
        objects: Objects::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        steps: 0,
    };
    machine.run().map(|value| (machine.objects, value))
}

pub(super) struct Machine<'a, 'f> {
    input: &'a mut Input<'f>,
    pub(super) objects: Objects,
    stack: Vec<Value>,
    /// Heights of the stack where a collection begins.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    steps: u64,
    /// Where the present instruction is.
    offset: u64,
}

impl Machine<'_, '_> {
    fn run(&mut self) -> Result<Value, Flaw> {
        loop {
            self.offset = self.input.at();
            self.spend(1)?;
            let code = self.input.byte()?;
            match code {
                b'.' => return self.pop(),
                0x80 => self.protocol()?,
                0x95 => drop(self.input.array::<8>()?), // FRAME, a hint on lengths
                b'(' => self.marks.push(self.stack.len()),
                b'0' => self.pop_or_unmark()?,
                b'1' => drop(self.since_mark()?),
                b'2' => self.push(self.top()?),
                b'N' => self.push(Value::None),
                0x88 => self.push(Value::Bool(true)),
                0x89 => self.push(Value::Bool(false)),
                b'J' | b'K' | b'M' | 0x8a | 0x8b => self.integer(code)?,
                b'G' => {
                    self.input.array::<8>()?;
                    self.push(Value::Other);
                }
                b'X' | 0x8c | 0x8d | b'T' | b'U' => self.text(code)?,
                b'B' | b'C' | 0x8e | 0x96 => {
                    let length = self.length(code)?;
                    self.input.skip(length)?;
                    self.push(Value::Other);
                }
                b')' => self.make(Object::Tuple(Vec::new())),
                0x85..=0x87 => {
                    let mut items = (0..code - 0x84).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                    items.reverse();
                    self.make(Object::Tuple(items));
                }
                b't' => self.make_of_marked(Object::Tuple)?,
                b']' => self.make(Object::List(Vec::new())),
                b'l' => self.make_of_marked(Object::List)?,
                b'a' | b'e' => self.append(code)?,
                b'}' => self.make(Object::Dict(Order::Plain, Vec::new())),
                b'd' | b's' | b'u' => self.dict(code)?,
                0x8f => self.push(Value::Other), // a set, and what goes into one
                0x90 => drop(self.since_mark()?),
                0x91 => {
                    self.since_mark()?;
                    self.push(Value::Other);
                }
                b'h' | b'j' | b'q' | b'r' | 0x94 => self.memo(code)?,
                b'c' | 0x93 => self.global(code)?,
                b'Q' => {
                    let id = self.pop()?;
                    let storage = rebuild::storage(self, id)?;
                    self.make(Object::Storage(Box::new(storage)));
                }
                b'R' => {
                    let arguments = self.pop()?;
                    let callee = self.pop()?;
                    let result = rebuild::call(self, callee, arguments)?;
                    self.push(result);
                }
                b'b' => self.build()?,
                b'i' | b'o' | 0x81..=0x84 | 0x92 => return Err(self.refused_instruction(code)),
                code => return Err(Flaw::Opcode { code, offset: self.offset }),
            }
        }
    }

    pub(super) fn damaged(&self, reason: &'static str) -> Flaw {
        Flaw::Pickle { offset: self.offset, reason }
    }

    pub(super) fn refused(&self, name: String) -> Flaw {
        Flaw::Refused { name, offset: self.offset }
    }

    /// Counts work and memory.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Flaw> {
        self.steps += steps as u64;
        if self.steps > LIMIT { Err(Flaw::TooLong { limit: LIMIT }) } else { Ok(()) }
    }

    fn protocol(&mut self) -> Result<(), Flaw> {
        match self.input.byte()? {
            2..=5 => Ok(()),
            _ => Err(self.damaged("a protocol that is none of 2 to 5")),
        }
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn make(&mut self, object: Object) {
        let value = self.objects.add(object);
        self.stack.push(value);
    }

    fn make_of_marked(&mut self, object: impl FnOnce(Vec<Value>) -> Object) -> Result<(), Flaw> {
        let items = self.since_mark()?;
        self.make(object(items));
        Ok(())
    }

    fn top(&self) -> Result<Value, Flaw> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.get(bottom..).and_then(<[Value]>::last);
        top.copied().ok_or_else(|| self.damaged("a value is missing"))
    }

    fn pop(&mut self) -> Result<Value, Flaw> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_or_unmark(&mut self) -> Result<(), Flaw> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, Flaw> {
        let mark = self.marks.pop().ok_or_else(|| self.damaged("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn integer(&mut self, code: u8) -> Result<(), Flaw> {
        let value = match code {
            b'J' => i64::from(i32::from_le_bytes(self.input.array()?)),
            b'K' => i64::from(self.input.byte()?),
            b'M' => i64::from(u16::from_le_bytes(self.input.array()?)),
            _ => {
                let length = if code == 0x8a {
                    u64::from(self.input.byte()?)
                } else {
                    u64::from(u32::from_le_bytes(self.input.array()?))
                };
                let bytes = self.input.bytes(length)?;
                if bytes.len() > 8 {
                    self.make(Object::Long(bytes));
                    return Ok(());
                }
                let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
                let mut extended = [if negative { 0xff } else { 0 }; 8];
                extended[..bytes.len()].copy_from_slice(&bytes);
                i64::from_le_bytes(extended)
            }
        };
        self.push(Value::Int(value));
        Ok(())
    }

    /// The length in front of a text or of bytes.
    fn length(&mut self, code: u8) -> Result<u64, Flaw> {
        Ok(match code {
            0x8c | b'U' | b'C' => u64::from(self.input.byte()?),
            0x8d | 0x8e | 0x96 => u64::from_le_bytes(self.input.array()?),
            _ => u64::from(u32::from_le_bytes(self.input.array()?)),
        })
    }

    fn text(&mut self, code: u8) -> Result<(), Flaw> {
        let length = self.length(code)?;
        let bytes = self.input.bytes(length)?;
        let text = String::from_utf8(bytes).map_err(|_| self.damaged("text that is not UTF-8"))?;
        self.make(Object::Text(text));
        Ok(())
    }

    fn append(&mut self, code: u8) -> Result<(), Flaw> {
        let new = if code == b'a' { vec![self.pop()?] } else { self.since_mark()? };
        let top = self.top()?;
        let Some(Object::List(items)) = self.objects.get_mut(top) else {
            return Err(self.damaged("something is appended to what is not a list"));
        };
        items.extend(new);
        Ok(())
    }

    fn dict(&mut self, code: u8) -> Result<(), Flaw> {
        let new = if code == b's' {
            let value = self.pop()?;
            vec![self.pop()?, value]
        } else {
            self.since_mark()?
        };
        if !new.len().is_multiple_of(2) {
            return Err(self.damaged("a key without a value"));
        }
        let new = new.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        if code == b'd' {
            self.make(Object::Dict(Order::Plain, new.collect()));
            return Ok(());
        }
        let top = self.top()?;
        let Some(Object::Dict(_, items)) = self.objects.get_mut(top) else {
            return Err(self.damaged("a key is set in what is not a dictionary"));
        };
        items.extend(new);
        Ok(())
    }

    fn memo(&mut self, code: u8) -> Result<(), Flaw> {
        let place = match code {
            b'h' | b'q' => u32::from(self.input.byte()?),
            b'j' | b'r' => u32::from_le_bytes(self.input.array()?),
            _ => u32::try_from(self.memo.len()).map_err(|_| self.damaged("too many values are remembered"))?,
        };
        if matches!(code, b'h' | b'j') {
            let value = self.memo.get(&place).copied();
            let value = value.ok_or_else(|| self.damaged("a value is recalled that was not remembered"))?;
            self.push(value);
        } else {
            let top = self.top()?;
            self.memo.insert(place, top);
        }
        Ok(())
    }

    fn global(&mut self, code: u8) -> Result<(), Flaw> {
        let (module, name) = if code == b'c' {
            (self.input.line()?, self.input.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            let text = |value| self.objects.text(value).map(start_of);
            let both = text(module).zip(text(name));
            both.ok_or_else(|| self.damaged("the name of a class is not a text"))?
        };
        let global = Global::find(&module, &name).ok_or_else(|| self.refused(format!("{module}.{name}")))?;
        self.push(Value::Global(global));
        Ok(())
    }

    /// `BUILD` sets attributes. A module's state dictionary carries versions there, which nobody here asks for.
    fn build(&mut self) -> Result<(), Flaw> {
        self.pop()?;
        let top = self.top()?;
        match self.objects.get(top) {
            Some(Object::Dict(Order::Ordered, _)) => Ok(()),
            _ => Err(self.refused(format!("BUILD on {}", self.objects.describe(top)))),
        }
    }

    /// Of an instruction that makes an object of a class, or is agreed on elsewhere.
    fn refused_instruction(&mut self, code: u8) -> Flaw {
        let name = match code {
            b'i' => match self.input.line().and_then(|module| Ok((module, self.input.line()?))) {
                Ok((module, name)) => format!("{module}.{name}"),
                Err(flaw) => return flaw,
            },
            b'o' => {
                let class = self.since_mark().ok().and_then(|items| items.first().copied());
                format!("OBJ of {}", class.map_or("nothing".to_owned(), |class| self.objects.describe(class)))
            }
            0x81 | 0x92 => {
                let behind = if code == 0x81 { 1 } else { 2 };
                let class = self.stack.iter().rev().nth(behind).copied();
                format!("NEWOBJ of {}", class.map_or("nothing".to_owned(), |class| self.objects.describe(class)))
            }
            _ => "a class by an extension code".to_owned(),
        };
        self.refused(name)
    }
}
