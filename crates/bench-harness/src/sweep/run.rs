//! Workers: one process for each cell, several at a time, each within its limit of memory.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::cells::Cell;
use super::keep;
use super::record::{Journal, Outcome, Record, Status};
use crate::progress::{Progress, human_seconds};
use crate::session::Session;

/// How often a worker is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What every worker is started with.
#[derive(Clone, Debug)]
pub struct Program {
    /// The `dale` program.
    pub path: PathBuf,
    /// Options of every command: device, threads, folders.
    pub options: Vec<OsString>,
    /// The experiment's file or name.
    pub experiment: String,
    /// The sweep's folder.
    pub folder: PathBuf,
    /// Folder of the workers' logs.
    pub logs: PathBuf,
}

/// What workers may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Workers at a time, at least 1.
    pub jobs: usize,
    /// Most memory of each, in bytes.
    pub memory: Option<u64>,
}

impl Limits {
    /// The same with no more workers than memory that is free now.
    #[must_use]
    pub fn within_free_memory(self) -> Self {
        let Some((memory, free)) = self.memory.zip(free_memory()) else { return self };
        let fit = usize::try_from(free / memory.max(1)).unwrap_or(usize::MAX).max(1);
        if fit < self.jobs {
            tracing::warn!("--jobs {}: {} of memory are free, enough for {fit} at a time", self.jobs, bytes(free));
        }
        Self { jobs: self.jobs.min(fit), ..self }
    }
}

/// How many cells ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// With numbers.
    pub finished: usize,
    /// With an error.
    pub failed: usize,
}

struct Shared<'a> {
    queue: Mutex<VecDeque<Vec<&'a Cell>>>,
    ends: Mutex<(Journal, Progress, Tally)>,
}

/// Runs groups of cells; each group by one worker at a time, in order. A failing cell is recorded and the rest goes on.
///
/// # Errors
/// If a worker cannot be started or a record cannot be written. After Ctrl-C, what ended is recorded; see [`Session::interrupted`].
pub fn run(
    groups: Vec<Vec<&Cell>>,
    program: &Program,
    limits: Limits,
    journal: Journal,
    session: &Session,
) -> Result<Tally> {
    fs::create_dir_all(&program.logs).with_context(|| program.logs.display().to_string())?;
    let total = groups.iter().map(Vec::len).sum::<usize>() as u64;
    let workers = limits.jobs.clamp(1, groups.len().max(1));
    let ends = Mutex::new((journal, Progress::new("sweep", "cells", total), Tally::default()));
    let shared = Shared { queue: Mutex::new(groups.into()), ends };
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..workers).map(|_| scope.spawn(|| take_groups(&shared, program, limits, session))).collect();
        let gone = |_| Err(anyhow::anyhow!("a worker's thread ended by itself"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(gone)).collect()
    });
    let (_, progress, tally) = shared.ends.into_inner().unwrap_or_else(PoisonError::into_inner);
    progress.finish();
    results.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(tally)
}

fn take_groups(shared: &Shared<'_>, program: &Program, limits: Limits, session: &Session) -> Result<()> {
    loop {
        // Not `while let`, which would hold the lock for the whole turn.
        let Some(group) = lock(&shared.queue).pop_front() else { return Ok(()) };
        for cell in group {
            if session.interrupted() {
                return Ok(());
            }
            let started = Instant::now();
            // What cannot even be started would fail for all.
            let Some(status) = attempt(cell, program, limits, session).inspect_err(|_| lock(&shared.queue).clear())?
            else {
                return Ok(());
            };
            let record = Record::new(cell, started.elapsed().as_secs_f64(), status);
            let mut ends = lock(&shared.ends);
            let (journal, progress, tally) = &mut *ends;
            journal.append(&record).inspect_err(|_| lock(&shared.queue).clear())?;
            match &record.status {
                Status::Ok(outcome) => {
                    tally.finished += 1;
                    let (fid, took) = (outcome.score.cnn_fid, human_seconds(record.seconds));
                    tracing::info!("{}: cnn-fid {fid:.2} ± {:.2}, {took}", cell.name(), outcome.score.cnn_fid_sd);
                    keep::keep(&program.folder, cell, outcome)?;
                }
                Status::Failed { error } => {
                    tally.failed += 1;
                    tracing::warn!("{}: failed: {error}", cell.name());
                }
            }
            progress.add(1);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one cell; none if the user stopped it.
fn attempt(cell: &Cell, program: &Program, limits: Limits, session: &Session) -> Result<Option<Status>> {
    let log = program.logs.join(format!("{}.txt", cell.key));
    let said = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(&program.path);
    command.args(&program.options).arg("sweep-cell").arg(&program.experiment).args(["--preset", &cell.preset]);
    command.args(["--key", &cell.key]);
    command.args(cell.assignments.iter().flat_map(|set| ["--set", set]));
    // Standard input stays open as long as this process lives; the worker leaves when it closes.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(said);
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program.path.display()))?;
    let (status, ended) = watch(&mut child, limits.memory, session)?;
    let mut printed = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        let _ = stdout.read_to_string(&mut printed);
    }
    if let Some(error) = ended {
        return Ok(Some(Status::Failed { error }));
    }
    if status.success() {
        let found = printed.lines().last().and_then(|line| serde_json::from_str::<Outcome>(line).ok());
        let error = "the worker ended without numbers".to_owned();
        return Ok(Some(found.map_or(Status::Failed { error }, |outcome| Status::Ok(Box::new(outcome)))));
    }
    if session.interrupted() {
        return Ok(None);
    }
    Ok(Some(Status::Failed { error: last_error(&log).unwrap_or_else(|| format!("the worker ended with {status}")) }))
}

