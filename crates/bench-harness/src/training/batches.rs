//! The noised batch of any step: order of the data, noise levels, classes and noise are functions of (seed, step).
//!
//! The images lie on the device as bytes; a batch is a gather, the logarithm of the positive pixels, and `ȳ = y₀ + √v ε`.

use anyhow::{Result, bail};
use gbm_sde::noise::{Noise, Stream};
use tch::{Device, Kind, Tensor};

use crate::config::Experiment;
use crate::data::Dataset;
use crate::pixels;

/// Draws that decide which images lose their class.
const DROPPED: Stream = Stream(68);

/// A noised batch.
#[derive(Debug)]
pub struct Batch {
    /// Clean log pixels `[B, C, H, W]`.
    pub y0: Tensor,
    /// Noised ones.
    pub y_bar: Tensor,
    /// Log variance of the noise of each image.
    pub levels: Vec<f64>,
    /// What the network is told of it.
    pub told: Vec<f64>,
    /// Class of each image, if the network has any; the number of classes stands for "any".
    pub classes: Option<Tensor>,
    /// Which images they are, by their place in the training set.
    pub indices: Vec<i64>,
}

impl Batch {
    /// `ȳ = y₀ + √v ε` for standard normals `eps` of the shape of `y0`, at a log variance for each image; of any class.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn noised(y0: Tensor, eps: &Tensor, levels: Vec<f64>, level_offset: f64) -> Result<Self> {
        let r: Vec<f32> = levels.iter().map(|v| v.sqrt() as f32).collect();
        let r = Tensor::f_from_slice(&r)?.f_to_device(y0.device())?.f_view([-1, 1, 1, 1])?;
        let y_bar = y0.f_addcmul(eps, &r)?;
        let told = levels.iter().map(|v| v + level_offset).collect();
        Ok(Self { y0, y_bar, levels, told, classes: None, indices: Vec::new() })
    }
}

/// Makes the batches of an experiment.
#[derive(Debug)]
pub struct Batches<'a> {
    experiment: &'a Experiment,
    labels: &'a [u8],
    images: Tensor,
    order: Order,
    noise: Noise,
    device: Device,
}

impl<'a> Batches<'a> {
    /// Puts the training images on the device.
    ///
    /// # Errors
    /// If an image's class is not one of the network's, or libtorch refuses.
    pub fn new(experiment: &'a Experiment, data: &'a Dataset, device: Device) -> Result<Self> {
        let classes = experiment.network.classes;
        if let Some(label) = data.train.labels.iter().find(|label| classes > 0 && i64::from(**label) >= classes) {
            bail!("network.classes = {classes}, but {} has images of class {label}, counted from 0", data.title());
        }
        let images = pixels::to_tensor(data.train.images.view(), device)?;
        let order = Order::new(experiment.seed, data.train.len(), experiment.training.batch);
        let noise = Noise::new(experiment.seed);
        Ok(Self { experiment, labels: &data.train.labels, images, order, noise, device })
    }

    /// The batch of a step. Also seeds libtorch's generator for it, which dropout draws from, and on a GPU the noise, too.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn at(&mut self, step: u64) -> Result<Batch> {
        let t = &self.experiment.training;
        let mut levels = vec![0.0; t.batch];
        t.time.stratified(self.noise.uniform(Stream::TIME, step, 0, 0), &mut levels);
        let indices = self.order.indices(step);
        let classes = self.classes(step, &indices)?;
        let index = Tensor::f_from_slice(&indices)?.f_to_device(self.device)?;
        let y0 = self.experiment.pixels.log_tensor(&self.images.f_index_select(0, &index)?)?;
        seed(self.experiment.seed, step);
        let n = &self.experiment.network;
        let shape = [t.batch as i64, n.channels, n.size, n.size];
        let eps = if self.device == Device::Cpu {
            pixels::normals(&self.noise, Stream::PERTURB, step * shape[0] as u64, shape, self.device)?
        } else {
            Tensor::f_randn(shape, (Kind::Float, self.device))?
        };
        Ok(Batch { classes, indices, ..Batch::noised(y0, &eps, levels, t.level_offset)? })
    }

    /// The images' labels, some of them dropped, so that the network learns "any", too.
    fn classes(&self, step: u64, indices: &[i64]) -> Result<Option<Tensor>> {
        let classes = self.experiment.network.classes;
        if classes == 0 {
            return Ok(None);
        }
        let first = step * indices.len() as u64;
        let wanted = indices.iter().zip(first..).map(|(&index, draw)| {
            let dropped = self.noise.uniform(DROPPED, draw, 0, 0) < self.experiment.training.class_dropout;
            let label = self.labels.get(index as usize).map_or(classes, |label| i64::from(*label));
            if dropped { classes } else { label }
        });
        Ok(Some(Tensor::f_from_slice(&wanted.collect::<Vec<i64>>())?.f_to_device(self.device)?))
    }
}

/// Seeds libtorch's generator for a step.
pub fn seed(seed: u64, step: u64) {
    tch::manual_seed((seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15)) as i64);
}

/// Which images a step sees: each epoch is a permutation of all, and batches run over epochs without a seam.
#[derive(Debug)]
struct Order {
    noise: Noise,
    images: usize,
    batch: usize,
    epoch: Option<(u64, Vec<u32>)>,
}

impl Order {
    fn new(seed: u64, images: usize, batch: usize) -> Self {
        Self { noise: Noise::new(seed), images, batch, epoch: None }
    }

    fn indices(&mut self, step: u64) -> Vec<i64> {
        let first = step * self.batch as u64;
        (first..first + self.batch as u64)
            .map(|position| {
                let (epoch, within) = (position / self.images as u64, position % self.images as u64);
                if self.epoch.as_ref().is_none_or(|(known, _)| *known != epoch) {
                    self.epoch = Some((epoch, self.noise.permutation(Stream::ORDER, epoch, self.images)));
                }
                self.epoch.as_ref().map_or(0, |(_, order)| i64::from(order[within as usize]))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_image_once_and_any_step_can_be_asked_for() {
        let mut order = Order::new(3, 10, 4);
        let seen: Vec<i64> = (0..5).flat_map(|step| order.indices(step)).collect();
        for epoch in seen.chunks(10) {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<i64>>());
        }
        assert_eq!(Order::new(3, 10, 4).indices(3), seen[12..16]);
    }
}
