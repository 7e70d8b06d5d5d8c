//! Sweeps: `dale sweep FILE` runs an experiment once for every cell of a `[sweep]` table.
//!
//! | module | idea |
//! |---|---|
//! | [`table`] | the file |
//! | [`axis`] | its axes: grids and zipped lists |
//! | [`cells`] | from axes to cells, groups that share a training, shards |
//! | [`estimate`] | time and disk before anything runs |
//! | [`plan`] | what `--dry-run` shows |
//! | [`run`] | parallel workers, each a process within its limit of memory |
//! | [`worker`] | what such a process does |
//! | [`record`] | `cells.jsonl`, from which a sweep goes on |
//! | [`folder`] | a sweep's folder, read |
//! | [`keep`] | grids and curves of cells that ended; shipping and taking over |
//! | [`results`] | CSV and Parquet |
//! | [`effects`] | main effects, quality against cost |
//! | [`plots`] | charts and page |
//! | [`pictures`] | grids and curves for pages |
//! | [`compare`] | two sweeps side by side |
//! | [`beside`] | the shipped comparison beside a run |
//! | [`show`] | one page over several sweeps |
//!
//! All of it stands in `<out-root>/sweeps/<name>/`; the runs themselves stand where any run of the experiment does, and a cell whose
//! training is finished there does not train again.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use models::write::write_atomically;

use self::cells::{Base, Cell, Shard};
use self::folder::Sweep;
use self::record::{Journal, Record};
use self::run::{Limits, Program};
use self::table::SweepFile;
use crate::config::shipped;
use crate::session::{Interrupted, Session};
use crate::{loading, reproduce};

pub mod axis;
pub mod beside;
pub mod cells;
pub mod compare;
pub mod effects;
pub mod estimate;
pub mod folder;
pub mod keep;
pub mod pictures;
pub mod plan;
pub mod plots;
pub mod record;
pub mod results;
pub mod run;
pub mod show;
pub mod table;
pub mod worker;

/// Arguments of `dale sweep`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct SweepArgs {
    #[command(subcommand)]
    action: Option<SweepAction>,
    /// A file with a [sweep] table, such as experiments/sweeps/weights.toml
    #[arg(required = true, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Show the cells, the time and the disk they will take, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Cells at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    jobs: u32,
    /// Most memory of each cell's process, e.g. 4GiB; one that holds more is ended and recorded as failed
    #[arg(long, value_name = "SIZE", value_parser = run::parse_bytes)]
    memory: Option<u64>,
    /// Only part i of n, for job arrays; cells that share a training stay together
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Run cells that failed again
    #[arg(long)]
    retry: bool,
    /// Take over cells that ended elsewhere: the folder of the same sweep from another machine, or under results/
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
    /// Run nothing; write tables, charts and the page of what has ended
    #[arg(long, conflicts_with = "dry_run")]
    report: bool,
}

