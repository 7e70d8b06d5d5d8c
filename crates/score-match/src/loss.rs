//! Explicit and denoising multiplicative score matching (Shetty, Prasath and Seelamantula 2025, arXiv 2510.02730).
//!
//! ```text
//! M-ESM(θ) = ½ E ‖h_θ(x) − x ⊙ ∇ ln p_t(x)‖²
//! M-DSM(θ) = ½ E ‖h_θ(x_t) − x_t ⊙ ∇ ln p(x_t | x_0)‖²,       target  −1 − ε/√v
//! ```
//!
//! The two differ by a constant (the paper's theorem 5.1). Because `h_θ − target = (D_θ − y_0)/v`, denoising score matching
//! is a regression of the clean logarithm `y_0 = ln x_0`, which is the form training uses. A loss is a sum over the
//! coordinates of a row and a mean over rows.

use ndarray::{ArrayView1, ArrayView2, Zip};

use crate::error::{ScoreError, same_shape};
use crate::weight::TimeWeight;

/// The denoising target of the Hyvärinen score: `x ∂ₓ ln p(x | x_0) = −1 − ε/√v`.
pub fn hyvarinen_target(eps: f64, v: f64) -> f64 {
    -1.0 - eps / v.sqrt()
}

/// `h − target`, the residual of denoising score matching on the Hyvärinen score.
pub fn hyvarinen_residual(h: f64, eps: f64, v: f64) -> f64 {
    h - hyvarinen_target(eps, v)
}

/// `(D − y_0)/v`: the same residual, from the log denoiser and the clean logarithm.
pub fn denoiser_residual(denoised: f64, y0: f64, v: f64) -> f64 {
    (denoised - y0) / v
}

/// M-ESM: `½ E ‖h − h_true‖²` over the rows of two n × d arrays of Hyvärinen scores.
///
/// # Errors
/// When the shapes differ or there is no row.
pub fn explicit(h: ArrayView2<'_, f64>, truth: ArrayView2<'_, f64>) -> Result<f64, ScoreError> {
    same_shape("the true score", truth.shape(), h.shape())?;
    rows_present(h.nrows())?;
    let sum = Zip::from(h).and(truth).fold(0.0, |sum, h, truth| sum + (h - truth).powi(2));
    Ok(0.5 * sum / h.nrows() as f64)
}

/// M-DSM: `½ E ‖h − target‖²` over the rows of an n × d array of Hyvärinen scores, with the noise `eps` (n × d) that made
/// the states and the log variance `v` of each row (n, positive).
///
/// # Errors
/// When the shapes differ or there is no row.
pub fn denoising(h: ArrayView2<'_, f64>, eps: ArrayView2<'_, f64>, v: ArrayView1<'_, f64>) -> Result<f64, ScoreError> {
    same_shape("the noise", eps.shape(), h.shape())?;
    same_shape("the levels", v.shape(), &h.shape()[..1])?;
    rows_present(h.nrows())?;
    let row_loss = |h: ArrayView1<'_, f64>, eps: ArrayView1<'_, f64>, v: f64| {
        Zip::from(h).and(eps).fold(0.0, |sum, &h, &eps| sum + hyvarinen_residual(h, eps, v).powi(2))
    };
    let rows = h.rows().into_iter().zip(eps.rows()).zip(v);
    let sum: f64 = rows.map(|((h, eps), &v)| row_loss(h, eps, v)).sum();
    Ok(0.5 * sum / h.nrows() as f64)
}

/// Weighted M-DSM on the denoiser: `½ E λ(v)/v² ‖D − y_0‖²` over the rows of two n × d arrays, with the log variance `v` of
/// each row (n, positive) and the standard deviation `sigma_d` of the clean logarithms.
///
/// # Errors
/// When the shapes differ or there is no row.
pub fn denoising_weighted(
    denoised: ArrayView2<'_, f64>,
    y0: ArrayView2<'_, f64>,
    v: ArrayView1<'_, f64>,
    weight: TimeWeight,
    sigma_d: f64,
) -> Result<f64, ScoreError> {
    same_shape("the clean data", y0.shape(), denoised.shape())?;
    same_shape("the levels", v.shape(), &denoised.shape()[..1])?;
    rows_present(denoised.nrows())?;
    let rows = denoised.rows().into_iter().zip(y0.rows()).zip(v);
    let row_loss = |((d, y0), &v): ((ArrayView1<'_, f64>, ArrayView1<'_, f64>), &f64)| {
        let error = Zip::from(d).and(y0).fold(0.0, |sum, d, y0| sum + (d - y0).powi(2));
        weight.denoiser_factor(v, sigma_d) * error
    };
    Ok(0.5 * rows.map(row_loss).sum::<f64>() / denoised.nrows() as f64)
}

fn rows_present(rows: usize) -> Result<(), ScoreError> {
    if rows > 0 { Ok(()) } else { Err(ScoreError::TooFew { name: "the number of rows", least: 1, value: rows }) }
}
