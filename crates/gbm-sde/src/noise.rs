//! Addressed noise: a draw is a function of `(seed, stream, index, step, element)`, never of what was drawn before.
//!
//! ```text
//! counter  c₀ = block,  c₁ = step,  c₂ = index mod 2³²,  c₃ = (index div 2³²) mod 2¹⁶ + 2¹⁶ stream
//! key      k₀ = seed mod 2³²,  k₁ = seed div 2³²
//! element e lies in block ⌊e/2⌋: its first or second uniform, or the cosine or sine normal of the pair
//! ```
//!
//! So image `index` gets the same noise whatever the batch, the order or the number of threads. Indices are taken modulo
//! 2⁴⁸, elements must stay below 2³³. Single precision values are the double precision ones, rounded.
//!
//! ```
//! use gbm_sde::{Noise, Stream};
//! let noise = Noise::new(7);
//! let mut row = [0.0; 5];
//! noise.fill_normal_f64(Stream::SAMPLER, 3, 0, &mut row);
//! assert_eq!(row[4], noise.normal(Stream::SAMPLER, 3, 0, 4));
//! ```

use rayon::prelude::*;

use crate::gaussian::{box_muller, uniform_from_bits};
use crate::philox::philox4x32;

/// What a draw is for. Draws of different streams are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream(pub u16);

impl Stream {
    /// Start of reverse time; index = image.
    pub const PRIOR: Self = Self(1);
    /// Noise inside a sampler; index = image, step = draw.
    pub const SAMPLER: Self = Self(2);
    /// Noise of the forward process in training; index = image counted over the whole run.
    pub const PERTURB: Self = Self(3);
    /// Noise levels in training; index = training step.
    pub const TIME: Self = Self(4);
    /// Order of the data; index = epoch.
    pub const ORDER: Self = Self(5);
    /// Initial weights; index = tensor.
    pub const INIT: Self = Self(6);
    /// Bootstrap resamples; index = replicate.
    pub const BOOTSTRAP: Self = Self(7);
    /// Drawn glyphs; index = image.
    pub const GLYPHS: Self = Self(8);
    /// Dropout masks; index = training step.
    pub const DROPOUT: Self = Self(9);
}

/// A source of addressed draws: the seed and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    seed: u64,
}

impl Noise {
    /// The source with this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Its seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    #[inline]
    fn row(self, stream: Stream, index: u64, step: u32) -> Row {
        let high = ((index >> 32) as u32 & 0xFFFF) | (u32::from(stream.0) << 16);
        Row { key: [self.seed as u32, (self.seed >> 32) as u32], step, index: [index as u32, high] }
    }

    /// The standard normal at one address.
    pub fn normal(&self, stream: Stream, index: u64, step: u32, element: usize) -> f64 {
        let [u0, u1] = self.row(stream, index, step).uniforms(element / 2);
        box_muller(u0, u1)[element % 2]
    }

    /// The uniform in `(0, 1)` at one address. Shares its bits with the normal there: use another stream or step for it.
    pub fn uniform(&self, stream: Stream, index: u64, step: u32, element: usize) -> f64 {
        self.row(stream, index, step).uniforms(element / 2)[element % 2]
    }

    /// Fills `out` with the standard normals of elements `0, 1, …`, in single precision.
    pub fn fill_normal(&self, stream: Stream, index: u64, step: u32, out: &mut [f32]) {
        self.row(stream, index, step).fill_normal(out, |z| z as f32);
    }

    /// Fills `out` with the standard normals of elements `0, 1, …`.
    pub fn fill_normal_f64(&self, stream: Stream, index: u64, step: u32, out: &mut [f64]) {
        self.row(stream, index, step).fill_normal(out, |z| z);
    }

    /// Fills `out` with the uniforms in `(0, 1)` of elements `0, 1, …`.
    pub fn fill_uniform_f64(&self, stream: Stream, index: u64, step: u32, out: &mut [f64]) {
        let row = self.row(stream, index, step);
        for (block, pair) in out.chunks_mut(2).enumerate() {
            let uniforms = row.uniforms(block);
            pair.copy_from_slice(&uniforms[..pair.len()]);
        }
    }

    /// Fills `out`, rows of `row_len` values one after another, with standard normals: row `i` is index `first_index + i`.
    /// Uses all threads; the values do not depend on how many there are. A last row may be short; nothing is written when
    /// `row_len` is 0.
    pub fn rows_normal(&self, stream: Stream, first_index: u64, step: u32, out: &mut [f32], row_len: usize) {
        self.rows(stream, first_index, step, out, row_len, |z| z as f32);
    }

    /// [`Noise::rows_normal`] in double precision.
    pub fn rows_normal_f64(&self, stream: Stream, first_index: u64, step: u32, out: &mut [f64], row_len: usize) {
        self.rows(stream, first_index, step, out, row_len, |z| z);
    }

    fn rows<T: Copy + Send>(
        &self,
        stream: Stream,
        first_index: u64,
        step: u32,
        out: &mut [T],
        row_len: usize,
        round: impl Fn(f64) -> T + Sync,
    ) {
        if row_len == 0 {
            return;
        }
        // Rows of a few elements are grouped, so that a task is worth starting.
        let rows_per_task = (4096 / row_len).max(1);
        out.par_chunks_mut(rows_per_task * row_len).enumerate().for_each(|(task, rows)| {
            let first = first_index.wrapping_add((task * rows_per_task) as u64);
            for (i, row) in rows.chunks_mut(row_len).enumerate() {
                self.row(stream, first.wrapping_add(i as u64), step).fill_normal(row, &round);
            }
        });
    }

    /// A random order of `0 … n−1`: Fisher and Yates' shuffle on the uniforms at `(stream, index, 0)`. `n` is at most 2³².
    pub fn permutation(&self, stream: Stream, index: u64, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n).map(|i| i as u32).collect();
        let mut uniforms = vec![0.0; n];
        self.fill_uniform_f64(stream, index, 0, &mut uniforms);
        for i in (1..n).rev() {
            let j = ((uniforms[i] * (i + 1) as f64) as usize).min(i);
            order.swap(i, j);
        }
        order
    }
}

/// Pairs that are made together, so that the arithmetic runs on vector lanes.
const LANES: usize = 16;

/// All draws of one `(seed, stream, index, step)`.
#[derive(Clone, Copy)]
struct Row {
    key: [u32; 2],
    step: u32,
    index: [u32; 2],
}

impl Row {
    #[inline]
    fn uniforms(self, block: usize) -> [f64; 2] {
        let bits = philox4x32([block as u32, self.step, self.index[0], self.index[1]], self.key);
        [0, 2].map(|i| uniform_from_bits(u64::from(bits[i]) | u64::from(bits[i + 1]) << 32))
    }

    #[inline]
    fn fill_normal<T: Copy>(self, out: &mut [T], round: impl Fn(f64) -> T) {
        for (group, chunk) in out.chunks_mut(2 * LANES).enumerate() {
            let pairs: [[f64; 2]; LANES] = std::array::from_fn(|lane| self.uniforms(group * LANES + lane));
            let mut normals = [[0.0; 2]; LANES];
            for (normal, [u0, u1]) in normals.iter_mut().zip(pairs) {
                *normal = box_muller(u0, u1);
            }
            for (value, &z) in chunk.iter_mut().zip(normals.as_flattened()) {
                *value = round(z);
            }
        }
    }
}
