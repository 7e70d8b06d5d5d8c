//! The best linear denoiser of a data set, in closed form: what any network has to beat.
//!
//! ```math
//! \begin{aligned}
//! D(\bar y, v) &= \mu + C (C + v I)^{-1} (\bar y - \mu) = \mu + Q\, \mathrm{diag}\Bigl(\frac{\lambda_i}{\lambda_i + v}\Bigr) Q^\top (\bar y - \mu) \\
//! \mathbb E \|Y_0 - D\|^2 &= \sum_i \frac{\lambda_i v}{\lambda_i + v}
//! \end{aligned}
//! ```
//!
//! with mean `μ` and covariance `C = Q diag(λ) Qᵀ` of `Y_0 = ln X_0`. It is the linear minimum-mean-square-error (Wiener)
//! estimator, and the exact denoiser of the full-covariance log-normal with these moments, which [`LinearDenoiser::sample`]
//! draws from.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Side};
use gbm_sde::{LogNormal, Noise, Stream};
use ndarray::{Array2, ArrayView2, Axis};

use crate::denoiser::{DenoiseError, Denoiser, check_level};
use crate::error::{ScoreError, not_negative, same_shape};

/// Rows whose outer products are summed in one matrix product.
const BLOCK_ROWS: usize = 1024;

/// The linear minimum-mean-square-error denoiser of `d`-dimensional log data.
///
/// ```
/// use ndarray::array;
/// use score_match::{Denoiser, LinearDenoiser};
/// let wiener = LinearDenoiser::from_moments(vec![0.5, 0.0], array![[2.0, 0.0], [0.0, 0.1]].view())?;
/// assert_eq!((wiener.dim(), wiener.mean()), (2, &[0.5, 0.0][..]));
/// assert!(wiener.eigenvalues().iter().zip([2.0, 0.1]).all(|(a, b)| (a - b).abs() < 1e-14));
/// // Each axis shrinks towards the mean by λ/(λ + v).
/// let d = wiener.denoise(&array![[1.5, 1.0]], 0.5)?;
/// assert!((d[[0, 0]] - (0.5 + 2.0 / 2.5)).abs() < 1e-14 && (d[[0, 1]] - 0.1 / 0.6).abs() < 1e-14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LinearDenoiser {
    mean: Vec<f64>,
    /// Falling, not negative.
    eigenvalues: Vec<f64>,
    /// d × d; column `i` belongs to eigenvalue `i`.
    vectors: Mat<f64>,
}

impl LinearDenoiser {
    /// Fits mean and covariance (divisor `n`) to the rows of an n × d array of clean logarithms `ln x_0`.
    ///
    /// Accumulates in double precision by matrix products over blocks of rows; 60,000 × 784 takes seconds.
    ///
    /// ```
    /// use ndarray::array;
    /// // Two rows differ along one direction only, by twice the distance of each to their mean.
    /// let wiener = score_match::LinearDenoiser::fit(array![[0.0, 0.0], [6.0, 8.0]].view())?;
    /// assert_eq!(wiener.mean(), [3.0, 4.0]);
    /// assert!((wiener.eigenvalues()[0] - 25.0).abs() < 1e-12 && wiener.eigenvalues()[1].abs() < 1e-12);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    ///
    /// # Errors
    /// With fewer than two rows, no columns, or a value that is not finite.
    pub fn fit(rows: ArrayView2<'_, f32>) -> Result<Self, ScoreError> {
        let (mean, covariance) = moments(rows)?;
        Self::from_matrix(mean, covariance.as_ref())
    }

    /// The denoiser for a given mean (d) and symmetric covariance (d × d; its lower triangle is read).
    ///
    /// ```
    /// use ndarray::array;
    /// let wiener = score_match::LinearDenoiser::from_moments(vec![0.0, 0.0], array![[2.0, 1.0], [1.0, 2.0]].view())?;
    /// // along (1, 1) and (1, −1)
    /// assert!((wiener.eigenvalues()[0] - 3.0).abs() < 1e-14 && (wiener.eigenvalues()[1] - 1.0).abs() < 1e-14);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    ///
    /// # Errors
    /// When the shapes do not fit or the eigenvalues cannot be computed.
    pub fn from_moments(mean: Vec<f64>, covariance: ArrayView2<'_, f64>) -> Result<Self, ScoreError> {
        let d = mean.len();
        same_shape("the covariance", covariance.shape(), &[d, d])?;
        let matrix = Mat::from_fn(d, d, |i, j| covariance[[i, j]]);
        Self::from_matrix(mean, matrix.as_ref())
    }

