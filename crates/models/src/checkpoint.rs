//! Checkpoints: safetensors with a JSON header under the metadata key `dale`, written atomically.
//!
//! Tensors are named `ema/<parameter>`, and in a checkpoint of a training run also `weights/…`, `adam.mean/…` and
//! `adam.square/…`, all f32 (f16 in weights that ship) in PyTorch's layout. A file is written to a temporary name, synced and renamed: a crash or a
//! full disk leaves the one before untouched.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use score_match::precondition::DataMoments;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::denoise::Head;
use crate::params::{Flat, Layout};
use crate::precision::Precision;
use crate::unet::UNetConfig;
use crate::write::write_atomically;
use crate::{ModelError, Result};

/// Version of the file's format.
pub const FORMAT: u32 = 1;

/// Everything about the weights that is not a tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the program that wrote it.
    pub format: u32,
    /// The network's structure.
    pub network: UNetConfig,
    /// The meaning of its output.
    pub head: Head,
    /// Mean and standard deviation of `ln x₀` over the training pixels.
    pub moments: DataMoments,
    /// Data set, with the subset's label if it is one.
    pub data: String,
    /// Key of the training stage: a hash of all that the weights depend on.
    pub stage: String,
    /// Training steps taken.
    pub step: u64,
    /// Precision of the arithmetic it was trained in.
    pub precision: Precision,
    /// Seconds of training so far, over all sittings.
    pub seconds: f64,
    /// Smallest loss on a single batch, where the run keeps those weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_loss: Option<f64>,
}

/// State that only a continued training needs.
#[derive(Debug)]
pub struct TrainingState {
    /// Master weights.
    pub weights: Flat,
    /// Adam's mean of the gradient.
    pub mean: Flat,
    /// Adam's mean of the squared gradient.
    pub square: Flat,
}

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it is.
    pub header: Header,
    /// Averaged weights: what one samples with.
    pub ema: Flat,
    /// What a continued training needs; none in shipped weights.
    pub training: Option<TrainingState>,
}

/// Borrowed parts of a checkpoint, for writing.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Averaged weights.
    pub ema: &'a Flat,
    /// Master weights, Adam's mean and mean square.
    pub training: Option<(&'a Flat, &'a Flat, &'a Flat)>,
}

impl Checkpoint {
    /// The parts, for writing.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        let training = self.training.as_ref().map(|t| (&t.weights, &t.mean, &t.square));
        Parts { ema: &self.ema, training }
    }
}

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 32-bit floats, exact.
    Single,
    /// 16-bit floats (IEEE half), rounded: for weights that ship.
    Half,
}

/// Writes a checkpoint to `path`, or leaves what is there.
///
/// # Errors
/// [`ModelError::Io`] with the path, e.g. when the disk is full or the folder cannot be written.
pub fn save(path: &Path, header: &Header, layout: &Layout, parts: Parts<'_>) -> Result<()> {
    save_as(path, header, layout, parts, Encoding::Single)
}

/// As [`save`], in another encoding.
///
/// # Errors
/// As [`save`].
pub fn save_as(path: &Path, header: &Header, layout: &Layout, parts: Parts<'_>, encoding: Encoding) -> Result<()> {
    let mut sections = vec![("ema", parts.ema)];
    if let Some((weights, mean, square)) = parts.training {
        sections.extend([("weights", weights), ("adam.mean", mean), ("adam.square", square)]);
    }
    let mut buffers = Vec::new();
    for (section, flat) in sections {
        let tensor = flat.tensor().f_to_device(Device::Cpu)?;
        let bytes: Vec<u8> = match encoding {
            Encoding::Single => Vec::<f32>::try_from(&tensor)?.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Encoding::Half => {
                let halves = Vec::<half::f16>::try_from(&tensor.f_to_kind(Kind::Half)?)?;
                halves.iter().flat_map(|v| v.to_le_bytes()).collect()
            }
        };
        buffers.push((section, bytes));
    }
    let broken = |reason: String| ModelError::Checkpoint { path: path.to_owned(), reason };
    let (dtype, width) = match encoding {
        Encoding::Single => (Dtype::F32, 4),
        Encoding::Half => (Dtype::F16, 2),
    };
    let mut views = Vec::new();
    for (section, bytes) in &buffers {
        for entry in layout.entries() {
            let range = width * entry.offset as usize..width * (entry.offset + entry.len()) as usize;
            let shape = entry.shape.iter().map(|&n| n as usize).collect();
            let view = TensorView::new(dtype, shape, &bytes[range]).map_err(|e| broken(e.to_string()))?;
            views.push((format!("{section}/{}", entry.name), view));
        }
    }
    let json = serde_json::to_string(header).map_err(|e| broken(e.to_string()))?;
    let metadata = HashMap::from([("dale".to_owned(), json)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| broken(e.to_string()))?;
    Ok(write_atomically(path, &bytes)?)
}

/// Reads a checkpoint and gives its tensors the network's own layout.
///
/// # Errors
/// [`ModelError::Checkpoint`] if the file is cut, damaged, of another format, or lacks a parameter.
pub fn load(path: &Path, layout_of: impl Fn(&UNetConfig) -> Result<Layout>, device: Device) -> Result<Checkpoint> {
    let bytes = read(path)?;
    let header = parse_header(path, &bytes)?;
    let layout = layout_of(&header.network)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(path, &e))?;
    let section = |name: &str| section(path, &file, &layout, name, device);
    let ema = section("ema")?;
    let training = if file.names().iter().any(|name| name.starts_with("weights/")) {
        let (weights, mean, square) = (section("weights")?, section("adam.mean")?, section("adam.square")?);
        Some(TrainingState { weights, mean, square })
    } else {
        None
    };
    Ok(Checkpoint { header, ema, training })
}

