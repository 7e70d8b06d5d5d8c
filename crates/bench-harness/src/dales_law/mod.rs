//! `dale dales-law`: a network of excitatory and inhibitory units learns to classify, once by gradient descent and once by exponentiated
//! gradient descent, and the learned weights are set beside log-normal and normal laws.
//!
//! | module | what it holds |
//! |---|---|
//! | [`network`] | the perceptron and how it starts |
//! | [`training`] | both learning rules, on the same batches |
//! | [`statistics`] | log-normal or normal |
//! | [`report`] | tables, charts, and the paragraph that says what was found |
//!
//! Rates are chosen for each rule and start by the accuracy on the last sixth of the training images after three epochs, the worse of two
//! seeds that are not used again; the networks that are reported learn on all of them and are judged by the test images. Weights of input units that
//! no training image excites never change and are left out of the statistics.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use models::write::write_atomically;
use serde::Serialize;
use tch::{Kind, Tensor, no_grad};

use crate::data::{Dataset, ImageSet};
use crate::progress::Progress;
use crate::session::Session;

pub mod network;
pub mod report;
pub mod statistics;
pub mod training;

use network::{Network, Start, relays};
use statistics::{Comparison, compare, correlation};
use training::{Epoch, Labelled, Plan, Rule};

/// Epochs of the search for rates.
const SEARCH_EPOCHS: usize = 3;
/// Its seeds.
const SEARCH_SEEDS: [u64; 2] = [1_000_003, 1_000_033];

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Networks of each rule and start, at least 1.
    pub seeds: usize,
    /// Passes over the training images, at least 1.
    pub epochs: usize,
    /// Training images, from the first on; all when there are fewer.
    pub images: usize,
}

/// The outgoing weights of the units of one kind in one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Population {
    /// From 1.
    pub layer: usize,
    /// Whether the units are excitatory.
    pub excitatory: bool,
    /// As they are.
    pub now: Comparison,
    /// As they were before learning.
    pub before: Comparison,
    /// Correlation of `ln |w|` before and after.
    pub correlation: f64,
}

/// One trained network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Learned {
    /// How it learned.
    pub rule: Rule,
    /// How it started.
    pub start: Start,
    /// Its rate.
    pub rate: f64,
    /// Its seed.
    pub seed: u64,
    /// Seen after each epoch, on the test images.
    pub epochs: Vec<Epoch>,
    /// Its weights.
    pub populations: Vec<Population>,
}

/// A rate that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// How the network learned.
    pub rule: Rule,
    /// How it started.
    pub start: Start,
    /// The rate.
    pub rate: f64,
    /// Accuracy on held-out training images, the worse of two seeds; none where one diverged.
    pub accuracy: Option<f64>,
}

/// All of it; `dales_law.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Study {
    /// The data set.
    pub data: String,
    /// Training images.
    pub images: usize,
    /// Test images.
    pub test_images: usize,
    /// Weights of a network.
    pub weights: usize,
    /// Steps of a training run.
    pub steps: usize,
    /// The search for rates.
    pub tried: Vec<Tried>,
    /// The networks.
    pub learned: Vec<Learned>,
    /// First-layer weights of excitatory units for the figures, over all seeds: rule, start, weights, first weights.
    #[serde(skip)]
    pub shown: Vec<(Rule, Start, Vec<f64>, Vec<f64>)>,
}

/// Trains all networks and writes `report.html`, `dales_law.md`, `dales_law.json` and the charts into `folder`; returns the report's path
/// and the paragraph.
///
/// # Errors
/// If EGD changes a sign, no rate leads anywhere, or a file cannot be written.
pub fn write(
    folder: &Path,
    data: &Dataset,
    notice: Option<&str>,
    request: Request,
    session: &Session,
) -> Result<(PathBuf, String)> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let study = study(data, request, session)?;
    let json = serde_json::to_string(&study)? + "\n";
    write_atomically(&folder.join("dales_law.json"), json.as_bytes())?;
    report::write(folder, &study, notice)
}

