//! Goodness-of-fit tests: statistics against independent formulas, p-values against scipy, a characteristic function and simulation.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

mod reference;

use gbm_sde::goodness::{
    Goodness, GoodnessError, anderson_darling, anderson_darling_limit_survival, anderson_darling_survival,
    kolmogorov_smirnov, kolmogorov_survival,
};
use gbm_sde::{LogNormal, Noise, Stream};

#[test]
fn a_sample_gets_the_values_of_scipy() {
    let laws = reference::laws();
    let law = LogNormal::new(0.2, 0.6).unwrap();
    let ks = kolmogorov_smirnov(&laws.sample, |x| law.cdf(x)).unwrap();
    assert!((ks.statistic - laws.sample_ks[0]).abs() < 1e-14 && (ks.p_value - laws.sample_ks[1]).abs() < 1e-11);
    let ad = anderson_darling(&laws.sample, |x| law.cdf(x)).unwrap();
    assert!((ad.statistic - laws.sample_a2).abs() < 1e-12, "{} {}", ad.statistic, laws.sample_a2);
    assert_eq!((ks.n, ad.n), (40, 40));
    assert_eq!(ad.p_value, anderson_darling_survival(40, ad.statistic));
}

#[test]
fn kolmogorov_p_values_are_exact_for_few_values_and_scipys_for_many() {
    let mut worst = [0.0f64; 3];
    for row in reference::laws().kolmogorov {
        let (n, d, p) = (row[0] as usize, row[1], row[2]);
        let error = (kolmogorov_survival(n, d) / p - 1.0).abs();
        let tail = row[0] * d * d >= 3.0;
        let (method, limit) = match (tail, n) {
            (true, ..=100_000) | (false, ..=200) => (0, 2e-8),
            (true, _) => (1, 1e-3),
            (false, _) => (2, 3e-5),
        };
        worst[method] = worst[method].max(error);
        assert!(error < limit, "n {n}, D {d}: {p:e}, relative error {error:e}");
    }
    println!("largest relative errors: exact {:e}, far tail {:e}, series {:e}", worst[0], worst[1], worst[2]);
    assert_eq!((kolmogorov_survival(10, 0.05), kolmogorov_survival(10, 1.0)), (1.0, 0.0));
    assert!(kolmogorov_survival(10, f64::NAN).is_nan() && kolmogorov_survival(0, 0.5).is_nan());
}

/// For one value the laws are elementary: `P(D ≥ d) = 2(1 − d)`; for two, `D < d` between ¼ and ½ asks for `2(2d − ½)²`.
#[test]
fn kolmogorov_of_one_and_two_values() {
    for d in [0.55, 0.7, 0.95] {
        assert!((kolmogorov_survival(1, d) - 2.0 * (1.0 - d)).abs() < 1e-14);
    }
    for d in [0.3, 0.4, 0.49] {
        assert!((kolmogorov_survival(2, d) - (1.0 - 2.0 * (2.0 * d - 0.5).powi(2))).abs() < 1e-14);
    }
}

#[test]
fn anderson_darling_limit_is_that_of_the_characteristic_function() {
    for row in reference::laws().anderson_limit {
        let ours = anderson_darling_limit_survival(row[0]);
        assert!((ours / row[1] - 1.0).abs() < 1e-9, "{}: {ours} {}", row[0], row[1]);
    }
    // Far out only the first term of the sum is left: √3 P(Z² ≥ 2x), with a relative excess of about 1/(4x).
    let leading = 3f64.sqrt() * 2.0 * gbm_sde::normal::normal_cdf(-(200f64.sqrt()));
    let ratio = anderson_darling_limit_survival(100.0) / leading;
    assert!(ratio > 1.0 && ratio < 1.01, "{ratio}");
    assert_eq!((anderson_darling_limit_survival(0.01), anderson_darling_limit_survival(f64::INFINITY)), (1.0, 0.0));
    assert!((1.0 - anderson_darling_limit_survival(0.0501)).abs() < 1e-8);
    assert!(anderson_darling_limit_survival(f64::NAN).is_nan());
}

/// The correction for few values, against millions of simulated samples.
#[test]
fn anderson_darling_of_few_values_is_that_of_simulation() {
    let mut worst = 0.0f64;
    for row in reference::laws().anderson_few {
        let error = (anderson_darling_survival(row[0] as usize, row[1]) - row[2]).abs();
        println!("n {}, A2 {}: {error:e}, noise {:e}", row[0], row[1], row[3]);
        worst = worst.max(error - 4.0 * row[3]);
    }
    assert!(worst < 2.5e-4, "{worst}");
}

/// On samples from the law p-values are uniform: 2,000 samples of 30, themselves tested.
#[test]
fn p_values_of_true_samples_are_uniform() {
    let (law, noise) = (LogNormal::new(-0.3, 1.2).unwrap(), Noise::new(31));
    let mut p_values = [Vec::new(), Vec::new()];
    let mut data = [0.0; 30];
    for index in 0..2000 {
        noise.fill_normal_f64(Stream::SAMPLER, index, 0, &mut data);
        let draws = data.map(|z| law.sample(z));
        p_values[0].push(kolmogorov_smirnov(&draws, |x| law.cdf(x)).unwrap().p_value);
        p_values[1].push(anderson_darling(&draws, |x| law.cdf(x)).unwrap().p_value);
    }
    for list in p_values {
        assert!(kolmogorov_smirnov(&list, |p| p).unwrap().p_value > 1e-3);
    }
}

#[test]
fn bad_input_is_refused() {
    type Test = fn(&[f64]) -> Result<Goodness, GoodnessError>;
    let tests: [Test; 2] = [|data| kolmogorov_smirnov(data, |x| x), |data| anderson_darling(data, |x| x)];
    for test in tests {
        assert_eq!(test(&[]), Err(GoodnessError::Empty));
        assert_eq!(test(&[0.5, f64::NAN]), Err(GoodnessError::NotANumber { index: 1 }));
        assert_eq!(test(&[0.5, 1.5]), Err(GoodnessError::Probability { x: 1.5, p: 1.5 }));
    }
    let outside = anderson_darling(&[0.0, 0.5], |x| x).unwrap();
    assert_eq!((outside.statistic, outside.p_value), (f64::INFINITY, 0.0));
}
