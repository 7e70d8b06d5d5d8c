//! From the density of `y = ln x` to that of pixels, and to bits per dimension of bytes.
//!
//! ```text
//! u = (byte + U)/256,  U ~ uniform(0, 1)           uniform dequantization
//! x = low + (high − low) u,   y = ln x             the pixel scale
//! ln p_X(x) = ln p_Y(ln x) − Σ ln x_i              change of variables to ambient space
//! ln p_u(u) = ln p_X(x) + d ln(high − low)
//! bits per dimension = −[ ln p_X(x) + d ln((high − low)/256) ]/(d ln 2)
//! ```
//!
//! In units of one grey level (1/256 of the scale) the density is `p_X ((high − low)/256)^d`, and by Jensen's
//! inequality the mean over `U` of minus its logarithm is not below minus the log probability of the bytes under the
//! law rounded to grey levels: bits per dimension are an upper bound of the code length, and 8 for the uniform law.
//! Networks that were trained on `byte/255` see images within 1/256 of those.
//!
//! Source: Theis, van den Oord and Bethge, *A note on the evaluation of generative models* (2016).

use gbm_sde::{Noise, Stream};

use crate::error::{ConfigError, positive};

/// Where the uniforms of dequantization come from; index = image, step = draw.
pub const DEQUANTIZATION: Stream = Stream(0x4451);

/// Grey levels of a byte.
const LEVELS: f64 = 256.0;

/// The positive pixels of bytes: `x = low + (high − low) u` for `u` in `[0, 1]`.
///
/// ```
/// use samplers::PixelScale;
/// let scale = PixelScale::new(1.0, 3.0)?;
/// // The uniform law on [1, 3]: density ½ in each pixel of x, so x/2 in each y.
/// let y = [0.2_f64, 0.9];
/// let log_density = y.iter().map(|y| y - 2f64.ln()).sum();
/// assert!((scale.bits_per_dimension(log_density, &y) - 8.0).abs() < 1e-14);
/// # Ok::<(), samplers::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelScale {
    low: f64,
    high: f64,
}

impl PixelScale {
    /// The scale from black to white.
    ///
    /// # Errors
    /// When `low` is not positive and finite, or `high` not finite and above it.
    pub fn new(low: f64, high: f64) -> Result<Self, ConfigError> {
        positive("pixels", "low", low)?;
        positive("pixels", "high − low", high - low)?;
        Ok(Self { low, high })
    }

    /// `y = ln x` of dequantized bytes; the uniforms are those of image `index` at step `draw`.
    ///
    /// ```
    /// use gbm_sde::Noise;
    /// let scale = samplers::PixelScale::new(1.0, 2.0)?;
    /// let y = scale.dequantize(&[0, 255], &Noise::new(7), 3, 0);
    /// assert!(y[0] > 0.0 && y[0] < (1.0 + 1.0 / 256.0f64).ln() && y[1] > (2.0 - 1.0 / 256.0f64).ln() && y[1] < 2f64.ln());
    /// # Ok::<(), samplers::ConfigError>(())
    /// ```
    pub fn dequantize(&self, bytes: &[u8], noise: &Noise, index: u64, draw: u32) -> Vec<f64> {
        let mut y = vec![0.0; bytes.len()];
        noise.fill_uniform_f64(DEQUANTIZATION, index, draw, &mut y);
        for (y, &byte) in y.iter_mut().zip(bytes) {
            *y = (self.low + (self.high - self.low) * (f64::from(byte) + *y) / LEVELS).ln();
        }
        y
    }

    /// `ln p_X(x) = ln p_Y(y) − Σ y`, in nats by volume of `x`, from `ln p_Y(y)`, in nats by volume of `y = ln x`.
    pub fn ambient_log_density(log_density: f64, y: &[f64]) -> f64 {
        log_density - y.iter().sum::<f64>()
    }

    /// Bits per dimension of an image, from `ln p_Y(y)` in nats by volume of `y = ln x`; not a number without pixels.
    pub fn bits_per_dimension(&self, log_density: f64, y: &[f64]) -> f64 {
        let d = y.len() as f64;
        let volume = d * ((self.high - self.low) / LEVELS).ln();
        -(Self::ambient_log_density(log_density, y) + volume) / (d * std::f64::consts::LN_2)
    }
}