fn study(data: &Dataset, request: Request, session: &Session) -> Result<Study> {
    let side = data.train.size().0;
    ensure!(
        data.train.size() == (side, side) && side.is_multiple_of(2),
        "{}: images must be squares of even size",
        data.title()
    );
    let count = request.images.min(data.train.len());
    let all = labelled(&data.train, 0, count)?;
    let test = labelled(&data.test, 0, data.test.len())?;
    let cut = count - count / 6;
    let (learn, held_out) = (labelled(&data.train, 0, cut)?, labelled(&data.train, cut, count)?);

    let arms: Vec<(Start, Rule)> = Start::ALL.into_iter().flat_map(|s| Rule::ALL.map(|r| (s, r))).collect();
    let steps = |images: usize, epochs: usize| (images / training::BATCH * epochs) as u64;
    let searched: usize = arms.iter().map(|(_, rule)| rule.rates().len()).sum();
    let total = (searched * SEARCH_SEEDS.len()) as u64 * steps(cut, SEARCH_EPOCHS)
        + (arms.len() * request.seeds) as u64 * steps(count, request.epochs);
    let mut progress = Progress::new("Dale's law", "steps", total);
    let mut tick = || {
        progress.add(1);
        session.check()
    };

    let mut tried = Vec::new();
    for &(start, rule) in &arms {
        for rate in rule.rates() {
            let mut accuracy = Some(f64::INFINITY);
            for seed in SEARCH_SEEDS {
                let plan = Plan { rule, start, rate, epochs: SEARCH_EPOCHS, seed };
                let found = training::train(&plan, side, &learn, &held_out, &mut tick);
                session.check()?;
                let reached = found.ok().and_then(|(_, epochs)| epochs.last().map(|e| e.accuracy));
                accuracy = accuracy.zip(reached).map(|(worst, reached)| worst.min(reached));
            }
            tracing::info!("{} from {} weights, rate {rate}: {accuracy:?}", rule.name(), start.name());
            tried.push(Tried { rule, start, rate, accuracy });
        }
    }
    let excited = no_grad(|| all.relays.f_amax([0], false)?.f_gt(0.0))?;
    let (mut learned, mut shown) = (Vec::new(), Vec::new());
    for &(start, rule) in &arms {
        let of_arm = tried.iter().filter(|t| (t.start, t.rule) == (start, rule));
        let best = of_arm.filter_map(|t| Some((t.rate, t.accuracy?))).max_by(|a, b| a.1.total_cmp(&b.1));
        let (rate, _) = best.with_context(|| format!("{}: no rate leads anywhere", rule.name()))?;
        let (mut now, mut before) = (Vec::new(), Vec::new());
        for seed in 1..=request.seeds as u64 {
            let plan = Plan { rule, start, rate, epochs: request.epochs, seed };
            let (network, epochs) = training::train(&plan, side, &all, &test, &mut tick)?;
            let first = Network::new(side, start, seed)?;
            let populations = populations(&network, &first, &excited)?;
            learned.push(Learned { rule, start, rate, seed, epochs, populations });
            now.extend(weights(&network, 0, true, &excited)?);
            before.extend(weights(&first, 0, true, &excited)?);
        }
        shown.push((rule, start, now, before));
    }
    progress.finish();
    let network = Network::new(side, Start::Uniform, 0)?;
    Ok(Study {
        data: data.title(),
        images: count,
        test_images: data.test.len(),
        weights: network.layers.iter().map(|l| l.weights.numel()).sum(),
        steps: steps(count, request.epochs) as usize,
        tried,
        learned,
        shown,
    })
}

fn labelled(set: &ImageSet, from: usize, to: usize) -> Result<Labelled> {
    let (images, labels) = set.slice(from..to);
    let (n, h, w) = images.dim();
    let bytes: Vec<u8> = images.iter().copied().collect();
    let images = Tensor::from_slice(&bytes).f_reshape([n as i64, h as i64, w as i64])?;
    Ok(Labelled { relays: no_grad(|| relays(&images))?, labels: Tensor::from_slice(labels).f_to_kind(Kind::Int64)? })
}

/// The outgoing weights of one kind of units of layer `layer`, from 0; those of input units that nothing excites are left out.
fn weights(network: &Network, layer: usize, excitatory: bool, excited: &Tensor) -> Result<Vec<f64>> {
    let Some(it) = network.layers.get(layer) else { return Ok(Vec::new()) };
    let units = it.weights.size()[1];
    let (first, count) =
        if excitatory { (0, it.excitatory as i64) } else { (it.excitatory as i64, units - it.excitatory as i64) };
    no_grad(|| {
        let mut part = it.weights.f_narrow(1, first, count)?;
        if layer == 0 {
            part = part.f_index_select(1, &excited.f_narrow(0, first, count)?.f_nonzero()?.f_squeeze_dim(1)?)?;
        }
        Ok(Vec::try_from(part.f_reshape([-1])?.f_to_kind(Kind::Double)?)?)
    })
}

fn populations(network: &Network, first: &Network, excited: &Tensor) -> Result<Vec<Population>> {
    let mut all = Vec::new();
    for layer in 0..network.layers.len() {
        for excitatory in [true, false] {
            let (now, before) =
                (weights(network, layer, excitatory, excited)?, weights(first, layer, excitatory, excited)?);
            let kept = now.iter().zip(&before).filter(|(w, _)| **w != 0.0);
            let (a, b): (Vec<f64>, Vec<f64>) = kept.map(|(w, w0)| (w.abs().ln(), w0.abs().ln())).unzip();
            all.push(Population {
                layer: layer + 1,
                excitatory,
                now: compare(&now)?,
                before: compare(&before)?,
                correlation: correlation(&a, &b),
            });
        }
    }
    Ok(all)
}
