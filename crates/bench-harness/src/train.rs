//! The training loop: gather, perturb, denoise, loss, gradient, Adam, average; top to bottom.
//!
//! ```text
//! y₀ = ln x₀,   v ~ time sampling (stratified),   ȳ = y₀ + √v ε
//! loss = mean_B λ(v)/v² ‖D(ȳ, v) − y₀‖² / pixels          (M-DSM; see score_match::torch)
//! ```
//!
//! Order of the data, noise levels and noise are functions of (seed, step), so a resumed run does exactly what an
//! uninterrupted one does.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use gbm_sde::noise::{Noise, Stream};
use models::checkpoint::{self, Checkpoint, FORMAT, Header, Parts, TrainingState};
use models::denoise::Model;
use models::optim::{Adam, Ema};
use models::params::Flat;
use models::precision::{self, Choice};
use models::unet::UNet;
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::checkpoints::Checkpoints;
use crate::config::{Decay, TrainingConfig};
use crate::data::Dataset;
use crate::optimize::{Batch, Optimizer};
use crate::pixels;
use crate::progress::Progress;
use crate::run::{MetricsLog, Run};
use crate::session::{Interrupted, Session};

/// What to do with checkpoints that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Go on if there are any, begin otherwise.
    Either,
    /// Go on; having none is an error.
    Resume,
    /// Begin; having some is an error.
    Fresh,
}

/// Everything that changes from step to step.
struct State {
    optimizer: Optimizer,
    step: u64,
    seconds: f64,
}

