//! Mirrored Langevin dynamics against closed forms: stationary laws, their bias at finite step, and what a wrong correction does.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::LogNormal;
use gbm_sde::goodness::{Goodness, kolmogorov_smirnov};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use samplers::mirror::{
    AmbientGradient, Energy, ExponentGradient, LogGradient, MirrorError, MirroredLangevin, MirroredLangevinConfig,
};

/// Every test of a distribution is at this level; seeds are fixed, so a test that passes always does.
const LEVEL: f64 = 1e-3;
/// What a law that is wrong must fall below.
const REJECTED: f64 = 1e-9;

/// Ends of independent chains that start at `from` and run for time `time`.
fn ends<E: ExponentGradient>(energy: &impl Energy, chains: usize, from: f64, (step, time): (f64, f64)) -> Vec<f64> {
    let config = MirroredLangevinConfig { step, seed: 5, first_chain: 0 };
    let mut sampler = MirroredLangevin::<E>::new(Array2::from_elem((chains / 20, 20), from), &config).unwrap();
    for _ in 0..(time / step).round() as u32 {
        sampler.step(energy).unwrap();
    }
    sampler.positions().iter().copied().collect()
}

/// `f = x/θ − (k − 1) ln x`.
fn gamma(k: f64, theta: f64) -> impl Energy {
    move |x: ArrayView2<'_, f64>, mut g: ArrayViewMut2<'_, f64>| g.assign(&x.mapv(|x| 1.0 / theta - (k - 1.0) / x))
}

/// Distribution function of the gamma law with shape 3: `1 − e^{−z}(1 + z + z²/2)`.
fn gamma_cdf(x: f64, theta: f64) -> f64 {
    let z = x / theta;
    // The series of the upper sum avoids the cancellation near 0.
    if z < 0.1 {
        let mut term = z.powi(3) / 6.0 * (-z).exp();
        let mut sum = 0.0;
        for n in 4..20 {
            sum += term;
            term *= z / f64::from(n);
        }
        return sum;
    }
    1.0 - (-z).exp() * (1.0 + z + 0.5 * z * z)
}

/// `f = (ln x − μ)²/(2σ²) + ln x`.
fn log_normal(law: LogNormal) -> impl Energy {
    move |x: ArrayView2<'_, f64>, mut g: ArrayViewMut2<'_, f64>| g.assign(&x.mapv(|x| -law.stein_score(x)))
}

fn test_gamma(x: &[f64], theta: f64) -> Goodness {
    kolmogorov_smirnov(x, |x| gamma_cdf(x, theta)).unwrap()
}

#[test]
fn both_exponents_keep_the_gamma_law() {
    let (k, theta) = (3.0, 0.7);
    for x in [
        ends::<LogGradient>(&gamma(k, theta), 20_000, 1.0, (5e-3, 3.0)),
        ends::<AmbientGradient>(&gamma(k, theta), 20_000, 1.0, (2e-3, 4.0)),
    ] {
        let fit = test_gamma(&x, theta);
        assert!(fit.p_value > LEVEL, "{fit:?}");
        // Without the Jacobian the density would be e^{−f}/x: shape 2 instead of 3.
        assert!(kolmogorov_smirnov(&x, |x| 1.0 - (-x / theta).exp() * (1.0 + x / theta)).unwrap().p_value < REJECTED);
    }
}

#[test]
fn both_exponents_keep_the_log_normal_law() {
    let law = LogNormal::new(0.3, 0.5).unwrap();
    for x in [
        ends::<LogGradient>(&log_normal(law), 20_000, 1.0, (2e-3, 2.0)),
        ends::<AmbientGradient>(&log_normal(law), 20_000, 1.0, (1e-3, 4.0)),
    ] {
        let fit = kolmogorov_smirnov(&x, |x| law.cdf(x)).unwrap();
        assert!(fit.p_value > LEVEL, "{fit:?}");
        // Without the Jacobian: location μ − σ².
        let without = LogNormal::new(0.3 - 0.25, 0.5).unwrap();
        assert!(kolmogorov_smirnov(&x, |x| without.cdf(x)).unwrap().p_value < REJECTED);
    }
}

