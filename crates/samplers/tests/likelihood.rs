//! Log densities along the probability flow: against the truth in 1, 2 and 16 dimensions, with exact and random traces,
//! and the way to bits per dimension.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use std::ops::ControlFlow;

use gbm_sde::{Drift, Gamma, GroundTruth, LogNormalMixture, Noise, Schedule, ScheduleConfig, Stream, Variance};
use ndarray::{Array2, array};
use samplers::likelihood::{Flow, LogDensity, Solver, Tolerance, Walked};
use samplers::{FittedPrior, Grid, GridConfig, PixelScale, Prior, PriorConfig, SampleError};
use score_match::{
    DataMoments, DenoiseError, Denoiser, Differences, Divergence, LinearDenoiser, ProbeLaw, Probes, Trace, Traced,
};

type Dense = Array2<f64>;

const R_MIN: f64 = 0.05;
const R_MAX: f64 = 4.0;

fn laws() -> [LogNormalMixture; 3] {
    let one = LogNormalMixture::new(vec![0.35, 0.65], vec![vec![-0.8], vec![0.7]], vec![vec![0.1], vec![0.15]]);
    let covariances = vec![vec![vec![0.1, 0.05], vec![0.05, 0.15]], vec![vec![0.2, -0.06], vec![-0.06, 0.1]]];
    let two = LogNormalMixture::with_covariances(vec![0.4, 0.6], vec![vec![-0.6, 0.5], vec![0.7, -0.4]], covariances);
    let wave = |scale: f64, shift: f64, k: f64| (0..16).map(|i| shift + scale * (k * f64::from(i)).cos()).collect();
    let spread = |low: f64| -> Vec<Vec<f64>> {
        let entry = |i: usize, j: usize| low * 0.5f64.powi(i.abs_diff(j) as i32);
        (0..16).map(|i| (0..16).map(|j| entry(i, j)).collect()).collect()
    };
    let means = vec![wave(0.2, 0.2, 1.0), wave(0.15, -0.1, 2.3)];
    let sixteen = LogNormalMixture::with_covariances(vec![0.45, 0.55], means, vec![spread(0.15), spread(0.2)]);
    [one, two, sixteen].map(Result::unwrap)
}

fn grid(steps: usize) -> Grid {
    GridConfig::LogNoise { r_min: R_MIN, r_max: R_MAX, steps: steps + 1 }.build(None).unwrap()
}

/// Draws of the law at `R_MIN`.
fn data(law: &LogNormalMixture, n: usize) -> Dense {
    let mut rows = vec![0.0; n * law.dim()];
    Noise::new(3).rows_normal_f64(Stream::PERTURB, 0, 0, &mut rows, law.dim());
    let mut clean = vec![0.0; law.dim()];
    for (index, row) in rows.chunks_mut(law.dim()).enumerate() {
        law.sample_into(&Noise::new(3), Stream::PRIOR, index as u64, &mut clean);
        row.iter_mut().zip(&clean).for_each(|(z, clean)| *z = clean + R_MIN * *z);
    }
    Dense::from_shape_vec((n, law.dim()), rows).unwrap()
}

fn at(law: &LogNormalMixture, y: &Dense, r: f64) -> Vec<f64> {
    y.rows().into_iter().map(|row| law.log_pdf(&row.to_vec(), r * r)).collect()
}

fn go(_: Walked) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The density by the flow, with the mixture's own density at the top.
fn walked(law: &LogNormalMixture, y: &Dense, trace: Trace, solver: Solver, steps: usize) -> LogDensity<Dense> {
    let flow = Flow { denoiser: law, trace, solver };
    let top = |y: &Dense| Ok(at(law, y, R_MAX));
    flow.log_density(y.clone(), &top, &grid(steps), &mut go).unwrap().unwrap()
}

