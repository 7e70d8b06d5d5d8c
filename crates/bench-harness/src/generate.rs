//! Sampling: a prior draw for each image, a sampler over a grid, bytes at the end.
//!
//! Noise belongs to the image (seed, index), and networks run in padded batches of one size: image *i* is the same, to the
//! bit, however many are asked for.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use gbm_sde::{Noise, Schedule, Stream};
use models::checkpoint::{self, Header};
use models::denoise::{Guidance, Model, NetDenoiser};
use models::params::{Gradient, Weights};
use models::precision::{Precision, native_bf16};
use models::unet::UNet;
use ndarray::{Array3, Axis, concatenate};
use samplers::{AddressedNoise, DeviceNoise, NoiseSource, PriorConfig, PriorStatistics, Sampler};
use score_match::Denoiser;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::config::{Diverging, Experiment, NoiseKind, PixelMap, SamplingConfig};
use crate::data::Dataset;
use crate::pixels;
use crate::progress::Progress;
use crate::run::stored_experiment;
use crate::session::{Interrupted, Session};
use crate::training::checkpoints::Checkpoints;
use crate::unfinished::{Cost, Unfinished};

/// What a trained network computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// What it was trained with, where this machine has instructions for it.
    AsTrained,
    /// Single precision: derivatives need its digits.
    Single,
}

/// A trained network, ready to sample.
#[derive(Debug)]
pub struct Trained {
    /// Structure and head.
    pub model: Model,
    /// Averaged weights, in the precision it was trained in where this machine has instructions for it.
    pub weights: Weights,
    /// What the file says about them.
    pub header: Header,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Trained {
    /// Loads weights.
    ///
    /// # Errors
    /// If the file is missing, damaged or of another format.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        Self::load_in(path, device, Arithmetic::AsTrained)
    }

    /// Loads weights, for arithmetic of this kind.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_in(path: &Path, device: Device, arithmetic: Arithmetic) -> Result<Self> {
        let loaded = checkpoint::load(path, device)?;
        let header = loaded.header;
        // Sampling does not round f32 to TF32, whatever training did.
        models::device::set_tf32(false)?;
        let model = Model::new(UNet::new(header.network.clone())?, header.head, header.moments)?;
        let half = arithmetic == Arithmetic::AsTrained
            && header.precision == Precision::Bf16
            && (device != Device::Cpu || native_bf16());
        let kind = if half { Kind::BFloat16 } else { Kind::Float };
        let weights = loaded.ema.weights(model.net.layout(), kind, Gradient::Unwanted)?;
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let sha256 = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self { model, weights, header, sha256 })
    }

    /// As the samplers see it.
    #[must_use]
    pub fn denoiser(&self, micro_batch: usize) -> NetDenoiser<'_> {
        NetDenoiser::new(&self.model, &self.weights, micro_batch)
    }

    /// The denoiser as `config` asks for it, for the images of these numbers: their classes, and what becomes of those that diverge.
    ///
    /// # Errors
    /// A class that the network does not have.
    pub fn asked(&self, config: &SamplingConfig, micro_batch: usize, images: Range<usize>) -> Result<NetDenoiser<'_>> {
        let mut denoiser = self.denoiser(micro_batch);
        let classes = self.header.network.classes;
        if classes > 0 {
            let class = |i: usize| config.class.unwrap_or(i as i64 % classes);
            let guidance = Guidance { classes: images.map(class).collect(), strength: config.guidance };
            denoiser = denoiser.guided(guidance)?;
        }
        Ok(if config.diverging == Diverging::Keep { denoiser.tolerant() } else { denoiser })
    }

    /// Shape of `n` images.
    #[must_use]
    pub fn shape(&self, n: usize) -> [i64; 4] {
        let network = self.model.net.config();
        [n as i64, network.channels, network.size, network.size]
    }
}

/// Images with what they cost.
#[derive(Debug)]
pub struct Generated {
    /// N × H × W.
    pub images: Array3<u8>,
    /// Calls, seconds, and how many diverged.
    pub cost: Cost,
    /// Name of the sampler.
    pub sampler: &'static str,
}

/// Opens a run's folder, or one under `results/`: its settings and weights.
///
/// # Errors
/// If it is neither, or its training is not finished.
pub fn open_run(folder: &Path, arithmetic: Arithmetic, session: &Session) -> Result<(Experiment, Trained)> {
    let experiment = stored_experiment(folder)?;
    let checkpoints = Checkpoints::new(folder.join("checkpoints"));
    let shipped = folder.join("weights.safetensors");
    let path = if shipped.is_file() { shipped } else { checkpoints.weights() };
    if !path.is_file() {
        let state = match checkpoints.newest() {
            Some(newest) => format!("its training is not finished (newest checkpoint {})", newest.display()),
            None => "it has no weights".to_owned(),
        };
        bail!("{}: {state}; repeat the command that started it", folder.display());
    }
    Ok((experiment, Trained::load_in(&path, session.device, arithmetic)?))
}

