//! M-ESM, M-DSM, M-ISM and sliced M-ISM for tensors, with derivatives by autograd.
//!
//! ```math
//! \begin{aligned}
//! J &= \frac{\partial h}{\partial y}, & \operatorname{tr} J &= \sum_i \frac{\partial h_i}{\partial y_i}
//!   && d \text{ backward passes, exact} \\
//! && u^\top J u &= u \cdot \nabla_y (u \cdot h) && \text{one backward pass for each probe}
//! \end{aligned}
//! ```
//!
//! States are `[B, …]` tensors of logarithms, losses `[B]`: summed over all but the first dimension, not yet averaged.
//! Derivatives are made with their own graph, so that the losses can be differentiated again, with respect to the parameters
//! of the model (double backward). The formulas are those of [`crate::term`], the theory that of [`crate::loss`] and
//! [`crate::implicit`].
//!
//! A model must treat the images of a batch independently (no batch normalization), or `$J$` has entries between images.
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

use tch::{TchError, Tensor, with_grad};

use crate::implicit::Trace;
use crate::probe::Probes;
use crate::term;

/// M-ESM of each image: `½ ‖h − h_true‖²` (`[B]`) of two `[B, …]` tensors of Hyvärinen scores.
///
/// ```
/// use score_match::torch::matching::explicit_rows;
/// use tch::Tensor;
/// let (h, truth) = (Tensor::from_slice(&[1.0, -2.0]), Tensor::from_slice(&[4.0, 2.0]));
/// let rows = explicit_rows(&h.f_reshape([1, 2])?, &truth.f_reshape([1, 2])?)?;
/// assert_eq!(Vec::<f64>::try_from(rows)?, [0.5 * (9.0 + 16.0)]);
/// # Ok::<(), tch::TchError>(())
/// ```
///
/// # Errors
/// When the shapes differ.
pub fn explicit_rows(h: &Tensor, truth: &Tensor) -> Result<Tensor, TchError> {
    same_shape("the true score", truth, h)?;
    sum_rows(&term::explicit(h, truth)?)
}

/// M-DSM of each image: `½ ‖h + 1 + ε/√v‖²` (`[B]`) of a `[B, …]` tensor of Hyvärinen scores, with the noise `eps` of the
/// same shape and the log variance of each image.
///
/// ```
/// use score_match::torch::matching::denoising_rows;
/// use tch::Tensor;
/// let eps = Tensor::from_slice(&[1.0, 2.0]).f_reshape([1, 2])?;
/// // h = −1 is the score of a flat density of ln x: what is left is ½ ‖ε‖²/v.
/// let rows = denoising_rows(&Tensor::from_slice(&[-1.0, -1.0]).f_reshape([1, 2])?, &eps, &[4.0])?;
/// assert_eq!(Vec::<f64>::try_from(rows)?, [0.5 * 5.0 / 4.0]);
/// # Ok::<(), tch::TchError>(())
/// ```
///
/// # Errors
/// When the shapes differ or `levels` does not have `B` values.
pub fn denoising_rows(h: &Tensor, eps: &Tensor, levels: &[f64]) -> Result<Tensor, TchError> {
    same_shape("the noise", eps, h)?;
    let mut shape = h.size();
    if shape.first() != Some(&(levels.len() as i64)) {
        return Err(TchError::Shape(format!("{} levels for scores of shape {shape:?}", levels.len())));
    }
    shape.iter_mut().skip(1).for_each(|size| *size = 1);
    let reciprocal: Vec<f64> = levels.iter().map(|v| 1.0 / v.sqrt()).collect();
    sum_rows(&term::denoising(h, eps, &like(&reciprocal, h)?.f_reshape(shape)?)?)
}

/// M-ISM of each image (`[B]`) of a model of the Hyvärinen score at the logarithms `y` (`[B, …]`).
///
/// ```
/// use score_match::{Trace, torch::matching::implicit_rows};
/// use tch::Tensor;
/// // h = −y has the trace −d; at y = (1, −2): ½ · 5 + 1 − 2.
/// let y = Tensor::from_slice(&[1.0, -2.0]).f_reshape([1, 2])?;
/// let rows = implicit_rows(|y: &Tensor| y.f_neg(), &y, Trace::Exact)?;
/// assert_eq!(Vec::<f64>::try_from(rows)?, [0.5 * 5.0 + 1.0 - 2.0]);
/// # Ok::<(), tch::TchError>(())
/// ```
///
/// # Errors
/// When the model fails, its answer has another shape, or there is no probe.
pub fn implicit_rows<M>(model: M, y: &Tensor, trace: Trace) -> Result<Tensor, TchError>
where
    M: Fn(&Tensor) -> Result<Tensor, TchError>,
{
    with_grad(|| {
        let (y, h) = evaluate(&model, y)?;
        let slopes = match trace {
            Trace::Exact => {
                let flat = flatten(&h)?;
                let pick = |i: i64| flatten(&gradient(&flat.f_select(1, i)?, &y)?)?.f_select(1, i);
                let columns: Vec<Tensor> = (0..flat.size()[1]).map(pick).collect::<Result<_, _>>()?;
                Tensor::f_stack(&columns, 1)?.f_reshape(h.size())?
            }
            Trace::Hutchinson(probes) => {
                let mut sum = h.f_zeros_like()?;
                each_probe(probes, &y, |u| {
                    let product = u.f_mul(&gradient(&h.f_mul(u)?, &y)?)?;
                    sum = sum.f_add(&product.f_div_scalar(f64::from(probes.count))?)?;
                    Ok(())
                })?;
                sum
            }
        };
        sum_rows(&term::implicit(&h, &slopes)?)
    })
}