/// Trains to the end, or goes on with it, and returns the path of the final weights.
///
/// # Errors
/// [`Interrupted`] after Ctrl-C (a checkpoint is written); a loss that is not finite (nothing is written after it); files
/// that cannot be written.
pub fn train(run: &Run, data: &Dataset, session: &Session, start: Start) -> Result<PathBuf> {
    let e = &run.experiment;
    let t = &e.training;
    let checkpoints = Checkpoints::new(run.checkpoints());
    let moments = e.pixels.moments(data.train.images.view());
    let model = Model::new(UNet::new(e.network.clone())?, t.head, moments)?;
    let layout = model.net.layout().clone();
    if checkpoints.finished(&run.training_key, t.steps) {
        tracing::info!("training: finished before, {} steps", t.steps);
        return Ok(checkpoints.weights());
    }

    let found = checkpoints.latest(session.device)?;
    if start == Start::Fresh && found.is_some() {
        bail!(
            "{} already holds checkpoints of this configuration; add --resume to go on, or remove the folder",
            run.folder.display()
        );
    }
    let (mut state, choice) = match found {
        Some(loaded) => restore(loaded, &model, t, &run.training_key)?,
        None if start == Start::Resume => {
            bail!("{}: nothing to resume, no checkpoint is there", run.folder.display())
        }
        None => begin(&model, t, e.seed, session.device)?,
    };
    if state.step > 0 {
        tracing::info!("training: going on from step {}", state.step);
    }

    let images = pixels::to_tensor(data.train.images.view(), session.device)?;
    let mut batches = Batches::new(e.seed, data.train.len(), t.batch);
    let mut log = MetricsLog::open(run, state.step)?;
    let mut progress = Progress::new("training", "steps", t.steps);
    progress.set(state.step);
    let header = |state: &State| Header {
        format: FORMAT,
        network: e.network.clone(),
        head: t.head,
        moments,
        data: data.title(),
        stage: run.training_key.clone(),
        step: state.step,
        precision: choice.precision,
        seconds: state.seconds,
        best_loss: Some(state.optimizer.best_loss).filter(|l| l.is_finite()),
    };
    let save = |state: &State| {
        let o = &state.optimizer;
        let training = Some((&o.flat, &o.adam.mean, &o.adam.square));
        checkpoints.save(&header(state), &layout, Parts { ema: &o.ema.average, training })
    };

    let noise = Noise::new(e.seed);
    let mut pending: Vec<(Tensor, Tensor)> = Vec::new();
    let mut since = Instant::now();
    let mut levels = vec![0.0; t.batch];
    while state.step < t.steps {
        let step = state.step;
        t.time.stratified(noise.uniform(Stream::TIME, step, 0, 0), &mut levels);
        let index = Tensor::from_slice(&batches.indices(step)).to_device(session.device);
        let y0 = e.pixels.log_tensor(&images.f_index_select(0, &index)?)?;
        let shape = [t.batch as i64, e.network.channels, e.network.size, e.network.size];
        // Dropout, and noise on a GPU, come from libtorch's generator: seeding it for each step makes them addressed, too.
        tch::manual_seed((e.seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15)) as i64);
        let eps = perturbation(&noise, step, shape, session.device)?;
        let r: Vec<f32> = levels.iter().map(|v| v.sqrt() as f32).collect();
        let r = Tensor::from_slice(&r).to_device(session.device).view([-1, 1, 1, 1]);
        let y_bar = y0.f_addcmul(&eps, &r)?;
        let told: Vec<f64> = levels.iter().map(|v| v + t.level_offset).collect();

        let batch = Batch { y_bar: &y_bar, y0: &y0, levels: &told };
        pending.push(state.optimizer.step(&model, &batch, t, rate_at(t, step))?);
        state.step += 1;

        let saves = state.step % t.checkpoint_every == 0 || state.step == t.steps || session.interrupted();
        if state.step % t.log_every == 0 || saves {
            let seconds = since.elapsed().as_secs_f64();
            since = Instant::now();
            state.seconds += seconds;
            let (loss, norm) = drain(&mut pending, step, &checkpoints)?;
            let rate = (state.step - batches.logged) as f64 * t.batch as f64 / seconds;
            batches.logged = state.step;
            log.write(&json!({
                "step": state.step, "loss": loss, "gradient_norm": norm, "learning_rate": rate_at(t, step),
                "images_per_second": rate, "seconds": state.seconds,
            }))?;
            progress.note(format!("loss {loss:.4}, {rate:.0} images/s"));
        }
        progress.set(state.step);
        if saves {
            save(&state)?;
            if session.interrupted() && state.step < t.steps {
                let text = format!(
                    "stopped at step {} of {}; everything is saved. Repeat the command to go on (with `dale train`, add --resume)",
                    state.step, t.steps
                );
                return Err(Interrupted(text).into());
            }
            since = Instant::now();
        }
    }
    progress.finish();
    let path = checkpoints.weights();
    checkpoint::save(&path, &header(&state), &layout, Parts { ema: &state.optimizer.ema.average, training: None })?;
    Ok(path)
}

fn begin(model: &Model, t: &TrainingConfig, seed: u64, device: Device) -> Result<(State, Choice)> {
    let flat = Flat::initialized(model.net.layout(), seed, device)?;
    let choice = precision::choose(t.precision, model, &flat, t.batch)?;
    if let Some((full, half)) = choice.seconds {
        tracing::info!(
            "precision: a pass takes {full:.2} s in f32 and {half:.2} s in bf16; using {:?}",
            choice.precision
        );
    }
    let adam = Adam::new(t.adam, &flat)?;
    let ema = Ema::new(t.ema, &flat)?;
    let optimizer = Optimizer::new(flat, adam, ema, f64::INFINITY, model, choice.kind())?;
    Ok((State { optimizer, step: 0, seconds: 0.0 }, choice))
}

