//! Philox4x32-10: a counter-based random generator. 128 bits of counter and 64 bits of key give 128 random bits.
//!
//! ```math
//! \begin{aligned}
//! 2^{32}\, h_0 + l_0 &= \mathtt{D2511F53}_{16}\, c_0, \qquad 2^{32}\, h_1 + l_1 = \mathtt{CD9E8D57}_{16}\, c_2 \\
//! c &\leftarrow (h_1 \oplus c_1 \oplus k_0,\; l_1,\; h_0 \oplus c_3 \oplus k_1,\; l_0) \\
//! k &\leftarrow (k_0 + \mathtt{9E3779B9}_{16},\; k_1 + \mathtt{BB67AE85}_{16}) \bmod 2^{32}
//! \end{aligned}
//! ```
//!
//! Ten rounds of the first two lines, with the third between rounds: `$c$` is the counter, `$k$` the key.
//!
//! Source: Salmon, Moraes, Dror and Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC 2011.
//!
//! ```
//! use gbm_sde::philox::philox4x32;
//! // The first line of the authors' known answers.
//! assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
//! ```
#![cfg_attr(doc, doc = include_str!("../../../docs/math.html"))]

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The 128 random bits that belong to a counter under a key.
///
/// ```
/// use gbm_sde::philox::philox4x32;
/// // The second line of the authors' known answers.
/// let bits = philox4x32([u32::MAX; 4], [u32::MAX; 2]);
/// assert_eq!(bits, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
/// ```
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

/// The lower halves of lanes' 64-bit words.
const LOW: u64 = 0xFFFF_FFFF;

/// One round on words whose upper halves are not used.
#[inline(always)]
fn round(c: [u64; 4], k: [u64; 2]) -> [u64; 4] {
    let first = u64::from(MULTIPLIER[0]) * (c[0] & LOW);
    let second = u64::from(MULTIPLIER[1]) * (c[2] & LOW);
    [(second >> 32) ^ c[1] ^ k[0], second, (first >> 32) ^ c[3] ^ k[1], first]
}

/// [`philox4x32`] at `N` counters: the first and the last 64 of each counter's 128 random bits. Every operation runs over all
/// lanes, on 64-bit words whose upper halves are not used.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "the compiler makes vector code of counted loops, not of zipped iterators"
)]
pub(crate) fn philox4x32_lanes<const N: usize>(counter: impl Fn(usize) -> [u32; 4], key: [u32; 2]) -> [[u64; N]; 2] {
    let mut keys = [[0; 2]; 10];
    let mut k = key;
    for round in &mut keys {
        // Not by `map`, which is a call of its own here.
        *round = [u64::from(k[0]), u64::from(k[1])];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    let mut halves = [[0; N]; 2];
    for lane in 0..N {
        let [c0, c1, c2, c3] = counter(lane);
        let c = [u64::from(c0), u64::from(c1), u64::from(c2), u64::from(c3)];
        // Written out: a loop inside would keep the loop over lanes from becoming vector code.
        let c = round(round(round(round(round(c, keys[0]), keys[1]), keys[2]), keys[3]), keys[4]);
        let c = round(round(round(round(round(c, keys[5]), keys[6]), keys[7]), keys[8]), keys[9]);
        halves[0][lane] = (c[0] & LOW) | (c[1] << 32);
        halves[1][lane] = (c[2] & LOW) | (c[3] << 32);
    }
    halves
}

#[cfg(test)]
mod tests {
    use super::{philox4x32, philox4x32_lanes};

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

    #[test]
    fn lanes_have_the_bits_of_their_counters() {
        let (start, key) = ([u32::MAX - 3, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0xbb67_ae85]);
        let counter = |lane: usize| start.map(|c| c.wrapping_add((lane * lane) as u32));
        let [first, last] = philox4x32_lanes::<11>(counter, key);
        for lane in 0..11 {
            let bits = philox4x32(counter(lane), key);
            assert_eq!(first[lane], u64::from(bits[0]) | u64::from(bits[1]) << 32);
            assert_eq!(last[lane], u64::from(bits[2]) | u64::from(bits[3]) << 32);
        }
    }
}
