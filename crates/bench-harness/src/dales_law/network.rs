//! A perceptron of excitatory and inhibitory units: all outgoing weights of a unit have one sign (Dale's law).
//!
//! ```text
//! inputs    784 excitatory relays, one for each pixel u ∈ [0, 1], and 196 inhibitory ones, one for the mean of each 2 × 2 pixels
//! hidden    200 and 100 rectified units, 80% excitatory, 20% inhibitory
//! output    10 units, softmax
//! W_ij = s_j |W_ij|,   s_j = +1 for an excitatory unit j, −1 for an inhibitory one
//! ```
//!
//! Inhibitory weights start four times as large, so that a unit's input is balanced: its mean is 0, its variance that of its inputs times
//! `Σ_j W_ij² = 2`, as rectified units want it (He et al. 2015). Biases are free.

use anyhow::Result;
use gbm_sde::{Noise, Stream};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

/// Rectified units of the hidden layers.
const HIDDEN: [usize; 2] = [200, 100];
/// Classes.
const OUT: usize = 10;
/// Excitatory units for each inhibitory one; how much larger inhibitory weights start.
const RATIO: usize = 4;

/// The law of the first magnitudes, in units of their mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// `exp(z − ½)`: the law that is looked for in the end is there from the beginning.
    LogNormal,
    /// `2 U`: what is log-normal in the end, learning has made.
    Uniform,
}

impl Start {
    /// Both, in the order of the tables.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::LogNormal];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::LogNormal => "log-normal",
            Self::Uniform => "uniform",
        }
    }

    /// `E[a²]` for magnitudes of mean 1.
    fn second_moment(self) -> f64 {
        match self {
            Self::LogNormal => std::f64::consts::E,
            Self::Uniform => 4.0 / 3.0,
        }
    }

    fn draw(self, noise: &Noise, tensor: u64, magnitudes: &mut [f64]) {
        match self {
            Self::LogNormal => {
                noise.fill_normal_f64(Stream::INIT, tensor, 0, magnitudes);
                magnitudes.iter_mut().for_each(|z| *z = (*z - 0.5).exp());
            }
            Self::Uniform => {
                noise.fill_uniform_f64(Stream::INIT, tensor, 0, magnitudes);
                magnitudes.iter_mut().for_each(|u| *u *= 2.0);
            }
        }
    }
}

/// One layer.
#[derive(Debug)]
pub struct Layer {
    /// `[out, in]`, a leaf that wants its gradient.
    pub weights: Tensor,
    /// `[out]`, too.
    pub bias: Tensor,
    /// `[1, in]`: +1 for excitatory units, −1 for inhibitory ones.
    pub signs: Tensor,
    /// Number of excitatory units, which come first.
    pub excitatory: usize,
}

/// The perceptron.
#[derive(Debug)]
pub struct Network {
    /// From the inputs on.
    pub layers: Vec<Layer>,
}

