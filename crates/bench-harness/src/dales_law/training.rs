//! The same network trained by gradient descent and by exponentiated gradient descent (EGD).
//!
//! ```text
//! gradient descent   W ← W − η ∂L/∂W                               a sign can change
//! EGD                W ← W ⊙ exp(−η sign(W) ⊙ ∂L/∂W)               none can
//! ```
//!
//! `L` is the mean cross-entropy of a batch of 64. Both start from the same weights and see the same batches in the same order; biases
//! follow plain gradient descent with one rate in both. Gradients of a norm above 1 are scaled down to it in both (Pascanu et al. 2013):
//! the first steps from random weights would throw either rule off course. After every step of EGD all signs are looked at.
//!
//! Source: Kivinen and Warmuth (1997); Cornford et al. (2024), bioRxiv 2024.10.25.620272.

use anyhow::{Result, bail};
use gbm_sde::{Noise, Stream};
use samplers::mirror::AmbientGradient;
use samplers::mirror::torch::exponentiated_step;
use serde::Serialize;
use tch::{Kind, Reduction, Tensor, no_grad};

use super::network::{Network, Start};

/// Images of a step.
pub(super) const BATCH: usize = 64;
/// Rate of the biases.
const BIAS_RATE: f64 = 0.05;

/// Largest norm of the whole gradient.
const CLIP: f64 = 1.0;

/// How the weights learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Gradient descent.
    Gradient,
    /// Exponentiated gradient descent.
    Exponentiated,
}

impl Rule {
    /// Both, in the order of the tables.
    pub const ALL: [Self; 2] = [Self::Gradient, Self::Exponentiated];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gradient => "gradient descent",
            Self::Exponentiated => "EGD",
        }
    }

    /// Rates that are tried on held-out training images.
    pub fn rates(self) -> [f64; 5] {
        match self {
            Self::Gradient => [0.03, 0.1, 0.3, 1.0, 3.0],
            Self::Exponentiated => [0.5, 1.5, 5.0, 15.0, 50.0],
        }
    }
}

/// Inputs with their labels.
#[derive(Debug)]
pub struct Labelled {
    /// `[N, in]`.
    pub relays: Tensor,
    /// `[N]`.
    pub labels: Tensor,
}

impl Labelled {
    /// Number of images.
    pub fn count(&self) -> usize {
        self.labels.size1().unwrap_or(0) as usize
    }
}

/// One training run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How weights learn.
    pub rule: Rule,
    /// How they start.
    pub start: Start,
    /// Rate `η`.
    pub rate: f64,
    /// Passes over the training images.
    pub epochs: usize,
    /// Seed of start and order.
    pub seed: u64,
}

/// What is seen after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// Part of the images judged by whose label was found.
    pub accuracy: f64,
    /// Part of the weights whose sign is not that of their unit.
    pub flipped: f64,
    /// Weights that are exactly 0.
    pub zeros: usize,
}

/// Trains a network of `side × side` images on `train` and judges it by `judge` after every epoch. `on_step` is called after each step.
///
/// # Errors
/// If EGD changes a sign, or the weights stop being finite; what `on_step` says.
pub fn train(
    plan: &Plan,
    side: usize,
    train: &Labelled,
    judge: &Labelled,
    on_step: &mut dyn FnMut() -> Result<()>,
) -> Result<(Network, Vec<Epoch>)> {
    let mut network = Network::new(side, plan.start, plan.seed)?;
    let mut epochs = Vec::with_capacity(plan.epochs);
    for epoch in 0..plan.epochs {
        let order = Noise::new(plan.seed).permutation(Stream::ORDER, epoch as u64, train.count());
        let order: Vec<i64> = order.into_iter().map(i64::from).collect();
        for batch in order.chunks_exact(BATCH) {
            let batch = Tensor::from_slice(batch);
            let logits = network.forward(&train.relays.f_index_select(0, &batch)?)?;
            let labels = train.labels.f_index_select(0, &batch)?;
            logits.f_cross_entropy_loss(&labels, None::<Tensor>, Reduction::Mean, -100, 0.0)?.f_backward()?;
            step(&mut network, plan)?;
            on_step()?;
        }
        epochs.push(look(&network, judge)?);
        if network.layers.iter().any(|l| !finite(&l.weights)) {
            bail!("{} with rate {} diverged in epoch {}", plan.rule.name(), plan.rate, epoch + 1);
        }
    }
    Ok((network, epochs))
}