/// Waits for a worker; also why it was ended, if it was.
fn watch(child: &mut Child, limit: Option<u64>, session: &Session) -> Result<(ExitStatus, Option<String>)> {
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait().context("waiting for a worker")? {
            return Ok((status, None));
        }
        if session.interrupted() && !told {
            // It saves a checkpoint and leaves. A terminal has told it already; a scheduler has not.
            told = true;
            let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
        }
        if let Some((limit, used)) = limit.zip(resident(child.id())).filter(|(limit, used)| used > limit) {
            child.kill().context("ending a worker")?;
            let status = child.wait().context("waiting for a worker")?;
            let error = format!("ended: it held {} of memory, above the limit of {}", bytes(used), bytes(limit));
            return Ok((status, Some(error)));
        }
        std::thread::sleep(LOOK);
    }
}

/// The error that a worker's log ends with.
fn last_error(log: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(log).ok()?).into_owned();
    let at = text.rfind("error: ").map(|at| at + "error: ".len()).or_else(|| text.rfind("panicked at"))?;
    Some(text[at..].trim().to_owned())
}

/// Memory that a process holds, in bytes, where the system tells.
fn resident(id: u32) -> Option<u64> {
    kibibytes(&fs::read_to_string(format!("/proc/{id}/status")).ok()?, "VmRSS:")
}

/// Memory that can be had without swapping.
fn free_memory() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Bytes for people.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [(&str, f64); 3] = [("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0), ("KiB", 1024.0)];
    let n = n as f64;
    UNITS
        .iter()
        .find(|(_, size)| n >= *size)
        .map_or_else(|| format!("{n} bytes"), |(unit, size)| format!("{:.1} {unit}", n / size))
}

/// A size such as `4GiB`, `500M` or `2000000`, in bytes.
///
/// # Errors
/// Says what a size looks like.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let size = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1.0),
        "k" | "kib" => Some(1024.0),
        "m" | "mib" => Some(1_048_576.0),
        "g" | "gib" => Some(1_073_741_824.0),
        "kb" => Some(1e3),
        "mb" => Some(1e6),
        "gb" => Some(1e9),
        _ => None,
    };
    let parsed = number.parse::<f64>().ok().zip(size).map(|(number, size)| number * size);
    parsed.filter(|n| *n >= 1.0).map(|n| n as u64).ok_or_else(|| format!("{text:?} is no size, such as 4GiB or 500M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!(parse_bytes("4GiB"), Ok(4 << 30));
        assert_eq!(parse_bytes("1.5g"), Ok(3 << 29));
        assert_eq!(parse_bytes("500MB"), Ok(500_000_000));
        assert_eq!(parse_bytes("123"), Ok(123));
        for wrong in ["", "GiB", "4 apples", "0", "-1"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!((bytes(3 << 29), bytes(12)), ("1.5 GiB".to_owned(), "12 bytes".to_owned()));
    }

    #[test]
    fn memory_of_this_process_is_known_and_limits_jobs() {
        let own = resident(std::process::id()).unwrap();
        assert!(own > 1 << 20 && own < free_memory().unwrap() * 100, "{own}");
        let limits = Limits { jobs: 1000, memory: Some(free_memory().unwrap() / 3) }.within_free_memory();
        assert!((2..=4).contains(&limits.jobs), "{limits:?}");
        assert_eq!(Limits { jobs: 3, memory: Some(u64::MAX) }.within_free_memory().jobs, 1);
        assert_eq!(Limits { jobs: 3, memory: None }.within_free_memory().jobs, 3);
    }
}
