//! Whether CUDA's matrix products and convolutions may round f32 to TF32: a setting of the whole process, as in PyTorch.

use std::ffi::{c_char, c_int};

use super::called;
use crate::Result;

unsafe extern "C" {
    fn dale_set_tf32(allowed: c_int, error: *mut c_char, error_size: usize) -> c_int;
    #[cfg(test)]
    fn dale_tf32(allowed: *mut c_int, error: *mut c_char, error_size: usize) -> c_int;
}

/// Allows or forbids TF32.
pub(crate) fn set_tf32(allowed: bool) -> Result<()> {
    // SAFETY: no pointers but the error's buffer.
    called(|error, size| unsafe { dale_set_tf32(c_int::from(allowed), error, size) })
}

/// Whether TF32 is allowed for both matrix products and convolutions.
#[cfg(test)]
fn tf32() -> Result<bool> {
    let mut allowed = 0;
    // SAFETY: the shim writes one int to a live place.
    called(|error, size| unsafe { dale_tf32(&raw mut allowed, error, size) })?;
    Ok(allowed == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_kept() {
        for wanted in [true, false] {
            set_tf32(wanted).unwrap();
            assert_eq!(tf32().unwrap(), wanted);
        }
    }
}
