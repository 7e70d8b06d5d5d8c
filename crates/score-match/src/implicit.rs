//! Implicit multiplicative score matching: a loss of the model and of data alone, without any known score or noise.
//!
//! ```math
//! \text{M-ISM}(\theta) = \mathbb{E} \sum_i \Big[ \tfrac12 h_i^2 + h_i + x_i \frac{\partial h_i}{\partial x_i} \Big]
//!   = \mathbb{E} \Big[ \tfrac12 \|h\|^2 + \textstyle\sum_i h_i + \operatorname{tr} J \Big],
//! \qquad J = \frac{\partial h}{\partial y}, \quad y = \ln x
//! ```
//!
//! The derivative in the sum is a plain one in log space, `$x_i\, \partial/\partial x_i = \partial/\partial y_i$`, so models
//! are taken as functions of `$y$` (or of the centred `$\bar y$`, which differs by a shift). The trace is
//!
//! * exact, from `$d$` directional derivatives ([`Trace::Exact`]), in low dimension;
//! * Hutchinson's `$u^\top J u$` with random `$u$` ([`Trace::Hutchinson`]), in high.
//!
//! The sliced loss (Song, Garg, Shi and Ermon 2020) matches projections, `$\tfrac12 \mathbb{E} (u^\top h - u^\top h^*)^2$`.
//! Integration by parts as in [`crate::loss`] turns it into
//!
//! ```math
//! \text{sliced M-ISM}(\theta) = \mathbb{E} \Big[ \tfrac12 (u^\top h)^2 + \big( \textstyle\sum_j u_j \big)\, u^\top h
//!   + u^\top J u \Big] + \text{const}
//! ```
//!
//! whose mean over `$u$` with `$\mathbb{E}[u u^\top] = I$` is M-ISM. Taking the mean of the first two terms in closed form gives
//! M-ISM with Hutchinson's trace, which is therefore Song et al.'s variance-reduced variant.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};

use crate::denoiser::Denoiser;
use crate::error::{ScoreError, positive, same_shape};
use crate::loss::mean;
use crate::probe::Probes;
use crate::term;

/// Step of the default difference quotient, in units of `y`: its error is about `1e-12` for scores of order one.
const STEP: f64 = 1e-3;

/// A model of the Hyvärinen score, as a function of the logarithm `y` (rows are samples): any closure, or a type that knows
/// its own derivatives.
///
/// ```
/// use ndarray::{Array2, array};
/// use score_match::{ScoreError, ScoreModel, Trace, implicit::implicit};
/// /// The score of a log-normal: h = −1 − y/σ².
/// struct LogNormal { variance: f64 }
/// impl ScoreModel for LogNormal {
///     fn score(&self, y: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
///         Ok(-y / self.variance - 1.0)
///     }
///     fn directional(&self, _: &Array2<f64>, u: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
///         Ok(-u / self.variance)
///     }
/// }
/// // At y = 0: ½ − 1 − 1/σ².
/// let loss = implicit(&LogNormal { variance: 0.5 }, &array![[0.0]], Trace::Exact)?;
/// assert_eq!(loss, 0.5 - 1.0 - 2.0);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
pub trait ScoreModel {
    /// `h(y)`, of the shape of `y`.
    ///
    /// # Errors
    /// When the model fails.
    fn score(&self, y: &Array2<f64>) -> Result<Array2<f64>, ScoreError>;

    /// `(∂h/∂y) u` for each row, with directions `u` of the shape of `y`. By default the central difference quotient of
    /// fourth order, at the price of four calls.
    ///
    /// ```
    /// use ndarray::{Array2, array};
    /// use score_match::ScoreModel;
    /// let model = |y: &Array2<f64>| y.mapv(f64::sin);
    /// let (y, u) = (array![[0.3, -0.5]], array![[1.0, 2.0]]);
    /// let slope = model.directional(&y, &u)?;
    /// assert!((slope[[0, 0]] - f64::cos(0.3)).abs() < 1e-10 && (slope[[0, 1]] - 2.0 * f64::cos(0.5)).abs() < 1e-10);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    ///
    /// # Errors
    /// When the model fails, or its answer or `u` has another shape than `y`.
    fn directional(&self, y: &Array2<f64>, u: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
        same_shape("the direction", u.shape(), y.shape())?;
        let at = |steps: f64| score_of(self, &(y + &(u * (steps * STEP))));
        Ok(((at(1.0)? - at(-1.0)?) * 8.0 - (at(2.0)? - at(-2.0)?)) / (12.0 * STEP))
    }
}

