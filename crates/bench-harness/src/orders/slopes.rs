//! Log-log slopes of errors against steps, between two noise levels away from 0.
//!
//! ```text
//! weak      mean and variance of ln x, Wasserstein-1 of x       one dimension, by quadrature: exact but for 1e-10
//!           ‖E x_N − E x‖, ‖Cov x_N − Cov x‖                    two dimensions, coupled paths, with standard errors
//! strong    E ‖x_N − x‖                                         two dimensions, coupled paths
//! p         = Σ c_i (−ln e_i),   c_i = (l_i − l̄)/Σ (l_j − l̄)²,   l = ln N
//! SE(p)     ≤ √Σ (c_i SE_i/e_i)²                                equality if the grids shared no paths
//! ```

use anyhow::{Context, Result};
use samplers::Sampler;
use samplers::order::coupled::{CoupledError, Estimate, coupled_errors};
use samplers::order::law::law_error;
use samplers::order::problem::{MARGIN, RANGE, Subject, Theory, one_dimension, two_dimensions};
use samplers::order::slope;

use super::spread;
use crate::session::Session;

/// What is in error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Mean of `ln x`, one dimension.
    Mean,
    /// Variance of `ln x`, one dimension.
    Variance,
    /// Wasserstein-1 distance of `x`, one dimension.
    Wasserstein,
    /// Mean of `x`, two dimensions.
    PlaneMean,
    /// Covariance matrix of `x`, two dimensions.
    PlaneCovariance,
    /// Paths of `x`, two dimensions.
    Path,
}

impl Quantity {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 6] =
        [Self::Mean, Self::Variance, Self::Wasserstein, Self::PlaneMean, Self::PlaneCovariance, Self::Path];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean, 1D",
            Self::Variance => "variance, 1D",
            Self::Wasserstein => "W₁, 1D",
            Self::PlaneMean => "mean, 2D",
            Self::PlaneCovariance => "covariance, 2D",
            Self::Path => "strong, 2D",
        }
    }
}

/// The error on one grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Steps of the grid.
    pub steps: usize,
    /// The error.
    pub error: f64,
    /// Its standard error; 0 by quadrature.
    pub standard_error: f64,
}

/// A slope beside its theory.
#[derive(Clone, Debug, PartialEq)]
pub struct Slope {
    /// The sampler.
    pub sampler: &'static str,
    /// Whether it has noise.
    pub stochastic: bool,
    /// What is in error.
    pub quantity: Quantity,
    /// The order of theory.
    pub theory: f64,
    /// The slope.
    pub found: f64,
    /// Its standard error, at most; 0 by quadrature.
    pub standard_error: f64,
    /// The errors.
    pub points: Vec<Point>,
}

impl Slope {
    fn new(subject: &Subject, quantity: Quantity, points: Vec<Point>) -> Option<Self> {
        let theory = subject.theory();
        let order = if quantity == Quantity::Path { theory.strong() } else { theory.weak() };
        let steps: Vec<usize> = points.iter().map(|p| p.steps).collect();
        let errors: Vec<f64> = points.iter().map(|p| p.error).collect();
        let logs: Vec<f64> = steps.iter().map(|&n| (n as f64).ln()).collect();
        let middle = logs.iter().sum::<f64>() / logs.len() as f64;
        let total: f64 = logs.iter().map(|l| (l - middle).powi(2)).sum();
        let part = |(p, l): (&Point, &f64)| ((l - middle) / total * p.standard_error / p.error).powi(2);
        let variance: f64 = points.iter().zip(&logs).map(part).sum();
        Some(Self {
            sampler: subject.name,
            stochastic: matches!(theory, Theory::Stochastic { .. }),
            quantity,
            theory: order?,
            found: slope(&steps, &errors),
            standard_error: variance.sqrt(),
            points,
        })
    }

    /// Whether it is as theory says.
    #[must_use]
    pub fn holds(&self) -> bool {
        (self.found - self.theory).abs() < MARGIN
    }

    /// The slope in words.
    #[must_use]
    pub fn verdict(&self) -> String {
        format!("{}, {}: order {:.2} where theory says {}", self.sampler, self.quantity.name(), self.found, self.theory)
    }
}

