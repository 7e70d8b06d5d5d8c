//! From an experiment's `[data]` table to a data set in memory, with progress, and to the stand-in where it cannot be had.

use std::io::Write as _;
use std::ops::ControlFlow;

use anyhow::{Result, bail};

use crate::config::{Experiment, shipped};
use crate::data::{self, DataConfig, DataError, Dataset, FetchPolicy, Search};
use crate::progress::Progress;
use crate::session::{Interrupted, Session};

/// Hears of downloads and draws a bar for each file.
#[derive(Default)]
struct Bars(Option<(String, Progress)>);

impl Bars {
    fn hear(&mut self, p: &data::Progress<'_>) {
        if self.0.as_ref().is_none_or(|(file, _)| file != p.file) {
            self.0 = Some((p.file.to_owned(), Progress::new(p.file, "bytes", p.total.unwrap_or(0))));
        }
        if let Some((_, progress)) = &mut self.0 {
            progress.set(p.done);
        }
    }
}

/// Downloads what is missing of a data set; returns the names of the files that came.
///
/// # Errors
/// [`DataError`].
pub fn fetch(name: &str, search: &Search) -> Result<Vec<String>> {
    let mut bars = Bars::default();
    let mut hear = |p: data::Progress<'_>| {
        bars.hear(&p);
        ControlFlow::Continue(())
    };
    Ok(data::fetch_missing(&DataConfig::named(name), search, &mut hear)?)
}

/// Loads a data set, downloading it where that is allowed.
///
/// # Errors
/// [`DataError`], or [`Interrupted`].
pub fn load(config: &DataConfig, session: &Session) -> Result<Dataset> {
    let mut bars = Bars::default();
    let mut hear = |p: data::Progress<'_>| {
        bars.hear(&p);
        if session.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    if config.name == data::catalog::GLYPHS {
        tracing::info!("data: drawing glyphs");
    }
    let data = match data::load(config, &session.search, &mut hear) {
        Err(DataError::Cancelled(what)) => return Err(Interrupted(format!("stopped: {what}")).into()),
        Err(mut error) => {
            if let DataError::Missing(missing) | DataError::Download { missing, .. } = &mut error {
                missing.instead = part_at_hand(config, &session.search).map(|(name, part)| told(name, &part));
            }
            return Err(error.into());
        }
        Ok(data) => data,
    };
    let (images, tests) = (data.train.len(), data.test.len());
    let how = match &config.own {
        Some(_) => "your own",
        None if data.is_generated() => "drawn by the program",
        None => "checksums verified",
    };
    tracing::info!("data: {}, {images} training and {tests} test images, {how}", data.title());
    Ok(data)
}

/// Loads an experiment's data set, and checks that the network is made for its images.
///
/// # Errors
/// As [`load`]; also images of another size than `network.size`.
pub fn load_for(experiment: &Experiment, session: &Session) -> Result<Dataset> {
    let data = load(&experiment.data, session)?;
    let (size, channels) = (experiment.network.size, experiment.network.channels);
    let (h, w) = data.train.size();
    if (h as i64, w as i64) != (size, size) || channels != 1 {
        bail!(
            "network.size = {size}, network.channels = {channels}: the images of {} are {h} × {w} with 1 channel",
            data.title()
        );
    }
    Ok(data)
}

/// The experiment with a registered part of the data set that `whole` asks for, if all files of the part are on this machine.
fn part_at_hand(whole: &DataConfig, search: &Search) -> Option<(&'static str, DataConfig)> {
    let (name, part) = shipped::part_of(whole)?;
    let here = Search { policy: FetchPolicy::Never, ..search.clone() };
    let mut ignore = |_: data::Progress<'_>| ControlFlow::Continue(());
    data::fetch_missing(&part, &here, &mut ignore).is_ok().then_some((name, part))
}

/// A part of a data set as people are told of it.
fn told(experiment: &str, part: &DataConfig) -> String {
    let label = part.subset.as_ref().map_or("", |subset| &subset.label);
    format!("`{experiment}`, the {label} training images")
}

/// The data set, or what stands in for it under its own name where it cannot be had: a registered part of it that is on this
/// machine, else glyphs. Then also what to tell the reader.
///
/// # Errors
/// As [`load_for`]; with `strict`, also when the data set cannot be had.
pub fn load_or_stand_in(
    experiment: &mut Experiment,
    session: &Session,
    strict: bool,
) -> Result<(Dataset, Option<String>)> {
    let error = match load_for(experiment, session) {
        Ok(data) => return Ok((data, None)),
        Err(error) => error,
    };
    let absent = matches!(error.downcast_ref(), Some(DataError::Missing(_) | DataError::Download { .. }));
    if strict || !absent {
        return Err(error);
    }
    tracing::warn!("{error}");
    let wanted = experiment.data.title();
    let (name, config, what) = match part_at_hand(&experiment.data, &session.search) {
        Some((name, part)) => (name, part.clone(), told(name, &part)),
        None => {
            let glyphs = data::catalog::GLYPHS;
            (glyphs, DataConfig::named(glyphs), format!("`{glyphs}`, digits drawn by the program"))
        }
    };
    let notice = format!("{wanted} is neither on this machine nor to be downloaded: going on with {what}");
    let frame = "─".repeat(notice.chars().count() + 2);
    eprintln!("┌{frame}┐\n│ {notice} │\n└{frame}┘");
    let _ = writeln!(&session.log, "{notice}");
    experiment.data = config;
    name.clone_into(&mut experiment.name);
    let data = load_for(experiment, session)?;
    Ok((data, Some(format!("{notice}. None of these numbers is a number of {wanted}."))))
}
