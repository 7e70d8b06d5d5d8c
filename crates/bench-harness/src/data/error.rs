//! Everything that can go wrong on the way to a data set, each in one message that names what and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::config::WantedFile;
use super::digest::Checksum;
use super::fetch::FetchError;
use super::idx::IdxError;

/// Why a data set could not be had.
#[derive(Debug, Error)]
#[allow(missing_docs)] // The fields are what the messages say.
pub enum DataError {
    /// No data set has this name.
    #[error("unknown data set `{name}`: did you mean `{nearest}`? The data sets are {known}")]
    UnknownDataset { name: String, nearest: String, known: String },

    /// A key of the `[data]` table has an impossible value.
    #[error("`{key}`: {problem}")]
    Config { key: String, problem: String },

    /// Files are not on this machine, and downloading is off or nobody publishes them.
    #[error("{0}")]
    Missing(Box<MissingFiles>),

    /// Files are not on this machine and could not be downloaded.
    #[error("{missing}\n{source}")]
    Download { missing: Box<MissingFiles>, source: FetchError },

    /// The caller stopped a download.
    #[error("{0}")]
    Cancelled(FetchError),

    /// A file is there and is not what it should be. It was left as it is.
    #[error(
        "{path}: wrong checksum: expected {expected}, found {found} ({bytes} bytes). \
         The file was left as it is: move it away and run again (or `dale data fetch`), \
         or, if it is meant to be another file, register it as `data.subset` with its own checksum",
        path = path.display()
    )]
    Checksum { path: PathBuf, expected: Checksum, found: Checksum, bytes: u64 },

    /// A file has the right checksum or none, and is still not a data file.
    #[error(transparent)]
    Idx(#[from] IdxError),

    /// Training and test images differ in size.
    #[error(
        "{train_file} and {test_file} do not belong together: training images are {train:?} pixels (height, width), test images {test:?}",
        train_file = train_file.display(),
        test_file = test_file.display()
    )]
    Sizes { train_file: PathBuf, train: (usize, usize), test_file: PathBuf, test: (usize, usize) },

    /// Images of one's own that cannot be used.
    #[error("`{key}`: {path}: {problem}", path = path.display())]
    Own { key: String, path: PathBuf, problem: String },

    /// A file is there and cannot be read.
    #[error("{path}: cannot read: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
}

/// The files that a data set lacks, and where they could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingFiles {
    /// Name of the data set, with its subset.
    pub title: String,
    /// The files.
    pub files: Vec<WantedFile>,
    /// Where to put them; `None` where neither a folder was named nor the user has a cache folder.
    pub folder: Option<PathBuf>,
    /// Folders searched.
    pub searched: Vec<PathBuf>,
    /// Why they were not downloaded.
    pub reason: String,
    /// What is on this machine instead, for people: a registered part of the data set.
    pub instead: Option<String>,
}

impl fmt::Display for MissingFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, files, folder, searched, reason, instead } = self;
        write!(f, "data set `{title}` is not on this machine: {reason}.\nmissing files:")?;
        let width = files.iter().map(|f| f.name.len()).max().unwrap_or(0);
        for file in files {
            write!(f, "\n  {:width$}  {}", file.name, file.checksum)?;
            if let Some(bytes) = file.bytes {
                write!(f, "  ({bytes} bytes)")?;
            }
        }
        match folder {
            Some(folder) => write!(f, "\nput them into: {}", folder.display())?,
            None => f.write_str("\nname a folder for them with --data-dir or DALE_DATA_DIR")?,
        }
        f.write_str("\nsearched:")?;
        for folder in searched {
            write!(f, "\n  {}", folder.display())?;
        }
        if searched.is_empty() {
            f.write_str(" no folder: none was named and the user has no cache folder")?;
        }
        instead.iter().try_for_each(|instead| write!(f, "\non this machine is {instead}"))
    }
}
