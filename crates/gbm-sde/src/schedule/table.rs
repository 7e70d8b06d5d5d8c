//! A log variance given as knots `$(t_i, v_i)$`, joined by monotone cubic pieces.
//!
//! On a piece of width `$h$` with mean slope `$\delta = (v_1 - v_0)/h$` and end slopes `$d_0, d_1$`, at `$s = (t - t_0)/h$`:
//!
//! ```math
//! v = v_0 + h s \bigl( d_0 + s ( 3\delta - 2 d_0 - d_1 + s ( d_0 + d_1 - 2\delta ) ) \bigr), \qquad \sigma^2 = \frac{dv}{dt}
//! ```
//!
//! Inner slopes are the weighted harmonic means of Fritsch and Butland (*SIAM Journal on Scientific and Statistical Computing*
//! 5, 1984), end slopes their three-point formula, as in PCHIP: all lie in `$[0, 3\delta]$`, where Fritsch and Carlson (1980) showed
//! that the cubic rises. Two knots give a straight line.
#![cfg_attr(doc, doc = include_str!("../../../../docs/math.html"))]

use super::ScheduleError;

/// Knots that have been checked, with their slopes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MonotoneCubic {
    knots: Vec<[f64; 2]>,
    slopes: Vec<f64>,
}

impl MonotoneCubic {
    /// Checks that both columns are finite and grow, that the first knot is `(0, 0)` and the last one lies at the horizon.
    pub(super) fn new(knots: &[[f64; 2]], horizon: f64) -> Result<Self, ScheduleError> {
        let (Some(&[t_first, v_first]), Some(&[t_last, _]), true) = (knots.first(), knots.last(), knots.len() > 1)
        else {
            return Err(ScheduleError::TooFewKnots(knots.len()));
        };
        if let Some((index, &[t, v])) = knots.iter().enumerate().find(|(_, k)| !(k[0].is_finite() && k[1].is_finite()))
        {
            return Err(ScheduleError::Knot { index, t, v });
        }
        if t_first != 0.0 || v_first != 0.0 {
            return Err(ScheduleError::Knot { index: 0, t: t_first, v: v_first });
        }
        for (index, pair) in knots.windows(2).enumerate() {
            let ([t0, v0], [t, v]) = (pair[0], pair[1]);
            if t <= t0 || v <= v0 {
                return Err(ScheduleError::Knot { index: index + 1, t, v });
            }
        }
        if t_last != horizon {
            return Err(ScheduleError::Horizon { horizon, last: t_last });
        }
        let slopes = slopes(knots);
        match slopes.iter().position(|d| !d.is_finite()) {
            Some(index) => Err(ScheduleError::Knot { index, t: knots[index][0], v: knots[index][1] }),
            None => Ok(Self { knots: knots.to_vec(), slopes }),
        }
    }

    /// `v(t)` for `t` between the first and the last knot.
    pub(super) fn value(&self, t: f64) -> f64 {
        let piece = self.piece(0, t);
        piece.value((t - piece.t) / piece.h).clamp(piece.v, piece.v_end)
    }

    /// `dv/dt`, not negative.
    pub(super) fn slope(&self, t: f64) -> f64 {
        let piece = self.piece(0, t);
        piece.slope((t - piece.t) / piece.h).max(0.0)
    }

    /// The time of a value between the first and the last: Newton's iteration, kept inside a bracket that halves when it strays.
    pub(super) fn time(&self, v: f64) -> f64 {
        let piece = self.piece(1, v);
        if v <= piece.v {
            return piece.t;
        }
        if v >= piece.v_end {
            return piece.t_end;
        }
        let (mut low, mut high) = (0.0, 1.0);
        let mut s = (v - piece.v) / (piece.v_end - piece.v);
        for _ in 0..100 {
            let excess = piece.value(s) - v;
            if excess > 0.0 {
                high = s;
            } else {
                low = s;
            }
            let newton = s - excess / (piece.h * piece.slope(s));
            let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
            if (next - s).abs() <= f64::EPSILON * s {
                break;
            }
            s = next;
        }
        piece.t + piece.h * s
    }

    /// The piece whose first knot is the last one not above `value` in `column` (0 for time, 1 for variance).
    fn piece(&self, column: usize, value: f64) -> Piece {
        let after = self.knots.partition_point(|knot| knot[column] <= value);
        let i = after.clamp(1, self.knots.len() - 1) - 1;
        let ([t, v], [t_end, v_end]) = (self.knots[i], self.knots[i + 1]);
        let h = t_end - t;
        Piece { t, t_end, v, v_end, h, mean: (v_end - v) / h, d0: self.slopes[i], d1: self.slopes[i + 1] }
    }
}

/// One cubic, as a function of the fraction `s` of its width.
struct Piece {
    t: f64,
    t_end: f64,
    v: f64,
    v_end: f64,
    h: f64,
    mean: f64,
    d0: f64,
    d1: f64,
}

impl Piece {
    fn value(&self, s: f64) -> f64 {
        // From the nearer end, so that both ends are met exactly.
        if s > 0.5 {
            let r = 1.0 - s;
            let [a, b, c] = [self.d1, 3.0 * self.mean - 2.0 * self.d1 - self.d0, self.d0 + self.d1 - 2.0 * self.mean];
            self.v_end - self.h * r * (a + r * (b + r * c))
        } else {
            let [a, b, c] = [self.d0, 3.0 * self.mean - 2.0 * self.d0 - self.d1, self.d0 + self.d1 - 2.0 * self.mean];
            self.v + self.h * s * (a + s * (b + s * c))
        }
    }

    fn slope(&self, s: f64) -> f64 {
        let b = 3.0 * self.mean - 2.0 * self.d0 - self.d1;
        self.d0 + s * (2.0 * b + 3.0 * s * (self.d0 + self.d1 - 2.0 * self.mean))
    }
}

fn slopes(knots: &[[f64; 2]]) -> Vec<f64> {
    let pieces: Vec<(f64, f64)> =
        knots.windows(2).map(|k| (k[1][0] - k[0][0], (k[1][1] - k[0][1]) / (k[1][0] - k[0][0]))).collect();
    let end = |(h0, d0): (f64, f64), (h1, d1): (f64, f64)| (((2.0 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)).max(0.0);
    let last = pieces.len() - 1;
    if last == 0 {
        return vec![pieces[0].1; 2];
    }
    let inner = pieces.windows(2).map(|p| {
        let ((h0, d0), (h1, d1)) = (p[0], p[1]);
        let (w0, w1) = (2.0 * h1 + h0, h1 + 2.0 * h0);
        (w0 + w1) / (w0 / d0 + w1 / d1)
    });
    std::iter::once(end(pieces[0], pieces[1])).chain(inner).chain([end(pieces[last], pieces[last - 1])]).collect()
}
