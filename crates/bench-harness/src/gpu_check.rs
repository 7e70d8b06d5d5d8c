//! `dale gpu-check`: does a GPU compute what the CPU does, how fast does it train and sample, and how good are the images?
//!
//! One command of at most eight minutes, one JSON file, its charts, and the run's own report. Without a GPU it says why and is done.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use gbm_sde::noise::Noise;
use models::denoise::{Condition, Model};
use models::device::{cuda_devices, set_tf32};
use models::params::{Flat, Gradient};
use models::precision::Precision;
use models::unet::UNet;
use models::unet::summary::summarize;
use models::write::write_atomically;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor, no_grad};

use crate::config::Experiment;
use crate::data::Dataset;
use crate::report::plot::{Chart, Mark, Series};
use crate::reproduce::reproduce;
use crate::session::Session;
use crate::training::watch::PROBE_NOISE;
use crate::{bench_step, doctor, pixels};

/// Difference from the CPU, in parts of the largest output, that f32 may have.
const LARGEST_DIFFERENCE: f64 = 1e-3;

/// Seconds of training that leave room for the rest within eight minutes.
const TRAINING_SECONDS: f64 = 270.0;

/// Steps of each timing.
const TIMED: usize = 30;

/// Dense bf16 peaks of some cards, in operations a second, from their makers' data sheets; the first whose name is in the card's.
const PEAKS: [(&str, f64); 6] = [
    ("H200", 989e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("RTX 4090", 165e12),
];

/// Why there is nothing to check, if so.
#[must_use]
pub fn nothing_to_check(session: &Session) -> Option<String> {
    let why = || cuda_devices().err().unwrap_or_else(|| "the CPU was asked for".to_owned());
    (!session.device.is_cuda()).then(|| format!("gpu-check: nothing to check: {}", why()))
}

/// Runs the check in `folder` with the experiment of its `gpu` preset.
///
/// `rehearsal` walks the same way on the CPU: it shows that the command works, not that a GPU does.
///
/// # Errors
/// If a GPU is there and something does not work on it.
pub fn check(
    folder: &Path,
    mut experiment: Experiment,
    data: &Dataset,
    rehearsal: bool,
    session: &Session,
) -> Result<()> {
    let card = card(session.device);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let started = Instant::now();
    let difference = difference(&experiment, session.device)?;
    tracing::info!("gpu-check: largest difference from the CPU {difference:.1e} of the largest output");
    if difference.is_nan() || difference > LARGEST_DIFFERENCE {
        bail!("gpu-check: the network's output is {difference:.1e} of its largest value off the CPU's");
    }

    let mut timings = Vec::new();
    let steps = if rehearsal { 2 } else { TIMED };
    for (name, precision, tf32) in
        [("f32", Precision::F32, false), ("tf32", Precision::F32, true), ("bf16", Precision::Bf16, false)]
    {
        set_tf32(tf32)?;
        experiment.training.precision = precision;
        let found = bench_step::time(&experiment, steps, session)?;
        let mut seconds: Vec<f64> = serde_json::from_value(found["seconds"].clone())?;
        seconds.sort_by(f64::total_cmp);
        tracing::info!("gpu-check: a step takes {:.2} ms in {name}", 1e3 * seconds[seconds.len() / 2]);
        timings.push((name, seconds[seconds.len() / 2]));
    }
    experiment.training.precision = Precision::Bf16;
    // The backward pass costs about twice the forward one.
    let flops =
        3.0 * summarize(&UNet::new(experiment.network.clone())?)?.flops as f64 * experiment.training.batch as f64;
    let bf16 = timings.last().map_or(f64::NAN, |(_, seconds)| *seconds);
    let peak = PEAKS.iter().find(|(name, _)| card.as_deref().is_some_and(|card| card.contains(name))).map(|(_, p)| *p);
    let steps = experiment.training.steps.min((TRAINING_SECONDS / bf16) as u64).max(1);
    experiment.training.steps = steps;
    experiment.training.warmup = experiment.training.warmup.min(steps / 10);

    let done = reproduce("gpu-check", experiment, data, None, session)?;
    let (own, real) = (done.evaluation.samples(), done.evaluation.real());
    let ratio = own.zip(real).map(|(own, real)| own.cnn_fid / real.cnn_fid);
    let found = json!({
        "rehearsal": rehearsal, "device": session.device_name(), "card": card, "libtorch": doctor::libtorch_version(),
        "difference_from_cpu": difference,
        "step_seconds": timings.iter().map(|(name, s)| ((*name).to_owned(), json!(s))).collect::<serde_json::Map<String, Value>>(),
        "training_flops": flops, "bf16_share_of_peak": peak.map(|peak| flops / bf16 / peak),
        "steps": steps, "run": done.folder.file_name().map(|name| name.to_string_lossy()), "cnn_fid": own.map(|s| s.cnn_fid), "cnn_fid_sd": own.map(|s| s.cnn_fid_sd),
        "times_real": ratio, "calls": own.and_then(|s| s.calls),
        "sampling_seconds": own.and_then(|s| Some(s.seconds_per_image? * s.n as f64)), "images": own.map(|s| s.n),
        "seconds": started.elapsed().as_secs_f64(),
    });
    let text = serde_json::to_string_pretty(&found)? + "\n";
    write_atomically(&folder.join("gpu-check.json"), text.as_bytes())?;
    let chart = Chart {
        title: format!("Training step of {}", card.as_deref().unwrap_or("the CPU")),
        x_label: "1: f32, 2: TF32, 3: bf16".into(),
        y_label: "milliseconds".into(),
        series: vec![Series {
            mark: Mark::Both,
            points: (1..).zip(&timings).map(|(i, (_, s))| (f64::from(i), 1e3 * s)).collect(),
            ..Series::default()
        }],
        ..Chart::default()
    };
    chart.draw()?.write(&folder.join("gpu-check.svg"))?;
    println!("{text}\n  {}", folder.join("gpu-check.json").display());
    Ok(())
}

/// Largest difference of a network's output between the device and the CPU, in f32 without TF32, in parts of the largest output.
fn difference(experiment: &Experiment, device: Device) -> Result<f64> {
    set_tf32(false)?;
    let model = Model::new(UNet::new(experiment.network.clone())?, experiment.training.head, bench_step::MOMENTS)?;
    let layout = model.net.layout();
    let mut flat = Flat::initialized(layout, experiment.seed, Device::Cpu)?;
    // Some parameters start at zero, which would hide what they do.
    let _ = flat.tensor_mut().f_add_scalar_(0.01)?;
    let n = &experiment.network;
    let shape = [4, n.channels, n.size, n.size];
    let y = pixels::normals(&Noise::new(experiment.seed), PROBE_NOISE, 0, shape, Device::Cpu)?;
    let of = |device: Device| -> Result<Tensor> {
        let there = Flat::from_tensor(layout, flat.tensor().f_to_device(device)?)?;
        let weights = there.weights(layout, Kind::Float, Gradient::Unwanted)?;
        let levels = [0.01, 0.1, 1.0, 4.0];
        let out = no_grad(|| model.denoise(&weights, &y.to_device(device), Condition::levels(&levels), false))?;
        Ok(out.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?)
    };
    let (there, here) = (of(device)?, of(Device::Cpu)?);
    Ok((there - &here).abs().max().double_value(&[]) / here.abs().max().double_value(&[]))
}

/// Name of the card, as its driver says.
fn card(device: Device) -> Option<String> {
    let Device::Cuda(index) = device else { return None };
    let mut smi = std::process::Command::new("nvidia-smi");
    smi.args(["--query-gpu=name", "--format=csv,noheader", "-i", &index.to_string()]);
    let output = smi.output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(|line| line.trim().to_owned())
}
