//! Tensors as states: `[N, C, H, W]` in single precision, on any device.
//!
//! The kernel is one in-place multiply and one in-place `axpy` for each term. Noise is addressed: image `i` gets the draws
//! of index `first_index + i`, generated on the CPU, so the starts and paths are the same on every device.

use gbm_sde::{Noise, Stream};
use tch::{Kind, Tensor, no_grad};

use crate::error::SampleError;
use crate::noise::{AddressedNoise, NoiseSource};
use crate::prior::Prior;
use crate::state::{Bracket, State};

impl State for Tensor {
    fn duplicate(&self) -> Self {
        self.detach_copy()
    }

    fn combine(&mut self, alpha: f64, terms: &[(f64, &Self)]) {
        no_grad(|| {
            let _ = self.g_mul_scalar_(alpha);
            for &(beta, term) in terms {
                let _ = self.g_add_(&(term * beta));
            }
        });
    }

    fn multiply(&mut self, signs: &mut Self, bracket: &Bracket, denoised: &Self, z: &Self) {
        no_grad(|| {
            let mut factor = z * bracket.square;
            let _ = factor.g_add_scalar_(bracket.noise).g_mul_(z);
            let _ = factor.g_add_(&((denoised - &*self) * bracket.slope)).g_add_scalar_(bracket.one);
            let _ = signs.g_mul_(&(factor.ge(0.0).to_kind(self.kind()) * 2.0 - 1.0));
            let _ = self.g_add_(&factor.abs_().clamp_min_(f64::from(f32::MIN_POSITIVE)).log_());
        });
    }

    fn filled(&self, value: f64) -> Self {
        self.full_like(value)
    }

    fn error_norm(&self, reference: &Self, absolute: f64, relative: f64) -> f64 {
        no_grad(|| {
            let scaled = self / (reference.abs() * relative + absolute);
            let rows = scaled.size().first().copied().unwrap_or(1).max(1);
            let squares = scaled.square().reshape([rows, -1]).mean_dim(1, false, Kind::Double);
            squares.max().sqrt().double_value(&[])
        })
    }

    fn dims(&self) -> Vec<usize> {
        self.size().into_iter().map(|n| n.max(0) as usize).collect()
    }
}

impl NoiseSource<Tensor> for AddressedNoise {
    fn normal(&mut self, like: &Tensor, step: u32) -> Result<Tensor, SampleError> {
        addressed(self, &like.size(), step, like.device())
    }
}

impl Prior {
    /// The starts of images of `shape = [N, C, H, W]`; image `i` is number `first_index + i`.
    ///
    /// # Errors
    /// When libtorch cannot make the tensor.
    pub fn draw_tensor(
        &self,
        noise: &Noise,
        first_index: u64,
        shape: &[i64],
        device: tch::Device,
    ) -> Result<Tensor, SampleError> {
        let source = AddressedNoise { noise: *noise, stream: Stream::PRIOR, first_index };
        Ok(addressed(&source, shape, 0, device)? * self.sd + self.mean)
    }
}

fn addressed(source: &AddressedNoise, shape: &[i64], step: u32, device: tch::Device) -> Result<Tensor, SampleError> {
    let backend = |e: tch::TchError| SampleError::Backend(e.to_string());
    let rows = shape.first().copied().unwrap_or(0).max(0) as usize;
    let columns = shape.iter().skip(1).product::<i64>().max(0) as usize;
    let mut values = vec![0.0_f32; rows * columns];
    source.noise.rows_normal(source.stream, source.first_index, step, &mut values, columns);
    let tensor = Tensor::f_from_slice(&values).map_err(backend)?;
    tensor.f_reshape(shape).and_then(|t| t.f_to_device(device)).and_then(|t| t.f_to_kind(Kind::Float)).map_err(backend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn the_kernel_agrees_with_the_array_one() {
        let values: [Vec<f64>; 3] = std::array::from_fn(|j| (0..6).map(|i| (i * (j + 2)) as f64 * 0.1 - 0.4).collect());
        let arrays = values.clone().map(|v| ndarray::Array2::from_shape_vec((2, 3), v).unwrap());
        let tensors = values.map(|v| Tensor::from_slice(&v).reshape([2, 3]));
        let (mut a, mut t) = (arrays[0].duplicate(), tensors[0].duplicate());
        a.combine(0.7, &[(0.3, &arrays[1]), (-1.1, &arrays[2])]);
        t.combine(0.7, &[(0.3, &tensors[1]), (-1.1, &tensors[2])]);
        for (i, &expected) in a.iter().enumerate() {
            assert!((t.double_value(&[i as i64 / 3, i as i64 % 3]) - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn the_ambient_kernel_and_the_norm_agree_with_the_array_ones() {
        let values: [Vec<f64>; 3] = std::array::from_fn(|j| (0..6).map(|i| (i * (j + 2)) as f64 * 0.3 - 1.4).collect());
        let [mut a, d, z] = values.clone().map(|v| ndarray::Array2::from_shape_vec((2, 3), v).unwrap());
        let [mut t, td, tz] = values.map(|v| Tensor::from_slice(&v).reshape([2, 3]));
        let bracket = Bracket { one: 0.9, slope: 0.4, noise: 0.8, square: -0.3 };
        let (mut signs, mut tensor_signs) = (a.filled(1.0), t.filled(1.0));
        a.multiply(&mut signs, &bracket, &d, &z);
        State::multiply(&mut t, &mut tensor_signs, &bracket, &td, &tz);
        assert!(signs.iter().any(|&s| s < 0.0) && signs.iter().any(|&s| s > 0.0));
        let at = |t: &Tensor, i: usize| t.double_value(&[i as i64 / 3, i as i64 % 3]);
        for (i, (&y, &sign)) in a.iter().zip(&signs).enumerate() {
            assert!((at(&t, i) - y).abs() < 1e-14 && at(&tensor_signs, i) == sign);
        }
        assert!((t.error_norm(&tz, 0.1, 0.2) - a.error_norm(&z, 0.1, 0.2)).abs() < 1e-13);
    }

    #[test]
    fn noise_belongs_to_the_image_not_to_the_batch() {
        let mut source = AddressedNoise::sampler(5, 0);
        let many = source.normal(&Tensor::zeros([8, 1, 4, 4], (Kind::Float, Device::Cpu)), 3).unwrap();
        let mut later = AddressedNoise::sampler(5, 6);
        let few = later.normal(&Tensor::zeros([2, 1, 4, 4], (Kind::Float, Device::Cpu)), 3).unwrap();
        assert!(many.narrow(0, 6, 2).equal(&few));
        assert!(few.abs().max().double_value(&[]) > 0.5);
    }
}
