//! Geometric Brownian motion forwards and backwards in time.
//!
//! ```text
//! forward     X_t = X_0 exp(m(t) + √v(t) ε)                         exact, no simulation
//! reverse     dX = [−μ + 2σ² + σ² h] X dτ + σ X dW                   ambient (Itô), h = x ∂ₓ ln p
//!             dY = [−μ + 3/2 σ² + σ² h] dτ + σ dW                    log space, Y = ln X
//! flow        dY/dt = (μ − ½σ²) − ½ σ² g                             g = h + 1 = ∂_y ln p_Y
//! ```
//!
//! Reverse time follows Anderson (1982), the probability flow Song et al. (2021).

use crate::lognormal::{LogNormal, LogNormalError};
use crate::schedule::Schedule;

/// Why a path is refused.
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
}

/// Geometric Brownian motion with a given schedule; one coordinate.
#[derive(Debug, Clone, PartialEq)]
pub struct Gbm {
    /// Its `μ(t)` and `σ(t)`.
    pub schedule: Schedule,
}

impl Gbm {
    /// The process with this schedule.
    pub fn new(schedule: Schedule) -> Self {
        Self { schedule }
    }

    /// `x_t` from a positive `x_0` and a standard normal `eps`, exactly.
    pub fn perturb(&self, x0: f64, t: f64, eps: f64) -> f64 {
        x0 * (self.schedule.log_drift(t) + self.schedule.log_variance(t).sqrt() * eps).exp()
    }

    /// The law of `X_t` given `X_0 = x0`.
    ///
    /// # Errors
    /// At `t = 0`, where the law is a point, and for an `x0` that is not positive and finite.
    pub fn transition(&self, x0: f64, t: f64) -> Result<LogNormal, LogNormalError> {
        LogNormal::new(x0.ln() + self.schedule.log_drift(t), self.schedule.log_variance(t).sqrt())
    }

    /// Drift of `X` in reverse time at `x`, with the Hyvärinen score `h` of the marginal at `t`.
    pub fn reverse_drift(&self, x: f64, h: f64, t: f64) -> f64 {
        let s2 = self.schedule.sigma(t).powi(2);
        (-self.schedule.mu(t) + 2.0 * s2 + s2 * h) * x
    }

    /// Drift of `Y = ln X` in reverse time, with the Hyvärinen score `h` of the marginal at `t`.
    pub fn log_reverse_drift(&self, h: f64, t: f64) -> f64 {
        let s2 = self.schedule.sigma(t).powi(2);
        -self.schedule.mu(t) + 1.5 * s2 + s2 * h
    }

    /// Velocity `dY/dt` of the probability flow in forward time, with the log-space score `g` of the marginal at `t`.
    pub fn flow_velocity(&self, g: f64, t: f64) -> f64 {
        let s2 = self.schedule.sigma(t).powi(2);
        self.schedule.mu(t) - 0.5 * s2 - 0.5 * s2 * g
    }

    /// One exact path from `x0` at time 0: its values at `times` (not falling), from one standard normal each.
    ///
    /// # Errors
    /// When times fall (or the first is negative or not a number), or the lengths differ.
    pub fn path(&self, x0: f64, times: &[f64], normals: &[f64]) -> Result<Vec<f64>, ProcessError> {
        if times.len() != normals.len() {
            return Err(ProcessError::Length { times: times.len(), normals: normals.len() });
        }
        let (mut previous, mut y) = (0.0, x0.ln());
        let mut path = Vec::with_capacity(times.len());
        for (index, (&time, &z)) in times.iter().zip(normals).enumerate() {
            if time.is_nan() || time < previous {
                return Err(ProcessError::Order { index, time, previous });
            }
            let dv = self.schedule.log_variance(time) - self.schedule.log_variance(previous);
            y += self.schedule.log_drift(time) - self.schedule.log_drift(previous) + dv.sqrt() * z;
            path.push(y.exp());
            previous = time;
        }
        Ok(path)
    }
}
