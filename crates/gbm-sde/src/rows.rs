//! The normals of many rows at once, each row an index of its own, on vector lanes.
//!
//! ```math
//! z_{i,e} = \text{the normal at } (\text{seed}, \text{stream}, \text{first} + i, \text{step}, e)
//! ```
//!
//! The lanes of a long row are its blocks. In a short one, such as a point in the plane, there are too few: there a group of lanes spans
//! several rows. The values are [`Noise::normal`]'s either way.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]
// The compiler makes vector code of counted loops, not of zipped iterators.
#![allow(clippy::needless_range_loop)]

use crate::batch::{Threads, by_pieces};
use crate::lanes::{Real, WIDE, dispatch, normal_pairs};
use crate::noise::{Noise, Stream};

/// Rows of normals: whose, and how long.
///
/// ```
/// use gbm_sde::{Noise, NormalRows, Stream};
/// let rows = NormalRows { first_index: 40, step: 3, ..NormalRows::new(Noise::new(7), Stream::SAMPLER, 2) };
/// let mut walk = [1.0; 6]; // three points in the plane
/// rows.each(&mut walk, |_, x, z| x.iter_mut().zip(z).for_each(|(x, z)| *x += 0.1 * z));
/// assert_eq!(walk[4], 1.0 + 0.1 * Noise::new(7).normal(Stream::SAMPLER, 42, 3, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalRows {
    /// Source of the normals.
    pub noise: Noise,
    /// Their stream.
    pub stream: Stream,
    /// Index of the first row; the next row has the next index.
    pub first_index: u64,
    /// Their step.
    pub step: u32,
    /// Values in a row; a last row may be short.
    pub row_len: usize,
    /// Threads to use.
    pub threads: Threads,
}

impl NormalRows {
    /// Rows of `row_len` values from index 0 on, at step 0, on all threads.
    ///
    /// ```
    /// use gbm_sde::{Noise, NormalRows, Stream};
    /// let (mut z, mut expected) = ([0.0f32; 6], [0.0f32; 6]);
    /// NormalRows::new(Noise::new(7), Stream::PRIOR, 3).each(&mut z, |_, out, z| out.copy_from_slice(z));
    /// Noise::new(7).rows_normal(Stream::PRIOR, 0, 0, &mut expected, 3);
    /// assert_eq!(z, expected);
    /// ```
    pub fn new(noise: Noise, stream: Stream, row_len: usize) -> Self {
        Self { noise, stream, first_index: 0, step: 0, row_len, threads: Threads::All }
    }

    /// Calls `write(position, values, normals)` for short runs of `values` that cover `data`, with as many normals; `position` is where
    /// the run begins in `data`. Nothing is called when `row_len` is 0. A closure marked `#[inline(always)]` is compiled for the
    /// widest vectors of the processor.
    ///
    /// ```
    /// use gbm_sde::{Noise, NormalRows, Stream};
    /// let drift = [0.5, 0.7, 0.9];
    /// let mut y = [0.0; 3];
    /// NormalRows::new(Noise::new(7), Stream::SAMPLER, 3).each(
    ///     &mut y,
    ///     #[inline(always)]
    ///     |at, y, z| (0..y.len()).for_each(|i| y[i] += drift[at + i] + 0.2 * z[i]),
    /// );
    /// assert_eq!(y[1], 0.7 + 0.2 * Noise::new(7).normal(Stream::SAMPLER, 0, 0, 1));
    /// ```
    pub fn each<T: Real>(&self, data: &mut [T], write: impl Fn(usize, &mut [T], &[T]) + Sync) {
        by_pieces(self.threads, data, self.row_len, |place, piece| {
            let start = place.row * self.row_len + place.element;
            dispatch(
                #[inline(always)]
                || {
                    if self.row_len < 2 * WIDE {
                        self.across_rows(
                            place.row,
                            piece,
                            #[inline(always)]
                            |at, values, z| write(start + at, values, z),
                        );
                    } else {
                        for (i, row) in piece.chunks_mut(self.row_len).enumerate() {
                            self.noise.row(self.stream, self.index(place.row + i), self.step).with_normals(
                                place.element / 2,
                                row,
                                #[inline(always)]
                                |at, values, z| write(start + i * self.row_len + at, values, z),
                            );
                        }
                    }
                },
            );
        });
    }

