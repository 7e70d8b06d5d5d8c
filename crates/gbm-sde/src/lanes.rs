//! Addressed draws on vector lanes: the same numbers as one at a time, several at once.
//!
//! Philox and Box–Muller run over groups of blocks in plain loops that the compiler turns into vector instructions. `pulp`
//! compiles them for AVX-512 and AVX2 beside the baseline and takes the widest that the processor has. All of it is exactly
//! rounded arithmetic without fused operations, so the width does not show in the values.

// The compiler makes vector code of counted loops, not of zipped iterators.
#![allow(clippy::needless_range_loop)]

use pulp::{Arch, NullaryFnOnce};

use crate::gaussian::{box_muller, uniform_from_bits};
use crate::philox::{philox4x32, philox4x32_lanes};

/// Runs `work`, compiled for the widest vectors that this processor has: AVX-512, AVX2 or the baseline. A closure, and every closure in
/// it, must be marked `#[inline(always)]`: what is called and not inlined is compiled for the baseline.
///
/// ```
/// let mut y = [1.0_f32; 100];
/// gbm_sde::dispatch(
///     #[inline(always)]
///     || y.iter_mut().for_each(|y| *y = 2.0 * *y + 1.0),
/// );
/// assert_eq!(y, [3.0; 100]);
/// ```
#[inline(always)]
pub fn dispatch(work: impl FnMut()) {
    Arch::new().dispatch(Work(work));
}

/// A closure for `pulp`. Calling it by `FnMut` reaches its body; `FnOnce` would go through a function that need not be inlined.
struct Work<F>(F);

impl<F: FnMut()> NullaryFnOnce for Work<F> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        (self.0)();
    }
}

/// Blocks of two draws that are made together; an odd end goes in the smaller groups.
pub(crate) const WIDE: usize = 32;
const NARROW: usize = 8;

/// All draws of one `(seed, stream, index, step)`.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) key: [u32; 2],
    pub(crate) step: u32,
    pub(crate) index: [u32; 2],
}

impl Row {
    /// The two uniforms of a block.
    #[inline]
    pub(crate) fn uniforms(self, block: usize) -> [f64; 2] {
        let bits = philox4x32(self.counter(block), self.key);
        [0, 2].map(|i| uniform_from_bits(u64::from(bits[i]) | u64::from(bits[i + 1]) << 32))
    }

    /// The two normals of a block.
    #[inline]
    pub(crate) fn normals(self, block: usize) -> [f64; 2] {
        let [u0, u1] = self.uniforms(block);
        box_muller(u0, u1)
    }

    #[inline(always)]
    fn counter(self, block: usize) -> [u32; 4] {
        [block as u32, self.step, self.index[0], self.index[1]]
    }

    #[inline(always)]
    fn uniform_group<const N: usize>(self, block: usize) -> [[f64; 2]; N] {
        let [first, last] = philox4x32_lanes::<N>(self.lanes(block), self.key);
        let mut pairs = [[0.0; 2]; N];
        for lane in 0..N {
            pairs[lane] = [uniform_from_bits(first[lane]), uniform_from_bits(last[lane])];
        }
        pairs
    }

    /// Counters of blocks that follow one another.
    #[inline(always)]
    fn lanes(self, block: usize) -> impl Fn(usize) -> [u32; 4] {
        let [c0, c1, c2, c3] = self.counter(block);
        #[inline(always)]
        move |lane| [c0.wrapping_add(lane as u32), c1, c2, c3]
    }

    #[inline(always)]
    fn normal_group<const N: usize, T: Real>(self, block: usize) -> [[T; 2]; N] {
        normal_pairs(self.lanes(block), self.key)
    }

    /// Gives `write` the values of `out` with their normals, in groups, and where in `out` a group begins; `out` itself begins at
    /// block `first`.
    #[inline(always)]
    pub(crate) fn with_normals<T: Real>(self, first: usize, out: &mut [T], write: impl Fn(usize, &mut [T], &[T])) {
        in_groups(
            first,
            out,
            #[inline(always)]
            |block| self.normal_group::<WIDE, T>(block),
            #[inline(always)]
            |block| self.normal_group::<NARROW, T>(block),
            write,
        );
    }

    /// Fills `out` with the uniforms from block `first` on.
    #[inline(always)]
    pub(crate) fn fill_uniform(self, first: usize, out: &mut [f64]) {
        in_groups(
            first,
            out,
            #[inline(always)]
            |block| self.uniform_group::<WIDE>(block),
            #[inline(always)]
            |block| self.uniform_group::<NARROW>(block),
            assign,
        );
    }
}

