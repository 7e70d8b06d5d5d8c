//! One table, shown three ways from the same source: HTML, GitHub Markdown, and fixed-width text for a terminal.

use std::fmt::Write;

use thiserror::Error;

use super::axis::grouped;
use super::formula::Formula;

/// A row that does not fit its table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("row {row} of the table \"{caption}\" has {found} cells, its columns are {expected}")]
pub struct TableError {
    /// The table's caption.
    pub caption: String,
    /// Index of the row.
    pub row: usize,
    /// Cells in the row.
    pub found: usize,
    /// Columns of the table.
    pub expected: usize,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Words, set to the left.
    #[default]
    Text,
    /// Numbers, set to the right.
    Number,
}

/// Which value of a column is set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Best {
    /// The smallest.
    Lowest,
    /// The largest.
    Highest,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Unit of its numbers, if they have one.
    pub unit: Option<String>,
    /// Words or numbers.
    pub kind: Kind,
    /// Decimals of its numbers; without it, whole numbers are written whole and others with four significant digits.
    pub decimals: Option<usize>,
    /// Which value to set off.
    pub best: Option<Best>,
}

impl Column {
    /// A column of words.
    pub fn text(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// A column of numbers.
    pub fn number(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: Kind::Number, ..Self::default() }
    }
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// Mathematics.
    Formula(Formula),
    /// A number.
    Number(f64),
    /// A number with its spread: `value ± spread`.
    Spread(f64, f64),
    /// Not measured.
    Missing,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl Cell {
    fn value(&self) -> Option<f64> {
        match self {
            Self::Number(value) | Self::Spread(value, _) => Some(*value).filter(|v| v.is_finite()),
            Self::Text(_) | Self::Formula(_) | Self::Missing => None,
        }
    }

    /// The text before the spread, and the spread with its sign.
    pub(super) fn parts(&self, decimals: Option<usize>) -> (String, Option<String>) {
        match self {
            Self::Text(text) => (text.clone(), None),
            Self::Formula(formula) => (formula.latex().to_owned(), None),
            Self::Number(value) => (number(*value, decimals), None),
            Self::Spread(value, spread) => {
                let decimals = decimals.or_else(|| spread_decimals(*spread));
                (number(*value, decimals), Some(format!("± {}", number(*spread, decimals))))
            }
            Self::Missing => ("–".to_owned(), None),
        }
    }

    fn plain(&self, decimals: Option<usize>) -> String {
        match self.parts(decimals) {
            (text, Some(spread)) => format!("{text} {spread}"),
            (text, None) => text,
        }
    }
}

/// Decimals that leave two significant digits of a spread.
fn spread_decimals(spread: f64) -> Option<usize> {
    (spread.is_finite() && spread > 0.0).then(|| (1.0 - spread.log10().floor()).clamp(0.0, 9.0) as usize)
}

/// A number for people.
pub fn number(value: f64, decimals: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "−∞" }.to_owned();
    }
    if let Some(decimals) = decimals {
        return grouped(value, decimals);
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e12).contains(&size) {
        format!("{value:.3e}").replace('-', "−")
    } else if value.fract() == 0.0 {
        grouped(value, 0)
    } else {
        grouped(value, (3.0 - size.log10().floor()).clamp(0.0, 7.0) as usize)
    }
}

/// A table under construction or ready.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What the table shows.
    pub caption: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    /// Remarks below it.
    pub notes: Vec<String>,
}

impl Table {
    /// A table without rows.
    pub fn new(caption: impl Into<String>, columns: Vec<Column>) -> Self {
        Self { caption: caption.into(), columns, rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// A number of cells that is not the number of columns.
    pub fn push(&mut self, row: Vec<Cell>) -> Result<(), TableError> {
        if row.len() != self.columns.len() {
            return Err(TableError {
                caption: self.caption.clone(),
                row: self.rows.len(),
                found: row.len(),
                expected: self.columns.len(),
            });
        }
        self.rows.push(row);
        Ok(())
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The rows, each as long as the columns.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Whether a cell holds the best value of its column; a column needs two values to have a best one.
    pub(super) fn is_best(&self, row: usize, column: usize) -> bool {
        let Some(best) = self.columns[column].best else { return false };
        let values: Vec<f64> = self.rows.iter().filter_map(|cells| cells[column].value()).collect();
        let Some(value) = self.rows[row][column].value() else { return false };
        values.len() > 1
            && values.iter().all(|other| match best {
                Best::Lowest => value <= *other,
                Best::Highest => value >= *other,
            })
    }

    /// As a GitHub Markdown table, its caption above and its notes below.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        if !self.caption.is_empty() {
            text += &format!("**{}**\n\n", markdown(&self.caption));
        }
        let headings: Vec<String> = self.columns.iter().map(|c| markdown(&heading(c))).collect();
        text += &format!("| {} |\n", headings.join(" | "));
        let rules: Vec<&str> =
            self.columns.iter().map(|c| if c.kind == Kind::Number { "---:" } else { "---" }).collect();
        text += &format!("| {} |\n", rules.join(" | "));
        for (i, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(j, cell)| {
                    if let Cell::Formula(formula) = cell {
                        return formula.to_markdown();
                    }
                    let cell = markdown(&cell.plain(self.columns[j].decimals));
                    if self.is_best(i, j) { format!("**{cell}**") } else { cell }
                })
                .collect();
            text += &format!("| {} |\n", cells.join(" | "));
        }
        for (i, note) in self.notes.iter().enumerate() {
            text += &format!("{}- {}\n", if i == 0 { "\n" } else { "" }, markdown(note));
        }
        text
    }

