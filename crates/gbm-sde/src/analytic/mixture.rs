//! A mixture of log-normals with full covariance in log space: everything in closed form.
//!
//! ```math
//! \begin{aligned}
//! Y_0 = \ln X_0 &\sim \sum_k w_k\, \mathcal N(\mu_k, S_k), \qquad \bar y \sim \sum_k w_k\, \mathcal N(\mu_k, S_k + v I) \\
//! \gamma_k(\bar y) &\propto w_k\, \mathcal N(\bar y;\, \mu_k, S_k + v I) \\
//! D(\bar y, v) &= \sum_k \gamma_k \left[ \mu_k + S_k (S_k + v I)^{-1} (\bar y - \mu_k) \right] \\
//! g(\bar y, v) &= -\sum_k \gamma_k (S_k + v I)^{-1} (\bar y - \mu_k) = (D - \bar y)/v
//! \end{aligned}
//! ```
//!
//! Each `S_k = Qᵀ diag(λ) Q` is taken apart once, so that at every level the inverse, the determinant and a draw cost one or two
//! rotations: `S_k + vI` has eigenvalues `λ + v` and the same axes. Responsibilities `γ` go through log-sum-exp.
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

mod jacobian;
mod rows;

use super::GroundTruth;
use super::eigen::symmetric_eigen;
use crate::lognormal::{normal_cdf, normal_pdf};
use crate::noise::{Noise, Stream};

/// `½ ln 2π`.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// Why a mixture, or a question to it, is refused.
///
/// ```
/// use gbm_sde::{LogNormalMixture, MixtureError};
/// let refused = LogNormalMixture::new(vec![1.0], vec![vec![0.0]], vec![vec![-0.5]]);
/// assert_eq!(refused, Err(MixtureError::Value { component: 0, what: "variance", value: -0.5 }));
/// ```
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
        /// `mean`, `variance`, or `covariance` (or a row of it).
        what: &'static str,
        /// Coordinates of the first mean.
        expected: usize,
        /// Coordinates found.
        found: usize,
    },
    /// A weight or variance that is not positive and finite, or a mean or covariance that is not finite.
    #[error("mixture: {what} {value} of component {component} is not allowed")]
    Value {
        /// The component.
        component: usize,
        /// `weight`, `mean`, `variance` or `covariance`.
        what: &'static str,
        /// The value.
        value: f64,
    },
    /// A covariance whose two triangles differ.
    #[error(
        "mixture: covariance of component {component} is not symmetric: {upper} at ({row}, {column}), {lower} across"
    )]
    Asymmetric {
        /// The component.
        component: usize,
        /// Row of the upper element.
        row: usize,
        /// Its column.
        column: usize,
        /// The upper element.
        upper: f64,
        /// Its mirror image.
        lower: f64,
    },
    /// A covariance that has no density: an eigenvalue is not positive, or lost in rounding beside the largest.
    #[error("mixture: covariance of component {component} is not positive definite: eigenvalue {eigenvalue}")]
    NotPositiveDefinite {
        /// The component.
        component: usize,
        /// Its smallest eigenvalue.
        eigenvalue: f64,
    },
}

/// A mixture of log-normals in `d` dimensions.
///
/// ```
/// use gbm_sde::LogNormalMixture;
/// let covariance = vec![vec![0.5, 0.2], vec![0.2, 0.3]];
/// let mixture = LogNormalMixture::with_covariances(vec![1.0], vec![vec![0.1, -0.4]], vec![covariance])?;
/// let (mut g, mut d) = ([0.0; 2], [0.0; 2]);
/// mixture.log_score_into(&[1.0, 0.0], 0.7, &mut g);
/// mixture.denoise_into(&[1.0, 0.0], 0.7, &mut d);
/// assert!((d[0] - (1.0 + 0.7 * g[0])).abs() < 1e-14);
/// # Ok::<(), gbm_sde::MixtureError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LogNormalMixture {
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    spreads: Vec<Spread>,
}

