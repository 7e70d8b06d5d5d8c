//! Are the classes of the samples distributed as they should be? Pearson's χ² test on counts, as from
//! [`Classes::counts`](crate::classes::Classes::counts).
//!
//! Against given probabilities p, with N = Σ n (goodness of fit), and against other counts m with M = Σ m (homogeneity):
//!
//! ```text
//! χ² = Σ_c (n_c − N p_c)² / (N p_c)            χ² = Σ_c ( √(M/N) n_c − √(N/M) m_c )² / (n_c + m_c)
//! ```
//!
//! with one degree of freedom fewer than there are classes that can occur or do occur; the p value is the probability that χ² of such a
//! distribution is as large or larger, `Q(f/2, χ²/2)` with the regularized incomplete gamma function. Pearson, 1900; Press, Teukolsky,
//! Vetterling and Flannery, *Numerical recipes*, 2007, sections 6.2 (Q by series and continued fraction) and 14.3. It is asymptotic:
//! trust it when at least 5 images are expected in every class.

use serde::{Deserialize, Serialize};

use crate::error::{MetricsError, Set};

/// Terms after which series and fraction have long converged for any number of classes below a million.
const TERMS: usize = 100_000;

/// A χ² test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChiSquare {
    /// χ².
    pub statistic: f64,
    /// Degrees of freedom.
    pub freedom: usize,
    /// Probability of such a χ² or a larger one where nothing differs; 1 without a degree of freedom.
    pub p_value: f64,
    /// Smallest count expected in a class; below 5 the p value is rough.
    pub least_expected: f64,
    /// `½ Σ |n_c/N − p_c|` (with `m_c/M` for p): the share of images that would have to change class.
    pub total_variation: f64,
}

/// Test of counts against expected probabilities, which are divided by their sum.
///
/// # Errors
/// Different numbers of classes, no counts, probabilities that are negative, not finite or all zero, or images of a class that cannot
/// occur.
pub fn chi_square(counts: &[u64], probabilities: &[f64]) -> Result<ChiSquare, MetricsError> {
    check_classes(counts.len(), probabilities.len())?;
    let n = total(counts, Set::Sample)?;
    let smallest = probabilities.iter().fold(f64::INFINITY, |least, &p| least.min(p));
    let sum: f64 = probabilities.iter().sum();
    if smallest < 0.0 || !(sum > 0.0 && sum.is_finite()) {
        return Err(MetricsError::NotProbability { row: 0, smallest, sum });
    }
    let mut test = Test::default();
    for (class, (&count, &p)) in counts.iter().zip(probabilities).enumerate() {
        let expected = n * (p / sum);
        if expected > 0.0 {
            test.add((count as f64 - expected).powi(2) / expected, expected, count as f64 / n - p / sum);
        } else if count > 0 {
            return Err(MetricsError::ImpossibleClass { class, count });
        }
    }
    Ok(test.finish())
}

/// Test of whether two sets of counts come from one distribution.
///
/// # Errors
/// Different numbers of classes, or no counts on a side.
pub fn chi_square_between(sample: &[u64], reference: &[u64]) -> Result<ChiSquare, MetricsError> {
    check_classes(sample.len(), reference.len())?;
    let (n, m) = (total(sample, Set::Sample)?, total(reference, Set::Reference)?);
    let mut test = Test::default();
    for (&a, &b) in sample.iter().zip(reference).filter(|&(&a, &b)| a > 0 || b > 0) {
        let (a, b) = (a as f64, b as f64);
        let expected = (a + b) * n.min(m) / (n + m);
        test.add((m * a - n * b).powi(2) / (n * m * (a + b)), expected, a / n - b / m);
    }
    Ok(test.finish())
}

fn check_classes(sample: usize, reference: usize) -> Result<(), MetricsError> {
    if sample == reference { Ok(()) } else { Err(MetricsError::ClassMismatch { sample, reference }) }
}

fn total(counts: &[u64], set: Set) -> Result<f64, MetricsError> {
    let sum: f64 = counts.iter().map(|&count| count as f64).sum();
    if sum > 0.0 { Ok(sum) } else { Err(MetricsError::EmptyHistogram { set, classes: counts.len() }) }
}

#[derive(Default)]
struct Test {
    statistic: f64,
    classes: usize,
    least_expected: Option<f64>,
    variation: f64,
}

impl Test {
    fn add(&mut self, term: f64, expected: f64, difference: f64) {
        self.statistic += term;
        self.classes += 1;
        self.least_expected = Some(self.least_expected.map_or(expected, |least| least.min(expected)));
        self.variation += difference.abs();
    }

    fn finish(self) -> ChiSquare {
        let freedom = self.classes.saturating_sub(1);
        let p_value = if freedom == 0 { 1.0 } else { upper_gamma(freedom as f64 / 2.0, self.statistic / 2.0) };
        ChiSquare {
            statistic: self.statistic,
            freedom,
            p_value,
            least_expected: self.least_expected.unwrap_or(0.0),
            total_variation: self.variation / 2.0,
        }
    }
}

