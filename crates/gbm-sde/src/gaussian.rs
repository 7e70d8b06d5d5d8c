//! From random bits to uniforms and normals, by additions, multiplications, divisions and square roots only.
//!
//! ```text
//! u = (2k + 1) 2⁻⁵³,  k = 52 random bits                     never 0, never 1
//! (z₀, z₁) = √(−2 ln u₀) (cos 2πu₁, sin 2πu₁)                 Box and Muller (1958)
//! ```
//!
//! Logarithm, sine and cosine are written out here, so that a draw has the same bits on every platform and a loop over
//! lanes can be vectorized: `ln` by the series of `2 artanh`, sine and cosine by their Taylor polynomials on an octant,
//! each to less than 2⁻⁵². The largest normal that can come out is `√(106 ln 2) ≈ 8.57`.

use std::f64::consts::{FRAC_PI_2, LN_2, SQRT_2};

/// A uniform in the open interval `(0, 1)` from 64 random bits; the low 12 are not used.
#[inline]
pub fn uniform_from_bits(bits: u64) -> f64 {
    const SCALE: f64 = 1.0 / 9_007_199_254_740_992.0;
    ((bits >> 12) as f64 * 2.0 + 1.0) * SCALE
}

/// Two independent standard normals from two uniforms in `(0, 1)`.
#[inline]
pub fn box_muller(u0: f64, u1: f64) -> [f64; 2] {
    let radius = (-2.0 * ln(u0)).sqrt();
    let (sin, cos) = sin_cos_turns(u1);
    [radius * cos, radius * sin]
}

/// Natural logarithm of a positive normal number.
#[inline]
fn ln(u: f64) -> f64 {
    let bits = u.to_bits();
    let mantissa = f64::from_bits((bits & 0x000F_FFFF_FFFF_FFFF) | 0x3FF0_0000_0000_0000);
    let high = mantissa > SQRT_2;
    let mantissa = if high { 0.5 * mantissa } else { mantissa };
    let exponent = ((bits >> 52) as i32 - 1023 + i32::from(high)) as f64;
    // mantissa in (√½, √2], so s² < 0.0295 and twelve terms reach 2⁻⁵⁷.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let q = s * s;
    exponent * LN_2 + 2.0 * s * polynomial(q, &ARTANH)
}

/// Sine and cosine of `2π u` for `u` in `(0, 1)`.
#[inline]
fn sin_cos_turns(u: f64) -> (f64, f64) {
    let quarters = 4.0 * u;
    let nearest = (quarters + 0.5).floor();
    let angle = (quarters - nearest) * FRAC_PI_2;
    let q = angle * angle;
    let sin = angle * polynomial(q, &SINE);
    let cos = polynomial(q, &COSINE);
    let quadrant = nearest as i32 & 3;
    let (a, b) = if quadrant & 1 == 1 { (cos, sin) } else { (sin, cos) };
    let sin = if quadrant & 2 == 2 { -a } else { a };
    let cos = if quadrant == 1 || quadrant == 2 { -b } else { b };
    (sin, cos)
}

#[inline]
fn polynomial<const N: usize>(q: f64, coefficients: &[f64; N]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, &c| sum * q + c)
}

/// `1/(2k + 1)`.
const ARTANH: [f64; 12] = {
    let mut c = [0.0; 12];
    let mut k = 0;
    while k < 12 {
        c[k] = 1.0 / (2 * k + 1) as f64;
        k += 1;
    }
    c
};

/// `(−1)ᵏ/(2k + 1)!`.
const SINE: [f64; 9] = alternating_reciprocal_factorials(1);

/// `(−1)ᵏ/(2k)!`.
const COSINE: [f64; 9] = alternating_reciprocal_factorials(0);

/// `(−1)ᵏ/(2k + offset)!`; the factorials below 19! are exact in double precision.
const fn alternating_reciprocal_factorials(offset: usize) -> [f64; 9] {
    let mut c = [0.0; 9];
    let mut factorial = 1.0;
    let mut sign = 1.0;
    let mut k = 0;
    while k < 9 {
        if k > 0 {
            factorial *= (2 * k + offset) as f64 * (2 * k + offset - 1) as f64;
        }
        c[k] = sign / factorial;
        sign = -sign;
        k += 1;
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniforms_stay_inside_the_open_interval() {
        assert_eq!(uniform_from_bits(0), 2f64.powi(-53));
        assert_eq!(uniform_from_bits(u64::MAX), 1.0 - 2f64.powi(-53));
    }

    #[test]
    fn logarithm_and_circle_agree_with_the_standard_library() {
        let steps = 100_003;
        for i in 0..steps {
            let u = uniform_from_bits((u64::MAX / steps) * i + 12345);
            assert!((ln(u) / u.ln() - 1.0).abs() < 1e-15, "ln {u}: {} {}", ln(u), u.ln());
            let (sin, cos) = sin_cos_turns(u);
            let angle = std::f64::consts::TAU * u;
            assert!((sin - angle.sin()).abs() < 1e-15 && (cos - angle.cos()).abs() < 1e-15, "angle of {u}");
        }
        for k in 1..54 {
            let u = 2f64.powi(-k);
            assert!((ln(u) / u.ln() - 1.0).abs() < 1e-15);
        }
    }

    #[test]
    fn quarter_turns() {
        let radius = (2.0 * LN_2).sqrt();
        let [a, b] = box_muller(0.5, 0.25);
        assert!(a.abs() < 1e-15 && (b - radius).abs() < 1e-15);
        let [a, b] = box_muller(0.5, 0.5);
        assert!((a + radius).abs() < 1e-15 && b.abs() < 1e-15);
    }
}
