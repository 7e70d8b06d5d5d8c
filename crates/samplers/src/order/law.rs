//! The law at the end of a run in one dimension, by quadrature, against the exact one.
//!
//! ```text
//! p₀ = the exact density at the first level,      p_{k+1}(ȳ') = ∫ p_k(ȳ) q_k(ȳ' | ȳ) dȳ
//! mean, variance:  ∫ x^j (p_N − p) dȳ,   j = 1, 2          Wasserstein-1:  ∫ |F_N − F| dx,     x = e^ȳ
//! ```
//!
//! The kernel `q_k` of a step is found from the sampler's own responses to given normals. On an even grid of states the trapezoidal rule
//! converges faster than any power of the spacing, as everything in the integral is smooth; with two nodes to the standard
//! deviation of the narrowest kernel its error is far below 1e-10. A sampler that remembers the step before (SDE-DPM-Solver++) has a
//! law of pairs of states, followed in the same way. A sampler without noise carries quantiles to quantiles (its map is
//! increasing), so that the law is known from the end points of a grid of starts.
//!
//! Mass that an ambient sampler sends to negative `x` is dropped and reported; keep it below the errors by steps that are
//! small enough (`Δv` of 0.04: 6e-7).

use gbm_sde::LogNormalMixture;
use ndarray::Array2;

use super::transition::{Transition, first_step, second_step};
use super::{Given, OrderError, ambient, run};
use crate::error::SampleError;
use crate::grid::Grid;
use crate::sampler::Sampler;

/// Nodes to the standard deviation of the narrowest step.
const NODES: f64 = 2.0;
/// Probability left out at each end of the first level's law.
const TAIL: f64 = 1e-13;
/// Densities below this part of a kernel's peak are left out.
const FAINT: f64 = 1e-16;
/// Pairs of nodes less probable than this are left out.
const RARE: f64 = 1e-17;
/// Starts of a sampler without noise.
const STARTS: usize = 801;

/// How far the law of `x` at the end of a run is from the exact one, in one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LawError {
    /// Mean, minus the exact one.
    pub mean: f64,
    /// Variance, minus the exact one.
    pub variance: f64,
    /// Wasserstein-1 distance.
    pub wasserstein: f64,
    /// Mean of `ln x`, minus the exact one.
    pub log_mean: f64,
    /// Variance of `ln x`, minus the exact one.
    pub log_variance: f64,
    /// Probability lost to negative `x`, for ambient samplers.
    pub lost: f64,
}

/// Runs the sampler with exact scores from the exact law at the grid's first level to its last positive one, and says how far the law
/// of `x` is from the exact one there.
///
/// # Errors
/// When the truth has several dimensions, the sampler fails, draws more than once a step, or makes a step that is neither additive
/// in the log state nor quadratic in ambient space.
pub fn law_error(
    sampler: &dyn Sampler<Array2<f64>>,
    truth: &LogNormalMixture,
    grid: &Grid,
) -> Result<LawError, OrderError> {
    if truth.dim() != 1 {
        return Err(OrderError::Dimension(truth.dim()));
    }
    let levels = &grid.levels()[..grid.steps()];
    let (low, high) = (truth.marginal_quantile(0, TAIL, levels[0]), truth.marginal_quantile(0, 1.0 - TAIL, levels[0]));
    let one = [Array2::zeros((1, 1))];
    let mut probe = Given::new(&one);
    let short = Grid::new(vec![levels[0], levels[1], 0.0])?;
    match run(sampler, truth, Array2::from_elem((1, 1), low), &mut probe, &short) {
        Ok(_) if probe.used.get() == 0 => carried(sampler, truth, grid, low, high),
        Ok(_) => {
            let steps = levels.windows(2).map(|pair| pair[0] - pair[1]);
            let spacing = steps.fold(f64::INFINITY, f64::min).sqrt() / NODES;
            let nodes: Vec<f64> = (0..=((high - low) / spacing) as usize).map(|i| low + spacing * i as f64).collect();
            let followed = Followed { sampler, truth, levels, nodes, spacing };
            if followed.remembers()? { followed.pairs() } else { followed.states() }
        }
        Err(SampleError::NoiseExhausted { .. }) => {
            // A second draw in one step.
            Err(OrderError::Transition { v: levels[0], error: f64::INFINITY })
        }
        Err(error) => Err(error.into()),
    }
}

