//! Event files that TensorBoard reads: scalars, images, histograms and texts of a run, without TensorFlow.
//!
//! An event file is a sequence of records, each one framed and checksummed `Event` message. A folder's files follow each
//! other in the order of their names, so a run that goes on from a checkpoint writes a new file beside the old ones. Every
//! file begins with the version and a `SessionLog` whose status is `START`: what earlier files hold at its step and later,
//! of a run that went further than its checkpoint, is void. TensorBoard takes the first start it meets for that of the run,
//! which voids nothing, so a run's first file needs one too.
//!
//! | module | idea |
//! |---|---|
//! | `record` | the framing |
//! | `wire` | protocol buffers, as far as events need them |
//! | `event` | the messages |
//! | `buckets` | a histogram on exponential buckets |
//!
//! Source: TensorFlow, `core/lib/io/record_writer.cc`, `core/util/event.proto`, `core/framework/summary.proto`.

mod buckets;
mod event;
mod record;
mod wire;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use self::buckets::Histogram;
pub use self::event::Colorspace;
use self::wire::Message;

const PREFIX: &str = "events.out.tfevents.";

/// Writes one event file. Events are buffered: [`flush`](Self::flush) hands them over, as does dropping the writer, which
/// however cannot tell of a full disk. After an error the file may end in a torn record, behind which nothing is read.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// The event file of a new run in `folder`, which is made if need be. What older files there hold is void.
    ///
    /// # Errors
    /// If the folder or the file cannot be made or written.
    pub fn create(folder: &Path) -> Result<Self> {
        Self::resume(folder, 0)
    }

    /// A new event file of a run that goes on: what older files in `folder` hold at `step` and later is void. A run whose
    /// checkpoint already holds what was written at its own step goes on at the step after it.
    ///
    /// # Errors
    /// If the folder or the file cannot be made or written.
    pub fn resume(folder: &Path, step: u64) -> Result<Self> {
        let (path, file) = new_file(folder)?;
        let mut writer = Self { path, file: BufWriter::new(file) };
        writer.write(event::version(now()))?;
        writer.write(event::start(now(), step))?;
        writer.flush()?;
        Ok(writer)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number, kept in single precision.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.summary(step, event::scalar(tag, value))
    }

    /// An image of `width` × `height` pixels, encoded as PNG.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn image(
        &mut self,
        tag: &str,
        step: u64,
        png: &[u8],
        width: u32,
        height: u32,
        colorspace: Colorspace,
    ) -> Result<()> {
        self.summary(step, event::image(tag, png, width, height, colorspace))
    }

    /// How `values` are distributed. Infinities and NaN have no place on the axis and are left out.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn histogram(&mut self, tag: &str, step: u64, values: &[f64]) -> Result<()> {
        self.summary(step, event::histogram(tag, &Histogram::of(values)))
    }

    /// A text in Markdown.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn text(&mut self, tag: &str, step: u64, markdown: &str) -> Result<()> {
        self.summary(step, event::text(tag, markdown))
    }

    /// Hands all events to the operating system: the end of the program, however sudden, loses none of them.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn summary(&mut self, step: u64, value: Message) -> Result<()> {
        self.write(event::summary(now(), step, value))
    }

    fn write(&mut self, event: Message) -> Result<()> {
        self.file
            .write_all(&record::frame(&event.into_bytes()))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Makes `events.out.tfevents.<unix seconds>.dale.<process>.<older files>`. The name does not tell the machine's.
fn new_file(folder: &Path) -> Result<(PathBuf, File)> {
    let failed = || format!("cannot make an event file in {}", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    let mut older = Vec::new();
    for entry in fs::read_dir(folder).with_context(failed)? {
        older.extend(seconds_of(&entry.with_context(failed)?.file_name().to_string_lossy()));
    }
    // The files are read in the order of their names, so a second one within a second must not sort before the first.
    let after = older.iter().max().map_or(0, |last| last.saturating_add(1));
    let seconds = after.max(since_epoch().as_secs());
    let path = folder.join(format!("{PREFIX}{seconds:010}.dale.{}.{}", std::process::id(), older.len()));
    let file = File::create_new(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok((path, file))
}

/// The time in an event file's name; none if it is another file's.
fn seconds_of(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok()
}

fn now() -> f64 {
    since_epoch().as_secs_f64()
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(path: &Path) -> Vec<Vec<u8>> {
        record::unframe(&fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn flushed_events_are_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(&folder.path().join("new")).unwrap();
        writer.scalar("loss", 1, 0.5).unwrap();
        writer.image("samples", 1, &[1, 2, 3], 4, 5, Colorspace::Rgb).unwrap();
        writer.histogram("gradient", 1, &[-1.0, 2.0]).unwrap();
        writer.text("configuration", 1, "`a = 1`").unwrap();
        assert_eq!(events(writer.path()).len(), 2);
        writer.flush().unwrap();
        let events = events(writer.path());
        assert_eq!(events.len(), 6);
        for (event, tag) in events[2..].iter().zip(["loss", "samples", "gradient", "configuration"]) {
            assert!(event.windows(tag.len()).any(|w| w == tag.as_bytes()), "{tag}");
        }
    }

    #[test]
    fn every_file_names_its_version_and_first_step_and_sorts_behind_the_older() {
        let folder = tempfile::tempdir().unwrap();
        let first = EventWriter::create(folder.path()).unwrap().path().to_owned();
        let second = EventWriter::resume(folder.path(), 300).unwrap().path().to_owned();
        let third = EventWriter::create(folder.path()).unwrap().path().to_owned();
        assert!(first < second && second < third);
        for (path, step) in [(first, &[0x00][..]), (second, &[0xac, 0x02]), (third, &[0x00])] {
            let events = events(&path);
            assert_eq!(events.len(), 2);
            assert!(events[0].ends_with(b"\x1a\x0dbrain.Event:2"));
            assert_eq!(events[1][9..], [&[0x10], step, &[0x3a, 0x02, 0x08, 0x01]].concat());
        }
    }

    #[test]
    fn a_file_from_the_future_or_of_another_kind_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["events.out.tfevents.9999999998.elsewhere.1.0", "events.out.tfevents.x", "notes.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let writer = EventWriter::create(folder.path()).unwrap();
        let name = writer.path().file_name().unwrap().to_string_lossy();
        assert_eq!(name, format!("events.out.tfevents.9999999999.dale.{}.1", std::process::id()));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        fs::write(&blocked, "").unwrap();
        let error = EventWriter::create(&blocked).unwrap_err();
        assert!(error.to_string().contains(&blocked.display().to_string()), "{error}");
    }
}
