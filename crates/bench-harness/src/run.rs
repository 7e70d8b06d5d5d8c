//! A run is a folder, and its work is staged: weights → samples → metrics.
//!
//! Each stage has a key: a hash of what it depends on (its own settings, the stage before, checksums of the data, a format
//! version) and not of what it does not (device, threads, paths, how often it logs). Finished stages are skipped,
//! interrupted ones go on, and stale results cannot be mistaken for new ones.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use models::write::write_atomically;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::config::Experiment;
use crate::data::Dataset;
use crate::session::Session;

/// Version of everything that keys cover; raised when a change of the program changes results.
const FORMAT: u32 = 2;

/// How often a folder that another program works in is looked at.
const WAIT: Duration = Duration::from_millis(500);

/// A run's folder with its resolved experiment.
#[derive(Debug)]
pub struct Run {
    /// The folder.
    pub folder: PathBuf,
    /// The experiment, resolved.
    pub experiment: Experiment,
    /// Key of the training stage.
    pub training_key: String,
}

impl Run {
    /// The run of this experiment under `root`: `root/<name>/<preset>-<key>`. Touches no file; see [`Self::open`].
    ///
    /// # Errors
    /// If the settings cannot be serialized.
    pub fn plan(root: &Path, preset: &str, experiment: Experiment, data: &Dataset) -> Result<Self> {
        let training_key = training_key(&experiment, data)?;
        let folder = root.join(&experiment.name).join(format!("{preset}-{}", &training_key[..8]));
        Ok(Self { folder, experiment, training_key })
    }

    /// The run in an existing folder, which must belong to the same training on the same data. Touches no file.
    ///
    /// # Errors
    /// If the folder's configuration differs: names the keys that do.
    pub fn adopt(folder: PathBuf, experiment: Experiment, data: &Dataset) -> Result<Self> {
        let stored = stored_experiment(&folder)?;
        let training_key = training_key(&experiment, data)?;
        if stored.data != experiment.data || self::training_key(&stored, data)? != training_key {
            let changes = differences(&stored, &experiment)?.join("; ");
            bail!("{}: cannot go on with a changed configuration: {changes}", folder.display());
        }
        Ok(Self { folder, experiment, training_key })
    }

    /// The run in a folder as it is, with the key that its weights carry. Touches no file.
    ///
    /// # Errors
    /// If the folder has no readable `config.toml`.
    pub fn existing(folder: &Path, training_key: String) -> Result<Self> {
        Ok(Self { folder: folder.to_owned(), experiment: stored_experiment(folder)?, training_key })
    }

    /// Makes the folder, keeps other programs out of it, and writes `config.toml`. The folder is kept as long as the
    /// result lives.
    ///
    /// # Errors
    /// If the folder cannot be made or written, or another program works in it.
    pub fn open(&self) -> Result<File> {
        self.take(|| Ok(false))
    }

    /// As [`Self::open`], but waits while another program works in the folder.
    ///
    /// # Errors
    /// As [`Self::open`], or [`Interrupted`](crate::session::Interrupted).
    pub fn open_when_free(&self, session: &Session) -> Result<File> {
        let mut told = false;
        self.take(|| {
            if !std::mem::replace(&mut told, true) {
                tracing::info!("{}: waiting for another dale that works in this folder", self.folder.display());
            }
            session.check()?;
            std::thread::sleep(WAIT);
            Ok(true)
        })
    }

