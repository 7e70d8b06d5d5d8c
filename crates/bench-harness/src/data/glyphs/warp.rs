//! From a style to one person's writing of it, once: shaken control points, a smooth curve, a bent sheet.
//!
//! Each control point moves by a small random step, like its neighbour's; the curve through them is a Catmull–Rom spline (cubic Béziers with
//! tangents `(p_{i+1} − p_{i−1})/2`; E. Catmull, R. Rom, 1974). Then every point of it goes through
//!
//! ```text
//! p ← A (p + f(p)),    f(p) = Σ_k a_k b(u_k · p + φ_k)
//! ```
//!
//! with `A` slant, rotation and aspect, and `f` a smooth elastic field of a few waves `b` (P. Simard et al., ICDAR 2003,
//! use a smoothed random field to the same end).

use super::draw::Draw;
use super::skeleton::{Point, Stroke, Style};

/// Standard deviation of a control point's step, in writing boxes.
const JITTER: f64 = 0.03;
/// Correlation of the steps of neighbouring control points.
const LIKENESS: f64 = 0.85;
/// Standard deviation of a wave's amplitude, in writing boxes.
const ELASTIC: f64 = 0.04;
/// Standard deviation of a wave's number of turns per writing box, in x and in y.
const WAVE_NUMBER: f64 = 0.5;
/// Number of waves of the elastic field.
const WAVES: usize = 3;
/// Mean and standard deviation of the slant (x per y): hands lean to the right.
const SLANT: (f64, f64) = (0.13, 0.19);
/// Standard deviation of the rotation, as the tangent of its angle.
const TURN: f64 = 0.09;
/// Mean and standard deviation of the width of the writing box, its height being 1.
const WIDTH: (f64, f64) = (0.95, 0.13);
/// Curve points per control point interval.
const STEPS: usize = 7;

/// The pen's path: one polyline per smooth piece, in writing boxes.
pub fn write(style: &Style, draw: &mut Draw) -> Vec<Vec<Point>> {
    let shaken: Vec<Vec<Point>> = style.strokes.iter().map(|s| shake(s, draw)).collect();
    let sheet = Sheet::new(draw);
    let mut path = Vec::new();
    for (stroke, points) in style.strokes.iter().zip(&shaken) {
        let mut start = 0;
        for end in stroke.corners.iter().copied().chain([points.len() - 1]) {
            let piece = curve(&points[start..=end]);
            path.push(piece.into_iter().map(|p| sheet.bend(p)).collect());
            start = end;
        }
    }
    path
}

/// Steps of neighbouring points are alike, `s_i = c s_{i−1} + √(1 − c²) n_i`: a hand errs smoothly.
fn shake(stroke: &Stroke, draw: &mut Draw) -> Vec<Point> {
    let fresh = (1.0 - LIKENESS * LIKENESS).sqrt();
    let mut step = (draw.bell(), draw.bell());
    let mut shaken = Vec::with_capacity(stroke.points.len());
    for &(x, y) in stroke.points {
        shaken.push((x + JITTER * step.0, y + JITTER * step.1));
        step.0 = LIKENESS * step.0 + fresh * draw.bell();
        step.1 = LIKENESS * step.1 + fresh * draw.bell();
    }
    shaken
}

/// Catmull–Rom spline through `points`, sampled; the ends continue straight.
fn curve(points: &[Point]) -> Vec<Point> {
    let at = |i: isize| -> Point {
        let last = points.len() as isize - 1;
        let get = |i: isize| points[i as usize];
        if i < 0 {
            mirror(get(0), get(1.min(last)))
        } else if i > last {
            mirror(get(last), get((last - 1).max(0)))
        } else {
            get(i)
        }
    };
    let mut path = vec![at(0)];
    for i in 0..points.len() as isize - 1 {
        let (a, b, c, d) = (at(i - 1), at(i), at(i + 1), at(i + 2));
        for step in 1..STEPS {
            let t = step as f64 / STEPS as f64;
            path.push((spline(a.0, b.0, c.0, d.0, t), spline(a.1, b.1, c.1, d.1, t)));
        }
        path.push(c);
    }
    path
}

