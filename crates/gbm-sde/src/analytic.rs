//! Ground truth: a mixture of log-normals, whose noised marginals, scores and log denoiser have closed forms.
//!
//! ```text
//! Y_0 = ln X_0 ~ Σ_k w_k N(μ_k, diag s_k)         ȳ = Y_0 + √v ε ~ Σ_k w_k N(μ_k, diag(s_k + v))
//! γ_k(ȳ) ∝ w_k N(ȳ; μ_k, s_k + v)                 responsibilities, by log-sum-exp
//! D(ȳ, v) = E[Y_0 | ȳ] = Σ_k γ_k [ μ_k + s_k/(s_k + v) ⊙ (ȳ − μ_k) ]
//! g(ȳ, v) = ∇ ln p(ȳ) = (D − ȳ)/v = − Σ_k γ_k (ȳ − μ_k)/(s_k + v)
//! ```
//!
//! `ȳ = y_t − m(t)` is the centred state, so the drift plays no part. Covariances are diagonal in log space.

use crate::lognormal::{normal_cdf, normal_pdf};
use crate::noise::{Noise, Stream};

/// `½ ln 2π`.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// Why a mixture, or a question to it, is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MixtureError {
    /// Weights, means and variances must be equally many, and at least one.
    #[error("mixture: {weights} weights, {means} means and {variances} variances do not make components")]
    Components {
        /// Number of weights.
        weights: usize,
        /// Number of mean vectors.
        means: usize,
        /// Number of variance vectors.
        variances: usize,
    },
    /// A vector of a component has the wrong length.
    #[error("mixture: component {component} has {found} coordinates in its {what}, expected {expected}")]
    Dimension {
        /// The component.
        component: usize,
        /// `mean` or `variance`.
        what: &'static str,
        /// Coordinates of the first mean.
        expected: usize,
        /// Coordinates found.
        found: usize,
    },
    /// A weight or variance that is not positive and finite, or a mean that is not finite.
    #[error("mixture: {what} {value} of component {component} is not allowed")]
    Value {
        /// The component.
        component: usize,
        /// `weight`, `mean` or `variance`.
        what: &'static str,
        /// The value.
        value: f64,
    },
}

/// A mixture of log-normals with diagonal covariance in log space, in `d` dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct LogNormalMixture {
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    variances: Vec<Vec<f64>>,
}

impl LogNormalMixture {
    /// A mixture of `K` components from weights (K, scaled to sum 1), means of `ln x` (K × d) and variances (K × d).
    ///
    /// # Errors
    /// When the shapes do not fit, or a weight or variance is not positive and finite, or a mean not finite.
    pub fn new(weights: Vec<f64>, means: Vec<Vec<f64>>, variances: Vec<Vec<f64>>) -> Result<Self, MixtureError> {
        let count = weights.len();
        if count == 0 || means.len() != count || variances.len() != count {
            return Err(MixtureError::Components { weights: count, means: means.len(), variances: variances.len() });
        }
        let expected = means[0].len();
        for component in 0..count {
            for (what, values) in [("mean", &means[component]), ("variance", &variances[component])] {
                if values.len() != expected || expected == 0 {
                    return Err(MixtureError::Dimension { component, what, expected, found: values.len() });
                }
            }
            let bad = |values: &[f64], allowed: fn(f64) -> bool| values.iter().copied().find(|&value| !allowed(value));
            let positive = |value: f64| value.is_finite() && value > 0.0;
            let refused = bad(&weights[component..=component], positive)
                .map(|value| ("weight", value))
                .or_else(|| bad(&means[component], f64::is_finite).map(|value| ("mean", value)))
                .or_else(|| bad(&variances[component], positive).map(|value| ("variance", value)));
            if let Some((what, value)) = refused {
                return Err(MixtureError::Value { component, what, value });
            }
        }
        let total: f64 = weights.iter().sum();
        Ok(Self { weights: weights.into_iter().map(|w| w / total).collect(), means, variances })
    }

    /// Number of dimensions `d`.
    pub fn dim(&self) -> usize {
        self.means[0].len()
    }

    /// Weights of the components; they sum to 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// `ln w_k + ln N(ȳ; μ_k, s_k + v)` of each component.
    fn log_terms(&self, y_bar: &[f64], v: f64) -> Vec<f64> {
        let term = |((w, mean), variance): ((&f64, &Vec<f64>), &Vec<f64>)| {
            let coordinates = y_bar.iter().zip(mean).zip(variance);
            w.ln()
                + coordinates
                    .map(|((y, mu), s)| -0.5 * ((y - mu).powi(2) / (s + v) + (s + v).ln()) - HALF_LN_TAU)
                    .sum::<f64>()
        };
        self.weights.iter().zip(&self.means).zip(&self.variances).map(term).collect()
    }