    /// Opens the folder; `again` says whether to try once more where another program works in it.
    fn take(&self, mut again: impl FnMut() -> Result<bool>) -> Result<File> {
        for sub in [self.checkpoints(), self.figures()] {
            fs::create_dir_all(&sub).with_context(|| format!("cannot make the run folder {}", sub.display()))?;
        }
        let path = self.folder.join(".lock");
        let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::WouldBlock) => {
                    if !again()? {
                        bail!("{}: another dale is working in this folder", self.folder.display());
                    }
                }
                // A file system without locks: go on as before there were any.
                Err(std::fs::TryLockError::Error(error)) => {
                    tracing::warn!("{}: {error}", path.display());
                    break;
                }
            }
        }
        let text = toml::to_string(&self.experiment).context("writing config.toml")?;
        write_atomically(&self.folder.join("config.toml"), text.as_bytes())?;
        Ok(lock)
    }

    /// Where checkpoints are.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.folder.join("checkpoints")
    }

    /// Where pictures are.
    #[must_use]
    pub fn figures(&self) -> PathBuf {
        self.folder.join("figures")
    }

    /// Key of the samples: the weights and all sampling settings but the size of a batch, which only changes how sums are
    /// rounded.
    ///
    /// # Errors
    /// If the settings cannot be serialized.
    pub fn sampling_key(&self) -> Result<String> {
        let mut sampling = serde_json::to_value(&self.experiment.sampling)?;
        remove(&mut sampling, &["batch"]);
        hash(&json!({ "training": self.training_key, "sampling": sampling }))
    }

    /// Key of the metrics: the samples, the evaluation's settings and the feature network.
    ///
    /// # Errors
    /// If the settings cannot be serialized.
    pub fn evaluation_key(&self, extractor: &str) -> Result<String> {
        let evaluation = &self.experiment.evaluation;
        hash(&json!({ "sampling": self.sampling_key()?, "evaluation": evaluation, "extractor": extractor }))
    }

    /// Writes a JSON file of the run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        Ok(write_atomically(&self.folder.join(name), text.as_bytes())?)
    }

    /// Reads a JSON file of the run; none if it is not there or not readable as `T`.
    #[must_use]
    pub fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.folder.join(name)).ok()?).ok()
    }
}

/// Why an experiment has no checkpoint to go on from: what the nearest other run of its name has different.
#[must_use]
pub fn nearest_difference(run: &Run) -> Option<String> {
    let parent = run.folder.parent()?;
    let others = fs::read_dir(parent).ok()?.flatten().map(|e| e.path());
    let (changes, path) = others
        .filter_map(|path| Some((differences(&stored_experiment(&path).ok()?, &run.experiment).ok()?, path)))
        .min_by_key(|(changes, _)| changes.len())?;
    Some(format!("{} was trained with other settings ({})", path.display(), changes.join("; ")))
}

/// The experiment that a run's folder was made for.
///
/// # Errors
/// If the folder has no readable `config.toml`.
pub fn stored_experiment(folder: &Path) -> Result<Experiment> {
    let path = folder.join("config.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("{}: not a run's folder", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{}: not a configuration of this version", path.display()))
}

/// Hash of all that trained weights depend on.
fn training_key(experiment: &Experiment, data: &Dataset) -> Result<String> {
    let value = training_settings(experiment)?;
    hash(&json!({ "format": FORMAT, "data": data.title(), "checksums": data.checksums, "experiment": value }))
}

/// The settings that trained weights depend on, but for which data.
///
/// # Errors
/// If they cannot be serialized.
pub fn training_settings(experiment: &Experiment) -> Result<Value> {
    let mut value = serde_json::to_value(experiment)?;
    remove(&mut value, &["name", "sampling", "evaluation", "data"]);
    if let Some(training) = value.get_mut("training") {
        remove(training, &["checkpoint_every", "log_every", "keep_checkpoints", "grid", "eval_every"]);
    }
    Ok(value)
}

fn remove(value: &mut Value, keys: &[&str]) {
    if let Value::Object(map) = value {
        map.retain(|key, _| !keys.contains(&key.as_str()));
    }
}

/// SHA-256 of a value's JSON, in hexadecimal.
///
/// # Errors
/// If it cannot be serialized.
pub fn hash(value: &Value) -> Result<String> {
    let text = serde_json::to_string(value)?;
    Ok(Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect())
}

/// The keys in which two experiments differ, as `training.rate: 0.002 → 0.001`.
///
/// # Errors
/// If they cannot be serialized.
pub fn differences(old: &Experiment, new: &Experiment) -> Result<Vec<String>> {
    let mut found = Vec::new();
    compare("", &serde_json::to_value(old)?, &serde_json::to_value(new)?, &mut found);
    Ok(found)
}

fn compare(prefix: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                compare(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
            }
        }
        _ if old != new => found.push(format!("{prefix}: {old} → {new}")),
        _ => {}
    }
}

/// `metrics.jsonl` or `quality.jsonl`: one JSON object a line, appended.
#[derive(Debug)]
pub struct MetricsLog {
    file: File,
    path: PathBuf,
}

impl MetricsLog {
    /// Opens a log of the run by its name; lines of training steps after `step` (from a run that went further than its last checkpoint) are
    /// dropped, so that no step stands there twice.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn open(run: &Run, name: &str, step: u64) -> Result<Self> {
        let path = run.folder.join(name);
        let old = fs::read_to_string(&path).unwrap_or_default();
        let kept: String = old
            .lines()
            .filter(|line| {
                let at = serde_json::from_str::<Value>(line).ok().and_then(|v| v.get("step").and_then(Value::as_u64));
                at.is_some_and(|s| s <= step)
            })
            .map(|line| format!("{line}\n"))
            .collect();
        if kept != old {
            write_atomically(&path, kept.as_bytes())?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        Ok(Self { file: file.with_context(|| format!("cannot write {}", path.display()))?, path })
    }

