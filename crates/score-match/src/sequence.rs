//! Low-discrepancy sequences: one uniform for each training step, such that any run of steps covers the interval evenly.
//!
//! ```math
//! u_k = \operatorname{frac}(u_0 + k/\phi),\quad \phi = \tfrac{1 + \sqrt 5}{2}
//! \qquad\qquad
//! u_k = \operatorname{frac}\Big(u_0 + \sum_i k_i\, 2^{-i-1}\Big),\quad k = \sum_i k_i\, 2^i
//! ```
//!
//! The first is the golden-ratio (Kronecker) sequence, the second van der Corput's (1935), each rotated by a random `$u_0$`
//! (Cranley and Patterson 1976), after which every `$u_k$` is uniform by itself. The star discrepancy of the first `$n$`
//! points is of order `$\ln n / n$`, that of independent points `$1/\sqrt n$`.
//!
//! A stratified batch ([`crate::TimeSampling::stratified`]) takes the quantiles `$(i + u)/B$`; with these `$u_k$` for step
//! `$k$` the batches of a run interleave, so that `$n$` batches together nearly are one stratified batch of size `$n B$`.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use gbm_sde::gaussian::uniform_from_bits;
use serde::{Deserialize, Serialize};

/// `2⁶⁴/φ`, rounded to an odd integer.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Which low-discrepancy sequence.
///
/// ```
/// use score_match::{Sequence, TimeSampling};
/// let time = TimeSampling::LogUniform { r_min: 0.01, r_max: 1.0 };
/// let (mut run, mut whole) = ([0.0; 16], [0.0; 16]);
/// for (step, batch) in run.chunks_mut(4).enumerate() {
///     time.stratified(Sequence::VanDerCorput.uniform(step as u64, 0.1), batch);
/// }
/// // Four stratified batches of four, together, are a stratified batch of sixteen.
/// run.sort_by(f64::total_cmp);
/// time.stratified(0.4, &mut whole);
/// assert!(run.iter().zip(whole).all(|(a, b)| (a - b).abs() < 1e-14));
/// ```
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Sequence {
    /// Multiples of the golden ratio: every prefix is about equally good.
    #[default]
    GoldenRatio,
    /// Reversed binary digits: prefixes of length `2ᵏ` are perfectly even.
    VanDerCorput,
}

impl Sequence {
    /// Element `step` in `(0, 1)`, rotated by `shift` (of which the fraction counts; a shift that is not finite counts as 0).
    ///
    /// Computed in 64-bit integers, so that a late step is as exact as the first.
    ///
    /// ```
    /// use score_match::Sequence;
    /// // From step to step the golden ratio's reciprocal, modulo 1, however late the step.
    /// let step = Sequence::GoldenRatio.uniform(1_000_000_001, 0.2) - Sequence::GoldenRatio.uniform(1_000_000_000, 0.2);
    /// assert!((step.rem_euclid(1.0) - 2.0 / (1.0 + 5f64.sqrt())).abs() < 1e-9);
    /// ```
    pub fn uniform(self, step: u64, shift: f64) -> f64 {
        let bits = match self {
            Self::GoldenRatio => step.wrapping_mul(GOLDEN),
            Self::VanDerCorput => step.reverse_bits(),
        };
        // 2⁶⁴; the conversion saturates, and turns NaN into 0.
        let rotation = ((shift - shift.floor()) * 18_446_744_073_709_551_616.0) as u64;
        uniform_from_bits(bits.wrapping_add(rotation))
    }
}
