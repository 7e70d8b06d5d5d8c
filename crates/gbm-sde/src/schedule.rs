//! Schedules: drift `$\mu(t)$` and volatility `$\sigma(t)$` of geometric Brownian motion on `$[0, T]$`, and their exact integrals.
//!
//! ```math
//! \begin{aligned}
//! m(t) &= \int_0^t \bigl(\mu - \tfrac12 \sigma^2\bigr)\, ds && \text{(log drift)} \\
//! v(t) &= \int_0^t \sigma^2\, ds && \text{(log variance)}
//! \end{aligned}
//! ```
//!
//! | [`Variance`] | `$\sigma^2(t)$` | `$v(t)$` |
//! |---|---|---|
//! | constant | `$\sigma^2$` | `$\sigma^2 t$` |
//! | linear | `$\sigma_{\min}^2 + (\sigma_{\max}^2 - \sigma_{\min}^2)\, t/T$` | `$\sigma_{\min}^2 t + (\sigma_{\max}^2 - \sigma_{\min}^2)\, t^2/2T$` |
//! | geometric | `$r_{\max}^2\, q^{t/T} \ln q / (T (q - 1))$` | `$r_{\max}^2 (q^{t/T} - 1)/(q - 1)$` |
//! | karras | `$2\, r\, r' r_{\max}^2/(r_{\max}^2 - r_{\min}^2)$` | `$r_{\max}^2 (r^2 - r_{\min}^2)/(r_{\max}^2 - r_{\min}^2)$` |
//! | table | slope of the interpolant | monotone cubics through the knots |
//!
//! The geometric one, with `$q = (r_{\max}/r_{\min})^2$`, is the variance-exploding schedule of Song et al. (2021); the Karras one is
//! the spacing of noise levels of EDM (Karras et al. 2022),
//!
//! ```math
//! r(t) = \Bigl( r_{\min}^{1/\rho} + \tfrac tT \bigl( r_{\max}^{1/\rho} - r_{\min}^{1/\rho} \bigr) \Bigr)^\rho
//! ```
//!
//! Both start at the level `$r_{\min} > 0$` in their source. Here `$r^2$` is shifted and scaled so that `$v(0) = 0$` and
//! `$v(T) = r_{\max}^2$` hold exactly: `$r_{\min}$` is the level below which `$v$` is about linear in `$t$`, and well above it
//! `$\sqrt v$` follows the source's `$r$`. The geometric one is the limit `$\rho \to \infty$` of the other. Times outside
//! `$[0, T]$` are taken at the nearest end.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

mod table;

use serde::{Deserialize, Serialize};

use table::MonotoneCubic;

/// How the volatility depends on time. Volatilities are per square root of a time unit, `r` are noise levels `√v`.
///
/// ```
/// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
/// let variance = Variance::Linear { sigma_min: 0.0, sigma_max: 0.8 };
/// let config = ScheduleConfig { variance, drift: Drift::ZeroLog, horizon: 2.0 };
/// let schedule = Schedule::new(config)?;
/// assert!((schedule.log_variance(2.0) - 0.64).abs() < 1e-15); // the mean of σ² is half of its end
/// # Ok::<(), gbm_sde::ScheduleError>(())
/// ```
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Variance {
    /// `σ` does not change.
    Constant {
        /// Volatility, positive.
        sigma: f64,
    },
    /// `σ²` grows linearly in time.
    Linear {
        /// Volatility at time 0, not negative.
        sigma_min: f64,
        /// Volatility at the horizon, positive, at least `sigma_min`.
        sigma_max: f64,
    },
    /// `σ` grows geometrically in time.
    Geometric {
        /// Noise level below which `v` is about linear in `t`; positive.
        r_min: f64,
        /// Noise level `√v(T)` at the horizon; above `r_min`.
        r_max: f64,
    },
    /// The noise level grows like a power of time, as in EDM.
    Karras {
        /// Noise level below which `v` is about linear in `t`; positive.
        r_min: f64,
        /// Noise level `√v(T)` at the horizon; above `r_min`.
        r_max: f64,
        /// The power, positive; EDM's is 7, more spends more time at low levels.
        #[serde(default = "seven")]
        rho: f64,
    },
    /// The log variance is given at some times and rises smoothly between them.
    Table {
        /// Pairs `[t, v]`, both growing, from `[0, 0]` to `[T, v(T)]`. In TOML: `knots = [[0, 0], [0.5, 0.1], [1, 0.64]]`.
        knots: Vec<[f64; 2]>,
    },
}

fn seven() -> f64 {
    7.0
}

