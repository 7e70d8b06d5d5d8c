//! Score matching for non-negative data (Hyvärinen 2007): the noise-free case of implicit multiplicative score matching, and
//! the estimators of an exponential and a gamma law that it gives, with standard errors.
//!
//! ```math
//! J(\theta) = \mathbb{E} \Big[ 2 x \psi + x^2 \psi' + \tfrac12 x^2 \psi^2 \Big], \qquad \psi = \frac{d \ln p_\theta}{dx}
//! ```
//!
//! With `$h = x \psi$`, `$x\, h' = x \psi + x^2 \psi'$`, so the bracket is `$\tfrac12 h^2 + h + x h'$`: M-ISM at `$v = 0$`. No
//! normalizing constant is needed, since `$\psi$` does not know it.
//!
//! For an exponential family the score is linear in the parameters, `$h = \sum_k \theta_k \varphi_k(x) + \varphi_0(x)$`, so
//! `$J$` is quadratic and its minimizer one linear solve:
//!
//! ```math
//! \begin{aligned}
//! A\, \hat\theta &= b, & A &= \mathbb{E}_n[\varphi \varphi^\top], &
//!   b &= -\mathbb{E}_n[\varphi\, (\varphi_0 + 1) + x \varphi'] \\
//! \operatorname{Cov} \hat\theta &\approx \tfrac1n A^{-1} B A^{-1}, & B &= \mathbb{E}_n[g g^\top], &
//!   g &= \varphi\, (h_{\hat\theta} + 1) + x \varphi'
//! \end{aligned}
//! ```
//!
//! with means `$\mathbb{E}_n$` over the sample. The covariance is the sandwich of an M-estimator (Huber 1967). The two laws:
//!
//! | | `$h$` | estimate | asymptotic variance, times `$n$` | of maximum likelihood |
//! |---|---|---|---|---|
//! | exponential, rate `$\beta$` | `$-\beta x$` | `$\hat\beta = 2 m_1/m_2$` | `$2 \beta^2$` | `$\beta^2$` |
//! | gamma, shape `$k$`, rate `$\beta$` | `$k - 1 - \beta x$` | `$\hat\beta = m_1/(m_2 - m_1^2)$`, `$\hat k = \hat\beta m_1$` | `$2k(k+1)$`, `$\beta^2 (2k+3)/k$` | `$k/c$`, `$\beta^2 \psi_1/c$` |
//!
//! with the sample's raw moments `$m_1, m_2$`, the trigamma function `$\psi_1(k)$` and `$c = k \psi_1 - 1$`. For gamma data
//! score matching is the method of moments.
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};

use crate::error::ScoreError;

/// Hyvärinen's integrand `2xψ + x²ψ' + ½x²ψ²` at `x ≥ 0`, with the Stein score `psi` there (per unit of `x`) and its
/// derivative `psi_slope` (per unit squared). A pure number.
///
/// ```
/// // The exponential law of rate 3: ψ = −3.
/// assert_eq!(score_match::nonnegative::integrand(0.5, -3.0, 0.0), -3.0 + 0.5 * 0.25 * 9.0);
/// ```
pub fn integrand(x: f64, psi: f64, psi_slope: f64) -> f64 {
    2.0 * x * psi + x * x * psi_slope + 0.5 * x * x * psi * psi
}

/// A Hyvärinen score at one `x` that is linear in `P` parameters: `h = Σ θ_k φ_k + φ_0`.
///
/// ```
/// use score_match::{nonnegative::{LinearScore, integrand}, term};
/// // An exponential law, h = −βx, at x = 0.5 with β = 3.
/// let at = LinearScore { features: [-0.5], slopes: [-0.5], offset: 0.0 };
/// let Ok(loss) = term::implicit(&(3.0 * at.features[0] + at.offset), &(3.0 * at.slopes[0]));
/// assert_eq!(loss, integrand(0.5, -3.0, 0.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearScore<const P: usize> {
    /// `φ_k(x)`.
    pub features: [f64; P],
    /// `x φ_k'(x)`.
    pub slopes: [f64; P],
    /// `φ_0(x)`, the part without parameters.
    pub offset: f64,
}