/// One measurement.
enum Task<'a> {
    Law(&'a Subject),
    Moments(&'a Subject),
    Paths(&'a Subject),
}

/// Measures the slopes of all subjects that have an order.
///
/// # Errors
/// If a sampler cannot be measured; if the user stopped it.
pub fn measure(subjects: &[Subject], session: &Session) -> Result<Vec<Slope>> {
    let tasks: Vec<Task<'_>> = subjects
        .iter()
        .filter(|subject| subject.theory() != Theory::Convergence)
        .flat_map(|subject| [Task::Moments(subject), Task::Law(subject), Task::Paths(subject)])
        .collect();
    let mut slopes: Vec<Slope> = spread("orders", "measurements", &tasks, session, run)?.concat();
    // As the table has them.
    let place = |slope: &Slope| {
        let subject = subjects.iter().position(|s| s.name == slope.sampler);
        (subject, Quantity::ALL.iter().position(|q| *q == slope.quantity))
    };
    slopes.sort_by_key(place);
    Ok(slopes)
}

fn run(task: &Task<'_>) -> Result<Vec<Slope>> {
    match *task {
        Task::Law(subject) => law(subject).with_context(|| subject.name),
        Task::Moments(subject) => {
            let errors = coupled(subject, &subject.moments()).with_context(|| subject.name)?;
            Ok([
                (Quantity::PlaneMean, errors_of(&errors, |e| e.mean)),
                (Quantity::PlaneCovariance, errors_of(&errors, |e| e.covariance)),
            ]
            .into_iter()
            .filter_map(|(quantity, points)| Slope::new(subject, quantity, points))
            .collect())
        }
        Task::Paths(subject) => {
            let errors = coupled(subject, &subject.paths()).with_context(|| subject.name)?;
            Ok(Slope::new(subject, Quantity::Path, errors_of(&errors, |e| e.strong)).into_iter().collect())
        }
    }
}

fn law(subject: &Subject) -> Result<Vec<Slope>> {
    let (sampler, truth) = (subject.sampler.build()?, one_dimension());
    let mut errors = Vec::new();
    for steps in subject.law_steps() {
        errors.push((steps, law_error(&*sampler, &truth, &RANGE.grid(steps)?)?));
    }
    let points = |part: fn(&samplers::order::law::LawError) -> f64| {
        errors.iter().map(|(steps, e)| Point { steps: *steps, error: part(e).abs(), standard_error: 0.0 }).collect()
    };
    let parts = [
        (Quantity::Mean, points(|e| e.log_mean)),
        (Quantity::Variance, points(|e| e.log_variance)),
        (Quantity::Wasserstein, points(|e| e.wasserstein)),
    ];
    Ok(parts.into_iter().filter_map(|(quantity, points)| Slope::new(subject, quantity, points)).collect())
}

fn coupled(subject: &Subject, coupling: &samplers::order::coupled::Coupling) -> Result<Vec<CoupledError>> {
    let sampler: Box<dyn Sampler<ndarray::Array2<f64>>> = subject.sampler.build()?;
    Ok(coupled_errors(&*sampler, &*subject.reference().build()?, &two_dimensions(), coupling)?)
}

fn errors_of(errors: &[CoupledError], part: fn(&CoupledError) -> Estimate) -> Vec<Point> {
    let point =
        |e: &CoupledError| Point { steps: e.steps, error: part(e).value, standard_error: part(e).standard_error };
    errors.iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use samplers::order::problem::subjects;

    fn slope_of(name: &str, quantity: Quantity, errors: [f64; 3], standard_error: f64) -> Option<Slope> {
        let subject = subjects().into_iter().find(|s| s.name == name).unwrap();
        let point = |(k, error): (usize, f64)| Point { steps: 8 << k, error, standard_error };
        Slope::new(&subject, quantity, errors.into_iter().enumerate().map(point).collect())
    }

    #[test]
    fn slopes_carry_their_errors() {
        let found = slope_of("unconstrained", Quantity::Path, [0.4, 0.2, 0.1], 0.01).unwrap();
        assert!((found.found - 1.0).abs() < 1e-12 && found.theory == 0.5 && !found.holds());
        // Ends weigh ± 1/(2 ln 2), the middle nothing.
        let exact = (0.025_f64.powi(2) + 0.1_f64.powi(2)).sqrt() / (2.0 * 2_f64.ln());
        assert!((found.standard_error - exact).abs() < 1e-12, "{}", found.standard_error);
        assert!(found.verdict().contains("unconstrained, strong, 2D: order 1.00 where theory says 0.5"));
        let weak = slope_of("unconstrained", Quantity::PlaneMean, [0.4, 0.2, 0.1], 0.01).unwrap();
        assert!(weak.holds() && weak.stochastic);
    }

    #[test]
    fn a_slope_that_is_no_number_fails() {
        assert!(!slope_of("heun", Quantity::Mean, [0.4, 0.0, 0.1], 0.0).unwrap().holds());
        assert!(slope_of("adaptive", Quantity::Mean, [0.4, 0.2, 0.1], 0.0).is_none());
    }

    #[test]
    fn one_task_measures_what_the_sampler_is_said_to_have() {
        let subject = subjects().into_iter().find(|s| s.name == "heun").unwrap();
        let found: Vec<Slope> = [Task::Law(&subject), Task::Moments(&subject), Task::Paths(&subject)]
            .iter()
            .flat_map(|task| run(task).unwrap())
            .collect();
        assert_eq!(found.iter().map(|s| s.quantity).collect::<Vec<_>>(), Quantity::ALL);
        assert!(found.iter().all(|s| s.holds() && s.theory == 2.0 && !s.stochastic), "{found:?}");
    }
}