    fn index(&self, row: usize) -> u64 {
        self.first_index.wrapping_add(row as u64)
    }

    /// Short rows: one lane for each block of each row. `piece` begins with row `row`.
    #[inline(always)]
    fn across_rows<T: Real>(&self, row: usize, piece: &mut [T], write: impl Fn(usize, &mut [T], &[T])) {
        let blocks = self.row_len.div_ceil(2) as u32;
        let address = self.noise.row(self.stream, self.index(row), self.step);
        let high = address.index[1] & 0xFFFF_0000;
        let (mut index, mut block) = (self.index(row), 0_u32);
        let mut done = 0;
        while done < piece.len() {
            let (mut c0, mut low, mut top) = ([0; WIDE], [0; WIDE], [0; WIDE]);
            if blocks == 1 {
                for lane in 0..WIDE {
                    let index = index.wrapping_add(lane as u64);
                    low[lane] = index as u32;
                    top[lane] = ((index >> 32) as u32 & 0xFFFF) | high;
                }
                index = index.wrapping_add(WIDE as u64);
            } else {
                for lane in 0..WIDE {
                    (c0[lane], low[lane]) = (block, index as u32);
                    top[lane] = ((index >> 32) as u32 & 0xFFFF) | high;
                    block = block.wrapping_add(1);
                    if block == blocks {
                        (index, block) = (index.wrapping_add(1), 0);
                    }
                }
            }
            let pairs = normal_pairs::<WIDE, T>(
                #[inline(always)]
                |lane| [c0[lane], self.step, low[lane], top[lane]],
                address.key,
            );
            let mut draws = [T::default(); 2 * WIDE];
            let mut count = 2 * WIDE;
            if self.row_len.is_multiple_of(2) {
                draws.copy_from_slice(pairs.as_flattened());
            } else {
                // The last block of an odd row gives one normal.
                count = 0;
                for lane in 0..WIDE {
                    draws[count] = pairs[lane][0];
                    count += 1;
                    if c0[lane] + 1 < blocks {
                        draws[count] = pairs[lane][1];
                        count += 1;
                    }
                }
            }
            let values = &mut piece[done..];
            let count = count.min(values.len());
            write(done, &mut values[..count], &draws[..count]);
            done += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of every length around the groups', from indices around 2³² and 2⁴⁸, whole and with a short last row.
    #[test]
    fn rows_have_the_bits_of_single_draws() {
        let noise = Noise::new(0xcafe_f00d_0000_0007);
        for row_len in [1, 2, 3, 4, 5, 7, 16, 31, 62, 63, 64, 65, 130, 5000] {
            for (first_index, len) in [(0, 3 * row_len), (u64::from(u32::MAX) - 20, 40 * row_len + row_len / 2 + 1)] {
                for threads in [Threads::One, Threads::All] {
                    let rows = NormalRows {
                        first_index,
                        step: 9,
                        threads,
                        ..NormalRows::new(noise, Stream::SAMPLER, row_len)
                    };
                    let mut z = vec![0.0_f64; len];
                    rows.each(&mut z, |at, values, z| {
                        for (i, (value, z)) in values.iter_mut().zip(z).enumerate() {
                            // The position too, in a part of the number that is 0 otherwise.
                            *value += z + (at + i) as f64 * 1e3;
                        }
                    });
                    for (p, z) in z.iter().enumerate() {
                        let (row, element) = (p / row_len, p % row_len);
                        let expected = noise.normal(Stream::SAMPLER, first_index + row as u64, 9, element);
                        assert_eq!(*z, expected + p as f64 * 1e3, "{row_len} {p} {threads:?}");
                    }
                }
            }
        }
        let late = NormalRows { first_index: (1 << 48) - 2, ..NormalRows::new(noise, Stream::PRIOR, 2) };
        let mut z = [0.0_f32; 8];
        late.each(&mut z, |_, out, z| out.copy_from_slice(z));
        assert_eq!(z[5], noise.normal(Stream::PRIOR, 0, 0, 1) as f32, "indices are taken modulo 2⁴⁸");
        NormalRows::new(noise, Stream::PRIOR, 0).each(&mut z, |_, _, _| unreachable!());
    }
}
