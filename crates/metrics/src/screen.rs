//! Distances between all rows of two matrices at the speed of a single precision product, with bounds that always hold.
//!
//! ```text
//! |x − y|² = |x|² + |y|² − 2 x·y
//! ```
//!
//! Rows are centred on a common point, scaled by a power of two and rounded to `f32`; products come in blocks from `faer`. With
//! u = 2⁻²⁴ the product of d terms is off by at most d u |x| |y| whatever the order of summation (Higham, *Accuracy and stability of
//! numerical algorithms*, 2002, section 3.1), and centring, rounding and the remaining operations by less than 7 u (|x| + |y|)², so
//!
//! ```text
//! | computed − true | ≤ u (1.1 d + 16) (|x|² + |y|²) + underflow
//! ```
//!
//! Whoever must decide something decides by these bounds, and asks for the distance in `f64` of the original rows only where they
//! leave it open. What comes out is therefore that of the exact distances.

use std::ops::Range;

use faer::Par;
use ndarray::{Array1, Array2, ArrayView2, Axis, CowArray, Ix2};
use rayon::prelude::*;

use crate::dense;

/// Rows of the one side in a block: its queries share what is read of the other side.
pub(crate) const QUERIES: usize = 192;

/// Rows of the other side in a block.
const POINTS: usize = 768;

/// More than what underflow can lose in a sum of squares of numbers below 1.
const UNDERFLOW: f32 = 1e-30;

/// A feature matrix prepared for screening; only rows of the same pair may be compared.
pub(crate) struct Rows<'a> {
    exact: CowArray<'a, f32, Ix2>,
    centred: Array2<f32>,
    /// Share of a row in the lower bound of its distances.
    low: Vec<f32>,
    /// Share of a row in the width between the two bounds.
    width: Vec<f32>,
    /// Scaled squared distances divided by true ones.
    unit: f64,
}

impl<'a> Rows<'a> {
    /// Prepares two matrices with the same number of columns, finite and not empty.
    pub(crate) fn pair<'b>(a: ArrayView2<'a, f32>, b: ArrayView2<'b, f32>) -> (Self, Rows<'b>) {
        let (center, scale) = frame(&[a.view(), b.view()]);
        (Self::new(a, &center, scale), Rows::new(b, &center, scale))
    }

    /// Prepares one matrix, to be compared with itself.
    pub(crate) fn single(a: ArrayView2<'a, f32>) -> Self {
        let (center, scale) = frame(&[a.view()]);
        Self::new(a, &center, scale)
    }

    fn new(exact: ArrayView2<'a, f32>, center: &Array1<f64>, scale: f64) -> Self {
        let mut centred = Array2::zeros(exact.dim());
        for (source, mut target) in exact.outer_iter().zip(centred.outer_iter_mut()) {
            for ((to, &from), c) in target.iter_mut().zip(source).zip(center) {
                *to = ((f64::from(from) - c) * scale) as f32;
            }
        }
        let relative = 2_f64.powi(-24) * (1.1 * exact.ncols() as f64 + 16.0);
        let squares = centred.outer_iter().map(|row| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>());
        let (low, width) = squares
            .map(|square| {
                (((1.0 - relative) * square) as f32 - UNDERFLOW, (2.0 * relative * square) as f32 + UNDERFLOW * 2.0)
            })
            .unzip();
        Self { exact: exact.into(), centred, low, width, unit: scale * scale }
    }

    /// Copies of some of the rows, to be compared with the same others.
    pub(crate) fn select(&self, rows: &[usize]) -> Rows<'static> {
        Rows {
            exact: self.exact.select(Axis(0), rows).into(),
            centred: self.centred.select(Axis(0), rows),
            low: rows.iter().map(|&row| self.low[row]).collect(),
            width: rows.iter().map(|&row| self.width[row]).collect(),
            unit: self.unit,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.exact.nrows()
    }

    /// A squared distance in this pair's unit, rounded outwards: (not above it, not below it).
    pub(crate) fn in_unit(&self, squared: f64) -> (f32, f32) {
        let scaled = (squared * self.unit) as f32;
        (scaled * (1.0 - 2.0 * f32::EPSILON) - UNDERFLOW, scaled * (1.0 + 2.0 * f32::EPSILON) + UNDERFLOW)
    }

    /// What to add to the lower bound of a squared distance to get its upper bound.
    pub(crate) fn width(&self, query: usize, points: &Rows<'_>, point: usize) -> f32 {
        self.width[query] + points.width[point]
    }

    /// Squared distance of the original rows, summed in `f64`, in squared feature units.
    pub(crate) fn squared(&self, query: usize, points: &Rows<'_>, point: usize) -> f64 {
        squared(self.exact.view(), query, points.exact.view(), point)
    }

    /// Blocks of this side, to be spread over threads.
    pub(crate) fn blocks(&self) -> impl IndexedParallelIterator<Item = Range<usize>> {
        let rows = self.len();
        (0..rows.div_ceil(QUERIES)).into_par_iter().map(move |i| i * QUERIES..((i + 1) * QUERIES).min(rows))
    }

    /// Lower bounds of the squared distances, in this pair's unit, from a block of this side to all points. `visit` gets the query, the
    /// first point, and the bounds for it and the points after it.
    pub(crate) fn scan(&self, block: Range<usize>, points: &Rows<'_>, mut visit: impl FnMut(usize, usize, &[f32])) {
        let queries = self.centred.slice_axis(Axis(0), block.clone().into());
        for (tile, rows) in points.centred.axis_chunks_iter(Axis(0), POINTS).enumerate() {
            let mut products = Array2::<f32>::zeros((block.len(), rows.nrows()));
            dense::product_transposed(&mut products, queries, rows, Par::Seq);
            let first = tile * POINTS;
            let low = &points.low[first..first + rows.nrows()];
            for (query, mut row) in block.clone().zip(products.outer_iter_mut()) {
                let own = self.low[query];
                if let Some(row) = row.as_slice_mut() {
                    for (value, low) in row.iter_mut().zip(low) {
                        *value = (own + low) - 2.0 * *value;
                    }
                    visit(query, first, row);
                }
            }
        }
    }
}

