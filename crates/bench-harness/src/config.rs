//! An experiment: one TOML file, resolved with a preset and `--set key=value` into typed, checked settings.
//!
//! A file holds the whole experiment; each `[preset.NAME]` table in it is an overlay, merged key by key. Unknown keys, wrong
//! types and impossible combinations are errors that name the file, the key and the nearest valid name.

use std::fs;
use std::path::{Path, PathBuf};

use gbm_sde::{Schedule, schedule::ScheduleConfig};
use models::denoise::Head;
use models::unet::UNetConfig;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::data::DataConfig;

mod stages;

pub use stages::{Decay, Keep, NoiseKind, Reduction, SamplingConfig, TrainingConfig};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML.
    #[error("{path}: {message}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// A key that does not exist, or a value of the wrong type.
    #[error("{path}: {message}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key, what is wrong and what would be right.
        message: String,
    },
    /// A preset that the file does not have.
    #[error("{path}: no preset {wanted:?}; it has {known}{hint}", path = path.display())]
    Preset {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
        /// The nearest name.
        hint: String,
    },
    /// A `--set` that is not `key=value`.
    #[error("--set {0:?}: write it as key=value, for example --set training.steps=500")]
    Assignment(String),
    /// Settings that contradict each other or a limit.
    #[error("{path}: {key}: {reason}", path = path.display())]
    Impossible {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
}

/// How bytes become positive pixels: `x = low + (high − low) u`, `u = byte/255`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelMap {
    /// Pixel of a black image, positive.
    pub low: f64,
    /// Pixel of a white image.
    pub high: f64,
}

/// The `[evaluation]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Resamples behind the spread of `cnn-fid`.
    pub resamples: usize,
    /// Number and size of the subsets behind KID.
    pub kid_subsets: usize,
    /// Images of each side in a subset.
    pub kid_size: usize,
    /// Noise levels at which the network is set against the linear denoiser.
    pub levels: Vec<f64>,
    /// Held-out images that it is done on.
    pub level_images: usize,
    /// Samples that are judged while training, every `training.eval_every` steps.
    #[serde(default = "thousand", skip_serializing_if = "is_thousand")]
    pub training_images: usize,
}

fn thousand() -> usize {
    1000
}

fn is_thousand(n: &usize) -> bool {
    *n == thousand()
}

/// A whole experiment, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name: the folder of its runs.
    pub name: String,
    /// Seed of everything random.
    pub seed: u64,
    /// The data set.
    pub data: DataConfig,
    /// Bytes to positive pixels.
    pub pixels: PixelMap,
    /// The forward process.
    pub process: ScheduleConfig,
    /// The network's size.
    pub network: UNetConfig,
    /// Training.
    pub training: TrainingConfig,
    /// Sampling.
    pub sampling: SamplingConfig,
    /// Evaluation.
    pub evaluation: EvaluationConfig,
}

/// Reads `path`, lays `preset` and the assignments over it, and checks the result.
///
/// # Errors
/// [`ConfigError`] naming the file and the key.
pub fn resolve(path: &Path, preset: &str, assignments: &[String]) -> Result<Experiment, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    resolve_text(path, &text, preset, assignments)
}

/// As [`resolve`], for a text that is already read; `path` is for messages.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_text(path: &Path, text: &str, preset: &str, assignments: &[String]) -> Result<Experiment, ConfigError> {
    let syntax = |e: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), message: e.to_string() };
    let mut table: Table = toml::from_str(text).map_err(syntax)?;
    let presets = match table.remove("preset") {
        Some(Value::Table(presets)) => presets,
        _ => Table::new(),
    };
    let overlay = presets.get(preset).and_then(Value::as_table).ok_or_else(|| ConfigError::Preset {
        path: path.to_owned(),
        wanted: preset.to_owned(),
        known: presets.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        hint: suggestion(preset, presets.keys().map(String::as_str)),
    })?;
    // A size by name replaces what stood before it, and yields to what comes after.
    size_by_name(path, &mut table)?;
    let mut overlay = overlay.clone();
    size_by_name(path, &mut overlay)?;
    merge(&mut table, &overlay);
    for assignment in assignments {
        let mut overlay = assigned(assignment)?;
        size_by_name(path, &mut overlay)?;
        merge(&mut table, &overlay);
    }
    let experiment = Value::Table(table)
        .try_into()
        .map_err(|e: toml::de::Error| ConfigError::Key { path: path.to_owned(), message: explain(&e) })?;
    check(path, &experiment)?;
    Ok(experiment)
}

