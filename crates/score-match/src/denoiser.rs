//! The one contract between networks, analytic truths and samplers: the log denoiser.
//!
//! ```math
//! D(\bar y, v) = \mathbb E[Y_0 \mid \bar Y = \bar y], \qquad \bar Y = Y_0 + \sqrt{v}\,\varepsilon, \qquad Y_0 = \ln X_0
//! ```
//!
//! `ȳ = ln x_t − m(t)` is the centred log state and `v` the log variance, so a denoiser knows neither schedule nor drift.
//! The log-space score is `g = (D − ȳ)/v` (Tweedie's formula), the Hyvärinen score `h = g − 1`.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use gbm_sde::{Gamma, LogNormalMixture};
use ndarray::Array2;

/// Why a denoiser gave no answer.
///
/// ```
/// use gbm_sde::LogNormalMixture;
/// use score_match::{DenoiseError, Denoiser};
/// let truth = LogNormalMixture::new(vec![1.0], vec![vec![0.0]], vec![vec![0.2]])?;
/// let refused = truth.denoise(&ndarray::array![[0.3, 0.7]], 0.5);
/// assert_eq!(refused, Err(DenoiseError::Shape { expected: vec![1, 1], found: vec![1, 2] }));
/// # Ok::<(), gbm_sde::analytic::MixtureError>(())
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DenoiseError {
    /// The state does not have the shape the denoiser works on, or its answer not that of the state.
    #[error("denoiser: shape {found:?} where {expected:?} is needed")]
    Shape {
        /// The shape that is needed.
        expected: Vec<usize>,
        /// The shape that came.
        found: Vec<usize>,
    },
    /// Something is not a number, or infinite.
    #[error("denoiser: {what} is not finite at log variance v = {v}")]
    NonFinite {
        /// What is not finite.
        what: &'static str,
        /// The level it happened at.
        v: f64,
    },
    /// The tensor library failed, or what the derivative is made with.
    #[error("denoiser: {0}")]
    Backend(String),
}

impl From<crate::ScoreError> for DenoiseError {
    fn from(error: crate::ScoreError) -> Self {
        match error {
            crate::ScoreError::Denoise(error) => error,
            other => Self::Backend(other.to_string()),
        }
    }
}

/// A log denoiser for states of type `S` (a batch: rows of an array, or images of a tensor).
///
/// ```
/// use gbm_sde::LogNormalMixture;
/// use ndarray::array;
/// use score_match::Denoiser;
/// let truth = LogNormalMixture::new(vec![1.0], vec![vec![0.4]], vec![vec![0.2]])?;
/// // For one log-normal the mean of prior and state, weighted with the other's variance.
/// let d = truth.denoise(&array![[1.0_f64], [-3.0]], 0.3)?;
/// assert!((d[[0, 0]] - (0.3 * 0.4 + 0.2 * 1.0) / 0.5).abs() < 1e-14);
/// assert!((d[[1, 0]] - (0.3 * 0.4 + 0.2 * -3.0) / 0.5).abs() < 1e-14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Denoiser<S> {
    /// `D(ȳ, v)` for a batch of centred log states at one log variance `v > 0`; same shape as `y_bar`.
    ///
    /// # Errors
    /// When the shape does not fit, a value is not finite, or the back end fails.
    fn denoise(&self, y_bar: &S, v: f64) -> Result<S, DenoiseError>;
}

/// Rows are samples, columns the `d` coordinates.
impl Denoiser<Array2<f64>> for LogNormalMixture {
    fn denoise(&self, y_bar: &Array2<f64>, v: f64) -> Result<Array2<f64>, DenoiseError> {
        check_columns(y_bar, self.dim())?;
        check_level(v)?;
        let mut out = Array2::zeros(y_bar.raw_dim());
        let mut row_in = vec![0.0; self.dim()];
        let mut row_out = vec![0.0; self.dim()];
        for (from, mut to) in y_bar.rows().into_iter().zip(out.rows_mut()) {
            row_in.iter_mut().zip(from).for_each(|(a, &b)| *a = b);
            self.denoise_into(&row_in, v, &mut row_out);
            to.iter_mut().zip(&row_out).for_each(|(a, &b)| *a = b);
        }
        Ok(out)
    }
}

/// Rows are samples, columns the `d` coordinates; many rows at once on vector lanes and all threads.
impl Denoiser<Array2<f32>> for LogNormalMixture {
    fn denoise(&self, y_bar: &Array2<f32>, v: f64) -> Result<Array2<f32>, DenoiseError> {
        check_columns(y_bar, self.dim())?;
        check_level(v)?;
        let mut out = Array2::zeros(y_bar.raw_dim());
        let rows = y_bar.as_standard_layout();
        if let (Some(from), Some(to)) = (rows.as_slice(), out.as_slice_mut()) {
            self.denoise_rows(from, v, to);
        }
        Ok(out)
    }
}

fn check_columns<T>(y_bar: &Array2<T>, columns: usize) -> Result<(), DenoiseError> {
    if y_bar.ncols() == columns {
        Ok(())
    } else {
        Err(DenoiseError::Shape { expected: vec![y_bar.nrows(), columns], found: y_bar.shape().to_vec() })
    }
}

/// Rows are samples, columns independent coordinates with the same law; any number of them.
impl Denoiser<Array2<f64>> for Gamma {
    fn denoise(&self, y_bar: &Array2<f64>, v: f64) -> Result<Array2<f64>, DenoiseError> {
        check_level(v)?;
        let denoised = y_bar.mapv(|y| self.marginal(y, v).denoised);
        if denoised.iter().all(|d| d.is_finite()) {
            Ok(denoised)
        } else {
            Err(DenoiseError::NonFinite { what: "the state, or the posterior mean", v })
        }
    }
}

/// A level is a finite number that is not negative.
pub(crate) fn check_level(v: f64) -> Result<(), DenoiseError> {
    if v.is_finite() && v >= 0.0 {
        Ok(())
    } else {
        Err(DenoiseError::NonFinite { what: "the level itself (or it is negative)", v })
    }
}
