//! `dale neighbours`: the training images that are nearest to generated ones, in pixels and in features, as pictures with distances.
//!
//! A network that has learned to copy shows itself here: its images have a neighbour at almost no distance.

use std::path::PathBuf;

use anyhow::{Context, Result};
use metrics::{Neighbours, nearest};
use models::classifier::Shipped;
use models::write::write_atomically;
use ndarray::{Array2, ArrayView3, Axis, concatenate};
use serde_json::{Value, json};
use tch::Device;

use crate::arrays::read_npz;
use crate::data::Dataset;
use crate::extractor::Extractor;
use crate::report::image::{Grid, Png};
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

/// The neighbours of some images in one space.
#[derive(Clone, Debug)]
pub struct Space {
    /// `pixels` or `features`.
    pub name: &'static str,
    /// Of generated images, as they were given.
    pub samples: Neighbours,
    /// Of as many test images, for comparison: the nearest one.
    pub test: Neighbours,
}

/// The `k` training images that are nearest to each generated image, in pixels (Euclidean distance of values in [0, 1]) and in the
/// features of the data set's classifier.
///
/// # Errors
/// If there are fewer training images than neighbours, or the images do not fit the classifier.
pub fn find(samples: ArrayView3<'_, u8>, k: usize, data: &Dataset, device: Device) -> Result<Vec<Space>> {
    let network = Extractor::shipped(Shipped::of_data(&data.name), device)?;
    let (test, _) = data.test.slice(0..samples.dim().0);
    [("pixels", &Extractor::Pixels), ("features", &network)]
        .into_iter()
        .map(|(name, extractor)| {
            let rows = |images: ArrayView3<'_, u8>, label: &str| extractor.rows(images, label);
            let points = rows(data.train.images.view(), "training images")?;
            let of = |queries: Array2<f32>, k: usize| {
                nearest(queries.view(), points.view(), k).with_context(|| format!("neighbours among {}", data.title()))
            };
            Ok(Space { name, samples: of(rows(samples, "samples")?, k)?, test: of(rows(test, "test images")?, 1)? })
        })
        .collect()
}

impl Space {
    /// The first `shown` images, each followed by its neighbours, nearest first.
    ///
    /// # Errors
    /// If there are none.
    pub fn picture(&self, samples: ArrayView3<'_, u8>, data: &Dataset, shown: usize) -> Result<Png> {
        let mut rows = Vec::new();
        for i in 0..shown.min(samples.dim().0) {
            rows.push(samples.select(Axis(0), &[i]));
            rows.push(data.train.images.select(Axis(0), &self.samples.indices.row(i).to_vec()));
        }
        let views: Vec<_> = rows.iter().map(|rows| rows.view()).collect();
        let images = concatenate(Axis(0), &views)?;
        let grid = Grid { columns: Some(1 + self.samples.indices.ncols()), ..Grid::default() };
        Ok(grid.draw(images.view())?)
    }

    /// Median distance to the nearest training image, of the generated images and of the test images.
    #[must_use]
    pub fn medians(&self) -> [f64; 2] {
        [&self.samples, &self.test].map(|found| quantiles(found)(0.5))
    }
}

/// Writes `neighbours-pixels.png` and `neighbours-features.png` (a generated image, then its neighbours, nearest first) and
/// `neighbours.json` (their places in the training set and distances, and quartiles of the nearest distance over all samples and
/// over as many test images).
///
/// # Errors
/// If the run has no samples, there are fewer training images than neighbours, or a file cannot be written.
pub fn write(request: &Request, data: &Dataset, session: &Session) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(&request.folder).with_context(|| format!("cannot make {}", request.folder.display()))?;
    let samples = read_npz(&request.run.join("samples.npz")).context("the run's samples are needed")?;
    let mut all =
        json!({ "data": data.title(), "samples": samples.dim().0, "training_images": data.train.images.dim().0 });
    let mut written = Vec::new();
    let spaces = find(samples.view(), request.k, data, session.device)
        .with_context(|| format!("neighbours of {}", request.run.display()))?;
    for space in spaces {
        let path = request.folder.join(format!("neighbours-{}.png", space.name));
        space.picture(samples.view(), data, request.shown)?.write(&path)?;
        written.push(path);
        all[space.name] = summary(&space, request.shown.min(samples.dim().0));
    }
    let path = request.folder.join("neighbours.json");
    write_atomically(&path, (serde_json::to_string_pretty(&all)? + "\n").as_bytes())?;
    written.push(path);
    Ok(written)
}

/// Quantiles of the distance to the nearest one.
fn quantiles(found: &Neighbours) -> impl Fn(f64) -> f64 {
    let mut first: Vec<f64> = found.distances.column(0).to_vec();
    first.sort_by(f64::total_cmp);
    move |part| first[((first.len() - 1) as f64 * part).round() as usize]
}

fn summary(space: &Space, shown: usize) -> Value {
    let spread = |found: &Neighbours| {
        let at = quantiles(found);
        json!({ "least": at(0.0), "quartiles": [at(0.25), at(0.5), at(0.75)], "most": at(1.0) })
    };
    let found = &space.samples;
    let images: Vec<Value> = (0..shown)
        .map(|i| json!({ "indices": found.indices.row(i).to_vec(), "distances": found.distances.row(i).to_vec() }))
        .collect();
    json!({ "nearest_distance": spread(found), "nearest_distance_of_test_images": spread(&space.test), "shown": images })
}
