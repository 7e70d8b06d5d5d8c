//! `dale metrics A B`: how far two sets of images are apart, for people who train nothing here.
//!
//! A is judged against the reference B. Features are those of the MNIST classifier (28 × 28, grey) or the pixels themselves; both sides
//! may be any images that [`source`] reads, or one of them a file of statistics, which only a Fréchet distance can be had of.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use metrics::{
    BootstrapOptions, Fingerprint, InfiniteOptions, KidOptions, MemorizationOptions, Moments, PrdcOptions,
    SlicedOptions, bootstrap_fid, fid_infinity, frechet, kid_exact, kid_subsets, memorization, prdc,
    sliced_wasserstein,
};
use models::classifier::Classifier;
use ndarray::{Array2, Array4, Axis};
use serde_json::{Value, json};
use tch::Device;

use self::source::{Source, write_statistics};
use crate::evaluate::features;
use crate::progress::Progress;
use crate::report::table::{Cell, Column, Table};

pub mod source;

/// What images are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Features {
    /// The 128 features of the MNIST classifier; grey images of 28 × 28 pixels.
    MnistCnn,
    /// The pixels, divided by 255; images of any size.
    Pixels,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The images to judge.
    pub sample: PathBuf,
    /// The reference.
    pub reference: PathBuf,
    /// What they are compared by.
    pub features: Features,
    /// Seed of resamples, subsets and directions.
    pub seed: u64,
    /// Where to write the sample's moments, in pytorch-fid's form.
    pub statistics: Option<PathBuf>,
}

/// Features of one side, or what is known of them.
enum Side {
    Rows(Array2<f32>),
    Moments(Moments),
}

/// Compares, and returns everything that can be had, with its protocol.
///
/// # Errors
/// If a side cannot be read, its images do not fit the features, or there are too few of them.
pub fn compare(request: &Request, device: Device) -> Result<Value> {
    let (a, b) = (Source::read(&request.sample)?, Source::read(&request.reference)?);
    // Statistics do not say what features they are of: without images on either side nobody knows.
    let known = [&a, &b].iter().any(|source| matches!(source, Source::Images(_)));
    let wanted = known && request.features == Features::MnistCnn;
    let classifier = wanted.then(|| Classifier::mnist(device)).transpose()?;
    let side = |source: Source, path: &Path| -> Result<Side> {
        match source {
            Source::Images(images) => Ok(Side::Rows(rows(&images, classifier.as_ref(), path)?)),
            Source::Statistics(mu, sigma) => Ok(Side::Moments(
                // The file does not say of how many images; the distance does not depend on it.
                Moments::new(mu.len() + 1, mu, sigma).with_context(|| path.display().to_string())?,
            )),
        }
    };
    let (a, b) = (side(a, &request.sample)?, side(b, &request.reference)?);
    if let Some(path) = &request.statistics {
        write_statistics(path, &a.moments()?)?;
    }
    let extractor = match &classifier {
        Some(classifier) => ("mnist-cnn".to_owned(), classifier.sha256().to_owned()),
        None if known => ("pixels".to_owned(), String::new()),
        None => ("statistics as given".to_owned(), String::new()),
    };
    let fingerprint = Fingerprint {
        extractor: extractor.0,
        extractor_sha256: extractor.1,
        resize: "none".to_owned(),
        channels: "as they are".to_owned(),
        n_samples: a.count(),
        n_reference: b.count(),
        reference_split: request.reference.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
        dtype: "f32".to_owned(),
        library_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut found = json!({ "fingerprint": fingerprint });
    let (Side::Rows(x), Side::Rows(y)) = (&a, &b) else {
        let distance = frechet(&a.moments()?, &b.moments()?)?;
        found["fid"] = json!({ "estimate": distance.distance });
        return Ok(found);
    };
    let (x, y, seed) = (x.view(), y.view(), request.seed);
    let mut progress = Progress::new("metrics", "measures", 10);
    let mut keep = |name: &str, value: Value| {
        found[name] = value;
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
    keep("kid", json!({ "estimate": kid_exact(x, y)?, "subsets_mean": spread.mean, "sd": spread.sd, "subset": size }));
    let directions = sliced_wasserstein(x, y, &SlicedOptions { seed, ..SlicedOptions::default() })?;
    keep("sliced_wasserstein", json!({ "estimate": directions.distance, "sd": directions.standard_error }));
    let mut options = PrdcOptions::default();
    options.resampling.seed = seed;
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
    progress.finish();
    Ok(found)
}

impl Side {
    fn moments(&self) -> Result<Moments> {
        match self {
            Self::Rows(rows) => Ok(Moments::from_features(rows.view())?),
            Self::Moments(moments) => Ok(moments.clone()),
        }
    }

    /// Number of images; zero where it is not known.
    fn count(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.nrows(),
            Self::Moments(_) => 0,
        }
    }
}

/// Features of images N × H × W × C as rows: the classifier's, or without one the pixels, divided by 255. `path` is for messages.
///
/// # Errors
/// If the classifier cannot see such images.
pub fn rows(images: &Array4<u8>, classifier: Option<&Classifier>, path: &Path) -> Result<Array2<f32>> {
    let (n, h, w, c) = images.dim();
    let Some(classifier) = classifier else {
        let values = images.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        return Ok(Array2::from_shape_vec((n, h * w * c), values)?);
    };
    if (h, w, c) != (28, 28, 1) {
        bail!(
            "{}: images of {h} × {w} pixels with {c} channels; the MNIST classifier sees grey ones of 28 × 28 (try --features pixels)",
            path.display()
        );
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    features(classifier, images.index_axis(Axis(3), 0), &name)
}

/// What was found as a table for the terminal.
///
/// # Errors
/// If it is not what [`compare`] gives.
pub fn table(found: &Value) -> Result<String> {
    let print = &found["fingerprint"];
    let caption = format!(
        "{} features, {} images against {}",
        print["extractor"].as_str().unwrap_or_default(),
        print["n_samples"],
        print["n_reference"]
    );
    let mut table = Table::new(caption, vec![Column::text("measure"), Column::number("value")]);
    for (name, value) in found.as_object().into_iter().flatten().filter(|(name, _)| *name != "fingerprint") {
        let Some(estimate) = value["estimate"].as_f64() else { continue };
        let cell = value["sd"].as_f64().map_or(Cell::Number(estimate), |sd| Cell::Spread(estimate, sd));
        table.push(vec![name.replace('_', " ").as_str().into(), cell])?;
    }
    Ok(table.to_text())
}
