//! The commands of `dale`. Results go to standard output and files, everything else to standard error.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use models::device::DeviceChoice;
use tch::Device;

use models::classifier::Shipped;

use self::arguments::{ExperimentArgs, LikelihoodArgs, SampleArgs};
use crate::compare::Request;
use crate::config::{schema, shipped};
use crate::data::{Depth, FetchPolicy, Search};
use crate::extractor::ExtractorArgs;
use crate::log::RunLog;
use crate::run::stored_experiment;
use crate::session::{Interrupted, Session};
use crate::{
    actions, dales_law, export, features, gpu_check, judge, loading, model_show, nearest, orders, paper, recheck,
    reproduce, sweep, training,
};

mod arguments;

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
        /// Fail where the data set is missing, instead of going on with a part of it or with drawn glyphs
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
    /// Weights of a run, averaged over another part of the training than the run did
    Average {
        /// The run's folder, trained with training.averages
        run: PathBuf,
        /// Standard deviation of the average, in parts of the training time
        #[arg(long)]
        width: f64,
        /// As if training had ended at this step; at the last one by default
        #[arg(long)]
        step: Option<u64>,
    },
    /// Repeat the step that a black box holds, and say where its numbers went wrong
    Replay {
        /// The file that training wrote when it stopped
        file: PathBuf,
    },
    /// The network
    Model {
        #[command(subcommand)]
        action: ModelAction,
    },
    /// An experiment once for every cell of a [sweep] table; goes on where it was
    Sweep(sweep::SweepArgs),
    /// One cell, as a worker of a sweep
    #[command(hide = true)]
    SweepCell {
        #[command(flatten)]
        experiment: ExperimentArgs,
        /// The cell's key, by the sweep
        #[arg(long)]
        key: String,
    },
    /// Every sampler at several numbers of network calls, on the same weights; goes on where it was
    CompareSamplers {
        /// A run's folder, or one under results/
        #[arg(default_value = "results/mnist-cpu")]
        run: PathBuf,
        /// Images for each sampler
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
        n: u32,
        /// Network calls of every sampler
        #[arg(long, value_delimiter = ',', default_values_t = [5, 10, 20, 50, 250], value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        calls: Vec<u32>,
        /// Network calls of the paper's own two, besides
        #[arg(long, value_delimiter = ',', default_values_t = [1000], value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        paper_calls: Vec<u32>,
        /// Only these samplers, by name
        #[arg(long, value_delimiter = ',', value_name = "NAMES")]
        only: Vec<String>,
        /// Folder for samplers.json, samplers.md and samplers.svg; the run's by default
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Fail if Dale–Langevin with many calls beats Heun with 40, or anything beats the best with 20 beyond its interval
        #[arg(long)]
        check: bool,
    },
    /// How far images A are from the reference B: folders of PNGs, .npz or .npy arrays, idx files, runs, or files of statistics
    Metrics {
        /// The images to judge
        a: PathBuf,
        /// The reference; for memorization, the training images
        b: PathBuf,
        #[command(flatten)]
        extractor: ExtractorArgs,
        /// Seed of resamples, subsets and directions
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Write A's mean and covariance in pytorch-fid's form
        #[arg(long, value_name = "FILE")]
        write_statistics: Option<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Features of images as a .npy file of N × d numbers (float32), for other programs
    Features {
        /// A folder of PNG pictures, an .npz or .npy array, an idx file, or a run
        images: PathBuf,
        /// File to write
        out: PathBuf,
        #[command(flatten)]
        extractor: ExtractorArgs,
        /// The probabilities of the classes instead
        #[arg(long)]
        classes: bool,
    },
    /// The training images nearest to a run's samples, in pixels and in features: pictures and distances
    Neighbours {
        /// A run's folder
        run: PathBuf,
        /// Samples that are shown
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
        n: u32,
        /// Neighbours of each
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
        k: u32,
        /// Folder for the pictures and neighbours.json; the run's figures/ by default
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Bits per dimension of a run's network, by the probability flow, beside laws in closed form
    Likelihood(LikelihoodArgs),
    /// Every figure of the paper from shipped weights, as SVG and PNG with the numbers as CSV, and an animation of reverse time
    Figures {
        /// Runs, or folders under results/; those that ship by default
        runs: Vec<PathBuf>,
        /// Folder for the page and the charts; runs/figures by default
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// The paper's identities in one dimension, each computed twice by different means, and its two-dimensional figures
    Theory {
        /// Folder for report.html and identities.md; runs/theory by default
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Excitatory and inhibitory units learn to classify by gradient descent and by exponentiated gradient descent
    DalesLaw {
        /// Networks of each rule and start
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
        seeds: u32,
        /// Passes over the training images
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        epochs: u32,
        /// Training images, from the first on; at least 384
        #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(384..))]
        images: u32,
        /// Folder for report.html, dales_law.md, dales_law.json and the charts; runs/dales-law by default
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Draw a chart that a JSON file describes, as SVG
    Chart {
        /// Title, labels, scales, series and rules
        from: PathBuf,
        /// The picture
        to: PathBuf,
    },
    /// The order of every sampler, measured against exact truth; fails where theory does not hold
    Orders {
        /// Folder for report.html, orders.md, orders.csv and the charts; runs/orders by default
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Only these samplers, by name
        #[arg(long, value_delimiter = ',', value_name = "NAMES")]
        only: Vec<String>,
        /// States that stand for the law on practical grids
        #[arg(long, default_value_t = 8192, value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
        states: u32,
        /// Steps of the unconstrained sampler for each rate of changed signs
        #[arg(long, default_value_t = 4_000_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
        draws: u32,
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
    /// Copy what ships of a finished run: weights in half precision, grid, metrics, settings; or of a sweep: records, grids, curves
    Export {
        /// The run's folder, or a sweep's
        run: PathBuf,
        /// Where to, e.g. results/mnist-cpu
        folder: PathBuf,
    },
    /// Sample and judge the shipped weights again, and set the numbers beside those that ship with them
    ResultsCheck {
        /// Folders with weights and metrics; all under results/ by default
        folders: Vec<PathBuf>,
    },
    /// Train the classifier whose features judge the images
    TrainFeatures {
        /// File to write
        out: PathBuf,
        #[command(flatten)]
        experiment: ExperimentArgs,
    },
    /// Check a GPU: correctness, speed, quality, in at most eight minutes; without one, say so
    GpuCheck {
        #[command(flatten)]
        experiment: ExperimentArgs,
        /// The same on the CPU, to see that the command works
        #[arg(long)]
        rehearse: bool,
        /// Folder for gpu-check.json and its chart
        #[arg(long, value_name = "DIR", default_value = "results/gpu-check")]
        out: PathBuf,
    },
    /// Time a training step (see `just bench-pytorch`)
    BenchStep {
        #[command(flatten)]
        experiment: ExperimentArgs,
        /// Steps to time
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        steps: u32,
    },
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
enum ModelAction {
    /// Its layers with shapes, parameters and operations
    Show {
        /// A size such as unet-9m, a weights file, a run's folder, or an experiment's name
        of: String,
        /// A preset of that experiment
        #[arg(long, default_value = "auto")]
        preset: String,
        /// Change a setting, e.g. --set network.classes=10
        #[arg(long = "set", value_name = "KEY=VALUE")]
        set: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Print an experiment, resolved, with the file, preset or --set that each value came from
    Show(ExperimentArgs),
    /// Print the JSON Schema of an experiment's file, for editors
    Schema,
}

/// Folders as given; all that ship with weights if none is.
fn shipping(given: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    if given.is_empty() { export::with_weights(Path::new("results")) } else { Ok(given) }
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// With a message for the user.
    pub fn run(self, log: &RunLog) -> Result<()> {
        let Global { data_dir, offline, device, threads, out_root } = self.global;
        let offline = offline || std::env::var_os("DALE_OFFLINE").is_some_and(|v| !v.is_empty() && v != "0");
        let options = worker_options(data_dir.as_deref(), offline, device, &out_root);
        let policy = if offline { FetchPolicy::Never } else { FetchPolicy::Allow };
        let search = Search::new(data_dir, std::env::var_os("DALE_DATA_DIR").map(PathBuf::from), policy);
        let start = |search| Session::start(device, threads, search, out_root.clone(), log.clone());
        match self.command {
            Command::Doctor { json } => {
                if let Some(threads) = threads {
                    tch::set_num_threads(threads.clamp(1, 1024) as i32);
                }
                actions::doctor(&search, &out_root, json)?;
            }
            Command::Data { action } => match action {
                DataAction::Fetch { name } => actions::fetch(&name, &search)?,
                DataAction::List { json } => actions::list(&search, Depth::Presence, json)?,
                DataAction::Verify { json } => actions::list(&search, Depth::Checksums, json)?,
            },
            Command::Config { action: ConfigAction::Show(args) } => {
                let (_, resolved) = args.resolve_with_origins(Device::Cpu)?;
                print!("{}", resolved.annotated()?);
            }
            Command::Config { action: ConfigAction::Schema } => print!("{}", schema::text()?),
            Command::GpuCheck { mut experiment, rehearse, out } => {
                let session = start(search)?;
                if let Some(why) = gpu_check::nothing_to_check(&session).filter(|_| !rehearse) {
                    println!("{why}");
                    return Ok(());
                }
                if experiment.preset == "auto" {
                    experiment.preset = "gpu".to_owned();
                }
                let (_, mut experiment) = experiment.resolve(session.device)?;
                let (data, _) = loading::load_or_stand_in(&mut experiment, &session, false)?;
                gpu_check::check(&out, experiment, &data, rehearse, &session)?;
            }
            Command::Reproduce { experiment, strict_data, check } => {
                let session = start(search)?;
                let (preset, mut experiment) = experiment.resolve(session.device)?;
                let (data, notice) = loading::load_or_stand_in(&mut experiment, &session, strict_data)?;
                let done = reproduce::reproduce(&preset, experiment, &data, notice.as_deref(), &session)?;
                if check {
                    reproduce::check(&done.evaluation)?;
                }
            }
            Command::Train { experiment, resume } => {
                let session = start(search)?;
                let (preset, experiment) = experiment.resolve(session.device)?;
                actions::train(&preset, experiment, resume, &session)?;
            }
            Command::Features { images, out, extractor, classes } => {
                let wanted = if classes { judge::Wanted::Classes } else { judge::Wanted::Features };
                judge::write_features(&images, &out, &extractor.open(start(search)?.device)?, wanted)?;
            }
            Command::Metrics { a, b, extractor, seed, write_statistics, json } => {
                let device = start(search)?.device;
                let request = judge::Request { sample: a, reference: b, seed, statistics: write_statistics };
                let found = judge::compare(&request, || extractor.open(device))?;
                if json {
                    println!("{}", serde_json::to_string_pretty(&found)?);
                } else {
                    println!("{}", judge::table(&found)?);
                }
            }
            Command::Neighbours { run, n, k, out } => {
                let session = start(search)?;
                let data = loading::load_for(&stored_experiment(&run)?, &session)?;
                let folder = out.unwrap_or_else(|| run.join("figures"));
                let request = nearest::Request { run, shown: n as usize, k: k as usize, folder };
                for path in nearest::write(&request, &data, &session)? {
                    println!("{}", path.display());
                }
            }
            Command::Average { run, width, step } => {
                println!("{}", training::averages::reconstruct(&run, width, step)?.display());
            }
            Command::Replay { file } => training::blackbox::replay(&file, start(search)?.device)?,
            Command::Model { action: ModelAction::Show { of, preset, set, json } } => {
                let resolve = || ExperimentArgs { experiment: of.clone(), preset, set }.resolve(Device::Cpu);
                model_show::show(&of, || Ok(resolve()?.1.network), json)?;
            }
            Command::Sample(args) => {
                let SampleArgs { run, n, out, seed, set, weights } = args;
                let request = actions::SampleRequest { n: n as usize, seed, set, weights };
                actions::sample(&run, &out, &request, &start(search)?)?;
            }
            Command::Sweep(args) => {
                let around = sweep::Surroundings { options, threads };
                sweep::command(args, around, &start(search)?)?;
            }
            Command::SweepCell { experiment, key } => {
                let session = start(search)?;
                let (preset, experiment) = experiment.resolve(session.device)?;
                sweep::cells::unchanged(&experiment, &key)?;
                sweep::worker::work(&preset, experiment, &session)?;
            }
            Command::CompareSamplers { run, n, calls, paper_calls, only, out, check } => {
                let folder = out.unwrap_or_else(|| run.clone());
                let counts = |list: Vec<u32>| list.into_iter().map(|c| c as usize).collect();
                let request = Request { n: n as usize, calls: counts(calls), paper_calls: counts(paper_calls), only };
                let failed = actions::compare_samplers(&run, &folder, &request, &start(search)?)?;
                if check && !failed.is_empty() {
                    bail!("check: {}", failed.join(" "));
                }
            }
            Command::Likelihood(args) => {
                actions::likelihood(&args.run, args.out.as_deref(), &args.request(), &start(search)?)?;
            }
            Command::ResultsCheck { folders } => recheck::check(&shipping(folders)?, &start(search)?)?,
            Command::Figures { runs, out } => {
                let runs = shipping(runs)?;
                paper::write(&runs, &out.unwrap_or_else(|| out_root.join("figures")), &start(search)?)?;
            }
            Command::Theory { out } => {
                let mut experiment = shipped::experiment("mnist")?.resolve(Some("cpu"), &[])?.experiment;
                actions::theory(&out.unwrap_or_else(|| out_root.join("theory")), &mut experiment, &start(search)?)?;
            }
            Command::DalesLaw { seeds, epochs, images, out } => {
                let mut experiment = shipped::experiment("mnist")?.resolve(Some("cpu"), &[])?.experiment;
                let request =
                    dales_law::Request { seeds: seeds as usize, epochs: epochs as usize, images: images as usize };
                let folder = out.unwrap_or_else(|| out_root.join("dales-law"));
                actions::dales_law(&folder, &mut experiment, request, &start(search)?)?;
            }
            Command::Chart { from, to } => crate::chart::draw(&from, &to)?,
            Command::Orders { out, only, states, draws } => {
                let request = orders::Request { only, states: states as usize, draws: draws.into() };
                actions::orders(&out.unwrap_or_else(|| out_root.join("orders")), &request, &start(search)?)?;
            }
            Command::Export { run, folder } => export::export(&run, &folder)?,
            Command::TrainFeatures { out, experiment } => {
                let session = start(search)?;
                let (_, experiment) = experiment.resolve(session.device)?;
                let data = loading::load(&experiment.data, &session)?;
                features::train_and_write(Shipped::of_data(&data.name), &data, &out, &session)?;
            }
            Command::BenchStep { experiment, steps } => {
                let session = start(search)?;
                let (_, experiment) = experiment.resolve(session.device)?;
                println!("{}", crate::bench_step::time(&experiment, steps as usize, &session)?);
            }
        }
        Ok(())
    }
}

/// The options of every command but `--threads`, for a process of the same program.
fn worker_options(data_dir: Option<&Path>, offline: bool, device: DeviceChoice, out_root: &Path) -> Vec<OsString> {
    let mut options: Vec<OsString> = vec!["--device".into(), device.to_string().into()];
    options.extend(["--out-root".into(), out_root.into()]);
    options.extend(data_dir.into_iter().flat_map(|dir| ["--data-dir".into(), dir.into()]));
    options.extend(offline.then(|| "--offline".into()));
    options
}

/// Parses the command line and runs it; the process's exit code. `log` is where a run's log goes.
#[must_use]
pub fn main(log: RunLog) -> std::process::ExitCode {
    let cli = Cli::parse();
    match cli.run(&log) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            if let Some(stopped) = error.downcast_ref::<Interrupted>() {
                eprintln!("{stopped}");
                let _ = writeln!(&log, "{stopped}");
                return std::process::ExitCode::from(130);
            }
            let messages: Vec<String> = error.chain().map(first_part).collect();
            let mut said: Vec<String> = Vec::new();
            for message in messages {
                // Errors often repeat their source's text; once is enough.
                if !said.iter().any(|s| s.contains(&message)) {
                    said.push(message);
                }
            }
            let text = format!("error: {}", said.join(": "));
            eprintln!("{text}");
            let _ = writeln!(&log, "{text}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// libtorch adds the frames of its own stack to a message; they are for its developers.
fn first_part(error: &(dyn std::error::Error + 'static)) -> String {
    let text = error.to_string();
    text.split("\nException raised from").next().unwrap_or_default().trim_end().to_owned()
}
