//! From random bits to uniforms and normals, by additions, multiplications, divisions and square roots only.
//!
//! ```math
//! \begin{aligned}
//! u &= (2k + 1)\, 2^{-53}, \qquad k \in \{0, \dots, 2^{52} - 1\} \\
//! (z_0, z_1) &= \sqrt{-2 \ln u_0}\; (\cos 2\pi u_1,\ \sin 2\pi u_1)
//! \end{aligned}
//! ```
//!
//! A uniform is never 0 and never 1; the pair of normals is Box and Muller's (1958). Logarithm, sine and cosine are written
//! out here, so that a draw has the same bits on every platform and a loop over lanes can be vectorized: the logarithm by
//! the series of `$2 \operatorname{artanh}$`, sine and cosine by their Taylor polynomials on an octant, each to less than
//! `$2^{-52}$`. Selections are made on bits and no multiplication is fused with an addition: the same numbers come out of
//! any vector width. The largest normal that can come out is `$\sqrt{106 \ln 2} \approx 8.57$`.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use std::f64::consts::{FRAC_PI_2, LN_2, SQRT_2};

/// Exponent bits of 1.
const ONE: u64 = 0x3FF0_0000_0000_0000;
/// `2⁵²`: a number below it, put into the mantissa, becomes that many more.
const SHIFT: f64 = 4_503_599_627_370_496.0;

/// A uniform in the open interval `(0, 1)` from 64 random bits; the low 12 are not used.
///
/// ```
/// use gbm_sde::gaussian::uniform_from_bits;
/// assert_eq!([uniform_from_bits(0), uniform_from_bits(1 << 63)], [2f64.powi(-53), 0.5 + 2f64.powi(-53)]);
/// let bits = 0x0123_4567_89ab_cdef; // turning every bit mirrors the uniform at ½
/// assert_eq!(uniform_from_bits(bits) + uniform_from_bits(!bits), 1.0);
/// ```
#[inline(always)]
pub fn uniform_from_bits(bits: u64) -> f64 {
    // 1 + k 2⁻⁵² less 1 − 2⁻⁵³: the difference has 53 bits, so it is exact.
    const BELOW_ONE: f64 = 1.0 - 0.5 * f64::EPSILON;
    f64::from_bits((bits >> 12) | ONE) - BELOW_ONE
}

/// Two independent standard normals from two uniforms in `(0, 1)`.
///
/// ```
/// use gbm_sde::gaussian::box_muller;
/// let [z0, z1] = box_muller(0.3, 0.125);
/// assert!((z0 - z1).abs() < 1e-15); // an eighth of a turn
/// assert!((z0 * z0 + z1 * z1 + 2.0 * 0.3f64.ln()).abs() < 1e-14);
/// ```
#[inline(always)]
pub fn box_muller(u0: f64, u1: f64) -> [f64; 2] {
    let radius = (-2.0 * ln(u0)).sqrt();
    let (sin, cos) = sin_cos_turns(u1);
    [radius * cos, radius * sin]
}

/// Natural logarithm of a positive normal number.
#[inline(always)]
fn ln(u: f64) -> f64 {
    let bits = u.to_bits();
    let mantissa = f64::from_bits((bits & 0x000F_FFFF_FFFF_FFFF) | ONE);
    let exponent = f64::from_bits((bits >> 52) | SHIFT.to_bits()) - (SHIFT + 1023.0);
    let high = mantissa > SQRT_2;
    let mantissa = if high { 0.5 * mantissa } else { mantissa };
    let exponent = if high { exponent + 1.0 } else { exponent };
    // mantissa in (√½, √2], so s² < 0.0295 and twelve terms reach 2⁻⁵⁷.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let q = s * s;
    exponent * LN_2 + 2.0 * s * polynomial(q, &ARTANH)
}

