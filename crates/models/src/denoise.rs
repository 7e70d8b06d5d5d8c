//! A network as the log denoiser `D(ȳ, v) = E[Y₀ | Y_t]`.
//!
//! Two heads turn the raw output `F` into `D`:
//!
//! * **log-space preconditioning** (ours; EDM's, Karras et al. 2022, on `u = ȳ − E[ln x₀]`):
//!   `D = E[ln x₀] + c_skip u + c_out F(c_in u, ln r)`;
//! * **Stein** (the authors'): `F(2x − 1) = s`, the ambient score of `x = e^ȳ`, so `h = x s` and `D = ȳ + v (h + 1)`.
//!
//! Both are exact conversions of one another, so every sampler and every loss sees the same contract.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, Axis, concatenate};
use score_match::denoiser::{DenoiseError, Denoiser};
use score_match::precondition::{DataMoments, Precondition};
use score_match::torch::divergence::traced;
use score_match::{Divergence, Probes, Trace, Traced};
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor, no_grad};

use crate::Result;
use crate::params::Weights;
use crate::unet::UNet;

/// What the network's raw output means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// Log-space preconditioning.
    #[default]
    Preconditioned,
    /// The ambient (Stein) score, unscaled: the published form. Needs a process without log drift.
    Stein,
}

/// What a network is told of the images of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Condition<'a> {
    /// Log variance of the noise in each.
    pub levels: &'a [f64],
    /// Class of each, `[B]`; see [`UNet::forward`].
    pub classes: Option<&'a Tensor>,
}

impl<'a> Condition<'a> {
    /// Of any class.
    #[must_use]
    pub fn levels(levels: &'a [f64]) -> Self {
        Self { levels, classes: None }
    }
}

/// A network's structure with the head that gives its output a meaning.
#[derive(Debug)]
pub struct Model {
    /// The structure.
    pub net: UNet,
    /// The meaning of its output.
    pub head: Head,
    /// Mean and standard deviation of `ln x₀`.
    pub moments: DataMoments,
    precondition: Precondition,
}

impl Model {
    /// Joins a network with its head.
    ///
    /// # Errors
    /// If the moments are not finite or the standard deviation is not positive.
    pub fn new(net: UNet, head: Head, moments: DataMoments) -> Result<Self> {
        let precondition = Precondition::new(moments).map_err(|e| crate::ModelError::Config {
            key: "data moments",
            value: format!("{moments:?}"),
            reason: e.to_string(),
        })?;
        Ok(Self { net, head, moments, precondition })
    }

    /// `D` for `y_bar: [B, C, S, S]`; f32, shape of `y_bar`.
    pub fn denoise(&self, w: &Weights, y_bar: &Tensor, condition: Condition<'_>, train: bool) -> Result<Tensor> {
        let Condition { levels, classes } = condition;
        let column = |f: &dyn Fn(f64) -> f64| -> Result<Tensor> {
            let values: Vec<f32> = levels.iter().map(|&v| f(v) as f32).collect();
            Ok(Tensor::from_slice(&values).f_to_device(y_bar.device())?.f_view([-1, 1, 1, 1])?)
        };
        let c_noise = column(&|v| 0.5 * v.ln())?.f_view([-1])?;
        match self.head {
            Head::Preconditioned => {
                let u = y_bar.f_sub_scalar(self.moments.log_mean)?;
                let input = u.f_mul(&column(&|v| self.precondition.at(v).c_in)?)?;
                let raw = self.net.forward(w, &input, &c_noise, classes, train)?;
                let skip = u.f_mul(&column(&|v| self.precondition.at(v).c_skip)?)?;
                let out = skip.f_addcmul(&raw, &column(&|v| self.precondition.at(v).c_out)?)?;
                Ok(out.f_add_scalar(self.moments.log_mean)?)
            }
            Head::Stein => {
                let x = y_bar.f_exp()?;
                let input = x.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?;
                let score = self.net.forward(w, &input, &c_noise, classes, train)?;
                let log_space = score.f_mul(&x)?.f_add_scalar(1.0)?;
                Ok(y_bar.f_addcmul(&log_space, &column(&|v| v)?)?)
            }
        }
    }
}

