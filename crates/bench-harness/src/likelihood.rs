//! `dale likelihood`: bits per dimension of a trained network on dequantized images, beside laws in closed form.
//!
//! ```text
//! u = (byte + U)/256,  x = low + (high − low) u,  y = ln x
//! bits per dimension = −[ ln p_Y(y) − Σ y + d ln((high − low)/256) ]/(d ln 2)
//! ```
//!
//! `ln p_Y` is the density of the network's probability flow at the level `r_min`, with the run's prior at `r_max`: the
//! law of images with noise of standard deviation `r_min` left on `ln x`. See [`samplers::likelihood`] for how it is
//! found, and [`samplers::likelihood::ambient`] for the formula. All laws of the table see the same dequantized images;
//! those in closed form are fitted to the dequantized training images. The uniform law has 8 bits, whatever the images.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gbm_sde::Noise;
use models::write::write_atomically;
use ndarray::{Array2, ArrayView3, Axis};
use samplers::{Flow, Grid, GridConfig, PixelScale, Solver, Tolerance};
use score_match::{LinearDenoiser, Probes, Trace};
use serde::Serialize;
use tch::{Kind, Tensor};

use crate::config::{Coordinate, Experiment};
use crate::data::Dataset;
use crate::generate::{Trained, statistics};
use crate::progress::Progress;
use crate::report::table::{Cell, Column, Table};
use crate::session::{Interrupted, Session};

/// Images that the network sees at once: fixed numbers, so that an image's result does not depend on how many there
/// are.
const BATCH: usize = 50;
/// The same with the exact trace, whose hundreds of backward passes are done before anyone can stop them.
const EXACT_BATCH: usize = 5;

/// Index of the first training image's uniforms; test images count from 0.
const TRAINING: u64 = 1 << 32;

/// Whose images are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Those that nothing was trained on.
    #[default]
    Test,
    /// Those that the network was trained on.
    Train,
}

/// What to compute.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The first so many images.
    pub n: usize,
    /// Whose.
    pub split: Split,
    /// Steps of Heun's method.
    pub steps: usize,
    /// The adaptive method with this tolerance, in nats for each step, instead.
    pub tolerance: Option<f64>,
    /// Probes for each image; none for the exact trace.
    pub probes: Option<u32>,
    /// Lowest level; by default the lowest that the network was trained at.
    pub r_min: Option<f64>,
    /// Highest level; by default where the run's sampling starts.
    pub r_max: Option<f64>,
    /// Another seed than the run's.
    pub seed: Option<u64>,
}

/// Bits per dimension of one law.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bits {
    /// The law.
    pub name: String,
    /// Mean over the images.
    pub bits: f64,
    /// Its standard error over the images.
    pub standard_error: f64,
}

/// What was found; `likelihood.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Likelihood {
    /// SHA-256 of the weights' file.
    pub weights: String,
    /// The data set.
    pub data: String,
    /// Whose images.
    pub split: Split,
    /// How many, from the first on.
    pub n: usize,
    /// Pixels of each.
    pub dimensions: usize,
    /// Seed of dequantization and probes.
    pub seed: u64,
    /// How bytes became numbers.
    pub dequantization: String,
    /// Pixel of a black image.
    pub low: f64,
    /// Pixel of a white image.
    pub high: f64,
    /// Level of the density.
    pub r_min: f64,
    /// Level of the prior.
    pub r_max: f64,
    /// The prior, as in the configuration.
    pub prior: samplers::PriorConfig,
    /// The solver.
    pub solver: Solver,
    /// Steps of the grid.
    pub steps: usize,
    /// `exact` or `hutchinson`.
    pub trace: &'static str,
    /// Probes for each image; none with the exact trace.
    pub probes: Option<u32>,
    /// Network calls, each with its backward passes, for an image; where they differ from batch to batch, the most.
    pub calls: usize,
    /// Root mean square over the images of the standard error that the probes leave, in bits; none with fewer than two.
    pub probe_error: Option<f64>,
    /// The network first, then the laws in closed form.
    pub laws: Vec<Bits>,
}

/// Dequantized log images as rows.
fn dequantized(images: ArrayView3<'_, u8>, scale: &PixelScale, noise: &Noise, first: u64) -> Array2<f64> {
    let (n, h, w) = images.dim();
    let mut rows = Array2::zeros((n, h * w));
    for ((index, image), mut row) in (first..).zip(images.axis_iter(Axis(0))).zip(rows.rows_mut()) {
        let bytes: Vec<u8> = image.iter().copied().collect();
        let y = scale.dequantize(&bytes, noise, index, 0);
        row.iter_mut().zip(y).for_each(|(to, from)| *to = from);
    }
    rows
}

