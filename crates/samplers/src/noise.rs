//! Where a sampler's standard normals come from.

use gbm_sde::{Noise, Stream};
use ndarray::Array2;

use crate::error::SampleError;

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
