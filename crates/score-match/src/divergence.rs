//! The log denoiser with the trace of its derivative: what the density along the probability flow needs.
//!
//! ```math
//! \nabla \cdot (\bar y - D) = d - \operatorname{tr} J, \qquad J = \frac{\partial D}{\partial \bar y}, \qquad
//! \operatorname{tr} J = \mathbb E\bigl[u^\top J u\bigr] \quad \text{for } \mathbb E[u u^\top] = I
//! ```
//!
//! The trace is exact or Hutchinson's estimate, by the same [`Trace`] that the losses take. An estimate is given for
//! each probe apart: the probes of a row are the same at every level, so what they say along a path can be averaged,
//! and has a standard error, at its end.
//!
//! | denoiser | exact trace | `uᵀJu` |
//! |---|---|---|
//! | [`LogNormalMixture`] | closed form | closed form |
//! | [`LinearDenoiser`] | `Σ λ/(λ + v)` | closed form |
//! | [`Differences`] of any other on arrays | `d` difference quotients | one difference quotient for each probe |
//! | networks on tensors ([`crate::torch::divergence`]) | `d` backward passes | one backward pass for each probe |
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use gbm_sde::LogNormalMixture;
use ndarray::{Array2, Axis};

use crate::denoiser::{DenoiseError, Denoiser};
use crate::error::ScoreError;
use crate::implicit::{ScoreAt, ScoreModel, Trace, each_probe};
use crate::linear::LinearDenoiser;

/// A denoiser's answer with the trace of its derivative.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced<S> {
    /// `D(ȳ, v)`, of the shape of the state.
    pub denoised: S,
    /// `tr ∂D/∂ȳ` of each row (rows × 1), or `uᵀ(∂D/∂ȳ)u` of each row and probe (rows × probes).
    pub traces: Array2<f64>,
}

/// A log denoiser whose derivative is known.
///
/// ```
/// use gbm_sde::LogNormalMixture;
/// use ndarray::array;
/// use score_match::{Divergence, Probes, Trace};
/// let truth = LogNormalMixture::new(vec![1.0], vec![vec![0.0, 0.0]], vec![vec![0.5, 1.5]])?;
/// let exact = truth.denoise_traced(&array![[1.0, 1.0]], 0.5, Trace::Exact)?;
/// assert!((exact.denoised[[0, 1]] - 0.75).abs() < 1e-14 && (exact.traces[[0, 0]] - 1.25).abs() < 1e-14);
/// // Random signs are exact where coordinates do not mix.
/// let random = truth.denoise_traced(&array![[1.0, 1.0]], 0.5, Trace::Hutchinson(Probes { count: 3, ..Probes::new(7) }))?;
/// assert!(random.traces.iter().all(|trace| (trace - 1.25).abs() < 1e-14) && random.traces.dim() == (1, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Divergence<S>: Denoiser<S> {
    /// `D(ȳ, v)` at one log variance `v > 0`, with the trace of its derivative for each row.
    ///
    /// # Errors
    /// Those of [`Denoiser::denoise`], and when there is no probe.
    fn denoise_traced(&self, y_bar: &S, v: f64, trace: Trace) -> Result<Traced<S>, DenoiseError>;
}

/// Traces (rows × 1, or rows × probes) from the products `J u` of a whole batch, with `exact` for the exact ones.
fn traces(
    y_bar: &Array2<f64>,
    trace: Trace,
    exact: impl FnOnce() -> Result<Vec<f64>, ScoreError>,
    mut product: impl FnMut(&Array2<f64>) -> Result<Array2<f64>, ScoreError>,
) -> Result<Array2<f64>, DenoiseError> {
    let mut columns = Vec::new();
    match trace {
        Trace::Exact => columns.push(exact()?),
        Trace::Hutchinson(probes) => each_probe(probes, y_bar, |u| {
            columns.push((product(u)? * u).sum_axis(Axis(1)).to_vec());
            Ok(())
        })?,
    }
    Ok(Array2::from_shape_fn((y_bar.nrows(), columns.len()), |(i, j)| columns[j][i]))
}

