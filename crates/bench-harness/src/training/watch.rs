//! What one sees of a training while it runs: `metrics.jsonl`, TensorBoard's event files, samples at every checkpoint and what a judge
//! says of them (`quality.jsonl`).

use std::path::Path;

use anyhow::Result;
use gbm_sde::Schedule;
use gbm_sde::noise::{Noise, Stream};
use models::denoise::Model;
use models::params::{Flat, Gradient};
use ndarray::Array3;
use samplers::PriorStatistics;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Kind, Tensor, no_grad};

use super::batches::Batch;
use super::bins::BinLoss;
use super::optimize::{Judged, judge};
use crate::config::{Experiment, SamplingConfig};
use crate::data::Dataset;
use crate::evaluate::{Judge, Score};
use crate::figures::sample_grid;
use crate::generate::{Plan, Trained, statistics};
use crate::pixels;
use crate::run::{MetricsLog, Run};
use crate::session::Session;
use crate::tensorboard::{Colorspace, EventWriter};

/// Images of the fixed probe.
const PROBE: usize = 256;

/// Noise of the probe; nothing else draws from it.
pub const PROBE_NOISE: Stream = Stream(69);

/// One line of the log.
#[derive(Debug)]
pub struct Line {
    /// Steps taken.
    pub step: u64,
    /// Mean weighted loss since the last line.
    pub loss: f64,
    /// Mean norm of the gradient before clipping.
    pub norm: f64,
    /// Learning rate of the last step.
    pub rate: f64,
    /// Images for each second since the last line.
    pub images_per_second: f64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Errors by noise level.
    pub levels: Vec<BinLoss>,
}

/// One line of `quality.jsonl`: samples of the weights at a step, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Steps taken.
    pub step: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Their distance; of `evaluation.training_images`, fewer than at the end.
    pub score: Score,
}

impl Quality {
    /// All lines of a file; none where training was not judged on its way.
    #[must_use]
    pub fn read(path: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// Writes what there is to see.
#[derive(Debug)]
pub struct Watch<'a> {
    run: &'a Run,
    data: &'a Dataset,
    session: &'a Session,
    log: MetricsLog,
    quality: MetricsLog,
    judged: Option<u64>,
    judge: Option<Judge>,
    events: EventWriter,
    probe: Batch,
    statistics: Option<PriorStatistics>,
}

impl<'a> Watch<'a> {
    /// Opens the logs of a run that is at `step`; lines beyond it are void.
    ///
    /// # Errors
    /// If a file cannot be written or libtorch refuses.
    pub fn open(run: &'a Run, data: &'a Dataset, step: u64, session: &'a Session) -> Result<Self> {
        let log = MetricsLog::open(run, "metrics.jsonl", step)?;
        let quality = MetricsLog::open(run, "quality.jsonl", step)?;
        let judged = quality.last_step()?;
        let folder = run.folder.join("tensorboard");
        let mut events =
            if step == 0 { EventWriter::create(&folder)? } else { EventWriter::resume(&folder, step + 1)? };
        if step == 0 {
            events.text("config", 0, &format!("```toml\n{}\n```", toml::to_string(&run.experiment)?))?;
        }
        let e = &run.experiment;
        let probe = probe_batch(e, data, session)?;
        let draws = e.training.grid > 0 || e.training.eval_every > 0;
        let statistics = if draws { statistics(&e.sampling.prior, e.pixels, data)? } else { None };
        Ok(Self { run, data, session, log, quality, judged, judge: None, events, probe, statistics })
    }

    /// Writes a line.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn line(&mut self, line: &Line) -> Result<()> {
        self.log.write(&json!({
            "step": line.step, "loss": line.loss, "gradient_norm": line.norm, "learning_rate": line.rate,
            "levels": line.levels, "images_per_second": line.images_per_second, "seconds": line.seconds,
        }))?;
        let scalars = [
            ("loss", line.loss),
            ("gradient_norm", line.norm),
            ("learning_rate", line.rate),
            ("images_per_second", line.images_per_second),
        ];
        for (tag, value) in scalars {
            self.events.scalar(tag, line.step, value)?;
        }
        for (i, bin) in line.levels.iter().enumerate() {
            if let Some(error) = bin.error {
                self.events.scalar(&format!("error by level/{i:02}, r = {:.3}", bin.r), line.step, error)?;
            }
        }
        self.events.flush()
    }

