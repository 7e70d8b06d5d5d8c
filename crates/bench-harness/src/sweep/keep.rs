//! What stays of a cell beside its numbers: `cells/<key>/`, with a grid of its samples and, where training was judged on the way, the
//! curve. A run's folder changes with the next cell that shares its training; these do not.
//!
//! A sweep's folder with them is whole: it can be copied, shipped, and gone on from on another machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use models::write::write_atomically;

use super::cells::Cell;
use super::folder::Sweep;
use super::record::{self, Outcome, Record};
use super::table::SweepFile;
use crate::arrays::read_npz;
use crate::figures::sample_grid;
use crate::run::stored_experiment;
use crate::training::watch::Quality;

/// Images in a cell's grid.
pub const SHOWN: usize = 64;

/// The folder of a cell.
#[must_use]
pub fn folder(sweep: &Path, key: &str) -> PathBuf {
    sweep.join("cells").join(key)
}

/// The grid of a cell.
#[must_use]
pub fn grid(sweep: &Path, key: &str) -> PathBuf {
    folder(sweep, key).join("samples.png")
}

/// Keeps grid and curve of a cell that has ended, unless they are there, or its run has gone on to other settings.
///
/// # Errors
/// If a file cannot be read or written.
pub fn keep(sweep: &Path, cell: &Cell, outcome: &Outcome) -> Result<()> {
    let target = grid(sweep, &cell.key);
    let current = stored_experiment(&outcome.folder).is_ok_and(|stored| stored == cell.experiment);
    if target.is_file() || !current {
        return Ok(());
    }
    let own = folder(sweep, &cell.key);
    fs::create_dir_all(&own).with_context(|| own.display().to_string())?;
    // The curve is of the training; a cell that did not ask for one may share it with others that did.
    if cell.experiment.training.eval_every > 0 {
        let curve = fs::read(outcome.folder.join("quality.jsonl")).unwrap_or_default();
        if curve.is_empty() {
            tracing::warn!(
                "{}: its training was finished before, by a cell that did not judge it on its way",
                cell.name()
            );
        }
        write_atomically(&own.join("quality.jsonl"), &curve)?;
    }
    let images = read_npz(&outcome.folder.join("samples.npz"))?;
    sample_grid(images.view(), SHOWN)?.write(&target)?;
    Ok(())
}

/// The curve of a cell; empty without one.
#[must_use]
pub fn curve(sweep: &Path, key: &str) -> Vec<Quality> {
    Quality::read(&folder(sweep, key).join("quality.jsonl"))
}

/// The cells that `other`, the folder of the same sweep from another place, has numbers of and `known` has not.
///
/// # Errors
/// If `other` is no sweep's folder, or its numbers were made by another protocol than those that are known.
pub fn adoptable(known: &[Record], cells: &[Cell], other: &Path) -> Result<Vec<Record>> {
    if !other.join("sweep.toml").is_file() {
        bail!("{}: not a sweep's folder: it has no sweep.toml", other.display());
    }
    let wanted = |record: &Record| {
        record.outcome().is_some()
            && cells.iter().any(|cell| cell.key == record.key)
            && !known.iter().any(|own| own.key == record.key && own.outcome().is_some())
    };
    let found: Vec<Record> = record::read(other)?.into_iter().filter(wanted).collect();
    let own = known.iter().filter(|record| cells.iter().any(|cell| cell.key == record.key));
    record::one_protocol(own.chain(&found)).with_context(|| format!("{}: not taken over", other.display()))?;
    Ok(found)
}

/// Takes records over from `other`, with grids and curves.
///
/// # Errors
/// If a file cannot be read or written.
pub fn adopt(sweep: &Path, found: &[Record], other: &Path) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(sweep).with_context(|| sweep.display().to_string())?;
    let path = sweep.join("cells-adopted.jsonl");
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    for record in found {
        copy(&folder(other, &record.key), &folder(sweep, &record.key))?;
        text += &(serde_json::to_string(record)? + "\n");
    }
    write_atomically(&path, text.as_bytes())?;
    Ok(())
}

/// Copies what ships of a sweep: its file, the records in one file, tables, charts, page, grids and curves.
///
/// # Errors
/// As [`Sweep::read`]; if no cell has ended, if the target is the sweep's own folder, that of another sweep or one with numbers that this
/// sweep lacks, or a file cannot be read or written.
pub fn export(sweep: &Path, target: &Path) -> Result<()> {
    let known = Sweep::read(sweep)?;
    let records = known.finished();
    if records.is_empty() {
        bail!("{}: no cell of this sweep has numbers", sweep.display());
    }
    loses_nothing(&known, target)?;
    fs::create_dir_all(target).with_context(|| target.display().to_string())?;
    let mut lines = String::new();
    for record in records {
        lines += &(serde_json::to_string(record)? + "\n");
        copy(&folder(sweep, &record.key), &folder(target, &record.key))?;
    }
    write_atomically(&target.join("cells.jsonl"), lines.as_bytes())?;
    let shown = ["toml", "csv", "parquet", "html", "svg", "png"];
    let ships = |path: &PathBuf| path.extension().and_then(|e| e.to_str()).is_some_and(|e| shown.contains(&e));
    for path in fs::read_dir(sweep)?.flatten().map(|entry| entry.path()).filter(ships) {
        let to = target.join(path.file_name().unwrap_or_default());
        fs::copy(&path, &to).with_context(|| to.display().to_string())?;
    }
    println!("{}", target.display());
    Ok(())
}

