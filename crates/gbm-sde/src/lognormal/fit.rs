//! Estimates of a log-normal law from independent data, with the standard errors of the estimator that was used.
//!
//! Maximum likelihood takes mean and standard deviation (divisor `n`) of the logarithms:
//!
//! ```math
//! \operatorname{se}(\hat\mu) = \frac{\sigma}{\sqrt n}, \qquad \operatorname{se}(\hat\sigma) = \frac{\sigma}{\sqrt{2n}}
//! ```
//!
//! The method of moments matches the sample means `$m_1, m_2$` of `$x$` and `$x^2$`; its errors follow by the
//! delta method from the covariance of `$(m_1, m_2)$`. With `$w = e^{\sigma^2} - 1$`:
//!
//! ```math
//! \begin{aligned}
//! \hat\sigma^2 &= \ln\frac{m_2}{m_1^2}, & \hat\mu &= \ln m_1 - \tfrac12 \hat\sigma^2 \\
//! n \operatorname{Var} \hat\sigma^2 &= w^2 (2 + 4w + w^2), & n \operatorname{Var} \hat\mu &= w - \tfrac12 w^2 + w^3 + \tfrac14 w^4
//! \end{aligned}
//! ```
//!
//! For small `$\sigma$` the two agree; the moment estimate loses quickly as `$\sigma$` grows past ½.
//!
//! Source: Johnson, Kotz and Balakrishnan, *Continuous Univariate Distributions*, volume 1, chapter 14, section 4.
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

use super::{LogNormal, LogNormalError};

/// An estimated law with the asymptotic standard errors of its two parameters, taken at the estimate.
///
/// ```
/// let fit = gbm_sde::LogNormal::fit(&[0.5, 1.0, 2.0, 4.0])?;
/// // In log space the mean is twice as uncertain (in variance) as the standard deviation.
/// assert!((fit.mu_error / fit.sigma_error - 2f64.sqrt()).abs() < 1e-14 && fit.n == 4);
/// # Ok::<(), gbm_sde::LogNormalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormalFit {
    /// The estimate.
    pub law: LogNormal,
    /// Standard error of `mu`.
    pub mu_error: f64,
    /// Standard error of `sigma`.
    pub sigma_error: f64,
    /// Number of values.
    pub n: usize,
}

impl LogNormal {
    /// The maximum-likelihood law of `data`, positive values in any order.
    ///
    /// ```
    /// let fit = gbm_sde::LogNormal::fit(&[0.5, 1.0, 2.0])?;
    /// assert!(fit.law.mu().abs() < 1e-15);
    /// assert!((fit.mu_error - fit.law.sigma() / 3f64.sqrt()).abs() < 1e-15);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    ///
    /// # Errors
    /// With fewer than two values, a value that is not positive and finite, or no spread at all.
    pub fn fit(data: &[f64]) -> Result<LogNormalFit, LogNormalError> {
        check(data)?;
        let n = data.len() as f64;
        let mean = data.iter().map(|x| x.ln()).sum::<f64>() / n;
        let variance = data.iter().map(|x| (x.ln() - mean).powi(2)).sum::<f64>() / n;
        let law = Self::new(mean, variance.sqrt())?;
        let mu_error = law.sigma() / n.sqrt();
        Ok(LogNormalFit { law, mu_error, sigma_error: law.sigma() / (2.0 * n).sqrt(), n: data.len() })
    }

    /// The law with the mean and the variance (divisor `n`) of `data`, positive values in any order: the method of moments.
    ///
    /// ```
    /// let fit = gbm_sde::LogNormal::fit_moments(&[1.0, 3.0])?;
    /// assert!((fit.law.mean() - 2.0).abs() < 1e-14);
    /// assert!((fit.law.variance() - 1.0).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    ///
    /// # Errors
    /// With fewer than two values, a value that is not positive and finite, or no spread at all.
    pub fn fit_moments(data: &[f64]) -> Result<LogNormalFit, LogNormalError> {
        check(data)?;
        let n = data.len() as f64;
        // In units of the largest value, so that no square overflows or vanishes.
        let unit = data.iter().copied().fold(0.0, f64::max);
        let mean = data.iter().map(|x| x / unit).sum::<f64>() / n;
        let variance = data.iter().map(|x| (x / unit - mean).powi(2)).sum::<f64>() / n;
        let s2 = (variance / (mean * mean)).ln_1p();
        let law = Self::new(mean.ln() + unit.ln() - 0.5 * s2, s2.sqrt())?;
        let w = s2.exp_m1();
        let mu_variance = w * (1.0 + w * (-0.5 + w * (1.0 + 0.25 * w))) / n;
        let s2_variance = w * w * (2.0 + w * (4.0 + w)) / n;
        let sigma_error = s2_variance.sqrt() / (2.0 * law.sigma());
        Ok(LogNormalFit { law, mu_error: mu_variance.sqrt(), sigma_error, n: data.len() })
    }
}

fn check(data: &[f64]) -> Result<(), LogNormalError> {
    if data.len() < 2 {
        return Err(LogNormalError::TooFew(data.len()));
    }
    match data.iter().enumerate().find(|(_, x)| !(x.is_finite() && **x > 0.0)) {
        Some((index, &value)) => Err(LogNormalError::NotPositive { index, value }),
        None => Ok(()),
    }
}
