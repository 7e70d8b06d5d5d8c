//! Checkpoints: safetensors with a JSON header under the metadata key `dale`, written atomically.
//!
//! Tensors are named `ema/<parameter>`, and in a checkpoint of a training run also `weights/…`, `adam.mean/…`, `adam.square/…`
//! and `average.0/…` and so on, all f32 (f16 in weights that ship) in PyTorch's layout, section by section as they lie in memory. A file is written to a temporary name, synced and renamed: a crash or a
//! full disk leaves the one before untouched.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};
use score_match::precondition::DataMoments;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::average::AverageKind;
use crate::denoise::Head;
use crate::native::bytes::bytes;
use crate::params::{Flat, Layout};
use crate::precision::Precision;
use crate::unet::{UNetConfig, layout_of};
use crate::write::write_atomically_by;
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
    /// Loss of the averaged weights on the run's fixed probe, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_loss: Option<f64>,
    /// Kinds of the further averages, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub averages: Vec<AverageKind>,
}

impl Header {
    /// Of weights of which nothing else is known.
    #[must_use]
    pub fn new(network: UNetConfig, head: Head, moments: DataMoments) -> Self {
        Self {
            format: FORMAT,
            network,
            head,
            moments,
            data: String::new(),
            stage: String::new(),
            step: 0,
            precision: Precision::F32,
            seconds: 0.0,
            best_loss: None,
            probe_loss: None,
            averages: Vec::new(),
        }
    }
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
    /// Further averages of the weights, of the kinds that the header names.
    pub averages: Vec<Flat>,
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
    /// What a continued training needs.
    pub training: Option<TrainingParts<'a>>,
}

/// Borrowed parts of a [`TrainingState`].
#[derive(Clone, Copy, Debug)]
pub struct TrainingParts<'a> {
    /// Master weights.
    pub weights: &'a Flat,
    /// Adam's mean of the gradient.
    pub mean: &'a Flat,
    /// Adam's mean of the squared gradient.
    pub square: &'a Flat,
    /// Further averages.
    pub averages: &'a [&'a Flat],
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
    let mut sections = vec![("ema".to_owned(), parts.ema)];
    if let Some(t) = parts.training {
        sections.extend([("weights", t.weights), ("adam.mean", t.mean), ("adam.square", t.square)].map(owned));
        sections.extend(t.averages.iter().enumerate().map(|(i, flat)| (format!("average.{i}"), *flat)));
    }
    let broken = |reason: String| ModelError::Checkpoint { path: path.to_owned(), reason };
    let (dtype, kind) = match encoding {
        Encoding::Single => (Dtype::F32, Kind::Float),
        Encoding::Half => (Dtype::F16, Kind::Half),
    };
    let width = kind.elt_size_in_bytes();
    let mut tensors = Vec::new();
    for (i, (section, _)) in sections.iter().enumerate() {
        let base = i * layout.total() as usize;
        for entry in layout.entries() {
            let first = base + entry.offset as usize;
            let info = TensorInfo {
                dtype,
                shape: entry.shape.iter().map(|&n| n as usize).collect(),
                data_offsets: (width * first, width * (first + entry.len() as usize)),
            };
            tensors.push((format!("{section}/{}", entry.name), info));
        }
    }
    let json = serde_json::to_string(header).map_err(|e| broken(e.to_string()))?;
    let metadata = Metadata::new(Some(HashMap::from([("dale".to_owned(), json)])), tensors);
    let metadata = metadata.map_err(|e| broken(e.to_string()))?;
    let mut head = serde_json::to_vec(&metadata).map_err(|e| broken(e.to_string()))?;
    // The format's data starts at a multiple of eight bytes.
    head.resize(head.len().next_multiple_of(8), b' ');
    let mut failed = None;
    let written = write_atomically_by(path, |file| {
        file.write_all(&(head.len() as u64).to_le_bytes())?;
        file.write_all(&head)?;
        for (_, flat) in &sections {
            write_tensor(file, flat.tensor(), kind, &mut failed)?;
        }
        Ok(())
    });
    match failed {
        Some(error) => Err(ModelError::Torch(error)),
        None => Ok(written?),
    }
}

fn owned<'a>((name, flat): (&str, &'a Flat)) -> (String, &'a Flat) {
    (name.to_owned(), flat)
}

/// Values copied at once: enough for the disk, little beside the weights.
const PIECE: i64 = 1 << 20;

/// Writes a flat tensor's numbers, little-endian: as they lie in memory where they can be, else piece by piece.
fn write_tensor(
    file: &mut fs::File,
    tensor: &Tensor,
    kind: Kind,
    failed: &mut Option<tch::TchError>,
) -> io::Result<()> {
    if let Some(bytes) = bytes(tensor).filter(|_| kind == Kind::Float && cfg!(target_endian = "little")) {
        return file.write_all(bytes);
    }
    let mut bytes = Vec::new();
    let mut copy = |first: i64, count: i64| -> std::result::Result<Vec<u8>, tch::TchError> {
        let piece = tensor.f_narrow(0, first, count)?.f_to_kind(kind)?.f_to_device(Device::Cpu)?;
        let mut bytes = std::mem::take(&mut bytes);
        bytes.resize(count as usize * kind.elt_size_in_bytes(), 0);
        piece.f_copy_data_u8(&mut bytes, count as usize)?;
        Ok(bytes)
    };
    let total = tensor.size().first().copied().unwrap_or(0);
    for first in (0..total).step_by(PIECE as usize) {
        match copy(first, PIECE.min(total - first)) {
            Ok(mut piece) => {
                if cfg!(target_endian = "big") {
                    piece.chunks_exact_mut(kind.elt_size_in_bytes()).for_each(<[u8]>::reverse);
                }
                file.write_all(&piece)?;
            }
            Err(error) => {
                *failed = Some(error);
                return Err(io::Error::other("the tensor could not be copied"));
            }
        }
    }
    Ok(())
}

