//! `dale average`: the weights' average of a width that is chosen after training, from the power-function averages that the run kept.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use models::average::{AverageKind, Saved, combination, combined, exponent};
use models::checkpoint::{self, Header, Parts};
use models::params::Flat;
use models::unet::layout_of;
use tch::{Device, Kind};

use super::checkpoints::Checkpoints;

/// Makes the average of `width` (standard deviation in parts of the training time) at the last kept step not after `step`, and writes
/// it beside the run's weights; returns the path.
///
/// # Errors
/// If the run kept no such averages, or a file cannot be read or written.
pub fn reconstruct(run: &Path, width: f64, step: Option<u64>) -> Result<PathBuf> {
    let kind = AverageKind::Power { width };
    kind.check()?;
    let checkpoints = Checkpoints::new(run.join("checkpoints"));
    let kept = kept(&checkpoints.averages())?;
    let last = kept.iter().map(|(_, header, _)| header.step).filter(|s| step.is_none_or(|most| *s <= most)).max();
    let last = last.with_context(|| {
        format!(
            "{}: no power-function averages are there; train with training.averages = [{{ width = 0.05 }}, {{ width = 0.1 }}]",
            checkpoints.averages().display()
        )
    })?;
    let used: Vec<_> = kept.iter().filter(|(_, header, _)| header.step <= last).collect();
    let header = used.iter().map(|(_, header, _)| header).find(|h| h.step == last).context("no header")?;
    let saved: Vec<Saved> = used.iter().map(|(_, _, saved)| *saved).collect();
    let weights = combination(&saved, Saved { step: last, exponent: exponent(width) })?;
    let parts = used.iter().zip(&weights).map(|((path, _, _), weight)| {
        let loaded = checkpoint::load(path, Device::Cpu)?;
        Ok((*weight, loaded.ema.tensor().shallow_clone()))
    });
    let layout = layout_of(&header.network)?;
    let sum = combined(parts)?.context("no average was kept")?;
    let flat = Flat::from_tensor(&layout, sum.f_to_kind(Kind::Float)?)?;
    let path = run.join("checkpoints").join(format!("weights-{}.safetensors", kind.label()));
    let header = Header { averages: vec![kind], ..header.clone() };
    checkpoint::save(&path, &header, &layout, Parts { ema: &flat, training: None })?;
    Ok(path)
}

/// All averages in a folder, by step.
fn kept(folder: &Path) -> Result<Vec<(PathBuf, Header, Saved)>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|ending| ending != "safetensors") {
            continue;
        }
        let header = checkpoint::load_header(&path)?;
        let &[AverageKind::Power { width }] = header.averages.as_slice() else {
            bail!("{}: not a power-function average", path.display());
        };
        let saved = Saved { step: header.step, exponent: exponent(width) };
        found.push((path, header, saved));
    }
    found.sort_by_key(|(path, header, _)| (header.step, path.clone()));
    Ok(found)
}
