//! A histogram on exponential buckets, the same for all data.
//!
//! The limits are `±10⁻¹² · 1.1ᵏ` below 10²⁰, with 0 between and the largest number at both ends. A bucket holds the values
//! from the limit before it, which is its own, up to its limit, which is not. The summary beside them (least, greatest,
//! number, sum, sum of squares) is exact up to rounding.
//!
//! Source: TensorFlow, `core/lib/histogram/histogram.cc`.

use std::collections::BTreeMap;
use std::iter::successors;
use std::sync::LazyLock;

static LIMITS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let positive: Vec<f64> = successors(Some(1e-12), |limit| Some(limit * 1.1))
        .take_while(|&limit| limit < 1e20)
        .chain([f64::MAX])
        .collect();
    positive.iter().rev().map(|limit| -limit).chain([0.0]).chain(positive.iter().copied()).collect()
});

/// A bucket between the limit of the one before and its own.
#[derive(Debug, PartialEq)]
pub(super) struct Bucket {
    /// The least value above the bucket's.
    pub(super) limit: f64,
    /// How many values it holds.
    pub(super) count: f64,
}

/// How values are distributed.
#[derive(Debug)]
pub(super) struct Histogram {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) num: f64,
    pub(super) sum: f64,
    pub(super) sum_squares: f64,
    /// The buckets that hold values, the first one from the least value on; a run of empty ones between two is one.
    pub(super) buckets: Vec<Bucket>,
}

impl Histogram {
    /// The histogram of those values that are finite; of none, zeros and one empty bucket.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut counts = BTreeMap::<usize, f64>::new();
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut num, mut sum, mut sum_squares) = (0.0, 0.0, 0.0);
        for &value in values.iter().filter(|value| value.is_finite()) {
            *counts.entry(bucket_of(value)).or_default() += 1.0;
            (min, max) = (value.min(min), value.max(max));
            num += 1.0;
            sum += value;
            sum_squares += value * value;
        }
        if counts.is_empty() {
            counts.insert(LIMITS.len() - 1, 0.0);
            (min, max) = (0.0, 0.0);
        }
        Self { min, max, num, sum, sum_squares, buckets: squeezed(&counts) }
    }
}

/// Index of the bucket that holds a finite value. The largest number, which is below no limit, is in the last.
fn bucket_of(value: f64) -> usize {
    LIMITS.partition_point(|&limit| limit <= value).min(LIMITS.len() - 1)
}

/// TensorFlow keeps an empty bucket before the first one, too. TensorBoard's server lets the first bucket begin at the least
/// value, and would draw that one backwards.
fn squeezed(counts: &BTreeMap<usize, f64>) -> Vec<Bucket> {
    let mut buckets = Vec::new();
    let mut last = None;
    for (&k, &count) in counts {
        if last.is_some_and(|last| last + 1 < k) {
            buckets.push(Bucket { limit: LIMITS[k - 1], count: 0.0 });
        }
        buckets.push(Bucket { limit: LIMITS[k], count });
        last = Some(k);
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of all sizes and both signs, on limits and beside them.
    fn values() -> Vec<f64> {
        let sizes = (-16..24).flat_map(|k| [1.0, 2.5, 2.5, 7.0].map(|digit| digit * 10f64.powi(k)));
        let mut values: Vec<f64> = sizes.flat_map(|size| [size, -size, 1.5 * size]).collect();
        values.extend(LIMITS.iter().flat_map(|&limit| [limit, limit.next_down().max(-f64::MAX)]));
        values.extend([0.0, -0.0, f64::MIN_POSITIVE, f64::MAX, -f64::MAX]);
        values
    }

    #[test]
    fn limits_ascend_by_a_tenth() {
        assert!(LIMITS.is_sorted_by(|a, b| a < b));
        assert_eq!([LIMITS[0], LIMITS[LIMITS.len() / 2], LIMITS[LIMITS.len() - 1]], [-f64::MAX, 0.0, f64::MAX]);
        let positive = &LIMITS[LIMITS.len() / 2 + 1..LIMITS.len() - 1];
        assert_eq!(positive[0], 1e-12);
        assert!(positive.windows(2).all(|pair| (pair[1] / pair[0] - 1.1).abs() < 1e-15));
        let last = positive[positive.len() - 1];
        assert!(last < 1e20 && last * 1.1 >= 1e20);
    }

    #[test]
    fn every_value_is_in_the_bucket_of_its_limits() {
        let values = values();
        let histogram = Histogram::of(&values);
        assert!(histogram.buckets.is_sorted_by(|a, b| a.limit < b.limit));
        let mut lower = f64::NEG_INFINITY;
        for Bucket { limit, count } in &histogram.buckets {
            let last = *limit == f64::MAX;
            let inside = values.iter().filter(|&&v| lower <= v && (v < *limit || last)).count();
            assert_eq!(*count, inside as f64, "[{lower}, {limit})");
            lower = *limit;
        }
        assert_eq!(histogram.buckets.iter().map(|bucket| bucket.count).sum::<f64>(), values.len() as f64);
        assert_eq!(histogram.num, values.len() as f64);
    }

    #[test]
    fn the_summary_is_exact_and_empty_buckets_are_few() {
        let histogram = Histogram::of(&[3.0, -2.0, 0.5, 3.0]);
        assert_eq!([histogram.min, histogram.max, histogram.num], [-2.0, 3.0, 4.0]);
        assert_eq!([histogram.sum, histogram.sum_squares], [4.5, 22.25]);
        let counts: Vec<f64> = histogram.buckets.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [1.0, 0.0, 1.0, 0.0, 2.0]);
        let limits: Vec<f64> = histogram.buckets.iter().map(|bucket| bucket.limit).collect();
        assert!(-2.0 < limits[0] && limits[0] < -1.8);
        for (value, [lower, upper]) in [(0.5, [limits[1], limits[2]]), (3.0, [limits[3], limits[4]])] {
            assert!(lower <= value && value < upper && upper - lower < 0.11 * value, "{lower} {upper}");
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let histogram = Histogram::of(&[odd[0], 1.0, odd[1], odd[2]]);
        assert_eq!([histogram.min, histogram.max, histogram.num, histogram.sum], [1.0, 1.0, 1.0, 1.0]);
        for none in [&odd[..], &[]] {
            let histogram = Histogram::of(none);
            assert_eq!([histogram.min, histogram.max, histogram.num, histogram.sum], [0.0; 4]);
            assert_eq!(histogram.buckets.iter().map(|bucket| bucket.count).sum::<f64>(), 0.0);
        }
    }
}
