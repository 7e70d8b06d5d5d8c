//! Ink: the pen's path as a 28×28 image, in the manner of MNIST.
//!
//! MNIST's digits were fitted into 20×20 pixels with their proportions kept, anti-aliased, and shifted by whole pixels
//! so that their centre of mass lies at the centre of 28×28. Here the ink at distance `d` from a pen of radius `ρ`
//! is
//!
//! ```text
//! u(d) = s(clamp((ρ − d)/e + ½, 0, 1)),    s(t) = t²(3 − 2t),    e: width of the soft edge, in pixels
//! ```
//!
//! and a pixel takes the largest ink of all segments. `ρ` varies along the path a little, as pressure does.

use ndarray::Array2;

use super::draw::Draw;
use super::skeleton::Point;

/// Height and width of an image in pixels.
pub const SIDE: usize = 28;
/// Longest side of a digit in pixels.
const BOX: f64 = 20.0;
/// Mean and standard deviation of the pen's radius in pixels.
const RADIUS: (f64, f64) = (1.32, 0.37);
/// Range of the pen's radius in pixels.
const RADIUS_RANGE: (f64, f64) = (0.7, 2.4);
/// Smallest and largest width of the soft edge in pixels.
const EDGE: (f64, f64) = (1.2, 2.2);
/// Relative change of the radius from one end of the path to the other, standard deviation.
const PRESSURE: f64 = 0.12;

/// The image of `path`, 255 is full ink. A path with no point gives an empty image.
pub fn ink(path: &[Vec<Point>], draw: &mut Draw) -> Array2<u8> {
    let radius = (RADIUS.0 + RADIUS.1 * draw.bell()).clamp(RADIUS_RANGE.0, RADIUS_RANGE.1);
    let edge = draw.range(EDGE.0, EDGE.1);
    let pressure = PRESSURE * draw.bell();
    let phase = (draw.unit() - 0.5, draw.unit() - 0.5);
    let placed = fit(path, radius + edge / 3.0, phase);
    let mut grey = vec![0.0f64; SIDE * SIDE];
    let segments = placed.iter().map(|piece| piece.len().saturating_sub(1)).sum::<usize>().max(1);
    let mut done = 0;
    for piece in &placed {
        for ends in piece.windows(2) {
            let along = done as f64 / segments as f64 - 0.5;
            let pen = Pen { radius: radius * (1.0 + pressure * along), edge };
            pen.stroke(&mut grey, ends[0], ends[1]);
            done += 1;
        }
    }
    centre(&grey)
}

/// Scales `path` so that its ink, which reaches `reach` beyond it, fits the box, in the middle of the image up to a fraction of a pixel.
fn fit(path: &[Vec<Point>], reach: f64, phase: Point) -> Vec<Vec<Point>> {
    let (mut lo, mut hi) = ((f64::MAX, f64::MAX), (f64::MIN, f64::MIN));
    for &(x, y) in path.iter().flatten() {
        lo = (lo.0.min(x), lo.1.min(y));
        hi = (hi.0.max(x), hi.1.max(y));
    }
    let extent = (hi.0 - lo.0).max(hi.1 - lo.1).max(1e-9);
    let scale = (BOX - 2.0 * reach) / extent;
    let middle = SIDE as f64 / 2.0;
    let (cx, cy) = ((lo.0 + hi.0) / 2.0, (lo.1 + hi.1) / 2.0);
    let place = |&(x, y): &Point| (middle + phase.0 + (x - cx) * scale, middle + phase.1 + (y - cy) * scale);
    path.iter().map(|piece| piece.iter().map(place).collect()).collect()
}

struct Pen {
    radius: f64,
    edge: f64,
}

impl Pen {
    /// Adds the ink of the segment from `a` to `b`; pixel (i, j) has its centre at (j + ½, i + ½).
    fn stroke(&self, grey: &mut [f64], a: Point, b: Point) {
        let reach = self.radius + self.edge;
        let pixels = |lo: f64, hi: f64| {
            let first = (lo - reach).floor().clamp(0.0, SIDE as f64) as usize;
            let last = (hi + reach).ceil().clamp(0.0, SIDE as f64) as usize;
            first..last
        };
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length2 = dx * dx + dy * dy;
        for i in pixels(a.1.min(b.1), a.1.max(b.1)) {
            for j in pixels(a.0.min(b.0), a.0.max(b.0)) {
                let (px, py) = (j as f64 + 0.5 - a.0, i as f64 + 0.5 - a.1);
                let t = if length2 > 0.0 { ((px * dx + py * dy) / length2).clamp(0.0, 1.0) } else { 0.0 };
                let (ex, ey) = (px - t * dx, py - t * dy);
                let cell = &mut grey[i * SIDE + j];
                *cell = cell.max(self.ink_at((ex * ex + ey * ey).sqrt()));
            }
        }
    }

