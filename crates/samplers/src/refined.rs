//! Noise that can be refined: a run on halved steps follows the same Brownian path as the run on whole ones.
//!
//! In the clock `v` a sampler's noise is a Brownian motion `W`, and the normal of a step from `v_a` down to `v_c` is its increment
//! over that interval, in units of its standard deviation. A step is halved at a level `v_b` between the two by a Brownian bridge:
//!
//! ```text
//! z       = (W_a − W_c)/√(v_a − v_c)
//! θ       = (v_a − v_b)/(v_a − v_c)
//! W_a − W_b = θ (W_a − W_c) + √(θ (1 − θ) (v_a − v_c)) ξ,        W_b − W_c = (W_a − W_c) − (W_a − W_b)
//! ```
//!
//! with a standard normal `ξ` of its own. The increments of the halves add up to the whole's and are independent normals of
//! variance `v_a − v_b` and `v_b − v_c`. The normals `z` and `ξ` are addressed by (seed, image, depth, position): `z` of base step
//! `p` is the draw of [`AddressedNoise`] at step `p`, and the `ξ` that halves interval `p` of depth `d − 1` stands at step
//! `2²⁷ d + p`. So every grid that comes from one base grid by halving sees one path, whatever was drawn before.
//!
//! For samplers that draw once a step, where the strong error of a step size is to be measured, or two grids are to be compared
//! without the scatter of their noise.
//!
//! Source: Lévy's construction of Brownian motion; Kloeden and Platen (1992), *Numerical Solution of Stochastic Differential
//! Equations*, section 1.8.

use ndarray::Array2;

use crate::error::{ConfigError, SampleError};
use crate::grid::Grid;
use crate::noise::{AddressedNoise, NoiseSource};
use crate::state::State;

/// Bits of a draw's step that hold the position; the depth stands above them.
const POSITION_BITS: u32 = 27;

/// Noise of one Brownian path for every grid that halves the steps of one base grid; see the module documentation.
#[derive(Debug, Clone)]
pub struct RefinedNoise {
    base: AddressedNoise,
    halvings: u32,
    levels: Vec<f64>,
    /// The increments that led to the last draw, from its base step down: position at that depth, `W` over the interval.
    path: Vec<(u32, Array2<f64>)>,
}

impl RefinedNoise {
    /// Noise for a run on `grid`, each of whose base steps was halved `halvings` times: `n · 2^halvings` steps, or one more if the
    /// last, down to 0, was left whole. Doubling the steps of a family of [`crate::GridConfig`] before its step to 0 does that: `n + 1`
    /// steps, then `2n + 1`, then `4n + 1`. The rows of a state are images `base.first_index, …`.
    ///
    /// ```
    /// use samplers::{AddressedNoise, GridConfig, RefinedNoise};
    /// let karras = |steps| GridConfig::Karras { r_min: 0.1, r_max: 3.0, rho: 7.0, steps }.build(None);
    /// let base = AddressedNoise::sampler(7, 0);
    /// let coarse = RefinedNoise::new(base, &karras(9)?, 0)?;
    /// let fine = RefinedNoise::new(base, &karras(33)?, 2)?; // four steps for each of the eight above 0
    /// assert!(RefinedNoise::new(base, &karras(34)?, 2).is_err());
    /// # Ok::<(), samplers::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// When the grid's number of steps is of neither form, or 2²⁷ and more.
    pub fn new(base: AddressedNoise, grid: &Grid, halvings: u32) -> Result<Self, ConfigError> {
        let steps = grid.steps();
        let fits = halvings < POSITION_BITS && steps < 1 << POSITION_BITS;
        if fits && steps >= 1 << halvings && steps % (1 << halvings) <= 1 {
            Ok(Self { base, halvings, levels: grid.levels().to_vec(), path: Vec::new() })
        } else {
            Err(ConfigError::Halvings { steps, halvings })
        }
    }

    /// `v` at the start and the end of interval `position` of `depth`, both as steps of the grid.
    fn span(&self, depth: u32, position: u32) -> (usize, usize) {
        let width = 1 << (self.halvings - depth);
        (position as usize * width, (position as usize + 1) * width)
    }

    /// Log variance between two levels of the grid.
    fn variance(&self, from: usize, to: usize) -> f64 {
        self.levels[from] - self.levels[to]
    }

    /// `W` over interval `position` of `depth`, from its parent's.
    fn half(&self, parent: &Array2<f64>, depth: u32, position: u32) -> Array2<f64> {
        let pair = position / 2;
        let (start, end) = self.span(depth - 1, pair);
        let (whole, upper) = (self.variance(start, end), self.variance(start, (start + end) / 2));
        let theta = upper / whole;
        let mut first = self.base.rows_f64(parent.nrows(), parent.ncols(), (depth << POSITION_BITS) + pair);
        first.combine((theta * (1.0 - theta) * whole).sqrt(), &[(theta, parent)]);
        if position % 2 == 1 {
            first.combine(-1.0, &[(1.0, parent)]);
        }
        first
    }
}