    fn from_matrix(mean: Vec<f64>, covariance: MatRef<'_, f64>) -> Result<Self, ScoreError> {
        let (eigenvalues, vectors) = eigen(covariance)?;
        Ok(Self { mean, eigenvalues, vectors })
    }

    /// Mean of `ln x_0` (d).
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Eigenvalues of the covariance of `ln x_0` (d), falling, not negative.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }

    /// Number of dimensions `d`.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The expected squared error `E‖Y_0 − D(Ȳ, v)‖²` at log variance `v ≥ 0`, summed over coordinates: `Σ λ v/(λ + v)`.
    ///
    /// ```
    /// use ndarray::array;
    /// let wiener = score_match::LinearDenoiser::from_moments(vec![0.0, 0.0], array![[2.0, 1.0], [1.0, 2.0]].view())?;
    /// // In noise alone nothing better than the mean is known: the trace of the covariance is left.
    /// assert!((wiener.expected_loss(1e15) - 4.0).abs() < 1e-13 && wiener.expected_loss(0.0) == 0.0);
    /// assert!((wiener.expected_loss(1.0) - (3.0 / 4.0 + 1.0 / 2.0)).abs() < 1e-14);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    pub fn expected_loss(&self, v: f64) -> f64 {
        let term = |&lambda: &f64| if v > 0.0 { lambda * v / (lambda + v) } else { 0.0 };
        self.eigenvalues.iter().map(term).sum()
    }

    /// The draw of `ln x` from the full-covariance log-normal that belongs to `d` standard normals: `μ + Q √λ z`.
    ///
    /// ```
    /// use ndarray::array;
    /// let wiener = score_match::LinearDenoiser::from_moments(vec![0.5, 1.0], array![[4.0, 0.0], [0.0, 4.0]].view())?;
    /// let y = wiener.sample(&[0.3, 0.4])?;
    /// // The same in all directions: twice as far from the mean as z from 0, whichever way the eigenvectors point.
    /// assert!(((y[0] - 0.5).hypot(y[1] - 1.0) - 2.0 * 0.5).abs() < 1e-14);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    ///
    /// # Errors
    /// When `z` does not have `d` values.
    pub fn sample(&self, z: &[f64]) -> Result<Vec<f64>, ScoreError> {
        same_shape("the noise", &[z.len()], &[self.dim()])?;
        Ok(self.colour(z.to_vec()))
    }

    /// `count` draws of `ln x` (count × d) from addressed noise: row `i` is index `first_index + i`, step 0.
    ///
    /// ```
    /// use gbm_sde::{Noise, Stream};
    /// use ndarray::array;
    /// let wiener = score_match::LinearDenoiser::from_moments(vec![0.0, 0.0], array![[2.0, 1.0], [1.0, 2.0]].view())?;
    /// let draw = |first_index, count| wiener.sample_rows(&Noise::new(3), Stream::PRIOR, first_index, count);
    /// // Draw 12 is draw 12, whatever the batch.
    /// assert!((draw(10, 4).row(2).to_owned() - draw(12, 1).row(0)).iter().all(|difference| difference.abs() < 1e-14));
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    pub fn sample_rows(&self, noise: &Noise, stream: Stream, first_index: u64, count: usize) -> Array2<f64> {
        let mut z = vec![0.0; count * self.dim()];
        noise.rows_normal_f64(stream, first_index, 0, &mut z, self.dim());
        self.array(self.colour(z), count)
    }

    /// `ln N(ȳ; μ, C + vI)` of each row of `y_bar` (n × d), in nats by volume of `ȳ`: the density of the full-covariance log-normal
    /// at level `v ≥ 0`.
    ///
    /// ```
    /// use ndarray::array;
    /// let wiener = score_match::LinearDenoiser::from_moments(vec![0.5, 1.0], array![[3.0, 0.0], [0.0, 3.0]].view())?;
    /// let density = wiener.log_pdf(array![[0.5, 3.0]].view(), 1.0)?;
    /// assert!((density[0] + (std::f64::consts::TAU * 4.0).ln() + 0.5 * 4.0 / 4.0).abs() < 1e-14);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    ///
    /// # Errors
    /// When `v` is negative or not finite, a direction has no variance at all, or the rows do not have `d` values.
    pub fn log_pdf(&self, y_bar: ArrayView2<'_, f64>, v: f64) -> Result<Vec<f64>, ScoreError> {
        let (rows, d) = y_bar.dim();
        same_shape("the state", &[rows, d], &[rows, self.dim()])?;
        self.least_variance(v)?;
        let offsets = self.mean.iter().cycle();
        let centred: Vec<f64> = y_bar.iter().zip(offsets).map(|(y, mu)| y - mu).collect();
        let mut along = vec![0.0; rows * d];
        multiply_add(&mut along, &centred, self.vectors.as_ref(), d);
        let term = |(a, lambda): (&f64, &f64)| (std::f64::consts::TAU * (lambda + v)).ln() + a * a / (lambda + v);
        Ok(along.chunks(d).map(|row| -0.5 * row.iter().zip(&self.eigenvalues).map(term).sum::<f64>()).collect())
    }

    /// Kullback–Leibler divergence of `N(μ, C + vI)` from independent pixels that are all of one `law`, in nats: what a prior lacks at
    /// log variance `v ≥ 0`. That of any data with these moments is larger by their own divergence from the normal law.
    ///
    /// ```
    /// use gbm_sde::LogNormal;
    /// use ndarray::array;
    /// let wiener = score_match::LinearDenoiser::from_moments(vec![0.5, 0.5], array![[2.0, 1.0], [1.0, 2.0]].view())?;
    /// // With the right mean and variance only the correlation is missed: −½ ln(1 − ρ²), ρ = 1/(2 + v).
    /// let lacks = wiener.kl_divergence(1.0, &LogNormal::new(0.5, 3.0_f64.sqrt())?)?;
    /// assert!((lacks + 0.5 * (1.0_f64 - 1.0 / 9.0).ln()).abs() < 1e-14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When `v` is negative or not finite, or a direction has no variance at all.
    pub fn kl_divergence(&self, v: f64, law: &LogNormal) -> Result<f64, ScoreError> {
        self.least_variance(v)?;
        // Rotated to the eigenvectors both are independent; the means add their distance, whichever way it points.
        let spread = |lambda: &f64| {
            let along = LogNormal::new(law.mu(), (lambda + v).sqrt()).expect("the least variance was checked");
            along.kl_divergence(law)
        };
        let offset: f64 = self.mean.iter().map(|mu| ((mu - law.mu()) / law.sigma()).powi(2)).sum();
        Ok(self.eigenvalues.iter().map(spread).sum::<f64>() + 0.5 * offset)
    }

    /// Refuses a level that is no variance, or at which a direction has none.
    fn least_variance(&self, v: f64) -> Result<(), ScoreError> {
        not_negative("v", v)?;
        match self.eigenvalues[self.dim() - 1] + v {
            least if least <= 0.0 => Err(ScoreError::NotPositive { name: "the smallest variance", value: least }),
            _ => Ok(()),
        }
    }

    /// `μ + Q √λ z` for rows of normals, one after another.
    fn colour(&self, mut z: Vec<f64>) -> Vec<f64> {
        for row in z.chunks_mut(self.dim()) {
            let scaled = row.iter_mut().zip(&self.eigenvalues);
            scaled.for_each(|(z, lambda)| *z *= lambda.sqrt());
        }
        self.rotate_back(&z)
    }

    /// `μ + Q a` for rows `a`, one after another.
    fn rotate_back(&self, rows: &[f64]) -> Vec<f64> {
        let mut out: Vec<f64> = self.mean.iter().copied().cycle().take(rows.len()).collect();
        multiply_add(&mut out, rows, self.vectors.transpose(), self.dim());
        out
    }

    fn array(&self, values: Vec<f64>, rows: usize) -> Array2<f64> {
        Array2::from_shape_vec((rows, self.dim()), values).expect("the vector was made with rows · d values")
    }
}

