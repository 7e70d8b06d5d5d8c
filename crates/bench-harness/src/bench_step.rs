//! `dale bench-step`: the time of a whole training step, for setting it beside PyTorch's.

use std::time::Instant;

use anyhow::Result;
use models::denoise::Model;
use models::optim::{Adam, Ema, clip_by_norm};
use models::params::{Flat, Gradient};
use models::precision::{Choice, Precision};
use models::unet::UNet;
use score_match::DataMoments;
use score_match::torch::{squared_error, weighted_loss};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

use crate::config::Experiment;
use crate::session::Session;

/// Seconds of `steps` training steps (denoise, loss, gradient, clipping, Adam, average) after three to warm up, in f32 or
/// bf16 as the experiment says (`auto` counts as f32).
///
/// # Errors
/// If the network is impossible or libtorch refuses.
pub fn time(experiment: &Experiment, steps: usize, session: &Session) -> Result<Value> {
    let t = &experiment.training;
    let moments = DataMoments { log_mean: 0.095, log_sd: 0.219 };
    let model = Model::new(UNet::new(experiment.network.clone())?, t.head, moments)?;
    let layout = model.net.layout().clone();
    let mut flat = Flat::initialized(&layout, experiment.seed, session.device)?;
    let precision = if t.precision == Precision::Bf16 { Precision::Bf16 } else { Precision::F32 };
    let kind = Choice { precision, seconds: None }.kind();
    let mut weights = flat.weights(&layout, kind, Gradient::Wanted)?;
    let (mut adam, mut ema) = (Adam::new(t.adam, &flat)?, Ema::new(t.ema, &flat)?);
    let network = &experiment.network;
    let shape = [t.batch as i64, network.channels, network.size, network.size];
    let y0 = Tensor::zeros(shape, (Kind::Float, session.device));
    let levels = vec![0.25; t.batch];
    let mut seconds = Vec::new();
    for step in 0..steps + 3 {
        let y_bar = Tensor::randn(shape, (Kind::Float, session.device)) * 0.5;
        let start = Instant::now();
        let denoised = model.denoise(&weights, &y_bar, &levels, true)?;
        let errors = squared_error(&denoised, &y0)?;
        let loss = weighted_loss(&errors, &levels, t.weight, moments.log_sd, 784.0)?;
        let mut gradient = weights.gradient(&loss)?;
        let _ = clip_by_norm(&mut gradient, 1.0)?;
        adam.step(&mut flat, &gradient, t.rate)?;
        weights.assign(&flat)?;
        ema.update(&flat, step as u64)?;
        if let tch::Device::Cuda(index) = session.device {
            tch::Cuda::synchronize(index as i64);
        }
        if step >= 3 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(json!({ "precision": precision, "batch": t.batch, "parameters": layout.total(), "seconds": seconds }))
}
