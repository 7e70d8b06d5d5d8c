//! Where a sampler's standard normals come from.

use gbm_sde::{Noise, NormalRows, Stream};
use ndarray::Array2;

use crate::error::SampleError;
use crate::kernels::{linear_drawn, threads};
use crate::state::{State, slices};

/// Where a sampler's standard normals come from.
pub trait NoiseSource<S: State> {
    /// Standard normals in the shape of `like`. `step` numbers the draws of one run from 0.
    ///
    /// # Errors
    /// When the back end fails.
    fn normal(&mut self, like: &S, step: u32) -> Result<S, SampleError>;

    /// `state ← alpha state + Σ β_j D_j + eta z` with the standard normals `z` of this step. A source that draws them on the way, without
    /// an array of them, gives the same result.
    ///
    /// # Errors
    /// When the back end fails, or the normals have another shape than the state.
    fn combine(
        &mut self,
        state: &mut S,
        alpha: f64,
        terms: &[(f64, &S)],
        eta: f64,
        step: u32,
    ) -> Result<(), SampleError> {
        let z = in_shape(state, self.normal(state, step)?)?;
        let terms: Vec<(f64, &S)> = terms.iter().copied().chain([(eta, &z)]).collect();
        state.combine(alpha, &terms);
        Ok(())
    }
}

/// The normals, if they have the shape of the state.
pub(crate) fn in_shape<S: State>(state: &S, z: S) -> Result<S, SampleError> {
    let (expected, found) = (state.dims(), z.dims());
    if expected == found { Ok(z) } else { Err(SampleError::NoiseShape { expected, found }) }
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

macro_rules! addressed_arrays {
    ($scalar:ty, $rows:ident) => {
        impl NoiseSource<Array2<$scalar>> for AddressedNoise {
            fn normal(&mut self, like: &Array2<$scalar>, step: u32) -> Result<Array2<$scalar>, SampleError> {
                Ok(self.$rows(like.nrows(), like.ncols(), step))
            }

            fn combine(
                &mut self,
                state: &mut Array2<$scalar>,
                alpha: f64,
                terms: &[(f64, &Array2<$scalar>)],
                eta: f64,
                step: u32,
            ) -> Result<(), SampleError> {
                let (len, row_len) = (state.len(), state.ncols());
                if let (Some(y), Some(terms)) = (state.as_slice_mut(), slices(terms)) {
                    let rows = NormalRows {
                        first_index: self.first_index,
                        step,
                        threads: threads(len),
                        ..NormalRows::new(self.noise, self.stream, row_len)
                    };
                    linear_drawn(y, alpha, &terms, eta, &rows);
                    return Ok(());
                }
                let z = self.$rows(state.nrows(), row_len, step);
                let terms: Vec<_> = terms.iter().copied().chain([(eta, &z)]).collect();
                State::combine(state, alpha, &terms);
                Ok(())
            }
        }
    };
}

addressed_arrays!(f32, rows_f32);
addressed_arrays!(f64, rows_f64);
