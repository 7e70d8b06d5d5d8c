//! Paths of geometric Brownian motion from given normals: exact, conditioned on both ends, and by two approximate schemes.
//!
//! Over a step with `$\Delta m, \Delta v$` and `$\int \mu = \Delta m + \tfrac12 \Delta v$`, from a standard normal `$z$`:
//!
//! ```math
//! \begin{aligned}
//! &\text{exact}          & x' &= x \exp(\Delta m + \sqrt{\Delta v}\, z) \\
//! &\text{Euler–Maruyama} & x' &= x \bigl(1 + \textstyle\int\!\mu + \sqrt{\Delta v}\, z\bigr) && \text{strong order } \tfrac12 \\
//! &\text{Milstein}       & x' &= x \bigl(1 + \textstyle\int\!\mu + \sqrt{\Delta v}\, z + \tfrac12 \Delta v\, (z^2 - 1)\bigr) && \text{strong order } 1
//! \end{aligned}
//! ```
//!
//! All three use `$\sqrt{\Delta v}\, z$` as the same integral `$\int \sigma\, dW$`, so from the same normals they follow the same
//! Brownian motion. With constant coefficients the schemes are the textbook ones; otherwise the integrals of the schedule stand in
//! for `$\mu(t)\, \delta$` and `$\sigma(t) \sqrt\delta\, z$`. The two schemes may leave the positive numbers, the exact path never does.
//!
//! A bridge from `$(s, x_s)$` to `$(u, x_u)$` is Gaussian in log space. With `$\theta = (v(t) - v(s))/(v(u) - v(s))$`:
//!
//! ```math
//! \begin{aligned}
//! \mathrm{E}[Y_t] &= y_s + m(t) - m(s) + \theta\, \bigl( y_u - y_s - m(u) + m(s) \bigr) \\
//! \operatorname{Var} Y_t &= \theta\, (1 - \theta)\, \bigl( v(u) - v(s) \bigr)
//! \end{aligned}
//! ```
//!
//! Source: Kloeden and Platen, *Numerical Solution of Stochastic Differential Equations*, chapter 10; Glasserman, *Monte Carlo Methods
//! in Financial Engineering*, section 3.1.
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

use super::{Gbm, ProcessError};
use crate::lognormal::{LogNormal, LogNormalError};

/// A known value of a path.
///
/// ```
/// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
/// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
/// let gbm = Gbm::new(Schedule::new(config)?);
/// let (start, end) = (gbm_sde::PathPoint { t: 0.0, x: 1.0 }, gbm_sde::PathPoint { t: 1.0, x: 9.0 });
/// assert!((gbm.bridge_law(start, end, 0.5)?.median() - 3.0).abs() < 1e-14); // geometrically half way
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathPoint {
    /// Time.
    pub t: f64,
    /// Value, positive.
    pub x: f64,
}

impl Gbm {
    /// One exact path from `x0` at time 0: its values, in units of `x0`, at `times` (not falling), from one standard normal each;
    /// all three are equally long.
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Noise, Schedule, ScheduleConfig, Stream, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// let mut normals = [0.0; 3];
    /// Noise::new(7).fill_normal_f64(Stream::PERTURB, 0, 0, &mut normals);
    /// let path = gbm.path(1.5, &[0.1, 0.5, 1.0], &normals)?;
    /// assert!(path.iter().all(|&x| x > 0.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When times fall (or the first is negative or not a number), the lengths differ, or `x0` is not positive and finite.
    pub fn path(&self, x0: f64, times: &[f64], normals: &[f64]) -> Result<Vec<f64>, ProcessError> {
        let mut y = x0.ln();
        self.walk(x0, times, normals, |_, dm, dv, z| {
            y += dm + dv.sqrt() * z;
            y.exp()
        })
    }

    /// One Euler–Maruyama path of `X` from `x0` at time 0, a step to each of `times`; arguments and errors as in [`Gbm::path`].
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroMean, horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// let path = gbm.euler_maruyama(1.5, &[0.25, 0.5], &[0.0, -3.0])?;
    /// assert_eq!(path[0], 1.5); // no drift, no noise
    /// assert!((path[1] - 1.5 * (1.0 - 0.4 * 3.0)).abs() < 1e-15 && path[1] < 0.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Gbm::path`].
    pub fn euler_maruyama(&self, x0: f64, times: &[f64], normals: &[f64]) -> Result<Vec<f64>, ProcessError> {
        self.walk(x0, times, normals, |x, dm, dv, z| x * (1.0 + dm + 0.5 * dv + dv.sqrt() * z))
    }

