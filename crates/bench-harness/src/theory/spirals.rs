//! Two-dimensional GBM from two spirals: paths, end points, and the log-normal law fitted to them.
//!
//! ```text
//! start   n = √u · 540°,  (∓cos n · n/2, ± sin n · n/2) + U[0, ½)²,  scaled by ⅓, shifted by 5
//! paths   σ = 0.2, μ = 0.5, T = 1, from the exact law
//! fit     ln X_T ~ N(μ̂, Σ̂);  a contour of its density is an ellipse in ln x around μ̂ − Σ̂ 1, the mode
//! ```
//!
//! Settings of the paper's appendix figures.

use anyhow::Result;
use gbm_sde::goodness::kolmogorov_smirnov;
use gbm_sde::{Drift, Gbm, LogNormal, Noise, Schedule, ScheduleConfig, Stream, Variance};

use crate::report::page::{Block, Figure, Section};
use crate::report::plot::{Chart, Mark, Series};

const START: Stream = Stream(80);
const PATHS: Stream = Stream(81);
const POINTS: usize = 600;
const STEPS: usize = 200;
const SHOWN_PATHS: usize = 12;

/// Points and paths of both spirals.
struct Walk {
    /// Start of each point.
    start: Vec<[f64; 2]>,
    /// All positions of each point, the start first.
    paths: Vec<Vec<[f64; 2]>>,
}

/// The section with its three charts.
///
/// # Errors
/// If a chart cannot be drawn.
pub(crate) fn section(seed: u64) -> Result<Section> {
    let walk = walk(seed)?;
    let ends: Vec<[f64; 2]> = walk.paths.iter().filter_map(|p| p.last().copied()).collect();
    let half = POINTS / 2;
    let axes = |title: &str, series| Chart {
        title: title.into(),
        x_label: "first coordinate".into(),
        y_label: "second coordinate".into(),
        series,
        ..Chart::default()
    };
    let points = |name: &str, mark, points: &[[f64; 2]]| Series {
        name: name.into(),
        mark,
        points: points.iter().map(|p| (p[0], p[1])).collect(),
        ..Series::default()
    };
    let mut series = vec![
        points("one spiral", Mark::Dots, &walk.start[..half]),
        points("the other", Mark::Dots, &walk.start[half..]),
    ];
    for i in (0..SHOWN_PATHS).map(|k| k * POINTS / SHOWN_PATHS) {
        series.push(points("", Mark::Faint, &walk.paths[i]));
    }
    let paths = axes("Start of all points, paths of a dozen", series).draw()?;

    let fit = Fit::new(&ends)?;
    let mut series =
        vec![points("from one", Mark::Dots, &ends[..half]), points("from the other", Mark::Dots, &ends[half..])];
    let inside = |c: f64| ends.iter().filter(|x| fit.contour_distance(**x) <= c).count() as f64 / ends.len() as f64;
    let mut shares = Vec::new();
    for c in [1.0, 2.0, 3.0] {
        shares.push(format!("{:.0}%", 100.0 * inside(c)));
        series.push(points(&format!("contour c = {c}"), Mark::Line, &fit.contour(c)));
    }
    let density = axes("End points, and contours of the fitted density", series).draw()?;

    let mut curves = Vec::new();
    let mut distances = Vec::new();
    for (axis, name) in [(0, "first"), (1, "second")] {
        let values: Vec<f64> = ends.iter().map(|x| x[axis]).collect();
        let law = LogNormal::fit(&values)?.law;
        distances.push(format!("{:.3}", kolmogorov_smirnov(&values, |x| law.cdf(x))?.statistic));
        curves.push(Series {
            name: format!("{name} coordinate"),
            points: super::histogram(&values, 30),
            ..Series::default()
        });
        let (low, high) = (law.quantile(0.0005), law.quantile(0.9995));
        let curve = (0..=200).map(|i| low + (high - low) * f64::from(i) / 200.0).map(|x| (x, law.pdf(x))).collect();
        curves.push(Series {
            name: format!("its fit: ln x ~ N({:.3}, {:.3}²)", law.mu(), law.sigma()),
            points: curve,
            ..Series::default()
        });
    }
    let marginals = Chart {
        title: "Both coordinates at the end".into(),
        x_label: "x".into(),
        y_label: "density".into(),
        series: curves,
        ..Chart::default()
    }
    .draw()?;
    Ok(Section {
        title: "Two spirals under geometric Brownian motion".into(),
        blocks: vec![
            Block::Paragraph(format!(
                "{POINTS} points start on two spirals and follow dX = μ X dt + σ X dW with μ = 0.5, σ = 0.2 up to T = 1. \
                 The start is not log-normal and neither is the end, though noise and growth have blurred it: the \
                 Kolmogorov–Smirnov distances of the two coordinates to their fitted log-normal laws are {}.",
                distances.join(" and ")
            )),
            Block::Figures(vec![
                Figure::chart(
                    paths,
                    "Start and paths. The cloud drifts away from the origin and spreads in proportion to its distance.",
                ),
                Figure::chart(
                    density,
                    format!(
                        "End points. A contour of the fitted density is an ellipse in ln x around the mode, at Mahalanobis \
                         distance c; {} of the points lie inside the three.",
                        shares.join(", ")
                    ),
                ),
                Figure::chart(marginals, "Histograms of the end points with the fitted densities."),
            ]),
        ],
    })
}

