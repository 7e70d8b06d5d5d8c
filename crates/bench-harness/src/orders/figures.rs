//! The charts of the page.
//!
//! Grey lines have the slope of theory and end in the last point of the line that they belong to.

use anyhow::Result;

use super::Orders;
use super::calls::{Panel, Way};
use super::signs::{self, bare_tail};
use super::slopes::{Quantity, Slope};
use crate::report::axis::Scale;
use crate::report::plot::{Chart, Mark, Rule, Series, Svg};

/// A part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Slopes,
    Calls,
    Signs,
}

/// The parts in order; each has a table.
pub(super) const PARTS: [Part; 3] = [Part::Slopes, Part::Calls, Part::Signs];

impl Part {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Slopes => "Errors against steps",
            Self::Calls => "Errors against network calls",
            Self::Signs => "Changed signs",
        }
    }

    pub(super) fn text(self) -> &'static [&'static str] {
        match self {
            Self::Slopes => &[
                "Every sampler runs with exact scores from the exact law at the noise level r = 0.8 down to r = 0.2, in equal steps of r. \
                 In one dimension (weights 0.35 and 0.65, means −0.8 and 0.7, variances 0.1 and 0.15 of ln x) its law is followed by \
                 quadrature: these errors have no scatter. In two dimensions (two correlated components) its paths are compared with \
                 those of a far finer run on the same Brownian motion, or from the same start where there is no noise.",
                "A slope is that of least squares through three grids, each with twice the steps of the one before. Its standard error is an \
                 upper bound, as the grids share their paths.",
            ],
            Self::Calls => &[
                "From the exact law at r = 3 down to 0, on a Karras grid (ρ = 7) whose last level before 0 is r = 0.002; the adaptive method \
                 by its tolerance; the published forms on their own grid, uniform in v, with σ = 3, δ = 1/N and without annealing, which \
                 takes part of the noise away and with it the convergence to the data. The error is the Wasserstein-1 distance of \
                 ln |x| to the clean data. Noise goes by the rank of a state (array-RQMC), and its scatter is measured by a second \
                 seed.",
                "Samplers in ambient space take steps here that are far too large for them at first: many states change their sign.",
            ],
            Self::Signs => &[
                "One step of the unconstrained sampler from time t, with σ = 0.8 and exact scores, on random states: how often x changes its \
                 sign. The prediction is the Gaussian tail Φ(−(1 + a + b h)/c) of the step's factor, averaged over states by \
                 quadrature. Dale–Langevin multiplies by an exponential and never changes a sign.",
            ],
        }
    }
}

/// A chart with its place.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) part: Part,
    pub(super) file: &'static str,
    pub(super) svg: Svg,
    pub(super) caption: String,
}

/// The file that shows a slope, if one does.
pub(super) fn file(slope: &Slope) -> Option<&'static str> {
    Some(match (slope.quantity, slope.stochastic) {
        (Quantity::Wasserstein, true) => "weak-noise.svg",
        (Quantity::Wasserstein, false) => "weak-flow.svg",
        (Quantity::PlaneCovariance, true) => "covariance-noise.svg",
        (Quantity::PlaneCovariance, false) => "covariance-flow.svg",
        (Quantity::Path, true) => "strong-noise.svg",
        (Quantity::Path, false) => "strong-flow.svg",
        (Quantity::Mean | Quantity::Variance | Quantity::PlaneMean, _) => return None,
    })
}

/// The file that shows a panel.
pub(super) fn panel_file(panel: Panel) -> &'static str {
    match panel {
        Panel::Flow => "calls-flow.svg",
        Panel::Noise => "calls-noise.svg",
        Panel::Ambient => "calls-ambient.svg",
    }
}

/// The file that shows changed signs.
pub(super) const SIGNS: &str = "signs.svg";

/// All charts that have something to show.
///
/// # Errors
/// If a value cannot be shown.
pub(super) fn draw(orders: &Orders) -> Result<Vec<Drawn>> {
    let mut drawn = Vec::new();
    for (quantity, what, y_label) in [
        (Quantity::Wasserstein, "Weak", "Wasserstein-1 distance of x, one dimension"),
        (Quantity::PlaneCovariance, "Weak", "error of the covariance matrix of x, two dimensions"),
        (Quantity::Path, "Strong", "mean distance of paths, two dimensions"),
    ] {
        for (stochastic, whose) in [(true, "reverse equation"), (false, "probability flow")] {
            let shown = |s: &&Slope| s.quantity == quantity && s.stochastic == stochastic;
            let slopes: Vec<&Slope> = orders.slopes.iter().filter(shown).collect();
            let Some(file) = slopes.first().and_then(|slope| file(slope)) else { continue };
            let svg = against_steps(&format!("{what}: {whose}"), y_label, &slopes).draw()?;
            let caption = "Slopes in the legend; grey: the slopes of theory.".to_owned();
            let caption = if quantity == Quantity::PlaneCovariance && stochastic {
                format!("{caption} Bars: 95% intervals.")
            } else {
                caption
            };
            drawn.push(Drawn { part: Part::Slopes, file, svg, caption });
        }
    }
    drawn.extend(panels(orders)?);
    let (svg, caption) = (sign_chart(orders).draw()?, sign_caption());
    drawn.push(Drawn { part: Part::Signs, file: SIGNS, svg, caption });
    Ok(drawn)
}

