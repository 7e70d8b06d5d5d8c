//! What the prior lacks where the process ends: the first of the questions that the paper leaves open.
//!
//! ```text
//! KL( N(μ, C + v I) ‖ N(a, b² I) ),   μ and C of ln x_0,   v = r²
//! ```
//!
//! Reverse time starts from independent pixels, as if nothing of the image were left. The divergence of the noised images from them is at
//! least that of the normal law with their moments. The probability flow carries all of it to the end; noise in sampling forgets a part.

use anyhow::{Result, bail};
use gbm_sde::{LogNormal, Schedule};
use samplers::{FittedPrior, PriorConfig};

use super::Set;
use crate::config::{Experiment, shipped};
use crate::evaluate::baselines;
use crate::report::axis::Scale;
use crate::report::page::{Block, Figure, Section};
use crate::report::plot::{Chart, Mark, Series};

/// The range of noise levels, and how many of them are drawn.
const LEVELS: (f64, f64, usize) = (0.25, 16.0, 73);

/// The section: nats against the noise level where the process ends.
pub(super) fn section(sets: &[Set]) -> Result<Section> {
    let (low, high, count) = LEVELS;
    let mut series = Vec::new();
    let mut found = Vec::new();
    for set in sets {
        let (pixels, images) = (set.experiment.pixels, set.data.train.images.view());
        let schedule = Schedule::new(set.experiment.process.clone())?;
        let (linear, _) = baselines(&set.data, pixels, &set.experiment.sampling, &schedule)?;
        let moments = pixels.moments(images);
        let lacks = |prior: PriorConfig, r: f64| -> Result<f64> {
            let FittedPrior::Independent(prior) = prior.build(&moments, None, r * r)? else {
                bail!("a prior of independent pixels");
            };
            Ok(linear.kl_divergence(r * r, &LogNormal::new(prior.mean, prior.sd)?)?)
        };
        let at = |i: usize| low * (high / low).powf(i as f64 / (count - 1) as f64);
        let matched = |r: f64| lacks(PriorConfig::MomentMatched {}, r);
        let points = (0..count).map(at).map(|r| Ok((r, matched(r)?))).collect::<Result<_>>()?;
        series.push(Series { name: set.title.clone(), points, ..Series::default() });

        let ours = start(&set.experiment)?;
        let mut text = format!("{}: {:.2} nats at our r = {ours:.2}", set.title, matched(ours)?);
        if let Ok(published) =
            shipped::experiment(&set.experiment.data.name).and_then(|e| e.resolve(Some("published"), &[]))
        {
            let r = start(&published.experiment)?;
            let theirs = lacks(published.experiment.sampling.prior, r)?;
            text += &format!(
                ", {theirs:.1} as published at r = {r:.2} ({:.1} with the right mean and spread)",
                matched(r)?
            );
            let name = format!("{}, as published", set.title);
            series.push(Series { name, mark: Mark::Points, points: vec![(r, theirs)], ..Series::default() });
        }
        found.push(text);
    }
    let chart = Chart {
        title: "What independent pixels lack at the start".into(),
        x_label: "noise level r where the process ends".into(),
        y_label: "divergence of the noised images from the prior, nats per image".into(),
        x_scale: Scale::Log,
        y_scale: Scale::Log,
        series,
        ..Chart::default()
    };
    let text = format!(
        "Lines: pixels with the mean and spread of the noised data. What they miss of the mean image falls as r⁻², of correlations as r⁻⁴. {}.",
        found.join("; ")
    );
    Ok(Section {
        title: "Where the process ends".into(),
        blocks: vec![
            Block::Paragraph(
                "Not a figure of the paper. Reverse time starts from independent pixels, but at r = 0.8 the images are still to be seen. \
                 Shown is how far the normal law with the noised images' moments is from the prior, the least that their own law is."
                    .into(),
            ),
            Block::Figures(vec![Figure::chart(chart.draw()?, text)]),
        ],
    })
}

/// The noise level at which sampling starts.
fn start(experiment: &Experiment) -> Result<f64> {
    let schedule = Schedule::new(experiment.process.clone())?;
    Ok(experiment.sampling.grid.build(Some(&schedule))?.start().sqrt())
}