/// The choice of the drift `μ(t)`, per time unit.
///
/// ```
/// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
/// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroMean, horizon: 1.0 };
/// let schedule = Schedule::new(config)?;
/// assert!((schedule.log_drift(0.5) + 0.5 * schedule.log_variance(0.5)).abs() < 1e-15);
/// assert_eq!(schedule.mu(0.5), 0.0);
/// # Ok::<(), gbm_sde::ScheduleError>(())
/// ```
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// `μ = σ²/2`, so `m = 0`: the median stays in place. The published choice.
    #[default]
    ZeroLog,
    /// `μ = 0`, so `m = −v/2`: the mean stays in place.
    ZeroMean,
    /// A constant `μ`: `m = μ t − v/2`. In TOML: `drift = { free = 0.3 }`.
    Free(f64),
}

/// A schedule as written in a configuration file; not yet checked.
///
/// ```
/// use gbm_sde::{Drift, ScheduleConfig, Variance};
/// let config: ScheduleConfig = toml::from_str(r#"variance = { kind = "constant", sigma = 0.8 }"#)?;
/// assert_eq!(config, ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 });
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Volatility over time.
    pub variance: Variance,
    /// Drift over time.
    #[serde(default)]
    pub drift: Drift,
    /// The end `T` of forward time, positive.
    #[serde(default = "unit")]
    pub horizon: f64,
}

fn unit() -> f64 {
    1.0
}

/// Why a schedule, or a question to it, is refused.
///
/// ```
/// use gbm_sde::{Drift, Schedule, ScheduleConfig, ScheduleError, Variance};
/// let config = ScheduleConfig { variance: Variance::Constant { sigma: -0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
/// assert_eq!(Schedule::new(config), Err(ScheduleError::NotPositive { name: "sigma", value: -0.8 }));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScheduleError {
    /// A parameter that must be positive and finite is not.
    #[error("schedule: {name} must be positive and finite, got {value}")]
    NotPositive {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A parameter that must be finite is not, or is negative where that makes no sense.
    #[error("schedule: {name} must be finite and not negative, got {value}")]
    Negative {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// The free drift is not finite.
    #[error("schedule: the drift must be finite, got {0}")]
    Drift(f64),
    /// Two parameters are in the wrong order.
    #[error("schedule: {low} = {low_value} must be below {high} = {high_value}")]
    Order {
        /// The parameter that should be smaller.
        low: &'static str,
        /// Its value.
        low_value: f64,
        /// The parameter that should be larger.
        high: &'static str,
        /// Its value.
        high_value: f64,
    },
    /// A table of one knot or none.
    #[error("schedule: a table needs at least 2 knots, got {0}")]
    TooFewKnots(usize),
    /// A knot that is not finite, not above the one before it, or not `[0, 0]` at the start.
    #[error("schedule: knot {index} = [{t}, {v}] must be finite and above the one before it in both, from [0, 0] on")]
    Knot {
        /// Position in the table.
        index: usize,
        /// Its time.
        t: f64,
        /// Its log variance.
        v: f64,
    },
    /// The table does not end at the horizon.
    #[error("schedule: the last knot is at t = {last}, the horizon at {horizon}")]
    Horizon {
        /// The end of forward time.
        horizon: f64,
        /// Time of the last knot.
        last: f64,
    },
    /// The schedule is so extreme that its terminal variance is not a positive finite number.
    #[error("schedule: the terminal log variance v(T) must be positive and finite, got {0}")]
    Terminal(f64),
    /// A log variance that the schedule never reaches.
    #[error("schedule: log variance {v} is outside [0, {max}]")]
    OutOfRange {
        /// The variance asked for.
        v: f64,
        /// `v(T)`.
        max: f64,
    },
}

/// A checked schedule.
///
/// ```
/// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
/// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
/// let schedule = Schedule::new(config)?;
/// assert!((schedule.log_variance(1.0) - 0.64).abs() < 1e-15);
/// assert_eq!(schedule.log_drift(1.0), 0.0);
/// # Ok::<(), gbm_sde::ScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    /// The interpolant of a table.
    table: Option<MonotoneCubic>,
}

