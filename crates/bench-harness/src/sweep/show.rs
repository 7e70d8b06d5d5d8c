//! `dale sweep show FOLDER…`: one page over several sweeps, such as the recipes on every data set: a table of each, its grids side by
//! side, and the curves of trainings that were judged on their way.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use models::write::write_atomically;

use super::effects::Mean;
use super::folder::Sweep;
use super::plots::SHARED_MACHINE;
use super::record::Maker;
use super::{compare, pictures};
use crate::report::page::{Banner, Block, Card, Figure, Page, Section};
use crate::report::table::{Best, Cell, Column, Table, number};

/// Writes `report.html`, `tables.md` and the charts into `out`, and prints the tables.
///
/// # Errors
/// A folder that is no sweep's, a sweep of another version's settings, numbers of different protocols within one sweep, a file that
/// cannot be written.
pub fn command(folders: &[PathBuf], title: &str, out: &Path, root: &Path) -> Result<()> {
    let read = |path: &PathBuf| Sweep::read(&compare::folder(path, root)?);
    let sweeps = folders.iter().map(read).collect::<Result<Vec<_>>>()?;
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let mut markdown = String::new();
    let mut sections = Vec::new();
    let mut cards = Vec::new();
    let mut gaps = Vec::new();
    for sweep in sweeps.iter().filter(|sweep| !sweep.finished().is_empty()) {
        let table = table(sweep)?;
        println!("{}", table.to_text());
        markdown += &(table.to_markdown() + "\n");
        let mut blocks: Vec<Block> = sweep.file.about.iter().cloned().map(Block::Paragraph).collect();
        blocks.push(Block::Table(table));
        let grids = pictures::grids(sweep)?;
        if !grids.is_empty() {
            blocks.push(Block::Figures(grids));
        }
        if let Some(svg) = pictures::curves(sweep)? {
            svg.write(&out.join(format!("curve-{}.svg", sweep.file.name)))?;
            blocks.push(Block::Figure(Figure::chart(svg, pictures::CURVE)));
        }
        cards.extend(card(sweep));
        let missing = sweep.missing();
        if missing > 0 {
            gaps.push(format!("{}: {missing} of {}", sweep.file.heading(), sweep.cells.len()));
        }
        sections.push(Section { title: sweep.file.heading().to_owned(), blocks });
    }
    let empty: Vec<&str> = sweeps.iter().filter(|s| s.finished().is_empty()).map(|s| s.file.name.as_str()).collect();
    if !empty.is_empty() {
        tracing::warn!("without a cell that has ended: {}", empty.join(", "));
    }
    let page = Page {
        title: title.to_owned(),
        subtitle: "Within a table all have as many images and one protocol. cnn-fid falls with the number of images and depends on the \
                   features: compare within a table only."
            .into(),
        banner: (!gaps.is_empty()).then(|| Banner {
            title: "Not all cells have been run".into(),
            text: format!("Missing are {}. A section may speak of recipes that its table does not have yet.", gaps.join("; ")),
        }),
        cards,
        sections,
        footer: vec![format!("dale {}", env!("CARGO_PKG_VERSION"))],
    };
    page.write(&out.join("report.html"))?;
    write_atomically(&out.join("tables.md"), markdown.as_bytes())?;
    println!("  report   {}", out.join("report.html").display());
    Ok(())
}

/// How many times the first setting's distance the last one has.
fn card(sweep: &Sweep) -> Option<Card> {
    let all = sweep.settings();
    let ((first, ..), (last, ..)) = (all.first()?, all.last()?);
    let ratio = last.quality.mean / first.quality.mean;
    (all.len() > 1 && ratio.is_finite()).then(|| Card {
        value: format!("{ratio:.1} ×"),
        label: format!("cnn-fid of {} in parts of {}: {}", last.label(), first.label(), sweep.file.heading()),
    })
}

fn table(sweep: &Sweep) -> Result<Table> {
    let all = sweep.settings();
    let (base, ..) = all.first().context("a sweep with finished cells has a setting")?;
    let (n, first, best) = (base.images, base.label(), base.quality.mean);
    let axes: Vec<&str> = base.settings.iter().map(|(axis, _)| axis.as_str()).collect();
    let mut columns: Vec<Column> = axes.iter().map(|axis| Column::text(*axis)).collect();
    columns.extend([
        Column::number("seeds"),
        Column { best: Some(Best::Lowest), decimals: Some(1), ..Column::number("cnn-fid") },
        Column::text("±"),
        Column { decimals: Some(1), ..Column::number(format!("× {first}")) },
        Column { best: Some(Best::Lowest), decimals: Some(1), ..Column::number("KID") },
        Column::text("± of KID"),
        Column { decimals: Some(0), ..Column::number("training images") },
        Column { decimals: Some(0), ..Column::number("calls per image") },
        Column { decimals: Some(4), unit: Some("s".into()), ..Column::number("time per image") },
        Column { decimals: Some(1), unit: Some("min".into()), ..Column::number("training") },
    ]);
    let mut table = Table::new(format!("{}: {n} images each", sweep.file.heading()), columns);
    for (s, cell, _) in &all {
        let mut row: Vec<Cell> = axes.iter().map(|axis| s.on(axis).map_or(Cell::Missing, Cell::from)).collect();
        let finite = |value: f64| if value.is_finite() { Cell::Number(value) } else { Cell::Missing };
        row.extend([
            Cell::Number(s.quality.n as f64),
            finite(s.quality.mean),
            spread(&s.quality).into(),
            finite(s.quality.mean / best),
            finite(s.kid.mean),
            spread(&s.kid).into(),
            Cell::Number(cell.images_seen() as f64),
            finite(s.calls),
            finite(s.seconds),
            finite(s.training / 60.0),
        ]);
        table.push(row)?;
    }
    table.notes.push(
        "±: standard deviation over seeds of training and sampling; with one seed, that of the bootstrap (cnn-fid) and of the subsets (KID)"
            .to_owned(),
    );
    table.notes.push(SHARED_MACHINE.to_owned());
    for record in sweep.finished() {
        let diverged = record.outcome().map_or(0, |outcome| outcome.diverged);
        if diverged > 0 {
            let images = if diverged == 1 { "image" } else { "images" };
            table
                .notes
                .push(format!("{}: {diverged} {images} diverged (the network's output was not finite)", record.name()));
        }
    }
    let makers: Vec<Option<&Maker>> = sweep.finished().iter().map(|r| r.outcome()?.by.as_ref()).collect();
    // Said where it is known of all.
    if let Some(makers) = makers.into_iter().collect::<Option<Vec<_>>>() {
        let all = |f: fn(&Maker) -> String| {
            makers.iter().map(|by| f(by)).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" and ")
        };
        table.notes.push(format!("computed in {} on {}", all(Maker::format), all(|by| by.processor.clone())));
    }
    let missing = sweep.missing();
    if missing > 0 {
        table.notes.push(format!("{missing} of {} cells of this comparison have not been run", sweep.cells.len()));
    }
    Ok(table)
}

fn spread(mean: &Mean) -> String {
    if mean.sd.is_finite() { number(mean.sd, Some(1)) } else { "–".to_owned() }
}
