//! The standard normal law, accurate in both tails.
//!
//! ```math
//! \begin{aligned}
//! \varphi(z) &= \frac{e^{-z^2/2}}{\sqrt{2\pi}}, \qquad \Phi(z) = \tfrac12 \operatorname{erfc}(-z/\sqrt 2) \\
//! \ln \Phi(z) &\sim -\tfrac12 z^2 - \ln(-z\sqrt{2\pi}) + \ln\Bigl(1 - \frac{1}{z^2} + \frac{3}{z^4} - \frac{15}{z^6} + \dots\Bigr)
//! \qquad (z \to -\infty)
//! \end{aligned}
//! ```
//!
//! The error function comes from the `libm` crate, the quantile is algorithm AS 241 (Wichura 1988) with one Newton step, the
//! asymptotic series is Abramowitz and Stegun 26.2.12.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use std::f64::consts::{PI, SQRT_2};

/// `½ ln 2π`.
pub(crate) const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// Standard normal distribution function `Φ(z)`.
///
/// ```
/// assert!((gbm_sde::normal::normal_cdf(1.0) - 0.841_344_746_068_543).abs() < 1e-15);
/// ```
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / SQRT_2)
}

/// Logarithm of the standard normal distribution function, `ln Φ(z)`: finite for every finite `z` below 1e154.
///
/// ```
/// use gbm_sde::normal::normal_ln_cdf;
/// assert!((normal_ln_cdf(-60.0) + 1_805.013_560_680_567).abs() < 1e-9); // where Φ itself is 0 in double precision
/// ```
pub fn normal_ln_cdf(z: f64) -> f64 {
    if z > 0.0 {
        (-normal_cdf(-z)).ln_1p()
    } else if z > -20.0 {
        normal_cdf(z).ln()
    } else {
        let q = 1.0 / (z * z);
        // Below −20 the first dropped term is under 1e-19.
        let series = (1..=11).rev().fold(1.0, |sum, k| 1.0 - f64::from(2 * k - 1) * q * sum);
        -0.5 * z * z - (-z).ln() - HALF_LN_TAU + series.ln()
    }
}

/// Standard normal density `φ(z)`.
///
/// ```
/// use gbm_sde::normal::normal_pdf;
/// assert!((normal_pdf(-2.0) - (-2f64).exp() / std::f64::consts::TAU.sqrt()).abs() < 1e-16);
/// ```
pub fn normal_pdf(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// Standard normal quantile `Φ⁻¹(p)`: AS 241 (`PPND16`) and one Newton step; `∓∞` at 0 and 1, NaN outside `[0, 1]`.
///
/// ```
/// use gbm_sde::normal::{normal_cdf, normal_quantile};
/// assert!((normal_cdf(normal_quantile(0.01)) - 0.01).abs() < 1e-16);
/// assert_eq!(normal_quantile(0.25), -normal_quantile(0.75));
/// ```
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