/// An experiment that is resolved already, with assignments laid over it; `path` is for messages.
///
/// # Errors
/// As [`resolve`].
pub fn adjust(path: &Path, experiment: &Experiment, assignments: &[String]) -> Result<Experiment, ConfigError> {
    let mut table = Table::new();
    table.insert("preset".to_owned(), Value::Table(Table::from_iter([("none".to_owned(), Table::new().into())])));
    let text = toml::to_string(experiment)
        .and_then(|text| Ok(text + &toml::to_string(&table)?))
        .map_err(|e| ConfigError::Syntax { path: path.to_owned(), message: e.to_string() })?;
    resolve_text(path, &text, "none", assignments)
}

/// Replaces the key `preset` of `[network]`, if it is there, by the size of that name; other keys beside it are laid over it.
fn size_by_name(path: &Path, table: &mut Table) -> Result<(), ConfigError> {
    let Some(Value::Table(network)) = table.get_mut("network") else { return Ok(()) };
    let Some(name) = network.remove("preset") else { return Ok(()) };
    let refuse = |message: String| ConfigError::Key { path: path.to_owned(), message };
    let name = name.as_str().ok_or_else(|| refuse(format!("network.preset: {name} is not a name")))?;
    let size = UNetConfig::preset(name).map_err(|e| refuse(e.to_string()))?;
    let mut size = Table::try_from(size).map_err(|e| refuse(e.to_string()))?;
    // What the images are is not the size of the network.
    size.retain(|key, _| !["channels", "size", "patch", "classes"].contains(&key));
    merge(&mut size, network);
    *network = size;
    Ok(())
}

