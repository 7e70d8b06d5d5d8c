//! What a sampler needs of a state: a copy, and the one kernel `self ← α self + Σ β_j D_j`, in place and in one pass. The two
//! ambient samplers have a kernel of their own, [`State::multiply`].
//!
//! Coefficients are double precision and rounded once, at the kernel call. Arrays are rows of samples; large ones use all
//! threads. The result of an element does not depend on the others, so a batch of 3 and the first 3 of a batch of 8 agree to
//! the bit.

use ndarray::{Array2, Axis, Zip};

/// From this many elements on, a kernel is spread over all threads.
const PARALLEL_FROM: usize = 1 << 16;

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
                let a = alpha as $scalar;
                let parallel = self.len() >= PARALLEL_FROM;
                match *terms {
                    [] => self.mapv_inplace(|y| a * y),
                    [(b, d)] => {
                        let b = b as $scalar;
                        let kernel = |y: &mut $scalar, &d: &$scalar| *y = a * *y + b * d;
                        let zip = Zip::from(self).and(d);
                        if parallel { zip.par_for_each(kernel) } else { zip.for_each(kernel) }
                    }
                    [(b, d), (c, e)] => {
                        let (b, c) = (b as $scalar, c as $scalar);
                        let kernel = |y: &mut $scalar, &d: &$scalar, &e: &$scalar| *y = a * *y + b * d + c * e;
                        let zip = Zip::from(self).and(d).and(e);
                        if parallel { zip.par_for_each(kernel) } else { zip.for_each(kernel) }
                    }
                    [first, second, ref rest @ ..] => {
                        self.combine(alpha, &[first, second]);
                        rest.chunks(2).for_each(|pair| self.combine(1.0, pair));
                    }
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
                let parallel = self.len() >= PARALLEL_FROM;
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
