//! Every metric between two feature matrices in `.npy` files (float32, one row for each image), as JSON on stdout.
//!
//! ```text
//! cargo run --release -p metrics --example on_files -- sample.npy reference.npy [setting=value]…
//! ```
//!
//! | setting | value |
//! |---|---|
//! | `only` | names separated by commas, of `fid`, `fid-infinity`, `kid`, `kid-subsets`, `kid-bootstrap`, `sliced-wasserstein`, `prdc`, `memorization`, `nearest`, `inception`; all by default |
//! | `logits` | a third file: a classifier's outputs for the sample, for the inception score (its rows as they stand) |
//! | `k` | neighbours of the four numbers of `prdc` |
//! | `subset`, `subsets` | rows and number of the kernel distance's subsets |
//! | `smallest` | smallest size of the extrapolation |
//!
//! `nearest` is the sum of the distances from every sample row to its nearest reference row, and of those rows' indices.
//!
//! Defaults are the library's, cut down to the rows that there are. Seconds are those of the computation alone; `peak_bytes` is the
//! whole program's memory at its highest, `beyond_bytes` how much that is above what it was with both matrices read, where the system
//! tells (Linux).

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use metrics::{
    Classes, InceptionOptions, InfiniteOptions, KidOptions, MemorizationOptions, Order, PrdcOptions, Resampling,
    SlicedOptions, fid, fid_infinity, inception_score, kid_bootstrap, kid_exact, kid_subsets, memorization, nearest,
    prdc, sliced_wasserstein,
};
use ndarray::{Array2, ArrayView2};
use serde::Serialize;
use serde_json::{Map, Value, json};

const METRICS: [&str; 10] = [
    "fid",
    "fid-infinity",
    "kid",
    "kid-subsets",
    "kid-bootstrap",
    "sliced-wasserstein",
    "prdc",
    "memorization",
    "nearest",
    "inception",
];
const SETTINGS: [&str; 6] = ["only", "logits", "k", "subset", "subsets", "smallest"];

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(result) => {
            println!("{result:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("on_files: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<Value, Box<dyn Error>> {
    let [sample, reference, rest @ ..] = arguments.as_slice() else {
        return Err("usage: on_files sample.npy reference.npy [setting=value]…".into());
    };
    let mut settings = BTreeMap::new();
    for setting in rest {
        let (name, value) = setting.split_once('=').ok_or_else(|| format!("`{setting}` is not setting=value"))?;
        if !SETTINGS.contains(&name) {
            return Err(format!("no setting is called `{name}`; there are {}", SETTINGS.join(", ")).into());
        }
        settings.insert(name, value);
    }
    let only: Option<Vec<&str>> = settings.get("only").map(|names| names.split(',').collect());
    if let Some(name) = only.iter().flatten().find(|name| !METRICS.contains(name)) {
        return Err(format!("no metric is called `{name}`; there are {}", METRICS.join(", ")).into());
    }
    let number = |name: &str, default: usize| match settings.get(name) {
        Some(value) => value.parse().map_err(|error| format!("{name}={value}: {error}")),
        None => Ok(default),
    };
    let (sample, reference) = (read(sample)?, read(reference)?);
    let (a, b) = (sample.view(), reference.view());
    let inputs = memory("VmRSS:");
    let smaller = a.nrows().min(b.nrows());

    let mut report = Report { only, ..Default::default() };
    report.add("fid", || fid(a, b))?;
    let smallest = number("smallest", InfiniteOptions::default().smallest.min(a.nrows() / 2))?;
    let sizes = InfiniteOptions::default().sizes.min(a.nrows().saturating_sub(smallest) + 1);
    report.add("fid-infinity", || fid_infinity(a, b, &InfiniteOptions { sizes, smallest, ..Default::default() }))?;
    report.add("kid", || kid_exact(a, b))?;
    let defaults = KidOptions::default();
    let (size, subsets) = (number("subset", defaults.size.min(smaller))?, number("subsets", defaults.subsets)?);
    report.add("kid-subsets", || kid_subsets(a, b, &KidOptions { size, subsets, ..defaults }))?;
    report.add("kid-bootstrap", || kid_bootstrap(a, b, &Resampling::default()))?;
    report.add("sliced-wasserstein", || sliced_wasserstein(a, b, &SlicedOptions::default()))?;
    let k = number("k", PrdcOptions::default().k)?;
    report.add("prdc", || prdc(a, b, &PrdcOptions { k, ..Default::default() }))?;
    report.add("memorization", || memorization(a, b, &MemorizationOptions::default()))?;
    report.add("nearest", || {
        nearest(a, b, 1).map(|found| json!({ "distances": found.distances.sum(), "indices": found.indices.sum() }))
    })?;
    if let Some(path) = settings.get("logits") {
        let logits = read(path)?;
        let options = InceptionOptions { order: Order::Given, ..Default::default() };
        report.add("inception", || inception_score(Classes::Logits(logits.view()), &options))?;
    }
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "sample": shape(a),
        "reference": shape(b),
        "metrics": report.metrics,
        "seconds": report.seconds,
        "peak_bytes": memory("VmHWM:"),
        "beyond_bytes": memory("VmHWM:").zip(inputs).map(|(peak, inputs)| peak.saturating_sub(inputs)),
    }))
}

fn read(path: &str) -> Result<Array2<f32>, String> {
    ndarray_npy::read_npy(path).map_err(|error| format!("{path}: {error}"))
}

fn shape(features: ArrayView2<'_, f32>) -> [usize; 2] {
    [features.nrows(), features.ncols()]
}

/// Memory of this program by a name of `/proc/self/status`, in bytes.
fn memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| 1024 * kib)
}

#[derive(Default)]
struct Report<'a> {
    only: Option<Vec<&'a str>>,
    metrics: Map<String, Value>,
    seconds: Map<String, Value>,
}

impl Report<'_> {
    fn add<T: Serialize, E: Error + 'static>(
        &mut self,
        name: &str,
        compute: impl FnOnce() -> Result<T, E>,
    ) -> Result<(), Box<dyn Error>> {
        if self.only.as_ref().is_some_and(|names| !names.contains(&name)) {
            return Ok(());
        }
        let start = Instant::now();
        let value = compute()?;
        self.seconds.insert(name.into(), start.elapsed().as_secs_f64().into());
        self.metrics.insert(name.into(), serde_json::to_value(value)?);
        Ok(())
    }
}