/// Estimated parameters and the covariance of the estimate.
///
/// ```
/// use score_match::nonnegative::exponential_rate;
/// let (seconds, minutes) = (exponential_rate(&[30.0, 60.0, 90.0])?, exponential_rate(&[0.5, 1.0, 1.5])?);
/// // A rate is per unit of x, its variance per unit squared.
/// assert!((minutes.parameters[0] / seconds.parameters[0] - 60.0).abs() < 1e-10);
/// assert!((minutes.covariance[0][0] / seconds.covariance[0][0] - 3600.0).abs() < 1e-7);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate<const P: usize> {
    /// The parameters.
    pub parameters: [f64; P],
    /// Asymptotic covariance of the estimator at this sample size (the sandwich).
    pub covariance: [[f64; P]; P],
}

impl<const P: usize> Estimate<P> {
    /// Square roots of the diagonal of the covariance, each in the unit of its parameter.
    ///
    /// ```
    /// use score_match::nonnegative::exponential_rate;
    /// let data = [0.5, 1.0, 1.5];
    /// // Four times the data, half the error.
    /// let (one, four) = (exponential_rate(&data)?, exponential_rate(&data.repeat(4))?);
    /// assert!((one.standard_errors()[0] / four.standard_errors()[0] - 2.0).abs() < 1e-12);
    /// # Ok::<(), score_match::ScoreError>(())
    /// ```
    pub fn standard_errors(&self) -> [f64; P] {
        std::array::from_fn(|k| self.covariance[k][k].sqrt())
    }
}

/// Fits a score that is linear in its parameters to a sample of positive values, by non-negative score matching.
///
/// ```
/// use score_match::nonnegative::{LinearScore, fit};
/// // Log-normal: h = −1 − (ln x − μ)/σ² = θ₀ + θ₁ ln x − 1 with θ₀ = μ/σ², θ₁ = −1/σ².
/// let model = |x: f64| LinearScore { features: [1.0, x.ln()], slopes: [0.0, 1.0], offset: -1.0 };
/// let data = [0.5, 1.0, 1.25, 4.0];
/// let [a, b] = fit(&data, model)?.parameters;
/// // which is maximum likelihood again:
/// let law = gbm_sde::LogNormal::fit(&data)?.law;
/// assert!((-1.0 / b - law.sigma().powi(2)).abs() < 1e-12 && (-a / b - law.mu()).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// With fewer than `P + 1` values, a value that is not positive and finite, or values that do not determine the parameters
/// (too few different ones, or so extreme that their moments are not finite).
pub fn fit<const P: usize>(data: &[f64], model: impl Fn(f64) -> LinearScore<P>) -> Result<Estimate<P>, ScoreError> {
    let count = data.len();
    if count <= P {
        return Err(ScoreError::TooFew { name: "the number of values", least: P + 1, value: count });
    }
    if let Some((index, &value)) = data.iter().enumerate().find(|(_, x)| !(x.is_finite() && **x > 0.0)) {
        return Err(ScoreError::Sample { index, value });
    }
    let n = count as f64;
    let singular = || ScoreError::Singular { count, parameters: P };

    let mut normal = Mat::<f64>::zeros(P, P);
    let mut right = [0.0; P];
    for &x in data {
        let LinearScore { features, slopes, offset } = model(x);
        add_outer(&mut normal, &features, 1.0 / n);
        for k in 0..P {
            right[k] -= (features[k] * (offset + 1.0) + slopes[k]) / n;
        }
    }
    let inverse = invert(&normal).ok_or_else(singular)?;
    let parameters: [f64; P] = std::array::from_fn(|i| (0..P).map(|j| inverse[(i, j)] * right[j]).sum());

    let mut spread = Mat::<f64>::zeros(P, P);
    for &x in data {
        let LinearScore { features, slopes, offset } = model(x);
        let h = offset + (0..P).map(|k| parameters[k] * features[k]).sum::<f64>();
        let gradient: [f64; P] = std::array::from_fn(|k| features[k] * (h + 1.0) + slopes[k]);
        add_outer(&mut spread, &gradient, 1.0 / n);
    }
    let sandwich = &inverse * &spread * &inverse;
    let covariance: [[f64; P]; P] = std::array::from_fn(|i| std::array::from_fn(|j| sandwich[(i, j)] / n));
    let finite = parameters.iter().chain(covariance.as_flattened()).all(|value| value.is_finite());
    if finite { Ok(Estimate { parameters, covariance }) } else { Err(singular()) }
}

