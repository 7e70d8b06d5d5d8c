//! Ranges, ticks and tick labels of a chart's axis, linear or logarithmic.
//!
//! Linear ticks stand at multiples of 1, 2 or 5 times a power of ten; logarithmic ones at powers of ten, with 2 and 5 between them when
//! the range is short. A label has as many decimals as its ticks need and no more.

/// Numbers and ranges below this are drawn as 0: their ticks would have steps that no number can hold.
const SMALLEST_RANGE: f64 = 1e-290;

/// How numbers are laid along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Equal differences, equal distances.
    #[default]
    Linear,
    /// Equal ratios, equal distances; positive numbers only.
    Log,
}

/// An axis over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    scale: Scale,
    /// Ends of the axis: the numbers themselves, or their decimal logarithms, which no range of positive numbers can overflow.
    low: f64,
    high: f64,
}

/// One tick: where it stands and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Position, in the data's numbers.
    pub value: f64,
    /// Label.
    pub label: String,
}

/// Room left between the data and the end of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The axis ends where the data ends.
    Tight,
    /// A little room at both ends, so that markers stay inside.
    Sides,
    /// A little room at both ends, and a linear axis whose data reaches near 0 from above starts there.
    Padded,
}

impl Axis {
    /// An axis that holds all of `values`, which must be finite, and positive for [`Scale::Log`]; a range of one value is widened.
    pub fn around(values: impl Iterator<Item = f64>, scale: Scale, room: Room) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = match scale {
            Scale::Linear => Self::linear_range(low, high, room),
            Scale::Log => {
                let (low, high) = (low.log10(), high.log10());
                if high - low < 1e-9 {
                    (low - 0.5, high + 0.5)
                } else {
                    let pad = if room == Room::Tight { 0.0 } else { 0.04 * (high - low) };
                    (low - pad, high + pad)
                }
            }
        };
        Self { scale, low, high }
    }

    fn linear_range(low: f64, high: f64, room: Room) -> (f64, f64) {
        // Halves, so that the difference of two huge numbers does not overflow.
        let half = high / 2.0 - low / 2.0;
        let (low, high) = if half < SMALLEST_RANGE && low.abs() < SMALLEST_RANGE {
            (-1.0, 1.0)
        } else if half <= 1e-12 * low.abs().max(high.abs()) {
            (low - 0.1 * low.abs(), high + 0.1 * high.abs())
        } else if room == Room::Tight {
            (low, high)
        } else {
            let pad = 0.08 * half;
            let from_zero = room == Room::Padded && low >= 0.0 && low < 0.4 * high;
            (if from_zero { 0.0 } else { low - pad }, high + pad)
        };
        (low.max(f64::MIN), high.min(f64::MAX))
    }

    /// Where a value stands: 0 at the low end, 1 at the high end.
    pub fn place(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Log => value.log10(),
        };
        (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
    }

    /// About `wanted` ticks inside the range, in rising order.
    pub fn ticks(&self, wanted: usize) -> Vec<Tick> {
        let wanted = wanted.max(2);
        match self.scale {
            Scale::Linear => linear_ticks(self.low, self.high, wanted),
            Scale::Log if self.high - self.low >= 1.0 => log_ticks(self.low, self.high, wanted),
            Scale::Log => linear_ticks(10_f64.powf(self.low), 10_f64.powf(self.high), wanted),
        }
    }
}

fn linear_ticks(low: f64, high: f64, wanted: usize) -> Vec<Tick> {
    let step = nice_step(high / wanted as f64 - low / wanted as f64);
    let first = (low / step - 1e-9).ceil();
    let last = (high / step + 1e-9).floor();
    let decimals = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
    let largest = low.abs().max(high.abs());
    let count = (last - first).clamp(0.0, 100.0) as usize;
    (0..=count)
        .map(|i| {
            let value = (first + i as f64) * step;
            Tick { value, label: tick_label(value, decimals, largest, step) }
        })
        .collect()
}

/// `low` and `high` are decimal logarithms, at least 1 apart.
fn log_ticks(low: f64, high: f64, wanted: usize) -> Vec<Tick> {
    let every = ((high - low) / wanted as f64).ceil().max(1.0) as i32;
    let between: &[f64] = if high - low < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    (low.floor() as i32..=high.ceil() as i32)
        .filter(|exponent| exponent.rem_euclid(every) == 0)
        .flat_map(|exponent| between.iter().map(move |factor| (exponent, *factor)))
        .filter(|&(exponent, factor)| (low - 1e-9..=high + 1e-9).contains(&(f64::from(exponent) + factor.log10())))
        .map(|(exponent, factor)| Tick { value: factor * 10_f64.powi(exponent), label: log_label(factor, exponent) })
        // The last power of ten of a padded range may be none that a number can hold.
        .filter(|tick| tick.value.is_normal())
        .collect()
}

/// The step of 1, 2 or 5 times a power of ten that is at least `rough`.
fn nice_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let fraction = rough / power;
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| fraction <= f * (1.0 + 1e-9)).unwrap_or(10.0);
    factor * power
}

fn tick_label(value: f64, decimals: usize, largest: f64, step: f64) -> String {
    if value == 0.0 || value.abs() < 1e-9 * step {
        "0".to_owned()
    } else if !(1e-4..1e7).contains(&largest) {
        // Mantissas on one common power of ten would need an axis title; each label carries its own.
        let exponent = (value.abs().log10() + 1e-12).floor() as i32;
        let digits = (f64::from(exponent) - step.log10() - 1e-9).ceil().clamp(0.0, 6.0) as usize;
        let mantissa = value / 10_f64.powi(exponent);
        format!("{mantissa:.digits$}·10{}", superscript(exponent)).replace('-', "−")
    } else {
        grouped(value, decimals)
    }
}

