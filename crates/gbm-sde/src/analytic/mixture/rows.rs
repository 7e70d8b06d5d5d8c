//! The mixture's log denoiser in single precision, many rows at once on vector lanes.
//!
//! ```math
//! D(\bar y, v) = \sum_k \gamma_k \left[ \mu_k + G_k (\bar y - \mu_k) \right], \qquad G_k = S_k (S_k + v I)^{-1}, \qquad
//! \gamma_k \propto w_k \det(S_k + v I)^{-1/2}\, e^{-\frac12 \lVert A_k (\bar y - \mu_k) \rVert^2}, \qquad A_k^\top A_k = (S_k + v I)^{-1}
//! ```
//!
//! All that depends on the level alone is computed in double precision and rounded once. The lanes are rows: a block of rows is
//! transposed, so that every step of the formula is one loop over lanes. Against [`LogNormalMixture::denoise_into`] a result is off by a few
//! units of single precision, of the largest of `$|\bar y|$, $|\mu_k|$` and 1, and by what the rounding of
//! `$\lVert A_k (\bar y - \mu_k) \rVert^2$`, a sum over all dimensions, does to `$\gamma_k$`.
#![cfg_attr(doc, doc = include_str!("../../../../../docs/math.html"))]
// The compiler makes vector code of counted loops, not of zipped iterators.
#![allow(clippy::needless_range_loop)]

use rayon::prelude::*;

use super::{LogNormalMixture, Spread};
use crate::exponential::exp;
use crate::lanes::dispatch;

/// Rows that are worked on together.
const LANES: usize = 32;
/// Values that are worth a task.
const PIECE: usize = 8192;

type Lanes = [f32; LANES];

/// A mixture at one level.
struct AtLevel {
    dim: usize,
    components: Vec<Component>,
}

/// One component at one level, in single precision.
struct Component {
    /// Logarithm of weight and normalization.
    constant: f32,
    mean: Vec<f32>,
    /// `A` and `G`, row by row.
    maps: Maps,
}

enum Maps {
    /// Of a diagonal covariance: the diagonals.
    Diagonal { whitening: Vec<f32>, gain: Vec<f32> },
    /// `d × d` each.
    Full { whitening: Vec<f32>, gain: Vec<f32> },
}

/// Where a block of rows is worked on: transposed, `d` or `K` arrays of lanes.
struct Scratch {
    y: Vec<Lanes>,
    offset: Vec<Lanes>,
    terms: Vec<Lanes>,
    out: Vec<Lanes>,
}

impl LogNormalMixture {
    /// [`LogNormalMixture::denoise_into`] for many rows in single precision: `y_bar` holds rows of [`LogNormalMixture::dim`] values, `out` as
    /// many values. A value that is not finite makes its row of `out` not a number or infinite. Uses all threads for large batches;
    /// a row's result does not depend on the others.
    ///
    /// ```
    /// use gbm_sde::LogNormalMixture;
    /// let mixture = LogNormalMixture::new(vec![0.4, 0.6], vec![vec![-1.0], vec![0.5]], vec![vec![0.1], vec![0.2]])?;
    /// let (y, mut d, mut truth) = ([0.1, -2.0], [0.0; 2], [0.0]);
    /// mixture.denoise_rows(&y, 0.3, &mut d);
    /// mixture.denoise_into(&[f64::from(y[0])], 0.3, &mut truth);
    /// assert!((f64::from(d[0]) - truth[0]).abs() < 1e-6);
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    ///
    /// # Panics
    /// When `out` has another length than `y_bar`, or that is not a multiple of the dimension.
    pub fn denoise_rows(&self, y_bar: &[f32], v: f64, out: &mut [f32]) {
        let dim = self.dim();
        assert!(
            y_bar.len() == out.len() && y_bar.len().is_multiple_of(dim),
            "{} values in and {} out are not the same number of rows of {dim}",
            y_bar.len(),
            out.len()
        );
        let level = self.at_level(v);
        let block = dim * LANES;
        let piece = block * (PIECE / block).max(1);
        let work = |(out, y): (&mut [f32], &[f32])| level.denoise(y, out);
        if out.len() <= piece {
            work((out, y_bar));
        } else {
            out.par_chunks_mut(piece).zip(y_bar.par_chunks(piece)).for_each(work);
        }
    }

