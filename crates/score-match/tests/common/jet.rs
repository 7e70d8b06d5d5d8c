//! Forward differentiation: a number with its derivatives by the state `y`, by one parameter `t`, and by both.

use std::ops::{Add, Div, Mul, Neg, Sub};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Jet {
    pub(crate) f: f64,
    pub(crate) y: f64,
    pub(crate) t: f64,
    pub(crate) yt: f64,
}

impl Jet {
    pub(crate) fn state(y: f64) -> Self {
        Self { f: y, y: 1.0, t: 0.0, yt: 0.0 }
    }

    pub(crate) fn parameter(value: f64, wanted: bool) -> Self {
        Self { f: value, y: 0.0, t: f64::from(u8::from(wanted)), yt: 0.0 }
    }

    /// A function of one variable, from its value and its first two derivatives.
    fn chain(self, f: f64, d1: f64, d2: f64) -> Self {
        Self { f, y: d1 * self.y, t: d1 * self.t, yt: d1 * self.yt + d2 * self.y * self.t }
    }

    pub(crate) fn exp(self) -> Self {
        let e = self.f.exp();
        self.chain(e, e, e)
    }

    pub(crate) fn tanh(self) -> Self {
        let f = self.f.tanh();
        self.chain(f, 1.0 - f * f, -2.0 * f * (1.0 - f * f))
    }

    pub(crate) fn sin(self) -> Self {
        let (sin, cos) = self.f.sin_cos();
        self.chain(sin, cos, -sin)
    }
}

impl From<f64> for Jet {
    fn from(f: f64) -> Self {
        Self::parameter(f, false)
    }
}

impl Add for Jet {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self { f: self.f + o.f, y: self.y + o.y, t: self.t + o.t, yt: self.yt + o.yt }
    }
}

impl Neg for Jet {
    type Output = Self;
    fn neg(self) -> Self {
        Self { f: -self.f, y: -self.y, t: -self.t, yt: -self.yt }
    }
}

impl Sub for Jet {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        self + -o
    }
}

impl Mul for Jet {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self {
            f: self.f * o.f,
            y: self.y * o.f + self.f * o.y,
            t: self.t * o.f + self.f * o.t,
            yt: self.yt * o.f + self.y * o.t + self.t * o.y + self.f * o.yt,
        }
    }
}

impl Div for Jet {
    type Output = Self;
    #[allow(clippy::suspicious_arithmetic_impl, reason = "division is the product with the reciprocal")]
    fn div(self, o: Self) -> Self {
        self * o.chain(1.0 / o.f, -1.0 / (o.f * o.f), 2.0 / (o.f * o.f * o.f))
    }
}
