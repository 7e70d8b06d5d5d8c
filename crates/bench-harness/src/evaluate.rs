//! Evaluation: `cnn-fid` and KID of samples against test images, beside three reference figures.
//!
//! The features are the 128 activations before the last layer of a small classifier of the data set, so the number is called
//! `cnn-fid`, never plain FID. Every row has the same number of images, and carries the protocol's fingerprint.

use anyhow::{Context, Result};
use gbm_sde::{Noise, Schedule, Stream};
use metrics::{BootstrapOptions, Fingerprint, KidOptions, bootstrap_fid, kid_subsets};
use models::classifier::Shipped;
use ndarray::{Array2, Array3, ArrayView3};
use samplers::FittedPrior;
use score_match::LinearDenoiser;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use crate::config::{EvaluationConfig, PixelMap};
use crate::data::Dataset;
use crate::extractor::{Extractor, Shape};
use crate::generate::statistics;
use crate::levels::LevelLoss;
use crate::pixels;
use crate::progress::Progress;

/// Where the three references draw from; samplers use other streams.
const REFERENCE: Stream = Stream(64);

/// Index of the first draw of a fitted prior that stands for it alone: far beyond those of sampling, a multiple of ten classes.
const REFERENCE_STARTS: u64 = 10_000_000_000;

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What the images are.
    pub name: String,
    /// Number of images.
    pub n: usize,
    /// Fréchet distance in the classifier's features.
    pub cnn_fid: f64,
    /// Standard deviation over the bootstrap.
    pub cnn_fid_sd: f64,
    /// Kernel distance, mean over the subsets.
    pub kid: f64,
    /// Standard deviation over the subsets.
    pub kid_sd: f64,
    /// Network calls for each image; none for what no network made.
    pub calls: Option<usize>,
    /// Seconds for each image.
    pub seconds_per_image: Option<f64>,
    /// The protocol of the number.
    pub fingerprint: Fingerprint,
}

impl Score {
    /// The 95% interval of `cnn-fid`; its lower end stays above half of it, so that a logarithmic axis can show it.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        let half = 1.96 * self.cnn_fid_sd;
        ((self.cnn_fid - half).max(0.5 * self.cnn_fid), self.cnn_fid + half)
    }
}

/// Everything that evaluation found; `metrics.json` of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Key of the stage.
    pub key: String,
    /// The data set, with the subset's label if it is one.
    pub data: String,
    /// The samples first, then the references.
    pub scores: Vec<Score>,
    /// The network against the linear denoiser.
    pub levels: Vec<LevelLoss>,
    /// The linear denoiser at the levels of the training's log.
    #[serde(default)]
    pub training_levels: Vec<TrainingLevel>,
}

/// What the best linear denoiser would reach at one level of the training's log.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingLevel {
    /// Noise level `r = √v`, in the middle of its bin.
    pub r: f64,
    /// Its expected squared error, in closed form.
    pub linear_expected: f64,
}

impl Evaluation {
    /// The row of the samples.
    #[must_use]
    pub fn samples(&self) -> Option<&Score> {
        self.scores.first()
    }

    /// The row of real training images.
    #[must_use]
    pub fn real(&self) -> Option<&Score> {
        self.scores.iter().find(|s| s.name == REAL || s.name == TRAINING)
    }

    /// A row by name.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&Score> {
        self.scores.iter().find(|s| s.name == name)
    }
}

/// Name of the row of training images that the classifier has not seen.
pub const REAL: &str = "held-out real images";
/// Name of the same row for data sets without a classifier of their own, of which none was seen.
pub const TRAINING: &str = "training images";
/// Name of the row of the full-covariance log-normal.
pub const LOG_NORMAL: &str = "full-covariance log-normal";
/// Name of the row of the prior.
pub const PRIOR: &str = "prior alone";

/// Scores sets of images against the same reference.
#[derive(Debug)]
pub struct Judge {
    extractor: Extractor,
    reference: Array2<f32>,
    split: String,
    config: EvaluationConfig,
    seed: u64,
}

impl Judge {
    /// Computes the features of the data set's test images.
    ///
    /// # Errors
    /// If the images are not 28 × 28.
    pub fn new(data: &Dataset, config: &EvaluationConfig, seed: u64, device: Device) -> Result<Self> {
        let extractor = Extractor::shipped(Shipped::of_data(&data.name), device)?;
        let reference = extractor.rows(data.test.images.view(), "test features")?;
        let split = format!("{}/test", data.name);
        Ok(Self { extractor, reference, split, config: config.clone(), seed })
    }

    /// Hash of the feature network.
    #[must_use]
    pub fn extractor(&self) -> &str {
        self.extractor.sha256()
    }