    fn ink_at(&self, distance: f64) -> f64 {
        let t = ((self.radius - distance) / self.edge + 0.5).clamp(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    }
}

/// Shifts by whole pixels so that the centre of mass comes nearest to the centre, and no ink leaves the image.
fn centre(grey: &[f64]) -> Array2<u8> {
    let byte = |u: f64| (255.0 * u + 0.5) as u8;
    let (mut mass, mut at) = (0.0, (0.0, 0.0));
    let (mut lo, mut hi) = ([SIDE; 2], [0; 2]);
    for (k, &u) in grey.iter().enumerate().filter(|&(_, &u)| byte(u) > 0) {
        let place = [k % SIDE, k / SIDE];
        mass += u;
        at.0 += u * (place[0] as f64 + 0.5);
        at.1 += u * (place[1] as f64 + 0.5);
        for axis in 0..2 {
            lo[axis] = lo[axis].min(place[axis]);
            hi[axis] = hi[axis].max(place[axis]);
        }
    }
    let mut image = Array2::zeros((SIDE, SIDE));
    if mass == 0.0 {
        return image;
    }
    let shift = |sum: f64, axis: usize| {
        let wish = (SIDE as f64 / 2.0 - sum / mass + 0.5).floor() as isize;
        wish.clamp(-(lo[axis] as isize), (SIDE - 1 - hi[axis]) as isize)
    };
    let (dx, dy) = (shift(at.0, 0), shift(at.1, 1));
    for i in lo[1]..=hi[1] {
        for j in lo[0]..=hi[0] {
            // The clamp above keeps both sums inside the image.
            let (to_i, to_j) = (i.saturating_add_signed(dy), j.saturating_add_signed(dx));
            image[[to_i, to_j]] = byte(grey[i * SIDE + j]);
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_ink_of_a_capsule() {
        // Area of a capsule of radius ρ and length l: 2ρl + πρ²; the soft edge is symmetric to first order.
        let pen = Pen { radius: 2.0, edge: 1.0 };
        let mut grey = vec![0.0; SIDE * SIDE];
        pen.stroke(&mut grey, (8.3, 9.1), (18.0, 17.4));
        let length = (9.7f64 * 9.7 + 8.3 * 8.3).sqrt();
        let area = 4.0 * length + std::f64::consts::PI * 4.0;
        let sum: f64 = grey.iter().sum();
        assert!((sum / area - 1.0).abs() < 0.01, "{sum} {area}");
    }

    #[test]
    fn the_mass_is_centred_and_nothing_is_lost() {
        let mut grey = vec![0.0; SIDE * SIDE];
        for k in [3 * SIDE + 2, 3 * SIDE + 3, 4 * SIDE + 2, 4 * SIDE + 3] {
            grey[k] = 1.0;
        }
        let image = centre(&grey);
        assert_eq!(image.iter().filter(|&&u| u == 255).count(), 4);
        assert_eq!([image[[13, 13]], image[[14, 14]]], [255, 255]);
        // Far-off ink limits the shift.
        grey[SIDE * SIDE - 1] = 0.5;
        let image = centre(&grey);
        assert_eq!(image.iter().filter(|&&u| u > 0).count(), 5);
        assert_eq!(centre(&vec![0.0; SIDE * SIDE]).sum(), 0);
    }

    #[test]
    fn degenerate_paths_are_drawn_without_harm() {
        let mut draw = Draw::new(0, 0, 0, 0);
        assert_eq!(ink(&[], &mut draw).sum(), 0);
        assert_eq!(ink(&[vec![(0.1, 0.1)]], &mut draw).sum(), 0);
        assert!(ink(&[vec![(0.1, 0.1), (0.1, 0.1)]], &mut draw).iter().any(|&u| u > 200));
    }
}
