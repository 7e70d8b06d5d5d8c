//! A heat map: numbers in a grid of named rows and columns, the darker the smaller.

use plotters::prelude::{IntoDrawingArea, RGBColor, SVGBackend};
use plotters::style::text_anchor::HPos;

use super::csv::{exact, field};
use super::drawing::Svg;
use super::ink::{INK, MUTED, PAPER};
use super::pen::{Pen, SMALL, TEXT, fine, text_width, wrap};
use super::plot::{PlotError, WIDTH, frame};
use super::points::{all_hits, hit, words};
use super::table::number;

const DARK: RGBColor = RGBColor(8, 64, 129);
const LIGHT: RGBColor = RGBColor(232, 240, 248);
const ROW: f64 = 30.0;

/// The map.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    /// Title.
    pub title: String,
    /// What the columns are.
    pub x_label: String,
    /// What the rows are.
    pub y_label: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Names of the rows, each with a value for every column; none where there is none.
    pub rows: Vec<(String, Vec<Option<f64>>)>,
}

impl Heat {
    /// Draws the map.
    ///
    /// # Errors
    /// No value, or one that is not finite.
    pub fn draw(&self) -> Result<Svg, PlotError> {
        let (low, high) = self.range()?;
        let width = f64::from(WIDTH);
        let widest = self.rows.iter().map(|(name, _)| text_width(name, SMALL)).fold(0.0, f64::max);
        let left = (widest + 24.0).clamp(50.0, 0.4 * width);
        let cell = (width - 12.0 - left) / self.columns.len().max(1) as f64;
        let title = wrap(&self.title, width - 24.0, TEXT + 1.0);
        let labels = wrap(&format!("rows: {}; columns: {}", self.y_label, self.x_label), width - 24.0, SMALL);
        let heads: Vec<Vec<String>> = self.columns.iter().map(|name| wrap(name, cell - 6.0, SMALL)).collect();
        let head = 16.0 * heads.iter().map(Vec::len).max().unwrap_or(0) as f64;
        let labels_top = 14.0 + 21.0 * title.len() as f64;
        let top = labels_top + 18.0 * labels.len() as f64 + 8.0 + head + 6.0;
        let names: Vec<Vec<String>> = self.rows.iter().map(|(name, _)| wrap(name, left - 20.0, SMALL)).collect();
        let tall = names.iter().map(|lines| 16.0 * lines.len() as f64 + 8.0).fold(ROW, f64::max);
        let height = top + tall * self.rows.len() as f64 + 12.0;

        let mut drawn = String::new();
        {
            let size = (fine(width) as u32, fine(height) as u32);
            let pen = Pen { area: SVGBackend::with_string(&mut drawn, size).into_drawing_area(), chart: &self.title };
            pen.fill(&[(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)], PAPER, 1.0)?;
            for (i, line) in title.iter().enumerate() {
                pen.text(line, (12.0, 23.0 + 21.0 * i as f64), TEXT + 1.0, INK, HPos::Left)?;
            }
            for (i, line) in labels.iter().enumerate() {
                pen.text(line, (12.0, labels_top + 11.0 + 18.0 * i as f64), SMALL, MUTED, HPos::Left)?;
            }
            for (column, lines) in heads.iter().enumerate() {
                let x = left + cell * (column as f64 + 0.5);
                for (i, line) in lines.iter().rev().enumerate() {
                    pen.text(line, (x, top - 12.0 - 16.0 * i as f64), SMALL, MUTED, HPos::Center)?;
                }
            }
            for (row, ((_, values), name)) in self.rows.iter().zip(&names).enumerate() {
                let y = top + tall * row as f64;
                for (i, line) in name.iter().enumerate() {
                    let at = y + tall / 2.0 + 16.0 * (i as f64 - (name.len() - 1) as f64 / 2.0);
                    pen.text(line, (12.0, at), SMALL, MUTED, HPos::Left)?;
                }
                for (column, value) in values.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?))) {
                    let x = left + cell * column as f64;
                    let part = if high > low { (value - low) / (high - low) } else { 0.5 };
                    let corners = [(x, y), (x + cell, y), (x + cell, y + tall), (x, y + tall)];
                    let inset = corners
                        .map(|(a, b)| (if a > x { a - 1.0 } else { a + 1.0 }, if b > y { b - 1.0 } else { b + 1.0 }));
                    pen.fill(&inset, shade(part), 1.0)?;
                    let ink = if part < 0.5 { RGBColor(255, 255, 255) } else { INK };
                    let text = number(value, None);
                    // A number that does not fit is left to the table beside the map.
                    if text_width(&text, SMALL) <= cell - 2.0 {
                        pen.text(&text, (x + cell / 2.0, y + tall / 2.0), SMALL, ink, HPos::Center)?;
                    }
                }
            }
            pen.present()?;
        }
        let boxes = self.rows.iter().enumerate().flat_map(|(row, (name, values))| {
            let y = top + tall * (row as f64 + 0.5);
            values.iter().zip(&self.columns).enumerate().filter_map(move |(i, (value, column))| {
                let words = words(&format!("{name}, {column}"), &[("", "value", (*value)?)], None);
                Some(hit((left + cell * (i as f64 + 0.5), y), (cell, tall), &words))
            })
        });
        let hits = all_hits(boxes);
        Ok(frame(&drawn, &hits, (width, height), self.title.clone(), self.csv()))
    }

    fn csv(&self) -> String {
        let mut csv = format!("{},{},value\n", field(&self.y_label), field(&self.x_label));
        for (name, values) in &self.rows {
            for (column, value) in self.columns.iter().zip(values).filter_map(|(c, v)| Some((c, (*v)?))) {
                csv += &format!("{},{},{}\n", field(name), field(column), exact(value));
            }
        }
        csv
    }

    fn range(&self) -> Result<(f64, f64), PlotError> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (name, values) in &self.rows {
            for (index, value) in values.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?))) {
                if !value.is_finite() {
                    let (chart, series) = (self.title.clone(), name.clone());
                    return Err(PlotError::NonFinite { chart, series, index, x: index as f64, y: value });
                }
                (low, high) = (low.min(value), high.max(value));
            }
        }
        if low > high { Err(PlotError::Empty(self.title.clone())) } else { Ok((low, high)) }
    }
}

