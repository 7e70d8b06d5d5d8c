//! Protocol buffers, as far as events need them.
//!
//! A message is a sequence of fields, each a key `8 · number / 8 + kind` and a value: kind 0 is a variable-length integer
//! (seven bits a byte, low ones first), 1 is eight bytes, 2 is a length and as many bytes, 5 is four bytes.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>

/// A message, grown field by field.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// An integer or an enumerator.
    pub(super) fn integer(mut self, field: u32, value: u64) -> Self {
        self.key(field, 0);
        self.varint(value);
        self
    }

    /// A double.
    pub(super) fn double(mut self, field: u32, value: f64) -> Self {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A float.
    pub(super) fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Bytes or a string.
    pub(super) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// A message within.
    pub(super) fn message(self, field: u32, value: Message) -> Self {
        self.bytes(field, &value.0)
    }

    /// Doubles, packed.
    pub(super) fn doubles(self, field: u32, values: impl Iterator<Item = f64>) -> Self {
        self.bytes(field, &values.flat_map(f64::to_le_bytes).collect::<Vec<u8>>())
    }

    /// The message as it is written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_encoding_guide() {
        let inner = || Message::default().integer(1, 150);
        assert_eq!(inner().into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().bytes(2, b"testing").into_bytes(), b"\x12\x07testing");
        assert_eq!(Message::default().message(3, inner()).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn integers_of_every_length() {
        for bits in 0..64 {
            let bytes = Message::default().integer(1, 1 << bits).into_bytes();
            assert_eq!(bytes.len(), 2 + bits / 7);
            let back = bytes[1..].iter().rev().fold(0, |all, &b| all << 7 | u64::from(b & 0x7f));
            assert_eq!(back, 1 << bits);
        }
    }

    #[test]
    fn numbers_are_little_endian() {
        assert_eq!(Message::default().float(2, 1.0).into_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
        assert_eq!(Message::default().double(1, 1.0).into_bytes(), [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        let packed = Message::default().doubles(6, [0.0, 1.0].into_iter()).into_bytes();
        assert_eq!(packed, [0x32, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }
}
