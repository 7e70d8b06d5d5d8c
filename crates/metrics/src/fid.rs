//! Fréchet distance between two Gaussians (FID, when the Gaussians are fitted to image features).
//!
//! ```text
//! d² = |μ₁ − μ₂|² + tr S₁ + tr S₂ − 2 tr (S₁^½ S₂ S₁^½)^½
//! ```
//!
//! Dowson and Landau, *The Fréchet distance between multivariate normal distributions*, 1982; as a measure of image quality Heusel et
//! al., *GANs trained by a two time-scale update rule converge to a local Nash equilibrium*, 2017.
//!
//! The last trace is the sum of the singular values of `F₁ F₂ᵀ`, where `S = FᵀF`: by Cholesky where S has full rank, otherwise
//! `F = Λ^½ Vᵀ` from a symmetric eigendecomposition. This is symmetric in the two sides, needs no square root of a matrix that is not symmetric (the usual route,
//! which turns complex on rank-deficient covariances), and takes no square root of a rounding error: directions whose eigenvalue is
//! below `d ε λ_max` are noise of the covariance itself and are left out of F.

use std::fmt;

use faer::Par;
use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::dense;
use crate::error::{MetricsError, Set, check_dimensions, check_pair};
use crate::moments::Moments;
use crate::nuclear::{SPLIT, Spread, nuclear_norm};

/// Eigenvalues below minus this times the largest are no rounding error.
const NEGATIVE_TOLERANCE: f64 = 1e-6;

/// How well a covariance was conditioned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Number of rows behind the covariance; 0 when unknown.
    pub n: usize,
    /// Number of features d.
    pub dimension: usize,
    /// Eigenvalues that count as nonzero: above `d ε λ_max`.
    pub rank: usize,
    /// Largest eigenvalue.
    pub largest: f64,
    /// Smallest eigenvalue as computed; slightly negative on a rank-deficient covariance.
    pub smallest: f64,
    /// Eigenvalues set to zero although rounding made them nonzero.
    pub clamped: usize,
}

impl Condition {
    /// Whether there are too few rows for a covariance of full rank (N ≤ d): the distance is then biased upwards by much.
    pub fn too_few_rows(&self) -> bool {
        self.n > 0 && self.n <= self.dimension
    }

    /// The same as something to print, with both numbers.
    pub fn warning(&self) -> Option<FewRows> {
        self.too_few_rows().then_some(FewRows { rows: self.n, features: self.dimension })
    }
}

/// A covariance from no more rows than features. The distance is computed all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FewRows {
    /// Rows N.
    pub rows: usize,
    /// Features d.
    pub features: usize,
}

impl fmt::Display for FewRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, features } = self;
        write!(
            f,
            "{rows} rows for {features} features: the covariance cannot have full rank, and the distance is biased upwards"
        )
    }
}

/// A Fréchet distance and what it is made of. Units: squared feature units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frechet {
    /// `d²`, never below 0: a negative rounding error is set to 0.
    pub distance: f64,
    /// `|μ₁ − μ₂|²`.
    pub mean_term: f64,
    /// `tr S₁ + tr S₂ − 2 tr (S₁^½ S₂ S₁^½)^½`, as computed.
    pub covariance_term: f64,
    /// Condition of the sample side.
    pub sample: Condition,
    /// Condition of the reference side.
    pub reference: Condition,
}

/// A Gaussian whose covariance has been decomposed once, for many distances.
#[derive(Clone, Debug)]
pub struct Prepared {
    moments: Moments,
    trace: f64,
    /// `F`, rank × d, with `S = FᵀF`.
    factor: Array2<f64>,
    condition: Condition,
}

impl Prepared {
    /// Decomposes the covariance.
    ///
    /// # Errors
    /// [`MetricsError::NotPositive`] for a covariance with an eigenvalue far below zero; [`MetricsError::NoConvergence`].
    pub fn new(moments: Moments) -> Result<Self, MetricsError> {
        Self::with(moments, dense::parallel())
    }

