//! The process of one cell: train, sample and judge, by the stages of [`crate::reproduce`], and say what came out.

use std::io::Read as _;
use std::time::Instant;

use anyhow::{Context, Result};

use super::record::{Maker, Outcome};
use crate::config::Experiment;
use crate::doctor::{self, peak_memory};
use crate::evaluate::Judge;
use crate::generate::Trained;
use crate::loading;
use crate::manifest;
use crate::reproduce::{evaluation, samples};
use crate::run::Run;
use crate::session::Session;
use crate::training::{Start, train};

/// Prints the outcome as JSON, the only line on standard output.
///
/// # Errors
/// As the stages.
pub fn work(preset: &str, experiment: Experiment, session: &Session) -> Result<()> {
    leave_with_parent();
    let started = Instant::now();
    let data = loading::load_for(&experiment, session)?;
    let run = Run::plan(&session.root, preset, experiment, &data)?;
    let _lock = run.open_when_free(session)?;
    session.log.attach(&run.folder);
    tracing::info!("run: {}", run.folder.display());
    let clock = Instant::now();
    let weights = train(&run, &data, session, Start::Either)?;
    let trained = Trained::load(&weights, session.device)?;
    let (images, record) = samples(&run, &data, &trained, session)?;
    let stages = clock.elapsed().as_secs_f64();
    let judge = Judge::new(&data, &run.experiment.evaluation, run.experiment.seed, session.device)?;
    let evaluation = evaluation(&run, &data, &judge, &trained, &images, &record, session)?;
    session.check()?;
    manifest::write(&run, preset, &data, &trained, (&record, &evaluation), started, session)?;
    let outcome = Outcome {
        score: evaluation.samples().context("metrics.json has no row of samples")?.clone(),
        training_seconds: trained.header.seconds,
        sampling_seconds: record.cost.seconds,
        other_seconds: started.elapsed().as_secs_f64() - stages,
        diverged: record.cost.diverged,
        peak_memory: peak_memory(),
        folder: run.folder,
        by: Some(Maker {
            precision: trained.header.precision,
            device: session.device_name(),
            processor: doctor::processor(),
            revision: session.revision.clone(),
        }),
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

/// Ends this process when the one that started it is gone, even killed: standard input is a pipe that it holds open. Checkpoints are
/// written so that a process may end at any moment.
fn leave_with_parent() {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(130);
    });
}