/// Mean (d) and covariance (d × d, divisor `n`) of the rows of an n × d array.
pub(crate) fn moments(rows: ArrayView2<'_, f32>) -> Result<(Vec<f64>, Mat<f64>), ScoreError> {
    let (n, d) = rows.dim();
    if n < 2 {
        return Err(ScoreError::TooFew { name: "the number of rows", least: 2, value: n });
    }
    let mut mean = vec![0.0; d];
    for (i, row) in rows.rows().into_iter().enumerate() {
        for (j, (sum, &value)) in mean.iter_mut().zip(row).enumerate() {
            if !value.is_finite() {
                return Err(ScoreError::Data { row: i, column: j, value: f64::from(value) });
            }
            *sum += f64::from(value);
        }
    }
    mean.iter_mut().for_each(|sum| *sum /= n as f64);

    let mut covariance = Mat::zeros(d, d);
    let mut centred = Vec::with_capacity(BLOCK_ROWS.min(n) * d);
    for block in rows.axis_chunks_iter(Axis(0), BLOCK_ROWS) {
        centred.clear();
        for row in block.rows() {
            centred.extend(row.iter().zip(&mean).map(|(&y, mu)| f64::from(y) - mu));
        }
        let block = MatRef::from_row_major_slice(&centred, block.nrows(), d);
        let parallel = faer::get_global_parallelism();
        matmul(covariance.as_mut(), Accum::Add, block.transpose(), block, 1.0 / n as f64, parallel);
    }
    Ok((mean, covariance))
}

