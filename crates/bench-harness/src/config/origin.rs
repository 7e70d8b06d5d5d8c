//! Settings as a tree in which every value knows where it came from.

use std::fmt;
use std::path::PathBuf;

use toml::map::Map;
use toml::{Table, Value};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, or a preset in it.
    File {
        /// The file.
        path: PathBuf,
        /// The preset.
        preset: Option<String>,
    },
    /// An assignment on the command line.
    Set,
    /// Written nowhere.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, preset } => {
                f.write_str(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy())?;
                preset.iter().try_for_each(|preset| write!(f, ", preset {preset}"))
            }
            Self::Set => f.write_str("--set"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A table whose values know their origin, in the order of the files; a list counts as one value.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Leaf(Value, Origin),
    Branch(Map<String, Tree>),
}

impl Tree {
    pub(super) fn empty() -> Self {
        Self::Branch(Map::new())
    }

    /// The values of one layer.
    pub(super) fn new(table: Table, origin: &Origin) -> Self {
        let grow = |value| match value {
            Value::Table(table) => Self::new(table, origin),
            value => Self::Leaf(value, origin.clone()),
        };
        Self::Branch(table.into_iter().map(|(key, value)| (key, grow(value))).collect())
    }

    /// Without the origins.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Leaf(value, _) => value.clone(),
            Self::Branch(children) => {
                Value::Table(children.iter().map(|(k, child)| (k.clone(), child.value())).collect())
            }
        }
    }

    /// Lays `over` upon it, key by key. A table that names another `kind` replaces the whole table.
    pub(super) fn lay(&mut self, over: Self) {
        match (self, over) {
            (Self::Branch(old), Self::Branch(new)) if same_kind(old, &new) => {
                for (key, child) in new {
                    match old.get_mut(&key) {
                        Some(under) => under.lay(child),
                        None => {
                            old.insert(key, child);
                        }
                    }
                }
            }
            (under, over) => *under = over,
        }
    }

    /// Where the value at `path` came from, of a table the first one in it; none if there is no such value.
    pub(super) fn origin(&self, path: &[&str]) -> Option<&Origin> {
        match (self, path) {
            (Self::Leaf(_, origin), []) => Some(origin),
            (Self::Leaf(..), _) => None,
            (Self::Branch(children), []) => children.values().find_map(|child| child.origin(&[])),
            (Self::Branch(children), [key, rest @ ..]) => children.get(*key)?.origin(rest),
        }
    }
}

/// `over` laid upon `under`, key by key, as files of experiments are.
pub fn overlaid(under: Table, over: Table) -> Table {
    let mut tree = Tree::new(under, &Origin::Default);
    tree.lay(Tree::new(over, &Origin::Default));
    match tree.value() {
        Value::Table(table) => table,
        _ => Table::new(),
    }
}

fn same_kind(old: &Map<String, Tree>, new: &Map<String, Tree>) -> bool {
    let kind = |branch: &Map<String, Tree>| branch.get("kind").map(Tree::value);
    kind(new).is_none_or(|wanted| kind(old) == Some(wanted))
}
