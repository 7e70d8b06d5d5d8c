//! Explicit and denoising multiplicative score matching (Shetty, Prasath and Seelamantula 2025, arXiv 2510.02730), and why
//! the two and the implicit loss of [`crate::implicit`] have one minimizer.
//!
//! ```math
//! \begin{aligned}
//! \text{M-ESM}(\theta) &= \tfrac12\, \mathbb{E}\, \| h_\theta(x_t) - h^*(x_t) \|^2, & h^* &= x_t \odot \nabla \ln p_t(x_t) \\
//! \text{M-DSM}(\theta) &= \tfrac12\, \mathbb{E}\, \| h_\theta(x_t) - \eta \|^2,
//!   & \eta &= x_t \odot \nabla \ln p(x_t \mid x_0) = -1 - \varepsilon/\sqrt v \\
//! \text{M-ISM}(\theta) &= \mathbb{E} \textstyle\sum_i \big[ \tfrac12 h_i^2 + h_i + x_i\, \partial h_i/\partial x_i \big]
//! \end{aligned}
//! ```
//!
//! # Equivalence (the paper's theorem 5.1)
//!
//! All three are `$\mathbb{E}[\tfrac12 \|h_\theta\|^2]$` plus a term linear in `$h_\theta$` plus a constant, and the linear
//! terms agree:
//!
//! ```math
//! \begin{aligned}
//! \mathbb{E}\, [h_\theta \cdot \eta]
//!   &= \iint p(x_0) \textstyle\sum_i h_{\theta,i}(x)\, x_i\, \partial_i p(x \mid x_0)\, dx_0\, dx
//!    = \int \sum_i h_{\theta,i}(x)\, x_i\, \partial_i p_t(x)\, dx
//!    = \mathbb{E}\, [h_\theta \cdot h^*] \\
//!   &= -\int p_t(x) \textstyle\sum_i \partial_i \big( x_i h_{\theta,i}(x) \big)\, dx
//!    = -\mathbb{E} \sum_i \big[ h_{\theta,i} + x_i\, \partial_i h_{\theta,i} \big]
//! \end{aligned}
//! ```
//!
//! The first line differentiates the marginal `$p_t(x) = \int p(x_0)\, p(x \mid x_0)\, dx_0$` under the integral, which the
//! log-normal kernel allows; the second integrates by parts, and its boundary terms vanish when
//! `$x_i\, h_{\theta,i}(x)\, p_t(x) \to 0$` as `$x_i \to 0$` and `$x_i \to \infty$`. Hence
//!
//! ```math
//! \text{M-DSM} - \text{M-ESM} = \tfrac12 \mathbb{E} \|\eta\|^2 - \tfrac12 \mathbb{E} \|h^*\|^2, \qquad
//! \text{M-ESM} - \text{M-ISM} = \tfrac12 \mathbb{E} \|h^*\|^2,
//! \qquad \mathbb{E} \|\eta\|^2 = d\, (1 + 1/v)
//! ```
//!
//! Neither depends on `$\theta$`; values, gradients and minimizers are tested by quadrature, simulation and autograd.
//! Because `$h_\theta - \eta = (D_\theta - y_0)/v$`, denoising score matching is a regression of the clean logarithm
//! `$y_0 = \ln x_0$`, which is the form training uses. A loss is a sum over the coordinates of a row and a mean over rows.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use ndarray::{Array1, ArrayView1, ArrayView2, Zip};

use crate::error::{ScoreError, same_shape};
use crate::term;
use crate::weight::TimeWeight;

