//! The training loop: batch, denoise, loss, gradient, Adam, averages; top to bottom.
//!
//! ```text
//! y₀ = ln x₀,   v ~ time sampling (stratified),   ȳ = y₀ + √v ε
//! loss = mean_B λ(v)/v² ‖D(ȳ, v) − y₀‖² / pixels          (M-DSM; see score_match::torch)
//! ```
//!
//! Everything random is a function of (seed, step), and a checkpoint holds all the rest: on a CPU, with as many threads, a run that was
//! killed at any moment (SIGKILL) and resumed is the run that was never killed, to the bit. Ctrl-C saves where it is, which adds a line to
//! the log. The host waits for no loss; it reads them a few steps later.
//!
//! | module | idea |
//! |---|---|
//! | [`batches`] | the noised batch of any step |
//! | [`optimize`] | one optimizer step |
//! | [`checkpoints`] | the newest few and the best |
//! | [`watch`] | the log, TensorBoard, grids of samples |
//! | [`bins`] | errors by noise level |
//! | [`blackbox`] | a step that went wrong, in a file that can be replayed |
//! | [`share`] | how much of the time is work |
//! | [`averages`] | an average of any width, after training |

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use models::average::{Average, AverageKind};
use models::checkpoint::{self, Checkpoint, FORMAT, Header, Parts, TrainingParts, TrainingState};
use models::denoise::Model;
use models::optim::Adam;
use models::params::Flat;
use models::precision::{self, Choice};
use models::unet::UNet;
use tch::Device;

use self::batches::Batches;
use self::bins::LevelBins;
use self::blackbox::Flight;
use self::checkpoints::Checkpoints;
use self::optimize::{Optimizer, Outcome};
use self::share::Share;
use self::watch::{Line, Watch};
use crate::config::{Decay, Keep, TrainingConfig};
use crate::data::Dataset;
use crate::progress::Progress;
use crate::run::Run;
use crate::session::{Interrupted, Session};

pub mod averages;
pub mod batches;
pub mod bins;
pub mod blackbox;
pub mod checkpoints;
pub mod optimize;
pub mod share;
pub mod watch;

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

/// A step whose numbers nobody has read yet.
struct Pending {
    step: u64,
    levels: Vec<f64>,
    outcome: Outcome,
}

