//! One optimizer step: denoise, loss, gradient, clipping, Adam, the compute copy, the average.

use anyhow::Result;
use models::denoise::Model;
use models::optim::{Adam, Ema, clip_by_norm};
use models::params::{Flat, Gradient, Weights};
use score_match::torch::{squared_error, weighted_loss};
use tch::{Kind, Tensor};

use crate::config::{Keep, Reduction, TrainingConfig};

/// Everything that a step changes.
#[derive(Debug)]
pub struct Optimizer {
    /// Master weights.
    pub flat: Flat,
    /// Adam's moments.
    pub adam: Adam,
    /// The weights that are kept: their average, or those of the smallest batch loss.
    pub ema: Ema,
    /// Smallest loss on a single batch, where the run keeps those weights.
    pub best_loss: f64,
    weights: Weights,
}

/// A noised batch.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Noised log pixels.
    pub y_bar: &'a Tensor,
    /// Clean ones.
    pub y0: &'a Tensor,
    /// The log variance that the network is told, for each image.
    pub levels: &'a [f64],
}

impl Optimizer {
    /// Joins the parts; the network computes in `kind`.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn new(flat: Flat, adam: Adam, ema: Ema, best_loss: f64, model: &Model, kind: Kind) -> Result<Self> {
        let weights = flat.weights(model.net.layout(), kind, Gradient::Wanted)?;
        Ok(Self { flat, adam, ema, best_loss, weights })
    }

    /// Takes a step; returns the loss and the norm of the gradient before clipping, as tensors: no waiting.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn step(
        &mut self,
        model: &Model,
        batch: &Batch<'_>,
        t: &TrainingConfig,
        rate: f64,
    ) -> Result<(Tensor, Tensor)> {
        let divisor = match t.reduction {
            Reduction::Mean => batch.y0.numel() as f64 / batch.levels.len() as f64,
            Reduction::Sum => 1.0,
        };
        let denoised = model.denoise(&self.weights, batch.y_bar, batch.levels, true)?;
        let errors = squared_error(&denoised, batch.y0)?;
        let loss = weighted_loss(&errors, batch.levels, &t.weight, model.moments.log_sd, divisor)?;
        let mut gradient = self.weights.gradient(&loss)?;
        let norm = clip_by_norm(&mut gradient, t.clip.unwrap_or(f64::INFINITY))?;
        if t.keep == Keep::SmallestBatchLoss {
            let value = loss.double_value(&[]);
            if value < self.best_loss {
                self.best_loss = value;
                self.ema.average = self.flat.duplicate()?;
            }
        }
        let done = self.adam.steps;
        self.adam.step(&mut self.flat, &gradient, rate)?;
        self.weights.assign(&self.flat)?;
        if t.keep == Keep::Ema {
            self.ema.update(&self.flat, done)?;
        }
        Ok((loss.detach(), norm))
    }
}
