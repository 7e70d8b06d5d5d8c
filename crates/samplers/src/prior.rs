//! Priors: where reverse time starts, in the centred log state `ȳ` at the grid's first level `v`.
//!
//! ```text
//! log-normal        ȳ = a + b z                                the published fit, x_T = exp(a + b z)
//! moment-matched    ȳ = E[ln x_0] + √(Var[ln x_0] + v) z       matches the noised data's pixel moments
//! full-covariance   ȳ ~ N(μ, L Lᵀ + diag(ψ) + v I)             fitted to the data set, L with `rank` columns
//! class-average     ȳ = ln x̄_c + √v z,  c = i mod classes      image i starts from the noised mean image of a class
//! ```
//!
//! The first two are independent pixels and need no data set; the last two need [`PriorStatistics`] of one. Image `i`
//! starts from draws that belong to `(seed, i)`.
//!
//! Source of the class averages: the code published with Shetty, Prasath and Seelamantula (2025), arXiv 2510.02730. For
//! the covariance see [`score_match::low_rank`].

use std::f64::consts::TAU;

use gbm_sde::{Noise, Stream};
use ndarray::{Array2, ArrayView1, ArrayView2};
use score_match::{DataMoments, LowRankNormal, ScoreError};
use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, counted, finite, positive};
use crate::noise::AddressedNoise;

/// A prior as written in a configuration file. Variants without settings have braces because serde would otherwise let
/// unknown keys pass.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Mean and covariance of a noised image, low rank plus diagonal.
    FullCovariance {
        /// Columns of `L`, at least 1 and at most the number of pixels.
        #[serde(default = "default_rank")]
        rank: usize,
    },
    /// The mean image of a class, noised: image `i` gets class `i` modulo their number.
    ClassAverage {},
}

fn default_rank() -> usize {
    64
}

impl Default for PriorConfig {
    fn default() -> Self {
        Self::MomentMatched {}
    }
}

impl PriorConfig {
    /// Whether it is made of a data set, so that [`PriorConfig::build`] needs statistics.
    pub fn needs_data(&self) -> bool {
        matches!(self, Self::FullCovariance { .. } | Self::ClassAverage {})
    }

    /// Checks the settings, as far as that is possible without data, for images of `dim` pixels.
    ///
    /// # Errors
    /// Names the setting that is not finite or not positive, or the rank that is 0 or above `dim`.
    pub fn check(&self, dim: usize) -> Result<(), ConfigError> {
        match *self {
            Self::LogNormal { a, b } => finite("prior", "a", a).and_then(|()| positive("prior", "b", b)),
            Self::FullCovariance { rank } => {
                counted("prior", "rank", rank)?;
                let too_many = ScoreError::TooMany { name: "the rank", most: dim, value: rank };
                if rank <= dim { Ok(()) } else { Err(too_many.into()) }
            }
            Self::MomentMatched {} | Self::ClassAverage {} => Ok(()),
        }
    }

    /// Fits what [`PriorConfig::build`] needs of a data set: none for a prior that needs nothing of it. `logs` is `ln
    /// x_0` (N × d), `labels` the classes (N).
    ///
    /// # Errors
    /// When the rank is 0 or above `d`, values are not finite, labels are not as many as rows, or a class below the
    /// largest label has no image.
    pub fn fit(&self, logs: ArrayView2<'_, f32>, labels: &[u8]) -> Result<Option<PriorStatistics>, ConfigError> {
        Ok(match *self {
            Self::LogNormal { .. } | Self::MomentMatched {} => None,
            Self::FullCovariance { rank } => Some(PriorStatistics::LowRank(LowRankNormal::fit(logs, rank)?)),
            Self::ClassAverage {} => Some(PriorStatistics::Classes(class_averages(logs, labels)?)),
        })
    }

