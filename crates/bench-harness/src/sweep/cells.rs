//! From the axes to cells: each one set of settings with one seed.
//!
//! Cells that differ in nothing that training depends on share its weights. They stand in one group, which one worker takes and one
//! shard holds: nothing is trained twice, and no two processes work in one run's folder.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value as Json, json};
use toml::Value;

use super::axis::{Axis, Choice};
use super::table::{SweepError, SweepFile, When};
use crate::config::{Experiment, Layers};
use crate::run::{hash, training_settings};

/// The axis that is no key of the experiment: its values are presets.
const PRESET: &str = "preset";

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Hash of all settings: what a record belongs to.
    pub key: String,
    /// The axes with their labels.
    pub settings: Vec<(String, String)>,
    /// What is laid over the experiment, as `--set` takes it, the seed last.
    pub assignments: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The preset that the assignments are laid over.
    pub preset: String,
    /// The experiment, resolved.
    pub experiment: Experiment,
    /// Hash of what training depends on.
    pub group: String,
}

impl Cell {
    /// Training images that it sees.
    #[must_use]
    pub fn images_seen(&self) -> u64 {
        self.experiment.training.steps * self.experiment.training.batch as u64
    }

    /// Its settings on one line.
    #[must_use]
    pub fn name(&self) -> String {
        let settings = self.settings.iter().map(|(axis, label)| format!("{axis} = {label}"));
        settings.chain([format!("seed = {}", self.seed)]).collect::<Vec<_>>().join(", ")
    }
}

/// The experiment that a sweep varies.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// Its files.
    pub layers: &'a Layers,
    /// The preset, settled; cells may have one of their own, by an axis of this name.
    pub preset: &'a str,
}

#[derive(Clone, Default)]
struct Draft {
    settings: Vec<(String, String)>,
    assignments: Vec<(String, Value)>,
}

impl Draft {
    fn words(&self, set: &[String], seed: Option<u64>) -> Vec<String> {
        let own = self.assignments.iter().filter(|(key, _)| key != PRESET);
        let own = own.map(|(key, value)| format!("{key}={value}"));
        set.iter().cloned().chain(own).chain(seed.map(|seed| format!("seed={seed}"))).collect()
    }

    /// The cell's own preset, or that of the sweep.
    fn preset<'a>(&'a self, base: Base<'a>) -> &'a str {
        let own = self.assignments.iter().find(|(key, _)| key == PRESET);
        own.and_then(|(_, value)| value.as_str()).unwrap_or(base.preset)
    }

    fn name(&self) -> String {
        let all: Vec<String> = self.assignments.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        if all.is_empty() { "without axes".to_owned() } else { all.join(", ") }
    }
}

/// All cells of a sweep, each resolved and checked.
///
/// # Errors
/// [`SweepError`]: a setting that the experiment does not have, a key that is set twice, a condition that no cell meets, two cells that
/// are the same, numbers of images that differ.
pub fn expand(file: &SweepFile, base: Base<'_>) -> Result<Vec<Cell>> {
    let mut drafts = vec![Draft::default()];
    for axis in &file.axes {
        drafts = drafts.iter().map(|draft| branch(file, draft, axis)).collect::<Result<Vec<_>, _>>()?.concat();
    }
    let resolve = |draft: &Draft, seed: Option<u64>| {
        base.layers
            .resolve(Some(draft.preset(base)), &draft.words(&file.set, seed))
            .map(|resolved| resolved.experiment)
            .map_err(|source| SweepError::Cell {
                path: file.path.clone(),
                cell: draft.name(),
                source: Box::new(source),
            })
    };
    for when in &file.when {
        let mut next = Vec::new();
        let mut met = false;
        for draft in drafts {
            if !meets(&resolve(&draft, None)?, when)? {
                next.push(draft);
                continue;
            }
            met = true;
            let mut own = vec![draft];
            for axis in &when.axes {
                own = own.iter().map(|draft| branch(file, draft, axis)).collect::<Result<Vec<_>, _>>()?.concat();
            }
            next.extend(own);
        }
        if !met {
            let condition: Vec<String> = when.condition.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            return Err(refuse(file, "sweep.when", format!("no cell has {}", condition.join(", "))).into());
        }
        drafts = next;
    }
    let mut cells: Vec<Cell> = Vec::new();
    for draft in &drafts {
        let seeds = if file.seeds.is_empty() { vec![resolve(draft, None)?.seed] } else { file.seeds.clone() };
        for seed in seeds {
            let experiment = resolve(draft, Some(seed))?;
            let key = key(&experiment)?;
            let trained = training_settings(&experiment)?;
            let group = json!({ "name": experiment.name, "data": experiment.data, "trained": trained });
            let (settings, assignments) = (draft.settings.clone(), draft.words(&file.set, Some(seed)));
            let preset = draft.preset(base).to_owned();
            let cell = Cell { key, settings, assignments, seed, preset, experiment, group: hash(&group)? };
            if let Some(other) = cells.iter().find(|other| other.key == cell.key) {
                let reason = format!("({}) and ({}) are the same", other.name(), cell.name());
                return Err(refuse(file, "sweep", reason).into());
            }
            cells.push(cell);
        }
    }
    let first = cells.first().context("a sweep has at least one cell")?;
    if let Some(other) = cells.iter().find(|c| c.experiment.sampling.n != first.experiment.sampling.n) {
        bail!(
            "{}: sampling.n: {} and {} in one sweep; distances of different numbers of images are not comparable",
            file.path.display(),
            first.experiment.sampling.n,
            other.experiment.sampling.n
        );
    }
    Ok(cells)
}

