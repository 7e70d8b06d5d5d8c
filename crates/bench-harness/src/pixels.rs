//! Bytes, positive pixels and log pixels: `x = low + (high − low) u`, `y = ln x`, `u = byte/255`.
//!
//! In the additive control ([`Coordinate::Linear`]) a "log pixel" is the pixel itself, `y = x`, and all else is as it is.

use gbm_sde::noise::{Noise, Stream};
use models::Result;
use ndarray::{Array2, Array3, ArrayView3, ArrayView4, Axis};
use score_match::DataMoments;
use tch::{Device, Kind, Tensor};

use crate::config::{Coordinate, PixelMap};

impl PixelMap {
    /// The log pixel of a byte.
    #[must_use]
    pub fn log(&self, byte: u8) -> f64 {
        let x = self.low + (self.high - self.low) * f64::from(byte) / 255.0;
        match self.coordinate {
            Coordinate::Log => x.ln(),
            Coordinate::Linear => x,
        }
    }

    /// The log pixels of bytes of any shape, in f32.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn log_tensor(&self, bytes: &Tensor) -> Result<Tensor> {
        let scale = (self.high - self.low) / 255.0;
        let x = bytes.f_to_kind(Kind::Float)?.f_mul_scalar(scale)?.f_add_scalar(self.low)?;
        match self.coordinate {
            Coordinate::Log => Ok(x.f_log()?),
            Coordinate::Linear => Ok(x),
        }
    }

    /// The bytes nearest to log pixels, with their signs where they can have any, clamped to 0 … 255.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn bytes(&self, log_pixels: &Tensor, signs: Option<&Tensor>) -> Result<Tensor> {
        let scale = 255.0 / (self.high - self.low);
        let x = match (self.coordinate, signs) {
            (Coordinate::Log, None) => log_pixels.f_exp()?,
            (Coordinate::Log, Some(signs)) => log_pixels.f_exp()?.f_mul(signs)?,
            (Coordinate::Linear, _) => log_pixels.shallow_clone(),
        };
        let u = x.f_sub_scalar(self.low)?.f_mul_scalar(scale)?;
        Ok(u.f_clamp(0.0, 255.0)?.f_round()?.f_to_kind(Kind::Uint8)?)
    }

    /// Mean and standard deviation of `ln x` over all pixels, exactly, from the histogram of the bytes.
    #[must_use]
    pub fn moments(&self, images: ArrayView3<'_, u8>) -> DataMoments {
        let mut counts = [0_u64; 256];
        for &byte in images {
            counts[usize::from(byte)] += 1;
        }
        let total = images.len() as f64;
        let of = |f: &dyn Fn(f64) -> f64| -> f64 {
            (0..=255_u8).map(|b| counts[usize::from(b)] as f64 * f(self.log(b))).sum::<f64>() / total
        };
        let log_mean = of(&|y| y);
        let log_sd = of(&|y| (y - log_mean).powi(2)).sqrt();
        DataMoments { log_mean, log_sd }
    }

    /// Log pixels as the rows of an N × (H·W) matrix.
    #[must_use]
    pub fn log_rows(&self, images: ArrayView3<'_, u8>) -> Array2<f32> {
        let table: Vec<f32> = (0..=255).map(|b| self.log(b) as f32).collect();
        let (n, h, w) = images.dim();
        let values = images.iter().map(|&b| table[usize::from(b)]).collect();
        Array2::from_shape_vec((n, h * w), values).unwrap_or_else(|_| Array2::zeros((n, h * w)))
    }
}

/// Images N × H × W as a tensor `[N, 1, H, W]` of bytes.
///
/// # Errors
/// If libtorch refuses.
pub fn to_tensor(images: ArrayView3<'_, u8>, device: Device) -> Result<Tensor> {
    channels_first(images.insert_axis(Axis(3)), device)
}

/// Images N × H × W × C as a tensor `[N, C, H, W]` of bytes.
///
/// # Errors
/// If libtorch refuses.
pub fn channels_first(images: ArrayView4<'_, u8>, device: Device) -> Result<Tensor> {
    let moved = images.permuted_axes([0, 3, 1, 2]);
    let shape: Vec<i64> = moved.shape().iter().map(|&n| n as i64).collect();
    let values: Vec<u8> = moved.iter().copied().collect();
    Ok(Tensor::f_from_slice(&values)?.f_view(shape.as_slice())?.f_to_device(device)?)
}

/// The inverse of [`to_tensor`].
///
/// # Errors
/// If the tensor is not `[N, 1, H, W]` bytes.
pub fn to_array(bytes: &Tensor) -> Result<Array3<u8>> {
    let (n, _, h, w) = bytes.size4()?;
    let values = Vec::<u8>::try_from(&bytes.f_to_device(Device::Cpu)?.f_reshape([-1])?)?;
    let shape = (n as usize, h as usize, w as usize);
    Array3::from_shape_vec(shape, values).map_err(|_| models::ModelError::Shape {
        what: "images",
        expected: vec![n, 1, h, w],
        found: bytes.size(),
    })
}

/// Standard normals `[rows, 1, H, W]`; row `i` belongs to `first_index + i`.
///
/// # Errors
/// If libtorch refuses.
pub fn normals(noise: &Noise, stream: Stream, first_index: u64, shape: [i64; 4], device: Device) -> Result<Tensor> {
    let columns = (shape[1] * shape[2] * shape[3]) as usize;
    let mut values = vec![0.0_f32; shape[0] as usize * columns];
    noise.rows_normal(stream, first_index, 0, &mut values, columns);
    Ok(Tensor::f_from_slice(&values)?.f_view(shape)?.f_to_device(device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: PixelMap = PixelMap { low: 1.0, high: 2.0, coordinate: Coordinate::Log };

    #[test]
    fn every_byte_survives_the_way_there_and_back() {
        let linear = PixelMap { low: 0.0, high: std::f64::consts::LN_2, coordinate: Coordinate::Linear };
        for map in [MAP, PixelMap { low: 0.05, high: 1.05, ..MAP }, linear] {
            let bytes = Array3::from_shape_fn((1, 16, 16), |(_, i, j)| (16 * i + j) as u8);
            let tensor = to_tensor(bytes.view(), Device::Cpu).unwrap();
            let back = map.bytes(&map.log_tensor(&tensor).unwrap(), None).unwrap();
            assert_eq!(to_array(&back).unwrap(), bytes);
        }
    }

    #[test]
    fn out_of_range_pixels_are_clamped() {
        let logs = Tensor::from_slice(&[-5.0_f32, 0.5_f32.ln(), 3.0_f32.ln(), 9.0]).view([1, 1, 2, 2]);
        let bytes = to_array(&MAP.bytes(&logs, None).unwrap()).unwrap();
        assert_eq!(bytes.into_raw_vec_and_offset().0, [0, 0, 255, 255]);
    }

    #[test]
    fn moments_agree_with_the_rows() {
        let images = Array3::from_shape_fn((3, 4, 5), |(n, i, j)| (n * 61 + i * 17 + j * 29) as u8);
        let moments = MAP.moments(images.view());
        let rows = MAP.log_rows(images.view());
        let mean = rows.iter().map(|&y| f64::from(y)).sum::<f64>() / 60.0;
        let variance = rows.iter().map(|&y| (f64::from(y) - mean).powi(2)).sum::<f64>() / 60.0;
        assert!((moments.log_mean - mean).abs() < 1e-6 && (moments.log_sd - variance.sqrt()).abs() < 1e-6);
    }
}
