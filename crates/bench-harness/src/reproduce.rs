//! The whole road: weights → samples → metrics → report, skipping what is finished.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use gbm_sde::Schedule;
use ndarray::{Array3, Axis, Slice};
use serde::{Deserialize, Serialize};

use crate::arrays::{read_npz, write_npz};
use crate::config::Experiment;
use crate::data::Dataset;
use crate::evaluate::{Evaluation, Judge, LOG_NORMAL, TrainingLevel, baselines};
use crate::figures::{self, Around};
use crate::generate::{Generated, Trained, draw};
use crate::levels;
use crate::manifest;
use crate::progress::human_seconds;
use crate::report::table::Table;
use crate::run::Run;
use crate::session::Session;
use crate::sweep::beside;
use crate::training::bins::LevelBins;
use crate::training::{Start, train};
use crate::unfinished::{Cost, Unfinished};

/// Side of the images that the shipped classifiers can judge.
const JUDGED: i64 = 28;

/// Images in the grid that is shown.
pub const SHOWN: usize = 100;

/// What the samples' file depends on and what it cost; `samples.json` of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplesRecord {
    /// Key of the stage.
    pub key: String,
    /// Number of images.
    pub n: usize,
    /// What they cost.
    #[serde(flatten)]
    pub cost: Cost,
    /// The sampler.
    pub sampler: String,
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// Its folder.
    pub folder: PathBuf,
    /// What evaluation found.
    pub evaluation: Evaluation,
}

/// Refuses an experiment whose samples could not be judged.
///
/// # Errors
/// If its images are not of the classifiers' size.
pub fn can_judge(experiment: &Experiment) -> Result<()> {
    let size = experiment.network.size;
    if size != JUDGED {
        bail!(
            "network.size = {size}: the whole road judges images of {JUDGED} × {JUDGED} pixels; `dale train` and `dale sample` take any size"
        );
    }
    Ok(())
}

/// Walks the whole road for an experiment.
///
/// # Errors
/// What a stage says; finished stages stay. [`Interrupted`](crate::session::Interrupted) after Ctrl-C.
pub fn reproduce(
    preset: &str,
    experiment: Experiment,
    data: &Dataset,
    notice: Option<&str>,
    session: &Session,
) -> Result<Finished> {
    let started = Instant::now();
    can_judge(&experiment)?;
    let run = Run::plan(&session.root, preset, experiment, data)?;
    let _lock = run.open()?;
    session.log.attach(&run.folder);
    tracing::info!("run: {}", run.folder.display());
    let weights = train(&run, data, session, Start::Either)?;
    let trained = Trained::load(&weights, session.device)?;
    let (images, record) = samples(&run, data, &trained, session)?;
    let judge = Judge::new(data, &run.experiment.evaluation, run.experiment.seed, session.device)?;
    let evaluation = evaluation(&run, data, &judge, &trained, &images, &record, session)?;
    session.check()?;
    manifest::write(&run, preset, data, &trained, (&record, &evaluation), started, session)?;
    let beside = beside::table(&run, data, &judge, &images, record.cost.calls)?;
    let around = Around { notice, beside: beside.as_ref() };
    let report = figures::write(&run, &trained, data, &images, &evaluation, &around, session)?;
    summarize(&run, &evaluation, beside.as_ref(), &report, started)?;
    Ok(Finished { folder: run.folder, evaluation })
}

/// The samples of a run, drawn now or read if they are there.
///
/// # Errors
/// If sampling fails or the file cannot be written.
pub fn samples(run: &Run, data: &Dataset, trained: &Trained, session: &Session) -> Result<(Array3<u8>, SamplesRecord)> {
    let e = &run.experiment;
    let key = run.sampling_key()?;
    let path = run.folder.join("samples.npz");
    // Images of one set are rounded in one way, whatever the set is called.
    let (batch, arithmetic) = (e.sampling.batch, (session.device, trained.weights.kind()));
    let unfinished = Unfinished::new(&run.folder, format!("{key} {} {batch} {arithmetic:?}", trained.sha256));
    if let Some(record) = run.read_json::<SamplesRecord>("samples.json").filter(|r| r.key == key) {
        if let Some(images) = read_npz(&path).ok().filter(|images| images.dim().0 == record.n) {
            tracing::info!("sampling: finished before, {} images", record.n);
            unfinished.clear()?;
            return Ok((images, record));
        }
        tracing::warn!("{}: not readable, drawing the images again", path.display());
    }
    let Generated { images, cost, sampler } = draw(trained, e, e.sampling.n, data, Some(&unfinished), session)?;
    // The record goes first and comes last: new images never stand beside an old key.
    let _ = fs::remove_file(run.folder.join("samples.json"));
    write_npz(&path, &images)?;
    let record = SamplesRecord { key, n: images.dim().0, cost, sampler: sampler.to_owned() };
    run.write_json("samples.json", &record)?;
    unfinished.clear()?;
    Ok((images, record))
}

