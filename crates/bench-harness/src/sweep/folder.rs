//! A sweep's folder, read: its file, the cells of it, and what became of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cells::{self, Base, Cell};
use super::effects::{self, Setting};
use super::record::{self, Record};
use super::table::SweepFile;
use crate::config::shipped;

/// A sweep with what is known of its cells.
#[derive(Debug)]
pub struct Sweep {
    /// The folder.
    pub folder: PathBuf,
    /// Its `sweep.toml`.
    pub file: SweepFile,
    /// The cells of that file.
    pub cells: Vec<Cell>,
    /// Records of these cells, in their order.
    pub records: Vec<Record>,
}

impl Sweep {
    /// Reads a folder.
    ///
    /// # Errors
    /// A folder that is no sweep's, a sweep of another version's settings, numbers of different protocols.
    pub fn read(folder: &Path) -> Result<Self> {
        let file = SweepFile::read(&folder.join("sweep.toml")).context("not a sweep's folder")?;
        let layers = shipped::find(&file.experiment).with_context(|| folder.display().to_string())?;
        let preset = if file.preset == "auto" { "cpu" } else { &file.preset };
        let cells = cells::expand(&file, Base { layers: &layers, preset })?;
        let records = of_cells(record::read(folder)?, &cells, folder)?;
        Ok(Self { folder: folder.to_owned(), file, cells, records })
    }

    /// The records with numbers.
    #[must_use]
    pub fn finished(&self) -> Vec<&Record> {
        self.records.iter().filter(|record| record.outcome().is_some()).collect()
    }

    /// Cells of the file that have no numbers yet.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.cells.len() - self.finished().len()
    }

    /// The finished settings, each over its seeds, with their first cell and its record.
    #[must_use]
    pub fn settings(&self) -> Vec<(Setting, &Cell, &Record)> {
        let with = |setting: Setting| {
            let record = self.records.iter().find(|record| record.key == setting.first)?;
            Some((self.cells.iter().find(|cell| cell.key == setting.first)?, record, setting))
        };
        let all = effects::settings(&self.finished()).into_iter().filter_map(with);
        all.map(|(cell, record, setting)| (setting, cell, record)).collect()
    }
}

/// The records of these cells, in the order of the cells, which one protocol has judged. Others, of settings that the file no longer has,
/// are left out with a warning.
///
/// # Errors
/// Numbers of different protocols.
pub fn of_cells(mut records: Vec<Record>, cells: &[Cell], folder: &Path) -> Result<Vec<Record>> {
    let place = |record: &Record| cells.iter().position(|cell| cell.key == record.key);
    let before = records.len();
    records.retain(|record| place(record).is_some());
    if records.len() < before {
        let other = before - records.len();
        tracing::warn!("{}: {other} records are of other cells than the file has now; left out", folder.display());
    }
    records.sort_by_key(|record| place(record));
    record::one_protocol(&records).with_context(|| folder.display().to_string())?;
    Ok(records)
}
