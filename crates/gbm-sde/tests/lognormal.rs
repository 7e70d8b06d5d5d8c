//! The log-normal law against values computed in 40 digits, and its own identities.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::lognormal::{normal_cdf, normal_quantile};
use gbm_sde::{LogNormal, LogNormalError};
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

#[test]
fn fit_recovers_exact_moments_and_refuses_bad_data() {
    let data: Vec<f64> = [-1.0f64, 0.0, 1.0, 4.0].iter().map(|y| y.exp()).collect();
    let law = LogNormal::fit(&data).unwrap();
    assert!(close(law.mu(), 1.0, 1e-14) && close(law.sigma(), 3.5f64.sqrt(), 1e-14));
    assert_eq!(LogNormal::fit(&[1.0]), Err(LogNormalError::TooFew(1)));
    assert_eq!(LogNormal::fit(&[1.0, -2.0]), Err(LogNormalError::NotPositive { index: 1, value: -2.0 }));
    assert_eq!(LogNormal::fit(&[2.0, 2.0]), Err(LogNormalError::Scale(0.0)));
    assert_eq!(LogNormal::new(0.0, -1.0), Err(LogNormalError::Scale(-1.0)));
    assert_eq!(LogNormal::new(f64::INFINITY, 1.0), Err(LogNormalError::Location(f64::INFINITY)));
}