#[test]
fn the_exponents_are_not_interchangeable() {
    // The log-space dynamics with EGD's gradient, that is the energy whose x ∇f is the other's ∇f, keeps another law.
    let (k, theta) = (3.0, 0.7);
    let mixed = move |x: ArrayView2<'_, f64>, mut g: ArrayViewMut2<'_, f64>| {
        g.assign(&x.mapv(|x| (1.0 / theta - (k - 1.0) / x) / x));
    };
    let x = ends::<LogGradient>(&mixed, 20_000, 1.0, (2e-3, 4.0));
    assert!(test_gamma(&x, theta).p_value < REJECTED);
}

#[test]
fn at_a_finite_step_the_log_normal_chain_has_the_law_of_its_recursion() {
    // y' = (1 − η/σ²) y + η μ/σ² + √(2η) z has the variance σ²/(1 − η/2σ²): the truth of the discrete chain.
    let law = LogNormal::new(0.3, 0.5).unwrap();
    let eta = 0.1;
    let x = ends::<LogGradient>(&log_normal(law), 20_000, 1.0, (eta, 4.0));
    let inflated = LogNormal::new(0.3, 0.5 / (1.0 - eta / 0.5).sqrt()).unwrap();
    assert!(kolmogorov_smirnov(&x, |x| inflated.cdf(x)).unwrap().p_value > LEVEL);
    assert!(kolmogorov_smirnov(&x, |x| law.cdf(x)).unwrap().p_value < REJECTED);
}

#[test]
fn the_bias_falls_linearly_with_the_step() {
    let theta = 0.7;
    let distance =
        |eta: f64| test_gamma(&ends::<LogGradient>(&gamma(3.0, theta), 200_000, 1.0, (eta, 4.0)), theta).statistic;
    let [coarse, middle, fine] = [0.2, 0.1, 0.05].map(distance);
    // Noise of the distance at this size is about 0.002.
    assert!((coarse / middle - 2.0).abs() < 0.6 && (middle / fine - 2.0).abs() < 0.6, "{coarse} {middle} {fine}");
}

#[test]
fn fixed_signs_give_the_mirror_image() {
    // f(x) = g(−x) on x < 0: the same noise gives the same magnitudes.
    let plus = gamma(3.0, 0.7);
    let minus = move |x: ArrayView2<'_, f64>, mut g: ArrayViewMut2<'_, f64>| {
        plus.gradient(x.mapv(|x| -x).view(), g.view_mut());
        g.mapv_inplace(|g| -g);
    };
    let negative = ends::<LogGradient>(&minus, 2_000, -1.0, (0.02, 1.0));
    let positive = ends::<LogGradient>(&gamma(3.0, 0.7), 2_000, 1.0, (0.02, 1.0));
    assert!(negative.iter().zip(&positive).all(|(n, p)| *n < 0.0 && -n == *p));
}

#[test]
fn chains_do_not_depend_on_their_batch() {
    let energy = gamma(3.0, 0.7);
    let run = |chains: usize, first_chain: u64| {
        let config = MirroredLangevinConfig { step: 0.02, seed: 1, first_chain };
        let mut sampler = MirroredLangevin::<LogGradient>::new(Array2::ones((chains, 3)), &config).unwrap();
        for _ in 0..10 {
            sampler.step(&energy).unwrap();
        }
        sampler.positions().to_owned()
    };
    let all = run(6_000, 0);
    assert_eq!(run(2, 4_321), all.slice_axis(ndarray::Axis(0), (4_321..4_323).into()));
}

#[test]
fn a_step_to_nowhere_is_refused() {
    let steep = |_: ArrayView2<'_, f64>, mut g: ArrayViewMut2<'_, f64>| g.fill(f64::INFINITY);
    let config = MirroredLangevinConfig::default();
    let mut sampler = MirroredLangevin::<AmbientGradient>::new(Array2::ones((2, 2)), &config).unwrap();
    assert!(matches!(sampler.step(&steep), Err(MirrorError::Diverged { step: 0, row: 0, column: 0, .. })));
    assert_eq!((sampler.steps(), sampler.positions().sum()), (0, 4.0));
    let config = MirroredLangevinConfig { step: 0.0, ..config };
    assert!(MirroredLangevin::<LogGradient>::new(Array2::ones((2, 2)), &config).is_err());
}
