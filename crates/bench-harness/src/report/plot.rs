//! Line and point charts as SVG.
//!
//! The legend stands above the data, the y label above its axis: nothing covers a point and no text is turned. All of it is laid out
//! for [`WIDTH`] units, in which text is 13.5 units high; the page scales it.

use plotters::prelude::{IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::HPos;
use serde::Deserialize;

use super::axis::{Axis, Room, Scale};
use super::html::escape;
use super::ink::{GRID, INK, MUTED, PAPER};
use super::legend::{Look, draw_entry, legend, looks};
use super::pen::{FULL, Pen, SMALL, TEXT, fine, text_width, wrap};
use super::points::{csv, hits, thin};

pub use super::check::PlotError;
pub use super::drawing::{DrawingError, Svg};

/// Width of a chart in its own units.
pub const WIDTH: u32 = 420;

/// Height of the part that holds the data.
const PLOT_HEIGHT: f64 = 225.0;

/// Lines longer than this are thinned to the extremes of their pieces: no screen shows more.
const MOST_POINTS: usize = 1600;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// A line.
    #[default]
    Line,
    /// A marker at each point.
    Points,
    /// A small marker at each point, for hundreds of them.
    Dots,
    /// Both.
    Both,
    /// A thin grey line, for raw values behind a smoothed curve.
    Faint,
}

/// Points that belong together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Series {
    /// Name in the legend; none when empty.
    pub name: String,
    /// How it is drawn.
    pub mark: Mark,
    /// `(x, y)`, in the order in which a line joins them.
    pub points: Vec<(f64, f64)>,
    /// Empty, or `(low, high)` for each point: a shaded band behind a line, error bars on markers.
    pub band: Vec<(f64, f64)>,
}

/// A value that holds everywhere: a horizontal line across the chart.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name in the legend.
    pub name: String,
    /// Where it stands.
    pub y: f64,
}

/// A chart.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chart {
    /// Title; none when empty.
    pub title: String,
    /// What x is, with its unit.
    pub x_label: String,
    /// What y is, with its unit.
    pub y_label: String,
    /// Scale of x.
    pub x_scale: Scale,
    /// Scale of y.
    pub y_scale: Scale,
    /// The data.
    pub series: Vec<Series>,
    /// Reference values.
    pub rules: Vec<Rule>,
}

impl Chart {
    /// Draws the chart.
    ///
    /// # Errors
    /// No points, a point that is not finite, a point that is not positive on a logarithmic axis, or a band of another length than its
    /// points; the message names the chart, the series and the point.
    pub fn draw(&self) -> Result<Svg, PlotError> {
        self.check()?;
        let looks = looks(&self.series, self.rules.len());
        let width = f64::from(WIDTH);
        let mut top = 14.0;
        let title = wrap(&self.title, width - 24.0, TEXT + 1.0);
        let title_top = top;
        top += 21.0 * title.len() as f64;
        let names = self.series.iter().map(|s| s.name.as_str()).chain(self.rules.iter().map(|r| r.name.as_str()));
        let (entries, legend_height) = legend(names, &looks, top + 4.0);
        top += legend_height;
        let y_title = wrap(&self.y_label, width - 24.0, SMALL);
        let y_title_top = top + 6.0;
        top += 18.0 * y_title.len() as f64 + 12.0;

        let (x_axis, y_axis) = self.axes();
        let y_ticks = y_axis.ticks(5);
        let widest = y_ticks.iter().map(|tick| text_width(&tick.label, SMALL)).fold(0.0, f64::max);
        let left = (widest + 20.0).max(34.0);
        let mut x_ticks = x_axis.ticks(6);
        let widest =
            |ticks: &[super::axis::Tick]| ticks.iter().map(|tick| text_width(&tick.label, SMALL)).fold(0.0, f64::max);
        let right = width - (widest(&x_ticks) / 2.0 + 6.0).max(16.0);
        // Fewer ticks until no label touches its neighbour.
        let x_at = |value: f64| left + x_axis.place(value) * (right - left);
        for wanted in (2..6).rev() {
            let gap = widest(&x_ticks) + 8.0;
            if x_ticks.windows(2).all(|pair| x_at(pair[1].value) - x_at(pair[0].value) >= gap) {
                break;
            }
            x_ticks = x_axis.ticks(wanted);
        }
        let bottom = top + PLOT_HEIGHT;
        let y_at = |value: f64| bottom - y_axis.place(value) * (bottom - top);
        let x_title = wrap(&self.x_label, right - left, SMALL);
        let height = bottom + 26.0 + 18.0 * x_title.len() as f64 + 8.0;

        let place = |(x, y): (f64, f64)| (x_at(x), y_at(y));
        let mut drawn = String::new();
        {
            let size = (fine(width) as u32, fine(height) as u32);
            let pen = Pen { area: SVGBackend::with_string(&mut drawn, size).into_drawing_area(), chart: &self.title };
            pen.fill(&[(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)], PAPER, 1.0)?;
            for (i, line) in title.iter().enumerate() {
                pen.text(line, (12.0, title_top + 9.0 + 21.0 * i as f64), TEXT + 1.0, INK, HPos::Left)?;
            }
            for (i, line) in y_title.iter().enumerate() {
                pen.text(line, (12.0, y_title_top + 9.0 + 18.0 * i as f64), SMALL, MUTED, HPos::Left)?;
            }
            for tick in &y_ticks {
                let y = y_at(tick.value);
                pen.path(&[(left, y), (right, y)], GRID, 1.0, FULL)?;
                pen.text(&tick.label, (left - 8.0, y), SMALL, MUTED, HPos::Right)?;
            }
            for tick in &x_ticks {
                let x = x_at(tick.value);
                pen.path(&[(x, bottom), (x, bottom + 5.0)], MUTED, 1.0, FULL)?;
                pen.text(&tick.label, (x, bottom + 17.0), SMALL, MUTED, HPos::Center)?;
            }
            pen.path(&[(left, bottom), (right, bottom)], MUTED, 1.0, FULL)?;
            for (i, line) in x_title.iter().enumerate() {
                let place = ((left + right) / 2.0, bottom + 36.0 + 18.0 * i as f64);
                pen.text(line, place, SMALL, MUTED, HPos::Center)?;
            }
            for (rule, look) in self.rules.iter().zip(&looks[self.series.len()..]) {
                pen.path(&[(left, y_at(rule.y)), (right, y_at(rule.y))], look.color, look.width, look.dash)?;
            }
            for (series, look) in self.series.iter().zip(&looks) {
                self.band(&pen, series, *look, &place)?;
            }
            for (series, look) in self.series.iter().zip(&looks) {
                let kept = thin(&series.points, MOST_POINTS);
                let points: Vec<_> = kept.into_iter().map(|i| place(series.points[i])).collect();
                if look.line && points.len() > 1 {
                    pen.path(&points, look.color, look.width, look.dash)?;
                }
                // A line through one point would be invisible.
                if look.marker.is_some() || points.len() == 1 {
                    for &point in &points {
                        pen.marker(point, look.marker.unwrap_or(0), look.color, look.size)?;
                    }
                }
            }
            for entry in &entries {
                draw_entry(&pen, entry)?;
            }
            pen.present()?;
        }
        let hits = hits(self, &place, (left, right));
        Ok(frame(&drawn, &hits, (width, height), self.name(), csv(self)))
    }