/// Without noise: the end points of a grid of starts against the quantiles they should be at.
fn carried(
    sampler: &dyn Sampler<Array2<f64>>,
    truth: &LogNormalMixture,
    grid: &Grid,
    low: f64,
    high: f64,
) -> Result<LawError, OrderError> {
    let (v, v_last) = (grid.levels()[0], grid.levels()[grid.steps() - 1]);
    let spacing = (high - low) / (STARTS - 1) as f64;
    let start = Array2::from_shape_fn((STARTS, 1), |(i, _)| low + spacing * i as f64);
    let (state, signs) = run(sampler, truth, start.clone(), &mut Given::new(&[]), grid)?;
    let x = ambient(&state, &signs);
    let mut sums = [0.0; 9];
    for ((&from, &y), &x) in start.iter().zip(&state).zip(&x) {
        let weight = spacing * truth.marginal_pdf(0, from, v);
        let y_true = truth.marginal_quantile(0, truth.marginal_cdf(0, from, v), v_last);
        if y_true.is_nan() {
            // A probability that rounds to 1.
            continue;
        }
        let x_true = y_true.exp();
        let terms = [
            x - x_true,
            (x - x_true) * (x + x_true),
            (x - x_true).abs(),
            y - y_true,
            (y - y_true) * (y + y_true),
            x,
            x_true,
            y,
            y_true,
        ];
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += weight * term);
    }
    let [mean, second, wasserstein, log_mean, log_second, m, m_true, log_m, log_m_true] = sums;
    Ok(LawError {
        mean,
        variance: second - mean * (m + m_true),
        wasserstein,
        log_mean,
        log_variance: log_second - log_mean * (log_m + log_m_true),
        lost: 0.0,
    })
}

/// A law on an even grid of log states that is followed from level to level.
struct Followed<'a> {
    sampler: &'a dyn Sampler<Array2<f64>>,
    truth: &'a LogNormalMixture,
    levels: &'a [f64],
    nodes: Vec<f64>,
    spacing: f64,
}

/// A function on a run of neighbouring nodes.
struct Band {
    first: usize,
    values: Vec<f64>,
}

