//! All measures of two feature matrices, each with its spread and with the settings that it was made with.

use anyhow::Result;
use metrics::{
    BootstrapOptions, Classes, InceptionOptions, InfiniteOptions, Interval, KidOptions, MemorizationOptions,
    PrdcOptions, Resampling, SlicedOptions, bootstrap_fid, chi_square_between, fid_infinity, inception_score,
    kid_bootstrap, kid_subsets, memorization, prdc, sliced_wasserstein,
};
use ndarray::{Array2, ArrayView2};
use serde_json::{Map, Value, json};

use crate::extractor::Seen;
use crate::progress::Progress;

/// Measures, and keeps every number by its name in `found`, and the settings as `options`.
///
/// # Errors
/// If there are too few images.
pub fn all(a: &Seen, b: &Seen, seed: u64, found: &mut Map<String, Value>) -> Result<()> {
    let (x, y) = (a.features.view(), b.features.view());
    let classes = a.classes.as_ref().zip(b.classes.as_ref());
    let mut progress = Progress::new("metrics", "measures", if classes.is_some() { 12 } else { 10 });
    let mut keep = |name: &str, value: Value| {
        found.insert(name.to_owned(), value);
        progress.note(name.replace('_', " "));
        progress.add(1);
    };
    let resampling = Resampling { seed, ..Resampling::default() };
    let fid_options = BootstrapOptions { seed, ..BootstrapOptions::default() };
    let bootstrap = bootstrap_fid(x, y, &fid_options)?;
    keep(
        "fid",
        json!({ "estimate": bootstrap.estimate, "sd": bootstrap.sd, "low": bootstrap.low, "high": bootstrap.high }),
    );
    keep("fid_infinity", infinite(x, y, seed));
    let size = KidOptions::default().size.min(x.nrows()).min(y.nrows());
    let subsets = KidOptions { size, seed, ..KidOptions::default() };
    let spread = kid_subsets(x, y, &subsets)?;
    let mut kid = interval(&kid_bootstrap(x, y, &resampling)?);
    kid["subsets_mean"] = json!(spread.mean);
    kid["subsets_sd"] = json!(spread.sd);
    keep("kid", kid);
    let slices = SlicedOptions { seed, ..SlicedOptions::default() };
    let directions = sliced_wasserstein(x, y, &slices)?;
    keep(
        "sliced_wasserstein",
        json!({ "estimate": directions.distance, "sd": directions.standard_error, "spread": "the standard error over directions" }),
    );
    let k = PrdcOptions::default().k.min(x.nrows() - 1).min(y.nrows() - 1);
    let four = prdc(x, y, &PrdcOptions { k, resampling })?;
    for (name, value) in
        [("precision", four.precision), ("recall", four.recall), ("density", four.density), ("coverage", four.coverage)]
    {
        keep(name, json!(value));
    }
    let copying = MemorizationOptions { resampling, ..MemorizationOptions::default() };
    let copies = memorization(x, y, &copying)?;
    keep("authenticity", json!(copies.authenticity));
    keep("copied", json!(copies.copied));
    if let Some((p, q)) = classes {
        let options = InceptionOptions {
            splits: InceptionOptions::default().splits.min(p.nrows()),
            order: metrics::Order::Shuffled(seed),
            resampling,
        };
        let score = inception_score(Classes::Probabilities(p.view()), &options)?;
        let mut value = interval(&score.whole);
        value["splits"] = json!({ "number": options.splits, "mean": score.mean, "sd": score.sd });
        keep("inception_score", value);
        keep("class_chi_square", histogram(p, q)?);
    }
    progress.finish();
    let options = json!({
        "seed": seed, "fid": fid_options, "resampling": resampling, "kid_subsets": subsets, "sliced_wasserstein": slices,
        "neighbours": k, "memorization": copying,
    });
    found.insert("options".to_owned(), options);
    Ok(())
}

fn interval(found: &Interval) -> Value {
    json!({ "estimate": found.estimate, "sd": found.sd, "low": found.low, "high": found.high })
}

/// FID at infinite N from sub-samples of half the images on, or null where a covariance of these would not have full rank.
fn infinite(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>, seed: u64) -> Value {
    let smallest = InfiniteOptions::default().smallest.min(x.nrows() / 2);
    if smallest <= x.ncols() {
        tracing::warn!("no FID at infinite N: {} rows are too few for {} features", x.nrows(), x.ncols());
        return Value::Null;
    }
    match fid_infinity(x, y, &InfiniteOptions { smallest, seed, ..InfiniteOptions::default() }) {
        Ok(found) => json!({
            "estimate": found.intercept, "sd": found.standard_error, "spread": "the standard error of the line's fit",
            "smallest": smallest,
        }),
        Err(error) => {
            tracing::warn!("no FID at infinite N: {error}");
            Value::Null
        }
    }
}

/// Are the classes as frequent on both sides?
fn histogram(p: &Array2<f32>, q: &Array2<f32>) -> Result<Value> {
    let counts = |classes: &Array2<f32>| Classes::Probabilities(classes.view()).counts();
    let (sample, reference) = (counts(p)?, counts(q)?);
    let test = chi_square_between(&sample, &reference)?;
    let counted = |counts: Vec<u64>| if counts.len() <= 100 { json!(counts) } else { Value::Null };
    Ok(json!({
        "estimate": test.statistic, "freedom": test.freedom, "p_value": test.p_value, "least_expected": test.least_expected,
        "total_variation": test.total_variation, "sample": counted(sample), "reference": counted(reference),
    }))
}
