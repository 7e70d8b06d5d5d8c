//! Tests of the charts.

use super::super::pen::FINE;
use super::*;

fn line(points: Vec<(f64, f64)>) -> Chart {
    Chart {
        title: "Loss".into(),
        x_label: "step".into(),
        y_label: "loss".into(),
        series: vec![Series { name: "train".into(), points, ..Series::default() }],
        ..Chart::default()
    }
}

/// Every number of the given attribute in the drawing.
fn numbers(svg: &str, attribute: &str) -> Vec<f64> {
    svg.split(&format!(" {attribute}=\""))
        .skip(1)
        .flat_map(|rest| rest[..rest.find('"').unwrap()].split([' ', ',']).filter(|n| !n.is_empty()))
        .map(|number| number.parse().unwrap())
        .collect()
}

#[test]
fn the_element_scales_and_has_a_name() {
    let svg = line(vec![(0.0, 1.0), (10.0, 0.1)]).draw().unwrap();
    let head = svg.as_str().split_once('>').unwrap().0;
    assert!(head.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1680 "), "{head}");
    assert!(head.contains("role=\"img\"") && head.contains("aria-label=\"Loss\""), "{head}");
    assert!(!head.contains(" width=") && !head.contains(" height="), "{head}");
    assert!(svg.as_str().ends_with("</svg>"));
    assert!(svg.as_str().contains("font-family=\"system-ui, sans-serif\""));
}

/// All coordinates of a drawing lie inside its view box.
fn assert_inside(svg: &Svg) {
    let svg = svg.as_str();
    let size = numbers(svg, "viewBox");
    for (attribute, most) in [("x", size[2]), ("cx", size[2]), ("y", size[3]), ("cy", size[3])] {
        let found = numbers(svg, attribute);
        assert!(found.iter().all(|&v| (0.0..=most).contains(&v)), "{attribute}: {found:?}");
    }
    for pair in numbers(svg, "points").chunks(2) {
        assert!((0.0..=size[2]).contains(&pair[0]) && (0.0..=size[3]).contains(&pair[1]), "{pair:?}");
    }
}

#[test]
fn everything_stays_inside() {
    let long = "a rather long name of a series that goes on and on".to_owned();
    let series = (0..9)
        .map(|i| Series {
            name: format!("{long} {i}"),
            mark: [Mark::Line, Mark::Points, Mark::Both, Mark::Faint, Mark::Dots][i % 5],
            points: (0..40).map(|x| (f64::from(x) * 1e5, f64::from(x * x) * 1e-7 - 1e-5)).collect(),
            band: if i % 2 == 0 { vec![(-2e-5, 2e-4); 40] } else { vec![] },
        })
        .collect();
    let chart = Chart {
        title: long.repeat(4),
        x_label: "x".repeat(300),
        y_label: long.repeat(3),
        series,
        rules: vec![Rule { name: "real data".into(), y: 1e-4 }],
        ..Chart::default()
    };
    let svg = chart.draw().unwrap();
    assert_inside(&svg);
    // No text reaches past an edge, by the same upper guess of widths that made the layout, for every anchor.
    for text in svg.as_str().split("<text ").skip(1) {
        let (head, rest) = text.split_once('>').unwrap();
        let words = rest.split_once("</text>").unwrap().0.trim();
        let head = format!(" {head}");
        let x = numbers(&head, "x")[0] / FINE;
        let wide = text_width(words, numbers(&head, "font-size")[0] / FINE);
        let left = match () {
            () if head.contains("\"middle\"") => x - wide / 2.0,
            () if head.contains("\"end\"") => x - wide,
            () => x,
        };
        assert!(left >= -0.5 && left + wide <= f64::from(WIDTH) + 0.5, "{words}: {left} {wide}");
    }
}

#[test]
fn labels_are_escaped_and_short() {
    let mut chart = line(vec![(0.0, 0.1 + 0.2), (1.0, 0.7)]);
    chart.title = "<script>\"&".into();
    chart.series[0].name = "a < b".into();
    let svg = chart.draw().unwrap();
    assert!(!svg.as_str().contains("<script>"));
    assert!(svg.as_str().contains("a &lt; b"));
    assert!(!svg.as_str().contains("0.30000"), "{}", svg.as_str());
}

#[test]
fn bad_input_is_named() {
    assert_eq!(line(vec![]).draw().unwrap_err(), PlotError::Empty("Loss".into()));
    assert!(matches!(Chart::default().draw(), Err(PlotError::Empty(_))));
    let nan = line(vec![(0.0, 1.0), (1.0, f64::NAN)]).draw().unwrap_err();
    assert!(matches!(&nan, PlotError::NonFinite { index: 1, series, .. } if series == "train"));
    assert!(nan.to_string().contains("\"train\""));
    let mut log = line(vec![(0.0, 1.0), (1.0, 0.5)]);
    log.x_scale = Scale::Log;
    assert!(matches!(log.draw(), Err(PlotError::NotPositive { index: 0, value: 0.0, .. })));
    let mut band = line(vec![(0.0, 1.0), (1.0, 0.5)]);
    band.series[0].band = vec![(0.0, 1.0)];
    assert!(matches!(band.draw(), Err(PlotError::Band { points: 2, bands: 1, .. })));
    band.series[0].band = vec![(0.0, 1.0), (0.0, f64::INFINITY)];
    assert!(matches!(band.draw(), Err(PlotError::NonFinite { index: 1, .. })));
    let mut rule = line(vec![(0.0, 1.0)]);
    rule.rules.push(Rule { name: "real".into(), y: f64::NAN });
    assert!(matches!(rule.draw(), Err(PlotError::NonFinite { .. })));
}

#[test]
fn extreme_input_is_drawn() {
    for points in [
        vec![(5.0, 5.0)],
        vec![(0.0, 0.0), (0.0, 0.0)],
        vec![(-f64::MAX, -f64::MAX), (f64::MAX, f64::MAX)],
        vec![(0.0, f64::MIN_POSITIVE), (1.0, 2.0 * f64::MIN_POSITIVE)],
    ] {
        let svg = line(points).draw().unwrap();
        assert_inside(&svg);
        assert!(!svg.as_str().contains("NaN") && svg.as_str().len() < 20_000, "{}", svg.as_str());
    }
    let mut log = line(vec![(1e-300, 1e-300), (1e300, 1e300)]);
    (log.x_scale, log.y_scale) = (Scale::Log, Scale::Log);
    let svg = log.draw().unwrap();
    assert_inside(&svg);
    assert!(svg.as_str().contains("10²⁰⁰") && svg.as_str().len() < 20_000, "{}", svg.as_str());
}

#[test]
fn a_long_line_keeps_its_extremes() {
    let points: Vec<_> = (0..100_000).map(|i| (f64::from(i), if i == 54_321 { 9.0 } else { 1.0 })).collect();
    let thinned = thin(&points, MOST_POINTS);
    assert!(thinned.len() <= MOST_POINTS);
    assert!(thinned.contains(&54_321));
    assert!(thinned.is_sorted());
    assert!(line(points).draw().unwrap().as_str().len() < 60_000);
}

#[test]
fn lines_break_between_words() {
    assert_eq!(wrap("", 100.0, 10.0), Vec::<String>::new());
    assert_eq!(wrap("one two three", 50.0, 10.0), ["one two", "three"]);
    assert!(wrap(&"x".repeat(50), 50.0, 10.0).iter().all(|line| text_width(line, 10.0) <= 50.0));
}
