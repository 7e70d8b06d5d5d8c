//! The small CNN whose features judge the images: three convolutions, 128 features, ten classes.
//!
//! Input is `u ∈ [0, 1]` of shape `[N, 1, 28, 28]`. The features are the 128 activations (after ReLU) before the last
//! layer. [`Shipped`] weights were made by [`train`] on the first training images only, so that the last ones and the test
//! images are unseen; their hashes are pinned.

use std::path::{Path, PathBuf};

use gbm_sde::noise::{Noise, Stream};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor, no_grad};

use crate::layers::{Conv, Linear, Start};
use crate::optim::{Adam, AdamConfig, Guard};
use crate::params::{Flat, Gradient, Layout, Weights};
use crate::pth::sha256_of_bytes;
use crate::{ModelError, Result};

/// Number of features.
pub const FEATURES: i64 = 128;

/// The classifiers that come with the program, one for each data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// Trained on the first 50,000 MNIST training images; right on 99.3% of the test images.
    Mnist,
    /// Trained on the first 50,000 Fashion-MNIST training images; right on 92.89% of the test images.
    FashionMnist,
    /// Trained on the first 5,011 Kuzushiji-MNIST training images, moved at random by up to two pixels; right on 93.56% of the
    /// test images.
    Kmnist,
}

impl Shipped {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mnist, Self::FashionMnist, Self::Kmnist];

    /// The classifier of a data set, by its name in the catalogue; that of MNIST for data sets without one of their own.
    #[must_use]
    pub fn of_data(name: &str) -> Self {
        match name {
            "fashion-mnist" => Self::FashionMnist,
            "kmnist" => Self::Kmnist,
            _ => Self::Mnist,
        }
    }

    /// Name of its features, as in a protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist-cnn",
            Self::FashionMnist => "fashion-mnist-cnn",
            Self::Kmnist => "kmnist-cnn",
        }
    }

    /// Name of the data set that it was trained on.
    #[must_use]
    pub fn data(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Kmnist => "kmnist",
        }
    }

    /// Number of training images, from the first on, that it has seen.
    #[must_use]
    pub fn trained_on(self) -> usize {
        match self {
            Self::Mnist | Self::FashionMnist => 50_000,
            Self::Kmnist => 5_011,
        }
    }

    /// Settings of [`train`] that made the weights.
    #[must_use]
    pub fn training(self) -> TrainingConfig {
        match self {
            Self::Mnist => TrainingConfig::default(),
            Self::FashionMnist => TrainingConfig { epochs: 12, ..TrainingConfig::default() },
            Self::Kmnist => TrainingConfig { epochs: 60, shift: 2, ..TrainingConfig::default() },
        }
    }

    /// SHA-256 of the weights' file.
    #[must_use]
    pub fn sha256(self) -> &'static str {
        match self {
            Self::Mnist => "35e6642e062798ca96a789a024d6815e185ebb44a3530a4528483145443e6db7",
            Self::FashionMnist => "b99e152169d7d9fb94463f6ef42dc00f2a60a12ded4bb1016d671cf148c3e77d",
            Self::Kmnist => "615a53c9270c617d2e0d58e3f460947ee6667c0a9b416bbfb5140594d6f1f392",
        }
    }

    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Mnist => include_bytes!("../weights/mnist-cnn.safetensors"),
            Self::FashionMnist => include_bytes!("../weights/fashion-mnist-cnn.safetensors"),
            Self::Kmnist => include_bytes!("../weights/kmnist-cnn.safetensors"),
        }
    }
}

/// Where the moves of images come from.
const SHIFTS: Stream = Stream(65);

/// The structure of the classifier.
#[derive(Debug)]
struct Network {
    layout: Layout,
    convs: [Conv; 3],
    hidden: Linear,
    out: Linear,
}

impl Network {
    fn new() -> Result<Self> {
        let mut layout = Layout::default();
        let l = &mut layout;
        let convs = [
            Conv::new(l, "conv1", (1, 16), 3, Start::Default)?,
            Conv::new(l, "conv2", (16, 32), 3, Start::Default)?,
            Conv::new(l, "conv3", (32, 64), 3, Start::Default)?,
        ];
        let hidden = Linear::new(l, "hidden", (64 * 7 * 7, FEATURES))?;
        let out = Linear::new(l, "out", (FEATURES, 10))?;
        Ok(Self { layout, convs, hidden, out })
    }

