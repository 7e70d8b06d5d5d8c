//! An adaptive Runge–Kutta method on the probability flow: Bogacki and Shampine's pair of orders 3 and 2.
//!
//! ```text
//! u = ln r,      dȳ/du = f(ȳ, u) = ȳ − D(ȳ, e^{2u}),      step k (negative: r falls)
//! f₁ = f(ȳ, u),   f₂ = f(ȳ + ½k f₁, u + ½k),   f₃ = f(ȳ + ¾k f₂, u + ¾k)
//! ȳ' = ȳ + k (2/9 f₁ + 1/3 f₂ + 4/9 f₃),      f₄ = f(ȳ', u + k)
//! error = k (−5/72 f₁ + 1/12 f₂ + 1/9 f₃ − 1/8 f₄)
//! ```
//!
//! A step is taken when the error is within `absolute + relative |ȳ|` (root mean square over an image, the worst image of
//! the batch) and its size follows `error^{−1/3}`; the last slope of a step is the first of the next. The grid says only where a
//! callback looks; between its levels there are as many steps as the tolerance wants. The last grid step, to `r' = 0`, ends in
//! `D`. The step sizes depend on the whole batch, and with them the result of an image, within the tolerance.
//!
//! Source: Bogacki and Shampine (1989), Appl. Math. Lett. 2(4), 321; step size control after Hairer, Nørsett and Wanner (1993).

use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, SampleError, counted, positive};
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

const NAME: &str = "adaptive";

/// Settings of the adaptive method.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptiveConfig {
    /// Allowed error of a step as a part of `|ȳ|`, positive.
    pub relative: f64,
    /// Allowed error of a step where `ȳ` is small, positive.
    pub absolute: f64,
    /// Steps, refused ones too, after which a grid interval is given up; at least 1.
    pub most_steps: usize,
}

impl Default for AdaptiveConfig {
    fn default() -> Self {
        Self { relative: 0.01, absolute: 0.01, most_steps: 10_000 }
    }
}

/// Bogacki and Shampine's method; see the module documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Adaptive {
    config: AdaptiveConfig,
}

impl Adaptive {
    /// Checks the settings once.
    ///
    /// # Errors
    /// Names the tolerance that is not positive and finite, or the count that is 0.
    pub fn new(config: AdaptiveConfig) -> Result<Self, ConfigError> {
        positive(NAME, "relative", config.relative)?;
        positive(NAME, "absolute", config.absolute)?;
        counted(NAME, "most_steps", config.most_steps)?;
        Ok(Self { config })
    }
}

/// A stage: the state `ȳ + k Σ a_j f_j`.
fn stage<S: State>(state: &S, k: f64, slopes: &[(f64, &S)]) -> S {
    let terms: Vec<(f64, &S)> = slopes.iter().map(|&(a, f)| (k * a, f)).collect();
    let mut moved = state.duplicate();
    moved.combine(1.0, &terms);
    moved
}

impl<S: State> Sampler<S> for Adaptive {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        if s.v_next == 0.0 {
            s.state = s.denoise(s.v)?;
            return Ok(());
        }
        let slope = |s: &Stepper<'_, S>, state: &S, u: f64| -> Result<S, SampleError> {
            let mut slope = s.denoise_at(state, (2.0 * u).exp())?;
            slope.combine(-1.0, &[(1.0, state)]);
            Ok(slope)
        };
        let (mut u, end) = (0.5 * s.v.ln(), 0.5 * s.v_next.ln());
        let mut size = s.pace.unwrap_or(0.1);
        let mut f1 = slope(s, &s.state, u)?;
        for _ in 0..self.config.most_steps {
            // The rest in one step, or in two halves rather than in one whole and a crumb.
            let left = u - end;
            let k = if left <= size { -left } else { -size.min(0.5 * left) };
            let f2 = slope(s, &stage(&s.state, k, &[(0.5, &f1)]), u + 0.5 * k)?;
            let f3 = slope(s, &stage(&s.state, k, &[(0.75, &f2)]), u + 0.75 * k)?;
            let moved = stage(&s.state, k, &[(2.0 / 9.0, &f1), (1.0 / 3.0, &f2), (4.0 / 9.0, &f3)]);
            let f4 = slope(s, &moved, u + k)?;
            let mut error = f4.duplicate();
            error.combine(-k / 8.0, &[(-5.0 * k / 72.0, &f1), (k / 12.0, &f2), (k / 9.0, &f3)]);
            let error = error.error_norm(&moved, self.config.absolute, self.config.relative);
            // Not a number: as bad as can be.
            let factor = if error.is_finite() { 0.9 * error.max(1e-12).powf(-1.0 / 3.0) } else { 0.2 };
            let wanted = -k * factor.clamp(0.2, 5.0);
            if error <= 1.0 {
                (s.state, f1, u) = (moved, f4, u + k);
                // A step cut short by the interval's end says little about the next one.
                s.pace = Some(if -k < size { wanted.max(size) } else { wanted });
                if -k == left {
                    return Ok(());
                }
            }
            size = if error <= 1.0 { s.pace.unwrap_or(wanted) } else { wanted };
        }
        Err(SampleError::NoProgress { index: s.index, steps: self.config.most_steps, r: u.exp() })
    }

    /// The fewest: one step for each grid interval.
    fn calls(&self, steps: usize) -> usize {
        (4 * steps).saturating_sub(3)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}
