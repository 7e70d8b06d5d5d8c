//! SHA-256 of bytes, and of a file piece by piece.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::PthError;
use super::{Flaw, at};

/// The SHA-256 of bytes in lower-case hexadecimal digits.
pub(crate) fn sha256_of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// The SHA-256 of a file in lower-case hexadecimal digits.
///
/// # Errors
/// If it cannot be read.
pub fn sha256_of(path: &Path) -> Result<String, PthError> {
    at(path, |mut file, _, _| {
        std::io::Seek::rewind(&mut file)?;
        let mut hasher = Sha256::new();
        std::io::copy(&mut file, &mut hasher).map_err(Flaw::Io)?;
        Ok(hex(&hasher.finalize()))
    })
}
