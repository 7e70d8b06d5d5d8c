//! Which gradient stands in the exponent: a type, not a flag.
//!
//! ```text
//! mobility   a = 1/|x| (ambient)   or   a = 1 (log space)
//! exponent   u = a ∂f/∂y,          ∂f/∂y = x ∂f/∂x          drift of the dynamics  −u + a + ∂a/∂y
//! ```

use std::fmt::Debug;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::AmbientGradient {}
    impl Sealed for super::LogGradient {}
}

/// The gradient in the exponent, [`AmbientGradient`] or [`LogGradient`]; with it the metric, and the noise of the dynamics.
pub trait ExponentGradient: sealed::Sealed + Copy + Default + Debug + Send + Sync + 'static {
    /// Name for tables and messages.
    const NAME: &'static str;

    /// The drift `a + ∂a/∂y` that the dynamics needs besides `−u`, so that its density is `e^{−f}` per unit of `x`.
    const CORRECTION: f64;

    /// The exponent's `u` for a parameter `x` with the ambient derivative `gradient`: the update is `x ⊙ exp(−η u)`.
    fn exponent(x: f64, gradient: f64) -> f64;

    /// `√a` at the magnitude `e^y`: the dynamics of `y` has the noise `√(2a) dB`.
    fn root_mobility(y: f64) -> f64;

    /// The exponents of a tensor of parameters, in a new tensor.
    ///
    /// # Errors
    /// If libtorch refuses.
    #[cfg(feature = "torch")]
    fn tensor_exponent(x: &tch::Tensor, gradient: &tch::Tensor) -> Result<tch::Tensor, tch::TchError>;
}

/// The ambient gradient `s ⊙ ∇ₓf`: exponentiated gradient descent, in the metric `1/x`.
///
/// ```
/// use samplers::mirror::{AmbientGradient, ExponentGradient};
/// assert_eq!(AmbientGradient::exponent(-4.0, 0.5), -0.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AmbientGradient;

/// The log-space gradient `x ⊙ ∇ₓf = ∇_y f`: gradient descent on the logarithm, in the metric `1/x²`, as in the Dale–Langevin update.
///
/// ```
/// use samplers::mirror::{ExponentGradient, LogGradient};
/// assert_eq!(LogGradient::exponent(-4.0, 0.5), -2.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogGradient;

impl ExponentGradient for AmbientGradient {
    const NAME: &'static str = "ambient gradient";
    const CORRECTION: f64 = 0.0;

    fn exponent(x: f64, gradient: f64) -> f64 {
        // Not `x.signum() * gradient`: 0 · ∞ must not become a number.
        if x.is_sign_negative() { -gradient } else { gradient }
    }

    fn root_mobility(y: f64) -> f64 {
        (-0.5 * y).exp()
    }

    #[cfg(feature = "torch")]
    fn tensor_exponent(x: &tch::Tensor, gradient: &tch::Tensor) -> Result<tch::Tensor, tch::TchError> {
        let mut exponent = x.f_sign()?;
        exponent.f_mul_(gradient)
    }
}

impl ExponentGradient for LogGradient {
    const NAME: &'static str = "log-space gradient";
    const CORRECTION: f64 = 1.0;

    fn exponent(x: f64, gradient: f64) -> f64 {
        x * gradient
    }

    fn root_mobility(_: f64) -> f64 {
        1.0
    }

    #[cfg(feature = "torch")]
    fn tensor_exponent(x: &tch::Tensor, gradient: &tch::Tensor) -> Result<tch::Tensor, tch::TchError> {
        x.f_mul(gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mobility as a function of `y`.
    fn mobility<E: ExponentGradient>(y: f64) -> f64 {
        E::root_mobility(y).powi(2)
    }

    fn check<E: ExponentGradient>() {
        for (x, gradient) in [(0.3_f64, 2.0), (-0.3, 2.0), (7.0, -0.4), (-7.0, -0.4)] {
            let y = x.abs().ln();
            // u = a x ∂f/∂x, from the definition.
            let expected = mobility::<E>(y) * x * gradient;
            assert!((E::exponent(x, gradient) - expected).abs() < 1e-14 * expected.abs(), "{} at {x}", E::NAME);
            // a + a', by a central difference.
            let h = 1e-5;
            let slope = (mobility::<E>(y + h) - mobility::<E>(y - h)) / (2.0 * h);
            assert!((E::CORRECTION - mobility::<E>(y) - slope).abs() < 1e-8, "{} at {x}", E::NAME);
        }
    }

    #[test]
    fn exponent_and_correction_follow_from_the_mobility() {
        check::<AmbientGradient>();
        check::<LogGradient>();
    }
}