/// The denoising target of the Hyvärinen score, `x ∂ₓ ln p(x | x_0) = −1 − ε/√v`, from the standard normal `eps` that made
/// the state and its log variance `v > 0`.
///
/// ```
/// // The slope of the log-normal's log density, x ∂ₓ [−ln x − (ln x − y_0)²/2v], at ln x = y_0 + √v ε.
/// let (y0, eps, v) = (0.3, 0.7, 0.25);
/// let ln_pdf = |y: f64| -y - (y - y0).powi(2) / (2.0 * v);
/// let (y, step) = (y0 + 0.5 * eps, 1e-3);
/// let slope = (ln_pdf(y + step) - ln_pdf(y - step)) / (2.0 * step);
/// assert!((score_match::loss::hyvarinen_target(eps, v) - slope).abs() < 1e-11);
/// ```
pub fn hyvarinen_target(eps: f64, v: f64) -> f64 {
    let Ok(target) = term::denoising_target(&eps, &(1.0 / v.sqrt()));
    target
}

/// `h − target`, the residual of denoising score matching on the Hyvärinen score; arguments as in [`hyvarinen_target`].
///
/// ```
/// use score_match::loss::{hyvarinen_residual, hyvarinen_target};
/// // nothing, for a model that knows the noise
/// assert_eq!(hyvarinen_residual(hyvarinen_target(0.7, 0.25), 0.7, 0.25), 0.0);
/// ```
pub fn hyvarinen_residual(h: f64, eps: f64, v: f64) -> f64 {
    h - hyvarinen_target(eps, v)
}

/// `(D − y_0)/v`: the same residual, from the log denoiser and the clean logarithm, at log variance `v > 0`.
///
/// ```
/// use score_match::loss::{denoiser_residual, hyvarinen_residual};
/// let (y0, eps, v, denoised) = (0.3, 0.7, 0.25, -0.2);
/// let h = (denoised - (y0 + 0.5 * eps)) / v - 1.0;
/// assert!((denoiser_residual(denoised, y0, v) - hyvarinen_residual(h, eps, v)).abs() < 1e-14);
/// ```
pub fn denoiser_residual(denoised: f64, y0: f64, v: f64) -> f64 {
    (denoised - y0) / v
}

/// M-ESM of each row: `½ ‖h − h_true‖²` (n) of two n × d arrays of Hyvärinen scores.
///
/// ```
/// use ndarray::array;
/// let (h, truth) = (array![[1.0, -2.0], [0.5, 0.0]], array![[4.0, 2.0], [0.5, 0.0]]);
/// assert_eq!(score_match::loss::explicit_rows(h.view(), truth.view())?, array![0.5 * (9.0 + 16.0), 0.0]);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// When the shapes differ.
pub fn explicit_rows(h: ArrayView2<'_, f64>, truth: ArrayView2<'_, f64>) -> Result<Array1<f64>, ScoreError> {
    same_shape("the true score", truth.shape(), h.shape())?;
    Ok(Zip::from(h.rows()).and(truth.rows()).map_collect(|h, truth| {
        Zip::from(h).and(truth).fold(0.0, |sum, h, truth| {
            let Ok(term) = term::explicit(h, truth);
            sum + term
        })
    }))
}

/// M-ESM: `½ E ‖h − h_true‖²` over the rows of two n × d arrays of Hyvärinen scores.
///
/// ```
/// use ndarray::array;
/// let (h, truth) = (array![[1.0, -2.0], [0.5, 0.0]], array![[0.0, -2.0], [0.5, 3.0]]);
/// assert_eq!(score_match::loss::explicit(h.view(), truth.view())?, (0.5 + 4.5) / 2.0);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// When the shapes differ or there is no row.
pub fn explicit(h: ArrayView2<'_, f64>, truth: ArrayView2<'_, f64>) -> Result<f64, ScoreError> {
    mean(&explicit_rows(h, truth)?)
}

