//! How much of a sitting's time is work: batches and steps. The rest, logs, checkpoints, progress, is what the harness costs.

use std::time::{Duration, Instant};

/// A clock of one sitting.
#[derive(Debug)]
pub struct Share {
    started: Instant,
    work: Duration,
    aside: Duration,
}

impl Share {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now(), work: Duration::ZERO, aside: Duration::ZERO }
    }

    /// Does some work.
    pub fn of_work<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let clock = Instant::now();
        let done = work();
        self.work += clock.elapsed();
        done
    }

    /// Does what was asked for beside training, such as judging samples: it counts neither as work nor as overhead.
    pub fn without<T>(&mut self, other: impl FnOnce() -> T) -> T {
        let clock = Instant::now();
        let done = other();
        self.aside += clock.elapsed();
        done
    }

    /// The part of the time so far that was no work.
    #[must_use]
    pub fn overhead(&self) -> f64 {
        let all = self.started.elapsed().saturating_sub(self.aside).as_secs_f64();
        if all > 0.0 { 1.0 - self.work.as_secs_f64() / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_work_nor_aside_is_overhead() {
        let second = Duration::from_secs(1);
        let share = Share { started: Instant::now() - 10 * second, work: 6 * second, aside: 2 * second };
        assert!((share.overhead() - 0.25).abs() < 0.01, "{}", share.overhead());
        let mut share = Share::start();
        assert_eq!((share.of_work(|| 3), share.without(|| 4)), (3, 4));
        assert!((0.0..=1.0).contains(&share.overhead()));
    }
}
