//! The checkpoints of a run: the newest few and the best are kept, and a damaged newest one falls back to the one before.
//!
//! The best is the one whose averaged weights have the smallest loss on the run's fixed probe (runs that keep the weights of the
//! smallest batch loss have none); it is a second name
//! (`best.safetensors`) of its file. Power-function averages are kept from every checkpoint, in `averages/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use models::average::Average;
use models::checkpoint::{self, Checkpoint, Header, Parts};
use models::params::Layout;
use tch::Device;

/// The folder `checkpoints/` of a run.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    kept: usize,
}

impl Checkpoints {
    /// Of this folder, of which the newest two stay.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, kept: 2 }
    }

    /// The same with another number that stays, at least one.
    #[must_use]
    pub fn keeping(self, kept: usize) -> Self {
        Self { kept: kept.max(1), ..self }
    }

    /// Path of the best checkpoint.
    #[must_use]
    pub fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// Where power-function averages are.
    #[must_use]
    pub fn averages(&self) -> PathBuf {
        self.folder.join("averages")
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

    /// Writes a checkpoint, then removes all but the newest few; returns its path.
    ///
    /// # Errors
    /// If it cannot be written; older ones are untouched then.
    pub fn save(&self, header: &Header, layout: &Layout, parts: Parts<'_>) -> Result<PathBuf> {
        let path = self.folder.join(format!("step-{:08}.safetensors", header.step));
        checkpoint::save(&path, header, layout, parts)
            .context("the checkpoint was not saved; older ones are intact")?;
        self.consider(&path, header)?;
        let all = self.all();
        let (old, new) = all.split_at(all.len().saturating_sub(self.kept));
        // An old one goes only when a newer one is whole: the only good one is never removed.
        if new.iter().any(|path| checkpoint::load_header(path).is_ok()) {
            for path in old {
                // One that cannot be removed costs space, nothing else.
                let _ = fs::remove_file(path);
            }
        }
        Ok(path)
    }

    /// Removes what a killed program has left half-written. Only for who holds the run's lock.
    pub fn tidy(&self) {
        for folder in [self.folder.clone(), self.averages()] {
            for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                if name.starts_with('.') && name.ends_with(".tmp") {
                    // One that cannot be removed costs space, nothing else.
                    let _ = fs::remove_file(&path);
                }
            }
        }
    }

    /// Keeps this checkpoint as the best if its probe loss is smaller than that of the one that is.
    ///
    /// # Errors
    /// If the second name cannot be made.
    pub fn consider(&self, path: &Path, header: &Header) -> Result<()> {
        let Some(loss) = header.probe_loss.filter(|loss| loss.is_finite()) else { return Ok(()) };
        let best = self.best();
        let before = checkpoint::load_header(&best).ok().filter(|h| h.stage == header.stage).and_then(|h| h.probe_loss);
        if before.is_some_and(|before| before <= loss) {
            return Ok(());
        }
        // Made beside it and renamed, so that there is always a whole one.
        let fresh = self.folder.join(".best.tmp");
        let _ = fs::remove_file(&fresh);
        fs::hard_link(path, &fresh)
            .or_else(|_| fs::copy(path, &fresh).and_then(|_| fs::File::open(&fresh)?.sync_all()))
            .and_then(|()| fs::rename(&fresh, &best))
            .with_context(|| format!("cannot keep the best checkpoint as {}", best.display()))
    }

    /// Keeps an average of a step.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save_average(&self, header: &Header, layout: &Layout, average: &Average) -> Result<()> {
        let folder = self.averages();
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join(format!("{}-step-{:08}.safetensors", average.kind.label(), header.step));
        let header = Header { averages: vec![average.kind], probe_loss: None, ..header.clone() };
        let parts = Parts { ema: &average.value, training: None };
        checkpoint::save(&path, &header, layout, parts).context("the checkpoint was not saved; older ones are intact")
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
            match checkpoint::load(&path, device) {
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
        let step = |path: &PathBuf| -> Option<u64> { path.file_stem()?.to_str()?.strip_prefix("step-")?.parse().ok() };
        paths.sort_by_key(|path| (step(path), path.clone()));
        paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::checkpoint::TrainingParts;
    use models::denoise::Head;
    use models::params::Flat;
    use models::unet::{UNetConfig, layout_of};
    use score_match::DataMoments;

    fn write(checkpoints: &Checkpoints, step: u64, probe_loss: f64) {
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
        let moments = DataMoments { log_mean: 0.1, log_sd: 0.2 };
        let header = Header {
            stage: "key".to_owned(),
            step,
            probe_loss: Some(probe_loss),
            ..Header::new(network, Head::Preconditioned, moments)
        };
        let (ema, weights, mean, square) = (flat(2), flat(step), flat(0), flat(1));
        let training = TrainingParts { weights: &weights, mean: &mean, square: &square, averages: &[] };
        checkpoints.save(&header, &layout, Parts { ema: &ema, training: Some(training) }).unwrap();
    }

    #[test]
    fn keeps_the_newest_and_falls_back_from_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().to_owned());
        assert!(checkpoints.latest(Device::Cpu).unwrap().is_none());
        for (step, loss) in [(5, 0.3), (10, 0.1), (15, 0.2)] {
            write(&checkpoints, step, loss);
        }
        assert_eq!(checkpoints.all().len(), 2);
        assert_eq!(checkpoint::load(&checkpoints.best(), Device::Cpu).unwrap().header.step, 10);
        assert_eq!(checkpoints.latest(Device::Cpu).unwrap().unwrap().1.header.step, 15);

        let newest = checkpoints.newest().unwrap();
        let bytes = fs::read(&newest).unwrap();
        fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(checkpoints.latest(Device::Cpu).unwrap().unwrap().1.header.step, 10);

        fs::write(&checkpoints.all()[0], b"nothing").unwrap();
        let error = format!("{:#}", checkpoints.latest(Device::Cpu).unwrap_err());
        assert!(error.contains("step-00000010") && error.contains("cut in half"), "{error}");
    }

    #[test]
    fn the_only_good_one_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().to_owned()).keeping(1);
        write(&checkpoints, 5, 0.3);
        // Something has put a longer name with nothing in it behind every one that is written.
        fs::write(folder.path().join("step-99999999.safetensors"), b"nothing").unwrap();
        write(&checkpoints, 10, 0.2);
        assert_eq!(checkpoints.latest(Device::Cpu).unwrap().unwrap().1.header.step, 10);
    }
}
