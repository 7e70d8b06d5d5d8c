//! Philox4x32-10: a counter-based random generator. 128 bits of counter and 64 bits of key give 128 random bits.
//!
//! ```text
//! ten rounds of   (hi₀, lo₀) = 0xD2511F53 · c₀,   (hi₁, lo₁) = 0xCD9E8D57 · c₂
//!                 c ← (hi₁ ⊕ c₁ ⊕ k₀,  lo₁,  hi₀ ⊕ c₃ ⊕ k₁,  lo₀)
//!                 k ← (k₀ + 0x9E3779B9, k₁ + 0xBB67AE85)         (before every round but the first)
//! ```
//!
//! Source: Salmon, Moraes, Dror and Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC 2011.

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The 128 random bits that belong to a counter under a key.
#[inline]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (mut c, mut k) = (counter, key);
    for round in 0..10 {
        if round > 0 {
            k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
        }
        let first = u64::from(MULTIPLIER[0]) * u64::from(c[0]);
        let second = u64::from(MULTIPLIER[1]) * u64::from(c[2]);
        c = [(second >> 32) as u32 ^ c[1] ^ k[0], second as u32, (first >> 32) as u32 ^ c[3] ^ k[1], first as u32];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::philox4x32;

    // The three `philox4x32 10` lines of kat_vectors, the known-answer file of the authors' Random123 library.
    #[test]
    fn known_answers() {
        let zero = philox4x32([0; 4], [0; 2]);
        assert_eq!(zero, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = philox4x32([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
        assert_eq!(pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }
}