    /// The prior for data with these moments, at the log variance `v` where the grid starts. `statistics` come from
    /// [`PriorConfig::fit`] of the same settings; priors that need no data ignore them.
    ///
    /// # Errors
    /// When the location is not finite, the scale or the level not positive and finite, or statistics are missing.
    pub fn build(
        &self,
        moments: &DataMoments,
        statistics: Option<&PriorStatistics>,
        v: f64,
    ) -> Result<FittedPrior, ConfigError> {
        match (*self, statistics) {
            (Self::LogNormal { a, b }, _) => {
                finite("prior", "a", a)?;
                positive("prior", "b", b)?;
                Ok(FittedPrior::Independent(Prior { mean: a, sd: b }))
            }
            (Self::MomentMatched {}, _) => {
                finite("prior", "log_mean", moments.log_mean)?;
                positive("prior", "log_sd", moments.log_sd)?;
                positive("prior", "v", v)?;
                let sd = (moments.log_sd.powi(2) + v).sqrt();
                Ok(FittedPrior::Independent(Prior { mean: moments.log_mean, sd }))
            }
            (Self::FullCovariance { rank }, Some(PriorStatistics::LowRank(law))) if law.rank() == rank => {
                positive("prior", "v", v)?;
                Ok(FittedPrior::LowRank { law: law.clone(), v })
            }
            (Self::ClassAverage {}, Some(PriorStatistics::Classes(centres))) => {
                positive("prior", "v", v)?;
                Ok(FittedPrior::ClassAverage { centres: centres.clone(), v })
            }
            (Self::FullCovariance { rank }, _) => {
                counted("prior", "rank", rank)?;
                Err(ConfigError::NoData("full-covariance"))
            }
            (Self::ClassAverage {}, _) => Err(ConfigError::NoData("class-average")),
        }
    }
}

/// What the priors that look like the data know of a data set; from [`PriorConfig::fit`].
#[derive(Clone, Debug, PartialEq)]
pub enum PriorStatistics {
    /// Mean and covariance of `ln x_0`.
    LowRank(LowRankNormal),
    /// The logarithm of the mean image of each class (classes × d).
    Classes(Array2<f64>),
}

/// `ln` of the mean of `x_0` over each class: the mean is taken of images, not of their logarithms, as the authors do.
fn class_averages(logs: ArrayView2<'_, f32>, labels: &[u8]) -> Result<Array2<f64>, ConfigError> {
    let (n, d) = logs.dim();
    if labels.len() != n {
        let (name, found, expected) = ("the labels", vec![labels.len()], vec![n]);
        return Err(ScoreError::Shape { name, found, expected }.into());
    }
    let classes = labels.iter().max().map_or(0, |&label| usize::from(label) + 1);
    counted("prior", "the number of images", classes)?;
    let mut sums = Array2::<f64>::zeros((classes, d));
    let mut counts = vec![0_u32; classes];
    for (row, (log, &label)) in logs.rows().into_iter().zip(labels).enumerate() {
        let class = usize::from(label);
        counts[class] += 1;
        for (column, (sum, &y)) in sums.row_mut(class).iter_mut().zip(log).enumerate() {
            if !y.is_finite() {
                return Err(ScoreError::Data { row, column, value: f64::from(y) }.into());
            }
            *sum += f64::from(y).exp();
        }
    }
    if let Some(class) = counts.iter().position(|&count| count == 0) {
        return Err(ConfigError::EmptyClass { class, classes });
    }
    for (mut sum, &count) in sums.rows_mut().into_iter().zip(&counts) {
        sum.mapv_inplace(|sum| (sum / f64::from(count)).ln());
    }
    Ok(sums)
}

/// A prior that is ready to be drawn from.
#[derive(Clone, Debug, PartialEq)]
pub enum FittedPrior {
    /// Independent normals.
    Independent(Prior),
    /// `N(μ, L Lᵀ + diag(ψ) + v I)`.
    LowRank {
        /// Its law without noise.
        law: LowRankNormal,
        /// The level of the start.
        v: f64,
    },
    /// The noised centre of a class.
    ClassAverage {
        /// Centres (classes × d).
        centres: Array2<f64>,
        /// The level of the start.
        v: f64,
    },
}

