//! What the shorter commands do; the whole road is in [`crate::reproduce`].

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gbm_sde::Schedule;
use models::checkpoint;

use crate::arrays::write_npz;
use crate::compare;
use crate::config::{self, Experiment, SamplingConfig};
use crate::dales_law;
use crate::data::{self, Depth, FileState, Search};
use crate::doctor::examine;
use crate::figures::sample_grid;
use crate::generate::{Arithmetic, Plan, Trained, open_run, statistics};
use crate::likelihood;
use crate::loading;
use crate::orders;
use crate::run::{Run, nearest_difference, stored_experiment};
use crate::session::Session;
use crate::theory;
use crate::training::checkpoints::Checkpoints;
use crate::training::{self, Start};

/// What to sample.
#[derive(Clone, Debug)]
pub struct SampleRequest {
    /// Number of images, at least 1.
    pub n: usize,
    /// Another seed than the run's.
    pub seed: Option<u64>,
    /// Assignments to `sampling.…`.
    pub set: Vec<String>,
    /// Other weights than the run's.
    pub weights: Option<PathBuf>,
}

/// `dale train`: prints the path of the weights. `resume` holds the folder to go on in, if one was named.
///
/// # Errors
/// As [`training::train`]; a configuration that differs from the run's, by key.
pub fn train(preset: &str, experiment: Experiment, resume: Option<Option<PathBuf>>, session: &Session) -> Result<()> {
    let data = loading::load_for(&experiment, session)?;
    let run = match &resume {
        Some(Some(folder)) => Run::adopt(folder.clone(), experiment, &data)?,
        _ => Run::plan(&session.root, preset, experiment, &data)?,
    };
    let checkpoints = Checkpoints::new(run.checkpoints());
    if resume.is_some() && checkpoints.newest().is_none() {
        let why = nearest_difference(&run).map_or(String::new(), |text| format!(": the configuration changed. {text}"));
        bail!("cannot resume: {} has no checkpoint{why}", run.folder.display());
    }
    let _lock = run.open()?;
    session.log.attach(&run.folder);
    let how = if resume.is_some() { Start::Resume } else { Start::Fresh };
    let weights = training::train(&run, &data, session, how)?;
    println!("{}", weights.display());
    Ok(())
}

/// `dale sample`: draws images from `run` into `out`, a picture or an array by its ending.
///
/// # Errors
/// If `out` can be neither, cannot be written, or an assignment is not about sampling.
pub fn sample(run: &Path, out: &Path, request: &SampleRequest, session: &Session) -> Result<()> {
    let ending = out.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if !["png", "npz"].contains(&ending) {
        bail!("{}: the name must end in .png or .npz", out.display());
    }
    if let Some(folder) = out.parent().filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) {
        bail!("{}: the folder {} does not exist", out.display(), folder.display());
    }
    if let Some(other) = request.set.iter().find(|s| !s.trim_start().starts_with("sampling.")) {
        bail!("--set {other}: only settings of `sampling` can be changed here; the rest belongs to the weights");
    }
    if request.set.iter().any(|s| s.trim_start().starts_with("sampling.n=")) {
        bail!("--set sampling.n: use --n");
    }
    let (experiment, trained) = match &request.weights {
        Some(path) => (stored_experiment(run)?, other_weights(run, path, session)?),
        None => open_run(run, Arithmetic::AsTrained, session)?,
    };
    let experiment = config::adjust(&run.join("config.toml"), &experiment, &request.set)?;
    let sampling = SamplingConfig { n: request.n, ..experiment.sampling.clone() };
    let statistics = if sampling.prior.needs_data() {
        let data = loading::load_for(&experiment, session).context("sampling.prior is made of the training images")?;
        statistics(&sampling.prior, experiment.pixels, &data)?
    } else {
        None
    };
    let schedule = Schedule::new(experiment.process.clone())?;
    let plan = Plan {
        trained: &trained,
        config: &sampling,
        statistics: statistics.as_ref(),
        pixel_map: experiment.pixels,
        schedule: &schedule,
        seed: request.seed.unwrap_or(experiment.seed),
    };
    let drawn = plan.generate(None, session)?;
    match ending {
        "npz" => write_npz(out, &drawn.images)?,
        _ => sample_grid(drawn.images.view(), request.n)?.write(out)?,
    }
    println!("{}", out.display());
    Ok(())
}

/// Weights that another command made of a run's, such as an average.
fn other_weights(run: &Path, path: &Path, session: &Session) -> Result<Trained> {
    let trained = Trained::load(path, session.device)?;
    let checkpoints = Checkpoints::new(run.join("checkpoints"));
    let own = [Some(checkpoints.weights()), Some(run.join("weights.safetensors")), checkpoints.newest()];
    let own = own.into_iter().flatten().find_map(|own| checkpoint::load_header(&own).ok());
    if own.is_some_and(|own| own.stage != trained.header.stage) {
        bail!("--weights {}: not weights of the run {}", path.display(), run.display());
    }
    Ok(trained)
}