    fn features(&self, w: &Weights, u: &Tensor, dropout: f64) -> Result<Tensor> {
        let pool = |h: Tensor| h.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
        let h = self.convs[0].forward(w, u)?.f_relu()?;
        let h = pool(self.convs[1].forward(w, &h)?.f_relu()?)?;
        let h = pool(self.convs[2].forward(w, &h)?.f_relu()?)?.f_flatten(1, -1)?;
        let h = if dropout > 0.0 { h.f_dropout(dropout, true)? } else { h };
        Ok(self.hidden.forward(w, &h)?.f_relu()?)
    }
}

/// A trained classifier.
#[derive(Debug)]
pub struct Classifier {
    network: Network,
    weights: Weights,
    flat: Flat,
    sha256: String,
}

/// Settings of [`train`]; the defaults made the shipped weights.
#[derive(Clone, Copy, Debug)]
pub struct TrainingConfig {
    /// Seed of weights, order and dropout.
    pub seed: u64,
    /// Passes over the images.
    pub epochs: u64,
    /// Images for each step.
    pub batch: usize,
    /// Largest learning rate; it rises over the first tenth and falls to zero along a cosine.
    pub rate: f64,
    /// Probability of dropping a feature.
    pub dropout: f64,
    /// Each image is moved at random by up to as many pixels in both directions; what comes in is background.
    pub shift: u32,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self { seed: 0, epochs: 8, batch: 125, rate: 2e-3, dropout: 0.4, shift: 0 }
    }
}

impl Classifier {
    /// A shipped classifier.
    ///
    /// # Errors
    /// If the embedded weights are not those whose hash is pinned.
    pub fn shipped(which: Shipped, device: Device) -> Result<Self> {
        let path = PathBuf::from(format!("{}.safetensors (embedded)", which.name()));
        let (found, expected) = (sha256_of_bytes(which.bytes()), which.sha256());
        if found != expected {
            return Err(ModelError::Checkpoint { path, reason: format!("SHA-256 {found}, expected {expected}") });
        }
        Self::from_bytes(&path, which.bytes(), device)
    }

    /// Reads weights; `path` is for messages.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] if they do not fit.
    pub fn from_bytes(path: &Path, bytes: &[u8], device: Device) -> Result<Self> {
        let network = Network::new()?;
        let broken = |reason: String| ModelError::Checkpoint { path: path.to_owned(), reason };
        let file = SafeTensors::deserialize(bytes).map_err(|e| broken(e.to_string()))?;
        let mut values = Vec::with_capacity(network.layout.total() as usize);
        for entry in network.layout.entries() {
            let view = file.tensor(&entry.name).map_err(|e| broken(format!("{}: {e}", entry.name)))?;
            if view.dtype() != Dtype::F32 || view.shape().iter().product::<usize>() as i64 != entry.len() {
                return Err(broken(format!("{} has shape {:?}, expected {:?}", entry.name, view.shape(), entry.shape)));
            }
            values.extend(view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        let flat = Flat::from_tensor(&network.layout, Tensor::from_slice(&values).f_to_device(device)?)?;
        Self::new(network, flat, sha256_of_bytes(bytes))
    }

    fn new(network: Network, flat: Flat, sha256: String) -> Result<Self> {
        let weights = flat.weights(&network.layout, Kind::Float, Gradient::Unwanted)?;
        Ok(Self { network, weights, flat, sha256 })
    }

    /// The weights as a safetensors file.
    ///
    /// # Errors
    /// If libtorch or the format refuses.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let values = Vec::<f32>::try_from(&self.flat.tensor().f_to_device(Device::Cpu)?)?;
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let broken = |e: safetensors::SafeTensorError| ModelError::Checkpoint {
            path: "classifier".into(),
            reason: e.to_string(),
        };
        let mut views = Vec::new();
        for entry in self.network.layout.entries() {
            let shape = entry.shape.iter().map(|&n| n as usize).collect();
            let range = 4 * entry.offset as usize..4 * (entry.offset + entry.len()) as usize;
            views.push((&entry.name, TensorView::new(Dtype::F32, shape, &bytes[range]).map_err(broken)?));
        }
        safetensors::serialize(views, None).map_err(broken)
    }

    /// SHA-256 of the weights' file.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Features of bytes `[N, 1, 28, 28]`, as `[N, 128]` on the CPU, in batches of a fixed size; `progress` hears the
    /// number of images done.
    ///
    /// # Errors
    /// [`ModelError::Shape`] if the images are not 28 × 28.
    pub fn features(&self, images: &Tensor, mut progress: impl FnMut(usize)) -> Result<Tensor> {
        self.batches(images, |u| self.network.features(&self.weights, u, 0.0), &mut progress)
    }

    /// Probabilities of the ten classes, `[N, 10]`, from features `[N, 128]`; both on the CPU.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if the features have another shape.
    pub fn probabilities(&self, features: &Tensor) -> Result<Tensor> {
        let features = features.f_to_device(self.weights.device())?;
        let scores = no_grad(|| self.network.out.forward(&self.weights, &features))?;
        Ok(scores.f_softmax(-1, Kind::Float)?.f_to_device(Device::Cpu)?)
    }

    /// The likeliest class of each image, `[N]`.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn classify(&self, images: &Tensor) -> Result<Tensor> {
        let of = |u: &Tensor| {
            let features = self.network.features(&self.weights, u, 0.0)?;
            Ok(self.network.out.forward(&self.weights, &features)?.f_argmax(1, false)?)
        };
        self.batches(images, of, &mut |_| ())
    }

