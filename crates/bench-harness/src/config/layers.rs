//! A file, the files it extends, their presets and assignments, laid over one another.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use models::unet::UNetConfig;
use toml::{Table, Value};

use super::check::check;
use super::error::{self, ConfigError, suggestion};
use super::origin::{Origin, Tree};
use super::{Experiment, shipped};

/// One file, read.
#[derive(Clone, Debug)]
struct Layer {
    path: PathBuf,
    /// Its settings outside of presets.
    body: Table,
    presets: Table,
    /// The file that it extends.
    base: Option<String>,
}

/// A file with those that it extends, read and not yet resolved.
#[derive(Clone, Debug)]
pub struct Layers {
    /// The file that was asked for comes last.
    files: Vec<Layer>,
}

/// An experiment that knows where its values came from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The experiment.
    pub experiment: Experiment,
    pub(super) tree: Tree,
}

impl Resolved {
    /// Where the value of a key came from, for example of `["training", "steps"]`.
    #[must_use]
    pub fn origin(&self, key: &[&str]) -> Origin {
        self.tree.origin(key).cloned().unwrap_or(Origin::Default)
    }
}

impl Layers {
    /// Reads a file and those that it extends.
    ///
    /// # Errors
    /// If one cannot be read or is not TOML, or if they extend each other in a circle.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// As [`Self::read`], for a text that is already read.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut files = vec![Layer::parse(path, text)?];
        let mut seen = vec![identity(path)];
        while let Some((base, from)) = files.last().and_then(|f| Some((f.base.clone()?, f.path.clone()))) {
            let next = from.parent().unwrap_or(Path::new("")).join(&base);
            seen.push(identity(&next));
            if seen[..seen.len() - 1].contains(&identity(&next)) {
                let names = files.iter().map(|f| f.path.display().to_string()).chain([next.display().to_string()]);
                return Err(circle(path, "files", names.collect()));
            }
            let text = match fs::read_to_string(&next) {
                Ok(text) => text,
                Err(source) => match shipped::text(&base).filter(|_| source.kind() == ErrorKind::NotFound) {
                    Some(text) => text.to_owned(),
                    None => return Err(ConfigError::Extends { path: from, base, source }),
                },
            };
            files.push(Layer::parse(&next, &text)?);
        }
        files.reverse();
        Ok(Self { files })
    }

    /// The names of all presets, each once.
    #[must_use]
    pub fn presets(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.files.iter().flat_map(|f| f.presets.keys()) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// Lays a preset, if one is wanted, and the assignments over the files, and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file and the key.
    pub fn resolve(&self, preset: Option<&str>, assignments: &[String]) -> Result<Resolved, ConfigError> {
        let mut tree = self.body()?;
        for name in self.ancestry(preset)? {
            for file in &self.files {
                let Some(overlay) = file.preset(name)? else { continue };
                let origin = Origin::File { path: file.path.clone(), preset: Some(name.to_owned()) };
                tree.lay(layer(&file.path, overlay.clone(), &origin)?);
            }
        }
        assign(self.path(), &mut tree, assignments)?;
        finish(self.path(), tree)
    }

    /// The settings of the files outside of presets.
    pub(super) fn body(&self) -> Result<Tree, ConfigError> {
        let mut tree = Tree::empty();
        for file in &self.files {
            let origin = Origin::File { path: file.path.clone(), preset: None };
            tree.lay(layer(&file.path, file.body.clone(), &origin)?);
        }
        Ok(tree)
    }

    /// A preset and those that it extends, the most basic one first.
    fn ancestry<'a>(&'a self, preset: Option<&'a str>) -> Result<Vec<&'a str>, ConfigError> {
        let (mut names, mut next) = (Vec::new(), preset);
        while let Some(name) = next {
            if names.contains(&name) {
                let chain = names.iter().chain([&name]).map(|n| (*n).to_owned()).collect();
                return Err(circle(self.path(), "presets", chain));
            }
            names.push(name);
            let (mut found, mut base) = (false, None);
            for file in &self.files {
                let Some(overlay) = file.preset(name)? else { continue };
                found = true;
                base = extends(&file.path, &format!("preset.{name}.extends"), overlay)?.or(base);
            }
            if !found {
                let known = self.presets();
                return Err(ConfigError::Preset {
                    path: self.path().to_owned(),
                    wanted: name.to_owned(),
                    known: known.join(", "),
                    hint: suggestion(name, known.into_iter()),
                });
            }
            next = base;
        }
        names.reverse();
        Ok(names)
    }

    /// The file that was asked for.
    fn path(&self) -> &Path {
        self.files.last().map_or(Path::new(""), |file| &file.path)
    }
}

