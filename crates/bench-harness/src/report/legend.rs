//! How the series of a chart look, and the legend that says so.
//!
//! Each series has not only its own colour but its own dashes and its own marker, so that a chart reads in grey.

use plotters::prelude::RGBColor;
use plotters::style::text_anchor::HPos;

use super::ink::{FAINT, INK, MUTED, PALETTE};
use super::pen::{FULL, Pen, SMALL, text_width, wrap};
use super::plot::{Mark, PlotError, Series, WIDTH};

/// Dash and gap in units; 0 is a full line.
const DASHES: [(f64, f64); 7] = [FULL, (9.0, 4.0), (3.0, 3.0), (20.0, 5.0), (6.0, 2.0), (2.0, 6.0), (12.0, 2.5)];

/// How one series or rule looks, in the chart and in the legend.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) color: RGBColor,
    pub(super) dash: (f64, f64),
    pub(super) width: f64,
    pub(super) marker: Option<usize>,
    /// Half the width of a marker.
    pub(super) size: f64,
    pub(super) line: bool,
}

/// An entry of the legend and where it stands.
pub(super) struct Entry {
    lines: Vec<String>,
    look: Look,
    x: f64,
    y: f64,
}

/// Looks of the series, then of the rules.
pub(super) fn looks(series: &[Series], rules: usize) -> Vec<Look> {
    let mut index = 0;
    let mut looks = Vec::new();
    for one in series {
        if one.mark == Mark::Faint {
            looks.push(Look { color: FAINT, dash: FULL, width: 1.25, marker: None, size: 4.2, line: true });
            continue;
        }
        looks.push(Look {
            color: PALETTE[index % PALETTE.len()],
            dash: DASHES[index % DASHES.len()],
            width: 2.25,
            marker: (one.mark != Mark::Line).then_some(index),
            size: if one.mark == Mark::Dots { 2.0 } else { 4.2 },
            line: !matches!(one.mark, Mark::Points | Mark::Dots),
        });
        index += 1;
    }
    for i in 0..rules {
        let dash = [(2.0, 4.0), (12.0, 3.0), (6.0, 6.0)][i % 3];
        looks.push(Look { color: MUTED, dash, width: 1.5, marker: None, size: 4.2, line: true });
    }
    looks
}

/// Lays the legend out in rows below `top`; returns its entries and its height.
pub(super) fn legend<'a>(names: impl Iterator<Item = &'a str>, looks: &[Look], top: f64) -> (Vec<Entry>, f64) {
    let (mut x, mut y, mut row_height) = (12.0, top, 0.0_f64);
    let mut entries = Vec::new();
    let room = f64::from(WIDTH) - 24.0;
    for (name, look) in names.zip(looks).filter(|(name, _)| !name.is_empty()) {
        let lines = wrap(name, room - 40.0, SMALL);
        let wide = 40.0 + lines.iter().map(|line| text_width(line, SMALL)).fold(0.0, f64::max);
        if x > 12.0 && x + wide > 12.0 + room {
            (x, y, row_height) = (12.0, y + row_height, 0.0);
        }
        row_height = row_height.max(19.0 * lines.len() as f64);
        entries.push(Entry { lines, look: *look, x, y });
        x += wide + 18.0;
    }
    let height = if entries.is_empty() { 0.0 } else { y + row_height - top + 8.0 };
    (entries, height)
}

/// Draws one entry.
pub(super) fn draw_entry(pen: &Pen<'_>, entry: &Entry) -> Result<(), PlotError> {
    let (x, y, look) = (entry.x, entry.y + 9.0, entry.look);
    if look.line {
        pen.path(&[(x, y), (x + 32.0, y)], look.color, look.width, look.dash)?;
    }
    if let Some(kind) = look.marker {
        pen.marker((x + 16.0, y), kind, look.color, look.size.max(3.0))?;
    }
    for (i, line) in entry.lines.iter().enumerate() {
        pen.text(line, (x + 40.0, y + 19.0 * i as f64), SMALL, INK, HPos::Left)?;
    }
    Ok(())
}
