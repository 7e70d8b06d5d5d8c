//! Checksums of files: SHA-256 (FIPS 180-4), or MD5 (RFC 1321) where the publisher gives nothing better.

use std::fmt;

use md5::Md5;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The published or registered checksum of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256, 64 lower-case hexadecimal digits.
    Sha256(String),
    /// MD5, 32 lower-case hexadecimal digits. Used only where no SHA-256 is known.
    Md5(String),
}

impl Checksum {
    /// A SHA-256 as a user wrote it; `None` unless it is 64 hexadecimal digits.
    pub fn parse_sha256(text: &str) -> Option<Self> {
        let hex = text.trim().to_ascii_lowercase();
        let good = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        good.then_some(Self::Sha256(hex))
    }

    /// The hexadecimal digits.
    pub fn hex(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::Md5(hex) => hex,
        }
    }

    /// The checksum of `bytes` by the same algorithm as `self`.
    pub fn of_same_kind(&self, bytes: &[u8]) -> Self {
        match self {
            Self::Sha256(_) => Self::Sha256(sha256_hex(bytes)),
            Self::Md5(_) => Self::Md5(hex(&Md5::digest(bytes))),
        }
    }

    /// `Ok` where `bytes` have this checksum, otherwise the checksum they have.
    ///
    /// # Errors
    /// The checksum found, of the same kind.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Self> {
        let found = self.of_same_kind(bytes);
        if found == *self { Ok(()) } else { Err(found) }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(hex) => write!(f, "SHA-256 {hex}"),
            Self::Md5(hex) => write!(f, "MD5 {hex}"),
        }
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self {
            Self::Sha256(hex) => format!("sha256:{hex}"),
            Self::Md5(hex) => format!("md5:{hex}"),
        };
        serializer.serialize_str(&text)
    }
}

/// SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of the parts one after the other, as 64 lower-case hexadecimal digits.
pub fn sha256_hex_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-4 and RFC 1321 give these for "abc".
    const ABC_SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const ABC_MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

    #[test]
    fn known_answers() {
        assert_eq!(sha256_hex(b"abc"), ABC_SHA);
        assert_eq!(sha256_hex_of_parts([&b"a"[..], b"bc"]), ABC_SHA);
        assert_eq!(Checksum::Md5(ABC_MD5.into()).check(b"abc"), Ok(()));
        let wrong = Checksum::Sha256(ABC_SHA.into()).check(b"abd");
        assert_eq!(wrong, Err(Checksum::Sha256(sha256_hex(b"abd"))));
    }

    #[test]
    fn a_users_checksum_is_checked_for_form() {
        let upper = ABC_SHA.to_ascii_uppercase();
        assert_eq!(Checksum::parse_sha256(&upper), Some(Checksum::Sha256(ABC_SHA.into())));
        assert_eq!(Checksum::parse_sha256(ABC_MD5), None);
        assert_eq!(Checksum::parse_sha256(&ABC_SHA.replace('b', "g")), None);
    }

    #[test]
    fn display_and_json_name_the_algorithm() {
        let sum = Checksum::Md5(ABC_MD5.into());
        assert_eq!(sum.to_string(), format!("MD5 {ABC_MD5}"));
        assert_eq!(serde_json::to_string(&sum).unwrap(), format!("\"md5:{ABC_MD5}\""));
    }
}