impl Layer {
    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let syntax = |e: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), message: e.to_string() };
        let mut body: Table = toml::from_str(text).map_err(syntax)?;
        let base = extends(path, "extends", &body)?.map(str::to_owned);
        body.remove("extends");
        let presets = match body.remove("preset") {
            Some(Value::Table(presets)) => presets,
            None => Table::new(),
            Some(other) => return Err(refused(path, format!("preset: {other} is not a table"))),
        };
        Ok(Self { path: path.to_owned(), body, presets, base })
    }

    fn preset(&self, name: &str) -> Result<Option<&Table>, ConfigError> {
        match self.presets.get(name) {
            Some(Value::Table(overlay)) => Ok(Some(overlay)),
            None => Ok(None),
            Some(other) => Err(refused(&self.path, format!("preset.{name}: {other} is not a table"))),
        }
    }
}

/// An experiment that is resolved already, with assignments laid over it; `path` is for messages.
///
/// # Errors
/// [`ConfigError`] naming the file and the key.
pub fn adjust(path: &Path, experiment: &Experiment, assignments: &[String]) -> Result<Experiment, ConfigError> {
    let table = Table::try_from(experiment).map_err(|e| refused(path, e.to_string()))?;
    let mut tree = Tree::new(table, &Origin::File { path: path.to_owned(), preset: None });
    assign(path, &mut tree, assignments)?;
    Ok(finish(path, tree)?.experiment)
}

fn assign(path: &Path, tree: &mut Tree, assignments: &[String]) -> Result<(), ConfigError> {
    for assignment in assignments {
        tree.lay(layer(path, assigned(assignment)?, &Origin::Set)?);
    }
    Ok(())
}

fn finish(path: &Path, tree: Tree) -> Result<Resolved, ConfigError> {
    let experiment = tree.value().try_into().map_err(|e: toml::de::Error| explain(path, &tree, &e))?;
    check(path, &experiment)?;
    Ok(Resolved { experiment, tree })
}

/// A table as a layer. A size by name in it becomes what it stands for: it replaces what stood before it, and yields to what
/// comes after.
fn layer(path: &Path, mut table: Table, origin: &Origin) -> Result<Tree, ConfigError> {
    table.remove("extends");
    size_by_name(path, &mut table)?;
    Ok(Tree::new(table, origin))
}

/// Replaces the key `preset` of `[network]`, if it is there, by the size of that name; other keys beside it are laid over it.
fn size_by_name(path: &Path, table: &mut Table) -> Result<(), ConfigError> {
    let Some(Value::Table(network)) = table.get_mut("network") else { return Ok(()) };
    let Some(name) = network.remove("preset") else { return Ok(()) };
    let name = name.as_str().ok_or_else(|| refused(path, format!("network.preset: {name} is not a name")))?;
    let size = UNetConfig::preset(name).map_err(|e| refused(path, e.to_string()))?;
    let mut size = Table::try_from(size).map_err(|e| refused(path, e.to_string()))?;
    // What the images are is not the size of the network.
    size.retain(|key, _| !["channels", "size", "patch", "classes"].contains(&key));
    size.extend(std::mem::take(network));
    *network = size;
    Ok(())
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
    let mut overlay = Table::from_iter([(last.to_owned(), value)]);
    for part in parts.into_iter().rev() {
        overlay = Table::from_iter([(part.to_owned(), Value::Table(overlay))]);
    }
    Ok(overlay)
}

/// What a file or a preset extends.
fn extends<'a>(path: &Path, key: &str, table: &'a Table) -> Result<Option<&'a str>, ConfigError> {
    match table.get("extends") {
        None => Ok(None),
        Some(Value::String(base)) => Ok(Some(base)),
        Some(other) => Err(refused(path, format!("{key}: {other} is not a name"))),
    }
}

/// What tells one file from another, whatever path leads to it.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn circle(path: &Path, what: &'static str, names: Vec<String>) -> ConfigError {
    ConfigError::Circle { path: path.to_owned(), what, chain: names.join(" → ") }
}

fn refused(path: &Path, message: String) -> ConfigError {
    ConfigError::Key { path: path.to_owned(), message }
}

/// serde's message on one line, with the file that the value is in and the nearest valid name where it lists them.
fn explain(path: &Path, tree: &Tree, error: &toml::de::Error) -> ConfigError {
    let full = error.to_string();
    let message = error::explain(error);
    let within = full.lines().rev().find_map(|l| l.trim().strip_prefix("in `")?.strip_suffix('`'));
    let mut key: Vec<&str> = within.map(|key| key.split('.').collect()).unwrap_or_default();
    let wrong = full.split('`').nth(1).filter(|_| message.contains("unknown"));
    // A key that nobody knows still stands in some file.
    key.extend(wrong.filter(|wrong| tree.origin(&[key.as_slice(), &[wrong]].concat()).is_some()));
    match tree.origin(&key).filter(|_| !key.is_empty()) {
        Some(Origin::File { path, preset: None }) => refused(path, message),
        Some(Origin::File { path, preset: Some(preset) }) => refused(path, format!("preset {preset}: {message}")),
        Some(Origin::Set) => refused(path, format!("--set: {message}")),
        _ => refused(path, message),
    }
}
