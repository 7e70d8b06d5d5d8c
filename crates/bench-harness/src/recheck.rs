//! `dale results-check`: the shipped weights sampled and judged again, beside the numbers that ship with them.
//!
//! Samples come from the same draws of noise, but weights ship in half precision and another machine rounds otherwise: the distance of
//! the samples may differ by a part of its bootstrap's standard deviation. That of real images may not differ at all.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ndarray::{Axis, Slice};

use crate::evaluate::{Evaluation, Judge, Score};
use crate::generate::{Arithmetic, draw, open_run};
use crate::loading;
use crate::report::table::{Cell, Column, Table};
use crate::session::{Interrupted, Session};

/// Standard deviations by which samples may differ.
const SAMPLES: f64 = 2.0;
/// Part by which real images may differ.
const REAL: f64 = 1e-3;

/// One number with its shipped value.
struct Row {
    folder: String,
    shipped: Score,
    now: Score,
    holds: bool,
}

/// Checks all folders, and prints a table.
///
/// # Errors
/// A folder without weights or metrics, a data set that is not at hand; numbers that differ, by name.
pub fn check(folders: &[PathBuf], session: &Session) -> Result<()> {
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for folder in folders {
        match folder_rows(folder, session) {
            Ok(own) => rows.extend(own),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => {
                tracing::warn!("{}: {error:#}", folder.display());
                failed.push(folder.display().to_string());
            }
        }
    }
    println!("{}", table(&rows)?.to_text());
    let wrong: Vec<String> =
        rows.iter().filter(|row| !row.holds).map(|row| format!("{} ({})", row.folder, row.now.name)).collect();
    if !wrong.is_empty() {
        bail!("not the numbers that ship: {}", wrong.join(", "));
    }
    if !failed.is_empty() {
        bail!("could not be checked: {}", failed.join(", "));
    }
    Ok(())
}

fn folder_rows(folder: &Path, session: &Session) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(folder.join("metrics.json")).context("metrics.json")?;
    let shipped: Evaluation = serde_json::from_str(&text).context("metrics.json")?;
    let (e, trained) = open_run(folder, Arithmetic::AsTrained, session)?;
    let data = loading::load_for(&e, session)?;
    let drawn = draw(&trained, &e, e.sampling.n, &data, None, session)?;
    let judge = Judge::new(&data, &e.evaluation, e.seed, session.device)?;
    let n = judge.comparable_count(&data, drawn.images.dim().0);
    let mut now = judge.score("samples", drawn.images.slice_axis(Axis(0), Slice::from(..n)))?;
    now.calls = Some(drawn.cost.calls);
    let real = judge.real(&data, n)?;
    let label = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    [now, real]
        .into_iter()
        .map(|now| {
            let shipped = shipped.row(&now.name).with_context(|| format!("metrics.json has no row {:?}", now.name))?;
            shipped.fingerprint.comparable(&now.fingerprint)?;
            let shipped = shipped.clone();
            Ok(Row { folder: label.clone(), holds: holds(&shipped, &now), shipped, now })
        })
        .collect()
}

/// Whether a number is the shipped one, up to what another machine may change.
fn holds(shipped: &Score, now: &Score) -> bool {
    let near = |a: f64, b: f64, sd: f64| match now.calls {
        Some(_) => (a - b).abs() <= SAMPLES * sd,
        None => (a - b).abs() <= REAL * a.abs().max(1.0),
    };
    near(shipped.cnn_fid, now.cnn_fid, shipped.cnn_fid_sd)
        && near(shipped.kid, now.kid, shipped.kid_sd)
        && (now.calls.is_none() || now.calls == shipped.calls)
}

fn table(rows: &[Row]) -> Result<Table> {
    let number = |name: &str| Column { decimals: Some(2), ..Column::number(name) };
    let columns = vec![
        Column::text("folder"),
        Column::text("images"),
        Column::number("N"),
        number("cnn-fid shipped"),
        number("now"),
        number("KID shipped"),
        number("KID now"),
        Column::text("the same"),
    ];
    let mut table = Table::new("Shipped numbers, computed again", columns);
    for row in rows {
        table.push(vec![
            row.folder.clone().into(),
            row.now.name.clone().into(),
            Cell::Number(row.now.n as f64),
            row.shipped.cnn_fid.into(),
            row.now.cnn_fid.into(),
            row.shipped.kid.into(),
            row.now.kid.into(),
            if row.holds { "yes" } else { "NO" }.into(),
        ])?;
    }
    table.notes.push(format!(
        "samples may differ by {SAMPLES} standard deviations of the bootstrap, since weights ship in half precision and machines round \
         differently; real images by {REAL} of their distance"
    ));
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::record::tests::finished;

    #[test]
    fn samples_may_round_otherwise_but_real_images_may_not() {
        let shipped = finished(&[], 1, 10.0).outcome().unwrap().score.clone();
        let with = |change: &dyn Fn(&mut Score)| {
            let mut score = shipped.clone();
            change(&mut score);
            score
        };
        assert!(holds(&shipped, &shipped));
        assert!(holds(&shipped, &with(&|s| s.cnn_fid += 1.9 * s.cnn_fid_sd)));
        assert!(!holds(&shipped, &with(&|s| s.cnn_fid += 2.1 * s.cnn_fid_sd)));
        assert!(!holds(&shipped, &with(&|s| s.kid -= 2.1 * s.kid_sd)));
        assert!(!holds(&shipped, &with(&|s| s.calls = Some(1000))));
        let real = with(&|s| s.calls = None);
        let moved = |by: f64| Score { cnn_fid: real.cnn_fid + by, ..real.clone() };
        assert!(holds(&real, &moved(0.009)) && !holds(&real, &moved(0.011)));
    }
}
