//! The derivative of a mixture's log denoiser, in closed form.
//!
//! ```math
//! \begin{aligned}
//! \frac{\partial D}{\partial \bar y} &= I + v\, \nabla^2 \ln p_v
//!   = \sum_k \gamma_k \Bigl[ S_k (S_k + v I)^{-1} + v\, (s_k - g)(s_k - g)^\top \Bigr] \\
//! s_k &= -(S_k + v I)^{-1} (\bar y - \mu_k), \qquad g = \sum_k \gamma_k s_k
//! \end{aligned}
//! ```
//!
//! It is symmetric and positive semidefinite: `1/v` of the posterior covariance of `Y_0`. All terms are positive, so
//! nothing cancels, and the trace `d + v Δ ln p` of the probability flow's divergence is good at every level.
#![cfg_attr(doc, doc = include_str!("../../../../../docs/math.html"))]

use super::{LogNormalMixture, log_sum_exp};

/// Everything at one point.
struct Parts {
    /// `γ_k` (K).
    responsibilities: Vec<f64>,
    /// `s_k − g` (K × d, row after row).
    offsets: Vec<f64>,
}

impl LogNormalMixture {
    /// `tr ∂D/∂ȳ = d + v Δ ln p_v(ȳ)` at level `v ≥ 0`.
    ///
    /// ```
    /// let mixture = gbm_sde::LogNormalMixture::new(vec![1.0], vec![vec![1.0, 0.0]], vec![vec![0.5, 1.5]])?;
    /// // One component: shrinkage by λ/(λ + v) in each direction.
    /// assert!((mixture.denoiser_trace(&[3.0, -1.0], 0.5) - (0.5 + 0.75)).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    pub fn denoiser_trace(&self, y_bar: &[f64], v: f64) -> f64 {
        let Parts { responsibilities, offsets } = self.parts(y_bar, v);
        let components = responsibilities.iter().zip(&self.spreads).zip(offsets.chunks(self.dim()));
        components
            .map(|((gamma, spread), offset)| {
                let shrinkage: f64 = spread.eigenvalues.iter().map(|s| s / (s + v)).sum();
                gamma * (shrinkage + v * offset.iter().map(|o| o * o).sum::<f64>())
            })
            .sum()
    }

    /// Writes `(∂D/∂ȳ) u` at level `v ≥ 0` into `out`; all slices have `d` coordinates.
    ///
    /// ```
    /// let mixture = gbm_sde::LogNormalMixture::new(vec![1.0], vec![vec![1.0, 0.0]], vec![vec![0.5, 1.5]])?;
    /// let mut out = [0.0; 2];
    /// mixture.denoiser_product_into(&[3.0, -1.0], 0.5, &[2.0, 4.0], &mut out);
    /// assert!((out[0] - 1.0).abs() < 1e-14 && (out[1] - 3.0).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    pub fn denoiser_product_into(&self, y_bar: &[f64], v: f64, u: &[f64], out: &mut [f64]) {
        let Parts { responsibilities, offsets } = self.parts(y_bar, v);
        let origin = vec![0.0; self.dim()];
        let mut along = vec![0.0; self.dim()];
        out.fill(0.0);
        let components = responsibilities.iter().zip(&self.spreads).zip(offsets.chunks(self.dim()));
        for ((&gamma, spread), offset) in components {
            spread.project(u, &origin, &mut along);
            along.iter_mut().zip(&spread.eigenvalues).for_each(|(a, s)| *a *= s / (s + v));
            spread.add_rotated_back(&along, gamma, out);
            let inner: f64 = offset.iter().zip(u).map(|(o, u)| o * u).sum();
            out.iter_mut().zip(offset).for_each(|(to, o)| *to += gamma * v * inner * o);
        }
    }

    fn parts(&self, y_bar: &[f64], v: f64) -> Parts {
        let (mut along, terms) = self.terms(y_bar, v);
        let total = log_sum_exp(&terms);
        let responsibilities: Vec<f64> = terms.iter().map(|term| (term - total).exp()).collect();
        let mut offsets = vec![0.0; along.len()];
        let mut score = vec![0.0; self.dim()];
        let components = self.spreads.iter().zip(along.chunks_mut(self.dim())).zip(offsets.chunks_mut(self.dim()));
        for (((spread, along), offset), gamma) in components.zip(&responsibilities) {
            along.iter_mut().zip(&spread.eigenvalues).for_each(|(z, s)| *z /= -(s + v));
            spread.add_rotated_back(along, 1.0, offset);
            score.iter_mut().zip(&*offset).for_each(|(g, s)| *g += gamma * s);
        }
        for offset in offsets.chunks_mut(self.dim()) {
            offset.iter_mut().zip(&score).for_each(|(s, g)| *s -= g);
        }
        Parts { responsibilities, offsets }
    }
}
