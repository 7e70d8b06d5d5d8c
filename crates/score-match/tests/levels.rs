//! Custom time weights, importance sampling of noise levels and low-discrepancy sequences.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use proptest::prelude::*;
use score_match::{
    ImportanceOptions, ImportanceSampling, PowerWeight, ScoreError, Sequence, TimeSampling, TimeWeight, WeightTable,
    WeightedLevel,
};

fn table(r: &[f64], lambda: &[f64]) -> TimeWeight {
    TimeWeight::Table(WeightTable { r: r.to_vec(), lambda: lambda.to_vec() })
}

proptest! {
    #[test]
    fn powers_contain_the_named_weights(ln_v in -6.0..4.0f64, sigma_d in 0.1..2.0f64) {
        let v = ln_v.exp();
        let power = |v, total, scale| TimeWeight::Power(PowerWeight { v, total, scale });
        for (custom, named) in [
            (power(2.0, 0.0, 1.0), TimeWeight::Paper),
            (power(1.0, 0.0, 1.0), TimeWeight::Noise),
            (power(1.0, 1.0, sigma_d.powi(-2)), TimeWeight::Edm),
            (power(0.0, 0.0, 1.0), TimeWeight::Likelihood),
        ] {
            prop_assert!((custom.lambda(v, sigma_d) / named.lambda(v, sigma_d) - 1.0).abs() < 1e-12);
            prop_assert!((custom.denoiser_factor(v, sigma_d) / named.denoiser_factor(v, sigma_d) - 1.0).abs() < 1e-12);
        }
    }

    /// Between knots a table is a power of r, so a power law is reproduced everywhere.
    #[test]
    fn tables_follow_power_laws(exponent in -3.0..3.0f64, r in 0.02..2.0f64) {
        let knots = [0.02, 0.3, 0.5, 2.0];
        let weight = table(&knots, &knots.map(|r| 3.0 * r.powf(exponent)));
        let expected = 3.0 * r.powf(exponent);
        prop_assert!((weight.lambda(r * r, 0.2) / expected - 1.0).abs() < 1e-12);
    }
}

#[test]
fn tables_pass_through_their_knots_and_stay_level_beyond() {
    let weight = table(&[0.1, 0.4, 1.6], &[2.0, 8.0, 0.5]);
    for (r, lambda) in [(0.1, 2.0), (0.4, 8.0), (1.6, 0.5), (0.01, 2.0), (30.0, 0.5), (0.2, 4.0), (0.8, 2.0)] {
        let found = weight.lambda(f64::powi(r, 2), 0.2);
        assert!((found - lambda).abs() < 1e-13, "{r}: {found} {lambda}");
    }
    assert_eq!(table(&[0.5], &[3.0]).lambda(0.01, 1.0), 3.0);
    assert_eq!(table(&[0.5], &[3.0]).lambda(4.0, 1.0), 3.0);
    // Unchecked tables give something or NaN, never a panic.
    assert!(table(&[], &[]).lambda(1.0, 1.0).is_nan());
    for v in [0.01, 2.25, 100.0] {
        assert_eq!(table(&[1.0, 2.0, 3.0], &[7.0]).lambda(v, 1.0), 7.0);
        assert!(table(&[1.0], &[7.0, 8.0]).lambda(v, 1.0) >= 7.0);
    }
}

