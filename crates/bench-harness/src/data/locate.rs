//! Where the files of a data set are looked for, in this order:
//!
//! 1. the folder given with `--data-dir`,
//! 2. the folder named by `DALE_DATA_DIR`,
//! 3. `dale/` in the user's cache folder,
//!
//! each with one sub-folder per data set: `<folder>/mnist/train-images-idx3-ubyte.gz`, or the uncompressed file
//! without `.gz`. What is in none of them is downloaded into the third, where that is allowed.

use std::fs;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::Serialize;

use super::config::WantedFile;
use super::digest::Checksum;
use super::error::DataError;
use super::fetch::FetchOptions;

/// Whether missing files may be downloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FetchPolicy {
    /// Missing files are downloaded into the cache folder.
    #[default]
    Allow,
    /// Nothing is downloaded (`DALE_OFFLINE=1`).
    Never,
}

/// Folders to search and what to do about a missing file.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The folder given with `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// The value of `DALE_DATA_DIR`.
    pub env_dir: Option<PathBuf>,
    /// `dale/` in the user's cache folder, see [`user_cache`]; downloads go here.
    pub cache_dir: Option<PathBuf>,
    /// Whether missing files may be downloaded.
    pub policy: FetchPolicy,
    /// Addresses to download from in place of the published mirrors, if any are given; a file is expected at
    /// `<mirror>/<data set>/<file>`. Checksums are the published ones all the same.
    pub mirrors: Vec<String>,
    /// How to download.
    pub fetch: FetchOptions,
}

/// `<cache>/dale`: `$XDG_CACHE_HOME/dale` or `~/.cache/dale` on Unix, `%LOCALAPPDATA%\dale` on Windows.
/// `None` where the user has no home folder.
pub fn user_cache() -> Option<PathBuf> {
    etcetera::choose_base_strategy().ok().map(|base| base.cache_dir().join("dale"))
}

impl Search {
    /// The standard search: the two named folders, then [`user_cache`]. An empty path counts as not given.
    pub fn new(data_dir: Option<PathBuf>, env_dir: Option<PathBuf>, policy: FetchPolicy) -> Self {
        let given = |dir: Option<PathBuf>| dir.filter(|d| !d.as_os_str().is_empty());
        Self {
            data_dir: given(data_dir),
            env_dir: given(env_dir),
            cache_dir: user_cache(),
            policy,
            mirrors: Vec::new(),
            fetch: FetchOptions::default(),
        }
    }

    /// The folders searched for the data set `name`, in order, without repetitions.
    pub fn folders(&self, name: &str) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        for root in [&self.data_dir, &self.env_dir, &self.cache_dir].into_iter().flatten() {
            let folder = root.join(name);
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }

    /// Where downloads of the data set `name` go.
    pub fn download_folder(&self, name: &str) -> Option<PathBuf> {
        self.cache_dir.as_ref().map(|root| root.join(name))
    }

    /// The addresses to download `file` of the data set `name` from; none where nobody publishes it.
    pub fn urls(&self, name: &str, file: &WantedFile) -> Vec<String> {
        if self.mirrors.is_empty() || file.urls.is_empty() {
            return file.urls.clone();
        }
        let at = |mirror: &String| format!("{}/{name}/{}", mirror.trim_end_matches('/'), file.name);
        self.mirrors.iter().map(at).collect()
    }

    /// Where `file` of the data set `name` lies, and what it must contain there; `None` where it is missing.
    /// Looks at names only.
    pub fn find(&self, name: &str, file: &WantedFile) -> Option<Found> {
        for folder in self.folders(name) {
            let packed = folder.join(&file.name);
            if packed.is_file() {
                return Some(Found { path: packed, checksum: file.checksum.clone() });
            }
            if let (Some(raw_name), Some(checksum)) = (file.raw_name(), &file.raw_checksum) {
                let raw = folder.join(raw_name);
                if raw.is_file() {
                    return Some(Found { path: raw, checksum: checksum.clone() });
                }
            }
        }
        None
    }
}

/// A file that is there, not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// What it must contain (the checksum of the compressed or of the uncompressed form).
    pub checksum: Checksum,
}

impl Found {
    /// The content, read once and checked before anything else looks at it.
    ///
    /// # Errors
    /// [`DataError::Read`]; [`DataError::Checksum`] with both values, the file left as it is.
    pub fn read(&self) -> Result<Vec<u8>, DataError> {
        let bytes = read_file(&self.path)?;
        self.checksum.check(&bytes).map_err(|found| DataError::Checksum {
            path: self.path.clone(),
            expected: self.checksum.clone(),
            found,
            bytes: bytes.len() as u64,
        })?;
        Ok(bytes)
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })
}
