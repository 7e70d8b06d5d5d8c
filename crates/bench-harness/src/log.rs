//! The log of a run: log lines and the final message also go to `log.txt` of the run's folder, with times.
//!
//! Lines from before the folder is known are kept and go there first.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Name of the file in a run's folder.
pub const NAME: &str = "log.txt";

/// Lines kept for a folder that is not known yet; later ones are dropped.
const MOST_PENDING: usize = 1 << 16;

#[derive(Debug)]
enum Sink {
    Pending(Vec<u8>),
    File(File),
}

/// Where log lines go besides standard error. Clones share the file.
#[derive(Clone, Debug)]
pub struct RunLog(Arc<Mutex<Sink>>);

impl Default for RunLog {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Sink::Pending(Vec::new()))))
    }
}

impl RunLog {
    /// From now on to `log.txt` in `folder`, behind what it holds. A file that cannot be opened is worth a warning only.
    pub fn attach(&self, folder: &Path) {
        let path = folder.join(NAME);
        match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(mut file) => {
                let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if let Sink::Pending(lines) = &*sink {
                    // A full disk must not stop the run because of its log.
                    let _ = file.write_all(lines);
                }
                *sink = Sink::File(file);
            }
            Err(error) => tracing::warn!("{}: {error}; the log goes to standard error only", path.display()),
        }
    }
}

impl Write for &RunLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Sink::File(file) => {
                // As in `attach`.
                let _ = file.write_all(bytes);
            }
            Sink::Pending(lines) if lines.len() + bytes.len() <= MOST_PENDING => lines.extend_from_slice(bytes),
            Sink::Pending(_) => {}
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for RunLog {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_to_the_folder_once_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let log = RunLog::default();
        (&log).write_all(b"before\n").unwrap();
        log.attach(folder.path());
        (&log.clone()).write_all(b"one\n").unwrap();
        log.attach(folder.path());
        (&log).write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(NAME)).unwrap(), "before\none\ntwo\n");
        log.attach(&folder.path().join("missing"));
        (&log).write_all(b"three\n").unwrap();
        assert!(std::fs::read_to_string(folder.path().join(NAME)).unwrap().ends_with("three\n"));
    }
}
