//! Are the samples copies of the training images?
//!
//! With `t₁(y)`, `t₂(y)` the nearest and second nearest training row of a sample y, and `δ(t)` the distance of a training row to the
//! nearest other training row:
//!
//! ```text
//! ratio(y) = |y − t₁(y)| / |y − t₂(y)|        copied    = share of samples with ratio(y) < threshold
//!                                             authentic = share of samples with |y − t₁(y)| > δ(t₁(y))
//! ```
//!
//! Ratio with the threshold 1/3: Yoon, Choi, Kwon and Ryu, *Diffusion probabilistic models generalize when they fail to memorize*, 2023.
//! Authenticity: Alaa, van Breugel, Saveliev and van der Schaar, *How faithful is your synthetic data?*, 2022, section 3.3. A sample is
//! not authentic when it is at least as close to a training image as that image's own nearest neighbour.
//!
//! A training image that stands twice in the training set has δ = 0 and makes every inexact copy of it authentic; a ratio of 0/0 counts
//! as 1 (the sample equals both, so it says nothing about one of them).

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::error::{MetricsError, Set, check_dimensions, check_features, check_present};
use crate::interval::{Interval, Resampling, quantile};
use crate::neighbours::search;
use crate::screen::Rows;

/// Address of the resamples.
const STREAM: u64 = 0x6d65_6d01;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemorizationOptions {
    /// A sample whose ratio of distances is below it counts as a copy.
    pub threshold: f64,
    /// How the intervals are made: the samples are resampled, the training set is taken as it is.
    pub resampling: Resampling,
}

impl Default for MemorizationOptions {
    /// Threshold 1/3.
    fn default() -> Self {
        Self { threshold: 1.0 / 3.0, resampling: Resampling::default() }
    }
}

/// What one sample is closest to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nearest {
    /// Row of the nearest training image.
    pub index: usize,
    /// Distance to it, in feature units.
    pub distance: f64,
    /// That distance divided by the one to the second nearest, in [0, 1].
    pub ratio: f64,
    /// Distance from that training image to the nearest other one, in feature units.
    pub training_distance: f64,
}

impl Nearest {
    /// Whether the sample is farther from its nearest training image than that is from its own nearest.
    pub fn authentic(&self) -> bool {
        self.distance > self.training_distance
    }
}

/// Memorization of a training set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memorization {
    /// Share of samples that are authentic. Samples from the training distribution itself give about 1/2.
    pub authenticity: Interval,
    /// Share of samples whose ratio is below the threshold.
    pub copied: Interval,
    /// Quantiles 0, 1/4, 1/2, 3/4 and 1 of the ratios.
    pub ratio_quartiles: [f64; 5],
    /// Every sample in its order.
    pub samples: Vec<Nearest>,
    /// What it was computed with.
    pub options: MemorizationOptions,
}

