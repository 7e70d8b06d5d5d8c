//! Hyvärinen's non-negative score matching: that it is the noise-free case of M-ISM, and its estimators.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

mod common;

use common::gamma_five_halves;
use gbm_sde::quadrature::integrate;
use gbm_sde::{LogNormal, Noise, Stream};
use ndarray::Array2;
use proptest::prelude::*;
use score_match::implicit::{Trace, implicit};
use score_match::nonnegative::{
    LinearScore, exponential_rate, exponential_variance, fit, gamma, gamma_covariance, integrand,
};
use score_match::{ScoreError, term};

proptest! {
    #[test]
    fn the_integrand_is_the_implicit_term(x in 0.01..5.0f64, psi in -3.0..3.0f64, psi_slope in -3.0..3.0f64) {
        // h = xψ, so x h' = xψ + x²ψ'.
        let Ok(implicit) = term::implicit(&(x * psi), &(x * psi + x * x * psi_slope));
        prop_assert!((integrand(x, psi, psi_slope) - implicit).abs() < 1e-12 * (1.0 + implicit.abs()));
    }
}

/// The same number from a sample: the objective in `x` with ψ, and the implicit loss in `y` with a differentiated model.
#[test]
fn the_objective_is_the_implicit_loss_without_noise() {
    let noise = Noise::new(3);
    let data: Vec<f64> = (0..500).map(|i| gamma_five_halves(&noise, i)).collect();
    for (a, b, c) in [(1.5, 1.0, 0.0), (-0.3, 0.4, 0.2), (2.0, 0.1, -0.1)] {
        // ln p = a ln x − b x + c sin x + const
        let psi = |x: f64| a / x - b + c * x.cos();
        let slope = |x: f64| -a / (x * x) - c * x.sin();
        let objective = data.iter().map(|&x| integrand(x, psi(x), slope(x))).sum::<f64>() / data.len() as f64;
        let model = |y: &Array2<f64>| y.mapv(|y| y.exp() * psi(y.exp()));
        let y = Array2::from_shape_fn((data.len(), 1), |(i, _)| data[i].ln());
        let loss = implicit(&model, &y, Trace::Exact).unwrap();
        assert!((objective - loss).abs() < 1e-9, "{objective} {loss}");
    }
}

/// In expectation it is the explicit loss up to a constant, by quadrature under a gamma law.
#[test]
fn the_objective_is_the_distance_of_scores_up_to_a_constant() {
    let (k, beta) = (2.5, 1.3);
    let density = |x: f64| ((k - 1.0) * x.ln() - beta * x + k * f64::ln(beta) - libm::lgamma(k)).exp();
    let expect = |f: &dyn Fn(f64) -> f64| {
        integrate(|x| if density(x) == 0.0 { 0.0 } else { density(x) * f(x) }, 1e-12, 60.0, 1e-13).unwrap().value
    };
    let truth = |x: f64| (k - 1.0) - beta * x;
    let constant = 0.5 * expect(&|x| truth(x).powi(2));
    for (a, b) in [(1.5, 1.3), (0.2, 0.5), (3.0, 2.0)] {
        let objective = expect(&|x| integrand(x, a / x - b, -a / (x * x)));
        let distance = 0.5 * expect(&|x| (a - b * x - truth(x)).powi(2));
        assert!((distance - objective - constant).abs() < 1e-10, "{distance} {objective} {constant}");
    }
}

struct Scores {
    sum: f64,
    square: f64,
    count: f64,
}

impl Scores {
    fn of(values: &[f64]) -> Self {
        Self { sum: values.iter().sum(), square: values.iter().map(|z| z * z).sum(), count: values.len() as f64 }
    }

