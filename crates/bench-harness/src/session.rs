//! What a command works with besides its experiment: device, data search, interruption.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use models::device::{DeviceChoice, resolve};
use tch::Device;

use crate::data::Search;
use crate::log::RunLog;
use crate::manifest::revision;

/// Surroundings of a command.
#[derive(Debug)]
pub struct Session {
    /// Where networks run.
    pub device: Device,
    /// Where data sets are looked for.
    pub search: Search,
    /// Folder of all runs.
    pub root: PathBuf,
    /// Takes the log into a run's folder.
    pub log: RunLog,
    /// Revision of the source tree when this started, if there is one.
    pub revision: Option<String>,
    interrupted: Arc<AtomicBool>,
}

impl Session {
    /// Settles the device and the number of threads, and starts listening to Ctrl-C.
    ///
    /// # Errors
    /// If a GPU was asked for and cannot be used.
    pub fn start(
        device: DeviceChoice,
        threads: Option<usize>,
        search: Search,
        root: PathBuf,
        log: RunLog,
    ) -> Result<Self> {
        let threads = threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
        tch::set_num_threads(threads.clamp(1, 1024) as i32);
        // Only fails if a pool exists already, which then has a size of its own.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        let device = resolve(device)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        ctrlc::set_handler(move || {
            if !flag.swap(true, Ordering::SeqCst) {
                eprintln!("\nstopping as soon as everything is saved; press Ctrl-C again to stop at once");
            } else {
                // The second Ctrl-C means it.
                std::process::exit(130);
            }
        })
        .context("cannot listen to Ctrl-C")?;
        Ok(Self { device, search, root, log, revision: revision(), interrupted })
    }

    /// Whether the user asked to stop.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// An error if the user asked to stop: for places where everything done is on disk already.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn check(&self) -> Result<()> {
        if self.interrupted() {
            let text = "stopped; finished stages are kept. Repeat the command to go on";
            return Err(Interrupted(text.to_owned()).into());
        }
        Ok(())
    }

    /// The device, for people.
    #[must_use]
    pub fn device_name(&self) -> String {
        match self.device {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => format!("cpu ({} threads)", tch::get_num_threads()),
        }
    }
}

/// Stopped by Ctrl-C, with everything saved; carries what to say.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Interrupted(pub String);