    fn at_level(&self, v: f64) -> AtLevel {
        let components = self.weights.iter().zip(&self.means).zip(&self.spreads);
        let component = |((w, mean), spread): ((&f64, &Vec<f64>), &Spread)| {
            let log_det: f64 = spread.eigenvalues.iter().map(|s| (s + v).ln()).sum();
            Component {
                constant: (w.ln() - 0.5 * log_det) as f32,
                mean: mean.iter().map(|&mu| mu as f32).collect(),
                maps: Maps::of(spread, v),
            }
        };
        AtLevel { dim: self.dim(), components: components.map(component).collect() }
    }
}

impl Maps {
    fn of(spread: &Spread, v: f64) -> Self {
        let scales = || spread.eigenvalues.iter().map(|&s| ((s + v).sqrt().recip(), s / (s + v)));
        let Some(axes) = &spread.axes else {
            let (whitening, gain) = scales().map(|(a, g)| (a as f32, g as f32)).unzip();
            return Self::Diagonal { whitening, gain };
        };
        let d = spread.eigenvalues.len();
        let mut gain = vec![0.0; d * d];
        let mut whitening = Vec::with_capacity(d * d);
        for ((a, g), axis) in scales().zip(axes.chunks(d)) {
            whitening.extend(axis.iter().map(|q| (a * q) as f32));
            for (row, p) in gain.chunks_mut(d).zip(axis) {
                row.iter_mut().zip(axis).for_each(|(out, q)| *out += g * p * q);
            }
        }
        Self::Full { whitening, gain: gain.into_iter().map(|g| g as f32).collect() }
    }
}

impl AtLevel {
    fn denoise(&self, y_bar: &[f32], out: &mut [f32]) {
        let block = self.dim * LANES;
        let lanes = |count: usize| vec![[0.0; LANES]; count];
        let mut scratch = Scratch {
            y: lanes(self.dim),
            offset: lanes(self.dim),
            terms: lanes(self.components.len()),
            out: lanes(self.dim),
        };
        dispatch(
            #[inline(always)]
            || {
                for (y, out) in y_bar.chunks(block).zip(out.chunks_mut(block)) {
                    for (lane, row) in y.chunks_exact(self.dim).enumerate() {
                        for j in 0..self.dim {
                            scratch.y[j][lane] = row[j];
                        }
                    }
                    self.block(&mut scratch);
                    for (lane, row) in out.chunks_exact_mut(self.dim).enumerate() {
                        for j in 0..self.dim {
                            row[j] = scratch.out[j][lane];
                        }
                    }
                }
            },
        );
    }

    #[inline(always)]
    fn block(&self, scratch: &mut Scratch) {
        let Scratch { y, offset, terms, out } = scratch;
        let mut largest = [f32::NEG_INFINITY; LANES];
        for (component, term) in self.components.iter().zip(terms.iter_mut()) {
            component.offset(y, offset);
            *term = component.log_density(offset);
            for lane in 0..LANES {
                largest[lane] = if term[lane] > largest[lane] { term[lane] } else { largest[lane] };
            }
        }
        let mut total = [0.0; LANES];
        for term in terms.iter_mut() {
            for lane in 0..LANES {
                term[lane] = exp(term[lane] - largest[lane]);
                total[lane] += term[lane];
            }
        }
        out.fill([0.0; LANES]);
        for (component, term) in self.components.iter().zip(terms.iter()) {
            component.offset(y, offset);
            let mut weight = [0.0; LANES];
            for lane in 0..LANES {
                weight[lane] = term[lane] / total[lane];
            }
            component.add_posterior_mean(offset, &weight, out);
        }
    }
}

impl Component {
    #[inline(always)]
    fn offset(&self, y: &[Lanes], offset: &mut [Lanes]) {
        for ((offset, y), mu) in offset.iter_mut().zip(y).zip(&self.mean) {
            for lane in 0..LANES {
                offset[lane] = y[lane] - mu;
            }
        }
    }

    /// Up to the factor `(2π)^{−d/2}`, which all components share.
    #[inline(always)]
    fn log_density(&self, offset: &[Lanes]) -> Lanes {
        let mut squares = [0.0; LANES];
        match &self.maps {
            Maps::Diagonal { whitening, .. } => {
                for (a, offset) in whitening.iter().zip(offset) {
                    for lane in 0..LANES {
                        let z = a * offset[lane];
                        squares[lane] += z * z;
                    }
                }
            }
            Maps::Full { whitening, .. } => {
                for row in whitening.chunks(offset.len()) {
                    let z = product(row, offset);
                    for lane in 0..LANES {
                        squares[lane] += z[lane] * z[lane];
                    }
                }
            }
        }
        let mut term = [0.0; LANES];
        for lane in 0..LANES {
            term[lane] = self.constant - 0.5 * squares[lane];
        }
        term
    }

