//! A sweep's file: which experiment, and the `[sweep]` table with its axes.
//!
//! ```toml
//! experiment = "mnist"                  # a file, or the name of one in experiments/
//! preset = "cpu"
//! set = ["training.steps=1000"]         # for all cells
//!
//! [sweep]
//! name = "weights"
//! seeds = [1, 2, 3]
//!
//! [sweep.grid]                          # every value with every other
//! "training.weight" = ["edm", "paper"]
//! "sampling.sampler" = [{ label = "Heun", value = { kind = "heun" } }, { kind = "stochastic-heun", churn = 8.0 }]
//!
//! [[sweep.zip]]                         # lists that go together: one axis
//! "sampling.grid.r_max" = [1.5, 4.0]
//! "training.time.r_max" = [1.9, 5.0]
//!
//! [[sweep.when]]                        # axes of those cells only that match
//! if = { "sampling.sampler.kind" = "stochastic-heun" }
//! grid = { "sampling.sampler.churn" = [0.0, 8.0] }
//! ```
//!
//! A key is a setting of the experiment, as `--set` takes it. A table with just the keys `label` and `value` names its value for
//! tables and charts. A zipped table may hold `name`, the axis's name, and `labels`, a list beside the others.
//!
//! A file may say `extends = "other.toml"`, a sweep beside it, and holds what differs; lists, zipped tables among them, are replaced whole.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::axis::{Axis, flatten, grid, zipped};
use crate::config::{ConfigError, explain, overlaid};

/// Why a sweep was refused.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a sweep: not TOML, an unknown key or a wrong type.
    #[error("{path}: {message}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// An axis or a name that makes no sense.
    #[error("{path}: {key}: {reason}", path = path.display())]
    Axis {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
    /// A cell whose settings the experiment refuses.
    #[error("{path}: the cell {cell}: {source}", path = path.display())]
    Cell {
        /// The sweep's file.
        path: PathBuf,
        /// The cell's settings.
        cell: String,
        /// What the experiment said.
        source: Box<ConfigError>,
    },
}

/// Axes of some cells only.
#[derive(Clone, Debug, PartialEq)]
pub struct When {
    /// What a cell's settings must be.
    pub condition: Vec<(String, Value)>,
    /// The axes that it then has.
    pub axes: Vec<Axis>,
}

/// A sweep's file, read.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepFile {
    /// The file.
    pub path: PathBuf,
    /// Its text, with that of the file that it extends: a sweep's folder needs no other.
    pub text: String,
    /// The experiment: a file, or the name of one in `experiments/`.
    pub experiment: String,
    /// A preset of it.
    pub preset: String,
    /// Settings of all cells.
    pub set: Vec<String>,
    /// The sweep's name: its folder.
    pub name: String,
    /// What the page over it is headed by; its name otherwise.
    pub title: Option<String>,
    /// What it is about, for that page.
    pub about: Option<String>,
    /// Seeds of every cell; the experiment's own when empty.
    pub seeds: Vec<u64>,
    /// Axes of all cells.
    pub axes: Vec<Axis>,
    /// Axes of some cells.
    pub when: Vec<When>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    experiment: String,
    #[serde(default = "auto")]
    preset: String,
    #[serde(default)]
    set: Vec<String>,
    sweep: RawSweep,
}

fn auto() -> String {
    "auto".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSweep {
    name: String,
    title: Option<String>,
    about: Option<String>,
    #[serde(default)]
    seeds: Vec<u64>,
    #[serde(default)]
    grid: Table,
    #[serde(default)]
    zip: Vec<Table>,
    #[serde(default)]
    when: Vec<RawWhen>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWhen {
    #[serde(rename = "if")]
    condition: Table,
    grid: Table,
}

fn text(path: &Path) -> Result<String, SweepError> {
    fs::read_to_string(path).map_err(|source| SweepError::Read { path: path.to_owned(), source })
}

fn table(path: &Path, text: &str) -> Result<Table, SweepError> {
    toml::from_str(text).map_err(|e| syntax(path, &e))
}

fn syntax(path: &Path, error: &toml::de::Error) -> SweepError {
    SweepError::Syntax { path: path.to_owned(), message: explain(error) }
}

impl SweepFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`SweepError`], naming the file and the key.
    pub fn read(path: &Path) -> Result<Self, SweepError> {
        let text = text(path)?;
        let mut own = table(path, &text)?;
        let Some(base) = own.remove("extends") else { return Self::parse(path, text) };
        let named = own.get("sweep").and_then(|sweep| sweep.get("name")).is_some();
        let refuse = |reason| SweepError::Axis { path: path.to_owned(), key: "extends".to_owned(), reason };
        let name = base.as_str().ok_or_else(|| refuse(format!("{base} is not a name")))?;
        let base_path = path.parent().unwrap_or(Path::new("")).join(name);
        if !named {
            return Err(refuse(format!("the sweep needs a name of its own in [sweep], not that of {name}")));
        }
        let text = self::text(&base_path)?;
        let base = table(&base_path, &text)?;
        if base.contains_key("extends") {
            return Err(refuse(format!("{name} extends a file itself")));
        }
        // What is wrong with it is said of it, not of this file.
        Self::parse(&base_path, text)?;
        Self::parse(path, format!("# Upon {name}\n{}", overlaid(base, own)))
    }

    /// As [`Self::read`], for a text that is already read; `path` is for messages.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(path: &Path, text: String) -> Result<Self, SweepError> {
        let RawFile { experiment, preset, set, mut sweep } = toml::from_str(&text).map_err(|e| syntax(path, &e))?;
        let refuse =
            |key: &str, reason: String| SweepError::Axis { path: path.to_owned(), key: key.to_owned(), reason };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if sweep.name.is_empty() || !sweep.name.chars().all(plain) {
            let reason = format!("{:?} must be made of letters, digits, - and _", sweep.name);
            return Err(refuse("sweep.name", reason));
        }
        let mut sorted = sweep.seeds.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(refuse("sweep.seeds", format!("{} stands there twice", pair[0])));
        }
        let mut axes = grid(&sweep.grid).map_err(|(key, reason)| refuse(&key, reason))?;
        for table in std::mem::take(&mut sweep.zip) {
            axes.push(zipped(table).map_err(|(key, reason)| refuse(&key, reason))?);
        }
        let mut when = Vec::new();
        for RawWhen { condition, grid: table } in std::mem::take(&mut sweep.when) {
            let mut flat = Vec::new();
            for (key, value) in condition {
                flatten(&key, &value, &mut flat);
            }
            if flat.is_empty() {
                return Err(refuse("sweep.when", "`if` is empty: axes of all cells belong into [sweep.grid]".into()));
            }
            when.push(When { condition: flat, axes: grid(&table).map_err(|(key, reason)| refuse(&key, reason))? });
        }
        let RawSweep { name, title, about, seeds, .. } = sweep;
        Ok(Self { path: path.to_owned(), text, experiment, preset, set, name, title, about, seeds, axes, when })
    }

    /// Puts a preset in place of `auto`, in its text as well.
    ///
    /// # Errors
    /// None that can happen: the text was read before.
    pub fn settle(&mut self, preset: &str) -> Result<(), SweepError> {
        let mut body = table(&self.path, &self.text)?;
        body.insert("preset".to_owned(), Value::String(preset.to_owned()));
        preset.clone_into(&mut self.preset);
        self.text = body.to_string();
        Ok(())
    }

    /// Its title, or its name.
    #[must_use]
    pub fn heading(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }
}
