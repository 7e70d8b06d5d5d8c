//! The few dense operations that the metrics need, on row-major arrays, by `faer`.
//!
//! How many threads work on one operation is the caller's choice: a bootstrap runs many small ones at once, each on one thread,
//! which also makes its result independent of the number of threads.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::traits::RealField;
use faer::traits::math_utils::one;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use ndarray::{Array1, Array2, ArrayView2};

use crate::error::MetricsError;

/// All threads of the current pool for one operation.
pub(crate) fn parallel() -> Par {
    Par::rayon(0)
}

/// Eigenvalues in nondecreasing order and the eigenvectors as rows, in the same order.
pub(crate) struct Eigen {
    pub(crate) values: Vec<f64>,
    pub(crate) vectors: Array2<f64>,
}

fn view<'a, T>(matrix: &'a ArrayView2<'_, T>) -> MatRef<'a, T> {
    // Strides are in elements for both libraries; going through the slice keeps the code safe.
    match matrix.as_slice() {
        Some(slice) => MatRef::from_row_major_slice(slice, matrix.nrows(), matrix.ncols()),
        None => unreachable!("every matrix made in this crate is row-major and contiguous"),
    }
}

fn view_mut<T>(matrix: &mut Array2<T>) -> MatMut<'_, T> {
    let (rows, columns) = matrix.dim();
    match matrix.as_slice_mut() {
        Some(slice) => MatMut::from_row_major_slice_mut(slice, rows, columns),
        None => unreachable!("every matrix made in this crate is row-major and contiguous"),
    }
}

/// `target += rowsᵀ rows`, lower triangle only. `rows`: k × d, `target`: d × d.
pub(crate) fn add_gram_lower(target: &mut Array2<f64>, rows: ArrayView2<'_, f64>, par: Par) {
    let rows = view(&rows);
    triangular::matmul(
        view_mut(target),
        BlockStructure::TriangularLower,
        Accum::Add,
        rows.transpose(),
        BlockStructure::Rectangular,
        rows,
        BlockStructure::Rectangular,
        1.0,
        par,
    );
}

/// `target = rows rowsᵀ`, lower triangle only. `rows`: k × d, `target`: k × k.
pub(crate) fn row_products_lower(target: &mut Array2<f64>, rows: ArrayView2<'_, f64>, par: Par) {
    let rows = view(&rows);
    triangular::matmul(
        view_mut(target),
        BlockStructure::TriangularLower,
        Accum::Replace,
        rows,
        BlockStructure::Rectangular,
        rows.transpose(),
        BlockStructure::Rectangular,
        1.0,
        par,
    );
}

/// `target += scale · v vᵀ`, lower triangle only.
pub(crate) fn add_outer_lower(target: &mut Array2<f64>, scale: f64, v: &Array1<f64>) {
    for (i, mut row) in target.outer_iter_mut().enumerate() {
        let scaled = scale * v[i];
        for (to, &other) in row.iter_mut().zip(v).take(i + 1) {
            *to += scaled * other;
        }
    }
}

/// Copies the lower triangle into the upper one.
pub(crate) fn mirror_lower(matrix: &mut Array2<f64>) {
    for row in 0..matrix.nrows() {
        for column in 0..row {
            matrix[(column, row)] = matrix[(row, column)];
        }
    }
}

/// `target = a b`. `a`: n × k, `b`: k × m, `target`: n × m.
pub(crate) fn product(target: &mut Array2<f64>, a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>, par: Par) {
    matmul::matmul(view_mut(target), Accum::Replace, view(&a), view(&b), 1.0, par);
}

/// `target = a bᵀ`. `a`: n × d, `b`: m × d, `target`: n × m.
pub(crate) fn product_transposed<T: RealField>(
    target: &mut Array2<T>,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    par: Par,
) {
    matmul::matmul(view_mut(target), Accum::Replace, view(&a), view(&b).transpose(), one::<T>(), par);
}

/// `target += a bᵀ`, shapes as above.
pub(crate) fn add_product_transposed<T: RealField>(
    target: &mut Array2<T>,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    par: Par,
) {
    matmul::matmul(view_mut(target), Accum::Add, view(&a), view(&b).transpose(), one::<T>(), par);
}

/// Eigendecomposition of a symmetric matrix, of which the lower triangle is read.
pub(crate) fn symmetric_eigen(matrix: ArrayView2<'_, f64>, par: Par) -> Result<Eigen, MetricsError> {
    let dimension = matrix.nrows();
    let mut values = Diag::<f64>::zeros(dimension);
    let mut vectors = Mat::<f64>::zeros(dimension, dimension);
    let scratch = self_adjoint_evd_scratch::<f64>(dimension, ComputeEigenvectors::Yes, par, Default::default());
    self_adjoint_evd(
        view(&matrix),
        values.as_mut(),
        Some(vectors.as_mut()),
        par,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| MetricsError::NoConvergence { what: "eigendecomposition", dimension })?;
    Ok(Eigen {
        values: (0..dimension).map(|i| values[i]).collect(),
        vectors: Array2::from_shape_fn((dimension, dimension), |(i, j)| vectors[(j, i)]),
    })
}

/// Eigenvalues of a symmetric matrix in nondecreasing order; its lower triangle is read.
pub(crate) fn symmetric_eigenvalues(matrix: ArrayView2<'_, f64>, par: Par) -> Result<Vec<f64>, MetricsError> {
    let dimension = matrix.nrows();
    let mut values = Diag::<f64>::zeros(dimension);
    let scratch = self_adjoint_evd_scratch::<f64>(dimension, ComputeEigenvectors::No, par, Default::default());
    let mut memory = MemBuffer::new(scratch);
    self_adjoint_evd(view(&matrix), values.as_mut(), None, par, MemStack::new(&mut memory), Default::default())
        .map_err(|_| MetricsError::NoConvergence { what: "eigendecomposition", dimension })?;
    Ok((0..dimension).map(|i| values[i]).collect())
}

/// `F`, upper triangular, with `matrix = FᵀF`, when the symmetric matrix is positive definite; its lower triangle is read.
pub(crate) fn cholesky(matrix: &Array2<f64>, par: Par) -> Option<Array2<f64>> {
    let dimension = matrix.nrows();
    let mut lower = matrix.clone();
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(dimension, par, Default::default()));
    let stack = MemStack::new(&mut memory);
    cholesky_in_place(view_mut(&mut lower), Default::default(), par, stack, Default::default()).ok()?;
    let mut upper = Array2::zeros((dimension, dimension));
    for row in 0..dimension {
        for column in 0..=row {
            upper[(column, row)] = lower[(row, column)];
        }
    }
    Some(upper)
}

/// Singular values of a matrix, in nonincreasing order.
pub(crate) fn singular_values(matrix: ArrayView2<'_, f64>, par: Par) -> Result<Vec<f64>, MetricsError> {
    let (rows, columns) = matrix.dim();
    let size = rows.min(columns);
    if size == 0 {
        return Ok(Vec::new());
    }
    let mut values = Diag::<f64>::zeros(size);
    let none = ComputeSvdVectors::No;
    let scratch = svd_scratch::<f64>(rows, columns, none, none, par, Default::default());
    svd(
        view(&matrix),
        values.as_mut(),
        None,
        None,
        par,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| MetricsError::NoConvergence { what: "singular values", dimension: size })?;
    Ok((0..size).map(|i| values[i]).collect())
}