/// Sine and cosine of `2π u` for `u` in `(0, 1)`.
#[inline(always)]
fn sin_cos_turns(u: f64) -> (f64, f64) {
    let quarters = 4.0 * u;
    let nearest = (quarters + 0.5).floor();
    let angle = (quarters - nearest) * FRAC_PI_2;
    let q = angle * angle;
    let sin = angle * polynomial(q, &SINE);
    let cos = polynomial(q, &COSINE);
    let quadrant = (nearest + SHIFT).to_bits() & 3;
    let odd = quadrant & 1 == 1;
    let (a, b) = if odd { (cos, sin) } else { (sin, cos) };
    // The sine is negative in quadrants 2 and 3, the cosine in 1 and 2.
    let sin = f64::from_bits(a.to_bits() ^ ((quadrant & 2) << 62));
    let cos = f64::from_bits(b.to_bits() ^ ((quadrant.wrapping_add(1) & 2) << 62));
    (sin, cos)
}

/// `Σ cₖ qᵏ` by Horner's rule.
#[inline(always)]
fn polynomial<const N: usize>(q: f64, coefficients: &[f64; N]) -> f64 {
    let mut sum = coefficients[N - 1];
    for k in (0..N - 1).rev() {
        sum = sum * q + coefficients[k];
    }
    sum
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

    /// The same two functions in the form in which the stream was first published: casts, branches and a fold.
    fn published_form(bits: [u64; 2]) -> ([f64; 2], [f64; 2]) {
        let horner = |q: f64, c: &[f64]| c.iter().rev().fold(0.0, |sum, &c| sum * q + c);
        let u = bits.map(|bits| ((bits >> 12) as f64 * 2.0 + 1.0) * (1.0 / 9_007_199_254_740_992.0));
        let word = u[0].to_bits();
        let mantissa = f64::from_bits((word & 0x000F_FFFF_FFFF_FFFF) | 0x3FF0_0000_0000_0000);
        let high = mantissa > SQRT_2;
        let mantissa = if high { 0.5 * mantissa } else { mantissa };
        let exponent = ((word >> 52) as i32 - 1023 + i32::from(high)) as f64;
        let s = (mantissa - 1.0) / (mantissa + 1.0);
        let logarithm = exponent * LN_2 + 2.0 * s * horner(s * s, &ARTANH);
        let radius = (-2.0 * logarithm).sqrt();
        let quarters = 4.0 * u[1];
        let nearest = (quarters + 0.5).floor();
        let angle = (quarters - nearest) * FRAC_PI_2;
        let (sin, cos) = (angle * horner(angle * angle, &SINE), horner(angle * angle, &COSINE));
        let (sin, cos) = match nearest as i32 & 3 {
            0 => (sin, cos),
            1 => (cos, -sin),
            2 => (-sin, -cos),
            _ => (-cos, sin),
        };
        (u, [radius * cos, radius * sin])
    }

    #[test]
    fn bits_are_those_of_the_published_form() {
        // Random bits, and the neighbourhood of every turning point: powers of two times √2, quarters and eighths.
        let noise = (0..500_000u32).map(|i| {
            let bits = crate::philox::philox4x32([i, 1, 2, 3], [4, 5]);
            [u64::from(bits[0]) << 32 | u64::from(bits[1]), u64::from(bits[2]) << 32 | u64::from(bits[3])]
        });
        let eighths = (0..8u64).map(|k| k << 61);
        let roots = (0..64).flat_map(|k| [1u64 << 63 >> k, (SQRT_2 * 2f64.powi(63 - k)) as u64 | 1]);
        let turning = eighths.chain(roots).chain([0, u64::MAX]).collect::<Vec<_>>();
        let near = turning.iter().flat_map(|&at| (-3i64..=3).map(move |k| at.wrapping_add_signed(k << 12)));
        let near = near.map(|at| [at, at.rotate_left(1)]).chain(turning.iter().map(|&at| [!at, at]));
        for bits in noise.chain(near) {
            let (u, z) = published_form(bits);
            assert_eq!(bits.map(uniform_from_bits).map(f64::to_bits), u.map(f64::to_bits), "{bits:x?}");
            assert_eq!(box_muller(u[0], u[1]).map(f64::to_bits), z.map(f64::to_bits), "{bits:x?}");
        }
    }
}
