//! An adaptive Runge–Kutta method on the probability flow: Bogacki and Shampine's pair of orders 3 and 2.
//!
//! ```text
//! u = ln r,      dȳ/du = f(ȳ, u) = ȳ − D(ȳ, e^{2u}),      the steps go down
//! ```
//!
//! The pair and its step sizes are in the module `embedded`, which likelihoods share. A step is taken when the error is
//! within `absolute + relative |ȳ|` (root mean square over an image, the worst image of the batch). The grid says only
//! where a callback looks; between its levels there are as many steps as the tolerance wants. The last grid step, to
//! `r' = 0`, ends in `D`. The step sizes depend on the whole batch, and with them the result of an image, within the
//! tolerance.
//!
//! Source: Bogacki and Shampine (1989), Appl. Math. Lett. 2(4), 321; step size control after Hairer, Nørsett and Wanner
//! (1993).

use serde::{Deserialize, Serialize};

use crate::embedded::{Leg, Problem, advance};
use crate::error::{ConfigError, SampleError, counted, positive};
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

const NAME: &str = "adaptive";

/// Settings of the adaptive method.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// The flow as an equation in `u = ln r`.
struct Slopes<'a, 'b, S: State> {
    stepper: &'a Stepper<'b, S>,
    config: AdaptiveConfig,
}

impl<S: State> Problem for Slopes<'_, '_, S> {
    type State = S;

    fn slope(&mut self, y: &S, u: f64) -> Result<S, SampleError> {
        let mut slope = self.stepper.denoise_at(y, (2.0 * u).exp())?;
        slope.combine(-1.0, &[(1.0, y)]);
        Ok(slope)
    }

    fn combine(&self, y: &S, alpha: f64, terms: &[(f64, &S)]) -> S {
        let mut moved = y.duplicate();
        moved.combine(alpha, terms);
        moved
    }

    fn norm(&self, error: &S, moved: &S) -> f64 {
        error.error_norm(moved, self.config.absolute, self.config.relative)
    }

    fn index(&self) -> usize {
        self.stepper.index
    }
}

impl<S: State> Sampler<S> for Adaptive {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        if s.v_next == 0.0 {
            s.state = s.denoise(s.v)?;
            return Ok(());
        }
        let leg = Leg { from: 0.5 * s.v.ln(), to: 0.5 * s.v_next.ln(), most_steps: self.config.most_steps };
        let mut pace = s.pace;
        let start = s.state.duplicate();
        s.state = advance(&mut Slopes { stepper: s, config: self.config }, start, leg, &mut pace)?;
        s.pace = pace;
        Ok(())
    }

    /// The fewest: one step for each grid interval.
    fn calls(&self, steps: usize) -> usize {
        (4 * steps).saturating_sub(3)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}