/// What a prior needs to know of the training images; none if it needs nothing.
///
/// # Errors
/// If it cannot be fitted to them.
pub fn statistics(prior: &PriorConfig, pixel_map: PixelMap, data: &Dataset) -> Result<Option<PriorStatistics>> {
    if !prior.needs_data() {
        return Ok(None);
    }
    let mut progress = Progress::new("prior", "fits", 1);
    let found = prior.fit(pixel_map.log_rows(data.train.images.view()).view(), &data.train.labels);
    progress.set(1);
    progress.finish();
    found.with_context(|| format!("sampling.prior, fitted to the training images of {}", data.title()))
}

/// The first `n` samples of an experiment. Batches that `kept` has are not drawn again, and finished ones go there.
///
/// # Errors
/// As [`statistics`] and [`Plan::generate`].
pub fn draw(
    trained: &Trained,
    e: &Experiment,
    n: usize,
    data: &Dataset,
    kept: Option<&Unfinished>,
    session: &Session,
) -> Result<Generated> {
    let config = &SamplingConfig { n, ..e.sampling.clone() };
    let statistics = statistics(&config.prior, e.pixels, data)?;
    let schedule = &Schedule::new(e.process.clone())?;
    let statistics = statistics.as_ref();
    Plan { trained, config, statistics, pixel_map: e.pixels, schedule, seed: e.seed }.generate(kept, session)
}

/// What images are drawn with.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The network.
    pub trained: &'a Trained,
    /// How many, and by which sampler.
    pub config: &'a SamplingConfig,
    /// Those of the prior, if it needs any.
    pub statistics: Option<&'a PriorStatistics>,
    /// What log pixels mean.
    pub pixel_map: PixelMap,
    /// The forward process.
    pub schedule: &'a Schedule,
    /// Seed of prior and noise.
    pub seed: u64,
}

impl Plan<'_> {
    /// Draws the images. Batches that `kept` has are not drawn again, and finished ones go there.
    ///
    /// # Errors
    /// [`Interrupted`] after Ctrl-C; a network that gives numbers that are not finite; a prior that lacks its statistics; a batch that
    /// cannot be written.
    pub fn generate(self, kept: Option<&Unfinished>, session: &Session) -> Result<Generated> {
        let Self { trained, config, statistics, pixel_map, schedule, seed } = self;
        let grid = config.grid.build(Some(schedule))?;
        let prior = config.prior.build(&trained.header.moments, statistics, grid.start())?;
        let sampler: Box<dyn Sampler<Tensor>> = config.sampler.build()?;
        let (mut parts, mut cost) = match kept.and_then(Unfinished::load).filter(|(i, _)| i.dim().0 <= config.n) {
            Some((images, cost)) => (vec![images], cost),
            None => (Vec::new(), Cost::default()),
        };
        let mut first = parts.first().map_or(0, |images| images.dim().0);
        if first > 0 {
            tracing::info!("{}: going on after {first} images", sampler.name());
        }
        let (started, before, mut stopped) = (Instant::now(), cost.seconds, false);
        let steps = grid.steps() as u64;
        let mut progress = Progress::new(sampler.name(), "image steps", (config.n as u64).saturating_mul(steps));
        progress.set(first as u64 * steps);
        while first < config.n && !stopped {
            let count = config.batch.min(config.n - first);
            let noise = Noise::new(seed);
            let start = prior.draw_tensor(&noise, first as u64, &trained.shape(count), session.device)?;
            let mut source: Box<dyn NoiseSource<Tensor>> = match config.noise {
                NoiseKind::Addressed => Box::new(AddressedNoise::sampler(seed, first as u64)),
                // Each batch has a seed of its own, so that batches can be repeated one by one.
                NoiseKind::Device => {
                    Box::new(DeviceNoise::seeded(noise.uniform(Stream::SAMPLER, first as u64, 0, 0).to_bits()))
                }
            };
            let mut on_step = |_: samplers::Step<'_, Tensor>| {
                progress.add(count as u64);
                stopped = session.interrupted();
                if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let denoiser = trained.asked(config, config.batch, first..first + count)?;
            let seen: &dyn Denoiser<Tensor> = &denoiser;
            let end = sampler.sample(start, seen, &mut *source, &grid, &mut on_step)?;
            if stopped {
                break;
            }
            cost.diverged += denoiser.diverged();
            cost.calls = cost.calls.max(end.calls);
            cost.seconds = before + started.elapsed().as_secs_f64();
            let batch = pixels::to_array(&pixel_map.bytes(&end.state, end.signs.as_ref())?)?;
            if let Some(kept) = kept {
                kept.append(first, batch.view(), cost)?;
            }
            parts.push(batch);
            first += count;
        }
        if stopped {
            let left = if kept.is_some() { "finished batches and stages are kept" } else { "nothing was written" };
            return Err(Interrupted(format!("stopped while sampling; {left}")).into());
        }
        progress.finish();
        if cost.diverged > 0 {
            tracing::warn!(
                "{} of {} images diverged: the network's output was not finite, and they got no more score",
                cost.diverged,
                config.n
            );
        }
        let views: Vec<_> = parts.iter().map(|p| p.view()).collect();
        let images = concatenate(Axis(0), &views).context("joining the batches")?;
        Ok(Generated { images, cost, sampler: sampler.name() })
    }
}
