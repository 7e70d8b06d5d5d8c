//! `dale metrics A B`: how far two sets of images are apart, for people who train nothing here.
//!
//! A is judged against the reference B, by the features of an [`Extractor`]; both sides may be any images that [`source`] reads, or
//! files of statistics, which only a Fréchet distance can be had of.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use metrics::{
    BootstrapOptions, Classes, InceptionOptions, InfiniteOptions, KidOptions, MemorizationOptions, Moments,
    PrdcOptions, Resampling, SlicedOptions, bootstrap_fid, chi_square_between, fid_infinity, frechet, inception_score,
    kid_bootstrap, kid_subsets, memorization, prdc, sliced_wasserstein,
};
use models::write::write_atomically;
use ndarray::Array2;
use ndarray_npy::WriteNpyExt;
use serde_json::{Map, Value, json};

use self::source::{Source, Statistics};
use crate::extractor::{Extractor, Seen, label};
use crate::progress::Progress;
use crate::report::table::{Cell, Column, Table};

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

/// Features of one side, or what is known of them.
enum Side {
    Images(Seen),
    Statistics(Box<Statistics>),
}

/// Compares, and returns everything that can be had, with its protocol.
///
/// # Errors
/// If a side cannot be read, its images do not fit the features, there are too few of them, or statistics are of other features.
pub fn compare(request: &Request, extractor: &Extractor) -> Result<Value> {
    let (a, b) = (side(&request.sample, extractor)?, side(&request.reference, extractor)?);
    let split = label(&request.reference);
    let moments = (a.moments()?, b.moments()?);
    if let Some(path) = &request.statistics {
        // Statistics keep the mark that they came with, so that those of an unknown network are not passed off as ours.
        let made_by = match &a {
            Side::Images(seen) => Some(extractor.fingerprint(seen.features.nrows(), 0, String::new())),
            Side::Statistics(statistics) => statistics.made_by.clone(),
        };
        Statistics { moments: moments.0.clone(), made_by }.write(path)?;
    }
    let whole = frechet(&moments.0, &moments.1)?;
    for (path, condition) in [(&request.sample, &whole.sample), (&request.reference, &whole.reference)] {
        if let Some(few) = condition.warning() {
            tracing::warn!("{}: {few}", path.display());
        }
    }
    let mut print = extractor.fingerprint(a.count(), b.count(), split);
    if let (Side::Statistics(x), Side::Statistics(y)) = (&a, &b) {
        // Without images nothing was extracted here.
        let known = x.made_by.as_ref().filter(|_| y.made_by.is_some());
        match known {
            Some(made_by) => {
                print = metrics::Fingerprint {
                    n_samples: print.n_samples,
                    n_reference: print.n_reference,
                    reference_split: print.reference_split,
                    ..made_by.clone()
                }
            }
            None => print.extractor = "statistics of unknown features".to_owned(),
        }
    }
    let mut found = Map::from_iter([("fingerprint".to_owned(), serde_json::to_value(&print)?)]);
    match (&a, &b) {
        (Side::Images(x), Side::Images(y)) => measure(x, y, request.seed, &mut found)?,
        _ => {
            found.insert("fid".to_owned(), json!({ "estimate": whole.distance }));
        }
    }
    Ok(Value::Object(found))
}

fn side(path: &Path, extractor: &Extractor) -> Result<Side> {
    match Source::read(path)? {
        Source::Images(images) => Ok(Side::Images(extractor.see(images.view(), &label(path))?)),
        Source::Statistics(statistics) => {
            if let Some(made_by) = &statistics.made_by {
                let ours =
                    extractor.fingerprint(made_by.n_samples, made_by.n_reference, made_by.reference_split.clone());
                let differs = made_by.differences(&ours).into_iter().find(|d| d.field != "library_version");
                if let Some(mismatch) = differs {
                    bail!("{}: {mismatch}; choose --features (and --resize) as they were", path.display());
                }
            } else {
                tracing::warn!("{}: nothing says which network these statistics are of", path.display());
            }
            Ok(Side::Statistics(statistics))
        }
    }
}

