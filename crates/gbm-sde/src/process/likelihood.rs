//! What an observed positive path says about its process: likelihood, and `$\mu$` and `$\sigma$` with standard errors.
//!
//! Increments `$r_i = \ln(x_i/x_{i-1})$` of the log path are independent normals, so the likelihood is exact at any spacing:
//!
//! ```math
//! \ln L = \sum_{i=1}^n \Bigl[ -\ln x_i - \tfrac12 \ln(2\pi \Delta v_i) - \frac{(r_i - \Delta m_i)^2}{2 \Delta v_i} \Bigr]
//! ```
//!
//! With constant coefficients, `$\Delta_i = t_i - t_{i-1}$` and `$S = t_n - t_0$`, it is largest at
//!
//! ```math
//! \begin{aligned}
//! \hat\nu &= \frac1S \ln\frac{x_n}{x_0}, &
//! \hat\sigma^2 &= \frac1n \sum_i \frac{(r_i - \hat\nu \Delta_i)^2}{\Delta_i}, &
//! \hat\mu &= \hat\nu + \tfrac12 \hat\sigma^2 \\
//! && \operatorname{se}(\hat\sigma) &= \frac{\hat\sigma}{\sqrt{2n}}, &
//! \operatorname{se}(\hat\mu) &= \sqrt{\frac{\hat\sigma^2}{S} + \frac{\hat\sigma^4}{2n}}
//! \end{aligned}
//! ```
//!
//! More observations in the same span sharpen `$\sigma$` but hardly `$\mu$`: only a longer span does. The first value is given, not
//! drawn, and adds nothing.
//!
//! Source: Campbell, Lo and MacKinlay, *The Econometrics of Financial Markets*, section 9.3.
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

use super::paths::positive;
use super::{Gbm, ProcessError};

/// Constant coefficients estimated from one path, with the asymptotic standard errors of the estimator.
///
/// ```
/// let fit = gbm_sde::GbmFit::from_path(&[0.0, 1.0, 2.0, 3.0], &[1.0, 1.2, 0.9, 1.1])?;
/// assert!((fit.sigma_error - fit.sigma / (2.0 * 3.0f64).sqrt()).abs() < 1e-15 && fit.increments == 3);
/// # Ok::<(), gbm_sde::ProcessError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GbmFit {
    /// Drift `μ` per time unit.
    pub mu: f64,
    /// Its standard error.
    pub mu_error: f64,
    /// Volatility `σ` per square root of a time unit.
    pub sigma: f64,
    /// Its standard error.
    pub sigma_error: f64,
    /// The largest log likelihood, in nats.
    pub log_likelihood: f64,
    /// Number of increments.
    pub increments: usize,
}

impl GbmFit {
    /// The most likely constant drift and volatility of a path with `values` at `times`.
    ///
    /// Times may have any origin and spacing; they must grow. Two increments are the least that show a spread.
    ///
    /// ```
    /// use gbm_sde::process::likelihood::GbmFit;
    /// let (days, prices) = ([0.0, 1.0, 2.0, 5.0, 6.0], [100.0, 101.0, 99.5, 102.0, 101.0]);
    /// let fit = GbmFit::from_path(&days, &prices)?;
    /// assert!(fit.sigma > 0.005 && fit.sigma < 0.02);
    /// assert!((fit.mu - fit.sigma.powi(2) / 2.0 - 1.01f64.ln() / 6.0).abs() < 1e-12);
    /// # Ok::<(), gbm_sde::ProcessError>(())
    /// ```
    ///
    /// # Errors
    /// When the lengths differ or are below 3, times do not grow, values are not positive and finite, or have no spread.
    pub fn from_path(times: &[f64], values: &[f64]) -> Result<Self, ProcessError> {
        let steps = observed(times, values, 3)?;
        let n = steps.len() as f64;
        let span: f64 = steps.iter().map(|s| s.dt).sum();
        let nu = steps.iter().map(|s| s.r).sum::<f64>() / span;
        let variance = steps.iter().map(|s| (s.r - nu * s.dt).powi(2) / s.dt).sum::<f64>() / n;
        let sigma = variance.sqrt();
        if !(sigma.is_finite() && sigma > 0.0) {
            return Err(ProcessError::NoSpread(sigma));
        }
        let log_likelihood = steps.iter().map(|s| s.ln_density(nu * s.dt, variance * s.dt)).sum();
        Ok(Self {
            mu: nu + 0.5 * variance,
            mu_error: (variance / span + variance * variance / (2.0 * n)).sqrt(),
            sigma,
            sigma_error: sigma / (2.0 * n).sqrt(),
            log_likelihood,
            increments: steps.len(),
        })
    }
}

impl Gbm {
    /// Log likelihood, in nats, of an observed path with `values` at `times` under this process, given its first value.
    ///
    /// ```
    /// use gbm_sde::{Drift, Gbm, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::Free(0.1), horizon: 2.0 };
    /// let gbm = Gbm::new(Schedule::new(config)?);
    /// let one = gbm.log_likelihood(&[0.5, 0.75], &[1.0, 1.2])?;
    /// assert!((one - gbm.transition_between(0.5, 1.0, 0.75)?.ln_pdf(1.2)).abs() < 1e-14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the lengths differ or are below 2, times do not grow (or the schedule is over), or values are not positive and finite.
    pub fn log_likelihood(&self, times: &[f64], values: &[f64]) -> Result<f64, ProcessError> {
        let steps = observed(times, values, 2)?;
        let mut sum = 0.0;
        for (index, (step, pair)) in steps.iter().zip(times.windows(2)).enumerate() {
            let (dm, dv) = self.increments(pair[0], pair[1]);
            if dv.is_nan() || dv <= 0.0 {
                return Err(ProcessError::Repeated { index: index + 1 });
            }
            sum += step.ln_density(dm, dv);
        }
        Ok(sum)
    }
}

/// One increment of an observed path: time, log return and log value at its end.
struct Increment {
    dt: f64,
    r: f64,
    y: f64,
}

impl Increment {
    /// Log density of the value at the end, in ambient space.
    fn ln_density(&self, mean: f64, variance: f64) -> f64 {
        -self.y - 0.5 * (std::f64::consts::TAU * variance).ln() - 0.5 * (self.r - mean).powi(2) / variance
    }
}

fn observed(times: &[f64], values: &[f64], least: usize) -> Result<Vec<Increment>, ProcessError> {
    if times.len() != values.len() || times.len() < least {
        return Err(ProcessError::Observations { times: times.len(), values: values.len(), least });
    }
    for (index, &value) in values.iter().enumerate() {
        positive(index, value)?;
    }
    let increment = |(i, (t, x)): (usize, (&[f64], &[f64]))| {
        let (previous, time, index) = (t[0], t[1], i + 1);
        if time == previous {
            return Err(ProcessError::Repeated { index });
        }
        let dt = time - previous;
        if !(dt.is_finite() && dt > 0.0) {
            return Err(ProcessError::Order { index, time, previous });
        }
        Ok(Increment { dt, r: x[1].ln() - x[0].ln(), y: x[1].ln() })
    };
    times.windows(2).zip(values.windows(2)).enumerate().map(increment).collect()
}
