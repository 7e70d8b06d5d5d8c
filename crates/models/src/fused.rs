//! libtorch's fused Adam: one pass over weights, gradient and moments, on CPU and CUDA.
//!
//! `tch` does not bind it; `shim/fused_adam.cpp` does.

use std::ffi::{CStr, c_char, c_double, c_int};

use tch::{Kind, Tensor};
use torch_sys::C_tensor;

use crate::optim::AdamConfig;
use crate::{ModelError, Result};

unsafe extern "C" {
    fn dale_fused_adam(
        weights: *mut C_tensor,
        gradient: *const C_tensor,
        mean: *mut C_tensor,
        square: *mut C_tensor,
        step: *const C_tensor,
        rate: c_double,
        beta1: c_double,
        beta2: c_double,
        epsilon: c_double,
        error: *mut c_char,
        error_size: usize,
    ) -> c_int;
}

/// What a step reads and changes: f32, contiguous, of one length, on one device.
pub(crate) struct Buffers<'a> {
    pub(crate) weights: &'a mut Tensor,
    pub(crate) gradient: &'a Tensor,
    pub(crate) mean: &'a mut Tensor,
    pub(crate) square: &'a mut Tensor,
}

/// One step of Adam, the `step`-th from 1; bias corrections included.
///
/// # Errors
/// [`ModelError::Shape`] if the buffers differ in length, [`ModelError::Buffer`] if one is not contiguous f32 on the device of the
/// weights; libtorch's own message otherwise.
pub(crate) fn adam(buffers: Buffers<'_>, step: u64, rate: f64, config: AdamConfig) -> Result<()> {
    let Buffers { weights, gradient, mean, square } = buffers;
    for (what, buffer) in [("weights", &*weights), ("gradient", gradient), ("mean", &*mean), ("square", &*square)] {
        if buffer.kind() != Kind::Float || buffer.device() != weights.device() || !buffer.is_contiguous() {
            let found = format!("{:?} on {:?}, contiguous: {}", buffer.kind(), buffer.device(), buffer.is_contiguous());
            return Err(ModelError::Buffer { what, found });
        }
    }
    for other in [gradient, &*mean, &*square] {
        if other.size() != weights.size() {
            return Err(ModelError::Shape { what: "Adam's buffers", expected: weights.size(), found: other.size() });
        }
    }
    // libtorch counts steps in f32, exact to 2²⁴; by then the bias corrections are 1 for every decay below 1 − 1e-6.
    let count = Tensor::f_from_slice(&[step.min(1 << 24) as f32])?.f_to_device(weights.device())?;
    let count = count.f_view([] as [i64; 0])?.f_to_kind(Kind::Float)?;
    let mut error = [0 as c_char; 1024];
    // SAFETY: all pointers are to live tensors, contiguous f32 of one length on one device (checked above: the kernel walks
    // their storage), which the shim borrows for the call only; it writes at most `error.len()` bytes with a final zero, and
    // lets no exception through.
    let failed = unsafe {
        dale_fused_adam(
            weights.as_mut_ptr(),
            gradient.as_ptr(),
            mean.as_mut_ptr(),
            square.as_mut_ptr(),
            count.as_ptr(),
            rate,
            config.beta1,
            config.beta2,
            config.epsilon,
            error.as_mut_ptr(),
            error.len(),
        )
    };
    if failed == 0 {
        return Ok(());
    }
    // SAFETY: the shim has ended the text with a zero inside `error`.
    let text = unsafe { CStr::from_ptr(error.as_ptr()) }.to_string_lossy().into_owned();
    Err(tch::TchError::Torch(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn buffers_that_the_kernel_could_not_walk_are_refused() {
        let zeros = |kind| Tensor::zeros([6], (kind, Device::Cpu));
        let step = |gradient: &Tensor| {
            let (mut weights, mut mean, mut square) = (zeros(Kind::Float), zeros(Kind::Float), zeros(Kind::Float));
            let buffers = Buffers { weights: &mut weights, gradient, mean: &mut mean, square: &mut square };
            adam(buffers, 1, 0.1, AdamConfig::default())
        };
        step(&zeros(Kind::Float)).unwrap();
        let expanded = Tensor::zeros([1], (Kind::Float, Device::Cpu)).expand([6], false);
        assert!(matches!(step(&expanded), Err(ModelError::Buffer { what: "gradient", .. })));
        assert!(matches!(step(&zeros(Kind::Double)), Err(ModelError::Buffer { what: "gradient", .. })));
        assert!(matches!(step(&Tensor::zeros([5], (Kind::Float, Device::Cpu))), Err(ModelError::Shape { .. })));
    }
}