/// Errors of several samplers against steps.
fn against_steps(title: &str, y_label: &str, slopes: &[&Slope]) -> Chart {
    let mut series: Vec<Series> = slopes.iter().filter_map(|slope| guide(slope)).collect();
    series.extend(slopes.iter().map(|slope| {
        let points = slope.points.iter().map(|p| (p.steps as f64, p.error)).collect();
        // Intervals that a logarithmic axis can hold.
        let low = |error: f64, standard_error: f64| (error - 1.96 * standard_error).max(0.1 * error);
        let band = slope.points.iter().map(|p| (low(p.error, p.standard_error), p.error + 1.96 * p.standard_error));
        let band = if slope.standard_error > 0.0 && slope.stochastic { band.collect() } else { Vec::new() };
        Series { name: format!("{}: {:.2}", slope.sampler, slope.found), mark: Mark::Both, points, band }
    }));
    Chart {
        title: title.into(),
        x_label: "steps".into(),
        y_label: y_label.into(),
        x_scale: Scale::Log,
        y_scale: Scale::Log,
        series,
        rules: Vec::new(),
    }
}

/// The slope of theory through the last point.
fn guide(slope: &Slope) -> Option<Series> {
    let (first, last) = (slope.points.first()?, slope.points.last()?);
    let start = last.error * (last.steps as f64 / first.steps as f64).powf(slope.theory);
    let points = vec![(first.steps as f64, start), (last.steps as f64, last.error)];
    Some(Series { mark: Mark::Faint, points, ..Series::default() })
}

/// Errors against network calls, in three charts.
fn panels(orders: &Orders) -> Result<Vec<Drawn>> {
    let ways = &orders.ways;
    let mut drawn = Vec::new();
    for (panel, title, compared) in [
        (Panel::Flow, "Probability flow", None),
        (Panel::Noise, "With noise, in log space", Some("heun")),
        (Panel::Ambient, "Ambient space and published forms", Some("dale-langevin")),
    ] {
        let mut shown: Vec<&Way> = ways.ways.iter().filter(|way| way.panel == panel).collect();
        if shown.is_empty() {
            continue;
        }
        shown.extend(ways.ways.iter().filter(|way| Some(way.sampler) == compared));
        let mut rules: Vec<Rule> = ways
            .scatter(panel)
            .map(|y| Rule { name: "largest scatter between two seeds".into(), y })
            .into_iter()
            .collect();
        if panel == Panel::Flow {
            rules.push(Rule { name: "what the last step leaves, from r = 0.002 to 0".into(), y: ways.last_step });
        }
        let series = shown.iter().map(|way| Series {
            name: way.sampler.into(),
            mark: Mark::Both,
            points: way.reached.iter().map(|r| (r.calls as f64, r.wasserstein)).collect(),
            band: Vec::new(),
        });
        let chart = Chart {
            title: title.into(),
            x_label: "network calls".into(),
            y_label: "Wasserstein-1 distance of ln |x| to the data".into(),
            x_scale: Scale::Log,
            y_scale: Scale::Log,
            series: series.collect(),
            rules,
        };
        let caption = match compared {
            Some(name) => format!("For comparison with the other charts: {name}."),
            None => "The adaptive method by tolerances from 0.1 to 1e-7.".to_owned(),
        };
        drawn.push(Drawn { part: Part::Calls, file: panel_file(panel), svg: chart.draw()?, caption });
    }
    Ok(drawn)
}

fn sign_chart(orders: &Orders) -> Chart {
    let flips = &orders.flips;
    let mut series = Vec::new();
    for (time, curve) in signs::TIMES.iter().zip(&flips.curves) {
        series.push(Series { name: format!("t = {time}, Gaussian tail"), points: curve.clone(), ..Series::default() });
    }
    for time in signs::TIMES {
        // A logarithmic axis has no place for rates of 0; they stand in the table.
        let counted: Vec<_> = flips.rates.iter().filter(|r| r.time == time && r.count > 0).collect();
        series.push(Series {
            name: format!("t = {time}, counted"),
            mark: Mark::Points,
            points: counted.iter().map(|r| (r.delta, r.rate())).collect(),
            band: counted.iter().map(|r| r.interval()).collect(),
        });
    }
    let bare = flips.curves[0].iter().map(|&(delta, _)| (delta, bare_tail(delta))).collect();
    series.push(Series {
        name: "Φ(−1/(σ √δ)): without drift".into(),
        mark: Mark::Faint,
        points: bare,
        band: Vec::new(),
    });
    Chart {
        title: "Changed signs per step of the unconstrained sampler".into(),
        x_label: "step size δ".into(),
        y_label: "probability of a changed sign".into(),
        x_scale: Scale::Log,
        y_scale: Scale::Log,
        series,
        rules: Vec::new(),
    }
}

fn sign_caption() -> String {
    let [small, large] = signs::PUBLISHED;
    format!(
        "Bars: 95% intervals. At the published step sizes for this sampler, δ = {small:.3e} to {large:.3e}, the tail without drift is \
         10^{:.0} to 10^{:.0}: a changed sign is never seen there.",
        signs::bare_tail_log10(small),
        signs::bare_tail_log10(large)
    )
    .replace('-', "−")
}