/// Trains to the end, or goes on with it, and returns the path of the final weights.
///
/// # Errors
/// [`Interrupted`] after Ctrl-C (a checkpoint is written); a loss that is not finite (a black box is written, and nothing after it);
/// files that cannot be written.
pub fn train(run: &Run, data: &Dataset, session: &Session, start: Start) -> Result<PathBuf> {
    let e = &run.experiment;
    let t = &e.training;
    models::device::set_tf32(t.tf32)?;
    let checkpoints = Checkpoints::new(run.checkpoints()).keeping(t.keep_checkpoints);
    checkpoints.tidy();
    if checkpoints.finished(&run.training_key, t.steps) {
        tracing::info!("training: finished before, {} steps", t.steps);
        return Ok(checkpoints.weights());
    }
    let moments = e.pixels.moments(data.train.images.view());
    let model = Model::new(UNet::new(e.network.clone())?, t.head, moments)?;
    let layout = model.net.layout().clone();

    let found = checkpoints.latest(session.device)?;
    if start == Start::Fresh && found.is_some() {
        bail!(
            "{} already holds checkpoints of this configuration; add --resume to go on, or remove the folder",
            run.folder.display()
        );
    }
    let begins = found.is_none();
    let (mut state, choice) = match found {
        Some((path, loaded)) => {
            // The run may have been killed before it could decide whether this is the best.
            checkpoints.consider(&path, &loaded.header)?;
            restore((path, loaded), &model, t, &run.training_key)?
        }
        None if start == Start::Resume => {
            bail!("{}: nothing to resume, no checkpoint is there", run.folder.display())
        }
        None => begin(&model, t, e.seed, session.device)?,
    };
    if state.step > 0 {
        tracing::info!("training: going on from step {}", state.step);
    }
    let header = |state: &State, probe_loss: Option<f64>| -> Result<Header> {
        let best_loss = Some(state.optimizer.best_loss()?).filter(|l| l.is_finite());
        Ok(Header {
            format: FORMAT,
            network: e.network.clone(),
            head: t.head,
            moments,
            data: data.title(),
            stage: run.training_key.clone(),
            step: state.step,
            precision: choice.precision,
            seconds: state.seconds,
            best_loss,
            probe_loss,
            averages: t.averages.clone(),
        })
    };
    let save = |state: &State, probe_loss: Option<f64>| -> Result<PathBuf> {
        let o = &state.optimizer;
        let averages: Vec<&Flat> = o.averages.iter().map(|a| &a.value).collect();
        let training =
            TrainingParts { weights: &o.flat, mean: &o.adam.mean, square: &o.adam.square, averages: &averages };
        checkpoints.save(&header(state, probe_loss)?, &layout, Parts { ema: &o.ema.value, training: Some(training) })
    };
    if begins {
        // What was decided by timing is decided once, also if the run is killed before its first checkpoint.
        save(&state, None)?;
    }

    let mut batches = Batches::new(e, data, session.device)?;
    let mut watch = Watch::open(run, data, state.step, session)?;
    if let Some(path) = checkpoints.newest().filter(|_| state.step > 0) {
        // The run may have been killed between a checkpoint and its samples.
        look(&mut watch, &state, &path)?;
    }
    let mut bins = LevelBins::new(&t.time);
    let mut progress = Progress::new("training", "steps", t.steps);
    progress.set(state.step);
    let mut pending: Vec<Pending> = Vec::new();
    let mut since = Instant::now();
    let mut share = Share::start();
    while state.step < t.steps {
        let step = state.step;
        let (batch, outcome) = share.of_work(|| {
            let batch = batches.at(step)?;
            let outcome = state.optimizer.step(&model, &batch, t, rate_at(t, step))?;
            anyhow::Ok((batch, outcome))
        })?;
        pending.push(Pending { step, levels: batch.levels, outcome });
        state.step += 1;

        let saves = state.step % t.checkpoint_every == 0 || state.step == t.steps || session.interrupted();
        if state.step % t.log_every == 0 || saves {
            let images = pending.len() * t.batch;
            let read = share.of_work(|| drain(&mut pending, &mut bins))?;
            let seconds = since.elapsed().as_secs_f64();
            since = Instant::now();
            state.seconds += seconds;
            let (loss, norm) = match read {
                Read::Means(loss, norm) => (loss, norm),
                Read::NotFinite(step) => {
                    let batch = batches.at(step)?;
                    let finding =
                        blackbox::examine((e, step), &model, &state.optimizer.flat, choice.precision, &batch)?;
                    let flight = Flight::new(e, moments, choice.precision, step, &batch, finding);
                    return Err(stopped(run, &flight, &state.optimizer.flat, &batch, &checkpoints)?);
                }
            };
            let line = Line {
                step: state.step,
                loss,
                norm,
                rate: rate_at(t, step),
                images_per_second: images as f64 / seconds,
                seconds: state.seconds,
                levels: bins.take(),
            };
            progress.note(format!("loss {loss:.4}, gradient {norm:.3}, {:.0} images/s", line.images_per_second));
            watch.line(&line)?;
        }
        progress.set(state.step);
        if saves && !finite(&state.optimizer.flat)? {
            // The last update broke the weights. The next step's loss will say so; what is on disk stays.
            if state.step == t.steps {
                bail!("training: the weights are not finite after the last step; nothing was saved after it");
            }
        } else if saves {
            let probe_loss = match t.keep {
                Keep::Ema => Some(watch.probe(state.step, &model, &state.optimizer.ema.value)?),
                Keep::SmallestBatchLoss => None,
            };
            for average in &state.optimizer.averages {
                if matches!(average.kind, AverageKind::Power { .. }) {
                    checkpoints.save_average(&header(&state, None)?, &layout, average)?;
                }
            }
            let path = save(&state, probe_loss)?;
            if session.interrupted() && state.step < t.steps {
                let text = format!(
                    "stopped at step {} of {}; everything is saved. Repeat the command to go on (with `dale train`, add --resume)",
                    state.step, t.steps
                );
                return Err(Interrupted(text).into());
            }
            share.without(|| look(&mut watch, &state, &path))?;
            since = Instant::now();
        }
    }
    progress.finish();
    tracing::info!("training: {:.2}% of its time went into logs, checkpoints and the like", 100.0 * share.overhead());
    let path = checkpoints.weights();
    let parts = Parts { ema: &state.optimizer.ema.value, training: None };
    checkpoint::save(&path, &Header { averages: Vec::new(), ..header(&state, None)? }, &layout, parts)?;
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
    let optimizer = Optimizer::begin(flat, model, t, choice.kind())?;
    Ok((State { optimizer, step: 0, seconds: 0.0 }, choice))
}

