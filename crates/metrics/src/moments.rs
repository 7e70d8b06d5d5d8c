//! Mean and unbiased covariance of feature rows, streamed in batches and merged.
//!
//! ```text
//! mean = (1/N) Σ xᵢ,    cov = 1/(N − 1) Σ (xᵢ − mean)(xᵢ − mean)ᵀ
//! ```
//!
//! Every batch is centred on its own mean, taken in two passes, before it is squared, and two partial results are merged by
//! `M = Mₐ + M_b + (nₐ n_b / n) δ δᵀ`, `δ = mean_b − meanₐ` (Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm
//! for computing sample variances*, 1979), so that neither a large common offset nor the order and size of the batches costs
//! accuracy. The covariance is `numpy.cov`'s, with N − 1, as in pytorch-fid.

use faer::Par;
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};

use crate::dense;
use crate::error::{MetricsError, Set, check_features, check_finite};

/// Rows that are centred and squared in one piece: enough for a fast product, little memory.
const BLOCK_ROWS: usize = 512;

/// How far a given covariance may be from symmetric, relative to its largest entry.
const SYMMETRY_TOLERANCE: f64 = 1e-9;

/// Number of rows, mean (length d) and unbiased covariance (d × d, symmetric) of a feature matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    n: usize,
    mean: Array1<f64>,
    cov: Array2<f64>,
}

impl Moments {
    /// Moments known from elsewhere: a statistics file, or a Gaussian of theory. `n` is the number of rows behind them (0 when
    /// unknown), `mean` has length d and `cov` is d × d.
    ///
    /// # Errors
    /// Shapes that do not fit, d = 0, a value that is not finite, or a covariance that is not symmetric.
    pub fn new(n: usize, mean: Array1<f64>, cov: Array2<f64>) -> Result<Self, MetricsError> {
        if mean.is_empty() {
            return Err(MetricsError::NoColumns { set: Set::Sample });
        }
        if cov.dim() != (mean.len(), mean.len()) {
            return Err(MetricsError::MomentShape { mean: mean.len(), rows: cov.nrows(), columns: cov.ncols() });
        }
        if let Some((i, &value)) = mean.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(MetricsError::MomentNonFinite { what: "mean", index: (i, 0), value });
        }
        if let Some((index, &value)) = cov.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(MetricsError::MomentNonFinite { what: "covariance", index, value });
        }
        let largest = cov.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        for row in 0..mean.len() {
            for column in 0..row {
                let (left, right) = (cov[(row, column)], cov[(column, row)]);
                if (left - right).abs() > SYMMETRY_TOLERANCE * largest {
                    return Err(MetricsError::NotSymmetric { row, column, left, right });
                }
            }
        }
        Ok(Self { n, mean, cov: cov.as_standard_layout().into_owned() })
    }

    /// Moments of a feature matrix (N × d).
    ///
    /// # Errors
    /// Fewer than two rows, no columns, or a value that is not finite (with its row and column).
    pub fn from_features(features: ArrayView2<'_, f32>) -> Result<Self, MetricsError> {
        Self::of_set(features, Set::Sample)
    }

    pub(crate) fn of_set(features: ArrayView2<'_, f32>, set: Set) -> Result<Self, MetricsError> {
        check_features(features, set)?;
        let mut accumulator = Accumulator::new(features.ncols());
        accumulator.add(features, dense::parallel());
        accumulator.finish()
    }

    /// Number of rows behind the moments; 0 when unknown.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Mean, length d.
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// Unbiased covariance, d × d.
    pub fn cov(&self) -> &Array2<f64> {
        &self.cov
    }

    /// Number of features d.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    pub(crate) fn from_parts(n: usize, mean: Array1<f64>, cov: Array2<f64>) -> Self {
        Self { n, mean, cov }
    }
}

/// Moments under construction: feed it batches, merge it with others, then [`finish`](Self::finish).
#[derive(Clone, Debug)]
pub struct Accumulator {
    n: usize,
    mean: Array1<f64>,
    /// Lower triangle of Σ (x − mean)(x − mean)ᵀ.
    scatter: Array2<f64>,
}

