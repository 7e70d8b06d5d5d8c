//! The Fokker–Planck equation of geometric Brownian motion, evaluated for a density that is given as a function.
//!
//! ```math
//! \underbrace{\partial_t p}_{\text{change}} + \underbrace{\partial_x (\mu x p)}_{\text{transport}}
//!   - \underbrace{\tfrac12 \partial_{xx} (\sigma^2 x^2 p)}_{\text{diffusion}} = 0
//! ```
//!
//! Derivatives are central differences of fourth order, on five points: `$t, t \pm \Delta_t, t \pm 2\Delta_t$`, and in space with steps
//! `$x \Delta_x$`, so that `$\Delta_x$` is a step in `$\ln x$`. Halving both steps divides the residual of a true solution by 16,
//! and leaves that of a wrong one as it is.
//!
//! Source: Risken, *The Fokker–Planck Equation*, chapter 4.
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

use super::{Gbm, ProcessError};

/// Steps of the finite differences.
///
/// ```
/// use gbm_sde::process::fokker_planck::Differences;
/// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
/// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 1.0 };
/// let gbm = Gbm::new(Schedule::new(config)?);
/// let density = |x: f64, t: f64| gbm.transition(1.0, t).map_or(f64::NAN, |law| law.pdf(x));
/// let terms = |dx: f64, dt: f64| gbm.fokker_planck(density, 1.2, 0.5, Differences { dx, dt });
/// let (coarse, fine) = (terms(0.04, 0.02)?.residual(), terms(0.02, 0.01)?.residual());
/// assert!((coarse / fine - 16.0).abs() < 1.0); // fourth order
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Differences {
    /// Step in `ln x`.
    pub dx: f64,
    /// Step in time.
    pub dt: f64,
}

impl Default for Differences {
    /// Both 0.001: for densities that vary on the scale of 1, rounding and truncation are then both about 1e-10.
    fn default() -> Self {
        Self { dx: 1e-3, dt: 1e-3 }
    }
}

/// The three terms of the equation at one point, each in units of a density per time.
///
/// ```
/// let stationary = gbm_sde::FokkerPlanck { change: 0.0, transport: -0.7, diffusion: -0.7 };
/// assert_eq!([stationary.residual(), stationary.scale()], [0.0, 0.7]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FokkerPlanck {
    /// `∂ₜ p`.
    pub change: f64,
    /// `∂ₓ (μ x p)`.
    pub transport: f64,
    /// `½ ∂ₓₓ (σ² x² p)`.
    pub diffusion: f64,
}

impl FokkerPlanck {
    /// `change + transport − diffusion`, in their units: 0 for a density of the process.
    ///
    /// ```
    /// let terms = gbm_sde::FokkerPlanck { change: -1.0, transport: 3.0, diffusion: 2.0 };
    /// assert_eq!(terms.residual(), 0.0);
    /// ```
    pub fn residual(&self) -> f64 {
        self.change + self.transport - self.diffusion
    }

    /// The largest of the three terms by magnitude, in their units: the measure of a small residual.
    ///
    /// ```
    /// let terms = gbm_sde::FokkerPlanck { change: -5.0, transport: 3.0, diffusion: -2.0 };
    /// assert_eq!(terms.scale(), 5.0);
    /// ```
    pub fn scale(&self) -> f64 {
        self.change.abs().max(self.transport.abs()).max(self.diffusion.abs())
    }
}

impl Gbm {
    /// The terms of the Fokker–Planck equation for `density(x, t)`, per unit of `x`, at one point: each a density per time unit.
    ///
    /// ```
    /// use gbm_sde::process::fokker_planck::Differences;
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// let density = |x: f64, t: f64| gbm.transition(1.0, t).map_or(f64::NAN, |law| law.pdf(x));
    /// let terms = gbm.fokker_planck(density, 1.2, 0.5, Differences::default())?;
    /// assert!(terms.residual().abs() < 1e-8 * terms.scale());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the differences would leave `x > 0` or `0 < t ≤ T`, or a step is not positive.
    pub fn fokker_planck(
        &self,
        density: impl Fn(f64, f64) -> f64,
        x: f64,
        t: f64,
        steps: Differences,
    ) -> Result<FokkerPlanck, ProcessError> {
        let (Differences { dx, dt }, horizon) = (steps, self.schedule.horizon());
        let inside =
            x > 0.0 && x.is_finite() && dx > 0.0 && dx < 0.5 && dt > 0.0 && t > 2.0 * dt && t + 2.0 * dt <= horizon;
        if !inside {
            return Err(ProcessError::Stencil { x, t, dx, dt, horizon });
        }
        let (mu, s2, h) = (self.schedule.mu(t), self.schedule.sigma(t).powi(2), x * dx);
        let in_time = [-2.0, -1.0, 0.0, 1.0, 2.0].map(|k| density(x, t + k * dt));
        let in_space = [-2.0, -1.0, 0.0, 1.0, 2.0].map(|k| (x + k * h, density(x + k * h, t)));
        Ok(FokkerPlanck {
            change: first(in_time, dt),
            transport: first(in_space.map(|(x, p)| mu * x * p), h),
            diffusion: second(in_space.map(|(x, p)| 0.5 * s2 * x * x * p), h),
        })
    }

    /// [`Gbm::fokker_planck`] on a grid: one row for each of `times`, in it one entry for each of `xs`.
    ///
    /// ```
    /// use gbm_sde::process::fokker_planck::Differences;
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// let density = |x: f64, t: f64| gbm.transition(1.0, t).map_or(f64::NAN, |law| law.pdf(x));
    /// let grid = gbm.fokker_planck_grid(density, &[0.8, 1.0, 1.2], &[0.4, 0.6], Differences::default())?;
    /// assert_eq!([grid.len(), grid[0].len()], [2, 3]);
    /// assert!(grid.iter().flatten().all(|terms| terms.residual().abs() < 1e-8 * terms.scale()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Gbm::fokker_planck`], at the first point that fails.
    pub fn fokker_planck_grid(
        &self,
        density: impl Fn(f64, f64) -> f64,
        xs: &[f64],
        times: &[f64],
        steps: Differences,
    ) -> Result<Vec<Vec<FokkerPlanck>>, ProcessError> {
        let row = |&t: &f64| xs.iter().map(|&x| self.fokker_planck(&density, x, t, steps)).collect();
        times.iter().map(row).collect()
    }
}

/// First derivative at the middle of five values.
fn first([a, b, _, d, e]: [f64; 5], h: f64) -> f64 {
    (a - 8.0 * b + 8.0 * d - e) / (12.0 * h)
}

/// Second derivative at the middle of five values.
fn second([a, b, c, d, e]: [f64; 5], h: f64) -> f64 {
    (-a + 16.0 * b - 30.0 * c + 16.0 * d - e) / (12.0 * h * h)
}