    /// Mean 0 and standard deviation 1 within 4.42 of their own errors, with `bias` allowed for the mean.
    fn check(&self, what: &str, bias: f64) {
        let mean = self.sum / self.count;
        let sd = (self.square / self.count - mean * mean).sqrt();
        println!("{what}: mean {mean:.3} sd {sd:.3}");
        assert!(mean.abs() < bias + 4.42 / self.count.sqrt(), "{what}: mean {mean}");
        assert!((sd - 1.0).abs() < 4.42 / (2.0 * self.count).sqrt(), "{what}: sd {sd}");
    }

    /// Standard deviation, and its standard error.
    fn sd(&self) -> (f64, f64) {
        let mean = self.sum / self.count;
        ((self.square / self.count - mean * mean).sqrt(), 1.0 / (2.0 * self.count).sqrt())
    }
}

const REPLICATES: u64 = 1000;
const SAMPLE: u64 = 4000;

#[test]
fn exponential_rates_are_recovered_with_their_errors() {
    let (rate, noise) = (1.7, Noise::new(12));
    let mut own = vec![];
    let mut asymptotic = vec![];
    let mut likelihood = vec![];
    for replicate in 0..REPLICATES {
        let mut data = vec![0.0; SAMPLE as usize];
        noise.fill_uniform_f64(Stream(70), replicate, 0, &mut data);
        data.iter_mut().for_each(|u| *u = -u.ln() / rate);
        let estimate = exponential_rate(&data).unwrap();
        let error = estimate.parameters[0] - rate;
        own.push(error / estimate.standard_errors()[0]);
        asymptotic.push(error / (exponential_variance(rate) / SAMPLE as f64).sqrt());
        likelihood.push(error / (rate * rate / SAMPLE as f64).sqrt());
    }
    assert!(own[0].abs() < 4.0);
    Scores::of(&own).check("own error", 0.1);
    Scores::of(&asymptotic).check("asymptotic error", 0.1);
    // Twice the maximum-likelihood variance, which would therefore not fit.
    let (sd, error) = Scores::of(&likelihood).sd();
    assert!((sd - 2.0f64.sqrt()).abs() < 4.42 * 2.0f64.sqrt() * error && sd - 1.0 > 4.42 * error, "{sd}");
}

#[test]
fn gamma_parameters_are_recovered_with_their_errors() {
    let (shape, rate, noise) = (2.5, 0.8, Noise::new(13));
    let truth = [shape, rate];
    let n = SAMPLE as f64;
    let covariance = gamma_covariance(shape, rate);
    // ψ₁(5/2) = π²/2 − 4 − 4/9
    let trigamma = 0.5 * std::f64::consts::PI.powi(2) - 40.0 / 9.0;
    let c = shape * trigamma - 1.0;
    let likelihood = [shape / c, rate * rate * trigamma / c];
    let mut own = [vec![], vec![]];
    let mut asymptotic = [vec![], vec![]];
    let mut products = vec![];
    for replicate in 0..REPLICATES {
        let draw = |i| gamma_five_halves(&noise, replicate * SAMPLE + i) / rate;
        let data: Vec<f64> = (0..SAMPLE).map(draw).collect();
        let estimate = gamma(&data).unwrap();
        let errors = estimate.standard_errors();
        let difference = [0, 1].map(|k| estimate.parameters[k] - truth[k]);
        for k in 0..2 {
            own[k].push(difference[k] / errors[k]);
            asymptotic[k].push(difference[k] / (covariance[k][k] / n).sqrt());
        }
        products.push(difference[0] * difference[1] * n / covariance[0][1]);
    }
    for k in 0..2 {
        assert!(own[k][0].abs() < 4.0);
        Scores::of(&own[k]).check("own error", 0.15);
        Scores::of(&asymptotic[k]).check("asymptotic error", 0.15);
        // The maximum-likelihood error would be too small by far.
        let (sd, error) = Scores::of(&asymptotic[k]).sd();
        let ratio = (covariance[k][k] / likelihood[k]).sqrt();
        assert!(sd * ratio - 1.0 > 4.42 * ratio * error, "{ratio}");
    }
    // The two errors go together as the table says: the mean of their product over its expectation is 1.
    let scores = Scores::of(&products);
    let mean = scores.sum / scores.count;
    assert!((mean - 1.0).abs() < 4.42 * scores.sd().0 / scores.count.sqrt(), "{mean}");
}

