//! The idx format of the MNIST family, read with every check that the format allows.
//!
//! A file is a big-endian header followed by unsigned bytes, row-major, alone or inside one gzip member:
//!
//! ```text
//! 00 00 08 k      magic: two zero bytes, type 08 (unsigned byte), k dimensions
//! n_1 … n_k       k sizes, 32 bits each
//! data            n_1 · … · n_k bytes, then nothing more
//! ```
//!
//! Images have `k = 3` (`N × H × W`), labels have `k = 1`. Source: Y. LeCun, C. Cortes, C. J. C. Burges,
//! *The MNIST database of handwritten digits*, section "File formats".

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use ndarray::Array3;
use thiserror::Error;

/// Magic number of an image file: unsigned bytes in three dimensions.
pub const IMAGE_MAGIC: u32 = 0x0803;
/// Magic number of a label file: unsigned bytes in one dimension.
pub const LABEL_MAGIC: u32 = 0x0801;
/// Largest data section that is read, in bytes (1 GiB): a larger claim is a damaged or hostile header.
pub const MAX_BYTES: u64 = 1 << 30;
/// Labels are below this number.
pub const CLASSES: u8 = 10;

/// Why an idx file was refused. Each message names the file, what was expected and what was found.
#[derive(Debug, Error)]
#[allow(missing_docs)] // The fields are what the messages say.
pub enum IdxError {
    #[error(
        "{file}: not an idx file of this kind: expected magic number {expected:#010x}, found {found:#010x}",
        file = file.display()
    )]
    Magic { file: PathBuf, expected: u32, found: u32 },
    #[error(
        "{file}: {part} is cut short: expected {expected} bytes, found {found}",
        file = file.display()
    )]
    Truncated { file: PathBuf, part: &'static str, expected: u64, found: u64 },
    #[error(
        "{file}: trailing bytes after {part}: expected {expected} bytes, found {found}",
        file = file.display()
    )]
    Trailing { file: PathBuf, part: &'static str, expected: u64, found: String },
    #[error(
        "{file}: impossible dimensions: expected sizes of at least 1 with a product of at most {limit}, found {sizes:?}",
        file = file.display()
    )]
    Dimensions { file: PathBuf, limit: u64, sizes: Vec<u32> },
    #[error(
        "{file}: gzip data are damaged: expected {expected} bytes inside, found {found} good ones, then: {source}",
        file = file.display()
    )]
    Gzip { file: PathBuf, expected: u64, found: u64, source: io::Error },
    #[error(
        "{file}: label {index} is out of range: expected 0 to {max}, found {found}",
        file = file.display()
    )]
    Label { file: PathBuf, index: usize, max: u8, found: u8 },
    #[error(
        "{images_file} and {labels_file} do not belong together: expected one label for each of {images} images, found {labels} labels",
        images_file = images_file.display(),
        labels_file = labels_file.display()
    )]
    Counts { images_file: PathBuf, images: usize, labels_file: PathBuf, labels: usize },
}

/// Reads an image file from its `bytes` (gzip or raw, told apart by content); `file` only names it in errors.
///
/// Returns the images as `N × H × W` bytes, 0 is background.
///
/// # Errors
/// [`IdxError`], whatever the bytes are; memory stays within what the data really hold.
pub fn parse_images(file: &Path, bytes: &[u8]) -> Result<Array3<u8>, IdxError> {
    let (sizes, data) = parse::<3>(file, bytes, IMAGE_MAGIC)?;
    let [n, h, w] = sizes.map(|s| s as usize);
    Array3::from_shape_vec((n, h, w), data).map_err(|_| IdxError::Dimensions {
        file: file.to_owned(),
        limit: MAX_BYTES,
        sizes: sizes.to_vec(),
    })
}

/// Reads a label file from its `bytes` (gzip or raw); `file` only names it in errors.
///
/// # Errors
/// [`IdxError`]; labels of [`CLASSES`] or more are refused.
pub fn parse_labels(file: &Path, bytes: &[u8]) -> Result<Vec<u8>, IdxError> {
    let (_, labels) = parse::<1>(file, bytes, LABEL_MAGIC)?;
    match labels.iter().position(|&l| l >= CLASSES) {
        None => Ok(labels),
        Some(index) => Err(IdxError::Label { file: file.to_owned(), index, max: CLASSES - 1, found: labels[index] }),
    }
}

fn parse<const K: usize>(file: &Path, bytes: &[u8], magic: u32) -> Result<([u32; K], Vec<u8>), IdxError> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut rest = bytes;
        let result = read_stream(file, &mut GzDecoder::new(&mut rest), magic)?;
        if !rest.is_empty() {
            return Err(IdxError::Trailing {
                file: file.to_owned(),
                part: "the gzip member",
                expected: (bytes.len() - rest.len()) as u64,
                found: bytes.len().to_string(),
            });
        }
        Ok(result)
    } else {
        read_stream(file, &mut &bytes[..], magic)
    }
}

fn read_stream<const K: usize>(
    file: &Path,
    stream: &mut dyn Read,
    magic: u32,
) -> Result<([u32; K], Vec<u8>), IdxError> {
    let header_len = 4 + 4 * K as u64;
    let header = read_up_to(file, stream, header_len, header_len)?;
    let word = |i: usize| -> Option<u32> {
        let four = header.get(4 * i..4 * i + 4)?;
        Some(four.iter().fold(0, |all, &b| (all << 8) | u32::from(b)))
    };
    // The magic number comes first: a file of another kind may also be too short.
    if let Some(found) = word(0).filter(|&found| found != magic) {
        return Err(IdxError::Magic { file: file.to_owned(), expected: magic, found });
    }
    let mut sizes = [0u32; K];
    for (i, size) in sizes.iter_mut().enumerate() {
        *size = word(i + 1).ok_or_else(|| IdxError::Truncated {
            file: file.to_owned(),
            part: "the header",
            expected: header_len,
            found: header.len() as u64,
        })?;
    }
    let product = sizes.iter().try_fold(1u64, |all, &s| all.checked_mul(u64::from(s)));
    let expected = match product {
        Some(p) if (1..=MAX_BYTES).contains(&p) => p,
        _ => {
            return Err(IdxError::Dimensions { file: file.to_owned(), limit: MAX_BYTES, sizes: sizes.to_vec() });
        }
    };
    let data = read_up_to(file, stream, expected + 1, expected)?;
    let found = data.len() as u64;
    if found < expected {
        return Err(IdxError::Truncated { file: file.to_owned(), part: "the data", expected, found });
    }
    if found > expected {
        return Err(IdxError::Trailing {
            file: file.to_owned(),
            part: "the data",
            expected,
            found: format!("at least {found}"),
        });
    }
    Ok((sizes, data))
}

/// Reads until `limit` bytes or the end. The buffer grows with what is there, not with what a header claims.
fn read_up_to(file: &Path, stream: &mut dyn Read, limit: u64, expected: u64) -> Result<Vec<u8>, IdxError> {
    let mut data = Vec::new();
    match stream.take(limit).read_to_end(&mut data) {
        Ok(_) => Ok(data),
        Err(source) => Err(IdxError::Gzip { file: file.to_owned(), expected, found: data.len() as u64, source }),
    }
}

#[cfg(test)]
#[path = "idx_tests.rs"]
pub(super) mod tests;
