//! The log of a run: what goes to standard error also goes to `log.txt` of the run's folder, with times.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Name of the file in a run's folder.
pub const NAME: &str = "log.txt";

/// Where log lines go besides standard error: nowhere, until a run's folder is known. Clones share the file.
#[derive(Clone, Debug, Default)]
pub struct RunLog(Arc<Mutex<Option<File>>>);

impl RunLog {
    /// From now on to `log.txt` in `folder`, behind what it holds. A file that cannot be opened is worth a warning only.
    pub fn attach(&self, folder: &Path) {
        let path = folder.join(NAME);
        match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(file),
            Err(error) => tracing::warn!("{}: {error}; the log goes to standard error only", path.display()),
        }
    }
}

impl Write for &RunLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // A full disk must not stop the run because of its log.
            let _ = file.write_all(bytes);
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
        assert_eq!(std::fs::read_to_string(folder.path().join(NAME)).unwrap(), "one\ntwo\n");
        log.attach(&folder.path().join("missing"));
        (&log).write_all(b"three\n").unwrap();
        assert!(std::fs::read_to_string(folder.path().join(NAME)).unwrap().ends_with("three\n"));
    }
}
