//! The tensor losses: the same numbers as the arrays', and theorem 5.1 for a small network through autograd.

#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

mod common;

use common::law::{Law, gamma_law, mixture_law};
use gbm_sde::{LogNormalMixture, Noise, Stream};
use ndarray::{Array1, Array2};
use score_match::implicit::{ScoreAt, ScoreModel};
use score_match::torch::matching::{denoising_rows, explicit_rows, implicit_rows, sliced_rows};
use score_match::{ProbeLaw, Probes, Trace, implicit, loss};
use tch::{Kind, TchError, Tensor, no_grad};

fn tensor(values: &Array2<f64>) -> Tensor {
    let (n, d) = values.dim();
    let flat: Vec<f64> = values.iter().copied().collect();
    Tensor::from_slice(&flat).reshape([n as i64, d as i64])
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.detach().flatten(0, -1)).unwrap()
}

fn normals(stream: u16, n: usize, d: usize) -> Array2<f64> {
    let mut out = Array2::zeros((n, d));
    Noise::new(17).rows_normal_f64(Stream(stream), 0, 0, out.as_slice_mut().unwrap(), d);
    out
}

fn near(found: &Tensor, expected: &Array1<f64>, tolerance: f64) {
    let found = values(found);
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < tolerance * (1.0 + b.abs()), "{a} {b}");
    }
}

#[test]
fn tensors_and_arrays_have_one_loss() {
    let (n, d) = (6, 4);
    let mixing = normals(90, d, d) * 0.4;
    let y = normals(91, n, d) * 0.6;
    let array_model = |y: &Array2<f64>| y.dot(&mixing).mapv(f64::sin) - 0.3;
    let matrix = tensor(&mixing);
    // The tensor is a batch of images: one channel, 2 × 2 pixels.
    let shape = [n as i64, 1, 2, 2];
    let tensor_model = |y: &Tensor| -> Result<Tensor, TchError> {
        y.f_flatten(1, -1)?.f_matmul(&matrix)?.f_sin()?.f_sub_scalar(0.3)?.f_reshape(y.size())
    };
    let images = tensor(&y).reshape(shape);
    let h = array_model(&y);

    let truth = normals(92, n, d);
    let found = explicit_rows(&tensor_model(&images).unwrap(), &tensor(&truth).reshape(shape)).unwrap();
    near(&found, &loss::explicit_rows(h.view(), truth.view()).unwrap(), 1e-13);

    let levels = [0.1, 0.4, 2.0, 0.03, 1.0, 0.7];
    let found = denoising_rows(&tensor_model(&images).unwrap(), &tensor(&truth).reshape(shape), &levels).unwrap();
    let levels = Array1::from(levels.to_vec());
    near(&found, &loss::denoising_rows(h.view(), truth.view(), levels.view()).unwrap(), 1e-13);

    for law in [ProbeLaw::Rademacher, ProbeLaw::Normal] {
        let probes = Probes { count: 3, first_index: 40, law, ..Probes::new(8) };
        for trace in [Trace::Exact, Trace::Hutchinson(probes)] {
            let found = implicit_rows(tensor_model, &images, trace).unwrap();
            near(&found, &implicit::implicit_rows(&array_model, &y, trace).unwrap(), 1e-10);
        }
        let found = sliced_rows(tensor_model, &images, probes).unwrap();
        near(&found, &implicit::sliced_rows(&array_model, &y, probes).unwrap(), 1e-10);
    }
    // Autograd is switched on where the caller has it off.
    let found = no_grad(|| implicit_rows(tensor_model, &images, Trace::Exact)).unwrap();
    near(&found, &implicit::implicit_rows(&array_model, &y, Trace::Exact).unwrap(), 1e-10);
}

/// d → 8 → 8 → d with tanh, in double precision.
struct Network {
    parameters: Vec<Tensor>,
}

