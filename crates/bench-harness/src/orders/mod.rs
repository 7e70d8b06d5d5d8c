//! `dale orders`: the order of every sampler, measured against exact truth, as a page that fails where theory does not hold.
//!
//! | module | what it measures |
//! |---|---|
//! | [`slopes`] | weak and strong orders: log-log slopes of errors against steps |
//! | [`calls`] | error against network calls on practical grids down to 0; convergence of samplers without an order |
//! | [`signs`] | how often a step of the unconstrained sampler changes a sign, beside the Gaussian tail |
//! | `figures`, `tables` | how that is shown: charts, tables, `orders.csv` |
//!
//! The problem itself, that is truths, grids and what theory says of each sampler, is [`samplers::order::problem`].

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use models::write::write_atomically;
use rayon::prelude::*;
use samplers::order::problem::{self, Subject};

use crate::config;
use crate::progress::Progress;
use crate::report::page::{Block, Card, Figure, Page, Section};
use crate::session::{Interrupted, Session};

pub mod calls;
pub mod signs;
pub mod slopes;

mod figures;
mod tables;

use calls::Ways;
use figures::Drawn;
use signs::Flips;
use slopes::Slope;

/// What to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Only these samplers, by the names of [`problem::subjects`]; all when empty.
    pub only: Vec<String>,
    /// States that stand for the law on practical grids.
    pub states: usize,
    /// Steps of the unconstrained sampler for each rate of changed signs.
    pub draws: u64,
}

impl Default for Request {
    fn default() -> Self {
        Self { only: Vec::new(), states: 8192, draws: 4_000_000 }
    }
}

/// What came out.
#[derive(Debug)]
pub struct Orders {
    /// All slopes.
    pub slopes: Vec<Slope>,
    /// Every sampler on practical grids.
    pub ways: Ways,
    /// Rates of changed signs.
    pub flips: Flips,
    /// The page.
    pub report: PathBuf,
}

impl Orders {
    /// Rows that do not hold, in words.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let slopes = self.slopes.iter().filter(|s| !s.holds()).map(Slope::verdict);
        let ways = self.ways.exempt().filter(|w| !self.ways.converges(w)).map(|w| w.verdict());
        let flips = self.flips.rates.iter().filter(|r| !r.agrees()).map(signs::Rate::verdict);
        slopes.chain(ways).chain(flips).collect()
    }

    /// The tables as terminal text.
    ///
    /// # Errors
    /// If a table cannot be made.
    pub fn text(&self) -> Result<String> {
        let tables = tables::all(self)?;
        Ok(tables.iter().map(|table| table.to_text() + "\n").collect())
    }
}

/// Measures, and writes `report.html`, `orders.md`, `orders.csv` and the charts into `folder`.
///
/// # Errors
/// If a name is not a sampler's, something cannot be measured or shown, a file cannot be written, or the user stopped it.
pub fn write(folder: &Path, request: &Request, session: &Session) -> Result<Orders> {
    let subjects = chosen(&request.only)?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let slopes = slopes::measure(&subjects, session)?;
    let ways = calls::measure(&subjects, request.states, session)?;
    let flips = signs::measure(request.draws, session)?;
    let orders = Orders { slopes, ways, flips, report: folder.join("report.html") };

    let drawn = figures::draw(&orders)?;
    for Drawn { file, svg, .. } in &drawn {
        svg.write(&folder.join(file))?;
    }
    write_atomically(&folder.join("orders.csv"), tables::csv(&orders).as_bytes())?;
    let markdown: String = tables::all(&orders)?.iter().map(|table| table.to_markdown() + "\n").collect();
    write_atomically(&folder.join("orders.md"), format!("{markdown}Command: `just orders`.\n").as_bytes())?;
    page(&orders, drawn)?.write(&orders.report)?;
    Ok(orders)
}

/// The samplers asked for.
fn chosen(only: &[String]) -> Result<Vec<Subject>> {
    let all = problem::subjects();
    if let Some(unknown) = only.iter().find(|name| all.iter().all(|subject| subject.name != *name)) {
        let hint = config::suggestion(unknown, all.iter().map(|subject| subject.name));
        let names: Vec<&str> = all.iter().map(|subject| subject.name).collect();
        bail!("there is no sampler `{unknown}`{hint}; there are {}", names.join(", "));
    }
    Ok(all.into_iter().filter(|s| only.is_empty() || only.iter().any(|name| name == s.name)).collect())
}

