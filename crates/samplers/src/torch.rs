//! Tensors as states: `[N, C, H, W]` in single precision, on any device.
//!
//! The kernels work in place, without temporaries of the state's size. A term whose factor makes up for `α`, `y ← (1 − β) y + β D`, goes in
//! one pass (`lerp_`), as in every first-order sampler; any other costs a pass of its own (`addcmul_` with the factor as a tensor
//! of no dimensions, since `tch` has no scaled addition).
//!
//! [`AddressedNoise`] gives image `i` the draws of index `first_index + i`, generated on the CPU, so the starts and paths are the
//! same on every device and for every batch. [`DeviceNoise`] is fast and promises neither.

use gbm_sde::{Noise, Stream};
use tch::{Kind, Tensor, no_grad};

use crate::error::SampleError;
use crate::noise::{AddressedNoise, NoiseSource};
use crate::prior::{FittedPrior, Prior};
use crate::state::{Bracket, State};

impl State for Tensor {
    fn duplicate(&self) -> Self {
        self.detach_copy()
    }

    fn combine(&mut self, alpha: f64, terms: &[(f64, &Self)]) {
        no_grad(|| {
            let rest = match *terms {
                [(beta, first), ref rest @ ..] if makes_up(alpha, beta) => {
                    let _ = self.lerp_(first, beta);
                    rest
                }
                _ => {
                    if alpha != 1.0 {
                        let _ = self.g_mul_scalar_(alpha);
                    }
                    terms
                }
            };
            for &(beta, term) in rest {
                let _ = self.addcmul_(term, &scalar(beta, self));
            }
        });
    }

