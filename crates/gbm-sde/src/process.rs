//! Geometric Brownian motion forwards and backwards in time.
//!
//! ```math
//! \begin{aligned}
//! &\text{forward}  & X_t &= X_0 \exp(m(t) + \sqrt{v(t)}\, \varepsilon) && \text{exact, no simulation} \\
//! &\text{reverse}  & dX &= (-\mu + 2\sigma^2 + \sigma^2 h)\, X\, d\tau + \sigma X\, dW && \text{ambient (Itô)} \\
//! &                & dY &= (-\mu + \tfrac32 \sigma^2 + \sigma^2 h)\, d\tau + \sigma\, dW && \text{log space, } Y = \ln X \\
//! &\text{flow}     & \frac{dY}{dt} &= (\mu - \tfrac12 \sigma^2) - \tfrac12 \sigma^2 g
//! \end{aligned}
//! ```
//!
//! with the Hyvärinen score `$h = x\, \partial_x \ln p$` and the log-space score `$g = \partial_y \ln p_Y = h + 1$` of the marginal.
//! Reverse time follows Anderson (1982), the probability flow Song et al. (2021).
//!
//! | module | idea |
//! |---|---|
//! | [`paths`] | exact paths and bridges, Euler–Maruyama and Milstein |
//! | [`likelihood`] | likelihood of an observed path; μ and σ from one, with standard errors |
//! | [`fokker_planck`] | the residual of the equation that a density must solve |
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

pub mod fokker_planck;
pub mod likelihood;
pub mod paths;

use crate::lognormal::{LogNormal, LogNormalError};
use crate::schedule::Schedule;

/// Why a path, or a question about one, is refused.
///
/// ```
/// use gbm_sde::{GbmFit, ProcessError};
/// let short = GbmFit::from_path(&[0.0, 1.0], &[1.0, 1.2]);
/// assert_eq!(short, Err(ProcessError::Observations { times: 2, values: 2, least: 3 }));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProcessError {
    /// Times must start at 0 or later, and grow.
    #[error("path: time {time} at position {index} is below the one before it, {previous}")]
    Order {
        /// Position in the grid.
        index: usize,
        /// The time there.
        time: f64,
        /// The time before.
        previous: f64,
    },
    /// One normal is needed for each time.
    #[error("path: {times} times need as many normals, got {normals}")]
    Length {
        /// Number of times.
        times: usize,
        /// Number of normals.
        normals: usize,
    },
    /// A path is positive.
    #[error("path: value {value} at position {index} is not positive and finite")]
    Value {
        /// Position in the path; 0 is its start.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A bridge needs noise between its ends.
    #[error("bridge: the log variance must grow from t = {from} to t = {to}")]
    Ends {
        /// Time of the start.
        from: f64,
        /// Time of the end.
        to: f64,
    },
    /// An observed path needs a value for each time, and enough of them.
    #[error("observed path: {times} times and {values} values, needed are equally many and at least {least}")]
    Observations {
        /// Number of times.
        times: usize,
        /// Number of values.
        values: usize,
        /// Smallest number that will do.
        least: usize,
    },
    /// The log variance does not grow between two observations, so that no density exists.
    #[error("observed path: no time passes between position {index} and the one before it")]
    Repeated {
        /// Position of the second.
        index: usize,
    },
    /// The estimated volatility is not a positive number: the observed path moves along an exponential, or out of range.
    #[error("observed path: the estimated volatility is {0}")]
    NoSpread(f64),
    /// Finite differences would leave the time range of the schedule, or a step is not positive.
    #[error(
        "Fokker-Planck: the differences at x = {x}, t = {t} with steps {dx} and {dt} leave x > 0 or 0 < t <= {horizon}"
    )]
    Stencil {
        /// Where.
        x: f64,
        /// When.
        t: f64,
        /// Step in `ln x`.
        dx: f64,
        /// Step in time.
        dt: f64,
        /// The end of forward time.
        horizon: f64,
    },
}

/// Geometric Brownian motion with a given schedule; one coordinate.
///
/// ```
/// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
/// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroMean, horizon: 1.0 };
/// let gbm = Gbm::new(Schedule::new(config)?);
/// let law = gbm.transition(2.0, 0.5)?;
/// assert!((law.mean() - 2.0).abs() < 1e-14);
/// assert!((gbm.perturb(2.0, 0.5, 1.0) - law.sample(1.0)).abs() < 1e-14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Gbm {
    /// Its `μ(t)` and `σ(t)`.
    pub schedule: Schedule,
}