fn mirror(centre: Point, p: Point) -> Point {
    (2.0 * centre.0 - p.0, 2.0 * centre.1 - p.1)
}

fn spline(a: f64, b: f64, c: f64, d: f64, t: f64) -> f64 {
    let linear = c - a;
    let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
    let cube = 3.0 * (b - c) + d - a;
    b + 0.5 * t * (linear + t * (square + t * cube))
}

/// The bent sheet: elastic field, then slant, rotation and aspect.
struct Sheet {
    waves: [[f64; 5]; WAVES],
    slant: f64,
    turn: f64,
    width: f64,
}

impl Sheet {
    fn new(draw: &mut Draw) -> Self {
        let mut waves = [[0.0; 5]; WAVES];
        for wave in &mut waves {
            *wave = [
                ELASTIC * draw.bell(),
                ELASTIC * draw.bell(),
                WAVE_NUMBER * draw.bell(),
                WAVE_NUMBER * draw.bell(),
                draw.unit(),
            ];
        }
        Self {
            waves,
            slant: SLANT.0 + SLANT.1 * draw.bell(),
            turn: TURN * draw.bell(),
            width: (WIDTH.0 + WIDTH.1 * draw.bell()).max(0.5),
        }
    }

    fn bend(&self, (x, y): Point) -> Point {
        let (mut u, mut v) = (x, y);
        for [du, dv, kx, ky, phase] in self.waves {
            let wave = bump(kx * x + ky * y + phase);
            u += du * wave;
            v += dv * wave;
        }
        let (u, v) = ((u - 0.5) * self.width - self.slant * (v - 0.5), v - 0.5);
        let norm = (1.0 + self.turn * self.turn).sqrt();
        ((u - self.turn * v) / norm, (v + self.turn * u) / norm)
    }
}

/// A wave of period 1 between −1 and 1, smooth in value and slope: parabolas in place of a sine, exact everywhere.
fn bump(turns: f64) -> f64 {
    let t = turns - turns.floor();
    if t < 0.5 { 16.0 * t * (0.5 - t) } else { -16.0 * (t - 0.5) * (1.0 - t) }
}

#[cfg(test)]
mod tests {
    use super::super::skeleton::STYLES;
    use super::*;

    #[test]
    fn the_curve_goes_through_its_points_and_keeps_straight_lines() {
        let points = [(0.0, 0.0), (0.3, 0.5), (0.1, 0.9), (0.8, 1.0)];
        let path = curve(&points);
        assert_eq!(path.len(), 3 * STEPS + 1);
        for (i, &(x, y)) in points.iter().enumerate() {
            let (u, v) = path[i * STEPS];
            assert!((u - x).abs() < 1e-14 && (v - y).abs() < 1e-14);
        }
        let line = curve(&[(0.0, 0.0), (1.0, 2.0), (2.0, 4.0)]);
        assert!(line.iter().all(|&(x, y)| (y - 2.0 * x).abs() < 1e-14));
        assert_eq!(curve(&[(0.0, 0.0), (1.0, 1.0)]).len(), STEPS + 1);
    }

    #[test]
    fn the_wave_is_periodic_smooth_and_bounded() {
        for (t, expected) in [(0.0, 0.0), (0.25, 1.0), (0.5, 0.0), (0.75, -1.0), (-0.25, -1.0)] {
            assert_eq!(bump(t), expected, "{t}");
        }
        let slope = |t: f64| (bump(t + 1e-7) - bump(t - 1e-7)) / 2e-7;
        for joint in [0.0, 0.5, 1.0] {
            assert!((slope(joint).abs() - 8.0).abs() < 1e-5, "{joint}");
        }
    }

    #[test]
    fn pieces_meet_at_corners() {
        let style = STYLES[7].iter().find(|s| s.strokes[0].corners.len() == 2).unwrap();
        let path = write(style, &mut Draw::new(3, 1, 4, 1));
        assert_eq!(path.len(), 3);
        for pair in path.windows(2) {
            assert_eq!(pair[0].last(), pair[1].first());
        }
    }
}