    fn multiply(&mut self, signs: &mut Self, bracket: &Bracket, denoised: &Self, z: &Self) {
        no_grad(|| {
            let mut factor = z * bracket.square;
            let _ = factor.g_add_scalar_(bracket.noise).g_mul_(z);
            let _ = factor.addcmul_(denoised, &scalar(bracket.slope, self));
            let _ = factor.addcmul_(self, &scalar(-bracket.slope, self)).g_add_scalar_(bracket.one);
            // A sum that is 0 is positive, so that 0 does not change a sign.
            let _ = signs.g_mul_(&scalar(1.0, self).copysign(&factor));
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

/// Whether `α y + β D` is a linear interpolation, in the precision of a tensor.
fn makes_up(alpha: f64, beta: f64) -> bool {
    (alpha + beta - 1.0).abs() < 1e-15
}

/// A factor as a tensor of no dimensions, of the kind and on the device of `like`.
fn scalar(value: f64, like: &Tensor) -> Tensor {
    Tensor::full([] as [i64; 0], value, (like.kind(), like.device()))
}

/// Standard normals from libtorch's own generator, on the device of the state: fast, but **not batch independent**. What an image gets
/// depends on the batch it is in, on all that was drawn before, and on the kind of device. A run can be repeated only as a whole:
/// the same seed, batches and device.
///
/// libtorch has one generator for the whole process, which `tch` cannot tell apart into several: nothing else may draw from it meanwhile.
///
/// ```
/// use samplers::{DeviceNoise, NoiseSource};
/// let like = tch::Tensor::zeros([2, 1, 4, 4], (tch::Kind::Float, tch::Device::Cpu));
/// let mut draw = |seed| DeviceNoise::seeded(seed).normal(&like, 0);
/// assert!(draw(7)?.equal(&draw(7)?) && !draw(7)?.equal(&draw(8)?));
/// # Ok::<(), samplers::SampleError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceNoise(());

impl DeviceNoise {
    /// Seeds libtorch's generator, on every device.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        tch::manual_seed(seed.cast_signed());
        Self(())
    }
}

impl NoiseSource<Tensor> for DeviceNoise {
    fn normal(&mut self, like: &Tensor, _: u32) -> Result<Tensor, SampleError> {
        like.f_randn_like().map_err(|e| SampleError::Backend(e.to_string()))
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

impl FittedPrior {
    /// The starts of images of `shape = [N, C, H, W]`; image `i` is number `first_index + i`.
    ///
    /// # Errors
    /// When the prior is that of a data set with another number of pixels, or libtorch cannot make the tensor.
    pub fn draw_tensor(
        &self,
        noise: &Noise,
        first_index: u64,
        shape: &[i64],
        device: tch::Device,
    ) -> Result<Tensor, SampleError> {
        if let Self::Independent(prior) = self {
            return prior.draw_tensor(noise, first_index, shape, device);
        }
        let (rows, columns) = rows_and_columns(shape);
        let values = self.draw_f32(noise, first_index, rows, columns)?.into_raw_vec_and_offset().0;
        to_tensor(&values, shape, device)
    }
}

impl FittedPrior {
    /// [`FittedPrior::log_pdf`] of images (`[N, C, H, W]`), in nats by volume of `ȳ`.
    ///
    /// # Errors
    /// When the images have another number of pixels than the prior, or libtorch cannot read the tensor.
    pub fn log_pdf_tensor(&self, y_bar: &Tensor) -> Result<Vec<f64>, SampleError> {
        let backend = |e: tch::TchError| SampleError::Backend(e.to_string());
        let flat = y_bar.f_reshape([-1]).and_then(|t| t.f_to_kind(Kind::Double)).map_err(backend)?;
        let values = flat.f_to_device(tch::Device::Cpu).and_then(|t| Vec::<f64>::try_from(&t)).map_err(backend)?;
        let rows = ndarray::Array2::from_shape_vec(rows_and_columns(&y_bar.size()), values);
        Ok(self.log_pdf(rows.expect("a tensor has the values of its shape").view())?)
    }
}

/// Number of images, and of values of each.
fn rows_and_columns(shape: &[i64]) -> (usize, usize) {
    let rows = shape.first().copied().unwrap_or(0).max(0) as usize;
    (rows, shape.iter().skip(1).product::<i64>().max(0) as usize)
}

fn to_tensor(values: &[f32], shape: &[i64], device: tch::Device) -> Result<Tensor, SampleError> {
    let backend = |e: tch::TchError| SampleError::Backend(e.to_string());
    let tensor = Tensor::f_from_slice(values).map_err(backend)?;
    tensor.f_reshape(shape).and_then(|t| t.f_to_device(device)).and_then(|t| t.f_to_kind(Kind::Float)).map_err(backend)
}

fn addressed(source: &AddressedNoise, shape: &[i64], step: u32, device: tch::Device) -> Result<Tensor, SampleError> {
    let (rows, columns) = rows_and_columns(shape);
    let mut values = vec![0.0_f32; rows * columns];
    source.noise.rows_normal(source.stream, source.first_index, step, &mut values, columns);
    to_tensor(&values, shape, device)
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

    /// Interpolations, sums, a single term and none, in both precisions.
    #[test]
    fn every_way_of_combining_is_the_formula() {
        let [y, d, e] = [0.3, -1.2, 2.0].map(|s| Tensor::arange(50, (Kind::Double, Device::Cpu)).sin() * s + s);
        let interpolation: &[(f64, &Tensor)] = &[(0.25, &d), (0.8, &e)];
        for (alpha, terms) in [(0.75, interpolation), (0.75, &interpolation[1..]), (1.0, interpolation), (-0.4, &[])] {
            let mut expected = &y * alpha;
            for (beta, term) in terms {
                expected += *term * *beta;
            }
            for (kind, allowed) in [(Kind::Double, 4e-15), (Kind::Float, 2e-6)] {
                let mut found = y.to_kind(kind).duplicate();
                let terms: Vec<(f64, Tensor)> = terms.iter().map(|(b, t)| (*b, t.to_kind(kind))).collect();
                let terms: Vec<(f64, &Tensor)> = terms.iter().map(|(b, t)| (*b, t)).collect();
                found.combine(alpha, &terms);
                assert_eq!(found.kind(), kind);
                let error = (found.to_kind(Kind::Double) - &expected).abs().max().double_value(&[]);
                assert!(error < allowed, "{alpha} {} terms, {kind:?}: {error}", terms.len());
            }
        }
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
