//! The pen that draws a chart: colours, sizes, markers, and text that is broken to fit.
//!
//! Everything is given in the chart's units; the drawing library wants whole numbers, so [`FINE`] of them make one unit.

use plotters::coord::Shift;
use plotters::element::{Circle, DashedPathElement, Drawable, PathElement, PointCollection, Polygon, Text};
use plotters::prelude::{Color, DrawingArea, IntoFont, RGBColor, SVGBackend, ShapeStyle, TextStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ink::PAPER;
use super::plot::PlotError;

/// The drawing library's whole numbers in one unit.
pub(super) const FINE: f64 = 4.0;

/// Width of the rim of a hollow marker, in units.
const RIM: f64 = 1.6;

/// A full line.
pub(super) const FULL: (f64, f64) = (0.0, 0.0);

/// Size of a title, in units.
pub(super) const TEXT: f64 = 15.0;
/// Size of all other text, in units.
pub(super) const SMALL: f64 = 13.5;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Pen for one chart: turns units into the library's whole numbers.
pub(super) struct Pen<'a> {
    pub(super) area: Area<'a>,
    pub(super) chart: &'a str,
}

impl Pen<'_> {
    /// Draws one element of the library.
    pub(super) fn draw<E>(&self, element: &E) -> Result<(), PlotError>
    where
        for<'b> &'b E: PointCollection<'b, (i32, i32)>,
        for<'b> E: Drawable<SVGBackend<'b>>,
    {
        self.area
            .draw(element)
            .map_err(|error| PlotError::Draw { chart: self.chart.to_owned(), message: error.to_string() })
    }

    /// Ends the drawing.
    pub(super) fn present(&self) -> Result<(), PlotError> {
        self.area
            .present()
            .map_err(|error| PlotError::Draw { chart: self.chart.to_owned(), message: error.to_string() })
    }

    /// A line through points, full or dashed.
    pub(super) fn path(
        &self,
        points: &[(f64, f64)],
        color: RGBColor,
        width: f64,
        dash: (f64, f64),
    ) -> Result<(), PlotError> {
        let style = ShapeStyle::from(&color).stroke_width(fine(width) as u32);
        let points: Vec<_> = points.iter().copied().map(at).collect();
        if dash.0 == 0.0 {
            self.draw(&PathElement::new(points, style))
        } else {
            let (dash, gap) = (fine(dash.0) as u32, fine(dash.1) as u32);
            self.draw(&DashedPathElement::new(points, dash, gap, style))
        }
    }

    /// A filled polygon.
    pub(super) fn fill(&self, points: &[(f64, f64)], color: RGBColor, opacity: f64) -> Result<(), PlotError> {
        let points: Vec<_> = points.iter().copied().map(at).collect();
        self.draw(&Polygon::new(points, color.mix(opacity).filled()))
    }

    /// One line of text, centred on its height.
    pub(super) fn text(
        &self,
        text: &str,
        place: (f64, f64),
        size: f64,
        color: RGBColor,
        anchor: HPos,
    ) -> Result<(), PlotError> {
        // The library divides sizes by 1.24 when it writes SVG.
        let style = TextStyle::from(("system-ui, sans-serif", fine(size) as f64 * 1.24).into_font())
            .color(&color)
            .pos(Pos::new(anchor, VPos::Center));
        self.draw(&Text::new(text.to_owned(), at(place), style))
    }

    /// One marker; `kind` counts around circle, square, triangle, diamond: filled, then hollow.
    pub(super) fn marker(&self, (x, y): (f64, f64), kind: usize, color: RGBColor, r: f64) -> Result<(), PlotError> {
        let hollow = kind % 8 >= 4 && r > 2.0 * RIM;
        let corners = match kind % 4 {
            0 => {
                self.draw(&Circle::new(at((x, y)), fine(r), color.filled()))?;
                if hollow {
                    self.draw(&Circle::new(at((x, y)), fine(r - RIM), PAPER.filled()))?;
                }
                return Ok(());
            }
            1 => vec![(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)],
            2 => vec![(0.0, -1.3), (1.2, 1.0), (-1.2, 1.0)],
            _ => vec![(0.0, -1.4), (1.4, 0.0), (0.0, 1.4), (-1.4, 0.0)],
        };
        let scaled = |r: f64| -> Vec<_> { corners.iter().map(|(dx, dy)| (x + r * dx, y + r * dy)).collect() };
        self.fill(&scaled(r), color, 1.0)?;
        if hollow { self.fill(&scaled(r - RIM), PAPER, 1.0) } else { Ok(()) }
    }
}

/// Units in the library's whole numbers.
pub(super) fn fine(units: f64) -> i32 {
    (units * FINE).round() as i32
}

/// A place in the library's whole numbers.
fn at((x, y): (f64, f64)) -> (i32, i32) {
    (fine(x), fine(y))
}

/// An upper guess of a text's width: the page's font is known only to the reader's machine.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let ems: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | 'f' | 't' | 'r' | ' ' | '(' | ')' => 0.4,
            'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.98,
            '⁰'..='⁹' | '¹' | '²' | '³' | '⁻' => 0.45,
            'A'..='Z' => 0.74,
            c if (c as u32) < 0x1100 => 0.63,
            _ => 1.05,
        })
        .sum();
    ems * size
}

/// Breaks text into lines that fit, between words where it can; an empty text has no lines.
pub(super) fn wrap(text: &str, width: f64, size: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut()
            && text_width(&format!("{line} {word}"), size) <= width
        {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        lines.push(String::new());
        for c in word.chars() {
            let full =
                lines.last().is_some_and(|line| !line.is_empty() && text_width(&format!("{line}{c}"), size) > width);
            if full {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
        }
    }
    lines
}
