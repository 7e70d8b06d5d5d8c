//! The commands of `dale`. Results go to standard output and files, everything else to standard error.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use models::device::DeviceChoice;
use models::precision::Precision;
use tch::Device;

use crate::checkpoints::Checkpoints;
use crate::config::{self, Experiment};
use crate::data::{self, DataConfig, DataError, Dataset, Depth, FetchPolicy, FileState, Search};
use crate::generate::{Trained, generate};
use crate::progress::Progress;
use crate::run::{Run, differences, stored_experiment};
use crate::session::{Interrupted, Session};
use crate::train::Start;
use crate::{compare, doctor, features, figures, reproduce, train};

/// Multiplicative diffusion: generate images by reversing geometric Brownian motion.
#[derive(Debug, Parser)]
#[command(name = "dale", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Global {
    /// Folder with a sub-folder for each data set; before DALE_DATA_DIR and the cache
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Never download (also: DALE_OFFLINE=1)
    #[arg(long, global = true)]
    offline: bool,
    /// auto, cpu or cuda:N
    #[arg(long, global = true, default_value = "auto")]
    device: DeviceChoice,
    /// Threads to compute with; all cores by default
    #[arg(long, global = true)]
    threads: Option<usize>,
    /// Folder of all runs
    #[arg(long, global = true, default_value = "runs", value_name = "DIR")]
    out_root: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole road: train, sample, evaluate, report; goes on where it was
    Reproduce {
        #[command(flatten)]
        experiment: ExperimentArgs,
        /// Fail where the data set is missing, instead of going on with drawn glyphs
        #[arg(long)]
        strict_data: bool,
        /// Fail unless the trained network beats the linear denoiser and the log-normal
        #[arg(long)]
        check: bool,
    },
    /// Train only
    Train {
        #[command(flatten)]
        experiment: ExperimentArgs,
        /// Go on from the last checkpoint, of this configuration's own run or of the one in RUN
        #[arg(long, value_name = "RUN", num_args = 0..=1)]
        resume: Option<Option<PathBuf>>,
    },
    /// Draw images from a run, or from a folder under results/
    Sample(SampleArgs),
    /// Heun with few calls against Dale–Langevin with many, on the same weights
    CompareSamplers {
        /// A run's folder, or one under results/
        run: PathBuf,
        /// Images for each sampler
        #[arg(long, default_value_t = 1000)]
        n: usize,
        /// Network calls of Dale–Langevin
        #[arg(long, default_value_t = 1000)]
        calls: usize,
    },
    /// What this machine has and lacks
    Doctor {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// The data sets
    Data {
        #[command(subcommand)]
        action: DataAction,
    },
    /// The configuration
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Copy what ships of a finished run: weights in half precision, grid, metrics, settings
    Export {
        /// The run's folder
        run: PathBuf,
        /// Where to, e.g. results/mnist-cpu
        folder: PathBuf,
    },
    /// Train the classifier whose features judge the images
    TrainFeatures {
        /// File to write
        out: PathBuf,
    },
    /// Time a training step (see `just bench-pytorch`)
    BenchStep {
        #[command(flatten)]
        experiment: ExperimentArgs,
        /// Steps to time
        #[arg(long, default_value_t = 10)]
        steps: usize,
    },
}