/// Regularized upper incomplete gamma function `Q(a, x)`, for a > 0 and x ≥ 0.
fn upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - libm::lgamma(a)).exp();
    if x < a + 1.0 {
        // P = front Σ xⁿ / (a (a + 1) … (a + n))
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for n in 1..TERMS {
            term *= x / (a + n as f64);
            sum += term;
            if term < sum * f64::EPSILON {
                break;
            }
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    // Q = front / (x + 1 − a − 1 (1 − a) / (x + 3 − a − 2 (2 − a) / …)), evaluated from the front (Lentz).
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (f64::INFINITY, 1.0 / b);
    let mut fraction = d;
    for n in 1..TERMS {
        let n = n as f64;
        let numerator = n * (a - n);
        b += 2.0;
        d = 1.0 / (numerator * d + b);
        c = b + numerator / c;
        fraction *= c * d;
        if (c * d - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splitmix::SplitMix64;

    #[test]
    fn p_values_in_closed_form() {
        // Two degrees of freedom: e^(−x/2); four: e^(−x/2) (1 + x/2); one: erfc √(x/2).
        for x in [1e-6_f64, 0.3, 1.0, 2.5, 9.0, 40.0, 300.0] {
            let close = |found: f64, expected: f64| {
                assert!((found - expected).abs() < 1e-13 + 1e-12 * expected, "{x}: {found}")
            };
            close(upper_gamma(1.0, x / 2.0), (-x / 2.0).exp());
            close(upper_gamma(2.0, x / 2.0), (-x / 2.0).exp() * (1.0 + x / 2.0));
            close(upper_gamma(0.5, x / 2.0), libm::erfc((x / 2.0).sqrt()));
        }
        // Tables: 16.919 is passed with probability 0.05 at nine degrees of freedom.
        assert!((upper_gamma(4.5, 16.918_977_604_620_45 / 2.0) - 0.05).abs() < 1e-12);
    }

    #[test]
    fn a_die() {
        let found = chi_square(&[5, 8, 9, 8, 10, 20], &[1.0; 6]).unwrap();
        assert!((found.statistic - 13.4).abs() < 1e-13, "{found:?}");
        assert_eq!((found.freedom, found.least_expected), (5, 10.0));
        assert!((found.p_value - 0.019_905_220_334_774_3).abs() < 1e-12, "{found:?}");
        assert!((found.total_variation - 10.0 / 60.0).abs() < 1e-15);
    }

    #[test]
    fn between_two_sets() {
        // A 2 × 2 table (10, 20; 30, 40): χ² = N (ad − bc)² / (row and column sums) = 100 · 200² / (30 · 70 · 40 · 60).
        let found = chi_square_between(&[10, 20, 0], &[30, 40, 0]).unwrap();
        assert!((found.statistic - 100.0 * 4e4 / (30.0 * 70.0 * 40.0 * 60.0)).abs() < 1e-13, "{found:?}");
        assert_eq!((found.freedom, found.least_expected), (1, 12.0));
        assert_eq!(chi_square_between(&[3, 7], &[6, 14]).unwrap().p_value, 1.0);
        assert_eq!(chi_square_between(&[3, 0], &[6, 0]).unwrap().p_value, 1.0);
    }

    #[test]
    fn p_values_of_fair_draws_are_uniform() {
        // 1,000 histograms: the share below 0.1 is 0.1 within four standard errors.
        let draw = |seed: u64| {
            let mut generator = SplitMix64::addressed(seed, 1, 1);
            let mut counts = [0_u64; 10];
            (0..2000).for_each(|_| counts[generator.below(10)] += 1);
            counts
        };
        let below = |test: &dyn Fn(u64) -> f64| (0..1000).filter(|&seed| test(seed) < 0.1).count() as f64 / 1000.0;
        let fit = below(&|seed| chi_square(&draw(seed), &[0.1; 10]).unwrap().p_value);
        let between = below(&|seed| chi_square_between(&draw(seed), &draw(seed + 5000)).unwrap().p_value);
        assert!((fit - 0.1).abs() < 0.038 && (between - 0.1).abs() < 0.038, "{fit} {between}");
    }

    #[test]
    fn bad_input_is_named() {
        let error = chi_square(&[1, 2], &[1.0]).unwrap_err();
        assert_eq!(error, MetricsError::ClassMismatch { sample: 2, reference: 1 });
        let error = chi_square(&[0, 0], &[0.5, 0.5]).unwrap_err();
        assert_eq!(error.to_string(), "the sample histogram is empty: all its 2 counts are zero");
        let error = chi_square(&[0, 3], &[1.0, 0.0]).unwrap_err();
        assert_eq!(error.to_string(), "3 images are of class 1, whose expected probability is 0");
        for bad in [[-1.0, 2.0], [0.0, 0.0], [f64::NAN, 1.0], [f64::INFINITY, 1.0]] {
            assert!(matches!(chi_square(&[1, 1], &bad), Err(MetricsError::NotProbability { .. })), "{bad:?}");
        }
        let error = chi_square_between(&[1], &[0]).unwrap_err();
        assert_eq!(error, MetricsError::EmptyHistogram { set: Set::Reference, classes: 1 });
    }
}
