//! The exact values behind a chart: what a reader sees over a point, and the table of all of them.

use super::axis::precise;
use super::csv::{exact, field};
use super::html::escape;
use super::pen::fine;
use super::plot::{Chart, Series};

/// Points of a series, and of a chart, that show their values: more would lie below one another and make pages heavy.
const MOST_HITS: usize = 160;
const MOST_IN_CHART: usize = 640;
/// Radius of the place that shows a point's value, in units.
const REACH: f64 = 5.0;

/// Invisible places over the points of `chart`, each with its value as a title, and over its rules from `left` to `right`.
pub(super) fn hits(chart: &Chart, place: &impl Fn((f64, f64)) -> (f64, f64), (left, right): (f64, f64)) -> String {
    let mut svg = String::new();
    for rule in &chart.rules {
        let (_, y) = place((chart.series.iter().find_map(|s| s.points.first()).map_or(1.0, |p| p.0), rule.y));
        let middle = ((left + right) / 2.0, y);
        svg += &hit(middle, (right - left, 6.0), &words(&rule.name, &[(&chart.y_label, "y", rule.y)], None));
    }
    // Lines without names, such as guides behind the others, say nothing beside those that have one.
    let named = chart.series.iter().any(|series| !series.name.is_empty());
    let shown: Vec<&Series> = chart.series.iter().filter(|series| !named || !series.name.is_empty()).collect();
    let most = (MOST_IN_CHART / shown.len().max(1)).clamp(16, MOST_HITS);
    for series in shown {
        svg += "<g>";
        for index in thin(&series.points, most) {
            let (x, y) = series.points[index];
            let (cx, cy) = place((x, y));
            svg += &format!(
                "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"><title>{}</title></circle>\n",
                fine(cx),
                fine(cy),
                fine(REACH),
                escape(&words(
                    &series.name,
                    &[(&chart.x_label, "x", x), (&chart.y_label, "y", y)],
                    series.band.get(index).copied()
                ))
            );
        }
        svg += "</g>\n";
    }
    all_hits(std::iter::once(svg))
}

/// An invisible place of width × height around its middle that says something.
pub(super) fn hit((x, y): (f64, f64), (width, height): (f64, f64), words: &str) -> String {
    format!(
        "<g><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect></g>\n",
        fine(x - width / 2.0),
        fine(y - height / 2.0),
        fine(width),
        fine(height),
        escape(words)
    )
}

/// Places with their words as one group.
pub(super) fn all_hits(places: impl Iterator<Item = String>) -> String {
    format!("<g class=\"hits\" fill=\"none\" pointer-events=\"all\">\n{}</g>\n", places.collect::<String>())
}

/// What stands over a point, in a few lines.
pub(super) fn words(name: &str, values: &[(&str, &str, f64)], band: Option<(f64, f64)>) -> String {
    let mut lines: Vec<String> = Vec::new();
    if !name.is_empty() {
        lines.push(name.to_owned());
    }
    for &(label, otherwise, value) in values {
        lines.push(format!("{}: {}", if label.is_empty() { otherwise } else { label }, precise(value)));
    }
    if let Some((low, high)) = band {
        lines.push(format!("from {} to {}", precise(low), precise(high)));
    }
    lines.join("\n")
}

/// Indices of the points with the smallest and the largest y in each piece of a long line, in their order; all of a short one.
pub(super) fn thin(points: &[(f64, f64)], most: usize) -> Vec<usize> {
    if points.len() <= most {
        return (0..points.len()).collect();
    }
    let piece = points.len().div_ceil((most / 2).max(1));
    let mut kept = Vec::with_capacity(most);
    for (number, chunk) in points.chunks(piece).enumerate() {
        let (mut least, mut largest) = (0, 0);
        for (i, point) in chunk.iter().enumerate() {
            if point.1 < chunk[least].1 {
                least = i;
            }
            if point.1 >= chunk[largest].1 {
                largest = i;
            }
        }
        kept.push(number * piece + least.min(largest));
        if least != largest {
            kept.push(number * piece + least.max(largest));
        }
    }
    kept
}

