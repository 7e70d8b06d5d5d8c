//! Addressed noise: a draw is a function of `(seed, stream, index, step, element)`, never of what was drawn before.
//!
//! ```math
//! \begin{aligned}
//! c_0 &= \text{block}, & c_2 &= \text{index} \bmod 2^{32}, & k_0 &= \text{seed} \bmod 2^{32} \\
//! c_1 &= \text{step}, & c_3 &= \lfloor \text{index} / 2^{32} \rfloor \bmod 2^{16} + 2^{16}\, \text{stream}, &
//! k_1 &= \lfloor \text{seed} / 2^{32} \rfloor
//! \end{aligned}
//! ```
//!
//! Philox's counter `$c$` and key `$k$` are the address. Element `$e$` lies in block `$\lfloor e/2 \rfloor$`: it is the first
//! or second uniform there, or the cosine or sine normal of the pair. So image `index` gets the same noise whatever the batch, the order or the number of threads. Indices are taken modulo
//! 2⁴⁸, elements must stay below 2³³. Single precision values are the double precision ones, rounded.
//!
//! ```
//! use gbm_sde::{Noise, Stream};
//! let noise = Noise::new(7);
//! let mut row = [0.0; 5];
//! noise.fill_normal_f64(Stream::SAMPLER, 3, 0, &mut row);
//! assert_eq!(row[4], noise.normal(Stream::SAMPLER, 3, 0, 4));
//! ```
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use crate::lanes::{Real, Row, assign, dispatch};
use crate::rows::NormalRows;

/// What a draw is for. Draws of different streams are independent.
///
/// ```
/// use gbm_sde::{Noise, Stream};
/// let [prior, sampler] = [Stream::PRIOR, Stream::SAMPLER].map(|stream| Noise::new(7).normal(stream, 0, 0, 0));
/// assert_ne!(prior, sampler);
/// assert_eq!(Noise::new(7).normal(Stream(1), 0, 0, 0), prior);
/// ```
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
///
/// ```
/// use gbm_sde::{Noise, Stream};
/// let draw = |seed: u64, index: u64| Noise::new(seed).normal(Stream::PRIOR, index, 0, 0);
/// let (later, sooner) = (draw(7, 40), draw(7, 3));
/// assert_eq!([draw(7, 3), draw(7, 40)], [sooner, later]); // in any order
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    seed: u64,
}

impl Noise {
    /// The source with this seed.
    ///
    /// ```
    /// assert_eq!(gbm_sde::Noise::new(7).seed(), 7);
    /// ```
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Its seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    #[inline(always)]
    pub(crate) fn row(self, stream: Stream, index: u64, step: u32) -> Row {
        let high = ((index >> 32) as u32 & 0xFFFF) | (u32::from(stream.0) << 16);
        Row { key: [self.seed as u32, (self.seed >> 32) as u32], step, index: [index as u32, high] }
    }

    /// The standard normal at one address; `element` is below 2³³.
    ///
    /// ```
    /// use gbm_sde::{Noise, Stream};
    /// let noise = Noise::new(7);
    /// let mut row = [0.0; 6];
    /// noise.fill_normal_f64(Stream::PRIOR, 3, 1, &mut row);
    /// assert_eq!(noise.normal(Stream::PRIOR, 3, 1, 5), row[5]);
    /// ```
    pub fn normal(&self, stream: Stream, index: u64, step: u32, element: usize) -> f64 {
        self.row(stream, index, step).normals(element / 2)[element % 2]
    }

    /// The uniform in `(0, 1)` at one address. Shares its bits with the normal there: use another stream or step for it.
    ///
    /// ```
    /// use gbm_sde::{Noise, Stream, gaussian::box_muller};
    /// let noise = Noise::new(7);
    /// let [u0, u1] = [0, 1].map(|element| noise.uniform(Stream::TIME, 3, 1, element));
    /// assert_eq!(box_muller(u0, u1), [0, 1].map(|element| noise.normal(Stream::TIME, 3, 1, element)));
    /// ```
    pub fn uniform(&self, stream: Stream, index: u64, step: u32, element: usize) -> f64 {
        self.row(stream, index, step).uniforms(element / 2)[element % 2]
    }