/// Eigenvalues of a symmetric matrix (its lower triangle is read), falling, negative ones set to 0, and the eigenvectors as
/// columns.
pub(crate) fn eigen(covariance: MatRef<'_, f64>) -> Result<(Vec<f64>, Mat<f64>), ScoreError> {
    let dim = covariance.nrows();
    if dim == 0 {
        return Err(ScoreError::TooFew { name: "the number of columns", least: 1, value: 0 });
    }
    let refused = |reason: String| ScoreError::Eigen { dim, reason };
    let finite = |j: usize| (0..dim).all(|i| covariance[(i, j)].is_finite());
    if !(0..dim).all(finite) {
        return Err(refused("an entry is not finite".into()));
    }
    let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(|error| refused(format!("{error:?}")))?;
    // The solver sorts upwards; rounding can leave a zero eigenvalue slightly negative.
    let column = eigen.S().column_vector();
    let values = (0..dim).rev().map(|i| column[i].max(0.0)).collect();
    let vectors = Mat::from_fn(dim, dim, |i, j| eigen.U()[(i, dim - 1 - j)]);
    Ok((values, vectors))
}

/// `out += rows · matrix`, with `rows` and `out` row after row of `d` values.
fn multiply_add(out: &mut [f64], rows: &[f64], matrix: MatRef<'_, f64>, d: usize) {
    let n = rows.len() / d;
    matmul(
        MatMut::from_row_major_slice_mut(out, n, d),
        Accum::Add,
        MatRef::from_row_major_slice(rows, n, d),
        matrix,
        1.0,
        faer::get_global_parallelism(),
    );
}

/// Rows are samples, columns the `d` coordinates. At `v = 0` the state is returned as it is.
impl Denoiser<Array2<f64>> for LinearDenoiser {
    fn denoise(&self, y_bar: &Array2<f64>, v: f64) -> Result<Array2<f64>, DenoiseError> {
        let (rows, d) = y_bar.dim();
        if d != self.dim() {
            return Err(DenoiseError::Shape { expected: vec![rows, self.dim()], found: vec![rows, d] });
        }
        check_level(v)?;
        if v == 0.0 {
            return Ok(y_bar.clone());
        }
        let offsets = self.mean.iter().cycle();
        let centred: Vec<f64> = y_bar.iter().zip(offsets).map(|(y, mu)| y - mu).collect();
        let mut rotated = vec![0.0; rows * d];
        multiply_add(&mut rotated, &centred, self.vectors.as_ref(), d);
        for row in rotated.chunks_mut(d) {
            let gains = row.iter_mut().zip(&self.eigenvalues);
            gains.for_each(|(a, lambda)| *a *= lambda / (lambda + v));
        }
        Ok(self.array(self.rotate_back(&rotated), rows))
    }
}
