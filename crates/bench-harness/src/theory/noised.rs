//! Pixels of noised images, and the log-normal law that the paper starts reverse time from.
//!
//! ```text
//! x_t = x_0 ⊙ exp(√v ε),   all pixels pooled,   fit a, b: ln x_t ~ N(a, b²)
//! ```
//!
//! The published prior of MNIST is a = 0.1565, b = 0.8353 at v = 0.64.

use anyhow::Result;
use gbm_sde::goodness::kolmogorov_smirnov;
use gbm_sde::{LogNormal, Noise, Stream};
use ndarray::ArrayView3;

use crate::config::PixelMap;
use crate::data::Dataset;
use crate::report::page::{Block, Figure, Section};
use crate::report::plot::{Chart, Series};
use crate::report::table::{Cell, Column, Table};

const NOISE: Stream = Stream(82);
const IMAGES: usize = 300;

/// Noise levels that are shown; 0.8 is the end of the published process.
const LEVELS: [f64; 3] = [0.1, 0.4, 0.8];

/// The section: one chart for each level, and their table.
///
/// # Errors
/// If a chart cannot be drawn.
pub(crate) fn section(data: &Dataset, pixels: PixelMap, seed: u64) -> Result<Section> {
    let (images, _) = data.train.slice(0..IMAGES);
    let mut table = Table::new(
        format!("Pixels of {} noised training images, {}", images.dim().0, data.title()),
        vec![
            Column::number("r"),
            Column::number("v"),
            Column { decimals: Some(4), ..Column::number("a") },
            Column { decimals: Some(4), ..Column::number("b") },
            Column { decimals: Some(4), ..Column::number("Kolmogorov–Smirnov distance") },
        ],
    );
    let mut figures = Vec::new();
    for r in LEVELS {
        let values = noised(images, pixels, r, &Noise::new(seed));
        let law = LogNormal::fit(&values)?.law;
        let distance = kolmogorov_smirnov(&values, |x| law.cdf(x))?.statistic;
        table.push(vec![r.into(), (r * r).into(), law.mu().into(), law.sigma().into(), Cell::Number(distance)])?;
        let high = law.quantile(0.998);
        let curve = (1..=240).map(|i| high * f64::from(i) / 240.0).map(|x| (x, law.pdf(x))).collect();
        let shown: Vec<f64> = values.iter().copied().filter(|x| *x <= high).collect();
        let share = shown.len() as f64 / values.len() as f64;
        let bars = super::histogram(&shown, 80).into_iter().map(|(x, y)| (x, y * share)).collect();
        let chart = Chart {
            title: format!("r = {r}"),
            x_label: "pixel x".into(),
            y_label: "density".into(),
            series: vec![
                Series { name: "noised pixels".into(), points: bars, ..Series::default() },
                Series {
                    name: format!("fit: ln x ~ N({:.3}, {:.3}²)", law.mu(), law.sigma()),
                    points: curve,
                    ..Series::default()
                },
            ],
            ..Chart::default()
        };
        figures.push(Figure::chart(chart.draw()?, format!("Kolmogorov–Smirnov distance {distance:.4}.")));
    }
    table.notes.push(format!(
        "{} pixels each, of which neighbours depend on each other: the distance is a description, not a test",
        images.len()
    ));
    Ok(Section {
        title: "Noised pixels become log-normal".into(),
        blocks: vec![
            Block::Paragraph(
                "Most pixels of a digit are background (x = 1) or ink (x = 2): two peaks. As noise multiplies them their \
                 histogram approaches a log-normal law, from which the paper starts reverse time."
                    .into(),
            ),
            Block::Figures(figures),
            Block::Table(table),
        ],
    })
}

/// All pixels at noise level `r`, pooled.
fn noised(images: ArrayView3<'_, u8>, pixels: PixelMap, r: f64, noise: &Noise) -> Vec<f64> {
    let (n, h, w) = images.dim();
    let mut eps = vec![0.0; n * h * w];
    noise.rows_normal_f64(NOISE, 0, 0, &mut eps, h * w);
    images.iter().zip(eps).map(|(&byte, z)| (pixels.log(byte) + r * z).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Coordinate;
    use ndarray::Array3;

    #[test]
    fn a_constant_image_becomes_exactly_log_normal() {
        let images = Array3::from_elem((20, 28, 28), 255_u8);
        let map = PixelMap { low: 1.0, high: 2.0, coordinate: Coordinate::Log };
        let values = noised(images.view(), map, 0.5, &Noise::new(1));
        let law = LogNormal::fit(&values).unwrap().law;
        let n = values.len() as f64;
        assert!((law.mu() - 2.0_f64.ln()).abs() < 5.0 * 0.5 / n.sqrt());
        assert!((law.sigma() - 0.5).abs() < 5.0 * 0.5 / (2.0 * n).sqrt());
        // 1.63/√n is the 1% point of the Kolmogorov–Smirnov distance.
        assert!(kolmogorov_smirnov(&values, |x| law.cdf(x)).unwrap().statistic < 1.63 / n.sqrt());
    }
}
