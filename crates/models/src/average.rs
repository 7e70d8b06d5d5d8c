//! Averages of the weights over the steps of training.
//!
//! * **exponential**: `a ← β a + (1 − β) w` with `β_k = min(decay, (k + 1)/(k + 10))`: early on it averages over the last tenth, so
//!   that a short run is not dominated by its initial values;
//! * **power function** (Karras et al. 2024, "EDM2", appendix C): weights of step τ count as `τ^γ`, so the average's width is a
//!   fixed part of the training time, whatever that is. `β_k = (1 − 1/k)^(γ+1)` keeps it. From a few such averages, saved at several
//!   steps, that of any other width follows by least squares: [`combination`].

use faer::linalg::solvers::SolveLstsq;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad};

use crate::optim::Guard;
use crate::params::Flat;
use crate::{ModelError, Result};

/// Which average, as in the experiment's `training.averages`: `{ decay = 0.999 }` or `{ width = 0.05 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "Written", into = "Written")]
pub enum AverageKind {
    /// Exponential.
    Exponential {
        /// Largest decay, in [0, 1).
        decay: f64,
    },
    /// Power function.
    Power {
        /// Standard deviation of the weighting in time, as a part of the training so far: in (0, 0.28].
        width: f64,
    },
}

/// An average as it is written: one of the two keys.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decay: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<f64>,
}

impl TryFrom<Written> for AverageKind {
    type Error = &'static str;

    fn try_from(written: Written) -> std::result::Result<Self, Self::Error> {
        match written {
            Written { decay: Some(decay), width: None } => Ok(Self::Exponential { decay }),
            Written { decay: None, width: Some(width) } => Ok(Self::Power { width }),
            _ => Err("an average has either a `decay` or a `width`"),
        }
    }
}

impl From<AverageKind> for Written {
    fn from(kind: AverageKind) -> Self {
        match kind {
            AverageKind::Exponential { decay } => Self { decay: Some(decay), width: None },
            AverageKind::Power { width } => Self { decay: None, width: Some(width) },
        }
    }
}

impl AverageKind {
    /// Checks the number.
    ///
    /// # Errors
    /// [`ModelError::Config`] with the value.
    pub fn check(self) -> Result<()> {
        let refuse = |value: f64, reason: &str| {
            Err(ModelError::Config { key: "average", value: value.to_string(), reason: reason.to_owned() })
        };
        match self {
            Self::Exponential { decay } if !(0.0..1.0).contains(&decay) => refuse(decay, "the decay must be in [0, 1)"),
            Self::Power { width } if !(width > 0.0 && width <= WIDEST) => {
                refuse(width, "the width must be above 0 and at most 0.28 (an even average of all steps has 0.2887)")
            }
            _ => Ok(()),
        }
    }

    /// Part of the average that is kept at step `k`, counted from 0.
    #[must_use]
    pub fn decay_at(self, k: u64) -> f64 {
        let k = k as f64;
        match self {
            Self::Exponential { decay } => decay.min((k + 1.0) / (k + 10.0)),
            Self::Power { width } => (k / (k + 1.0)).powf(exponent(width) + 1.0),
        }
    }

    /// Name for files and tables, e.g. `decay-0.999`, `width-0.05`.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::Exponential { decay } => format!("decay-{decay}"),
            Self::Power { width } => format!("width-{width}"),
        }
    }
}

/// Widest power function that is accepted; `γ = 0`, an even average, has 1/√12.
const WIDEST: f64 = 0.28;

/// An average with its kind.
#[derive(Debug)]
pub struct Average {
    /// How it weighs the steps.
    pub kind: AverageKind,
    /// The average.
    pub value: Flat,
}

impl Average {
    /// Starts at the parameters themselves.
    pub fn new(kind: AverageKind, parameters: &Flat) -> Result<Self> {
        Ok(Self { kind, value: parameters.duplicate()? })
    }

    /// Takes in the parameters after step `k`, unless `guard` has been raised.
    pub fn update(&mut self, parameters: &Flat, k: u64, guard: &Guard) -> Result<()> {
        let weight = guard.gated(1.0 - self.kind.decay_at(k))?;
        let _ = no_grad(|| self.value.tensor_mut().f_lerp_tensor_(parameters.tensor(), &weight))?;
        Ok(())
    }
}

