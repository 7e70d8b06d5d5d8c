//! Tables, charts and the paragraph of `dale dales-law`. The paragraph is put together from the numbers: it says what came out.

use std::path::{Path, PathBuf};

use anyhow::Result;
use models::write::write_atomically;

use super::network::Start;
use super::statistics::{Comparison, compare, spread};
use super::training::Rule;
use super::{Learned, Population, Study};
use crate::report::page::{Banner, Block, Card, Figure, Page, Section};
use crate::report::plot::{Chart, Mark, Series, Svg};
use crate::report::table::{Column, Kind, Table};
use crate::theory::histogram;

/// Bins of a histogram.
const BINS: usize = 60;
/// Points of a fitted curve.
const CURVE: usize = 240;

/// Writes everything but the JSON into `folder`; the path of the page and the paragraph.
///
/// # Errors
/// If a chart cannot be drawn or a file not be written.
pub fn write(folder: &Path, study: &Study, notice: Option<&str>) -> Result<(PathBuf, String)> {
    let text = paragraph(study);
    let (accuracies, laws, rates) = (accuracy_table(study)?, law_table(study)?, rate_table(study)?);
    let markdown = format!(
        "# Dale's law, learned\n\n{text}\n\n{}\n{}\n{}",
        accuracies.to_markdown(),
        laws.to_markdown(),
        rates.to_markdown()
    );
    write_atomically(&folder.join("dales_law.md"), markdown.as_bytes())?;
    let learning = learning_charts(study)?;
    let weights = weight_charts(study)?;
    for (name, chart, _) in learning.iter().chain(&weights) {
        chart.write(&folder.join(format!("{name}.svg")))?;
    }
    let figures = |charts: Vec<(String, Svg, String)>| {
        Block::Figures(charts.into_iter().map(|(_, chart, caption)| Figure::chart(chart, caption)).collect())
    };
    let best = |rule| {
        let of_rule = |start| spread(&ends(study, rule, start, |l| 100.0 * last(l).0)).0;
        Start::ALL.into_iter().map(of_rule).fold(f64::NEG_INFINITY, f64::max)
    };
    let of_rule = study.learned.iter().filter(|l| l.rule == Rule::Exponentiated).flat_map(|l| &l.epochs);
    let wrong = of_rule.map(|e| e.flipped).fold(0.0, f64::max);
    let page = Page {
        title: "Dale's law, learned".into(),
        subtitle: format!(
            "{}: excitatory and inhibitory units, gradient descent and exponentiated gradient descent",
            study.data
        ),
        banner: notice.map(|text| Banner { title: "Not the data set that was asked for".into(), text: text.into() }),
        cards: vec![
            Card { value: format!("{:.2}%", best(Rule::Exponentiated)), label: "test accuracy under EGD".into() },
            Card { value: format!("{:.2}%", best(Rule::Gradient)), label: "under gradient descent".into() },
            Card { value: format!("{wrong}"), label: "signs changed under EGD, after every step".into() },
        ],
        sections: vec![
            Section {
                title: "What was found".into(),
                blocks: vec![Block::Paragraph(text.clone()), Block::Table(accuracies)],
            },
            Section { title: "Learning".into(), blocks: vec![figures(learning)] },
            Section { title: "Learned weights".into(), blocks: vec![figures(weights), Block::Table(laws)] },
            Section { title: "Rates".into(), blocks: vec![Block::Table(rates)] },
        ],
        footer: vec![format!("dale {}; command: just dale", env!("CARGO_PKG_VERSION"))],
    };
    let report = folder.join("report.html");
    page.write(&report)?;
    Ok((report, text))
}

/// Accuracy and part of the changed signs at the end.
fn last(learned: &Learned) -> (f64, f64) {
    learned.epochs.last().map_or((f64::NAN, f64::NAN), |e| (e.accuracy, e.flipped))
}

/// A number of each network of one arm.
fn ends(study: &Study, rule: Rule, start: Start, number: impl Fn(&Learned) -> f64) -> Vec<f64> {
    study.learned.iter().filter(|l| (l.rule, l.start) == (rule, start)).map(number).collect()
}

