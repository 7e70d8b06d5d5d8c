//! The experiments that are built into the program, so that it works from any folder.

use std::path::{Path, PathBuf};

use super::error::{ConfigError, suggestion};
use super::layers::Layers;
use crate::data::DataConfig;

/// What the others extend; no experiment itself.
const BASE: &str = "base.toml";

/// The files of `experiments/`.
pub const FILES: [(&str, &str); 5] = [
    (BASE, include_str!("../../../../experiments/base.toml")),
    ("mnist.toml", include_str!("../../../../experiments/mnist.toml")),
    ("fashion-mnist.toml", include_str!("../../../../experiments/fashion-mnist.toml")),
    ("kmnist.toml", include_str!("../../../../experiments/kmnist.toml")),
    ("kmnist-7011.toml", include_str!("../../../../experiments/kmnist-7011.toml")),
];

/// The text of a file of `experiments/`.
pub(super) fn text(file: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == file).map(|(_, text)| *text)
}

/// The names of the experiments.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().filter(|(file, _)| *file != BASE).filter_map(|(file, _)| file.strip_suffix(".toml"))
}

/// The experiment of this name, as it was built in.
///
/// # Errors
/// If there is none.
pub fn experiment(name: &str) -> Result<Layers, ConfigError> {
    let path = named(name);
    match text(&format!("{name}.toml")) {
        Some(text) => Layers::parse(&path, text),
        None => Err(unknown(name, path)),
    }
}

/// An experiment as it is asked for on the command line: a file, a name under `experiments/`, or the name of one built in.
///
/// # Errors
/// If there is none, with the nearest name; or if a file cannot be read.
pub fn find(given: &str) -> Result<Layers, ConfigError> {
    let (path, named) = (PathBuf::from(given), named(given));
    match [&path, &named].into_iter().find(|p| p.is_file()) {
        Some(found) => Layers::read(found),
        None if path.extension().is_some() => Layers::read(&path),
        None => experiment(given),
    }
}

/// The experiment whose data are a registered part of the published data set that `whole` asks for, with its `[data]` table.
#[must_use]
pub fn part_of(whole: &DataConfig) -> Option<(&'static str, DataConfig)> {
    if whole.subset.is_some() {
        return None;
    }
    names()
        .filter_map(|name| Some((name, data(name)?)))
        .find(|(_, data)| data.name == whole.name && data.subset.is_some())
}

/// The `[data]` table of a built-in experiment.
pub fn data(name: &str) -> Option<DataConfig> {
    let body = experiment(name).ok()?.body().ok()?.value();
    body.get("data")?.clone().try_into().ok()
}

fn named(name: &str) -> PathBuf {
    Path::new("experiments").join(format!("{name}.toml"))
}

fn unknown(given: &str, path: PathBuf) -> ConfigError {
    let files = std::fs::read_dir("experiments").into_iter().flatten().flatten().map(|e| e.path());
    let files = files.filter(|p| p.extension().is_some_and(|e| e == "toml") && !p.ends_with(BASE));
    let found = files.filter_map(|p| Some(p.file_stem()?.to_str()?.to_owned()));
    let known: Vec<String> = found.chain(names().map(str::to_owned)).collect();
    let hint = suggestion(given, known.iter().map(String::as_str));
    ConfigError::Unknown { wanted: given.to_owned(), path, hint }
}