impl FittedPrior {
    /// The pixels of an image; none where there may be any number of them.
    pub fn dim(&self) -> Option<usize> {
        match self {
            Self::Independent(_) => None,
            Self::LowRank { law, .. } => Some(law.dim()),
            Self::ClassAverage { centres, .. } => Some(centres.ncols()),
        }
    }

    /// The starts of `rows` images (rows × columns) in double precision; row `i` is image `first_index + i`.
    ///
    /// # Errors
    /// When the prior is that of a data set with another number of pixels than `columns`.
    pub fn draw_f64(
        &self,
        noise: &Noise,
        first_index: u64,
        rows: usize,
        columns: usize,
    ) -> Result<Array2<f64>, ConfigError> {
        if let Some(expected) = self.dim().filter(|&dim| dim != columns) {
            return Err(ConfigError::Pixels { expected, found: columns });
        }
        Ok(match self {
            Self::Independent(prior) => prior.draw_f64(noise, first_index, rows, columns),
            Self::LowRank { law, v } => law.sample_rows(noise, Stream::PRIOR, first_index, rows, *v),
            Self::ClassAverage { centres, v } => {
                let r = v.sqrt();
                let mut state = source(noise, first_index).rows_f64(rows, columns, 0);
                for (index, mut row) in (first_index..).zip(state.rows_mut()) {
                    let centre = centres.row((index % centres.nrows() as u64) as usize);
                    row.zip_mut_with(&centre, |z, mean| *z = mean + r * *z);
                }
                state
            }
        })
    }

    /// The starts of `rows` images (rows × columns) in single precision; row `i` is image `first_index + i`.
    ///
    /// # Errors
    /// As [`FittedPrior::draw_f64`].
    pub fn draw_f32(
        &self,
        noise: &Noise,
        first_index: u64,
        rows: usize,
        columns: usize,
    ) -> Result<Array2<f32>, ConfigError> {
        match self {
            Self::Independent(prior) => Ok(prior.draw_f32(noise, first_index, rows, columns)),
            _ => Ok(self.draw_f64(noise, first_index, rows, columns)?.mapv(|y| y as f32)),
        }
    }
}

impl FittedPrior {
    /// Log density of each row of `y_bar` (n × d) at the level of the start, in nats by volume of `ȳ`. The class
    /// averages count as their equal mixture.
    ///
    /// # Errors
    /// When the rows have another number of pixels than the prior.
    pub fn log_pdf(&self, y_bar: ArrayView2<'_, f64>) -> Result<Vec<f64>, ConfigError> {
        let found = y_bar.ncols();
        if let Some(expected) = self.dim().filter(|&dim| dim != found) {
            return Err(ConfigError::Pixels { expected, found });
        }
        let normal = |z: f64, sd: f64| -0.5 * (z / sd).powi(2) - (sd * TAU.sqrt()).ln();
        let rows = y_bar.rows().into_iter();
        Ok(match self {
            Self::Independent(Prior { mean, sd }) => {
                rows.map(|row| row.iter().map(|y| normal(y - mean, *sd)).sum()).collect()
            }
            Self::LowRank { law, v } => law.log_pdf(y_bar, *v)?,
            Self::ClassAverage { centres, v } => {
                let density = |row: ArrayView1<'_, f64>| {
                    let of = |centre: ArrayView1<'_, f64>| -> f64 {
                        row.iter().zip(centre).map(|(y, mean)| normal(y - mean, v.sqrt())).sum()
                    };
                    let terms: Vec<f64> = centres.rows().into_iter().map(of).collect();
                    let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = terms.iter().map(|term| (term - most).exp()).sum();
                    most + (sum / terms.len() as f64).ln()
                };
                rows.map(density).collect()
            }
        })
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
