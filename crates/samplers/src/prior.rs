//! Priors: where reverse time starts, `ȳ_T = mean + sd z` with independent coordinates.
//!
//! ```text
//! log-normal       mean = a, sd = b                                        the published fit, x_T = exp(a + b z)
//! moment-matched   mean = E[ln x_0], sd² = Var[ln x_0] + v(T)              matches the noised data's pixel moments
//! ```

use gbm_sde::{Noise, Stream};
use ndarray::Array2;
use score_match::DataMoments;
use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, finite, positive};
use crate::noise::AddressedNoise;

/// A prior as written in a configuration file. The variant without settings has braces because serde would otherwise let
/// unknown keys pass.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PriorConfig {
    /// Given location and scale of the centred log state.
    LogNormal {
        /// Location.
        a: f64,
        /// Scale, positive.
        b: f64,
    },
    /// Mean and variance of a noised pixel.
    MomentMatched {},
}

impl Default for PriorConfig {
    fn default() -> Self {
        Self::MomentMatched {}
    }
}

impl PriorConfig {
    /// The prior for data with these moments, at the log variance `v` where the grid starts.
    ///
    /// # Errors
    /// When the location is not finite or the scale not positive and finite.
    pub fn build(&self, moments: &DataMoments, v: f64) -> Result<Prior, ConfigError> {
        match *self {
            Self::LogNormal { a, b } => {
                finite("prior", "a", a)?;
                positive("prior", "b", b)?;
                Ok(Prior { mean: a, sd: b })
            }
            Self::MomentMatched {} => {
                finite("prior", "log_mean", moments.log_mean)?;
                positive("prior", "log_sd", moments.log_sd)?;
                positive("prior", "v", v)?;
                Ok(Prior { mean: moments.log_mean, sd: (moments.log_sd.powi(2) + v).sqrt() })
            }
        }
    }
}

/// Independent normals of one mean and standard deviation, for the centred log state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Mean of every coordinate.
    pub mean: f64,
    /// Standard deviation of every coordinate.
    pub sd: f64,
}

impl Prior {
    /// The starts of `rows` images (rows × columns) in single precision; row `i` is image `first_index + i`.
    pub fn draw_f32(&self, noise: &Noise, first_index: u64, rows: usize, columns: usize) -> Array2<f32> {
        let (mean, sd) = (self.mean as f32, self.sd as f32);
        source(noise, first_index).rows_f32(rows, columns, 0).mapv_into(|z| mean + sd * z)
    }

    /// The starts of `rows` images (rows × columns) in double precision; row `i` is image `first_index + i`.
    pub fn draw_f64(&self, noise: &Noise, first_index: u64, rows: usize, columns: usize) -> Array2<f64> {
        source(noise, first_index).rows_f64(rows, columns, 0).mapv_into(|z| self.mean + self.sd * z)
    }
}

fn source(noise: &Noise, first_index: u64) -> AddressedNoise {
    AddressedNoise { noise: *noise, stream: Stream::PRIOR, first_index }
}