impl Network {
    fn new(d: usize, seed: u16) -> Self {
        let shapes = [(d, 8), (1, 8), (8, 8), (1, 8), (8, d), (1, d)];
        let layer = |(k, (rows, columns)): (usize, (usize, usize))| {
            tensor(&(normals(100 + seed * 10 + k as u16, rows, columns) * 0.6)).set_requires_grad(true)
        };
        Self { parameters: shapes.into_iter().enumerate().map(layer).collect() }
    }

    fn score(&self, y: &Tensor) -> Result<Tensor, TchError> {
        let p = &self.parameters;
        let first = y.f_matmul(&p[0])?.f_add(&p[1])?.f_tanh()?;
        let second = first.f_matmul(&p[2])?.f_add(&p[3])?.f_tanh()?;
        second.f_matmul(&p[4])?.f_add(&p[5])
    }

    /// A weighted loss, and its gradient by every parameter.
    fn gradient(&self, rows: &Tensor, weights: &Tensor) -> (f64, Vec<f64>) {
        let loss = (rows * weights).sum(Kind::Double);
        let gradients = Tensor::run_backward(&[&loss], &self.parameters, false, false);
        let flat = gradients.iter().zip(&self.parameters).flat_map(|(g, p)| {
            // The last shift does not enter derivatives by y; its gradient may be missing from a part, never from a loss.
            if g.defined() { values(g) } else { vec![0.0; p.numel()] }
        });
        (loss.double_value(&[]), flat.collect())
    }
}

fn column(values: impl Iterator<Item = f64>) -> Tensor {
    Tensor::from_slice(&values.collect::<Vec<f64>>()).reshape([-1, 1])
}

fn assert_equal(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().any(|a| a.abs() > 1e-2));
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() < 1e-8 * (1.0 + a.abs()), "{a} {b}");
    }
}

#[test]
fn a_networks_losses_differ_by_constants_and_have_one_gradient() {
    for law in [mixture_law(0.35), gamma_law(2.3, 1.4, 0.35)] {
        let Law { v, marginal, joint, .. } = &law;
        let y = column(marginal.iter().map(|n| n.y));
        let truth = column(marginal.iter().map(|n| n.truth));
        let weights = column(marginal.iter().map(|n| n.weight)).flatten(0, -1);
        let joint_y = column(joint.iter().map(|n| n.y));
        let eps = column(joint.iter().map(|n| n.eps));
        let joint_weights = column(joint.iter().map(|n| n.weight)).flatten(0, -1);
        let levels = vec![*v; joint.len()];
        let square = law.expect(|n| n.truth * n.truth);
        for seed in 0..3 {
            let network = Network::new(1, seed);
            let h = network.score(&y).unwrap();
            let (esm, explicit) = network.gradient(&explicit_rows(&h, &truth).unwrap(), &weights);
            let h = network.score(&joint_y).unwrap();
            let rows = denoising_rows(&h, &eps, &levels).unwrap();
            let (dsm, denoising) = network.gradient(&rows, &joint_weights);
            let rows = implicit_rows(|y| network.score(y), &y, Trace::Exact).unwrap();
            let (ism, implicit) = network.gradient(&rows, &weights);
            // In one dimension a random sign is an exact trace, and the sliced loss is the implicit one.
            let rows = sliced_rows(|y| network.score(y), &y, Probes::new(3)).unwrap();
            let (ssm, sliced) = network.gradient(&rows, &weights);
            assert_equal(&explicit, &denoising);
            assert_equal(&explicit, &implicit);
            assert_equal(&explicit, &sliced);
            assert!((dsm - esm - 0.5 * (1.0 + 1.0 / v - square)).abs() < 1e-10, "{}", law.name);
            assert!((esm - ism - 0.5 * square).abs() < 1e-10, "{}", law.name);
            assert!((ism - ssm).abs() < 1e-10);
        }
    }
}