    /// What the chart is called.
    fn name(&self) -> String {
        match (self.title.is_empty(), self.y_label.is_empty()) {
            (false, _) => self.title.clone(),
            (true, false) => format!("{} against {}", self.y_label, self.x_label),
            (true, true) => "chart".to_owned(),
        }
    }

    fn axes(&self) -> (Axis, Axis) {
        let markers = self.series.iter().any(|series| matches!(series.mark, Mark::Points | Mark::Dots | Mark::Both));
        let x_room = if markers { Room::Sides } else { Room::Tight };
        let xs = self.series.iter().flat_map(|series| series.points.iter().map(|point| point.0));
        let ys = self
            .series
            .iter()
            .flat_map(|series| {
                let band = series.band.iter().flat_map(|&(low, high)| [low, high]);
                series.points.iter().map(|point| point.1).chain(band)
            })
            .chain(self.rules.iter().map(|rule| rule.y));
        (Axis::around(xs, self.x_scale, x_room), Axis::around(ys, self.y_scale, Room::Padded))
    }

    fn band(
        &self,
        pen: &Pen<'_>,
        series: &Series,
        look: Look,
        place: &impl Fn((f64, f64)) -> (f64, f64),
    ) -> Result<(), PlotError> {
        let ends = series.points.iter().zip(&series.band).map(|(&(x, _), &(low, high))| (x, low, high));
        if look.marker.is_some() {
            for (x, low, high) in ends {
                let (from, to) = (place((x, low)), place((x, high)));
                pen.path(&[from, to], look.color, 1.5, FULL)?;
                for (x, y) in [from, to] {
                    pen.path(&[(x - 4.0, y), (x + 4.0, y)], look.color, 1.5, FULL)?;
                }
            }
            return Ok(());
        }
        let (lower, upper): (Vec<_>, Vec<_>) = ends.map(|(x, low, high)| (place((x, low)), place((x, high)))).unzip();
        if lower.is_empty() {
            return Ok(());
        }
        let outline: Vec<_> = lower.into_iter().chain(upper.into_iter().rev()).collect();
        pen.fill(&outline, look.color, 0.18)
    }
}

/// Gives a drawing a head of its own: no fixed size, and a name for screen readers; and the values of its points at its end.
pub(super) fn frame(drawn: &str, hits: &str, (width, height): (f64, f64), name: String, csv: String) -> Svg {
    let body = drawn.find('>').map_or("", |end| &drawn[end + 1..]);
    let body = body.trim_end().trim_end_matches("</svg>");
    let element = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">{body}{hits}</svg>",
        fine(width),
        fine(height),
        escape(&name),
    );
    Svg { name, element, csv }
}

#[cfg(test)]
#[path = "plot_tests.rs"]
mod tests;
