//! Group normalization, scale and shift by the noise level, and perhaps SiLU: one differentiable operation.

use std::ffi::{c_char, c_double, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use super::called;
use crate::Result;

unsafe extern "C" {
    fn dale_norm_silu(
        x: *const C_tensor,
        gamma: *const C_tensor,
        beta: *const C_tensor,
        level: *const C_tensor,
        groups: i64,
        epsilon: c_double,
        gated: c_int,
        out: *mut *mut C_tensor,
        error: *mut c_char,
        error_size: usize,
    ) -> c_int;
}

/// `SiLU(GroupNorm(x) (1 + scale) + shift)`, or without SiLU unless `gated`.
///
/// `x: [B, C, H, W]`, `gamma, beta: [C]`, `level: [B, 2C]` holds scale, then shift. On a CPU in f32 or bf16 it is one pass over
/// memory forward and one backward, with sums in f32 or better whatever the kind of `x`; elsewhere libtorch's operations.
///
/// # Errors
/// libtorch's message if shapes do not fit.
pub(crate) fn norm_silu(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    level: Option<&Tensor>,
    groups: i64,
    epsilon: f64,
    gated: bool,
) -> Result<Tensor> {
    let mut out: *mut C_tensor = std::ptr::null_mut();
    let level = level.map_or(std::ptr::null(), Tensor::as_ptr);
    // SAFETY: all pointers are to live tensors or null where that is allowed; the shim checks what its kernels walk over.
    called(|error, size| unsafe {
        let (x, gamma, beta) = (x.as_ptr(), gamma.as_ptr(), beta.as_ptr());
        dale_norm_silu(x, gamma, beta, level, groups, epsilon, c_int::from(gated), &raw mut out, error, size)
    })?;
    // SAFETY: without an error the shim has made a tensor, which is handed over.
    Ok(unsafe { Tensor::from_ptr(out) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const GROUPS: i64 = 3;

    fn composed(x: &Tensor, gamma: &Tensor, beta: &Tensor, level: Option<&Tensor>, gated: bool) -> Tensor {
        let n = x.group_norm(GROUPS, Some(gamma), Some(beta), 1e-5, true);
        let n = match level {
            None => n,
            Some(level) => {
                let parts = level.unsqueeze(-1).unsqueeze(-1).chunk(2, 1);
                parts[1].addcmul(&n, &(&parts[0] + 1.0))
            }
        };
        if gated { n.silu() } else { n }
    }

    /// x, gamma, beta, level: leaves with numbers of both signs, far from zero in the mean.
    fn leaves(channels: i64, kind: Kind) -> [Tensor; 4] {
        let wave = |n: i64, pace: f64| (Tensor::arange(n, (Kind::Double, Device::Cpu)) * pace).sin();
        let shaped = |t: Tensor, shape: &[i64]| t.reshape(shape).to_kind(kind).detach().set_requires_grad(true);
        [
            shaped(wave(2 * channels * 35, 1.7) * 2.0 + 5.0, &[2, channels, 5, 7]),
            shaped(wave(channels, 2.3) + 1.2, &[channels]),
            shaped(wave(channels, 0.9) * 0.5, &[channels]),
            shaped(wave(4 * channels, 1.1) * 0.7, &[2, 2 * channels]),
        ]
    }

    fn check(channels: i64, kind: Kind, with_level: bool, gated: bool, tolerance: f64) {
        let mut ours = leaves(channels, kind);
        if with_level {
            let last = ours[0].detach().permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
            ours[0] = last.set_requires_grad(true);
        }
        let theirs = leaves(channels, kind).map(|t| t.detach().to_kind(Kind::Double).set_requires_grad(true));
        let count = if with_level { 4 } else { 3 };
        let y = norm_silu(&ours[0], &ours[1], &ours[2], with_level.then_some(&ours[3]), GROUPS, 1e-5, gated).unwrap();
        let truth = composed(&theirs[0], &theirs[1], &theirs[2], with_level.then_some(&theirs[3]), gated);
        let close = |a: &Tensor, b: &Tensor| {
            let error = (a.to_kind(Kind::Double) - b).abs().max().double_value(&[]);
            assert!(error < tolerance * b.abs().max().double_value(&[]), "{channels} {kind:?}: {error}");
        };
        close(&y, &truth);
        let pull =
            |y: &Tensor| (y.to_kind(Kind::Double) * (y.detach().to_kind(Kind::Double) + 0.3).cos()).sum(Kind::Double);
        let ours = Tensor::run_backward(&[pull(&y)], &ours[..count], false, false);
        let theirs = Tensor::run_backward(&[pull(&truth)], &theirs[..count], false, false);
        for (a, b) in ours.iter().zip(&theirs) {
            close(a, b);
        }
    }

    #[test]
    fn value_and_gradients_are_those_of_the_four_operations() {
        // Fewer channels than a register holds, as many as three, and some beyond two.
        for channels in [6, 33, 48] {
            for (with_level, gated) in [(false, false), (false, true), (true, true)] {
                check(channels, Kind::Float, with_level, gated, 1e-5);
                check(channels, Kind::BFloat16, with_level, gated, 0.02);
            }
        }
    }

    /// One image of one pixel: every group is as wide as it has channels.
    #[test]
    fn the_smallest_image_is_computed() {
        let [_, gamma, beta, _] = leaves(6, Kind::Float).map(|t| t.detach());
        let x = Tensor::from_slice(&[1.0_f32, 3.0, -2.0, 2.0, 0.5, 0.5]).reshape([1, 6, 1, 1]);
        let (x, truth) = (x.set_requires_grad(true), x.copy().set_requires_grad(true));
        let y = norm_silu(&x, &gamma, &beta, None, GROUPS, 1e-5, true).unwrap();
        let expected = composed(&truth, &gamma, &beta, None, true);
        assert!(y.allclose(&expected, 1e-5, 1e-6, false));
        let pull =
            |y: &Tensor| (y * Tensor::arange(6, (Kind::Float, Device::Cpu)).reshape([1, 6, 1, 1])).sum(Kind::Float);
        let ours = Tensor::run_backward(&[pull(&y)], &[&x], false, false);
        let theirs = Tensor::run_backward(&[pull(&expected)], &[&truth], false, false);
        assert!(ours[0].allclose(&theirs[0], 1e-3, 1e-5, false));
    }

    #[test]
    fn it_can_be_differentiated_twice() {
        let second = |f: &dyn Fn(&[Tensor; 4]) -> Tensor| {
            let leaves = leaves(6, Kind::Float);
            let first = Tensor::run_backward(&[f(&leaves).square().sum(Kind::Float)], &leaves[..1], true, true);
            Tensor::run_backward(&[first[0].square().sum(Kind::Float)], &leaves, false, false)
        };
        let ours = second(&|l| norm_silu(&l[0], &l[1], &l[2], Some(&l[3]), GROUPS, 1e-5, true).unwrap());
        let theirs = second(&|l| composed(&l[0], &l[1], &l[2], Some(&l[3]), true));
        for (a, b) in ours.iter().zip(&theirs) {
            assert!(a.allclose(b, 1e-4, 1e-4 * b.abs().max().double_value(&[]), false));
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so_and_shapes_that_do_not_fit_are_refused() {
        let [x, gamma, beta, _] = leaves(6, Kind::Float).map(|t| t.detach());
        let _ = x.get(0).get(0).get(0).get(0).fill_(f64::NAN);
        let y = norm_silu(&x, &gamma, &beta, None, GROUPS, 1e-5, true).unwrap();
        assert!(y.get(0).narrow(0, 0, 2).isnan().all().int64_value(&[]) == 1, "the group of the bad value");
        assert!(y.get(1).isfinite().all().int64_value(&[]) == 1, "the other image");
        assert!(norm_silu(&x, &gamma, &beta, None, 4, 1e-5, true).is_err());
        assert!(norm_silu(&x, &gamma.narrow(0, 0, 3), &beta, None, GROUPS, 1e-5, true).is_err());
    }
}
