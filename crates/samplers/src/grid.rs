//! Grids: the log variances `v_0 > v_1 > … > v_N = 0` that a sampler visits, with `r = √v`.
//!
//! ```text
//! noise-level    r_i = r_max + i/(N−1) (r_min − r_max),  then 0
//! karras         r_i = (r_max^{1/ρ} + i/(N−1) (r_min^{1/ρ} − r_max^{1/ρ}))^ρ,  then 0        (Karras et al. 2022)
//! log-noise      r_i = r_max (r_min/r_max)^{i/(N−1)},  then 0           uniform in the log signal-to-noise ratio −2 ln r
//! uniform-time   v_i = v(T (1 − i/N))
//! published      v_i = σ² (N − i)/N,  the levels that the authors' network is told
//! table          r_i as given, then 0
//! ```
//!
//! `N` is always the number of steps; a grid has `N + 1` levels.

use gbm_sde::Schedule;
use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, counted, positive};

/// A grid as written in a configuration file.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum GridConfig {
    /// Dense at small noise levels, the more so the larger `rho`.
    Karras {
        /// Smallest noise level before 0.
        r_min: f64,
        /// Noise level at the start.
        r_max: f64,
        /// Exponent; 7 is Karras et al.'s choice.
        rho: f64,
        /// Number of steps.
        steps: usize,
    },
    /// Equal steps of the noise level.
    NoiseLevel {
        /// Smallest noise level before 0.
        r_min: f64,
        /// Noise level at the start.
        r_max: f64,
        /// Number of steps.
        steps: usize,
    },
    /// Geometric in the noise level: equal steps of the log signal-to-noise ratio.
    #[serde(alias = "log-snr")]
    LogNoise {
        /// Smallest noise level before 0.
        r_min: f64,
        /// Noise level at the start.
        r_max: f64,
        /// Number of steps.
        steps: usize,
    },
    /// Uniform in the time of a schedule.
    UniformTime {
        /// Number of steps.
        steps: usize,
    },
    /// The authors' integer steps under constant volatility and horizon 1.
    Published {
        /// Volatility.
        #[serde(default = "published_sigma")]
        sigma: f64,
        /// Number of steps.
        #[serde(default = "published_steps")]
        steps: usize,
    },
    /// Noise levels as they are given, falling; the step to 0 is added.
    Table {
        /// The noise levels, all positive.
        r: Vec<f64>,
    },
}

fn published_sigma() -> f64 {
    0.8
}

fn published_steps() -> usize {
    1000
}

impl GridConfig {
    /// Checks the settings and computes the levels. Only `uniform-time` needs the schedule.
    ///
    /// # Errors
    /// Names the setting that is not positive, not finite, zero or out of order, or the missing schedule; settings so close
    /// that two levels round to one are refused too.
    pub fn build(&self, schedule: Option<&Schedule>) -> Result<Grid, ConfigError> {
        let levels = match *self {
            Self::NoiseLevel { r_min, r_max, steps } => between(r_min, r_max, steps, |u| r_max + u * (r_min - r_max))?,
            Self::Karras { r_min, r_max, rho, steps } => {
                positive("grid", "rho", rho)?;
                between(r_min, r_max, steps, |u| {
                    let (low, high) = (r_min.powf(1.0 / rho), r_max.powf(1.0 / rho));
                    (high + u * (low - high)).powf(rho)
                })?
            }
            Self::LogNoise { r_min, r_max, steps } => {
                between(r_min, r_max, steps, |u| r_max * (r_min / r_max).powf(u))?
            }
            Self::UniformTime { steps } => {
                counted("grid", "steps", steps)?;
                let schedule = schedule.ok_or(ConfigError::NoSchedule)?;
                let time = |i: usize| schedule.horizon() * ((steps - i) as f64 / steps as f64);
                (0..=steps).map(|i| schedule.log_variance(time(i))).collect()
            }
            Self::Published { sigma, steps } => {
                positive("grid", "sigma", sigma)?;
                counted("grid", "steps", steps)?;
                (0..=steps).map(|i| sigma * sigma * ((steps - i) as f64 / steps as f64)).collect()
            }
            Self::Table { ref r } => {
                r.iter().try_for_each(|&r| positive("grid", "r", r))?;
                r.iter().map(|r| r * r).chain([0.0]).collect()
            }
        };
        Grid::new(levels)
    }
}

/// Squares of `r(0) = r_max … r(1) = r_min`, then 0.
fn between(r_min: f64, r_max: f64, steps: usize, r: impl Fn(f64) -> f64) -> Result<Vec<f64>, ConfigError> {
    positive("grid", "r_min", r_min)?;
    positive("grid", "r_max", r_max)?;
    counted("grid", "steps", steps)?;
    if r_min >= r_max {
        return Err(ConfigError::Range { r_min, r_max });
    }
    let level = |i: usize| match i {
        // The ends are set, not computed, so that they carry no rounding of the powers.
        0 => r_max,
        i if i + 1 == steps => r_min,
        i => r(i as f64 / (steps - 1) as f64),
    };
    Ok((0..steps).map(|i| level(i).powi(2)).chain([0.0]).collect())
}

/// Checked levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    v: Vec<f64>,
}

impl Grid {
    /// A grid from its log variances.
    ///
    /// # Errors
    /// Unless there are at least two, finite, strictly falling, the last one 0.
    pub fn new(v: Vec<f64>) -> Result<Self, ConfigError> {
        if v.len() < 2 {
            return Err(ConfigError::TooShort(v.len()));
        }
        let mut previous = f64::INFINITY;
        for (index, &value) in v.iter().enumerate() {
            let last = index + 1 == v.len();
            let falls = value < previous && if last { value == 0.0 } else { value > 0.0 };
            if !falls || value.is_infinite() {
                return Err(ConfigError::NotFalling { index, value, previous });
            }
            previous = value;
        }
        Ok(Self { v })
    }

    /// The log variances, `steps + 1` of them.
    pub fn levels(&self) -> &[f64] {
        &self.v
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.v.len() - 1
    }

    /// The log variance at the start, which the prior has to match.
    pub fn start(&self) -> f64 {
        self.v[0]
    }
}
