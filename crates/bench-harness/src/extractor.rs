//! From images to the features that a distance is computed on, with the protocol that says which: `image → row`.
//!
//! Networks live in `models`, numbers in `metrics`; this is where they meet.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use metrics::Fingerprint;
use models::classifier::{Classifier, Shipped};
use models::inception::{Inception, PUBLISHED, Preparation};
use ndarray::{Array2, ArrayView3, ArrayView4, Axis};
use tch::{Device, Tensor};

use crate::pixels::channels_first;
use crate::progress::Progress;

/// What images are compared by, as asked on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Features {
    /// The 128 features of the MNIST classifier; grey images of 28 × 28 pixels
    MnistCnn,
    /// Those of the Fashion-MNIST classifier
    FashionMnistCnn,
    /// Those of the Kuzushiji-MNIST classifier
    KmnistCnn,
    /// The 2,048 of Inception-v3 (needs --weights); images of any size with one or three channels
    Inception,
    /// The pixels, divided by 255; images of any size
    Pixels,
}

/// How Inception-v3 sees images, as asked on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Resize {
    /// As TensorFlow 1 and torch-fidelity
    Tensorflow,
    /// As pytorch-fid
    PytorchFid,
}

/// Which features, on the command line.
#[derive(Clone, Debug, Args)]
pub struct ExtractorArgs {
    /// What images are compared by
    #[arg(long, value_enum, default_value = "mnist-cnn")]
    pub features: Features,
    /// File with the weights of Inception-v3: .pth (nothing of it is executed) or safetensors
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// How images are brought to Inception-v3's size; tensorflow by default
    #[arg(long, value_enum)]
    pub resize: Option<Resize>,
}

impl ExtractorArgs {
    /// What was asked for.
    ///
    /// # Errors
    /// If the weights of Inception-v3 are not given, not there, or something else; says where they are published.
    pub fn open(&self, device: Device) -> Result<Extractor> {
        if self.features != Features::Inception && (self.weights.is_some() || self.resize.is_some()) {
            bail!("--weights and --resize are for --features inception; the other features need neither");
        }
        Extractor::open(self.features, self.weights.as_deref(), self.resize.unwrap_or(Resize::Tensorflow), device)
    }
}

/// Turns images into features.
#[derive(Debug)]
pub enum Extractor {
    /// A shipped classifier.
    Cnn(Shipped, Box<Classifier>),
    /// Inception-v3 with weights from a file.
    Inception(Box<Inception>, Preparation),
    /// The pixels themselves.
    Pixels,
}

/// Height, width and channels of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Height in pixels.
    pub h: usize,
    /// Width in pixels.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

/// What an extractor says of N images.
#[derive(Clone, Debug)]
pub struct Seen {
    /// N × d.
    pub features: Array2<f32>,
    /// Probabilities of the classes, N × C; none without a classifier.
    pub classes: Option<Array2<f32>>,
}

impl Extractor {
    /// A shipped classifier.
    ///
    /// # Errors
    /// If its weights are not those that are pinned.
    pub fn shipped(which: Shipped, device: Device) -> Result<Self> {
        Ok(Self::Cnn(which, Box::new(Classifier::shipped(which, device)?)))
    }

    /// What was asked for; `weights` is the file of Inception-v3.
    ///
    /// # Errors
    /// If the file is not given, not there, or something else; says where it is published.
    pub fn open(features: Features, weights: Option<&Path>, resize: Resize, device: Device) -> Result<Self> {
        match features {
            Features::MnistCnn => Self::shipped(Shipped::Mnist, device),
            Features::FashionMnistCnn => Self::shipped(Shipped::FashionMnist, device),
            Features::KmnistCnn => Self::shipped(Shipped::Kmnist, device),
            Features::Pixels => Ok(Self::Pixels),
            Features::Inception => {
                let path = weights.with_context(|| {
                    format!("--features inception needs --weights FILE; the weights are published as {PUBLISHED}")
                })?;
                let network = Inception::load(path, device)?;
                if !network.is_published() {
                    tracing::warn!(
                        "{}: SHA-256 {:.8}, not the published file's; the distance cannot be set beside published ones",
                        path.display(),
                        network.sha256()
                    );
                }
                let preparation = match resize {
                    Resize::Tensorflow => Preparation::Tensorflow,
                    Resize::PytorchFid => Preparation::PytorchFid,
                };
                Ok(Self::Inception(Box::new(network), preparation))
            }
        }
    }

    /// SHA-256 of the weights; empty for pixels.
    #[must_use]
    pub fn sha256(&self) -> &str {
        match self {
            Self::Cnn(_, classifier) => classifier.sha256(),
            Self::Inception(network, _) => network.sha256(),
            Self::Pixels => "",
        }
    }

