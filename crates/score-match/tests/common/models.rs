//! Seven unlike families of one-dimensional Hyvärinen scores `h_θ(y)`, `y = ln x`, four parameters each.

use super::jet::Jet;

pub(crate) type Family = fn(Jet, [Jet; 4]) -> Jet;

pub(crate) const FAMILIES: [(&str, Family); 7] = [
    ("cubic in ln x", |y, [a, b, c, d]| a + y * (b + y * (c + y * d))),
    ("tanh features", |y, [a, b, c, d]| a * (b * y + c).tanh() + d * (y * y).tanh()),
    ("radial basis", |y, [a, b, c, d]| {
        a * (-(y - b) * (y - b)).exp() + c * (Jet::from(-0.6) * (y + d) * (y + d)).exp()
    }),
    ("rational", |y, [a, b, c, d]| (a + b * y) / (Jet::from(2.0) + (c * y + d) * (c * y + d))),
    ("Gaussian score", |y, [a, b, c, d]| Jet::from(-1.0) - (y - a) * (-b).exp() + c * d),
    ("powers of x", |y, [a, b, c, d]| a + b * (Jet::from(0.15) * c * y).exp() + d * (y * Jet::from(0.3)).exp()),
    ("waves", |y, [a, b, c, d]| a * (b * y + c).sin() - d * y),
];

pub(crate) const PARAMETERS: [[f64; 4]; 4] =
    [[0.3, -0.7, 0.5, 0.11], [-1.2, 0.9, 0.8, -0.4], [0.05, 0.4, -1.1, 0.7], [2.1, -0.2, 0.6, 1.3]];

/// Value, slope by `y`, and both again differentiated by parameter `by`.
pub(crate) fn at(family: Family, theta: [f64; 4], by: usize, y: f64) -> Jet {
    family(Jet::state(y), std::array::from_fn(|k| Jet::parameter(theta[k], k == by)))
}
