//! What a sweep will take: time from cells that are finished, or from a short timing; disk from the size of a checkpoint.

use anyhow::{Context, Result};
use models::average::AverageKind;
use models::unet::layout_of;
use serde_json::{Value, json};
use tch::Tensor;

use super::cells::Cell;
use super::record::{Outcome, Record};
use crate::bench_step;
use crate::config::Experiment;
use crate::session::Session;

/// Steps of a short timing.
const TIMED: usize = 3;

/// A network call without derivatives, in parts of a training step of as many images: forward and backward are about three.
const CALL: f64 = 1.0 / 3.0;

/// What one cell will take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Seconds of training; 0 where another cell trains for it.
    pub training: f64,
    /// Seconds of sampling.
    pub sampling: f64,
    /// Seconds of the rest, as far as finished cells tell.
    pub rest: f64,
    /// Bytes on disk.
    pub disk: u64,
}

impl Cost {
    /// All seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.training + self.sampling + self.rest
    }
}

/// Where the seconds come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Kinds of network and batch that finished cells have timed.
    pub finished: usize,
    /// Those that were timed now.
    pub timed: usize,
    /// Whether finished cells tell the time of evaluation.
    pub evaluation: bool,
}

/// Seconds of a step and of one network call for one image.
#[derive(Clone, Copy)]
struct Rates {
    step: f64,
    call: f64,
}

/// The cost of every cell of these groups, in their order; `all` are the sweep's cells, for what `records` tell.
///
/// # Errors
/// If a network is impossible.
pub fn estimate(
    groups: &[Vec<&Cell>],
    all: &[Cell],
    records: &[Record],
    session: &Session,
) -> Result<(Vec<Vec<Cost>>, Sources)> {
    let measured: Vec<(&Cell, &Outcome)> = records
        .iter()
        .filter_map(|record| Some((all.iter().find(|cell| cell.key == record.key)?, record.outcome()?)))
        .collect();
    let rest = mean(measured.iter().map(|(_, outcome)| outcome.other_seconds));
    let mut sources = Sources { evaluation: rest.is_some(), ..Sources::default() };
    let mut known: Vec<(Value, Rates)> = Vec::new();
    let mut costs = Vec::new();
    for group in groups {
        let kind = kind(&group[0].experiment);
        let found = known.iter().find(|(other, _)| *other == kind).map(|(_, rates)| *rates);
        let rates = match found {
            Some(rates) => rates,
            None => {
                let rates = rates(&group[0].experiment, &kind, &measured, session, &mut sources)?;
                known.push((kind, rates));
                rates
            }
        };
        // Another cell of the group may have trained in an earlier sitting.
        let trained = measured.iter().any(|(cell, _)| cell.group == group[0].group);
        let mut own = Vec::new();
        for (i, cell) in group.iter().enumerate() {
            let e = &cell.experiment;
            let first = i == 0 && !trained;
            own.push(Cost {
                training: if first { e.training.steps as f64 * rates.step } else { 0.0 },
                sampling: e.sampling.n as f64 * calls(e)? as f64 * rates.call,
                rest: rest.unwrap_or(0.0),
                disk: if first { disk(e)? } else { 0 },
            });
        }
        costs.push(own);
    }
    Ok((costs, sources))
}

/// What the time of a step depends on.
fn kind(e: &Experiment) -> Value {
    json!([e.network, e.training.batch, e.training.precision])
}

fn rates(
    e: &Experiment,
    kind: &Value,
    measured: &[(&Cell, &Outcome)],
    session: &Session,
    sources: &mut Sources,
) -> Result<Rates> {
    let alike: Vec<&(&Cell, &Outcome)> =
        measured.iter().filter(|(cell, _)| self::kind(&cell.experiment) == *kind).collect();
    let step = mean(alike.iter().map(|(cell, o)| o.training_seconds / cell.experiment.training.steps as f64));
    let call = mean(alike.iter().filter_map(|(_, o)| {
        let calls = o.score.calls.filter(|calls| *calls > 0)?;
        Some(o.score.seconds_per_image? / calls as f64)
    }));
    if let Some((step, call)) = step.zip(call) {
        sources.finished += 1;
        return Ok(Rates { step, call });
    }
    let timed = bench_step::time(e, TIMED, session)?;
    let mut seconds: Vec<f64> = timed["seconds"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    seconds.sort_by(f64::total_cmp);
    let step = *seconds.get(seconds.len() / 2).context("no step was timed")?;
    sources.timed += 1;
    Ok(Rates { step, call: CALL * step / e.training.batch as f64 })
}

/// Network calls for each image; of an adaptive sampler the fewest.
fn calls(e: &Experiment) -> Result<usize> {
    let schedule = gbm_sde::Schedule::new(e.process.clone())?;
    let steps = e.sampling.grid.build(Some(&schedule))?.steps();
    let passes = if e.network.classes > 0 && e.sampling.guidance != 1.0 { 2 } else { 1 };
    Ok(e.sampling.sampler.build::<Tensor>()?.calls(steps) * passes)
}

/// Bytes that a run leaves: checkpoints (weights, their average, Adam's two moments, further averages), the best one, the final weights,
/// averages of every checkpoint, images at most as large as their bytes.
///
/// # Errors
/// If the network is impossible.
pub fn disk(e: &Experiment) -> Result<u64> {
    let t = &e.training;
    let flat = 4 * u64::try_from(layout_of(&e.network)?.total())?;
    let written = t.steps.div_ceil(t.checkpoint_every);
    let kept = written.min(t.keep_checkpoints as u64) + 1;
    let averages = t.averages.len() as u64;
    let powers = t.averages.iter().filter(|kind| matches!(kind, AverageKind::Power { .. })).count() as u64;
    let images = (e.sampling.n as i64 * e.network.channels * e.network.size * e.network.size).unsigned_abs();
    Ok(flat * (kept * (4 + averages) + 1 + written * powers) + images)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.filter(|v| v.is_finite()).fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    (count > 0.0).then(|| sum / count)
}
