//! What of each data set is on this machine: the table behind `dale data list` and `dale data verify`.

use std::path::PathBuf;

use serde::Serialize;

use super::catalog::{self, Role};
use super::config::DataConfig;
use super::digest::Checksum;
use super::error::DataError;
use super::locate::Search;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Only whether the files are there.
    Presence,
    /// Read every file and compare its checksum.
    Checksums,
}

/// State of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum FileState {
    /// There, not read.
    Present,
    /// There, and its checksum is right.
    Verified,
    /// There, and its checksum is wrong.
    WrongChecksum {
        /// What it is.
        found: Checksum,
    },
    /// There, and cannot be read.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// In none of the folders searched.
    Missing,
}

/// One file of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileStatus {
    /// Its published name.
    pub name: String,
    /// What it holds.
    pub role: Role,
    /// Its published length in bytes, where known.
    pub bytes: Option<u64>,
    /// What it must be, in the form (compressed or not) that was found.
    pub checksum: Checksum,
    /// Where it was found.
    pub path: Option<PathBuf>,
    /// Its state.
    #[serde(flatten)]
    pub state: FileState,
}

/// One data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetStatus {
    /// Its name in the catalogue.
    pub name: String,
    /// Its subset's label.
    pub subset: Option<String>,
    /// Whether it is drawn by the program and needs no file.
    pub generated: bool,
    /// Its licence.
    pub license: String,
    /// Who made it.
    pub source: String,
    /// Whether it can be used as it is: no file missing, none found bad.
    pub usable: bool,
    /// The folders searched.
    pub searched: Vec<PathBuf>,
    /// Its files; none for a generated data set.
    pub files: Vec<FileStatus>,
}

/// State of one data set on this machine.
///
/// # Errors
/// [`DataError::UnknownDataset`] and [`DataError::Config`]; a damaged file is a state, not an error.
pub fn status(config: &DataConfig, search: &Search, depth: Depth) -> Result<DatasetStatus, DataError> {
    let entry = catalog::lookup(&config.name)?;
    let mut files = Vec::new();
    for file in config.wanted()? {
        let found = search.find(&config.name, &file);
        let state = match &found {
            None => FileState::Missing,
            Some(_) if depth == Depth::Presence => FileState::Present,
            Some(found) => match found.read() {
                Ok(_) => FileState::Verified,
                Err(DataError::Checksum { found, .. }) => FileState::WrongChecksum { found },
                Err(error) => FileState::Unreadable { reason: error.to_string() },
            },
        };
        let (path, checksum) = match found {
            Some(found) => (Some(found.path), found.checksum),
            None => (None, file.checksum),
        };
        let (name, role, bytes) = (file.name, file.role, file.bytes);
        files.push(FileStatus { name, role, bytes, checksum, path, state });
    }
    let usable = |f: &FileStatus| matches!(f.state, FileState::Present | FileState::Verified);
    Ok(DatasetStatus {
        name: config.name.clone(),
        subset: config.subset.as_ref().map(|s| s.label.clone()),
        generated: entry.is_none(),
        license: entry.map_or("that of this program", |e| e.license).to_owned(),
        source: entry.map_or("drawn by this program", |e| e.source).to_owned(),
        usable: files.iter().all(usable),
        searched: search.folders(&config.name),
        files,
    })
}

/// State of every data set of the catalogue, whole.
///
/// # Errors
/// None that the catalogue's own names can raise.
pub fn status_all(search: &Search, depth: Depth) -> Result<Vec<DatasetStatus>, DataError> {
    catalog::names().into_iter().map(|name| status(&DataConfig::named(name), search, depth)).collect()
}
