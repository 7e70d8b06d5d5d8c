//! The entries of an uncompressed zip archive, which is what torch.save makes.
//!
//! Records as in PKWARE's APPNOTE.TXT, 4.3 and 4.5.3. Every position and length is compared with the file's length.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crc::{CRC_32_ISO_HDLC, Crc, Table};

use super::error::Flaw;
use super::input::Input;
use super::object::start_of;

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// Length of the end record without its comment.
const END: u64 = 22;
/// Length of the pointer to the 64-bit end record.
const LOCATOR: u64 = 20;
/// Stands for a number that is elsewhere in 64 bits.
const ELSEWHERE: u64 = 0xffff_ffff;
/// Bytes read at once.
const PIECE: u64 = 1 << 18;

#[derive(Clone, Copy, Debug)]
struct Entry {
    header: u64,
    size: u64,
    crc: u32,
}

#[derive(Debug)]
pub(super) struct Archive<'a> {
    file: &'a File,
    length: u64,
    entries: HashMap<String, Entry>,
}

fn damaged(reason: impl Into<String>) -> Flaw {
    Flaw::Zip { reason: reason.into() }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Flaw> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Flaw> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Flaw> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Flaw> {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or_else(|| damaged("a record is cut short"))
}

impl<'a> Archive<'a> {
    pub(super) fn open(file: &'a File, length: u64) -> Result<Self, Flaw> {
        let (start, size) = directory(file, length)?;
        let end = start.checked_add(size).filter(|&end| end <= length);
        let end = end.ok_or_else(|| damaged("its directory lies beyond the file's end"))?;
        let bytes = Input::new(file, start, end)?.bytes(size)?;
        let mut entries = HashMap::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (name, entry, used) = read_entry(rest)?;
            if entries.insert(name.clone(), entry).is_some() {
                return Err(damaged(format!("two entries are called {name}")));
            }
            rest = rest.get(used..).ok_or_else(|| damaged("a record is cut short"))?;
        }
        Ok(Self { file, length, entries })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// First byte in the file and length of an entry whose check sum is right.
    pub(super) fn find(&self, name: &str) -> Result<Option<(u64, u64)>, Flaw> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let end = entry.header.checked_add(30).filter(|&end| end <= self.length);
        let end = end.ok_or_else(|| damaged(format!("{name} lies beyond the file's end")))?;
        let header: [u8; 30] = Input::new(self.file, entry.header, end)?.array()?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(damaged(format!("{name} is not where the directory says")));
        }
        let start = end + u64::from(u16_at(&header, 26)?) + u64::from(u16_at(&header, 28)?);
        if start.checked_add(entry.size).is_none_or(|end| end > self.length) {
            return Err(damaged(format!("{name} of {} bytes lies beyond the file's end", entry.size)));
        }
        self.check(name, start, *entry)?;
        Ok(Some((start, entry.size)))
    }

    /// A sum of zero says that none was computed (`torch.serialization.set_crc32_options`).
    fn check(&self, name: &str, start: u64, entry: Entry) -> Result<(), Flaw> {
        if entry.crc == 0 {
            return Ok(());
        }
        let mut file = self.file;
        file.seek(SeekFrom::Start(start))?;
        let mut digest = CRC.digest();
        let mut piece = vec![0; entry.size.min(PIECE) as usize];
        let mut left = entry.size;
        while left > 0 {
            let piece = &mut piece[..left.min(PIECE) as usize];
            file.read_exact(piece)?;
            digest.update(piece);
            left -= piece.len() as u64;
        }
        let found = digest.finalize();
        if found != entry.crc {
            return Err(Flaw::CheckSum { entry: name.to_owned(), expected: entry.crc, found });
        }
        Ok(())
    }
}

/// Where the directory starts, and its length.
fn directory(file: &File, length: u64) -> Result<(u64, u64), Flaw> {
    let from = length.saturating_sub(END + u64::from(u16::MAX) + LOCATOR);
    let tail = Input::new(file, from, length)?.bytes(length - from)?;
    let ends_here = |&at: &usize| {
        let comment = u16_at(&tail, at + 20).ok().map(usize::from);
        tail[at..].starts_with(b"PK\x05\x06") && comment.is_some_and(|n| at + END as usize + n == tail.len())
    };
    let at = (0..tail.len()).rev().find(ends_here);
    let at = at.ok_or_else(|| damaged("its end is missing: the file is cut short"))?;
    let (size, start) = (u64::from(u32_at(&tail, at + 12)?), u64::from(u32_at(&tail, at + 16)?));
    let locator = at.checked_sub(LOCATOR as usize).filter(|&l| tail[l..].starts_with(b"PK\x06\x07"));
    let Some(locator) = locator.filter(|_| size == ELSEWHERE || start == ELSEWHERE) else { return Ok((start, size)) };
    let record = u64_at(&tail, locator + 8)?;
    let end = record.checked_add(56).filter(|&end| end <= length);
    let end = end.ok_or_else(|| damaged("its end record lies beyond the file's end"))?;
    let record: [u8; 56] = Input::new(file, record, end)?.array()?;
    if !record.starts_with(b"PK\x06\x06") {
        return Err(damaged("its end record is not where it should be"));
    }
    Ok((u64_at(&record, 48)?, u64_at(&record, 40)?))
}

/// Name, entry and length of the directory's first record.
fn read_entry(bytes: &[u8]) -> Result<(String, Entry, usize), Flaw> {
    if !bytes.starts_with(b"PK\x01\x02") {
        return Err(damaged("its directory has a record that is none"));
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| u16_at(bytes, at).map(usize::from));
    let (name, extra, comment) = (46..46 + name?, extra?, comment?);
    let text = bytes.get(name.clone()).ok_or_else(|| damaged("a record is cut short"))?;
    let text = String::from_utf8(text.to_vec()).map_err(|_| damaged("a name is not UTF-8"))?;
    let method = u16_at(bytes, 10)?;
    if method != 0 {
        return Err(Flaw::Compressed { entry: start_of(&text), method });
    }
    if u16_at(bytes, 8)? & 1 != 0 {
        return Err(damaged(format!("{} is encrypted", start_of(&text))));
    }
    let mut numbers = [24, 20, 42].map(|at| u32_at(bytes, at).map(u64::from));
    let extra = name.end..name.end + extra;
    let fields = bytes.get(extra.clone()).ok_or_else(|| damaged("a record is cut short"))?;
    wide(fields, &mut numbers)?;
    let [size, packed, header] = numbers;
    let (size, packed, header) = (size?, packed?, header?);
    if size != packed {
        return Err(damaged(format!("{} has two lengths, {size} and {packed}", start_of(&text))));
    }
    Ok((text, Entry { header, size, crc: u32_at(bytes, 16)? }, extra.end + comment))
}

/// Fills in the numbers that are elsewhere: in the extra field of kind 1, in this order.
fn wide(mut fields: &[u8], numbers: &mut [Result<u64, Flaw>; 3]) -> Result<(), Flaw> {
    while fields.len() >= 4 {
        let end = 4 + usize::from(u16_at(fields, 2)?);
        let field = fields.get(4..end).ok_or_else(|| damaged("a record is cut short"))?;
        if u16_at(fields, 0)? == 1 {
            let mut at = 0;
            for number in numbers.iter_mut().filter(|n| matches!(n, Ok(ELSEWHERE))) {
                *number = Ok(u64_at(field, at)?);
                at += 8;
            }
        }
        fields = &fields[end..];
    }
    Ok(())
}
