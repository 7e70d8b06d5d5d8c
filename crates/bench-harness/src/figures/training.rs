//! The curves of a training, from `metrics.jsonl`: the loss, and the error at each noise level beside the best linear denoiser.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::evaluate::TrainingLevel;
use crate::report::axis::Scale;
use crate::report::plot::{Chart, Mark, Rule, Series};
use crate::run::Run;
use crate::training::bins::BinLoss;
use crate::training::watch::Quality;

/// Lines of the log that are averaged to a point of a level's curve: about so many points remain.
const POINTS: usize = 40;

/// Levels that have a curve of their own.
const SHOWN: usize = 6;

/// One line of the log.
#[derive(Debug)]
struct Line {
    step: f64,
    loss: f64,
    levels: Vec<BinLoss>,
}

/// The curves of a training.
#[derive(Debug)]
pub(super) struct Curves {
    lines: Vec<Line>,
    quality: Vec<Quality>,
}

impl Curves {
    /// Reads a run's log.
    pub(super) fn read(run: &Run) -> Result<Self> {
        let path = run.folder.join("metrics.jsonl");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let quality = Quality::read(&run.folder.join("quality.jsonl"));
        Ok(Self { lines: text.lines().filter_map(line).collect(), quality })
    }

    /// Weighted loss over steps.
    pub(super) fn loss(&self) -> Chart {
        let points: Vec<(f64, f64)> = self.lines.iter().map(|line| (line.step, line.loss)).collect();
        let width = (points.len() / 25).max(2);
        let smooth = points
            .iter()
            .enumerate()
            .map(|(i, (x, _))| {
                let window = &points[i.saturating_sub(width - 1)..=i];
                (*x, window.iter().map(|p| p.1).sum::<f64>() / window.len() as f64)
            })
            .collect();
        Chart {
            x_label: "step".into(),
            y_label: "loss".into(),
            y_scale: Scale::Log,
            series: vec![
                Series {
                    name: "mean between two lines of the log".into(),
                    mark: Mark::Faint,
                    points,
                    ..Series::default()
                },
                Series { name: format!("running mean of {width}"), points: smooth, ..Series::default() },
            ],
            ..Chart::default()
        }
    }

    /// `cnn-fid` against the time of training; none if nothing was judged.
    pub(super) fn quality(&self) -> Option<Chart> {
        let first = &self.quality.first()?.score;
        let points = self.quality.iter().map(|judged| (judged.seconds / 60.0, judged.score.cnn_fid)).collect();
        Some(Chart {
            x_label: "minutes of training".into(),
            y_label: format!("cnn-fid of {} samples, with 95% intervals", first.n),
            y_scale: Scale::Log,
            series: vec![Series {
                mark: Mark::Both,
                points,
                band: self.quality.iter().map(|judged| judged.score.interval()).collect(),
                ..Series::default()
            }],
            ..Chart::default()
        })
    }

    /// Error at some noise levels over steps, in parts of the linear denoiser's; none if the log has no levels.
    pub(super) fn levels(&self, linear: &[TrainingLevel]) -> Option<Chart> {
        let bins = linear.len().min(self.lines.iter().map(|line| line.levels.len()).min()?);
        let every = self.lines.len().div_ceil(POINTS).max(1);
        let curve = |bin: usize| -> Vec<(f64, f64)> {
            let windows = self.lines.chunks(every);
            let point = |window: &[Line]| {
                let errors: Vec<f64> = window.iter().filter_map(|line| line.levels[bin].error).collect();
                let mean = errors.iter().sum::<f64>() / errors.len() as f64;
                let relative = mean / linear[bin].linear_expected;
                (relative > 0.0 && relative.is_finite()).then(|| (window[window.len() - 1].step, relative))
            };
            windows.filter_map(point).collect()
        };
        // Evenly spread over the levels that were seen.
        let seen: Vec<usize> = (0..bins).filter(|bin| !curve(*bin).is_empty()).collect();
        let last = seen.len().checked_sub(1)?;
        let mut shown: Vec<usize> = (0..SHOWN).map(|i| seen[(i * last) / (SHOWN - 1)]).collect();
        shown.dedup();
        let series = shown.into_iter().map(|bin| {
            let name = format!("r = {:.2}", linear[bin].r);
            Series { name, points: curve(bin), ..Series::default() }
        });
        Some(Chart {
            x_label: "step".into(),
            y_label: "squared error / linear denoiser's".into(),
            y_scale: Scale::Log,
            series: series.collect(),
            rules: vec![Rule { name: "the best linear denoiser".into(), y: 1.0 }],
            ..Chart::default()
        })
    }
}

fn line(text: &str) -> Option<Line> {
    let value: Value = serde_json::from_str(text).ok()?;
    let levels = value.get("levels").cloned().and_then(|v| serde_json::from_value(v).ok()).unwrap_or_default();
    Some(Line { step: value["step"].as_f64()?, loss: value["loss"].as_f64()?, levels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_levels_curve_is_its_error_in_parts_of_the_linear_denoisers() {
        let bin = |r: f64, error| BinLoss { r, error };
        let lines = (1..=100)
            .map(|i| Line {
                step: f64::from(i),
                loss: 1.0,
                levels: vec![bin(0.1, Some(6.0)), bin(1.0, (i % 2 == 0).then_some(5.0)), bin(4.0, None)],
            })
            .collect();
        let level = |r, linear_expected| TrainingLevel { r, linear_expected };
        let chart = Curves { lines, quality: Vec::new() }
            .levels(&[level(0.1, 12.0), level(1.0, 10.0), level(4.0, 9.0)])
            .unwrap();
        assert_eq!(chart.series.len(), 2, "the level that was never seen has no curve");
        assert!(chart.series.iter().all(|s| s.points.iter().all(|p| p.1 == 0.5)), "{:?}", chart.series);
        assert!(chart.draw().unwrap().as_str().contains("r = 1.00"));
        assert!(Curves { lines: Vec::new(), quality: Vec::new() }.levels(&[]).is_none());
    }
}
