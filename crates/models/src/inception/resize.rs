//! From bytes of any size to 299 × 299 pixels in [−1, 1]: two published ways, which give different distances.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Result;

/// Side of the network's input.
const SIDE: i64 = 299;

/// How images are prepared. A distance says which, since the two are not comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preparation {
    /// As TensorFlow 1 did for the original distance, and torch-fidelity does: pixel `i` of the output is read at `i · size / 299`
    /// of the input, then `(x − 128) / 128`.
    #[default]
    Tensorflow,
    /// As pytorch-fid does: centres of pixels fall on centres, at `(i + ½) · size / 299 − ½`, then `2 x / 255 − 1`.
    PytorchFid,
}

impl Preparation {
    /// Name, as in a protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tensorflow => "bilinear-299-tensorflow",
            Self::PytorchFid => "bilinear-299-pytorch-fid",
        }
    }

    /// Bytes `[B, C, H, W]` with one or three channels to `[B, 3, 299, 299]`.
    pub(super) fn apply(self, bytes: &Tensor) -> Result<Tensor> {
        let x = bytes.f_to_kind(Kind::Float)?;
        let x = match self {
            Self::Tensorflow => {
                let x = lerp(&lerp(&x, 2)?, 3)?;
                x.f_sub_scalar(128.0)?.f_div_scalar(128.0)?
            }
            Self::PytorchFid => {
                let x = x.f_div_scalar(255.0)?.f_upsample_bilinear2d([SIDE, SIDE], false, None, None)?;
                x.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?
            }
        };
        Ok(x.f_expand([-1, 3, -1, -1], false)?.f_contiguous()?)
    }
}

/// Linear interpolation along one dimension, at `i · size / 299`; beyond the last pixel there is the last pixel.
fn lerp(x: &Tensor, dimension: i64) -> Result<Tensor> {
    let size = x.size()[dimension as usize];
    // In single precision, as TensorFlow computes it.
    let scale = size as f32 / SIDE as f32;
    let places: Vec<f32> = (0..SIDE).map(|i| i as f32 * scale).collect();
    let at = |offset: i64| -> Result<Tensor> {
        let index: Vec<i64> = places.iter().map(|place| (place.floor() as i64 + offset).min(size - 1)).collect();
        Ok(x.f_index_select(dimension, &Tensor::from_slice(&index).f_to_device(x.device())?)?)
    };
    let weights: Vec<f32> = places.iter().map(|place| place - place.floor()).collect();
    let mut shape = [1; 4];
    shape[dimension as usize] = SIDE;
    let weights = Tensor::from_slice(&weights).f_view(shape)?.f_to_device(x.device())?;
    Ok(at(0)?.f_lerp_tensor(&at(1)?, &weights)?)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn a_ramp_is_read_at_the_places_of_each_way() {
        let ramp = Tensor::arange(10, (Kind::Float, Device::Cpu)).view([1, 1, 1, 10]).expand([1, 1, 10, 10], false);
        let ramp = (ramp * 10.0).to_kind(Kind::Uint8);
        let old = Preparation::Tensorflow.apply(&ramp).unwrap();
        let new = Preparation::PytorchFid.apply(&ramp).unwrap();
        assert_eq!(old.size(), [1, 3, 299, 299]);
        for column in [0, 1, 50, 149, 260, 298] {
            let left = (column as f64 * 10.0 / 299.0).min(9.0);
            let centred = ((column as f64 + 0.5) * 10.0 / 299.0 - 0.5).clamp(0.0, 9.0);
            let found = old.double_value(&[0, 2, 17, column]);
            assert!((found - (10.0 * left - 128.0) / 128.0).abs() < 1e-5, "{column}: {found}");
            let found = new.double_value(&[0, 1, 17, column]);
            assert!((found - (20.0 * centred / 255.0 - 1.0)).abs() < 1e-5, "{column}: {found}");
        }
    }

    #[test]
    fn images_of_the_network_s_own_size_stay_as_they_are() {
        let wave = Tensor::arange(3 * SIDE * SIDE, (Kind::Float, Device::Cpu)).sin() * 127.5 + 127.5;
        let bytes = wave.reshape([1, 3, SIDE, SIDE]).to_kind(Kind::Uint8);
        let wanted = (bytes.to_kind(Kind::Float) - 128.0) / 128.0;
        assert!(Preparation::Tensorflow.apply(&bytes).unwrap().equal(&wanted));
    }
}