/// Rate of an exponential law, `[β]`, per unit of `x`: `2 m₁/m₂`.
///
/// ```
/// let estimate = score_match::nonnegative::exponential_rate(&[0.5, 1.0, 1.5])?;
/// assert!((estimate.parameters[0] - 2.0 * 3.0 / 3.5).abs() < 1e-15);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// Those of [`fit`].
pub fn exponential_rate(data: &[f64]) -> Result<Estimate<1>, ScoreError> {
    fit(data, |x| LinearScore { features: [-x], slopes: [-x], offset: 0.0 })
}

/// Shape and rate (per unit of `x`) of a gamma law, `[k, β]`: `k = β m₁`, `β = m₁/(m₂ − m₁²)`.
///
/// ```
/// let [shape, rate] = score_match::nonnegative::gamma(&[1.0, 2.0, 3.0])?.parameters;
/// assert!((rate - 2.0 / (2.0 / 3.0)).abs() < 1e-12 && (shape - 2.0 * rate).abs() < 1e-12);
/// # Ok::<(), score_match::ScoreError>(())
/// ```
///
/// # Errors
/// Those of [`fit`].
pub fn gamma(data: &[f64]) -> Result<Estimate<2>, ScoreError> {
    // The parameter is the shape itself, so the −1 of h = k − 1 − βx is the offset.
    fit(data, |x| LinearScore { features: [1.0, -x], slopes: [0.0, -x], offset: -1.0 })
}

/// Asymptotic variance of [`exponential_rate`], times the sample size, when the data are exponential of this rate: `2β²`.
///
/// ```
/// // Twice the Cramér–Rao bound β², which maximum likelihood attains.
/// assert_eq!(score_match::nonnegative::exponential_variance(3.0), 2.0 * 9.0);
/// ```
pub fn exponential_variance(rate: f64) -> f64 {
    2.0 * rate * rate
}

/// Asymptotic covariance of [`gamma`], times the sample size, when the data are gamma of this shape and rate; rows and
/// columns in the order `k, β`.
///
/// ```
/// let (k, beta) = (2.5, 1.6);
/// let c = score_match::nonnegative::gamma_covariance(k, beta);
/// // The fitted mean k/β is the sample mean, of variance k/β²: here by the delta method.
/// let (by_k, by_beta) = (1.0 / beta, -k / (beta * beta));
/// let variance = by_k * by_k * c[0][0] + 2.0 * by_k * by_beta * c[0][1] + by_beta * by_beta * c[1][1];
/// assert!((variance - k / (beta * beta)).abs() < 1e-13);
/// ```
pub fn gamma_covariance(shape: f64, rate: f64) -> [[f64; 2]; 2] {
    let mixed = 2.0 * rate * (shape + 1.0);
    [[2.0 * shape * (shape + 1.0), mixed], [mixed, rate * rate * (2.0 * shape + 3.0) / shape]]
}

fn add_outer<const P: usize>(matrix: &mut Mat<f64>, vector: &[f64; P], scale: f64) {
    for i in 0..P {
        for j in 0..P {
            matrix[(i, j)] += scale * vector[i] * vector[j];
        }
    }
}

/// The inverse of a symmetric positive definite matrix, if it is that beyond rounding.
fn invert(matrix: &Mat<f64>) -> Option<Mat<f64>> {
    let factor = matrix.llt(Side::Lower).ok()?;
    // A pivot is the squared distance of a feature to the span of those before it.
    let independent = (0..matrix.nrows()).all(|i| {
        let pivot: f64 = factor.L()[(i, i)].powi(2);
        pivot > 1e-13 * matrix[(i, i)]
    });
    independent.then(|| factor.inverse())
}
