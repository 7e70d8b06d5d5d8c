//! Are learned weights log-normal or normal? Both laws on the same space, the real line, fitted to the same weights by maximum likelihood.
//!
//! ```text
//! signed log-normal   f(w) = p_± LN(|w|; μ, σ)          each sign as often as it occurs, the magnitude log-normal
//! normal              f(w) = N(w; m, s²)
//! per weight          ℓ_i = ln f_signed log-normal(w_i) − ln f_normal(w_i)
//! Vuong's statistic   z = √n mean(ℓ) / sd(ℓ)            standard normal if both laws are equally far from the truth
//! ```
//!
//! A positive mean of `ℓ` is in favour of the log-normal. With 10⁵ weights the Kolmogorov–Smirnov test rejects every law that is not exactly
//! right, so its distance is reported, not its p-value. Vuong's statistic counts weights as independent, which those of one network are
//! not: the spread over seeds says more.
//!
//! Source: Vuong, *Likelihood ratio tests for model selection and non-nested hypotheses*, Econometrica 57 (1989).

use anyhow::{Result, bail};
use gbm_sde::LogNormal;
use gbm_sde::goodness::kolmogorov_smirnov;
use gbm_sde::normal::normal_cdf;
use serde::Serialize;

/// Both laws against one population of weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Weights; those that are exactly 0 are left out.
    pub n: usize,
    /// Mean of `ln |w|`.
    pub mu: f64,
    /// Standard deviation of `ln |w|`.
    pub sigma: f64,
    /// Mean of `w`.
    pub mean: f64,
    /// Standard deviation of `w`.
    pub sd: f64,
    /// Kolmogorov–Smirnov distance to the signed log-normal.
    pub ks_log_normal: f64,
    /// Kolmogorov–Smirnov distance to the normal.
    pub ks_normal: f64,
    /// Mean log-likelihood ratio per weight in nats; positive in favour of the log-normal.
    pub log_ratio: f64,
    /// Vuong's statistic.
    pub vuong: f64,
}

/// Fits both laws to `weights` and compares them.
///
/// # Errors
/// If fewer than three weights are not 0, or all are alike.
pub fn compare(weights: &[f64]) -> Result<Comparison> {
    let weights: Vec<f64> = weights.iter().copied().filter(|w| *w != 0.0).collect();
    let n = weights.len();
    if n < 3 {
        bail!("{n} weights that are not 0 are too few to fit a law to");
    }
    let magnitudes: Vec<f64> = weights.iter().map(|w| w.abs()).collect();
    let law = LogNormal::fit(&magnitudes)?.law;
    let mean = weights.iter().sum::<f64>() / n as f64;
    let sd = (weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
    let positive = weights.iter().filter(|w| **w > 0.0).count() as f64 / n as f64;
    let part = |w: f64| if w > 0.0 { positive } else { 1.0 - positive };
    let normal = |w: f64| -0.5 * ((w - mean) / sd).powi(2) - sd.ln() - 0.5 * std::f64::consts::TAU.ln();
    let ratios: Vec<f64> = weights.iter().map(|&w| part(w).ln() + law.ln_pdf(w.abs()) - normal(w)).collect();
    let log_ratio = ratios.iter().sum::<f64>() / n as f64;
    let scatter = (ratios.iter().map(|l| (l - log_ratio).powi(2)).sum::<f64>() / n as f64).sqrt();
    let signed = |w: f64| {
        if w > 0.0 { 1.0 - positive + positive * law.cdf(w) } else { (1.0 - positive) * law.survival(-w) }
    };
    Ok(Comparison {
        n,
        mu: law.mu(),
        sigma: law.sigma(),
        mean,
        sd,
        ks_log_normal: kolmogorov_smirnov(&weights, signed)?.statistic,
        ks_normal: kolmogorov_smirnov(&weights, |w| normal_cdf((w - mean) / sd))?.statistic,
        log_ratio,
        vuong: (n as f64).sqrt() * log_ratio / scatter,
    })
}

/// Correlation of two equally long samples; NaN where one does not vary.
pub fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let pairs = || a.iter().zip(b).map(|(a, b)| (a - mean_a, b - mean_b));
    let (ab, aa, bb) = pairs().fold((0.0, 0.0, 0.0), |(ab, aa, bb), (a, b)| (ab + a * b, aa + a * a, bb + b * b));
    ab / (aa * bb).sqrt()
}

/// Mean and standard deviation (`n − 1`) over seeds; 0 for a single one.
pub fn spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    (mean, if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gbm_sde::{Noise, Stream};

    fn normals(n: usize) -> Vec<f64> {
        let mut z = vec![0.0; n];
        Noise::new(6).fill_normal_f64(Stream::INIT, 0, 0, &mut z);
        z
    }

    /// For draws of either law, the mean ratio is the Kullback–Leibler divergence to the other's best fit, in closed form for the first.
    #[test]
    fn the_right_law_wins_by_its_divergence() {
        let (mu, sigma) = (-3.0, 0.7);
        let weights: Vec<f64> = normals(100_000).iter().map(|z| (mu + sigma * z).exp()).collect();
        let found = compare(&weights).unwrap();
        let variance = (2.0 * mu + sigma * sigma).exp() * (sigma * sigma).exp_m1();
        // Entropies: that of the normal with the same variance, less that of the log-normal.
        let divergence = 0.5 * variance.ln() - (mu + sigma.ln());
        assert!((found.log_ratio - divergence).abs() < 0.02, "{found:?} {divergence}");
        assert!((found.mu - mu).abs() < 0.01 && (found.sigma - sigma).abs() < 0.01);
        assert!(found.vuong > 40.0 && found.ks_log_normal < 0.006 && found.ks_normal > 0.1, "{found:?}");

        let weights: Vec<f64> = normals(100_000).iter().map(|z| 0.01 + 0.3 * z).collect();
        let found = compare(&weights).unwrap();
        assert!(found.vuong < -40.0 && found.ks_normal < 0.006 && found.ks_log_normal > 0.02, "{found:?}");
        assert!((found.mean - 0.01).abs() < 0.005 && (found.sd - 0.3).abs() < 0.005);
    }

    /// Signs are no evidence: turning them as often as they should turn changes neither distance nor ratio much.
    #[test]
    fn a_signed_log_normal_is_recognized() {
        let signed = |(i, z): (usize, &f64)| if i % 4 == 0 { -1.0 } else { 1.0 } * (0.5 * z).exp();
        let weights: Vec<f64> = normals(50_000).iter().enumerate().map(signed).collect();
        let found = compare(&weights).unwrap();
        assert!(found.ks_log_normal < 0.009 && found.vuong > 40.0, "{found:?}");
    }

    #[test]
    fn ends() {
        assert!(compare(&[0.0, 0.0, 1.0, 2.0]).is_err());
        assert_eq!(compare(&[0.0, 0.5, 1.0, 2.0]).unwrap().n, 3);
        assert!((correlation(&[1.0, 2.0, 4.0], &[-1.0, -2.0, -4.0]) + 1.0).abs() < 1e-12);
        assert_eq!(spread(&[1.0, 3.0]), (2.0, 2.0_f64.sqrt()));
        assert_eq!(spread(&[5.0]), (5.0, 0.0));
    }
}
