//! What a chart cannot show, by name.

use thiserror::Error;

use super::axis::Scale;
use super::plot::Chart;

/// A chart that could not be drawn.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PlotError {
    /// No series, or none with points.
    #[error("the chart \"{0}\" has no points")]
    Empty(String),
    /// A coordinate is NaN or infinite.
    #[error("the chart \"{chart}\" cannot show the point ({x}, {y}): number {index} of \"{series}\"")]
    NonFinite {
        /// The chart's title.
        chart: String,
        /// The series.
        series: String,
        /// Index of the point.
        index: usize,
        /// Its x.
        x: f64,
        /// Its y (or an end of its band).
        y: f64,
    },
    /// A coordinate is zero or negative on a logarithmic axis.
    #[error("the chart \"{chart}\" has a logarithmic axis and cannot show {value}: point {index} of \"{series}\"")]
    NotPositive {
        /// The chart's title.
        chart: String,
        /// The series.
        series: String,
        /// Index of the point.
        index: usize,
        /// The coordinate.
        value: f64,
    },
    /// A band that does not have one range for each point.
    #[error("\"{series}\" of the chart \"{chart}\" has {points} points and {bands} ranges")]
    Band {
        /// The chart's title.
        chart: String,
        /// The series.
        series: String,
        /// Its points.
        points: usize,
        /// Its ranges.
        bands: usize,
    },
    /// The drawing library failed.
    #[error("the chart \"{chart}\" could not be drawn: {message}")]
    Draw {
        /// The chart's title.
        chart: String,
        /// What the library said.
        message: String,
    },
}

impl Chart {
    /// Whether every number can be drawn.
    pub(super) fn check(&self) -> Result<(), PlotError> {
        let chart = || self.title.clone();
        if self.series.iter().all(|series| series.points.is_empty()) {
            return Err(PlotError::Empty(chart()));
        }
        let positive = |series: &str, index: usize, scale: Scale, value: f64| {
            if scale == Scale::Log && value <= 0.0 {
                return Err(PlotError::NotPositive { chart: chart(), series: series.to_owned(), index, value });
            }
            Ok(())
        };
        for series in &self.series {
            let name = &series.name;
            if !series.band.is_empty() && series.band.len() != series.points.len() {
                return Err(PlotError::Band {
                    chart: chart(),
                    series: name.clone(),
                    points: series.points.len(),
                    bands: series.band.len(),
                });
            }
            let ends = series.band.iter().enumerate().flat_map(|(i, &(low, high))| {
                let x = series.points[i].0;
                [(i, (x, low)), (i, (x, high))]
            });
            for (index, (x, y)) in series.points.iter().copied().enumerate().chain(ends) {
                if !(x.is_finite() && y.is_finite()) {
                    return Err(PlotError::NonFinite { chart: chart(), series: name.clone(), index, x, y });
                }
                positive(name, index, self.x_scale, x)?;
                positive(name, index, self.y_scale, y)?;
            }
        }
        for rule in &self.rules {
            if !rule.y.is_finite() {
                return Err(PlotError::NonFinite {
                    chart: chart(),
                    series: rule.name.clone(),
                    index: 0,
                    x: 0.0,
                    y: rule.y,
                });
            }
            positive(&rule.name, 0, self.y_scale, rule.y)?;
        }
        Ok(())
    }
}
