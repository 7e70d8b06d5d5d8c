//! The trace of a denoiser's derivative on tensors, by autograd.
//!
//! ```math
//! \operatorname{tr} J = \sum_i \bigl[\nabla_{\bar y} D_i\bigr]_i, \qquad u^\top J u = u \cdot \nabla_{\bar y} (u \cdot D)
//! ```
//!
//! `d` backward passes, or one for each probe; none of them makes a graph of its own, so the traces cannot be
//! differentiated again. The model must treat the images of a batch independently.
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

use ndarray::Array2;
use tch::{Kind, TchError, Tensor, with_grad};

use super::matching::{Graph, derivative, each_probe, evaluate, flatten, sum_rows};
use crate::implicit::Trace;

/// `D(ȳ)` (`[B, …]`, without graph) of a model at `y_bar`, with the trace of `∂D/∂ȳ` of each image (B × 1), or the
/// estimate of each image and probe (B × probes).
///
/// ```
/// use score_match::{Trace, torch::divergence::traced};
/// use tch::Tensor;
/// let y_bar = Tensor::from_slice(&[1.0, -2.0]).f_reshape([1, 2])?;
/// let (denoised, traces) = traced(|y: &Tensor| y.f_mul(y), &y_bar, Trace::Exact)?;
/// assert_eq!(Vec::<f64>::try_from(denoised.f_flatten(0, -1)?)?, [1.0, 4.0]);
/// assert_eq!(traces[[0, 0]], 2.0 * 1.0 - 2.0 * 2.0);
/// # Ok::<(), tch::TchError>(())
/// ```
///
/// # Errors
/// When the model fails, its answer has another shape, or there is no probe.
pub fn traced<M>(model: M, y_bar: &Tensor, trace: Trace) -> Result<(Tensor, Array2<f64>), TchError>
where
    M: Fn(&Tensor) -> Result<Tensor, TchError>,
{
    with_grad(|| {
        let (y, denoised) = evaluate(&model, y_bar)?;
        let mut columns: Vec<Vec<f64>> = Vec::new();
        match trace {
            Trace::Exact => {
                let flat = flatten(&denoised)?;
                let mut sum = Tensor::f_zeros([flat.size()[0]], (Kind::Double, flat.device()))?;
                for i in 0..flat.size()[1] {
                    let slopes = flatten(&derivative(&flat.f_select(1, i)?, &y, Graph::Keep)?)?;
                    let _ = sum.f_add_(&slopes.f_select(1, i)?.f_to_kind(Kind::Double)?)?;
                }
                columns.push(numbers(&sum)?);
            }
            Trace::Hutchinson(probes) => each_probe(probes, &y, |u| {
                let slope = u.f_mul(&derivative(&denoised.f_mul(u)?, &y, Graph::Keep)?)?;
                columns.push(numbers(&sum_rows(&slope.f_to_kind(Kind::Double)?)?)?);
                Ok(())
            })?,
        }
        let rows = columns.first().map_or(0, Vec::len);
        let traces = Array2::from_shape_fn((rows, columns.len()), |(i, j)| columns[j][i]);
        Ok((denoised.f_detach()?, traces))
    })
}

fn numbers(values: &Tensor) -> Result<Vec<f64>, TchError> {
    Vec::<f64>::try_from(&values.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Double)?)
}