/// Mean and standard error of the bits of images with these log densities.
fn bits(name: impl Into<String>, scale: &PixelScale, y: &Array2<f64>, log_densities: &[f64]) -> Bits {
    let each: Vec<f64> = y
        .rows()
        .into_iter()
        .zip(log_densities)
        .map(|(row, &density)| scale.bits_per_dimension(density, &row.to_vec()))
        .collect();
    let n = each.len() as f64;
    let mean = each.iter().sum::<f64>() / n;
    let variance = each.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Bits { name: name.into(), bits: mean, standard_error: (variance / n).sqrt() }
}

/// The laws in closed form, fitted to the dequantized training images.
fn closed_forms(data: &Dataset, scale: &PixelScale, noise: &Noise, y: &Array2<f64>, r_min: f64) -> Result<Vec<Bits>> {
    let mut progress = Progress::new("log-normals", "fits", 2);
    let train = dequantized(data.train.images.view(), scale, noise, TRAINING);
    let full = LinearDenoiser::fit(train.mapv(|y| y as f32).view()).context("fitting the full covariance")?;
    progress.set(1);
    let variances = train.var_axis(Axis(0), 0.0);
    let independent = LinearDenoiser::from_moments(full.mean().to_vec(), Array2::from_diag(&variances).view())?;
    progress.set(2);
    progress.finish();
    let mut laws = Vec::new();
    // Fewer images than pixels leave directions without any variance, and no density.
    if data.train.len() > y.ncols() {
        laws.push(bits("full-covariance log-normal", scale, y, &full.log_pdf(y.view(), 0.0)?));
    }
    let noised = full.log_pdf(y.view(), r_min * r_min)?;
    laws.push(bits("full-covariance log-normal, noised to r_min", scale, y, &noised));
    laws.push(bits("independent log-normals", scale, y, &independent.log_pdf(y.view(), 0.0)?));
    laws.push(Bits { name: "uniform".into(), bits: 8.0, standard_error: 0.0 });
    Ok(laws)
}

/// The levels, from the request and the run.
fn levels(experiment: &Experiment, request: &Request) -> Result<(f64, f64, Grid)> {
    let schedule = gbm_sde::Schedule::new(experiment.process.clone())?;
    let top = experiment.sampling.grid.build(Some(&schedule))?.start().sqrt();
    let r_max = request.r_max.unwrap_or(top);
    let r_min = request.r_min.unwrap_or_else(|| experiment.training.time.quantile(0.0).sqrt());
    let grid = GridConfig::LogNoise { r_min, r_max, steps: request.steps + 1 }.build(None)?;
    Ok((r_min, r_max, grid))
}