/// Runs `work` on every task on all threads, with a progress bar, until the user stops it.
fn spread<T: Sync, R: Send>(
    label: &str,
    unit: &'static str,
    tasks: &[T],
    session: &Session,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let progress = Mutex::new(Progress::new(label, unit, tasks.len() as u64));
    let one = |task: &T| {
        if session.interrupted() {
            return Err(Interrupted("stopped; nothing was written".to_owned()).into());
        }
        let result = work(task)?;
        if let Ok(mut progress) = progress.lock() {
            progress.add(1);
        }
        Ok(result)
    };
    let results = tasks.par_iter().with_max_len(1).map(one).collect::<Result<Vec<R>>>()?;
    if let Ok(progress) = progress.into_inner() {
        progress.finish();
    }
    Ok(results)
}

fn page(orders: &Orders, drawn: Vec<Drawn>) -> Result<Page> {
    let within = orders.slopes.iter().filter(|s| s.holds()).count();
    let exempt = orders.ways.exempt().count();
    let near = orders.ways.exempt().filter(|w| orders.ways.converges(w)).count();
    let agree = orders.flips.rates.iter().filter(|r| r.agrees()).count();
    let card = |held: usize, all: usize, label: &str| Card { value: format!("{held} of {all}"), label: label.into() };
    let mut tables = tables::all(orders)?.into_iter();
    let mut parts = figures::PARTS.map(|part| Section {
        title: part.title().into(),
        blocks: part.text().iter().map(|text| Block::Paragraph((*text).into())).collect(),
    });
    for section in &mut parts {
        section.blocks.extend(tables.next().map(Block::Table));
    }
    for (part, section) in figures::PARTS.iter().zip(&mut parts) {
        let shown = drawn.iter().filter(|d| d.part == *part);
        let charts: Vec<Figure> = shown.map(|d| Figure::chart(d.svg.clone(), d.caption.clone())).collect();
        section.blocks.push(Block::Figures(charts));
    }
    Ok(Page {
        title: "The order of every sampler".into(),
        subtitle: "Measured against exact truth on mixtures of log-normals, with exact scores.".into(),
        banner: None,
        cards: vec![
            card(within, orders.slopes.len(), &format!("slopes within {} of theory", problem::MARGIN)),
            card(near, exempt, "samplers without an order converge to the truth"),
            card(agree, orders.flips.rates.len(), "rates of changed signs agree with the Gaussian tail"),
        ],
        sections: parts.into(),
        footer: vec![format!("dale {}. Command: just orders", env!("CARGO_PKG_VERSION"))],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(chosen(&[]).unwrap(), problem::subjects());
        assert_eq!(chosen(&["heun".into()]).unwrap()[0].name, "heun");
        let error = chosen(&["huen".into()]).unwrap_err().to_string();
        assert!(error.contains("did you mean `heun`?") && error.contains("milstein"), "{error}");
    }

    /// A slope, a convergence and a rate that are not as they should be are each named; those that are, are not.
    #[test]
    fn what_does_not_hold_is_named() {
        use samplers::order::problem::Theory;
        use samplers::order::reached::Reached;
        let slope = |sampler, found| Slope {
            sampler,
            stochastic: false,
            quantity: slopes::Quantity::Mean,
            theory: 2.0,
            found,
            standard_error: 0.0,
            points: Vec::new(),
        };
        let way = |sampler, theory, factor: f64| calls::Way {
            sampler,
            panel: calls::Panel::Flow,
            theory,
            refined: "steps",
            reached: (0..6)
                .map(|k| Reached {
                    steps: 5 << k,
                    calls: 5 << k,
                    wasserstein: 0.1 * factor.powi(k),
                    scatter: 0.0,
                    negative: 0.0,
                })
                .collect(),
        };
        let rate = |delta, count| signs::Rate { time: 1.0, delta, count, draws: 10_000, predicted: 0.01 };
        let orders = Orders {
            slopes: vec![slope("heun", 2.1), slope("euler", 1.1)],
            ways: Ways {
                ways: vec![
                    way("adaptive", Theory::Convergence, 0.4),
                    way("stochastic-heun", Theory::Convergence, 0.9),
                    way("ancestral", Theory::Stochastic { weak: 1.0, strong: 1.0 }, 0.9),
                ],
                last_step: 1e-6,
                states: 8,
            },
            flips: Flips { rates: vec![rate(0.1, 110), rate(0.2, 190)], curves: [Vec::new(), Vec::new()] },
            report: PathBuf::new(),
        };
        let broken = orders.broken();
        assert_eq!(broken.len(), 3, "{broken:?}");
        for (text, name) in broken.iter().zip(["euler", "stochastic-heun", "δ = 0.2"]) {
            assert!(text.contains(name), "{text}");
        }
        assert_eq!(orders.text().unwrap().matches("NO").count(), 3);
    }
}
