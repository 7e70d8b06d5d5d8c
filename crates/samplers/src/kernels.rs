//! The elementwise kernels on slices: one pass over memory, in place, on vector lanes and all threads, with the noise given or drawn
//! inside.
//!
//! ```text
//! exponentiated     x ← x exp(a + b h + c z)                   4 streams with z given, 3 with z drawn
//! linear            y ← α y + Σ_j β_j D_j (+ η z)              the same update, in the logarithm
//! ```
//!
//! Coefficients are rounded to the precision of the slice once. Every value depends on its own inputs only, so neither the number of
//! threads nor the width of the vectors shows in it. The vector code is compiled for AVX-512 and AVX2 beside the baseline; the
//! widest that the processor has is taken when it runs, and memory is asked for ahead of its use. The exponential is
//! [`gbm_sde::exponential::exp`].

// The compiler makes vector code of counted loops, not always of zipped iterators.
#![allow(clippy::needless_range_loop)]

use gbm_sde::exponential::exp;
use gbm_sde::{Exponent, NormalRows, Real, Threads, by_pieces, dispatch};

use crate::prefetch;

/// Values that are worked on between two requests for memory.
const GROUP: usize = 64;
/// From this many values on, a kernel is spread over all threads.
const PARALLEL_FROM: usize = 1 << 16;

/// Operands that do not have as many values as the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("kernel: `{name}` has {found} values, the state {expected}")]
pub struct LengthError {
    /// The operand.
    pub name: &'static str,
    /// Values of the state.
    pub expected: usize,
    /// Values of the operand.
    pub found: usize,
}

fn check(name: &'static str, expected: usize, found: usize) -> Result<(), LengthError> {
    if expected == found { Ok(()) } else { Err(LengthError { name, expected, found }) }
}

/// All threads from a size on where they are worth it.
pub(crate) fn threads(values: usize) -> Threads {
    if values >= PARALLEL_FROM { Threads::All } else { Threads::One }
}

/// The exponentiated update `x ← x exp(a + b h + c z)` in single precision.
///
/// ```
/// use gbm_sde::{LogStep, Noise, NormalRows, Stream};
/// use samplers::kernels::Exponentiated;
/// let step = Exponentiated::from(LogStep::between_levels(0.5, 0.25)?.exponent());
/// let h = [-1.0, -1.5, -0.5, -1.0]; // Hyvärinen scores
/// let (mut given, mut drawn) = ([1.0, 2.0, -3.0, 0.5], [1.0, 2.0, -3.0, 0.5]);
/// let rows = NormalRows::new(Noise::new(7), Stream::SAMPLER, 2);
/// let mut z = [0.0; 4];
/// rows.noise.rows_normal(rows.stream, 0, 0, &mut z, 2);
/// step.given(&mut given, &h, &z)?;
/// step.drawn(&mut drawn, &h, &rows)?;
/// assert_eq!(given, drawn);
/// assert!(given[2] < 0.0); // no sign changes
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponentiated {
    a: f32,
    b: f32,
    c: f32,
}

impl From<Exponent> for Exponentiated {
    fn from(exponent: Exponent) -> Self {
        Self { a: exponent.a as f32, b: exponent.b as f32, c: exponent.c as f32 }
    }
}

impl Exponentiated {
    #[inline(always)]
    fn apply(self, x: &mut [f32], h: &[f32], z: &[f32]) {
        let (h, z) = (&h[..x.len()], &z[..x.len()]);
        for i in 0..x.len() {
            x[i] *= exp(self.a + self.b * h[i] + self.c * z[i]);
        }
    }

    /// Updates `x` with the Hyvärinen scores `h` and the normals `z`, all of one length.
    ///
    /// # Errors
    /// When the lengths differ; nothing was written then.
    pub fn given(self, x: &mut [f32], h: &[f32], z: &[f32]) -> Result<(), LengthError> {
        check("h", x.len(), h.len())?;
        check("z", x.len(), z.len())?;
        let len = x.len();
        by_pieces(threads(len), x, len, |place, x| {
            let range = place.element..place.element + x.len();
            let (h, z) = (&h[range.clone()], &z[range]);
            dispatch(
                #[inline(always)]
                || {
                    in_groups(
                        x,
                        h,
                        z,
                        #[inline(always)]
                        |x, h, z| self.apply(x, h, z),
                    );
                },
            );
        });
        Ok(())
    }

