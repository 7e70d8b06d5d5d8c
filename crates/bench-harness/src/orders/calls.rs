//! Error against network calls: every sampler from one start down to 0, as in practice.
//!
//! ```text
//! start    the exact law at r = 3, as the quantiles of n equally probable states
//! grid     Karras (ρ = 7) from r = 3 to r = 0.002, then 0; the published forms: uniform in v, δ = 1/N, no annealing
//! error    Wasserstein-1 distance of ln |x| to the clean data
//! ```
//!
//! Noise goes by rank ([`samplers::order::ranked`]), so that the scatter is small against the errors; it is measured by a second
//! seed.

use anyhow::{Context, Result};
use samplers::SamplerConfig;
use samplers::order::problem::{Practical, R_MAX, Subject, Theory, one_dimension};
use samplers::order::ranked::Ensemble;
use samplers::order::reached::{Reached, converges, last_step};
use samplers::order::slope;

use super::spread;
use crate::session::Session;

/// Samplers that are shown together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panel {
    /// Probability flow.
    Flow,
    /// With noise, in log space.
    Noise,
    /// In ambient space, and the published forms.
    Ambient,
}

/// One sampler with ever finer settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// The sampler.
    pub sampler: &'static str,
    /// Where it is shown.
    pub panel: Panel,
    /// What theory says of it.
    pub theory: Theory,
    /// What is refined.
    pub refined: &'static str,
    /// Where it ended, with few calls first.
    pub reached: Vec<Reached>,
}

/// All samplers.
#[derive(Clone, Debug, PartialEq)]
pub struct Ways {
    /// One for each sampler.
    pub ways: Vec<Way>,
    /// What the grid's last step leaves of an exact law.
    pub last_step: f64,
    /// States that stand for the law.
    pub states: usize,
}

impl Ways {
    /// The samplers without an order.
    pub fn exempt(&self) -> impl Iterator<Item = &Way> {
        self.ways.iter().filter(|way| way.theory == Theory::Convergence)
    }

    /// Whether a sampler comes to the truth.
    #[must_use]
    pub fn converges(&self, way: &Way) -> bool {
        converges(&way.reached, self.last_step)
    }

    /// The largest scatter of the samplers of a panel at their finest settings, if they have noise.
    #[must_use]
    pub fn scatter(&self, panel: Panel) -> Option<f64> {
        let finest = self.ways.iter().filter(|way| way.panel == panel).filter_map(|way| way.reached.last());
        finest.map(|reached| reached.scatter).filter(|scatter| *scatter > 0.0).max_by(f64::total_cmp)
    }

    /// How the distance falls with the calls where it is above twice the floor: minus the log-log slope; NaN for less than two points.
    #[must_use]
    pub fn rate(&self, way: &Way) -> f64 {
        let above = way.reached.iter().filter(|r| r.wasserstein > 2.0 * r.scatter.max(self.last_step));
        let (calls, errors): (Vec<usize>, Vec<f64>) = above.map(|r| (r.calls, r.wasserstein)).unzip();
        slope(&calls, &errors)
    }
}

impl Way {
    /// Where it ended, in words.
    #[must_use]
    pub fn verdict(&self) -> String {
        let distances: Vec<String> = self.reached.iter().map(|r| format!("{:.1e}", r.wasserstein)).collect();
        format!("{} does not converge to the truth: distances {}", self.sampler, distances.join(", "))
    }
}

fn panel(subject: &Subject) -> (Panel, &'static str) {
    match subject.sampler {
        SamplerConfig::Adaptive(_) => (Panel::Flow, "tolerance"),
        SamplerConfig::PredictorCorrector(_) => (Panel::Noise, "steps, and the corrector's step"),
        SamplerConfig::PublishedDaleLangevin(_) | SamplerConfig::PublishedUnconstrained(_) => {
            (Panel::Ambient, "levels N, δ = 1/N")
        }
        SamplerConfig::StochasticHeun(_) => (Panel::Noise, "steps, churn 8"),
        _ if subject.sampler.is_ambient() => (Panel::Ambient, "steps"),
        _ if matches!(subject.theory(), Theory::Flow { .. }) => (Panel::Flow, "steps"),
        _ => (Panel::Noise, "steps"),
    }
}

/// Runs all subjects with all their settings on `states` states.
///
/// # Errors
/// If a sampler fails; if the user stopped it.
pub fn measure(subjects: &[Subject], states: usize, session: &Session) -> Result<Ways> {
    let ensemble = Ensemble::new(&one_dimension(), R_MAX * R_MAX, states)?;
    let tasks: Vec<(usize, Practical)> = subjects
        .iter()
        .enumerate()
        .flat_map(|(i, subject)| subject.practical().into_iter().map(move |practical| (i, practical)))
        .collect();
    let run = |(i, practical): &(usize, Practical)| {
        practical.reach(&ensemble).map(|reached| (*i, reached)).with_context(|| subjects[*i].name)
    };
    let reached = spread("network calls", "runs", &tasks, session, run)?;
    let ways = subjects.iter().enumerate().map(|(i, subject)| {
        let (panel, refined) = panel(subject);
        let reached = reached.iter().filter(|(of, _)| *of == i).map(|(_, reached)| *reached).collect();
        Way { sampler: subject.name, panel, theory: subject.theory(), refined, reached }
    });
    Ok(Ways { ways: ways.collect(), last_step: last_step(&one_dimension(), states)?, states })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(distances: &[f64], scatter: f64) -> Way {
        let reached = |(k, &wasserstein): (usize, &f64)| Reached {
            steps: 5 << k,
            calls: 10 << k,
            wasserstein,
            scatter,
            negative: 0.0,
        };
        let reached = distances.iter().enumerate().map(reached).collect();
        Way { sampler: "one", panel: Panel::Noise, theory: Theory::Convergence, refined: "steps", reached }
    }

    #[test]
    fn rates_are_taken_above_the_floor() {
        let ways = |way: Way| Ways { ways: vec![way], last_step: 1e-5, states: 1 };
        let on_floor = ways(way(&[0.4, 0.1, 0.025, 0.001, 0.001], 0.001));
        assert!((on_floor.rate(&on_floor.ways[0]) - 2.0).abs() < 1e-12);
        assert_eq!(on_floor.scatter(Panel::Noise), Some(0.001));
        assert_eq!(on_floor.scatter(Panel::Flow), None);
        assert!(on_floor.converges(&on_floor.ways[0]));
        let stuck = ways(way(&[0.4, 0.4, 0.4, 0.4], 0.0));
        assert!(!stuck.converges(&stuck.ways[0]) && stuck.exempt().count() == 1);
        assert!(stuck.ways[0].verdict().contains("4.0e-1, 4.0e-1"));
        assert_eq!(stuck.scatter(Panel::Noise), None);
    }

    #[test]
    fn panels_hold_at_most_six() {
        let subjects = samplers::order::problem::subjects();
        for one in [Panel::Flow, Panel::Noise, Panel::Ambient] {
            let held = subjects.iter().filter(|s| panel(s).0 == one).count();
            assert!((1..=6).contains(&held), "{one:?}: {held}");
        }
    }
}
