//! The forward process on arrays: single precision rows times log-normal noise, which is drawn on the way.
//!
//! ```math
//! x_i \leftarrow x_i\, \exp(m + \sqrt{v}\, z_i), \qquad z_i = \text{the normal at } (\text{seed}, \text{stream}, \text{index}, \text{step}, i)
//! ```
//!
//! One pass reads and writes each value once; the noise never lies in memory. `$m$` and `$\sqrt v$` are rounded to single
//! precision once, the normals are [`Noise::fill_normal`]'s, the exponential is [`exponential::exp`](crate::exponential::exp). Against
//! [`Gbm::perturb`](crate::Gbm::perturb) in double precision a finite, normal result has a relative error of at most
//! `$2^{-23}\,(2.5 + |m| + 2\,|\sqrt v\, z|)$`: rounding the exponent and its parts, the exponential, the product.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use crate::batch::{Threads, by_pieces};
use crate::exponential::exp;
use crate::lanes::dispatch;
use crate::noise::{Noise, Stream};
use crate::schedule::Schedule;

/// Why a batch is not perturbed. Nothing has been written then.
///
/// ```
/// use gbm_sde::{Level, PerturbError};
/// assert_eq!(Level::new(0.0, -0.5), Err(PerturbError::Level { log_drift: 0.0, log_variance: -0.5 }));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PerturbError {
    /// The log-drift must be finite in single precision, the log-variance not negative, too.
    #[error("perturb: log-drift {log_drift} must be finite and log-variance {log_variance} finite and at least 0")]
    Level {
        /// The log-drift `m`.
        log_drift: f64,
        /// The log-variance `v`.
        log_variance: f64,
    },
    /// The result needs as many values as the batch has.
    #[error("perturb: {values} values go into {room}")]
    Length {
        /// Values of the batch.
        values: usize,
        /// Values of the result.
        room: usize,
    },
    /// Rows must have values.
    #[error("perturb: {values} values cannot be cut into rows of 0")]
    EmptyRows {
        /// Values of the batch.
        values: usize,
    },
    /// One level for all rows, or one for each.
    #[error("perturb: {rows} rows need 1 level or {rows}, got {levels}")]
    Levels {
        /// Rows of the batch.
        rows: usize,
        /// Levels given.
        levels: usize,
    },
}

/// How far a row is perturbed: log-drift `m` and log-variance `v`, as the kernel uses them.
///
/// ```
/// use gbm_sde::{Level, Noise, Perturb};
/// let mut x = [1.0, 2.0, 0.5];
/// Perturb::new(Noise::new(7), 3).in_place(&[Level::new(0.0, 0.0)?], &mut x)?;
/// assert_eq!(x, [1.0, 2.0, 0.5]); // nothing happens at m = v = 0
/// # Ok::<(), gbm_sde::PerturbError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    log_drift: f32,
    deviation: f32,
}

impl Level {
    /// The level with this log-drift `m` and log-variance `v`.
    ///
    /// ```
    /// use gbm_sde::{Level, Noise, Perturb};
    /// let mut x = [1.0, 2.0, 0.5];
    /// Perturb::new(Noise::new(7), 3).in_place(&[Level::new(2f64.ln(), 0.0)?], &mut x)?;
    /// assert!(x.iter().zip([2.0, 4.0, 1.0]).all(|(x, twice)| (x / twice - 1.0).abs() < 3e-7));
    /// # Ok::<(), gbm_sde::PerturbError>(())
    /// ```
    ///
    /// # Errors
    /// When one is not finite, in single precision too, or `v` is negative.
    pub fn new(log_drift: f64, log_variance: f64) -> Result<Self, PerturbError> {
        let level = Self { log_drift: log_drift as f32, deviation: log_variance.sqrt() as f32 };
        // The root of a negative number is not a number.
        if level.log_drift.is_finite() && level.deviation.is_finite() {
            Ok(level)
        } else {
            Err(PerturbError::Level { log_drift, log_variance })
        }
    }

    /// The level of a schedule at time `t`.
    ///
    /// ```
    /// use gbm_sde::{Drift, Level, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroMean, horizon: 1.0 };
    /// assert_eq!(Level::at(&Schedule::new(config)?, 0.0)?, Level::new(0.0, 0.0)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Level::new`]; a checked schedule has finite values at every `t` it is defined for.
    pub fn at(schedule: &Schedule, t: f64) -> Result<Self, PerturbError> {
        Self::new(schedule.log_drift(t), schedule.log_variance(t))
    }

    /// The perturbed `x` for the normal `z`.
    #[inline(always)]
    fn perturb(self, x: f32, z: f32) -> f32 {
        x * exp(self.log_drift + self.deviation * z)
    }
}

