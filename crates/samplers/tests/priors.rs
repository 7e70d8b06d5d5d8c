//! Priors that are fitted to a data set: moments of their draws, independence of the batch, and refusals.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{Noise, Stream};
use ndarray::{Array2, Axis, array};
use samplers::{ConfigError, FittedPrior, Prior, PriorConfig};
use score_match::{DataMoments, LowRankNormal, ScoreError};

const D: usize = 6;
const V: f64 = 0.8;
const MOMENTS: DataMoments = DataMoments { log_mean: 0.1, log_sd: 0.2 };

/// 400 log images in three classes that differ in their mean, with correlated pixels.
fn data() -> (Array2<f32>, Vec<u8>) {
    let n = 400;
    let mut z = vec![0.0; n * (D + 1)];
    Noise::new(5).rows_normal_f64(Stream::PERTURB, 0, 0, &mut z, D + 1);
    let labels: Vec<u8> = (0..n).map(|i| ((7 * i + i / 5) % 3) as u8).collect();
    let pixel = |(i, j): (usize, usize)| {
        let row = &z[i * (D + 1)..];
        let own = 0.2 * row[j] + 0.3 * row[D] * (1.0 + 0.2 * j as f64);
        (own + 0.5 * f64::from(labels[i]) * (j as f64 - 2.0)) as f32
    };
    (Array2::from_shape_fn((n, D), pixel), labels)
}

fn fitted(config: PriorConfig) -> FittedPrior {
    let (logs, labels) = data();
    let statistics = config.fit(logs.view(), &labels).unwrap();
    config.build(&MOMENTS, statistics.as_ref(), V).unwrap()
}

fn both() -> [FittedPrior; 2] {
    [fitted(PriorConfig::FullCovariance { rank: 2 }), fitted(PriorConfig::ClassAverage {})]
}

#[test]
fn full_covariance_draws_have_the_noised_datas_moments() {
    let (logs, _) = data();
    let logs = logs.mapv(f64::from);
    let mean = logs.mean_axis(Axis(0)).unwrap();
    let centred = &logs - &mean;
    let covariance = centred.t().dot(&centred) / logs.nrows() as f64;
    let n = 50_000;
    let draws = fitted(PriorConfig::FullCovariance { rank: 3 }).draw_f64(&Noise::new(2), 0, n, D).unwrap() - &mean;
    for i in 0..D {
        let error = (covariance[[i, i]] + V).sqrt() / (n as f64).sqrt();
        assert!(draws.column(i).mean().unwrap().abs() < 4.0 * error);
        for j in 0..=i {
            // Rank 3 in 6 dimensions has as many parameters as a covariance: nothing is left of it.
            let expected = covariance[[i, j]] + if i == j { V } else { 0.0 };
            let products = &draws.column(i) * &draws.column(j);
            let error = products.std(0.0) / (n as f64).sqrt();
            let found = products.mean().unwrap();
            assert!((found - expected).abs() < 4.5 * error, "{i} {j}: {found} {expected} ± {error}");
        }
    }
}

#[test]
fn class_average_starts_have_the_mean_image_of_their_class() {
    let (logs, labels) = data();
    let n = 3000;
    let draws = fitted(PriorConfig::ClassAverage {}).draw_f64(&Noise::new(2), 0, n, D).unwrap();
    for class in 0..3 {
        let of_class = |rows: &Array2<f64>, belongs: &dyn Fn(usize) -> bool| {
            let kept: Vec<usize> = (0..rows.nrows()).filter(|&i| belongs(i)).collect();
            rows.select(Axis(0), &kept)
        };
        let images = of_class(&logs.mapv(|y| f64::from(y).exp()), &|i| usize::from(labels[i]) == class);
        let expected = images.mean_axis(Axis(0)).unwrap().mapv(f64::ln);
        let starts = of_class(&draws, &|i| i % 3 == class);
        let count = starts.nrows() as f64;
        for ((found, expected), column) in starts.mean_axis(Axis(0)).unwrap().iter().zip(&expected).zip(0..) {
            assert!((found - expected).abs() < 4.0 * (V / count).sqrt(), "{class} {column}: {found} {expected}");
            let variance = starts.column(column).var(0.0);
            assert!((variance / V - 1.0).abs() < 4.0 * (2.0 / count).sqrt());
        }
    }
}

#[test]
fn the_start_is_the_average_with_the_noise_of_its_address() {
    let FittedPrior::ClassAverage { centres, .. } = fitted(PriorConfig::ClassAverage {}) else { panic!() };
    let draws = fitted(PriorConfig::ClassAverage {}).draw_f64(&Noise::new(9), 31, 2, D).unwrap();
    for ((i, j), y) in draws.indexed_iter() {
        let z = Noise::new(9).normal(Stream::PRIOR, 31 + i as u64, 0, j);
        assert!((y - (centres[[(31 + i) % 3, j]] + V.sqrt() * z)).abs() < 1e-14);
    }
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    for prior in both() {
        let draw = |first, n| prior.draw_f64(&Noise::new(4), first, n, D).unwrap();
        let all = draw(0, 8);
        assert_eq!(all.slice_axis(Axis(0), (..3).into()), draw(0, 3));
        assert_eq!(all.slice_axis(Axis(0), (5..7).into()), draw(5, 2));
        let narrow = prior.draw_f32(&Noise::new(4), 0, 8, D).unwrap();
        assert_eq!(narrow, all.mapv(|y| y as f32));
    }
}