fn log_label(factor: f64, exponent: i32) -> String {
    if (-4..5).contains(&exponent) {
        grouped(factor * 10_f64.powi(exponent), (-exponent).max(0) as usize)
    } else if factor == 1.0 {
        format!("10{}", superscript(exponent))
    } else {
        format!("{factor}·10{}", superscript(exponent))
    }
}

fn superscript(exponent: i32) -> String {
    exponent
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            digit => char::from_u32(0x2070 + (digit as u32 - '0' as u32)).unwrap_or(digit),
        })
        .collect()
}

/// A number with so many decimals, a true minus sign, and commas between thousands from 10,000 on.
pub fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let mut out = String::new();
    if value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('−');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && whole.len() > 4 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A number with six significant digits, without the zeros that end it.
pub(super) fn precise(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e7).contains(&size) {
        let text = format!("{value:.5e}").replace('-', "−");
        let Some((mantissa, exponent)) = text.split_once('e') else { return text };
        let exponent = exponent.replace('−', "-").parse().map_or_else(|_| exponent.to_owned(), superscript);
        return format!("{}·10{exponent}", without_zeros(mantissa));
    }
    let decimals = if size == 0.0 { 0.0 } else { (5.0 - size.log10().floor()).clamp(0.0, 9.0) };
    without_zeros(&grouped(value, decimals as usize)).to_owned()
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, scale: Scale, wanted: usize) -> Vec<String> {
        let axis = Axis::around([low, high].into_iter(), scale, Room::Tight);
        axis.ticks(wanted).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn linear_labels_are_short() {
        assert_eq!(labels(0.0, 1.0, Scale::Linear, 5), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(0.0, 0.3, Scale::Linear, 3), ["0", "0.1", "0.2", "0.3"]);
        assert_eq!(labels(-2.0, 3.0, Scale::Linear, 5), ["−2", "−1", "0", "1", "2", "3"]);
        assert_eq!(labels(0.0, 20_000.0, Scale::Linear, 4), ["0", "5000", "10,000", "15,000", "20,000"]);
        assert_eq!(labels(0.0, 3e8, Scale::Linear, 3), ["0", "1·10⁸", "2·10⁸", "3·10⁸"]);
        assert_eq!(labels(0.0, 2e-6, Scale::Linear, 2), ["0", "1·10⁻⁶", "2·10⁻⁶"]);
    }

    #[test]
    fn log_labels_are_powers() {
        assert_eq!(labels(0.01, 100.0, Scale::Log, 6), ["0.01", "0.1", "1", "10", "100"]);
        assert_eq!(labels(1.0, 10.0, Scale::Log, 6), ["1", "2", "5", "10"]);
        assert_eq!(labels(1e-8, 1e-6, Scale::Log, 9)[0], "10⁻⁸");
        assert_eq!(labels(1e-8, 1e-6, Scale::Log, 9)[1], "2·10⁻⁸");
        assert_eq!(labels(1.0, 1e12, Scale::Log, 4), ["1", "1000", "10⁶", "10⁹", "10¹²"]);
        // Less than a decade: as on a linear axis.
        assert_eq!(labels(3.0, 5.0, Scale::Log, 4), ["3.0", "3.5", "4.0", "4.5", "5.0"]);
    }

    #[test]
    fn places_run_from_zero_to_one() {
        let axis = Axis::around([2.0, 6.0].into_iter(), Scale::Linear, Room::Tight);
        assert_eq!((axis.place(2.0), axis.place(4.0), axis.place(6.0)), (0.0, 0.5, 1.0));
        let axis = Axis::around([1.0, 100.0].into_iter(), Scale::Log, Room::Tight);
        assert!((axis.place(10.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn one_value_and_huge_values_have_a_range() {
        for value in [0.0, 5.0, -3.0, 1e-300, f64::MAX / 4.0] {
            let axis = Axis::around([value].into_iter(), Scale::Linear, Room::Padded);
            assert!((axis.place(value) - 0.5).abs() < 1e-6, "{value}");
            assert!(axis.ticks(4).len() < 20);
        }
        let axis = Axis::around([-f64::MAX, f64::MAX].into_iter(), Scale::Linear, Room::Tight);
        assert!((axis.place(0.0) - 0.5).abs() < 1e-12);
        let axis = Axis::around([3.0].into_iter(), Scale::Log, Room::Padded);
        assert!((axis.place(3.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn small_positive_data_starts_at_zero() {
        let axis = Axis::around([0.1, 1.0].into_iter(), Scale::Linear, Room::Padded);
        assert_eq!(axis.place(0.0), 0.0);
        let axis = Axis::around([0.9, 1.0].into_iter(), Scale::Linear, Room::Padded);
        assert!(axis.place(0.9) < 0.1);
    }

    #[test]
    fn precise_numbers_are_short() {
        for (value, text) in [
            (0.1 + 0.2, "0.3"),
            (0.0, "0"),
            (-1_234_567.0, "−1,234,567"),
            (12_345.678, "12,345.7"),
            (1.0 / 3.0, "0.333333"),
            (2.5e-9, "2.5·10⁻⁹"),
            (-1e12, "−1·10¹²"),
            (100.0, "100"),
        ] {
            assert_eq!(precise(value), text);
        }
    }

    #[test]
    fn groups_thousands() {
        assert_eq!(grouped(9999.0, 0), "9999");
        assert_eq!(grouped(-1_234_567.891, 2), "−1,234,567.89");
        assert_eq!(grouped(-0.0001, 2), "0.00");
    }
}