#[test]
fn bad_weights_are_named() {
    for weight in [TimeWeight::Paper, TimeWeight::Noise, TimeWeight::Edm, TimeWeight::Likelihood] {
        weight.check().unwrap();
    }
    let refuse = |weight: TimeWeight| weight.check().unwrap_err();
    let power = |v, total, scale| TimeWeight::Power(PowerWeight { v, total, scale });
    assert_eq!(refuse(power(f64::INFINITY, 0.0, 1.0)), ScoreError::NotFinite { name: "v", value: f64::INFINITY });
    assert!(matches!(refuse(power(1.0, f64::NAN, 1.0)), ScoreError::NotFinite { name: "total", .. }));
    assert_eq!(refuse(power(1.0, 0.0, 0.0)), ScoreError::NotPositive { name: "scale", value: 0.0 });
    assert!(matches!(refuse(table(&[], &[])), ScoreError::TooFew { value: 0, .. }));
    assert!(matches!(refuse(table(&[1.0, 2.0], &[1.0])), ScoreError::Shape { name: "lambda", .. }));
    assert_eq!(refuse(table(&[0.0, 2.0], &[1.0, 1.0])), ScoreError::NotPositive { name: "r", value: 0.0 });
    assert_eq!(refuse(table(&[1.0, 2.0], &[1.0, -3.0])), ScoreError::NotPositive { name: "lambda", value: -3.0 });
    let order = refuse(table(&[1.0, 2.0, 2.0], &[1.0; 3]));
    assert!(matches!(order, ScoreError::Order { low_value: 2.0, high_value: 2.0, .. }), "{order}");
    table(&[0.5], &[3.0]).check().unwrap();
}

#[test]
fn custom_weights_in_toml() {
    #[derive(serde::Deserialize, serde::Serialize)]
    struct File {
        weight: TimeWeight,
    }
    let parse = |text: &str| toml::from_str::<File>(text).map(|file| file.weight);
    assert_eq!(parse("weight = 'likelihood'").unwrap(), TimeWeight::Likelihood);
    let power = parse("weight = { power = { v = 1.5 } }").unwrap();
    assert_eq!(power, TimeWeight::Power(PowerWeight { v: 1.5, total: 0.0, scale: 1.0 }));
    assert!(parse("weight = { power = { v = 1.5, w = 2.0 } }").is_err());
    assert!(parse("weight = { table = { r = [0.1], lambda = [1.0], extra = 1 } }").is_err());
    let knots = table(&[0.1, 1.0], &[1.0, 3.0]);
    for weight in [TimeWeight::Edm, power, knots] {
        let text = toml::to_string(&File { weight: weight.clone() }).unwrap();
        assert_eq!(parse(&text).unwrap(), weight);
    }
}

const BASES: [TimeSampling; 4] = [
    TimeSampling::LogNormal { mean: -1.0, sd: 1.2, r_min: 0.004, r_max: 5.0 },
    TimeSampling::LogUniform { r_min: 0.01, r_max: 4.0 },
    TimeSampling::Uniform { r_min: 0.01, r_max: 4.0 },
    TimeSampling::Published { sigma: 0.8, steps: 1000 },
];

fn batch(sampling: &ImportanceSampling, size: usize) -> Vec<WeightedLevel> {
    let mut levels = vec![WeightedLevel::default(); size];
    sampling.stratified(0.5, &mut levels);
    levels
}

/// The mean of a loss over the base law, and the corrected mean over the importance law: one number, for any proposal.
#[test]
fn corrected_losses_are_unbiased() {
    let loss = |v: f64| 0.2 + v / (v + 0.1) + (3.0 * v.sqrt()).sin();
    let n = 200_000;
    for base in BASES {
        let mut plain = vec![0.0; n];
        base.stratified(0.5, &mut plain);
        let expected = plain.iter().map(|&v| loss(v)).sum::<f64>() / n as f64;
        for weight in [TimeWeight::Noise, TimeWeight::Edm, table(&[0.05, 0.5, 2.0], &[1.0, 20.0, 3.0])] {
            for options in [ImportanceOptions::default(), ImportanceOptions { cells: 7, defensive: 0.3 }] {
                let sampling = ImportanceSampling::new(base, &weight, 0.3, options).unwrap();
                let levels = batch(&sampling, n);
                let found = levels.iter().map(|l| l.correction * loss(l.v)).sum::<f64>() / n as f64;
                assert!((found - expected).abs() < 2e-4, "{base:?} {weight:?}: {found} {expected}");
                let ones = levels.iter().map(|l| l.correction).sum::<f64>() / n as f64;
                assert!((ones - 1.0).abs() < 2e-4, "{ones}");
                let bound = 1.0 / options.defensive;
                assert!(levels.iter().all(|l| l.correction > 0.0 && l.correction <= bound));
                assert!(levels.windows(2).all(|w| w[0].v <= w[1].v));
            }
        }
    }
}

