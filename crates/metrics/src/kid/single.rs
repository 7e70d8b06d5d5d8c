//! The distance of many wide rows from products in `f32`, where that is good enough, in half of the time or less.
//!
//! The distance is a small difference of large sums: whether the products' errors matter is a question of how far the two sides are from
//! each other. So they are measured: eight pilots, of 256 rows of each side, are done both ways. An error of a pilot is the sum of what
//! rounding each row once has done, which falls with the root of the number of rows, and of what differs from pair to pair, which falls
//! faster. The value stands if four times the pilots' root mean square, brought to all rows by that root, is below a
//! quarter of a millionth of it. Between two halves of one set it does not stand.

use ndarray::{Array2, ArrayView2, Axis};

use super::blocks::Side;
use super::of_sides;

/// Features above which it pays.
const FEATURES: usize = 64;

/// Pilots, which share no row, and rows of each side in one of them.
const PILOTS: usize = 8;
const ROWS: usize = 256;

/// Times the error that the pilots let expect.
const SAFETY: f64 = 4.0;

/// What it may be, relative to the value.
const TOLERANCE: f64 = 2.5e-7;

/// The distance, if products in `f32` give it to better than one millionth and faster.
pub(super) fn attempt(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Option<f64> {
    let fewer = a.nrows().min(b.nrows());
    if a.ncols() <= FEATURES || fewer < PILOTS * ROWS {
        return None;
    }
    let (x, y) = Side::centred(a, b);
    let errors = (0..PILOTS).map(|pilot| {
        let (of_a, of_b) = (spread(a.nrows(), pilot), spread(b.nrows(), pilot));
        let (exact_a, exact_b): (Array2<f32>, Array2<f32>) = (a.select(Axis(0), &of_a), b.select(Axis(0), &of_b));
        let (wide_x, wide_y) = Side::given(exact_a.view(), exact_b.view());
        of_sides::<f32>(&x.select(&of_a), &y.select(&of_b)) - of_sides::<f64>(&wide_x, &wide_y)
    });
    let mean_square = errors.map(|error| error * error).sum::<f64>() / PILOTS as f64;
    let expected = (mean_square * ROWS as f64 / fewer as f64).sqrt();
    let value = of_sides::<f32>(&x, &y);
    (SAFETY * expected <= TOLERANCE * value.abs()).then_some(value)
}

/// The rows of a pilot, from all over the matrix.
fn spread(rows: usize, pilot: usize) -> Vec<usize> {
    (0..ROWS).map(|i| (i * PILOTS + pilot) * rows / (ROWS * PILOTS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splitmix::uniform;

    fn exact(a: &Array2<f32>, b: &Array2<f32>) -> f64 {
        let (x, y) = Side::given(a.view(), b.view());
        of_sides::<f64>(&x, &y)
    }

    #[test]
    fn unlike_sides_are_right_to_a_millionth() {
        // A common offset, and values near both ends of f32: nothing overflows.
        for (offset, scale) in [(0.0, 1.0), (20.0, 1.0), (0.0, 1e18), (0.0, 1e-3)] {
            let a = uniform(2050, 300, 1).mapv(|v| scale * (1.1 * v + offset));
            let b = uniform(2300, 300, 2).mapv(|v| scale * (v * v + offset));
            let (found, expected) = (attempt(a.view(), b.view()).expect("far apart"), exact(&a, &b));
            assert!((found / expected - 1.0).abs() < 1e-6, "{offset} {scale}: {found} {expected}");
        }
    }

    #[test]
    fn halves_of_one_set_are_refused() {
        let mut refused = 0;
        for seed in 0..4 {
            let (a, b) = (uniform(2048, 300, 2 * seed), uniform(2048, 300, 2 * seed + 1));
            match attempt(a.view(), b.view()) {
                Some(found) => assert!((found / exact(&a, &b) - 1.0).abs() < 1e-6, "{found}"),
                None => refused += 1,
            }
        }
        assert!(refused >= 3, "{refused}");
    }

    #[test]
    fn is_the_same_on_any_number_of_threads() {
        let (a, b) = (uniform(2048, 300, 1), uniform(2100, 300, 2).mapv(|v| v * v));
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| attempt(a.view(), b.view()))
        };
        assert!(on(1).is_some());
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn few_rows_or_features_are_not_tried() {
        let (few, wide) = (uniform(2047, 300, 1), uniform(2048, 300, 2).mapv(|v| v + 1.0));
        assert_eq!(attempt(few.view(), wide.view()), None);
        let narrow = uniform(2048, FEATURES, 2);
        assert_eq!(attempt(narrow.view(), narrow.mapv(|v| v + 1.0).view()), None);
    }

    #[test]
    fn pilots_share_no_row() {
        for rows in [2048, 2049, 10_000] {
            let mut all: Vec<usize> = (0..PILOTS).flat_map(|pilot| spread(rows, pilot)).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), PILOTS * ROWS);
            assert!(all[PILOTS * ROWS - 1] < rows);
        }
    }
}