fn walk(seed: u64) -> Result<Walk> {
    let config = ScheduleConfig { variance: Variance::Constant { sigma: 0.2 }, drift: Drift::Free(0.5), horizon: 1.0 };
    let gbm = Gbm::new(Schedule::new(config)?);
    let noise = Noise::new(seed);
    let times: Vec<f64> = (1..=STEPS).map(|k| k as f64 / STEPS as f64).collect();
    let (mut start, mut paths) = (Vec::with_capacity(POINTS), Vec::with_capacity(POINTS));
    for i in 0..POINTS {
        let mut u = [0.0; 3];
        noise.fill_uniform_f64(START, i as u64, 0, &mut u);
        let angle = u[0].sqrt() * 3.0 * std::f64::consts::PI;
        let side = if i < POINTS / 2 { 1.0 } else { -1.0 };
        let spiral = [-side * angle.cos() * angle / 2.0, side * angle.sin() * angle / 2.0];
        let point = [0, 1].map(|k| (spiral[k] + 0.5 * u[k + 1]) / 3.0 + 5.0);
        let mut coordinates = Vec::with_capacity(2);
        for (k, &x0) in point.iter().enumerate() {
            let mut normals = vec![0.0; STEPS];
            noise.fill_normal_f64(PATHS, (2 * i + k) as u64, 0, &mut normals);
            coordinates.push(gbm.path(x0, &times, &normals)?);
        }
        let later = coordinates[0].iter().zip(&coordinates[1]).map(|(a, b)| [*a, *b]);
        paths.push(std::iter::once(point).chain(later).collect());
        start.push(point);
    }
    Ok(Walk { start, paths })
}

/// The two-dimensional log-normal law of maximum likelihood.
struct Fit {
    mean: [f64; 2],
    /// `[Σ₁₁, Σ₁₂, Σ₂₂]` of the logarithms.
    covariance: [f64; 3],
}

impl Fit {
    fn new(points: &[[f64; 2]]) -> Result<Self> {
        let n = points.len() as f64;
        let logs: Vec<[f64; 2]> = points.iter().map(|p| p.map(f64::ln)).collect();
        let mean = [0, 1].map(|k| logs.iter().map(|y| y[k]).sum::<f64>() / n);
        let moment = |a: usize, b: usize| logs.iter().map(|y| (y[a] - mean[a]) * (y[b] - mean[b])).sum::<f64>() / n;
        Ok(Self { mean, covariance: [moment(0, 0), moment(0, 1), moment(1, 1)] })
    }

    /// Where the density is highest, in `ln x`: `μ̂ − Σ̂ 1`.
    fn log_mode(&self) -> [f64; 2] {
        let [a, b, c] = self.covariance;
        [self.mean[0] - a - b, self.mean[1] - b - c]
    }

    /// Mahalanobis distance of `ln x` from the mode; the density depends on it alone.
    fn contour_distance(&self, x: [f64; 2]) -> f64 {
        let ([a, b, c], mode) = (self.covariance, self.log_mode());
        let d = [x[0].ln() - mode[0], x[1].ln() - mode[1]];
        ((c * d[0] * d[0] - 2.0 * b * d[0] * d[1] + a * d[1] * d[1]) / (a * c - b * b)).sqrt()
    }

    /// The contour at distance `c`, in `x`, closed.
    fn contour(&self, distance: f64) -> Vec<[f64; 2]> {
        let ([a, b, c], mode) = (self.covariance, self.log_mode());
        // Cholesky factor of the covariance.
        let (l11, l21) = (a.sqrt(), b / a.sqrt());
        let l22 = (c - l21 * l21).sqrt();
        let around = (0..=120).map(|i| f64::from(i) * std::f64::consts::TAU / 120.0);
        around
            .map(|angle| {
                let (p, q) = (distance * angle.cos(), distance * angle.sin());
                [(mode[0] + l11 * p).exp(), (mode[1] + l21 * p + l22 * q).exp()]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_density_is_the_same_all_along_a_contour() {
        let fit = Fit { mean: [0.3, -0.4], covariance: [0.09, 0.03, 0.05] };
        // Density of the two-dimensional log-normal law, written out.
        let ln_pdf = |x: [f64; 2]| {
            let d = [x[0].ln() - 0.3, x[1].ln() + 0.4];
            let det = 0.09 * 0.05 - 0.03 * 0.03;
            let q = (0.05 * d[0] * d[0] - 2.0 * 0.03 * d[0] * d[1] + 0.09 * d[1] * d[1]) / det;
            -0.5 * q - x[0].ln() - x[1].ln()
        };
        for c in [0.5, 2.0] {
            let contour = fit.contour(c);
            let first = ln_pdf(contour[0]);
            for x in contour {
                assert!((ln_pdf(x) - first).abs() < 1e-12);
                assert!((fit.contour_distance(x) - c).abs() < 1e-12);
            }
        }
        let mode = fit.log_mode().map(f64::exp);
        assert!(ln_pdf(mode) > ln_pdf(fit.contour(0.5)[0]));
    }

    #[test]
    fn spirals_are_positive_and_grow_by_half() {
        let walk = walk(3).unwrap();
        assert!(walk.start.iter().flatten().all(|&x| x > 0.0));
        let mean = |points: &mut dyn Iterator<Item = f64>| points.sum::<f64>() / (2 * POINTS) as f64;
        let before = mean(&mut walk.start.iter().flatten().copied());
        let after = mean(&mut walk.paths.iter().filter_map(|p| p.last()).flatten().copied());
        // E[X_T] = X_0 e^{1/2}, to five standard errors of the noise.
        assert!((after / before / 0.5_f64.exp() - 1.0).abs() < 5.0 * 0.2 / (2.0 * POINTS as f64).sqrt());
    }
}
