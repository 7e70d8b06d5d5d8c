//! Coefficients of one reverse step, from a level `$v$` down to `$v' < v$`, in log space and in ambient space.
//!
//! ```math
//! \begin{aligned}
//! &\text{centred log (Dale–Langevin)}  & \bar y' &= \alpha \bar y + \beta D + \eta z, & \alpha &= 1 - \Delta v/v, \; \beta = \Delta v/v, \; \eta = \sqrt{\Delta v} \\
//! &\text{the same, ambient}  & x' &= x\, e^{a + b h + c z}, & a &= -\Delta m + \Delta v, \; b = \Delta v, \; c = \sqrt{\Delta v} \\
//! &\text{Euler–Maruyama}  & x' &= x\, (1 + a + b h + c z), & a &= -\textstyle\int\!\mu + 2 \Delta v, \; b = \Delta v, \; c = \sqrt{\Delta v} \\
//! &\text{Milstein}  & x' &= x\, (1 + a + b h + c z + d (z^2 - 1)), & d &= \tfrac12 \Delta v
//! \end{aligned}
//! ```
//!
//! with `$\Delta v = v - v'$`, `$\Delta m = m - m'$`, `$\int \mu = \Delta m + \tfrac12 \Delta v$`, the Hyvärinen score `$h$`, the log denoiser
//! `$D$` and `$\bar y = \ln x - m$`. The first two are one update, since `$h + 1 = (D - \bar y)/v$`. Euler–Maruyama in ambient
//! space is the paper's unconstrained multiplicative sampler (UMS); it and Milstein can change the sign of `$x$`. Integrals of
//! the schedule are exact, so a step may be of any size.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use crate::normal::normal_cdf;
use crate::schedule::Schedule;

/// Why a step is refused.
///
/// ```
/// use gbm_sde::{LogStep, StepError};
/// assert_eq!(LogStep::between_levels(0.1, 0.4), Err(StepError::Levels { from: 0.1, to: 0.4 }));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StepError {
    /// A reverse step goes from a positive level down to a smaller one that is not negative.
    #[error("step: the level must fall and stay non-negative, got v = {from} to v = {to}")]
    Levels {
        /// Level at the start.
        from: f64,
        /// Level at the end.
        to: f64,
    },
}

/// The exponent `a + b h + c z` of a multiplicative update.
///
/// ```
/// let exponent = gbm_sde::LogStep::between_levels(0.5, 0.25)?.exponent();
/// assert_eq!([exponent.a, exponent.b, exponent.c], [0.25, 0.25, 0.5]);
/// # Ok::<(), gbm_sde::StepError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponent {
    /// Constant part.
    pub a: f64,
    /// Factor of the Hyvärinen score.
    pub b: f64,
    /// Factor of the standard normal.
    pub c: f64,
}

impl Exponent {
    /// `x exp(a + b h + c z)`, in units of `x`: never changes the sign of `x`.
    ///
    /// ```
    /// let exponent = gbm_sde::LogStep::between_levels(0.5, 0.25)?.exponent();
    /// // The noise enters as a factor: opposite normals give reciprocal factors.
    /// let h = -1.0; // where a + b h = 0
    /// assert!((exponent.apply(3.0, h, 0.7) * exponent.apply(3.0, h, -0.7) - 9.0).abs() < 1e-13);
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn apply(&self, x: f64, h: f64, z: f64) -> f64 {
        x * (self.a + self.b * h + self.c * z).exp()
    }
}

/// The factor `1 + a + b h + c z` of an Euler–Maruyama update in ambient space.
///
/// ```
/// let euler = gbm_sde::LogStep::between_levels(0.5, 0.25)?.euler_factor();
/// assert_eq!([euler.a, euler.b, euler.c], [1.5 * 0.25, 0.25, 0.5]); // centred: ∫μ = Δv/2
/// # Ok::<(), gbm_sde::StepError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EulerFactor {
    /// Constant part, `−∫μ + 2Δv`.
    pub a: f64,
    /// Factor of the Hyvärinen score, `Δv`.
    pub b: f64,
    /// Factor of the standard normal, `√Δv`.
    pub c: f64,
}

