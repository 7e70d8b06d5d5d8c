//! A chart of named values: one line each, a point with its interval, in groups under their headings.

use plotters::prelude::{IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::HPos;

use super::axis::{Axis, Room, Scale};
use super::csv::{exact, field};
use super::drawing::Svg;
use super::ink::{GRID, INK, MUTED, PALETTE, PAPER};
use super::pen::{FULL, Pen, SMALL, TEXT, fine, text_width, wrap};
use super::plot::{PlotError, WIDTH, frame};
use super::points::{all_hits, hit, words};

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Rows that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Heading.
    pub name: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// The chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// Title.
    pub title: String,
    /// What the values are.
    pub x_label: String,
    /// A value that all are seen against, such as 0 for differences.
    pub reference: Option<f64>,
    /// The groups.
    pub groups: Vec<Group>,
}

impl Forest {
    /// Draws the chart.
    ///
    /// # Errors
    /// No rows, or a value that is not finite.
    pub fn draw(&self) -> Result<Svg, PlotError> {
        self.check()?;
        let width = f64::from(WIDTH);
        let rows = || self.groups.iter().flat_map(|group| &group.rows);
        let widest = rows().map(|row| text_width(&row.name, SMALL)).fold(0.0, f64::max);
        let left = (widest + 28.0).clamp(70.0, 0.45 * width);
        let right = width - 22.0;
        let values = rows().flat_map(|row| [row.low, row.value, row.high]).chain(self.reference);
        let axis = Axis::around(values, Scale::Linear, Room::Sides);
        let title = wrap(&self.title, width - 24.0, TEXT + 1.0);
        let top = 14.0 + 21.0 * title.len() as f64;
        // Every line of text with its height; points stand at the middle of theirs.
        let mut y = top;
        let mut lines = Vec::new();
        let mut points = Vec::new();
        for group in &self.groups {
            for line in wrap(&group.name, width - 24.0, SMALL) {
                y += 20.0;
                lines.push((line, 12.0, y, INK));
            }
            for row in &group.rows {
                let name = wrap(&row.name, left - 28.0, SMALL);
                let first = y + 20.0;
                y = first + 16.0 * name.len().saturating_sub(1) as f64;
                points.push(((first + y) / 2.0, row));
                let named = name.into_iter().enumerate();
                lines.extend(named.map(|(i, line)| (line, 20.0, first + 16.0 * i as f64, MUTED)));
            }
            y += 6.0;
        }
        let bottom = y + 12.0;
        let x_title = wrap(&self.x_label, width - 24.0, SMALL);
        let height = bottom + 26.0 + 18.0 * x_title.len() as f64 + 8.0;
        let x_at = |value: f64| left + axis.place(value) * (right - left);

        let mut drawn = String::new();
        {
            let size = (fine(width) as u32, fine(height) as u32);
            let pen = Pen { area: SVGBackend::with_string(&mut drawn, size).into_drawing_area(), chart: &self.title };
            pen.fill(&[(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)], PAPER, 1.0)?;
            for (i, line) in title.iter().enumerate() {
                pen.text(line, (12.0, 23.0 + 21.0 * i as f64), TEXT + 1.0, INK, HPos::Left)?;
            }
            let mut ticks = axis.ticks(5);
            for wanted in (2..5).rev() {
                let gap =
                    ticks.iter().map(|tick| text_width(&tick.label, SMALL)).fold(8.0, |a, b| f64::max(a, b + 8.0));
                if ticks.windows(2).all(|pair| x_at(pair[1].value) - x_at(pair[0].value) >= gap) {
                    break;
                }
                ticks = axis.ticks(wanted);
            }
            for tick in ticks {
                let x = x_at(tick.value);
                pen.path(&[(x, top + 8.0), (x, bottom)], GRID, 1.0, FULL)?;
                pen.text(&tick.label, (x, bottom + 17.0), SMALL, MUTED, HPos::Center)?;
            }
            if let Some(reference) = self.reference {
                pen.path(&[(x_at(reference), top + 8.0), (x_at(reference), bottom)], MUTED, 1.5, (6.0, 6.0))?;
            }
            pen.path(&[(left, bottom), (right, bottom)], MUTED, 1.0, FULL)?;
            for (line, x, y, color) in &lines {
                pen.text(line, (*x, *y), SMALL, *color, HPos::Left)?;
            }
            for (y, row) in &points {
                let (from, to) = (x_at(row.low), x_at(row.high));
                pen.path(&[(from, *y), (to, *y)], PALETTE[0], 1.5, FULL)?;
                for x in [from, to] {
                    pen.path(&[(x, y - 4.0), (x, y + 4.0)], PALETTE[0], 1.5, FULL)?;
                }
                pen.marker((x_at(row.value), *y), 0, PALETTE[0], 4.2)?;
            }
            for (i, line) in x_title.iter().enumerate() {
                let place = (width / 2.0, bottom + 36.0 + 18.0 * i as f64);
                pen.text(line, place, SMALL, MUTED, HPos::Center)?;
            }
            pen.present()?;
        }
        let said = |(y, row): &(f64, &Row)| {
            let words = words(&row.name, &[(&self.x_label, "value", row.value)], Some((row.low, row.high)));
            hit((x_at(row.value), *y), (14.0, 14.0), &words)
        };
        let hits = all_hits(points.iter().map(said));
        Ok(frame(&drawn, &hits, (width, height), self.title.clone(), self.csv()))
    }

