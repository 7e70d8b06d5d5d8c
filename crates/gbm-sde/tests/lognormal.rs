//! The log-normal law against scipy and values computed in 50 digits, and its own identities.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

mod reference;

use gbm_sde::lognormal::{normal_cdf, normal_ln_cdf, normal_pdf, normal_quantile};
use gbm_sde::{LogNormal, LogNormalError, Noise, Stream};
use proptest::prelude::*;

fn close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * b.abs()
}

#[test]
fn density_and_tails_agree_with_forty_digit_values() {
    let law = LogNormal::new(0.3, 0.8).unwrap();
    // x, pdf, cdf, survival
    let table = [
        (1e-6, 1.243_305_937_364_968_6e-62, 5.619_238_026_856_277e-70, 1.0),
        (0.05, 0.002_058_281_282_855_396_6, 1.897_115_378_215_468_4e-5, 0.999_981_028_846_217_8),
        (1.0, 0.464_818_867_337_211_1, 0.353_830_233_327_276_2, 0.646_169_766_672_723_8),
        (2.5, 0.148_255_875_541_991_64, 0.779_457_825_511_636_4, 0.220_542_174_488_363_6),
        (40.0, 1.581_806_277_213_98e-6, 0.999_988_628_189_502, 1.137_181_049_796_477_8e-5),
        (1e4, 5.754_003_021_986_176e-32, 1.0, 4.100_367_611_492_581e-29),
    ];
    for (x, pdf, cdf, survival) in table {
        assert!(close(law.pdf(x), pdf, 1e-13), "pdf {x}: {} {pdf}", law.pdf(x));
        assert!(close(law.ln_pdf(x), f64::ln(pdf), 1e-14));
        assert!(close(law.cdf(x), cdf, 2e-13), "cdf {x}: {} {cdf}", law.cdf(x));
        assert!(close(law.survival(x), survival, 2e-13), "survival {x}");
    }
    assert_eq!((law.pdf(0.0), law.cdf(-1.0), law.survival(0.0)), (0.0, 0.0, 1.0));
}

#[test]
fn quantile_agrees_with_forty_digit_values() {
    let table = [
        (1e-300, -37.047_096_299_361_2),
        (1e-20, -9.262_340_089_798_408),
        (1e-5, -4.264_890_793_922_825),
        (0.02425, -1.972_961_051_311_884_8),
        (0.3, -0.524_400_512_708_040_8),
        (0.5, 0.0),
        (0.9, 1.281_551_565_544_600_6),
        (0.999, 3.090_232_306_167_813),
    ];
    for (p, z) in table {
        assert!((normal_quantile(p) - z).abs() <= 1e-15 * z.abs().max(1.0), "{p}: {} {z}", normal_quantile(p));
    }
    assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
    assert_eq!(normal_quantile(1.0), f64::INFINITY);
    assert!(normal_quantile(-0.1).is_nan() && normal_quantile(1.1).is_nan() && normal_quantile(f64::NAN).is_nan());
}

proptest! {
    #[test]
    fn quantile_inverts_the_distribution(z in -37.0..8.0f64) {
        let p = normal_cdf(z);
        // Near 1 the probability itself holds fewer digits of z.
        let limit = 1e-14 * z.abs().max(1.0) + 1e-16 / (-0.5 * z * z).exp() * f64::from(z > 0.0) * 3.0;
        prop_assert!((normal_quantile(p) - z).abs() <= limit);
    }

    #[test]
    fn scores_are_derivatives(mu in -2.0..2.0f64, sigma in 0.1..2.0f64, z in -3.0..3.0f64) {
        let law = LogNormal::new(mu, sigma).unwrap();
        let x = law.sample(z);
        let h = 1e-5 * x;
        let numeric = (law.ln_pdf(x + h) - law.ln_pdf(x - h)) / (2.0 * h);
        prop_assert!((law.stein_score(x) * x - numeric * x).abs() < 1e-6 * (1.0 + 1.0 / (sigma * sigma)));
        prop_assert!((law.hyvarinen_score(x) - x * law.stein_score(x)).abs() < 1e-12 * (1.0 + law.hyvarinen_score(x).abs()));
    }
}