impl Gbm {
    /// The process with this schedule.
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let schedule = Schedule::new(config)?;
    /// assert_eq!(Gbm::new(schedule.clone()).schedule, schedule);
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    pub fn new(schedule: Schedule) -> Self {
        Self { schedule }
    }

    /// `x_t` from a positive `x_0` and a standard normal `eps`, exactly; in units of `x_0`, `t` in those of the schedule.
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// // Opposite noise gives reciprocal factors around the median, which stays in place.
    /// assert!((gbm.perturb(2.0, 0.5, 1.3) * gbm.perturb(2.0, 0.5, -1.3) - 4.0).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    pub fn perturb(&self, x0: f64, t: f64, eps: f64) -> f64 {
        x0 * (self.schedule.log_drift(t) + self.schedule.log_variance(t).sqrt() * eps).exp()
    }

    /// The law of `X_t` given `X₀ = x₀`: `ln X_t ~ N(ln x₀ + m(t), v(t))`.
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// assert!((gbm.transition(2.0, 0.5)?.mean() - 2.0 * (0.3 * 0.5f64).exp()).abs() < 1e-14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At `t = 0`, where the law is a point, and for an `x0` that is not positive and finite.
    pub fn transition(&self, x0: f64, t: f64) -> Result<LogNormal, LogNormalError> {
        LogNormal::new(x0.ln() + self.schedule.log_drift(t), self.schedule.log_variance(t).sqrt())
    }

    /// The law of `X_t` given `X_s = x_s` at an earlier time: `ln X_t ~ N(ln x_s + m(t) - m(s), v(t) - v(s))`.
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 1.0 };
    /// let law = Gbm::new(Schedule::new(config)?).transition_between(0.25, 2.0, 0.75)?;
    /// assert!((law.mean() - 2.0 * 0.15f64.exp()).abs() < 1e-14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Unless the log variance grows from `s` to `t` and `x_s` is positive and finite.
    pub fn transition_between(&self, s: f64, x_s: f64, t: f64) -> Result<LogNormal, LogNormalError> {
        let (dm, dv) = self.increments(s, t);
        LogNormal::new(x_s.ln() + dm, dv.sqrt())
    }

    /// `m(t) - m(s)` and `v(t) - v(s)`.
    pub(crate) fn increments(&self, s: f64, t: f64) -> (f64, f64) {
        let schedule = &self.schedule;
        (schedule.log_drift(t) - schedule.log_drift(s), schedule.log_variance(t) - schedule.log_variance(s))
    }

    /// Drift of `X` in reverse time at `x`, in units of `x` per time unit, with the Hyvärinen score `h` of the marginal at
    /// `t`.
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// let (x, h) = (1.7, -1.2);
    /// // Itô: the drift of ln X is that of X over x, less σ²/2.
    /// assert!((gbm.reverse_drift(x, h, 0.5) / x - 0.32 - gbm.log_reverse_drift(h, 0.5)).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    pub fn reverse_drift(&self, x: f64, h: f64, t: f64) -> f64 {
        let s2 = self.schedule.sigma(t).powi(2);
        (-self.schedule.mu(t) + 2.0 * s2 + s2 * h) * x
    }

    /// Drift of `Y = ln X` in reverse time, per time unit, with the Hyvärinen score `h` of the marginal at `t`.
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// let h = -1.2;
    /// // The reversed flow, and half of σ² times the log-space score h + 1 for the noise.
    /// let flow = gbm.flow_velocity(h + 1.0, 0.5);
    /// assert!((gbm.log_reverse_drift(h, 0.5) - (0.32 * (h + 1.0) - flow)).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    pub fn log_reverse_drift(&self, h: f64, t: f64) -> f64 {
        let s2 = self.schedule.sigma(t).powi(2);
        -self.schedule.mu(t) + 1.5 * s2 + s2 * h
    }

    /// Velocity `dY/dt` of the probability flow in forward time, per time unit, with the log-space score `g` of the marginal at
    /// `t`.
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// // From one point Y = σ √t z, whose score is −z/(σ √t): along the flow z stays, so dY/dt = σ z/(2 √t).
    /// let (t, z) = (0.25, 1.5);
    /// assert!((gbm.flow_velocity(-z / (0.8 * 0.5), t) - 0.8 * z / (2.0 * 0.5)).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::ScheduleError>(())
    /// ```
    pub fn flow_velocity(&self, g: f64, t: f64) -> f64 {
        let s2 = self.schedule.sigma(t).powi(2);
        self.schedule.mu(t) - 0.5 * s2 - 0.5 * s2 * g
    }
}
