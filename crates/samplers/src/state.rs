//! What a sampler needs of a state: a copy, and the one kernel `self ← α self + Σ β_j D_j`, in place and in one pass.
//!
//! Coefficients are double precision and rounded once, at the kernel call. Arrays are rows of samples; large ones use all
//! threads. The result of an element does not depend on the others, so a batch of 3 and the first 3 of a batch of 8 agree to
//! the bit.

use gbm_sde::{Noise, Stream};
use ndarray::{Array2, Zip};

use crate::error::SampleError;

/// From this many elements on, a kernel is spread over all threads.
const PARALLEL_FROM: usize = 1 << 16;

/// A batch of centred log states.
pub trait State: Sized {
    /// An independent copy.
    fn duplicate(&self) -> Self;

    /// `self ← alpha · self + Σ β_j D_j`, elementwise. All states have one shape; the sampler has seen to it.
    fn combine(&mut self, alpha: f64, terms: &[(f64, &Self)]);

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

            fn dims(&self) -> Vec<usize> {
                self.shape().to_vec()
            }
        }
    };
}

array_state!(f32);
array_state!(f64);

/// Where a sampler's standard normals come from.
pub trait NoiseSource<S> {
    /// Standard normals in the shape of `like`. `step` numbers the draws of one run from 0.
    ///
    /// # Errors
    /// When the back end fails.
    fn normal(&mut self, like: &S, step: u32) -> Result<S, SampleError>;
}

/// Noise that belongs to the image, not to the batch: row `i` of a state gets the draws of index `first_index + i`.
#[derive(Debug, Clone, Copy)]
pub struct AddressedNoise {
    /// The source, with its seed.
    pub noise: Noise,
    /// The stream; [`Stream::SAMPLER`] inside a sampler.
    pub stream: Stream,
    /// Index of the first row.
    pub first_index: u64,
}

impl AddressedNoise {
    /// Sampler noise for images `first_index, first_index + 1, …` under a seed.
    pub fn sampler(seed: u64, first_index: u64) -> Self {
        Self { noise: Noise::new(seed), stream: Stream::SAMPLER, first_index }
    }

    /// The draws of `rows` images of `columns` elements in single precision.
    pub fn rows_f32(&self, rows: usize, columns: usize, step: u32) -> Array2<f32> {
        let mut values = vec![0.0; rows * columns];
        self.noise.rows_normal(self.stream, self.first_index, step, &mut values, columns);
        Array2::from_shape_vec((rows, columns), values).expect("the vector has rows · columns values")
    }

    /// The draws of `rows` images of `columns` elements in double precision.
    pub fn rows_f64(&self, rows: usize, columns: usize, step: u32) -> Array2<f64> {
        let mut values = vec![0.0; rows * columns];
        self.noise.rows_normal_f64(self.stream, self.first_index, step, &mut values, columns);
        Array2::from_shape_vec((rows, columns), values).expect("the vector has rows · columns values")
    }
}

impl NoiseSource<Array2<f32>> for AddressedNoise {
    fn normal(&mut self, like: &Array2<f32>, step: u32) -> Result<Array2<f32>, SampleError> {
        Ok(self.rows_f32(like.nrows(), like.ncols(), step))
    }
}

impl NoiseSource<Array2<f64>> for AddressedNoise {
    fn normal(&mut self, like: &Array2<f64>, step: u32) -> Result<Array2<f64>, SampleError> {
        Ok(self.rows_f64(like.nrows(), like.ncols(), step))
    }
}
