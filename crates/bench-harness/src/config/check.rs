//! What types cannot say: limits, and settings that contradict each other.

use std::path::Path;

use gbm_sde::Schedule;
use models::denoise::Head;
use samplers::PriorConfig;

use super::{ConfigError, Coordinate, Experiment};

/// Refuses settings that contradict each other or a limit; `path` is for messages.
pub(super) fn check(path: &Path, e: &Experiment) -> Result<(), ConfigError> {
    let refuse =
        |key: &str, reason: String| Err(ConfigError::Impossible { path: path.to_owned(), key: key.to_owned(), reason });
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if e.name.is_empty() || !e.name.chars().all(plain) {
        return refuse("name", format!("{:?} must be made of letters, digits, - and _", e.name));
    }
    if let Err(error) = e.data.wanted() {
        return refuse("data", error.to_string());
    }
    let (low, high) = (e.pixels.low, e.pixels.high);
    let positive = low > 0.0 || e.pixels.coordinate == Coordinate::Linear;
    if !(positive && high > low && low.is_finite() && high.is_finite()) {
        return refuse("pixels", format!("need 0 < low < high, found {low} and {high}"));
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
    if e.data.own.is_some() && (classes > 0 || e.sampling.prior == PriorConfig::ClassAverage {}) {
        let reason = "images of your own have no classes: network.classes must be 0, and sampling.prior not of classes";
        return refuse("data.own", reason.to_owned());
    }
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
