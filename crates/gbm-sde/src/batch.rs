//! Rows of a batch on one or all threads: what is done to a value never depends on the thread that does it.

use rayon::prelude::*;

/// How many threads a batch may use. The values do not depend on it.
///
/// ```
/// use gbm_sde::{Level, Noise, Perturb, Threads};
/// let on = |threads| {
///     let mut x = [1.0; 50];
///     let perturb = Perturb { threads, ..Perturb::new(Noise::new(7), 10) };
///     perturb.in_place(&[Level::new(0.0, 0.64)?], &mut x).map(|()| x)
/// };
/// assert_eq!(on(Threads::One)?, on(Threads::All)?);
/// # Ok::<(), gbm_sde::PerturbError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Threads {
    /// Only the calling one.
    One,
    /// All of rayon's pool.
    #[default]
    All,
}

/// Where a piece of a batch begins.
///
/// ```
/// let mut data = [0; 6];
/// gbm_sde::by_pieces(gbm_sde::Threads::One, &mut data, 2, |place, piece| {
///     piece.iter_mut().enumerate().for_each(|(i, value)| *value = place.row + (place.element + i) / 2);
/// });
/// assert_eq!(data, [0, 0, 1, 1, 2, 2]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In this row, from 0.
    pub row: usize,
    /// At this element, which is even.
    pub element: usize,
}

/// Values of a piece: enough to be worth a task, few enough to stay in the cache.
const PIECE: usize = 4096;

/// Calls `work` on pieces that cover `data`, rows of `row_len` values: some whole rows, or a part of one long row. A piece has at most
/// 4,096 values. Does nothing when `row_len` is 0.
///
/// ```
/// let mut data = [1.0; 10_000];
/// gbm_sde::by_pieces(gbm_sde::Threads::All, &mut data, 5_000, |place, piece| {
///     piece.iter_mut().for_each(|x| *x *= (place.row + 1) as f64);
/// });
/// assert_eq!((data[4_999], data[5_000]), (1.0, 2.0));
/// ```
pub fn by_pieces<T: Send>(threads: Threads, data: &mut [T], row_len: usize, work: impl Fn(Place, &mut [T]) + Sync) {
    if row_len == 0 {
        return;
    }
    let rows = (PIECE / row_len).max(1);
    let place = |group: usize, part: usize| Place { row: group * rows, element: part * PIECE };
    match threads {
        Threads::One => {
            for (group, chunk) in data.chunks_mut(rows * row_len).enumerate() {
                for (part, piece) in chunk.chunks_mut(PIECE).enumerate() {
                    work(place(group, part), piece);
                }
            }
        }
        Threads::All => data.par_chunks_mut(rows * row_len).enumerate().for_each(|(group, chunk)| {
            chunk.par_chunks_mut(PIECE).enumerate().for_each(|(part, piece)| work(place(group, part), piece));
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_value_once_and_know_their_place() {
        for (len, row_len) in [(0, 5), (1, 1), (30_000, 1), (30_001, 7), (3 * 784, 784), (50_000, 20_001), (9000, 8192)]
        {
            for threads in [Threads::One, Threads::All] {
                let mut data = vec![(usize::MAX, 0); len];
                by_pieces(threads, &mut data, row_len, |place, piece| {
                    assert!(place.element % 2 == 0 && piece.len() <= PIECE);
                    for (i, value) in piece.iter_mut().enumerate() {
                        *value = (place.row * row_len + place.element + i, value.1 + 1);
                    }
                });
                assert!(
                    data.iter().enumerate().all(|(i, &value)| value == (i, 1)),
                    "{len} values in rows of {row_len}"
                );
            }
        }
        by_pieces(Threads::All, &mut [0; 3], 0, |_, _| unreachable!());
    }
}
