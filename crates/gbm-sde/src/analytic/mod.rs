//! Ground truths: laws of `X_0` whose noised marginals, scores and log denoiser are known at every level.
//!
//! ```math
//! \begin{aligned}
//! \bar y &= \ln x_t - m(t) = Y_0 + \sqrt{v}\,\varepsilon, \qquad p_v = p_{Y_0} * \mathcal N(0, v) \\
//! g(\bar y, v) &= \nabla \ln p_v(\bar y) = \frac{D(\bar y, v) - \bar y}{v}, \qquad D(\bar y, v) = \mathbb E[Y_0 \mid \bar y] \\
//! \ln p_t(x) &= \ln p_v(\bar y) - \sum_i \ln x_i, \qquad h = x \odot \nabla_x \ln p_t = g - 1, \qquad s = h / x
//! \end{aligned}
//! ```
//!
//! | module | law of `X_0` | how |
//! |---|---|---|
//! | [`mixture`] | mixture of log-normals, full covariance in log space | closed form |
//! | [`gamma`] | independent gamma coordinates | closed form at `v = 0`, quadrature to rounding elsewhere |
//!
//! [`GroundTruth`] is what they share; it says everything at a schedule and a time in terms of two questions about the centred
//! state. The equations are those of geometric Brownian motion in log space and Tweedie's formula (Efron 2011).
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

mod eigen;
pub mod gamma;
pub mod mixture;

pub use gamma::{Gamma, GammaError, Marginal};
pub use mixture::{LogNormalMixture, MixtureError};

use crate::noise::{Noise, Stream};
use crate::schedule::Schedule;

