//! The law of Kolmogorov's statistic.

use std::f64::consts::PI;

/// Sample size up to which the law is computed exactly everywhere.
const EXACT: usize = 200;

/// Sample size up to which the tail is summed term by term.
const SUMMED: usize = 100_000;

/// Value of `nD²` from which both sides are never far at once: twice one side is then too much by a part `exp(−6nD²)`.
const TAIL: f64 = 3.0;

/// Probability that `D_n ≥` `statistic` for `n` values from a continuous law (the same for every one).
///
/// | where | method | relative error |
/// |---|---|---|
/// | `D ≥ ½` or `nD² ≥ 3`, n ≤ 100,000 | twice the one-sided tail, exact (Birnbaum and Tingey 1951) | 2e-8 |
/// | `nD² ≥ 3`, larger n | `2 exp(−(6nD + 1)²/18n)` (Maag and Dicaire 1971) | 1e-3 |
/// | else, n ≤ 200 | power of a matrix (Marsaglia, Tsang and Wang 2003) | 1e-9 |
/// | else | asymptotic series to `n^(−3/2)` (Pelz and Good 1976) | 3e-5 at n = 201, less above |
///
/// The choice of methods follows Simard and L'Ecuyer, *Journal of Statistical Software* 39(11), 2011.
///
/// ```
/// use gbm_sde::goodness::kolmogorov_survival;
/// assert!((kolmogorov_survival(100, 0.12) - 0.103_303_749).abs() < 1e-9);
/// // One uniform u has D = max(u, 1 − u).
/// assert!((kolmogorov_survival(1, 0.7) - 2.0 * 0.3).abs() < 1e-14);
/// ```
pub fn kolmogorov_survival(n: usize, statistic: f64) -> f64 {
    let count = n as f64;
    if statistic.is_nan() || n == 0 {
        return f64::NAN;
    }
    // The empirical steps cannot be nearer than half their height.
    if statistic <= 0.5 / count {
        return 1.0;
    }
    if statistic >= 1.0 {
        return 0.0;
    }
    let tail = count * statistic * statistic >= TAIL;
    let survival = if (tail || statistic >= 0.5) && n <= SUMMED {
        2.0 * one_sided_survival(n, statistic)
    } else if tail {
        2.0 * (-(6.0 * count * statistic + 1.0).powi(2) / (18.0 * count)).exp()
    } else if n <= EXACT {
        1.0 - matrix_cdf(n, statistic)
    } else {
        1.0 - series_cdf(count, count.sqrt() * statistic)
    };
    survival.clamp(0.0, 1.0)
}

/// `P(D⁺_n ≥ d) = d Σ_j C(n, j) (d + j/n)^(j−1) (1 − d − j/n)^(n−j)`.
fn one_sided_survival(n: usize, d: f64) -> f64 {
    let count = n as f64;
    let mut ln_binomial = 0.0;
    let mut sum = 0.0;
    for j in 0..=n {
        let part = j as f64 / count;
        let rest = 1.0 - d - part;
        if rest <= 0.0 {
            break;
        }
        sum += (ln_binomial + (j as f64 - 1.0) * (d + part).ln() + (n - j) as f64 * rest.ln()).exp();
        ln_binomial += ((n - j) as f64 / (j + 1) as f64).ln();
    }
    d * sum
}

/// `P(D_n < d)` by Durbin's matrix: `n!/nⁿ (Hⁿ)_kk` with a matrix of order `2k - 1`, `k = ⌊nd⌋ + 1`.
fn matrix_cdf(n: usize, d: f64) -> f64 {
    let scaled = n as f64 * d;
    let k = scaled as usize + 1;
    let order = 2 * k - 1;
    let h = k as f64 - scaled;
    let mut matrix = vec![0.0; order * order];
    for (i, row) in matrix.chunks_exact_mut(order).enumerate() {
        for (j, value) in row.iter_mut().enumerate().take(i + 2) {
            let mut entry = 1.0;
            if j == 0 {
                entry -= h.powi(i as i32 + 1);
            }
            if i + 1 == order {
                entry -= h.powi((order - j) as i32);
                if j == 0 {
                    entry += (2.0 * h - 1.0).max(0.0).powi(order as i32);
                }
            }
            *value = (1..=(i + 1 - j)).fold(entry, |entry, f| entry / f as f64);
        }
    }
    let mut power: Option<Vec<f64>> = None;
    let mut left = n;
    while left > 0 {
        if left % 2 == 1 {
            power = Some(match power {
                Some(power) => product(&power, &matrix, order),
                None => matrix.clone(),
            });
        }
        left /= 2;
        if left > 0 {
            matrix = product(&matrix, &matrix, order);
        }
    }
    let centre = power.map_or(0.0, |power| power[(k - 1) * order + k - 1]);
    (1..=n).fold(centre, |value, i| value * i as f64 / n as f64)
}

fn product(a: &[f64], b: &[f64], order: usize) -> Vec<f64> {
    let mut out = vec![0.0; order * order];
    for (row, out) in a.chunks_exact(order).zip(out.chunks_exact_mut(order)) {
        for (factor, line) in row.iter().zip(b.chunks_exact(order)) {
            for (o, value) in out.iter_mut().zip(line) {
                *o += factor * value;
            }
        }
    }
    out
}

/// `P(√n D_n ≤ z)` by the series of Pelz and Good, with three correction terms.
fn series_cdf(n: f64, z: f64) -> f64 {
    let z2 = z * z;
    let (z4, z6, z8) = (z2 * z2, z2 * z2 * z2, z2 * z2 * z2 * z2);
    let mut k = [0.0; 4];
    for i in 0..20 {
        // Both signs of k ± ½, and of k, are the same term.
        let q = (PI * (f64::from(i) + 0.5)).powi(2);
        let weight = 2.0 * (-0.5 * q / z2).exp();
        k[0] += weight / z;
        k[1] += weight * (q - z2) / (6.0 * z4);
        k[2] += weight * (6.0 * z6 + 2.0 * z4 + q * (2.0 * z4 - 5.0 * z2) + q * q * (1.0 - 2.0 * z2)) / (72.0 * z6 * z);
        let cubic = q * q * q * (5.0 - 30.0 * z2) + q * q * (212.0 * z4 - 60.0 * z2) + q * (135.0 * z4 - 96.0 * z6);
        k[3] += weight * (cubic - 30.0 * z6 - 90.0 * z8) / (6480.0 * z8 * z2);
        let q = (PI * f64::from(i)).powi(2);
        let weight = 2.0 * (-0.5 * q / z2).exp();
        k[2] -= weight * q / (36.0 * z2 * z);
        k[3] += weight * (3.0 * q * z2 - q * q) / (216.0 * z6);
    }
    let root = n.sqrt();
    (0.5 * PI).sqrt() * (k[0] + k[1] / root + k[2] / n + k[3] / (n * root))
}