    fn batches(
        &self,
        images: &Tensor,
        of: impl Fn(&Tensor) -> Result<Tensor>,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Tensor> {
        const BATCH: i64 = 250;
        let size = images.size();
        if size.len() != 4 || size[1..] != [1, 28, 28] || size[0] == 0 {
            let expected = vec![-1, 1, 28, 28];
            return Err(ModelError::Shape { what: "images to classify", expected, found: size });
        }
        let mut parts = Vec::new();
        let mut first = 0;
        while first < size[0] {
            let count = BATCH.min(size[0] - first);
            let part = images.f_narrow(0, first, count)?.f_to_device(self.weights.device())?;
            let u = part.f_to_kind(Kind::Float)?.f_div_scalar(255.0)?;
            parts.push(no_grad(|| of(&u))?.f_to_device(Device::Cpu)?);
            first += count;
            progress(first as usize);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}

/// Trains a classifier on bytes `[N, 1, 28, 28]` with labels `[N]`; `progress` hears (step, steps, loss).
///
/// The same data and settings give the same weights on one machine.
///
/// # Errors
/// If libtorch refuses, e.g. because the shapes do not fit.
pub fn train(
    images: &Tensor,
    labels: &Tensor,
    config: &TrainingConfig,
    mut progress: impl FnMut(u64, u64, f64),
) -> Result<Classifier> {
    let network = Network::new()?;
    let device = images.device();
    let mut flat = Flat::initialized(&network.layout, config.seed, device)?;
    let mut adam = Adam::new(AdamConfig { beta2: 0.999, ..AdamConfig::default() }, &flat)?;
    let mut weights = flat.weights(&network.layout, Kind::Float, Gradient::Wanted)?;
    let guard = Guard::new(&flat)?;
    let n = images.size().first().copied().unwrap_or(0).max(0) as usize;
    let per_epoch = (n / config.batch.max(1)) as u64;
    let total = config.epochs * per_epoch;
    let noise = Noise::new(config.seed);
    let mut step = 0;
    for epoch in 0..config.epochs {
        let order: Vec<i64> = noise.permutation(Stream::ORDER, epoch, n).into_iter().map(i64::from).collect();
        for chunk in order.chunks_exact(config.batch.max(1)) {
            let index = Tensor::from_slice(chunk).f_to_device(device)?;
            let u = images.f_index_select(0, &index)?.f_to_kind(Kind::Float)?.f_div_scalar(255.0)?;
            let u = if config.shift > 0 { shifted(&u, &noise, step, i64::from(config.shift))? } else { u };
            let wanted = labels.f_index_select(0, &index)?.f_to_kind(Kind::Int64)?;
            // Dropout draws from the process's generator, so nothing else may while this runs.
            tch::manual_seed((config.seed ^ (step << 8)) as i64);
            let features = network.features(&weights, &u, config.dropout)?;
            let loss = network.out.forward(&weights, &features.f_dropout(config.dropout, true)?)?;
            let loss = loss.f_cross_entropy_loss(&wanted, None::<&Tensor>, tch::Reduction::Mean, -100, 0.0)?;
            let gradient = weights.gradient(&loss)?;
            let progressed = step as f64 / total as f64;
            let rise = (progressed / 0.1).min(1.0);
            let rate = config.rate * rise * 0.5 * (1.0 + (std::f64::consts::PI * progressed).cos());
            adam.step(&mut flat, &gradient, &guard, rate)?;
            weights.assign(&flat)?;
            step += 1;
            if step % 20 == 0 || step == total {
                progress(step, total, loss.double_value(&[]));
            }
        }
    }
    let mut classifier = Classifier::new(network, flat, String::new())?;
    classifier.sha256 = sha256_of_bytes(&classifier.to_bytes()?);
    Ok(classifier)
}

/// Each of `[B, 1, H, W]` moved by its own whole number of pixels, at most `most` up, down, left and right.
fn shifted(u: &Tensor, noise: &Noise, step: u64, most: i64) -> Result<Tensor> {
    let (count, _, h, w) = u.size4()?;
    let span = 2 * most + 1;
    let mut uniforms = vec![0.0; count as usize];
    noise.fill_uniform_f64(SHIFTS, step, 0, &mut uniforms);
    let padded = u.f_constant_pad_nd([most; 4])?;
    let parts = (0..count).zip(uniforms).map(|(i, uniform)| {
        let place = (uniform * (span * span) as f64) as i64;
        Ok(padded.f_narrow(0, i, 1)?.f_narrow(2, place / span, h)?.f_narrow(3, place % span, w)?)
    });
    Ok(Tensor::f_cat(&parts.collect::<Result<Vec<_>>>()?, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_weights_are_those_that_are_pinned() {
        for which in Shipped::ALL {
            let classifier = Classifier::shipped(which, Device::Cpu).unwrap();
            assert_eq!(classifier.sha256(), which.sha256());
            assert_eq!(classifier.to_bytes().unwrap(), which.bytes());
            assert_eq!(Shipped::of_data(which.data()), which);
        }
    }

    #[test]
    fn other_image_sizes_are_refused() {
        let classifier = Classifier::shipped(Shipped::Mnist, Device::Cpu).unwrap();
        let images = Tensor::zeros([2, 1, 32, 32], (Kind::Uint8, Device::Cpu));
        assert!(matches!(classifier.features(&images, |_| ()), Err(ModelError::Shape { .. })));
    }

    #[test]
    fn shifts_move_each_image_within_bounds_and_lose_nothing_that_stays_inside() {
        let images = Tensor::zeros([64, 1, 9, 9], (Kind::Float, Device::Cpu));
        let _ = images.narrow(2, 4, 1).narrow(3, 4, 1).fill_(1.0);
        let moved = shifted(&images, &Noise::new(3), 7, 2).unwrap();
        assert_eq!(moved.size(), images.size());
        let places: Vec<i64> = (0..64).map(|i| moved.get(i).argmax(None::<i64>, false).int64_value(&[])).collect();
        assert!(places.iter().all(|p| (2..=6).contains(&(p / 9)) && (2..=6).contains(&(p % 9))), "{places:?}");
        assert_eq!(moved.sum(Kind::Float).double_value(&[]), 64.0);
        assert!(places.iter().collect::<std::collections::BTreeSet<_>>().len() > 15, "{places:?}");
    }

    #[test]
    fn learns_to_tell_two_patterns_apart() {
        // Bright upper half against bright lower half.
        let images = Tensor::zeros([200, 1, 28, 28], (Kind::Uint8, Device::Cpu));
        let _ = images.narrow(0, 0, 100).narrow(2, 0, 14).fill_(255);
        let _ = images.narrow(0, 100, 100).narrow(2, 14, 14).fill_(255);
        let labels = Tensor::cat(
            &[Tensor::zeros([100], (Kind::Int64, Device::Cpu)), Tensor::ones([100], (Kind::Int64, Device::Cpu))],
            0,
        );
        let config = TrainingConfig { epochs: 4, batch: 20, ..TrainingConfig::default() };
        let one = train(&images, &labels, &config, |_, _, _| ()).unwrap();
        let right = one.classify(&images).unwrap().eq_tensor(&labels).sum(Kind::Int64).int64_value(&[]);
        assert!(right >= 195, "{right} of 200");
        let two = train(&images, &labels, &config, |_, _, _| ()).unwrap();
        assert_eq!(one.sha256(), two.sha256(), "training is deterministic");
    }
}
