//! `dale theory`: the paper's identities, each computed twice by different means, and its two-dimensional figures.
//!
//! | module | what it shows |
//! |---|---|
//! | [`identity`] | an identity with its residual; the numerical means |
//! | `forward`, `scores`, `reverse`, `losses` | the identities of the paper, section by section |
//! | `spirals` | geometric Brownian motion in two dimensions |
//! | `noised` | pixels of noised images and their log-normal fit |

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use models::write::write_atomically;

use crate::config::PixelMap;
use crate::data::Dataset;
use crate::report::formula::Formula;
use crate::report::page::{Banner, Block, Card, Page, Section};
use crate::report::table::{Cell, Column, Kind, Table};

pub mod identity;

mod forward;
mod losses;
pub(crate) mod noised;
mod reverse;
mod scores;
pub(crate) mod spirals;

use identity::Identity;

/// What came out.
#[derive(Debug)]
pub struct Theory {
    /// All identities.
    pub identities: Vec<Identity>,
    /// The page.
    pub report: PathBuf,
}

/// Checks all identities, draws the figures, and writes `report.html`, `identities.md` and the charts into `folder`.
///
/// # Errors
/// If a formula cannot be computed or shown, or a file cannot be written.
pub fn write(folder: &Path, data: &Dataset, notice: Option<&str>, pixels: PixelMap, seed: u64) -> Result<Theory> {
    let started = Instant::now();
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut identities = forward::identities(seed)?;
    identities.extend(scores::identities()?);
    identities.extend(reverse::identities()?);
    identities.extend(losses::identities()?);

    let held = identities.iter().filter(|i| i.holds()).count();
    let mut sections = vec![setting()?];
    for title in identity::SECTIONS {
        let table = table("", identities.iter().filter(|i| i.section == title))?;
        sections.push(Section { title: title.into(), blocks: vec![Block::Table(table)] });
    }
    sections.push(spirals::section(seed)?);
    sections.push(noised::section(data, pixels, seed)?);
    let page = Page {
        title: "Multiplicative diffusion: the identities".into(),
        subtitle: "Every identity with its two sides computed by different means, in double precision.".into(),
        banner: notice.map(|text| Banner { title: "Not the data set that was asked for".into(), text: text.into() }),
        cards: vec![
            Card { value: format!("{held} of {}", identities.len()), label: "identities hold".into() },
            Card { value: format!("{:.0} s", started.elapsed().as_secs_f64()), label: "for all of it".into() },
        ],
        sections,
        footer: vec![format!("dale {}", env!("CARGO_PKG_VERSION"))],
    };
    let report = folder.join("report.html");
    page.write(&report)?;
    page.write_charts(folder)?;
    let markdown: String = identity::SECTIONS
        .iter()
        .map(|title| -> Result<String> {
            Ok(table(title, identities.iter().filter(|i| i.section == *title))?.to_markdown() + "\n")
        })
        .collect::<Result<_>>()?;
    write_atomically(&folder.join("identities.md"), markdown.as_bytes())?;
    Ok(Theory { identities, report })
}

fn setting() -> Result<Section> {
    let line = |latex: &str| -> Result<Block> { Ok(Block::Formula(Formula::new(latex)?)) };
    Ok(Section {
        title: "Setting".into(),
        blocks: vec![
            Block::Paragraph("Geometric Brownian motion, its exact law, and the logarithm in which it is Gaussian:".into()),
            line(r"dX = \mu(t)\, X\, dt + \sigma(t)\, X\, dW, \qquad X_t = X_0 \odot e^{m(t) + \sqrt{v(t)}\, \varepsilon}")?,
            line(r"m(t) = \int_0^t \bigl(\mu - \tfrac{1}{2} \sigma^2\bigr)\, ds, \qquad v(t) = \int_0^t \sigma^2\, ds, \qquad \bar y = \ln x_t - m(t)")?,
            Block::Paragraph("Three scores of one marginal, and one denoiser:".into()),
            line(r"s = \nabla_x \ln p_X, \qquad h = x \odot s, \qquad g = \nabla_y \ln p_Y = h + 1, \qquad D(\bar y, v) = E[\ln x_0 \mid \bar y\,] = \bar y + v\, g")?,
            Block::Paragraph("Preconditioning of a network F, for data with the moments μ̄ = E[ln x₀] and σ_d² = Var[ln x₀]:".into()),
            line(r"D = \bar\mu + c_{\mathrm{skip}}\, u + c_{\mathrm{out}}\, F(c_{\mathrm{in}}\, u, \ln r), \qquad u = \bar y - \bar\mu, \qquad r = \sqrt{v}")?,
            Block::Paragraph(
                "All of it is tried in one dimension. Unless a row says otherwise, the start is a mixture of two log-normals with weights 0.35 and 0.65, means −0.5 \
                 and 0.7 and variances 0.09 and 0.04 of the logarithm, under a schedule whose variance grows linearly and whose drift is 0.3. \
                 A residual is the largest difference of the two sides over several points or times; where the second side is a \
                 simulation it is that difference in standard errors."
                    .into(),
            ),
        ],
    })
}

fn table<'a>(title: &str, identities: impl Iterator<Item = &'a Identity>) -> Result<Table> {
    let mut table = Table::new(
        title,
        vec![
            Column::text("identity"),
            Column::text("one side"),
            Column::text("the other side"),
            Column { kind: Kind::Number, ..Column::text("residual") },
            Column::text("holds"),
        ],
    );
    for i in identities {
        let number = |value: f64| {
            if i.statistical { format!("{value:.1} SE") } else { format!("{value:.1e}").replace("e-", "e−") }
        };
        table.push(vec![
            Cell::Formula(Formula::new(i.latex)?),
            i.left.into(),
            i.right.into(),
            number(i.residual).into(),
            format!("{}, below {}", if i.holds() { "yes" } else { "NO: not" }, number(i.allowed)).into(),
        ])?;
    }
    Ok(table)
}

/// Density of `values` in `bins` equal bins between their extremes, as a staircase.
pub(crate) fn histogram(values: &[f64], bins: usize) -> Vec<(f64, f64)> {
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
    let width = (high - low) / bins as f64;
    let mut counts = vec![0_usize; bins];
    for &x in values {
        counts[(((x - low) / width) as usize).min(bins - 1)] += 1;
    }
    let mut steps = vec![(low, 0.0)];
    for (i, &count) in counts.iter().enumerate() {
        let height = count as f64 / (values.len() as f64 * width);
        steps.extend([(low + i as f64 * width, height), (low + (i + 1) as f64 * width, height)]);
    }
    steps.push((high, 0.0));
    steps
}
