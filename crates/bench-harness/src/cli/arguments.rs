//! Arguments that several commands share, and those that are many.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use tch::Device;

use crate::config::{Experiment, Resolved, shipped};
use crate::likelihood;

#[derive(Debug, Args)]
pub(super) struct ExperimentArgs {
    /// A file, or the name of one in experiments/
    #[arg(default_value = "mnist")]
    pub(super) experiment: String,
    /// A preset of that experiment; auto takes gpu where one can be used, else cpu
    #[arg(long, default_value = "auto")]
    pub(super) preset: String,
    /// Change a setting, e.g. --set training.steps=500
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct SampleArgs {
    /// A run's folder, or one under results/
    #[arg(default_value = "results/mnist-cpu")]
    pub(super) run: PathBuf,
    /// How many images
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) n: u32,
    /// Picture (.png) or array (.npz) to write
    #[arg(long, default_value = "samples.png")]
    pub(super) out: PathBuf,
    /// Another seed than the run's
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Other weights than the run's, such as `dale average` makes
    #[arg(long, value_name = "FILE")]
    pub(super) weights: Option<PathBuf>,
    /// Change a setting of sampling, e.g. --set sampling.sampler.kind=dale-langevin
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct LikelihoodArgs {
    /// A run's folder, or one under results/
    #[arg(default_value = "results/mnist-cpu")]
    pub(super) run: PathBuf,
    /// How many images, from the first on
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(super) n: u32,
    /// Whose images
    #[arg(long, value_enum, default_value_t)]
    pub(super) split: likelihood::Split,
    /// Steps of Heun's method, two network calls each
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) steps: u32,
    /// Instead, the adaptive method with this tolerance, in nats for each step
    #[arg(long, value_name = "NATS")]
    pub(super) tolerance: Option<f64>,
    /// Random probes for each image, one backward pass each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) probes: u32,
    /// The exact trace instead: as many backward passes as pixels, for a few images
    #[arg(long, conflicts_with = "probes")]
    pub(super) exact: bool,
    /// Level of the density; by default the lowest that the network was trained at
    #[arg(long)]
    pub(super) r_min: Option<f64>,
    /// Level of the prior; by default where the run's sampling starts
    #[arg(long)]
    pub(super) r_max: Option<f64>,
    /// Another seed than the run's
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Folder for likelihood.json
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

impl LikelihoodArgs {
    pub(super) fn request(&self) -> likelihood::Request {
        likelihood::Request {
            n: self.n as usize,
            split: self.split,
            // The adaptive method chooses its own steps; its grid is where the progress bar moves.
            steps: if self.tolerance.is_some() { 32 } else { self.steps as usize },
            tolerance: self.tolerance,
            probes: (!self.exact).then_some(self.probes),
            r_min: self.r_min,
            r_max: self.r_max,
            seed: self.seed,
        }
    }
}

impl ExperimentArgs {
    pub(super) fn resolve(&self, device: Device) -> Result<(String, Experiment)> {
        let (preset, resolved) = self.resolve_with_origins(device)?;
        Ok((preset, resolved.experiment))
    }

    pub(super) fn resolve_with_origins(&self, device: Device) -> Result<(String, Resolved)> {
        let layers = shipped::find(&self.experiment)?;
        if self.preset == "auto" && layers.presets().is_empty() {
            return Ok(("plain".to_owned(), layers.resolve(None, &self.set)?));
        }
        let preset = if self.preset == "auto" {
            let chosen = if device.is_cuda() { "gpu" } else { "cpu" };
            tracing::info!(
                "preset: {chosen}, because a GPU {} be used",
                if device.is_cuda() { "can" } else { "cannot" }
            );
            chosen
        } else {
            &self.preset
        };
        Ok((preset.to_owned(), layers.resolve(Some(preset), &self.set)?))
    }
}