#[test]
fn moments_median_and_mode() {
    let law = LogNormal::new(0.3, 0.8).unwrap();
    // Substituting x = e^y: ∫ xᵏ p dx over y on a fine grid (the trapezoidal rule converges geometrically here).
    let h = 0.01;
    let moment = |k: i32| {
        (-1200..=1200).map(|i| (0.3 + f64::from(i) * h).exp()).map(|x| x.powi(k + 1) * law.pdf(x)).sum::<f64>() * h
    };
    assert!(close(moment(0), 1.0, 1e-12));
    assert!(close(moment(1), law.mean(), 1e-12));
    assert!(close(moment(2) - moment(1).powi(2), law.variance(), 1e-11));
    assert!((law.cdf(law.median()) - 0.5).abs() < 1e-15);
    assert!(close(law.quantile(0.5), law.median(), 1e-15));
    let mode = law.mode();
    assert!(law.stein_score(mode).abs() < 1e-14);
    assert!(law.pdf(mode) > law.pdf(mode * 1.001) && law.pdf(mode) > law.pdf(mode * 0.999));
}

/// Densities, probabilities, their logarithms, quantiles and moments at four laws and 17 points each, from 36 standard deviations
/// below (where probabilities are 1e-291; logarithms from 1,000 below) to as many above: within 1e-12 relative of 50 digits, and of
/// scipy wherever scipy is.
#[test]
fn agrees_with_scipy_and_with_fifty_digits_in_both_tails() {
    let laws = reference::laws();
    let (mut checked, mut unsound) = (0, 0);
    let mut compare = |what: &str, row: &[f64], ours: &[f64], truth: &[f64], scipy: &[f64]| {
        for ((&ours, &truth), &scipy) in ours.iter().zip(truth).zip(scipy) {
            // Probabilities below the smallest normal double hold fewer digits.
            assert!(
                close(ours, truth, 1e-12) || truth.abs() < 1e-305 && ours.abs() < 1e-305,
                "{what} {row:?}: {ours:e} {truth:e}"
            );
            checked += 1;
            if scipy.is_nan() {
                unsound += 1;
            } else {
                assert!(close(ours, scipy, 2e-12), "{what} {row:?}: {ours:e} scipy {scipy:e}");
            }
        }
    };
    for row in &laws.points {
        let (law, x) = (LogNormal::new(row[0], row[1]).unwrap(), row[2]);
        let ours = [law.pdf(x), law.cdf(x), law.survival(x), law.ln_pdf(x), law.ln_cdf(x), law.ln_survival(x)];
        compare("point", row, &ours, &row[3..9], &row[9..]);
    }
    for row in &laws.quantiles {
        let law = LogNormal::new(row[0], row[1]).unwrap();
        compare("quantile", row, &[law.quantile(row[2]), law.inverse_survival(row[2])], &row[3..5], &row[5..]);
    }
    for row in &laws.moments {
        let law = LogNormal::new(row[0], row[1]).unwrap();
        let ours = [law.mean(), law.variance(), law.skewness(), law.excess_kurtosis(), law.entropy()];
        compare("moment", row, &ours, &row[2..7], &row[7..]);
    }
    assert_eq!((checked, unsound), (laws.scipy_values, laws.scipy_unsound));
}

#[test]
fn ends_of_the_range() {
    let law = LogNormal::new(0.3, 0.8).unwrap();
    assert_eq!((law.ln_pdf(0.0), law.ln_cdf(0.0), law.ln_survival(0.0)), (f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0));
    assert_eq!(
        (law.ln_cdf(-2.0), law.ln_survival(-2.0), law.survival(-2.0), law.pdf(-2.0)),
        (f64::NEG_INFINITY, 0.0, 1.0, 0.0)
    );
    assert_eq!((law.quantile(0.0), law.quantile(1.0)), (0.0, f64::INFINITY));
    assert_eq!((law.inverse_survival(0.0), law.inverse_survival(1.0)), (f64::INFINITY, 0.0));
    assert!(law.ln_pdf(f64::NAN).is_nan() && law.cdf(f64::NAN).is_nan() && law.ln_cdf(f64::NAN).is_nan());
    // The series takes over at −20 without a step.
    let (left, right) = (normal_ln_cdf(-20.000_000_1), normal_ln_cdf(-19.999_999_9));
    assert!((right - left - 2e-7 * 20.05).abs() < 1e-9, "{}", right - left);
}

