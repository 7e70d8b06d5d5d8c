//! Addressed noise: the stream is pinned, forms agree, and the draws have the law they claim.

use std::collections::HashSet;

use gbm_sde::lognormal::normal_cdf;
use gbm_sde::{Noise, Stream};

/// Computed by an independent implementation (ten lines of Python with its own `log`, `cos` and `sin`). A change here is a
/// change of every published result: make it deliberately and log it.
#[test]
fn stream_is_pinned() {
    let table = [
        (
            0,
            Stream::PRIOR,
            0,
            0,
            0,
            [0.568_291_868_990_880_4, 0.527_199_166_981_004_2],
            [-1.047_640_528_330_607_8, -0.180_802_655_296_144_62],
        ),
        (
            42,
            Stream::SAMPLER,
            (5 << 32) + 7,
            999,
            6,
            [0.105_769_866_081_974_47, 0.441_497_048_023_151_4],
            [-1.978_066_965_517_578_4, 0.761_728_507_713_696_8],
        ),
        (
            0xdead_beef_cafe_f00d,
            Stream::DROPOUT,
            1,
            2,
            200,
            [0.370_864_235_455_963_6, 0.854_178_035_052_837_5],
            [0.857_512_984_058_366_3, -1.117_367_411_911_362_6],
        ),
    ];
    for (seed, stream, index, step, element, uniforms, normals) in table {
        let noise = Noise::new(seed);
        for lane in 0..2 {
            assert_eq!(noise.uniform(stream, index, step, element + lane), uniforms[lane]);
            assert!((noise.normal(stream, index, step, element + lane) - normals[lane]).abs() < 1e-15);
        }
    }
    assert_eq!(Noise::new(7).permutation(Stream::ORDER, 3, 10), [9, 0, 6, 8, 2, 4, 1, 3, 5, 7]);
}

/// The bits themselves, which must not depend on platform or compiler.
#[test]
fn bits_are_pinned() {
    let mut row = [0.0; 999];
    Noise::new(1).fill_normal_f64(Stream::SAMPLER, 2, 3, &mut row);
    let digest =
        row.iter().fold(0u64, |hash, z| (hash ^ z.to_bits()).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(17));
    assert_eq!(digest, PINNED_DIGEST);
    // Ten million of each, so that every branch of the logarithm and of the circle is among them.
    let digest = |values: &[f64]| {
        values.iter().fold(0u64, |hash, z| (hash ^ z.to_bits()).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(17))
    };
    let mut row = vec![0.0; 10_000_000];
    Noise::new(1).fill_uniform_f64(Stream::PERTURB, 1, 2, &mut row);
    assert_eq!(digest(&row), 0xb4f2_dfe1_a501_4d7b);
    Noise::new(1).rows_normal_f64(Stream::PERTURB, 1, 2, &mut row, 10_000_000);
    assert_eq!(digest(&row), 0x2c98_0e2c_5810_b5ab);
}

const PINNED_DIGEST: u64 = 12_150_810_752_170_389_022;

#[test]
fn scalar_slice_and_threaded_forms_agree_to_the_bit() {
    let noise = Noise::new(99);
    for length in (0..140).chain([785]) {
        let mut wide = vec![0.0; length];
        let mut narrow = vec![0.0f32; length];
        let mut uniform = vec![0.0; length];
        noise.fill_normal_f64(Stream::PERTURB, 4, 5, &mut wide);
        noise.fill_normal(Stream::PERTURB, 4, 5, &mut narrow);
        noise.fill_uniform_f64(Stream::PERTURB, 4, 5, &mut uniform);
        for element in 0..length {
            assert_eq!(wide[element], noise.normal(Stream::PERTURB, 4, 5, element));
            assert_eq!(narrow[element], wide[element] as f32);
            assert_eq!(uniform[element], noise.uniform(Stream::PERTURB, 4, 5, element));
        }
    }
    for (rows, columns) in [(7, 785), (5000, 2), (3, 1), (1, 10_000), (2, 20_001)] {
        let mut all = vec![0.0f32; rows * columns];
        let mut wide = vec![0.0f64; rows * columns];
        noise.rows_normal(Stream::PRIOR, 11, 1, &mut all, columns);
        noise.rows_normal_f64(Stream::PRIOR, 11, 1, &mut wide, columns);
        for row in 0..rows {
            let mut one = vec![0.0f32; columns];
            noise.fill_normal(Stream::PRIOR, 11 + row as u64, 1, &mut one);
            assert_eq!(all[row * columns..(row + 1) * columns], one);
            assert_eq!(wide[row * columns] as f32, one[0]);
        }
    }
    noise.rows_normal(Stream::PRIOR, 0, 0, &mut [], 0);
}

