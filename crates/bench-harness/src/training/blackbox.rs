//! When a loss or a gradient is not finite: what made it, in one file that can be replayed without the data set.
//!
//! The host looks at losses late, but the optimizer has not moved since the first bad one
//! ([`Guard`](models::optim::Guard)), so the weights at hand are those that made it.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use models::denoise::Model;
use models::params::{Flat, Gradient};
use models::precision::{Choice, Precision};
use models::probe::Seen;
use models::unet::UNet;
use models::write::write_atomically;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use score_match::DataMoments;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::batches::{Batch, seed};
use super::optimize::judge;
use crate::config::Experiment;

/// Version of the file's format.
const FORMAT: u32 = 1;

/// What stands in the file beside its tensors `weights`, `y0`, `y_bar`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flight {
    /// Version of the format.
    pub format: u32,
    /// The experiment.
    pub experiment: Experiment,
    /// Moments of the training pixels.
    pub moments: DataMoments,
    /// Precision of the arithmetic.
    pub precision: Precision,
    /// The step, counted from 0, before which the weights were taken.
    pub step: u64,
    /// Images of the batch, by their place in the training set.
    pub indices: Vec<i64>,
    /// Their log variances.
    pub levels: Vec<f64>,
    /// Their log variances as the network was told them.
    pub told: Vec<f64>,
    /// Their classes.
    pub classes: Option<Vec<i64>>,
    /// What went wrong.
    pub finding: Finding,
}

impl Flight {
    /// What is known of a step that went wrong.
    #[must_use]
    pub fn new(
        experiment: &Experiment,
        moments: DataMoments,
        precision: Precision,
        step: u64,
        batch: &Batch,
        finding: Finding,
    ) -> Self {
        let classes = batch.classes.as_ref().and_then(|c| Vec::<i64>::try_from(c).ok());
        Self {
            format: FORMAT,
            experiment: experiment.clone(),
            moments,
            precision,
            step,
            indices: batch.indices.clone(),
            levels: batch.levels.clone(),
            told: batch.told.clone(),
            classes,
            finding,
        }
    }
}

/// Where numbers went wrong in a step. Numbers are text, since JSON has neither NaN nor infinity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The loss.
    pub loss: String,
    /// Norm of the gradient.
    pub norm: String,
    /// First layer of the forward pass whose output is not finite.
    pub layer: Option<String>,
    /// Last parameter, hence first of the backward pass, whose gradient is not finite.
    pub gradient: Option<String>,
}

impl Finding {
    /// For people.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { loss, norm, layer, gradient } = self;
        let place = match (layer, gradient) {
            (Some(layer), _) => format!("the first layer with a number that is not finite is {layer}"),
            (None, Some(name)) => format!("all layers are finite; the first gradient that is not is that of {name}"),
            (None, None) => "all layers and gradients are finite".to_owned(),
        };
        format!("loss {loss}, gradient norm {norm}; {place}")
    }

    /// Whether anything was not finite.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        let finite = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
        !(finite(&self.loss) && finite(&self.norm))
    }
}

/// Repeats a step's forward and backward pass, watching every layer.
///
/// # Errors
/// If libtorch refuses.
pub fn examine(
    flight: (&Experiment, u64),
    model: &Model,
    flat: &Flat,
    precision: Precision,
    batch: &Batch,
) -> Result<Finding> {
    let (experiment, step) = flight;
    let layout = model.net.layout();
    let kind = Choice { precision, seconds: None }.kind();
    let mut weights = flat.weights(layout, kind, Gradient::Wanted)?;
    weights.watch(layout);
    seed(experiment.seed, step);
    let loss = judge(model, &weights, batch, &experiment.training, true)?.loss;
    let layer = weights.unwatch().into_iter().find(|seen: &Seen| !seen.finite).map(|seen| seen.layer);
    let gradient = weights.gradient(&loss)?;
    let bad = |part: &Tensor| -> Result<bool> { Ok(part.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0) };
    let mut first = None;
    for entry in layout.entries().iter().rev() {
        if bad(&gradient.f_narrow(0, entry.offset, entry.len())?)? {
            first = Some(entry.name.clone());
            break;
        }
    }
    let text = |t: &Tensor| -> Result<String> { Ok(t.f_double_value(&[])?.to_string()) };
    Ok(Finding { loss: text(&loss)?, norm: text(&gradient.f_norm()?)?, layer, gradient: first })
}

/// Writes a black box.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, flight: &Flight, flat: &Flat, batch: &Batch) -> Result<()> {
    let tensors = [("weights", flat.tensor()), ("y0", &batch.y0), ("y_bar", &batch.y_bar)];
    let mut all = Vec::new();
    for (name, tensor) in tensors {
        let shape: Vec<usize> = tensor.size().iter().map(|&n| n as usize).collect();
        let flat = tensor.f_to_device(Device::Cpu)?.f_reshape([-1])?;
        let bytes: Vec<u8> = Vec::<f32>::try_from(&flat)?.iter().flat_map(|v| v.to_le_bytes()).collect();
        all.push((name, shape, bytes));
    }
    let views = all
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([("dale black box".to_owned(), serde_json::to_string(flight)?)]);
    Ok(write_atomically(path, &safetensors::serialize(views, Some(metadata))?)?)
}

/// `dale replay`: repeats the step and compares; prints what it finds.
///
/// # Errors
/// If the file is not a black box, or the step does not go wrong in the same place.
pub fn replay(path: &Path, device: Device) -> Result<()> {
    let name = path.display();
    let bytes = std::fs::read(path).with_context(|| name.to_string())?;
    let file = SafeTensors::deserialize(&bytes).with_context(|| format!("{name}: damaged, or no black box"))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).with_context(|| format!("{name}: damaged"))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get("dale black box"));
    let json = json.with_context(|| format!("{name}: a safetensors file, but no black box of dale"))?;
    let flight: Flight =
        serde_json::from_str(json).with_context(|| format!("{name}: a black box of another version"))?;
    if flight.format != FORMAT {
        bail!("{name}: format version {}, this program reads version {FORMAT}", flight.format);
    }
    let e = &flight.experiment;
    let model = Model::new(UNet::new(e.network.clone())?, e.training.head, flight.moments)?;
    models::device::set_tf32(e.training.tf32)?;
    let flat = Flat::from_tensor(model.net.layout(), tensor(&file, "weights", device)?)?;
    let classes = flight.classes.as_ref().map(|c| Tensor::from_slice(c).to_device(device));
    let batch = Batch {
        y0: tensor(&file, "y0", device)?,
        y_bar: tensor(&file, "y_bar", device)?,
        levels: flight.levels.clone(),
        told: flight.told.clone(),
        classes,
        indices: flight.indices.clone(),
    };
    let found = examine((e, flight.step), &model, &flat, flight.precision, &batch)?;
    println!("step {} of {:?}, {} images in {:?}", flight.step, e.name, flight.indices.len(), flight.precision);
    println!("recorded: {}", flight.finding.sentence());
    println!("replayed: {}", found.sentence());
    if !found.is_bad() || (&found.layer, &found.gradient) != (&flight.finding.layer, &flight.finding.gradient) {
        bail!("{name}: the step does not go wrong in the same place here");
    }
    Ok(())
}

fn tensor(file: &SafeTensors<'_>, name: &str, device: Device) -> Result<Tensor> {
    let view = file.tensor(name).with_context(|| format!("the black box has no tensor {name:?}"))?;
    let values: Vec<f32> = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
    Ok(Tensor::f_from_slice(&values)?.f_to_kind(Kind::Float)?.f_view(shape.as_slice())?.f_to_device(device)?)
}