/// A number of one population, over the seeds of an arm.
fn over_seeds(
    study: &Study,
    rule: Rule,
    start: Start,
    which: (usize, bool),
    number: impl Fn(&Population) -> f64,
) -> Vec<f64> {
    let of = |l: &Learned| l.populations.iter().find(|p| (p.layer, p.excitatory) == which).map_or(f64::NAN, &number);
    ends(study, rule, start, of)
}

fn plus_minus((mean, sd): (f64, f64), decimals: usize) -> String {
    format!("{mean:.decimals$} ± {sd:.decimals$}").replace('-', "−")
}

/// What was found, from the numbers.
fn paragraph(study: &Study) -> String {
    let seeds = study.learned.iter().map(|l| l.seed).max().unwrap_or(0);
    let accuracy = |rule, start| plus_minus(spread(&ends(study, rule, start, |l| 100.0 * last(l).0)), 2);
    let flips = |start| plus_minus(spread(&ends(study, Rule::Gradient, start, |l| 100.0 * last(l).1)), 1);
    let zeros: usize = study.learned.iter().filter_map(|l| l.epochs.last().map(|e| e.zeros)).sum();
    let mut text = format!(
        "{} networks of {} weights each learned {} from {} images in {} steps; {seeds} seed{} for each rule and start, ± is one standard \
         deviation over them. Test accuracy (in per cent, of {} images): from uniform magnitudes EGD {}, gradient descent {}; from log-normal ones EGD {}, \
         gradient descent {}. Under EGD no weight changed its sign at any step, so Dale's law holds; gradient descent left {}% of the \
         weights with the wrong sign from the uniform start and {}% from the log-normal one.",
        study.learned.len(),
        study.weights,
        study.data,
        study.images,
        study.steps,
        if seeds == 1 { "" } else { "s" },
        study.test_images,
        accuracy(Rule::Exponentiated, Start::Uniform),
        accuracy(Rule::Gradient, Start::Uniform),
        accuracy(Rule::Exponentiated, Start::LogNormal),
        accuracy(Rule::Gradient, Start::LogNormal),
        flips(Start::Uniform),
        flips(Start::LogNormal),
    );
    if zeros > 0 {
        text += &format!(" {zeros} weights of all networks together fell to exactly 0 in single precision.");
    }
    for start in Start::ALL {
        let first = (1, true);
        let of = |rule, number: fn(&Population) -> f64| spread(&over_seeds(study, rule, start, first, number));
        let before = of(Rule::Exponentiated, |p| p.before.ks_log_normal);
        let (egd, gradient) =
            (of(Rule::Exponentiated, |p| p.now.ks_log_normal), of(Rule::Gradient, |p| p.now.ks_log_normal));
        let ratio = of(Rule::Exponentiated, |p| p.now.log_ratio);
        text += &format!(
            " Excitatory weights of the first layer, {} start: the Kolmogorov–Smirnov distance to the fitted log-normal was {} before learning, {} after EGD ({}) and \
             {} after gradient descent; after EGD the log-normal is {} the normal, by {} nats per weight.",
            start.name(),
            plus_minus(before, 3),
            plus_minus(egd, 3),
            moved(before, egd),
            plus_minus(gradient, 3),
            if ratio.0 > 0.0 { "likelier than" } else { "less likely than" },
            plus_minus((ratio.0.abs(), ratio.1), 3),
        );
    }
    let wins = |rule, start| {
        let better = |p: &&Population| p.now.log_ratio > 0.0;
        let arm = study.learned.iter().filter(|l| (l.rule, l.start) == (rule, start));
        let all: Vec<&Population> = arm.flat_map(|l| &l.populations).collect();
        (all.iter().filter(|p| better(p)).count(), all.len())
    };
    let count = |rule, start| {
        let (won, all) = wins(rule, start);
        format!("{won} of {all}")
    };
    text + &format!(
        " Over all layers and both kinds of units the log-normal is the likelier law for {} populations after EGD and {} after gradient descent from the \
             uniform start, {} and {} from the log-normal start. For comparison: Cornford et al. (2024) report weights close to log-normal after EGD.",
        count(Rule::Exponentiated, Start::Uniform),
        count(Rule::Gradient, Start::Uniform),
        count(Rule::Exponentiated, Start::LogNormal),
        count(Rule::Gradient, Start::LogNormal),
    )
}

