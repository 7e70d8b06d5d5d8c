//! Samplers side by side on the same weights, with the same number of images each.

use std::path::Path;

use anyhow::{Context, Result};
use gbm_sde::Schedule;
use models::write::write_atomically;
use samplers::{GridConfig, SamplerConfig, StochasticHeunConfig};
use serde::{Deserialize, Serialize};

use crate::config::{Experiment, SamplingConfig};
use crate::data::Dataset;
use crate::evaluate::{Judge, Score};
use crate::figures;
use crate::generate::{Trained, generate};
use crate::session::Session;

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

/// Deterministic and stochastic Heun with few calls, and Dale–Langevin at `calls` of them, `n` images each, from the same
/// draws of the same prior. Rows of `before` that depend on exactly the same things are taken over.
///
/// # Errors
/// If sampling or judging fails.
pub fn compare(
    trained: &Trained,
    experiment: &Experiment,
    data: &Dataset,
    (n, calls): (usize, usize),
    before: &[Row],
    session: &Session,
) -> Result<Comparison> {
    let judge = Judge::new(data, &experiment.evaluation, experiment.seed, session.device)?;
    let schedule = Schedule::new(experiment.process.clone())?;
    let (heun, churned) = (SamplerConfig::Heun {}, SamplerConfig::StochasticHeun(CHURN));
    let dale_langevin = SamplerConfig::DaleLangevin {};
    let plans = [(heun, 6), (heun, 10), (heun, 18), (churned, 12), (churned, 20), (dale_langevin, calls)];
    let mut rows = Vec::new();
    for (sampler, steps) in plans {
        let grid = plan_grid(&experiment.sampling.grid, &sampler, steps);
        let sampling = SamplingConfig { n, sampler, grid, ..experiment.sampling.clone() };
        let same = |r: &&Row| {
            r.weights == trained.sha256
                && r.seed == experiment.seed
                && r.sampling == sampling
                && r.score.fingerprint == judge.fingerprint(n)
        };
        if let Some(row) = before.iter().find(same) {
            tracing::info!("{} with {} steps: measured before", row.score.name, steps);
            rows.push(row.clone());
            continue;
        }
        let out = generate(trained, &sampling, experiment.pixels, &schedule, experiment.seed, session)?;
        let mut score = judge.score(out.sampler, out.images.view())?;
        score.calls = Some(out.calls);
        score.seconds_per_image = Some(out.seconds / n as f64);
        tracing::info!("{} with {} calls: cnn-fid {:.1}", out.sampler, out.calls, score.cnn_fid);
        rows.push(Row { weights: trained.sha256.clone(), seed: experiment.seed, sampling, score });
    }
    Ok(Comparison { data: data.title(), rows })
}

/// Churn of the stochastic row.
const CHURN: StochasticHeunConfig = StochasticHeunConfig { churn: 8.0 };

/// The rows of an earlier comparison in `folder`; none if there is none.
#[must_use]
pub fn earlier(folder: &Path) -> Vec<Row> {
    let read =
        || -> Option<Comparison> { serde_json::from_slice(&std::fs::read(folder.join("samplers.json")).ok()?).ok() };
    read().map(|c| c.rows).unwrap_or_default()
}

/// Dale–Langevin leaves the noise of its last step in the image, so its grid goes down to where that is about one of 255
/// grey levels; Heun ends in `D`, which has none.
const QUIET: f64 = 0.004;

/// The experiment's grid with `n` steps, for this sampler.
fn plan_grid(grid: &GridConfig, sampler: &SamplerConfig, n: usize) -> GridConfig {
    let noisy = sampler.leaves_noise();
    let lowest = |r_min: f64| if noisy { r_min.min(QUIET) } else { r_min };
    match *grid {
        GridConfig::NoiseLevel { r_min, r_max, .. } => GridConfig::NoiseLevel { r_min: lowest(r_min), r_max, steps: n },
        GridConfig::Karras { r_min, r_max, rho, .. } => {
            GridConfig::Karras { r_min: lowest(r_min), r_max, rho, steps: n }
        }
        GridConfig::LogNoise { r_min, r_max, .. } => GridConfig::LogNoise { r_min: lowest(r_min), r_max, steps: n },
        GridConfig::UniformTime { .. } => GridConfig::UniformTime { steps: n },
        GridConfig::Published { sigma, .. } => GridConfig::Published { sigma, steps: n },
        GridConfig::Table { .. } => grid.clone(),
    }
}

impl Comparison {
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

/// Writes `samplers.json` and `samplers.md` into `folder`, and returns the table as terminal text.
///
/// # Errors
/// If they cannot be written.
pub fn write(comparison: &Comparison, folder: &Path) -> Result<String> {
    let table = figures::comparison_table(comparison)?;
    let json = serde_json::to_string_pretty(comparison)? + "\n";
    write_atomically(&folder.join("samplers.json"), json.as_bytes())?;
    write_atomically(
        &folder.join("samplers.md"),
        format!("{}\n{}\n", table.to_markdown(), comparison.verdict()?.1).as_bytes(),
    )?;
    let (_, verdict) = comparison.verdict()?;
    Ok(format!("{}\n{verdict}", table.to_text()))
}
