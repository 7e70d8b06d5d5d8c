//! Kinds of numbers, as little-endian bytes.

use half::{bf16, f16};

/// Kind of the numbers of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Double precision.
    F64,
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// Half precision with the range of single precision.
    Bf16,
    /// Integers of 64 bits; those above 2²⁴ are rounded.
    I64,
    /// Integers of 32 bits; those above 2²⁴ are rounded.
    I32,
    /// Integers of 16 bits.
    I16,
    /// Integers of 8 bits.
    I8,
    /// Bytes, and truth values as 0 and 1.
    U8,
}

impl Kind {
    /// The kind of a class such as `torch.FloatStorage`.
    pub(super) fn of_class(name: &str) -> Option<Self> {
        Some(match name {
            "torch.DoubleStorage" => Self::F64,
            "torch.FloatStorage" => Self::F32,
            "torch.HalfStorage" => Self::F16,
            "torch.BFloat16Storage" => Self::Bf16,
            "torch.LongStorage" => Self::I64,
            "torch.IntStorage" => Self::I32,
            "torch.ShortStorage" => Self::I16,
            "torch.CharStorage" => Self::I8,
            "torch.ByteStorage" | "torch.BoolStorage" => Self::U8,
            _ => return None,
        })
    }

    /// Bytes of one number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }

    /// Appends the numbers of `bytes`.
    pub(super) fn extend(self, to: &mut Vec<f32>, bytes: &[u8]) {
        fn all<const N: usize>(to: &mut Vec<f32>, bytes: &[u8], of: impl Fn([u8; N]) -> f32) {
            to.extend(bytes.chunks_exact(N).filter_map(|chunk| chunk.try_into().ok()).map(of));
        }
        match self {
            Self::F64 => all(to, bytes, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => all(to, bytes, f32::from_le_bytes),
            Self::F16 => all(to, bytes, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => all(to, bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Self::I64 => all(to, bytes, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => all(to, bytes, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => all(to, bytes, |b| f32::from(i16::from_le_bytes(b))),
            Self::I8 => all(to, bytes, |b| f32::from(i8::from_le_bytes(b))),
            Self::U8 => all(to, bytes, |[b]| f32::from(b)),
        }
    }
}
