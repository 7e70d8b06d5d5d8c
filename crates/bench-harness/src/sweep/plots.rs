//! The charts of a sweep, each as SVG with its numbers beside it as CSV, and the page that holds them and the grids.

use std::path::PathBuf;

use anyhow::Result;

use super::effects::{Effect, Setting, front, labels, main_effects, mean, settings, varied};
use super::folder::Sweep;
use super::pictures;
use super::record::{Record, Status};
use super::results::{axes, each_once};
use crate::report::axis::Scale;
use crate::report::csv::field;
use crate::report::forest::{Forest, Group, Row};
use crate::report::heat::Heat;
use crate::report::page::{Banner, Block, Card, Figure, Page, Section};
use crate::report::plot::{Chart, Mark, Series, Svg};
use crate::report::table::{Best, Cell, Column, Table};

/// Pairs of axes that get a heat map, at most.
const MOST_MAPS: usize = 6;

/// Above this ratio of largest to smallest, a cost's axis is logarithmic.
const WIDE: f64 = 10.0;

/// A chart with its file's name and its caption.
struct Drawn {
    name: String,
    svg: Svg,
    caption: String,
}

/// Writes all charts with their numbers, and `report.html`; returns its path.
///
/// # Errors
/// If a file cannot be written, or the grid of a cell is no picture.
pub fn write(sweep: &Sweep) -> Result<PathBuf> {
    let Sweep { folder, file, records, cells } = sweep;
    let finished = sweep.finished();
    let missing = cells.len() - records.len();
    let axes = varied(&finished, &axes(records));
    let settings = settings(&finished);
    let mut sections = Vec::new();
    for (title, text, drawn) in [
        ("Main effects", EFFECTS, effects(&main_effects(&finished, &axes))?.into_iter().collect()),
        ("Two axes", MAPS, maps(&finished, &axes)?),
        ("Quality and cost", FRONT, fronts(&settings)?),
    ] {
        if drawn.is_empty() {
            continue;
        }
        for one in &drawn {
            one.svg.write(&folder.join(format!("{}.svg", one.name)))?;
        }
        let figures = drawn.into_iter().map(|one| Figure::chart(one.svg, one.caption)).collect();
        sections.push(Section {
            title: title.into(),
            blocks: vec![Block::Paragraph(text.into()), Block::Figures(figures)],
        });
    }
    let about = file.about.iter().cloned().map(Block::Paragraph);
    let blocks = about.chain([Block::Table(table(&settings)?)]).collect();
    sections.insert(0, Section { title: "Settings".into(), blocks });
    if let Some(svg) = pictures::curves(sweep)? {
        svg.write(&folder.join("curve.svg"))?;
        sections.push(Section {
            title: "On the way".into(),
            blocks: vec![Block::Figure(Figure::chart(svg, pictures::CURVE))],
        });
    }
    let grids = pictures::grids(sweep)?;
    if !grids.is_empty() {
        sections.push(Section { title: "Samples".into(), blocks: vec![Block::Figures(grids)] });
    }
    let failed = failures(records);
    let banner = (missing > 0 || !failed.is_empty()).then(|| Banner {
        title: "Not all cells have numbers".into(),
        text: format!("{missing} have not ended, {} ended with an error. The charts show the others.", failed.len()),
    });
    if !failed.is_empty() {
        let blocks = failed.into_iter().map(|(summary, text)| Block::Folded { summary, text }).collect();
        sections.push(Section { title: "Errors".into(), blocks });
    }
    let protocol = finished.first().and_then(|r| r.outcome()).map(|o| o.score.fingerprint.to_string());
    let best = settings.iter().min_by(|a, b| a.quality.mean.total_cmp(&b.quality.mean));
    let mut cards = vec![Card { value: finished.len().to_string(), label: "cells with numbers".into() }];
    cards.extend(best.map(|best| Card {
        value: format!("{:.2}", best.quality.mean),
        label: format!("smallest mean cnn-fid: {}", best.name()),
    }));
    let page = Page {
        title: file.title.clone().unwrap_or_else(|| format!("Sweep {}", file.name)),
        subtitle: protocol.map_or_else(String::new, |protocol| format!("Protocol of all numbers: {protocol}.")),
        banner,
        cards,
        sections,
        footer: vec![format!("dale {}", env!("CARGO_PKG_VERSION"))],
    };
    let path = folder.join("report.html");
    page.write(&path)?;
    Ok(path)
}

