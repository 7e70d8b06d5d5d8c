//! The figures that are made of images.

use anyhow::{Context, Result};
use ndarray::{ArrayView3, Axis, Slice};

use super::Set;
use crate::figures::path::{self, State};
use crate::nearest;
use crate::report::csv::field;
use crate::report::image::{Grid, Png, Strip};
use crate::report::page::{Block, Figure, Section};
use crate::report::plate::{Plate, Row};
use crate::session::Session;

/// Images in the small grids, a square.
const SMALL: usize = 64;
/// Samples whose neighbours are shown, and neighbours of each.
const NEIGHBOURS: (usize, usize) = (8, 7);
/// Samples that are shown as they form, and states of each after the first.
const FORMING: (usize, usize) = (4, 8);

fn section(title: &str, figures: Vec<Figure>) -> Section {
    Section { title: title.into(), blocks: vec![Block::Figures(figures)] }
}

/// Figure 1.
pub(super) fn paths(set: &Set, session: &Session) -> Result<Section> {
    let strips = path::strips(&set.experiment, &set.trained, &set.data, session)?;
    let row = |strip: &Strip| -> Result<Row> {
        let name = format!("{}: {}", strip.name, if strip.name == "forward" { "a test image" } else { "a sample" });
        Ok(Row { name, pictures: strip.pictures()?.into_iter().zip(strip.captions.clone()).collect() })
    };
    let plate = Plate {
        title: "Forward and reverse path of an image".into(),
        rows: strips.iter().map(row).collect::<Result<_>>()?,
        csv: strips.iter().map(Strip::csv).collect(),
    };
    let text = "Figure 1. Forward, noise is multiplied in: x_t = x_0 ⊙ exp(√v ε), r = √v. In reverse, an image forms in a cloud \
                of the prior. Pixels are clamped to the range that is shown.";
    Ok(section("Forward and reverse", vec![Figure::chart(plate.draw(), text)]))
}

/// Figure 2.
pub(super) fn grids(sets: &[Set]) -> Result<Section> {
    let mut csv = String::from("data,image,class,probability,mean_pixel\n");
    let mut pictures = Vec::new();
    for set in sets {
        let n = set.n(SMALL);
        csv += &seen(set, n);
        pictures.push((Grid::default().draw(first(set, n))?, format!("{}, {} calls", set.title, set.calls)));
    }
    let row = Row { name: String::new(), pictures };
    let plate = Plate { title: "Samples of the data sets".into(), rows: vec![row], csv };
    let text = "Figure 2. The first images, not picked.";
    Ok(section("Samples", vec![Figure::chart(plate.draw(), text)]))
}

/// Figures 3 to 5.
pub(super) fn large(sets: &[Set]) -> Result<Section> {
    let mut figures = Vec::new();
    for set in sets {
        let n = set.n(usize::MAX);
        let picture = (Grid { scale: 1, padding: 1, ..Grid::default() }.draw(first(set, n))?, String::new());
        let mut counts = vec![0_usize; set.classes.ncols()];
        set.classes.outer_iter().for_each(|row| counts[best(row.iter().copied()).0] += 1);
        let plate = Plate {
            title: format!("{n} samples, {}", set.title),
            rows: vec![Row { name: String::new(), pictures: vec![picture] }],
            csv: format!("data,image,class,probability,mean_pixel\n{}", seen(set, n)),
        };
        let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
        let text = format!(
            "Figures 3 to 5. Images in each class, from the first to the last, as the data set's classifier sees them: {}.",
            counts.join(", ")
        );
        figures.push(Figure::chart(plate.draw(), text));
    }
    Ok(section("Larger grids", figures))
}

/// Figures 6 and 7.
pub(super) fn neighbours(sets: &[Set], session: &Session) -> Result<Section> {
    let mut found = Vec::new();
    for set in sets {
        let queries = first(set, set.n(usize::MAX));
        found.push((set, queries, nearest::find(queries, NEIGHBOURS.1, &set.data, session.device)?));
    }
    let mut figures = Vec::new();
    for (at, name) in ["pixels", "features"].into_iter().enumerate() {
        let mut csv = String::from("data,sample,rank,training_image,distance\n");
        let mut pictures = Vec::new();
        let mut medians = Vec::new();
        for (set, queries, spaces) in &found {
            let space = spaces.get(at).filter(|s| s.name == name).context("neighbours in pixels and in features")?;
            pictures.push((space.picture(*queries, &set.data, NEIGHBOURS.0)?, set.title.clone()));
            let [samples, test] = space.medians();
            medians.push(format!("{}: {samples:.2} and {test:.2}", set.title));
            for sample in 0..NEIGHBOURS.0.min(queries.dim().0) {
                let both =
                    space.samples.indices.row(sample).to_vec().into_iter().zip(space.samples.distances.row(sample));
                for (rank, (image, distance)) in both.enumerate() {
                    csv += &format!("{},{sample},{},{image},{distance}\n", field(&set.title), rank + 1);
                }
            }
        }
        let plate = Plate {
            title: format!("Nearest training images, by {name}"),
            rows: vec![Row { name: String::new(), pictures }],
            csv,
        };
        let text = format!(
            "Figures 6 and 7. Samples (left) and the training images nearest to them. Median distance to the nearest one, of samples and \
             of as many test images: {}. A network that copies would be much nearer.",
            medians.join("; ")
        );
        figures.push(Figure::chart(plate.draw(), text));
    }
    Ok(section("Nearest training images", figures))
}

/// Figure 11.
pub(super) fn forming(sets: &[Set], session: &Session) -> Result<Section> {
    let mut csv = String::new();
    let mut rows = Vec::new();
    for set in sets {
        let states = path::reverse(&set.experiment, &set.trained, &set.data, FORMING, session)?;
        let column = Grid { columns: Some(1), ..Grid::default() };
        let picture =
            |state: &State| -> Result<(Png, String)> { Ok((column.draw(state.images.view())?, state.caption())) };
        rows.push(Row { name: set.title.clone(), pictures: states.iter().map(picture).collect::<Result<_>>()? });
        for state in &states {
            let captions = vec![state.caption(); state.images.dim().0];
            csv += &Strip { name: set.title.clone(), images: state.images.clone(), captions }.csv();
        }
    }
    let plate = Plate { title: "Samples as they form".into(), rows, csv };
    let text =
        "Figure 11. Intermediate states of sampling, from the prior on the left; r is the noise level that is left.";
    Ok(section("Intermediate states", vec![Figure::chart(plate.draw(), text)]))
}

fn first(set: &Set, n: usize) -> ArrayView3<'_, u8> {
    set.images.slice_axis(Axis(0), Slice::from(..n))
}

/// The likeliest class and its probability.
fn best(row: impl Iterator<Item = f32>) -> (usize, f32) {
    row.enumerate().fold((0, f32::MIN), |best, (class, p)| if p > best.1 { (class, p) } else { best })
}

/// One line for each of the first images.
fn seen(set: &Set, n: usize) -> String {
    let lines = set.images.outer_iter().zip(set.classes.outer_iter()).take(n).enumerate().map(|(i, (image, row))| {
        let mean = image.iter().map(|&byte| f64::from(byte)).sum::<f64>() / image.len() as f64;
        let (class, probability) = best(row.iter().copied());
        format!("{},{i},{class},{probability},{mean}\n", field(&set.title))
    });
    lines.collect()
}
