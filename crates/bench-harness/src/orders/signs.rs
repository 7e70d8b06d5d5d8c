//! How often a step of the unconstrained sampler changes the sign of `x`, beside the Gaussian tail.
//!
//! ```text
//! x' = x (1 + a + b h + c z),  b = Δv,  c = √Δv,  Δv = σ² δ               one step of size δ from time t
//! P(x' < 0)  = ∫ p_t(ȳ) Φ(−(1 + a + b h(ȳ))/c) dȳ                         by quadrature, exact scores
//! counted    on states drawn from p_t, with the library's own step; 95% by Wilson's score interval
//! ```
//!
//! Under the published σ = 0.8. Without drift the tail is `Φ(−1/(σ √δ))`; the score makes it a little lighter or heavier, as its mean or its spread counts for more.

use std::ops::ControlFlow;

use anyhow::Result;
use gbm_sde::normal::{normal_cdf, normal_ln_cdf};
use gbm_sde::quadrature::integrate;
use gbm_sde::{LogNormalMixture, LogStep, Stream};
use ndarray::{Array2, Axis};
use samplers::order::problem::one_dimension;
use samplers::{AddressedNoise, Grid, Sampler, Unconstrained};

use super::spread;
use crate::session::Session;

/// Volatility.
pub const SIGMA: f64 = 0.8;
/// Times from which steps are made.
pub const TIMES: [f64; 2] = [1.0, 0.5];
/// Sizes of the steps.
pub const DELTAS: [f64; 8] = [0.08, 0.1, 0.13, 0.17, 0.22, 0.28, 0.35, 0.45];
/// The smallest and the largest step that the paper's authors use for this sampler.
pub const PUBLISHED: [f64; 2] = [1.438e-4, 1.468e-3];

/// States that are stepped together.
const BATCH: u64 = 1 << 14;
const SEED: u64 = 11;
/// Standard errors that count and prediction may differ by, besides one count.
const ALLOWED: f64 = 4.5;

/// A counted rate beside its prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Time of the state.
    pub time: f64,
    /// Size of the step.
    pub delta: f64,
    /// Changed signs.
    pub count: u64,
    /// Steps.
    pub draws: u64,
    /// The Gaussian tail.
    pub predicted: f64,
}

/// All of them, and the prediction as curves.
#[derive(Clone, Debug, PartialEq)]
pub struct Flips {
    /// Counted rates.
    pub rates: Vec<Rate>,
    /// `(δ, probability)` for each of [`TIMES`].
    pub curves: [Vec<(f64, f64)>; 2],
}

impl Rate {
    /// The rate.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.draws as f64
    }

    /// Its 95% interval.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        let (n, p, z) = (self.draws as f64, self.rate(), 1.959_963_984_540_054);
        let (centre, half) = (p + z * z / (2.0 * n), z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt());
        let scale = 1.0 + z * z / n;
        ((centre - half).max(0.0) / scale, (centre + half) / scale)
    }

    /// Distance of the count from its prediction in standard errors.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let n = self.draws as f64;
        (self.count as f64 - n * self.predicted) / (n * self.predicted * (1.0 - self.predicted)).sqrt()
    }

    /// Whether count and prediction agree.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let n = self.draws as f64;
        let room = ALLOWED * (n * self.predicted * (1.0 - self.predicted)).sqrt() + 1.0;
        (self.count as f64 - n * self.predicted).abs() <= room
    }

    /// The rate in words.
    #[must_use]
    pub fn verdict(&self) -> String {
        let Self { time, delta, count, draws, predicted } = self;
        format!("sign changes at t = {time}, δ = {delta}: {count} of {draws} where the tail is {predicted:.2e}")
    }
}

/// Counts and predicts, with so many draws for each rate.
///
/// # Errors
/// If a step fails or an integral does not converge; if the user stopped it.
pub fn measure(draws: u64, session: &Session) -> Result<Flips> {
    let truth = one_dimension();
    let cases: Vec<(f64, f64)> = TIMES.iter().flat_map(|&time| DELTAS.map(|delta| (time, delta))).collect();
    let batches = draws.div_ceil(BATCH);
    let tasks: Vec<(usize, u64)> = (0..cases.len()).flat_map(|case| (0..batches).map(move |b| (case, b))).collect();
    let counts = spread("signs", "batches", &tasks, session, |&(case, batch)| {
        let first = batch * BATCH;
        // Every case has states of its own.
        let offset = case as u64 * batches * BATCH;
        count(&truth, cases[case], offset + first, BATCH.min(draws - first) as usize)
    })?;
    let mut rates = Vec::new();
    for (case, &(time, delta)) in cases.iter().enumerate() {
        let count = tasks.iter().zip(&counts).filter(|((of, _), _)| *of == case).map(|(_, count)| count).sum();
        rates.push(Rate { time, delta, count, draws, predicted: predict(&truth, time, delta)? });
    }
    let (low, high) = (DELTAS[0], DELTAS[DELTAS.len() - 1]);
    let curve = |time: f64| -> Result<Vec<(f64, f64)>> {
        let delta = |i: i32| low * (high / low).powf(f64::from(i) / 60.0);
        (0..=60).map(delta).map(|delta| Ok((delta, predict(&truth, time, delta)?))).collect()
    };
    let curves = [curve(TIMES[0])?, curve(TIMES[1])?];
    Ok(Flips { rates, curves })
}