/// Bits per dimension of the network's flow and of the laws in closed form.
///
/// # Errors
/// Fewer than two images or more than there are; levels or a tolerance that are impossible; [`Interrupted`] after
/// Ctrl-C.
pub fn compute(
    trained: &Trained,
    experiment: &Experiment,
    data: &Dataset,
    request: &Request,
    session: &Session,
) -> Result<Likelihood> {
    let set = if request.split == Split::Test { &data.test } else { &data.train };
    if request.n < 2 || request.n > set.len() {
        bail!("--n {}: there must be at least 2 images, and there are {}", request.n, set.len());
    }
    let (r_min, r_max, grid) = levels(experiment, request)?;
    let pixels = experiment.pixels;
    if pixels.coordinate != Coordinate::Log {
        bail!("pixels.coordinate: bits per dimension are of a process in the logarithm of the pixel");
    }
    let scale = PixelScale::new(pixels.low, pixels.high)?;
    let seed = request.seed.unwrap_or(experiment.seed);
    let noise = Noise::new(seed);
    let first = if request.split == Split::Test { 0 } else { TRAINING };
    let y = dequantized(set.slice(0..request.n).0, &scale, &noise, first);
    let statistics = statistics(&experiment.sampling.prior, pixels, data)?;
    let prior = experiment.sampling.prior.build(&trained.header.moments, statistics.as_ref(), r_max * r_max)?;
    let solver = match request.tolerance {
        None => Solver::Heun,
        Some(t) => Solver::Adaptive(Tolerance { relative: t, absolute: t, nats: t, ..Tolerance::default() }),
    };

    let batch = if request.probes.is_some() { BATCH } else { EXACT_BATCH };
    let denoiser = trained.denoiser(batch);
    let mut progress = Progress::new("likelihood", "image steps", (request.n * request.steps) as u64);
    let (mut densities, mut errors, mut calls) = (Vec::new(), Vec::new(), 0);
    for start in (0..request.n).step_by(batch) {
        let count = batch.min(request.n - start);
        let rows = y.slice_axis(Axis(0), (start..start + count).into());
        let values: Vec<f64> = rows.iter().copied().collect();
        let state = Tensor::from_slice(&values).f_to_kind(Kind::Float)?;
        let state = state.f_reshape(trained.shape(count))?.f_to_device(session.device)?;
        let trace = request.probes.map_or(Trace::Exact, |count| {
            Trace::Hutchinson(Probes { count, first_index: first + start as u64, ..Probes::new(seed) })
        });
        let flow = Flow { denoiser: &denoiser, trace, solver };
        let mut on_step = |_| {
            progress.add(count as u64);
            if session.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let found = flow.log_density(state, &|top| prior.log_pdf_tensor(top), &grid, &mut on_step)?;
        let found =
            found.ok_or_else(|| Interrupted("stopped while computing likelihoods; nothing was written".into()))?;
        densities.extend(found.means());
        errors.extend(found.standard_errors().unwrap_or_default());
        calls = calls.max(found.calls);
    }
    progress.finish();
    let mut laws = vec![bits("network, probability flow", &scale, &y, &densities)];
    laws.extend(closed_forms(data, &scale, &noise, &y, r_min)?);
    let in_bits = 1.0 / (y.ncols() as f64 * std::f64::consts::LN_2);
    let square = errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64;
    Ok(Likelihood {
        weights: trained.sha256.clone(),
        data: data.title(),
        split: request.split,
        n: request.n,
        dimensions: y.ncols(),
        seed,
        dequantization: "uniform: u = (byte + U)/256".into(),
        low: pixels.low,
        high: pixels.high,
        r_min,
        r_max,
        prior: experiment.sampling.prior,
        solver,
        steps: request.steps,
        trace: if request.probes.is_some() { "hutchinson" } else { "exact" },
        probes: request.probes,
        calls,
        probe_error: (!errors.is_empty()).then(|| in_bits * square.sqrt()),
        laws,
    })
}

impl Likelihood {
    /// The table for a terminal, with all that the numbers depend on.
    ///
    /// # Errors
    /// Never, as long as the rows fit the columns.
    pub fn to_text(&self) -> Result<String> {
        let split = if self.split == Split::Test { "test" } else { "training" };
        let columns = vec![Column::text("law"), Column { decimals: Some(4), ..Column::number("bits per dimension") }];
        let mut table = Table::new(format!("The first {} {split} images of {}", self.n, self.data), columns);
        for law in &self.laws {
            let exact = law.standard_error == 0.0;
            let cell = if exact { Cell::Number(law.bits) } else { Cell::Spread(law.bits, law.standard_error) };
            table.push(vec![law.name.as_str().into(), cell])?;
        }
        let trace = match (self.probes, self.probe_error) {
            (None, _) => "exact trace".to_owned(),
            (Some(probes), None) => format!("Hutchinson's trace, {probes} probe"),
            (Some(probes), Some(e)) => {
                format!("Hutchinson's trace, {probes} probes, which leave an error of {e:.4} bits in an image")
            }
        };
        let solver = match self.solver {
            Solver::Heun => format!("Heun, {} steps", self.steps),
            Solver::Adaptive(tolerance) => format!("adaptive, tolerance {} nats a step", tolerance.nats),
        };
        Ok(format!(
            "{}\n± is the standard error over the images. Density at r_min = {}, prior at r_max = {}; {solver}, {} calls; {trace}.\n\
             Dequantization {}; pixels x = {} + {} u; {} dimensions; seed {}. The log-normals are fitted to the dequantized \
             training images.",
            table.to_text(),
            self.r_min,
            self.r_max,
            self.calls,
            self.dequantization,
            self.low,
            self.high - self.low,
            self.dimensions,
            self.seed
        ))
    }

    /// Writes `likelihood.json` into `folder`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)? + "\n";
        Ok(write_atomically(&folder.join("likelihood.json"), json.as_bytes())?)
    }
}