impl Followed<'_> {
    /// Whether the second step depends on the state before the first one.
    fn remembers(&self) -> Result<bool, OrderError> {
        let &[v, v_next, v_last, ..] = self.levels else { return Ok(false) };
        let middle = 0.5 * (self.nodes[0] + self.nodes[self.nodes.len() - 1]);
        let first = first_step(self.sampler, self.truth, &[middle], v, v_next)?;
        if matches!(first[0], Transition::Ambient { .. }) {
            return Ok(false);
        }
        let (other, now) = (middle + (v - v_next).sqrt(), first[0].centre());
        let shifted = first_step(self.sampler, self.truth, &[other], v, v_next)?;
        let pairs = [(middle, first[0], now), (other, shifted[0], now)];
        let laws = second_step(self.sampler, self.truth, &pairs, [v, v_next, v_last])?;
        Ok((laws[0].centre() - laws[1].centre()).abs() > 1e-9)
    }

    /// The exact density at the first level.
    fn start(&self) -> Vec<f64> {
        self.nodes.iter().map(|&y| self.truth.marginal_pdf(0, y, self.levels[0])).collect()
    }

    /// What a kernel's value is on the nodes around its centre, as far as it counts.
    fn band(&self, law: &Transition) -> Band {
        let last = self.nodes.len() - 1;
        let peak = (((law.centre() - self.nodes[0]) / self.spacing).round().max(0.0) as usize).min(last);
        let value = |i: usize| match *law {
            Transition::Additive { mean, sd } => (-0.5 * ((self.nodes[i] - mean) / sd).powi(2)).exp() / sd / ROOT_TAU,
            Transition::Ambient { .. } => law.density(self.nodes[i]),
        };
        let top = value(peak);
        let mut values: Vec<f64> = (0..peak).rev().map(value).take_while(|&d| d > FAINT * top).collect();
        let first = peak - values.len();
        values.reverse();
        values.push(top);
        values.extend((peak + 1..=last).map(value).take_while(|&d| d > FAINT * top));
        Band { first, values }
    }

    /// The law of a sampler whose step knows only the state.
    fn states(&self) -> Result<LawError, OrderError> {
        let mut density = self.start();
        let last = self.levels.len() - 2;
        for (k, pair) in self.levels.windows(2).enumerate() {
            let laws = first_step(self.sampler, self.truth, &self.nodes, pair[0], pair[1])?;
            let weighted = density.iter().map(|p| p * self.spacing).zip(&laws).filter(|(weight, _)| *weight > RARE);
            if k == last {
                return Ok(self.compare(weighted.map(|(weight, law)| (weight, *law))));
            }
            let mut next = vec![0.0; density.len()];
            for (weight, law) in weighted {
                let band = self.band(law);
                next[band.first..].iter_mut().zip(&band.values).for_each(|(p, q)| *p += weight * q);
            }
            density = next;
        }
        Ok(self.compare(std::iter::empty()))
    }

    /// The law of a sampler that remembers the state before: for each node before, the joint density with the nodes now.
    fn pairs(&self) -> Result<LawError, OrderError> {
        let first = first_step(self.sampler, self.truth, &self.nodes, self.levels[0], self.levels[1])?;
        let mut joint: Vec<Vec<(usize, f64)>> = self
            .start()
            .iter()
            .zip(&first)
            .map(|(p, law)| {
                let band = self.band(law);
                band.values.iter().enumerate().map(|(j, q)| (band.first + j, p * q)).collect()
            })
            .collect();
        let last = self.levels.len() - 3;
        for (k, levels) in self.levels.windows(3).enumerate() {
            // How the state now was reached does not matter, only that it was: the first step of a run serves for that.
            let first = first_step(self.sampler, self.truth, &self.nodes, levels[0], levels[1])?;
            let area = self.spacing * self.spacing;
            let listed = joint.iter().enumerate().flat_map(|(i, row)| row.iter().map(move |&(j, p)| (i, j, area * p)));
            let listed: Vec<(usize, usize, f64)> = listed.filter(|(_, _, weight)| *weight > RARE).collect();
            let pairs: Vec<_> = listed.iter().map(|&(i, j, _)| (self.nodes[i], first[i], self.nodes[j])).collect();
            let laws = second_step(self.sampler, self.truth, &pairs, [levels[0], levels[1], levels[2]])?;
            let weighted = listed.iter().zip(&laws);
            if k == last {
                return Ok(self.compare(weighted.map(|(&(_, _, weight), law)| (weight, *law))));
            }
            let mut next = vec![vec![0.0; self.nodes.len()]; self.nodes.len()];
            for (&(_, j, weight), law) in weighted {
                let band = self.band(law);
                let scale = weight / self.spacing;
                next[j][band.first..].iter_mut().zip(&band.values).for_each(|(p, q)| *p += scale * q);
            }
            joint =
                next.into_iter().map(|row| row.into_iter().enumerate().filter(|(_, p)| *p > 0.0).collect()).collect();
        }
        Ok(self.compare(std::iter::empty()))
    }

    /// The law after the last step, a mixture of kernels with these weights, against the exact one.
    fn compare(&self, mixture: impl Iterator<Item = (f64, Transition)>) -> LawError {
        let n = self.nodes.len();
        let (mut density, mut cdf) = (vec![0.0; n], vec![0.0; n]);
        // What lies wholly below a node.
        let mut below = vec![0.0; n + 1];
        for (weight, law) in mixture {
            let band = self.band(&law);
            for (i, q) in (band.first..).zip(&band.values) {
                density[i] += weight * q;
                cdf[i] += weight * law.cdf(self.nodes[i]);
            }
            below[band.first + band.values.len()] += weight;
        }
        let v = self.levels[self.levels.len() - 1];
        let (mut wasserstein, mut sums, mut passed, mut before) = (0.0, [0.0; 7], 0.0, 0.0);
        for (i, &y) in self.nodes.iter().enumerate() {
            passed += below[i];
            let (x, p, p_true) = (y.exp(), density[i], self.truth.marginal_pdf(0, y, v));
            let gap = x * (passed + cdf[i] - self.truth.marginal_cdf(0, y, v));
            wasserstein += self.spacing * area(before, gap);
            before = gap;
            let off = p - p_true;
            let terms = [off, x * off, x * x * off, y * off, y * y * off, x * (p + p_true), y * (p + p_true)];
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += self.spacing * term);
        }
        let [mass, mean, second, log_mean, log_second, both, log_both] = sums;
        LawError {
            mean,
            variance: second - mean * both,
            wasserstein,
            log_mean,
            log_variance: log_second - log_mean * log_both,
            lost: -mass,
        }
    }
}

/// A unit interval's part of `∫ |f|` from the values of `f` at its ends: the trapezoidal rule, and where `f` changes its sign what
/// the kink of `|f|` adds to the Euler–Maclaurin formula, its jump of slope times half of Bernoulli's polynomial there.
fn area(a: f64, b: f64) -> f64 {
    let rule = 0.5 * (a.abs() + b.abs());
    if a * b < 0.0 {
        let place = a / (a - b);
        rule + (b - a).abs() * (place * place - place + 1.0 / 6.0)
    } else {
        rule
    }
}