impl Divergence<Array2<f64>> for LogNormalMixture {
    fn denoise_traced(&self, y_bar: &Array2<f64>, v: f64, trace: Trace) -> Result<Traced<Array2<f64>>, DenoiseError> {
        let denoised = self.denoise(y_bar, v)?;
        let rows: Vec<Vec<f64>> = y_bar.rows().into_iter().map(|row| row.to_vec()).collect();
        let traces = traces(
            y_bar,
            trace,
            || Ok(rows.iter().map(|row| self.denoiser_trace(row, v)).collect()),
            |u| {
                let mut out = Array2::zeros(u.raw_dim());
                let mut product = vec![0.0; self.dim()];
                for ((row, u), mut to) in rows.iter().zip(u.rows()).zip(out.rows_mut()) {
                    self.denoiser_product_into(row, v, &u.to_vec(), &mut product);
                    to.iter_mut().zip(&product).for_each(|(to, &from)| *to = from);
                }
                Ok(out)
            },
        )?;
        Ok(Traced { denoised, traces })
    }
}

impl Divergence<Array2<f64>> for LinearDenoiser {
    fn denoise_traced(&self, y_bar: &Array2<f64>, v: f64, trace: Trace) -> Result<Traced<Array2<f64>>, DenoiseError> {
        let denoised = self.denoise(y_bar, v)?;
        let total = self.eigenvalues().iter().map(|lambda| if v > 0.0 { lambda / (lambda + v) } else { 1.0 }).sum();
        // The denoiser is affine: J u is the difference of its answers at u and at 0.
        let origin = self.denoise(&Array2::zeros(y_bar.raw_dim()), v)?;
        let product = |u: &Array2<f64>| Ok(self.denoise(u, v)? - &origin);
        let traces = traces(y_bar, trace, || Ok(vec![total; y_bar.nrows()]), product)?;
        Ok(Traced { denoised, traces })
    }
}

/// Any denoiser on arrays, with the derivative by the difference quotients of [`ScoreModel::directional`].
///
/// ```
/// use gbm_sde::Gamma;
/// use ndarray::array;
/// use score_match::{Differences, Divergence, Trace};
/// let truth = Differences(Gamma::new(2.5, 0.4)?);
/// let traced = truth.denoise_traced(&array![[0.3, -0.7]], 0.5, Trace::Exact)?;
/// // Noise that is not larger than the data's spread is halved at most.
/// assert!(traced.traces[[0, 0]] > 0.0 && traced.traces[[0, 0]] < 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Differences<D>(pub D);

impl<S, D: Denoiser<S>> Denoiser<S> for Differences<D> {
    fn denoise(&self, y_bar: &S, v: f64) -> Result<S, DenoiseError> {
        self.0.denoise(y_bar, v)
    }
}

impl<D: Denoiser<Array2<f64>>> Divergence<Array2<f64>> for Differences<D> {
    fn denoise_traced(&self, y_bar: &Array2<f64>, v: f64, trace: Trace) -> Result<Traced<Array2<f64>>, DenoiseError> {
        let denoised = self.0.denoise(y_bar, v)?;
        let model = ScoreAt { denoiser: &self.0, v };
        // D = ȳ + v (h + 1), so J u = u + v (∂h/∂ȳ) u.
        let product = |u: &Array2<f64>| Ok(model.directional(y_bar, u)? * v + u);
        let exact = || {
            let mut sums = vec![0.0; y_bar.nrows()];
            for i in 0..y_bar.ncols() {
                let mut u = Array2::zeros(y_bar.raw_dim());
                u.column_mut(i).fill(1.0);
                sums.iter_mut().zip(product(&u)?.column(i)).for_each(|(sum, slope)| *sum += slope);
            }
            Ok(sums)
        };
        let traces = traces(y_bar, trace, exact, product)?;
        Ok(Traced { denoised, traces })
    }
}
