//! A leaf is given the storage of its gradient, once; every backward pass then adds to it in place.

use std::ffi::{c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use super::called;
use crate::Result;

unsafe extern "C" {
    fn dale_set_gradient(
        leaf: *mut C_tensor,
        gradient: *const C_tensor,
        error: *mut c_char,
        error_size: usize,
    ) -> c_int;
}

/// Makes `gradient` (shape, kind and device of `leaf`) the place where the gradient of `leaf` accumulates.
///
/// # Errors
/// libtorch's message if they do not fit.
pub(crate) fn set_gradient(leaf: &mut Tensor, gradient: &Tensor) -> Result<()> {
    // SAFETY: both are live tensors; the shim copies the handle, which keeps the storage alive.
    called(|error, size| unsafe { dale_set_gradient(leaf.as_mut_ptr(), gradient.as_ptr(), error, size) })
}