/// Without a defensive share the density is proportional to the weight: the law of v is the base law's, reweighted.
#[test]
fn densities_are_proportional_to_the_weight() {
    let base = TimeSampling::Uniform { r_min: 1e-6, r_max: 2.0 };
    let options = ImportanceOptions { cells: 4000, defensive: 1e-9 };
    // Uniform in v on (0, 4) times v has the distribution function v²/16; times v², v³/64.
    for (weight, power) in [(TimeWeight::Noise, 2), (TimeWeight::Paper, 3)] {
        let sampling = ImportanceSampling::new(base, &weight, 0.3, options).unwrap();
        assert_eq!(sampling.base(), &base);
        for u in [0.1f64, 0.35, 0.5, 0.8, 0.97] {
            let level = sampling.quantile(u);
            let exact = 4.0 * u.powf(1.0 / f64::from(power));
            assert!((level.v - exact).abs() < 1e-5, "{u}: {} {exact}", level.v);
            // p/q = (1/4)/(c v^(power−1)) with c = power/4^power
            let correction = 0.25 / (f64::from(power) * level.v.powi(power - 1) / 4f64.powi(power));
            assert!((level.correction / correction - 1.0).abs() < 1e-3, "{} {correction}", level.correction);
        }
    }
    // With half from the base law, half the mass stays where it was.
    let half = ImportanceOptions { cells: 4000, defensive: 0.5 };
    let sampling = ImportanceSampling::new(base, &TimeWeight::Noise, 0.3, half).unwrap();
    for v in [0.5f64, 2.0, 3.5] {
        let mixed = 0.5 * v / 4.0 + 0.5 * v * v / 16.0;
        assert!((sampling.quantile(mixed).v - v).abs() < 1e-5);
    }
}

#[test]
fn importance_sampling_by_the_loss_removes_its_variance() {
    let base = BASES[1];
    let losses = table(&[0.01, 0.3, 4.0], &[0.01, 1.0, 5.0]);
    let options = ImportanceOptions { cells: 2000, defensive: 1e-6 };
    let sampling = ImportanceSampling::new(base, &losses, 0.3, options).unwrap();
    let values: Vec<f64> = batch(&sampling, 10_000).iter().map(|l| l.correction * losses.lambda(l.v, 0.3)).collect();
    let (low, high) = values.iter().fold((f64::INFINITY, 0.0f64), |(a, b), &x| (a.min(x), b.max(x)));
    assert!(high / low < 1.01, "{low} {high}");
}

#[test]
fn bad_importance_is_refused() {
    let new = |base, weight: TimeWeight, sigma_d, cells, defensive| {
        ImportanceSampling::new(base, &weight, sigma_d, ImportanceOptions { cells, defensive }).unwrap_err()
    };
    let bad = TimeSampling::LogUniform { r_min: 2.0, r_max: 1.0 };
    assert!(matches!(new(bad, TimeWeight::Edm, 0.3, 8, 0.1), ScoreError::Order { low: "r_min", .. }));
    assert!(matches!(new(BASES[0], table(&[], &[]), 0.3, 8, 0.1), ScoreError::TooFew { .. }));
    assert!(matches!(new(BASES[0], TimeWeight::Edm, 0.0, 8, 0.1), ScoreError::NotPositive { name: "sigma_d", .. }));
    assert!(matches!(new(BASES[0], TimeWeight::Edm, 0.3, 0, 0.1), ScoreError::TooFew { name: "cells", .. }));
    assert!(matches!(new(BASES[0], TimeWeight::Edm, 0.3, 8, 0.0), ScoreError::NotPositive { name: "defensive", .. }));
    assert!(matches!(new(BASES[0], TimeWeight::Edm, 0.3, 8, 1.1), ScoreError::Order { low: "defensive", .. }));
    let huge = TimeWeight::Power(PowerWeight { v: -400.0, total: 0.0, scale: 1.0 });
    assert!(matches!(new(BASES[0], huge, 0.3, 8, 0.1), ScoreError::NotPositive { .. }));
    let all = ImportanceOptions { cells: 8, defensive: 1.0 };
    let sampling = ImportanceSampling::new(BASES[1], &TimeWeight::Edm, 0.3, all).unwrap();
    assert!((sampling.quantile(0.4).v / BASES[1].quantile(0.4) - 1.0).abs() < 1e-12);
    assert!((sampling.quantile(0.4).correction - 1.0).abs() < 1e-15);
    sampling.stratified(0.5, &mut []);
}