#[derive(Debug, Args)]
struct ExperimentArgs {
    /// A file, or the name of one in experiments/
    experiment: String,
    /// A preset of that file; auto takes gpu where one can be used, else cpu
    #[arg(long, default_value = "auto")]
    preset: String,
    /// Change a setting, e.g. --set training.steps=500
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Args)]
struct SampleArgs {
    /// A run's folder, or one under results/
    run: PathBuf,
    /// How many images
    #[arg(long, default_value_t = 64)]
    n: usize,
    /// Picture (.png) or array (.npz) to write
    #[arg(long, default_value = "samples.png")]
    out: PathBuf,
    /// Another seed than the run's
    #[arg(long)]
    seed: Option<u64>,
    /// Change a setting, e.g. --set sampling.sampler.kind=dale-langevin
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum DataAction {
    /// Where each data set is
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Download what is missing of a data set
    Fetch {
        /// Its name
        name: String,
    },
    /// Compare all checksums
    Verify {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Print an experiment, resolved
    Show(ExperimentArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// With a message for the user.
    pub fn run(self) -> Result<()> {
        let Global { data_dir, offline, device, threads, out_root } = self.global;
        let offline = offline || std::env::var_os("DALE_OFFLINE").is_some_and(|v| !v.is_empty() && v != "0");
        let policy = if offline { FetchPolicy::Never } else { FetchPolicy::Allow };
        let search = Search::new(data_dir, std::env::var_os("DALE_DATA_DIR").map(PathBuf::from), policy);
        let start = |search| Session::start(device, threads, search, out_root.clone());
        match self.command {
            Command::Doctor { json } => return run_doctor(&search, &out_root, json),
            Command::Data { action } => return run_data(action, &search),
            Command::Config { action: ConfigAction::Show(args) } => {
                let (_, experiment) = args.resolve(Device::Cpu)?;
                print!("{}", toml::to_string(&experiment)?);
            }
            Command::Reproduce { experiment, strict_data, check } => {
                let session = start(search)?;
                let (preset, mut experiment) = experiment.resolve(session.device)?;
                let (data, notice) = load_or_stand_in(&mut experiment, &session, strict_data)?;
                let done = reproduce::reproduce(&preset, experiment, &data, notice.as_deref(), &session)?;
                if check {
                    reproduce::check(&done.evaluation)?;
                }
            }
            Command::Train { experiment, resume } => {
                let session = start(search)?;
                let (preset, experiment) = experiment.resolve(session.device)?;
                let data = load_data(&experiment.data, &session)?;
                let run = match &resume {
                    Some(Some(folder)) => Run::adopt(folder.clone(), experiment, &data)?,
                    _ => Run::create(&session.root, &preset, experiment, &data)?,
                };
                let how = if resume.is_some() { Start::Resume } else { Start::Fresh };
                let weights = train::train(&run, &data, &session, how).map_err(|e| explain_resume(e, &run))?;
                println!("{}", weights.display());
            }
            Command::Sample(args) => sample(&args, &start(search)?)?,
            Command::CompareSamplers { run, n, calls } => {
                let session = start(search)?;
                let (experiment, trained) = open(&run, &session)?;
                let data = load_data(&experiment.data, &session)?;
                let comparison = compare::compare(&trained, &experiment, &data, n, calls, &session)?;
                println!("{}", compare::write(&comparison, &run)?);
            }
            Command::Export { run, folder } => crate::export::export(&run, &folder)?,
            Command::TrainFeatures { out } => {
                let session = start(search)?;
                let data = load_data(&DataConfig::named("mnist"), &session)?;
                features::train_and_write(&data, &out, &session)?;
            }
            Command::BenchStep { experiment, steps } => {
                let session = start(search)?;
                let (_, experiment) = experiment.resolve(session.device)?;
                println!("{}", crate::bench_step::time(&experiment, steps, &session)?);
            }
        }
        Ok(())
    }
}

impl ExperimentArgs {
    fn resolve(&self, device: Device) -> Result<(String, Experiment)> {
        let path = find_experiment(&self.experiment)?;
        let preset = if self.preset == "auto" {
            let chosen = if device.is_cuda() { "gpu" } else { "cpu" };
            tracing::info!(
                "preset: {chosen}, because a GPU {} be used",
                if device.is_cuda() { "can" } else { "cannot" }
            );
            chosen
        } else {
            &self.preset
        };
        let experiment = config::resolve(&path, preset, &self.set)?;
        Ok((preset.to_owned(), experiment))
    }
}

/// A path as it is, or a name under `experiments/`.
fn find_experiment(given: &str) -> Result<PathBuf> {
    let path = PathBuf::from(given);
    if path.extension().is_some() || path.is_file() {
        return Ok(path);
    }
    let named = Path::new("experiments").join(format!("{given}.toml"));
    if named.is_file() {
        return Ok(named);
    }
    let known: Vec<String> = std::fs::read_dir("experiments")
        .map(|dir| dir.flatten().filter_map(|e| Some(e.path().file_stem()?.to_str()?.to_owned())).collect())
        .unwrap_or_default();
    let hint = config::suggestion(given, known.iter().map(String::as_str));
    bail!("no experiment {given:?}: neither a file nor {} exists{hint}", named.display());
}

fn load_data(config: &DataConfig, session: &Session) -> Result<Dataset> {
    let mut bar: Option<(String, Progress)> = None;
    let mut hear = |p: data::Progress<'_>| {
        if bar.as_ref().is_none_or(|(file, _)| file != p.file) {
            let total = p.total.unwrap_or(0);
            bar = Some((p.file.to_owned(), Progress::new(p.file, "bytes", total)));
        }
        if let Some((_, progress)) = &mut bar {
            progress.set(p.done);
        }
        if session.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let data = data::load(config, &session.search, &mut hear)?;
    let (images, tests) = (data.train.len(), data.test.len());
    tracing::info!("data: {}, {images} training and {tests} test images, checksums verified", data.title());
    Ok(data)
}

/// The data set, or glyphs under their own name where it cannot be had.
fn load_or_stand_in(experiment: &mut Experiment, session: &Session, strict: bool) -> Result<(Dataset, Option<String>)> {
    let error = match load_data(&experiment.data, session) {
        Ok(data) => return Ok((data, None)),
        Err(error) => error,
    };
    let absent = matches!(error.downcast_ref(), Some(DataError::Missing(_) | DataError::Download { .. }));
    if strict || !absent {
        return Err(error);
    }
    let wanted = experiment.data.title();
    let notice = format!(
        "{wanted} is neither on this machine nor to be downloaded: going on with `glyphs`, digits drawn by the program"
    );
    let frame = "─".repeat(notice.chars().count() + 2);
    eprintln!("┌{frame}┐\n│ {notice} │\n└{frame}┘");
    tracing::info!("`dale data fetch {}` tells what is missing and where to put it", experiment.data.name);
    experiment.data = DataConfig::named(data::catalog::GLYPHS);
    experiment.name = data::catalog::GLYPHS.to_owned();
    let data = load_data(&experiment.data, session)?;
    Ok((data, Some(format!("{notice}. None of these numbers is a number of {wanted}."))))
}

/// Opens a run's folder, or one under `results/`.
fn open(folder: &Path, session: &Session) -> Result<(Experiment, Trained)> {
    let experiment = stored_experiment(folder)?;
    let shipped = folder.join("weights.safetensors");
    let path = if shipped.is_file() { shipped } else { Checkpoints::new(folder.join("checkpoints")).weights() };
    let mut trained = Trained::load(&path, session.device)?;
    if trained.header.precision == Precision::Bf16 && session.device == Device::Cpu {
        trained.fit_to_processor(experiment.sampling.batch)?;
    }
    Ok((experiment, trained))
}

fn sample(args: &SampleArgs, session: &Session) -> Result<()> {
    let (experiment, trained) = open(&args.run, session)?;
    let experiment = config::adjust(&args.run.join("config.toml"), &experiment, &args.set)?;
    let sampling = config::SamplingConfig { n: args.n, ..experiment.sampling.clone() };
    if args.n == 0 {
        bail!("--n 0: ask for at least one image");
    }
    let schedule = gbm_sde::Schedule::new(experiment.process.clone())?;
    let seed = args.seed.unwrap_or(experiment.seed);
    let out = generate(&trained, &sampling, experiment.pixels, &schedule, seed, session)?;
    match args.out.extension().and_then(|e| e.to_str()) {
        Some("npz") => reproduce::write_npz(&args.out, &out.images)?,
        Some("png") => figures::sample_grid(out.images.view(), args.n)?.write(&args.out)?,
        _ => bail!("{}: the name must end in .png or .npz", args.out.display()),
    }
    println!("{}", args.out.display());
    Ok(())
}

/// Adds to "nothing to resume" what another run of the same experiment has different.
fn explain_resume(error: anyhow::Error, run: &Run) -> anyhow::Error {
    if !error.to_string().contains("nothing to resume") {
        return error;
    }
    // The folder was made for this attempt; an empty one would only confuse.
    let _ = std::fs::remove_dir_all(&run.folder);
    let Some(parent) = run.folder.parent() else { return error };
    let others = std::fs::read_dir(parent).into_iter().flatten().flatten().map(|e| e.path());
    let near = others
        .filter_map(|path| Some((differences(&stored_experiment(&path).ok()?, &run.experiment).ok()?, path)))
        .min_by_key(|(changes, _)| changes.len());
    match near {
        Some((changes, path)) => error.context(format!(
            "cannot resume: the configuration changed. {} was trained with other settings ({})",
            path.display(),
            changes.join("; ")
        )),
        None => error,
    }
}

fn run_doctor(search: &Search, root: &Path, json: bool) -> Result<()> {
    let findings = doctor::examine(search, root);
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

fn run_data(action: DataAction, search: &Search) -> Result<()> {
    let (json, depth) = match action {
        DataAction::Fetch { name } => {
            let mut bar: Option<(String, Progress)> = None;
            let mut hear = |p: data::Progress<'_>| {
                if bar.as_ref().is_none_or(|(file, _)| file != p.file) {
                    bar = Some((p.file.to_owned(), Progress::new(p.file, "bytes", p.total.unwrap_or(0))));
                }
                if let Some((_, progress)) = &mut bar {
                    progress.set(p.done);
                }
                ControlFlow::Continue(())
            };
            let files = data::fetch_missing(&DataConfig::named(&name), search, &mut hear)?;
            if files.is_empty() {
                println!("{name}: nothing is missing");
            }
            for file in files {
                println!("{file}");
            }
            return Ok(());
        }
        DataAction::List { json } => (json, Depth::Presence),
        DataAction::Verify { json } => (json, Depth::Checksums),
    };
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

/// Parses the command line and runs it; the process's exit code.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    match cli.run().context("") {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            if let Some(stopped) = error.downcast_ref::<Interrupted>() {
                eprintln!("{stopped}");
                return std::process::ExitCode::from(130);
            }
            let messages: Vec<String> = error.chain().map(ToString::to_string).filter(|m| !m.is_empty()).collect();
            let mut said: Vec<String> = Vec::new();
            for message in messages {
                // Errors often repeat their source's text; once is enough.
                if !said.iter().any(|s| s.contains(&message)) {
                    said.push(message);
                }
            }
            eprintln!("error: {}", said.join(": "));
            std::process::ExitCode::FAILURE
        }
    }
}