    pub(crate) fn with(moments: Moments, par: Par) -> Result<Self, MetricsError> {
        let dimension = moments.dimension();
        let values = dense::symmetric_eigenvalues(moments.cov().view(), par)?;
        let smallest = values.first().copied().unwrap_or(0.0);
        let largest = values.last().copied().unwrap_or(0.0).max(0.0);
        if smallest < -NEGATIVE_TOLERANCE * largest || (largest == 0.0 && smallest < 0.0) {
            return Err(MetricsError::NotPositive { smallest, largest });
        }
        let threshold = dimension as f64 * f64::EPSILON * largest;
        let noise = values.iter().filter(|&&value| value <= threshold).count();
        let clamped = values[..noise].iter().filter(|&&value| value != 0.0).count();
        let triangular = if noise == 0 { dense::cholesky(moments.cov(), par) } else { None };
        let factor = match triangular {
            Some(factor) => factor,
            None => rank_factor(&moments, noise, par)?,
        };
        let condition = Condition { n: moments.n(), dimension, rank: dimension - noise, largest, smallest, clamped };
        Ok(Self { trace: moments.cov().diag().sum(), moments, factor, condition })
    }

    /// How the covariance was conditioned.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// The moments that this was made from.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    /// Fréchet distance to a reference.
    ///
    /// # Errors
    /// [`MetricsError::DimensionMismatch`], [`MetricsError::NoConvergence`].
    pub fn distance(&self, reference: &Self) -> Result<Frechet, MetricsError> {
        self.distance_with(reference, dense::parallel())
    }

    pub(crate) fn distance_with(&self, reference: &Self, par: Par) -> Result<Frechet, MetricsError> {
        check_dimensions(self.moments.dimension(), reference.moments.dimension())?;
        let delta = self.moments.mean() - reference.moments.mean();
        let mean_term = delta.dot(&delta);
        let mut cross = Array2::zeros((self.factor.nrows(), reference.factor.nrows()));
        if !cross.is_empty() {
            dense::product_transposed(&mut cross, self.factor.view(), reference.factor.view(), par);
        }
        // σ₁ ≤ √(λ_max λ'_max), and with square factors the smallest is at least √(λ_min λ'_min).
        let (a, b) = (&self.condition, &reference.condition);
        let full = a.rank == a.dimension && b.rank == b.dimension;
        let narrow = full && a.smallest * b.smallest >= (SPLIT * SPLIT) * (a.largest * b.largest);
        let overlap = nuclear_norm(cross, if narrow { Spread::Narrow } else { Spread::Unknown }, par)?;
        let covariance_term = self.trace + reference.trace - 2.0 * overlap;
        Ok(Frechet {
            distance: (mean_term + covariance_term).max(0.0),
            mean_term,
            covariance_term,
            sample: self.condition,
            reference: reference.condition,
        })
    }
}

/// `Λ^½ Vᵀ` without the `noise` smallest eigenvalues.
fn rank_factor(moments: &Moments, noise: usize, par: Par) -> Result<Array2<f64>, MetricsError> {
    let eigen = dense::symmetric_eigen(moments.cov().view(), par)?;
    let mut factor = eigen.vectors.slice_axis(Axis(0), (noise..).into()).to_owned();
    for (mut row, value) in factor.outer_iter_mut().zip(&eigen.values[noise..]) {
        row *= value.max(0.0).sqrt();
    }
    Ok(factor)
}

/// Fréchet distance between two Gaussians given by their moments.
///
/// # Errors
/// Different dimensions, a covariance that is not positive semi-definite, or a decomposition that does not converge.
pub fn frechet(sample: &Moments, reference: &Moments) -> Result<Frechet, MetricsError> {
    check_dimensions(sample.dimension(), reference.dimension())?;
    Prepared::new(sample.clone())?.distance(&Prepared::new(reference.clone())?)
}

/// Fréchet distance between two feature matrices (N × d and M × d).
///
/// # Errors
/// Fewer than two rows, different dimensions, a value that is not finite (with its row and column).
pub fn fid(sample: ArrayView2<'_, f32>, reference: ArrayView2<'_, f32>) -> Result<Frechet, MetricsError> {
    check_pair(sample, reference)?;
    let sample = Moments::of_set(sample, Set::Sample)?;
    let reference = Moments::of_set(reference, Set::Reference)?;
    Prepared::new(sample)?.distance(&Prepared::new(reference)?)
}