fn restore(loaded: (PathBuf, Checkpoint), model: &Model, t: &TrainingConfig, key: &str) -> Result<(State, Choice)> {
    let (path, Checkpoint { header, ema, training }) = loaded;
    if header.stage != key {
        bail!("{}: belongs to another configuration; it cannot be resumed with this one", path.display());
    }
    let TrainingState { weights, mean, square } =
        training.with_context(|| format!("{}: has weights only, training cannot go on from it", path.display()))?;
    let adam = Adam::restored(t.adam, mean, square, header.step);
    let ema = Ema::restored(t.ema, ema);
    let choice = Choice { precision: header.precision, seconds: None };
    let best_loss = header.best_loss.unwrap_or(f64::INFINITY);
    let optimizer = Optimizer::new(weights, adam, ema, best_loss, model, choice.kind())?;
    Ok((State { optimizer, step: header.step, seconds: header.seconds }, choice))
}

/// Learning rate of step `k`: a linear rise over the warm-up, then the decay.
fn rate_at(t: &TrainingConfig, k: u64) -> f64 {
    let rise = if t.warmup == 0 { 1.0 } else { ((k + 1) as f64 / t.warmup as f64).min(1.0) };
    let fall = match t.decay {
        Decay::Constant => 1.0,
        Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * k as f64 / t.steps as f64).cos()),
    };
    t.rate * rise * fall
}

/// Means of loss and gradient norm since the last line; an error if one of them is not finite.
fn drain(pending: &mut Vec<(Tensor, Tensor)>, last: u64, checkpoints: &Checkpoints) -> Result<(f64, f64)> {
    let first = last + 1 - pending.len() as u64;
    let count = pending.len() as f64;
    let (mut losses, mut norms) = (0.0, 0.0);
    for (i, (loss, norm)) in pending.drain(..).enumerate() {
        let (loss, norm) = (loss.double_value(&[]), norm.double_value(&[]));
        if !(loss.is_finite() && norm.is_finite()) {
            let kept = match checkpoints.newest() {
                Some(path) => format!("the last good checkpoint is {}", path.display()),
                None => "no checkpoint had been written yet".to_owned(),
            };
            bail!(
                "training: loss {loss}, gradient norm {norm} at step {}: stopped, nothing was saved after it; {kept}. \
                 A smaller training.rate or a training.clip usually helps",
                first + i as u64
            );
        }
        losses += loss;
        norms += norm;
    }
    Ok((losses / count, norms / count))
}

/// Noise of a step's batch: addressed on a CPU, from libtorch's generator on a GPU.
fn perturbation(noise: &Noise, step: u64, shape: [i64; 4], device: Device) -> Result<Tensor> {
    if device == Device::Cpu {
        return Ok(pixels::normals(noise, Stream::PERTURB, step * shape[0] as u64, shape, device)?);
    }
    Ok(Tensor::f_randn(shape, (Kind::Float, device))?)
}

/// Which images a step sees: each epoch is a permutation of all, and batches run over epochs without a seam.
struct Batches {
    noise: Noise,
    images: usize,
    batch: usize,
    epoch: Option<(u64, Vec<u32>)>,
    logged: u64,
}

impl Batches {
    fn new(seed: u64, images: usize, batch: usize) -> Self {
        Self { noise: Noise::new(seed), images, batch, epoch: None, logged: 0 }
    }

    fn indices(&mut self, step: u64) -> Vec<i64> {
        if self.epoch.is_none() {
            self.logged = step;
        }
        let first = step * self.batch as u64;
        (first..first + self.batch as u64)
            .map(|position| {
                let (epoch, within) = (position / self.images as u64, position % self.images as u64);
                if self.epoch.as_ref().is_none_or(|(known, _)| *known != epoch) {
                    self.epoch = Some((epoch, self.noise.permutation(Stream::ORDER, epoch, self.images)));
                }
                self.epoch.as_ref().map_or(0, |(_, order)| i64::from(order[within as usize]))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_image_once_and_any_step_can_be_asked_for() {
        let mut batches = Batches::new(3, 10, 4);
        let seen: Vec<i64> = (0..5).flat_map(|step| batches.indices(step)).collect();
        for epoch in seen.chunks(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<i64>>());
        }
        assert_eq!(Batches::new(3, 10, 4).indices(3), seen[12..16]);
    }
}
