//! What a classifier says of every image, given as logits or as probabilities.

use ndarray::{Array2, ArrayView2, Axis};

use crate::error::{MetricsError, Set, check_present};

/// How far a row of probabilities may be from adding up to 1: what `f32` costs over a thousand classes.
const SUM_TOLERANCE: f64 = 1e-3;

/// Outputs of a classifier, N × C.
#[derive(Clone, Copy, Debug)]
pub enum Classes<'a> {
    /// Before the softmax.
    Logits(ArrayView2<'a, f32>),
    /// After it: not negative, each row adds up to 1.
    Probabilities(ArrayView2<'a, f32>),
}

impl<'a> Classes<'a> {
    fn values(&self) -> ArrayView2<'a, f32> {
        match self {
            Self::Logits(values) | Self::Probabilities(values) => *values,
        }
    }

    /// Images N and classes C.
    pub fn dim(&self) -> (usize, usize) {
        self.values().dim()
    }

    /// How many images have their largest output in each class (the first one of equals).
    ///
    /// # Errors
    /// No rows, no columns, a value that is not finite, or a row that is not a probability distribution.
    pub fn counts(&self) -> Result<Vec<u64>, MetricsError> {
        self.check()?;
        let mut counts = vec![0; self.dim().1];
        for row in self.values().outer_iter() {
            let mut best = 0;
            for (class, value) in row.iter().enumerate() {
                if *value > row[best] {
                    best = class;
                }
            }
            counts[best] += 1;
        }
        Ok(counts)
    }

    pub(crate) fn check(&self) -> Result<(), MetricsError> {
        check_present(self.values(), Set::Sample)?;
        if let Self::Probabilities(values) = self {
            for (row, entries) in values.outer_iter().enumerate() {
                let smallest = entries.iter().fold(f64::INFINITY, |least, &v| least.min(f64::from(v)));
                let sum: f64 = entries.iter().map(|&v| f64::from(v)).sum();
                if smallest < 0.0 || (sum - 1.0).abs() > SUM_TOLERANCE {
                    return Err(MetricsError::NotProbability { row, smallest, sum });
                }
            }
        }
        Ok(())
    }

    /// Probabilities in `f64` with `Σ p ln p` of each row. Given probabilities are taken as they are.
    pub(crate) fn probabilities(&self) -> (Array2<f64>, Vec<f64>) {
        let mut values = self.values().mapv(f64::from);
        let negentropies = values
            .axis_iter_mut(Axis(0))
            .map(|mut row| match self {
                Self::Logits(_) => {
                    let largest = row.fold(f64::NEG_INFINITY, |most, &v| most.max(v));
                    let log_sum = row.iter().map(|v| (v - largest).exp()).sum::<f64>().ln() + largest;
                    let mut negentropy = 0.0;
                    for value in &mut row {
                        let log = *value - log_sum;
                        *value = log.exp();
                        negentropy += *value * log;
                    }
                    negentropy
                }
                Self::Probabilities(_) => row.iter().map(|&p| p_ln_p(p)).sum(),
            })
            .collect();
        (values, negentropies)
    }
}

/// `p ln p`, 0 at 0.
pub(crate) fn p_ln_p(p: f64) -> f64 {
    if p > 0.0 { p * p.ln() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn logits_are_probabilities_up_to_a_constant() {
        let probabilities = array![[0.5_f32, 0.25, 0.25], [0.0625, 0.0625, 0.875]];
        let logits = probabilities.mapv(|p| p.ln() + 300.0);
        let (a, entropy_a) = Classes::Probabilities(probabilities.view()).probabilities();
        let (b, entropy_b) = Classes::Logits(logits.view()).probabilities();
        // ln + 300 is rounded to f32.
        assert!(a.iter().zip(&b).all(|(x, y)| (x - y).abs() < 3e-5), "{a} {b}");
        assert!(entropy_a.iter().zip(&entropy_b).all(|(x, y)| (x - y).abs() < 1e-4));
        assert!((entropy_a[0] + 1.5 * 2_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn counts_take_the_first_of_equals() {
        let logits = array![[1.0_f32, 3.0, 3.0], [-1.0, -2.0, -3.0], [0.0, 0.0, 5.0]];
        assert_eq!(Classes::Logits(logits.view()).counts().unwrap(), [1, 1, 1]);
    }

    #[test]
    fn bad_input_is_named() {
        let error = |values: &Array2<f32>| Classes::Probabilities(values.view()).counts().unwrap_err();
        assert_eq!(
            error(&array![[0.5, 0.5], [1.5, -0.5]]).to_string(),
            "row 1 is not a probability distribution: its smallest entry is -0.5 and its sum 1"
        );
        assert!(matches!(error(&array![[0.5, 0.25]]), MetricsError::NotProbability { row: 0, .. }));
        assert!(matches!(error(&array![[0.5, f32::NAN]]), MetricsError::NonFinite { row: 0, column: 1, .. }));
        assert!(matches!(error(&Array2::zeros((0, 2))), MetricsError::NoRows { .. }));
    }
}