impl Network {
    /// The network that `seed` starts with, for images of `side × side` pixels, `side` even; the same for every optimizer.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn new(side: usize, start: Start, seed: u64) -> Result<Self> {
        let noise = Noise::new(seed);
        let pixels = side * side;
        let inputs = [(pixels, pixels / RATIO)];
        let hidden = HIDDEN.map(|units| (units * RATIO / (RATIO + 1), units / (RATIO + 1)));
        let sizes: Vec<(usize, usize)> = inputs.into_iter().chain(hidden).collect();
        let outs = HIDDEN.into_iter().chain([OUT]);
        let layers = sizes.iter().zip(outs).enumerate().map(|(number, (&(excitatory, inhibitory), out))| {
            let units = excitatory + inhibitory;
            let mut magnitudes = vec![0.0; out * units];
            start.draw(&noise, number as u64, &mut magnitudes);
            let squares = (excitatory + RATIO * RATIO * inhibitory) as f64 * start.second_moment();
            let mean = (2.0 / squares).sqrt();
            let unit = |j: usize| if j < excitatory { 1.0 } else { -1.0 };
            let scale = |j: usize| mean * if j < excitatory { 1.0 } else { -(RATIO as f64) };
            let values: Vec<f32> = magnitudes.iter().enumerate().map(|(i, a)| (a * scale(i % units)) as f32).collect();
            let signs: Vec<f32> = (0..units).map(unit).collect();
            Ok(Layer {
                weights: Tensor::from_slice(&values)
                    .f_reshape([out as i64, units as i64])?
                    .f_set_requires_grad(true)?,
                bias: Tensor::f_zeros([out as i64], (Kind::Float, Device::Cpu))?.f_set_requires_grad(true)?,
                signs: Tensor::from_slice(&signs).f_reshape([1, units as i64])?,
                excitatory,
            })
        });
        Ok(Self { layers: layers.collect::<Result<_>>()? })
    }

    /// Logits `[N, 10]` of relays `[N, in]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, relays: &Tensor) -> Result<Tensor> {
        let last = self.layers.len() - 1;
        let mut activity = relays.shallow_clone();
        for (i, layer) in self.layers.iter().enumerate() {
            activity = activity.f_linear(&layer.weights, Some(&layer.bias))?;
            if i < last {
                activity = activity.f_relu()?;
            }
        }
        Ok(activity)
    }
}

/// What the input units show of images `[N, side, side]` of bytes: the pixels, then the means of their 2 × 2 blocks; `[N, in]`.
///
/// # Errors
/// If libtorch refuses.
pub fn relays(images: &Tensor) -> Result<Tensor> {
    let pixels = images.f_to_kind(Kind::Float)?.f_div_scalar(255.0)?.f_unsqueeze(1)?;
    let pooled = pixels.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None::<i64>)?;
    Ok(Tensor::f_cat(&[pixels.f_flatten(1, -1)?, pooled.f_flatten(1, -1)?], 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_keeps_dales_law_and_is_balanced() {
        for start in Start::ALL {
            let network = Network::new(28, start, 3).unwrap();
            for (layer, (out, units)) in network.layers.iter().zip([(200, 980), (100, 200), (10, 100)]) {
                assert_eq!(layer.weights.size(), [out, units]);
                assert_eq!(layer.excitatory as i64, units * 4 / 5);
                let signed = &layer.weights * &layer.signs;
                assert!(signed.min().double_value(&[]) > 0.0, "every weight has the sign of its unit");
                let of_row = layer.weights.sum_dim_intlist(1, false, Kind::Double);
                let squares = layer.weights.square().sum_dim_intlist(1, false, Kind::Double).mean(Kind::Double);
                let squares = squares.double_value(&[]);
                // Squares of log-normal weights have a relative variance of e⁴ − 1; inhibitory ones, a fifth, count most.
                let scatter = 2.0 * (4f64.exp_m1() / (out * units / 5) as f64).sqrt();
                assert!((squares - 2.0).abs() < 4.0 * scatter, "{start:?} {squares} {scatter}");
                // Balanced to the scatter of the sum, whose variance is at most that of the squares.
                let mean = of_row.mean(Kind::Double).double_value(&[]);
                assert!(mean.abs() < 4.0 * (2.0 / out as f64).sqrt(), "{start:?} {mean}");
            }
            let again = Network::new(28, start, 3).unwrap();
            assert!(network.layers[1].weights.equal(&again.layers[1].weights));
        }
    }

    #[test]
    fn relays_are_pixels_and_means_of_blocks() {
        let image = Tensor::arange(16, (Kind::Uint8, Device::Cpu)).reshape([1, 4, 4]);
        let found = relays(&image).unwrap() * 255.0;
        let expected = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15., 2.5, 4.5, 10.5, 12.5_f32];
        assert!(found.allclose(&Tensor::from_slice(&expected).reshape([1, 20]), 1e-6, 1e-5, false));
    }
}
