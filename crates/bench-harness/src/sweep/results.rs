//! The records as a table: `results.csv` and `results.parquet`, with the same columns.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use models::write::write_atomically;
use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::record::{Maker, Outcome, Record, Status};
use crate::report::csv::field;

/// Values of a column; none where a cell has none.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Words.
    Text(Vec<Option<String>>),
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Numbers.
    Number(Vec<Option<f64>>),
}

/// A column with its name.
pub type Column = (String, Values);

/// The axes that records have, in the order in which they come.
#[must_use]
pub fn axes(records: &[Record]) -> Vec<String> {
    each_once(records.iter().flat_map(|record| record.settings.keys()))
}

/// Names in the order in which they come, each once.
pub(super) fn each_once<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

/// Whether an axis may not have this name, since a column of its own does.
#[must_use]
pub fn reserved(name: &str) -> bool {
    columns(&[]).iter().any(|(own, _)| own == name)
}

/// All columns: key, axes, seed, how it ended, numbers, protocol.
#[must_use]
pub fn columns(records: &[Record]) -> Vec<Column> {
    let text = |f: &dyn Fn(&Record) -> Option<String>| Values::Text(records.iter().map(f).collect());
    let number = |f: fn(&Outcome) -> Option<f64>| {
        Values::Number(records.iter().map(|record| record.outcome().and_then(f)).collect())
    };
    let whole = |f: &dyn Fn(&Record) -> Option<i64>| Values::Whole(records.iter().map(f).collect());
    let of = |f: fn(&Outcome) -> Option<i64>| whole(&move |record: &Record| record.outcome().and_then(f));
    let by = |f: fn(&Maker) -> Option<String>| text(&move |r: &Record| r.outcome().and_then(|o| f(o.by.as_ref()?)));
    let mut columns = vec![("cell".to_owned(), text(&|r| Some(r.key.clone())))];
    for axis in axes(records) {
        let labels = text(&|r| r.label(&axis).map(str::to_owned));
        columns.push((axis, labels));
    }
    let failed = |r: &Record| match &r.status {
        Status::Ok(_) => None,
        Status::Failed { error } => Some(error.clone()),
    };
    let rest = [
        ("seed", whole(&|r| i64::try_from(r.seed).ok())),
        ("status", text(&|r| Some(if r.outcome().is_some() { "ok" } else { "failed" }.to_owned()))),
        ("images", of(|o| i64::try_from(o.score.n).ok())),
        ("cnn_fid", number(|o| Some(o.score.cnn_fid))),
        ("cnn_fid_sd", number(|o| Some(o.score.cnn_fid_sd))),
        ("kid", number(|o| Some(o.score.kid))),
        ("kid_sd", number(|o| Some(o.score.kid_sd))),
        ("diverged", of(|o| i64::try_from(o.diverged).ok())),
        ("calls", of(|o| o.score.calls.and_then(|c| i64::try_from(c).ok()))),
        ("seconds_per_image", number(|o| o.score.seconds_per_image)),
        ("training_seconds", number(|o| Some(o.training_seconds))),
        ("peak_memory", of(|o| o.peak_memory.and_then(|b| i64::try_from(b).ok()))),
        ("seconds", Values::Number(records.iter().map(|r| Some(r.seconds)).collect())),
        ("precision", by(|maker| Some(maker.format()))),
        ("device", by(|maker| Some(maker.device.clone()))),
        ("processor", by(|maker| Some(maker.processor.clone()))),
        ("revision", by(|maker| maker.revision.clone())),
        ("run", text(&|r| r.outcome().map(|o| o.folder.display().to_string()))),
        ("error", text(&failed)),
        ("protocol", text(&|r| r.outcome().map(|o| o.score.fingerprint.to_string()))),
    ];
    columns.extend(rest.map(|(name, values)| (name.to_owned(), values)));
    columns
}

/// The columns as CSV; missing values are empty.
#[must_use]
pub fn csv(columns: &[Column]) -> String {
    let head: Vec<String> = columns.iter().map(|(name, _)| field(name)).collect();
    let mut text = head.join(",") + "\n";
    for row in 0..length(columns) {
        let cells: Vec<String> = columns
            .iter()
            .map(|(_, values)| match values {
                Values::Text(all) => all[row].as_deref().map(field),
                Values::Whole(all) => all[row].map(|v| v.to_string()),
                Values::Number(all) => all[row].map(|v| v.to_string()),
            })
            .map(Option::unwrap_or_default)
            .collect();
        text += &(cells.join(",") + "\n");
    }
    text
}

fn length(columns: &[Column]) -> usize {
    columns.first().map_or(0, |(_, values)| match values {
        Values::Text(all) => all.len(),
        Values::Whole(all) => all.len(),
        Values::Number(all) => all.len(),
    })
}

/// The columns as a Parquet file, all of them optional.
///
/// # Errors
/// If the library refuses, e.g. two columns of one name.
pub fn parquet(columns: &[Column]) -> Result<Vec<u8>> {
    let kind = |values: &Values| match values {
        Values::Text(_) => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        Values::Whole(_) => (Physical::INT64, ConvertedType::NONE),
        Values::Number(_) => (Physical::DOUBLE, ConvertedType::NONE),
    };
    let mut fields = Vec::with_capacity(columns.len());
    for (name, values) in columns {
        let (physical, converted) = kind(values);
        let field = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_converted_type(converted);
        fields.push(Arc::new(field.build()?));
    }
    let schema = Arc::new(Type::group_type_builder("cells").with_fields(fields).build()?);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default()))?;
    let mut group = writer.next_row_group()?;
    for (_, values) in columns {
        let Some(mut column) = group.next_column()? else { break };
        match (column.untyped(), values) {
            (ColumnWriter::ByteArrayColumnWriter(to), Values::Text(all)) => {
                let (there, levels) = split(all, |text| ByteArray::from(text.as_str()));
                to.write_batch(&there, Some(&levels), None)?;
            }
            (ColumnWriter::Int64ColumnWriter(to), Values::Whole(all)) => {
                let (there, levels) = split(all, |v| *v);
                to.write_batch(&there, Some(&levels), None)?;
            }
            (ColumnWriter::DoubleColumnWriter(to), Values::Number(all)) => {
                let (there, levels) = split(all, |v| *v);
                to.write_batch(&there, Some(&levels), None)?;
            }
            _ => anyhow::bail!("a column of another type than its values"),
        }
        column.close()?;
    }
    group.close()?;
    Ok(writer.into_inner()?)
}

/// The values that are there, and for each row whether it has one.
fn split<T, U>(all: &[Option<T>], to: impl Fn(&T) -> U) -> (Vec<U>, Vec<i16>) {
    let levels = all.iter().map(|value| i16::from(value.is_some())).collect();
    (all.iter().flatten().map(to).collect(), levels)
}

/// Writes both files.
///
/// # Errors
/// If they cannot be written.
pub fn write(folder: &Path, records: &[Record]) -> Result<()> {
    let columns = columns(records);
    write_atomically(&folder.join("results.csv"), csv(&columns).as_bytes())?;
    write_atomically(&folder.join("results.parquet"), &parquet(&columns)?)?;
    Ok(())
}

#[cfg(test)]
#[path = "results_tests.rs"]
mod tests;