/// Levels before and after a step.
fn levels((time, delta): (f64, f64)) -> (f64, f64) {
    (SIGMA * SIGMA * time, SIGMA * SIGMA * (time - delta))
}

/// Changed signs among states `first, first + 1, …`.
fn count(truth: &LogNormalMixture, case: (f64, f64), first: u64, rows: usize) -> Result<u64> {
    let (v, v_next) = levels(case);
    let mut noise = AddressedNoise::sampler(SEED, first);
    let mut state = AddressedNoise { stream: Stream::PERTURB, ..noise }.rows_f64(rows, 1, 0);
    for (index, mut row) in (first..).zip(state.axis_iter_mut(Axis(0))) {
        let mut clean = [0.0];
        truth.sample_into(&noise.noise, Stream::PRIOR, index, &mut clean);
        row[0] = clean[0] + v.sqrt() * row[0];
    }
    let grid = Grid::new(vec![v, v_next, 0.0])?;
    let sampler: &dyn Sampler<Array2<f64>> = &Unconstrained::default();
    let end = sampler.sample(state, truth, &mut noise, &grid, &mut |_| ControlFlow::Break(()))?;
    Ok(end.signs.map_or(0, |signs| signs.iter().filter(|sign| **sign < 0.0).count() as u64))
}

/// The probability, over states and normals.
fn predict(truth: &LogNormalMixture, time: f64, delta: f64) -> Result<f64> {
    let (v, v_next) = levels((time, delta));
    let factor = LogStep::between_levels(v, v_next)?.euler_factor();
    let integrand = |y: f64| {
        let mut g = [0.0];
        truth.log_score_into(&[y], v, &mut g);
        truth.marginal_pdf(0, y, v) * factor.flip_probability(g[0] - 1.0)
    };
    Ok(integrate(integrand, -9.0, 9.0, 1e-10)?.value)
}

/// The tail without drift, `Φ(−1/(σ √δ))`.
#[must_use]
pub fn bare_tail(delta: f64) -> f64 {
    normal_cdf(-1.0 / (SIGMA * delta.sqrt()))
}

/// The decimal logarithm of the tail without drift, also where it is 0 in double precision.
#[must_use]
pub fn bare_tail_log10(delta: f64) -> f64 {
    normal_ln_cdf(-1.0 / (SIGMA * delta.sqrt())) / std::f64::consts::LN_10
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On one log-normal the score is a line, and the factor normal: the tail is that of its mean and variance.
    #[test]
    fn on_one_log_normal_the_tail_is_closed() {
        let truth = LogNormalMixture::new(vec![1.0], vec![vec![0.3]], vec![vec![0.2]]).unwrap();
        for (time, delta) in [(1.0, 0.08), (1.0, 0.45), (0.5, 0.2)] {
            let (v, dv) = (SIGMA * SIGMA * time, SIGMA * SIGMA * delta);
            let (mean, variance) = (1.0 + 0.5 * dv, dv + dv * dv / (0.2 + v));
            let exact = normal_cdf(-mean / variance.sqrt());
            let found = predict(&truth, time, delta).unwrap();
            assert!((found / exact - 1.0).abs() < 1e-8, "{time} {delta}: {found} {exact}");
        }
    }

    #[test]
    fn the_bare_tail_goes_on_where_numbers_end() {
        assert!((bare_tail_log10(0.1) - bare_tail(0.1).log10()).abs() < 1e-12);
        assert!(bare_tail(PUBLISHED[0]) == 0.0 && bare_tail_log10(PUBLISHED[0]) < -2000.0);
    }

    #[test]
    fn counts_agree_with_the_tail_and_notice_a_wrong_one() {
        let (truth, case, rows) = (one_dimension(), (1.0, 0.35), 1 << 15);
        let count = count(&truth, case, 0, rows).unwrap();
        let predicted = predict(&truth, case.0, case.1).unwrap();
        let rate = Rate { time: case.0, delta: case.1, count, draws: rows as u64, predicted };
        assert!(rate.agrees() && count > 300, "{rate:?}");
        let (low, high) = rate.interval();
        assert!(low < rate.rate() && rate.rate() < high && high < 1.2 * low);
        assert!(!Rate { predicted: 1.4 * predicted, ..rate }.agrees());
        assert!(!Rate { predicted: predict(&truth, 1.0, 0.28).unwrap(), ..rate }.agrees());
        assert!(rate.verdict().contains("t = 1, δ = 0.35"));
    }

    #[test]
    fn intervals_hold_at_the_ends() {
        let rate = |count, draws| Rate { time: 1.0, delta: 0.1, count, draws, predicted: 0.1 };
        // Wilson (1927): z²/(n + z²) above, 0 below.
        let (low, high) = rate(0, 100).interval();
        assert!(low < 1e-15 && (high - 3.841_458_820_694_124 / 103.841_458_820_694_12).abs() < 1e-12);
        let (low, high) = rate(50, 100).interval();
        assert!((low + high - 1.0).abs() < 1e-12);
        assert!((rate(13, 100).deviation() - 1.0).abs() < 1e-12);
    }
}
