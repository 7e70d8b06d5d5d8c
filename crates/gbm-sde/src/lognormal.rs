//! The log-normal law: `$\ln X \sim N(\mu, \sigma^2)$`.
//!
//! ```math
//! \begin{aligned}
//! p(x) &= \frac{1}{x \sigma \sqrt{2\pi}} \exp\Bigl(-\frac{(\ln x - \mu)^2}{2\sigma^2}\Bigr), \qquad
//! F(x) = \Phi\Bigl(\frac{\ln x - \mu}{\sigma}\Bigr) \\
//! \mathrm{E}[X^k] &= e^{k\mu + k^2\sigma^2/2}, \qquad \operatorname{Var} X = (e^{\sigma^2} - 1)\, e^{2\mu + \sigma^2}, \qquad
//! \text{median } e^\mu, \qquad \text{mode } e^{\mu - \sigma^2} \\
//! s(x) &= \frac{d}{dx} \ln p = -\frac1x \Bigl(1 + \frac{\ln x - \mu}{\sigma^2}\Bigr), \qquad h(x) = x\, s(x)
//! \end{aligned}
//! ```
//!
//! with `$s$` the Stein score and `$h$` the Hyvärinen score. Estimates from data are in [`fit`], the standard
//! normal law is [`normal`](crate::normal).
//!
//! Source: Johnson, Kotz and Balakrishnan, *Continuous Univariate Distributions*, volume 1, chapter 14.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

pub mod fit;

use crate::normal::HALF_LN_TAU;
pub use crate::normal::{normal_cdf, normal_ln_cdf, normal_pdf, normal_quantile};
pub use fit::LogNormalFit;

/// Why a log-normal law is refused.
///
/// ```
/// use gbm_sde::{LogNormal, LogNormalError};
/// assert_eq!(LogNormal::new(0.0, -0.5), Err(LogNormalError::Scale(-0.5)));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LogNormalError {
    /// The location is not finite.
    #[error("log-normal: mu must be finite, got {0}")]
    Location(f64),
    /// The scale is not positive and finite.
    #[error("log-normal: sigma must be positive and finite, got {0}")]
    Scale(f64),
    /// Fewer than two values cannot show a spread.
    #[error("log-normal fit: at least 2 values are needed, got {0}")]
    TooFew(usize),
    /// A value that a log-normal cannot take.
    #[error("log-normal fit: value {value} at position {index} is not positive and finite")]
    NotPositive {
        /// Position in the data.
        index: usize,
        /// The value.
        value: f64,
    },
}

/// A log-normal law with location `mu` and scale `sigma` (both of `ln X`).
///
/// ```
/// let law = gbm_sde::LogNormal::new(0.0, 1.0)?;
/// assert!((law.cdf(1.0) - 0.5).abs() < 1e-15);
/// assert!((law.quantile(0.5) - law.median()).abs() < 1e-15);
/// assert!((law.inverse_survival(law.survival(30.0)) - 30.0).abs() < 1e-12);
/// # Ok::<(), gbm_sde::LogNormalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormal {
    mu: f64,
    sigma: f64,
}

impl LogNormal {
    /// A law with the given location and scale of `ln X`; another unit of `X` adds to `mu` and leaves `sigma`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// assert_eq!([law.mu(), law.sigma()], [0.3, 0.8]);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    ///
    /// # Errors
    /// When `mu` is not finite or `sigma` not positive and finite.
    pub fn new(mu: f64, sigma: f64) -> Result<Self, LogNormalError> {
        if !mu.is_finite() {
            return Err(LogNormalError::Location(mu));
        }
        if !(sigma.is_finite() && sigma > 0.0) {
            return Err(LogNormalError::Scale(sigma));
        }
        Ok(Self { mu, sigma })
    }

    /// Location: mean of `ln X`.
    pub fn mu(&self) -> f64 {
        self.mu
    }