/// Nearer, farther, or the same within the spread of the seeds.
fn moved(before: (f64, f64), after: (f64, f64)) -> &'static str {
    if (after.0 - before.0).abs() <= before.1.hypot(after.1) {
        "no change beyond the spread"
    } else if after.0 < before.0 {
        "nearer to log-normal"
    } else {
        "farther from log-normal"
    }
}

fn accuracy_table(study: &Study) -> Result<Table> {
    let mut table = Table::new(
        "Accuracy and signs",
        ["start", "rule", "rate", "test accuracy, %", "wrong signs, %"].map(Column::text).to_vec(),
    );
    for start in Start::ALL {
        for rule in Rule::ALL {
            let rate = ends(study, rule, start, |l| l.rate).first().copied().unwrap_or(f64::NAN);
            table.push(vec![
                start.name().into(),
                rule.name().into(),
                format!("{rate}").into(),
                plus_minus(spread(&ends(study, rule, start, |l| 100.0 * last(l).0)), 2).into(),
                plus_minus(spread(&ends(study, rule, start, |l| 100.0 * last(l).1)), 1).into(),
            ])?;
        }
    }
    Ok(table)
}

fn law_table(study: &Study) -> Result<Table> {
    let columns = [
        "start",
        "rule",
        "layer",
        "units",
        "weights",
        "KS to log-normal",
        "KS to normal",
        "nats per weight",
        "Vuong's z",
        "KS to log-normal before",
        "correlation with the start",
    ];
    let mut table = Table::new(
        "Log-normal or normal? Both fitted to the same signed weights",
        columns
            .into_iter()
            .map(|name| Column {
                kind: if ["start", "rule", "units"].contains(&name) { Kind::Text } else { Kind::Number },
                ..Column::text(name)
            })
            .collect(),
    );
    let Some(first) = study.learned.first() else { return Ok(table) };
    for start in Start::ALL {
        for rule in Rule::ALL {
            for p in &first.populations {
                let of = |number: fn(&Population) -> f64| {
                    spread(&over_seeds(study, rule, start, (p.layer, p.excitatory), number))
                };
                table.push(vec![
                    start.name().into(),
                    rule.name().into(),
                    p.layer.to_string().into(),
                    if p.excitatory { "excitatory" } else { "inhibitory" }.into(),
                    format!("{:.0}", of(|p| p.now.n as f64).0).into(),
                    plus_minus(of(|p| p.now.ks_log_normal), 3).into(),
                    plus_minus(of(|p| p.now.ks_normal), 3).into(),
                    plus_minus(of(|p| p.now.log_ratio), 3).into(),
                    plus_minus(of(|p| p.now.vuong), 1).into(),
                    plus_minus(of(|p| p.before.ks_log_normal), 3).into(),
                    plus_minus(of(|p| p.correlation), 2).into(),
                ])?;
            }
        }
    }
    table.notes.push(
        "KS: Kolmogorov–Smirnov distance; with so many weights every distance above a few thousandths is significant. Nats per weight: mean log-likelihood \
         ratio, positive in favour of the log-normal. Correlation: of ln |w| before and after learning. ± is one standard deviation over seeds."
            .into(),
    );
    Ok(table)
}

fn rate_table(study: &Study) -> Result<Table> {
    let mut table = Table::new(
        "Rates that were tried, judged by held-out training images (the worse of two seeds)",
        ["start", "rule", "rate", "accuracy, %"].map(Column::text).to_vec(),
    );
    for t in &study.tried {
        let accuracy = t.accuracy.map_or("diverged".to_owned(), |a| format!("{:.2}", 100.0 * a));
        table.push(vec![t.start.name().into(), t.rule.name().into(), format!("{}", t.rate).into(), accuracy.into()])?;
    }
    Ok(table)
}

/// File name, chart and caption.
type Drawn = (String, Svg, String);