    /// One Milstein path of `X` from `x0` at time 0, a step to each of `times`; arguments and errors as in [`Gbm::path`].
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.5 }, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// let (times, normals) = ([0.01], [1.3]);
    /// let error = |path: Vec<f64>| (path[0] - gbm.path(1.0, &times, &normals).unwrap()[0]).abs();
    /// assert!(error(gbm.milstein(1.0, &times, &normals)?) < 0.1 * error(gbm.euler_maruyama(1.0, &times, &normals)?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Gbm::path`].
    pub fn milstein(&self, x0: f64, times: &[f64], normals: &[f64]) -> Result<Vec<f64>, ProcessError> {
        self.walk(x0, times, normals, |x, dm, dv, z| x * (1.0 + dm + 0.5 * dv * z * z + dv.sqrt() * z))
    }

    /// Calls `step(x, Δm, Δv, z)` from each time to the next and collects what it returns.
    fn walk(
        &self,
        x0: f64,
        times: &[f64],
        normals: &[f64],
        mut step: impl FnMut(f64, f64, f64, f64) -> f64,
    ) -> Result<Vec<f64>, ProcessError> {
        same_length(times, normals)?;
        positive(0, x0)?;
        let (mut previous, mut x) = (0.0, x0);
        let mut path = Vec::with_capacity(times.len());
        for (index, (&time, &z)) in times.iter().zip(normals).enumerate() {
            if time.is_nan() || time < previous {
                return Err(ProcessError::Order { index, time, previous });
            }
            let (dm, dv) = self.increments(previous, time);
            x = step(x, dm, dv, z);
            path.push(x);
            previous = time;
        }
        Ok(path)
    }

    /// The law of `X_t`, in units of the values, given the path's values at `start` and `end`, for a `t` between their times.
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.3), horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// let (start, end) = (gbm_sde::PathPoint { t: 0.0, x: 1.0 }, gbm_sde::PathPoint { t: 1.0, x: 4.0 });
    /// let law = gbm.bridge_law(start, end, 0.25)?;
    /// // With constant coefficients the drift does not matter: a Brownian bridge in log space.
    /// assert!((law.median() - 2f64.sqrt()).abs() < 1e-14 && (law.sigma() - 0.8 * (0.25f64 * 0.75).sqrt()).abs() < 1e-15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At or outside the two ends, and for values that are not positive and finite.
    pub fn bridge_law(&self, start: PathPoint, end: PathPoint, t: f64) -> Result<LogNormal, LogNormalError> {
        let (mean, variance) = self.between(start.t, start.x.ln(), end.t, end.x.ln(), t);
        LogNormal::new(mean, variance.sqrt())
    }

    /// One exact path conditioned on its values at `start` and `end`: its values at `times` (not falling, between the two), from
    /// one standard normal each.
    ///
    /// ```
    /// use gbm_sde::process::paths::PathPoint;
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// let (start, end) = (PathPoint { t: 0.0, x: 1.0 }, PathPoint { t: 1.0, x: 4.0 });
    /// let path = gbm.bridge(start, end, &[0.5, 1.0], &[0.0, 0.3])?;
    /// assert!((path[0] - 2.0).abs() < 1e-14); // no noise: geometrically half way
    /// assert!((path[1] - 4.0).abs() < 1e-14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When times fall or leave the bridge, the lengths differ, the log variance does not grow between the ends, or a value
    /// is not positive and finite.
    pub fn bridge(
        &self,
        start: PathPoint,
        end: PathPoint,
        times: &[f64],
        normals: &[f64],
    ) -> Result<Vec<f64>, ProcessError> {
        same_length(times, normals)?;
        positive(0, start.x)?;
        positive(times.len() + 1, end.x)?;
        let ordered = start.t >= 0.0 && start.t < end.t;
        if !(ordered && self.increments(start.t, end.t).1 > 0.0) {
            return Err(ProcessError::Ends { from: start.t, to: end.t });
        }
        let (mut previous, mut y) = (start.t, start.x.ln());
        let mut path = Vec::with_capacity(times.len());
        for (index, (&time, &z)) in times.iter().zip(normals).enumerate() {
            if time.is_nan() || time < previous {
                return Err(ProcessError::Order { index, time, previous });
            }
            if time > end.t {
                return Err(ProcessError::Order { index: times.len(), time: end.t, previous: time });
            }
            let (mean, variance) = self.between(previous, y, end.t, end.x.ln(), time);
            y = mean + variance.sqrt() * z;
            path.push(y.exp());
            previous = time;
        }
        Ok(path)
    }

    /// Mean and variance of `Y_t` between two known values of the log path.
    fn between(&self, s: f64, y_s: f64, u: f64, y_u: f64, t: f64) -> (f64, f64) {
        let ((dm, dv), (whole_m, whole_v)) = (self.increments(s, t), self.increments(s, u));
        // At the end itself, reached before (0/0) or now, the path is where it must be.
        let theta = if t >= u { 1.0 } else { dv / whole_v };
        (y_s + dm + theta * (y_u - y_s - whole_m), theta * (1.0 - theta) * whole_v)
    }
}

fn same_length(times: &[f64], normals: &[f64]) -> Result<(), ProcessError> {
    if times.len() == normals.len() {
        return Ok(());
    }
    Err(ProcessError::Length { times: times.len(), normals: normals.len() })
}

pub(super) fn positive(index: usize, value: f64) -> Result<(), ProcessError> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(ProcessError::Value { index, value }) }
}