    fn csv(&self) -> String {
        let mut csv = format!("group,name,{},low,high\n", field(&self.x_label));
        for group in &self.groups {
            for row in &group.rows {
                let numbers = [row.value, row.low, row.high].map(exact).join(",");
                csv += &format!("{},{},{numbers}\n", field(&group.name), field(&row.name));
            }
        }
        csv
    }

    fn check(&self) -> Result<(), PlotError> {
        if self.groups.iter().all(|group| group.rows.is_empty()) {
            return Err(PlotError::Empty(self.title.clone()));
        }
        for group in &self.groups {
            for (index, row) in group.rows.iter().enumerate() {
                if let Some(x) = [row.value, row.low, row.high].into_iter().find(|x| !x.is_finite()) {
                    let (chart, series) = (self.title.clone(), format!("{}, {}", group.name, row.name));
                    return Err(PlotError::NonFinite { chart, series, index, x, y: 0.0 });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, value: f64) -> Row {
        Row { name: name.into(), value, low: value - 1.0, high: value + 2.0 }
    }

    #[test]
    fn every_row_has_its_name_its_point_and_its_interval() {
        let long = row("a name that is far too long for the space at the left of the points", 4.0);
        let group = Group { name: "weight <of> loss".into(), rows: vec![row("edm", 3.0), row("paper", 5.0), long] };
        let chart =
            Forest { title: "Main effects".into(), x_label: "fid".into(), reference: None, groups: vec![group] };
        let svg = chart.draw().unwrap();
        let text = svg.as_str();
        assert!(text.starts_with("<svg") && text.contains("aria-label=\"Main effects\""));
        for name in ["edm", "paper", "far too", "weight &lt;of&gt; loss"] {
            assert!(text.contains(name), "{name}");
        }
        assert_eq!(text.matches("<circle").count(), 3);
    }

    #[test]
    fn nothing_and_what_is_not_finite_are_refused() {
        let chart = |rows| {
            let groups = vec![Group { name: "a".into(), rows }];
            Forest { title: "t".into(), x_label: String::new(), reference: Some(0.0), groups }
        };
        assert_eq!(chart(Vec::new()).draw(), Err(PlotError::Empty("t".into())));
        assert!(matches!(chart(vec![row("x", f64::NAN)]).draw(), Err(PlotError::NonFinite { .. })));
        assert!(chart(vec![row("x", 1.0)]).draw().is_ok());
    }
}
