//! The cubic kernel between all rows of two matrices, block by block; no more than one block for each thread is ever in memory.
//!
//! Products are sums over features, in `f64` as a rule: two `f32` multiply exactly in it. In `f32` they are done on rows taken from a
//! common point `c` (the mean of all rows) and scaled by a power of two u, so that they are small and none overflows. With
//! `x′ = u (x − c)`, rounded once,
//!
//! ```text
//! x·y / d + 1 = x′·y′ / (u² d) + h(x) + h(y),    h(x) = ½ + (c·x′ / u + c·c / 2) / d
//! ```
//!
//! The rounding of x′ moves a row by less than half a unit in its last place, in all its products alike; what the sums of products lose
//! differs from pair to pair and averages out.

use std::ops::Range;

use faer::Par;
use faer::traits::RealField;
use ndarray::{Array1, Array2, ArrayView2, Axis, CowArray, Ix2, Zip};
use rayon::prelude::*;

use crate::dense;

/// Side of a block.
const BLOCK: usize = 256;

/// Columns that are widened and multiplied at once: a strip of a block, in `f64`, stays in the cache.
const COLUMNS: usize = 256;

/// Sums of a row that grow side by side.
const LANES: usize = 8;

/// One of the two matrices, with h of every row.
pub(super) struct Side<'a> {
    rows: CowArray<'a, f32, Ix2>,
    offsets: Vec<f64>,
    /// `1 / (u² d)`.
    scale: f64,
}

impl<'a> Side<'a> {
    /// Both sides as they are, for products in `f64`.
    pub(super) fn given<'b>(a: ArrayView2<'a, f32>, b: ArrayView2<'b, f32>) -> (Self, Side<'b>) {
        let scale = 1.0 / a.ncols() as f64;
        let (own, other) = (vec![0.5; a.nrows()], vec![0.5; b.nrows()]);
        (Self { rows: a.into(), offsets: own, scale }, Side { rows: b.into(), offsets: other, scale })
    }

    /// Centred copies of both sides, for products in `f32`.
    pub(super) fn centred(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> (Side<'static>, Side<'static>) {
        let (center, unit) = frame(a.view(), b.view());
        (Side::moved(a, &center, unit), Side::moved(b, &center, unit))
    }

    fn moved(rows: ArrayView2<'_, f32>, center: &Array1<f64>, unit: f64) -> Side<'static> {
        let d = rows.ncols() as f64;
        let half = 0.5 * center.dot(center);
        let mut copy = Array2::<f32>::zeros(rows.dim());
        let targets = copy.axis_iter_mut(Axis(0)).into_par_iter().zip(rows.axis_iter(Axis(0)));
        let offsets = targets.map(|(target, row)| {
            let mut dot = 0.0;
            Zip::from(target).and(row).and(center).for_each(|to, &from, &c| {
                *to = ((f64::from(from) - c) * unit) as f32;
                dot += c * f64::from(*to);
            });
            0.5 + (dot / unit + half) / d
        });
        let offsets = offsets.collect();
        Side { rows: copy.into(), offsets, scale: 1.0 / (unit * unit * d) }
    }

    /// Copies of some of the rows.
    pub(super) fn select(&self, rows: &[usize]) -> Side<'static> {
        let offsets = rows.iter().map(|&row| self.offsets[row]).collect();
        Side { rows: self.rows.select(Axis(0), rows).into(), offsets, scale: self.scale }
    }

    pub(super) fn nrows(&self) -> usize {
        self.rows.nrows()
    }

    /// Rows of a block.
    pub(super) fn range(&self, block: usize) -> Range<usize> {
        let start = block * BLOCK;
        start..(start + BLOCK).min(self.nrows())
    }

    fn blocks(&self) -> usize {
        self.nrows().div_ceil(BLOCK)
    }

    /// Blocks on and below the diagonal of the kernel of this side with itself.
    pub(super) fn pairs_within(&self) -> Vec<(usize, usize)> {
        (0..self.blocks()).flat_map(|i| (0..=i).map(move |j| (i, j))).collect()
    }

    /// All blocks of the kernel of this side with another.
    pub(super) fn pairs_across(&self, other: &Side<'_>) -> Vec<(usize, usize)> {
        (0..self.blocks()).flat_map(|i| (0..other.blocks()).map(move |j| (i, j))).collect()
    }
}

