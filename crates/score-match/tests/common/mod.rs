//! One-dimensional laws as quadrature nodes, models of the score that differentiate themselves, and gamma draws.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

pub(crate) mod jet;
pub(crate) mod law;
pub(crate) mod models;

use gbm_sde::{Noise, Stream};

/// A gamma variate of shape 2.5 and rate 1: two exponentials and half a squared normal.
pub(crate) fn gamma_five_halves(noise: &Noise, index: u64) -> f64 {
    let stream = Stream(77);
    let exponential = |element| -noise.uniform(stream, index, 0, element).ln();
    exponential(0) + exponential(1) + 0.5 * noise.normal(stream, index, 1, 0).powi(2)
}
