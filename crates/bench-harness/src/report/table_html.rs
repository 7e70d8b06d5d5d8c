//! A table as HTML. Its numbers stand in it twice: as people read them, and in full, by which the page's script sorts the rows.

use super::html::escape;
use super::table::{Cell, Kind, Table};

/// Characters of a text that stays on one line where there is room.
const SHORT: usize = 20;

impl Table {
    /// As HTML: the caption, the table in a box that scrolls by itself, the notes.
    pub fn to_html(&self) -> String {
        let mut html = String::new();
        // Outside the box, so that it does not scroll away with the columns.
        if !self.caption.is_empty() {
            html += &format!("<p class=\"caption\">{}</p>\n", escape(&self.caption));
        }
        html += &format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table class=\"sortable\">",
            escape(if self.caption.is_empty() { "table" } else { &self.caption })
        );
        html += "<thead><tr>";
        for column in self.columns() {
            let unit = column
                .unit
                .as_ref()
                .map_or(String::new(), |unit| format!("<span class=\"unit\">{}</span>", escape(unit)));
            html += &format!("<th scope=\"col\" class=\"{}\">{}{unit}</th>", class(column.kind), escape(&column.name));
        }
        html += "</tr></thead>\n<tbody>";
        for (i, row) in self.rows().iter().enumerate() {
            html += "<tr>";
            for j in 0..row.len() {
                html += &self.cell(i, j);
            }
            html += "</tr>\n";
        }
        html += "</tbody></table></div>\n";
        if !self.notes.is_empty() {
            html += "<ul class=\"notes\">";
            for note in &self.notes {
                html += &format!("<li>{}</li>", escape(note));
            }
            html += "</ul>\n";
        }
        html
    }

    fn cell(&self, row: usize, column: usize) -> String {
        let (cell, kind) = (&self.rows()[row][column], &self.columns()[column]);
        let mut classes = class(kind.kind).to_owned();
        if *cell == Cell::Missing {
            classes += " missing";
        }
        if self.is_best(row, column) {
            classes += " best";
        }
        if matches!(cell, Cell::Text(text) if text.chars().count() <= SHORT) {
            classes += " short";
        }
        let value = match cell {
            Cell::Number(value) | Cell::Spread(value, _) => format!(" data-value=\"{}\"", in_script(*value)),
            Cell::Text(_) | Cell::Formula(_) | Cell::Missing => String::new(),
        };
        let (text, spread) = cell.parts(kind.decimals);
        let text = if let Cell::Formula(formula) = cell { formula.mathml().to_owned() } else { escape(&text) };
        let spread =
            spread.map_or(String::new(), |spread| format!(" <span class=\"spread\">{}</span>", escape(&spread)));
        format!("<td class=\"{classes}\"{value}>{text}{spread}</td>")
    }
}

/// A number as JavaScript reads it.
fn in_script(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    super::csv::exact(value)
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Number => "number",
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Best, Column};
    use super::*;

    #[test]
    fn numbers_are_for_people_and_in_full_for_sorting() {
        let lower = Some("lower is better".into());
        let mut table = Table::new(
            "Quality",
            vec![
                Column::text("set"),
                Column { unit: lower, best: Some(Best::Lowest), ..Column::number("cnn-fid") },
                Column::number("N"),
            ],
        );
        table.push(vec!["samples | <b>".into(), Cell::Spread(31.4159, 0.2671), 10_000.0.into()]).unwrap();
        table.push(vec!["real".into(), Cell::Spread(4.0, 0.05), Cell::Number(f64::INFINITY)]).unwrap();
        table.push(vec!["prior".into(), Cell::Missing, Cell::Number(f64::NAN)]).unwrap();
        let html = table.to_html();
        for part in [
            "<table class=\"sortable\">",
            "<td class=\"text short\">samples | &lt;b&gt;</td>",
            "<td class=\"number\" data-value=\"31.4159\">31.42 <span class=\"spread\">± 0.27</span></td>",
            "<td class=\"number best\" data-value=\"4\">4.000 <span class=\"spread\">± 0.050</span></td>",
            "<td class=\"number missing\">–</td>",
            "<td class=\"number\" data-value=\"10000\">10,000</td>",
            "<td class=\"number\" data-value=\"Infinity\">∞</td>",
            "<td class=\"number\" data-value=\"NaN\">NaN</td>",
            "<th scope=\"col\" class=\"number\">cnn-fid<span class=\"unit\">lower is better</span></th>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(html.starts_with("<p class=\"caption\">Quality</p>\n<div class=\"scroll\""), "{html}");
    }
}