impl Schedule {
    /// Checks every parameter once; the schedule keeps the units of its configuration.
    ///
    /// ```
    /// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 2.0 };
    /// let schedule = Schedule::new(config)?;
    /// assert_eq!((schedule.horizon(), schedule.config().drift), (2.0, Drift::Free(0.3)));
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    /// A [`ScheduleError`] with the value that is not finite, not positive or in the wrong order.
    pub fn new(config: ScheduleConfig) -> Result<Self, ScheduleError> {
        positive("horizon", config.horizon)?;
        let mut table = None;
        match config.variance {
            Variance::Constant { sigma } => positive("sigma", sigma)?,
            Variance::Linear { sigma_min, sigma_max } => {
                if !(sigma_min.is_finite() && sigma_min >= 0.0) {
                    return Err(ScheduleError::Negative { name: "sigma_min", value: sigma_min });
                }
                positive("sigma_max", sigma_max)?;
                if sigma_min > sigma_max {
                    return Err(ScheduleError::Order {
                        low: "sigma_min",
                        low_value: sigma_min,
                        high: "sigma_max",
                        high_value: sigma_max,
                    });
                }
            }
            Variance::Geometric { r_min, r_max } => levels(r_min, r_max)?,
            Variance::Karras { r_min, r_max, rho } => {
                levels(r_min, r_max)?;
                positive("rho", rho)?;
            }
            Variance::Table { ref knots } => table = Some(MonotoneCubic::new(knots, config.horizon)?),
        }
        if let Drift::Free(mu) = config.drift
            && !mu.is_finite()
        {
            return Err(ScheduleError::Drift(mu));
        }
        let schedule = Self { config, table };
        let terminal = schedule.log_variance(schedule.horizon());
        if terminal.is_finite() && terminal > 0.0 { Ok(schedule) } else { Err(ScheduleError::Terminal(terminal)) }
    }

    /// The configuration this schedule was made from.
    pub fn config(&self) -> &ScheduleConfig {
        &self.config
    }

    /// The end `T` of forward time, in time units.
    pub fn horizon(&self) -> f64 {
        self.config.horizon
    }

    /// Volatility `σ(t)`, per square root of a time unit.
    ///
    /// ```
    /// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
    /// let variance = Variance::Geometric { r_min: 0.01, r_max: 2.0 };
    /// let config = ScheduleConfig { variance, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let schedule = Schedule::new(config)?;
    /// // Geometric from 0 to 1: half way it is the geometric mean.
    /// let ends = schedule.sigma(0.0) * schedule.sigma(1.0);
    /// assert!((schedule.sigma(0.5).powi(2) - ends).abs() < 1e-13);
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    pub fn sigma(&self, t: f64) -> f64 {
        let fraction = self.fraction(t);
        match self.config.variance {
            Variance::Constant { sigma } => sigma,
            Variance::Linear { sigma_min, sigma_max } => {
                let low = sigma_min * sigma_min;
                (low + (sigma_max * sigma_max - low) * fraction).sqrt()
            }
            Variance::Geometric { r_min, r_max } => {
                let ln_q = 2.0 * (r_max / r_min).ln();
                r_max * (ln_q * (fraction * ln_q).exp() / (self.horizon() * ln_q.exp_m1())).sqrt()
            }
            Variance::Karras { r_min, r_max, rho } => {
                let k = Karras::new(r_min, r_max, rho);
                let slope = 2.0 * rho * k.growth / (1.0 + k.growth * fraction) * k.ln_square(fraction).exp();
                r_max * (slope / (self.horizon() * k.ln_square(1.0).exp_m1())).sqrt()
            }
            Variance::Table { .. } => self.interpolate(|table| table.slope(fraction * self.horizon()).sqrt()),
        }
    }

    /// Drift `μ(t)`, per time unit.
    ///
    /// ```
    /// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let schedule = Schedule::new(config)?;
    /// assert!((schedule.mu(0.5) - 0.32).abs() < 1e-15); // σ²/2
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    pub fn mu(&self, t: f64) -> f64 {
        match self.config.drift {
            Drift::ZeroLog => 0.5 * self.sigma(t).powi(2),
            Drift::ZeroMean => 0.0,
            Drift::Free(mu) => mu,
        }
    }

    /// Log drift `m(t)`, without unit; `m(0) = 0`.
    ///
    /// ```
    /// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 1.0 };
    /// let schedule = Schedule::new(config)?;
    /// assert!((schedule.log_drift(0.5) - (0.3 * 0.5 - 0.32 * 0.5)).abs() < 1e-15); // (μ − σ²/2) t
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    pub fn log_drift(&self, t: f64) -> f64 {
        match self.config.drift {
            Drift::ZeroLog => 0.0,
            Drift::ZeroMean => -0.5 * self.log_variance(t),
            Drift::Free(mu) => mu * self.fraction(t) * self.horizon() - 0.5 * self.log_variance(t),
        }
    }

