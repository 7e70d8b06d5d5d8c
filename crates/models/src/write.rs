//! Files that appear whole or not at all: written under a temporary name beside the target, synced, then renamed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Temporary names tried before giving up; another name is needed only beside the leftovers of a killed process with this id.
const ATTEMPTS: u32 = 100;

/// A file that could not be written. What was at the path before is still there.
#[derive(Debug, Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct WriteError {
    /// The file that was asked for.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// Writes `bytes` to `path`, replacing what is there only once everything is on disk.
///
/// # Errors
/// Any failure of the file system, with the path; the temporary file is removed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    write_atomically_by(path, |file| file.write_all(bytes))
}

/// As [`write_atomically`], for contents that are written piece by piece.
///
/// # Errors
/// As [`write_atomically`], and what `contents` says.
pub fn write_atomically_by(
    path: &Path,
    contents: impl FnOnce(&mut fs::File) -> io::Result<()>,
) -> Result<(), WriteError> {
    let fail = |source| WriteError { path: path.to_owned(), source };
    let name = path
        .file_name()
        .ok_or_else(|| fail(io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file")))?;
    let (temporary, mut file) = create_beside(path, name).map_err(fail)?;
    let written = contents(&mut file).and_then(|()| file.sync_all());
    drop(file);
    written.and_then(|()| fs::rename(&temporary, path)).map_err(|error| {
        // The first error is the one worth telling; a leftover temporary file harms nothing.
        let _ = fs::remove_file(&temporary);
        fail(error)
    })
}

fn create_beside(path: &Path, name: &std::ffi::OsStr) -> io::Result<(PathBuf, fs::File)> {
    let mut attempt = 0;
    loop {
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{attempt}.tmp", std::process::id()));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("a.txt");
        let message = write_atomically(&path, b"one").unwrap_err().to_string();
        assert!(message.contains(path.to_str().unwrap()), "{message}");

        // A folder in the file's place: the rename fails, and the temporary file goes.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("inside"), b"kept").unwrap();
        assert!(write_atomically(&taken, b"one").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read(taken.join("inside")).unwrap(), b"kept");
    }

    #[test]
    fn a_leftover_temporary_file_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let leftover = folder.path().join(format!(".a.txt.{}-0.tmp", std::process::id()));
        fs::write(&leftover, b"old").unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(&leftover).unwrap(), b"old");
    }
}