/// Perturbs batches: whose noise, for which rows.
///
/// ```
/// use gbm_sde::{Level, Noise, Perturb, Stream};
/// let mut batch = [1.0, 2.0, 0.5, 1.5, 1.0, 3.0];
/// let perturb = Perturb { first_index: 40, ..Perturb::new(Noise::new(7), 3) };
/// perturb.in_place(&[Level::new(-0.1, 0.64)?], &mut batch)?;
/// // Image 41 is the second row: the same values, wherever it is.
/// let mut image = [1.5, 1.0, 3.0];
/// let alone = Perturb { first_index: 41, ..perturb };
/// alone.in_place(&[Level::new(-0.1, 0.64)?], &mut image)?;
/// assert_eq!(image, batch[3..]);
/// # Ok::<(), gbm_sde::PerturbError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perturb {
    /// Source of the normals.
    pub noise: Noise,
    /// Their stream.
    pub stream: Stream,
    /// Index of the first row's normals; the next row has the next index.
    pub first_index: u64,
    /// Their step.
    pub step: u32,
    /// Values in a row; a last row may be short.
    pub row_len: usize,
    /// Threads to use.
    pub threads: Threads,
}

impl Perturb {
    /// Rows of `row_len` values from index 0 on, on all threads, with the normals of [`Stream::PERTURB`] at step 0.
    ///
    /// ```
    /// use gbm_sde::{Level, Noise, Perturb, Stream};
    /// let (mut x, mut z) = ([1.0; 4], [0.0; 4]);
    /// Perturb::new(Noise::new(7), 4).in_place(&[Level::new(0.0, 0.25)?], &mut x)?;
    /// Noise::new(7).fill_normal(Stream::PERTURB, 0, 0, &mut z);
    /// assert!(x.iter().zip(z).all(|(x, z)| (x.ln() - 0.5 * z).abs() < 1e-6));
    /// # Ok::<(), gbm_sde::PerturbError>(())
    /// ```
    pub fn new(noise: Noise, row_len: usize) -> Self {
        Self { noise, stream: Stream::PERTURB, first_index: 0, step: 0, row_len, threads: Threads::All }
    }

    /// Perturbs the rows `x`, each by its own level or all by the one given.
    ///
    /// ```
    /// use gbm_sde::{Level, Noise, Perturb};
    /// let mut x = [1.0, 2.0, 3.0, 4.0];
    /// let levels = [Level::new(0.0, 0.64)?, Level::new(0.0, 0.0)?]; // one for each row of 2
    /// Perturb::new(Noise::new(7), 2).in_place(&levels, &mut x)?;
    /// assert!(x[..2] != [1.0, 2.0] && x[2..] == [3.0, 4.0]);
    /// # Ok::<(), gbm_sde::PerturbError>(())
    /// ```
    ///
    /// # Errors
    /// When rows have no values, or there are neither one level nor as many as rows.
    pub fn in_place(&self, levels: &[Level], x: &mut [f32]) -> Result<(), PerturbError> {
        self.run(levels, None, x)
    }

    /// Writes the perturbed rows `x` into `out`; the values are [`Perturb::in_place`]'s.
    ///
    /// ```
    /// use gbm_sde::{Level, Noise, Perturb};
    /// let (mut x, mut out) = ([1.0, 2.0, 3.0, 4.0], [0.0; 4]);
    /// let (perturb, levels) = (Perturb::new(Noise::new(7), 2), [Level::new(0.0, 0.64)?]);
    /// perturb.out_of_place(&levels, &x, &mut out)?;
    /// perturb.in_place(&levels, &mut x)?;
    /// assert_eq!(out, x);
    /// # Ok::<(), gbm_sde::PerturbError>(())
    /// ```
    ///
    /// # Errors
    /// As there, and when the lengths differ.
    pub fn out_of_place(&self, levels: &[Level], x: &[f32], out: &mut [f32]) -> Result<(), PerturbError> {
        if x.len() != out.len() {
            return Err(PerturbError::Length { values: x.len(), room: out.len() });
        }
        self.run(levels, Some(x), out)
    }

    fn run(&self, levels: &[Level], source: Option<&[f32]>, out: &mut [f32]) -> Result<(), PerturbError> {
        let values = out.len();
        if values == 0 {
            return Ok(());
        }
        if self.row_len == 0 {
            return Err(PerturbError::EmptyRows { values });
        }
        let rows = values.div_ceil(self.row_len);
        if levels.len() != 1 && levels.len() != rows {
            return Err(PerturbError::Levels { rows, levels: levels.len() });
        }
        by_pieces(self.threads, out, self.row_len, |place, piece| {
            if let Some(x) = source {
                // The copy is still in the cache when it is perturbed.
                let start = place.row * self.row_len + place.element;
                piece.copy_from_slice(&x[start..start + piece.len()]);
            }
            dispatch(
                #[inline(always)]
                || {
                    for (i, row) in piece.chunks_mut(self.row_len).enumerate() {
                        let number = place.row + i;
                        let level = if levels.len() == 1 { levels[0] } else { levels[number] };
                        let index = self.first_index.wrapping_add(number as u64);
                        self.noise.row(self.stream, index, self.step).with_normals(
                            place.element / 2,
                            row,
                            #[inline(always)]
                            |_, x, z| x.iter_mut().zip(z).for_each(|(x, &z)| *x = level.perturb(*x, z)),
                        );
                    }
                },
            );
        });
        Ok(())
    }
}