/// A model with fixed weights, as samplers see it.
///
/// Runs in micro-batches of one fixed size, the last one padded, so that an image's result does not depend on how many
/// are asked for.
#[derive(Debug)]
pub struct NetDenoiser<'a> {
    model: &'a Model,
    weights: &'a Weights,
    micro_batch: i64,
    guidance: Option<Guidance>,
    diverged: Option<AtomicUsize>,
}

/// Classes that images are asked of, and how strongly: `D = D_any + strength (D_class − D_any)` (Ho and Salimans, 2022).
///
/// At strength 1 it is the denoiser of the class; any other costs two passes of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Guidance {
    /// Class of each image, for as many images as are asked of at once.
    pub classes: Vec<i64>,
    /// 0 for any class, 1 for the class as it was learned, more to exaggerate it.
    pub strength: f64,
}

impl<'a> NetDenoiser<'a> {
    /// Uses these weights, `micro_batch` images at a time.
    #[must_use]
    pub fn new(model: &'a Model, weights: &'a Weights, micro_batch: usize) -> Self {
        Self { model, weights, micro_batch: micro_batch.max(1) as i64, guidance: None, diverged: None }
    }

    /// Goes on where the network's output for an image is not finite: `D = ȳ` there, so that the image gets no more score. Without
    /// this it is an error.
    ///
    /// The Stein head has `x s` in it: where a network that is not fully trained overshoots, `x` grows until it overflows. Programs that do not
    /// look end up with such an image clamped to the range that is shown, and so do we.
    #[must_use]
    pub fn tolerant(self) -> Self {
        Self { diverged: Some(AtomicUsize::new(0)), ..self }
    }