fn worst(found: &[f64], truth: &[f64]) -> f64 {
    found.iter().zip(truth).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

const FINE: Solver = Solver::Adaptive(Tolerance { relative: 1e-6, absolute: 1e-6, nats: 1e-6, most_steps: 100_000 });

#[test]
fn with_the_exact_trace_it_is_the_true_density_to_a_thousandth_of_a_nat() {
    for law in laws() {
        let y = data(&law, 40);
        let truth = at(&law, &y, R_MIN);
        for (solver, steps) in [(Solver::Heun, 600), (FINE, 1)] {
            let found = walked(&law, &y, Trace::Exact, solver, steps);
            let error = worst(&found.means(), &truth);
            assert!(error < 1e-3, "{} dimensions, {solver:?}: {error} after {} calls", law.dim(), found.calls);
            assert!(found.standard_errors().is_none() && found.nats.dim() == (40, 1));
        }
    }
}

#[test]
fn the_error_is_controlled_by_steps_and_by_the_tolerance() {
    let [_, law, _] = laws();
    let y = data(&law, 40);
    let truth = at(&law, &y, R_MIN);
    let heun = |steps| worst(&walked(&law, &y, Trace::Exact, Solver::Heun, steps).means(), &truth);
    let errors = [heun(50), heun(100), heun(200)];
    for pair in errors.windows(2) {
        let order = (pair[0] / pair[1]).log2();
        assert!((order - 2.0).abs() < 0.4, "{errors:?}");
    }
    let adaptive = |tolerance: f64| {
        let tolerance = Tolerance { relative: tolerance, absolute: tolerance, nats: tolerance, most_steps: 100_000 };
        let found = walked(&law, &y, Trace::Exact, Solver::Adaptive(tolerance), 1);
        (worst(&found.means(), &truth), found.calls)
    };
    let (loose, tight) = (adaptive(1e-3), adaptive(1e-5));
    assert!(tight.0 < 0.1 * loose.0 && tight.1 > loose.1, "{loose:?} {tight:?}");
}

#[test]
fn with_probes_it_is_true_within_its_standard_error() {
    for law in laws() {
        let y = data(&law, 30);
        let truth = at(&law, &y, R_MIN);
        for probe_law in [ProbeLaw::Rademacher, ProbeLaw::Normal] {
            let trace = Trace::Hutchinson(Probes { count: 200, law: probe_law, ..Probes::new(9) });
            let found = walked(&law, &y, trace, Solver::Heun, 300);
            let (means, errors) = (found.means(), found.standard_errors().unwrap());
            let scores: Vec<f64> = (0..30).map(|i| (means[i] - truth[i]) / (errors[i] + 1e-3)).collect();
            assert!(scores.iter().all(|z| z.abs() < 4.5), "{} {probe_law:?}: {scores:?}", law.dim());
            // Rademacher probes are exact in one dimension; elsewhere the errors are there, and of the size they say.
            if law.dim() > 1 {
                let mean_square = scores.iter().map(|z| z * z).sum::<f64>() / 30.0;
                assert!(errors.iter().all(|e| *e > 1e-4) && (0.2..2.5).contains(&mean_square), "{mean_square}");
            }
        }
    }
}

#[test]
fn a_row_has_the_same_density_in_any_batch() {
    let [_, law, _] = laws();
    let y = data(&law, 8);
    let run = |first: usize, n: usize| {
        let trace = Trace::Hutchinson(Probes { count: 2, first_index: first as u64, ..Probes::new(9) });
        let rows = y.slice_axis(ndarray::Axis(0), (first..first + n).into()).to_owned();
        walked(&law, &rows, trace, Solver::Heun, 20).nats
    };
    let all = run(0, 8);
    assert_eq!(all.slice_axis(ndarray::Axis(0), (..3).into()), run(0, 3));
    assert_eq!(all.slice_axis(ndarray::Axis(0), (5..7).into()), run(5, 2));
}

#[test]
fn one_log_normal_with_its_own_prior_is_exact_at_both_ends() {
    let (mean, sd) = (0.3, 0.5);
    let law = LogNormalMixture::new(vec![1.0], vec![vec![mean; 3]], vec![vec![sd * sd; 3]]).unwrap();
    let prior = PriorConfig::default().build(&DataMoments { log_mean: mean, log_sd: sd }, None, R_MAX * R_MAX).unwrap();
    let y = data(&law, 10);
    let flow = Flow { denoiser: &law, trace: Trace::Exact, solver: Solver::Heun };
    let top = |y: &Dense| Ok(prior.log_pdf(y.view())?);
    let found = flow.log_density(y.clone(), &top, &grid(400), &mut go).unwrap().unwrap();
    assert!(worst(&found.means(), &at(&law, &y, R_MIN)) < 1e-3);
    // The flow of one normal law only scales.
    let factor = ((sd * sd + R_MAX * R_MAX) / (sd * sd + R_MIN * R_MIN)).sqrt();
    assert!(found.latent.iter().zip(&y).all(|(end, y)| (end - mean - factor * (y - mean)).abs() < 1e-3 * factor));
}

#[test]
fn the_linear_denoiser_gives_the_full_covariance_log_normal() {
    let covariance = array![[0.5, 0.3, 0.0], [0.3, 0.4, -0.1], [0.0, -0.1, 0.2]];
    let linear = LinearDenoiser::from_moments(vec![0.2, -0.1, 0.4], covariance.view()).unwrap();
    let y = linear.sample_rows(&Noise::new(4), Stream::PRIOR, 0, 20);
    let flow = Flow { denoiser: &linear, trace: Trace::Exact, solver: Solver::Heun };
    let top = |y: &Dense| linear.log_pdf(y.view(), R_MAX * R_MAX).map_err(|e| SampleError::Backend(e.to_string()));
    let found = flow.log_density(y.clone(), &top, &grid(600), &mut go).unwrap().unwrap();
    assert!(worst(&found.means(), &linear.log_pdf(y.view(), R_MIN * R_MIN).unwrap()) < 1e-3);
}

#[test]
fn a_gamma_law_by_difference_quotients() {
    let law = Gamma::new(2.0, 0.6).unwrap();
    let y = array![[0.3, -0.9], [-2.0, 0.8]];
    let density = |y: &Dense, r: f64| -> Vec<f64> {
        y.rows().into_iter().map(|row| GroundTruth::log_pdf(&law, &row.to_vec(), r * r)).collect()
    };
    let differences = Differences(law);
    let flow = Flow { denoiser: &differences, trace: Trace::Exact, solver: Solver::Heun };
    let found = flow.log_density(y.clone(), &|y| Ok(density(y, R_MAX)), &grid(300), &mut go).unwrap().unwrap();
    assert!(worst(&found.means(), &density(&y, R_MIN)) < 1e-3);
}

/// A function that is no posterior mean: its flow has a law nevertheless.
struct Wild;

impl Denoiser<Dense> for Wild {
    fn denoise(&self, y: &Dense, v: f64) -> Result<Dense, DenoiseError> {
        Ok(y.mapv(|y| 0.6 * (y / (1.0 + v)).sin() + 0.3))
    }
}

#[test]
fn the_density_of_any_flow_integrates_to_one() {
    let n = 8001;
    let (low, high) = (-6.0, 6.0);
    let step = (high - low) / (n - 1) as f64;
    let y = Dense::from_shape_fn((n, 1), |(i, _)| low + step * i as f64);
    let prior = FittedPrior::Independent(Prior { mean: 0.5, sd: 4.2 });
    let wild = Differences(Wild);
    for solver in [Solver::Heun, FINE] {
        let flow = Flow { denoiser: &wild, trace: Trace::Exact, solver };
        let top = |y: &Dense| Ok(prior.log_pdf(y.view())?);
        let found = flow.log_density(y.clone(), &top, &grid(400), &mut go).unwrap().unwrap();
        let total: f64 = found.means().iter().map(|p| step * p.exp()).sum();
        assert!((total - 1.0).abs() < 1e-4, "{solver:?}: {total}");
    }
}

#[test]
fn densities_of_priors() {
    let y = array![[0.3, -0.7], [1.1, 0.4]];
    let mixture = |means: Vec<Vec<f64>>, variance: f64| {
        let n = means.len();
        LogNormalMixture::new(vec![1.0; n], means, vec![vec![variance; 2]; n]).unwrap()
    };
    let independent = FittedPrior::Independent(Prior { mean: 0.2, sd: 1.5 });
    assert!(worst(&independent.log_pdf(y.view()).unwrap(), &at(&mixture(vec![vec![0.2; 2]], 2.25), &y, 0.0)) < 1e-13);
    let centres = array![[0.1, 0.2], [-0.3, 0.5], [4.0, 4.0]];
    let classes = FittedPrior::ClassAverage { centres: centres.clone(), v: 0.7 };
    let truth = mixture(centres.rows().into_iter().map(|row| row.to_vec()).collect(), 0.7);
    assert!(worst(&classes.log_pdf(y.view()).unwrap(), &at(&truth, &y, 0.0)) < 1e-13);
    let law =
        score_match::LowRankNormal::from_moments(vec![0.1, 0.2], array![[1.0, 0.4], [0.4, 0.8]].view(), 1).unwrap();
    let fitted = FittedPrior::LowRank { law: law.clone(), v: 0.5 };
    assert_eq!(fitted.log_pdf(y.view()).unwrap(), law.log_pdf(y.view(), 0.5).unwrap());
    assert!(fitted.log_pdf(array![[0.0]].view()).is_err());
}

struct Broken(bool);

impl Denoiser<Dense> for Broken {
    fn denoise(&self, y: &Dense, _: f64) -> Result<Dense, DenoiseError> {
        Ok(y.clone())
    }
}

impl Divergence<Dense> for Broken {
    fn denoise_traced(&self, y: &Dense, _: f64, _: Trace) -> Result<Traced<Dense>, DenoiseError> {
        let traces = if self.0 { Dense::from_elem((y.nrows(), 1), f64::NAN) } else { Dense::zeros((1, 1)) };
        Ok(Traced { denoised: y.clone(), traces })
    }
}

#[test]
fn stopping_and_failures() {
    let [_, law, _] = laws();
    let y = data(&law, 4);
    let top = |y: &Dense| Ok(vec![0.0; y.nrows()]);
    let flow = Flow { denoiser: &law, trace: Trace::Exact, solver: Solver::Heun };
    let mut seen = vec![];
    let mut stop = |walked: Walked| {
        seen.push(walked);
        if walked.index == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert_eq!(flow.log_density(y.clone(), &top, &grid(10), &mut stop).unwrap(), None);
    assert_eq!(seen.len(), 3);
    assert_eq!((seen[2].total, seen[2].calls), (10, 6));
    assert!(seen[0].v > R_MIN * R_MIN && seen[2].v > seen[0].v);

    let short = Grid::new(vec![1.0, 0.0]).unwrap();
    let error = flow.log_density(y.clone(), &top, &short, &mut go).unwrap_err();
    assert!(error.to_string().contains("at least 2 levels"), "{error}");
    let error = flow.log_density(y.clone(), &|_| Ok(vec![0.0]), &grid(3), &mut go).unwrap_err();
    assert_eq!(error, SampleError::StartDensity { expected: 4, found: 1 });
    let loose = Solver::Adaptive(Tolerance { nats: 0.0, ..Tolerance::default() });
    let error = Flow { solver: loose, ..flow }.log_density(y.clone(), &top, &grid(3), &mut go).unwrap_err();
    assert!(error.to_string().contains("likelihood: nats must be positive"), "{error}");
    let hasty = Solver::Adaptive(Tolerance { most_steps: 2, ..Tolerance::default() });
    let flow = Flow { denoiser: &law, trace: Trace::Exact, solver: hasty };
    assert!(matches!(flow.log_density(y.clone(), &top, &grid(1), &mut go), Err(SampleError::NoProgress { .. })));
    for (broken, words) in [(Broken(true), "trace of the derivative is not finite"), (Broken(false), "shape [1, 1]")] {
        let flow = Flow { denoiser: &broken, trace: Trace::Exact, solver: Solver::Heun };
        let error = flow.log_density(y.clone(), &top, &grid(3), &mut go).unwrap_err();
        assert!(error.to_string().contains("step 0") && error.to_string().contains(words), "{error}");
    }
}

#[test]
fn the_ambient_density_is_that_of_the_ground_truth() {
    let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.8 }, drift: Drift::ZeroLog, horizon: 1.0 };
    let schedule = Schedule::new(config).unwrap();
    let [_, law, _] = laws();
    let x = [0.7, 1.9];
    let y = x.map(f64::ln);
    let found = PixelScale::ambient_log_density(law.log_pdf(&y, 0.64), &y);
    assert!((found - GroundTruth::ambient_log_pdf(&law, &schedule, 1.0, &x)).abs() < 1e-13);
}

