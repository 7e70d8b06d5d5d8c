//! Addressed random numbers for `glyphs`: SplitMix64 started from a hash of the address.
//!
//! ```text
//! s ← s + 0x9E3779B97F4A7C15;  z ← (s ⊕ s≫30) · 0xBF58476D1CE4E5B9;  z ← (z ⊕ z≫27) · 0x94D049BB133111EB;  z ⊕ z≫31
//! ```
//!
//! Source: G. L. Steele, D. Lea, C. H. Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014, with
//! the constants of S. Vigna's `splitmix64.c`.

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of draws that belongs to one address.
#[derive(Clone, Debug)]
pub struct Draw {
    state: u64,
}

impl Draw {
    /// The stream of `(seed, split, index, purpose)`: streams of different addresses have nothing in common.
    pub fn new(seed: u64, split: u64, index: u64, purpose: u64) -> Self {
        let state = [split, index, purpose]
            .into_iter()
            .fold(mix(seed.wrapping_add(GAMMA)), |s, part| mix(s ^ part.wrapping_mul(GAMMA)).wrapping_add(GAMMA));
        Self { state }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform in `[0, 1)`, a multiple of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `[lo, hi)`.
    pub fn range(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * self.unit()
    }

    /// A bell of mean 0 and standard deviation 1 that ends at ±5.2: the sum of nine centred uniforms (Irwin–Hall), 9/12
    /// being its variance before scaling. No logarithm, no cosine, so the same bits everywhere; and no outliers.
    pub fn bell(&mut self) -> f64 {
        let sum: f64 = (0..9).map(|_| self.unit() - 0.5).sum();
        sum / 0.75f64.sqrt()
    }

    /// Uniform in `0 .. n` (`n` small: the bias of the multiplication is below n/2⁶⁴); 0 for `n = 0`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// An index with probability proportional to its weight.
    pub fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let total: f64 = weights.clone().sum();
        let mut left = self.unit() * total;
        let mut last = 0;
        for (i, weight) in weights.enumerate() {
            last = i;
            left -= weight;
            if left < 0.0 {
                break;
            }
        }
        last
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_known_answers() {
        // First outputs of Vigna's splitmix64.c for the state 1234567.
        let mut draw = Draw { state: 1_234_567 };
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([draw.bits(), draw.bits(), draw.bits()], expected);
    }

    #[test]
    fn neighbouring_addresses_share_nothing() {
        let firsts: std::collections::HashSet<u64> = (0..4u64)
            .flat_map(|seed| (0..2u64).flat_map(move |split| (0..500).map(move |i| (seed, split, i))))
            .flat_map(|(seed, split, i)| [0, 1].map(|p| Draw::new(seed, split, i, p).bits()))
            .collect();
        assert_eq!(firsts.len(), 4 * 2 * 500 * 2);
    }

    #[test]
    fn moments_of_the_draws() {
        let mut draw = Draw::new(1, 2, 3, 4);
        let n = 200_000;
        let bells: Vec<f64> = (0..n).map(|_| draw.bell()).collect();
        let mean = bells.iter().sum::<f64>() / f64::from(n);
        let var = bells.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        // Five standard errors: 1/√n for the mean, √(2/n) at most for the variance.
        assert!(mean.abs() < 0.0112 && (var - 1.0).abs() < 0.0158, "{mean} {var}");
        let mut counts = [0; 3];
        for _ in 0..60_000 {
            counts[draw.weighted([1.0, 2.0, 3.0].into_iter())] += 1;
        }
        for (count, expected) in counts.into_iter().zip([10_000.0, 20_000.0, 30_000.0]) {
            assert!((f64::from(count) - expected).abs() < 600.0, "{counts:?}");
        }
        assert!((0..1000).all(|_| draw.below(7) < 7));
    }
}
