//! Does a sample come from a given continuous law? The tests of Kolmogorov and Smirnov, and of Anderson and Darling.
//!
//! ```math
//! \begin{aligned}
//! D_n &= \sup_x |F_n(x) - F(x)| \\
//! A_n^2 &= n \int \frac{(F_n - F)^2}{F (1 - F)}\, dF
//!   = -n - \frac1n \sum_{i=1}^n (2i - 1) \bigl[\ln F(x_{(i)}) + \ln(1 - F(x_{(n + 1 - i)}))\bigr]
//! \end{aligned}
//! ```
//!
//! The law must be given beforehand: with parameters estimated from the same sample both p-values are far too large.
//! How the p-values are computed, and how well, is said at [`kolmogorov_survival`] and [`anderson_darling_survival`].
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

mod anderson;
mod kolmogorov;

pub use anderson::{anderson_darling_limit_survival, anderson_darling_survival};
pub use kolmogorov::kolmogorov_survival;

/// Why a test is refused.
///
/// ```
/// use gbm_sde::goodness::{GoodnessError, kolmogorov_smirnov};
/// assert_eq!(kolmogorov_smirnov(&[], |x| x), Err(GoodnessError::Empty));
/// assert_eq!(kolmogorov_smirnov(&[0.3], |x| x + 1.0), Err(GoodnessError::Probability { x: 0.3, p: 1.3 }));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GoodnessError {
    /// No data.
    #[error("goodness of fit: the sample is empty")]
    Empty,
    /// A value that cannot be ordered.
    #[error("goodness of fit: value at position {index} is not a number")]
    NotANumber {
        /// Position in the data.
        index: usize,
    },
    /// The distribution function left `[0, 1]`.
    #[error("goodness of fit: the distribution function is {p} at {x}, not a probability")]
    Probability {
        /// Where.
        x: f64,
        /// Its value there.
        p: f64,
    },
}

/// The outcome of a test of one sample against a law.
///
/// ```
/// // One value in the middle of [0, 1]: the step of height 1 is ½ away on both sides, and cannot be nearer.
/// let fit = gbm_sde::goodness::kolmogorov_smirnov(&[0.5], |x| x)?;
/// assert_eq!([fit.statistic, fit.p_value], [0.5, 1.0]);
/// # Ok::<(), gbm_sde::GoodnessError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goodness {
    /// The statistic, `D` or `A²`: 0 for a perfect fit.
    pub statistic: f64,
    /// Probability of a statistic at least as large, if the sample comes from the law.
    pub p_value: f64,
    /// Number of values.
    pub n: usize,
}

/// Tests `data` (in any order) against the law with the continuous distribution function `cdf`, by the largest distance
/// between the empirical and the given one.
///
/// ```
/// use gbm_sde::{LogNormal, Noise, Stream, goodness::kolmogorov_smirnov};
/// let (law, noise) = (LogNormal::new(0.3, 0.8)?, Noise::new(1));
/// let data: Vec<f64> = (0..500).map(|i| law.sample(noise.normal(Stream::SAMPLER, i, 0, 0))).collect();
/// assert!(kolmogorov_smirnov(&data, |x| law.cdf(x))?.p_value > 0.001);
/// let other = LogNormal::new(0.6, 0.8)?;
/// assert!(kolmogorov_smirnov(&data, |x| other.cdf(x))?.p_value < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// For no data, a value that is not a number, or a `cdf` that is not a probability.
pub fn kolmogorov_smirnov(data: &[f64], cdf: impl Fn(f64) -> f64) -> Result<Goodness, GoodnessError> {
    let u = probabilities(data, cdf)?;
    let n = u.len() as f64;
    let distance = |(i, &u): (usize, &f64)| (u - i as f64 / n).max((i + 1) as f64 / n - u);
    let statistic = u.iter().enumerate().map(distance).fold(0.0, f64::max);
    Ok(Goodness { statistic, p_value: kolmogorov_survival(u.len(), statistic), n: u.len() })
}

/// Tests `data` (in any order) against the law with the continuous distribution function `cdf`, by a distance that gives the
/// tails their due. A value where `cdf` rounds to 0 or 1 makes the statistic infinite and the p-value 0.
///
/// ```
/// use gbm_sde::goodness::anderson_darling;
/// let data: Vec<f64> = (0..50).map(|i| (f64::from(i) + 0.5) / 50.0).collect();
/// assert!(anderson_darling(&data, |x| x)?.p_value > 0.99);
/// assert!(anderson_darling(&data, |x| x * x)?.p_value < 1e-3);
/// # Ok::<(), gbm_sde::goodness::GoodnessError>(())
/// ```
///
/// # Errors
/// For no data, a value that is not a number, or a `cdf` that is not a probability.
pub fn anderson_darling(data: &[f64], cdf: impl Fn(f64) -> f64) -> Result<Goodness, GoodnessError> {
    let u = probabilities(data, cdf)?;
    let n = u.len() as f64;
    let term = |(i, (low, high)): (usize, (&f64, &f64))| (2 * i + 1) as f64 * (low.ln() + (-high).ln_1p());
    let sum: f64 = u.iter().zip(u.iter().rev()).enumerate().map(term).sum();
    let statistic = -n - sum / n;
    Ok(Goodness { statistic, p_value: anderson_darling_survival(u.len(), statistic), n: u.len() })
}

/// The probabilities of the data under the law, sorted.
fn probabilities(data: &[f64], cdf: impl Fn(f64) -> f64) -> Result<Vec<f64>, GoodnessError> {
    if data.is_empty() {
        return Err(GoodnessError::Empty);
    }
    let probability = |(index, &x): (usize, &f64)| {
        if x.is_nan() {
            return Err(GoodnessError::NotANumber { index });
        }
        let p = cdf(x);
        if (0.0..=1.0).contains(&p) { Ok(p) } else { Err(GoodnessError::Probability { x, p }) }
    };
    let mut u = data.iter().enumerate().map(probability).collect::<Result<Vec<f64>, _>>()?;
    u.sort_unstable_by(f64::total_cmp);
    Ok(u)
}
