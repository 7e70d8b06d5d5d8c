//! The fused kernel: agreement with the scalar process in double precision, its forms to the bit, its refusals.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use gbm_sde::exponential::exp;
use gbm_sde::lognormal::normal_cdf;
use gbm_sde::{Drift, Gbm, Level, Noise, Perturb, PerturbError, Schedule, ScheduleConfig, Stream, Threads, Variance};
use proptest::prelude::*;

/// Positive values over a few orders of magnitude.
fn data(n: usize) -> Vec<f32> {
    let mut z = vec![0.0; n];
    Noise::new(5).fill_normal(Stream::GLYPHS, 0, 0, &mut z);
    z.iter().map(|z| (1.5 * z).exp()).collect()
}

fn perturbed(perturb: Perturb, levels: &[Level], x: &[f32]) -> Vec<f32> {
    let mut out = x.to_vec();
    perturb.in_place(levels, &mut out).unwrap();
    out
}

#[test]
fn agrees_with_the_scalar_process_to_the_stated_bound() {
    let x = data(20_000);
    for (drift, t) in [(Drift::Free(0.4), 0.37), (Drift::ZeroMean, 0.81)] {
        let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.9 }, drift, horizon: 1.0 };
        let gbm = Gbm::new(Schedule::new(config).unwrap());
        let (m, v) = (gbm.schedule.log_drift(t), gbm.schedule.log_variance(t));
        let perturb = Perturb { first_index: 9, step: 4, ..Perturb::new(Noise::new(3), x.len()) };
        let found = perturbed(perturb, &[Level::at(&gbm.schedule, t).unwrap()], &x);
        for (i, (&x, &found)) in x.iter().zip(&found).enumerate() {
            let z = Noise::new(3).normal(Stream::PERTURB, 9, 4, i);
            let truth = gbm.perturb(f64::from(x), t, z);
            let bound = 2f64.powi(-23) * (2.5 + m.abs() + 2.0 * (v.sqrt() * z).abs());
            assert!((f64::from(found) / truth - 1.0).abs() < bound, "element {i}: {found} {truth}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The bound at any level, also where the exponent is large; and the kernel is `fill_normal`, then `x eᵃ`.
    #[test]
    fn any_level_keeps_the_bound(m in -20.0..20.0f64, v in 0.0..25.0f64, seed: u64, index: u64, step: u32, n in 1usize..200) {
        let x = data(n);
        let perturb = Perturb { first_index: index, step, stream: Stream::PRIOR, ..Perturb::new(Noise::new(seed), n) };
        let found = perturbed(perturb, &[Level::new(m, v).unwrap()], &x);
        let mut z = vec![0.0; n];
        Noise::new(seed).fill_normal(Stream::PRIOR, index, step, &mut z);
        for i in 0..n {
            prop_assert_eq!(found[i].to_bits(), (x[i] * exp(m as f32 + v.sqrt() as f32 * z[i])).to_bits());
            let exact = v.sqrt() * Noise::new(seed).normal(Stream::PRIOR, index, step, i);
            let truth = f64::from(x[i]) * (m + exact).exp();
            let bound = 2f64.powi(-23) * (2.5 + m.abs() + 2.0 * exact.abs());
            prop_assert!((f64::from(found[i]) / truth - 1.0).abs() < bound, "{} {}", found[i], truth);
        }
    }

    /// In place or not, on one thread or all, together or row by row: the same bits.
    #[test]
    fn all_forms_agree(rows in 1usize..12, row_len in 1usize..300, short in 0usize..3, own: bool, first_index: u64) {
        let x = data(rows * row_len - short.min(row_len - 1));
        let level = |row: usize| Level::new(0.1 * row as f64 - 0.3, 0.2 + 0.1 * row as f64).unwrap();
        let levels: Vec<Level> = (0..if own { rows } else { 1 }).map(level).collect();
        let perturb = Perturb { first_index, ..Perturb::new(Noise::new(8), row_len) };
        let all = perturbed(perturb, &levels, &x);
        prop_assert_eq!(&perturbed(Perturb { threads: Threads::One, ..perturb }, &levels, &x), &all);
        let mut out = vec![f32::NAN; x.len()];
        perturb.out_of_place(&levels, &x, &mut out).unwrap();
        prop_assert_eq!(&out, &all);
        for (i, (x, all)) in x.chunks(row_len).zip(all.chunks(row_len)).enumerate() {
            let alone = Perturb { first_index: first_index.wrapping_add(i as u64), ..perturb };
            prop_assert_eq!(&perturbed(alone, &[level(if own { i } else { 0 })], x)[..], all);
        }
    }
}

/// A row longer than a thread's piece is cut; a batch of short rows is grouped.
#[test]
fn long_rows_and_many_short_ones_agree_with_the_plain_loop() {
    for (rows, row_len) in [(2, 30_001), (20_000, 3), (40, 784)] {
        let x = data(rows * row_len);
        let levels: Vec<Level> =
            (0..rows).map(|row| Level::new(0.0, 0.1 + row as f64 / rows as f64).unwrap()).collect();
        let mut expected = x.clone();
        for (row, values) in expected.chunks_mut(row_len).enumerate() {
            let mut z = vec![0.0; row_len];
            Noise::new(2).fill_normal(Stream::PERTURB, 70 + row as u64, 0, &mut z);
            let s = (0.1 + row as f64 / rows as f64).sqrt() as f32;
            values.iter_mut().zip(z).for_each(|(x, z)| *x *= exp(s * z));
        }
        for threads in [Threads::One, Threads::All] {
            let perturb = Perturb { first_index: 70, threads, ..Perturb::new(Noise::new(2), row_len) };
            assert!(perturbed(perturb, &levels, &x) == expected, "{rows} rows of {row_len}, {threads:?}");
            let mut out = vec![0.0; x.len()];
            perturb.out_of_place(&levels, &x, &mut out).unwrap();
            assert!(out == expected);
        }
    }
}

/// The logarithm of the result is normal with mean `ln x + m` and variance `v`: Kolmogorov's √n D is above 2.2 once in 7,000.
#[test]
fn log_results_have_the_transition_law() {
    let (m, v, n) = (-0.7, 1.3, 200_000);
    let out = perturbed(Perturb::new(Noise::new(12), 1000), &[Level::new(m, v).unwrap()], &vec![2.0; n]);
    let mut y: Vec<f64> = out.iter().map(|&x| normal_cdf((f64::from(x / 2.0).ln() - m) / v.sqrt())).collect();
    y.sort_by(f64::total_cmp);
    let distance = y.iter().enumerate().map(|(i, p)| (p - (i as f64 + 0.5) / n as f64).abs()).fold(0.0, f64::max);
    assert!(distance * (n as f64).sqrt() < 2.2);
}

#[test]
fn the_ends_of_single_precision_are_kept() {
    let level = |m: f64| [Level::new(m, 0.0).unwrap()];
    let perturb = Perturb::new(Noise::new(1), 4);
    let x = [1.0, 2.0, f32::NAN, 1e-30];
    let huge = perturbed(perturb, &level(200.0), &x);
    assert_eq!([huge[0], huge[1], huge[3]], [f32::INFINITY; 3]);
    let tiny = perturbed(perturb, &level(-200.0), &x);
    assert_eq!([tiny[0], tiny[1], tiny[3]], [0.0; 3]);
    assert!(huge[2].is_nan() && tiny[2].is_nan());
    // No drift and no variance: nothing happens.
    assert_eq!(perturbed(perturb, &level(0.0), &[1.0, 2.5, 1e-30]), [1.0, 2.5, 1e-30]);
}

#[test]
fn refusals_carry_the_values_and_write_nothing() {
    for (m, v) in
        [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (1e300, 1.0), (0.0, -0.5), (0.0, f64::NAN), (0.0, f64::INFINITY)]
    {
        let error = Level::new(m, v).unwrap_err();
        assert!(error.to_string().contains(&m.to_string()) && error.to_string().contains(&v.to_string()), "{error}");
    }
    let one = Level::new(0.0, 1.0).unwrap();
    let perturb = Perturb::new(Noise::new(1), 4);
    let mut x = [1.0; 10];
    assert_eq!(perturb.in_place(&[one; 2], &mut x), Err(PerturbError::Levels { rows: 3, levels: 2 }));
    assert_eq!(perturb.in_place(&[], &mut x), Err(PerturbError::Levels { rows: 3, levels: 0 }));
    assert_eq!(
        perturb.out_of_place(&[one], &x.clone(), &mut x[..9]),
        Err(PerturbError::Length { values: 10, room: 9 })
    );
    let none = Perturb { row_len: 0, ..perturb };
    assert_eq!(none.in_place(&[one], &mut x), Err(PerturbError::EmptyRows { values: 10 }));
    assert_eq!(x, [1.0; 10]);
    assert_eq!(none.in_place(&[], &mut []), Ok(()));
    assert_eq!(perturb.in_place(&[one; 3], &mut x), Ok(()));
}
