//! The sum of the singular values of a matrix, several times faster than by a singular value decomposition and as exact.
//!
//! ```text
//! σᵢ(C) = λᵢ(C Cᵀ)^½
//! ```
//!
//! Eigenvalues of `C Cᵀ` carry an error of about ε σ₁², which the root of a small one would blow up to √ε σ₁. So only those above
//! `10⁻⁶ σ₁²` are taken; C is projected onto the eigenvectors of the others, whose largest singular value is then below `10⁻³ σ₁`, and
//! the same is done again with what is left. A singular value then ends with an error of at most about 500 ε σ₁, most with far less, as
//! in a decomposition of C itself.

use faer::Par;
use ndarray::{Array2, Axis};

use crate::dense;
use crate::error::MetricsError;

/// Singular values down to this part of the largest are taken in one round.
pub(crate) const SPLIT: f64 = 1e-3;

/// Up to this side the decomposition costs little.
const SMALL: usize = 64;

/// What is known of the matrix beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    /// All singular values are above [`SPLIT`] times the largest.
    Narrow,
    /// They may reach down to zero.
    Unknown,
}

/// Sum of the singular values.
pub(crate) fn nuclear_norm(matrix: Array2<f64>, spread: Spread, par: Par) -> Result<f64, MetricsError> {
    let (rows, columns) = matrix.dim();
    let mut rest = if rows > columns { matrix.t().as_standard_layout().into_owned() } else { matrix };
    let (mut sum, mut first) = (0.0, None);
    while rest.nrows() > SMALL {
        let mut gram = Array2::zeros((rest.nrows(), rest.nrows()));
        dense::row_products_lower(&mut gram, rest.view(), par);
        if spread == Spread::Narrow {
            let values = dense::symmetric_eigenvalues(gram.view(), par)?;
            return Ok(values.iter().map(|value| value.max(0.0).sqrt()).sum());
        }
        let eigen = dense::symmetric_eigen(gram.view(), par)?;
        let largest = eigen.values.last().copied().unwrap_or(0.0);
        let first = *first.get_or_insert(largest);
        // What is left is rounding error.
        if largest <= f64::EPSILON * f64::EPSILON * first {
            return Ok(sum);
        }
        let small = eigen.values.partition_point(|&value| value <= SPLIT * SPLIT * largest);
        sum += eigen.values[small..].iter().map(|value| value.sqrt()).sum::<f64>();
        let mut projected = Array2::zeros((small, rest.ncols()));
        if small > 0 {
            dense::product(&mut projected, eigen.vectors.slice_axis(Axis(0), (..small).into()), rest.view(), par);
        }
        rest = projected;
    }
    Ok(sum + dense::singular_values(rest.view(), par)?.iter().sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splitmix::SplitMix64;

    fn uniform(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
        let mut generator = SplitMix64::new(seed);
        Array2::from_shape_fn((rows, columns), |_| (generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 - 0.5)
    }

    #[test]
    fn agrees_with_the_decomposition_over_twenty_decades() {
        for (rows, columns, decades) in [(150, 150, 0.0), (200, 160, 8.0), (130, 300, 20.0), (70, 70, 1.0), (3, 9, 2.0)]
        {
            let mut matrix = uniform(rows, columns, 1);
            for (i, mut row) in matrix.outer_iter_mut().enumerate() {
                row *= 10_f64.powf(-decades * i as f64 / rows as f64);
            }
            let values = dense::singular_values(matrix.view(), Par::Seq).unwrap();
            let expected: f64 = values.iter().sum();
            let found = nuclear_norm(matrix, Spread::Unknown, Par::Seq).unwrap();
            assert!(
                (found - expected).abs() < 1e-14 * rows as f64 * values[0],
                "{rows} × {columns}: {found} {expected}"
            );
        }
    }

    #[test]
    fn a_narrow_spectrum_in_one_round() {
        let matrix = uniform(120, 120, 2) + Array2::<f64>::eye(120) * 20.0;
        let slow = nuclear_norm(matrix.clone(), Spread::Unknown, Par::Seq).unwrap();
        let fast = nuclear_norm(matrix, Spread::Narrow, Par::Seq).unwrap();
        assert!((fast / slow - 1.0).abs() < 1e-14);
    }

    #[test]
    fn nothing_has_no_norm() {
        assert_eq!(nuclear_norm(Array2::zeros((0, 0)), Spread::Unknown, Par::Seq).unwrap(), 0.0);
        assert_eq!(nuclear_norm(Array2::zeros((100, 80)), Spread::Unknown, Par::Seq).unwrap(), 0.0);
    }
}
