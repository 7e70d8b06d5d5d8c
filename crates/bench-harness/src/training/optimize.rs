//! One optimizer step: denoise, loss, gradient, clipping, Adam, the compute copy, the averages.

use anyhow::Result;
use models::average::{Average, AverageKind};
use models::denoise::{Condition, Model};
use models::optim::{Adam, Guard, clip_by_norm};
use models::params::{Flat, Gradient, Weights};
use score_match::torch::{squared_error, weighted_loss};
use tch::{Kind, Tensor, no_grad};

use super::batches::Batch;
use crate::config::{Keep, Reduction, TrainingConfig};

/// Everything that a step changes.
#[derive(Debug)]
pub struct Optimizer {
    /// Master weights.
    pub flat: Flat,
    /// Adam's moments.
    pub adam: Adam,
    /// The weights that are kept: their average, or those of the smallest batch loss.
    pub ema: Average,
    /// Further averages.
    pub averages: Vec<Average>,
    best_loss: Tensor,
    guard: Guard,
    weights: Weights,
}

/// What a step found, as tensors: nobody has waited for them.
#[derive(Debug)]
pub struct Outcome {
    /// The loss.
    pub loss: Tensor,
    /// Norm of the gradient before clipping.
    pub norm: Tensor,
    /// Squared error of each image, summed over its pixels.
    pub errors: Tensor,
}

impl Optimizer {
    /// Fresh moments and averages for these weights; the network computes in `kind`.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn begin(flat: Flat, model: &Model, t: &TrainingConfig, kind: Kind) -> Result<Self> {
        let adam = Adam::new(t.adam, &flat)?;
        let ema = Average::new(AverageKind::Exponential { decay: t.ema }, &flat)?;
        let averages = t.averages.iter().map(|kind| Average::new(*kind, &flat)).collect::<Result<_, _>>()?;
        Self::new(flat, adam, ema, averages, f64::INFINITY, model, kind)
    }

    /// Joins the parts.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn new(
        flat: Flat,
        adam: Adam,
        ema: Average,
        averages: Vec<Average>,
        best_loss: f64,
        model: &Model,
        kind: Kind,
    ) -> Result<Self> {
        let weights = flat.weights(model.net.layout(), kind, Gradient::Wanted)?;
        let guard = Guard::new(&flat)?;
        let best_loss = Tensor::f_full([] as [i64; 0], best_loss, (Kind::Float, flat.tensor().device()))?;
        Ok(Self { flat, adam, ema, averages, best_loss, guard, weights })
    }

    /// Smallest loss on a single batch, where the run keeps those weights; waits for it.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn best_loss(&self) -> Result<f64> {
        Ok(self.best_loss.f_double_value(&[])?)
    }

    /// Takes a step.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn step(&mut self, model: &Model, batch: &Batch, t: &TrainingConfig, rate: f64) -> Result<Outcome> {
        let Judged { errors, loss, .. } = judge(model, &self.weights, batch, t, true)?;
        let gradient = self.weights.gradient(&loss)?;
        let norm = self.apply(&loss, gradient, t, rate)?;
        Ok(Outcome { loss: loss.detach(), norm, errors: errors.detach() })
    }

    /// All of a step that comes after the gradient; returns its norm before clipping.
    ///
    /// # Errors
    /// If libtorch refuses.
    pub fn apply(&mut self, loss: &Tensor, mut gradient: Tensor, t: &TrainingConfig, rate: f64) -> Result<Tensor> {
        let norm = clip_by_norm(&mut gradient, t.clip.unwrap_or(f64::INFINITY))?;
        self.guard.watch(loss, &norm)?;
        if t.keep == Keep::SmallestBatchLoss {
            // One where the loss is smaller than all before, else zero: the weights are taken over or not, and nobody waits.
            let better = loss.f_detach()?.f_less_tensor(&self.best_loss)?.f_to_kind(Kind::Float)?;
            let _ = no_grad(|| self.ema.value.tensor_mut().f_lerp_tensor_(self.flat.tensor(), &better))?;
            self.best_loss = self.best_loss.f_fmin(&loss.f_detach()?)?;
        }
        let done = self.adam.steps;
        self.adam.step(&mut self.flat, &gradient, &self.guard, rate)?;
        self.weights.assign(&self.flat)?;
        if t.keep == Keep::Ema {
            self.ema.update(&self.flat, done, &self.guard)?;
        }
        for average in &mut self.averages {
            average.update(&self.flat, done, &self.guard)?;
        }
        Ok(norm)
    }
}

/// A batch denoised, and how well.
#[derive(Debug)]
pub struct Judged {
    /// The denoised log pixels.
    pub denoised: Tensor,
    /// Squared error of each image, summed over its pixels.
    pub errors: Tensor,
    /// The weighted loss.
    pub loss: Tensor,
}

/// Denoises a batch; dropout acts only when `train`.
///
/// # Errors
/// If libtorch refuses.
pub fn judge(model: &Model, weights: &Weights, batch: &Batch, t: &TrainingConfig, train: bool) -> Result<Judged> {
    let divisor = match t.reduction {
        Reduction::Mean => batch.y0.numel() as f64 / batch.told.len() as f64,
        Reduction::Sum => 1.0,
    };
    let condition = Condition { levels: &batch.told, classes: batch.classes.as_ref() };
    let denoised = model.denoise(weights, &batch.y_bar, condition, train)?;
    let errors = squared_error(&denoised, &batch.y0)?;
    let loss = weighted_loss(&errors, &batch.told, &t.weight, model.moments.log_sd, divisor)?;
    Ok(Judged { denoised, errors, loss })
}
