//! Exponentiated gradient on problems with known solutions and flows, with both gradients in the exponent.

#![allow(clippy::unwrap_used, reason = "the values that helpers build are known to be good")]

use gbm_sde::{Noise, Stream};
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, array};
use samplers::mirror::{
    AmbientGradient, Energy, ExponentGradient, ExponentiatedGradient, ExponentiatedGradientConfig, LogGradient,
    MirrorError,
};

fn start<E: ExponentGradient>(x: Array2<f64>, rate: f64) -> ExponentiatedGradient<E> {
    ExponentiatedGradient::new(x, &ExponentiatedGradientConfig { rate }).unwrap()
}

/// Non-negative least squares `½‖Ax − b‖²` with `Aᵀ(Ax* − b) = λ`, `λ ≥ 0`, `λ ⊙ x* = 0`: x* is its solution.
struct LeastSquares {
    a: Array2<f64>,
    b: Array1<f64>,
}

impl LeastSquares {
    /// `b = A x* − A (AᵀA)⁻¹ λ`, the inverse by conjugate gradients on the normal equations.
    fn with_solution(a: Array2<f64>, solution: &Array1<f64>, slopes: &Array1<f64>) -> Self {
        let gram = a.t().dot(&a);
        let (mut u, mut residual) = (Array1::zeros(slopes.len()), slopes.clone());
        let mut direction = residual.clone();
        for _ in 0..50 {
            let square = residual.dot(&residual);
            if square < 1e-30 {
                break;
            }
            let image = gram.dot(&direction);
            let length = square / direction.dot(&image);
            u.scaled_add(length, &direction);
            residual.scaled_add(-length, &image);
            let factor = residual.dot(&residual) / square;
            direction = &residual + &(&direction * factor);
        }
        let b = a.dot(&(solution - &u));
        Self { a, b }
    }
}

impl Energy for LeastSquares {
    fn gradient(&self, x: ArrayView2<'_, f64>, mut gradient: ArrayViewMut2<'_, f64>) {
        gradient.assign(&(x.dot(&self.a.t()) - &self.b).dot(&self.a));
    }

    fn value(&self, x: ArrayView2<'_, f64>) -> Option<Array1<f64>> {
        Some((x.dot(&self.a.t()) - &self.b).map_axis(ndarray::Axis(1), |r| 0.5 * r.dot(&r)))
    }
}

fn least_squares() -> (LeastSquares, Array1<f64>, Array1<f64>) {
    let noise = Noise::new(3);
    let a = Array2::from_shape_fn((12, 6), |(i, j)| noise.normal(Stream::INIT, i as u64, 0, j) / 12f64.sqrt());
    let (solution, slopes) = (array![1.5, 0.0, 0.3, 2.0, 0.0, 0.7], array![0.0, 0.4, 0.0, 0.0, 0.15, 0.0]);
    (LeastSquares::with_solution(a, &solution, &slopes), solution, slopes)
}

#[test]
fn egd_solves_non_negative_least_squares_from_anywhere() {
    let (problem, solution, _) = least_squares();
    // Two rows, two starts; convex, so both end at the one solution.
    let mut egd =
        start::<AmbientGradient>(array![[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [0.01, 2.0, 1.5, 0.1, 2.0, 1e-3]], 0.08);
    let divergence = |x: ArrayView2<f64>| {
        let term = |x: f64, best: f64| if best > 0.0 { best * (best / x).ln() - best + x } else { x };
        x.outer_iter().map(|row| row.iter().zip(&solution).map(|(&x, &b)| term(x, b)).sum()).collect::<Vec<f64>>()
    };
    let (mut value, mut before) = (problem.value(egd.parameters()).unwrap(), divergence(egd.parameters()));
    for _ in 0..20_000 {
        egd.step(&problem).unwrap();
        let (now, after) = (problem.value(egd.parameters()).unwrap(), divergence(egd.parameters()));
        // Descent, and mirror descent's Lyapunov function: the divergence to the solution.
        assert!(now.iter().zip(&value).all(|(n, v)| *n <= v + 1e-13), "step {}", egd.steps());
        assert!(after.iter().zip(&before).all(|(a, b)| *a <= b + 1e-13), "step {}", egd.steps());
        (value, before) = (now, after);
    }
    for row in egd.parameters().outer_iter() {
        assert!(row.iter().zip(&solution).all(|(x, best)| (x - best).abs() < 1e-9), "{row}");
    }
}

#[test]
fn towards_a_zero_the_ambient_exponent_is_geometric_and_the_other_one_is_not() {
    let (problem, _, slopes) = least_squares();
    let rate = 0.2;
    let mut egd = start::<AmbientGradient>(Array2::ones((1, 6)), rate);
    for _ in 0..10_000 {
        egd.step(&problem).unwrap();
    }
    let before = egd.log_magnitudes().to_owned();
    egd.step(&problem).unwrap();
    for j in [1, 4] {
        let fall = before[[0, j]] - egd.log_magnitudes()[[0, j]];
        assert!((fall - rate * slopes[j]).abs() < 1e-9, "{fall}");
    }
    // x ← x exp(−η λ x): 1/x grows by ηλ a step, in the end.
    let linear = |_: ArrayView2<f64>, mut g: ArrayViewMut2<f64>| g.fill(0.4);
    let mut log = start::<LogGradient>(array![[1.0]], rate);
    let steps = 20_000;
    for _ in 0..steps {
        log.step(&linear).unwrap();
    }
    let expected = 1.0 / (1.0 + rate * 0.4 * f64::from(steps));
    assert!((log.parameters()[[0, 0]] / expected - 1.0).abs() < 0.01);
}

/// Error at time 1 of a step size, against a closed form.
fn error<E: ExponentGradient>(energy: &impl Energy, from: f64, exact: f64, steps: u32) -> f64 {
    let mut descent = start::<E>(array![[from]], 1.0 / f64::from(steps));
    for _ in 0..steps {
        descent.step(energy).unwrap();
    }
    descent.parameters()[[0, 0]] - exact
}

#[test]
fn small_steps_follow_the_two_mirror_flows_to_first_order() {
    // f = ½(x − c)²: dx/dt = −x(x − c) is the logistic equation; the other flow is dx/dt = −x²(x − c).
    let (c, from) = (1.7_f64, 0.2_f64);
    let quadratic = |x: ArrayView2<f64>, mut g: ArrayViewMut2<f64>| g.assign(&(&x - c));
    let logistic = c / (1.0 + (c / from - 1.0) * (-c).exp());
    // Its time as a function of x, by separation; inverted by bisection.
    let time = |x: f64| (x / from * (c - from) / (c - x)).ln() / (c * c) + (1.0 / from - 1.0 / x) / c;
    let (mut low, mut high) = (from, c - 1e-12);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if time(middle) < 1.0 { low = middle } else { high = middle }
    }
    assert!((logistic - low).abs() > 0.1, "the two flows end in different places");
    let ambient = [64, 128, 256].map(|n| error::<AmbientGradient>(&quadratic, from, logistic, n));
    let log = [64, 128, 256].map(|n| error::<LogGradient>(&quadratic, from, low, n));
    for errors in [ambient, log] {
        for pair in errors.windows(2) {
            let order = (pair[0] / pair[1]).log2();
            assert!((order - 1.0).abs() < 0.05, "{errors:?}");
        }
    }
}