    /// The step of the last line; none without lines.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn last_step(&self) -> Result<Option<u64>> {
        let text = fs::read_to_string(&self.path).with_context(|| self.path.display().to_string())?;
        let last = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
        Ok(last.and_then(|value| value.get("step").and_then(Value::as_u64)))
    }

    /// Appends one line.
    ///
    /// # Errors
    /// If it cannot be written, e.g. because the disk is full.
    pub fn write(&mut self, value: &Value) -> Result<()> {
        writeln!(self.file, "{value}").with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve_text;
    use crate::data::{self, DataConfig, Search};

    fn experiment(set: &[&str]) -> Experiment {
        let mut all = vec!["data={name=\"glyphs\",glyphs={train=20,test=10}}".to_owned()];
        all.extend(set.iter().map(|s| (*s).to_owned()));
        let text = include_str!("../../../experiments/mnist.toml");
        resolve_text(Path::new("mnist.toml"), text, "cpu", &all).unwrap()
    }

    fn glyphs() -> Dataset {
        let mut config = DataConfig::named("glyphs");
        config.glyphs = Some(data::GlyphsConfig { seed: 0, train: 20, test: 10 });
        let mut ignore = |_: data::Progress<'_>| std::ops::ControlFlow::Continue(());
        data::load(&config, &Search::default(), &mut ignore).unwrap()
    }

    #[test]
    fn keys_follow_what_a_stage_depends_on_and_nothing_else() {
        let (data, root) = (glyphs(), tempfile::tempdir().unwrap());
        let keys = |set: &[&str]| {
            let run = Run::plan(root.path(), "cpu", experiment(set), &data).unwrap();
            let sampling = run.sampling_key().unwrap();
            (run.training_key.clone(), sampling, run.evaluation_key("x").unwrap())
        };
        let base = keys(&[]);
        assert_eq!(keys(&["training.log_every=3", "sampling.batch=7", "name=other"]), base);
        let sampler = keys(&["sampling.n=11"]);
        assert!(sampler.0 == base.0 && sampler.1 != base.1 && sampler.2 != base.2);
        let evaluated = keys(&["evaluation.resamples=3"]);
        assert!(evaluated.1 == base.1 && evaluated.2 != base.2);
        assert_ne!(keys(&["training.rate=0.001"]).0, base.0);
        assert_ne!(keys(&["seed=2"]).0, base.0);
    }

    #[test]
    fn a_changed_configuration_is_refused_by_key() {
        let (data, root) = (glyphs(), tempfile::tempdir().unwrap());
        let run = Run::plan(root.path(), "cpu", experiment(&[]), &data).unwrap();
        let lock = run.open().unwrap();
        assert!(run.open().unwrap_err().to_string().contains("another dale"));
        drop(lock);
        let changed = experiment(&["training.rate=0.001"]);
        let error = Run::adopt(run.folder.clone(), changed, &data).unwrap_err().to_string();
        assert!(error.contains("training.rate: 0.002 → 0.001"), "{error}");
        assert!(Run::adopt(run.folder.clone(), experiment(&["sampling.n=5"]), &data).is_ok());
        let mut other = experiment(&[]);
        other.data = DataConfig::named("mnist");
        let error = Run::adopt(run.folder, other, &data).unwrap_err().to_string();
        assert!(error.contains("data.name"), "{error}");
    }

    #[test]
    fn the_log_keeps_no_step_twice() {
        let (data, root) = (glyphs(), tempfile::tempdir().unwrap());
        let run = Run::plan(root.path(), "cpu", experiment(&[]), &data).unwrap();
        let _lock = run.open().unwrap();
        let mut log = MetricsLog::open(&run, "metrics.jsonl", 0).unwrap();
        for step in [10, 20, 30] {
            log.write(&json!({ "step": step })).unwrap();
        }
        drop(log);
        MetricsLog::open(&run, "metrics.jsonl", 20).unwrap().write(&json!({ "step": 30, "again": true })).unwrap();
        let text = fs::read_to_string(run.folder.join("metrics.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().last().unwrap().contains("again"));
    }
}