impl EulerFactor {
    /// `x (1 + a + b h + c z)`, in units of `x`: may change the sign of `x`.
    ///
    /// ```
    /// let euler = gbm_sde::LogStep::between_levels(0.5, 0.25)?.euler_factor();
    /// let mean = 0.5 * (euler.apply(2.0, -1.5, 0.7) + euler.apply(2.0, -1.5, -0.7));
    /// assert!((mean - 2.0).abs() < 1e-14); // a + b h = 0 at h = −3/2
    /// assert!(euler.apply(2.0, -1.5, -3.0) < 0.0);
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn apply(&self, x: f64, h: f64, z: f64) -> f64 {
        x * (1.0 + self.a + self.b * h + self.c * z)
    }

    /// Probability that the update changes the sign of `x`, over its normal: `Φ(−(1 + a + b h)/c)`.
    ///
    /// ```
    /// let euler = gbm_sde::LogStep::between_levels(0.5, 0.25)?.euler_factor();
    /// // At h = −3/2 the factor is 1 + ½ z, negative for z below −2.
    /// assert!((euler.flip_probability(-1.5) - gbm_sde::normal::normal_cdf(-2.0)).abs() < 1e-16);
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn flip_probability(&self, h: f64) -> f64 {
        normal_cdf(-(1.0 + self.a + self.b * h) / self.c)
    }
}

/// The factor `1 + a + b h + c z + d (z² − 1)` of a Milstein update in ambient space.
///
/// ```
/// let milstein = gbm_sde::LogStep::between_levels(0.5, 0.25)?.milstein_factor();
/// assert_eq!(milstein.d, 0.5 * milstein.euler.c.powi(2)); // Δv/2
/// # Ok::<(), gbm_sde::StepError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MilsteinFactor {
    /// The part it shares with Euler–Maruyama.
    pub euler: EulerFactor,
    /// Factor of `z² − 1`, `½ Δv`.
    pub d: f64,
}

impl MilsteinFactor {
    /// `x (1 + a + b h + c z + d (z² − 1))`, in units of `x`: may change the sign of `x`.
    ///
    /// ```
    /// let milstein = gbm_sde::LogStep::between_levels(0.5, 0.25)?.milstein_factor();
    /// assert_eq!(milstein.apply(2.0, -1.5, 1.0), milstein.euler.apply(2.0, -1.5, 1.0)); // z² = 1
    /// assert!((milstein.apply(2.0, -1.5, 0.0) - (2.0 - 2.0 * 0.125)).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn apply(&self, x: f64, h: f64, z: f64) -> f64 {
        self.euler.apply(x, h, z) + x * self.d * (z * z - 1.0)
    }
}

/// One reverse step between two log-variance levels; nothing in it has a unit.
///
/// ```
/// use gbm_sde::{Drift, LogStep, Schedule, ScheduleConfig, Variance};
/// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
/// let step = LogStep::between_times(&Schedule::new(config)?, 0.5, 0.499)?;
/// let (x, h, z) = (1.2, -1.5, 0.4);
/// let (exponential, milstein) = (step.exponent().apply(x, h, z), step.milstein_factor().apply(x, h, z));
/// assert!((exponential - milstein).abs() < 1e-4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogStep {
    /// Level `v` at the start, positive.
    pub v: f64,
    /// Level `v'` at the end, below `v`.
    pub v_next: f64,
    /// Change of the log drift `Δm = m − m'`; 0 in the centred state.
    pub dm: f64,
}

impl LogStep {
    /// A step of the centred state, between two levels.
    ///
    /// ```
    /// let whole = gbm_sde::LogStep::between_levels(0.5, 0.0)?;
    /// assert_eq!([whole.alpha(), whole.beta()], [0.0, 1.0]); // down to 0: the denoiser takes over
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    ///
    /// # Errors
    /// Unless `v > v_next ≥ 0`, both finite.
    pub fn between_levels(v: f64, v_next: f64) -> Result<Self, StepError> {
        if v.is_finite() && v > v_next && v_next >= 0.0 {
            Ok(Self { v, v_next, dm: 0.0 })
        } else {
            Err(StepError::Levels { from: v, to: v_next })
        }
    }