/// The metrics of a run, computed now or read if they are there.
///
/// # Errors
/// If the images cannot be judged, or the file cannot be written.
pub fn evaluation(
    run: &Run,
    data: &Dataset,
    judge: &Judge,
    trained: &Trained,
    images: &Array3<u8>,
    record: &SamplesRecord,
    session: &Session,
) -> Result<Evaluation> {
    let e = &run.experiment;
    let key = run.evaluation_key(judge.extractor())?;
    if let Some(found) = run.read_json::<Evaluation>("metrics.json").filter(|m| m.key == key) {
        tracing::info!("evaluation: finished before");
        return Ok(found);
    }
    let schedule = Schedule::new(e.process.clone())?;
    session.check()?;
    let (linear, prior) = baselines(data, e.pixels, &e.sampling, &schedule)?;
    let judged = judge.comparable_count(data, record.n);
    let mut own = judge.score("samples", images.slice_axis(Axis(0), Slice::from(..judged)))?;
    own.calls = Some(record.cost.calls);
    own.seconds_per_image = Some(record.cost.seconds / record.n as f64);
    let mut scores = vec![own];
    session.check()?;
    scores.extend(judge.references(data, judged, e.pixels, &linear, &prior)?);
    let levels = levels::compare(trained, &linear, data, e, session)?;
    let training_levels = LevelBins::new(&e.training.time)
        .take()
        .into_iter()
        .map(|bin| TrainingLevel { r: bin.r, linear_expected: linear.expected_loss(bin.r * bin.r) })
        .collect();
    let evaluation = Evaluation { key, data: data.title(), scores, levels, training_levels };
    run.write_json("metrics.json", &evaluation)?;
    Ok(evaluation)
}

/// Fails unless the network beats the closed-form linear denoiser at every noise level, and its samples beat those of the
/// full-covariance log-normal. An untrained network cannot pass.
///
/// # Errors
/// Says which check failed, and by how much.
pub fn check(evaluation: &Evaluation) -> Result<()> {
    if evaluation.levels.is_empty() {
        bail!("check: no noise levels were compared");
    }
    if let Some(level) = evaluation.levels.iter().find(|l| !l.beats_linear()) {
        bail!(
            "check: at r = {} the network's loss is {:.4}, the linear denoiser's {:.4} (expected {:.4})",
            level.r,
            level.network,
            level.linear,
            level.linear_expected
        );
    }
    let (own, normal) = (evaluation.samples(), evaluation.row(LOG_NORMAL));
    let (own, normal) = own.zip(normal).context("check: metrics.json lacks a row")?;
    own.fingerprint.comparable(&normal.fingerprint)?;
    if own.cnn_fid.is_nan() || own.cnn_fid >= normal.cnn_fid {
        bail!("check: cnn-fid {:.1} of the samples, {:.1} of the log-normal", own.cnn_fid, normal.cnn_fid);
    }
    tracing::info!(
        "check: passed (all {} levels better than linear; cnn-fid {:.1} against {:.1})",
        evaluation.levels.len(),
        own.cnn_fid,
        normal.cnn_fid
    );
    Ok(())
}

/// Prints the result, with the grid's path.
fn summarize(
    run: &Run,
    evaluation: &Evaluation,
    beside: Option<&Table>,
    report: &Path,
    started: Instant,
) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{}", figures::score_table(evaluation)?.to_text())?;
    if let (Some(own), Some(real)) = (evaluation.samples(), evaluation.real()) {
        let ratio = own.cnn_fid / real.cnn_fid;
        writeln!(out, "cnn-fid is {ratio:.1} times that of {} ({} each).", real.name, own.n)?;
    }
    if let Some(beside) = beside {
        writeln!(out, "\n{}", beside.to_text())?;
    }
    writeln!(out, "\n  samples  {}", run.figures().join("samples.png").display())?;
    writeln!(out, "  report   {}", report.display())?;
    writeln!(out, "  this sitting took {}\n", human_seconds(started.elapsed().as_secs_f64()))?;
    Ok(())
}