/// The pairs of normals at any `N` counters.
#[inline(always)]
pub(crate) fn normal_pairs<const N: usize, T: Real>(counter: impl Fn(usize) -> [u32; 4], key: [u32; 2]) -> [[T; 2]; N] {
    let [first, last] = philox4x32_lanes::<N>(counter, key);
    let mut pairs = [[T::default(); 2]; N];
    for lane in 0..N {
        let [cosine, sine] = box_muller(uniform_from_bits(first[lane]), uniform_from_bits(last[lane]));
        pairs[lane] = [T::nearest(cosine), T::nearest(sine)];
    }
    pairs
}

/// A precision in which draws are given: `f32` or `f64`.
///
/// ```
/// use gbm_sde::Real;
/// assert_eq!(f32::nearest(0.1), 0.1_f32);
/// assert_eq!(f64::nearest(0.1), 0.1_f64);
/// ```
pub trait Real: Copy + Default + Send + Sync + sealed::Sealed {
    /// The nearest value.
    fn nearest(draw: f64) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Real for f64 {
    #[inline(always)]
    fn nearest(draw: f64) -> Self {
        draw
    }
}

impl Real for f32 {
    #[inline(always)]
    fn nearest(draw: f64) -> Self {
        draw as Self
    }
}

/// What a plain fill writes.
#[inline(always)]
pub(crate) fn assign<T: Copy>(_: usize, values: &mut [T], draws: &[T]) {
    values.copy_from_slice(draws);
}

#[inline(always)]
fn in_groups<T: Real>(
    first: usize,
    out: &mut [T],
    wide: impl Fn(usize) -> [[T; 2]; WIDE],
    narrow: impl Fn(usize) -> [[T; 2]; NARROW],
    write: impl Fn(usize, &mut [T], &[T]),
) {
    let (groups, end) = out.as_chunks_mut::<{ 2 * WIDE }>();
    let mut done = 0;
    for group in groups {
        write(done, group, wide(first.wrapping_add(done / 2)).as_flattened());
        done += 2 * WIDE;
    }
    for group in end.chunks_mut(2 * NARROW) {
        let draws = narrow(first.wrapping_add(done / 2));
        write(done, group, &draws.as_flattened()[..group.len()]);
        done += 2 * NARROW;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `work` compiled for every vector width that this processor has, the baseline first.
    fn on_every_width(work: impl Fn(&str) + Copy) {
        work("baseline");
        dispatch(
            #[inline(always)]
            || work("widest"),
        );
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = pulp::x86::V3::try_new() {
                simd.vectorize(
                    #[inline(always)]
                    || work("AVX2"),
                );
            }
            if let Some(simd) = pulp::x86::V4::try_new() {
                simd.vectorize(
                    #[inline(always)]
                    || work("AVX-512"),
                );
            }
        }
    }

    const ROWS: [Row; 2] = [
        Row { key: [7, 0], step: 3, index: [11, 0x0002_0000] },
        Row { key: [0xdead_beef, 0xcafe_f00d], step: u32::MAX, index: [u32::MAX, 0xFFFF_FFFF] },
    ];

    /// Every length up to four groups, from blocks anywhere: also where the block number wraps inside a group.
    #[test]
    fn groups_have_the_bits_of_single_draws_at_every_length_and_width() {
        for row in ROWS {
            for first in [0, 1, 1_000_003, u32::MAX as usize - 20] {
                let single = |e: usize| (row.normals(first + e / 2)[e % 2], row.uniforms(first + e / 2)[e % 2]);
                let truth: Vec<(f64, f64)> = (0..4 * 2 * WIDE).map(single).collect();
                on_every_width(
                    #[inline(always)]
                    |width| {
                        for length in 0..=truth.len() {
                            let (mut z, mut u) = (vec![0.0f64; length], vec![0.0; length]);
                            row.with_normals(first, &mut z, assign);
                            row.fill_uniform(first, &mut u);
                            for (e, &(normal, uniform)) in truth[..length].iter().enumerate() {
                                assert_eq!(z[e].to_bits(), normal.to_bits(), "{width}, element {e} of {length}");
                                assert_eq!(u[e].to_bits(), uniform.to_bits(), "{width}, element {e} of {length}");
                            }
                        }
                    },
                );
            }
        }
    }

    /// Long rows, where rare branches of the logarithm and of the circle occur.
    #[test]
    fn long_rows_have_the_same_bits_at_every_width() {
        let single: Vec<u64> = (0..50_000).flat_map(|block| ROWS[0].normals(block)).map(f64::to_bits).collect();
        on_every_width(
            #[inline(always)]
            |width| {
                let mut z = vec![0.0f64; single.len()];
                ROWS[0].with_normals(0, &mut z, assign);
                assert!(z.iter().zip(&single).all(|(z, &bits)| z.to_bits() == bits), "{width}");
            },
        );
    }
}