    #[inline(always)]
    fn add_posterior_mean(&self, offset: &[Lanes], weight: &Lanes, out: &mut [Lanes]) {
        match &self.maps {
            Maps::Diagonal { gain, .. } => {
                for (((out, offset), g), mu) in out.iter_mut().zip(offset).zip(gain).zip(&self.mean) {
                    for lane in 0..LANES {
                        out[lane] += weight[lane] * (mu + g * offset[lane]);
                    }
                }
            }
            Maps::Full { gain, .. } => {
                for ((out, row), mu) in out.iter_mut().zip(gain.chunks(offset.len())).zip(&self.mean) {
                    let moved = product(row, offset);
                    for lane in 0..LANES {
                        out[lane] += weight[lane] * (mu + moved[lane]);
                    }
                }
            }
        }
    }
}

/// `Σ_j row_j offset_j`.
#[inline(always)]
fn product(row: &[f32], offset: &[Lanes]) -> Lanes {
    let mut sum = [0.0; LANES];
    for (a, offset) in row.iter().zip(offset) {
        for lane in 0..LANES {
            sum[lane] += a * offset[lane];
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Noise, Stream};

    fn mixtures() -> Vec<LogNormalMixture> {
        let covariance = |a: f64, b: f64| vec![vec![a, 0.4 * (a * b).sqrt()], vec![0.4 * (a * b).sqrt(), b]];
        let spread = |d: usize| (0..d).map(|i| 0.02 + 0.1 * (i % 5) as f64).collect::<Vec<_>>();
        let mean = |d: usize, shift: f64| (0..d).map(|i| shift + (i as f64).sin()).collect::<Vec<_>>();
        let centres = vec![vec![-0.6, 0.5], vec![0.7, -0.4]];
        vec![
            LogNormalMixture::new(vec![0.4, 0.6], vec![vec![-1.0], vec![0.5]], vec![vec![0.1], vec![0.02]]).unwrap(),
            LogNormalMixture::with_covariances(
                vec![0.3, 0.7],
                centres,
                vec![covariance(0.1, 0.2), covariance(0.3, 0.05)],
            )
            .unwrap(),
            LogNormalMixture::new(
                vec![1.0, 2.0, 0.5],
                [0.0, 1.0, -1.0].map(|s| mean(3, s)).to_vec(),
                vec![spread(3); 3],
            )
            .unwrap(),
            LogNormalMixture::new(vec![1.0, 2.0], [0.2, -0.1].map(|s| mean(300, s)).to_vec(), vec![spread(300); 2])
                .unwrap(),
        ]
    }

    /// Against double precision at every level, from batches of one row to many pieces, whatever stands beside a row.
    #[test]
    fn rows_are_the_scalar_denoiser_in_single_precision() {
        for mixture in mixtures() {
            let d = mixture.dim();
            for v in [1e-6, 0.01, 0.5, 16.0] {
                let rows = 20_000 / d + 37;
                let mut y = vec![0.0_f32; rows * d];
                Noise::new(5).rows_normal(Stream::PRIOR, 0, 0, &mut y, d);
                y.iter_mut().for_each(|y| *y *= (v as f32).sqrt() + 1.0);
                let mut out = vec![0.0; y.len()];
                mixture.denoise_rows(&y, v, &mut out);
                let mut truth = vec![0.0; d];
                for row in (0..rows).step_by(1 + rows / 500) {
                    let range = row * d..(row + 1) * d;
                    let wide: Vec<f64> = y[range.clone()].iter().map(|&y| f64::from(y)).collect();
                    mixture.denoise_into(&wide, v, &mut truth);
                    for (&found, &expected) in out[range.clone()].iter().zip(&truth) {
                        let error = (f64::from(found) - expected).abs();
                        assert!(
                            error < 2e-5 + 3e-7 * d as f64,
                            "{d} dimensions, v = {v}, row {row}: {found} for {expected}"
                        );
                    }
                    let mut alone = vec![0.0; d];
                    mixture.denoise_rows(&y[range.clone()], v, &mut alone);
                    assert_eq!(alone, out[range], "a row does not depend on the others");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "3 values in and 3 out are not the same number of rows of 2")]
    fn rows_must_be_whole() {
        mixtures()[1].denoise_rows(&[0.0; 3], 0.1, &mut [0.0; 3]);
    }
}
