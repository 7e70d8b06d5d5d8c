//! `dale export`: what ships of a finished run, or of a sweep.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use models::checkpoint::{self, Encoding, Parts};
use models::classifier::Shipped;
use models::unet::layout_of;
use tch::Device;

use crate::config::shipped;
use crate::evaluate::Evaluation;
use crate::run::{Run, stored_experiment};
use crate::sweep::keep;
use crate::training::checkpoints::Checkpoints;

/// The folders below `results` that have settings and weights, in the order of the experiments that are built in.
///
/// # Errors
/// If there is none.
pub fn with_weights(results: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(results).with_context(|| results.display().to_string())?.flatten();
    let name = |folder: &PathBuf| Some(stored_experiment(folder).ok()?.name);
    let mut found: Vec<(usize, PathBuf)> = entries
        .map(|entry| entry.path())
        .filter(|folder| folder.join("weights.safetensors").is_file())
        .filter_map(|folder| Some((shipped::names().position(|own| name(&folder).as_deref() == Some(own))?, folder)))
        .collect();
    found.sort();
    if found.is_empty() {
        bail!("{}: no folder here has weights.safetensors and config.toml", results.display());
    }
    Ok(found.into_iter().map(|(_, folder)| folder).collect())
}

/// Files that are copied as they are.
const COPIED: [&str; 5] = ["config.toml", "manifest.json", "metrics.json", "metrics.jsonl", "report.html"];

/// Copies settings, metrics and figures of `run` into `folder`, with the averaged weights in half precision; of a sweep, as
/// [`keep::export`].
///
/// # Errors
/// If the run is not finished or a file cannot be written.
pub fn export(run: &Path, folder: &Path) -> Result<()> {
    if run.join("sweep.toml").is_file() {
        return keep::export(run, folder);
    }
    let source = Checkpoints::new(run.join("checkpoints")).weights();
    let loaded = checkpoint::load(&source, Device::Cpu).context("is the run finished?")?;
    let planned = Run::existing(run, loaded.header.stage.clone())?;
    let key = planned.evaluation_key(Shipped::of_data(&planned.experiment.data.name).sha256())?;
    if planned.read_json::<Evaluation>("metrics.json").is_none_or(|m| m.key != key) {
        bail!("{}: metrics.json does not belong to config.toml; repeat `dale reproduce`", run.display());
    }
    fs::create_dir_all(folder.join("figures")).with_context(|| folder.display().to_string())?;
    let layout = layout_of(&loaded.header.network)?;
    let target = folder.join("weights.safetensors");
    let parts = Parts { ema: &loaded.ema, training: None };
    checkpoint::save_as(&target, &loaded.header, &layout, parts, Encoding::Half)?;
    for name in COPIED {
        fs::copy(run.join(name), folder.join(name)).with_context(|| run.join(name).display().to_string())?;
    }
    let figures = run.join("figures");
    for entry in fs::read_dir(&figures).with_context(|| figures.display().to_string())?.flatten() {
        let to = folder.join("figures").join(entry.file_name());
        fs::copy(entry.path(), &to).with_context(|| to.display().to_string())?;
    }
    println!("{}", folder.display());
    Ok(())
}
