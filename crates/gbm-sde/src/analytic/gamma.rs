//! Gamma start law: `X_0` has shape `k` and scale `θ`; its logarithm is smooth and log-concave.
//!
//! ```math
//! \begin{aligned}
//! \ln p(y_0) &= k\,(y_0 - \ln\theta) - e^{y_0}/\theta - \ln\Gamma(k), \qquad g(y_0) = k - e^{y_0}/\theta \\
//! p_v(\bar y) &= \int p(y_0)\, \mathcal N(\bar y;\, y_0, v)\, dy_0, \qquad D = \mathbb E[y_0 \mid \bar y] \\
//! g_v(\bar y) &= (D - \bar y)/v = \mathbb E[g(y_0) \mid \bar y]
//! \end{aligned}
//! ```
//!
//! The posterior of `y_0` is taken relative to its mode `y*`. With `λ = e^{y*}/θ` the logarithm of the integrand is, without
//! cancellation,
//!
//! ```math
//! \varphi(u) = -\lambda\,(e^u - 1 - u) - \frac{u^2}{2v}, \qquad u = y_0 - y^*, \qquad
//! \ln(v\lambda) + v\lambda = \bar y - \ln\theta + \ln v + k v,
//! ```
//!
//! the last being Wright's ω function (Corless and Jeffrey 2002). The trapezoidal rule on `e^φ` converges geometrically
//! (Trefethen and Weideman 2014); its step is halved until mass and means agree. Draws are Marsaglia and Tsang's (2000).
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

use super::GroundTruth;
use crate::noise::{Noise, Stream};

/// `½ ln 2π`.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;
/// Where `φ` is below this, nothing is left of the posterior.
const NEGLIGIBLE: f64 = -60.0;
/// Agreement of two steps that makes the finer one right to rounding: halving squares the relative error.
const AGREEMENT: f64 = 1e-9;
/// Points of one pass; only levels far above 1e4 with shapes far below 1 need more.
const POINTS: usize = 1 << 21;

/// Why a gamma law is refused.
///
/// ```
/// use gbm_sde::{Gamma, GammaError};
/// assert_eq!(Gamma::new(-1.0, 0.4), Err(GammaError::Shape(-1.0)));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GammaError {
    /// The shape is not positive and finite.
    #[error("gamma: the shape must be positive and finite, got {0}")]
    Shape(f64),
    /// The scale is not positive and finite.
    #[error("gamma: the scale must be positive and finite, got {0}")]
    Scale(f64),
}

/// Independent gamma coordinates, all with one shape and scale: `p(x) ∝ x^{k−1} e^{−x/θ}`.
///
/// ```
/// let law = gbm_sde::analytic::Gamma::new(2.5, 0.4)?;
/// let clean = law.marginal(0.3, 0.0);
/// assert!((clean.log_score - (2.5 - 0.3f64.exp() / 0.4)).abs() < 1e-14 && clean.denoised == 0.3);
/// let noised = law.marginal(0.3, 0.64);
/// assert!((noised.denoised - (0.3 + 0.64 * noised.log_score)).abs() < 1e-14);
/// # Ok::<(), gbm_sde::analytic::GammaError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gamma {
    shape: f64,
    scale: f64,
    ln_gamma: f64,
}

/// What is known about one coordinate of the noised law at one point.
///
/// ```
/// // The mode of ln X, where k = e^y/θ: a little noise moves nothing to the first order.
/// let noised = gbm_sde::Gamma::new(2.5, 0.4)?.marginal(0.0, 1e-6);
/// assert!(noised.log_score.abs() < 1e-5 && noised.denoised.abs() < 1e-11);
/// # Ok::<(), gbm_sde::GammaError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Marginal {
    /// `ln p_v(ȳ)`.
    pub log_pdf: f64,
    /// Log-space score `g = d ln p_v/dȳ`.
    pub log_score: f64,
    /// Log denoiser `D(ȳ, v)`.
    pub denoised: f64,
}

impl Gamma {
    /// The law with shape `k` and scale `θ` (the inverse rate, in units of `x`); mean `kθ`.
    ///
    /// ```
    /// let law = gbm_sde::Gamma::new(2.5, 0.4)?;
    /// assert_eq!([law.shape(), law.scale()], [2.5, 0.4]);
    /// # Ok::<(), gbm_sde::GammaError>(())
    /// ```
    ///
    /// # Errors
    /// When one of them is not positive and finite.
    pub fn new(shape: f64, scale: f64) -> Result<Self, GammaError> {
        let allowed = |value: f64| value.is_finite() && value > 0.0;
        if !allowed(shape) {
            return Err(GammaError::Shape(shape));
        }
        if !allowed(scale) {
            return Err(GammaError::Scale(scale));
        }
        Ok(Self { shape, scale, ln_gamma: libm::lgamma(shape) })
    }

