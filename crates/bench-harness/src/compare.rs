//! Samplers side by side on the same weights, with the same number of images each.

use std::path::Path;

use anyhow::{Context, Result};
use gbm_sde::Schedule;
use models::write::write_atomically;
use samplers::{GridConfig, SamplerConfig};
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
    pub scores: Vec<Score>,
}

/// Heun at several numbers of calls, and Dale–Langevin at `calls` of them, `n` images each, from the same draws of
/// the same prior.
///
/// # Errors
/// If sampling or judging fails.
pub fn compare(
    trained: &Trained,
    experiment: &Experiment,
    data: &Dataset,
    n: usize,
    calls: usize,
    session: &Session,
) -> Result<Comparison> {
    let judge = Judge::new(data, &experiment.evaluation, experiment.seed, session.device)?;
    let schedule = Schedule::new(experiment.process.clone())?;
    let mut scores = Vec::new();
    let heun = SamplerConfig::Heun {};
    let plans = [(heun, 6), (heun, 10), (heun, 18), (SamplerConfig::DaleLangevin {}, calls)];
    for (sampler, steps) in plans {
        let grid = plan_grid(experiment.sampling.grid, &sampler, steps);
        let config = SamplingConfig { n, sampler, grid, ..experiment.sampling.clone() };
        let out = generate(trained, &config, experiment.pixels, &schedule, experiment.seed, session)?;
        let mut score = judge.score(&format!("{} {}", out.sampler, out.calls), out.images.view())?;
        out.sampler.clone_into(&mut score.name);
        score.calls = Some(out.calls);
        score.seconds_per_image = Some(out.seconds / n as f64);
        tracing::info!("{} with {} calls: cnn-fid {:.1}", out.sampler, out.calls, score.cnn_fid);
        scores.push(score);
    }
    Ok(Comparison { data: data.title(), scores })
}

/// Dale–Langevin leaves the noise of its last step in the image, so its grid goes down to where that is about one of 255
/// grey levels; Heun ends in `D`, which has none.
const QUIET: f64 = 0.004;

/// The experiment's grid with `n` steps, for this sampler.
fn plan_grid(grid: GridConfig, sampler: &SamplerConfig, n: usize) -> GridConfig {
    let noisy = matches!(sampler, SamplerConfig::DaleLangevin {});
    let lowest = |r_min: f64| if noisy { r_min.min(QUIET) } else { r_min };
    match grid {
        GridConfig::Karras { r_min, r_max, rho, .. } => {
            GridConfig::Karras { r_min: lowest(r_min), r_max, rho, steps: n }
        }
        GridConfig::LogNoise { r_min, r_max, .. } => GridConfig::LogNoise { r_min: lowest(r_min), r_max, steps: n },
        GridConfig::UniformTime { .. } => GridConfig::UniformTime { steps: n },
        GridConfig::Published { sigma, .. } => GridConfig::Published { sigma, steps: n },
    }
}

impl Comparison {
    /// Whether Heun, with at most 40 calls, is at least as good by `cnn-fid` as Dale–Langevin, and a sentence that says it.
    ///
    /// # Errors
    /// If a row of either is missing, or the rows were not made by one protocol.
    pub fn verdict(&self) -> Result<(bool, String)> {
        let best = |name: &str, most: usize| {
            let rows = self.scores.iter().filter(|s| s.name == name && s.calls.is_some_and(|c| c <= most));
            rows.min_by(|a, b| a.cnn_fid.total_cmp(&b.cnn_fid))
        };
        let (heun, dale) =
            best("heun", 40).zip(best("dale-langevin", usize::MAX)).context("a sampler's row is missing")?;
        heun.fingerprint.comparable(&dale.fingerprint)?;
        let holds = heun.cnn_fid <= dale.cnn_fid;
        let text = format!(
            "Heun with {} calls is {} Dale–Langevin with {}: cnn-fid {:.1} against {:.1}, {} images each.",
            heun.calls.unwrap_or_default(),
            if holds { "at least as good as" } else { "worse than" },
            dale.calls.unwrap_or_default(),
            heun.cnn_fid,
            dale.cnn_fid,
            heun.n
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
