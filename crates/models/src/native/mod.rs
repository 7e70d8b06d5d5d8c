//! What libtorch has and its Rust bindings lack, through small C++ functions in `shim/`.
//!
//! | file | idea |
//! |---|---|
//! | `adam.rs` | libtorch's fused Adam and AdamW, with the flag that skips a step |
//! | `bytes.rs` | a tensor's memory as bytes |
//! | `gradient.rs` | a leaf is given the storage of its gradient |
//! | `attention.rs` | attention over the positions of a small feature map |
//! | `norm_silu.rs` | group normalization, scale and shift, and perhaps SiLU in one pass |
//! | `context.rs` | TF32 on or off |

use std::ffi::{CStr, c_char, c_int};

use crate::Result;

pub(crate) mod adam;
pub(crate) mod attention;
pub(crate) mod bytes;
pub(crate) mod context;
pub(crate) mod gradient;
pub(crate) mod norm_silu;

/// Calls a function of the shim with a buffer for its message; turns a failure into an error with that message.
fn called(call: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<()> {
    let mut error = [0 as c_char; 1024];
    if call(error.as_mut_ptr(), error.len()) == 0 {
        return Ok(());
    }
    // The shim has ended the text; so has this line, should it not have.
    error[error.len() - 1] = 0;
    // SAFETY: the buffer is alive and ends with a zero.
    let text = unsafe { CStr::from_ptr(error.as_ptr()) }.to_string_lossy().into_owned();
    Err(tch::TchError::Torch(text).into())
}