fn restore(loaded: (PathBuf, Checkpoint), model: &Model, t: &TrainingConfig, key: &str) -> Result<(State, Choice)> {
    let (path, Checkpoint { header, ema, training }) = loaded;
    if header.stage != key {
        bail!("{}: belongs to another configuration; it cannot be resumed with this one", path.display());
    }
    let TrainingState { weights, mean, square, averages } =
        training.with_context(|| format!("{}: has weights only, training cannot go on from it", path.display()))?;
    let adam = Adam::restored(t.adam, mean, square, header.step);
    let ema = Average { kind: AverageKind::Exponential { decay: t.ema }, value: ema };
    let averages = t.averages.iter().zip(averages).map(|(&kind, value)| Average { kind, value }).collect();
    let choice = Choice { precision: header.precision, seconds: None };
    let best_loss = header.best_loss.unwrap_or(f64::INFINITY);
    let optimizer = Optimizer::new(weights, adam, ema, averages, best_loss, model, choice.kind())?;
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

/// Samples of a checkpoint, where the run wants some; without them training goes on.
fn look(watch: &mut Watch<'_>, state: &State, checkpoint: &Path) -> Result<()> {
    match watch.samples(state.step, state.seconds, checkpoint) {
        Err(error) if !error.is::<Interrupted>() => {
            tracing::warn!("no samples at step {}: {error:#}", state.step);
            Ok(())
        }
        other => other,
    }
}

fn finite(flat: &Flat) -> Result<bool> {
    Ok(flat.tensor().f_isfinite()?.f_all()?.f_int64_value(&[])? == 1)
}

/// What the losses since the last line were.
enum Read {
    /// Means of loss and gradient norm.
    Means(f64, f64),
    /// The first step at which one of them was not finite.
    NotFinite(u64),
}

/// Reads all pending losses; this is where the host waits.
fn drain(pending: &mut Vec<Pending>, bins: &mut LevelBins) -> Result<Read> {
    let count = pending.len() as f64;
    let (mut losses, mut norms) = (0.0, 0.0);
    for Pending { step, levels, outcome } in pending.drain(..) {
        let (loss, norm) = (outcome.loss.f_double_value(&[])?, outcome.norm.f_double_value(&[])?);
        if !(loss.is_finite() && norm.is_finite()) {
            return Ok(Read::NotFinite(step));
        }
        losses += loss;
        norms += norm;
        let errors = outcome.errors.f_to_kind(tch::Kind::Double)?.f_to_device(Device::Cpu)?;
        bins.add(&levels, &Vec::<f64>::try_from(&errors)?);
    }
    Ok(Read::Means(losses / count, norms / count))
}

/// Writes the black box, and says all that there is to say.
fn stopped(
    run: &Run,
    flight: &Flight,
    flat: &Flat,
    batch: &batches::Batch,
    checkpoints: &Checkpoints,
) -> Result<anyhow::Error> {
    let path = run.folder.join(format!("blackbox-step-{:08}.safetensors", flight.step));
    blackbox::write(&path, flight, flat, batch)?;
    let kept =
        checkpoints.newest().map(|path| format!("; the last checkpoint is {}", path.display())).unwrap_or_default();
    Ok(anyhow::anyhow!(
        "training: not finite at step {}: {}. Stopped, and nothing was saved after it{kept}. `dale replay {}` repeats the step. \
         A smaller training.rate or a training.clip usually helps",
        flight.step,
        flight.finding.sentence(),
        path.display()
    ))
}