#[test]
fn bits_bound_the_code_length_of_the_bytes() {
    // One pixel: the mean over U of minus the log density is above minus the log probability of the grey level, by little.
    let law = LogNormalMixture::new(vec![0.3, 0.7], vec![vec![0.2], vec![0.5]], vec![vec![0.01], vec![0.003]]).unwrap();
    let scale = PixelScale::new(1.0, 2.0).unwrap();
    for byte in [10_u8, 120, 200] {
        let edge = |k: u8| (1.0 + (f64::from(byte) + f64::from(k)) / 256.0).ln();
        let probability = law.marginal_cdf(0, edge(1), 0.0) - law.marginal_cdf(0, edge(0), 0.0);
        let n = 20_000;
        let bits = (0..n).map(|draw| {
            let y = scale.dequantize(&[byte], &Noise::new(1), 7, draw);
            assert!(y[0] > edge(0) && y[0] < edge(1));
            scale.bits_per_dimension(law.log_pdf(&y, 0.0), &y)
        });
        let mean = bits.sum::<f64>() / f64::from(n);
        let least = -probability.log2();
        assert!(mean > least - 1e-3 && mean < least + 2e-3, "{byte}: {mean} {least}");
    }
    assert!(PixelScale::new(0.0, 1.0).is_err() && PixelScale::new(1.0, 1.0).is_err());
    assert!(PixelScale::new(1.0, f64::INFINITY).is_err());
}