/// Reads a checkpoint and gives its tensors the network's own layout.
///
/// # Errors
/// [`ModelError::Checkpoint`] if the file is cut, damaged, of another format, or lacks a parameter.
pub fn load(path: &Path, device: Device) -> Result<Checkpoint> {
    load_as(path, layout_of, device)
}

fn load_as(path: &Path, layout_of: impl Fn(&UNetConfig) -> Result<Layout>, device: Device) -> Result<Checkpoint> {
    let bytes = read(path)?;
    let header = parse_header(path, &bytes)?;
    let layout = layout_of(&header.network)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(path, &e))?;
    let section = |name: &str| section(path, &file, &layout, name, device);
    let ema = section("ema")?;
    let training = if file.names().iter().any(|name| name.starts_with("weights/")) {
        let (weights, mean, square) = (section("weights")?, section("adam.mean")?, section("adam.square")?);
        let averages = (0..header.averages.len()).map(|i| section(&format!("average.{i}"))).collect::<Result<_>>()?;
        Some(TrainingState { weights, mean, square, averages })
    } else {
        None
    };
    Ok(Checkpoint { header, ema, training })
}

/// Reads a checkpoint's header only, and that the file is as long as it says.
///
/// # Errors
/// As [`load`].
pub fn load_header(path: &Path) -> Result<Header> {
    let failed = |source| ModelError::Io { path: PathBuf::from(path), source };
    let cut = || damaged(path, &"its header or data ends early");
    let mut file = fs::File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut first = [0; 8];
    file.read_exact(&mut first).map_err(|_| cut())?;
    let head = u64::from_le_bytes(first);
    if head.saturating_add(8) > length || head > LONGEST_HEAD {
        return Err(cut());
    }
    let mut bytes = vec![0; head as usize];
    file.read_exact(&mut bytes).map_err(|_| cut())?;
    let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|e| damaged(path, &e))?;
    if 8 + head + metadata.data_len() as u64 != length {
        return Err(cut());
    }
    header_of(path, &metadata)
}

/// Bytes of a header that is still believed.
const LONGEST_HEAD: u64 = 100 << 20;

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
    header_of(path, &metadata)
}

fn header_of(path: &Path, metadata: &Metadata) -> Result<Header> {
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

    fn network() -> UNetConfig {
        UNetConfig { size: 8, widths: vec![8, 16], embedding: 16, groups: 4, ..UNetConfig::default() }
    }

    fn header() -> Header {
        Header {
            data: "glyphs".to_owned(),
            stage: "abc".to_owned(),
            step: 17,
            seconds: 1.5,
            probe_loss: Some(0.5),
            averages: vec![AverageKind::Power { width: 0.1 }],
            ..Header::new(network(), Head::Preconditioned, DataMoments { log_mean: 0.1, log_sd: 0.2 })
        }
    }

    fn written(folder: &Path) -> (PathBuf, Checkpoint) {
        let layout = layout_of(&network()).unwrap();
        let flat = |seed| Flat::initialized(&layout, seed, Device::Cpu).unwrap();
        let training = TrainingState { weights: flat(2), mean: flat(3), square: flat(4), averages: vec![flat(5)] };
        let path = folder.join("a.safetensors");
        let averages: Vec<&Flat> = training.averages.iter().collect();
        let TrainingState { weights, mean, square, .. } = &training;
        let parts = TrainingParts { weights, mean, square, averages: &averages };
        let ema = flat(1);
        save(&path, &header(), &layout, Parts { ema: &ema, training: Some(parts) }).unwrap();
        let checkpoint = Checkpoint { header: header(), ema, training: Some(training) };
        (path, checkpoint)
    }

    #[test]
    fn comes_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (path, before) = written(folder.path());
        let after = load(&path, Device::Cpu).unwrap();
        assert_eq!(after.header, before.header);
        assert!(after.ema.tensor().equal(before.ema.tensor()));
        let (a, b) = (after.training.unwrap(), before.training.unwrap());
        assert!(a.weights.tensor().equal(b.weights.tensor()));
        assert!(a.mean.tensor().equal(b.mean.tensor()) && a.square.tensor().equal(b.square.tensor()));
        assert!(a.averages.len() == 1 && a.averages[0].tensor().equal(b.averages[0].tensor()));
        assert_eq!(load_header(&path).unwrap(), before.header);
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
        let after = load(&path, Device::Cpu).unwrap();
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
            let error = load(&path, Device::Cpu).unwrap_err().to_string();
            assert!(error.contains("a.safetensors") && error.contains("cut in half"), "{keep}: {error}");
            assert!(load_header(&path).unwrap_err().to_string().contains("cut in half"));
        }
    }

    #[test]
    fn another_architecture_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = written(folder.path());
        let other = |_: &UNetConfig| layout_of(&UNetConfig { widths: vec![8, 24], ..network() });
        let error = load_as(&path, other, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("ema/down.1.0.conv1.weight") || error.contains("expected F32 or F16"), "{error}");
    }
}