/// `γ` of a power function with standard deviation `width` (in parts of the training time): the root of
/// `σ² (γ+2)² (γ+3) = γ + 1`, by bisection on its falling branch.
///
/// EDM2's equation 126: `σ = (γ+1)^½ (γ+2)^-1 (γ+3)^-½`.
#[must_use]
pub fn exponent(width: f64) -> f64 {
    let sd = |g: f64| ((g + 1.0) / (g + 3.0)).sqrt() / (g + 2.0);
    let (mut low, mut high) = (0.0, 1.0);
    while sd(high) > width && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if sd(middle) > width {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// An average that was saved: the step at which it was, and its exponent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saved {
    /// Steps taken by then, at least 1.
    pub step: u64,
    /// `γ`.
    pub exponent: f64,
}

impl Saved {
    /// `∫ p(τ; a) p(τ; b) dτ` of the densities `(γ+1) τ^γ / t^(γ+1)` on `[0, t]`; EDM2's equation 150.
    fn dot(self, other: Self) -> f64 {
        let (first, last) = if self.step <= other.step { (self, other) } else { (other, self) };
        let (a, b) = (first.exponent, last.exponent);
        let (s, t) = (first.step as f64, last.step as f64);
        (a + 1.0) * (b + 1.0) / (a + b + 1.0) * (s / t).powf(b) / t
    }
}

/// The weights `c_i` with which `Σ c_i p(τ; saved_i)` comes nearest to `p(τ; wanted)` in the mean square.
///
/// # Errors
/// [`ModelError::Config`] if nothing was saved.
pub fn combination(saved: &[Saved], wanted: Saved) -> Result<Vec<f64>> {
    if saved.is_empty() {
        let reason = "no power-function average was saved: give training.averages at least one { width = … }";
        return Err(ModelError::Config { key: "averages", value: "[]".to_owned(), reason: reason.to_owned() });
    }
    let n = saved.len();
    // Each row and column is divided by its norm: the densities' norms differ by orders of magnitude.
    let norm: Vec<f64> = saved.iter().map(|s| s.dot(*s).sqrt()).collect();
    let gram = faer::Mat::from_fn(n, n, |i, j| saved[i].dot(saved[j]) / (norm[i] * norm[j]));
    let right = faer::Mat::from_fn(n, 1, |i, _| saved[i].dot(wanted) / norm[i]);
    let solution = gram.col_piv_qr().solve_lstsq(&right);
    Ok((0..n).map(|i| solution[(i, 0)] / norm[i]).collect())
}

/// `Σ c_i tensor_i`, in f64.
///
/// # Errors
/// libtorch's message if the lengths differ.
pub fn combined(parts: impl Iterator<Item = Result<(f64, Tensor)>>) -> Result<Option<Tensor>> {
    let mut sum: Option<Tensor> = None;
    for part in parts {
        let (weight, tensor) = part?;
        let term = tensor.f_to_kind(tch::Kind::Double)?.f_mul_scalar(weight)?;
        sum = Some(match sum {
            Some(sum) => sum.f_add(&term)?,
            None => term,
        });
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Init, Layout};
    use tch::Kind;

    fn flat(values: &[f32]) -> Flat {
        let mut layout = Layout::default();
        layout.add("w", &[values.len() as i64], Init::Zeros).unwrap();
        Flat::from_tensor(&layout, Tensor::from_slice(values)).unwrap()
    }

    #[test]
    fn the_average_of_a_constant_is_that_constant_and_warms_up() {
        let (start, later) = (flat(&[5.0]), flat(&[1.0]));
        let guard = Guard::new(&start).unwrap();
        for kind in [AverageKind::Exponential { decay: 0.999 }, AverageKind::Power { width: 0.1 }] {
            let mut average = Average::new(kind, &start).unwrap();
            for k in 0..100 {
                average.update(&later, k, &guard).unwrap();
            }
            assert!((average.value.tensor().double_value(&[0]) - 1.0).abs() < 1e-3, "{kind:?}");
        }
        let slow = AverageKind::Exponential { decay: 0.999 };
        assert!(slow.decay_at(0) < 0.11 && slow.decay_at(1_000_000) == 0.999);
    }

    #[test]
    fn a_power_functions_weights_have_the_width_that_was_asked_for() {
        for width in [0.02, 0.05, 0.1, 0.2, 0.28] {
            let kind = AverageKind::Power { width };
            // The weight of step k in the average after n steps, from the recursion itself.
            let n = 20_000_u64;
            let mut weights = vec![0.0; n as usize];
            let mut kept = 1.0;
            for k in (0..n).rev() {
                weights[k as usize] = kept * (1.0 - kind.decay_at(k));
                kept *= kind.decay_at(k);
            }
            let moment = |p: i32| -> f64 {
                weights.iter().enumerate().map(|(k, w)| w * ((k as f64 + 0.5) / n as f64).powi(p)).sum()
            };
            assert!((moment(0) - 1.0).abs() < 1e-9);
            let sd = (moment(2) - moment(1).powi(2)).sqrt();
            assert!((sd / width - 1.0).abs() < 2e-3, "{width}: {sd}");
        }
    }

    #[test]
    fn dot_products_are_those_of_quadrature() {
        let density = |s: Saved, x: f64| {
            let t = s.step as f64;
            if x < t { (s.exponent + 1.0) * (x / t).powf(s.exponent) / t } else { 0.0 }
        };
        for (a, b) in [((3, 2.5), (7, 6.0)), ((7, 2.5), (3, 6.0)), ((5, 1.0), (5, 1.0))] {
            let saved = |(step, exponent)| Saved { step, exponent };
            let (a, b) = (saved(a), saved(b));
            let end = a.step.min(b.step) as f64;
            let n = 200_000;
            let sum: f64 =
                (0..n).map(|i| (f64::from(i) + 0.5) / f64::from(n) * end).map(|x| density(a, x) * density(b, x)).sum();
            assert!((sum * end / f64::from(n) / a.dot(b) - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn an_average_of_another_width_comes_from_saved_ones() {
        // A walk of the weights, two averages saved at eight steps; a third, followed directly, is the truth.
        let (n, every) = (4_096_u64, 512);
        let start = flat(&[0.0, 0.0]);
        let guard = Guard::new(&start).unwrap();
        let widths = [0.05, 0.1];
        let mut kept: Vec<Average> =
            widths.iter().map(|&width| Average::new(AverageKind::Power { width }, &start).unwrap()).collect();
        let wanted = 0.075;
        let mut truth = Average::new(AverageKind::Power { width: wanted }, &start).unwrap();
        let (mut saved, mut tensors) = (Vec::new(), Vec::new());
        for k in 0..n {
            let x = k as f64 / n as f64;
            let w = flat(&[(3.0 * x).sin() as f32 + (40.0 * x).sin() as f32 * 0.2, (1.0 - x).exp() as f32]);
            for average in kept.iter_mut().chain([&mut truth]) {
                average.update(&w, k, &guard).unwrap();
            }
            if (k + 1) % every == 0 {
                for (average, width) in kept.iter().zip(widths) {
                    saved.push(Saved { step: k + 1, exponent: exponent(width) });
                    tensors.push(average.value.tensor().copy());
                }
            }
        }
        let c = combination(&saved, Saved { step: n, exponent: exponent(wanted) }).unwrap();
        let found = combined(c.iter().zip(&tensors).map(|(c, t)| Ok((*c, t.shallow_clone())))).unwrap().unwrap();
        let error = (found - truth.value.tensor().to_kind(Kind::Double)).abs().max().double_value(&[]);
        assert!(error < 2e-3, "{error}");
        // One that was saved comes back as itself.
        let c = combination(&saved, saved[3]).unwrap();
        assert!(c.iter().enumerate().all(|(i, c)| (c - if i == 3 { 1.0 } else { 0.0 }).abs() < 1e-6), "{c:?}");
        assert!(combination(&[], saved[0]).is_err());
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for kind in [
            AverageKind::Exponential { decay: 1.0 },
            AverageKind::Power { width: 0.0 },
            AverageKind::Power { width: 0.3 },
            AverageKind::Power { width: f64::NAN },
        ] {
            assert!(kind.check().is_err(), "{kind:?}");
        }
    }
}
