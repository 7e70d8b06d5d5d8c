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

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::config::{ConfigError, explain};

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
        source: ConfigError,
    },
}

/// A value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its name in tables and charts.
    pub label: String,
    /// Keys and values that it sets.
    pub assignments: Vec<(String, Value)>,
}

/// What is varied.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The key, or a name for several.
    pub name: String,
    /// What it takes, at least one.
    pub choices: Vec<Choice>,
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
    /// Its text.
    pub text: String,
    /// The experiment: a file, or the name of one in `experiments/`.
    pub experiment: String,
    /// A preset of it.
    pub preset: String,
    /// Settings of all cells.
    pub set: Vec<String>,
    /// The sweep's name: its folder.
    pub name: String,
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

impl SweepFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`SweepError`], naming the file and the key.
    pub fn read(path: &Path) -> Result<Self, SweepError> {
        let text = fs::read_to_string(path).map_err(|source| SweepError::Read { path: path.to_owned(), source })?;
        Self::parse(path, text)
    }

    /// As [`Self::read`], for a text that is already read; `path` is for messages.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(path: &Path, text: String) -> Result<Self, SweepError> {
        let RawFile { experiment, preset, set, sweep } =
            toml::from_str(&text).map_err(|e| SweepError::Syntax { path: path.to_owned(), message: explain(&e) })?;
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
        for table in sweep.zip {
            axes.push(zipped(table).map_err(|(key, reason)| refuse(&key, reason))?);
        }
        let mut when = Vec::new();
        for RawWhen { condition, grid: table } in sweep.when {
            let mut flat = Vec::new();
            for (key, value) in condition {
                flatten(&key, &value, &mut flat);
            }
            if flat.is_empty() {
                return Err(refuse("sweep.when", "`if` is empty: axes of all cells belong into [sweep.grid]".into()));
            }
            when.push(When { condition: flat, axes: grid(&table).map_err(|(key, reason)| refuse(&key, reason))? });
        }
        let (path, name, seeds) = (path.to_owned(), sweep.name, sweep.seeds);
        Ok(Self { path, text, experiment, preset, set, name, seeds, axes, when })
    }
}

type Refusal = (String, String);

/// Every list of a grid is an axis.
fn grid(table: &Table) -> Result<Vec<Axis>, Refusal> {
    let mut flat = Vec::new();
    for (key, value) in table {
        flatten(key, value, &mut flat);
    }
    flat.into_iter()
        .map(|(key, value)| {
            let choices = list(&key, value)?.into_iter().map(|value| choice(&key, value)).collect();
            axis(key, choices)
        })
        .collect()
}

/// Lists that go together are one axis.
fn zipped(mut table: Table) -> Result<Axis, Refusal> {
    let at = || "sweep.zip".to_owned();
    let name = match table.get("name") {
        Some(Value::String(name)) => Some(name.clone()),
        _ => None,
    };
    if name.is_some() {
        table.remove("name");
    }
    let labels = table.remove("labels").map(|labels| list("sweep.zip.labels", labels)).transpose()?;
    let mut flat = Vec::new();
    for (key, value) in &table {
        flatten(key, value, &mut flat);
    }
    let lists: Vec<(String, Vec<Value>)> =
        flat.into_iter().map(|(key, value)| Ok((key.clone(), list(&key, value)?))).collect::<Result<_, Refusal>>()?;
    let Some((first, length)) = lists.first().map(|(key, list)| (key.clone(), list.len())) else {
        return Err((at(), "has no lists".into()));
    };
    let named = labels.iter().map(|list| ("labels", list.len()));
    for (key, other) in lists.iter().map(|(key, list)| (key.as_str(), list.len())).chain(named) {
        if other != length {
            let reason = format!("the lists must be equally long: {first} has {length} values, {key} has {other}");
            return Err((at(), reason));
        }
    }
    let choices = (0..length)
        .map(|i| {
            let parts: Vec<Choice> = lists.iter().map(|(key, list)| choice(key, list[i].clone())).collect();
            let mut words: Vec<String> = Vec::new();
            for part in &parts {
                if !words.contains(&part.label) {
                    words.push(part.label.clone());
                }
            }
            let label = labels.as_ref().map_or_else(|| words.join(" / "), |labels| text(&labels[i]));
            Choice { label, assignments: parts.into_iter().flat_map(|part| part.assignments).collect() }
        })
        .collect();
    axis(name.unwrap_or(first), choices)
}

fn axis(name: String, choices: Vec<Choice>) -> Result<Axis, Refusal> {
    if name == "seed" || choices.iter().any(|c| c.assignments.iter().any(|(key, _)| key == "seed")) {
        return Err(("seed".into(), "seeds are not an axis; list them in sweep.seeds".into()));
    }
    if choices.is_empty() {
        return Err((name, "has no values".into()));
    }
    for (i, choice) in choices.iter().enumerate() {
        if choices[..i].iter().any(|other| other.label == choice.label) {
            return Err((name, format!("two values are called {:?}; give them a `label`", choice.label)));
        }
    }
    Ok(Axis { name, choices })
}

/// One value of an axis, labelled or not.
fn choice(key: &str, value: Value) -> Choice {
    if let Value::Table(table) = &value
        && let (2, Some(Value::String(label)), Some(value)) = (table.len(), table.get("label"), table.get("value"))
    {
        return Choice { label: label.clone(), assignments: vec![(key.to_owned(), value.clone())] };
    }
    Choice { label: text(&value), assignments: vec![(key.to_owned(), value)] }
}

/// A value for people.
fn text(value: &Value) -> String {
    match value {
        Value::String(word) => word.clone(),
        Value::Table(table) if table.len() == 1 => {
            table.get("kind").and_then(Value::as_str).map_or_else(|| value.to_string(), str::to_owned)
        }
        _ => value.to_string(),
    }
}

fn list(key: &str, value: Value) -> Result<Vec<Value>, Refusal> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err((key.to_owned(), format!("{other} is not a list of values"))),
    }
}

/// Leaves of nested tables under their dotted keys.
fn flatten(key: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => {
            for (inner, value) in table {
                flatten(&format!("{key}.{inner}"), value, into);
            }
        }
        _ => into.push((key.to_owned(), value.clone())),
    }
}
