//! Inception-v3 as the Fréchet inception distance defines it: 2,048 features after the last pooling, and 1,008 class scores.
//!
//! The graph is that of Heusel et al., *GANs trained by a two time-scale update rule converge to a local Nash equilibrium*, 2017,
//! `inception-2015-12-05`; it differs from Szegedy et al., *Rethinking the Inception architecture*, 2016, in three places: average
//! pooling does not count the padding, the last block pools by the maximum, and there are 1,008 classes. The weights are not ours
//! to ship: [`Inception::load`] takes the file that pytorch-fid and torch-fidelity use, see [`PUBLISHED`].
//!
//! Images are bytes; they are enlarged or reduced to 299 × 299 ([`Preparation`]) and one channel is repeated three times.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor, no_grad};

use self::blocks::{BlockA, BlockB, BlockC, BlockD, BlockE, Pool};
use self::layer::{ConvNorm, Source};
use crate::pth::{Array, read_weights, sha256_of};
use crate::{ModelError, Result};

mod blocks;
mod layer;
mod resize;

pub use self::resize::Preparation;

/// Number of features.
pub const FEATURES: i64 = 2048;

/// Number of classes of the last layer.
pub const CLASSES: i64 = 1008;

/// What the SHA-256 of the published file begins with.
pub const PUBLISHED_SHA256: &str = "6726825d";

/// Where the weights are published.
pub const PUBLISHED: &str =
    "pt_inception-2015-12-05-6726825d.pth, a release file of github.com/mseitzer/pytorch-fid (tag fid_weights)";

/// The network with its weights.
#[derive(Debug)]
pub struct Inception {
    stem: [ConvNorm; 5],
    a: [BlockA; 3],
    b: BlockB,
    c: [BlockC; 4],
    d: BlockD,
    e: [BlockE; 2],
    fc: Option<Tensor>,
    device: Device,
    sha256: String,
}

/// What the network says of a batch.
#[derive(Debug)]
pub struct Seen {
    /// `[N, 2048]`, on the CPU.
    pub features: Tensor,
    /// Probabilities of the classes from the scores without the bias, as the inception score takes them: `[N, 1008]`, on the CPU.
    /// None where the file has no last layer.
    pub classes: Option<Tensor>,
}

impl Inception {
    /// Reads a `.pth` file (nothing of it is executed) or a safetensors file.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] that says where the weights are published if there is no such file; one that names the tensor if
    /// it holds something else.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let broken = |reason: String| ModelError::Checkpoint { path: path.to_owned(), reason };
        if !path.is_file() {
            return Err(broken(format!("no such file; the weights are published as {PUBLISHED}")));
        }
        let sha256 = sha256_of(path)?;
        let arrays = read_weights(path)?;
        let mut found = Self::from_arrays(&arrays, device).map_err(|error| {
            broken(format!("not the weights of the FID's Inception-v3 ({error}); they are {PUBLISHED}"))
        })?;
        found.sha256 = sha256;
        Ok(found)
    }

    /// Takes weights by the names that torchvision gave them, such as `Mixed_5b.branch1x1.conv.weight`.
    ///
    /// # Errors
    /// If one is missing or has another shape.
    pub fn from_arrays(arrays: &BTreeMap<String, Array>, device: Device) -> Result<Self> {
        let source = Source::new(arrays, device);
        let s = &source;
        let fc =
            if arrays.contains_key("fc.weight") { Some(s.tensor("fc.weight", &[CLASSES, FEATURES])?) } else { None };
        Ok(Self {
            stem: [
                ConvNorm::new(s, "Conv2d_1a_3x3", (3, 32), (3, 3))?.stride(2).valid(),
                ConvNorm::new(s, "Conv2d_2a_3x3", (32, 32), (3, 3))?.valid(),
                ConvNorm::new(s, "Conv2d_2b_3x3", (32, 64), (3, 3))?,
                ConvNorm::new(s, "Conv2d_3b_1x1", (64, 80), (1, 1))?,
                ConvNorm::new(s, "Conv2d_4a_3x3", (80, 192), (3, 3))?.valid(),
            ],
            a: [
                BlockA::new(s, "Mixed_5b", 192, 32)?,
                BlockA::new(s, "Mixed_5c", 256, 64)?,
                BlockA::new(s, "Mixed_5d", 288, 64)?,
            ],
            b: BlockB::new(s, "Mixed_6a", 288)?,
            c: [
                BlockC::new(s, "Mixed_6b", 128)?,
                BlockC::new(s, "Mixed_6c", 160)?,
                BlockC::new(s, "Mixed_6d", 160)?,
                BlockC::new(s, "Mixed_6e", 192)?,
            ],
            d: BlockD::new(s, "Mixed_7a", 768)?,
            e: [BlockE::new(s, "Mixed_7b", 1280, Pool::Average)?, BlockE::new(s, "Mixed_7c", 2048, Pool::Maximum)?],
            fc,
            device,
            sha256: String::new(),
        })
    }

    /// SHA-256 of the file; empty if the weights came from elsewhere.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether these are the weights that published distances are of (if they come from the `.pth` file itself).
    #[must_use]
    pub fn is_published(&self) -> bool {
        self.sha256.starts_with(PUBLISHED_SHA256)
    }

    /// Features and classes of bytes `[N, C, H, W]` with one or three channels, in batches; `progress` hears the number of images done.
    ///
    /// # Errors
    /// [`ModelError::Shape`] for other shapes or no images.
    pub fn see(&self, images: &Tensor, preparation: Preparation, mut progress: impl FnMut(usize)) -> Result<Seen> {
        const BATCH: i64 = 50;
        let size = images.size();
        if size.len() != 4 || !matches!(size[1], 1 | 3) || size.contains(&0) {
            return Err(ModelError::Shape {
                what: "images for Inception-v3",
                expected: vec![-1, 3, -1, -1],
                found: size,
            });
        }
        let (mut features, mut classes) = (Vec::new(), Vec::new());
        let mut first = 0;
        while first < size[0] {
            let count = BATCH.min(size[0] - first);
            let part = images.f_narrow(0, first, count)?.f_to_device(self.device)?;
            no_grad(|| {
                let pooled = self.pooled(&preparation.apply(&part)?)?;
                if let Some(fc) = &self.fc {
                    let scores = pooled.f_matmul(&fc.f_transpose(0, 1)?)?;
                    classes.push(scores.f_softmax(-1, Kind::Float)?.f_to_device(Device::Cpu)?);
                }
                features.push(pooled.f_to_device(Device::Cpu)?);
                Result::Ok(())
            })?;
            first += count;
            progress(first as usize);
        }
        let classes = if classes.is_empty() { None } else { Some(Tensor::f_cat(&classes, 0)?) };
        Ok(Seen { features: Tensor::f_cat(&features, 0)?, classes })
    }

    /// `[B, 3, 299, 299]` in [−1, 1] to `[B, 2048]`.
    fn pooled(&self, x: &Tensor) -> Result<Tensor> {
        let [s1, s2, s3, s4, s5] = &self.stem;
        let x = s3.forward(&s2.forward(&s1.forward(x)?)?)?;
        let x = s5.forward(&s4.forward(&Pool::reduced(&x)?)?)?;
        let mut x = Pool::reduced(&x)?;
        for block in &self.a {
            x = block.forward(&x)?;
        }
        x = self.b.forward(&x)?;
        for block in &self.c {
            x = block.forward(&x)?;
        }
        x = self.d.forward(&x)?;
        for block in &self.e {
            x = block.forward(&x)?;
        }
        Ok(x.f_mean_dim([2, 3].as_slice(), false, Kind::Float)?)
    }
}
