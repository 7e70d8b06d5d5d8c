//! Samplers side by side on the same weights, with the same number of images each.

use std::path::Path;

use anyhow::{Context, Result};
use gbm_sde::Schedule;
use models::write::write_atomically;
use serde::{Deserialize, Serialize};

use crate::config::{Experiment, SamplingConfig};
use crate::data::Dataset;
use crate::evaluate::{Judge, Score};
use crate::figures;
use crate::generate::{Plan, Trained, statistics};
use crate::session::Session;

mod plan;

use plan::{names, plans};

/// The comparison; `samplers.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The data set.
    pub data: String,
    /// One row for each sampler and number of steps.
    pub rows: Vec<Row>,
}

/// A sampler's result, with all that it depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// SHA-256 of the weights' file.
    pub weights: String,
    /// Seed of the draws.
    pub seed: u64,
    /// Sampler, grid, prior, number of images.
    pub sampling: SamplingConfig,
    /// What came out.
    pub score: Score,
}

/// What to compare.
#[derive(Clone, Debug)]
pub struct Request {
    /// Images of each row.
    pub n: usize,
    /// Network calls at which every sampler is tried.
    pub calls: Vec<usize>,
    /// Network calls at which the paper's own two are tried besides.
    pub paper_calls: Vec<usize>,
    /// Only these samplers, by name; all when empty.
    pub only: Vec<String>,
}

/// Samplers at several numbers of network calls, `n` images each, from the same draws of the same prior. Rows of `before` with the same
/// weights, seed and protocol are taken over, and rows that are asked for are measured unless they are among them; `save` sees
/// every new row at once.
///
/// # Errors
/// If sampling, judging or saving fails.
pub fn compare(
    trained: &Trained,
    experiment: &Experiment,
    data: &Dataset,
    request: &Request,
    before: &[Row],
    session: &Session,
    save: &mut dyn FnMut(&Comparison) -> Result<()>,
) -> Result<Comparison> {
    let judge = Judge::new(data, &experiment.evaluation, experiment.seed, session.device)?;
    let schedule = Schedule::new(experiment.process.clone())?;
    let mut comparison = Comparison { data: data.title(), rows: Vec::new() };
    let plans = plans(&experiment.sampling, request)?;
    let comparable = |row: &&Row| {
        row.weights == trained.sha256
            && row.seed == experiment.seed
            && row.score.fingerprint == judge.fingerprint(request.n)
    };
    // What is known already comes first, so that nothing of it is lost when the rest is interrupted; also what this request does
    // not ask for.
    comparison.rows.extend(before.iter().filter(comparable).cloned());
    let known = |rows: &[Row], sampling: &SamplingConfig| rows.iter().any(|row| row.sampling == *sampling);
    let measured = plans.iter().filter(|plan| known(&comparison.rows, plan)).count();
    tracing::info!("{measured} of {} rows were measured before", plans.len());
    // Plans have the experiment's prior, or one that needs no data.
    let statistics = statistics(&experiment.sampling.prior, experiment.pixels, data)?;
    for sampling in &plans {
        if known(&comparison.rows, sampling) {
            continue;
        }
        let (pixel_map, seed) = (experiment.pixels, experiment.seed);
        let plan =
            Plan { trained, config: sampling, statistics: statistics.as_ref(), pixel_map, schedule: &schedule, seed };
        let out = plan.generate(None, session)?;
        let mut score = judge.score(out.sampler, out.images.view())?;
        score.calls = Some(out.cost.calls);
        tracing::info!("{} with {} calls: cnn-fid {:.1}", out.sampler, out.cost.calls, score.cnn_fid);
        let row = Row { weights: trained.sha256.clone(), seed: experiment.seed, sampling: sampling.clone(), score };
        comparison.rows.push(row);
        save(&comparison)?;
    }
    let order: Vec<&str> = names(comparison.rows.iter().map(|row| &row.sampling))?;
    let place = |row: &Row| order.iter().position(|name| *name == row.score.name).unwrap_or(usize::MAX);
    comparison.rows.sort_by_key(|row| (place(row), row.score.calls));
    Ok(comparison)
}

/// The rows of an earlier comparison in `folder`; none if there is none.
#[must_use]
pub fn earlier(folder: &Path) -> Vec<Row> {
    let read =
        || -> Option<Comparison> { serde_json::from_slice(&std::fs::read(folder.join("samplers.json")).ok()?).ok() };
    read().map(|c| c.rows).unwrap_or_default()
}

