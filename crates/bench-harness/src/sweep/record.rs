//! What became of each cell: `cells.jsonl` in the sweep's folder, one line a cell, appended when it ends.
//!
//! A sweep goes on from it. Each shard has a file of its own; reading joins them all, and of two lines on one cell the later one in its
//! file counts, a success before a failure.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use models::precision::Precision;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cells::{Cell, Shard};
use crate::evaluate::Score;

/// What a cell's numbers were made by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Maker {
    /// What the network was trained in.
    pub precision: Precision,
    /// The device, with its threads.
    pub device: String,
    /// The processor's name.
    pub processor: String,
    /// Revision of the source.
    pub revision: Option<String>,
}

impl Maker {
    /// The number format's name.
    #[must_use]
    pub fn format(&self) -> String {
        format!("{:?}", self.precision).to_lowercase()
    }
}

/// What a worker says of a cell that it finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The samples' distances, with their protocol.
    pub score: Score,
    /// Seconds of training, all sittings together.
    pub training_seconds: f64,
    /// Seconds of sampling.
    pub sampling_seconds: f64,
    /// Seconds of this sitting for all but training and sampling.
    pub other_seconds: f64,
    /// Images for which the network's output was not finite.
    #[serde(default)]
    pub diverged: usize,
    /// Most memory that the worker held, in bytes.
    pub peak_memory: Option<u64>,
    /// The run's folder.
    pub folder: PathBuf,
    /// By what; none in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Maker>,
}

/// How a cell ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Status {
    /// With numbers.
    Ok(Box<Outcome>),
    /// With an error.
    Failed {
        /// Its message.
        error: String,
    },
}

/// One line of `cells.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The cell's key.
    pub key: String,
    /// Axes and labels.
    pub settings: Map<String, Value>,
    /// What was laid over the experiment.
    pub set: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// Seconds of this sitting.
    pub seconds: f64,
    /// How it ended.
    #[serde(flatten)]
    pub status: Status,
}

impl Record {
    /// The record of a cell.
    #[must_use]
    pub fn new(cell: &Cell, seconds: f64, status: Status) -> Self {
        let settings = cell.settings.iter().map(|(axis, label)| (axis.clone(), label.clone().into())).collect();
        Self { key: cell.key.clone(), settings, set: cell.assignments.clone(), seed: cell.seed, seconds, status }
    }

    /// Its numbers, if it has some.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.status {
            Status::Ok(outcome) => Some(outcome),
            Status::Failed { .. } => None,
        }
    }

    /// Its label on an axis; none where it does not have the axis.
    #[must_use]
    pub fn label(&self, axis: &str) -> Option<&str> {
        self.settings.get(axis).and_then(Value::as_str)
    }

    /// Settings and seed on one line.
    #[must_use]
    pub fn name(&self) -> String {
        let settings = self.settings.keys().filter_map(|axis| Some(format!("{axis} = {}", self.label(axis)?)));
        settings.chain([format!("seed = {}", self.seed)]).collect::<Vec<_>>().join(", ")
    }
}

/// A file of records that this process writes; no other may.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the file of a whole sweep, or of a shard, to append.
    ///
    /// # Errors
    /// If it cannot be written, or another program writes it.
    pub fn open(folder: &Path, shard: Option<Shard>) -> Result<Self> {
        let name = shard.map_or("cells.jsonl".to_owned(), |s| format!("cells-{}-of-{}.jsonl", s.index, s.count));
        let path = folder.join(name);
        let file = OpenOptions::new().create(true).append(true).read(true).open(&path);
        let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                bail!("{}: another dale is working on this sweep", path.display())
            }
            // A file system without locks.
            Err(std::fs::TryLockError::Error(error)) => tracing::warn!("{}: {error}", path.display()),
        }
        // A line that was cut off, by a full disk or a power failure, must not swallow the next one.
        let length = file.metadata()?.len();
        if length > 0 {
            let mut last = [0];
            file.seek(SeekFrom::Start(length - 1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        Ok(Self { file, path })
    }

    /// Appends a record as one line, in one write.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let line = serde_json::to_string(record)? + "\n";
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// All records of a sweep's folder, one for each cell; none where there is no folder yet.
///
/// # Errors
/// If a file cannot be read. Lines that are not records are skipped with a warning.
pub fn read(folder: &Path) -> Result<Vec<Record>> {
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|e| e.path()).filter(|p| is_journal(p)).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    paths.sort();
    let mut records: Vec<Record> = Vec::new();
    for path in paths {
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        for (number, line) in String::from_utf8_lossy(&text).lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let Ok(record) = serde_json::from_str::<Record>(line) else {
                tracing::warn!("{}: line {} is not a record; skipped", path.display(), number + 1);
                continue;
            };
            match records.iter_mut().find(|other| other.key == record.key) {
                Some(other) if other.outcome().is_none() || record.outcome().is_some() => *other = record,
                Some(_) => {}
                None => records.push(record),
            }
        }
    }
    Ok(records)
}

fn is_journal(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    name.starts_with("cells") && name.ends_with(".jsonl")
}

/// Refuses records whose numbers were not made by one protocol.
///
/// # Errors
/// Names two cells, the field in which their protocols differ, and both values.
pub fn one_protocol<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
    let mut first: Option<(&Record, &Outcome)> = None;
    for record in records {
        let Some(outcome) = record.outcome() else { continue };
        let Some((other, known)) = first else {
            first = Some((record, outcome));
            continue;
        };
        let same = known.score.fingerprint.comparable(&outcome.score.fingerprint);
        same.with_context(|| format!("the cells ({}) and ({})", other.name(), record.name()))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(crate) mod tests;