    /// Log density of the centred log state at level `v ≥ 0`; `y_bar` has `d` coordinates (further ones are ignored).
    pub fn log_pdf(&self, y_bar: &[f64], v: f64) -> f64 {
        log_sum_exp(&self.log_terms(y_bar, v))
    }

    /// Writes the log denoiser `D(ȳ, v)` into `out`; both slices have `d` coordinates.
    pub fn denoise_into(&self, y_bar: &[f64], v: f64, out: &mut [f64]) {
        self.posterior_sum(y_bar, v, out, |y, mu, s| mu + s / (s + v) * (y - mu));
    }

    /// Writes the log-space score `g = ∇ ln p(ȳ)` at level `v` into `out`; both slices have `d` coordinates.
    pub fn log_score_into(&self, y_bar: &[f64], v: f64, out: &mut [f64]) {
        self.posterior_sum(y_bar, v, out, |y, mu, s| (mu - y) / (s + v));
    }

    fn posterior_sum(&self, y_bar: &[f64], v: f64, out: &mut [f64], value: impl Fn(f64, f64, f64) -> f64) {
        let terms = self.log_terms(y_bar, v);
        let total = log_sum_exp(&terms);
        out.fill(0.0);
        for ((term, mean), variance) in terms.iter().zip(&self.means).zip(&self.variances) {
            let responsibility = (term - total).exp();
            for (((o, &y), &mu), &s) in out.iter_mut().zip(y_bar).zip(mean).zip(variance) {
                *o += responsibility * value(y, mu, s);
            }
        }
    }

    /// Writes draw `index` of the clean `Y_0` into `out` (`d` coordinates): the component from the uniform at step 0, the
    /// normals from step 1 of the same address.
    pub fn sample_into(&self, noise: &Noise, stream: Stream, index: u64, out: &mut [f64]) {
        let mut left = noise.uniform(stream, index, 0, 0);
        let mut component = 0;
        while component + 1 < self.weights.len() && left >= self.weights[component] {
            left -= self.weights[component];
            component += 1;
        }
        noise.fill_normal_f64(stream, index, 1, out);
        for ((o, mu), s) in out.iter_mut().zip(&self.means[component]).zip(&self.variances[component]) {
            *o = mu + s.sqrt() * *o;
        }
    }

    /// Marginal distribution function of coordinate `axis` (below `d`, or the result is NaN) at level `v`.
    pub fn marginal_cdf(&self, axis: usize, y_bar: f64, v: f64) -> f64 {
        self.marginal(axis, v, |mu, sd| normal_cdf((y_bar - mu) / sd))
    }

    /// Marginal density of coordinate `axis` (below `d`, or the result is NaN) at level `v`.
    pub fn marginal_pdf(&self, axis: usize, y_bar: f64, v: f64) -> f64 {
        self.marginal(axis, v, |mu, sd| normal_pdf((y_bar - mu) / sd) / sd)
    }

    fn marginal(&self, axis: usize, v: f64, value: impl Fn(f64, f64) -> f64) -> f64 {
        if axis >= self.dim() {
            return f64::NAN;
        }
        let components = self.weights.iter().zip(&self.means).zip(&self.variances);
        components.map(|((w, mean), variance)| w * value(mean[axis], (variance[axis] + v).sqrt())).sum()
    }

    /// The point where the marginal distribution function of `axis` at level `v` is `p`, by bisection; NaN unless
    /// `0 < p < 1` and `axis < d`.
    pub fn marginal_quantile(&self, axis: usize, p: f64, v: f64) -> f64 {
        if !(p > 0.0 && p < 1.0) || axis >= self.dim() {
            return f64::NAN;
        }
        let ends = self.means.iter().zip(&self.variances).map(|(mean, s)| (mean[axis], 40.0 * (s[axis] + v).sqrt()));
        let (mut low, mut high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (mu, reach)| {
            (low.min(mu - reach), high.max(mu + reach))
        });
        loop {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                return middle;
            }
            if self.marginal_cdf(axis, middle, v) < p {
                low = middle;
            } else {
                high = middle;
            }
        }
    }
}

fn log_sum_exp(terms: &[f64]) -> f64 {
    let max = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max.is_finite() { max + terms.iter().map(|t| (t - max).exp()).sum::<f64>().ln() } else { max }
}
