//! The exponential function in single precision, made for vector lanes.
//!
//! ```math
//! e^x = 2^n e^r, \qquad n = \operatorname{round}(x / \ln 2), \qquad r = x - n \ln 2, \qquad
//! e^r \approx 1 + r + r^2 \sum_{k=2}^{7} \frac{r^{k-2}}{k!}
//! ```
//!
//! `$\ln 2$` is taken off in two parts, the first of which has so few digits that its product with `$n$` is exact (Cody and
//! Waite 1980). With `$|r| \le \tfrac12 \ln 2$` the series leaves out less than `$10^{-8}$` of the sum. `$2^n$` is multiplied
//! in two factors, so that results below the smallest normal number are rounded once. There is no branch, no table and no
//! fused operation: a loop over [`exp`] becomes vector code, and the values are the same on every platform.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use std::f32::consts::LOG2_E;

/// Nine leading bits of `ln 2`; times an integer below `2¹⁴` it is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
/// What they leave, negative.
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// `1.5 · 2²³`: adding it rounds to an integer, found in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `eˣ` within 2 units in the last place (largest over all arguments: 1.03). 0 below −103.98, infinity above 88.73, 1
/// at 0, not a number for not a number; results below the smallest normal number are kept.
///
/// ```
/// use gbm_sde::exponential::exp;
/// assert_eq!(exp(0.0), 1.0);
/// assert!((exp(1.0) - std::f32::consts::E).abs() < 5e-7);
/// assert_eq!([exp(-104.0), exp(89.0)], [0.0, f32::INFINITY]);
/// ```
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Past these ends the result is 0 or infinite, and n would leave the exponent's range. Not a number stays.
    let x = x.clamp(-104.0, 89.0);
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let series = ((((1.0 / 5040.0 * r + 1.0 / 720.0) * r + 1.0 / 120.0) * r + 1.0 / 24.0) * r + 1.0 / 6.0) * r + 0.5;
    let fraction = 1.0 + (r + r * r * series);
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    fraction * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `2ⁿ` for `n` from −126 to 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error at `x` in units in the last place of the true value, which double precision knows.
    fn error(x: f32) -> f64 {
        let truth = f64::from(x).exp();
        // From 2⁻¹²⁶ down the spacing is that of the subnormal numbers.
        let exponent = truth.log2().floor().clamp(-126.0, 127.0);
        (f64::from(exp(x)) - truth).abs() / (exponent - 23.0).exp2()
    }

    /// Largest error over every `stride`-th argument for which the result is neither 1 nor past the ends.
    fn largest_error(stride: usize) -> f64 {
        let last = |end: f32| (2f32.powi(-26).to_bits()..=end.to_bits()).step_by(stride).map(f32::from_bits);
        last(88.722_83).map(error).chain(last(103.972_08).map(|x| error(-x))).fold(0.0, f64::max)
    }

    #[test]
    fn error_is_below_two_units_in_the_last_place() {
        let largest = largest_error(331);
        assert!(largest < 1.03, "{largest}");
    }

    #[test]
    #[ignore = "all 5·10⁸ arguments: half a minute"]
    fn error_is_below_two_units_everywhere() {
        let largest = largest_error(1);
        println!("largest error: {largest} units in the last place");
        assert!(largest < 1.03, "{largest}");
    }

    #[test]
    fn ends_are_exact() {
        for x in [0.0, -0.0, 1e-9, -1e-9, f32::from_bits(1), 2f32.powi(-26), -2f32.powi(-26)] {
            assert_eq!(exp(x), 1.0);
        }
        // The last argument with a finite result and the next, and the same around the smallest positive result.
        let last = 88.722_83_f32;
        assert!(exp(last).is_finite() && f64::from(last).exp() < f64::from(f32::MAX));
        assert_eq!(exp(last.next_up()), f32::INFINITY);
        assert_eq!(exp(-103.972_08), f32::from_bits(1));
        assert_eq!(exp((-103.972_08f32).next_down().next_down()), 0.0);
        for x in [89.0, 1e4, f32::MAX, f32::INFINITY] {
            assert_eq!(exp(x), f32::INFINITY);
            assert_eq!(exp(-x.max(104.0)), 0.0);
        }
        assert!(exp(f32::NAN).is_nan() && exp(-f32::NAN).is_nan());
    }
}
