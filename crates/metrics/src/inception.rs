//! Inception score: are single images classified with confidence, and all classes seen?
//!
//! ```text
//! IS = exp( (1/N) Σᵢ Σ_c pᵢ(c) ln( pᵢ(c) / q(c) ) ),    q = (1/N) Σᵢ pᵢ
//! ```
//!
//! Salimans, Goodfellow, Zaremba, Cheung, Radford and Chen, *Improved techniques for training GANs*, 2016. It lies between 1 and the
//! number of classes. By custom the images are split into ten parts, and mean and standard deviation over the parts are printed; part
//! i of s holds the rows from `⌊iN/s⌋` to `⌊(i+1)N/s⌋`, as in torch-fidelity. A score of fewer images is smaller: compare equal N and s
//! only.

use std::ops::Range;

use ndarray::{Array1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::classes::{Classes, p_ln_p};
use crate::error::{MetricsError, Set};
use crate::interval::{Interval, Resampling};
use crate::splitmix::SplitMix64;

/// Addresses of the draws.
const ORDER_STREAM: u64 = 0x6973_6301;
const RESAMPLE_STREAM: u64 = 0x6973_6302;

/// Order in which the images fall into the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As they stand.
    Given,
    /// Shuffled by this seed.
    Shuffled(u64),
}

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InceptionOptions {
    /// Number of parts.
    pub splits: usize,
    /// Order of the images.
    pub order: Order,
    /// How the interval is made.
    pub resampling: Resampling,
}

impl Default for InceptionOptions {
    /// Ten parts, shuffled by seed 0: images that come class by class would score 1 otherwise.
    fn default() -> Self {
        Self { splits: 10, order: Order::Shuffled(0), resampling: Resampling::default() }
    }
}

/// An inception score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InceptionScore {
    /// Mean over the parts.
    pub mean: f64,
    /// Standard deviation over the parts (divided by their number, as published tools do).
    pub sd: f64,
    /// The score of all images as one part, with its bootstrap spread over the images; independent of their order.
    pub whole: Interval,
    /// What it was computed with.
    pub options: InceptionOptions,
}

/// Inception score of N images over C classes.
///
/// # Errors
/// No rows, no columns, a value that is not finite, a row that is not a probability distribution; no parts, more parts than images;
/// resampling options that make no sense.
pub fn inception_score(classes: Classes<'_>, options: &InceptionOptions) -> Result<InceptionScore, MetricsError> {
    classes.check()?;
    options.resampling.check()?;
    let (n, splits) = (classes.dim().0, options.splits);
    if splits == 0 {
        return Err(MetricsError::TooSmall { what: "the number of splits", value: 0, least: 1 });
    }
    if splits > n {
        let what = "the number of splits";
        return Err(MetricsError::TooLarge { what, value: splits, available: n, set: Set::Sample });
    }
    let (probabilities, negentropies) = classes.probabilities();
    let order = match options.order {
        Order::Given => (0..n).collect(),
        Order::Shuffled(seed) => SplitMix64::addressed(seed, ORDER_STREAM, 0).choose(n, n),
    };
    let part = |range: Range<usize>| {
        let mut counts = vec![0; n];
        order[range].iter().for_each(|&row| counts[row] = 1);
        score(probabilities.view(), &negentropies, &counts)
    };
    let scores: Vec<f64> = (0..splits).map(|i| part(share(n, splits, i)..share(n, splits, i + 1))).collect();
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let sd = (scores.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / splits as f64).sqrt();
    let whole = |counts: &[u32]| score(probabilities.view(), &negentropies, counts);
    let interval = options.resampling.interval(whole(&vec![1; n]), n, RESAMPLE_STREAM, whole);
    Ok(InceptionScore { mean, sd, whole: interval, options: *options })
}

/// `⌊i n / splits⌋`.
fn share(n: usize, splits: usize, i: usize) -> usize {
    (i as u128 * n as u128 / splits as u128) as usize
}

/// The score where image i counts `counts[i]` times: the mean divergence is `mean Σ p ln p − Σ q ln q`.
fn score(probabilities: ArrayView2<'_, f64>, negentropies: &[f64], counts: &[u32]) -> f64 {
    let mut marginal = Array1::<f64>::zeros(probabilities.len_of(Axis(1)));
    let (mut negentropy, mut total) = (0.0, 0.0);
    for ((row, own), &count) in probabilities.outer_iter().zip(negentropies).zip(counts) {
        if count > 0 {
            let weight = f64::from(count);
            marginal.scaled_add(weight, &row);
            negentropy += weight * own;
            total += weight;
        }
    }
    (negentropy / total - marginal.iter().map(|sum| p_ln_p(sum / total)).sum::<f64>()).exp()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn certain_images_of_all_classes_score_their_number() {
        let certain = Array2::from_shape_fn((40, 8), |(i, c)| f32::from(u8::from(i % 8 == c)));
        let options = InceptionOptions { splits: 5, order: Order::Given, ..Default::default() };
        let found = inception_score(Classes::Probabilities(certain.view()), &options).unwrap();
        assert!((found.mean - 8.0).abs() < 1e-12 && found.sd < 1e-12, "{found:?}");
        // A resample sees classes unevenly and scores less.
        assert!(found.whole.estimate == found.mean && found.whole.high < 8.0 && found.whole.sd > 0.0, "{found:?}");
        let undecided = Array2::<f32>::zeros((40, 8));
        let found = inception_score(Classes::Logits(undecided.view()), &options).unwrap();
        assert!((found.mean - 1.0).abs() < 1e-12 && (found.whole.high - 1.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn two_classes_in_closed_form() {
        // p = (a, 1 − a) and (1 − a, a): q = ½, IS = 2 exp(a ln a + (1 − a) ln(1 − a)).
        let a = 0.875_f64;
        let rows = Array2::from_shape_fn((10, 2), |(i, c)| if i % 2 == c { a as f32 } else { 1.0 - a as f32 });
        let expected = 2.0 * (a * a.ln() + (1.0 - a) * (1.0 - a).ln()).exp();
        let options = InceptionOptions { splits: 1, ..Default::default() };
        let found = inception_score(Classes::Probabilities(rows.view()), &options).unwrap();
        assert!((found.mean - expected).abs() < 1e-14 && found.sd == 0.0, "{found:?} {expected}");
    }

    #[test]
    fn parts_are_those_of_torch_fidelity() {
        let ends: Vec<usize> = (0..=4).map(|i| share(10, 4, i)).collect();
        assert_eq!(ends, [0, 2, 5, 7, 10]);
    }

    #[test]
    fn bad_input_is_named() {
        let logits = Array2::<f32>::zeros((4, 3));
        let with = |splits| {
            inception_score(Classes::Logits(logits.view()), &InceptionOptions { splits, ..Default::default() })
        };
        assert_eq!(
            with(5).unwrap_err().to_string(),
            "the number of splits is 5; it cannot be more than the 4 sample rows"
        );
        assert!(matches!(with(0), Err(MetricsError::TooSmall { value: 0, least: 1, .. })));
    }
}
