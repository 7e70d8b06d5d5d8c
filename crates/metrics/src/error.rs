//! What can be wrong with the input of a metric, and the one check that every feature matrix passes.

use std::fmt;

use ndarray::ArrayView2;
use thiserror::Error;

/// Which of the two feature matrices of a metric an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The matrix whose quality is asked for: generated images, as a rule. Also the only matrix of a function that takes one.
    Sample,
    /// The matrix that it is compared with: real images, as a rule.
    Reference,
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sample => "sample",
            Self::Reference => "reference",
        })
    }
}

/// An input that no metric can be computed from.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum MetricsError {
    /// A covariance or an unbiased kernel estimate needs two rows at least.
    #[error("the {set} features have {rows} rows; at least 2 are needed")]
    TooFewRows {
        /// The matrix.
        set: Set,
        /// Its number of rows.
        rows: usize,
    },
    /// A matrix without rows, where one would do.
    #[error("the {set} features have no rows")]
    NoRows {
        /// The matrix.
        set: Set,
    },
    /// A feature matrix without columns.
    #[error("the {set} features have no columns")]
    NoColumns {
        /// The matrix.
        set: Set,
    },
    /// The two sides live in spaces of different dimension.
    #[error(
        "the sample features have {sample} columns and the reference features {reference}; they must come from the same extractor"
    )]
    DimensionMismatch {
        /// Columns of the sample side.
        sample: usize,
        /// Columns of the reference side.
        reference: usize,
    },
    /// A batch does not have the dimension of the batches before it.
    #[error("a batch has {found} columns after batches of {expected}")]
    BatchDimension {
        /// Columns so far.
        expected: usize,
        /// Columns of this batch.
        found: usize,
    },
    /// A feature is NaN or infinite.
    #[error("the {set} feature at row {row}, column {column} is {value}")]
    NonFinite {
        /// The matrix.
        set: Set,
        /// Row (image), counted from 0.
        row: usize,
        /// Column (feature), counted from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// Given moments whose shapes do not fit each other.
    #[error("a mean of length {mean} does not fit a covariance of {rows} × {columns}")]
    MomentShape {
        /// Length of the mean.
        mean: usize,
        /// Rows of the covariance.
        rows: usize,
        /// Columns of the covariance.
        columns: usize,
    },
    /// Given moments with a value that is NaN or infinite.
    #[error("{what} has the value {value} at index {index:?}")]
    MomentNonFinite {
        /// `"mean"` or `"covariance"`.
        what: &'static str,
        /// Index (row, column; column 0 for the mean).
        index: (usize, usize),
        /// The value.
        value: f64,
    },
    /// A given covariance is not symmetric.
    #[error("the covariance is not symmetric: {left} at ({row}, {column}) but {right} at ({column}, {row})")]
    NotSymmetric {
        /// Row.
        row: usize,
        /// Column.
        column: usize,
        /// Value at (row, column).
        left: f64,
        /// Value at (column, row).
        right: f64,
    },
    /// A given covariance has an eigenvalue far below zero.
    #[error("the covariance is not positive semi-definite: its eigenvalues reach from {smallest:e} to {largest:e}")]
    NotPositive {
        /// Smallest eigenvalue.
        smallest: f64,
        /// Largest eigenvalue.
        largest: f64,
    },
    /// A subset of the kernel distance has fewer than two rows, or more than there are.
    #[error("a subset of {size} rows cannot be drawn from {available} {set} rows; it must hold 2 rows at least")]
    SubsetSize {
        /// Rows asked for.
        size: usize,
        /// Rows there are.
        available: usize,
        /// The matrix.
        set: Set,
    },
    /// A count that must be at least a given number.
    #[error("{what} is {value}; it must be at least {least}")]
    TooSmall {
        /// Which option.
        what: &'static str,
        /// What was given.
        value: usize,
        /// The least that makes sense.
        least: usize,
    },
    /// The level of an interval is not inside (0, 1).
    #[error("the level of the interval is {0}; it must lie between 0 and 1")]
    Level(f64),
    /// More neighbours are asked for than there are other rows.
    #[error("{k} nearest neighbours are asked for, but there are only {available} {set} rows to choose from")]
    Neighbours {
        /// Neighbours asked for.
        k: usize,
        /// Rows there are, without the row itself where it is one of them.
        available: usize,
        /// The matrix.
        set: Set,
    },
    /// More rows are asked for than there are.
    #[error("{what} is {value}; it cannot be more than the {available} {set} rows")]
    TooLarge {
        /// Which option.
        what: &'static str,
        /// What was given.
        value: usize,
        /// Rows there are.
        available: usize,
        /// The matrix.
        set: Set,
    },
    /// A number that must be positive and finite.
    #[error("{what} is {value}; it must be positive and finite")]
    NotPositiveNumber {
        /// Which option.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// A row of class probabilities with a negative entry, or one that does not add up to 1.
    #[error("row {row} is not a probability distribution: its smallest entry is {smallest} and its sum {sum}")]
    NotProbability {
        /// Row (image), counted from 0.
        row: usize,
        /// Smallest entry.
        smallest: f64,
        /// Sum of the row.
        sum: f64,
    },
    /// Histograms over different numbers of classes.
    #[error("the sample has {sample} classes and the reference {reference}")]
    ClassMismatch {
        /// Classes of the sample side.
        sample: usize,
        /// Classes of the reference side.
        reference: usize,
    },
    /// A histogram without a single count.
    #[error("the {set} histogram is empty: all its {classes} counts are zero")]
    EmptyHistogram {
        /// The histogram.
        set: Set,
        /// Its number of classes.
        classes: usize,
    },
    /// Images of a class that cannot occur.
    #[error("{count} images are of class {class}, whose expected probability is 0")]
    ImpossibleClass {
        /// The class, counted from 0.
        class: usize,
        /// Images found in it.
        count: u64,
    },
    /// An eigenvalue or singular value iteration did not converge.
    #[error("the {what} of a {dimension} × {dimension} matrix did not converge")]
    NoConvergence {
        /// Which decomposition.
        what: &'static str,
        /// Side of the matrix.
        dimension: usize,
    },
}

/// Checks that a feature matrix has two rows, a column, and only finite values.
///
/// # Errors
/// [`MetricsError::TooFewRows`], [`MetricsError::NoColumns`], [`MetricsError::NonFinite`] for the first bad value by row.
pub(crate) fn check_features(features: ArrayView2<'_, f32>, set: Set) -> Result<(), MetricsError> {
    if features.nrows() < 2 {
        return Err(MetricsError::TooFewRows { set, rows: features.nrows() });
    }
    if features.ncols() == 0 {
        return Err(MetricsError::NoColumns { set });
    }
    check_finite(features, set)
}

/// Checks that a feature matrix has a row, a column, and only finite values.
pub(crate) fn check_present(features: ArrayView2<'_, f32>, set: Set) -> Result<(), MetricsError> {
    if features.nrows() == 0 {
        return Err(MetricsError::NoRows { set });
    }
    if features.ncols() == 0 {
        return Err(MetricsError::NoColumns { set });
    }
    check_finite(features, set)
}

/// Checks that all values are finite.
pub(crate) fn check_finite(features: ArrayView2<'_, f32>, set: Set) -> Result<(), MetricsError> {
    // The common case without the cost of indices.
    if features.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    match features.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), &value)) => Err(MetricsError::NonFinite { set, row, column, value }),
        None => Ok(()),
    }
}

/// Checks both sides of a metric, and that they have the same dimension.
pub(crate) fn check_pair(sample: ArrayView2<'_, f32>, reference: ArrayView2<'_, f32>) -> Result<(), MetricsError> {
    check_features(sample, Set::Sample)?;
    check_features(reference, Set::Reference)?;
    check_dimensions(sample.ncols(), reference.ncols())
}

/// Checks that two dimensions agree.
pub(crate) fn check_dimensions(sample: usize, reference: usize) -> Result<(), MetricsError> {
    if sample == reference { Ok(()) } else { Err(MetricsError::DimensionMismatch { sample, reference }) }
}
