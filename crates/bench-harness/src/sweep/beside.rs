//! The comparison of recipes that ships, beside the numbers of a run.

use std::path::Path;

use anyhow::Result;
use ndarray::{Array3, Axis, Slice};

use super::folder::Sweep;
use crate::data::Dataset;
use crate::evaluate::Judge;
use crate::report::table::{Best, Cell, Column, Table};
use crate::run::Run;

/// Where sweeps ship, from the project's root.
const SHIPPED: &str = "results/sweeps";

/// A run's own numbers, of as many of its first images as the recipes were judged on, above those of the recipes; none where no
/// comparison ships for this experiment, or its numbers cannot be set beside these.
///
/// # Errors
/// If the images cannot be judged.
pub fn table(run: &Run, data: &Dataset, judge: &Judge, images: &Array3<u8>, calls: usize) -> Result<Option<Table>> {
    let e = &run.experiment;
    let folder = Path::new(SHIPPED).join(format!("recipes-{}", e.name));
    if !folder.is_dir() {
        tracing::info!("{} is not here: nothing to set this run beside", folder.display());
        return Ok(None);
    }
    let sweep = match Sweep::read(&folder) {
        Ok(sweep) => sweep,
        Err(error) => {
            tracing::warn!("the recipes that ship cannot be set beside this run: {error:#}");
            return Ok(None);
        }
    };
    let settings = sweep.settings();
    let Some((cell, first)) = settings.first().and_then(|(_, cell, record)| Some((*cell, record.outcome()?))) else {
        return Ok(None);
    };
    let n = first.score.n;
    if images.dim().0 < n {
        tracing::info!(
            "the recipes that ship were judged on {n} images, this run has {}: not compared",
            images.dim().0
        );
        return Ok(None);
    }
    if let Err(other) = first.score.fingerprint.comparable(&judge.fingerprint(n)) {
        tracing::info!("the recipes that ship cannot be set beside this run: {other}");
        return Ok(None);
    }
    let own = judge.score("this run", images.slice_axis(Axis(0), Slice::from(..n)))?;
    let number = |name: &str, decimals| Column { decimals: Some(decimals), ..Column::number(name) };
    let columns = vec![
        Column::text("recipe"),
        Column::number("seeds"),
        Column { best: Some(Best::Lowest), ..number("cnn-fid", 1) },
        number("±", 1),
        Column { best: Some(Best::Lowest), ..number("KID", 1) },
        number("calls per image", 0),
    ];
    let mut table = Table::new(format!("Beside the recipes that ship, {}: {n} images each", data.title()), columns);
    table.push(vec![
        "this run".into(),
        Cell::Number(1.0),
        own.cnn_fid.into(),
        own.cnn_fid_sd.into(),
        own.kid.into(),
        Cell::Number(calls as f64),
    ])?;
    for (s, ..) in &settings {
        table.push(vec![
            s.label().into(),
            Cell::Number(s.quality.n as f64),
            s.quality.mean.into(),
            s.quality.sd.into(),
            s.kid.mean.into(),
            Cell::Number(s.calls),
        ])?;
    }
    table.notes.push(format!(
        "this run has seen {} training images, the recipes {} each; ±: standard deviation over seeds, with one seed that of the bootstrap",
        e.training.steps * e.training.batch as u64,
        cell.images_seen()
    ));
    Ok(Some(table))
}