    /// Updates `x` with the Hyvärinen scores `h` and normals that are drawn on the way and never lie in memory. The result is
    /// [`Exponentiated::given`]'s with those normals, to the bit.
    ///
    /// # Errors
    /// When the lengths differ; nothing was written then.
    pub fn drawn(self, x: &mut [f32], h: &[f32], rows: &NormalRows) -> Result<(), LengthError> {
        check("h", x.len(), h.len())?;
        rows.each(
            x,
            #[inline(always)]
            |at, x, z| self.apply(x, &h[at..at + x.len()], z),
        );
        Ok(())
    }
}

/// Numbers of the linear kernel.
pub(crate) trait Number: Real + std::ops::Mul<Output = Self> + std::ops::Add<Output = Self> {}

impl Number for f32 {}
impl Number for f64 {}

/// Calls `work` on groups of a piece and of its two operands, with the memory of later ones on its way.
#[inline(always)]
fn in_groups<T>(y: &mut [T], d: &[T], e: &[T], work: impl Fn(&mut [T], &[T], &[T])) {
    let (y, y_end) = y.as_chunks_mut::<GROUP>();
    let (d, d_end) = d.as_chunks::<GROUP>();
    let (e, e_end) = e.as_chunks::<GROUP>();
    for ((y, d), e) in y.iter_mut().zip(d).zip(e) {
        prefetch::ahead(y);
        prefetch::ahead(d);
        prefetch::ahead(e);
        work(y, d, e);
    }
    work(y_end, d_end, e_end);
}

/// `y ← alpha y + Σ β_j D_j` on a piece; from the third term on it lies in the cache.
#[inline(always)]
fn combine_piece<T: Number>(y: &mut [T], alpha: T, terms: &[(T, &[T])]) {
    match *terms {
        [] => y.iter_mut().for_each(|y| *y = alpha * *y),
        [(b, d)] => y.iter_mut().zip(d).for_each(|(y, &d)| *y = alpha * *y + b * d),
        [(b, d), (c, e), ref rest @ ..] => {
            in_groups(
                y,
                d,
                e,
                #[inline(always)]
                |y, d, e| {
                    let (d, e) = (&d[..y.len()], &e[..y.len()]);
                    for i in 0..y.len() {
                        y[i] = alpha * y[i] + b * d[i] + c * e[i];
                    }
                },
            );
            for &(b, d) in rest {
                y.iter_mut().zip(d).for_each(|(y, &d)| *y = *y + b * d);
            }
        }
    }
}

/// `y ← alpha y + Σ β_j D_j`; all slices have one length.
pub(crate) fn linear<T: Number>(y: &mut [T], alpha: f64, terms: &[(f64, &[T])]) {
    let (alpha, len) = (T::nearest(alpha), y.len());
    by_pieces(threads(len), y, len, |place, y| {
        let range = place.element..place.element + y.len();
        let terms: Vec<(T, &[T])> = terms.iter().map(|&(b, d)| (T::nearest(b), &d[range.clone()])).collect();
        dispatch(
            #[inline(always)]
            || combine_piece(y, alpha, &terms),
        );
    });
}