#[test]
fn raw_moments_of_any_order_and_divergence_by_quadrature() {
    let (p, q) = (LogNormal::new(0.3, 0.8).unwrap(), LogNormal::new(-0.2, 1.1).unwrap());
    let h = 0.01;
    let expectation = |f: &dyn Fn(f64) -> f64| {
        (-1500..=1500).map(|i| (0.3 + f64::from(i) * h).exp()).map(|x| f(x) * x * p.pdf(x)).sum::<f64>() * h
    };
    for k in [-2.5, -1.0, 0.5, 1.7, 4.0] {
        assert!(close(p.raw_moment(k), expectation(&|x| x.powf(k)), 1e-11), "{k}");
    }
    let divergence = expectation(&|x| p.ln_pdf(x) - q.ln_pdf(x));
    assert!(close(p.kl_divergence(&q), divergence, 1e-12), "{} {divergence}", p.kl_divergence(&q));
    assert_eq!(p.kl_divergence(&p), 0.0);
}

#[test]
fn both_fits_recover_what_they_match() {
    let data: Vec<f64> = [-1.0f64, 0.0, 1.0, 4.0].iter().map(|y| y.exp()).collect();
    let fit = LogNormal::fit(&data).unwrap();
    assert!(close(fit.law.mu(), 1.0, 1e-14) && close(fit.law.sigma(), 3.5f64.sqrt(), 1e-14) && fit.n == 4);
    assert!(close(fit.mu_error, (3.5f64 / 4.0).sqrt(), 1e-14) && close(fit.sigma_error, (3.5f64 / 8.0).sqrt(), 1e-14));
    let data = [0.7, 1.9, 0.4, 3.1, 1.2];
    for unit in [1.0, 1e200, 1e-200] {
        let fit = LogNormal::fit_moments(&data.map(|x| x * unit)).unwrap();
        let (mean, variance) =
            (1.46, (0.7f64 - 1.46).powi(2) + 0.44f64.powi(2) + 1.06f64.powi(2) + 1.64f64.powi(2) + 0.26f64.powi(2));
        let scaled = LogNormal::new(fit.law.mu() - f64::ln(unit), fit.law.sigma()).unwrap();
        assert!(close(scaled.mean(), mean, 1e-12) && close(scaled.variance(), variance / 5.0, 1e-12), "{unit}");
        assert_eq!(fit.n, 5);
    }
}