impl<F: Fn(&Array2<f64>) -> Array2<f64>> ScoreModel for F {
    fn score(&self, y: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
        Ok(self(y))
    }
}

/// A denoiser at one log variance `v > 0`, as a model of the Hyvärinen score: `h = (D − ȳ)/v − 1`.
///
/// ```
/// use gbm_sde::LogNormalMixture;
/// use ndarray::array;
/// use score_match::{ScoreAt, ScoreModel};
/// // One log-normal: noised, ln x is normal with variance 0.2 + v.
/// let truth = LogNormalMixture::new(vec![1.0], vec![vec![0.0]], vec![vec![0.2]])?;
/// let h = ScoreAt { denoiser: &truth, v: 0.3 }.score(&array![[0.7]])?;
/// assert!((h[[0, 0]] - (-1.0 - 0.7 / 0.5)).abs() < 1e-14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ScoreAt<'a, D> {
    /// The denoiser.
    pub denoiser: &'a D,
    /// The level.
    pub v: f64,
}

impl<D: Denoiser<Array2<f64>>> ScoreModel for ScoreAt<'_, D> {
    fn score(&self, y: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
        positive("v", self.v)?;
        let denoised = self.denoiser.denoise(y, self.v)?;
        same_shape("the denoiser's answer", denoised.shape(), y.shape())?;
        Ok((denoised - y) / self.v - 1.0)
    }
}

/// How the trace of `∂h/∂y` is found.
///
/// ```
/// use ndarray::{Array2, array};
/// use score_match::{Probes, Trace, implicit::implicit};
/// // One probe of random signs is exact where coordinates do not mix: u_i² = 1.
/// let model = |y: &Array2<f64>| y.mapv(f64::sin);
/// let y = array![[0.3, -0.5], [1.1, 0.2]];
/// let (exact, random) = (implicit(&model, &y, Trace::Exact)?, implicit(&model, &y, Trace::Hutchinson(Probes::new(7)))?);
/// assert!((exact - random).abs() < 1e-10);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Trace {
    /// `d` directional derivatives.
    #[default]
    Exact,
    /// The mean of `uᵀ(∂h/∂y)u` over random probes.
    Hutchinson(Probes),
}

/// M-ISM of each row (n) from the scores `h` and the derivatives `slopes = ∂h_i/∂y_i = x_i ∂h_i/∂x_i` (both n × d).
///
/// ```
/// use ndarray::array;
/// // h = 2 − 3x in each of two coordinates, so x ∂h/∂x = −3x; at x = (0.5, 1).
/// let rows = score_match::implicit::rows_from_slopes(array![[0.5, -1.0]].view(), array![[-1.5, -3.0]].view())?;
/// assert_eq!(rows[0], (0.125 + 0.5 - 1.5) + (0.5 - 1.0 - 3.0));
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// When the shapes differ.
pub fn rows_from_slopes(h: ArrayView2<'_, f64>, slopes: ArrayView2<'_, f64>) -> Result<Array1<f64>, ScoreError> {
    same_shape("the slopes", slopes.shape(), h.shape())?;
    Ok(Zip::from(h.rows()).and(slopes.rows()).map_collect(|h, slopes| {
        Zip::from(h).and(slopes).fold(0.0, |sum, h, slope| {
            let Ok(term) = term::implicit(h, slope);
            sum + term
        })
    }))
}

/// M-ISM of each row (n) of a model at the logarithms `y` (n × d).
///
/// ```
/// use ndarray::{Array2, array};
/// use score_match::{Trace, implicit::implicit_rows};
/// // h = −y has the trace −d.
/// let rows = implicit_rows(&|y: &Array2<f64>| -y, &array![[0.3, -0.5], [0.0, 0.0]], Trace::Exact)?;
/// assert!((rows[0] - (0.5 * 0.34 + 0.2 - 2.0)).abs() < 1e-11 && (rows[1] + 2.0).abs() < 1e-11);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// When the model fails, its answer has another shape, or there is no probe.
pub fn implicit_rows<M: ScoreModel>(model: &M, y: &Array2<f64>, trace: Trace) -> Result<Array1<f64>, ScoreError> {
    let h = score_of(model, y)?;
    let mut slopes = Array2::zeros(y.raw_dim());
    match trace {
        Trace::Exact => {
            for i in 0..y.ncols() {
                let mut direction = Array2::zeros(y.raw_dim());
                direction.column_mut(i).fill(1.0);
                slopes.column_mut(i).assign(&directional_of(model, y, &direction)?.column(i));
            }
        }
        Trace::Hutchinson(probes) => each_probe(probes, y, |u| {
            slopes = &slopes + &(directional_of(model, y, u)? * u / f64::from(probes.count));
            Ok(())
        })?,
    }
    rows_from_slopes(h.view(), slopes.view())
}

