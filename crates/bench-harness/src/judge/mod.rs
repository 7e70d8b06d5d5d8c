//! `dale metrics A B`: how far two sets of images are apart, for people who train nothing here.
//!
//! A is judged against the reference B, by the features of an [`Extractor`]; both sides may be any images that [`source`] reads, or
//! files of statistics, which only a Fréchet distance can be had of. [`measure`] does the measuring.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use metrics::{FewRows, Fingerprint, Moments, frechet};
use models::write::write_atomically;
use ndarray_npy::WriteNpyExt;
use serde_json::{Map, Value, json};

use self::source::{Source, Statistics};
use crate::extractor::{Extractor, Seen, Shape, label};
use crate::report::table::{Cell, Column, Table};

pub mod measure;
pub mod source;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The images to judge.
    pub sample: PathBuf,
    /// The reference.
    pub reference: PathBuf,
    /// Seed of resamples, subsets and directions.
    pub seed: u64,
    /// Where to write the sample's moments, in pytorch-fid's form.
    pub statistics: Option<PathBuf>,
}

/// What is written of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Features.
    Features,
    /// Probabilities of the classes.
    Classes,
}

/// Features of one side, or what is known of them.
enum Side {
    Images(Seen, Shape),
    Statistics(Box<Statistics>),
}

/// Compares, and returns everything that can be had, with its protocol. `open` gives the extractor; it is not called where both sides are
/// statistics.
///
/// # Errors
/// If a side cannot be read, its images do not fit the features, there are too few of them, or statistics are of other features.
pub fn compare(request: &Request, open: impl FnOnce() -> Result<Extractor>) -> Result<Value> {
    let (a, b) = (Source::read(&request.sample)?, Source::read(&request.reference)?);
    let split = format!("{} ({})", label(&request.reference), b.digest());
    let extractor = match (&a, &b) {
        (Source::Statistics(_), Source::Statistics(_)) => None,
        _ => Some(open()?),
    };
    let (a, b) = (side(a, &request.sample, extractor.as_ref())?, side(b, &request.reference, extractor.as_ref())?);
    let print = protocol(&a, &b, extractor.as_ref(), request, split)?;
    if let Some(path) = &request.statistics {
        // Statistics keep the mark that they came with, so that those of an unknown network are not passed off as ours.
        let made_by = match &a {
            Side::Images(seen, _) => Some(Fingerprint {
                n_samples: seen.features.nrows(),
                n_reference: 0,
                reference_split: String::new(),
                ..print.clone()
            }),
            Side::Statistics(statistics) => statistics.made_by.clone(),
        };
        Statistics { moments: a.moments()?, made_by }.write(path)?;
    }
    for (path, side) in [(&request.sample, &a), (&request.reference, &b)] {
        let (rows, features) = (side.count(), side.dimension());
        if rows > 0 && rows <= features {
            tracing::warn!("{}: {}", path.display(), FewRows { rows, features });
        }
    }
    let mut found = Map::from_iter([("fingerprint".to_owned(), serde_json::to_value(&print)?)]);
    match (&a, &b) {
        (Side::Images(x, _), Side::Images(y, _)) => measure::all(x, y, request.seed, &mut found)?,
        _ => {
            let whole = frechet(&a.moments()?, &b.moments()?)?;
            found.insert("fid".to_owned(), json!({ "estimate": whole.distance }));
        }
    }
    Ok(Value::Object(found))
}

fn side(source: Source, path: &Path, extractor: Option<&Extractor>) -> Result<Side> {
    match (source, extractor) {
        (Source::Images(images), Some(extractor)) => {
            let (_, h, w, c) = images.dim();
            Ok(Side::Images(extractor.see(images.view(), &label(path))?, Shape { h, w, c }))
        }
        (Source::Images(_), None) => bail!("{}: images need features", path.display()),
        (Source::Statistics(statistics), _) => {
            if statistics.made_by.is_none() {
                tracing::warn!("{}: nothing says which network these statistics are of", path.display());
            }
            Ok(Side::Statistics(statistics))
        }
    }
}

