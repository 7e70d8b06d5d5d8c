//! Traces of denoisers: closed forms against difference quotients, against the mean of probes, and by autograd.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{Gamma, LogNormalMixture, Noise, Stream};
use ndarray::{Array2, Axis, array};
use score_match::{DenoiseError, Differences, Divergence, LinearDenoiser, ProbeLaw, Probes, Trace};

fn mixture() -> LogNormalMixture {
    let covariances = vec![
        vec![vec![0.3, 0.1, 0.0], vec![0.1, 0.2, -0.05], vec![0.0, -0.05, 0.4]],
        vec![vec![0.15, 0.0, 0.02], vec![0.0, 0.5, 0.1], vec![0.02, 0.1, 0.25]],
    ];
    let means = vec![vec![-0.5, 0.3, 0.1], vec![0.6, -0.4, 0.0]];
    LogNormalMixture::with_covariances(vec![0.4, 0.6], means, covariances).unwrap()
}

fn states(n: usize, d: usize) -> Array2<f64> {
    let mut z = vec![0.0; n * d];
    Noise::new(6).rows_normal_f64(Stream::PERTURB, 0, 0, &mut z, d);
    Array2::from_shape_vec((n, d), z).unwrap()
}

fn probes(count: u32, law: ProbeLaw) -> Trace {
    Trace::Hutchinson(Probes { count, law, ..Probes::new(3) })
}

#[test]
fn closed_forms_agree_with_difference_quotients() {
    let truth = mixture();
    let linear = LinearDenoiser::from_moments(vec![0.1, -0.3], array![[0.5, 0.2], [0.2, 0.3]].view()).unwrap();
    for v in [0.01, 0.3, 4.0] {
        for trace in [Trace::Exact, probes(2, ProbeLaw::Normal), probes(3, ProbeLaw::Rademacher)] {
            let y = states(20, 3);
            let closed = truth.denoise_traced(&y, v, trace).unwrap();
            let quotient = Differences(truth.clone()).denoise_traced(&y, v, trace).unwrap();
            assert_eq!(closed.denoised, quotient.denoised);
            let far = (&closed.traces - &quotient.traces).iter().fold(0.0_f64, |a, b| a.max(b.abs()));
            assert!(far < if v < 0.1 { 1e-6 } else { 1e-9 }, "{v} {trace:?}: {far}");
            let y = states(20, 2);
            let closed = linear.denoise_traced(&y, v, trace).unwrap();
            let quotient = Differences(linear.clone()).denoise_traced(&y, v, trace).unwrap();
            assert!((&closed.traces - &quotient.traces).iter().all(|e| e.abs() < 1e-9), "{v} {trace:?}");
        }
    }
}

#[test]
fn probes_have_the_trace_as_their_mean() {
    let y = states(4, 3);
    let exact = mixture().denoise_traced(&y, 0.4, Trace::Exact).unwrap().traces;
    for law in [ProbeLaw::Rademacher, ProbeLaw::Normal] {
        let many = mixture().denoise_traced(&y, 0.4, probes(4000, law)).unwrap().traces;
        for (row, truth) in many.axis_iter(Axis(0)).zip(&exact) {
            let error = row.std(1.0) / (row.len() as f64).sqrt();
            assert!((row.mean().unwrap() - truth).abs() < 4.5 * error, "{law:?}");
            assert!(error > 1e-5);
        }
    }
}

#[test]
fn the_trace_is_the_laplacian_of_the_log_density() {
    // d + v Δ ln p, the Laplacian by differences of the density itself.
    let (truth, v, step) = (mixture(), 0.5, 1e-3);
    for row in states(10, 3).rows() {
        let y = row.to_vec();
        let density = |i: usize, k: f64| {
            let mut moved = y.clone();
            moved[i] += k * step;
            truth.log_pdf(&moved, v)
        };
        let second = |i| (density(i, 1.0) - 2.0 * density(i, 0.0) + density(i, -1.0)) / (step * step);
        let laplacian: f64 = (0..3).map(second).sum();
        assert!((truth.denoiser_trace(&y, v) - (3.0 + v * laplacian)).abs() < 1e-5);
    }
}

#[test]
fn independent_coordinates_have_a_trace_that_adds_up() {
    let law = Differences(Gamma::new(2.0, 0.6).unwrap());
    let both = law.denoise_traced(&array![[0.3, -0.9]], 0.5, Trace::Exact).unwrap().traces[[0, 0]];
    let one = |y: f64| law.denoise_traced(&array![[y]], 0.5, Trace::Exact).unwrap().traces[[0, 0]];
    assert!((both - one(0.3) - one(-0.9)).abs() < 1e-10);
}

#[test]
fn without_probes_there_is_an_error() {
    let none = probes(0, ProbeLaw::Normal);
    let refused = mixture().denoise_traced(&states(2, 3), 0.4, none).unwrap_err();
    assert!(refused.to_string().contains("the number of probes must be at least 1"), "{refused}");
    let shape = mixture().denoise_traced(&states(2, 4), 0.4, Trace::Exact).unwrap_err();
    assert_eq!(shape, DenoiseError::Shape { expected: vec![2, 3], found: vec![2, 4] });
}

#[cfg(feature = "torch")]
mod tensors {
    use super::*;
    use score_match::torch::divergence::traced;
    use tch::{TchError, Tensor};

    /// `D_i = y_i² + c Σ_j sin y_j`: its derivative is `2 y_i + c cos y_i` on the diagonal.
    fn model(y: &Tensor) -> Result<Tensor, TchError> {
        let shared = y.f_sin()?.f_sum_dim_intlist([1_i64].as_slice(), true, y.kind())?;
        y.f_square()?.f_add(&shared.f_mul_scalar(0.7)?)
    }

    struct ByHand;

    impl score_match::Denoiser<Array2<f64>> for ByHand {
        fn denoise(&self, y: &Array2<f64>, _: f64) -> Result<Array2<f64>, DenoiseError> {
            Ok(y * y + y.mapv(f64::sin).sum_axis(Axis(1)).insert_axis(Axis(1)) * 0.7)
        }
    }

    #[test]
    fn autograd_agrees_with_differences() {
        let y = states(5, 3);
        let tensor = Tensor::from_slice(y.as_slice().unwrap()).reshape([5, 3]);
        for trace in [Trace::Exact, probes(3, ProbeLaw::Rademacher)] {
            let (denoised, traces) = traced(model, &tensor, trace).unwrap();
            let expected = Differences(ByHand).denoise_traced(&y, 0.5, trace).unwrap();
            assert!((traces - expected.traces).iter().all(|e| e.abs() < 1e-8));
            assert!(!denoised.requires_grad());
        }
        let (_, traces) = traced(model, &tensor, Trace::Exact).unwrap();
        for (row, trace) in y.rows().into_iter().zip(&traces) {
            let by_hand: f64 = row.iter().map(|y| 2.0 * y + 0.7 * y.cos()).sum();
            assert!((trace - by_hand).abs() < 1e-13);
        }
    }

    #[test]
    fn a_constant_has_no_trace_and_no_probe_is_an_error() {
        let tensor = Tensor::from_slice(&[1.0, 2.0]).reshape([1, 2]);
        let (_, traces) = traced(|y: &Tensor| y.f_zeros_like(), &tensor, Trace::Exact).unwrap();
        assert_eq!(traces, array![[0.0]]);
        assert!(traced(model, &tensor, probes(0, ProbeLaw::Normal)).is_err());
    }
}
