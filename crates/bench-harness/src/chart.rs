//! `dale chart`: draws a chart that another program describes, such as the scripts of the benchmarks, in the style of the reports.
//!
//! ```json
//! { "title": "Cost", "x_label": "elements", "y_label": "ns", "x_scale": "log", "y_scale": "log",
//!   "series": [{ "name": "dale", "mark": "both", "points": [[1000, 1.2], [10000, 1.1]], "band": [[1.1, 1.3], [1.0, 1.2]] }],
//!   "rules": [{ "name": "goal", "y": 1.5 }] }
//! ```

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::report::plot::Chart;

/// Draws the chart described in the JSON file `from` as SVG into `to`, and beside it as PNG and its numbers as CSV.
///
/// # Errors
/// If the file cannot be read or describes no chart, by key, or the picture cannot be written.
pub fn draw(from: &Path, to: &Path) -> Result<()> {
    ensure!(to.extension().is_some_and(|end| end == "svg"), "the name of a chart must end in .svg: {}", to.display());
    let text = std::fs::read_to_string(from).with_context(|| from.display().to_string())?;
    let chart: Chart = serde_json::from_str(&text).with_context(|| from.display().to_string())?;
    let svg = chart.draw().with_context(|| from.display().to_string())?;
    svg.write(to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(json: &str) -> Result<String> {
        let folder = tempfile::tempdir()?;
        let (from, to) = (folder.path().join("chart.json"), folder.path().join("chart.svg"));
        std::fs::write(&from, json)?;
        draw(&from, &to)?;
        Ok(std::fs::read_to_string(to)?)
    }

    #[test]
    fn a_described_chart_is_drawn() {
        let svg = drawn(
            r#"{"title": "Cost of a step", "x_label": "elements", "x_scale": "log", "series":
                [{"name": "dale & co", "mark": "both", "points": [[1000, 1.5], [100000, 2.5]], "band": [[1, 2], [2, 3]]}],
                "rules": [{"name": "goal", "y": 2}]}"#,
        )
        .unwrap();
        for part in ["<svg", "Cost of a step", "elements", "dale &amp; co", "goal"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
    }

    #[test]
    fn its_name_says_svg() {
        let error = draw(Path::new("chart.json"), Path::new("chart.csv")).unwrap_err().to_string();
        assert!(error.contains("chart.csv"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, word) in [
            (r#"{"serie": []}"#, "serie"),
            (r#"{"series": [{"points": [[1, 2]], "mark": "blob"}]}"#, "blob"),
            (r#"{"title": "T", "series": []}"#, "T"),
            (r#"{"title": "T", "x_scale": "log", "series": [{"name": "s", "points": [[0, 1]]}]}"#, "s"),
        ] {
            let error = format!("{:#}", drawn(json).unwrap_err());
            assert!(error.contains(word) && error.contains("chart.json"), "{error}");
        }
    }
}
