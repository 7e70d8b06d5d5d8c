//! The normal law of `Y_0 = ln X_0` whose covariance is of low rank plus a diagonal, fitted to a data set.
//!
//! ```math
//! S \approx L L^\top + \mathrm{diag}(\psi), \qquad L \in \mathbb R^{d \times k}, \qquad
//! \bar Y = \mu + L a + \sqrt{\psi + v} \odot b, \quad a \sim N(0, I_k),\ b \sim N(0, I_d)
//! ```
//!
//! The fit is least squares over the whole covariance `S`, `min ‖S − LLᵀ − diag(ψ)‖` with `ψ ≥ 0`, by principal axes:
//! in turn `L` from the `k` largest eigenvalues of `S − diag(ψ)`, and `ψ` from what is left on the diagonal; no turn
//! makes it worse. It is exact where `S` has that form, and keeps all variances where `ψ` is positive. Least squares is
//! what matters at high noise: the divergence from `N(μ, S + vI)` is `‖S − LLᵀ − diag(ψ)‖²/(4v²)` to the leading order
//! in `1/v`.
//!
//! Source: Harman and Jones, *Factor analysis by minimizing residuals*, Psychometrika 31 (1966).
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use faer::{Mat, MatRef};
use gbm_sde::{Noise, Stream};
use ndarray::{Array2, ArrayView2};

use crate::error::{ScoreError, not_negative, same_shape};
use crate::linear::{eigen, moments};

/// Turns after which the fit ends in any case.
const TURNS: usize = 1000;
/// The fit ends when no element of `ψ` moves by more than this part of the largest variance.
const SETTLED: f64 = 1e-9;

/// A normal law in `d` dimensions with covariance `LLᵀ + diag(ψ)`.
///
/// ```
/// use ndarray::array;
/// use score_match::LowRankNormal;
/// // Three coordinates that share one factor, and noise of their own.
/// let covariance = array![[1.5, 2.0, 3.0], [2.0, 4.2, 6.0], [3.0, 6.0, 9.1]];
/// let law = LowRankNormal::from_moments(vec![0.0; 3], covariance.view(), 1)?;
/// assert!((law.covariance() - &covariance).iter().all(|difference| difference.abs() < 1e-4));
/// assert!(law.diagonal().iter().zip([0.5, 0.2, 0.1]).all(|(a, b)| (a - b).abs() < 1e-4));
/// # Ok::<(), score_match::ScoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LowRankNormal {
    mean: Vec<f64>,
    /// d × k.
    factors: Array2<f64>,
    /// Not negative.
    diagonal: Vec<f64>,
}

impl LowRankNormal {
    /// Fits mean and covariance (divisor `n`) to the rows of an n × d array of clean logarithms `ln x_0`, with `rank =
    /// k`.
    ///
    /// ```
    /// use ndarray::array;
    /// use score_match::LowRankNormal;
    /// // Two rows differ along one direction only.
    /// let law = LowRankNormal::fit(array![[0.0, 0.0], [6.0, 8.0]].view(), 1)?;
    /// assert_eq!((law.dim(), law.rank(), law.mean()), (2, 1, &[3.0, 4.0][..]));
    /// assert!((law.covariance()[[0, 1]] - 12.0).abs() < 1e-4);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    ///
    /// # Errors
    /// With fewer than two rows, no columns, a value that is not finite, or a rank that is 0 or above `d`.
    pub fn fit(rows: ArrayView2<'_, f32>, rank: usize) -> Result<Self, ScoreError> {
        let (mean, covariance) = moments(rows)?;
        Self::of(mean, covariance.as_ref(), rank)
    }

    /// The law for a given mean (d) and symmetric covariance (d × d; its lower triangle is read).
    ///
    /// # Errors
    /// When the shapes do not fit, the rank is 0 or above `d`, or the eigenvalues cannot be computed.
    pub fn from_moments(mean: Vec<f64>, covariance: ArrayView2<'_, f64>, rank: usize) -> Result<Self, ScoreError> {
        let d = mean.len();
        same_shape("the covariance", covariance.shape(), &[d, d])?;
        Self::of(mean, Mat::from_fn(d, d, |i, j| covariance[[i, j]]).as_ref(), rank)
    }

    fn of(mean: Vec<f64>, covariance: MatRef<'_, f64>, rank: usize) -> Result<Self, ScoreError> {
        let d = mean.len();
        if rank == 0 {
            return Err(ScoreError::TooFew { name: "the rank", least: 1, value: rank });
        }
        if rank > d {
            return Err(ScoreError::TooMany { name: "the rank", most: d, value: rank });
        }
        let variances: Vec<f64> = (0..d).map(|i| covariance[(i, i)]).collect();
        let largest = variances.iter().copied().fold(0.0, f64::max);
        let mut reduced = covariance.to_owned();
        let mut law = Self { mean, factors: Array2::zeros((d, rank)), diagonal: vec![0.0; d] };
        for _ in 0..TURNS {
            let (values, vectors) = eigen(reduced.as_ref())?;
            law.factors = Array2::from_shape_fn((d, rank), |(i, k)| vectors[(i, k)] * values[k].sqrt());
            let mut moved = 0.0_f64;
            for (i, (psi, factors)) in law.diagonal.iter_mut().zip(law.factors.rows()).enumerate() {
                let left = (variances[i] - factors.dot(&factors)).max(0.0);
                moved = moved.max((left - *psi).abs());
                *psi = left;
                reduced[(i, i)] = variances[i] - left;
            }
            if moved <= SETTLED * largest {
                break;
            }
        }
        Ok(law)
    }