fn learning_charts(study: &Study) -> Result<Vec<Drawn>> {
    let series = |number: fn(&super::Epoch) -> f64, rules: &[Rule]| -> Vec<Series> {
        let arms = Start::ALL.into_iter().flat_map(|start| rules.iter().map(move |&rule| (start, rule)));
        arms.map(|(start, rule)| {
            let epochs = ends(study, rule, start, |l| l.epochs.len() as f64).first().copied().unwrap_or(0.0) as usize;
            let at = |e: usize| spread(&ends(study, rule, start, |l| number(&l.epochs[e])));
            let points: Vec<(f64, f64)> = (0..epochs).map(|e| ((e + 1) as f64, at(e).0)).collect();
            let band = (0..epochs).map(|e| (at(e).0 - at(e).1, at(e).0 + at(e).1)).collect();
            Series { name: format!("{}, {} start", rule.name(), start.name()), mark: Mark::Both, points, band }
        })
        .collect()
    };
    let chart = |title: &str, y: &str, series: Vec<Series>| {
        Chart {
            title: title.into(),
            x_label: "passes over the training images".into(),
            y_label: y.into(),
            series,
            ..Chart::default()
        }
        .draw()
    };
    let accuracy = chart("Learning", "test accuracy, %", series(|e| 100.0 * e.accuracy, &Rule::ALL))?;
    let flips = chart("Signs that are not their unit's", "weights, %", series(|e| 100.0 * e.flipped, &Rule::ALL))?;
    Ok(vec![
        (
            "learning".into(),
            accuracy,
            "Test accuracy after each pass; bars are one standard deviation over seeds.".into(),
        ),
        ("signs".into(), flips, "Weights whose sign is not that of their unit. Under EGD there are none.".into()),
    ])
}

fn weight_charts(study: &Study) -> Result<Vec<Drawn>> {
    let mut drawn = Vec::new();
    for (rule, start, now, before) in &study.shown {
        let logs =
            |weights: &[f64]| -> Vec<f64> { weights.iter().filter(|w| **w != 0.0).map(|w| w.abs().ln()).collect() };
        let (now_logs, before_logs) = (logs(now), logs(before));
        let fit = compare(now)?;
        // Far tails would squeeze the rest; they are in the numbers.
        let (low, high) = (fit.mu - 4.5 * fit.sigma, fit.mu + 4.5 * fit.sigma);
        let inside =
            |values: Vec<f64>| -> Vec<f64> { values.into_iter().filter(|y| (low..high).contains(y)).collect() };
        let curve = |density: &dyn Fn(f64) -> f64| -> Vec<(f64, f64)> {
            let at = |i: usize| low + (high - low) * i as f64 / CURVE as f64;
            (0..=CURVE).map(|i| (at(i), density(at(i)))).collect()
        };
        let series = vec![
            Series {
                name: "before learning".into(),
                mark: Mark::Faint,
                points: histogram(&inside(before_logs), BINS),
                ..Series::default()
            },
            Series { name: "learned weights".into(), points: histogram(&inside(now_logs), BINS), ..Series::default() },
            Series {
                name: "fitted log-normal".into(),
                points: curve(&|y| bell(y, fit.mu, fit.sigma)),
                ..Series::default()
            },
            Series { name: "fitted normal".into(), points: curve(&|y| of_normal(y, &fit)), ..Series::default() },
        ];
        let svg = Chart {
            title: format!("{}, {} start", rule.name(), start.name()),
            x_label: "ln |w|".into(),
            y_label: "density".into(),
            series,
            ..Chart::default()
        }
        .draw()?;
        let name = match rule {
            Rule::Gradient => format!("weights-gradient-{}", start.name()),
            Rule::Exponentiated => format!("weights-egd-{}", start.name()),
        };
        let caption = format!(
            "Excitatory weights of the first layer, all seeds together. Distance (KS) to the log-normal {:.3}, to the normal {:.3}; {:+.3} nats per weight for the \
             log-normal.",
            fit.ks_log_normal, fit.ks_normal, fit.log_ratio
        );
        drawn.push((name, svg, caption));
    }
    Ok(drawn)
}

fn bell(y: f64, mean: f64, sd: f64) -> f64 {
    gbm_sde::normal::normal_pdf((y - mean) / sd) / sd
}

/// Density of `ln |w|` for a normal `w`.
fn of_normal(y: f64, fit: &Comparison) -> f64 {
    let w = y.exp();
    w * (bell(w, fit.mean, fit.sd) + bell(-w, fit.mean, fit.sd))
}