/// The covariance of one component, taken apart.
#[derive(Debug, Clone, PartialEq)]
struct Spread {
    /// Of the coordinates: the diagonal.
    variances: Vec<f64>,
    /// Along the axes; the variances themselves when there are none.
    eigenvalues: Vec<f64>,
    /// Eigenvectors as the rows of a `d × d` matrix; none for a diagonal covariance.
    axes: Option<Vec<f64>>,
}

impl LogNormalMixture {
    /// A mixture of `K` components from weights (K, scaled to sum 1), means of `ln x` (K × d) and variances (K × d); the
    /// coordinates of a component are independent.
    ///
    /// ```
    /// let means = vec![vec![0.0, 0.5], vec![1.0, -0.5]];
    /// let mixture = gbm_sde::LogNormalMixture::new(vec![1.0, 3.0], means, vec![vec![0.2, 0.3]; 2])?;
    /// assert_eq!((mixture.weights(), mixture.dim()), (&[0.25, 0.75][..], 2));
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    ///
    /// # Errors
    /// When the shapes do not fit, or a weight or variance is not positive and finite, or a mean not finite.
    pub fn new(weights: Vec<f64>, means: Vec<Vec<f64>>, variances: Vec<Vec<f64>>) -> Result<Self, MixtureError> {
        check_centres(&weights, &means, variances.len())?;
        let expected = means[0].len();
        for (component, values) in variances.iter().enumerate() {
            check_row(component, "variance", values, expected, |value| value.is_finite() && value > 0.0)?;
        }
        let spread = |variances: Vec<f64>| Spread { eigenvalues: variances.clone(), variances, axes: None };
        Ok(Self { weights: normalized(weights), means, spreads: variances.into_iter().map(spread).collect() })
    }

    /// A mixture of `K` components from weights (K, scaled to sum 1), means of `ln x` (K × d) and covariance matrices of `ln x`
    /// (K × d × d, rows first).
    ///
    /// ```
    /// use gbm_sde::LogNormalMixture;
    /// let diagonal = vec![vec![vec![0.2, 0.0], vec![0.0, 0.3]]];
    /// let full = LogNormalMixture::with_covariances(vec![1.0], vec![vec![0.1, -0.4]], diagonal)?;
    /// let independent = LogNormalMixture::new(vec![1.0], vec![vec![0.1, -0.4]], vec![vec![0.2, 0.3]])?;
    /// assert!((full.log_pdf(&[0.5, 0.0], 0.1) - independent.log_pdf(&[0.5, 0.0], 0.1)).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    ///
    /// # Errors
    /// As [`LogNormalMixture::new`], and when a covariance is not symmetric (to 1e-12 of its diagonal) or not positive
    /// definite: its smallest eigenvalue must be above `d · 2.2e-16` times the largest.
    pub fn with_covariances(
        weights: Vec<f64>,
        means: Vec<Vec<f64>>,
        covariances: Vec<Vec<Vec<f64>>>,
    ) -> Result<Self, MixtureError> {
        check_centres(&weights, &means, covariances.len())?;
        let expected = means[0].len();
        let spreads = covariances
            .iter()
            .enumerate()
            .map(|(component, rows)| Spread::of_covariance(component, rows, expected))
            .collect::<Result<_, _>>()?;
        Ok(Self { weights: normalized(weights), means, spreads })
    }

    /// Number of dimensions `d`.
    pub fn dim(&self) -> usize {
        self.means[0].len()
    }

    /// Weights of the components; they sum to 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// For each component, `ȳ − μ_k` along its axes (K × d) and `ln w_k + ln N(ȳ; μ_k, S_k + v)`.
    fn terms(&self, y_bar: &[f64], v: f64) -> (Vec<f64>, Vec<f64>) {
        let mut along = vec![0.0; self.weights.len() * self.dim()];
        let components = self.weights.iter().zip(&self.means).zip(&self.spreads).zip(along.chunks_mut(self.dim()));
        let terms = components
            .map(|(((w, mean), spread), along)| {
                spread.project(y_bar, mean, along);
                let coordinates = along.iter().zip(&spread.eigenvalues);
                let exponent = coordinates.map(|(z, s)| -0.5 * (z.powi(2) / (s + v) + (s + v).ln()) - HALF_LN_TAU);
                w.ln() + exponent.sum::<f64>()
            })
            .collect();
        (along, terms)
    }