    /// A step of `ln x` from time `t` back to `t_next < t`.
    ///
    /// ```
    /// use gbm_sde::{Drift, LogStep, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroMean, horizon: 1.0 };
    /// let step = LogStep::between_times(&Schedule::new(config)?, 1.0, 0.5)?;
    /// assert!((step.dv() - 0.32).abs() < 1e-15 && (step.dm + 0.5 * step.dv()).abs() < 1e-15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Unless the log variance falls between the two.
    pub fn between_times(schedule: &Schedule, t: f64, t_next: f64) -> Result<Self, StepError> {
        let step = Self::between_levels(schedule.log_variance(t), schedule.log_variance(t_next))?;
        Ok(Self { dm: schedule.log_drift(t) - schedule.log_drift(t_next), ..step })
    }

    /// `Δv = v − v'`.
    ///
    /// ```
    /// assert_eq!(gbm_sde::LogStep::between_levels(0.5, 0.125)?.dv(), 0.375);
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn dv(&self) -> f64 {
        self.v - self.v_next
    }

    /// `α = 1 − Δv/v = v'/v`, the factor of the centred state in a Dale–Langevin step.
    ///
    /// ```
    /// let step = gbm_sde::LogStep::between_levels(0.5, 0.125)?;
    /// assert_eq!([step.alpha(), step.alpha() + step.beta()], [0.25, 1.0]);
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn alpha(&self) -> f64 {
        self.v_next / self.v
    }

    /// `β = Δv/v`, the factor of the denoiser in a Dale–Langevin step.
    ///
    /// ```
    /// let steps = [gbm_sde::LogStep::between_levels(0.5, 0.25)?, gbm_sde::LogStep::between_levels(0.25, 0.125)?];
    /// let both = gbm_sde::LogStep::between_levels(0.5, 0.125)?;
    /// assert_eq!(both.beta(), steps[1].alpha() * steps[0].beta() + steps[1].beta());
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn beta(&self) -> f64 {
        self.dv() / self.v
    }

    /// `η = √Δv`, the factor of the noise in a Dale–Langevin step.
    ///
    /// ```
    /// let step = gbm_sde::LogStep::between_levels(0.5, 0.25)?;
    /// assert_eq!(step.eta(), 0.5);
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn eta(&self) -> f64 {
        self.dv().sqrt()
    }

    /// The same step as a multiplicative update of the ambient state.
    ///
    /// ```
    /// let step = gbm_sde::LogStep::between_levels(0.5, 0.125)?;
    /// let (x, d, z) = (1.2f64, -0.4, 0.7);
    /// let h = (d - x.ln()) / step.v - 1.0;
    /// let log = step.alpha() * x.ln() + step.beta() * d + step.eta() * z;
    /// assert!((step.exponent().apply(x, h, z) - log.exp()).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn exponent(&self) -> Exponent {
        Exponent { a: self.dv() - self.dm, b: self.dv(), c: self.eta() }
    }

    /// The Euler–Maruyama step of the ambient state (UMS) between the same levels.
    ///
    /// ```
    /// let step = gbm_sde::LogStep::between_levels(0.5, 0.125)?;
    /// // Itô: the exponent's constant and half of the squared noise.
    /// assert_eq!(step.euler_factor().a, step.exponent().a + 0.5 * step.eta().powi(2));
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn euler_factor(&self) -> EulerFactor {
        let integral_mu = self.dm + 0.5 * self.dv();
        EulerFactor { a: 2.0 * self.dv() - integral_mu, b: self.dv(), c: self.eta() }
    }

    /// The Milstein step of the ambient state between the same levels.
    ///
    /// ```
    /// let step = gbm_sde::LogStep::between_levels(1e-4, 0.0)?;
    /// let (x, h, z) = (1.2, -1.5, 0.4);
    /// // The exponential's series, to the second order in the noise.
    /// assert!((step.milstein_factor().apply(x, h, z) - step.exponent().apply(x, h, z)).abs() < 1e-6);
    /// # Ok::<(), gbm_sde::StepError>(())
    /// ```
    pub fn milstein_factor(&self) -> MilsteinFactor {
        MilsteinFactor { euler: self.euler_factor(), d: 0.5 * self.dv() }
    }
}
