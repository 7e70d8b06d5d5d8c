//! Scaled dot-product attention over the positions of a small feature map: one differentiable operation.

use std::ffi::{c_char, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use super::called;
use crate::Result;

unsafe extern "C" {
    fn dale_attention(qkv: *const C_tensor, out: *mut *mut C_tensor, error: *mut c_char, error_size: usize) -> c_int;
}

/// `softmax(q kᵀ / √E) v` for `qkv: [B, L, 3, H, E]` (queries, keys, values; `H` heads of `E` features at `L` positions), as
/// `[B, L, H, E]`. On a CPU in f32 or bf16, for up to 256 positions, a head's products stay in the cache, computed in f32; for more of
/// them libtorch's products, and its fused attention on other devices.
///
/// # Errors
/// libtorch's message if the shape does not fit.
pub(crate) fn attention(qkv: &Tensor) -> Result<Tensor> {
    let mut out: *mut C_tensor = std::ptr::null_mut();
    // SAFETY: the pointer is to a live tensor, whose shape the shim checks.
    called(|error, size| unsafe { dale_attention(qkv.as_ptr(), &raw mut out, error, size) })?;
    // SAFETY: without an error the shim has made a tensor, which is handed over.
    Ok(unsafe { Tensor::from_ptr(out) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn composed(qkv: &Tensor) -> Tensor {
        let rows = |i| qkv.select(2, i).transpose(1, 2);
        let scale = 1.0 / (qkv.size()[4] as f64).sqrt();
        let weights = (rows(0).matmul(&rows(1).transpose(-1, -2)) * scale).softmax(-1, None::<Kind>);
        weights.matmul(&rows(2)).transpose(1, 2)
    }

    fn leaf(positions: i64, features: i64, kind: Kind) -> Tensor {
        let wave = (Tensor::arange(2 * 3 * 2 * features * positions, (Kind::Double, Device::Cpu)) * 1.7).sin() * 3.0;
        wave.reshape([2, positions, 3, 2, features]).to_kind(kind).detach().set_requires_grad(true)
    }

    #[test]
    fn value_and_gradient_are_those_of_libtorchs_attention() {
        // One position, fewer than a register, one more than some, many, and too many for the kernel.
        for (positions, features) in [(1, 7), (9, 7), (49, 48), (64, 16), (100, 7), (300, 7)] {
            for (kind, tolerance) in [(Kind::Float, 2e-5), (Kind::BFloat16, 0.03)] {
                let ours = leaf(positions, features, kind);
                let theirs = ours.detach().to_kind(Kind::Double).set_requires_grad(true);
                let (y, truth) = (attention(&ours).unwrap(), composed(&theirs));
                let close = |a: &Tensor, b: &Tensor| {
                    let error = (a.to_kind(Kind::Double) - b).abs().max().double_value(&[]);
                    let largest = b.abs().max().double_value(&[]).max(1e-3);
                    assert!(error < tolerance * largest, "{positions} {features} {kind:?}: {error} of {largest}");
                };
                close(&y, &truth);
                let pull = |y: &Tensor| {
                    let weight = (Tensor::arange(y.numel() as i64, (Kind::Double, Device::Cpu)) * 0.3).cos();
                    (y.to_kind(Kind::Double).reshape([-1]) * weight).sum(Kind::Double)
                };
                let ours = Tensor::run_backward(&[pull(&y)], &[&ours], false, false);
                let theirs = Tensor::run_backward(&[pull(&truth)], &[&theirs], false, false);
                close(&ours[0], &theirs[0]);
            }
        }
    }

    #[test]
    fn it_can_be_differentiated_twice() {
        let second = |f: &dyn Fn(&Tensor) -> Tensor| {
            let x = leaf(9, 7, Kind::Float);
            let first = Tensor::run_backward(&[f(&x).square().sum(Kind::Float)], &[&x], true, true);
            Tensor::run_backward(&[first[0].square().sum(Kind::Float)], &[&x], false, false).remove(0)
        };
        let (ours, theirs) = (second(&|x| attention(x).unwrap()), second(&composed));
        assert!(ours.allclose(&theirs, 1e-3, 1e-4 * theirs.abs().max().double_value(&[]), false));
    }

    #[test]
    fn other_shapes_are_refused() {
        let error = attention(&Tensor::zeros([2, 4, 2, 1, 4], (Kind::Float, Device::Cpu))).unwrap_err().to_string();
        assert!(error.contains("[B, L, 3, H, E]"), "{error}");
    }
}