const EFFECTS: &str = "Mean cnn-fid over all cells with one value of an axis, whatever the other axes and the seed, with the 95% interval of a \
                       mean over such cells (Student's t). A cell that stands alone has the interval of its resamples. An axis whose \
                       values do not all come with the same others is left out.";
const MAPS: &str = "Mean cnn-fid over all cells with one value of each of two axes; dark is good. A gap has no cells.";
const FRONT: &str = "Every setting's cnn-fid, mean over its seeds, against what an image costs. On the front are those that no other beats at \
                     no more cost; bars are 95% intervals over seeds, or of the resamples where there is one seed.";

fn effects(effects: &[Effect]) -> Result<Option<Drawn>> {
    let mut csv = String::from("axis,value,cells,cnn_fid,low,high\n");
    let mut groups: Vec<Group> = Vec::new();
    for effect in effects {
        let m = effect.mean;
        csv += &format!("{},{},{},{},{},{}\n", field(&effect.axis), field(&effect.label), m.n, m.mean, m.low, m.high);
        if groups.last().is_none_or(|group| group.name != effect.axis) {
            groups.push(Group { name: effect.axis.clone(), rows: Vec::new() });
        }
        let row = Row { name: effect.label.clone(), value: m.mean, low: m.low, high: m.high };
        groups.last_mut().into_iter().for_each(|group| group.rows.push(row.clone()));
    }
    if groups.is_empty() {
        return Ok(None);
    }
    let chart = Forest { title: "Main effects".into(), x_label: "cnn-fid".into(), reference: None, groups };
    Ok(Some(Drawn {
        name: "main-effects".into(),
        svg: chart.draw()?.with_csv(csv),
        caption: "Bars: 95% intervals.".into(),
    }))
}

fn maps(records: &[&Record], axes: &[String]) -> Result<Vec<Drawn>> {
    let mut drawn = Vec::new();
    let pairs = axes.iter().enumerate().flat_map(|(i, first)| axes[i + 1..].iter().map(move |second| (first, second)));
    for (first, second) in pairs {
        let (a, b) = (labels(records, first), labels(records, second));
        // The longer axis goes down the page.
        let ((x_label, columns), (y_label, names)) =
            if a.len() > b.len() { ((second, b), (first, a)) } else { ((first, a), (second, b)) };
        let mut csv = format!("{},{},cells,cnn_fid,low,high\n", field(y_label), field(x_label));
        let mut rows = Vec::new();
        for name in names {
            let value = |column: &String| {
                let both = |r: &&Record| r.label(y_label) == Some(&name) && r.label(x_label) == Some(column);
                let mean = mean(records.iter().copied().filter(both))?;
                let numbers = format!("{},{},{},{}", mean.n, mean.mean, mean.low, mean.high);
                csv += &format!("{},{},{numbers}\n", field(&name), field(column));
                Some(mean.mean)
            };
            let values = columns.iter().map(value).collect();
            rows.push((name, values));
        }
        if rows.iter().all(|(_, values): &(String, Vec<Option<f64>>)| values.iter().all(Option::is_none)) {
            continue;
        }
        if drawn.len() == MOST_MAPS {
            tracing::info!("{MOST_MAPS} pairs of axes have a heat map; results.csv has the numbers of the others");
            break;
        }
        let title = "cnn-fid".to_owned();
        let map = Heat { title, x_label: x_label.clone(), y_label: y_label.clone(), columns, rows };
        let name = format!("heat-{}", drawn.len() + 1);
        drawn.push(Drawn { name, svg: map.draw()?.with_csv(csv), caption: format!("{y_label} and {x_label}.") });
    }
    Ok(drawn)
}