impl Comparison {
    /// The row of the smallest `cnn-fid` among those with at most `calls` network calls.
    #[must_use]
    pub fn best(&self, calls: usize) -> Option<&Score> {
        let rows = self.rows.iter().map(|row| &row.score).filter(|s| s.calls.is_some_and(|c| c <= calls));
        rows.min_by(|a, b| a.cnn_fid.total_cmp(&b.cnn_fid))
    }

    /// Whether the best with at most 20 calls is, within its 95% interval, as good as the best with any number, and a sentence that
    /// says it; none without such a row.
    #[must_use]
    pub fn few_calls_suffice(&self) -> Option<(bool, String)> {
        let (few, any) = self.best(20).zip(self.best(usize::MAX))?;
        let low = few.cnn_fid - 1.96 * few.cnn_fid_sd;
        let holds = any.cnn_fid >= low;
        let text = format!(
            "With at most 20 calls {} is best, at {}: cnn-fid {:.1} ± {:.1}, 95% interval from {low:.1}. The best with any number is {} at \
             {}: {:.1} ± {:.1}, {} that interval.",
            few.name,
            few.calls.unwrap_or_default(),
            few.cnn_fid,
            few.cnn_fid_sd,
            any.name,
            any.calls.unwrap_or_default(),
            any.cnn_fid,
            any.cnn_fid_sd,
            if holds { "within" } else { "below" },
        );
        Some((holds, text))
    }

    /// Whether a second-order sampler with at most 40 calls is at least as good by `cnn-fid` as Dale–Langevin, and a
    /// sentence that says it.
    ///
    /// # Errors
    /// If a row of either is missing, or the rows were not made by one protocol.
    pub fn verdict(&self) -> Result<(bool, String)> {
        let best = |names: &[&str], most: usize| {
            let scores = self.rows.iter().map(|r| &r.score);
            let rows = scores.filter(|s| names.contains(&s.name.as_str()) && s.calls.is_some_and(|c| c <= most));
            rows.min_by(|a, b| a.cnn_fid.total_cmp(&b.cnn_fid))
        };
        let (second, dale) = best(&["heun", "stochastic-heun"], 40)
            .zip(best(&["dale-langevin"], usize::MAX))
            .context("a sampler's row is missing")?;
        second.fingerprint.comparable(&dale.fingerprint)?;
        let holds = second.cnn_fid <= dale.cnn_fid;
        let text = format!(
            "{} with {} calls is {} dale-langevin with {}: cnn-fid {:.1} ± {:.1} against {:.1} ± {:.1}, {} images each.",
            second.name,
            second.calls.unwrap_or_default(),
            if holds { "at least as good as" } else { "worse than" },
            dale.calls.unwrap_or_default(),
            second.cnn_fid,
            second.cnn_fid_sd,
            dale.cnn_fid,
            dale.cnn_fid_sd,
            second.n
        );
        Ok((holds, text))
    }
}

/// Writes `samplers.json` into `folder`.
///
/// # Errors
/// If it cannot be written.
pub fn save(comparison: &Comparison, folder: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(comparison)? + "\n";
    write_atomically(&folder.join("samplers.json"), json.as_bytes())?;
    Ok(())
}

/// Writes `samplers.json`, `samplers.md` and the chart `samplers.svg`, with `.png` and `.csv`, into `folder`, and returns the table as terminal text.
///
/// # Errors
/// If they cannot be written.
pub fn write(comparison: &Comparison, folder: &Path) -> Result<String> {
    save(comparison, folder)?;
    let table = figures::comparison_table(comparison)?;
    let few = comparison.few_calls_suffice().map(|(_, text)| text);
    let verdicts: Vec<String> = comparison.verdict().ok().map(|(_, text)| text).into_iter().chain(few).collect();
    let verdicts = verdicts.join("\n\n");
    write_atomically(&folder.join("samplers.md"), format!("{}\n{verdicts}\n", table.to_markdown()).as_bytes())?;
    let chart = figures::comparison_chart(comparison)?;
    chart.write(&folder.join("samplers.svg"))?;
    Ok(format!("{}\n{verdicts}", table.to_text()))
}
