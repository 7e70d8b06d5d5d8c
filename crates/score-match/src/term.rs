//! The losses of one coordinate, written once for numbers and for tensors.
//!
//! ```math
//! \begin{aligned}
//! &\text{explicit} && \tfrac12 (h - h^*)^2 \\
//! &\text{denoising} && \tfrac12 \big(h + 1 + \varepsilon/\sqrt v\,\big)^2 \\
//! &\text{implicit} && \tfrac12 h^2 + h + x\, \partial h/\partial x \\
//! &\text{sliced} && \tfrac12 p^2 + p \textstyle\sum_j u_j + u^\top J u, \quad p = u^\top h
//! \end{aligned}
//! ```
//!
//! See [`crate::loss`] for what they mean and [`crate::implicit`] for the last two. In the log coordinate `$y = \ln x$` the
//! derivative is plain: `$x\, \partial/\partial x = \partial/\partial y$`.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use std::convert::Infallible;

/// The arithmetic that the formulas need: elementwise, for numbers and, with the feature `torch`, for tensors.
///
/// ```
/// use score_match::term::Elementwise;
/// // (h − 1)(h + 1) = h² − 1, whatever is multiplied.
/// fn product<T: Elementwise>(h: &T) -> Result<T, T::Error> {
///     h.affine(1.0, -1.0)?.times(&h.plus(&h.affine(0.0, 1.0)?)?)
/// }
/// let Ok(value) = product(&3.0);
/// assert_eq!(value, 3.0 * 3.0 - 1.0);
/// ```
pub trait Elementwise: Sized {
    /// What can go wrong; nothing, for numbers.
    type Error;

    /// `self + other`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn plus(&self, other: &Self) -> Result<Self, Self::Error>;

    /// `self · other`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn times(&self, other: &Self) -> Result<Self, Self::Error>;

    /// `scale · self + shift`.
    ///
    /// # Errors
    /// When the back end fails.
    fn affine(&self, scale: f64, shift: f64) -> Result<Self, Self::Error>;
}

impl Elementwise for f64 {
    type Error = Infallible;

    fn plus(&self, other: &Self) -> Result<Self, Infallible> {
        Ok(self + other)
    }

    fn times(&self, other: &Self) -> Result<Self, Infallible> {
        Ok(self * other)
    }

    fn affine(&self, scale: f64, shift: f64) -> Result<Self, Infallible> {
        Ok(scale * self + shift)
    }
}

/// `½ (h − truth)²`, with the true Hyvärinen score.
///
/// ```
/// let Ok(term) = score_match::term::explicit(&1.0, &-3.0);
/// assert_eq!(term, 0.5 * 4.0 * 4.0);
/// ```
///
/// # Errors
/// Those of the arithmetic.
pub fn explicit<T: Elementwise>(h: &T, truth: &T) -> Result<T, T::Error> {
    half_square(&h.plus(&truth.affine(-1.0, 0.0)?)?)
}

/// The denoising target `x ∂ₓ ln p(x | x_0) = −1 − ε/√v` of the Hyvärinen score, from the noise and `1/√v`.
///
/// ```
/// // ε = −√v is the mode of p(x | x_0), where its slope is zero.
/// let Ok(target) = score_match::term::denoising_target(&-0.5, &(1.0 / 0.5));
/// assert_eq!(target, 0.0);
/// ```
///
/// # Errors
/// Those of the arithmetic.
pub fn denoising_target<T: Elementwise>(eps: &T, reciprocal_r: &T) -> Result<T, T::Error> {
    eps.times(reciprocal_r)?.affine(-1.0, -1.0)
}

/// `½ (h + 1 + ε/√v)²`, from the noise and `1/√v`.
///
/// ```
/// // h = −1 − 2ε/√v with ε/√v = 3 has the noise twice, one time too many.
/// let Ok(term) = score_match::term::denoising(&-7.0, &1.5, &2.0);
/// assert_eq!(term, 0.5 * 3.0 * 3.0);
/// ```
///
/// # Errors
/// Those of the arithmetic.
pub fn denoising<T: Elementwise>(h: &T, eps: &T, reciprocal_r: &T) -> Result<T, T::Error> {
    explicit(h, &denoising_target(eps, reciprocal_r)?)
}

/// `½ h² + h + slope` with `slope = x ∂h/∂x = ∂h/∂y` of the same coordinate.
///
/// ```
/// // h = 2 − 3x, so x ∂h/∂x = −3x, at x = 0.5
/// let Ok(term) = score_match::term::implicit(&0.5, &-1.5);
/// assert_eq!(term, 0.125 + 0.5 - 1.5);
/// ```
///
/// # Errors
/// Those of the arithmetic.
pub fn implicit<T: Elementwise>(h: &T, slope: &T) -> Result<T, T::Error> {
    half_square(h)?.plus(h)?.plus(slope)
}

/// `½ p² + p total + slope`, for a direction `u`: `p = uᵀh`, `total = Σ u_j`, `slope = uᵀ(∂h/∂y)u`.
///
/// ```
/// use score_match::term::{implicit, sliced};
/// // Along one axis, u = e₁, it is the implicit term of that coordinate.
/// let (Ok(a), Ok(b)) = (sliced(&0.7, &1.0, &-1.5), implicit(&0.7, &-1.5));
/// assert_eq!(a, b);
/// ```
///
/// # Errors
/// Those of the arithmetic.
pub fn sliced<T: Elementwise>(projection: &T, total: &T, slope: &T) -> Result<T, T::Error> {
    half_square(projection)?.plus(&projection.times(total)?)?.plus(slope)
}

fn half_square<T: Elementwise>(value: &T) -> Result<T, T::Error> {
    value.times(value)?.affine(0.5, 0.0)
}