/// Sliced M-ISM of each image (`[B]`) of a model of the Hyvärinen score at the logarithms `y` (`[B, …]`), averaged over the
/// image's probes.
///
/// ```
/// use score_match::{Probes, Trace, torch::matching::{implicit_rows, sliced_rows}};
/// use tch::Tensor;
/// // In one dimension a random sign squares to 1, and the sliced loss is the implicit loss.
/// let (model, y) = (|y: &Tensor| y.f_mul(y), Tensor::from_slice(&[1.0, -2.0]).f_reshape([2, 1])?);
/// let sliced = sliced_rows(model, &y, Probes::new(7))?;
/// assert_eq!(sliced, implicit_rows(model, &y, Trace::Exact)?);
/// # Ok::<(), tch::TchError>(())
/// ```
///
/// # Errors
/// When the model fails, its answer has another shape, or there is no probe.
pub fn sliced_rows<M>(model: M, y: &Tensor, probes: Probes) -> Result<Tensor, TchError>
where
    M: Fn(&Tensor) -> Result<Tensor, TchError>,
{
    with_grad(|| {
        let (y, h) = evaluate(&model, y)?;
        let mut sum = sum_rows(&h.f_zeros_like()?)?;
        each_probe(probes, &y, |u| {
            let projected = h.f_mul(u)?;
            let slope = sum_rows(&u.f_mul(&gradient(&projected, &y)?)?)?;
            let term = term::sliced(&sum_rows(&projected)?, &sum_rows(u)?, &slope)?;
            sum = sum.f_add(&term.f_div_scalar(f64::from(probes.count))?)?;
            Ok(())
        })?;
        Ok(sum)
    })
}

/// The state as a leaf of the graph, and the model's answer there.
pub(super) fn evaluate<M>(model: &M, y: &Tensor) -> Result<(Tensor, Tensor), TchError>
where
    M: Fn(&Tensor) -> Result<Tensor, TchError>,
{
    let y = y.f_detach()?.f_requires_grad_(true)?;
    let h = model(&y)?;
    same_shape("the score", &h, &y)?;
    Ok((y, h))
}

/// What becomes of the graph in a backward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Graph {
    /// It is kept for further passes.
    Keep,
    /// The pass gets a graph of its own, so that the derivative can be differentiated.
    Extend,
}

/// `∇_y Σ values`, with its own graph; zero where the values do not depend on `y`.
fn gradient(values: &Tensor, y: &Tensor) -> Result<Tensor, TchError> {
    derivative(values, y, Graph::Extend)
}

/// `∇_y Σ values`; zero where the values do not depend on `y`.
pub(super) fn derivative(values: &Tensor, y: &Tensor, graph: Graph) -> Result<Tensor, TchError> {
    if !values.requires_grad() {
        return y.f_zeros_like();
    }
    let total = values.f_sum(values.kind())?;
    match Tensor::f_run_backward(&[total], &[y], true, graph == Graph::Extend)?.pop() {
        Some(gradient) if gradient.defined() => Ok(gradient),
        _ => y.f_zeros_like(),
    }
}

pub(super) fn each_probe(
    probes: Probes,
    y: &Tensor,
    mut action: impl FnMut(&Tensor) -> Result<(), TchError>,
) -> Result<(), TchError> {
    if probes.count == 0 {
        return Err(TchError::Shape("the number of probes must be at least 1, got 0".into()));
    }
    let flat = flatten(y)?.size();
    (0..probes.count).try_for_each(|probe| {
        let values = probes.rows(probe, flat[0] as usize, flat[1] as usize);
        action(&like(&values.into_raw_vec_and_offset().0, y)?.f_reshape(y.size())?)
    })
}

/// Values as a flat tensor of the kind and on the device of another.
fn like(values: &[f64], other: &Tensor) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(values)?.f_to_device(other.device())?.f_to_kind(other.kind())
}

pub(super) fn flatten(values: &Tensor) -> Result<Tensor, TchError> {
    values.f_flatten(1, -1)
}

pub(super) fn sum_rows(values: &Tensor) -> Result<Tensor, TchError> {
    flatten(values)?.f_sum_dim_intlist([1_i64].as_slice(), false, values.kind())
}

fn same_shape(name: &str, found: &Tensor, expected: &Tensor) -> Result<(), TchError> {
    if found.size() == expected.size() {
        Ok(())
    } else {
        Err(TchError::Shape(format!("{name} has shape {:?}, expected {:?}", found.size(), expected.size())))
    }
}
