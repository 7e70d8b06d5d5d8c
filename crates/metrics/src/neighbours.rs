//! The k nearest rows of one feature matrix to every row of another, by Euclidean distance.
//!
//! Blocks of single precision products (`screen.rs`, with bounds that always hold) rule out nearly everything: a point
//! can be among the k nearest of a query only if the lower bound of its distance does not pass the k-th smallest upper bound. The few
//! that remain are measured again in `f64` on the original rows, so distances, their order and the indices are exact. Equal distances
//! are ordered by index.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::error::{MetricsError, Set, check_dimensions, check_present};
use crate::screen::Rows;

/// Nearest neighbours of every query.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Distances in feature units, nondecreasing along each row: queries × k.
    pub distances: Array2<f64>,
    /// Rows of the other matrix that they belong to: queries × k.
    pub indices: Array2<usize>,
}

/// The `k` nearest rows of `points` (M × d) to every row of `queries` (N × d). Memory: one copy of both matrices.
///
/// # Errors
/// k = 0 or above M; no rows, no columns, different dimensions, a value that is not finite (with its row and column). The queries are
/// the sample side of an error, the points its reference side.
pub fn nearest(
    queries: ArrayView2<'_, f32>,
    points: ArrayView2<'_, f32>,
    k: usize,
) -> Result<Neighbours, MetricsError> {
    check_present(queries, Set::Sample)?;
    check_present(points, Set::Reference)?;
    check_dimensions(queries.ncols(), points.ncols())?;
    check_k(k, points.nrows(), Set::Reference)?;
    let (queries, points) = Rows::pair(queries, points);
    Ok(search(&queries, &points, k, None).rooted())
}

/// The `k` nearest other rows to every row of one matrix (N × d); a row is never its own neighbour, an equal one can be.
///
/// # Errors
/// As [`nearest`], with k at most N − 1.
pub fn nearest_others(features: ArrayView2<'_, f32>, k: usize) -> Result<Neighbours, MetricsError> {
    check_present(features, Set::Sample)?;
    check_k(k, features.nrows() - 1, Set::Sample)?;
    let rows = Rows::single(features);
    let own: Vec<usize> = (0..rows.len()).collect();
    Ok(search(&rows, &rows, k, Some(&own)).rooted())
}

/// Checks a number of neighbours against how many rows there are to choose from.
pub(crate) fn check_k(k: usize, available: usize, set: Set) -> Result<(), MetricsError> {
    if k == 0 {
        return Err(MetricsError::TooSmall { what: "the number of neighbours", value: 0, least: 1 });
    }
    if k > available { Err(MetricsError::Neighbours { k, available, set }) } else { Ok(()) }
}

/// Squared distances and indices, queries × k.
pub(crate) struct Found {
    pub(crate) squared: Array2<f64>,
    pub(crate) indices: Array2<usize>,
}

impl Found {
    fn rooted(self) -> Neighbours {
        Neighbours { distances: self.squared.mapv_into(f64::sqrt), indices: self.indices }
    }
}

/// The search itself; `own[q]` is the point that query q must not find.
pub(crate) fn search(queries: &Rows<'_>, points: &Rows<'_>, k: usize, own: Option<&[usize]>) -> Found {
    let blocks: Vec<Vec<(f64, usize)>> =
        queries.blocks().map(|block| search_block(queries, points, k, own, block)).collect();
    let mut squared = Array2::zeros((queries.len(), k));
    let mut indices = Array2::zeros((queries.len(), k));
    let targets = squared.iter_mut().zip(indices.iter_mut());
    for ((distance, index), found) in targets.zip(blocks.into_iter().flatten()) {
        (*distance, *index) = found;
    }
    Found { squared, indices }
}

fn search_block(
    queries: &Rows<'_>,
    points: &Rows<'_>,
    k: usize,
    own: Option<&[usize]>,
    block: Range<usize>,
) -> Vec<(f64, usize)> {
    let start = block.start;
    let mut shortlists: Vec<Shortlist> = block.clone().map(|_| Shortlist::new(k)).collect();
    queries.scan(block.clone(), points, |query, first, low| {
        let shortlist = &mut shortlists[query - start];
        let own = own.map(|own| own[query]);
        for (piece, low) in low.chunks(PIECE).enumerate() {
            if low.iter().fold(f32::INFINITY, |least, &v| least.min(v)) > shortlist.limit {
                continue;
            }
            for (j, &low) in low.iter().enumerate() {
                let point = first + piece * PIECE + j;
                if low <= shortlist.limit && Some(point) != own {
                    shortlist.push(Candidate { low, high: low + queries.width(query, points, point), point });
                }
            }
        }
    });
    let mut found = Vec::with_capacity(block.len() * k);
    for (query, mut shortlist) in block.zip(shortlists) {
        shortlist.tighten();
        let measure = |candidate: &Candidate| (queries.squared(query, points, candidate.point), candidate.point);
        let mut measured: Vec<(f64, usize)> = shortlist.candidates.iter().map(measure).collect();
        measured.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.extend_from_slice(&measured[..k]);
    }
    found
}

/// Bounds that are compared with the limit at once.
const PIECE: usize = 64;

