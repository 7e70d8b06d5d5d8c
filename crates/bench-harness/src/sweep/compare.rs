//! `dale sweep compare A B`: the cells that two sweeps share, and how far B is from A.
//!
//! Where a setting has several seeds in common, the difference is the mean of `B − A` seed by seed, with Student's interval; with one
//! seed it has that of the two sets of resamples, `1.96 √(s_A² + s_B²)`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::effects::Mean;
use super::folder::Sweep;
use super::record::{self, Outcome, Record};
use crate::report::table::{Cell, Column, Table};

/// A setting that both sweeps have.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The setting on one line.
    pub name: String,
    /// Mean `cnn-fid` of A over the common seeds.
    pub a: f64,
    /// Of B.
    pub b: f64,
    /// `B − A`.
    pub difference: Mean,
}

/// All settings that two sweeps share.
///
/// # Errors
/// If a number of one was not made by the protocol of the other, or they share nothing.
pub fn pairs(a: &[Record], b: &[Record]) -> Result<Vec<Pair>> {
    record::one_protocol(a.iter().chain(b))?;
    type Seeds<'a> = Vec<(&'a Outcome, &'a Outcome)>;
    let mut groups: Vec<(&Record, Seeds<'_>)> = Vec::new();
    for (own, left) in a.iter().filter_map(|record| Some((record, record.outcome()?))) {
        // Axes are the same in any order.
        let alike = |other: &&Record| {
            other.seed == own.seed
                && other.settings.len() == own.settings.len()
                && own.settings.iter().all(|(axis, label)| other.settings.get(axis) == Some(label))
        };
        let Some(right) = b.iter().filter(alike).find_map(Record::outcome) else { continue };
        match groups.iter_mut().find(|(first, _)| first.settings == own.settings) {
            Some((_, seeds)) => seeds.push((left, right)),
            None => groups.push((own, vec![(left, right)])),
        }
    }
    if groups.is_empty() {
        bail!("the two sweeps share no finished cells: none has the same labels on the same axes and the same seed");
    }
    let pair = |(record, seeds): (&Record, Seeds<'_>)| {
        let mean =
            |side: &dyn Fn(&(&Outcome, &Outcome)) -> f64| seeds.iter().map(side).sum::<f64>() / seeds.len() as f64;
        let differences: Vec<f64> = seeds.iter().map(|(l, r)| r.score.cnn_fid - l.score.cnn_fid).collect();
        let (l, r) = seeds[0];
        let sd = l.score.cnn_fid_sd.hypot(r.score.cnn_fid_sd);
        let labels: Vec<String> =
            record.settings.keys().filter_map(|axis| Some(format!("{axis} = {}", record.label(axis)?))).collect();
        Some(Pair {
            name: if labels.is_empty() { "no axes".to_owned() } else { labels.join(", ") },
            a: mean(&|(l, _)| l.score.cnn_fid),
            b: mean(&|(_, r)| r.score.cnn_fid),
            difference: Mean::of(&differences, sd)?,
        })
    };
    Ok(groups.into_iter().filter_map(pair).collect())
}

/// The table of two sweeps, given by folder or by name under `root/sweeps`.
///
/// # Errors
/// If one does not exist; as [`Sweep::read`] and [`pairs`].
pub fn compare(a: &Path, b: &Path, root: &Path) -> Result<Table> {
    let (a, b) = (folder(a, root)?, folder(b, root)?);
    let pairs = pairs(&Sweep::read(&a)?.records, &Sweep::read(&b)?.records)?;
    let number = |name: &str| Column { decimals: Some(2), ..Column::number(name) };
    let columns = vec![
        Column::text("setting"),
        Column::number("seeds"),
        number("A"),
        number("B"),
        number("B − A"),
        Column::text("95% interval"),
        Column::text("differs"),
    ];
    let mut table = Table::new("cnn-fid of the cells that both sweeps have", columns);
    for Pair { name, a, b, difference: d } in pairs {
        let verdict = match (d.low > 0.0, d.high < 0.0) {
            (true, _) => "B is worse",
            (_, true) => "B is better",
            _ => "not shown",
        };
        let interval = format!("{:.2} to {:.2}", d.low, d.high).replace('-', "−");
        table.push(vec![
            name.into(),
            Cell::Number(d.n as f64),
            a.into(),
            b.into(),
            d.mean.into(),
            interval.into(),
            verdict.into(),
        ])?;
    }
    table.notes = vec![
        format!("A: {}. B: {}.", a.display(), b.display()),
        "Intervals are of Student's t over common seeds; with one seed, of the resamples of both.".into(),
    ];
    Ok(table)
}

pub(super) fn folder(given: &Path, root: &Path) -> Result<PathBuf> {
    let named = root.join("sweeps").join(given);
    match [given, &named].into_iter().find(|folder| folder.is_dir()) {
        Some(folder) => Ok(folder.to_owned()),
        None => bail!("no sweep {}: neither it nor {} is a folder", given.display(), named.display()),
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