/// What a cell is known by: a hash of all settings.
fn key(experiment: &Experiment) -> Result<String> {
    Ok(hash(&serde_json::to_value(experiment)?)?[..16].to_owned())
}

/// Refuses to work on an experiment that is no longer that of the cell: files and program may change while a sweep goes on.
///
/// # Errors
/// If its key is another.
pub fn unchanged(experiment: &Experiment, wanted: &str) -> Result<()> {
    if key(experiment)? != wanted {
        bail!(
            "{}: its settings have changed since the sweep began; stop the sweep and start it again",
            experiment.name
        );
    }
    Ok(())
}

fn refuse(file: &SweepFile, key: &str, reason: String) -> SweepError {
    SweepError::Axis { path: file.path.clone(), key: key.to_owned(), reason }
}

/// A draft with each value of an axis.
fn branch(file: &SweepFile, draft: &Draft, axis: &Axis) -> Result<Vec<Draft>, SweepError> {
    let with = |choice: &Choice| {
        let mut next = draft.clone();
        for (key, value) in &choice.assignments {
            if next.assignments.iter().any(|(other, _)| other == key) {
                return Err(refuse(file, key, "is set by two axes".to_owned()));
            }
            next.assignments.push((key.clone(), value.clone()));
        }
        if next.settings.iter().any(|(name, _)| *name == axis.name) {
            return Err(refuse(file, &axis.name, "is the name of two axes".to_owned()));
        }
        next.settings.push((axis.name.clone(), choice.label.clone()));
        Ok(next)
    };
    axis.choices.iter().map(with).collect()
}

/// Whether an experiment has all that a condition asks for.
fn meets(experiment: &Experiment, when: &When) -> Result<bool> {
    let whole = serde_json::to_value(experiment)?;
    for (key, wanted) in &when.condition {
        let pointer = format!("/{}", key.replace('.', "/"));
        let found = whole.pointer(&pointer).is_some_and(|found| same(found, wanted));
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same(found: &Json, wanted: &Value) -> bool {
    match (found.as_f64(), wanted) {
        (Some(found), Value::Integer(wanted)) => found == *wanted as f64,
        (Some(found), Value::Float(wanted)) => found == *wanted,
        _ => serde_json::to_value(wanted).is_ok_and(|wanted| wanted == *found),
    }
}

/// Cells that share their training, in the order in which they come.
#[must_use]
pub fn groups(cells: &[Cell]) -> Vec<Vec<&Cell>> {
    let mut groups: Vec<Vec<&Cell>> = Vec::new();
    for cell in cells {
        match groups.iter_mut().find(|group| group[0].group == cell.group) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

/// Groups in the order in which they are worked on: all of the first seed, then all of the next one, so that a sweep that is interrupted
/// has something of every setting before it repeats one.
#[must_use]
pub fn seed_by_seed(mut groups: Vec<Vec<&Cell>>) -> Vec<Vec<&Cell>> {
    let mut seeds: Vec<u64> = Vec::new();
    for group in &groups {
        if !seeds.contains(&group[0].seed) {
            seeds.push(group[0].seed);
        }
    }
    groups.sort_by_key(|group| seeds.iter().position(|&seed| seed == group[0].seed));
    groups
}

/// Part `index` of `count`, from 1 on, of a sweep that several machines or jobs work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parsed {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err(format!("{text:?} is not i/n with 1 ≤ i ≤ n, such as 1/4")),
        }
    }
}

impl Shard {
    /// Its groups: every `count`-th.
    #[must_use]
    pub fn of(self, groups: Vec<Vec<&Cell>>) -> Vec<Vec<&Cell>> {
        groups.into_iter().skip(self.index - 1).step_by(self.count).collect()
    }
}

#[cfg(test)]
#[path = "cells_tests.rs"]
mod tests;