impl Accumulator {
    /// An empty one for `dimension` features.
    pub fn new(dimension: usize) -> Self {
        Self { n: 0, mean: Array1::zeros(dimension), scatter: Array2::zeros((dimension, dimension)) }
    }

    /// Rows seen so far.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Takes in a batch of rows (n × d); any n, also 0. On an error nothing is taken in.
    ///
    /// # Errors
    /// [`MetricsError::BatchDimension`], or [`MetricsError::NonFinite`] with row and column counted within this batch.
    pub fn push(&mut self, batch: ArrayView2<'_, f32>) -> Result<(), MetricsError> {
        if batch.ncols() != self.mean.len() {
            return Err(MetricsError::BatchDimension { expected: self.mean.len(), found: batch.ncols() });
        }
        check_finite(batch, Set::Sample)?;
        self.add(batch, dense::parallel());
        Ok(())
    }

    fn add(&mut self, batch: ArrayView2<'_, f32>, par: Par) {
        let count = batch.nrows();
        if count == 0 {
            return;
        }
        // Twice, so that what rounding leaves of the first mean is taken off, too.
        let mut mean = Array1::<f64>::zeros(batch.ncols());
        for _ in 0..2 {
            let mut sum = Array1::<f64>::zeros(batch.ncols());
            for block in batch.axis_chunks_iter(Axis(0), BLOCK_ROWS) {
                let mut part = Array1::<f64>::zeros(batch.ncols());
                for row in block.outer_iter() {
                    Zip::from(&mut part).and(row).and(&mean).for_each(|to, &from, mean| *to += f64::from(from) - mean);
                }
                sum += &part;
            }
            mean += &(sum / count as f64);
        }
        let mut scatter = Array2::zeros(self.scatter.dim());
        let mut rows = Array2::<f64>::zeros((count.min(BLOCK_ROWS), batch.ncols()));
        for block in batch.axis_chunks_iter(Axis(0), BLOCK_ROWS) {
            let mut rows = rows.slice_axis_mut(Axis(0), (..block.nrows()).into());
            for (to, from) in rows.outer_iter_mut().zip(block.outer_iter()) {
                Zip::from(to).and(from).and(&mean).for_each(|to, &from, mean| *to = f64::from(from) - mean);
            }
            dense::add_gram_lower(&mut scatter, rows.view(), par);
        }
        self.absorb(count, &mean, &scatter);
    }

    /// Takes in everything that another accumulator has seen.
    ///
    /// # Errors
    /// [`MetricsError::BatchDimension`].
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        if other.mean.len() != self.mean.len() {
            return Err(MetricsError::BatchDimension { expected: self.mean.len(), found: other.mean.len() });
        }
        self.absorb(other.n, &other.mean, &other.scatter);
        Ok(())
    }

    fn absorb(&mut self, count: usize, mean: &Array1<f64>, scatter: &Array2<f64>) {
        if count == 0 {
            return;
        }
        let total = (self.n + count) as f64;
        let delta = mean - &self.mean;
        let weight = self.n as f64 * count as f64 / total;
        self.scatter += scatter;
        dense::add_outer_lower(&mut self.scatter, weight, &delta);
        self.mean.scaled_add(count as f64 / total, &delta);
        self.n += count;
    }

    /// The moments of everything seen.
    ///
    /// # Errors
    /// Fewer than two rows, or no columns.
    pub fn finish(self) -> Result<Moments, MetricsError> {
        if self.n < 2 {
            return Err(MetricsError::TooFewRows { set: Set::Sample, rows: self.n });
        }
        if self.mean.is_empty() {
            return Err(MetricsError::NoColumns { set: Set::Sample });
        }
        let mut cov = self.scatter;
        cov /= (self.n - 1) as f64;
        dense::mirror_lower(&mut cov);
        Ok(Moments { n: self.n, mean: self.mean, cov })
    }
}
