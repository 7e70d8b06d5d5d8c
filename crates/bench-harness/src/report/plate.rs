//! Pictures in rows with captions, as one drawing: grids side by side, or an image's path through noise levels.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plotters::prelude::RGBColor;

use super::html::escape;
use super::image::Png;
use super::ink::{INK, MUTED, PAPER, hex};
use super::pen::{FINE, SMALL, TEXT, fine, text_width, wrap};
use super::plot::{Svg, WIDTH, frame};

/// Height of a line of captions, in parts of its size.
const LINE: f64 = 1.3;
/// Size of captions under narrow pictures, in units.
const TINY: f64 = 9.5;
/// Pictures narrower than this have captions of that size.
const NARROW: f64 = 90.0;
/// Space between pictures, and around all of them.
const GAP: f64 = 6.0;
const MARGIN: f64 = 10.0;

/// Rows of pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plate {
    /// Title, drawn above.
    pub title: String,
    /// The rows, from the top; the longest decides how wide a picture is.
    pub rows: Vec<Row>,
    /// The numbers that go with it, as comma-separated values.
    pub csv: String,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it shows, drawn above it; empty for nothing.
    pub name: String,
    /// Pictures with their captions, drawn below each.
    pub pictures: Vec<(Png, String)>,
}

impl Plate {
    /// Draws it.
    #[must_use]
    pub fn draw(&self) -> Svg {
        let width = f64::from(WIDTH);
        let columns = self.rows.iter().map(|row| row.pictures.len()).max().unwrap_or(0).max(1) as f64;
        let side = (width - 2.0 * MARGIN - GAP * (columns - 1.0)) / columns;
        let size = if side < NARROW { TINY } else { SMALL };
        let mut body = String::new();
        let mut top = MARGIN;
        for line in wrap(&self.title, width - 2.0 * MARGIN, TEXT) {
            top += TEXT * LINE;
            text(&mut body, &line, (MARGIN, top - 0.35 * TEXT), TEXT, "start", INK);
        }
        for row in &self.rows {
            top += GAP;
            if !row.name.is_empty() {
                for line in wrap(&row.name, width - 2.0 * MARGIN, SMALL) {
                    top += SMALL * LINE;
                    text(&mut body, &line, (MARGIN, top - 0.35 * SMALL), SMALL, "start", MUTED);
                }
                top += 2.0;
            }
            let mut lowest = top;
            for (column, (png, caption)) in row.pictures.iter().enumerate() {
                let left = MARGIN + column as f64 * (side + GAP);
                let (w, h) = png.size();
                let height = side * h as f64 / w.max(1) as f64;
                let _ = write!(
                    body,
                    "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" image-rendering=\"optimizeSpeed\" \
                     style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
                    fine(left),
                    fine(top),
                    fine(side),
                    fine(height),
                    STANDARD.encode(png.bytes())
                );
                let mut bottom = top + height;
                for line in wrap(caption, side + GAP - 2.0, size) {
                    bottom += size * LINE;
                    let shrunk = size.min(size * (side + GAP) / text_width(&line, size).max(1.0));
                    text(&mut body, &line, (left + side / 2.0, bottom - 0.3 * size), shrunk, "middle", MUTED);
                }
                lowest = lowest.max(bottom);
            }
            top = lowest;
        }
        let height = top + MARGIN;
        let paper = format!(
            "<rect x=\"0\" y=\"0\" width=\"{}\" height=\"{}\" fill=\"{}\"/>",
            fine(width),
            fine(height),
            hex(PAPER)
        );
        let title = escape(&self.title);
        frame(
            &format!("<svg><title>{title}</title>{paper}{body}</svg>"),
            "",
            (width, height),
            self.title.clone(),
            self.csv.clone(),
        )
    }
}

/// One line of text on its base line.
fn text(body: &mut String, words: &str, (x, y): (f64, f64), size: f64, anchor: &str, color: RGBColor) {
    let _ = write!(
        body,
        "<text x=\"{}\" y=\"{}\" font-family=\"system-ui, sans-serif\" font-size=\"{}\" text-anchor=\"{anchor}\" fill=\"{}\">{}</text>",
        fine(x),
        fine(y),
        (size * FINE).round(),
        hex(color),
        escape(words)
    );
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn decoded(png: &Png) -> (Vec<u8>, usize) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png.bytes())).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        (bytes, png.size().0)
    }

    /// The picture of a plate shows its pictures, in their places, with sharp pixels.
    #[test]
    fn pictures_stand_side_by_side_in_pixels_too() {
        let grey = |value: u8| Png::from_gray(Array2::from_elem((4, 4), value).view()).unwrap();
        let row = |name: &str, values: &[u8]| Row {
            name: name.into(),
            pictures: values.iter().map(|v| (grey(*v), format!("v = {v} & more"))).collect(),
        };
        let plate = Plate {
            title: "Two rows".into(),
            rows: vec![row("first", &[40, 90]), row("", &[140])],
            csv: "a,b\n".into(),
        };
        let svg = plate.draw();
        assert_eq!(svg.csv(), "a,b\n");
        assert_eq!(svg.as_str().matches("<image").count(), 3);
        assert!(svg.as_str().contains("<title>Two rows</title>"));
        assert!(svg.as_str().contains("v = 40 &amp; more") && svg.as_str().contains(">first<"));
        let (bytes, width) = decoded(&svg.png().unwrap());
        let places = |value: u8| -> Vec<(usize, usize)> {
            let of = bytes.chunks_exact(3).enumerate().filter(|(_, p)| *p == [value; 3]);
            of.map(|(i, _)| (i % width, i / width)).collect()
        };
        let (left, right, below) = (places(40), places(90), places(140));
        let area = 840.0 * 840.0 / 4.0;
        for found in [&left, &right, &below] {
            assert!((0.85 * area..area).contains(&(found.len() as f64)), "{}", found.len());
        }
        assert!(left.iter().all(|p| p.0 < width / 2) && right.iter().all(|p| p.0 > width / 2));
        assert!(below.iter().map(|p| p.1).min() > left.iter().map(|p| p.1).max());
    }
}