/// The mean of all rows, and the power of two that brings what is left of them below 1.
fn frame(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> (Array1<f64>, f64) {
    let rows = || a.outer_iter().chain(b.outer_iter());
    let mut center = Array1::<f64>::zeros(a.ncols());
    for row in rows() {
        Zip::from(&mut center).and(row).for_each(|to, &from| *to += f64::from(from));
    }
    center /= (a.nrows() + b.nrows()) as f64;
    let mut largest = Array1::<f64>::zeros(a.ncols());
    for row in rows() {
        Zip::from(&mut largest).and(row).and(&center).for_each(|m, &v, c| *m = m.max((f64::from(v) - c).abs()));
    }
    let largest = largest.into_iter().fold(0.0, f64::max);
    // Squares of the scale and of its inverse stay finite in f64 for every f32.
    let exponent = if largest > 0.0 { -(largest.log2().floor() as i32) - 1 } else { 0 };
    (center, 2_f64.powi(exponent))
}

/// A type that products are computed in.
pub(super) trait Element: RealField + Copy {
    const ZERO: Self;
    fn wide(self) -> f64;

    /// `buffers.products = left rightᵀ`.
    fn multiply(buffers: &mut Buffers<Self>, left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>);
}

impl Element for f32 {
    const ZERO: Self = 0.0;

    fn wide(self) -> f64 {
        f64::from(self)
    }

    fn multiply(buffers: &mut Buffers<Self>, left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) {
        dense::product_transposed(&mut buffers.products, left, right, Par::Seq);
    }
}

impl Element for f64 {
    const ZERO: Self = 0.0;

    fn wide(self) -> f64 {
        self
    }

    fn multiply(buffers: &mut Buffers<Self>, left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) {
        buffers.products.fill(0.0);
        for (left, right) in left.axis_chunks_iter(Axis(1), COLUMNS).zip(right.axis_chunks_iter(Axis(1), COLUMNS)) {
            widen(&mut buffers.left, left);
            widen(&mut buffers.right, right);
            dense::add_product_transposed(&mut buffers.products, buffers.left.view(), buffers.right.view(), Par::Seq);
        }
    }
}

/// What `reduce(block, i, j)` says of every block (i, j), in the order of the pairs and thus the same for every number of threads.
pub(super) fn over_blocks<T: Element, R: Send>(
    a: &Side<'_>,
    b: &Side<'_>,
    pairs: &[(usize, usize)],
    reduce: impl Fn(Block<'_, T>, usize, usize) -> R + Sync,
) -> Vec<R> {
    let blocks = pairs.par_iter().map_init(Buffers::<T>::new, |buffers, &(i, j)| {
        let (rows, columns) = (a.range(i), b.range(j));
        resize(&mut buffers.products, (rows.len(), columns.len()));
        let left = a.rows.slice_axis(Axis(0), rows.clone().into());
        let right = b.rows.slice_axis(Axis(0), columns.clone().into());
        T::multiply(buffers, left, right);
        let (own, others) = (&a.offsets[rows], &b.offsets[columns]);
        reduce(Block { products: &mut buffers.products, scale: a.scale, own, others }, i, j)
    });
    blocks.collect()
}

/// A block of products, of which the kernel is made.
pub(super) struct Block<'a, T> {
    products: &'a mut Array2<T>,
    scale: f64,
    own: &'a [f64],
    others: &'a [f64],
}

impl<'a, T: Element> Block<'a, T> {
    /// Sum of the kernel.
    pub(super) fn sum(self) -> f64 {
        let columns = self.others.len();
        self.sum_of(|_| columns)
    }

    /// Sum of the kernel below the diagonal.
    pub(super) fn sum_below_diagonal(self) -> f64 {
        self.sum_of(|row| row)
    }

    /// Sum over the first `counted(row)` columns of every row, row by row, so that rounding errors stay small.
    fn sum_of(self, counted: impl Fn(usize) -> usize) -> f64 {
        let mut sum = 0.0;
        for (row, (products, own)) in self.products.outer_iter().zip(self.own).enumerate() {
            if let Some(products) = products.as_slice() {
                sum += sum_row(&products[..counted(row)], self.others, self.scale, *own);
            }
        }
        sum
    }
}

impl<'a> Block<'a, f64> {
    /// The kernel itself.
    pub(super) fn kernel(self) -> &'a mut Array2<f64> {
        for (mut row, own) in self.products.outer_iter_mut().zip(self.own) {
            Zip::from(&mut row)
                .and(self.others)
                .for_each(|value, other| *value = cube(*value, self.scale, own + other));
        }
        self.products
    }
}

fn cube<T: Element>(product: T, scale: f64, offset: f64) -> f64 {
    let base = product.wide() * scale + offset;
    base * base * base
}

/// Σ (scale pⱼ + own + otherⱼ)³.
fn sum_row<T: Element>(products: &[T], others: &[f64], scale: f64, own: f64) -> f64 {
    let others = &others[..products.len()];
    let (products, others) = (products.chunks_exact(LANES), others.chunks_exact(LANES));
    let rest = products.remainder().iter().zip(others.remainder()).map(|(&p, o)| cube(p, scale, own + o)).sum::<f64>();
    let mut lanes = [0.0; LANES];
    for (products, others) in products.zip(others) {
        for lane in 0..LANES {
            lanes[lane] += cube(products[lane], scale, own + others[lane]);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// What one thread works in: fresh memory for each block would cost as much as a good part of the product.
pub(super) struct Buffers<T> {
    left: Array2<T>,
    right: Array2<T>,
    products: Array2<T>,
}

impl<T: Element> Buffers<T> {
    fn new() -> Self {
        let empty = || Array2::from_elem((0, 0), T::ZERO);
        Self { left: empty(), right: empty(), products: empty() }
    }
}

fn resize<T: Element>(buffer: &mut Array2<T>, shape: (usize, usize)) {
    if buffer.dim() != shape {
        *buffer = Array2::from_elem(shape, T::ZERO);
    }
}

/// The same values in `f64`.
pub(super) fn widen(buffer: &mut Array2<f64>, values: ArrayView2<'_, f32>) {
    resize(buffer, values.dim());
    buffer.zip_mut_with(&values, |to, &from| *to = f64::from(from));
}