    /// Images for which the last call's output was not finite.
    pub fn diverged(&self) -> usize {
        self.diverged.as_ref().map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// `D`, with `ȳ` in place of images that are not finite.
    fn mended(&self, out: Tensor, y_bar: &Tensor, count: &AtomicUsize) -> Result<Tensor> {
        let finite = out.f_isfinite()?.f_flatten(1, -1)?.f_all_dim(1, false)?;
        let broken = finite.f_logical_not()?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
        count.store(usize::try_from(broken).unwrap_or(0), Ordering::Relaxed);
        if broken == 0 {
            return Ok(out);
        }
        Ok(out.f_where_self(&finite.f_view([-1, 1, 1, 1])?, y_bar)?)
    }

    /// Asks images of classes; image `i` of a batch is of class `guidance.classes[i]`.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) if the network does not have such a class.
    pub fn guided(self, guidance: Guidance) -> Result<Self> {
        let known = self.model.net.config().classes;
        if let Some(wrong) = guidance.classes.iter().find(|class| !(0..known).contains(*class)) {
            let reason = format!("this network was trained with {known} classes, numbered from 0");
            return Err(crate::ModelError::Config { key: "class", value: wrong.to_string(), reason });
        }
        Ok(Self { guidance: Some(guidance), ..self })
    }

    /// `D` of a padded micro-batch whose first image is image `first`.
    fn denoise_part(&self, part: &Tensor, levels: &[f64], first: i64) -> Result<Tensor> {
        let run = |classes| self.model.denoise(self.weights, part, Condition { levels, classes }, false);
        let Some(Guidance { classes, strength }) = &self.guidance else { return run(None) };
        let wanted = (0..self.micro_batch).map(|i| {
            // Padding repeats the last image.
            let index = ((first + i) as usize).min(classes.len().saturating_sub(1));
            classes.get(index).copied().unwrap_or(self.model.net.config().classes)
        });
        let wanted = Tensor::f_from_slice(&wanted.collect::<Vec<i64>>())?.f_to_device(part.device())?;
        if *strength == 0.0 {
            return run(None);
        }
        let of_class = run(Some(&wanted))?;
        if *strength == 1.0 {
            return Ok(of_class);
        }
        let any = run(None)?;
        Ok(any.f_lerp(&of_class, *strength)?)
    }

    /// What `action` makes of each padded micro-batch, with the number of its first image and how many it really has.
    fn parts<T>(&self, y_bar: &Tensor, mut action: impl FnMut(&Tensor, i64, i64) -> Result<T>) -> Result<Vec<T>> {
        let n = y_bar.size().first().copied().unwrap_or(0);
        let mut parts = Vec::new();
        let mut first = 0;
        while first < n {
            let count = self.micro_batch.min(n - first);
            let mut part = y_bar.f_narrow(0, first, count)?;
            if count < self.micro_batch {
                let last = part.f_narrow(0, count - 1, 1)?;
                let mut shape = last.size();
                shape[0] = self.micro_batch - count;
                part = Tensor::f_cat(&[part, last.f_expand(shape.as_slice(), false)?], 0)?;
            }
            parts.push(action(&part, first, count)?);
            first += count;
        }
        Ok(parts)
    }

    fn run(&self, y_bar: &Tensor, v: f64) -> Result<Tensor> {
        let levels = vec![v; self.micro_batch as usize];
        join(
            self.parts(y_bar, |part, first, count| {
                Ok(self.denoise_part(part, &levels, first)?.f_narrow(0, 0, count)?)
            })?,
        )
    }

    /// The same with the traces of `∂D/∂ȳ` (images × probes).
    fn run_traced(&self, y_bar: &Tensor, v: f64, trace: Trace) -> Result<(Tensor, Vec<Array2<f64>>)> {
        let levels = vec![v; self.micro_batch as usize];
        let parts = self.parts(y_bar, |part, first, count| {
            let trace = match trace {
                Trace::Exact => Trace::Exact,
                Trace::Hutchinson(probes) => {
                    let first_index = probes.first_index.wrapping_add(first as u64);
                    Trace::Hutchinson(Probes { first_index, ..probes })
                }
            };
            let model = |y: &Tensor| {
                let failed = |e: crate::ModelError| TchError::Torch(e.to_string());
                self.denoise_part(y, &levels, first).map_err(failed)
            };
            let (denoised, mut traces) = traced(model, part, trace)?;
            traces.slice_axis_inplace(Axis(0), (..count as usize).into());
            Ok((denoised.f_narrow(0, 0, count)?, traces))
        })?;
        let (denoised, traces): (Vec<Tensor>, Vec<Array2<f64>>) = parts.into_iter().unzip();
        Ok((join(denoised)?, traces))
    }
}

fn join(mut parts: Vec<Tensor>) -> Result<Tensor> {
    if parts.len() == 1 {
        return Ok(parts.remove(0));
    }
    Ok(Tensor::f_cat(&parts, 0)?)
}

fn finite(out: &Tensor, v: f64) -> std::result::Result<(), DenoiseError> {
    if out.sum(Kind::Double).double_value(&[]).is_finite() {
        Ok(())
    } else {
        Err(DenoiseError::NonFinite { what: "network output", v })
    }
}

impl Denoiser<Tensor> for NetDenoiser<'_> {
    fn denoise(&self, y_bar: &Tensor, v: f64) -> std::result::Result<Tensor, DenoiseError> {
        let backend = |e: crate::ModelError| DenoiseError::Backend(e.to_string());
        let out = no_grad(|| self.run(y_bar, v)).map_err(backend)?;
        if let Some(count) = &self.diverged {
            return no_grad(|| self.mended(out, y_bar, count)).map_err(backend);
        }
        finite(&out, v)?;
        Ok(out)
    }
}

