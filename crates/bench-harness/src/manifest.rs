//! `manifest.json`: where a run's results come from, with one entry for each sitting that did something.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use crate::data::Dataset;
use crate::doctor;
use crate::evaluate::Evaluation;
use crate::generate::Trained;
use crate::reproduce::SamplesRecord;
use crate::run::Run;
use crate::session::Session;

/// Writes the manifest of a run whose stages are finished. A sitting that found them all finished leaves it as it is.
///
/// # Errors
/// If it cannot be written.
pub fn write(
    run: &Run,
    preset: &str,
    data: &Dataset,
    trained: &Trained,
    (record, evaluation): (&SamplesRecord, &Evaluation),
    started: Instant,
    session: &Session,
) -> Result<()> {
    let stages = json!({ "training": run.training_key, "sampling": record.key, "evaluation": evaluation.key });
    let before: Option<Value> = run.read_json("manifest.json");
    if before.as_ref().is_some_and(|m| m["stages"] == stages) {
        return Ok(());
    }
    let mut sittings = before.and_then(|m| m["sittings"].as_array().cloned()).unwrap_or_default();
    sittings.push(json!({
        "command": command(),
        "revision": session.revision,
        "device": session.device_name(),
        "processor": doctor::processor(),
        "libtorch": doctor::libtorch_version(),
        "seconds": started.elapsed().as_secs_f64(),
        "peak_memory_bytes": doctor::peak_memory(),
    }));
    run.write_json(
        "manifest.json",
        &json!({
            "program": concat!("dale ", env!("CARGO_PKG_VERSION")),
            "experiment": run.experiment.name,
            "preset": preset,
            "seed": run.experiment.seed,
            "data": { "name": data.title(), "checksums": data.checksums },
            "precision": trained.header.precision,
            "tf32": run.experiment.training.tf32,
            "parameters": trained.model.net.layout().total(),
            "stages": stages,
            "seconds": { "training": trained.header.seconds, "sampling": record.cost.seconds },
            "sittings": sittings,
        }),
    )
}

/// Revision of the source tree that this program was built from, as it is now, if it is still there. A [`Session`] asks when it starts:
/// the tree may change while a training goes on, the program does not.
#[must_use]
pub fn revision() -> Option<String> {
    let mut git = std::process::Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
    let output = git.output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command line, with the program's name for its path.
fn command() -> String {
    std::iter::once("dale".to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" ")
}