fn fronts(settings: &[Setting]) -> Result<Vec<Drawn>> {
    // Where all take as many calls, times differ by what else the machine had to do.
    if settings.windows(2).all(|pair| pair[0].calls == pair[1].calls) {
        return Ok(Vec::new());
    }
    let calls = |s: &Setting| s.calls;
    let seconds = |s: &Setting| s.seconds;
    let mut drawn = Vec::new();
    for (name, x_label, cost) in [
        ("front-calls", "network calls for each image", &calls as &dyn Fn(&Setting) -> f64),
        ("front-seconds", "seconds for each image", &seconds),
    ] {
        let shown: Vec<Setting> = settings.iter().filter(|s| cost(s) > 0.0).cloned().collect();
        if shown.len() < 2 {
            continue;
        }
        let on = front(&shown, cost);
        let point = |s: &Setting| (cost(s), s.quality.mean);
        let bar = |s: &Setting| (s.quality.low, s.quality.high);
        let others: Vec<&Setting> = (0..shown.len()).filter(|i| !on.contains(i)).map(|i| &shown[i]).collect();
        let best: Vec<&Setting> = on.iter().map(|&i| &shown[i]).collect();
        let series = |name: &str, mark: Mark, of: &[&Setting]| Series {
            name: name.to_owned(),
            mark,
            points: of.iter().map(|s| point(s)).collect(),
            band: of.iter().map(|s| bar(s)).collect(),
        };
        let (low, high) =
            shown.iter().map(cost).fold((f64::INFINITY, 0.0), |(l, h), c| (f64::min(l, c), f64::max(h, c)));
        let chart = Chart {
            title: "Quality against cost".into(),
            x_label: x_label.into(),
            y_label: "cnn-fid".into(),
            x_scale: if high > WIDE * low { Scale::Log } else { Scale::Linear },
            series: vec![series("front", Mark::Both, &best), series("other settings", Mark::Points, &others)],
            ..Chart::default()
        };
        let mut csv = String::from("setting,cost,seeds,cnn_fid,low,high,on_front\n");
        for (i, s) in shown.iter().enumerate() {
            let q = s.quality;
            let (name, on) = (field(&s.name()), on.contains(&i));
            csv += &format!("{name},{},{},{},{},{},{on}\n", cost(s), q.n, q.mean, q.low, q.high);
        }
        let names: Vec<String> = best.iter().map(|s| format!("({})", s.name())).collect();
        let caption = format!("The front, from cheap to dear: {}.", names.join("; "));
        drawn.push(Drawn { name: name.into(), svg: chart.draw()?.with_csv(csv), caption });
    }
    Ok(drawn)
}

/// What a sweep's times are worth.
pub(super) const SHARED_MACHINE: &str = "times are those of a worker, which may have shared the machine with others";

/// One row for each setting.
///
/// # Errors
/// None that can happen: rows fit their columns.
pub fn table(settings: &[Setting]) -> Result<Table> {
    let axes = each_once(settings.iter().flat_map(|s| s.settings.iter().map(|(axis, _)| axis)));
    let mut columns: Vec<Column> = axes.iter().map(Column::text).collect();
    let decimals = |name: &str, n| Column { decimals: Some(n), ..Column::number(name) };
    columns.extend([
        Column::number("seeds"),
        Column { best: Some(Best::Lowest), ..decimals("cnn-fid", 2) },
        Column::text("95% interval"),
        Column { best: Some(Best::Lowest), ..decimals("KID", 2) },
        decimals("calls", 0),
        Column::number("seconds per image"),
    ]);
    let mut table = Table::new("Settings, means over their seeds", columns);
    table.notes.push("the interval is that of a mean over seeds; with one seed, that of its resamples".to_owned());
    table.notes.push(SHARED_MACHINE.to_owned());
    for s in settings {
        let mut row: Vec<Cell> = axes.iter().map(|axis| s.on(axis).map_or(Cell::Missing, Cell::from)).collect();
        let number = |value: f64| if value.is_finite() { Cell::Number(value) } else { Cell::Missing };
        row.extend([
            Cell::Number(s.quality.n as f64),
            Cell::Number(s.quality.mean),
            format!("{:.2} to {:.2}", s.quality.low, s.quality.high).replace('-', "−").into(),
            number(s.kid.mean),
            number(s.calls),
            number(s.seconds),
        ]);
        table.push(row)?;
    }
    Ok(table)
}

/// Names and messages of the cells that failed.
fn failures(records: &[Record]) -> Vec<(String, String)> {
    let failed = records.iter().filter_map(|record| match &record.status {
        Status::Failed { error } => Some((record.name(), error.clone())),
        Status::Ok(_) => None,
    });
    failed.collect()
}
