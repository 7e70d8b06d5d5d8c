//! SplitMix64: 64 bits of state, one addition and one mixing function for each draw.
//!
//! ```text
//! s ← s + 0x9e3779b97f4a7c15;   z = (s ⊕ (s ≫ 30)) · 0xbf58476d1ce4e5b9;   z = (z ⊕ (z ≫ 27)) · 0x94d049bb133111eb;   z ⊕ (z ≫ 31)
//! ```
//!
//! Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014. It only draws which rows enter a resample;
//! noise of the diffusion is drawn elsewhere.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A generator with its own state; nothing is shared or global.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The published generator started at `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The generator at an address: unrelated sequences for different `(seed, stream, index)`, the same one for the same address, so
    /// that resample *i* does not depend on how many are drawn or by which thread.
    pub fn addressed(seed: u64, stream: u64, index: u64) -> Self {
        let with_stream = Self::new(seed).next_u64() ^ stream.wrapping_mul(GOLDEN);
        let with_index = Self::new(with_stream).next_u64() ^ index.wrapping_mul(GOLDEN);
        Self::new(Self::new(with_index).next_u64())
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A uniform index in `0..n`, without bias (Lemire, *Fast random integer generation in an interval*, 2019). 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        if n == 0 {
            return 0;
        }
        let threshold = n.wrapping_neg() % n;
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(n);
            if wide as u64 >= threshold {
                return (wide >> 64) as usize;
            }
        }
    }

    /// `k` different indices of `0..n` in random order, every ordered choice equally likely; at most `n` of them.
    pub fn choose(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut indices: Vec<usize> = (0..n).collect();
        let k = k.min(n);
        for i in 0..k {
            let j = i + self.below(n - i);
            indices.swap(i, j);
        }
        indices.truncate(k);
        indices
    }

    /// How often each of `n` rows is drawn in `n` draws with replacement.
    pub fn resample_counts(&mut self, n: usize) -> Vec<u32> {
        let mut counts = vec![0; n];
        for _ in 0..n {
            counts[self.below(n)] += 1;
        }
        counts
    }
}

/// A matrix of numbers in [0, 1), for tests.
#[cfg(test)]
pub(crate) fn uniform(rows: usize, columns: usize, seed: u64) -> ndarray::Array2<f32> {
    let mut generator = SplitMix64::new(seed);
    ndarray::Array2::from_shape_fn((rows, columns), |_| (generator.next_u64() >> 40) as f32 / (1 << 24) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_the_published_sequence() {
        let mut generator = SplitMix64::new(1_234_567);
        let drawn: Vec<u64> = (0..5).map(|_| generator.next_u64()).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }

    #[test]
    fn indices_are_uniform() {
        // χ² with 9 degrees of freedom: 27.88 is passed with probability 0.001.
        let mut generator = SplitMix64::addressed(1, 2, 3);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[generator.below(10)] += 1;
        }
        let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - 1e4).powi(2) / 1e4).sum();
        assert!(chi2 < 27.88, "χ² = {chi2}, {counts:?}");
    }

    #[test]
    fn a_choice_has_no_repeats_and_a_resample_has_n_rows() {
        let mut generator = SplitMix64::new(7);
        let mut chosen = generator.choose(50, 20);
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), 20);
        assert!(chosen.iter().all(|&i| i < 50));
        assert_eq!(generator.choose(3, 10).len(), 3);
        assert_eq!(generator.resample_counts(1000).iter().sum::<u32>(), 1000);
        assert_eq!(generator.below(0), 0);
    }

    #[test]
    fn addresses_do_not_collide() {
        let mut first: Vec<u64> = (0..20)
            .flat_map(|stream| (0..20).map(move |index| SplitMix64::addressed(5, stream, index).next_u64()))
            .collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 400);
    }
}
