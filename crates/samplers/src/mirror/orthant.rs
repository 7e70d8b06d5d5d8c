//! Parameters with fixed signs: `x = s ⊙ e^y`.

use ndarray::{Array2, ArrayView2, Zip};

use super::error::MirrorError;

/// From this many values on, an update is spread over all threads.
const PARALLEL_FROM: usize = 1 << 14;

/// Signs, log magnitudes, and the values that belong to them.
#[derive(Clone, Debug)]
pub(super) struct Orthant {
    values: Array2<f64>,
    signs: Array2<f64>,
    logs: Array2<f64>,
    /// Where the next log magnitudes are put together.
    next: Array2<f64>,
}

impl Orthant {
    /// Takes the signs from the start.
    pub(super) fn new(start: Array2<f64>) -> Result<Self, MirrorError> {
        if let Some(((row, column), &value)) = start.indexed_iter().find(|(_, x)| !x.is_finite() || **x == 0.0) {
            return Err(MirrorError::Start { row, column, value });
        }
        let logs = start.mapv(|x| x.abs().ln());
        Ok(Self { signs: start.mapv(f64::signum), next: logs.clone(), logs, values: start })
    }

    pub(super) fn values(&self) -> ArrayView2<'_, f64> {
        self.values.view()
    }

    pub(super) fn log_magnitudes(&self) -> ArrayView2<'_, f64> {
        self.logs.view()
    }

    /// Replaces every log magnitude `y` by `next(x, y, gradient, z)`, all of them or, if one would not be finite, none.
    pub(super) fn update(
        &mut self,
        step: u32,
        gradient: ArrayView2<'_, f64>,
        z: Option<ArrayView2<'_, f64>>,
        next: impl Fn(f64, f64, f64, f64) -> f64 + Sync,
    ) -> Result<(), MirrorError> {
        let shape = |a: (usize, usize)| [a.0, a.1];
        if gradient.dim() != self.values.dim() {
            return Err(MirrorError::Shape { expected: shape(self.values.dim()), found: shape(gradient.dim()) });
        }
        let parallel = self.values.len() >= PARALLEL_FROM;
        let zip = Zip::from(&mut self.next).and(&self.values).and(&self.logs).and(gradient);
        if let Some(z) = z {
            let one = |out: &mut f64, &x: &f64, &y: &f64, &g: &f64, &z: &f64| *out = next(x, y, g, z);
            if parallel { zip.and(z).par_for_each(one) } else { zip.and(z).for_each(one) }
        } else {
            let one = |out: &mut f64, &x: &f64, &y: &f64, &g: &f64| *out = next(x, y, g, 0.0);
            if parallel { zip.par_for_each(one) } else { zip.for_each(one) }
        }
        if let Some(((row, column), _)) = self.next.indexed_iter().find(|(_, y)| !y.is_finite()) {
            let (value, gradient) = (self.values[[row, column]], gradient[[row, column]]);
            return Err(MirrorError::Diverged { step, row, column, value, gradient });
        }
        std::mem::swap(&mut self.logs, &mut self.next);
        let zip = Zip::from(&mut self.values).and(&self.signs).and(&self.logs);
        let one = |x: &mut f64, &s: &f64, &y: &f64| *x = s * y.exp();
        if parallel {
            zip.par_for_each(one)
        } else {
            zip.for_each(one)
        }
        Ok(())
    }
}