#[test]
fn one_exponent_is_the_other_times_the_magnitude() {
    let noise = Noise::new(9);
    let draw = |step| Array2::from_shape_fn((50, 20), |(i, j)| noise.normal(Stream::INIT, i as u64, step, j));
    let (x, gradient, rate) = (draw(0), draw(1), 0.37);
    let mut ambient = start::<AmbientGradient>(x.clone(), rate);
    let mut log = start::<LogGradient>(x.clone(), rate);
    ambient.step_against(gradient.view()).unwrap();
    log.step_against(gradient.view()).unwrap();
    for (((&x, &g), &a), &l) in x.iter().zip(&gradient).zip(&ambient.parameters()).zip(&log.parameters()) {
        let (in_ambient, in_log) = ((a / x).ln(), (l / x).ln());
        assert!((in_ambient + rate * x.signum() * g).abs() < 1e-14);
        assert!((in_log - x.abs() * in_ambient).abs() < 1e-14 * (1.0 + in_ambient.abs()) * (1.0 + x.abs()));
        // … and the step of the log-space exponent is gradient descent on ln |x|: ∂f/∂y = x ∂f/∂x.
        assert!((in_log + rate * x * g).abs() < 1e-14 * (1.0 + x.abs()) * (1.0 + g.abs()));
    }
}

#[test]
fn signs_stay_under_ten_million_extreme_updates_and_zeros_are_underflows() {
    let noise = Noise::new(11);
    let (rows, columns) = (100, 1_000);
    let x = Array2::from_shape_fn((rows, columns), |(i, j)| noise.normal(Stream::INIT, i as u64, 0, j));
    let mut egd = start::<AmbientGradient>(x.clone(), 1.0);
    let mut gradient = vec![0.0; rows * columns];
    let mut zeros = 0;
    for step in 0..100 {
        noise.rows_normal_f64(Stream::SAMPLER, 0, step, &mut gradient, columns);
        // Up to hundreds in the exponent, and back.
        let scaled = ArrayView2::from_shape((rows, columns), &gradient).unwrap().mapv(|g| 60.0 * g);
        egd.step_against(scaled.view()).unwrap();
        for ((&now, &first), &y) in egd.parameters().iter().zip(&x).zip(&egd.log_magnitudes()) {
            assert!(now.is_sign_negative() == first.is_sign_negative());
            assert!(now != 0.0 || y < f64::MIN_POSITIVE.ln() - 35.0);
            zeros += u32::from(now == 0.0);
        }
    }
    assert!(zeros > 0, "the test reaches underflow");
}

#[test]
fn what_cannot_be_done_is_refused_with_its_place() {
    let config = ExponentiatedGradientConfig::default();
    for bad in [0.0, -0.0, f64::NAN, f64::INFINITY] {
        let refused = ExponentiatedGradient::<AmbientGradient>::new(array![[1.0, bad]], &config).unwrap_err();
        assert!(matches!(refused, MirrorError::Start { row: 0, column: 1, .. }), "{refused}");
    }
    for rate in [0.0, -1.0, f64::NAN] {
        let config = ExponentiatedGradientConfig { rate };
        let refused = ExponentiatedGradient::<AmbientGradient>::new(array![[1.0]], &config).unwrap_err();
        assert!(matches!(refused, MirrorError::Config(_)) && refused.to_string().contains("rate"));
    }
    let mut egd = start::<AmbientGradient>(array![[1.0, -2.0]], 0.1);
    assert!(matches!(egd.step_against(array![[1.0]].view()), Err(MirrorError::Shape { found: [1, 1], .. })));
    let refused = egd.step_against(array![[1.0, f64::NAN]].view()).unwrap_err();
    assert!(matches!(refused, MirrorError::Diverged { row: 0, column: 1, value: -2.0, .. }), "{refused}");
    assert_eq!(egd.parameters(), array![[1.0, -2.0]], "a refused step changes nothing");
}