/// M-DSM of each row: `½ ‖h − target‖²` (n) of an n × d array of Hyvärinen scores, with the noise `eps` (n × d) that made
/// the states and the log variance `v` of each row (n, positive).
///
/// ```
/// use ndarray::array;
/// use score_match::loss::denoising_rows;
/// let (eps, v) = (array![[0.7, -0.2], [1.0, 2.0]], array![1.0, 4.0]);
/// // h = −1 is the score of a flat density of ln x: what is left is ½ ‖ε‖²/v.
/// let rows = denoising_rows(array![[-1.0, -1.0], [-1.0, -1.0]].view(), eps.view(), v.view())?;
/// assert!((rows[0] - 0.5 * 0.53).abs() < 1e-15 && rows[1] == 0.5 * 5.0 / 4.0);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// When the shapes differ.
pub fn denoising_rows(
    h: ArrayView2<'_, f64>,
    eps: ArrayView2<'_, f64>,
    v: ArrayView1<'_, f64>,
) -> Result<Array1<f64>, ScoreError> {
    same_shape("the noise", eps.shape(), h.shape())?;
    same_shape("the levels", v.shape(), &h.shape()[..1])?;
    Ok(Zip::from(h.rows()).and(eps.rows()).and(v).map_collect(|h, eps, v| {
        let reciprocal_r = 1.0 / v.sqrt();
        Zip::from(h).and(eps).fold(0.0, |sum, h, eps| {
            let Ok(term) = term::denoising(h, eps, &reciprocal_r);
            sum + term
        })
    }))
}

/// M-DSM: `½ E ‖h − target‖²`, the mean of [`denoising_rows`], with its arguments.
///
/// ```
/// use ndarray::array;
/// use score_match::loss::{denoising, hyvarinen_target};
/// let (eps, v) = (array![[0.7, -0.2], [1.0, 2.0]], array![0.09, 0.09]);
/// let target = eps.mapv(|eps| hyvarinen_target(eps, 0.09));
/// // A score that is wrong by 0.1 everywhere costs ½ d 0.1².
/// let loss = denoising((target + 0.1).view(), eps.view(), v.view())?;
/// assert!((loss - 0.5 * 2.0 * 0.01).abs() < 1e-14);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// When the shapes differ or there is no row.
pub fn denoising(h: ArrayView2<'_, f64>, eps: ArrayView2<'_, f64>, v: ArrayView1<'_, f64>) -> Result<f64, ScoreError> {
    mean(&denoising_rows(h, eps, v)?)
}

/// Weighted M-DSM on the denoiser: `½ E λ(v)/v² ‖D − y_0‖²` over the rows of two n × d arrays, with the log variance `v` of
/// each row (n, positive) and the standard deviation `sigma_d` of the clean logarithms.
///
/// ```
/// use ndarray::array;
/// use score_match::{TimeWeight, loss::denoising_weighted};
/// let (denoised, y0, v) = (array![[1.0], [2.0]], array![[0.0], [4.0]], array![0.25, 0.5]);
/// // λ = 1 weights the squared errors with 1/v².
/// let loss = denoising_weighted(denoised.view(), y0.view(), v.view(), &TimeWeight::Likelihood, 0.2)?;
/// assert_eq!(loss, 0.5 * (1.0 * 16.0 + 4.0 * 4.0) / 2.0);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// When the shapes differ or there is no row.
pub fn denoising_weighted(
    denoised: ArrayView2<'_, f64>,
    y0: ArrayView2<'_, f64>,
    v: ArrayView1<'_, f64>,
    weight: &TimeWeight,
    sigma_d: f64,
) -> Result<f64, ScoreError> {
    same_shape("the levels", v.shape(), &denoised.shape()[..1])?;
    same_shape("the clean data", y0.shape(), denoised.shape())?;
    let mut rows = explicit_rows(denoised, y0)?;
    Zip::from(&mut rows).and(v).for_each(|row, &v| *row *= weight.denoiser_factor(v, sigma_d));
    mean(&rows)
}

/// The mean of the losses of rows, of which there must be one.
pub(crate) fn mean(rows: &Array1<f64>) -> Result<f64, ScoreError> {
    rows.mean().ok_or(ScoreError::TooFew { name: "the number of rows", least: 1, value: 0 })
}
