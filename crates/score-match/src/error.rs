//! Why a parameter or an array is refused when something is set up or a loss is averaged.

use crate::denoiser::DenoiseError;

/// A refused parameter, data set or shape.
///
/// ```
/// use score_match::{ScoreError, TimeSampling};
/// let refused = TimeSampling::LogUniform { r_min: 2.0, r_max: 1.0 }.check();
/// assert_eq!(refused.map_err(|error| error.to_string()), Err("r_min = 2 must be below r_max = 1".to_string()));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScoreError {
    /// A parameter that must be finite is not.
    #[error("{name} must be finite, got {value}")]
    NotFinite {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A parameter that must be positive and finite is not.
    #[error("{name} must be positive and finite, got {value}")]
    NotPositive {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A parameter that must be finite and not negative is not.
    #[error("{name} must be finite and at least 0, got {value}")]
    Negative {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// The smaller end of a range is above the larger one.
    #[error("{low} = {low_value} must be below {high} = {high_value}")]
    Order {
        /// Name of the lower end.
        low: &'static str,
        /// Its value.
        low_value: f64,
        /// Name of the upper end.
        high: &'static str,
        /// Its value.
        high_value: f64,
    },
    /// Too few of something that is counted.
    #[error("{name} must be at least {least}, got {value}")]
    TooFew {
        /// What is counted.
        name: &'static str,
        /// The least that is needed.
        least: usize,
        /// The count.
        value: usize,
    },
    /// Too many of something that is counted.
    #[error("{name} must be at most {most}, got {value}")]
    TooMany {
        /// What is counted.
        name: &'static str,
        /// The most that is possible.
        most: usize,
        /// The count.
        value: usize,
    },
    /// An array has another shape than the rest.
    #[error("{name} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The array.
        name: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it needs.
        expected: Vec<usize>,
    },
    /// A data value is not finite.
    #[error("value {value} in row {row}, column {column} is not finite")]
    Data {
        /// Row of the data.
        row: usize,
        /// Column of the data.
        column: usize,
        /// The value.
        value: f64,
    },
    /// A value of a non-negative sample is not positive and finite.
    #[error("value {value} at position {index} is not positive and finite")]
    Sample {
        /// Position in the sample.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The data do not determine the parameters.
    #[error("{count} values do not determine {parameters} parameters: the normal equations are singular")]
    Singular {
        /// Number of values.
        count: usize,
        /// Number of parameters.
        parameters: usize,
    },
    /// A denoiser gave no answer.
    #[error(transparent)]
    Denoise(#[from] DenoiseError),
    /// The eigenvalues of a covariance matrix could not be computed.
    #[error("the eigenvalues of a {dim} × {dim} covariance matrix could not be computed: {reason}")]
    Eigen {
        /// Size of the matrix.
        dim: usize,
        /// What the solver said.
        reason: String,
    },
}

pub(crate) fn finite(name: &'static str, value: f64) -> Result<(), ScoreError> {
    if value.is_finite() { Ok(()) } else { Err(ScoreError::NotFinite { name, value }) }
}

pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), ScoreError> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(ScoreError::NotPositive { name, value }) }
}

pub(crate) fn same_shape(name: &'static str, found: &[usize], expected: &[usize]) -> Result<(), ScoreError> {
    if found == expected {
        Ok(())
    } else {
        Err(ScoreError::Shape { name, found: found.to_vec(), expected: expected.to_vec() })
    }
}

pub(crate) fn not_negative(name: &'static str, value: f64) -> Result<(), ScoreError> {
    if value.is_finite() && value >= 0.0 { Ok(()) } else { Err(ScoreError::Negative { name, value }) }
}