/// Refuses a target in whose place something would be lost.
fn loses_nothing(known: &Sweep, target: &Path) -> Result<()> {
    if target.canonicalize().is_ok_and(|target| known.folder.canonicalize().is_ok_and(|own| own == target)) {
        bail!("{}: a sweep cannot be copied upon itself", target.display());
    }
    let there = target.join("sweep.toml");
    if !there.is_file() {
        return Ok(());
    }
    let name = SweepFile::read(&there)?.name;
    if name != known.file.name {
        bail!("{}: holds the sweep {name}, not {}", target.display(), known.file.name);
    }
    let finished = known.finished();
    let there = record::read(target)?;
    let lost = there.iter().filter(|r| r.outcome().is_some() && !finished.iter().any(|own| own.key == r.key)).count();
    if lost > 0 {
        bail!(
            "{0}: has numbers of {lost} cells that {1} lacks; take them over first, `dale sweep FILE --from {0}`, or, where the file has \
             other cells now, export into another folder",
            target.display(),
            known.folder.display()
        );
    }
    Ok(())
}

/// Copies the files of a folder; one that is not there has none.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
        let target = to.join(path.file_name().unwrap_or_default());
        fs::copy(&path, &target).with_context(|| target.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{failed, finished};
    use super::*;

    const FILE: &str = "experiment = \"mnist\"\npreset = \"cpu\"\n[sweep]\nname = \"two\"\nseeds = [1, 2]\n";

    fn write(folder: &Path, records: &[&Record]) {
        fs::create_dir_all(folder).unwrap();
        let lines: String = records.iter().map(|r| serde_json::to_string(r).unwrap() + "\n").collect();
        fs::write(folder.join("cells.jsonl"), lines).unwrap();
        fs::write(folder.join("sweep.toml"), FILE).unwrap();
    }

    /// What ships: numbers of the file's cells, with grids and curves; no failures, and nothing of settings that the file had once.
    #[test]
    fn a_shipped_sweep_is_of_its_file() {
        let root = tempfile::tempdir().unwrap();
        let (sweep, target) = (root.path().join("a"), root.path().join("b"));
        write(&sweep, &[]);
        assert!(export(&sweep, &target).unwrap_err().to_string().contains("no cell"));
        let cells = Sweep::read(&sweep).unwrap().cells;
        let of = |record: Record, cell: &Cell| Record { key: cell.key.clone(), ..record };
        let (good, bad) = (of(finished(&[], 1, 7.0), &cells[0]), of(failed(&[], 2, "no"), &cells[1]));
        write(&sweep, &[&bad, &finished(&[], 3, 1.0), &good]);
        let own = folder(&sweep, &good.key);
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("samples.png"), "picture").unwrap();
        let score = &good.outcome().unwrap().score;
        let line = serde_json::json!({ "step": 5, "seconds": 2.5, "score": score });
        fs::write(own.join("quality.jsonl"), format!("{line}\n")).unwrap();
        export(&sweep, &target).unwrap();
        let own_records = std::slice::from_ref(&good);
        assert_eq!(record::read(&target).unwrap(), *own_records);
        assert_eq!(fs::read_to_string(grid(&target, &good.key)).unwrap(), "picture");
        let curve = curve(&target, &good.key);
        assert_eq!((curve.len(), curve[0].step, curve[0].score.cnn_fid), (1, 5, 7.0));

        assert!(export(&sweep, &sweep).unwrap_err().to_string().contains("upon itself"));
        let other = root.path().join("other");
        write(&other, &[]);
        fs::write(other.join("sweep.toml"), FILE.replace("two", "three")).unwrap();
        assert!(export(&sweep, &other).unwrap_err().to_string().contains("holds the sweep three, not two"));
        let second = of(finished(&[], 2, 8.0), &cells[1]);
        let fuller = root.path().join("fuller");
        write(&fuller, &[&good, &second]);
        assert!(export(&sweep, &fuller).unwrap_err().to_string().contains("numbers of 1 cells that"));
        assert_eq!(record::read(&fuller).unwrap().len(), 2);
        // Also of settings that the file had once.
        write(&fuller, &[&good, &finished(&[], 3, 1.0)]);
        assert!(export(&sweep, &fuller).unwrap_err().to_string().contains("another folder"));

        assert_eq!(adoptable(&[], &cells, &target).unwrap(), *own_records);
        assert!(adoptable(own_records, &cells, &target).unwrap().is_empty());
        assert!(adoptable(&[], &cells[1..], &target).unwrap().is_empty(), "cells of another file are not taken");
        assert!(adoptable(&[], &cells, root.path()).unwrap_err().to_string().contains("sweep.toml"));
        let mut other = of(finished(&[], 2, 8.0), &cells[1]);
        if let record::Status::Ok(outcome) = &mut other.status {
            outcome.score.fingerprint.library_version = "9.9.9".into();
        }
        let refused = format!("{:#}", adoptable(&[other], &cells, &target).unwrap_err());
        assert!(refused.contains("9.9.9") && refused.contains("not taken over"), "{refused}");
    }
}