/// Squared distance of two rows, in the order of the columns.
pub(crate) fn squared(a: ArrayView2<'_, f32>, i: usize, b: ArrayView2<'_, f32>, j: usize) -> f64 {
    a.row(i).iter().zip(b.row(j)).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum()
}

/// The mean of all rows, and the power of two that brings what is left of them below 1.
fn frame(sides: &[ArrayView2<'_, f32>]) -> (Array1<f64>, f64) {
    let columns = sides.first().map_or(0, |side| side.ncols());
    let rows: usize = sides.iter().map(|side| side.nrows()).sum();
    let mut center = Array1::<f64>::zeros(columns);
    for row in sides.iter().flat_map(|side| side.outer_iter()) {
        center.zip_mut_with(&row, |to, &from| *to += f64::from(from));
    }
    center /= rows as f64;
    let largest = sides
        .iter()
        .flat_map(|side| side.outer_iter())
        .flat_map(|row| row.into_iter().zip(&center).map(|(&v, c)| (f64::from(v) - c).abs()).collect::<Vec<_>>())
        .fold(0.0, f64::max);
    // Squares of the scale and of its inverse stay finite in f64 for every f32.
    let exponent = if largest > 0.0 { -(largest.log2().floor() as i32) - 1 } else { 0 };
    (center, 2_f64.powi(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splitmix::uniform;

    #[test]
    fn bounds_enclose_the_distance() {
        // A common offset, a huge and a tiny scale, and 1,000 points: more than one block of them.
        for (offset, scale, columns) in
            [(0.0, 1.0, 3), (1000.0, 1.0, 50), (0.0, 1e30, 7), (0.0, 1e-30, 7), (-3.0, 1e-3, 700)]
        {
            let a = uniform(200, columns, 1).mapv(|v| scale * v + offset);
            let mut b = uniform(1000, columns, 2).mapv(|v| scale * v + offset);
            b.slice_axis_mut(Axis(0), (..50).into()).assign(&a.slice_axis(Axis(0), (..50).into()));
            let (queries, points) = Rows::pair(a.view(), b.view());
            for block in [0..QUERIES, QUERIES..200] {
                let mut seen = 0;
                queries.scan(block.clone(), &points, |query, first, low| {
                    for (j, &low) in low.iter().enumerate() {
                        let high = low + queries.width(query, &points, first + j);
                        let truth = queries.squared(query, &points, first + j) * queries.unit;
                        assert!(f64::from(low) <= truth && truth <= f64::from(high), "{low} {truth} {high}");
                        seen += 1;
                    }
                });
                assert_eq!(seen, block.len() * 1000);
            }
        }
    }

    #[test]
    fn equal_rows_have_distance_zero_within_the_bounds() {
        let a = Array2::from_elem((5, 4), 7.25_f32);
        let rows = Rows::single(a.view());
        rows.scan(0..5, &rows, |query, first, low| {
            for (j, &low) in low.iter().enumerate() {
                assert!(low <= 0.0 && low + rows.width(query, &rows, first + j) >= 0.0);
            }
        });
        assert_eq!(rows.squared(0, &rows, 3), 0.0);
    }
}
