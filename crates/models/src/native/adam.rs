//! libtorch's fused Adam: one pass over weights, gradient and moments, on CPU and CUDA.

use std::ffi::{c_char, c_double, c_int};

use tch::{Kind, Tensor};
use torch_sys::C_tensor;

use super::called;
use crate::optim::AdamConfig;
use crate::{ModelError, Result};

#[repr(C)]
struct Coefficients {
    rate: c_double,
    beta1: c_double,
    beta2: c_double,
    epsilon: c_double,
    weight_decay: c_double,
    decoupled: c_int,
}

unsafe extern "C" {
    fn dale_adam(
        weights: *mut C_tensor,
        gradient: *const C_tensor,
        mean: *mut C_tensor,
        square: *mut C_tensor,
        step: *const C_tensor,
        skip: *const C_tensor,
        coefficients: *const Coefficients,
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

/// One step of Adam or AdamW, the `step`-th from 1; bias corrections included. Where `skip` (one f32) is 1, nothing changes.
///
/// # Errors
/// [`ModelError::Shape`] if the buffers differ in length, [`ModelError::Buffer`] if one is not contiguous f32 on the device of the
/// weights; libtorch's own message otherwise.
pub(crate) fn adam(buffers: Buffers<'_>, skip: &Tensor, step: u64, rate: f64, config: AdamConfig) -> Result<()> {
    let Buffers { weights, gradient, mean, square } = buffers;
    let all = [("weights", &*weights), ("gradient", gradient), ("mean", &*mean), ("square", &*square), ("skip", skip)];
    for (what, buffer) in all {
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
    if skip.numel() != 1 {
        return Err(ModelError::Shape { what: "Adam's flag", expected: vec![1], found: skip.size() });
    }
    // libtorch counts steps in f32, exact to 2²⁴; by then the bias corrections are 1 for every decay below 1 − 1e-6.
    let count = Tensor::f_from_slice(&[step.min(1 << 24) as f32])?.f_view([] as [i64; 0])?;
    let count = count.f_to_device(weights.device())?;
    let coefficients = Coefficients {
        rate,
        beta1: config.beta1,
        beta2: config.beta2,
        epsilon: config.epsilon,
        weight_decay: config.weight_decay,
        decoupled: c_int::from(config.decoupled),
    };
    // SAFETY: all pointers are to live tensors, contiguous f32 of one length on one device (checked above: the kernel walks
    // their storage), which the shim borrows for the call only; it writes at most `size` bytes with a final zero, and lets no
    // exception through.
    called(|error, size| unsafe {
        dale_adam(
            weights.as_mut_ptr(),
            gradient.as_ptr(),
            mean.as_mut_ptr(),
            square.as_mut_ptr(),
            count.as_ptr(),
            skip.as_ptr(),
            &raw const coefficients,
            error,
            size,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn zeros(kind: Kind) -> Tensor {
        Tensor::zeros([6], (kind, Device::Cpu))
    }

    fn step(weights: &mut Tensor, gradient: &Tensor, skip: f32) -> Result<()> {
        let (mut mean, mut square) = (zeros(Kind::Float), zeros(Kind::Float));
        let buffers = Buffers { weights, gradient, mean: &mut mean, square: &mut square };
        adam(buffers, &Tensor::from_slice(&[skip]), 1, 0.1, AdamConfig::default())
    }

    #[test]
    fn buffers_that_the_kernel_could_not_walk_are_refused() {
        let mut weights = zeros(Kind::Float);
        step(&mut weights, &zeros(Kind::Float), 0.0).unwrap();
        let expanded = Tensor::zeros([1], (Kind::Float, Device::Cpu)).expand([6], false);
        assert!(matches!(step(&mut weights, &expanded, 0.0), Err(ModelError::Buffer { what: "gradient", .. })));
        let double = zeros(Kind::Double);
        assert!(matches!(step(&mut weights, &double, 0.0), Err(ModelError::Buffer { what: "gradient", .. })));
        let short = Tensor::zeros([5], (Kind::Float, Device::Cpu));
        assert!(matches!(step(&mut weights, &short, 0.0), Err(ModelError::Shape { .. })));
    }

    #[test]
    fn a_raised_flag_leaves_everything_as_it_was() {
        let mut weights = zeros(Kind::Float);
        step(&mut weights, &Tensor::ones([6], (Kind::Float, Device::Cpu)), 1.0).unwrap();
        assert_eq!(weights.abs().max().double_value(&[]), 0.0);
        step(&mut weights, &Tensor::ones([6], (Kind::Float, Device::Cpu)), 0.0).unwrap();
        assert!(weights.abs().min().double_value(&[]) > 0.0);
    }
}