/// Between the two ends, in equal steps of each colour.
fn shade(part: f64) -> RGBColor {
    let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
    RGBColor(mix(DARK.0, LIGHT.0), mix(DARK.1, LIGHT.1), mix(DARK.2, LIGHT.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: Vec<(String, Vec<Option<f64>>)>) -> Heat {
        let columns = vec!["a".into(), "b".into()];
        Heat { title: "t".into(), x_label: "x".into(), y_label: "y".into(), columns, rows }
    }

    #[test]
    fn every_value_has_a_box_with_its_number_and_a_gap_has_none() {
        let rows = vec![("r".into(), vec![Some(12.5), Some(40.0)]), ("s".into(), vec![None, Some(3.25)])];
        let svg = map(rows).draw().unwrap();
        // The paper and three boxes.
        assert_eq!(svg.as_str().matches("<polygon").count(), 4);
        for text in ["12.50", "40", "3.250", "rows: y; columns: x"] {
            assert!(svg.as_str().contains(text), "{text}");
        }
        assert_eq!((shade(0.0), shade(1.0)), (DARK, LIGHT));
    }

    #[test]
    fn nothing_and_what_is_not_finite_are_refused() {
        assert_eq!(map(vec![("r".into(), vec![None, None])]).draw(), Err(PlotError::Empty("t".into())));
        assert!(matches!(map(vec![("r".into(), vec![Some(f64::NAN)])]).draw(), Err(PlotError::NonFinite { .. })));
        assert!(map(vec![("r".into(), vec![Some(1.0), Some(1.0)])]).draw().is_ok());
    }
}