/// All measures of two feature matrices.
fn measure(a: &Seen, b: &Seen, seed: u64, found: &mut Map<String, Value>) -> Result<()> {
    let (x, y) = (a.features.view(), b.features.view());
    let mut progress = Progress::new("metrics", "measures", 12);
    let mut keep = |name: &str, value: Value| {
        found.insert(name.to_owned(), value);
        progress.add(1);
    };
    let bootstrap = bootstrap_fid(x, y, &BootstrapOptions { seed, ..BootstrapOptions::default() })?;
    keep(
        "fid",
        json!({ "estimate": bootstrap.estimate, "sd": bootstrap.sd, "low": bootstrap.low, "high": bootstrap.high }),
    );
    match fid_infinity(x, y, &InfiniteOptions { seed, ..InfiniteOptions::default() }) {
        Ok(found) => keep("fid_infinity", json!({ "estimate": found.intercept, "sd": found.standard_error })),
        // A small set has no room for the sub-samples of an extrapolation.
        Err(error) => {
            tracing::warn!("no FID at infinite N: {error}");
            keep("fid_infinity", Value::Null);
        }
    }
    let size = KidOptions::default().size.min(x.nrows()).min(y.nrows());
    let spread = kid_subsets(x, y, &KidOptions { size, seed, ..KidOptions::default() })?;
    let kid = kid_bootstrap(x, y, &Resampling { seed, ..Resampling::default() })?;
    keep(
        "kid",
        json!({
            "estimate": kid.estimate, "sd": kid.sd, "low": kid.low, "high": kid.high,
            "subsets_mean": spread.mean, "subsets_sd": spread.sd, "subset": size,
        }),
    );
    let directions = sliced_wasserstein(x, y, &SlicedOptions { seed, ..SlicedOptions::default() })?;
    keep("sliced_wasserstein", json!({ "estimate": directions.distance, "sd": directions.standard_error }));
    let mut options = PrdcOptions::default();
    options.resampling.seed = seed;
    let neighbours = options.k.min(x.nrows() - 1).min(y.nrows() - 1);
    options.k = neighbours;
    let four = prdc(x, y, &options)?;
    for (name, value) in
        [("precision", four.precision), ("recall", four.recall), ("density", four.density), ("coverage", four.coverage)]
    {
        keep(name, json!(value));
    }
    let mut options = MemorizationOptions::default();
    options.resampling.seed = seed;
    let copies = memorization(x, y, &options)?;
    keep("authenticity", json!(copies.authenticity));
    keep("copied", json!(copies.copied));
    if let (Some(p), Some(q)) = (&a.classes, &b.classes) {
        let (name, value) = score(p, seed)?;
        keep(name, value);
        let counts = |classes: &Array2<f32>| Classes::Probabilities(classes.view()).counts();
        let (sample, reference) = (counts(p)?, counts(q)?);
        let test = chi_square_between(&sample, &reference)?;
        let counted = |counts: Vec<u64>| if counts.len() <= 100 { json!(counts) } else { Value::Null };
        keep(
            "class_chi_square",
            json!({
                "estimate": test.statistic, "freedom": test.freedom, "p_value": test.p_value, "least_expected": test.least_expected,
                "total_variation": test.total_variation, "sample": counted(sample), "reference": counted(reference),
            }),
        );
    }
    progress.finish();
    Ok(())
}

/// The inception score by the extractor's own classes.
fn score(classes: &Array2<f32>, seed: u64) -> Result<(&'static str, Value)> {
    let mut options = InceptionOptions { order: metrics::Order::Shuffled(seed), ..InceptionOptions::default() };
    options.splits = options.splits.min(classes.nrows());
    options.resampling.seed = seed;
    let found = inception_score(Classes::Probabilities(classes.view()), &options)?;
    Ok((
        "inception_score",
        json!({
            "estimate": found.whole.estimate, "sd": found.whole.sd, "low": found.whole.low, "high": found.whole.high,
            "splits": options.splits, "splits_mean": found.mean, "splits_sd": found.sd,
        }),
    ))
}

impl Side {
    fn moments(&self) -> Result<Moments> {
        match self {
            Self::Images(seen) => Ok(Moments::from_features(seen.features.view())?),
            Self::Statistics(statistics) => Ok(statistics.moments.clone()),
        }
    }

    /// Number of images; zero where it is not known.
    fn count(&self) -> usize {
        match self {
            Self::Images(seen) => seen.features.nrows(),
            Self::Statistics(statistics) => statistics.made_by.as_ref().map_or(0, |print| print.n_samples),
        }
    }
}

/// Writes the features of images as an N × d array.
///
/// # Errors
/// If the images cannot be read or the extractor cannot see them; if the file cannot be written.
pub fn write_features(images: &Path, out: &Path, extractor: &Extractor) -> Result<()> {
    let Source::Images(found) = Source::read(images)? else {
        bail!("{}: statistics, where images are needed", images.display());
    };
    let seen = extractor.see(found.view(), &label(images))?;
    let mut bytes = Vec::new();
    seen.features.write_npy(&mut bytes)?;
    Ok(write_atomically(out, &bytes)?)
}

/// What was found as a table for the terminal.
///
/// # Errors
/// If it is not what [`compare`] gives.
pub fn table(found: &Value) -> Result<String> {
    let print: metrics::Fingerprint =
        serde_json::from_value(found["fingerprint"].clone()).context("the protocol of the numbers")?;
    let mut table = Table::new(print.to_string(), vec![Column::text("measure"), Column::number("value")]);
    for (name, value) in found.as_object().into_iter().flatten().filter(|(name, _)| *name != "fingerprint") {
        let Some(estimate) = value["estimate"].as_f64() else { continue };
        let cell = value["sd"].as_f64().map_or(Cell::Number(estimate), |sd| Cell::Spread(estimate, sd));
        table.push(vec![name.replace('_', " ").as_str().into(), cell])?;
    }
    Ok(table.to_text())
}
