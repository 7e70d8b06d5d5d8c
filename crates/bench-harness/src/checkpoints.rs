//! The checkpoints of a run: the newest few are kept, and a damaged newest one falls back to the one before.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use models::ModelError;
use models::checkpoint::{self, Checkpoint, Header, Parts};
use models::params::Layout;
use models::unet::{UNet, UNetConfig};
use tch::Device;

const KEPT: usize = 2;

/// The folder `checkpoints/` of a run.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// The layout of a network's parameters.
///
/// # Errors
/// If the network is impossible.
pub fn layout_of(config: &UNetConfig) -> Result<Layout, ModelError> {
    Ok(UNet::new(config.clone())?.layout().clone())
}

impl Checkpoints {
    /// Of this folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Path of the final weights.
    #[must_use]
    pub fn weights(&self) -> PathBuf {
        self.folder.join("weights.safetensors")
    }

    /// Whether final weights of this stage and number of steps are there.
    #[must_use]
    pub fn finished(&self, stage: &str, steps: u64) -> bool {
        checkpoint::load_header(&self.weights()).is_ok_and(|h| h.stage == stage && h.step == steps)
    }

    /// Writes a checkpoint, then removes all but the newest few.
    ///
    /// # Errors
    /// If it cannot be written; older ones are untouched then.
    pub fn save(&self, header: &Header, layout: &Layout, parts: Parts<'_>) -> Result<()> {
        let path = self.folder.join(format!("step-{:08}.safetensors", header.step));
        checkpoint::save(&path, header, layout, parts)
            .context("the checkpoint was not saved; older ones are intact")?;
        let mut all = self.all();
        while all.len() > KEPT {
            // One that cannot be removed costs space, nothing else.
            let _ = fs::remove_file(all.remove(0));
        }
        Ok(())
    }

    /// The newest checkpoint's path.
    #[must_use]
    pub fn newest(&self) -> Option<PathBuf> {
        self.all().pop()
    }

    /// The newest checkpoint that is whole.
    ///
    /// # Errors
    /// If there are checkpoints and none of them can be read.
    pub fn latest(&self, device: Device) -> Result<Option<(PathBuf, Checkpoint)>> {
        let mut failed = None;
        for path in self.all().into_iter().rev() {
            match checkpoint::load(&path, layout_of, device) {
                Ok(checkpoint) => return Ok(Some((path, checkpoint))),
                Err(error) => {
                    tracing::warn!("{error}; trying the one before");
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(None), |error| Err(error).context("no whole checkpoint is left"))
    }

    /// All, oldest first.
    fn all(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let named = |path: &Path| {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            name.starts_with("step-") && name.ends_with(".safetensors")
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| named(p)).collect();
        paths.sort();
        paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::checkpoint::{FORMAT, TrainingState};
    use models::denoise::Head;
    use models::params::Flat;
    use models::precision::Precision;
    use score_match::DataMoments;

    fn write(checkpoints: &Checkpoints, step: u64) {
        let network = UNetConfig {
            size: 8,
            widths: vec![8],
            attention: vec![false],
            embedding: 8,
            groups: 4,
            ..UNetConfig::default()
        };
        let layout = layout_of(&network).unwrap();
        let flat = |seed| Flat::initialized(&layout, seed, Device::Cpu).unwrap();
        let header = Header {
            format: FORMAT,
            network,
            head: Head::Preconditioned,
            moments: DataMoments { log_mean: 0.1, log_sd: 0.2 },
            data: "glyphs".to_owned(),
            stage: "key".to_owned(),
            step,
            precision: Precision::F32,
            seconds: 0.0,
            best_loss: None,
        };
        let training = Some(TrainingState { weights: flat(step), mean: flat(0), square: flat(1) });
        let whole = Checkpoint { header, ema: flat(2), training };
        checkpoints.save(&whole.header, &layout, whole.parts()).unwrap();
    }

    #[test]
    fn keeps_the_newest_and_falls_back_from_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().to_owned());
        assert!(checkpoints.latest(Device::Cpu).unwrap().is_none());
        for step in [5, 10, 15] {
            write(&checkpoints, step);
        }
        assert_eq!(checkpoints.all().len(), KEPT);
        assert_eq!(checkpoints.latest(Device::Cpu).unwrap().unwrap().1.header.step, 15);

        let newest = checkpoints.newest().unwrap();
        let bytes = fs::read(&newest).unwrap();
        fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(checkpoints.latest(Device::Cpu).unwrap().unwrap().1.header.step, 10);

        fs::write(&checkpoints.all()[0], b"nothing").unwrap();
        let error = format!("{:#}", checkpoints.latest(Device::Cpu).unwrap_err());
        assert!(error.contains("step-00000010") && error.contains("cut in half"), "{error}");
    }
}