    /// Log density of the centred log state at level `v ≥ 0`, in nats, by volume of `y_bar`, which has `d` coordinates (further
    /// ones are ignored).
    ///
    /// ```
    /// let mixture = gbm_sde::LogNormalMixture::new(vec![1.0], vec![vec![0.1]], vec![vec![0.3]])?;
    /// // One component of variance 0.3 and noise of variance 0.7: a unit normal.
    /// let normal = gbm_sde::normal::normal_pdf(0.5 - 0.1);
    /// assert!((mixture.log_pdf(&[0.5], 0.7) - normal.ln()).abs() < 1e-14);
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    pub fn log_pdf(&self, y_bar: &[f64], v: f64) -> f64 {
        log_sum_exp(&self.terms(y_bar, v).1)
    }

    /// Writes the log denoiser `D(ȳ, v)` into `out`; both slices have `d` coordinates.
    ///
    /// ```
    /// let mixture = gbm_sde::LogNormalMixture::new(vec![1.0], vec![vec![1.0]], vec![vec![0.5]])?;
    /// let mut d = [0.0];
    /// mixture.denoise_into(&[3.0], 0.5, &mut d);
    /// assert!((d[0] - 2.0).abs() < 1e-14); // as much noise as spread: half way to the mean
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    pub fn denoise_into(&self, y_bar: &[f64], v: f64, out: &mut [f64]) {
        self.posterior_sum(y_bar, v, out, 1.0, |z, s| s / (s + v) * z);
    }

    /// Writes the log-space score `g = ∇ ln p(ȳ)` at level `v` into `out`; both slices have `d` coordinates.
    ///
    /// ```
    /// let means = vec![vec![-1.0], vec![1.0]];
    /// let mixture = gbm_sde::LogNormalMixture::new(vec![1.0, 1.0], means, vec![vec![0.5]; 2])?;
    /// let mut g = [1.0];
    /// mixture.log_score_into(&[0.0], 0.2, &mut g);
    /// assert!(g[0].abs() < 1e-14); // between two equal components
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    pub fn log_score_into(&self, y_bar: &[f64], v: f64, out: &mut [f64]) {
        self.posterior_sum(y_bar, v, out, 0.0, |z, s| -z / (s + v));
    }

    /// `Σ_k γ_k (a μ_k + Q_kᵀ f(z_k, λ_k))` with `z_k` the coordinates along the axes.
    fn posterior_sum(&self, y_bar: &[f64], v: f64, out: &mut [f64], a: f64, f: impl Fn(f64, f64) -> f64) {
        let (mut along, terms) = self.terms(y_bar, v);
        let total = log_sum_exp(&terms);
        out.fill(0.0);
        let components = terms.iter().zip(&self.means).zip(&self.spreads).zip(along.chunks_mut(self.dim()));
        for (((term, mean), spread), along) in components {
            let responsibility = (term - total).exp();
            along.iter_mut().zip(&spread.eigenvalues).for_each(|(z, &s)| *z = f(*z, s));
            spread.add_rotated_back(along, responsibility, out);
            out.iter_mut().zip(mean).for_each(|(o, mu)| *o += responsibility * a * mu);
        }
    }

    /// Writes draw `index` of the clean `Y_0` into `out` (`d` coordinates): the component from the uniform at step 0, the
    /// normals from step 1 of the same address.
    ///
    /// ```
    /// use gbm_sde::{LogNormalMixture, Noise, Stream};
    /// let draw = |mean: f64| -> Result<f64, gbm_sde::MixtureError> {
    ///     let mut y = [0.0];
    ///     let law = LogNormalMixture::new(vec![1.0], vec![vec![mean]], vec![vec![0.5]])?;
    ///     law.sample_into(&Noise::new(7), Stream::PRIOR, 3, &mut y);
    ///     Ok(y[0])
    /// };
    /// assert!((draw(2.0)? - draw(0.0)? - 2.0).abs() < 1e-14); // the same noise around another mean
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    pub fn sample_into(&self, noise: &Noise, stream: Stream, index: u64, out: &mut [f64]) {
        let mut left = noise.uniform(stream, index, 0, 0);
        let mut component = 0;
        while component + 1 < self.weights.len() && left >= self.weights[component] {
            left -= self.weights[component];
            component += 1;
        }
        let spread = &self.spreads[component];
        let mut along = vec![0.0; self.dim()];
        noise.fill_normal_f64(stream, index, 1, &mut along);
        along.iter_mut().zip(&spread.eigenvalues).for_each(|(z, s)| *z *= s.sqrt());
        out.iter_mut().zip(&self.means[component]).for_each(|(o, &mu)| *o = mu);
        spread.add_rotated_back(&along, 1.0, out);
    }

