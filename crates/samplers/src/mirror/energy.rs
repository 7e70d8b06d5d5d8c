//! What the user gives: an energy `f`, known by its gradient.

use ndarray::{Array1, ArrayView2, ArrayViewMut2};

/// An energy `f` of each row of an array: minimized by [`ExponentiatedGradient`](super::ExponentiatedGradient), or the negative
/// logarithm of the density, up to a constant, that [`MirroredLangevin`](super::MirroredLangevin) samples.
///
/// A closure that writes the gradient is an energy without a value:
///
/// ```
/// use ndarray::{ArrayView2, ArrayViewMut2, array};
/// use samplers::mirror::Energy;
/// let squares = |x: ArrayView2<f64>, mut gradient: ArrayViewMut2<f64>| gradient.assign(&(&x * 2.0));
/// let (x, mut gradient) = (array![[1.0, -3.0]], array![[0.0, 0.0]]);
/// squares.gradient(x.view(), gradient.view_mut());
/// assert_eq!(gradient, array![[2.0, -6.0]]);
/// assert!(squares.value(x.view()).is_none());
/// ```
pub trait Energy {
    /// Writes the ambient gradient `∇ₓf` of each row of `x` (rows are independent: chains, or sets of parameters). `gradient` has the
    /// shape of `x`; what stands in it has no meaning.
    fn gradient(&self, x: ArrayView2<'_, f64>, gradient: ArrayViewMut2<'_, f64>);

    /// `f` of each row, where it can be had. No method here needs it.
    fn value(&self, x: ArrayView2<'_, f64>) -> Option<Array1<f64>> {
        let _ = x;
        None
    }
}

impl<F: Fn(ArrayView2<'_, f64>, ArrayViewMut2<'_, f64>)> Energy for F {
    fn gradient(&self, x: ArrayView2<'_, f64>, gradient: ArrayViewMut2<'_, f64>) {
        self(x, gradient);
    }
}