/// Reads a checkpoint's header only.
///
/// # Errors
/// As [`load`].
pub fn load_header(path: &Path) -> Result<Header> {
    parse_header(path, &read(path)?)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| ModelError::Io { path: PathBuf::from(path), source })
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> ModelError {
    let reason = format!("cut in half or damaged ({error}); train again or use another checkpoint");
    ModelError::Checkpoint { path: path.to_owned(), reason }
}

fn parse_header(path: &Path, bytes: &[u8]) -> Result<Header> {
    // Deserializing checks that the data section is as long as the header says, so a cut file is found here.
    SafeTensors::deserialize(bytes).map_err(|e| damaged(path, &e))?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(path, &e))?;
    let broken = |reason: String| ModelError::Checkpoint { path: path.to_owned(), reason };
    let json = metadata.metadata().as_ref().and_then(|m| m.get("dale"));
    let json = json.ok_or_else(|| broken("a safetensors file, but not one that dale wrote".to_owned()))?;
    let value: serde_json::Value = serde_json::from_str(json).map_err(|e| damaged(path, &e))?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(u64::from(FORMAT)) {
        return Err(broken(format!("format version {format:?}, this program reads version {FORMAT}")));
    }
    serde_json::from_value(value).map_err(|e| damaged(path, &e))
}

fn section(path: &Path, file: &SafeTensors<'_>, layout: &Layout, name: &str, device: Device) -> Result<Flat> {
    let mut values = Vec::with_capacity(layout.total() as usize);
    for entry in layout.entries() {
        let key = format!("{name}/{}", entry.name);
        let broken = |reason: String| ModelError::Checkpoint { path: path.to_owned(), reason };
        let view = file.tensor(&key).map_err(|_| broken(format!("has no tensor {key:?}: another architecture?")))?;
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        let bytes = view.data();
        match view.dtype() {
            Dtype::F32 if shape == entry.shape => {
                values.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
            }
            Dtype::F16 if shape == entry.shape => {
                values.extend(bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()));
            }
            dtype => {
                let found = format!("{dtype:?} {shape:?}");
                return Err(broken(format!("tensor {key:?} is {found}, expected F32 or F16 {:?}", entry.shape)));
            }
        }
    }
    Flat::from_tensor(layout, Tensor::from_slice(&values).f_to_device(device)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unet::UNet;

    fn network() -> UNetConfig {
        UNetConfig { size: 8, widths: vec![8, 16], embedding: 16, groups: 4, ..UNetConfig::default() }
    }

    fn layout_of(config: &UNetConfig) -> Result<Layout> {
        Ok(UNet::new(config.clone())?.layout().clone())
    }

    fn header() -> Header {
        Header {
            format: FORMAT,
            network: network(),
            head: Head::Preconditioned,
            moments: DataMoments { log_mean: 0.1, log_sd: 0.2 },
            data: "glyphs".to_owned(),
            stage: "abc".to_owned(),
            step: 17,
            precision: Precision::F32,
            seconds: 1.5,
            best_loss: None,
        }
    }

    fn written(folder: &Path) -> (PathBuf, Checkpoint) {
        let layout = layout_of(&network()).unwrap();
        let flat = |seed| Flat::initialized(&layout, seed, Device::Cpu).unwrap();
        let training = TrainingState { weights: flat(2), mean: flat(3), square: flat(4) };
        let checkpoint = Checkpoint { header: header(), ema: flat(1), training: Some(training) };
        let path = folder.join("a.safetensors");
        save(&path, &checkpoint.header, &layout, checkpoint.parts()).unwrap();
        (path, checkpoint)
    }

    #[test]
    fn comes_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (path, before) = written(folder.path());
        let after = load(&path, layout_of, Device::Cpu).unwrap();
        assert_eq!(after.header, before.header);
        assert!(after.ema.tensor().equal(before.ema.tensor()));
        let (a, b) = (after.training.unwrap(), before.training.unwrap());
        assert!(a.weights.tensor().equal(b.weights.tensor()));
        assert!(a.mean.tensor().equal(b.mean.tensor()) && a.square.tensor().equal(b.square.tensor()));
    }

    #[test]
    fn shipped_weights_are_rounded_to_half_precision_and_half_the_size() {
        let folder = tempfile::tempdir().unwrap();
        let (full, before) = written(folder.path());
        let path = folder.path().join("half.safetensors");
        let layout = layout_of(&network()).unwrap();
        let parts = Parts { ema: &before.ema, training: None };
        save_as(&path, &before.header, &layout, parts, Encoding::Half).unwrap();
        assert!(fs::metadata(&path).unwrap().len() * 6 < fs::metadata(full).unwrap().len());
        let after = load(&path, layout_of, Device::Cpu).unwrap();
        let expected = before.ema.tensor().to_kind(Kind::Half).to_kind(Kind::Float);
        assert!(after.ema.tensor().equal(&expected) && after.training.is_none());
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = written(folder.path());
        let bytes = fs::read(&path).unwrap();
        for keep in [0, 5, 100, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..keep]).unwrap();
            let error = load(&path, layout_of, Device::Cpu).unwrap_err().to_string();
            assert!(error.contains("a.safetensors") && error.contains("cut in half"), "{keep}: {error}");
        }
    }

    #[test]
    fn another_architecture_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = written(folder.path());
        let other = |_: &UNetConfig| layout_of(&UNetConfig { widths: vec![8, 24], ..network() });
        let error = load(&path, other, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("ema/down.1.0.conv1.weight") || error.contains("expected F32 or F16"), "{error}");
    }
}
