//! Why a configuration was refused, in one message that names the file and the key.

use std::path::PathBuf;

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
    /// A file that another one extends cannot be read.
    #[error("{path}: extends {base:?}: {source}", path = path.display())]
    Extends {
        /// The file that extends it.
        path: PathBuf,
        /// As it is written there.
        base: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Files or presets that extend each other in a circle.
    #[error("{path}: {what} extend each other in a circle: {chain}", path = path.display())]
    Circle {
        /// The file.
        path: PathBuf,
        /// Files or presets.
        what: &'static str,
        /// All of them, the first one again at the end.
        chain: String,
    },
    /// Neither a file nor the name of an experiment.
    #[error("no experiment {wanted:?}: neither a file nor {path} exists{hint}", path = path.display())]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// Where a file of that name would be.
        path: PathBuf,
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

/// serde's message on one line, with the nearest valid name where it lists them.
pub(crate) fn explain(error: &toml::de::Error) -> String {
    let full = error.to_string();
    let lines: Vec<&str> = full.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let message = lines.join(", ");
    let quoted: Vec<&str> = full.split('`').skip(1).step_by(2).collect();
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
