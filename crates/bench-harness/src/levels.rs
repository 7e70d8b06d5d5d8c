//! The network against the closed-form linear denoiser, at fixed noise levels, on held-out images.
//!
//! Both see the same images and the same noise: `‖D(ȳ, v) − y₀‖²`, averaged over the images. The linear denoiser's expected
//! loss `Σ λᵢ v/(λᵢ + v)` on the training distribution stands beside it.

use anyhow::Result;
use gbm_sde::{Noise, Stream};
use ndarray::Array2;
use score_match::torch::squared_error;
use score_match::{Denoiser, Divergence, LinearDenoiser, Probes, Trace};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::config::Experiment;
use crate::data::Dataset;
use crate::generate::Trained;
use crate::pixels;
use crate::progress::Progress;
use crate::session::Session;

/// Noise of this comparison; training and sampling use other streams.
const LEVELS: Stream = Stream(66);

/// Squared errors at one noise level, per image, summed over its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelLoss {
    /// Noise level `r = √v`.
    pub r: f64,
    /// The network's.
    pub network: f64,
    /// The linear denoiser's, on the same images and noise.
    pub linear: f64,
    /// The linear denoiser's expected loss, in closed form.
    pub linear_expected: f64,
    /// Trace of the posterior covariance of `y₀` that the network implies, `v tr ∂D/∂ȳ` (Tweedie's second-order formula), by
    /// Hutchinson's estimate on some of the images: equal to its squared error where the network is calibrated.
    #[serde(default)]
    pub posterior_variance: Option<f64>,
}

impl LevelLoss {
    /// Whether the network is better than the linear denoiser, both ways of counting.
    #[must_use]
    pub fn beats_linear(&self) -> bool {
        self.network < self.linear && self.network < self.linear_expected
    }
}

/// Images on which the posterior variance is estimated.
const TRACED: i64 = 250;

/// Compares the two at every level of the evaluation's settings, on the first test images.
///
/// # Errors
/// If libtorch refuses.
pub fn compare(
    trained: &Trained,
    linear: &LinearDenoiser,
    data: &Dataset,
    experiment: &Experiment,
    session: &Session,
) -> Result<Vec<LevelLoss>> {
    let config = &experiment.evaluation;
    let n = config.level_images.min(data.test.len());
    let (bytes, _) = data.test.slice(0..n);
    let y0 = experiment.pixels.log_tensor(&pixels::to_tensor(bytes, session.device)?)?;
    let denoiser = trained.denoiser(experiment.sampling.batch);
    let noise = Noise::new(experiment.seed);
    let mut progress = Progress::new("loss by level", "levels", config.levels.len() as u64);
    let mut found = Vec::with_capacity(config.levels.len());
    for (i, &r) in config.levels.iter().enumerate() {
        let v = r * r;
        let eps = pixels::normals(&noise, LEVELS, (i * n) as u64, trained.shape(n), session.device)?;
        let y_bar = y0.f_add(&eps.f_mul_scalar(r)?)?;
        let mean = |d: &Tensor| -> Result<f64> { Ok(squared_error(d, &y0)?.f_mean(Kind::Double)?.double_value(&[])) };
        let network = mean(&denoiser.denoise(&y_bar, v)?)?;
        let some = y_bar.f_narrow(0, 0, TRACED.min(n as i64))?;
        let probes = Trace::Hutchinson(Probes::new(experiment.seed));
        let traces = denoiser.denoise_traced(&some, v, probes)?.traces;
        let posterior_variance = traces.mean().map(|trace| v * trace);
        let rows = rows(&y_bar, n)?;
        let clean = self::rows(&y0, n)?;
        let error = linear.denoise(&rows, v)? - clean;
        found.push(LevelLoss {
            r,
            network,
            linear: error.iter().map(|e| e * e).sum::<f64>() / n as f64,
            linear_expected: linear.expected_loss(v),
            posterior_variance,
        });
        progress.set(i as u64 + 1);
    }
    progress.finish();
    Ok(found)
}

fn rows(images: &Tensor, n: usize) -> Result<Array2<f64>> {
    let values =
        Vec::<f64>::try_from(&images.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Double)?.f_reshape([-1])?)?;
    Ok(Array2::from_shape_vec((n, values.len() / n), values)?)
}
