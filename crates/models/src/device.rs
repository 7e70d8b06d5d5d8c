//! Choosing where to compute: `auto`, `cpu`, or `cuda:N` with a hard error when that GPU cannot be used.
//!
//! The linker drops `libtorch_cuda`, because nothing refers to it by name. Opening it before the first query registers
//! the CUDA back end, so one binary serves machines with and without a GPU.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tch::{Cuda, Device};

use crate::{ModelError, Result};

/// Which device to use, as written in an experiment or on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first GPU if one can be used, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// This GPU, or an error.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => other.strip_prefix("cuda:").and_then(|n| n.parse().ok()).map(Self::Cuda).ok_or_else(|| {
                ModelError::Device { wanted: other.to_owned(), reason: "write auto, cpu or cuda:N".to_owned() }
            }),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = ModelError;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// Number of usable GPUs, or the reason why there is none.
pub fn cuda_devices() -> std::result::Result<usize, String> {
    // The driver first: without one, a missing CUDA library is not what is wrong.
    if cfg!(target_os = "linux") && !std::path::Path::new("/proc/driver/nvidia/version").exists() {
        return Err("no NVIDIA driver is running on this machine (/proc/driver/nvidia/version is missing)".to_owned());
    }
    open_cuda_library().map_err(|e| format!("{e}; `scripts/setup full` installs the CUDA wheels"))?;
    if !Cuda::is_available() {
        return Err("libtorch finds no NVIDIA driver, or no GPU that it supports".to_owned());
    }
    usize::try_from(Cuda::device_count()).map_err(|e| e.to_string())
}

/// Resolves a choice to a device of libtorch.
///
/// # Errors
/// [`ModelError::Device`] with the exact reason, when a GPU was asked for and cannot be used.
pub fn resolve(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(match cuda_devices() {
            Ok(n) if n > 0 => Device::Cuda(0),
            _ => Device::Cpu,
        }),
        DeviceChoice::Cuda(index) => {
            let refuse = |reason| ModelError::Device { wanted: choice.to_string(), reason };
            let count = cuda_devices().map_err(refuse)?;
            if index >= count {
                return Err(refuse(format!("this machine has {count} GPU(s), numbered from 0")));
            }
            Ok(Device::Cuda(index))
        }
    }
}

/// Allows or forbids TF32 in f32 matrix products and convolutions on GPUs, for the whole process.
///
/// # Errors
/// libtorch's message.
pub fn set_tf32(allowed: bool) -> Result<()> {
    crate::native::context::set_tf32(allowed)
}

/// Opens `libtorch_cuda.so` for the whole process, once.
fn open_cuda_library() -> std::result::Result<(), String> {
    static OPENED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    OPENED.get_or_init(open_once).clone()
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn open_once() -> std::result::Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the library's initializers only register kernels with the libtorch that is already loaded; both come from
    // one release. It stays open for the life of the process.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            std::mem::forget(library);
            Ok(())
        }
        Err(error) => Err(format!("libtorch_cuda.so does not load: {error}")),
    }
}

#[cfg(not(unix))]
fn open_once() -> std::result::Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_nonsense_is_refused() {
        for choice in [DeviceChoice::Auto, DeviceChoice::Cpu, DeviceChoice::Cuda(3)] {
            assert_eq!(choice.to_string().parse::<DeviceChoice>().unwrap(), choice);
        }
        let error = "gpu".parse::<DeviceChoice>().unwrap_err().to_string();
        assert!(error.contains("gpu") && error.contains("cuda:N"), "{error}");
    }

    #[test]
    fn a_missing_gpu_is_an_error_that_says_why() {
        if cuda_devices().is_err() {
            let error = resolve(DeviceChoice::Cuda(0)).unwrap_err().to_string();
            assert!(error.starts_with("device cuda:0: ") && error.len() > 30, "{error}");
            assert_eq!(resolve(DeviceChoice::Auto).unwrap(), Device::Cpu);
        }
    }
}
