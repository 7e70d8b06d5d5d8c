//! What a sampler needs of a state: a copy, and the one kernel `self ← α self + Σ β_j D_j`, in place and in one pass. The two
//! ambient samplers have a kernel of their own, [`State::multiply`].
//!
//! Coefficients are double precision and rounded once, at the kernel call. Arrays are rows of samples; large ones use all
//! threads. The result of an element does not depend on the others, so a batch of 3 and the first 3 of a batch of 8 agree to
//! the bit.

use gbm_sde::Threads;
use ndarray::{Array2, Axis, Zip};

use crate::kernels::{linear, threads};

/// The terms of a linear combination as slices, if they lie in memory row by row.
pub(crate) fn slices<'a, T>(terms: &[(f64, &'a Array2<T>)]) -> Option<Vec<(f64, &'a [T])>> {
    terms.iter().map(|&(b, term)| Some((b, term.as_slice()?))).collect()
}

/// The factor `B = one + slope (D − ȳ) + noise z + square z²` of an update in ambient space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bracket {
    /// Constant part.
    pub one: f64,
    /// Factor of `D − ȳ`.
    pub slope: f64,
    /// Factor of the standard normal.
    pub noise: f64,
    /// Factor of its square.
    pub square: f64,
}

/// A batch of centred log states.
pub trait State: Sized {
    /// An independent copy.
    fn duplicate(&self) -> Self;

    /// `self ← alpha · self + Σ β_j D_j`, elementwise. All states have one shape; the sampler has seen to it.
    fn combine(&mut self, alpha: f64, terms: &[(f64, &Self)]);

    /// `signs · e^self ← signs · e^self · B` with `B = one + slope (D − self) + noise z + square z²`, elementwise: the state is the
    /// logarithm of the magnitude, and the signs (1 or −1) are kept beside it. A factor of exactly 0 counts as the smallest
    /// positive number.
    fn multiply(&mut self, signs: &mut Self, bracket: &Bracket, denoised: &Self, z: &Self);

    /// A state of the same shape with this value everywhere.
    fn filled(&self, value: f64) -> Self;

    /// Size of `self` as the error of `reference`: for each row the root mean square of
    /// `self / (absolute + relative |reference|)`, and of these the largest.
    fn error_norm(&self, reference: &Self, absolute: f64, relative: f64) -> f64;

    /// The shape, with which [`crate::Stepper`] checks every answer of a denoiser or noise source; empty = not checked.
    fn dims(&self) -> Vec<usize> {
        Vec::new()
    }
}

macro_rules! array_state {
    ($scalar:ty) => {
        impl State for Array2<$scalar> {
            fn duplicate(&self) -> Self {
                self.clone()
            }

            fn combine(&mut self, alpha: f64, terms: &[(f64, &Self)]) {
                if let (Some(y), Some(terms)) = (self.as_slice_mut(), slices(terms)) {
                    return linear(y, alpha, &terms);
                }
                // Views with gaps, which no sampler makes.
                let a = alpha as $scalar;
                self.mapv_inplace(|y| a * y);
                for &(b, term) in terms {
                    self.scaled_add(b as $scalar, term);
                }
            }

            fn multiply(&mut self, signs: &mut Self, bracket: &Bracket, denoised: &Self, z: &Self) {
                let Bracket { one, slope, noise, square } = *bracket;
                let [one, slope, noise, square] = [one, slope, noise, square].map(|c| c as $scalar);
                let kernel = |y: &mut $scalar, sign: &mut $scalar, &d: &$scalar, &z: &$scalar| {
                    let factor = one + slope * (d - *y) + (noise + square * z) * z;
                    *y += factor.abs().max(<$scalar>::MIN_POSITIVE).ln();
                    *sign = if factor < 0.0 { -*sign } else { *sign };
                };
                let parallel = threads(self.len()) == Threads::All;
                let zip = Zip::from(self).and(signs).and(denoised).and(z);
                if parallel { zip.par_for_each(kernel) } else { zip.for_each(kernel) }
            }

            fn filled(&self, value: f64) -> Self {
                Self::from_elem(self.raw_dim(), value as $scalar)
            }

            fn error_norm(&self, reference: &Self, absolute: f64, relative: f64) -> f64 {
                let row = |(error, reference): (ndarray::ArrayView1<'_, $scalar>, ndarray::ArrayView1<'_, $scalar>)| {
                    let part = |(&e, &y): (&$scalar, &$scalar)| {
                        (f64::from(e) / (absolute + relative * f64::from(y).abs())).powi(2)
                    };
                    let sum: f64 = error.iter().zip(reference).map(part).sum();
                    (sum / error.len().max(1) as f64).sqrt()
                };
                // A row that is not a number must not be passed over, as `f64::max` would.
                let worse = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
                self.axis_iter(Axis(0)).zip(reference.axis_iter(Axis(0))).map(row).fold(0.0, worse)
            }

            fn dims(&self) -> Vec<usize> {
                self.shape().to_vec()
            }
        }
    };
}

array_state!(f32);
array_state!(f64);