/// The stated standard errors are the spread of the estimates over repeated samples, and the estimates are centred: 4,000 samples of
/// 500 values, so that the spread is known to 1.1% (one standard deviation; the moment estimator has heavier tails).
#[test]
fn standard_errors_are_the_spread_of_the_estimates() {
    let law = LogNormal::new(0.4, 0.5).unwrap();
    let noise = Noise::new(2024);
    let mut data = vec![0.0; 500];
    let mut estimates = [const { Vec::new() }; 4];
    for index in 0..4000 {
        noise.fill_normal_f64(Stream::SAMPLER, index, 0, &mut data);
        data.iter_mut().for_each(|x| *x = law.sample(*x));
        let (likelihood, moments) = (LogNormal::fit(&data).unwrap().law, LogNormal::fit_moments(&data).unwrap().law);
        for (list, value) in
            estimates.iter_mut().zip([likelihood.mu(), likelihood.sigma(), moments.mu(), moments.sigma()])
        {
            list.push(value);
        }
    }
    let n = 500f64;
    let (e, e4) = (0.25f64.exp(), 1f64.exp());
    // From the covariance of the sample means of x and x², not from the collected polynomial in w.
    let moment_mu = (4.0 * (e - 1.0) - 2.0 * (e * e - 1.0) + 0.25 * (e4 - 1.0)) / n;
    let moment_s2 = (4.0 * (e - 1.0) - 4.0 * (e * e - 1.0) + (e4 - 1.0)) / n;
    let expected = [0.5 / n.sqrt(), 0.5 / (2.0 * n).sqrt(), moment_mu.sqrt(), moment_s2.sqrt() / (2.0 * 0.5)];
    let tolerance = [0.05, 0.05, 0.08, 0.12];
    for (i, (list, truth)) in estimates.iter().zip([0.4, 0.5, 0.4, 0.5]).enumerate() {
        let mean = list.iter().sum::<f64>() / 4000.0;
        let spread = (list.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4000.0).sqrt();
        assert!((spread / expected[i] - 1.0).abs() < tolerance[i], "{i}: {spread} {}", expected[i]);
        assert!((mean - truth).abs() < 0.3 * expected[i], "{i}: {mean}");
    }
    // Two values with exactly the mean and variance of the law.
    let (mean, sd) = (law.mean(), law.variance().sqrt());
    let fit = LogNormal::fit_moments(&[mean - sd, mean + sd]).unwrap();
    assert!(close(fit.mu_error, (moment_mu * n / 2.0).sqrt(), 1e-12));
    assert!(close(fit.sigma_error, (moment_s2 * n / 2.0).sqrt(), 1e-11));
    // At another volatility, where 2σ is not 1: small against the law's own, the error of σ̂ tends to that of a normal's.
    let narrow = LogNormal::new(-1.0, 1e-3).unwrap();
    let (mean, sd) = (narrow.mean(), narrow.variance().sqrt());
    let fit = LogNormal::fit_moments(&[mean - sd, mean + sd]).unwrap();
    assert!(close(fit.sigma_error, 1e-3 / 4f64.sqrt(), 1e-5), "{}", fit.sigma_error);
}

#[test]
fn fits_refuse_bad_data() {
    for fit in [LogNormal::fit, LogNormal::fit_moments] {
        assert_eq!(fit(&[1.0]), Err(LogNormalError::TooFew(1)));
        assert!(fit(&[1.0, 2.0]).is_ok());
        assert_eq!(fit(&[1.0, -2.0]), Err(LogNormalError::NotPositive { index: 1, value: -2.0 }));
        assert_eq!(fit(&[0.0, 2.0]), Err(LogNormalError::NotPositive { index: 0, value: 0.0 }));
        assert!(fit(&[f64::INFINITY, 2.0]).is_err() && fit(&[f64::NAN, 2.0]).is_err());
        assert_eq!(fit(&[2.0, 2.0]), Err(LogNormalError::Scale(0.0)));
    }
    assert_eq!(LogNormal::new(0.0, -1.0), Err(LogNormalError::Scale(-1.0)));
    assert_eq!(LogNormal::new(0.0, f64::INFINITY), Err(LogNormalError::Scale(f64::INFINITY)));
    assert_eq!(LogNormal::new(f64::INFINITY, 1.0), Err(LogNormalError::Location(f64::INFINITY)));
}

/// The standard normal density by its defining properties, and which way a draw goes.
#[test]
fn the_normal_density_is_the_slope_of_its_distribution() {
    assert!(close(normal_pdf(0.0), 1.0 / std::f64::consts::TAU.sqrt(), 1e-15));
    for z in [-3.0, -0.7, 0.2, 1.9] {
        let slope = (normal_cdf(z + 1e-4) - normal_cdf(z - 1e-4)) / 2e-4;
        assert!(close(normal_pdf(z), slope, 1e-7), "{z}: {} {slope}", normal_pdf(z));
    }
    let law = LogNormal::new(0.3, 0.8).unwrap();
    for p in [0.01, 0.4, 0.999] {
        assert!(close(law.sample(normal_quantile(p)), law.quantile(p), 1e-14));
    }
}