/// What both sides have in common; where a side does not say how it was made, neither does the protocol.
fn protocol(
    a: &Side,
    b: &Side,
    extractor: Option<&Extractor>,
    request: &Request,
    split: String,
) -> Result<Fingerprint> {
    let of = |side: &Side| match (side, extractor) {
        (Side::Images(_, shape), Some(extractor)) => Some(extractor.fingerprint(*shape, 0, 0, String::new())),
        (Side::Images(..), None) => None,
        (Side::Statistics(statistics), _) => statistics.made_by.clone(),
    };
    let (known_a, known_b) = (of(a), of(b));
    if let (Some(x), Some(y)) = (&known_a, &known_b) {
        let ignored = ["n_samples", "n_reference", "reference_split", "library_version"];
        if let Some(mismatch) = x.differences(y).into_iter().find(|d| !ignored.contains(&d.field)) {
            bail!("{} and {}: {mismatch}", request.sample.display(), request.reference.display());
        }
    }
    let unknown = known_a.is_none() || known_b.is_none();
    let made_by = known_a.or(known_b);
    let field = |of: fn(&Fingerprint) -> &String| match &made_by {
        Some(print) if unknown => format!("{} or unknown", of(print)),
        Some(print) => of(print).clone(),
        None => "unknown".to_owned(),
    };
    Ok(Fingerprint {
        extractor: field(|print| &print.extractor),
        extractor_sha256: made_by.as_ref().map(|print| print.extractor_sha256.clone()).unwrap_or_default(),
        resize: field(|print| &print.resize),
        channels: field(|print| &print.channels),
        n_samples: a.count(),
        n_reference: b.count(),
        reference_split: split,
        dtype: field(|print| &print.dtype),
        library_version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

impl Side {
    fn moments(&self) -> Result<Moments> {
        match self {
            Self::Images(seen, _) => Ok(Moments::from_features(seen.features.view())?),
            Self::Statistics(statistics) => Ok(statistics.moments.clone()),
        }
    }

    /// Number of images; zero where it is not known.
    fn count(&self) -> usize {
        match self {
            Self::Images(seen, _) => seen.features.nrows(),
            Self::Statistics(statistics) => statistics.made_by.as_ref().map_or(0, |print| print.n_samples),
        }
    }

    fn dimension(&self) -> usize {
        match self {
            Self::Images(seen, _) => seen.features.ncols(),
            Self::Statistics(statistics) => statistics.moments.dimension(),
        }
    }
}

/// Writes the features of images as an N × d array, or the probabilities of their classes as N × C.
///
/// # Errors
/// If the images cannot be read, or the extractor cannot see them or knows no classes; if the file cannot be written.
pub fn write_features(images: &Path, out: &Path, extractor: &Extractor, wanted: Wanted) -> Result<()> {
    let Source::Images(found) = Source::read(images)? else {
        bail!("{}: statistics, where images are needed", images.display());
    };
    let seen = extractor.see(found.view(), &label(images))?;
    let rows = match wanted {
        Wanted::Features => seen.features,
        Wanted::Classes => seen.classes.context("--classes: these features come without classes")?,
    };
    let mut bytes = Vec::new();
    rows.write_npy(&mut bytes)?;
    Ok(write_atomically(out, &bytes)?)
}

/// What was found as a table for the terminal.
///
/// # Errors
/// If it is not what [`compare`] gives.
pub fn table(found: &Value) -> Result<String> {
    let print: Fingerprint =
        serde_json::from_value(found["fingerprint"].clone()).context("the protocol of the numbers")?;
    let columns = vec![Column::text("measure"), Column::number("value"), Column::text("95% interval or more")];
    let mut table = Table::new(print.to_string(), columns);
    let settings = ["fingerprint", "options"];
    for (name, value) in found.as_object().into_iter().flatten().filter(|(name, _)| !settings.contains(&name.as_str()))
    {
        let Some(estimate) = value["estimate"].as_f64() else { continue };
        let cell = value["sd"].as_f64().map_or(Cell::Number(estimate), |sd| Cell::Spread(estimate, sd));
        let more = match (value["low"].as_f64(), value["high"].as_f64(), value["p_value"].as_f64()) {
            (Some(low), Some(high), _) => format!("{low:.4} to {high:.4}"),
            (_, _, Some(p)) => {
                let p = if p < 5e-4 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") };
                format!("{p}, {} degrees of freedom", value["freedom"])
            }
            _ => value["spread"].as_str().map(|what| format!("± is {what}")).unwrap_or_default(),
        };
        table.push(vec![name.replace('_', " ").as_str().into(), cell, more.as_str().into()])?;
    }
    if let Some(options) = found.get("options") {
        table.notes.push(format!(
            "± is the standard deviation over resamples of the images (seed {}) where nothing else is said",
            options["seed"]
        ));
    }
    Ok(table.to_text())
}
