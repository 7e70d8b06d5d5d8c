//! Downloads one published file: mirrors in order, retries with backoff, resume, checksum, atomic rename.
//!
//! Bytes go to `<name>.part`. A stalled, cut or refused transfer leaves the part, and the next attempt, on this
//! mirror or another, asks for the rest (`Range`, RFC 9110 §14). Only a part with the right length (where
//! known) and the right checksum is renamed to `<name>`; wrong bytes are deleted and the next mirror is asked. What a
//! server says about length or range is a hint, never a proof.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use thiserror::Error;
use ureq::Agent;

use super::config::WantedFile;
use super::digest::Checksum;
use super::transfer::{Failure, Transfer, agent};

/// Attempts on one mirror, even where each of them brings something.
const MOST_ATTEMPTS: u32 = 100;
/// Bytes that make a broken attempt worth more than none.
const WORTHWHILE: u64 = 1 << 16;

/// How to download.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Longest time to open a connection, name look-up and TLS included.
    pub connect: Duration,
    /// Longest time without a byte, for the answer and for each read: a stalled server is given up after this.
    pub idle: Duration,
    /// Attempts in a row on one mirror that bring next to nothing, at least 1.
    pub attempts: u32,
    /// Wait before the second attempt on a mirror; doubled each time.
    pub backoff: Duration,
    /// Longest wait between attempts.
    pub backoff_cap: Duration,
    /// Most bytes accepted for a file whose length is not published.
    pub max_bytes: u64,
    /// Which proxy to use.
    pub proxy: ProxyUse,
}

/// Which proxy to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyUse {
    /// The one in `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, if any, `NO_PROXY` respected.
    #[default]
    Environment,
    /// None.
    Direct,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(20),
            attempts: 3,
            backoff: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(10),
            max_bytes: 256 << 20,
            proxy: ProxyUse::Environment,
        }
    }
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Bytes on disk, those of earlier attempts included. Goes back where a server makes us start again.
    pub done: u64,
    /// Length of the file, published or announced.
    pub total: Option<u64>,
}

/// Hears of progress, at least once per second of waiting; `Break` stops the download, keeping its part.
pub type OnProgress<'a> = dyn FnMut(Progress<'_>) -> ControlFlow<()> + 'a;

/// A file that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes received now, over all attempts; 0 where another process was faster.
    pub received: u64,
    /// Mirror that gave the last byte, if any was needed.
    pub url: Option<String>,
}

/// Why one mirror was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorFailure {
    /// The address asked.
    pub url: String,
    /// Attempts made.
    pub attempts: u32,
    /// Why the last one failed.
    pub reason: String,
}

/// Why a file could not be downloaded.
#[derive(Debug, Error)]
#[allow(missing_docs)] // The fields are what the messages say.
pub enum FetchError {
    #[error("{file}: no mirror could give it:{}", list(failures))]
    Mirrors { file: String, failures: Vec<MirrorFailure> },
    #[error("{file}: download stopped; {kept} bytes are kept in {part} for the next time", part = part.display())]
    Cancelled { file: String, part: PathBuf, kept: u64 },
    #[error(
        "{path}: another file has this name: expected {expected}, found {found}; it was left as it is",
        path = path.display()
    )]
    Occupied { path: PathBuf, expected: Checksum, found: Checksum },
    #[error("{path}: cannot {action}: {source}", path = path.display())]
    Io { path: PathBuf, action: &'static str, source: io::Error },
}

fn list(failures: &[MirrorFailure]) -> String {
    let line = |f: &MirrorFailure| {
        let plural = if f.attempts == 1 { "" } else { "s" };
        format!("\n  {} ({} attempt{plural}): {}", f.url, f.attempts, f.reason)
    };
    failures.iter().map(line).collect()
}

/// Attaches a path to an I/O error.
pub(super) fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |source| FetchError::Io { path, action, source }
}

/// Downloads `file` into `folder` (made if needed) and returns once it lies there, verified, under its own name.
///
/// Only one process at a time downloads into a folder; the others wait and use what the first one brought.
///
/// # Errors
/// [`FetchError::Mirrors`] with every mirror and its reason; [`FetchError::Cancelled`]; [`FetchError::Occupied`], as
/// nothing that was not downloaded is overwritten; [`FetchError::Io`] for this machine's own trouble (no permission, disk full), which no mirror can mend.
pub fn fetch_file(
    file: &WantedFile,
    folder: &Path,
    options: &FetchOptions,
    on_progress: &mut OnProgress<'_>,
) -> Result<Fetched, FetchError> {
    fs::create_dir_all(folder).map_err(io_error(folder, "make the folder"))?;
    let mut job = Job {
        file,
        options,
        agent: agent(options),
        target: folder.join(&file.name),
        part: folder.join(format!("{}.part", file.name)),
        received: 0,
        on_progress,
    };
    let _lock = job.lock(&folder.join(".lock"))?;
    if job.target.is_file() {
        let found = job.checksum_of(&job.target)?;
        if found == file.checksum {
            return Ok(job.fetched(None));
        }
        let (path, expected) = (job.target.clone(), file.checksum.clone());
        return Err(FetchError::Occupied { path, expected, found });
    }
    // A part that an earlier run completed but did not live to rename.
    if job.kept() > 0 && job.checksum_of(&job.part)? == file.checksum {
        job.publish()?;
        return Ok(job.fetched(None));
    }
    let mut failures = Vec::new();
    for url in &file.urls {
        match job.mirror(url)? {
            Ok(()) => return Ok(job.fetched(Some(url.clone()))),
            Err(failure) => failures.push(failure),
        }
    }
    Err(FetchError::Mirrors { file: file.name.clone(), failures })
}