    /// Scale: standard deviation of `ln X`.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    fn standardize(&self, x: f64) -> f64 {
        (x.ln() - self.mu) / self.sigma
    }

    /// Density at `x`, per unit of `x`; 0 for `x ≤ 0`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.0, 0.5)?;
    /// // At the median 1 the exponential of the density is 1.
    /// assert!((law.pdf(1.0) - 1.0 / (0.5 * std::f64::consts::TAU.sqrt())).abs() < 1e-15);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn pdf(&self, x: f64) -> f64 {
        self.ln_pdf(x).exp()
    }

    /// Logarithm of the density at `x`, in nats; `−∞` for `x ≤ 0`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// // Median times and over c: the same exponential, so only the factor 1/x differs.
    /// let (high, low) = (law.ln_pdf(law.median() * 5.0), law.ln_pdf(law.median() / 5.0));
    /// assert!((low - high - 25f64.ln()).abs() < 1e-13);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn ln_pdf(&self, x: f64) -> f64 {
        if x <= 0.0 {
            return f64::NEG_INFINITY;
        }
        let z = self.standardize(x);
        -0.5 * z * z - x.ln() - self.sigma.ln() - HALF_LN_TAU
    }

    /// `P(X ≤ x)`, accurate in the lower tail.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// assert!((law.cdf(0.3f64.exp()) - 0.5).abs() < 1e-15);
    /// assert_eq!(law.cdf(-1.0), 0.0);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn cdf(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { normal_cdf(self.standardize(x)) }
    }

    /// `P(X > x)`, accurate in the upper tail.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// assert!((law.survival(2.0) + law.cdf(2.0) - 1.0).abs() < 1e-15);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn survival(&self, x: f64) -> f64 {
        if x <= 0.0 { 1.0 } else { normal_cdf(-self.standardize(x)) }
    }

    /// `ln P(X ≤ x)`, accurate in both tails, also where the probability itself is below the smallest double.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.0, 1.0)?;
    /// assert_eq!(law.cdf(1e-30), 0.0);
    /// assert!((law.ln_cdf(1e-30) + 2391.0).abs() < 1.0);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn ln_cdf(&self, x: f64) -> f64 {
        if x <= 0.0 { f64::NEG_INFINITY } else { normal_ln_cdf(self.standardize(x)) }
    }

    /// `ln P(X > x)`, accurate in both tails, also where the probability itself is below the smallest double.
    ///
    /// ```
    /// // X and 1/X have mirrored locations.
    /// let (law, inverse) = (gbm_sde::LogNormal::new(0.3, 0.8)?, gbm_sde::LogNormal::new(-0.3, 0.8)?);
    /// assert!((law.ln_survival(1e30) / inverse.ln_cdf(1e-30) - 1.0).abs() < 1e-13);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn ln_survival(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { normal_ln_cdf(-self.standardize(x)) }
    }

    /// The `x` with `P(X ≤ x) = p`, in units of `X`; NaN unless `0 ≤ p ≤ 1`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// assert!((law.cdf(law.quantile(0.05)) - 0.05).abs() < 1e-15);
    /// assert!(law.quantile(1.5).is_nan());
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn quantile(&self, p: f64) -> f64 {
        (self.mu + self.sigma * normal_quantile(p)).exp()
    }

    /// The `x` with `P(X > x) = p`, in units of `X`, accurate for small `p`; NaN unless `0 ≤ p ≤ 1`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// assert!((law.survival(law.inverse_survival(1e-100)) / 1e-100 - 1.0).abs() < 1e-11);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn inverse_survival(&self, p: f64) -> f64 {
        (self.mu - self.sigma * normal_quantile(p)).exp()
    }

    /// `E[Xᵏ]` of any real order `k`, in units of `X` to the power `k`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// assert!((law.raw_moment(1.0) - law.mean()).abs() < 1e-15);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn raw_moment(&self, k: f64) -> f64 {
        (k * self.mu + 0.5 * (k * self.sigma).powi(2)).exp()
    }

    /// `E[X]`, in units of `X`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(-0.5, 1.0)?;
    /// assert_eq!(law.mean(), 1.0); // exp(μ + σ²/2)
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn mean(&self) -> f64 {
        self.raw_moment(1.0)
    }

    /// `Var X`, in units of `X` squared.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// assert!((law.variance() - (law.raw_moment(2.0) - law.mean().powi(2))).abs() < 1e-13);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn variance(&self) -> f64 {
        let s2 = self.sigma * self.sigma;
        s2.exp_m1() * (2.0 * self.mu + s2).exp()
    }

    /// Skewness `(w + 3) √w` with `w = exp(σ²) − 1`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// let [m1, m2, m3] = [1.0, 2.0, 3.0].map(|k| law.raw_moment(k));
    /// let central = m3 - 3.0 * m1 * m2 + 2.0 * m1.powi(3);
    /// assert!((law.skewness() - central / law.variance().powf(1.5)).abs() < 1e-12);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn skewness(&self) -> f64 {
        let w = (self.sigma * self.sigma).exp_m1();
        (w + 3.0) * w.sqrt()
    }

    /// Excess kurtosis `16 w + 15 w² + 6 w³ + w⁴` with `w = exp(σ²) − 1`: the usual
    /// `exp(4σ²) + 2 exp(3σ²) + 3 exp(2σ²) − 6` in a form that does not cancel.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 2f64.ln().sqrt())?; // exp(σ²) = 2
    /// assert!((law.excess_kurtosis() - (16.0 + 2.0 * 8.0 + 3.0 * 4.0 - 6.0)).abs() < 1e-12);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn excess_kurtosis(&self) -> f64 {
        let w = (self.sigma * self.sigma).exp_m1();
        w * (16.0 + w * (15.0 + w * (6.0 + w)))
    }

    /// The median, in units of `X`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// assert!((law.median() - law.mean() * (-0.32f64).exp()).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn median(&self) -> f64 {
        self.mu.exp()
    }

    /// The point of highest density, in units of `X`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// assert!(law.pdf(law.mode()) > law.pdf(1.01 * law.mode()).max(law.pdf(0.99 * law.mode())));
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn mode(&self) -> f64 {
        (self.mu - self.sigma * self.sigma).exp()
    }

    /// Differential entropy `−E[ln p(X)] = μ + ½ + ln(σ √2π)`, in nats.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// // E[ln X] = μ and E[z²] = 1: half a nat more than −ln p at the median.
    /// assert!((law.entropy() - (0.5 - law.ln_pdf(law.median()))).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn entropy(&self) -> f64 {
        self.mu + 0.5 + self.sigma.ln() + HALF_LN_TAU
    }

    /// Kullback–Leibler divergence `E_p[ln p(X) − ln q(X)]` of this law `p` from another one `q`, in nats:
    /// that of the two normal laws, since it does not depend on coordinates.
    ///
    /// ```
    /// let (p, q) = (gbm_sde::LogNormal::new(0.0, 1.0)?, gbm_sde::LogNormal::new(0.5, 1.0)?);
    /// assert!((p.kl_divergence(&q) - 0.125).abs() < 1e-15);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn kl_divergence(&self, q: &Self) -> f64 {
        // ½(ρ² − 1) − ln ρ with ρ = 1 + u, so that equal scales give exactly 0.
        let u = (self.sigma - q.sigma) / q.sigma;
        u + 0.5 * u * u - u.ln_1p() + 0.5 * ((self.mu - q.mu) / q.sigma).powi(2)
    }

    /// Stein score `d ln p/dx` at positive `x`, per unit of `x`.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// assert!(law.stein_score(law.mode()).abs() < 1e-14);
    /// assert!((law.stein_score(law.median()) + 1.0 / law.median()).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn stein_score(&self, x: f64) -> f64 {
        self.hyvarinen_score(x) / x
    }

    /// Hyvärinen score `x d ln p/dx` at positive `x`, without unit.
    ///
    /// ```
    /// let law = gbm_sde::LogNormal::new(0.3, 0.8)?;
    /// // One σ above the median in log space: −1 − 1/σ.
    /// assert!((law.hyvarinen_score(law.sample(1.0)) + 1.0 + 1.0 / 0.8).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn hyvarinen_score(&self, x: f64) -> f64 {
        -1.0 - self.standardize(x) / self.sigma
    }

    /// The draw that belongs to a standard normal `z`, in units of `X`: increasing in `z`.
    ///
    /// ```
    /// use gbm_sde::{LogNormal, Noise, Stream};
    /// let law = LogNormal::new(0.3, 0.8)?;
    /// let z = Noise::new(7).normal(Stream::SAMPLER, 0, 0, 0);
    /// assert!((law.sample(z) * law.sample(-z) - law.median().powi(2)).abs() < 1e-13);
    /// # Ok::<(), gbm_sde::LogNormalError>(())
    /// ```
    pub fn sample(&self, z: f64) -> f64 {
        (self.mu + self.sigma * z).exp()
    }
}
