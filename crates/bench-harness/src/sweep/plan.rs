//! `dale sweep FILE --dry-run`: the cells, and what the rest of them will take.

use anyhow::Result;

use super::cells::Cell;
use super::estimate::{Sources, estimate};
use super::record::Record;
use super::results::each_once;
use super::run::bytes;
use crate::progress::human_seconds;
use crate::report::table::{Cell as Field, Column, Table};
use crate::session::Session;

/// The table of all cells with the sums of `left`, the groups that would run.
///
/// # Errors
/// If a network is impossible.
pub fn describe(
    cells: &[Cell],
    left: Vec<Vec<&Cell>>,
    records: &[Record],
    jobs: usize,
    session: &Session,
) -> Result<String> {
    let (costs, sources) = estimate(&left, cells, records, session)?;
    let axes = each_once(cells.iter().flat_map(|cell| cell.settings.iter().map(|(axis, _)| axis)));
    let mut columns = vec![Column::number("cell")];
    columns.extend(axes.iter().map(Column::text));
    columns.extend([Column::number("seed"), Column::text("state"), Column::text("time"), Column::text("disk")]);
    let mut table = Table::new("Cells", columns);
    let planned = left.iter().flatten().zip(costs.iter().flatten()).collect::<Vec<_>>();
    for (number, cell) in cells.iter().enumerate() {
        let label = |axis: &String| cell.settings.iter().find(|(own, _)| own == axis).map(|(_, label)| label.clone());
        let cost = planned.iter().find(|(other, _)| other.key == cell.key).map(|(_, cost)| **cost);
        let state = match (records.iter().find(|record| record.key == cell.key), cost) {
            (Some(record), _) if record.outcome().is_some() => "finished",
            (Some(_), Some(_)) => "failed, to do",
            (Some(_), None) => "failed",
            (None, None) => "another shard",
            (None, Some(cost)) if cost.training > 0.0 => "to do",
            (None, Some(_)) => "to do, trained by another",
        };
        let mut row = vec![Field::Number((number + 1) as f64)];
        row.extend(axes.iter().map(|axis| label(axis).map_or(Field::Missing, Field::Text)));
        row.extend([
            Field::Text(cell.seed.to_string()),
            state.into(),
            cost.map_or(Field::Missing, |cost| human_seconds(cost.seconds()).into()),
            cost.filter(|cost| cost.disk > 0).map_or(Field::Missing, |cost| bytes(cost.disk).into()),
        ]);
        table.push(row)?;
    }
    let of_group: Vec<f64> = costs.iter().map(|group| group.iter().map(|cost| cost.seconds()).sum()).collect();
    let total: f64 = of_group.iter().sum();
    // No job is done before its longest group.
    let longest = of_group.iter().copied().fold(0.0, f64::max);
    let disk: u64 = costs.iter().flatten().map(|cost| cost.disk).sum();
    let jobs = jobs.min(left.len()).max(1);
    let time = human_seconds((total / jobs as f64).max(longest));
    Ok(format!(
        "{}\n{} of {} cells to do, in {} trainings: about {time} with {jobs} at a time, {} of disk.\n{}",
        table.to_text(),
        planned.len(),
        cells.len(),
        left.len(),
        bytes(disk),
        origin(sources)
    ))
}

/// A sentence on where the numbers come from.
fn origin(sources: Sources) -> String {
    let steps = match (sources.finished, sources.timed) {
        (0, 0) => return "Nothing is left to estimate.".to_owned(),
        (_, 0) => "Time from the cells that are finished",
        (0, _) => "Time of a step from a short timing now, a network call taken as a third of it",
        _ => "Time from the cells that are finished, and from a short timing for other networks",
    };
    let rest = if sources.evaluation { "evaluation as in finished cells" } else { "evaluation not counted" };
    format!(
        "{steps}; {rest}. Disk: checkpoints and images of each training. A training that another sweep \
                   has finished is not done again, but counted here."
    )
}
