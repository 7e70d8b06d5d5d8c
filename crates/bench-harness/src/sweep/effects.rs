//! What the numbers say: main effects, pairs of axes, and the front of quality against cost.
//!
//! The mean over `n` cells has the 95% interval `x̄ ± t s / √n` with Student's `t` of `n − 1` degrees of freedom: it holds for other
//! cells of the same kind, and is as wide as the other axes and the seeds scatter. One cell alone has that of its resamples.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{Outcome, Record};

/// A mean with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Numbers behind it.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Lower end of the 95% interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Standard deviation of the numbers; of one alone, that of its resamples.
    pub sd: f64,
}

impl Mean {
    /// Of these numbers, at least one; `sd` is the standard deviation of a number that stands alone.
    #[must_use]
    pub fn of(values: &[f64], sd: f64) -> Option<Self> {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let (sd, half) = match n {
            0 => return None,
            1 => (sd, 1.96 * sd),
            _ => {
                let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
                (variance.sqrt(), student(n - 1) * (variance / n as f64).sqrt())
            }
        };
        Some(Self { n, mean, low: mean - half, high: mean + half, sd })
    }
}

/// The 97.5% quantile of Student's distribution; beyond 30 degrees of freedom by Cornish and Fisher's expansion around the normal.
#[must_use]
pub fn student(degrees: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    if (1..=30).contains(&degrees) {
        return TABLE[degrees - 1];
    }
    let (z, n) = (1.959_964_f64, degrees.max(1) as f64);
    z + (z.powi(3) + z) / (4.0 * n) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n * n)
}

/// The mean over all cells with one value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The axis.
    pub axis: String,
    /// The value's label.
    pub label: String,
    /// Mean `cnn-fid`.
    pub mean: Mean,
}

/// Labels of an axis in the order in which they come.
#[must_use]
pub fn labels(records: &[&Record], axis: &str) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for label in records.iter().filter_map(|record| record.label(axis)) {
        if !labels.iter().any(|known| known == label) {
            labels.push(label.to_owned());
        }
    }
    labels
}

/// The axes along which finished cells differ.
#[must_use]
pub fn varied(records: &[&Record], axes: &[String]) -> Vec<String> {
    axes.iter().filter(|axis| labels(records, axis).len() > 1).cloned().collect()
}

/// Mean `cnn-fid` over these cells; none without a number that is finite.
#[must_use]
pub fn mean<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<Mean> {
    let outcomes: Vec<&Outcome> =
        records.into_iter().filter_map(Record::outcome).filter(|o| o.score.cnn_fid.is_finite()).collect();
    let values: Vec<f64> = outcomes.iter().map(|o| o.score.cnn_fid).collect();
    Mean::of(&values, outcomes.first()?.score.cnn_fid_sd)
}

/// Whether every value of an axis comes with the same values of all others and the same seeds: else its means differ by what they come
/// with.
#[must_use]
pub fn balanced(records: &[&Record], axis: &str) -> bool {
    let others = |label: &String| -> BTreeSet<String> {
        let of = |record: &&&Record| record.label(axis) == Some(label);
        let rest = |record: &&Record| {
            let others = record.settings.iter().filter(|(own, _)| *own != axis);
            format!("{:?} {}", others.collect::<BTreeMap<_, _>>(), record.seed)
        };
        records.iter().filter(of).map(rest).collect()
    };
    let mut all = labels(records, axis).into_iter().map(|label| others(&label));
    let first = all.next();
    all.all(|other| Some(other) == first)
}

/// Main effects of these axes; of those alone that are [`balanced`].
#[must_use]
pub fn main_effects(records: &[&Record], axes: &[String]) -> Vec<Effect> {
    let mut effects = Vec::new();
    for axis in axes.iter().filter(|axis| balanced(records, axis)) {
        for label in labels(records, axis) {
            let cells = records.iter().copied().filter(|record| record.label(axis) == Some(label.as_str()));
            let mean = mean(cells);
            effects.extend(mean.map(|mean| Effect { axis: axis.clone(), label, mean }));
        }
    }
    effects
}

/// Cells that differ in nothing but the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Axes and labels.
    pub settings: Vec<(String, String)>,
    /// Key of its first cell.
    pub first: String,
    /// Mean `cnn-fid`.
    pub quality: Mean,
    /// Mean kernel distance.
    pub kid: Mean,
    /// Images of each cell.
    pub images: usize,
    /// Mean of network calls for each image.
    pub calls: f64,
    /// Mean of seconds for each image.
    pub seconds: f64,
    /// Mean of seconds of training.
    pub training: f64,
}

impl Setting {
    /// Its labels alone, as a row or a curve is called.
    #[must_use]
    pub fn label(&self) -> String {
        self.settings.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Its label on an axis; none where it does not have the axis.
    #[must_use]
    pub fn on(&self, axis: &str) -> Option<&str> {
        self.settings.iter().find(|(own, _)| own == axis).map(|(_, label)| label.as_str())
    }

    /// Its settings on one line.
    #[must_use]
    pub fn name(&self) -> String {
        let settings: Vec<String> = self.settings.iter().map(|(axis, label)| format!("{axis} = {label}")).collect();
        if settings.is_empty() { "no axes".to_owned() } else { settings.join(", ") }
    }
}

/// All settings, in the order in which they come, each over its seeds.
#[must_use]
pub fn settings(records: &[&Record]) -> Vec<Setting> {
    let mut groups: Vec<Vec<&Record>> = Vec::new();
    for record in records.iter().filter(|r| r.outcome().is_some_and(|o| o.score.cnn_fid.is_finite())) {
        match groups.iter_mut().find(|group| group[0].settings == record.settings) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    let average = |group: &[&Record], f: fn(&Outcome) -> Option<f64>| {
        let values: Vec<f64> = group.iter().filter_map(|record| record.outcome().and_then(f)).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let of = |group: Vec<&Record>| {
        let kids: Vec<f64> = group.iter().filter_map(|record| Some(record.outcome()?.score.kid)).collect();
        let score = &group[0].outcome()?.score;
        let labels = group[0].settings.keys().filter_map(|axis| Some((axis.clone(), group[0].label(axis)?.to_owned())));
        Some(Setting {
            settings: labels.collect(),
            first: group[0].key.clone(),
            quality: mean(group.iter().copied())?,
            calls: average(&group, |o| o.score.calls.map(|calls| calls as f64)),
            seconds: average(&group, |o| o.score.seconds_per_image),
            kid: Mean::of(&kids, score.kid_sd)?,
            images: score.n,
            training: average(&group, |o| Some(o.training_seconds)),
        })
    };
    groups.into_iter().filter_map(of).collect()
}

/// Indices of the settings that no other beats in quality at no more cost, from cheap to dear.
#[must_use]
pub fn front(settings: &[Setting], cost: impl Fn(&Setting) -> f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..settings.len()).filter(|&i| cost(&settings[i]) > 0.0).collect();
    order.sort_by(|&a, &b| {
        let by = |i: usize| (cost(&settings[i]), settings[i].quality.mean);
        by(a).0.total_cmp(&by(b).0).then(by(a).1.total_cmp(&by(b).1))
    });
    let mut best = f64::INFINITY;
    order.retain(|&i| {
        let better = settings[i].quality.mean < best;
        best = best.min(settings[i].quality.mean);
        better
    });
    order
}

#[cfg(test)]
#[path = "effects_tests.rs"]
mod tests;
