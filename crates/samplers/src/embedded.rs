//! Bogacki and Shampine's embedded pair of orders 3 and 2, for any equation `dy/du = f(y, u)`.
//!
//! ```text
//! f₁ = f(y, u),   f₂ = f(y + ½k f₁, u + ½k),   f₃ = f(y + ¾k f₂, u + ¾k)
//! y' = y + k (2/9 f₁ + 1/3 f₂ + 4/9 f₃),       f₄ = f(y', u + k)
//! error = k (−5/72 f₁ + 1/12 f₂ + 1/9 f₃ − 1/8 f₄)
//! ```
//!
//! A step is taken when the error's norm is at most 1, and its size follows `error^{−1/3}`; the last slope of a step is
//! the first of the next.
//!
//! Source: Bogacki and Shampine (1989), Appl. Math. Lett. 2(4), 321; step size control after Hairer, Nørsett and Wanner
//! (1993).

use crate::error::SampleError;

/// An equation with its arithmetic.
pub(crate) trait Problem {
    /// What moves.
    type State;

    /// `f(y, u)`.
    fn slope(&mut self, y: &Self::State, u: f64) -> Result<Self::State, SampleError>;

    /// `alpha y + Σ β_j f_j`.
    fn combine(&self, y: &Self::State, alpha: f64, terms: &[(f64, &Self::State)]) -> Self::State;

    /// The size of an error at `moved`, in units of what is allowed.
    fn norm(&self, error: &Self::State, moved: &Self::State) -> f64;

    /// The grid step, for messages.
    fn index(&self) -> usize;
}

/// An interval, up or down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg {
    /// Where `u` starts.
    pub(crate) from: f64,
    /// Where it ends; not at the start.
    pub(crate) to: f64,
    /// Steps, refused ones too, after which it is given up.
    pub(crate) most_steps: usize,
}

/// Moves `y` along a leg. `pace` is what an earlier leg found to be a good step size, and is kept for the next.
pub(crate) fn advance<P: Problem>(
    problem: &mut P,
    mut y: P::State,
    leg: Leg,
    pace: &mut Option<f64>,
) -> Result<P::State, SampleError> {
    let (mut u, direction) = (leg.from, (leg.to - leg.from).signum());
    let mut size = pace.unwrap_or(0.1);
    let mut f1 = problem.slope(&y, u)?;
    for _ in 0..leg.most_steps {
        // The rest in one step, or in two halves rather than in one whole and a crumb.
        let left = direction * (leg.to - u);
        let k = direction * if left <= size { left } else { size.min(0.5 * left) };
        let stage = |problem: &P, slopes: &[(f64, &P::State)]| {
            let terms: Vec<(f64, &P::State)> = slopes.iter().map(|&(a, f)| (k * a, f)).collect();
            problem.combine(&y, 1.0, &terms)
        };
        let f2 = problem.slope(&stage(problem, &[(0.5, &f1)]), u + 0.5 * k)?;
        let f3 = problem.slope(&stage(problem, &[(0.75, &f2)]), u + 0.75 * k)?;
        let moved = stage(problem, &[(2.0 / 9.0, &f1), (1.0 / 3.0, &f2), (4.0 / 9.0, &f3)]);
        let f4 = problem.slope(&moved, u + k)?;
        let error = problem.combine(&f4, -k / 8.0, &[(-5.0 * k / 72.0, &f1), (k / 12.0, &f2), (k / 9.0, &f3)]);
        let error = problem.norm(&error, &moved);
        // Not a number: as bad as can be.
        let factor = if error.is_finite() { 0.9 * error.max(1e-12).powf(-1.0 / 3.0) } else { 0.2 };
        let wanted = k.abs() * factor.clamp(0.2, 5.0);
        if error <= 1.0 {
            (y, f1, u) = (moved, f4, u + k);
            // A step cut short by the interval's end says little about the next one.
            *pace = Some(if k.abs() < size { wanted.max(size) } else { wanted });
            if k.abs() == left {
                return Ok(y);
            }
        }
        size = if error <= 1.0 { pace.unwrap_or(wanted) } else { wanted };
    }
    Err(SampleError::NoProgress { index: problem.index(), steps: leg.most_steps, r: u.exp() })
}