#[test]
fn a_network_in_two_dimensions() {
    let variances = vec![vec![0.05, 0.1], vec![0.2, 0.06]];
    let mixture = LogNormalMixture::new(vec![0.3, 0.7], vec![vec![-0.5, 0.4], vec![0.6, -0.1]], variances).unwrap();
    let (v, side, spacing) = (0.3, 201, 0.06);
    let at = |i: usize| (i as f64 - 100.0) * spacing;
    let y = Array2::from_shape_fn((side * side, 2), |(row, j)| at(if j == 0 { row / side } else { row % side }));
    let truth = ScoreAt { denoiser: &mixture, v }.score(&y).unwrap();
    // The joint density, component by component, of single-component mixtures.
    let single = |k: usize| {
        let (mean, variance) = [([-0.5, 0.4], [0.05, 0.1]), ([0.6, -0.1], [0.2, 0.06])][k];
        LogNormalMixture::new(vec![1.0], vec![mean.to_vec()], vec![variance.to_vec()]).unwrap()
    };
    let density = |row: usize| -> f64 {
        let component =
            |k: usize| single(k).marginal_pdf(0, y[[row, 0]], v) * single(k).marginal_pdf(1, y[[row, 1]], v);
        0.3 * component(0) + 0.7 * component(1)
    };
    let weights = column((0..side * side).map(|row| density(row) * spacing * spacing)).flatten(0, -1);
    assert!((weights.sum(Kind::Double).double_value(&[]) - 1.0).abs() < 1e-12);
    let square = (explicit_rows(&tensor(&truth), &tensor(&(&truth * 0.0))).unwrap() * &weights).sum(Kind::Double);
    for seed in 3..5 {
        let network = Network::new(2, seed);
        let h = network.score(&tensor(&y)).unwrap();
        let (esm, explicit) = network.gradient(&explicit_rows(&h, &tensor(&truth)).unwrap(), &weights);
        let rows = implicit_rows(|y| network.score(y), &tensor(&y), Trace::Exact).unwrap();
        let (ism, implicit) = network.gradient(&rows, &weights);
        assert_equal(&explicit, &implicit);
        assert!((esm - ism - square.double_value(&[])).abs() < 1e-10);
    }
}

#[test]
fn constant_models_have_no_slope() {
    let y = tensor(&normals(93, 3, 2));
    let constant = |y: &Tensor| y.f_zeros_like()?.f_add_scalar(0.5);
    let expected = Array1::from_elem(3, 2.0 * (0.125 + 0.5));
    near(&implicit_rows(constant, &y, Trace::Exact).unwrap(), &expected, 1e-14);
    near(&implicit_rows(constant, &y, Trace::Hutchinson(Probes::new(1))).unwrap(), &expected, 1e-14);
    // The same with a parameter that autograd follows and y that it does not reach.
    let parameter = Tensor::from_slice(&[0.5, 0.5]).to_kind(Kind::Double).set_requires_grad(true);
    let learned = |y: &Tensor| parameter.f_expand_as(y);
    near(&implicit_rows(learned, &y, Trace::Exact).unwrap(), &expected, 1e-14);
}

#[test]
fn bad_shapes_are_refused() {
    let (a, b) = (tensor(&normals(94, 3, 2)), tensor(&normals(94, 3, 1)));
    let shape = |result: Result<Tensor, TchError>| assert!(matches!(result, Err(TchError::Shape(_))));
    shape(explicit_rows(&a, &b));
    shape(denoising_rows(&a, &b, &[1.0; 3]));
    shape(denoising_rows(&a, &a, &[1.0; 2]));
    shape(implicit_rows(|y| y.f_narrow(1, 0, 1), &a, Trace::Exact));
    shape(sliced_rows(|y| y.f_narrow(1, 0, 1), &a, Probes::new(1)));
    let none = Probes { count: 0, ..Probes::new(1) };
    shape(implicit_rows(|y| y.f_sin(), &a, Trace::Hutchinson(none)));
    shape(sliced_rows(|y| y.f_sin(), &a, none));
}
