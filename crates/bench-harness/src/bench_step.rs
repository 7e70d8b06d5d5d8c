//! `dale bench-step`: time and memory of a training step, for setting them beside PyTorch's.

use std::time::Instant;

use anyhow::Result;
use models::denoise::Model;
use models::params::Flat;
use models::precision;
use models::unet::UNet;
use score_match::DataMoments;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::config::Experiment;
use crate::doctor;
use crate::session::Session;
use crate::training::batches::Batch;
use crate::training::optimize::Optimizer;

/// Moments of MNIST's log pixels, for networks that see no data.
pub const MOMENTS: DataMoments = DataMoments { log_mean: 0.095, log_sd: 0.219 };

/// Steps before the clock counts.
const WARM_UP: usize = 3;

/// Seconds of each of `steps` training steps, in f32 or bf16 as training would choose; seconds of what comes after
/// the gradient (clipping, Adam, averages) alone; the process's peak memory before the first step and after the last, in bytes (that of the
/// host, also where a GPU computes).
///
/// # Errors
/// If the network is impossible or libtorch refuses.
pub fn time(experiment: &Experiment, steps: usize, session: &Session) -> Result<Value> {
    let t = &experiment.training;
    let model = Model::new(UNet::new(experiment.network.clone())?, t.head, MOMENTS)?;
    let flat = Flat::initialized(model.net.layout(), experiment.seed, session.device)?;
    let choice = precision::choose(t.precision, &model, &flat, t.batch)?;
    let mut optimizer = Optimizer::begin(flat, &model, t, choice.kind())?;
    let network = &experiment.network;
    let shape = [t.batch as i64, network.channels, network.size, network.size];
    let y0 = Tensor::f_zeros(shape, (Kind::Float, session.device))?;
    let levels = vec![0.25; t.batch];
    let before = doctor::peak_memory();
    let wait = || {
        if let Device::Cuda(index) = session.device {
            tch::Cuda::synchronize(index as i64);
        }
    };
    let mut seconds = Vec::with_capacity(steps);
    for step in 0..steps.saturating_add(WARM_UP) {
        let y_bar = Tensor::f_randn(shape, (Kind::Float, session.device))?.f_mul_scalar(0.5)?;
        let (y0, levels) = (y0.shallow_clone(), levels.clone());
        let batch = Batch { y_bar, y0, told: levels.clone(), levels, classes: None, indices: Vec::new() };
        wait();
        let start = Instant::now();
        let _ = optimizer.step(&model, &batch, t, t.rate)?;
        wait();
        if step >= WARM_UP {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let peak = doctor::peak_memory();
    let loss = Tensor::f_zeros([] as [i64; 0], (Kind::Float, session.device))?;
    let mut apply = Vec::with_capacity(steps);
    for _ in 0..steps {
        let gradient = Tensor::f_zeros([model.net.layout().total()], (Kind::Float, session.device))?;
        wait();
        let start = Instant::now();
        let _ = optimizer.apply(&loss, gradient, t, t.rate)?;
        wait();
        apply.push(start.elapsed().as_secs_f64());
    }
    Ok(json!({
        "precision": choice.precision, "batch": t.batch, "parameters": model.net.layout().total(),
        "seconds": seconds, "apply_seconds": apply, "memory_before": before, "memory_peak": peak,
    }))
}