struct Job<'a, 'b> {
    file: &'a WantedFile,
    options: &'a FetchOptions,
    agent: Agent,
    target: PathBuf,
    part: PathBuf,
    received: u64,
    on_progress: &'a mut OnProgress<'b>,
}

impl Job<'_, '_> {
    /// All attempts on one mirror. The outer error ends the download, the inner one only this mirror.
    fn mirror(&mut self, url: &str) -> Result<Result<(), MirrorFailure>, FetchError> {
        let mut attempts = 0;
        let mut in_vain = 0;
        let give_up = |attempts, reason| Ok(Err(MirrorFailure { url: url.to_owned(), attempts, reason }));
        loop {
            let limit = self.file.bytes.unwrap_or(self.options.max_bytes);
            if self.kept() >= limit {
                self.drop_part()?; // Full and, as it is still a part, wrong.
            }
            let before = self.kept();
            attempts += 1;
            let mut result = self.attempt(url, before, limit)?;
            if result.is_ok() {
                let found = self.checksum_of(&self.part)?;
                if found == self.file.checksum {
                    return self.publish().map(Ok);
                }
                let (expected, bytes) = (&self.file.checksum, self.kept());
                let reason = format!("wrong bytes: expected {expected}, found {found} ({bytes} bytes)");
                result = Err(Failure::Wrong(reason));
            }
            match result {
                Ok(()) => {}
                Err(Failure::Final(reason)) => return give_up(attempts, reason),
                Err(Failure::Wrong(reason) | Failure::Restart(reason)) => {
                    self.drop_part()?;
                    // The fault may lie in the bytes from before: once more, from the start.
                    if before == 0 {
                        return give_up(attempts, reason);
                    }
                }
                Err(Failure::Again(reason)) => {
                    // A transfer that moved forward before it broke is worth going on with.
                    in_vain = if self.kept() >= before + WORTHWHILE { 0 } else { in_vain + 1 };
                    if in_vain >= self.options.attempts.max(1) || attempts >= MOST_ATTEMPTS {
                        return give_up(attempts, reason);
                    }
                    self.wait(in_vain)?;
                }
            }
        }
    }

    fn attempt(&mut self, url: &str, offset: u64, limit: u64) -> Result<Result<(), Failure>, FetchError> {
        let mut transfer = Transfer {
            agent: &self.agent,
            name: &self.file.name,
            part: &self.part,
            offset,
            published: self.file.bytes,
            limit,
            received: 0,
        };
        let result = transfer.run(url, self.on_progress);
        self.received += transfer.received;
        result
    }

    /// Gives the verified part its own name.
    fn publish(&self) -> Result<(), FetchError> {
        let part = File::open(&self.part).map_err(io_error(&self.part, "open"))?;
        part.sync_all().map_err(io_error(&self.part, "write to disk"))?;
        fs::rename(&self.part, &self.target).map_err(io_error(&self.target, "rename into place"))?;
        sync_folder(&self.target);
        Ok(())
    }

    fn checksum_of(&self, path: &Path) -> Result<Checksum, FetchError> {
        let bytes = fs::read(path).map_err(io_error(path, "read"))?;
        Ok(self.file.checksum.of_same_kind(&bytes))
    }

    /// Bytes in the part.
    fn kept(&self) -> u64 {
        fs::metadata(&self.part).map_or(0, |m| m.len())
    }

    fn drop_part(&self) -> Result<(), FetchError> {
        match fs::remove_file(&self.part) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error(&self.part, "delete")(source)),
            _ => Ok(()),
        }
    }

    fn wait(&mut self, in_vain: u32) -> Result<(), FetchError> {
        let factor = 1u32 << in_vain.saturating_sub(1).min(16);
        let mut left = self.options.backoff.saturating_mul(factor).min(self.options.backoff_cap);
        while !left.is_zero() {
            let nap = left.min(Duration::from_millis(200));
            thread::sleep(nap);
            left -= nap;
            self.report()?;
        }
        Ok(())
    }

    fn report(&mut self) -> Result<(), FetchError> {
        let (file, done) = (self.file.name.as_str(), self.kept());
        match (self.on_progress)(Progress { file, done, total: self.file.bytes }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(FetchError::Cancelled { file: file.to_owned(), part: self.part.clone(), kept: done })
            }
        }
    }

    /// Held until dropped. File systems that know no locks are used without.
    fn lock(&mut self, path: &Path) -> Result<File, FetchError> {
        let lock = OpenOptions::new().create(true).append(true).open(path).map_err(io_error(path, "write"))?;
        while let Err(TryLockError::WouldBlock) = lock.try_lock() {
            thread::sleep(Duration::from_millis(100));
            self.report()?;
        }
        Ok(lock)
    }

    fn fetched(&self, url: Option<String>) -> Fetched {
        Fetched { path: self.target.clone(), received: self.received, url }
    }
}

/// Makes the rename itself durable, where folders can be synced; the file is right either way.
fn sync_folder(file: &Path) {
    if let Some(folder) = file.parent().and_then(|parent| File::open(parent).ok()) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