/// The trace by autograd, in the micro-batches of [`Denoiser::denoise`]: `d` backward passes, or one for each probe.
impl Divergence<Tensor> for NetDenoiser<'_> {
    fn denoise_traced(
        &self,
        y_bar: &Tensor,
        v: f64,
        trace: Trace,
    ) -> std::result::Result<Traced<Tensor>, DenoiseError> {
        let backend = |e: &dyn std::fmt::Display| DenoiseError::Backend(e.to_string());
        let (denoised, traces) = self.run_traced(y_bar, v, trace).map_err(|e| backend(&e))?;
        finite(&denoised, v)?;
        let views: Vec<_> = traces.iter().map(Array2::view).collect();
        let traces = concatenate(Axis(0), &views).map_err(|e| backend(&e))?;
        Ok(Traced { denoised, traces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Flat, Gradient};
    use crate::unet::UNetConfig;
    use tch::Device;

    /// One image is far out, where `x` overflows: the others are what they are without it.
    #[test]
    fn an_image_that_diverges_gets_no_more_score_and_leaves_the_others_alone() {
        let (model, weights) = model(Head::Stein);
        let y = images(3);
        let far = y.copy();
        let _ = far.f_get(1).unwrap().f_fill_(500.0).unwrap();
        let strict = NetDenoiser::new(&model, &weights, 3);
        assert!(matches!(strict.denoise(&far, 0.3), Err(DenoiseError::NonFinite { .. })));
        let tolerant = NetDenoiser::new(&model, &weights, 3).tolerant();
        let (clean, mended) = (strict.denoise(&y, 0.3).unwrap(), tolerant.denoise(&far, 0.3).unwrap());
        assert_eq!(tolerant.diverged(), 1);
        assert_eq!(mended.get(1), far.get(1));
        for i in [0, 2] {
            assert!((clean.get(i) - mended.get(i)).abs().max().double_value(&[]) < 1e-6);
        }
        assert_eq!(tolerant.denoise(&y, 0.3).unwrap(), clean);
        assert_eq!(tolerant.diverged(), 0);
    }

    fn model(head: Head) -> (Model, Weights) {
        let config = UNetConfig { size: 8, widths: vec![8, 16], embedding: 16, groups: 4, ..UNetConfig::default() };
        let model = Model::new(UNet::new(config).unwrap(), head, DataMoments { log_mean: 0.1, log_sd: 0.2 }).unwrap();
        let mut flat = Flat::initialized(model.net.layout(), 3, Device::Cpu).unwrap();
        let _ = flat.tensor_mut().f_add_scalar_(0.02).unwrap();
        let weights = flat.weights(model.net.layout(), Kind::Float, Gradient::Unwanted).unwrap();
        (model, weights)
    }

    fn images(n: i64) -> Tensor {
        Tensor::arange(n * 64, (Kind::Float, Device::Cpu)).sin().reshape([n, 1, 8, 8])
    }

    #[test]
    fn an_image_is_the_same_whatever_the_batch() {
        let (model, weights) = model(Head::Preconditioned);
        let denoiser = NetDenoiser::new(&model, &weights, 4);
        let many = denoiser.denoise(&images(11), 0.3).unwrap();
        let few = denoiser.denoise(&images(2), 0.3).unwrap();
        assert!(many.narrow(0, 0, 2).equal(&few));
        let one = denoiser.denoise(&images(11).narrow(0, 9, 1), 0.3).unwrap();
        assert!(many.narrow(0, 9, 1).allclose(&one, 1e-5, 1e-6, false));
    }

    #[test]
    fn traces_are_those_of_difference_quotients_whatever_the_batch() {
        for head in [Head::Preconditioned, Head::Stein] {
            let (model, weights) = model(head);
            let denoiser = NetDenoiser::new(&model, &weights, 4);
            let (y, v) = (images(6), 0.3);
            let probes = Trace::Hutchinson(Probes { count: 2, ..Probes::new(5) });
            let traced = denoiser.denoise_traced(&y, v, probes).unwrap();
            assert!(traced.denoised.allclose(&denoiser.denoise(&y, v).unwrap(), 1e-5, 1e-6, false));
            assert_eq!(traced.traces.dim(), (6, 2));
            for probe in 0..2 {
                let u = Probes::new(5).rows(probe, 6, 64);
                let u = Tensor::from_slice(u.as_slice().unwrap()).to_kind(Kind::Float).reshape([6, 1, 8, 8]);
                let at = |step: f64| denoiser.denoise(&(&y + &u * step), v).unwrap().to_kind(Kind::Double);
                let slope = (at(0.01) - at(-0.01)) / 0.02 * &u;
                let expected =
                    Vec::<f64>::try_from(slope.sum_dim_intlist([1_i64, 2, 3].as_slice(), false, None)).unwrap();
                for (found, expected) in traced.traces.column(probe as usize).iter().zip(expected) {
                    assert!((found - expected).abs() < 2e-3 * (1.0 + expected.abs()), "{head:?}: {found} {expected}");
                }
            }
            // The exact trace is the mean of uᵀJu; an image has the same numbers in any batch.
            let exact = denoiser.denoise_traced(&y, v, Trace::Exact).unwrap().traces;
            let many = Trace::Hutchinson(Probes { count: 60, ..Probes::new(5) });
            let many = denoiser.denoise_traced(&y, v, many).unwrap().traces;
            for (row, exact) in many.axis_iter(Axis(0)).zip(&exact) {
                let error = row.std(1.0) / 60f64.sqrt();
                assert!((row.mean().unwrap() - exact).abs() < 4.5 * error + 1e-4, "{head:?}");
            }
            let few = denoiser.denoise_traced(&y.narrow(0, 0, 2), v, probes).unwrap().traces;
            assert_eq!(few, traced.traces.slice_axis(Axis(0), (..2).into()));
        }
    }

    #[test]
    fn heads_follow_their_definitions() {
        let v = 0.25;
        let y = images(3);
        let level = Tensor::from_slice(&[0.5 * (v as f32).ln(); 3]);
        let (model_p, w) = model(Head::Preconditioned);
        let u = &y - 0.1;
        let total = v + 0.04;
        let raw = model_p.net.forward(&w, &(&u / f64::sqrt(total)), &level, None, false).unwrap();
        let expected = 0.1 + &u * (0.04 / total) + raw * (0.5 * 0.2 / f64::sqrt(total));
        let got = model_p.denoise(&w, &y, Condition::levels(&[v; 3]), false).unwrap();
        assert!(got.allclose(&expected, 1e-5, 1e-6, false));

        let (model_s, w) = model(Head::Stein);
        let x = y.exp();
        let s = model_s.net.forward(&w, &(&x * 2.0 - 1.0), &level, None, false).unwrap();
        let got = model_s.denoise(&w, &y, Condition::levels(&[v; 3]), false).unwrap();
        assert!(got.allclose(&(&y + (s * x + 1.0) * v), 1e-5, 1e-5, false));
    }

    #[test]
    fn guidance_is_the_line_through_any_and_the_class() {
        let config =
            UNetConfig { size: 8, widths: vec![8, 16], embedding: 16, groups: 4, classes: 3, ..UNetConfig::default() };
        let moments = DataMoments { log_mean: 0.1, log_sd: 0.2 };
        let model = Model::new(UNet::new(config).unwrap(), Head::Preconditioned, moments).unwrap();
        let mut flat = Flat::initialized(model.net.layout(), 3, Device::Cpu).unwrap();
        let _ = flat.tensor_mut().f_add_scalar_(0.02).unwrap();
        let weights = flat.weights(model.net.layout(), Kind::Float, Gradient::Unwanted).unwrap();
        let (y, classes) = (images(6), vec![0, 1, 2, 0, 1, 2]);
        let at = |strength| {
            let guidance = Guidance { classes: classes.clone(), strength };
            NetDenoiser::new(&model, &weights, 4).guided(guidance).unwrap().denoise(&y, 0.3).unwrap()
        };
        let any = NetDenoiser::new(&model, &weights, 4).denoise(&y, 0.3).unwrap();
        assert!(at(0.0).allclose(&any, 1e-6, 1e-7, false));
        assert!(!at(1.0).allclose(&any, 1e-4, 1e-5, false));
        let line = &any + (at(1.0) - &any) * 2.5;
        assert!(at(2.5).allclose(&line, 1e-5, 1e-6, false));
        let wrong = Guidance { classes: vec![3], strength: 1.0 };
        let error = NetDenoiser::new(&model, &weights, 4).guided(wrong).unwrap_err().to_string();
        assert!(error.contains("class = 3") && error.contains("3 classes"), "{error}");
    }
}