    /// Marginal distribution function of coordinate `axis` (below `d`, or the result is NaN) at level `v`.
    ///
    /// ```
    /// let means = vec![vec![-1.0], vec![1.0]];
    /// let mixture = gbm_sde::LogNormalMixture::new(vec![1.0, 1.0], means, vec![vec![0.5]; 2])?;
    /// assert!((mixture.marginal_cdf(0, 0.4, 0.2) + mixture.marginal_cdf(0, -0.4, 0.2) - 1.0).abs() < 1e-15);
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    pub fn marginal_cdf(&self, axis: usize, y_bar: f64, v: f64) -> f64 {
        self.marginal(axis, v, |mu, sd| normal_cdf((y_bar - mu) / sd))
    }

    /// Marginal density of coordinate `axis` (below `d`, or the result is NaN) at level `v`, per unit of `y_bar`.
    ///
    /// ```
    /// let covariance = vec![vec![0.5, 0.2], vec![0.2, 0.3]];
    /// let mixture = gbm_sde::LogNormalMixture::with_covariances(vec![1.0], vec![vec![0.1, -0.4]], vec![covariance])?;
    /// // Variance 0.5 along the first axis and 0.5 of noise: the peak of a unit normal.
    /// assert!((mixture.marginal_pdf(0, 0.1, 0.5) - 1.0 / std::f64::consts::TAU.sqrt()).abs() < 1e-15);
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    pub fn marginal_pdf(&self, axis: usize, y_bar: f64, v: f64) -> f64 {
        self.marginal(axis, v, |mu, sd| normal_pdf((y_bar - mu) / sd) / sd)
    }

    fn marginal(&self, axis: usize, v: f64, value: impl Fn(f64, f64) -> f64) -> f64 {
        if axis >= self.dim() {
            return f64::NAN;
        }
        let components = self.weights.iter().zip(&self.means).zip(&self.spreads);
        components.map(|((w, mean), spread)| w * value(mean[axis], (spread.variances[axis] + v).sqrt())).sum()
    }