impl NoiseSource<Array2<f64>> for RefinedNoise {
    fn normal(&mut self, like: &Array2<f64>, step: u32) -> Result<Array2<f64>, SampleError> {
        let (index, steps) = (step as usize, self.levels.len() - 1);
        if index >= steps {
            return Err(SampleError::NoiseExhausted { draw: index, steps });
        }
        let base = step >> self.halvings;
        if self.halvings == 0 || self.span(0, base).1 > steps {
            // A step that is not halved; among others the last one may be.
            return Ok(self.base.rows_f64(like.nrows(), like.ncols(), base));
        }
        if self.path.first().is_some_and(|(_, w)| w.dim() != like.dim()) {
            self.path.clear();
        }
        // What the last draw shares with this one is kept: two intervals are new in the mean.
        let position = |depth: u32| step >> (self.halvings - depth);
        let known = (0..).zip(&self.path).take_while(|(depth, (p, _))| *p == position(*depth)).count();
        self.path.truncate(known);
        for depth in self.path.len() as u32..=self.halvings {
            let w = match self.path.last() {
                None => {
                    let (start, end) = self.span(0, base);
                    let sd = self.variance(start, end).sqrt();
                    self.base.rows_f64(like.nrows(), like.ncols(), base).mapv_into(|z| sd * z)
                }
                Some((_, parent)) => self.half(parent, depth, position(depth)),
            };
            self.path.push((position(depth), w));
        }
        let sd = self.variance(index, index + 1).sqrt();
        Ok(self.path.last().map_or_else(|| like.clone(), |(_, w)| w / sd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::GridConfig;

    const ROWS: usize = 20_000;
    const BASE: usize = 3;

    /// All draws of a run on the base grid with every step halved `halvings` times, the last one whole.
    fn draws(halvings: u32) -> (Vec<f64>, Vec<Array2<f64>>) {
        let steps = (BASE << halvings) + 1;
        let grid = GridConfig::NoiseLevel { r_min: 0.2, r_max: 2.0, steps }.build(None).unwrap();
        let mut noise = RefinedNoise::new(AddressedNoise::sampler(5, 100), &grid, halvings).unwrap();
        let like = Array2::zeros((ROWS, 2));
        let draws = (0..steps).map(|step| noise.normal(&like, step as u32).unwrap()).collect();
        (grid.levels().windows(2).map(|pair| pair[0] - pair[1]).collect(), draws)
    }

    #[test]
    fn halves_add_up_to_the_whole() {
        let (whole_variance, whole) = draws(0);
        for halvings in 1..=4 {
            let (variance, parts) = draws(halvings);
            for (p, z) in whole.iter().enumerate().take(BASE) {
                let mut sum = Array2::zeros((ROWS, 2));
                for part in p << halvings..(p + 1) << halvings {
                    sum.scaled_add(variance[part].sqrt(), &parts[part]);
                }
                let error = (sum / whole_variance[p].sqrt() - z).mapv(f64::abs).fold(0.0, |a: f64, &b| a.max(b));
                assert!(error < 1e-13, "{halvings} {p}: {error}");
            }
            assert_eq!(parts.last(), whole.last(), "the last step is left whole");
        }
    }

    #[test]
    fn unrefined_it_is_the_addressed_noise() {
        let (_, whole) = draws(0);
        for (step, z) in whole.iter().enumerate() {
            let addressed = AddressedNoise::sampler(5, 100).rows_f64(ROWS, 2, step as u32);
            assert_eq!(z, addressed);
        }
    }

    /// Each draw is standard normal by Kolmogorov and Smirnov's test, and no two of different steps or coordinates are correlated.
    #[test]
    fn draws_are_independent_standard_normals() {
        let (_, parts) = draws(2);
        let columns: Vec<Vec<f64>> = parts.iter().flat_map(|z| [z.column(0).to_vec(), z.column(1).to_vec()]).collect();
        let tests = columns.len() as f64;
        for (i, column) in columns.iter().enumerate() {
            let fit = gbm_sde::goodness::kolmogorov_smirnov(column, gbm_sde::normal::normal_cdf).unwrap();
            assert!(fit.p_value > 1e-3 / tests, "{i}: {fit:?}");
            for (j, other) in columns.iter().enumerate().take(i) {
                let correlation = column.iter().zip(other).map(|(a, b)| a * b).sum::<f64>() / ROWS as f64;
                assert!(correlation.abs() < 5.0 / (ROWS as f64).sqrt(), "{i} {j}: {correlation}");
            }
        }
    }

    /// In any order and for any rows the draws are the same.
    #[test]
    fn a_draw_belongs_to_its_address() {
        let (_, parts) = draws(3);
        let grid = GridConfig::NoiseLevel { r_min: 0.2, r_max: 2.0, steps: (BASE << 3) + 1 }.build(None).unwrap();
        let mut late = RefinedNoise::new(AddressedNoise::sampler(5, 110), &grid, 3).unwrap();
        for step in [24, 7, 8, 0, 23, 7, 1] {
            for rows in [2, 3] {
                let z = late.normal(&Array2::zeros((rows, 2)), step).unwrap();
                assert_eq!(z, parts[step as usize].slice_axis(ndarray::Axis(0), (10..10 + rows).into()));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let grid = GridConfig::NoiseLevel { r_min: 0.2, r_max: 2.0, steps: 10 }.build(None).unwrap();
        let with = |halvings| RefinedNoise::new(AddressedNoise::sampler(0, 0), &grid, halvings);
        for halvings in [2, 3, 4, 27, 32, 64] {
            assert_eq!(with(halvings).unwrap_err(), ConfigError::Halvings { steps: 10, halvings });
        }
        for halvings in [0, 1] {
            let mut noise = with(halvings).unwrap();
            let error = noise.normal(&Array2::zeros((1, 1)), 10).unwrap_err();
            assert_eq!(error, SampleError::NoiseExhausted { draw: 10, steps: 10 });
            assert!(noise.normal(&Array2::zeros((1, 1)), 9).is_ok());
        }
    }
}