    /// As text with fixed-width columns. The best value of a column has a `*` behind it.
    pub fn to_text(&self) -> String {
        let marked = |i: usize, j: usize, cell: &Cell| {
            let mark = match (self.columns[j].best, self.is_best(i, j)) {
                (None, _) => "",
                (Some(_), true) => "*",
                // Keeps the digits of the column below each other.
                (Some(_), false) => " ",
            };
            one_line(&cell.plain(self.columns[j].decimals)) + mark
        };
        let headings: Vec<String> = self.columns.iter().map(|c| one_line(&heading(c))).collect();
        let body: Vec<Vec<String>> = self
            .rows
            .iter()
            .enumerate()
            .map(|(i, row)| row.iter().enumerate().map(|(j, cell)| marked(i, j, cell)).collect())
            .collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|j| {
                body.iter().map(|row| row[j].chars().count()).chain([headings[j].chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &[String]| {
            let mut line = String::new();
            for (j, cell) in cells.iter().enumerate() {
                let space = " ".repeat(widths[j] - cell.chars().count());
                let gap = if j > 0 { "  " } else { "" };
                // Writing to a string cannot fail.
                let _ = match self.columns[j].kind {
                    Kind::Text => write!(line, "{gap}{cell}{space}"),
                    Kind::Number => write!(line, "{gap}{space}{cell}"),
                };
            }
            line.trim_end().to_owned() + "\n"
        };
        let mut text = String::new();
        if !self.caption.is_empty() {
            text += &format!("{}\n", one_line(&self.caption));
        }
        text += &line(&headings);
        text += &line(&widths.iter().map(|&width| "─".repeat(width)).collect::<Vec<_>>());
        for row in &body {
            text += &line(row);
        }
        for note in &self.notes {
            text += &format!("  {}\n", one_line(note));
        }
        text
    }
}

fn heading(column: &Column) -> String {
    match &column.unit {
        Some(unit) => format!("{} ({unit})", column.name),
        None => column.name.clone(),
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Text in which nothing is Markdown or HTML.
fn markdown(text: &str) -> String {
    let mut escaped = String::new();
    for c in one_line(text).chars() {
        match c {
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut table = Table::new(
            "Quality",
            vec![
                Column::text("set"),
                Column { unit: Some("lower is better".into()), best: Some(Best::Lowest), ..Column::number("cnn-fid") },
                Column::number("N"),
            ],
        );
        table.push(vec!["samples | <b>".into(), Cell::Spread(31.4159, 0.2671), 10_000.0.into()]).unwrap();
        table.push(vec!["real".into(), Cell::Spread(4.0, 0.05), 10_000.0.into()]).unwrap();
        table.push(vec!["prior".into(), Cell::Missing, Cell::Number(f64::NAN)]).unwrap();
        table.notes.push("N is the number of images".into());
        table
    }

    #[test]
    fn markdown_text() {
        assert_eq!(
            example().to_markdown(),
            "**Quality**\n\n\
             | set | cnn-fid (lower is better) | N |\n\
             | --- | ---: | ---: |\n\
             | samples \\| &lt;b&gt; | 31.42 ± 0.27 | 10,000 |\n\
             | real | **4.000 ± 0.050** | 10,000 |\n\
             | prior | – | NaN |\n\
             \n- N is the number of images\n"
        );
    }

    #[test]
    fn terminal_text() {
        assert_eq!(
            example().to_text(),
            "Quality\n\
             set            cnn-fid (lower is better)       N\n\
             ─────────────  ─────────────────────────  ──────\n\
             samples | <b>              31.42 ± 0.27   10,000\n\
             real                      4.000 ± 0.050*  10,000\n\
             prior                                 –      NaN\n  \
             N is the number of images\n"
        );
    }

    #[test]
    fn a_row_must_fit() {
        let mut table = example();
        let error = table.push(vec![Cell::Missing]).unwrap_err();
        assert_eq!((error.row, error.found, error.expected), (3, 1, 3));
        assert_eq!(table.rows().len(), 3);
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (2977.0, "2977"),
            (60_000.0, "60,000"),
            (0.123_456, "0.1235"),
            (31.415_926, "31.42"),
            (-31.415_926, "−31.42"),
            (123_456.7, "123,457"),
            (0.000_012_345, "1.234e−5"),
            (f64::INFINITY, "∞"),
        ] {
            assert_eq!(number(value, None), text);
        }
        assert_eq!(number(31.415_926, Some(1)), "31.4");
    }
}