    /// `cnn-fid` and KID of images.
    ///
    /// # Errors
    /// If there are fewer than two.
    pub fn score(&self, name: &str, images: ArrayView3<'_, u8>) -> Result<Score> {
        let sample = self.extractor.rows(images, name)?;
        let options =
            BootstrapOptions { resamples: self.config.resamples, seed: self.seed, ..BootstrapOptions::default() };
        let fid = bootstrap_fid(sample.view(), self.reference.view(), &options)
            .with_context(|| format!("cnn-fid of {name}"))?;
        let size = self.config.kid_size.min(sample.nrows()).min(self.reference.nrows());
        let options = KidOptions { subsets: self.config.kid_subsets, size, seed: self.seed };
        let kid =
            kid_subsets(sample.view(), self.reference.view(), &options).with_context(|| format!("KID of {name}"))?;
        Ok(Score {
            name: name.to_owned(),
            n: sample.nrows(),
            cnn_fid: fid.estimate,
            cnn_fid_sd: fid.sd,
            kid: kid.mean,
            kid_sd: kid.sd,
            calls: None,
            seconds_per_image: None,
            fingerprint: self.fingerprint(sample.nrows()),
        })
    }

    /// The protocol of a score of `n_samples` images.
    #[must_use]
    pub fn fingerprint(&self, n_samples: usize) -> Fingerprint {
        let shape = Shape { h: 28, w: 28, c: 1 };
        self.extractor.fingerprint(shape, n_samples, self.reference.nrows(), self.split.clone())
    }

    /// How many images of each row to judge, so that all rows have as many: `n`, or all real ones that can be set beside
    /// them.
    #[must_use]
    pub fn comparable_count(&self, data: &Dataset, n: usize) -> usize {
        let available = data.train.len() - held_out_from(data);
        if n > available {
            tracing::warn!("only {available} real images can be set beside the samples: judging {available} of {n}");
        }
        n.min(available)
    }

    /// The score of `n` real training images.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn real(&self, data: &Dataset, n: usize) -> Result<Score> {
        let from = held_out_from(data);
        let (held_out, _) = data.train.slice(from..from + n);
        self.score(if from > 0 { REAL } else { TRAINING }, held_out)
    }

    /// The three reference figures, at `n` images each.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn references(
        &self,
        data: &Dataset,
        n: usize,
        pixel_map: PixelMap,
        linear: &LinearDenoiser,
        prior: &FittedPrior,
    ) -> Result<Vec<Score>> {
        let (h, w) = data.train.size();
        let noise = Noise::new(self.seed);
        let drawn = linear.sample_rows(&noise, REFERENCE, 0, n);
        let log_normal = to_bytes(drawn.iter().map(|&y| y as f32).collect(), n, h, w, pixel_map)?;
        let starts = match prior {
            FittedPrior::Independent(prior) => {
                let mut z = vec![0.0_f32; n * h * w];
                noise.rows_normal(Stream(REFERENCE.0 + 1), 0, 0, &mut z, h * w);
                z.into_iter().map(|z| (prior.mean + prior.sd * f64::from(z)) as f32).collect()
            }
            // Images that sampling does not start from.
            _ => prior.draw_f32(&noise, REFERENCE_STARTS, n, h * w)?.into_raw_vec_and_offset().0,
        };
        let prior_images = to_bytes(starts, n, h, w, pixel_map)?;
        Ok(vec![
            self.real(data, n)?,
            self.score(LOG_NORMAL, log_normal.view())?,
            self.score(PRIOR, prior_images.view())?,
        ])
    }
}

/// First training image that may stand for real ones: one that the data set's classifier has not seen.
fn held_out_from(data: &Dataset) -> usize {
    let shipped = Shipped::of_data(&data.name);
    let seen = if shipped.data() == data.name { shipped.trained_on() } else { 0 };
    if data.train.len() > seen { seen } else { 0 }
}

fn to_bytes(log_pixels: Vec<f32>, n: usize, h: usize, w: usize, pixel_map: PixelMap) -> Result<Array3<u8>> {
    let tensor = Tensor::from_slice(&log_pixels).f_view([n as i64, 1, h as i64, w as i64])?;
    Ok(pixels::to_array(&pixel_map.bytes(&tensor, None)?)?)
}

/// The linear denoiser of a data set's training images, and the prior at the start of a grid.
///
/// # Errors
/// If the settings are impossible, or all training images are the same.
pub fn baselines(
    data: &Dataset,
    pixel_map: PixelMap,
    sampling: &crate::config::SamplingConfig,
    schedule: &Schedule,
) -> Result<(LinearDenoiser, FittedPrior)> {
    let mut progress = Progress::new("linear denoiser", "fits", 1);
    let rows = pixel_map.log_rows(data.train.images.view());
    let linear = LinearDenoiser::fit(rows.view()).context("fitting the linear denoiser to the training images")?;
    progress.set(1);
    progress.finish();
    let grid = sampling.grid.build(Some(schedule))?;
    let statistics = statistics(&sampling.prior, pixel_map, data)?;
    let prior =
        sampling.prior.build(&pixel_map.moments(data.train.images.view()), statistics.as_ref(), grid.start())?;
    Ok((linear, prior))
}
