//! The losses for tensors: what training uses, and the score-matching losses with derivatives by autograd.
//!
//! ```math
//! \text{M-DSM with weight } \lambda(v): \qquad
//! \tfrac12 \lambda(v)\, \| h - h_\text{target} \|^2 = \tfrac12 \frac{\lambda(v)}{v^2}\, \| D - y_0 \|^2
//! ```
//!
//! The scalar factor `$\lambda/v^2$` is [`TimeWeight::denoiser_factor`]; here it meets tensors, without the ½. [`matching`]
//! has M-ESM, M-DSM, M-ISM and its sliced variant from the scalar definitions of [`crate::term`], [`divergence`] the trace
//! that likelihoods need.
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

pub mod divergence;
pub mod matching;

use tch::{Kind, TchError, Tensor};

use crate::term::Elementwise;
use crate::weight::TimeWeight;

impl Elementwise for Tensor {
    type Error = TchError;

    fn plus(&self, other: &Self) -> Result<Self, TchError> {
        self.f_add(other)
    }

    fn times(&self, other: &Self) -> Result<Self, TchError> {
        self.f_mul(other)
    }

    fn affine(&self, scale: f64, shift: f64) -> Result<Self, TchError> {
        self.f_mul_scalar(scale)?.f_add_scalar(shift)
    }
}

/// Squared error `‖D − y₀‖²` of each image, summed over its pixels: `[B]` from two `[B, …]` tensors.
///
/// ```
/// use score_match::torch::squared_error;
/// use tch::Tensor;
/// let rows = |values: [f32; 4]| Tensor::from_slice(&values).f_reshape([2, 2]);
/// let errors = squared_error(&rows([3.0, 4.0, 1.0, 1.0])?, &rows([0.0, 0.0, 1.0, 1.0])?)?;
/// assert_eq!(Vec::<f32>::try_from(errors)?, [25.0, 0.0]);
/// # Ok::<(), tch::TchError>(())
/// ```
///
/// # Errors
/// When the shapes differ.
pub fn squared_error(denoised: &Tensor, y0: &Tensor) -> Result<Tensor, TchError> {
    denoised.f_sub(y0)?.f_square()?.f_flatten(1, -1)?.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
}

/// The weighted loss (one value), averaged over the images and over `pixels`, from the errors of [`squared_error`] (`[B]`)
/// at log variances `levels` (`B` of them, positive), with `sigma_d` the standard deviation of the clean logarithms.
///
/// ```
/// use score_match::{TimeWeight, torch::weighted_loss};
/// use tch::Tensor;
/// // λ = v counts the error of the noise, ‖D − y₀‖²/v; here it is 1 in each of 4 pixels.
/// let errors = Tensor::from_slice(&[0.25f32 * 4.0, 2.0 * 4.0]);
/// let loss = weighted_loss(&errors, &[0.25, 2.0], &TimeWeight::Noise, 0.2, 4.0)?;
/// assert_eq!(loss.double_value(&[]), 1.0);
/// # Ok::<(), tch::TchError>(())
/// ```
///
/// # Errors
/// When `errors` and `levels` differ in length.
pub fn weighted_loss(
    errors: &Tensor,
    levels: &[f64],
    weight: &TimeWeight,
    sigma_d: f64,
    pixels: f64,
) -> Result<Tensor, TchError> {
    let factors: Vec<f32> = levels.iter().map(|&v| (weight.denoiser_factor(v, sigma_d) / pixels) as f32).collect();
    errors.f_mul(&Tensor::f_from_slice(&factors)?.f_to_device(errors.device())?)?.f_mean(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weighted_loss_is_the_weighted_error_of_the_hyvarinen_score() {
        // λ ‖h − h_target‖² with h = (D − ȳ)/v − 1 and h_target = −1 − ε/√v, written out.
        let (y0, eps, d) = ([0.3, -0.2], [0.7, -1.4], [0.25, 0.1]);
        let levels = [0.09, 1.7];
        for weight in [TimeWeight::Paper, TimeWeight::Noise, TimeWeight::Edm] {
            let mut expected = 0.0;
            for i in 0..2 {
                let v: f64 = levels[i];
                let y_bar = y0[i] + v.sqrt() * eps[i];
                let h = (d[i] - y_bar) / v - 1.0;
                let target = -1.0 - eps[i] / v.sqrt();
                expected += 0.5 * weight.lambda(v, 0.2) * (h - target).powi(2);
            }
            let tensor = |x: [f64; 2]| Tensor::from_slice(&x).reshape([2, 1]);
            let errors = squared_error(&tensor(d), &tensor(y0)).unwrap();
            let loss = weighted_loss(&errors, &levels, &weight, 0.2, 1.0).unwrap().double_value(&[]);
            assert!((0.5 * loss - expected / 2.0).abs() < 1e-5 * expected, "{weight:?}: {loss} {expected}");
        }
    }
}
