//! Coefficients of one reverse step, from a level `v` down to `v' < v`: the Dale–Langevin update.
//!
//! ```text
//! ambient       x' = x exp(a + b h + c z),       a = −Δm + Δv,   b = Δv,   c = √Δv
//! centred log   ȳ' = α ȳ + β D + η z,            α = 1 − Δv/v,   β = Δv/v,   η = √Δv
//! ```
//!
//! with `Δv = v − v'`, `Δm = m − m'`, the Hyvärinen score `h`, the log denoiser `D` and `ȳ = ln x − m`. The two are one
//! update, since `h + 1 = (D − ȳ)/v`. Integrals of the schedule are exact, so a step may be of any size.

use crate::schedule::Schedule;

/// Why a step is refused.
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
    /// `x exp(a + b h + c z)`: never changes the sign of `x`.
    pub fn apply(&self, x: f64, h: f64, z: f64) -> f64 {
        x * (self.a + self.b * h + self.c * z).exp()
    }
}

/// One reverse step between two log-variance levels.
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
    /// # Errors
    /// Unless the log variance falls between the two.
    pub fn between_times(schedule: &Schedule, t: f64, t_next: f64) -> Result<Self, StepError> {
        let step = Self::between_levels(schedule.log_variance(t), schedule.log_variance(t_next))?;
        Ok(Self { dm: schedule.log_drift(t) - schedule.log_drift(t_next), ..step })
    }

    /// `Δv = v − v'`.
    pub fn dv(&self) -> f64 {
        self.v - self.v_next
    }

    /// `α = 1 − Δv/v = v'/v`, the factor of the centred state in a Dale–Langevin step.
    pub fn alpha(&self) -> f64 {
        self.v_next / self.v
    }

    /// `β = Δv/v`, the factor of the denoiser in a Dale–Langevin step.
    pub fn beta(&self) -> f64 {
        self.dv() / self.v
    }

    /// `η = √Δv`, the factor of the noise in a Dale–Langevin step.
    pub fn eta(&self) -> f64 {
        self.dv().sqrt()
    }

    /// The same step as a multiplicative update of the ambient state.
    pub fn exponent(&self) -> Exponent {
        Exponent { a: self.dv() - self.dm, b: self.dv(), c: self.eta() }
    }
}
