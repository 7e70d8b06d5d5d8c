//! Eigenvalues and eigenvectors of a small symmetric matrix by Jacobi's cyclic rotations.
//!
//! ```math
//! A = Q^\top \operatorname{diag}(\lambda)\, Q, \qquad \text{rows of } Q \text{ are the eigenvectors}
//! ```
//!
//! Source: Golub and Van Loan, *Matrix Computations*, section 8.5. For positive definite matrices the method is more accurate
//! in the small eigenvalues than those that reduce to a tridiagonal first (Demmel and Veselić 1992).
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

/// Convergence is quadratic; well below ten sweeps are the rule.
const SWEEPS: usize = 60;

/// Eigenvalues (`d`, in no order) and eigenvectors (the rows of a `d × d` matrix) of the symmetric `a` (`d × d`, row by row).
pub(crate) fn symmetric_eigen(mut a: Vec<f64>, d: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; d * d];
    for i in 0..d {
        vectors[i * d + i] = 1.0;
    }
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..d {
            for q in p + 1..d {
                let off = a[p * d + q];
                // Relative to its own two diagonal elements: this is what keeps small eigenvalues accurate.
                if off.abs() <= f64::EPSILON * (a[p * d + p].abs().sqrt() * a[q * d + q].abs().sqrt()) {
                    continue;
                }
                rotated = true;
                let theta = (a[q * d + q] - a[p * d + p]) / (2.0 * off);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for i in 0..d {
                    rotate(&mut a, i * d + p, i * d + q, cosine, sine);
                }
                for i in 0..d {
                    rotate(&mut a, p * d + i, q * d + i, cosine, sine);
                    rotate(&mut vectors, p * d + i, q * d + i, cosine, sine);
                }
                a[p * d + q] = 0.0;
                a[q * d + p] = 0.0;
            }
        }
        if !rotated {
            break;
        }
    }
    ((0..d).map(|i| a[i * d + i]).collect(), vectors)
}

fn rotate(values: &mut [f64], first: usize, second: usize, cosine: f64, sine: f64) {
    let (x, y) = (values[first], values[second]);
    values[first] = cosine * x - sine * y;
    values[second] = sine * x + cosine * y;
}

#[cfg(test)]
mod tests {
    use super::symmetric_eigen;

    #[test]
    fn a_matrix_with_known_eigenvalues() {
        // The second difference matrix: 2 − 2 cos(kπ/(d+1)).
        let d = 7;
        let entry = |i: usize, j: usize| [2.0, -1.0].get(i.abs_diff(j)).copied().unwrap_or(0.0);
        let (mut values, _) = symmetric_eigen((0..d * d).map(|n| entry(n / d, n % d)).collect(), d);
        values.sort_by(f64::total_cmp);
        for (k, value) in values.iter().enumerate() {
            let truth = 2.0 - 2.0 * (std::f64::consts::PI * (k + 1) as f64 / (d + 1) as f64).cos();
            assert!((value - truth).abs() < 2e-15 * truth.max(0.5), "{value} {truth}");
        }
    }

    #[test]
    fn vectors_rebuild_the_matrix_and_are_orthonormal() {
        let a = [2.0, 0.3, -0.7, 0.3, 1.0, 0.2, -0.7, 0.2, 0.9];
        let (values, q) = symmetric_eigen(a.to_vec(), 3);
        for i in 0..3 {
            for j in 0..3 {
                let rebuilt: f64 = (0..3).map(|k| values[k] * q[k * 3 + i] * q[k * 3 + j]).sum();
                let product: f64 = (0..3).map(|k| q[i * 3 + k] * q[j * 3 + k]).sum();
                assert!((rebuilt - a[i * 3 + j]).abs() < 4e-15);
                assert!((product - if i == j { 1.0 } else { 0.0 }).abs() < 4e-15);
            }
        }
    }

    #[test]
    fn small_eigenvalues_keep_their_digits() {
        let (mut values, _) = symmetric_eigen(vec![1e20, 1e9, 1e9, 2.0], 2);
        values.sort_by(f64::total_cmp);
        // Determinant 2e20 − 1e18 over the large eigenvalue.
        assert!((values[0] - 1.99e20 / values[1]).abs() < 1e-14 * 2.0);
    }
}
