//! Predictor–corrector: after each step of another sampler, Langevin dynamics at the level reached.
//!
//! ```text
//! η = snr · v',       `corrections` times:   ȳ ← ȳ + η g + √(2η) z = (1 − snr) ȳ + snr D + √(2 snr v') z
//! ```
//!
//! The corrector is mirrored Langevin dynamics with the entropy mirror map `φ(x) = Σ x ln x − x`, `∇φ = ln x`, whose dual
//! variable is the log state: it pulls the marginal at `v'` towards the model's, whatever the predictor left behind. At `v' = 0` there
//! is none. No fixed order; `corrections` network calls for each step but the last, besides the predictor's.
//!
//! Source: Song et al. (2021), arXiv 2011.13456, algorithm 3, with the step in units of the noise level, in the logarithm of
//! the state.

use serde::{Deserialize, Serialize};

use crate::config::SamplerConfig;
use crate::error::{ConfigError, SampleError, counted, positive};
use crate::sampler::{Sampler, Stepper};
use crate::state::State;

const NAME: &str = "predictor-corrector";

/// Settings of predictor–corrector sampling.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CorrectedConfig {
    /// The sampler whose steps are corrected.
    pub predictor: Box<SamplerConfig>,
    /// Step of the corrector as a part of the log variance, positive and below 1.
    #[serde(default = "default_snr")]
    pub snr: f64,
    /// Corrections after each step, at least 1.
    #[serde(default = "default_corrections")]
    pub corrections: usize,
}

fn default_snr() -> f64 {
    0.1
}

fn default_corrections() -> usize {
    1
}

/// Predictor–corrector; see the module documentation.
pub struct Corrected<S> {
    predictor: Box<dyn Sampler<S>>,
    snr: f64,
    corrections: usize,
}

impl<S: State + 'static> Corrected<S> {
    /// Checks the settings once, the predictor's too.
    ///
    /// # Errors
    /// Names the setting that is not allowed; an ambient sampler or another corrected one cannot be the predictor.
    pub fn new(config: &CorrectedConfig) -> Result<Self, ConfigError> {
        positive(NAME, "snr", config.snr)?;
        if config.snr >= 1.0 {
            return Err(ConfigError::TooLarge { what: NAME, name: "snr", value: config.snr, limit: 1.0 });
        }
        counted(NAME, "corrections", config.corrections)?;
        let predictor = config.predictor.build()?;
        if config.predictor.is_ambient() || matches!(*config.predictor, SamplerConfig::PredictorCorrector(_)) {
            return Err(ConfigError::Predictor(predictor.name()));
        }
        Ok(Self { predictor, snr: config.snr, corrections: config.corrections })
    }
}

impl<S: State> Sampler<S> for Corrected<S> {
    fn step(&self, s: &mut Stepper<'_, S>) -> Result<(), SampleError> {
        self.predictor.step(s)?;
        if s.v_next > 0.0 {
            for _ in 0..self.corrections {
                let denoised = s.denoise(s.v_next)?;
                s.combine(1.0 - self.snr, &[(self.snr, &denoised)], (2.0 * self.snr * s.v_next).sqrt())?;
            }
        }
        Ok(())
    }

    fn calls(&self, steps: usize) -> usize {
        self.predictor.calls(steps) + self.corrections * steps.saturating_sub(1)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}
