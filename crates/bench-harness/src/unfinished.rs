//! What a sampling that was stopped leaves behind: the batches that were finished, from which the next one goes on.
//!
//! `samples.part` holds N × H × W bytes and grows by a batch at a time; `samples.part.json` says of which samples they are, and how
//! many are whole. The record is replaced at once and after the images, so that after a loss of power it tells of images that are there.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use models::write::write_atomically;
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// What images cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Network calls for each image; where they differ from batch to batch, the most.
    pub calls: usize,
    /// Seconds for all of them, without those of a batch that was broken off.
    pub seconds: f64,
    /// Images for which the network's output was not finite at the end.
    #[serde(default)]
    pub diverged: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    key: String,
    images: [usize; 3],
    #[serde(flatten)]
    cost: Cost,
}

/// The finished batches of one set of samples in a folder.
#[derive(Debug)]
pub struct Unfinished {
    images: PathBuf,
    record: PathBuf,
    key: String,
}

impl Unfinished {
    /// Those of the samples with this key.
    #[must_use]
    pub fn new(folder: &Path, key: String) -> Self {
        Self { images: folder.join("samples.part"), record: folder.join("samples.part.json"), key }
    }

    /// Images that are there, with what they cost; none if there are none of these samples.
    #[must_use]
    pub fn load(&self) -> Option<(Array3<u8>, Cost)> {
        let Record { key, images: [n, rows, columns], cost } =
            serde_json::from_slice(&fs::read(&self.record).ok()?).ok()?;
        let mut bytes = fs::read(&self.images).ok()?;
        let whole = n.checked_mul(rows)?.checked_mul(columns)?;
        if key != self.key || bytes.len() < whole {
            return None;
        }
        bytes.truncate(whole);
        Some((Array3::from_shape_vec((n, rows, columns), bytes).ok()?, cost))
    }

    /// Adds a batch to `before` images; `cost` is that of all of them.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&self, before: usize, batch: ArrayView3<'_, u8>, cost: Cost) -> Result<()> {
        let (count, rows, columns) = batch.dim();
        if before == 0 {
            // Other samples' record must not stand beside these images.
            remove(&self.record)?;
        }
        let named = || self.images.display().to_string();
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(false).open(&self.images).with_context(named)?;
        let whole = (before * rows * columns) as u64;
        let there = file.metadata().with_context(named)?.len();
        ensure!(there >= whole, "{}: {there} bytes, where {before} images were written before", self.images.display());
        // Whatever was written after the last whole batch goes.
        file.set_len(whole).with_context(named)?;
        file.seek(SeekFrom::End(0)).with_context(named)?;
        file.write_all(&batch.iter().copied().collect::<Vec<u8>>()).with_context(named)?;
        file.sync_data().with_context(named)?;
        let record = Record { key: self.key.clone(), images: [before + count, rows, columns], cost };
        Ok(write_atomically(&self.record, &serde_json::to_vec(&record)?)?)
    }

    /// Removes both files, if they are there.
    ///
    /// # Errors
    /// If they cannot be removed.
    pub fn clear(&self) -> Result<()> {
        remove(&self.record)?;
        remove(&self.images)
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| path.display().to_string()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Axis, concatenate};

    fn batch(first: u8) -> Array3<u8> {
        Array3::from_shape_fn((2, 3, 4), |(n, i, j)| first + (n * 12 + i * 4 + j) as u8)
    }

    #[test]
    fn batches_come_back_and_a_torn_one_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = Unfinished::new(folder.path(), "a".to_owned());
        assert!(unfinished.load().is_none());
        unfinished.append(0, batch(0).view(), Cost { calls: 9, seconds: 1.5, diverged: 0 }).unwrap();
        // A batch of which only a part was written when the power went.
        let mut torn = OpenOptions::new().append(true).open(folder.path().join("samples.part")).unwrap();
        torn.write_all(&[7; 5]).unwrap();
        assert_eq!(unfinished.load().unwrap().0, batch(0));
        let cost = Cost { calls: 9, seconds: 3.0, diverged: 1 };
        unfinished.append(2, batch(100).view(), cost).unwrap();
        let both = concatenate(Axis(0), &[batch(0).view(), batch(100).view()]).unwrap();
        assert_eq!(unfinished.load().unwrap(), (both, cost));
        unfinished.clear().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        unfinished.clear().unwrap();
    }

    #[test]
    fn images_of_other_samples_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (Unfinished::new(folder.path(), "a".to_owned()), Unfinished::new(folder.path(), "b".to_owned()));
        a.append(0, batch(0).view(), Cost::default()).unwrap();
        assert!(b.load().is_none());
        b.append(0, batch(50).view(), Cost::default()).unwrap();
        assert!(a.load().is_none());
        assert_eq!(b.load().unwrap().0, batch(50));
        fs::write(folder.path().join("samples.part"), [1; 3]).unwrap();
        assert!(b.load().is_none(), "fewer images than the record says");
        let error = b.append(2, batch(0).view(), Cost::default()).unwrap_err().to_string();
        assert!(error.contains("samples.part: 3 bytes"), "{error}");
    }
}