/// The sandwich of a large sample is the closed form.
#[test]
fn closed_forms_are_the_limits_of_the_sandwich() {
    let (noise, n) = (Noise::new(14), 400_000u64);
    let data: Vec<f64> = (0..n).map(|i| gamma_five_halves(&noise, i) / 0.8).collect();
    let estimate = gamma(&data).unwrap();
    let expected = gamma_covariance(2.5, 0.8);
    for (found, expected) in estimate.covariance.as_flattened().iter().zip(expected.as_flattened()) {
        assert!((found * n as f64 / expected - 1.0).abs() < 0.05, "{found} {expected}");
    }
    // The method of moments.
    let (m1, m2) = data.iter().fold((0.0, 0.0), |(a, b), x| (a + x / n as f64, b + x * x / n as f64));
    assert!((estimate.parameters[1] - m1 / (m2 - m1 * m1)).abs() < 1e-10);
    assert!((estimate.parameters[0] - m1 * m1 / (m2 - m1 * m1)).abs() < 1e-10);
    // Known: the moment estimator's variances (Johnson, Kotz and Balakrishnan, chapter 17), at round numbers.
    assert_eq!(gamma_covariance(2.0, 3.0), [[12.0, 18.0], [18.0, 31.5]]);
    assert_eq!(exponential_variance(3.0), 18.0);
}

/// For log-normal data score matching is maximum likelihood, whose errors are known: σ²/n for μ.
#[test]
fn a_family_of_ones_own() {
    let (noise, n) = (Noise::new(15), 20_000u64);
    let law = LogNormal::new(0.4, 0.6).unwrap();
    let data: Vec<f64> = (0..n).map(|i| law.sample(noise.normal(Stream(71), i, 0, 0))).collect();
    let model = |x: f64| LinearScore { features: [1.0, x.ln()], slopes: [0.0, 1.0], offset: -1.0 };
    let estimate = fit(&data, model).unwrap();
    let [a, b] = estimate.parameters;
    let fitted = LogNormal::fit(&data).unwrap().law;
    assert!((-1.0 / b - fitted.sigma().powi(2)).abs() < 1e-10 && (-a / b - fitted.mu()).abs() < 1e-10);
    // θ₁ = −1/σ² has variance 2/(n σ⁴).
    let expected = 2.0 / (n as f64 * 0.6f64.powi(4));
    assert!((estimate.covariance[1][1] / expected - 1.0).abs() < 0.06);
}

#[test]
fn bad_samples_are_refused() {
    assert_eq!(exponential_rate(&[1.0]), Err(ScoreError::TooFew { name: "the number of values", least: 2, value: 1 }));
    assert_eq!(gamma(&[1.0, 2.0]), Err(ScoreError::TooFew { name: "the number of values", least: 3, value: 2 }));
    assert_eq!(gamma(&[1.0, 0.0, 2.0]), Err(ScoreError::Sample { index: 1, value: 0.0 }));
    assert!(matches!(gamma(&[1.0, 2.0, f64::NAN]), Err(ScoreError::Sample { index: 2, .. })));
    assert_eq!(gamma(&[0.7; 5]), Err(ScoreError::Singular { count: 5, parameters: 2 }));
    // What counts is the spread beside the mean, whatever the unit.
    for unit in [1e-6, 1.0, 1e6] {
        let sample = |spread: f64| [1.0, 2.0, 3.0, 5.0].map(|k| unit * (1.0 + spread * k));
        assert!(gamma(&sample(0.1)).is_ok());
        assert_eq!(gamma(&sample(1e-9)), Err(ScoreError::Singular { count: 4, parameters: 2 }));
    }
    assert_eq!(exponential_rate(&[1e200, 1e200]), Err(ScoreError::Singular { count: 2, parameters: 1 }));
}