/// Lays `overlay` over `base`, key by key. A table that names another `kind` replaces the whole table.
fn merge(base: &mut Table, overlay: &Table) {
    for (key, value) in overlay {
        match (base.get_mut(key), value) {
            (Some(Value::Table(old)), Value::Table(new)) if same_kind(old, new) => merge(old, new),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

fn same_kind(old: &Table, new: &Table) -> bool {
    new.get("kind").is_none_or(|kind| old.get("kind") == Some(kind))
}

/// The table that `key=value` stands for.
fn assigned(assignment: &str) -> Result<Table, ConfigError> {
    let refuse = || ConfigError::Assignment(assignment.to_owned());
    let (key, value) = assignment.split_once('=').ok_or_else(refuse)?;
    let value = value.trim();
    // A bare word is a string, so that quotes need not be carried through a shell.
    let parsed = toml::from_str::<Table>(&format!("value = {value}")).ok().and_then(|mut t| t.remove("value"));
    let value = parsed.unwrap_or_else(|| Value::String(value.to_owned()));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().filter(|p| !p.is_empty()).ok_or_else(refuse)?;
    let mut overlay = Table::new();
    overlay.insert(last.to_owned(), value);
    for part in parts.into_iter().rev() {
        let mut outer = Table::new();
        outer.insert(part.to_owned(), Value::Table(overlay));
        overlay = outer;
    }
    Ok(overlay)
}

/// serde's message on one line, with the nearest valid name where it lists them.
fn explain(error: &toml::de::Error) -> String {
    let full = error.to_string();
    let lines: Vec<&str> = full.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let message = lines.join(", ");
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((wrong, known)) if message.contains("unknown") => {
            format!("{message}{}", suggestion(wrong, known.iter().copied()))
        }
        _ => message,
    }
}

/// `; did you mean …?` if a name is near enough.
#[must_use]
pub fn suggestion<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

fn check(path: &Path, e: &Experiment) -> Result<(), ConfigError> {
    let refuse =
        |key: &str, reason: String| Err(ConfigError::Impossible { path: path.to_owned(), key: key.to_owned(), reason });
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if e.name.is_empty() || !e.name.chars().all(plain) {
        return refuse("name", format!("{:?} must be made of letters, digits, - and _", e.name));
    }
    if let Err(error) = e.data.wanted() {
        return refuse("data", error.to_string());
    }
    if !(e.pixels.low > 0.0 && e.pixels.high > e.pixels.low && e.pixels.high.is_finite()) {
        return refuse("pixels", format!("need 0 < low < high, found {} and {}", e.pixels.low, e.pixels.high));
    }
    let schedule = match Schedule::new(e.process.clone()) {
        Ok(schedule) => schedule,
        Err(error) => return refuse("process", error.to_string()),
    };
    if let Err(error) = e.network.validate() {
        return refuse("network", error.to_string());
    }
    let t = &e.training;
    let counts = [
        ("training.batch", t.batch as u64, 1, 1 << 16),
        ("training.steps", t.steps, 1, 1 << 40),
        ("training.checkpoint_every", t.checkpoint_every, 1, u64::MAX),
        ("training.log_every", t.log_every, 1, 10_000),
        ("training.keep_checkpoints", t.keep_checkpoints as u64, 1, 1 << 20),
        ("training.grid", t.grid as u64, 0, 1 << 12),
        ("sampling.n", e.sampling.n as u64, 2, 10_000_000),
        ("sampling.batch", e.sampling.batch as u64, 1, 1 << 16),
        ("evaluation.level_images", e.evaluation.level_images as u64, 1, 1 << 20),
        ("evaluation.training_images", e.evaluation.training_images as u64, 2, 1 << 24),
        ("evaluation.resamples", e.evaluation.resamples as u64, 2, 1 << 16),
        ("evaluation.kid_subsets", e.evaluation.kid_subsets as u64, 1, 1 << 16),
        ("evaluation.kid_size", e.evaluation.kid_size as u64, 2, 1 << 16),
    ];
    for (key, value, least, most) in counts {
        if !(least..=most).contains(&value) {
            return refuse(key, format!("{value} is not between {least} and {most}"));
        }
    }
    if !(t.rate > 0.0 && t.rate.is_finite()) {
        return refuse("training.rate", format!("{} is not a positive number", t.rate));
    }
    if t.clip.is_some_and(|c| c.is_nan() || c <= 0.0) {
        return refuse("training.clip", "must be positive, or absent for no clipping".to_owned());
    }
    for (key, value) in [("training.ema", t.ema), ("adam.beta1", t.adam.beta1), ("adam.beta2", t.adam.beta2)] {
        if !(0.0..1.0).contains(&value) {
            return refuse(key, format!("{value} is not in [0, 1)"));
        }
    }
    if !t.eval_every.is_multiple_of(t.checkpoint_every) {
        let reason =
            format!("{} is not a multiple of training.checkpoint_every = {}", t.eval_every, t.checkpoint_every);
        return refuse("training.eval_every", reason);
    }
    if !(0.0..=1.0).contains(&t.class_dropout) {
        return refuse("training.class_dropout", format!("{} is not in [0, 1]", t.class_dropout));
    }
    for kind in &t.averages {
        if let Err(error) = kind.check() {
            return refuse("training.averages", error.to_string());
        }
    }
    if !e.sampling.guidance.is_finite() {
        return refuse("sampling.guidance", format!("{} is not a finite number", e.sampling.guidance));
    }
    let classes = e.network.classes;
    if let Some(class) = e.sampling.class.filter(|class| !(0..classes).contains(class)) {
        return refuse(
            "sampling.class",
            format!("{class} is not a class of a network with network.classes = {classes}"),
        );
    }
    if e.sampling.guidance != 1.0 && classes == 0 {
        return refuse("sampling.guidance", "needs a network with classes (network.classes)".to_owned());
    }
    if let Err(error) = t.weight.check() {
        return refuse("training.weight", error.to_string());
    }
    if let Err(error) = t.time.check() {
        return refuse("training.time", error.to_string());
    }
    if t.head == Head::Stein && schedule.log_drift(schedule.horizon()).abs() > 1e-12 {
        return refuse("training.head", "the Stein head needs process.drift = \"zero-log\"".to_owned());
    }
    let grid = match e.sampling.grid.build(Some(&schedule)) {
        Ok(grid) => grid,
        Err(error) => return refuse("sampling.grid", error.to_string()),
    };
    let top = schedule.log_variance(schedule.horizon());
    if grid.start() > top * (1.0 + 1e-9) {
        let (start, top) = (grid.start().sqrt(), top.sqrt());
        return refuse("sampling.grid", format!("starts at r = {start}, beyond the process, which ends at r = {top}"));
    }
    if let Err(error) = e.sampling.prior.check((e.network.channels * e.network.size * e.network.size) as usize) {
        return refuse("sampling.prior", error.to_string());
    }
    if let Err(error) = e.sampling.sampler.build::<ndarray::Array2<f32>>() {
        return refuse("sampling.sampler", error.to_string());
    }
    if let Some(r) = e.evaluation.levels.iter().find(|r| !(**r > 0.0 && r.is_finite())) {
        return refuse("evaluation.levels", format!("{r} is not a positive noise level"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use samplers::{GridConfig, PriorConfig};

    const MNIST: &str = include_str!("../../../experiments/mnist.toml");

    fn resolve_with(preset: &str, set: &[&str]) -> Result<Experiment, ConfigError> {
        let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
        resolve_text(Path::new("mnist.toml"), MNIST, preset, &set)
    }

    fn message(set: &[&str]) -> String {
        resolve_with("cpu", set).unwrap_err().to_string()
    }

    #[test]
    fn every_shipped_preset_resolves_and_comes_back_from_its_own_text() {
        for preset in ["cpu", "gpu", "published", "smoke"] {
            let experiment = resolve_with(preset, &[]).unwrap();
            let text = toml::to_string(&experiment).unwrap();
            assert_eq!(toml::from_str::<Experiment>(&text).unwrap(), experiment, "{preset}");
        }
    }

    #[test]
    fn shipped_runs_are_of_this_version() {
        let shipped = include_str!("../../../results/mnist-cpu/config.toml");
        let experiment: Experiment = toml::from_str(shipped).unwrap();
        assert_eq!(experiment.sampling.prior, PriorConfig::MomentMatched {});
        assert!(
            toml::from_str::<Experiment>(&shipped.replace("\"moment-matched\"", "\"moment-matched\"\nrank = 3"))
                .is_err()
        );
        check(Path::new("config.toml"), &experiment).unwrap();
    }

    #[test]
    fn assignments_reach_nested_keys_and_bare_words_are_strings() {
        let e = resolve_with("cpu", &["training.steps=17", "training.adam.beta2=0.5", "name=other"]).unwrap();
        assert_eq!((e.training.steps, e.training.adam.beta2, e.name.as_str()), (17, 0.5, "other"));
    }

    #[test]
    fn another_kind_replaces_the_whole_table() {
        let e = resolve_with("cpu", &["sampling.grid={kind=\"uniform-time\",steps=9}"]).unwrap();
        assert_eq!(e.sampling.grid, GridConfig::UniformTime { steps: 9 });
        let e = resolve_with("published", &["sampling.prior.kind=class-average"]).unwrap();
        assert_eq!(e.sampling.prior, PriorConfig::ClassAverage {});
    }

    #[test]
    fn wrong_keys_types_and_names_are_explained() {
        let unknown = message(&["training.step=5"]);
        assert!(unknown.contains("mnist.toml") && unknown.contains("did you mean `steps`?"), "{unknown}");
        assert!(unknown.contains("training"), "{unknown}");
        let wrong = message(&["training.steps=\"many\""]);
        assert!(wrong.contains("invalid type") && wrong.contains("training"), "{wrong}");
        let data = message(&["data.name=mnits"]);
        assert!(data.contains("mnits") && data.contains("mnist"), "{data}");
        let preset = resolve_with("gpuu", &[]).unwrap_err().to_string();
        assert!(preset.contains("did you mean `gpu`?") && preset.contains("published"), "{preset}");
        let text = resolve_text(Path::new("x.toml"), "a = [", "cpu", &[]).unwrap_err().to_string();
        assert!(text.contains("x.toml") && text.contains("line 1"), "{text}");
        assert!(matches!(resolve_with("cpu", &["steps"]), Err(ConfigError::Assignment(_))));
    }

    #[test]
    fn a_size_by_name_replaces_what_stood_before_and_yields_to_what_comes_after() {
        let text = include_str!("../../../experiments/mnist.toml");
        let resolve = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
            resolve_text(Path::new("mnist.toml"), text, "cpu", &sets)
        };
        let network = |sets: &[&str]| resolve(sets).unwrap().network;
        let found = network(&["network.classes=10", "network.preset=unet-9m", "network.dropout=0.0"]);
        let wanted = UNetConfig { classes: 10, dropout: 0.0, ..UNetConfig::preset("unet-9m").unwrap() };
        assert_eq!(found, wanted);
        assert_eq!(network(&["network.preset=unet-2m"]), network(&[]));
        let error = resolve(&["network.preset=unet-3m"]).unwrap_err().to_string();
        assert!(
            error.contains("mnist.toml") && error.contains("network.preset") && error.contains("unet-2m"),
            "{error}"
        );
    }

    #[test]
    fn impossible_settings_name_their_key() {
        for (set, key) in [
            ("network.widths=[48,90]", "network.widths"),
            ("pixels.low=0.0", "pixels"),
            ("training.rate=-1.0", "training.rate"),
            ("training.ema=1.0", "training.ema"),
            ("sampling.n=1", "sampling.n"),
            ("training.batch=1000000000000", "training.batch"),
            ("process.variance.r_max=1.0", "sampling.grid"),
            ("sampling.grid.r_min=9.0", "sampling.grid"),
            ("sampling.prior={kind=\"full-covariance\",rank=0}", "sampling.prior: prior: rank must be at least 1"),
            ("sampling.prior={kind=\"full-covariance\",rank=785}", "the rank must be at most 784, got 785"),
            ("sampling.prior={kind=\"log-normal\",a=0.1,b=-1.0}", "sampling.prior: prior: b must be positive"),
            ("evaluation.levels=[0.0]", "evaluation.levels"),
            ("training.averages=[{width=0.4}]", "training.averages"),
            ("training.averages=[{widht=0.1}]", "did you mean `width`?"),
            ("training.averages=[{width=0.1,decay=0.9}]", "either a `decay` or a `width`"),
            ("network.channels=65536", "network.channels"),
            ("sampling.class=3", "sampling.class"),
            ("training.eval_every=1500", "training.checkpoint_every = 1000"),
            ("name=a/b", "name"),
        ] {
            let text = message(&[set]);
            assert!(text.contains(key) && text.contains("mnist.toml"), "{set}: {text}");
        }
    }
}