    /// Shape `k`.
    pub fn shape(&self) -> f64 {
        self.shape
    }

    /// Scale `θ`, in units of `x`.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Density, score and denoiser of one coordinate at level `v ≥ 0`; all NaN when `v` is negative, or an argument is not
    /// finite. Good to about 1e-13 (relative to the size of the terms) for levels from 1e-8 to 1e4 and any `y_bar`.
    ///
    /// ```
    /// let exponential = gbm_sde::Gamma::new(1.0, 2.0)?;
    /// let mode = exponential.marginal(2f64.ln(), 0.0); // ln p = z − e^z with z = y − ln θ
    /// assert!((mode.log_pdf + 1.0).abs() < 1e-14 && mode.log_score.abs() < 1e-14);
    /// # Ok::<(), gbm_sde::GammaError>(())
    /// ```
    pub fn marginal(&self, y_bar: f64, v: f64) -> Marginal {
        let (k, ln_scale) = (self.shape, self.scale.ln());
        if v == 0.0 && y_bar.is_finite() {
            let lambda = (y_bar - ln_scale).exp();
            let log_pdf = k * (y_bar - ln_scale) - lambda - self.ln_gamma;
            return Marginal { log_pdf, log_score: k - lambda, denoised: y_bar };
        }
        let argument = y_bar - ln_scale + v.ln() + k * v;
        let Some(posterior) = Posterior::new(argument, v) else {
            return Marginal { log_pdf: f64::NAN, log_score: f64::NAN, denoised: f64::NAN };
        };
        let (lambda, ln_lambda) = (posterior.lambda, posterior.ln_lambda);
        let Moments { mass, mean, tilt } = posterior.moments();
        // The mode in whichever of its two forms does not cancel.
        let near_data = v * lambda < 1.0;
        let mode = if near_data { y_bar + v * (k - lambda) } else { ln_lambda + ln_scale };
        let denoised = mode + mean;
        Marginal {
            log_pdf: k * ln_lambda
                - lambda
                - self.ln_gamma
                - 0.5 * v * (k - lambda).powi(2)
                - 0.5 * v.ln()
                - HALF_LN_TAU
                + mass.ln(),
            log_score: if near_data { k - lambda - tilt } else { (denoised - y_bar) / v },
            denoised,
        }
    }

    /// The draw of `ln X_0` at one address: Marsaglia and Tsang's rejection, attempt `j` with the normal at step `2j + 1` and the
    /// uniform at step `2j + 2`; the uniform at step 0 raises the shape of laws with `k < 1`.
    ///
    /// ```
    /// use gbm_sde::{Gamma, Noise, Stream};
    /// let [one, two] = [Gamma::new(2.5, 1.0)?, Gamma::new(2.5, 2.0)?];
    /// let draw = |law: Gamma| law.sample(&Noise::new(7), Stream::PRIOR, 3, 0);
    /// assert!((draw(two) - draw(one) - 2f64.ln()).abs() < 1e-14); // the scale is a factor of X
    /// # Ok::<(), gbm_sde::GammaError>(())
    /// ```
    pub fn sample(&self, noise: &Noise, stream: Stream, index: u64, element: usize) -> f64 {
        let (shape, raised) = if self.shape < 1.0 {
            (self.shape + 1.0, noise.uniform(stream, index, 0, element).ln() / self.shape)
        } else {
            (self.shape, 0.0)
        };
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        let attempt = |step: u32| {
            let z = noise.normal(stream, index, step, element);
            let cube = (1.0 + c * z).powi(3);
            let u = noise.uniform(stream, index, step + 1, element);
            (cube > 0.0 && u.ln() < 0.5 * z * z + d * (1.0 - cube + cube.ln())).then(|| cube.ln())
        };
        // More than 95 of 100 attempts are accepted, so the end of the steps is never seen.
        let ln_cube = (1..u32::MAX).step_by(2).find_map(attempt).unwrap_or(0.0);
        self.scale.ln() + d.ln() + ln_cube + raised
    }
}

impl GroundTruth for Gamma {
    fn log_pdf(&self, y_bar: &[f64], v: f64) -> f64 {
        y_bar.iter().map(|&y| self.marginal(y, v).log_pdf).sum()
    }

    fn log_score_into(&self, y_bar: &[f64], v: f64, out: &mut [f64]) {
        out.iter_mut().zip(y_bar).for_each(|(o, &y)| *o = self.marginal(y, v).log_score);
    }

