//! The framing of TFRecord files.
//!
//! A record is the length of its data, a checksum of the length, the data and a checksum of the data:
//! `u64 · u32 · bytes · u32`, little-endian. The checksum is CRC-32C, rotated and shifted by a constant, so that a checksum
//! of data that hold checksums stays a good one.
//!
//! Source: TensorFlow, `core/lib/io/record_writer.cc` and `core/lib/hash/crc32c.h`.

use crc::{CRC_32_ISCSI, Crc};

static CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const MASK: u32 = 0xa282_ead8;

/// The data as a record.
pub(super) fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked_checksum(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_checksum(data).to_le_bytes());
    record
}

fn masked_checksum(data: &[u8]) -> u32 {
    CRC_32C.checksum(data).rotate_right(15).wrapping_add(MASK)
}

/// The data of all records; none if one is torn or damaged.
#[cfg(test)]
pub(super) fn unframe(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let (length_sum, rest) = rest.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let (data_sum, rest) = rest.split_first_chunk::<4>()?;
        if [masked_checksum(length), masked_checksum(data)] != [length_sum, data_sum].map(|s| u32::from_le_bytes(*s)) {
            return None;
        }
        found.push(data.to_vec());
        bytes = rest;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The catalogue's check value, and 32 zeros from RFC 3720, B.4.
        assert_eq!(CRC_32C.checksum(b"123456789"), 0xe306_9283);
        assert_eq!(CRC_32C.checksum(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn records_come_back_as_they_went() {
        let data = [vec![], vec![7], (0..=255).collect::<Vec<u8>>()];
        let bytes: Vec<u8> = data.iter().flat_map(|d| frame(d)).collect();
        assert_eq!(unframe(&bytes).unwrap(), data);
    }

    #[test]
    fn a_changed_byte_or_a_torn_end_is_noticed() {
        let whole = frame(b"an event");
        for k in 0..whole.len() {
            let mut changed = whole.clone();
            changed[k] ^= 1;
            assert!(unframe(&changed).is_none(), "byte {k}");
            assert!(k == 0 || unframe(&whole[..k]).is_none(), "first {k} bytes");
        }
    }
}
