//! Good files are read as written; every kind of damage is refused with both values.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// An idx file of `sizes` and `data`, uncompressed.
pub(crate) fn idx_bytes(magic: u32, sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut out = magic.to_be_bytes().to_vec();
    for size in sizes {
        out.extend(size.to_be_bytes());
    }
    out.extend(data);
    out
}

/// `bytes` as one gzip member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sample() -> Vec<u8> {
    let data: Vec<u8> = (0..24).collect();
    idx_bytes(IMAGE_MAGIC, &[2, 3, 4], &data)
}

fn images(bytes: &[u8]) -> Result<Array3<u8>, IdxError> {
    parse_images(Path::new("dir/some-images"), bytes)
}

fn labels(bytes: &[u8]) -> Result<Vec<u8>, IdxError> {
    parse_labels(Path::new("dir/some-labels"), bytes)
}

#[test]
fn raw_and_gzip_give_the_same_images() {
    for bytes in [sample(), gzip(&sample())] {
        let read = images(&bytes).unwrap();
        assert_eq!(read.dim(), (2, 3, 4));
        assert_eq!(read[[1, 2, 3]], 23);
        assert_eq!(read[[0, 1, 2]], 6);
    }
}

#[test]
fn labels_are_read_and_bounded() {
    assert_eq!(labels(&gzip(&idx_bytes(LABEL_MAGIC, &[3], &[9, 0, 4]))).unwrap(), [9, 0, 4]);
    let error = labels(&idx_bytes(LABEL_MAGIC, &[3], &[9, 10, 4])).unwrap_err();
    assert!(matches!(error, IdxError::Label { index: 1, found: 10, max: 9, .. }), "{error}");
}

#[test]
fn another_magic_number_is_refused() {
    let error = images(&idx_bytes(LABEL_MAGIC, &[3], &[1, 2, 3])).unwrap_err();
    assert!(matches!(error, IdxError::Magic { expected: 0x803, found: 0x801, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("some-images") && text.contains("0x00000803"), "{text}");
    assert!(text.contains("0x00000801"), "{text}");
    assert!(matches!(images(b"<html>").unwrap_err(), IdxError::Magic { .. }));
}

#[test]
fn every_truncation_is_refused() {
    let good = sample();
    for cut in 0..good.len() {
        let error = images(&good[..cut]).unwrap_err();
        assert!(matches!(error, IdxError::Truncated { .. }), "{cut}: {error}");
    }
    let error = images(&good[..good.len() - 5]).unwrap_err();
    assert!(matches!(error, IdxError::Truncated { expected: 24, found: 19, .. }), "{error}");
}

#[test]
fn every_truncation_of_the_gzip_file_is_refused() {
    let packed = gzip(&sample());
    for cut in 0..packed.len() {
        assert!(images(&packed[..cut]).is_err(), "{cut}");
    }
    let error = images(&packed[..packed.len() - 1]).unwrap_err();
    assert!(matches!(error, IdxError::Gzip { expected: 24, .. }), "{error}");
}

#[test]
fn no_flipped_byte_of_the_gzip_file_changes_an_image_unseen() {
    let good = gzip(&sample());
    let truth = images(&good).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        // Some bits carry no data (time and system in the header, padding): the images must then be right.
        if let Ok(read) = images(&bad) {
            assert!(read == truth, "byte {at}");
        }
    }
}

#[test]
fn trailing_bytes_are_refused_inside_and_outside_the_gzip_member() {
    let mut long = sample();
    long.push(0);
    for bytes in [long.clone(), gzip(&long)] {
        let error = images(&bytes).unwrap_err();
        assert!(matches!(error, IdxError::Trailing { expected: 24, .. }), "{error}");
    }
    let mut packed = gzip(&sample());
    let good = packed.len();
    packed.extend([1, 2, 3]);
    let text = images(&packed).unwrap_err().to_string();
    assert!(text.contains(&good.to_string()) && text.contains(&(good + 3).to_string()), "{text}");
}

#[test]
fn absurd_and_empty_dimensions_are_refused_before_memory_is_taken() {
    for sizes in [[u32::MAX, u32::MAX, u32::MAX], [1 << 20, 1 << 10, 2], [0, 28, 28], [5, 0, 28]] {
        let error = images(&gzip(&idx_bytes(IMAGE_MAGIC, &sizes, &[0; 64]))).unwrap_err();
        assert!(matches!(error, IdxError::Dimensions { .. }), "{sizes:?}: {error}");
    }
    let claims = idx_bytes(IMAGE_MAGIC, &[1 << 10, 1 << 10, 1 << 10], &[0; 64]);
    let error = images(&claims).unwrap_err();
    assert!(matches!(error, IdxError::Truncated { found: 64, .. }), "{error}");
}