#[derive(Debug, Subcommand)]
enum SweepAction {
    /// The cells that two sweeps share, with differences and intervals
    Compare {
        /// A sweep's folder, or its name
        a: PathBuf,
        /// Another's
        b: PathBuf,
    },
    /// One page over several sweeps: a table of each with its grids side by side, and the curves of trainings
    Show {
        /// Folders of sweeps, or their names
        #[arg(required = true)]
        sweeps: Vec<PathBuf>,
        /// Title of the page
        #[arg(long, default_value = "Recipes side by side")]
        title: String,
        /// Folder for report.html, tables.md and the charts
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

/// What `dale sweep` needs to know of the program's other options.
#[derive(Debug)]
pub struct Surroundings {
    /// Options to start workers with, but `--threads`.
    pub options: Vec<OsString>,
    /// Threads of each worker; the cores divided by the jobs by default.
    pub threads: Option<usize>,
}

/// Runs the command.
///
/// # Errors
/// A file that is no sweep, cells that the experiment refuses, cells that failed, numbers of different protocols.
pub fn command(args: SweepArgs, around: Surroundings, session: &Session) -> Result<()> {
    match &args.action {
        Some(SweepAction::Compare { a, b }) => {
            println!("{}", compare::compare(a, b, &session.root)?.to_text());
            return Ok(());
        }
        Some(SweepAction::Show { sweeps, title, out }) => return show::command(sweeps, title, out, &session.root),
        None => {}
    }
    let path = args.file.as_deref().context("no sweep's file was given")?;
    let mut file = SweepFile::read(path)?;
    let layers = shipped::find(&file.experiment).with_context(|| path.display().to_string())?;
    let automatic = if session.device.is_cuda() { "gpu" } else { "cpu" };
    if file.preset == "auto" {
        // What is kept of the sweep says which it was, whatever machine reads it.
        file.settle(automatic)?;
    }
    let cells = cells::expand(&file, Base { layers: &layers, preset: &file.preset })?;
    let folder = session.root.join("sweeps").join(&file.name);
    let mut records = record::read(&folder)?;
    for other in &args.from {
        let found = keep::adoptable(&records, &cells, other)?;
        if !args.dry_run {
            keep::adopt(&folder, &found, other)?;
            tracing::info!("{}: {} cells taken over", other.display(), found.len());
        }
        // A success from elsewhere stands in place of a failure here.
        records.retain(|record| !found.iter().any(|taken| taken.key == record.key));
        records.extend(found);
    }
    let groups = match args.shard {
        Some(shard) => shard.of(cells::groups(&cells)),
        None => cells::groups(&cells),
    };
    let groups = to_do(cells::seed_by_seed(groups), &records, args.retry);
    if args.dry_run {
        let limits = Limits { jobs: args.jobs as usize, memory: args.memory }.within_free_memory();
        // A step is timed with as many threads as a worker would have.
        tch::set_num_threads(threads(&around, limits).clamp(1, 1024) as i32);
        println!("{}", plan::describe(&cells, groups, &records, limits.jobs, session)?);
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the sweep's folder {}", folder.display()))?;
    write_atomically(&folder.join("sweep.toml"), file.text.as_bytes())?;
    if !args.report && !groups.is_empty() {
        ready(&groups, session)?;
        let journal = Journal::open(&folder, args.shard)?;
        let limits = Limits { jobs: args.jobs as usize, memory: args.memory }.within_free_memory();
        let program = program(&file, &folder, around, limits)?;
        let tally = run::run(groups, &program, limits, journal, session)?;
        tracing::info!("{} cells finished, {} failed", tally.finished, tally.failed);
        if session.interrupted() {
            let text = "stopped; cells that ended are recorded. Repeat the command to go on";
            return Err(Interrupted(text.to_owned()).into());
        }
    }
    report(&folder, file, cells)
}

/// Refuses what would fail in every worker, before any starts: data that are not at hand, images that cannot be judged.
fn ready(groups: &[Vec<&Cell>], session: &Session) -> Result<()> {
    let mut seen = Vec::new();
    for cell in groups.iter().flatten() {
        let e = &cell.experiment;
        if !seen.contains(&(&e.data, e.network.size)) {
            seen.push((&e.data, e.network.size));
            reproduce::can_judge(e)?;
            loading::load_for(e, session)?;
        }
    }
    Ok(())
}

/// Groups without the cells that have ended.
fn to_do<'a>(groups: Vec<Vec<&'a Cell>>, records: &[Record], retry: bool) -> Vec<Vec<&'a Cell>> {
    let ended = |cell: &Cell| {
        let found = records.iter().find(|record| record.key == cell.key);
        found.is_some_and(|record| !retry || record.outcome().is_some())
    };
    let left = |group: Vec<&'a Cell>| group.into_iter().filter(|cell| !ended(cell)).collect::<Vec<_>>();
    groups.into_iter().map(left).filter(|group| !group.is_empty()).collect()
}

/// Threads of each worker.
fn threads(around: &Surroundings, limits: Limits) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    around.threads.unwrap_or_else(|| (cores / limits.jobs).max(1))
}

fn program(file: &SweepFile, folder: &Path, around: Surroundings, limits: Limits) -> Result<Program> {
    let threads = threads(&around, limits);
    let mut options = around.options;
    options.extend(["--threads".into(), threads.to_string().into()]);
    Ok(Program {
        path: std::env::current_exe().context("finding this program")?,
        options,
        experiment: file.experiment.clone(),
        folder: folder.to_owned(),
        logs: folder.join("logs"),
    })
}

/// Writes and prints what is known of the sweep's cells, in their order.
fn report(folder: &Path, file: SweepFile, cells: Vec<Cell>) -> Result<()> {
    let records = folder::of_cells(record::read(folder)?, &cells, folder)?;
    let sweep = Sweep { folder: folder.to_owned(), file, cells, records };
    let Sweep { cells, records, .. } = &sweep;
    for record in records {
        let cell = cells.iter().find(|cell| cell.key == record.key);
        if let Some((cell, outcome)) = cell.zip(record.outcome()) {
            keep::keep(folder, cell, outcome)?;
        }
    }
    results::write(folder, records)?;
    let page = plots::write(&sweep)?;
    let finished = sweep.finished();
    println!("{}", plots::table(&effects::settings(&finished))?.to_text());
    println!("\n  results  {}", folder.join("results.csv").display());
    println!("  report   {}", page.display());
    let (missing, failed) = (cells.len() - records.len(), records.len() - finished.len());
    if missing > 0 {
        println!("  {missing} of {} cells have not ended", cells.len());
    }
    if failed > 0 {
        bail!("{failed} of {} cells failed; {} has their errors, --retry runs them again", cells.len(), page.display());
    }
    Ok(())
}