/// `y ← alpha y + Σ β_j D_j + eta z` with normals that are drawn on the way; the result is [`linear`]'s with those normals as the
/// last term, to the bit.
pub(crate) fn linear_drawn<T: Number>(y: &mut [T], alpha: f64, terms: &[(f64, &[T])], eta: f64, rows: &NormalRows) {
    let (alpha, eta) = (T::nearest(alpha), T::nearest(eta));
    let terms: Vec<(T, &[T])> = terms.iter().map(|&(b, d)| (T::nearest(b), d)).collect();
    match *terms {
        [] => rows.each(
            y,
            #[inline(always)]
            |_, y, z| y.iter_mut().zip(z).for_each(|(y, &z)| *y = alpha * *y + eta * z),
        ),
        [(b, d)] => rows.each(
            y,
            #[inline(always)]
            |at, y, z| {
                let d = &d[at..at + y.len()];
                y.iter_mut().zip(d).zip(z).for_each(|((y, &d), &z)| *y = alpha * *y + b * d + eta * z);
            },
        ),
        ref terms => rows.each(
            y,
            #[inline(always)]
            |at, y, z| {
                let len = y.len();
                y.iter_mut().for_each(|y| *y = alpha * *y);
                for (b, d) in terms {
                    y.iter_mut().zip(&d[at..at + len]).for_each(|(y, &d)| *y = *y + *b * d);
                }
                y.iter_mut().zip(z).for_each(|(y, &z)| *y = *y + eta * z);
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gbm_sde::{LogStep, Noise, Stream};

    fn values(n: usize, stream: u16) -> Vec<f32> {
        let mut z = vec![0.0; n];
        Noise::new(3).fill_normal(Stream(stream), 0, 0, &mut z);
        z
    }

    /// Every length around the pieces' and groups', against the scalar formula in double precision; zeros, infinities and
    /// both signs stay what they are.
    #[test]
    fn the_exponentiated_update_is_its_formula_at_every_length() {
        let exponent = LogStep { v: 0.7, v_next: 0.4, dm: 0.1 }.exponent();
        let step = Exponentiated::from(exponent);
        for n in [0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 70_001] {
            let (start, h, z) = (values(n, 90), values(n, 91), values(n, 92));
            let mut x = start.clone();
            step.given(&mut x, &h, &z).unwrap();
            for i in 0..n {
                let (h, z) = (f64::from(h[i]), f64::from(z[i]));
                let truth = exponent.apply(f64::from(start[i]), h, z);
                let size = 1.0 + exponent.a.abs() + (exponent.b * h).abs() + (exponent.c * z).abs();
                assert!((f64::from(x[i]) / truth - 1.0).abs() < 3e-7 * size, "{n} {i}: {} {truth}", x[i]);
            }
        }
        let mut ends = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY];
        step.given(&mut ends, &[0.0; 4], &[0.0; 4]).unwrap();
        assert_eq!(ends.map(f32::to_bits), [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY].map(f32::to_bits));
    }

    #[test]
    fn noise_drawn_inside_is_the_noise_given() {
        let step = Exponentiated::from(LogStep { v: 0.7, v_next: 0.4, dm: 0.0 }.exponent());
        for row_len in [1, 2, 3, 50, 784, 5000] {
            let n = row_len * (1 + 80_000 / row_len) - row_len / 3;
            let rows =
                NormalRows { first_index: 5, step: 2, ..NormalRows::new(Noise::new(8), Stream::SAMPLER, row_len) };
            let (start, h, d) = (values(n, 90), values(n, 91), values(n, 92));
            let mut z = vec![0.0_f32; n];
            rows.noise.rows_normal(rows.stream, 5, 2, &mut z, row_len);
            let (mut given, mut drawn) = (start.clone(), start.clone());
            step.given(&mut given, &h, &z).unwrap();
            step.drawn(&mut drawn, &h, &rows).unwrap();
            assert_eq!(given, drawn, "{row_len}");
            for terms in [vec![], vec![(0.3, &h[..])], vec![(0.3, &h[..]), (-1.7, &d[..])], vec![(0.3, &h[..]); 5]] {
                let (mut given, mut drawn) = (start.clone(), start.clone());
                let all: Vec<(f64, &[f32])> = terms.iter().copied().chain([(0.9, &z[..])]).collect();
                linear(&mut given, 0.7, &all);
                linear_drawn(&mut drawn, 0.7, &terms, 0.9, &rows);
                assert_eq!(given, drawn, "{row_len}, {} terms", terms.len());
                for i in (0..n).step_by(997) {
                    let term = |&(b, d): &(f64, &[f32])| b * f64::from(d[i]);
                    let truth = 0.7 * f64::from(start[i]) + all.iter().map(term).sum::<f64>();
                    assert!((f64::from(given[i]) - truth).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn lengths_are_checked() {
        let step = Exponentiated::from(LogStep { v: 0.7, v_next: 0.4, dm: 0.0 }.exponent());
        let mut x = [1.0; 3];
        let error = step.given(&mut x, &[0.0; 3], &[0.0; 4]).unwrap_err();
        assert_eq!(error, LengthError { name: "z", expected: 3, found: 4 });
        let rows = NormalRows::new(Noise::new(8), Stream::SAMPLER, 3);
        assert_eq!(step.drawn(&mut x, &[0.0; 2], &rows).unwrap_err().name, "h");
        assert_eq!(x, [1.0; 3]);
    }
}
