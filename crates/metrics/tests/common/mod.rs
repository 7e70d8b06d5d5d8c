//! Seeded normal features for the behaviour tests.

use metrics::splitmix::SplitMix64;
use ndarray::Array2;

/// `rows × columns` standard normal draws (Box–Muller).
pub(crate) fn normal(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    let mut generator = SplitMix64::addressed(seed, 0x7465_7374, 0);
    let mut uniform = move || ((generator.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    Array2::from_shape_fn((rows, columns), |_| {
        let radius = (-2.0 * uniform().ln()).sqrt();
        (radius * (std::f64::consts::TAU * uniform()).cos()) as f32
    })
}