    /// Log variance `v(t)`, without unit; strictly increasing, `v(0) = 0`.
    ///
    /// ```
    /// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
    /// let variance = Variance::Karras { r_min: 0.002, r_max: 3.0, rho: 7.0 };
    /// let config = ScheduleConfig { variance, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let schedule = Schedule::new(config)?;
    /// assert_eq!([0.0, 1.0].map(|t| schedule.log_variance(t)), [0.0, 9.0]);
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    pub fn log_variance(&self, t: f64) -> f64 {
        let fraction = self.fraction(t);
        let t = fraction * self.horizon();
        match self.config.variance {
            Variance::Constant { sigma } => sigma * sigma * t,
            Variance::Linear { sigma_min, sigma_max } => {
                let low = sigma_min * sigma_min;
                t * (low + 0.5 * (sigma_max * sigma_max - low) * fraction)
            }
            Variance::Geometric { r_min, r_max } => {
                let ln_q = 2.0 * (r_max / r_min).ln();
                r_max * r_max * ((fraction * ln_q).exp_m1() / ln_q.exp_m1())
            }
            Variance::Karras { r_min, r_max, rho } => {
                let k = Karras::new(r_min, r_max, rho);
                r_max * r_max * (k.ln_square(fraction).exp_m1() / k.ln_square(1.0).exp_m1())
            }
            Variance::Table { .. } => self.interpolate(|table| table.value(t)),
        }
    }

    /// The time, in time units, at which the log variance is `v`: the inverse of [`Schedule::log_variance`].
    ///
    /// ```
    /// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
    /// let variance = Variance::Karras { r_min: 0.002, r_max: 3.0, rho: 7.0 };
    /// let config = ScheduleConfig { variance, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let schedule = Schedule::new(config)?;
    /// let t = schedule.time_at_variance(0.64)?;
    /// assert!((schedule.log_variance(t) - 0.64).abs() < 1e-13);
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    /// [`ScheduleError::OutOfRange`] unless `0 ≤ v ≤ v(T)`; a relative excess of 1e-12 over `v(T)` is taken as rounding.
    pub fn time_at_variance(&self, v: f64) -> Result<f64, ScheduleError> {
        let max = self.log_variance(self.horizon());
        if !(v >= 0.0 && v <= max * (1.0 + 1e-12)) {
            return Err(ScheduleError::OutOfRange { v, max });
        }
        let t = match self.config.variance {
            Variance::Constant { sigma } => v / (sigma * sigma),
            Variance::Linear { .. } if v == 0.0 => 0.0,
            Variance::Linear { sigma_min, sigma_max } => {
                // The root of the quadratic in the form that does not cancel when the two ends are close.
                let low = sigma_min * sigma_min;
                let slope = (sigma_max * sigma_max - low) / self.horizon();
                2.0 * v / (low + (low * low + 2.0 * slope * v).sqrt())
            }
            Variance::Geometric { r_min, r_max } => {
                let ln_q = 2.0 * (r_max / r_min).ln();
                self.horizon() * (v / (r_max * r_max) * ln_q.exp_m1()).ln_1p() / ln_q
            }
            Variance::Karras { r_min, r_max, rho } => {
                let k = Karras::new(r_min, r_max, rho);
                let ln_square = (v / (r_max * r_max) * k.ln_square(1.0).exp_m1()).ln_1p();
                self.horizon() * (ln_square / (2.0 * rho)).exp_m1() / k.growth
            }
            Variance::Table { .. } => self.interpolate(|table| table.time(v.min(max))),
        };
        Ok(t.min(self.horizon()))
    }

    fn fraction(&self, t: f64) -> f64 {
        (t / self.horizon()).clamp(0.0, 1.0)
    }

    /// A schedule of kind table always holds its interpolant.
    fn interpolate(&self, value: impl Fn(&MonotoneCubic) -> f64) -> f64 {
        self.table.as_ref().map_or(f64::NAN, value)
    }
}

/// The Karras spacing with `r = r_min (1 + g t/T)^ρ`, in a form that does not cancel near time 0.
struct Karras {
    /// `g = (r_max/r_min)^(1/ρ) − 1`.
    growth: f64,
    rho: f64,
}

impl Karras {
    fn new(r_min: f64, r_max: f64, rho: f64) -> Self {
        Self { growth: ((r_max / r_min).ln() / rho).exp_m1(), rho }
    }

    /// `ln (r/r_min)²`.
    fn ln_square(&self, fraction: f64) -> f64 {
        2.0 * self.rho * (self.growth * fraction).ln_1p()
    }
}

fn levels(r_min: f64, r_max: f64) -> Result<(), ScheduleError> {
    positive("r_min", r_min)?;
    positive("r_max", r_max)?;
    if r_min < r_max {
        return Ok(());
    }
    Err(ScheduleError::Order { low: "r_min", low_value: r_min, high: "r_max", high_value: r_max })
}

fn positive(name: &'static str, value: f64) -> Result<(), ScheduleError> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(ScheduleError::NotPositive { name, value }) }
}