/// `dale compare-samplers`: prints the table, writes it into `folder`, and tells what should hold of it and does not.
///
/// # Errors
/// If the folder does not exist, or sampling or judging fails.
pub fn compare_samplers(
    run: &Path,
    folder: &Path,
    request: &compare::Request,
    session: &Session,
) -> Result<Vec<String>> {
    if !folder.is_dir() {
        bail!("{}: not a folder", folder.display());
    }
    let (experiment, trained) = open_run(run, Arithmetic::AsTrained, session)?;
    let data = loading::load_for(&experiment, session).context("the comparison needs the data set's test images")?;
    let mut save = |rows: &compare::Comparison| compare::save(rows, folder);
    let before = compare::earlier(folder);
    let comparison = compare::compare(&trained, &experiment, &data, request, &before, session, &mut save)?;
    println!("{}", compare::write(&comparison, folder)?);
    let verdicts = comparison.verdict().ok().into_iter().chain(comparison.few_calls_suffice());
    Ok(verdicts.filter(|(holds, _)| !holds).map(|(_, text)| text).collect())
}

/// `dale likelihood`: prints bits per dimension, and writes `likelihood.json` into `folder` if there is one.
///
/// # Errors
/// If the folder does not exist, the request is impossible, or the data set cannot be had.
pub fn likelihood(run: &Path, folder: Option<&Path>, request: &likelihood::Request, session: &Session) -> Result<()> {
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!("{}: not a folder", folder.display());
    }
    let (experiment, trained) = open_run(run, Arithmetic::Single, session)?;
    let data = loading::load_for(&experiment, session).context("likelihoods are those of the data set's images")?;
    let found = likelihood::compute(&trained, &experiment, &data, request, session)?;
    println!("{}", found.to_text()?);
    folder.map_or(Ok(()), |folder| found.write(folder))
}

/// `dale doctor`.
///
/// # Errors
/// If something needed is missing.
pub fn doctor(search: &Search, root: &Path, json: bool) -> Result<()> {
    let findings = examine(search, root);
    if json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        println!("{}", findings.to_text());
    }
    if !findings.healthy {
        bail!("{}", findings.problems.join("; "));
    }
    Ok(())
}

/// `dale data fetch`.
///
/// # Errors
/// What is missing and could not be downloaded.
pub fn fetch(name: &str, search: &Search) -> Result<()> {
    let files = loading::fetch(name, search)?;
    if files.is_empty() {
        println!("{name}: nothing is missing");
    }
    for file in files {
        println!("{file}");
    }
    Ok(())
}

/// `dale theory`: prints the table of identities; fails if one does not hold.
///
/// # Errors
/// As [`theory::write`]; identities that do not hold, by formula.
pub fn theory(folder: &Path, experiment: &mut Experiment, session: &Session) -> Result<()> {
    let (data, notice) = loading::load_or_stand_in(experiment, session, false)?;
    let found = theory::write(folder, &data, notice.as_deref(), experiment.pixels, experiment.seed)?;
    let mut out = std::io::stdout().lock();
    for i in &found.identities {
        let unit = if i.statistical { " standard errors" } else { "" };
        writeln!(
            out,
            "{}  {:9.1e} of {:.1e}{unit}  {}",
            if i.holds() { "ok" } else { "NO" },
            i.residual,
            i.allowed,
            i.latex
        )?;
    }
    writeln!(out, "\n  report   {}\n", found.report.display())?;
    let broken: Vec<&str> = found.identities.iter().filter(|i| !i.holds()).map(|i| i.latex).collect();
    if !broken.is_empty() {
        bail!("{} of {} identities do not hold: {}", broken.len(), found.identities.len(), broken.join("; "));
    }
    Ok(())
}

/// `dale dales-law`: prints what was found.
///
/// # Errors
/// As [`dales_law::write`].
pub fn dales_law(
    folder: &Path,
    experiment: &mut Experiment,
    request: dales_law::Request,
    session: &Session,
) -> Result<()> {
    let (data, notice) = loading::load_or_stand_in(experiment, session, false)?;
    let (report, found) = dales_law::write(folder, &data, notice.as_deref(), request, session)?;
    println!("{found}\n\n  report   {}\n", report.display());
    Ok(())
}

/// `dale orders`: prints the tables; fails if a slope, a convergence or a rate is not what theory says.
///
/// # Errors
/// As [`orders::write`]; what does not hold, by name.
pub fn orders(folder: &Path, request: &orders::Request, session: &Session) -> Result<()> {
    let found = orders::write(folder, request, session)?;
    println!("{}\n  report   {}\n", found.text()?, found.report.display());
    let broken = found.broken();
    if !broken.is_empty() {
        bail!("theory does not hold in {} places: {}", broken.len(), broken.join("; "));
    }
    Ok(())
}

/// `dale data list` and `dale data verify`.
///
/// # Errors
/// If a file is damaged.
pub fn list(search: &Search, depth: Depth, json: bool) -> Result<()> {
    let all = data::status_all(search, depth)?;
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
    } else {
        for set in &all {
            writeln!(out, "{} ({})", set.name, set.license)?;
            if set.generated {
                writeln!(out, "  drawn by the program, no file needed")?;
            }
            for file in &set.files {
                let state = match &file.state {
                    FileState::Present => "present".to_owned(),
                    FileState::Verified => "verified".to_owned(),
                    FileState::Missing => "missing".to_owned(),
                    other => serde_json::to_string(other)?,
                };
                let place = file.path.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
                writeln!(out, "  {:<28} {state:<10} {place}", file.name)?;
            }
        }
    }
    let broken: Vec<&str> = all
        .iter()
        .flat_map(|set| &set.files)
        .filter(|f| !matches!(f.state, FileState::Present | FileState::Verified | FileState::Missing))
        .map(|f| f.name.as_str())
        .collect();
    if !broken.is_empty() {
        bail!("damaged: {}", broken.join(", "));
    }
    Ok(())
}
