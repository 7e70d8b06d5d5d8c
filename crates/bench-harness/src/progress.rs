//! Progress of long work: a bar on a terminal, a log line every few seconds elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress of one piece of work.
#[derive(Debug)]
pub struct Progress {
    label: String,
    unit: &'static str,
    total: u64,
    done: u64,
    first: Option<u64>,
    bar: Option<ProgressBar>,
    started: Instant,
    said: Instant,
    note: String,
}

impl Progress {
    /// Starts the progress of `total` units, e.g. `("training", "steps", 4200)`.
    #[must_use]
    pub fn new(label: &str, unit: &'static str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
            let template =
                format!("{{prefix:>14}} {{bar:28}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left  {{wide_msg}}");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
            }
            bar.set_prefix(label.to_owned());
            bar
        });
        let now = Instant::now();
        Self {
            label: label.to_owned(),
            unit,
            total,
            done: 0,
            first: None,
            bar,
            started: now,
            said: now,
            note: String::new(),
        }
    }

    /// Says how far the work is.
    pub fn set(&mut self, done: u64) {
        self.done = done;
        // Work that goes on from a checkpoint does not start at zero; the rate must not count what was there.
        let first = *self.first.get_or_insert_with(|| {
            if let Some(bar) = &self.bar {
                bar.set_position(done);
                bar.reset_eta();
            }
            done
        });
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            let seconds = self.started.elapsed().as_secs_f64();
            let rate = (done - first.min(done)) as f64 / seconds;
            let left = if rate > 0.0 { (self.total - done.min(self.total)) as f64 / rate } else { f64::INFINITY };
            tracing::info!(
                "{}: {}/{} {}, {:.1}/s, {} left{}{}",
                self.label,
                done,
                self.total,
                self.unit,
                rate,
                human_seconds(left),
                if self.note.is_empty() { "" } else { ", " },
                self.note
            );
        }
    }

    /// Adds to what is done.
    pub fn add(&mut self, more: u64) {
        self.set(self.done + more);
    }

    /// Changes the note at the end of the line.
    pub fn note(&mut self, note: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(note.clone());
        }
        self.note = note;
    }

    /// Ends the work and leaves one line that says how long it took.
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.started.elapsed().as_secs_f64();
        if seconds >= 2.0 || self.bar.is_none() {
            tracing::info!("{}: {} {} in {}", self.label, self.done, self.unit, human_seconds(seconds));
        }
    }
}

/// `12 s`, `3 min 05 s`, `2 h 10 min`.
#[must_use]
pub fn human_seconds(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "unknown time".to_owned();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_naturally() {
        let cases = [(0.31, "0.3 s"), (12.4, "12 s"), (185.0, "3 min 05 s"), (7_810.0, "2 h 10 min")];
        for (seconds, text) in cases {
            assert_eq!(human_seconds(seconds), text);
        }
    }

    #[test]
    fn resumed_work_may_start_anywhere_and_overshoot() {
        let mut progress = Progress::new("test", "steps", 10);
        progress.set(7);
        progress.add(5);
        assert_eq!(progress.done, 12);
        progress.finish();
    }
}
