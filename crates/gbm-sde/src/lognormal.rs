//! The log-normal law: `ln X ~ N(μ, σ²)`.
//!
//! ```text
//! p(x) = exp(−(ln x − μ)²/2σ²) / (x σ √2π),     F(x) = Φ((ln x − μ)/σ)
//! mean e^{μ + σ²/2}    variance (e^{σ²} − 1) e^{2μ + σ²}    median e^μ    mode e^{μ − σ²}
//! Stein score  d ln p/dx = −(1 + (ln x − μ)/σ²)/x        Hyvärinen score  x d ln p/dx
//! ```
//!
//! Source: Johnson, Kotz and Balakrishnan, *Continuous Univariate Distributions*, volume 1, chapter 14. The normal
//! quantile is algorithm AS 241 (Wichura 1988) with one Newton step; the error function comes from the `libm` crate.

use std::f64::consts::{PI, SQRT_2};

/// `½ ln 2π`.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// Why a log-normal law is refused.
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
/// # Ok::<(), gbm_sde::LogNormalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormal {
    mu: f64,
    sigma: f64,
}

impl LogNormal {
    /// A law with the given location and scale of `ln X`.
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

    /// The maximum-likelihood law of `data`: mean and standard deviation (divisor `n`) of the logarithms.
    ///
    /// # Errors
    /// With fewer than two values, a value that is not positive and finite, or no spread at all.
    pub fn fit(data: &[f64]) -> Result<Self, LogNormalError> {
        if data.len() < 2 {
            return Err(LogNormalError::TooFew(data.len()));
        }
        if let Some((index, &value)) = data.iter().enumerate().find(|(_, x)| !(x.is_finite() && **x > 0.0)) {
            return Err(LogNormalError::NotPositive { index, value });
        }
        let n = data.len() as f64;
        let mean = data.iter().map(|x| x.ln()).sum::<f64>() / n;
        let variance = data.iter().map(|x| (x.ln() - mean).powi(2)).sum::<f64>() / n;
        Self::new(mean, variance.sqrt())
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

    /// Density at `x`; 0 for `x ≤ 0`.
    pub fn pdf(&self, x: f64) -> f64 {
        self.ln_pdf(x).exp()
    }

    /// Logarithm of the density at `x`; `−∞` for `x ≤ 0`.
    pub fn ln_pdf(&self, x: f64) -> f64 {
        if x <= 0.0 {
            return f64::NEG_INFINITY;
        }
        let z = self.standardize(x);
        -0.5 * z * z - x.ln() - self.sigma.ln() - HALF_LN_TAU
    }

    /// `P(X ≤ x)`, accurate in the lower tail.
    pub fn cdf(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { normal_cdf(self.standardize(x)) }
    }

    /// `P(X > x)`, accurate in the upper tail.
    pub fn survival(&self, x: f64) -> f64 {
        if x <= 0.0 { 1.0 } else { normal_cdf(-self.standardize(x)) }
    }

    /// The `x` with `P(X ≤ x) = p`; NaN unless `0 ≤ p ≤ 1`.
    pub fn quantile(&self, p: f64) -> f64 {
        (self.mu + self.sigma * normal_quantile(p)).exp()
    }

    /// `E[X]`.
    pub fn mean(&self) -> f64 {
        (self.mu + 0.5 * self.sigma * self.sigma).exp()
    }

    /// `Var[X]`.
    pub fn variance(&self) -> f64 {
        let s2 = self.sigma * self.sigma;
        s2.exp_m1() * (2.0 * self.mu + s2).exp()
    }

    /// The median.
    pub fn median(&self) -> f64 {
        self.mu.exp()
    }

    /// The point of highest density.
    pub fn mode(&self) -> f64 {
        (self.mu - self.sigma * self.sigma).exp()
    }

    /// `d ln p/dx` at positive `x`.
    pub fn stein_score(&self, x: f64) -> f64 {
        self.hyvarinen_score(x) / x
    }

    /// `x d ln p/dx` at positive `x`.
    pub fn hyvarinen_score(&self, x: f64) -> f64 {
        -1.0 - self.standardize(x) / self.sigma
    }

    /// The draw that belongs to a standard normal `z`.
    pub fn sample(&self, z: f64) -> f64 {
        (self.mu + self.sigma * z).exp()
    }
}

/// Standard normal distribution function `Φ(z) = ½ erfc(−z/√2)`.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// Standard normal density.
pub fn normal_pdf(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// Standard normal quantile `Φ⁻¹(p)`: AS 241 (`PPND16`) and one Newton step; `∓∞` at 0 and 1, NaN outside `[0, 1]`.
pub fn normal_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p > 0.5 {
        // 1 − p is exact here, and the lower tail is where Φ has full relative accuracy.
        return -normal_quantile(1.0 - p);
    }
    if p == 0.0 {
        return f64::NEG_INFINITY;
    }
    let q = p - 0.5;
    let z = if q.abs() <= 0.425 {
        q * ratio(0.180625 - q * q, &CENTRE_NUM, &CENTRE_DEN)
    } else {
        let r = (-p.ln()).sqrt();
        -if r <= 5.0 { ratio(r - 1.6, &TAIL_NUM, &TAIL_DEN) } else { ratio(r - 5.0, &FAR_NUM, &FAR_DEN) }
    };
    let density = normal_pdf(z);
    if density > 0.0 { z - (normal_cdf(z) - p) / density } else { z }
}

fn ratio(r: f64, numerator: &[f64; 8], denominator: &[f64; 8]) -> f64 {
    let horner = |c: &[f64; 8]| c.iter().rev().fold(0.0, |acc, &a| acc * r + a);
    horner(numerator) / horner(denominator)
}

const CENTRE_NUM: [f64; 8] = [
    3.387_132_872_796_366_5,
    1.331_416_678_917_843_8e2,
    1.971_590_950_306_551_3e3,
    1.373_169_376_550_946e4,
    4.592_195_393_154_987e4,
    6.726_577_092_700_87e4,
    3.343_057_558_358_813e4,
    2.509_080_928_730_122_7e3,
];
const CENTRE_DEN: [f64; 8] = [
    1.0,
    4.231_333_070_160_091e1,
    6.871_870_074_920_579e2,
    5.394_196_021_424_751e3,
    2.121_379_430_158_659_7e4,
    3.930_789_580_009_271e4,
    2.872_908_573_572_194_3e4,
    5.226_495_278_852_854e3,
];
const TAIL_NUM: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    2.417_807_251_774_506e-1,
    2.272_384_498_926_918_4e-2,
    7.745_450_142_783_414e-4,
];
const TAIL_DEN: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    6.897_673_349_851e-1,
    1.481_039_764_274_800_8e-1,
    1.519_866_656_361_645_7e-2,
    5.475_938_084_995_345e-4,
    1.050_750_071_644_416_9e-9,
];
const FAR_NUM: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    2.965_605_718_285_048_7e-1,
    2.653_218_952_657_612_4e-2,
    1.242_660_947_388_078_4e-3,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const FAR_DEN: [f64; 8] = [
    1.0,
    5.998_322_065_558_88e-1,
    1.369_298_809_227_358e-1,
    1.487_536_129_085_061_5e-2,
    7.868_691_311_456_133e-4,
    1.846_318_317_510_054_7e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];