    fn denoise_into(&self, y_bar: &[f64], v: f64, out: &mut [f64]) {
        out.iter_mut().zip(y_bar).for_each(|(o, &y)| *o = self.marginal(y, v).denoised);
    }

    fn sample_into(&self, noise: &Noise, stream: Stream, index: u64, out: &mut [f64]) {
        out.iter_mut().enumerate().for_each(|(element, o)| *o = self.sample(noise, stream, index, element));
    }
}

/// The posterior of `u = y_0 − y*`, up to its mass.
struct Posterior {
    /// `λ = e^{y*}/θ`.
    lambda: f64,
    ln_lambda: f64,
    v: f64,
    /// `1/√(−φ''(0))`, about the standard deviation.
    width: f64,
}

/// Integrals of `e^φ`, and the means of `u` and of `λ (e^u − 1)` under it.
#[derive(Clone, Copy, Default)]
struct Moments {
    mass: f64,
    mean: f64,
    tilt: f64,
}

impl Posterior {
    /// From `c = ȳ − ln θ + ln v + k v`; none when that or the level is not finite.
    fn new(c: f64, v: f64) -> Option<Self> {
        if !(c.is_finite() && v.is_finite()) {
            return None;
        }
        let (ln_omega, omega) = wright_omega(c);
        let lambda = omega / v;
        Some(Self { lambda, ln_lambda: ln_omega - v.ln(), v, width: 1.0 / (lambda + 1.0 / v).sqrt() })
    }

    /// `φ(u)` and `λ (e^u − 1)`.
    fn at(&self, u: f64) -> (f64, f64) {
        let (tilt, rest) = if u.abs() < 0.5 {
            // e^u − 1 − u cancels here; its series does not.
            let series = (3..18).rev().fold(1.0, |tail, n| 1.0 + u / f64::from(n) * tail);
            let rest = 0.5 * u * u * series;
            (self.lambda * (u + rest), self.lambda * rest)
        } else {
            // In this form neither a huge e^u nor a λ that underflows spoils the product.
            let tilt = (self.ln_lambda + u).exp() - self.lambda;
            (tilt, tilt - self.lambda * u)
        };
        (-rest - 0.5 * u * u / self.v, tilt)
    }

    fn moments(&self) -> Moments {
        let mut step = 0.75 * self.width;
        let mut sums = Moments { mass: 1.0, ..Moments::default() };
        self.add_side(&mut sums, step, step);
        self.add_side(&mut sums, -step, -step);
        let mut before = sums.scaled(step);
        loop {
            // The points half-way between those that are there already.
            let points = self.add_side(&mut sums, 0.5 * step, step) + self.add_side(&mut sums, -0.5 * step, -step);
            step *= 0.5;
            let now = sums.scaled(step);
            if points > POINTS {
                return Moments { mass: f64::NAN, mean: f64::NAN, tilt: f64::NAN };
            }
            let agree = (now.mass - before.mass).abs() <= AGREEMENT * now.mass
                && (now.mean - before.mean).abs() <= AGREEMENT * self.width
                && (now.tilt - before.tilt).abs() * self.width <= AGREEMENT;
            if agree {
                return now;
            }
            before = now;
        }
    }

    /// Adds the points `first, first + stride, …` down to where nothing is left; how many there were.
    fn add_side(&self, sums: &mut Moments, first: f64, stride: f64) -> usize {
        for n in 0..POINTS {
            let u = first + n as f64 * stride;
            let (phi, tilt) = self.at(u);
            // Not a number counts as below, so that the loop ends.
            if phi.is_nan() || phi < NEGLIGIBLE {
                return n;
            }
            let weight = phi.exp();
            sums.mass += weight;
            sums.mean += weight * u;
            sums.tilt += weight * tilt;
        }
        POINTS + 1
    }
}

impl Moments {
    /// From plain sums: the integral and the two means.
    fn scaled(self, step: f64) -> Self {
        Self { mass: step * self.mass, mean: self.mean / self.mass, tilt: self.tilt / self.mass }
    }
}

/// `(ln ω, ω)` with `ln ω + ω = c`, by Newton's method from the side where it is monotone.
fn wright_omega(c: f64) -> (f64, f64) {
    if c <= 1.0 {
        let mut q = c;
        for _ in 0..8 {
            let e = q.exp();
            q -= (q + e - c) / (1.0 + e);
        }
        (q, q.exp())
    } else {
        let mut omega = c - c.ln();
        for _ in 0..6 {
            omega -= (omega + omega.ln() - c) / (1.0 + 1.0 / omega);
        }
        (omega.ln(), omega)
    }
}