/// Nearest training images of every sample (N × d) in the training set (M × d), and what they say of copying.
///
/// # Errors
/// No samples, fewer than two training rows, different dimensions, a value that is not finite (with its row and column); a threshold
/// that is not positive, resampling options that make no sense. The training set is the reference side of an error.
pub fn memorization(
    sample: ArrayView2<'_, f32>,
    training: ArrayView2<'_, f32>,
    options: &MemorizationOptions,
) -> Result<Memorization, MetricsError> {
    check_present(sample, Set::Sample)?;
    check_features(training, Set::Reference)?;
    check_dimensions(sample.ncols(), training.ncols())?;
    options.resampling.check()?;
    if !(options.threshold > 0.0 && options.threshold.is_finite()) {
        return Err(MetricsError::NotPositiveNumber { what: "the threshold of the ratio", value: options.threshold });
    }
    let (queries, rows) = Rows::pair(sample, training);
    let found = search(&queries, &rows, 2, None);

    // Only training images that are nearest to some sample are asked for their own nearest.
    let mut hit: Vec<usize> = found.indices.column(0).to_vec();
    hit.sort_unstable();
    hit.dedup();
    let hits = rows.select(&hit);
    let own = search(&hits, &rows, 1, Some(&hit));
    let samples: Vec<Nearest> = found
        .squared
        .outer_iter()
        .zip(found.indices.column(0))
        .map(|(squared, &index)| {
            let (first, second) = (squared[0].sqrt(), squared[1].sqrt());
            let position = hit.partition_point(|&row| row < index);
            Nearest {
                index,
                distance: first,
                ratio: if second > 0.0 { first / second } else { 1.0 },
                training_distance: own.squared[(position, 0)].sqrt(),
            }
        })
        .collect();

    let share = |holds: &dyn Fn(&Nearest) -> bool| {
        let values: Vec<f64> = samples.iter().map(|nearest| f64::from(u8::from(holds(nearest)))).collect();
        options.resampling.mean(&values, STREAM)
    };
    let (authenticity, copied) = (share(&Nearest::authentic), share(&|nearest| nearest.ratio < options.threshold));
    let mut ratios: Vec<f64> = samples.iter().map(|nearest| nearest.ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio_quartiles = [0.0, 0.25, 0.5, 0.75, 1.0].map(|probability| quantile(&ratios, probability));
    Ok(Memorization { authenticity, copied, ratio_quartiles, samples, options: *options })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis, array};

    use super::*;
    use crate::splitmix::{SplitMix64, uniform};

    #[test]
    fn on_a_line() {
        let training = array![[0.0_f32], [1.0], [10.0], [14.0]];
        let sample = array![[0.25_f32], [12.5], [-3.0]];
        let found = memorization(sample.view(), training.view(), &MemorizationOptions::default()).unwrap();
        let near = |index, distance, ratio, training_distance| Nearest { index, distance, ratio, training_distance };
        assert_eq!(found.samples, [near(0, 0.25, 1.0 / 3.0, 1.0), near(3, 1.5, 0.6, 4.0), near(0, 3.0, 0.75, 1.0)]);
        assert_eq!(found.authenticity.estimate, 1.0 / 3.0);
        assert_eq!(found.copied.estimate, 0.0);
        assert_eq!(found.ratio_quartiles[2], 0.6);
    }

    #[test]
    fn copies_are_found_and_fresh_draws_are_not() {
        let training = uniform(1500, 10, 1);
        let copies = training.select(Axis(0), &SplitMix64::new(3).choose(1500, 400)).mapv(|v| v + 1e-4);
        let fresh = uniform(400, 10, 2);
        let options = MemorizationOptions::default();
        let copied = memorization(copies.view(), training.view(), &options).unwrap();
        assert_eq!((copied.authenticity.estimate, copied.copied.estimate), (0.0, 1.0));
        let fresh = memorization(fresh.view(), training.view(), &options).unwrap();
        assert_eq!(fresh.copied.estimate, 0.0);
        // The nearest row of a fresh draw and that of a training row have the same law; the nearest row's own distance is a little
        // smaller than a typical one's.
        assert!((0.4..0.75).contains(&fresh.authenticity.estimate), "{:?}", fresh.authenticity);
        assert!(fresh.authenticity.low < fresh.authenticity.high);
    }

    #[test]
    fn a_training_image_that_stands_twice() {
        let training = array![[1.0_f32, 2.0], [1.0, 2.0], [5.0, 5.0]];
        let sample = array![[1.0_f32, 2.0]];
        let found = memorization(sample.view(), training.view(), &MemorizationOptions::default()).unwrap();
        assert_eq!((found.samples[0].ratio, found.samples[0].authentic()), (1.0, false));
    }

    #[test]
    fn bad_input_is_named() {
        let good = uniform(5, 2, 1);
        let options = MemorizationOptions::default();
        let one = uniform(1, 2, 1);
        assert!(memorization(one.view(), good.view(), &options).is_ok());
        let error = memorization(good.view(), one.view(), &options).unwrap_err();
        assert_eq!(error, MetricsError::TooFewRows { set: Set::Reference, rows: 1 });
        let empty = Array2::zeros((0, 2));
        let error = memorization(empty.view(), good.view(), &options).unwrap_err();
        assert_eq!(error, MetricsError::NoRows { set: Set::Sample });
        let threshold = MemorizationOptions { threshold: 0.0, ..options };
        let error = memorization(good.view(), good.view(), &threshold).unwrap_err();
        assert_eq!(error.to_string(), "the threshold of the ratio is 0; it must be positive and finite");
    }
}
