//! A part of a file, read forward; nothing is allocated before the part is known to be long enough.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::error::Flaw;

/// Longest line of text, the name of a module or class.
const LINE: usize = 512;

#[derive(Debug)]
pub(super) struct Input<'a> {
    reader: BufReader<&'a File>,
    at: u64,
    end: u64,
}

impl<'a> Input<'a> {
    /// Bytes `start..end` of the file.
    pub(super) fn new(mut file: &'a File, start: u64, end: u64) -> Result<Self, Flaw> {
        file.seek(SeekFrom::Start(start))?;
        Ok(Self { reader: BufReader::new(file), at: start, end })
    }

    /// Where the next byte lies in the file.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        self.claim(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Flaw> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Flaw> {
        let length = self.claim(count)?;
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        self.at += count;
        Ok(bytes)
    }

    pub(super) fn skip(&mut self, count: u64) -> Result<(), Flaw> {
        self.claim(count)?;
        self.reader.seek_relative(count.cast_signed())?;
        self.at += count;
        Ok(())
    }

    /// Text up to the end of the line, which is left out.
    pub(super) fn line(&mut self) -> Result<String, Flaw> {
        let start = self.at;
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                _ if line.len() == LINE => return Err(Flaw::Pickle { offset: start, reason: "a name without end" }),
                byte => line.push(byte),
            }
        }
        String::from_utf8(line).map_err(|_| Flaw::Pickle { offset: start, reason: "text that is not UTF-8" })
    }

    fn claim(&self, count: u64) -> Result<usize, Flaw> {
        let available = self.end - self.at;
        let short = Flaw::Truncated { offset: self.at, wanted: count, available };
        if count > available {
            return Err(short);
        }
        usize::try_from(count).map_err(|_| short)
    }
}
