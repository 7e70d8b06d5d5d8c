//! `dale neighbours`: the training images that are nearest to generated ones, in pixels and in features, as pictures with distances.
//!
//! A network that has learned to copy shows itself here: its images have a neighbour at almost no distance.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use metrics::{Neighbours, nearest};
use models::classifier::Shipped;
use models::write::write_atomically;
use ndarray::{Array3, Axis, concatenate};
use serde_json::{Value, json};

use crate::arrays::read_npz;
use crate::data::Dataset;
use crate::extractor::Extractor;
use crate::report::image::Grid;
use crate::session::Session;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The run's folder, with `samples.npz`.
    pub run: PathBuf,
    /// Images that are shown, from the first on.
    pub shown: usize,
    /// Neighbours of each.
    pub k: usize,
    /// Where pictures and distances go.
    pub folder: PathBuf,
}

/// Writes `neighbours-pixels.png` and `neighbours-features.png` (a generated image, then its neighbours, nearest first) and
/// `neighbours.json` (their places in the training set and distances, and quartiles of the nearest distance over all samples).
///
/// # Errors
/// If the run has no samples, there are fewer training images than neighbours, or a file cannot be written.
pub fn write(request: &Request, data: &Dataset, session: &Session) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(&request.folder).with_context(|| format!("cannot make {}", request.folder.display()))?;
    let path = request.run.join("samples.npz");
    let samples = read_npz(&path).context("the run's samples are needed")?;
    let train = &data.train.images;
    let mut all = json!({ "data": data.title(), "samples": samples.dim().0, "training_images": train.dim().0 });
    let mut written = Vec::new();
    let network = Extractor::shipped(Shipped::of_data(&data.name), session.device)?;
    for (space, extractor) in [("pixels", &Extractor::Pixels), ("features", &network)] {
        let (x, y) = (extractor.rows(samples.view(), "samples")?, extractor.rows(train.view(), "training images")?);
        let found = nearest(x.view(), y.view(), request.k)
            .with_context(|| format!("neighbours of {} among {}", request.run.display(), data.title()))?;
        let path = request.folder.join(format!("neighbours-{space}.png"));
        let shown = request.shown.min(samples.dim().0);
        picture(&samples, train, &found, shown, &path)?;
        written.push(path);
        all[space] = summary(&found, shown);
    }
    let path = request.folder.join("neighbours.json");
    write_atomically(&path, (serde_json::to_string_pretty(&all)? + "\n").as_bytes())?;
    written.push(path);
    Ok(written)
}

fn picture(samples: &Array3<u8>, train: &Array3<u8>, found: &Neighbours, shown: usize, path: &Path) -> Result<()> {
    let mut rows = Vec::new();
    for i in 0..shown {
        rows.push(samples.select(Axis(0), &[i]));
        rows.push(train.select(Axis(0), &found.indices.row(i).to_vec()));
    }
    let views: Vec<_> = rows.iter().map(|rows| rows.view()).collect();
    let images = concatenate(Axis(0), &views)?;
    Ok(Grid { columns: Some(1 + found.indices.ncols()), ..Grid::default() }.write(images.view(), path)?)
}

fn summary(found: &Neighbours, shown: usize) -> Value {
    let mut first: Vec<f64> = found.distances.column(0).to_vec();
    first.sort_by(f64::total_cmp);
    let at = |part: f64| first[((first.len() - 1) as f64 * part).round() as usize];
    let images: Vec<Value> = (0..shown)
        .map(|i| json!({ "indices": found.indices.row(i).to_vec(), "distances": found.distances.row(i).to_vec() }))
        .collect();
    json!({
        "nearest_distance": { "least": at(0.0), "quartiles": [at(0.25), at(0.5), at(0.75)], "most": at(1.0) },
        "shown": images,
    })
}