/// Moves all weights and biases, and clears the gradients.
fn step(network: &mut Network, plan: &Plan) -> Result<()> {
    no_grad(|| {
        let mut squares = 0.0;
        for layer in &network.layers {
            for leaf in [&layer.weights, &layer.bias] {
                squares += leaf.grad().f_square()?.f_sum(Kind::Double)?.double_value(&[]);
            }
        }
        let scale = (CLIP / squares.sqrt()).min(1.0);
        for layer in &mut network.layers {
            let (mut gradient, mut of_bias) = (layer.weights.grad(), layer.bias.grad());
            match plan.rule {
                Rule::Gradient => {
                    let _ = layer.weights.f_sub_(&gradient.f_mul_scalar(scale * plan.rate)?)?;
                }
                Rule::Exponentiated => {
                    exponentiated_step::<AmbientGradient>(&mut layer.weights, &gradient, scale * plan.rate)?;
                    let flipped = flipped(&layer.weights, &layer.signs)?;
                    if flipped > 0 {
                        bail!("{flipped} weights changed their sign under EGD");
                    }
                }
            }
            let _ = layer.bias.f_sub_(&of_bias.f_mul_scalar(scale * BIAS_RATE)?)?;
            let _ = (gradient.f_zero_()?, of_bias.f_zero_()?);
        }
        Ok(())
    })
}

fn finite(weights: &Tensor) -> bool {
    weights.isfinite().all().int64_value(&[]) == 1
}

/// Weights whose sign is not that of their unit.
fn flipped(weights: &Tensor, signs: &Tensor) -> Result<i64> {
    Ok(weights.f_mul(signs)?.f_lt(0.0)?.f_sum(Kind::Int64)?.int64_value(&[]))
}

fn look(network: &Network, judge: &Labelled) -> Result<Epoch> {
    no_grad(|| {
        let found = network.forward(&judge.relays)?.f_argmax(1, false)?;
        let right = found.f_eq_tensor(&judge.labels)?.f_sum(Kind::Int64)?.int64_value(&[]);
        let (mut changed, mut zeros, mut all) = (0, 0, 0);
        for layer in &network.layers {
            changed += flipped(&layer.weights, &layer.signs)?;
            zeros += layer.weights.f_eq(0.0)?.f_sum(Kind::Int64)?.int64_value(&[]);
            all += layer.weights.numel();
        }
        Ok(Epoch {
            accuracy: right as f64 / judge.count().max(1) as f64,
            flipped: changed as f64 / all as f64,
            zeros: zeros as usize,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Two classes by which half of the picture is bright.
    fn halves(n: i64) -> Labelled {
        let labels = Tensor::arange(n, (Kind::Int64, Device::Cpu)).remainder(2);
        let column = Tensor::arange(8, (Kind::Int64, Device::Cpu)).floor_divide_scalar(4);
        let bright = column.reshape([1, 1, 8]).eq_tensor(&labels.reshape([n, 1, 1])).to_kind(Kind::Uint8) * 180;
        let grain = Tensor::arange(n * 64, (Kind::Int64, Device::Cpu)).reshape([n, 8, 8]).remainder(61);
        let images = (bright.expand([n, 8, 8], false) + grain).to_kind(Kind::Uint8);
        Labelled { relays: super::super::network::relays(&images).unwrap(), labels }
    }

    #[test]
    fn both_learn_and_only_gradient_descent_changes_signs() {
        let data = halves(512);
        for start in Start::ALL {
            let mut ends = Vec::new();
            for (rule, rate) in [(Rule::Gradient, 0.1), (Rule::Exponentiated, 0.3)] {
                let plan = Plan { rule, start, rate, epochs: 4, seed: 2 };
                let mut steps = 0;
                let mut count = || {
                    steps += 1;
                    Ok(())
                };
                let (network, epochs) = train(&plan, 8, &data, &data, &mut count).unwrap();
                assert_eq!((steps, epochs.len()), (4 * 512 / 64, 4));
                assert!(epochs[3].accuracy > 0.95, "{plan:?}: {epochs:?}");
                assert_eq!(epochs[3].flipped > 0.0, rule == Rule::Gradient, "{plan:?}: {epochs:?}");
                ends.push(network.layers[0].weights.copy());
            }
            let first = Network::new(8, start, 2).unwrap();
            assert!(ends.iter().all(|end| !end.equal(&first.layers[0].weights)), "weights have moved");
        }
    }

    #[test]
    fn a_run_can_be_repeated() {
        let data = halves(256);
        let plan = Plan { rule: Rule::Exponentiated, start: Start::Uniform, rate: 2.0, epochs: 1, seed: 4 };
        let run = || train(&plan, 8, &data, &data, &mut || Ok(())).unwrap().0.layers[0].weights.copy();
        assert!(run().equal(&run()));
    }

    #[test]
    fn a_rate_that_is_too_large_is_said() {
        let data = halves(256);
        let plan = Plan { rule: Rule::Gradient, start: Start::Uniform, rate: 1e30, epochs: 1, seed: 4 };
        let error = train(&plan, 8, &data, &data, &mut || Ok(())).unwrap_err().to_string();
        assert!(error.contains("diverged") && error.contains("gradient descent"), "{error}");
    }
}
