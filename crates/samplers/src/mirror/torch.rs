//! The exponentiated update of tensors, in place: for training networks that keep signs.

use tch::{Tensor, no_grad};

use super::error::MirrorError;
use super::exponent::ExponentGradient;

/// `weights ← weights ⊙ exp(−rate · u)`, in place, with one temporary of the same size; `gradient` is the ambient one.
///
/// No sign changes. A weight becomes 0 when its magnitude falls below the smallest number of its type (1e-45 in single precision) and then
/// stays there: unlike [`ExponentiatedGradient`](super::ExponentiatedGradient) this keeps no logarithm beside the weight.
///
/// ```
/// use samplers::mirror::{AmbientGradient, torch::exponentiated_step};
/// let mut w = tch::Tensor::from_slice(&[2.0_f32, -2.0]);
/// exponentiated_step::<AmbientGradient>(&mut w, &tch::Tensor::from_slice(&[1.0_f32, 1.0]), 0.5)?;
/// let [up, down] = [0, 1].map(|i| w.double_value(&[i]));
/// assert!((up - 2.0 * (-0.5f64).exp()).abs() < 1e-6 && (down + 2.0 * 0.5f64.exp()).abs() < 1e-6);
/// # Ok::<(), samplers::mirror::MirrorError>(())
/// ```
///
/// # Errors
/// If libtorch refuses, e.g. because the shapes do not fit.
pub fn exponentiated_step<E: ExponentGradient>(
    weights: &mut Tensor,
    gradient: &Tensor,
    rate: f64,
) -> Result<(), MirrorError> {
    let made = no_grad(|| {
        let mut factor = E::tensor_exponent(weights, gradient)?;
        let _ = factor.f_mul_scalar_(-rate)?.f_exp_()?;
        weights.f_mul_(&factor).map(|_| ())
    });
    made.map_err(|e| MirrorError::Backend(e.to_string()))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use tch::Kind;

    use super::*;
    use crate::mirror::{AmbientGradient, ExponentiatedGradient, ExponentiatedGradientConfig, LogGradient};

    fn agrees<E: ExponentGradient>() {
        let start: Vec<f64> =
            (0..60).map(|i| if i % 3 == 0 { -1.0 } else { 1.0 } * (0.1 + 0.05 * f64::from(i))).collect();
        let gradient: Vec<f64> = (0..60).map(|i| (f64::from(i) * 1.7).sin() * 3.0).collect();
        let rows = |v: &[f64]| Array2::from_shape_vec((6, 10), v.to_vec()).unwrap();
        let config = ExponentiatedGradientConfig { rate: 0.02 };
        let mut arrays = ExponentiatedGradient::<E>::new(rows(&start), &config).unwrap();
        let mut tensor = Tensor::from_slice(&start);
        for _ in 0..5 {
            arrays.step_against(rows(&gradient).view()).unwrap();
            exponentiated_step::<E>(&mut tensor, &Tensor::from_slice(&gradient), 0.02).unwrap();
        }
        for (i, &x) in arrays.parameters().iter().enumerate() {
            assert!((tensor.double_value(&[i as i64]) / x - 1.0).abs() < 1e-13, "{} at {i}", E::NAME);
        }
    }

    #[test]
    fn tensors_and_arrays_agree() {
        agrees::<AmbientGradient>();
        agrees::<LogGradient>();
    }

    #[test]
    fn no_sign_changes_in_single_precision_and_a_zero_is_an_underflow() {
        let n = 4096;
        let mut w = Tensor::randn([n], (Kind::Float, tch::Device::Cpu)) + 1e-3;
        let negative = w.lt(0.0);
        let mut logs = w.abs().to_kind(Kind::Double).log();
        for k in 0..50 {
            let gradient = Tensor::randn([n], (Kind::Float, tch::Device::Cpu)) * 10.0;
            logs -= gradient.to_kind(Kind::Double) * w.sign().to_kind(Kind::Double);
            exponentiated_step::<AmbientGradient>(&mut w, &gradient, 1.0).unwrap();
            assert!(w.lt(0.0).logical_and(&negative.logical_not()).sum(Kind::Int64).int64_value(&[]) == 0, "step {k}");
            assert!(w.gt(0.0).logical_and(&negative).sum(Kind::Int64).int64_value(&[]) == 0, "step {k}");
            // Exact arithmetic says which may be 0; a weight that once was stays out of the comparison.
            let zero = w.eq(0.0);
            let wrong = zero.logical_and(&logs.gt(f64::from(f32::MIN_POSITIVE).ln())).sum(Kind::Int64).int64_value(&[]);
            assert_eq!(wrong, 0, "step {k}");
            logs = logs.where_self(&zero.logical_not(), &Tensor::from(-1e9));
        }
    }
}
