//! What a page shows of a sweep's cells: grids of their samples, and curves of trainings that were judged on their way.

use std::fs;

use anyhow::{Context, Result};

use super::folder::Sweep;
use super::keep;
use crate::report::axis::Scale;
use crate::report::csv::field;
use crate::report::image::Png;
use crate::report::page::Figure;
use crate::report::plot::{Chart, Mark, Series, Svg};
use crate::training::watch::Quality;

/// Settings whose images a page shows, at most.
const MOST_GRIDS: usize = 24;

/// The caption of [`curves`].
pub const CURVE: &str = "Training judged on its way, and at its end. The distance falls with N, the number of images judged: only points of \
                                as many are joined. Bars: 95% intervals.";

/// The grid of the first seed of every setting, up to a limit.
///
/// # Errors
/// If one is no picture.
pub fn grids(sweep: &Sweep) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let settings = sweep.settings();
    if settings.len() > MOST_GRIDS {
        tracing::info!("the page shows the images of {MOST_GRIDS} of {} settings; cells/ has all", settings.len());
    }
    for (setting, _, record) in settings.into_iter().take(MOST_GRIDS) {
        let path = keep::grid(&sweep.folder, &record.key);
        let Ok(bytes) = fs::read(&path) else { continue };
        let png = Png::from_bytes(bytes).with_context(|| path.display().to_string())?;
        let label = setting.label();
        let score = &record.outcome().context("a finished cell has numbers")?.score;
        let calls = score.calls.map_or(String::new(), |calls| format!(", {calls} calls"));
        let caption = format!(
            "{label}{calls}; seed {}, cnn-fid {:.1}. The first images, not picked.",
            record.seed, score.cnn_fid
        );
        figures.push(Figure::image(png, caption, format!("generated images: {label}")));
    }
    Ok(figures)
}

/// `cnn-fid` against training images, a line for every setting that was judged on its way, of its first seed; it ends with the cell's score.
///
/// # Errors
/// If the chart cannot be drawn.
pub fn curves(sweep: &Sweep) -> Result<Option<Svg>> {
    let mut series: Vec<Series> = Vec::new();
    let mut csv = String::from("setting,seed,step,training_images,seconds,images,cnn_fid,cnn_fid_sd,kid,kid_sd\n");
    for (setting, cell, record) in sweep.settings() {
        let batch = cell.experiment.training.batch as u64;
        let mut curve = keep::curve(&sweep.folder, &record.key);
        let outcome = record.outcome().context("a finished cell has numbers")?;
        let steps = cell.experiment.training.steps;
        if curve.last().is_some_and(|last| last.step < steps) {
            curve.push(Quality { step: steps, seconds: outcome.training_seconds, score: outcome.score.clone() });
        }
        let label = setting.label();
        for point in curve {
            let (seen, s) = (point.step * batch, &point.score);
            let (name, seed) = (field(&label), record.seed);
            csv += &format!(
                "{name},{seed},{},{seen},{},{},{},{},{},{}\n",
                point.step, point.seconds, s.n, s.cnn_fid, s.cnn_fid_sd, s.kid, s.kid_sd
            );
            // Only what as many images were judged for is joined.
            let of_count = format!("{label}, N = {}", s.n);
            let at = series.iter().position(|one| one.name == of_count).unwrap_or_else(|| {
                series.push(Series { name: of_count, mark: Mark::Both, points: Vec::new(), band: Vec::new() });
                series.len() - 1
            });
            series[at].points.push((seen as f64, s.cnn_fid));
            series[at].band.push(s.interval());
        }
    }
    if series.is_empty() {
        return Ok(None);
    }
    let chart = Chart {
        title: format!("{}: quality against training", sweep.file.heading()),
        x_label: "training images seen".into(),
        y_label: "cnn-fid".into(),
        x_scale: Scale::Log,
        y_scale: Scale::Log,
        series,
        ..Chart::default()
    };
    Ok(Some(chart.draw()?.with_csv(csv)))
}