#[derive(Clone, Copy)]
struct Candidate {
    low: f32,
    high: f32,
    point: usize,
}

/// Points that may be among the k nearest of one query.
struct Shortlist {
    k: usize,
    candidates: Vec<Candidate>,
    /// No point whose lower bound is above it can be among the k nearest.
    limit: f32,
    /// Length at which the list is shortened next.
    full: usize,
}

impl Shortlist {
    fn new(k: usize) -> Self {
        Self { k, candidates: Vec::new(), limit: f32::INFINITY, full: Self::length(k) }
    }

    fn length(k: usize) -> usize {
        2 * k + PIECE
    }

    fn push(&mut self, candidate: Candidate) {
        self.candidates.push(candidate);
        if self.candidates.len() >= self.full {
            self.tighten();
            // Many points within the bounds of each other stay; the list then grows geometrically.
            self.full = Self::length(self.k).max(2 * self.candidates.len());
        }
    }

    /// Lowers the limit to the k-th smallest upper bound and drops what is beyond it.
    fn tighten(&mut self) {
        if self.candidates.len() >= self.k {
            let (_, kth, _) = self.candidates.select_nth_unstable_by(self.k - 1, |a, b| a.high.total_cmp(&b.high));
            self.limit = self.limit.min(kth.high);
            let limit = self.limit;
            self.candidates.retain(|candidate| candidate.low <= limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen;
    use crate::splitmix::SplitMix64;

    /// Values on a coarse lattice, so that equal distances are frequent.
    fn lattice(rows: usize, columns: usize, levels: usize, seed: u64) -> Array2<f32> {
        let mut generator = SplitMix64::new(seed);
        Array2::from_shape_fn((rows, columns), |_| generator.below(levels) as f32 / 8.0 + 100.0)
    }

    fn naive(queries: &Array2<f32>, points: &Array2<f32>, k: usize, others: bool) -> Vec<(f64, usize)> {
        (0..queries.nrows())
            .flat_map(|i| {
                let mut all: Vec<(f64, usize)> = (0..points.nrows())
                    .filter(|&j| !(others && i == j))
                    .map(|j| (screen::squared(queries.view(), i, points.view(), j).sqrt(), j))
                    .collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                all[..k].to_vec()
            })
            .collect()
    }

    fn pairs(found: &Neighbours) -> Vec<(f64, usize)> {
        found.distances.iter().copied().zip(found.indices.iter().copied()).collect()
    }

    #[test]
    fn agrees_with_sorting_all_distances() {
        for (n, m, d, levels, k) in [(1, 1, 1, 2, 1), (7, 30, 3, 2, 30), (300, 1700, 5, 4, 6), (250, 900, 40, 1000, 3)]
        {
            let (queries, points) = (lattice(n, d, levels, 1), lattice(m, d, levels, 2));
            let found = nearest(queries.view(), points.view(), k).unwrap();
            assert_eq!(pairs(&found), naive(&queries, &points, k, false), "{n} {m} {d}");
            if k < m {
                let found = nearest_others(points.view(), k).unwrap();
                assert_eq!(pairs(&found), naive(&points, &points, k, true), "{m} {d}");
            }
        }
    }

    #[test]
    fn a_thousand_equal_points() {
        let points = Array2::from_elem((1000, 3), 0.5_f32);
        let found = nearest_others(points.view(), 4).unwrap();
        assert!(found.distances.iter().all(|&v| v == 0.0));
        assert_eq!(found.indices.row(2).to_vec(), [0, 1, 3, 4]);
    }

    #[test]
    fn the_largest_and_smallest_numbers() {
        for scale in [f32::MAX, f32::MIN_POSITIVE, 1e-45] {
            let points = lattice(60, 3, 9, 1).mapv(|v| (v - 100.5) * scale);
            assert_eq!(pairs(&nearest_others(points.view(), 3).unwrap()), naive(&points, &points, 3, true), "{scale}");
        }
    }

    #[test]
    fn bad_input_is_named() {
        let good = lattice(5, 2, 4, 1);
        let error = nearest(good.view(), good.view(), 6).unwrap_err();
        assert_eq!(
            error.to_string(),
            "6 nearest neighbours are asked for, but there are only 5 reference rows to choose from"
        );
        assert!(matches!(nearest_others(good.view(), 5), Err(MetricsError::Neighbours { available: 4, .. })));
        assert!(matches!(nearest(good.view(), good.view(), 0), Err(MetricsError::TooSmall { .. })));
        let empty = Array2::zeros((0, 2));
        assert!(matches!(nearest(empty.view(), good.view(), 1), Err(MetricsError::NoRows { set: Set::Sample })));
        assert!(matches!(nearest_others(empty.view(), 1), Err(MetricsError::NoRows { .. })));
        let wide = lattice(5, 3, 4, 1);
        assert!(matches!(nearest(good.view(), wide.view(), 1), Err(MetricsError::DimensionMismatch { .. })));
        let mut bad = good.clone();
        bad[(3, 1)] = f32::NAN;
        assert!(matches!(nearest(good.view(), bad.view(), 1), Err(MetricsError::NonFinite { row: 3, column: 1, .. })));
    }
}