/// Every point of every series, then the rules, as comma-separated values.
pub(super) fn csv(chart: &Chart) -> String {
    let bands = chart.series.iter().any(|series| !series.band.is_empty());
    let heading = |label: &str, otherwise: &str| field(if label.is_empty() { otherwise } else { label });
    let mut csv = format!("series,{},{}", heading(&chart.x_label, "x"), heading(&chart.y_label, "y"));
    csv += if bands { ",low,high\n" } else { "\n" };
    let mut line = |name: &str, x: Option<f64>, y: f64, band: Option<(f64, f64)>| {
        csv += &format!("{},{},{}", field(name), x.map_or(String::new(), exact), exact(y));
        csv += &match band {
            Some((low, high)) => format!(",{},{}\n", exact(low), exact(high)),
            None if bands => ",,\n".to_owned(),
            None => "\n".to_owned(),
        };
    };
    for (index, series) in chart.series.iter().enumerate() {
        let name = unambiguous(series, index, chart);
        for (i, &(x, y)) in series.points.iter().enumerate() {
            line(&name, Some(x), y, series.band.get(i).copied());
        }
    }
    for rule in &chart.rules {
        line(&rule.name, None, rule.y, None);
    }
    csv
}

/// A series' name, or its number where the chart has several and this one has no name.
fn unambiguous(series: &Series, index: usize, chart: &Chart) -> String {
    if series.name.is_empty() && chart.series.len() > 1 { format!("series {}", index + 1) } else { series.name.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::plot::{Mark, Rule};
    use super::*;

    fn chart() -> Chart {
        Chart {
            x_label: "step".into(),
            series: vec![
                Series {
                    name: "a < b".into(),
                    mark: Mark::Both,
                    points: vec![(1.0, 0.1 + 0.2), (20_000.0, 2.5e-9)],
                    band: vec![(0.25, 0.35), (1e-9, 3e-9)],
                },
                Series { points: vec![(1.0, 2.0)], ..Series::default() },
            ],
            rules: vec![Rule { name: "goal".into(), y: 0.5 }],
            ..Chart::default()
        }
    }

    #[test]
    fn every_point_has_a_title() {
        let svg = chart().draw().unwrap();
        let svg = svg.as_str();
        for title in [
            "<title>a &lt; b\nstep: 1\ny: 0.3\nfrom 0.25 to 0.35</title>",
            "<title>a &lt; b\nstep: 20,000\ny: 2.5·10⁻⁹\nfrom 1·10⁻⁹ to 3·10⁻⁹</title>",
            "<title>goal\ny: 0.5</title>",
        ] {
            assert_eq!(svg.matches(title).count(), 1, "{title}: {svg}");
        }
        assert_eq!(svg.matches("<title>").count(), 3);
    }

    /// The title of a point stands where its marker does.
    #[test]
    fn a_title_stands_over_its_marker() {
        let svg = chart().draw().unwrap();
        let places: Vec<&str> =
            svg.as_str().split("<circle ").skip(1).map(|rest| rest.split_once(" r=").unwrap().0).collect();
        let over: Vec<&str> = svg
            .as_str()
            .split_once("class=\"hits\"")
            .unwrap()
            .1
            .split("<circle ")
            .skip(1)
            .map(|rest| rest.split_once(" r=").unwrap().0)
            .collect();
        assert_eq!(over.len(), 2);
        for place in &over {
            assert!(places[..places.len() - 2].contains(place), "{place}: {places:?}");
        }
    }

    #[test]
    fn a_long_line_shows_its_extremes_and_keeps_all_numbers() {
        let points: Vec<_> = (0..50_000).map(|i| (f64::from(i), if i == 321 { 9.0 } else { 1.0 })).collect();
        let chart = Chart { series: vec![Series { points, ..Series::default() }], ..Chart::default() };
        let svg = chart.draw().unwrap();
        assert!(svg.as_str().matches("<title>").count() <= MOST_HITS);
        assert!(svg.as_str().contains("<title>x: 321\ny: 9</title>"));
        assert_eq!(svg.csv().lines().count(), 50_001);
        assert!(svg.csv().contains("\n,321,9\n"));
    }

    #[test]
    fn series_without_names_are_told_apart() {
        assert_eq!(
            csv(&chart()),
            "series,step,y,low,high\na < b,1,0.30000000000000004,0.25,0.35\n\
             a < b,20000,2.5e-9,1e-9,3e-9\nseries 2,1,2,,\ngoal,,0.5,,\n"
        );
    }
}