    /// Loss of the averaged weights on the probe; the distribution of their Hyvärinen score `h = (D − ȳ)/v − 1` goes to TensorBoard.
    ///
    /// # Errors
    /// If a file cannot be written or libtorch refuses.
    pub fn probe(&mut self, step: u64, model: &Model, average: &Flat) -> Result<f64> {
        let (t, batch) = (&self.run.experiment.training, &self.probe);
        let weights = average.weights(model.net.layout(), Kind::Float, Gradient::Unwanted)?;
        let (loss, scores) = no_grad(|| -> Result<(f64, Vec<f64>)> {
            let Judged { denoised, loss, .. } = judge(model, &weights, batch, t, false)?;
            let v = Tensor::f_from_slice(&batch.levels)?.f_to_kind(Kind::Float)?.f_to_device(denoised.device())?;
            let h = denoised.f_sub(&batch.y_bar)?.f_div(&v.f_view([-1, 1, 1, 1])?)?.f_sub_scalar(1.0)?;
            let h = h.f_reshape([-1])?.f_to_kind(Kind::Double)?.f_to_device(tch::Device::Cpu)?;
            Ok((loss.f_double_value(&[])?, Vec::<f64>::try_from(&h)?))
        })?;
        self.events.scalar("probe loss", step, loss)?;
        self.events.histogram("Hyvärinen score", step, &scores)?;
        self.events.flush()?;
        Ok(loss)
    }

    /// Draws the grid of a checkpoint into `grids/`, and judges samples of it where it is due (`quality.jsonl`); both also for
    /// TensorBoard. What is there already is not done again.
    ///
    /// # Errors
    /// If sampling fails or a file cannot be written.
    pub fn samples(&mut self, step: u64, seconds: f64, checkpoint: &Path) -> Result<()> {
        let e = &self.run.experiment;
        let grid = self.run.folder.join("grids").join(format!("step-{step:08}.png"));
        let draws = e.training.grid > 0 && !grid.is_file();
        let judges =
            e.training.eval_every > 0 && step.is_multiple_of(e.training.eval_every) && self.judged != Some(step);
        if !draws && !judges {
            return Ok(());
        }
        let trained = Trained::load(checkpoint, self.session.device)?;
        if draws {
            let (images, _) = self.draw(&trained, e.training.grid)?;
            let png = sample_grid(images.view(), e.training.grid)?;
            std::fs::create_dir_all(self.run.folder.join("grids"))?;
            png.write(&grid)?;
            let (width, height) = png.size();
            self.events.image("samples", step, png.bytes(), width as u32, height as u32, Colorspace::Gray)?;
        }
        if judges {
            let (images, calls) = self.draw(&trained, e.evaluation.training_images)?;
            let judge = match self.judge.take() {
                Some(judge) => judge,
                None => Judge::new(self.data, &e.evaluation, e.seed, self.session.device)?,
            };
            let score = Score { calls: Some(calls), ..judge.score("samples", images.view())? };
            self.judge = Some(judge);
            self.events.scalar("cnn-fid", step, score.cnn_fid)?;
            self.quality.write(&serde_json::to_value(Quality { step, seconds, score })?)?;
            self.judged = Some(step);
        }
        models::device::set_tf32(e.training.tf32)?;
        self.events.flush()
    }

    /// The first `n` samples of these weights, and the network calls of each.
    fn draw(&self, trained: &Trained, n: usize) -> Result<(Array3<u8>, usize)> {
        let e = &self.run.experiment;
        let config = &SamplingConfig { n, batch: e.sampling.batch.min(n), ..e.sampling.clone() };
        let (statistics, schedule) = (self.statistics.as_ref(), &Schedule::new(e.process.clone())?);
        let plan = Plan { trained, config, statistics, pixel_map: e.pixels, schedule, seed: e.seed };
        let drawn = plan.generate(None, self.session)?;
        Ok((drawn.images, drawn.cost.calls))
    }
}

/// The first training images under fixed noise at fixed levels: what is measured on them is comparable from step to step.
fn probe_batch(experiment: &Experiment, data: &Dataset, session: &Session) -> Result<Batch> {
    let (bytes, _) = data.train.slice(0..PROBE);
    let y0 = experiment.pixels.log_tensor(&pixels::to_tensor(bytes, session.device)?)?;
    let mut levels = vec![0.0; bytes.dim().0];
    experiment.training.time.stratified(0.5, &mut levels);
    let (n, c, h, w) = y0.size4()?;
    let eps = pixels::normals(&Noise::new(experiment.seed), PROBE_NOISE, 0, [n, c, h, w], session.device)?;
    Batch::noised(y0, &eps, levels, experiment.training.level_offset)
}
