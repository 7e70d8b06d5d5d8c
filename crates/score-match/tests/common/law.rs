//! Clean laws of `y₀ = ln x₀`, noised to a log variance, as nodes of the trapezoidal rule.
//!
//! The rule converges exponentially for functions that are analytic in a strip around the real line and fall off at both
//! ends (Trefethen and Weideman 2014); the spacings below leave less than 1e-14.

use gbm_sde::analytic::Marginal as Coordinate;
use gbm_sde::{Gamma, LogNormalMixture};

/// A node of the noised marginal: state, weight, true Hyvärinen score.
pub(crate) struct Marginal {
    pub(crate) y: f64,
    pub(crate) weight: f64,
    pub(crate) truth: f64,
}

/// A node of the joint law of clean value and noise: noised state, noise, weight.
pub(crate) struct Joint {
    pub(crate) y: f64,
    pub(crate) eps: f64,
    pub(crate) weight: f64,
}

pub(crate) struct Law {
    pub(crate) name: &'static str,
    pub(crate) v: f64,
    pub(crate) marginal: Vec<Marginal>,
    pub(crate) joint: Vec<Joint>,
}

impl Law {
    pub(crate) fn expect(&self, f: impl Fn(&Marginal) -> f64) -> f64 {
        self.marginal.iter().map(|node| node.weight * f(node)).sum()
    }

    pub(crate) fn expect_joint(&self, f: impl Fn(&Joint) -> f64) -> f64 {
        self.joint.iter().map(|node| node.weight * f(node)).sum()
    }
}

fn nodes(from: f64, to: f64, spacing: f64) -> impl Iterator<Item = f64> + Clone {
    let count = ((to - from) / spacing) as usize;
    (0..=count).map(move |i| from + i as f64 * spacing)
}

fn normal_pdf(z: f64) -> f64 {
    (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
}

const NOISE_SPACING: f64 = 0.2;

fn noise() -> impl Iterator<Item = f64> + Clone {
    nodes(-9.0, 9.0, NOISE_SPACING)
}

fn joint(density: impl Fn(f64) -> f64, clean: impl Iterator<Item = f64>, spacing: f64, v: f64) -> Vec<Joint> {
    let pair = |y0: f64| {
        let p = density(y0);
        noise().map(move |eps| Joint {
            y: y0 + v.sqrt() * eps,
            eps,
            weight: p * spacing * normal_pdf(eps) * NOISE_SPACING,
        })
    };
    clean.flat_map(pair).filter(|node| node.weight > 1e-40).collect()
}

pub(crate) fn mixture() -> LogNormalMixture {
    LogNormalMixture::new(vec![0.3, 0.7], vec![vec![-0.5], vec![0.6]], vec![vec![0.05], vec![0.2]]).unwrap()
}

/// A mixture of two log-normals; its noised marginal and score are closed forms of the library.
pub(crate) fn mixture_law(v: f64) -> Law {
    let mixture = mixture();
    let spacing = 0.04;
    let marginal = nodes(-16.0, 16.0, spacing).map(|y| {
        let mut denoised = [0.0];
        mixture.denoise_into(&[y], v, &mut denoised);
        let truth = (denoised[0] - y) / v - 1.0;
        Marginal { y, weight: spacing * mixture.marginal_pdf(0, y, v), truth }
    });
    let joint = joint(|y| mixture.marginal_pdf(0, y, 0.0), nodes(-6.0, 6.0, spacing), spacing, v);
    Law { name: "mixture", v, marginal: marginal.collect(), joint }
}

/// A gamma law; its noised marginal and score are the library's, by quadrature of the posterior. The joint nodes take only the
/// clean density from it and noise that themselves, so losses over the one check those over the other.
pub(crate) fn gamma_law(shape: f64, rate: f64, v: f64) -> Law {
    let gamma = Gamma::new(shape, 1.0 / rate).unwrap();
    // p(y) falls like e^{shape y} on the left.
    let (low, spacing) = (-40.0 / shape, 0.05);
    let marginal = nodes(low - 4.0, 9.0, spacing).map(|y| {
        let Coordinate { log_pdf, log_score, .. } = gamma.marginal(y, v);
        Marginal { y, weight: spacing * log_pdf.exp(), truth: log_score - 1.0 }
    });
    let joint = joint(|y| gamma.marginal(y, 0.0).log_pdf.exp(), nodes(low, 5.0, spacing), spacing, v);
    Law { name: "gamma", v, marginal: marginal.collect(), joint }
}