    /// Fills `out` with the standard normals of elements `0, 1, …`, in single precision.
    ///
    /// ```
    /// use gbm_sde::{Noise, Stream};
    /// let (mut single, mut double) = ([0.0f32; 5], [0.0f64; 5]);
    /// Noise::new(7).fill_normal(Stream::PRIOR, 3, 0, &mut single);
    /// Noise::new(7).fill_normal_f64(Stream::PRIOR, 3, 0, &mut double);
    /// assert_eq!(single, double.map(|z| z as f32));
    /// ```
    pub fn fill_normal(&self, stream: Stream, index: u64, step: u32, out: &mut [f32]) {
        let row = self.row(stream, index, step);
        dispatch(
            #[inline(always)]
            || row.with_normals(0, out, assign),
        );
    }

    /// Fills `out` with the standard normals of elements `0, 1, …`.
    ///
    /// ```
    /// use gbm_sde::{Noise, Stream};
    /// let (mut short, mut long) = ([0.0; 3], [0.0; 70]);
    /// Noise::new(7).fill_normal_f64(Stream::PRIOR, 3, 0, &mut short);
    /// Noise::new(7).fill_normal_f64(Stream::PRIOR, 3, 0, &mut long);
    /// assert_eq!(short, long[..3]);
    /// ```
    pub fn fill_normal_f64(&self, stream: Stream, index: u64, step: u32, out: &mut [f64]) {
        let row = self.row(stream, index, step);
        dispatch(
            #[inline(always)]
            || row.with_normals(0, out, assign),
        );
    }

    /// Fills `out` with the uniforms in `(0, 1)` of elements `0, 1, …`.
    ///
    /// ```
    /// use gbm_sde::{Noise, Stream};
    /// let mut row = [0.0; 5];
    /// Noise::new(7).fill_uniform_f64(Stream::TIME, 3, 0, &mut row);
    /// assert_eq!(row[4], Noise::new(7).uniform(Stream::TIME, 3, 0, 4));
    /// ```
    pub fn fill_uniform_f64(&self, stream: Stream, index: u64, step: u32, out: &mut [f64]) {
        let row = self.row(stream, index, step);
        dispatch(
            #[inline(always)]
            || row.fill_uniform(0, out),
        );
    }

    /// Fills `out`, rows of `row_len` values one after another, with standard normals: row `i` is index `first_index + i`.
    /// Uses all threads; the values do not depend on how many there are. A last row may be short; nothing is written when
    /// `row_len` is 0.
    ///
    /// ```
    /// use gbm_sde::{Noise, Stream};
    /// let (mut rows, mut row) = ([0.0; 9], [0.0; 3]);
    /// Noise::new(7).rows_normal(Stream::PRIOR, 40, 0, &mut rows, 3);
    /// Noise::new(7).fill_normal(Stream::PRIOR, 42, 0, &mut row);
    /// assert_eq!(rows[6..], row);
    /// ```
    pub fn rows_normal(&self, stream: Stream, first_index: u64, step: u32, out: &mut [f32], row_len: usize) {
        self.rows(stream, first_index, step, out, row_len);
    }

    /// [`Noise::rows_normal`] in double precision.
    ///
    /// ```
    /// use gbm_sde::{Noise, Stream};
    /// let (mut rows, mut row) = ([0.0; 5], [0.0; 2]);
    /// Noise::new(7).rows_normal_f64(Stream::PRIOR, 40, 0, &mut rows, 3); // the second row is short
    /// Noise::new(7).fill_normal_f64(Stream::PRIOR, 41, 0, &mut row);
    /// assert_eq!(rows[3..], row);
    /// ```
    pub fn rows_normal_f64(&self, stream: Stream, first_index: u64, step: u32, out: &mut [f64], row_len: usize) {
        self.rows(stream, first_index, step, out, row_len);
    }

    fn rows<T: Real>(&self, stream: Stream, first_index: u64, step: u32, out: &mut [T], row_len: usize) {
        let rows = NormalRows { first_index, step, ..NormalRows::new(*self, stream, row_len) };
        rows.each(
            out,
            #[inline(always)]
            |_, values, draws| values.copy_from_slice(draws),
        );
    }

    /// A random order of `0 … n−1`: Fisher and Yates' shuffle on the uniforms at `(stream, index, 0)`. `n` is at most 2³².
    ///
    /// ```
    /// use gbm_sde::{Noise, Stream};
    /// let mut order = Noise::new(7).permutation(Stream::ORDER, 0, 100);
    /// order.sort_unstable();
    /// assert!(order.into_iter().eq(0..100));
    /// ```
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