    /// Number of dimensions `d`.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Number of factors `k`.
    pub fn rank(&self) -> usize {
        self.factors.ncols()
    }

    /// Mean `μ` of `ln x_0` (d).
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The factors `L` (d × k).
    pub fn factors(&self) -> ArrayView2<'_, f64> {
        self.factors.view()
    }

    /// The diagonal `ψ` (d), not negative.
    pub fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    /// The covariance `LLᵀ + diag(ψ)` (d × d).
    pub fn covariance(&self) -> Array2<f64> {
        let mut covariance = self.factors.dot(&self.factors.t());
        covariance.diag_mut().iter_mut().zip(&self.diagonal).for_each(|(to, psi)| *to += psi);
        covariance
    }

    /// `count` draws of `ȳ` at log variance `v` (count × d) from addressed noise: row `i` is index `first_index + i`,
    /// with the `d` normals of step 0 for the diagonal and the `k` of step 1 for the factors. A row has the same bits
    /// whatever the batch.
    ///
    /// ```
    /// use gbm_sde::{Noise, Stream};
    /// let law = score_match::LowRankNormal::from_moments(vec![0.0; 2], ndarray::array![[2.0, 1.0], [1.0, 2.0]].view(), 1)?;
    /// let draw = |first_index, count| law.sample_rows(&Noise::new(3), Stream::PRIOR, first_index, count, 0.5);
    /// assert_eq!(draw(10, 4).row(2), draw(12, 1).row(0));
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    pub fn sample_rows(&self, noise: &Noise, stream: Stream, first_index: u64, count: usize, v: f64) -> Array2<f64> {
        let (d, k) = self.factors.dim();
        let mut out = vec![0.0; count * d];
        let mut along = vec![0.0; count * k];
        noise.rows_normal_f64(stream, first_index, 0, &mut out, d);
        noise.rows_normal_f64(stream, first_index, 1, &mut along, k);
        let spread: Vec<f64> = self.diagonal.iter().map(|psi| (psi + v).sqrt()).collect();
        // Sums in a fixed order, not a matrix product, whose order may depend on the number of rows.
        for (row, a) in out.chunks_mut(d).zip(along.chunks(k)) {
            for (((y, factors), mu), spread) in row.iter_mut().zip(self.factors.rows()).zip(&self.mean).zip(&spread) {
                *y = mu + factors.iter().zip(a).map(|(l, a)| l * a).sum::<f64>() + spread * *y;
            }
        }
        Array2::from_shape_vec((count, d), out).expect("the vector has count · d values")
    }

    /// `ln N(ȳ; μ, LLᵀ + diag(ψ) + vI)` of each row of `y_bar` (n × d), in nats, by Woodbury's formula: with `A =
    /// diag(ψ + v)`, `K = I + LᵀA⁻¹L` and `e = ȳ − μ`, the exponent is `eᵀA⁻¹e − (LᵀA⁻¹e)ᵀ K⁻¹ (LᵀA⁻¹e)` and the
    /// determinant `|A| |K|`.
    ///
    /// ```
    /// use ndarray::array;
    /// let law = score_match::LowRankNormal::from_moments(vec![0.0; 2], array![[3.0, 0.0], [0.0, 3.0]].view(), 1)?;
    /// let density = law.log_pdf(array![[0.0, 0.0]].view(), 1.0)?;
    /// assert!((density[0] + (std::f64::consts::TAU * 4.0).ln()).abs() < 1e-12);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    ///
    /// # Errors
    /// When `v` is negative or not finite, a coordinate has no variance at all, or the rows do not have `d` values.
    pub fn log_pdf(&self, y_bar: ArrayView2<'_, f64>, v: f64) -> Result<Vec<f64>, ScoreError> {
        let (d, k) = self.factors.dim();
        same_shape("the state", y_bar.shape(), &[y_bar.nrows(), d])?;
        not_negative("v", v)?;
        let precision: Vec<f64> = self.diagonal.iter().map(|psi| 1.0 / (psi + v)).collect();
        if let Some(&value) = precision.iter().find(|value| !value.is_finite()) {
            return Err(ScoreError::NotFinite { name: "the reciprocal of a variance", value });
        }
        let scaled = Array2::from_shape_fn((d, k), |(i, j)| self.factors[[i, j]] * precision[i]);
        let inner = self.factors.t().dot(&scaled);
        let unit = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
        let (values, vectors) = eigen(Mat::from_fn(k, k, |i, j| inner[[i, j]] + unit(i, j)).as_ref())?;
        let determinant =
            values.iter().map(|value| value.ln()).sum::<f64>() - precision.iter().map(|p| p.ln()).sum::<f64>();
        let constant = -0.5 * (d as f64 * std::f64::consts::TAU.ln() + determinant);
        let density = |row: ndarray::ArrayView1<'_, f64>| {
            let offset: Vec<f64> = row.iter().zip(&self.mean).map(|(y, mu)| y - mu).collect();
            let plain: f64 = offset.iter().zip(&precision).map(|(e, p)| e * e * p).sum();
            let along = scaled.t().dot(&ndarray::aview1(&offset));
            let inside = (0..k).map(|j| {
                let projected: f64 = (0..k).map(|i| vectors[(i, j)] * along[i]).sum();
                projected * projected / values[j]
            });
            constant - 0.5 * (plain - inside.sum::<f64>())
        };
        Ok(y_bar.rows().into_iter().map(density).collect())
    }
}