/// The same formulas, to the bit, as when there were no other priors.
#[test]
fn independent_draws_are_what_they_were() {
    let prior = Prior { mean: 0.1565, sd: 0.8353 };
    let fitted = PriorConfig::LogNormal { a: 0.1565, b: 0.8353 }.build(&MOMENTS, None, 1.0).unwrap();
    assert_eq!(fitted, FittedPrior::Independent(prior));
    let (wide, narrow) = (fitted.draw_f64(&Noise::new(2), 3, 4, 5), fitted.draw_f32(&Noise::new(2), 3, 4, 5));
    let z = |i: usize, j| Noise::new(2).normal(Stream::PRIOR, 3 + i as u64, 0, j);
    assert!(wide.unwrap().indexed_iter().all(|((i, j), &y)| y == 0.1565 + 0.8353 * z(i, j)));
    assert!(narrow.unwrap().indexed_iter().all(|((i, j), &y)| y == 0.1565_f32 + 0.8353_f32 * z(i, j) as f32));
}

#[test]
fn missing_and_unfit_data_is_named() {
    let (logs, labels) = data();
    let full = PriorConfig::FullCovariance { rank: 2 };
    assert!(full.needs_data() && PriorConfig::ClassAverage {}.needs_data() && !PriorConfig::default().needs_data());
    assert_eq!(full.build(&MOMENTS, None, V), Err(ConfigError::NoData("full-covariance")));
    let missing = PriorConfig::ClassAverage {}.build(&MOMENTS, None, V).unwrap_err();
    assert!(missing.to_string().contains("`class-average` is fitted to a data set"), "{missing}");
    // Statistics of another prior, or of another rank, do not stand in.
    let statistics = full.fit(logs.view(), &labels).unwrap();
    assert!(PriorConfig::ClassAverage {}.build(&MOMENTS, statistics.as_ref(), V).is_err());
    assert!(PriorConfig::FullCovariance { rank: 3 }.build(&MOMENTS, statistics.as_ref(), V).is_err());
    assert!(full.build(&MOMENTS, statistics.as_ref(), 0.0).unwrap_err().to_string().contains("v must be positive"));
    assert_eq!(PriorConfig::MomentMatched {}.fit(logs.view(), &[]), Ok(None));

    let rank = |rank| PriorConfig::FullCovariance { rank }.fit(logs.view(), &labels).unwrap_err();
    assert_eq!(rank(0), ConfigError::Fit(ScoreError::TooFew { name: "the rank", least: 1, value: 0 }));
    assert_eq!(rank(D + 1), ConfigError::Fit(ScoreError::TooMany { name: "the rank", most: D, value: D + 1 }));
    let classes = |logs: Array2<f32>, labels: &[u8]| PriorConfig::ClassAverage {}.fit(logs.view(), labels).unwrap_err();
    assert_eq!(classes(array![[0.0], [1.0]], &[0, 2]), ConfigError::EmptyClass { class: 1, classes: 3 });
    assert!(classes(array![[0.0], [1.0]], &[0]).to_string().contains("the labels has shape [1], expected [2]"));
    assert!(classes(array![[f32::NAN]], &[0]).to_string().contains("row 0, column 0"));
    assert!(classes(Array2::zeros((0, 3)), &[]).to_string().contains("number of images"));
    for prior in both() {
        let error = prior.draw_f32(&Noise::new(0), 0, 2, D + 1).unwrap_err();
        assert_eq!(error, ConfigError::Pixels { expected: D, found: D + 1 });
    }
}

#[test]
fn statistics_are_those_of_score_match() {
    let (logs, _) = data();
    let law = LowRankNormal::fit(logs.view(), 2).unwrap();
    assert_eq!(fitted(PriorConfig::FullCovariance { rank: 2 }), FittedPrior::LowRank { law, v: V });
}

#[cfg(feature = "torch")]
#[test]
fn tensors_hold_the_same_starts() {
    for prior in both().into_iter().chain([FittedPrior::Independent(Prior { mean: 0.1, sd: 0.7 })]) {
        let tensor = prior.draw_tensor(&Noise::new(4), 5, &[3, 1, 2, 3], tch::Device::Cpu).unwrap();
        let values = Vec::<f32>::try_from(&tensor.reshape([-1])).unwrap();
        let rows = prior.draw_f32(&Noise::new(4), 5, 3, D).unwrap();
        assert_eq!(tensor.size(), [3, 1, 2, 3]);
        assert!(values.iter().zip(&rows).all(|(a, b)| (a - b).abs() < 1e-6));
    }
    let refused = both()[0].draw_tensor(&Noise::new(4), 0, &[3, 1, 4, 4], tch::Device::Cpu).unwrap_err();
    assert!(refused.to_string().contains("images of 6 pixels, used for images of 16"), "{refused}");
}
