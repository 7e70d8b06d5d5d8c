//! `dale figures`: every figure of the paper, drawn from shipped weights, each as SVG and PNG with its numbers as CSV, on one page; and
//! an animation of reverse time.
//!
//! | figure | here |
//! |---|---|
//! | 1: forward and reverse path of an image | `plates` |
//! | 2: grids of the three data sets; 3 to 5: larger ones | `plates` |
//! | 6, 7: nearest training images, in pixels and in features | `plates` |
//! | 8, 9: paths from two spirals, and the density fitted to their ends | [`theory`](crate::theory) |
//! | 10: pixels of noised images with the fitted log-normal | [`theory`](crate::theory) |
//! | 11: intermediate states of sampling | `plates` |
//!
//! One more is ours: what the prior lacks (`prior`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use models::classifier::Shipped;
use ndarray::{Array2, Array3};

use crate::config::{self, Experiment};
use crate::data::{DataError, Dataset};
use crate::extractor::Extractor;
use crate::figures::path;
use crate::generate::{Arithmetic, Trained, draw, open_run};
use crate::loading;
use crate::report::animation::animate;
use crate::report::image::{Grid, Png};
use crate::report::page::{Block, Figure, Page, Section};
use crate::session::Session;
use crate::theory::{noised, spirals};

mod plates;
mod prior;

/// Images in the larger grids.
const IMAGES: usize = 400;
/// Images in the animation, and its steps of the sampler.
const ANIMATED: (usize, usize) = (36, 40);
/// Milliseconds of a frame, and of the first and the last one.
const TIMES: (u16, u16, u16) = (70, 700, 2500);

/// A data set with weights and images of them.
pub(crate) struct Set {
    /// Where settings and weights are.
    folder: PathBuf,
    /// The data set's name as it is written.
    title: String,
    experiment: Experiment,
    trained: Trained,
    data: Dataset,
    images: Array3<u8>,
    calls: usize,
    /// Probabilities of the classes, as the classifier sees them.
    classes: Array2<f32>,
}

impl Set {
    fn read(folder: &Path, session: &Session) -> Result<Self> {
        let (experiment, trained) = open_run(folder, Arithmetic::AsTrained, session)?;
        let data = loading::load_for(&experiment, session)?;
        let drawn = draw(&trained, &experiment, IMAGES, &data, None, session)?;
        let network = Extractor::shipped(Shipped::of_data(&data.name), session.device)?;
        let seen = network.see(drawn.images.view().insert_axis(ndarray::Axis(3)), "classes")?;
        let classes = seen.classes.context("the classifier gives classes")?;
        let (folder, title) = (folder.to_owned(), data.title());
        Ok(Self { folder, title, experiment, trained, data, images: drawn.images, calls: drawn.cost.calls, classes })
    }

    fn n(&self, most: usize) -> usize {
        most.min(self.images.dim().0)
    }
}

/// Draws everything into `out`: charts, `reverse.png` and `report.html`, whose path it returns. Folders whose data set is not at hand
/// are left out, with a warning.
///
/// # Errors
/// If no folder is left, one has no weights, or a file cannot be written.
pub fn write(folders: &[PathBuf], out: &Path, session: &Session) -> Result<PathBuf> {
    let started = Instant::now();
    let mut sets = Vec::new();
    let mut absent = Vec::new();
    for folder in folders {
        match Set::read(folder, session) {
            Ok(set) => sets.push(set),
            Err(error) if matches!(error.downcast_ref(), Some(DataError::Missing(_) | DataError::Download { .. })) => {
                tracing::warn!("{} is left out: {error:#}", folder.display());
                absent.push(folder.display().to_string());
            }
            Err(error) => return Err(error.context(folder.display().to_string())),
        }
    }
    let Some(first) = sets.first() else {
        bail!("no figure without a data set; those of {} are not on this machine", absent.join(", "));
    };
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let mut sections = vec![
        plates::paths(first, session)?,
        plates::grids(&sets)?,
        plates::large(&sets)?,
        plates::neighbours(&sets, session)?,
        spirals::section(first.experiment.seed)?,
        noised::section(&first.data, first.experiment.pixels, first.experiment.seed)?,
        plates::forming(&sets, session)?,
        prior::section(&sets)?,
    ];
    let moving = reverse_time(first, session)?;
    moving.write(&out.join("reverse.png"))?;
    sections.push(Section {
        title: "Reverse time".into(),
        blocks: vec![Block::Figure(Figure::image(
            moving,
            format!("{} images as they form, in {} steps.", ANIMATED.0, ANIMATED.1),
            "noise that turns into images",
        ))],
    });
    let page = Page {
        title: "The figures of the paper".into(),
        subtitle: "Drawn anew with our network and sampler, from the weights under results/.".into(),
        banner: None,
        cards: Vec::new(),
        sections,
        footer: vec![
            format!("dale {}; drawn in {:.0} s", env!("CARGO_PKG_VERSION"), started.elapsed().as_secs_f64()),
            "After N. Shetty, M. Prasath, C. S. Seelamantula, Dale meets Langevin, arXiv 2510.02730.".into(),
        ],
    };
    page.write_charts(out)?;
    let report = out.join("report.html");
    page.write(&report)?;
    println!("  report   {}", report.display());
    Ok(report)
}

/// Images as they form, one frame for each step.
fn reverse_time(set: &Set, session: &Session) -> Result<Png> {
    let steps = format!("sampling.grid.steps={}", ANIMATED.1);
    let experiment = config::adjust(&set.folder.join("config.toml"), &set.experiment, &[steps])?;
    let states = path::reverse(&experiment, &set.trained, &set.data, ANIMATED, session)?;
    let last = states.len() - 1;
    let frame = |(i, state): (usize, &path::State)| -> Result<(Array2<u8>, u16)> {
        let time = match i {
            0 => TIMES.1,
            i if i == last => TIMES.2,
            _ => TIMES.0,
        };
        Ok((Grid::default().canvas(state.images.view())?, time))
    };
    let frames = states.iter().enumerate().map(frame).collect::<Result<Vec<_>>>()?;
    Ok(animate(&frames)?)
}