/// `√(2π)`.
const ROOT_TAU: f64 = 2.506_628_274_631_000_5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Range;
    use crate::{Corrected, CorrectedConfig, DaleLangevin, SamplerConfig, SdeDpmSolver2M};

    const RANGE: Range = Range { from: 0.8, to: 0.2 };

    /// One log-normal of mean 0.3 and variance 0.2.
    fn gaussian() -> LogNormalMixture {
        LogNormalMixture::new(vec![1.0], vec![vec![0.3]], vec![vec![0.2]]).unwrap()
    }

    /// On one log-normal every step is affine, and mean and variance follow a recursion that needs no quadrature.
    #[test]
    fn a_gaussian_stays_one() {
        for steps in [4, 16, 64] {
            let grid = RANGE.grid(steps).unwrap();
            let mut variance = 0.2 + 0.64;
            for pair in grid.levels()[..=steps].windows(2) {
                // ȳ' − μ = (1 − Δv/(0.2 + v)) (ȳ − μ) + √Δv z
                let dv = pair[0] - pair[1];
                variance = (1.0 - dv / (0.2 + pair[0])).powi(2) * variance + dv;
            }
            let found = law_error(&DaleLangevin, &gaussian(), &grid).unwrap();
            assert!(found.log_mean.abs() < 1e-11 && found.lost.abs() < 1e-11, "{steps}: {found:?}");
            assert!((found.log_variance - (variance - 0.24)).abs() < 1e-10, "{steps}: {found:?}");
            let mean = (0.3 + 0.5 * variance).exp();
            let exact = (0.3f64 + 0.5 * 0.24).exp();
            assert!((found.mean - (mean - exact)).abs() < 1e-10);
            // Both laws are log-normal with one median: their distance is that of the quantiles.
            let quantiles = |z: f64| ((0.3 + variance.sqrt() * z).exp() - (0.3 + 0.24f64.sqrt() * z).exp()).abs();
            let integrand = |z: f64| quantiles(z) * gbm_sde::normal::normal_pdf(z);
            let distance = gbm_sde::quadrature::integrate(integrand, -14.0, 0.0, 1e-10).unwrap().value
                + gbm_sde::quadrature::integrate(integrand, 0.0, 14.0, 1e-10).unwrap().value;
            assert!((found.wasserstein / distance - 1.0).abs() < 1e-3, "{steps}: {found:?} {distance}");
        }
    }

    /// The same for a sampler with memory: its own responses to impulses are another way to the variance.
    #[test]
    fn a_gaussian_stays_one_with_memory() {
        let steps = 12;
        let grid = RANGE.grid(steps).unwrap();
        // Row 0 at the mean, row 1 off by 1, row k + 2 with a unit normal in step k.
        let mut start = Array2::from_elem((steps + 2, 1), 0.3);
        start[[1, 0]] += 1.0;
        let draws: Vec<Array2<f64>> =
            (0..steps).map(|k| Array2::from_shape_fn((steps + 2, 1), |(i, _)| f64::from(i == k + 2))).collect();
        let (end, _) = run(&SdeDpmSolver2M::default(), &gaussian(), start, &mut Given::new(&draws), &grid).unwrap();
        let response = |i: usize| (end[[i, 0]] - end[[0, 0]]).powi(2);
        let variance = 0.84 * response(1) + (2..steps + 2).map(response).sum::<f64>();
        let found = law_error(&SdeDpmSolver2M::default(), &gaussian(), &grid).unwrap();
        assert!((found.log_variance - (variance - 0.24)).abs() < 1e-9, "{found:?} {variance}");
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let grid = RANGE.grid(8).unwrap();
        let two = LogNormalMixture::new(vec![1.0], vec![vec![0.3; 2]], vec![vec![0.2; 2]]).unwrap();
        assert_eq!(law_error(&DaleLangevin, &two, &grid).unwrap_err(), OrderError::Dimension(2));
        let config = CorrectedConfig { predictor: Box::new(SamplerConfig::DaleLangevin {}), snr: 0.1, corrections: 1 };
        let error = law_error(&Corrected::new(&config).unwrap(), &gaussian(), &grid).unwrap_err();
        assert!(matches!(error, OrderError::Transition { .. }), "{error}");
    }
}