    /// The point where the marginal distribution function of `axis` at level `v` is `p`, by bisection; NaN unless
    /// `0 < p < 1` and `axis < d`.
    ///
    /// ```
    /// let means = vec![vec![-1.0], vec![1.0]];
    /// let mixture = gbm_sde::LogNormalMixture::new(vec![1.0, 2.0], means, vec![vec![0.5]; 2])?;
    /// let y_bar = mixture.marginal_quantile(0, 0.2, 0.1);
    /// assert!((mixture.marginal_cdf(0, y_bar, 0.1) - 0.2).abs() < 1e-15);
    /// # Ok::<(), gbm_sde::MixtureError>(())
    /// ```
    pub fn marginal_quantile(&self, axis: usize, p: f64, v: f64) -> f64 {
        if !(p > 0.0 && p < 1.0) || axis >= self.dim() {
            return f64::NAN;
        }
        let components = self.means.iter().zip(&self.spreads);
        let ends = components.map(|(mean, spread)| (mean[axis], 40.0 * (spread.variances[axis] + v).sqrt()));
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

impl GroundTruth for LogNormalMixture {
    fn log_pdf(&self, y_bar: &[f64], v: f64) -> f64 {
        self.log_pdf(y_bar, v)
    }

    fn log_score_into(&self, y_bar: &[f64], v: f64, out: &mut [f64]) {
        self.log_score_into(y_bar, v, out);
    }

    fn denoise_into(&self, y_bar: &[f64], v: f64, out: &mut [f64]) {
        self.denoise_into(y_bar, v, out);
    }

    fn sample_into(&self, noise: &Noise, stream: Stream, index: u64, out: &mut [f64]) {
        self.sample_into(noise, stream, index, out);
    }
}

impl Spread {
    fn of_covariance(component: usize, rows: &[Vec<f64>], expected: usize) -> Result<Self, MixtureError> {
        if rows.len() != expected {
            let found = rows.len();
            return Err(MixtureError::Dimension { component, what: "covariance", expected, found });
        }
        for row in rows {
            check_row(component, "covariance", row, expected, f64::is_finite)?;
        }
        let mut flat: Vec<f64> = rows.concat();
        for row in 0..expected {
            for column in row + 1..expected {
                let (upper, lower) = (rows[row][column], rows[column][row]);
                if (upper - lower).abs() > 1e-12 * (rows[row][row].abs().sqrt() * rows[column][column].abs().sqrt()) {
                    return Err(MixtureError::Asymmetric { component, row, column, upper, lower });
                }
                flat[column * expected + row] = upper;
            }
        }
        let variances = (0..expected).map(|i| rows[i][i]).collect();
        let (eigenvalues, axes) = symmetric_eigen(flat, expected);
        let least = eigenvalues.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = eigenvalues.iter().copied().fold(0.0, f64::max);
        if least > expected as f64 * f64::EPSILON * largest && eigenvalues.iter().all(|s| s.is_finite()) {
            Ok(Self { variances, eigenvalues, axes: Some(axes) })
        } else {
            Err(MixtureError::NotPositiveDefinite { component, eigenvalue: least })
        }
    }

    /// Writes `Q (y − μ)`.
    fn project(&self, y: &[f64], mean: &[f64], along: &mut [f64]) {
        let offsets = || y.iter().zip(mean).map(|(y, mu)| y - mu);
        match &self.axes {
            None => along.iter_mut().zip(offsets()).for_each(|(z, offset)| *z = offset),
            Some(axes) => along.iter_mut().zip(axes.chunks(mean.len())).for_each(|(z, axis)| {
                *z = axis.iter().zip(offsets()).map(|(q, offset)| q * offset).sum();
            }),
        }
    }

    /// Adds `factor Qᵀ z` to `out`.
    fn add_rotated_back(&self, along: &[f64], factor: f64, out: &mut [f64]) {
        match &self.axes {
            None => out.iter_mut().zip(along).for_each(|(o, z)| *o += factor * z),
            Some(axes) => along.iter().zip(axes.chunks(along.len())).for_each(|(z, axis)| {
                out.iter_mut().zip(axis).for_each(|(o, q)| *o += factor * z * q);
            }),
        }
    }
}

fn normalized(weights: Vec<f64>) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / total).collect()
}

/// Weights and means, and as many spreads.
fn check_centres(weights: &[f64], means: &[Vec<f64>], spreads: usize) -> Result<(), MixtureError> {
    let count = weights.len();
    if count == 0 || means.len() != count || spreads != count {
        return Err(MixtureError::Components { weights: count, means: means.len(), variances: spreads });
    }
    for (component, (weight, mean)) in weights.iter().zip(means).enumerate() {
        check_row(component, "mean", mean, means[0].len().max(1), f64::is_finite)?;
        check_row(component, "weight", &[*weight], 1, |value| value.is_finite() && value > 0.0)?;
    }
    Ok(())
}

fn check_row(
    component: usize,
    what: &'static str,
    values: &[f64],
    expected: usize,
    allowed: fn(f64) -> bool,
) -> Result<(), MixtureError> {
    if values.len() != expected {
        return Err(MixtureError::Dimension { component, what, expected, found: values.len() });
    }
    match values.iter().find(|&&value| !allowed(value)) {
        Some(&value) => Err(MixtureError::Value { component, what, value }),
        None => Ok(()),
    }
}

fn log_sum_exp(terms: &[f64]) -> f64 {
    let max = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max.is_finite() { max + terms.iter().map(|t| (t - max).exp()).sum::<f64>().ln() } else { max }
}