#[test]
fn every_part_of_the_address_matters() {
    let base = Noise::new(1).uniform(Stream(1), 0, 0, 0);
    let others = [
        Noise::new(2).uniform(Stream(1), 0, 0, 0),
        Noise::new(1 << 32).uniform(Stream(1), 0, 0, 0),
        Noise::new(1).uniform(Stream(2), 0, 0, 0),
        Noise::new(1).uniform(Stream(1), 1, 0, 0),
        Noise::new(1).uniform(Stream(1), 1 << 32, 0, 0),
        Noise::new(1).uniform(Stream(1), 0, 1, 0),
        Noise::new(1).uniform(Stream(1), 0, 0, 1),
        Noise::new(1).uniform(Stream(1), 0, 0, 2),
    ];
    let distinct: HashSet<u64> = others.iter().chain([&base]).map(|u| u.to_bits()).collect();
    assert_eq!(distinct.len(), others.len() + 1);
}

#[test]
fn named_streams_are_distinct() {
    let all = [
        Stream::PRIOR,
        Stream::SAMPLER,
        Stream::PERTURB,
        Stream::TIME,
        Stream::ORDER,
        Stream::INIT,
        Stream::BOOTSTRAP,
        Stream::GLYPHS,
        Stream::DROPOUT,
    ];
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
}

/// 10⁶ draws over 1000 indices. Each bound is exceeded by chance about once in 10⁴ seeds (3.9 standard errors).
#[test]
fn normals_have_the_moments_and_distribution_of_a_normal() {
    let n = 1_000_000usize;
    let mut z = vec![0.0; n];
    Noise::new(20).rows_normal_f64(Stream::SAMPLER, 0, 0, &mut z, 1000);
    let moment = |k: i32| z.iter().map(|z| z.powi(k)).sum::<f64>() / n as f64;
    let error = |variance: f64| 3.9 * (variance / n as f64).sqrt();
    // Var[zᵏ] = E[z²ᵏ] − E[zᵏ]² with E[z²ᵏ] = (2k − 1)!!
    assert!(moment(1).abs() < error(1.0));
    assert!((moment(2) - 1.0).abs() < error(2.0));
    assert!(moment(3).abs() < error(15.0));
    assert!((moment(4) - 3.0).abs() < error(96.0));
    assert!((moment(6) - 15.0).abs() < error(10_170.0));
    // Neighbours within a pair, between pairs and between indices are uncorrelated.
    for lag in [1, 2, 1000] {
        let correlation = z.iter().zip(&z[lag..]).map(|(a, b)| a * b).sum::<f64>() / (n - lag) as f64;
        assert!(correlation.abs() < error(1.0), "lag {lag}");
        let squares =
            z.iter().zip(&z[lag..]).map(|(a, b)| (a * a - 1.0) * (b * b - 1.0)).sum::<f64>() / (n - lag) as f64;
        assert!(squares.abs() < error(4.0), "squares, lag {lag}");
    }
    assert!(kolmogorov(z, normal_cdf) < 2.2);
}

#[test]
fn uniforms_are_uniform() {
    let mut u = vec![0.0; 1_000_000];
    Noise::new(21).fill_uniform_f64(Stream::TIME, 0, 0, &mut u);
    assert!(u.iter().all(|&u| u > 0.0 && u < 1.0));
    assert!(kolmogorov(u, |u| u) < 2.2);
}

/// `√n` times the Kolmogorov–Smirnov distance; above 2.2 with probability 2 exp(−2 · 2.2²) ≈ 1.3e-4.
fn kolmogorov(mut values: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let distance = |(i, &x): (usize, &f64)| {
        let p = cdf(x);
        (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
    };
    values.iter().enumerate().map(distance).fold(0.0, f64::max) * n.sqrt()
}

#[test]
fn permutations_are_uniform_and_differ_by_index() {
    let noise = Noise::new(3);
    assert!(noise.permutation(Stream::ORDER, 0, 0).is_empty());
    assert_eq!(noise.permutation(Stream::ORDER, 0, 1), [0]);
    let order = noise.permutation(Stream::ORDER, 1, 60_000);
    assert_eq!(order.iter().collect::<HashSet<_>>().len(), 60_000);
    assert!(order.iter().all(|&i| i < 60_000));
    assert_ne!(order, noise.permutation(Stream::ORDER, 2, 60_000));
    // All 24 orders of four things, 24,000 times: χ² with 23 degrees of freedom is above 58.6 once in 10⁴.
    let mut counts = std::collections::HashMap::new();
    for index in 0..24_000 {
        *counts.entry(noise.permutation(Stream::ORDER, index, 4)).or_insert(0.0) += 1.0;
    }
    assert_eq!(counts.len(), 24);
    let chi: f64 = counts.values().map(|c: &f64| (c - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi < 58.6, "{chi}");
}