#[test]
fn sequences_are_the_published_ones() {
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} {b}");
    for (step, expected) in [(0, 0.0), (1, 0.5), (2, 0.25), (3, 0.75), (4, 0.125), (5, 0.625), (6, 0.375), (7, 0.875)] {
        near(Sequence::VanDerCorput.uniform(step, 0.0), expected);
    }
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    for step in 0..100u64 {
        // The product on the right is rounded, at up to 62.
        let near = |a: f64, b: f64| assert!((a - b).abs() < 2e-14, "{a} {b}");
        near(Sequence::GoldenRatio.uniform(step, 0.0), (step as f64 * golden).fract());
        near(Sequence::GoldenRatio.uniform(step, 0.3), (step as f64 * golden + 0.3).fract());
    }
    assert_eq!(Sequence::default(), Sequence::GoldenRatio);
    // The rotation is by a fraction of a turn, whatever its sign; one that is no number rotates by nothing.
    near(Sequence::VanDerCorput.uniform(1, 0.75), 0.25);
    near(Sequence::VanDerCorput.uniform(1, -0.25), 0.25);
    near(Sequence::VanDerCorput.uniform(1, 7.125), 0.625);
    for shift in [f64::NAN, f64::INFINITY] {
        near(Sequence::VanDerCorput.uniform(1, shift), 0.5);
    }
    // Late steps are as exact as early ones: neighbours differ by the golden ratio, modulo 1.
    for step in [1u64 << 40, 1 << 62, u64::MAX - 1] {
        let (a, b) = (Sequence::GoldenRatio.uniform(step, 0.1), Sequence::GoldenRatio.uniform(step + 1, 0.1));
        near((b - a).rem_euclid(1.0), golden);
    }
    for step in 0..1000 {
        let u = Sequence::GoldenRatio.uniform(step, 0.999_999_999);
        assert!(u > 0.0 && u < 1.0);
    }
}

/// The star discrepancy of the first n points against the bounds of the two sequences, far below that of random points.
#[test]
fn prefixes_are_even() {
    let discrepancy = |points: &mut Vec<f64>| {
        points.sort_by(f64::total_cmp);
        let n = points.len() as f64;
        let gap = |(i, &u): (usize, &f64)| (u - i as f64 / n).abs().max(((i + 1) as f64 / n - u).abs());
        points.iter().enumerate().map(gap).fold(0.0, f64::max)
    };
    for sequence in [Sequence::GoldenRatio, Sequence::VanDerCorput] {
        for shift in [0.0, 0.37] {
            for n in [50u64, 333, 1000, 5000] {
                let found = discrepancy(&mut (0..n).map(|k| sequence.uniform(k, shift)).collect());
                // Béjian and Faure (1977) for van der Corput: (ln n/(3 ln 2) + 1)/n. A rotation at most doubles it.
                let bound = 2.0 * ((n as f64).ln() / 8f64.ln() + 1.0) / n as f64;
                assert!(found < bound, "{sequence:?} {shift} {n}: {found} {bound}");
            }
        }
    }
}

/// 2ᵏ van der Corput batches of B levels are one stratified batch of 2ᵏ B levels.
#[test]
fn batches_interleave() {
    let base = BASES[1];
    let (batches, size) = (16, 8);
    let mut all = vec![];
    let mut levels = vec![0.0; size];
    for step in 0..batches {
        base.stratified(Sequence::VanDerCorput.uniform(step, 0.5 / 16.0), &mut levels);
        all.extend_from_slice(&levels);
    }
    all.sort_by(f64::total_cmp);
    let mut together = vec![0.0; batches as usize * size];
    base.stratified(0.5, &mut together);
    for (a, b) in all.iter().zip(&together) {
        assert!((a / b - 1.0).abs() < 1e-12);
    }
}