/// M-ISM of a model at the logarithms `y` (n × d): the mean of [`implicit_rows`].
///
/// ```
/// use ndarray::{Array2, array};
/// use score_match::implicit::{Trace, implicit};
/// // h = y₂ y, so tr ∂h/∂y = y₂ + 2 y₂
/// let model = |y: &Array2<f64>| y * &y.column(1).insert_axis(ndarray::Axis(1));
/// let (a, b) = (0.3, -0.5);
/// let loss = implicit(&model, &array![[a, b]], Trace::Exact)?;
/// assert!((loss - (0.5 * b * b * (a * a + b * b) + b * (a + b) + 3.0 * b)).abs() < 1e-11);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// Those of [`implicit_rows`], and when there is no row.
pub fn implicit<M: ScoreModel>(model: &M, y: &Array2<f64>, trace: Trace) -> Result<f64, ScoreError> {
    mean(&implicit_rows(model, y, trace)?)
}

/// Sliced M-ISM of each row (n) of a model at the logarithms `y` (n × d), averaged over the row's probes.
///
/// ```
/// use ndarray::{Array2, array};
/// use score_match::{Probes, Trace, implicit};
/// // In one dimension a random sign squares to 1, and each row's sliced loss is its implicit loss.
/// let (model, y) = (|y: &Array2<f64>| y.mapv(f64::sin), array![[0.3], [-0.5]]);
/// let sliced = implicit::sliced_rows(&model, &y, Probes::new(7))?;
/// let implicit = implicit::implicit_rows(&model, &y, Trace::Exact)?;
/// assert!((sliced - implicit).iter().all(|difference| difference.abs() < 1e-10));
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// When the model fails, its answer has another shape, or there is no probe.
pub fn sliced_rows<M: ScoreModel>(model: &M, y: &Array2<f64>, probes: Probes) -> Result<Array1<f64>, ScoreError> {
    let h = score_of(model, y)?;
    let mut out = Array1::zeros(y.nrows());
    each_probe(probes, y, |u| {
        let projection = (&h * u).sum_axis(Axis(1));
        let slope = (directional_of(model, y, u)? * u).sum_axis(Axis(1));
        Zip::from(&mut out).and(&projection).and(&u.sum_axis(Axis(1))).and(&slope).for_each(|out, p, total, slope| {
            let Ok(term) = term::sliced(p, total, slope);
            *out += term / f64::from(probes.count);
        });
        Ok(())
    })?;
    Ok(out)
}

/// Sliced M-ISM of a model at the logarithms `y` (n × d): the mean of [`sliced_rows`].
///
/// ```
/// use ndarray::{Array2, array};
/// use score_match::{Probes, implicit::sliced};
/// // The score −1 has uᵀh = −Σu and no slope: −½ (Σu)².
/// let probes = Probes::new(7);
/// let total = probes.rows(0, 1, 3).sum();
/// let loss = sliced(&|y: &Array2<f64>| Array2::from_elem(y.raw_dim(), -1.0), &array![[0.3, -0.5, 1.0]], probes)?;
/// assert!((loss + 0.5 * total * total).abs() < 1e-12);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// Those of [`sliced_rows`], and when there is no row.
pub fn sliced<M: ScoreModel>(model: &M, y: &Array2<f64>, probes: Probes) -> Result<f64, ScoreError> {
    mean(&sliced_rows(model, y, probes)?)
}

pub(crate) fn each_probe(
    probes: Probes,
    y: &Array2<f64>,
    mut action: impl FnMut(&Array2<f64>) -> Result<(), ScoreError>,
) -> Result<(), ScoreError> {
    if probes.count == 0 {
        return Err(ScoreError::TooFew { name: "the number of probes", least: 1, value: 0 });
    }
    (0..probes.count).try_for_each(|probe| action(&probes.rows(probe, y.nrows(), y.ncols())))
}

fn score_of<M: ScoreModel + ?Sized>(model: &M, y: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
    let h = model.score(y)?;
    same_shape("the score", h.shape(), y.shape())?;
    Ok(h)
}

fn directional_of<M: ScoreModel>(model: &M, y: &Array2<f64>, u: &Array2<f64>) -> Result<Array2<f64>, ScoreError> {
    let derivative = model.directional(y, u)?;
    same_shape("the directional derivative", derivative.shape(), y.shape())?;
    Ok(derivative)
}