    /// The protocol of a number from `n_samples` images of this shape against `n_reference` of `split`.
    #[must_use]
    pub fn fingerprint(&self, shape: Shape, n_samples: usize, n_reference: usize, split: String) -> Fingerprint {
        let Shape { h, w, c } = shape;
        let (extractor, resize, channels) = match self {
            Self::Cnn(which, _) => (which.name(), "none".to_owned(), "grey".to_owned()),
            Self::Inception(_, preparation) => {
                ("inception-v3", preparation.name().to_owned(), if c == 1 { "repeat-3" } else { "rgb" }.to_owned())
            }
            Self::Pixels => ("pixels", format!("none ({h} × {w})"), format!("{c} as they are")),
        };
        Fingerprint {
            extractor: extractor.to_owned(),
            extractor_sha256: self.sha256().to_owned(),
            resize,
            channels,
            n_samples,
            n_reference,
            reference_split: split,
            dtype: "f32".to_owned(),
            library_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Features of grey images N × H × W; `label` is for the progress bar and for messages.
    ///
    /// # Errors
    /// As [`Self::see`].
    pub fn rows(&self, images: ArrayView3<'_, u8>, label: &str) -> Result<Array2<f32>> {
        Ok(self.see(images.insert_axis(Axis(3)), label)?.features)
    }

    /// Features and classes of images N × H × W × C.
    ///
    /// # Errors
    /// If the network cannot see such images; says what it can see.
    pub fn see(&self, images: ArrayView4<'_, u8>, label: &str) -> Result<Seen> {
        let (n, h, w, c) = images.dim();
        match self {
            Self::Pixels => {
                let values = images.iter().map(|&byte| f32::from(byte) / 255.0).collect();
                Ok(Seen { features: Array2::from_shape_vec((n, h * w * c), values)?, classes: None })
            }
            Self::Cnn(which, classifier) => {
                if (h, w, c) != (28, 28, 1) {
                    bail!(
                        "{label}: images of {h} × {w} pixels with {c} channels; {} sees grey ones of 28 × 28 (try --features pixels)",
                        which.name()
                    );
                }
                let mut progress = Progress::new(label, "images", n as u64);
                let seen =
                    classifier.features(&channels_first(images, Device::Cpu)?, |done| progress.set(done as u64))?;
                progress.finish();
                let classes = classifier.probabilities(&seen)?;
                Ok(Seen { features: to_rows(&seen)?, classes: Some(to_rows(&classes)?) })
            }
            Self::Inception(network, preparation) => {
                if !matches!(c, 1 | 3) {
                    bail!("{label}: images with {c} channels; Inception-v3 sees one (repeated) or three");
                }
                let mut progress = Progress::new(label, "images", n as u64);
                let seen = network
                    .see(&channels_first(images, Device::Cpu)?, *preparation, |done| progress.set(done as u64))?;
                progress.finish();
                let classes = seen.classes.as_ref().map(to_rows).transpose()?;
                Ok(Seen { features: to_rows(&seen.features)?, classes })
            }
        }
    }
}

/// Name of a side in progress bars and messages: the last part of its path.
#[must_use]
pub fn label(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| PathBuf::from(path).display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn to_rows(tensor: &Tensor) -> Result<Array2<f32>> {
    let (n, d) = tensor.size2()?;
    let values = Vec::<f32>::try_from(&tensor.f_reshape([-1])?)?;
    Array2::from_shape_vec((n as usize, d as usize), values).context("shape of the features")
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    #[test]
    fn pixels_are_rows_and_networks_say_what_they_can_see() {
        let images = Array4::from_shape_fn((2, 3, 4, 2), |(i, y, x, c)| (100 * i + 10 * y + 2 * x + c) as u8);
        let seen = Extractor::Pixels.see(images.view(), "a").unwrap();
        assert_eq!(seen.features.dim(), (2, 24));
        assert!((seen.features[[1, 23]] - 127.0 / 255.0).abs() < 1e-7 && seen.classes.is_none());
        let cnn = Extractor::shipped(Shipped::FashionMnist, Device::Cpu).unwrap();
        let message = cnn.see(images.view(), "holiday").unwrap_err().to_string();
        assert!(message.contains("holiday") && message.contains("3 × 4") && message.contains("fashion-mnist-cnn"));
        let seen = cnn.see(Array4::zeros((3, 28, 28, 1)).view(), "b").unwrap();
        let classes = seen.classes.unwrap();
        assert_eq!((seen.features.dim(), classes.dim()), ((3, 128), (3, 10)));
        assert!((classes.row(2).sum() - 1.0).abs() < 1e-6);
        let print = |c| Extractor::Pixels.fingerprint(Shape { h: 3, w: 4, c }, 1, 2, "x".to_owned());
        assert_eq!(print(1).comparable(&print(3)).unwrap_err().field, "channels");
    }

    #[test]
    fn inception_without_its_weights_says_where_they_are() {
        let open = |path: Option<&Path>| {
            format!("{:#}", Extractor::open(Features::Inception, path, Resize::Tensorflow, Device::Cpu).unwrap_err())
        };
        assert!(open(None).contains("--weights") && open(None).contains("6726825d"));
        let missing = open(Some(Path::new("nowhere.pth")));
        assert!(missing.contains("nowhere.pth") && missing.contains("no such file") && missing.contains("6726825d"));
    }
}
