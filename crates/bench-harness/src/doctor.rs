//! `dale doctor`: what this machine has, and what is missing.

use std::path::{Path, PathBuf};

use models::device::cuda_devices;
use serde::Serialize;

use crate::data::{Depth, FileState, Search, status_all};

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// Whether everything needed to train on a CPU is there.
    pub healthy: bool,
    /// What is wrong, one line each.
    pub problems: Vec<String>,
    /// The program's version.
    pub version: String,
    /// libtorch's version, from its own files.
    pub libtorch_version: Option<String>,
    /// Path of the libtorch that is loaded.
    pub libtorch_path: Option<PathBuf>,
    /// Usable GPUs.
    pub cuda_devices: usize,
    /// Why there is none.
    pub cuda_reason: Option<String>,
    /// The processor.
    pub processor: String,
    /// Cores.
    pub cores: usize,
    /// Threads that libtorch uses.
    pub threads: i32,
    /// Data sets: name, and where it is, or that it is missing.
    pub data: Vec<(String, String)>,
    /// Free bytes where runs are written.
    pub free_disk_bytes: Option<u64>,
}

/// Looks around. `root` is where runs are written.
#[must_use]
pub fn examine(search: &Search, root: &Path) -> Findings {
    const LEAST_DISK: u64 = 500_000_000;
    let mut problems = Vec::new();
    let path = libtorch_path();
    if path.is_none() {
        problems.push("libtorch: the loaded library was not found among this process's files".to_owned());
    }
    let (devices, reason) = match cuda_devices() {
        Ok(n) => (n, None),
        Err(reason) => (0, Some(reason)),
    };
    let free = free_disk(root);
    match free {
        Some(bytes) if bytes < LEAST_DISK => {
            problems.push(format!(
                "disk: {:.2} GB free where runs are written; a run needs up to 0.5 GB",
                bytes as f64 / 1e9
            ));
        }
        None => problems.push(format!("disk: {} cannot be looked at", root.display())),
        Some(_) => {}
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let data = match status_all(search, Depth::Presence) {
        Ok(all) => all
            .into_iter()
            .map(|set| {
                let missing = set.files.iter().filter(|f| matches!(f.state, FileState::Missing)).count();
                let place = set.files.iter().find_map(|f| f.path.as_ref()).and_then(|p| p.parent());
                let text = match (set.generated, missing, place) {
                    (true, _, _) => "drawn by the program".to_owned(),
                    (_, 0, Some(folder)) => folder.display().to_string(),
                    (_, missing, _) => format!("{missing} of {} files missing", set.files.len()),
                };
                (set.name, text)
            })
            .collect(),
        Err(error) => {
            problems.push(format!("data: {error}"));
            Vec::new()
        }
    };
    Findings {
        healthy: problems.is_empty(),
        problems,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch_version: libtorch_version(),
        libtorch_path: path,
        cuda_devices: devices,
        cuda_reason: reason,
        processor: processor(),
        cores,
        threads: tch::get_num_threads(),
        data,
        free_disk_bytes: free,
    }
}

impl Findings {
    /// As lines for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![
            format!("dale       {}", self.version),
            format!(
                "libtorch   {} at {}",
                self.libtorch_version.as_deref().unwrap_or("of unknown version"),
                self.libtorch_path.as_ref().map_or("unknown path".to_owned(), |p| p.display().to_string())
            ),
            match &self.cuda_reason {
                None => format!("CUDA       usable, {} GPU(s)", self.cuda_devices),
                Some(reason) => format!("CUDA       not usable: {reason}"),
            },
            format!("processor  {}, {} cores, {} threads used", self.processor, self.cores, self.threads),
            match self.free_disk_bytes {
                Some(bytes) => format!("disk       {:.1} GB free", bytes as f64 / 1e9),
                None => "disk       unknown".to_owned(),
            },
        ];
        lines.extend(self.data.iter().map(|(name, text)| format!("data       {name}: {text}")));
        lines.extend(self.problems.iter().map(|p| format!("PROBLEM    {p}")));
        lines.push(if self.healthy { "all is well".to_owned() } else { "not ready".to_owned() });
        lines.join("\n")
    }
}

/// The libtorch that this process has loaded.
fn libtorch_path() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps.lines().filter_map(|l| l.split_whitespace().last()).find(|p| p.ends_with("/libtorch_cpu.so"))?;
    Path::new(path).parent().map(Path::to_owned)
}

/// libtorch's version: a wheel has it in `version.py`, an archive in `build-version`.
#[must_use]
pub fn libtorch_version() -> Option<String> {
    let lib = libtorch_path()?;
    let home = lib.parent()?;
    if let Ok(text) = std::fs::read_to_string(home.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = std::fs::read_to_string(home.join("version.py")).ok()?;
    let line = text.lines().find(|l| l.starts_with("__version__"))?;
    line.split(['\'', '"']).nth(1).map(str::to_owned)
}

/// The processor's name.
#[must_use]
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find(|l| l.starts_with("model name")).and_then(|l| l.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// Most memory this process has held, in bytes.
#[must_use]
pub fn peak_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Free bytes on the file system of the nearest existing parent.
fn free_disk(root: &Path) -> Option<u64> {
    let absolute = std::path::absolute(root).ok()?;
    absolute.ancestors().find(|p| p.exists()).and_then(|p| fs4::available_space(p).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_libtorch_and_says_why_there_is_no_gpu() {
        let findings = examine(&Search::default(), Path::new("no/such/folder"));
        let version = findings.libtorch_version.clone().unwrap();
        assert!(version.starts_with("2.11"), "{version}");
        assert!(findings.libtorch_path.as_ref().unwrap().join("libtorch_cpu.so").exists());
        assert_eq!(findings.cuda_devices == 0, findings.cuda_reason.is_some());
        let text = findings.to_text();
        assert!(text.contains("glyphs: drawn by the program") && text.contains("mnist"), "{text}");
        assert!(findings.free_disk_bytes.unwrap() > 0 && peak_memory().unwrap() > 1_000_000);
    }
}