/// A law of the clean `X_0`, with its noised marginals.
///
/// States and results are slices with one value for each coordinate; `v ≥ 0` is the log variance, `y_bar` the centred log state.
///
/// ```
/// use gbm_sde::analytic::{Gamma, GroundTruth};
/// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
/// let law = Gamma::new(3.0, 0.5)?;
/// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
/// let schedule = Schedule::new(config)?;
/// let mut s = [0.0; 2];
/// law.stein_score_into(&schedule, 0.0, &[0.7, 2.0], &mut s);
/// assert!((s[0] - (2.0 / 0.7 - 2.0)).abs() < 1e-12 && (s[1] + 1.0).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait GroundTruth {
    /// Log density of the centred log state at level `v`, in nats, by volume of `y_bar`.
    ///
    /// ```
    /// use gbm_sde::analytic::{Gamma, GroundTruth};
    /// let law = Gamma::new(1.0, 0.5)?;
    /// let (one, other) = (law.log_pdf(&[0.1], 0.3), law.log_pdf(&[0.7], 0.3));
    /// assert!((law.log_pdf(&[0.1, 0.7], 0.3) - (one + other)).abs() < 1e-14); // coordinates are independent
    /// # Ok::<(), gbm_sde::GammaError>(())
    /// ```
    fn log_pdf(&self, y_bar: &[f64], v: f64) -> f64;

    /// Writes the log-space score `g = ∇ ln p(ȳ)` at level `v` into `out`, as long as `y_bar`; without unit.
    ///
    /// ```
    /// use gbm_sde::analytic::{Gamma, GroundTruth};
    /// let (law, mut g) = (Gamma::new(3.0, 0.5)?, [0.0; 2]);
    /// law.log_score_into(&[1.5f64.ln(), 0.0], 0.0, &mut g);
    /// assert!(g[0].abs() < 1e-14 && (g[1] - 1.0).abs() < 1e-14); // k − e^y/θ
    /// # Ok::<(), gbm_sde::GammaError>(())
    /// ```
    fn log_score_into(&self, y_bar: &[f64], v: f64, out: &mut [f64]);

    /// Writes the log denoiser `D(ȳ, v) = E[Y_0 | ȳ]` into `out`, as long as `y_bar`.
    ///
    /// ```
    /// use gbm_sde::analytic::{Gamma, GroundTruth};
    /// let (law, y_bar) = (Gamma::new(3.0, 0.5)?, [0.1, 0.7]);
    /// let (mut g, mut d) = ([0.0; 2], [0.0; 2]);
    /// law.log_score_into(&y_bar, 0.64, &mut g);
    /// law.denoise_into(&y_bar, 0.64, &mut d);
    /// assert!((0..2).all(|i| (d[i] - (y_bar[i] + 0.64 * g[i])).abs() < 1e-13)); // Tweedie
    /// # Ok::<(), gbm_sde::GammaError>(())
    /// ```
    fn denoise_into(&self, y_bar: &[f64], v: f64, out: &mut [f64]);

    /// Writes draw `index` of the clean `Y_0 = ln X_0` into `out`, one value for each coordinate.
    ///
    /// ```
    /// use gbm_sde::analytic::{Gamma, GroundTruth};
    /// use gbm_sde::{Noise, Stream};
    /// let (mut short, mut long) = ([0.0; 1], [0.0; 2]);
    /// let law = Gamma::new(3.0, 0.5)?;
    /// law.sample_into(&Noise::new(7), Stream::PRIOR, 3, &mut short);
    /// law.sample_into(&Noise::new(7), Stream::PRIOR, 3, &mut long);
    /// assert_eq!(short[0], long[0]); // a draw belongs to its address
    /// # Ok::<(), gbm_sde::GammaError>(())
    /// ```
    fn sample_into(&self, noise: &Noise, stream: Stream, index: u64, out: &mut [f64]);

    /// Log density of the ambient state `x` at time `t`, in nats, by volume of `x`; `−∞` where a coordinate is not positive.
    ///
    /// ```
    /// use gbm_sde::analytic::{Gamma, GroundTruth};
    /// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let schedule = Schedule::new(config)?;
    /// let law = Gamma::new(1.0, 2.0)?; // exponential
    /// assert!((law.ambient_log_pdf(&schedule, 0.0, &[0.7]) - (-0.35 - 2f64.ln())).abs() < 1e-14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn ambient_log_pdf(&self, schedule: &Schedule, t: f64, x: &[f64]) -> f64 {
        if x.iter().any(|&x| x <= 0.0) {
            return f64::NEG_INFINITY;
        }
        let jacobian: f64 = x.iter().map(|x| x.ln()).sum();
        self.log_pdf(&centred(schedule, t, x), schedule.log_variance(t)) - jacobian
    }

    /// Writes the Hyvärinen score `h = x ⊙ ∇ₓ ln p_t(x)` into `out`; NaN where a coordinate of `x` is negative.
    ///
    /// ```
    /// use gbm_sde::analytic::{Gamma, GroundTruth};
    /// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let schedule = Schedule::new(config)?;
    /// let law = Gamma::new(1.0, 2.0)?; // exponential
    /// let mut h = [0.0];
    /// law.hyvarinen_score_into(&schedule, 0.0, &[0.7], &mut h);
    /// assert!((h[0] + 0.35).abs() < 1e-14); // −x/θ
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn hyvarinen_score_into(&self, schedule: &Schedule, t: f64, x: &[f64], out: &mut [f64]) {
        self.log_score_into(&centred(schedule, t, x), schedule.log_variance(t), out);
        out.iter_mut().for_each(|g| *g -= 1.0);
    }

    /// Writes the Stein score `s = ∇ₓ ln p_t(x)` into `out`, per unit of `x`; NaN where a coordinate of `x` is negative.
    ///
    /// ```
    /// use gbm_sde::analytic::{Gamma, GroundTruth};
    /// use gbm_sde::{Drift, Schedule, ScheduleConfig, Variance};
    /// let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
    /// let schedule = Schedule::new(config)?;
    /// let law = Gamma::new(1.0, 2.0)?; // exponential
    /// let mut s = [0.0; 2];
    /// law.stein_score_into(&schedule, 0.0, &[0.7, 3.0], &mut s);
    /// assert!(s.iter().all(|s| (s + 0.5).abs() < 1e-14)); // −1/θ everywhere
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn stein_score_into(&self, schedule: &Schedule, t: f64, x: &[f64], out: &mut [f64]) {
        self.hyvarinen_score_into(schedule, t, x, out);
        out.iter_mut().zip(x).for_each(|(h, x)| *h /= x);
    }
}

fn centred(schedule: &Schedule, t: f64, x: &[f64]) -> Vec<f64> {
    let m = schedule.log_drift(t);
    x.iter().map(|x| x.ln() - m).collect()
}
