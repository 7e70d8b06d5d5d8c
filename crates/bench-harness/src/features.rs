//! Training the classifier whose features judge the images: `dale train-features`.

use std::path::Path;

use anyhow::{Result, bail};
use models::classifier::{self, TrainingConfig};
use models::write::write_atomically;
use tch::{Kind, Tensor};

use crate::data::{Dataset, ImageSet};
use crate::evaluate::HELD_OUT_FROM;
use crate::pixels;
use crate::progress::Progress;
use crate::session::Session;

/// Trains on the first 50,000 training images, says the accuracy on the test images, and writes the weights to `out`.
///
/// # Errors
/// If there are fewer training images, or the file cannot be written.
pub fn train_and_write(data: &Dataset, out: &Path, session: &Session) -> Result<()> {
    if data.train.len() < HELD_OUT_FROM {
        bail!("{}: {} training images, {HELD_OUT_FROM} are needed", data.title(), data.train.len());
    }
    let config = TrainingConfig::default();
    let images = pixels::to_tensor(data.train.slice(0..HELD_OUT_FROM).0, session.device)?;
    let labels = labels(&data.train).narrow(0, 0, HELD_OUT_FROM as i64).to_device(session.device);
    let mut progress = Progress::new("classifier", "steps", config.epochs * (HELD_OUT_FROM / config.batch) as u64);
    let trained = classifier::train(&images, &labels, &config, |step, _, loss| {
        progress.note(format!("loss {loss:.4}"));
        progress.set(step);
    })?;
    progress.finish();
    write_atomically(out, &trained.to_bytes()?)?;
    let found = trained.classify(&pixels::to_tensor(data.test.images.view(), session.device)?)?;
    let right = found.eq_tensor(&labels_of_test(data)).sum(Kind::Int64).int64_value(&[]);
    println!("test accuracy {:.2}% ({right} of {})", 100.0 * right as f64 / data.test.len() as f64, data.test.len());
    println!("SHA-256 {}", trained.sha256());
    Ok(())
}

fn labels(set: &ImageSet) -> Tensor {
    Tensor::from_slice(&set.labels).to_kind(Kind::Int64)
}

fn labels_of_test(data: &Dataset) -> Tensor {
    labels(&data.test)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::PathBuf;

    use models::classifier::Classifier;
    use tch::Device;

    use super::*;
    use crate::data::{self, DataConfig, DataError, FetchPolicy, Search};

    #[test]
    fn the_shipped_classifier_is_right_on_99_of_100_test_images() {
        let folder = std::env::var_os("DALE_DATA_DIR").map(PathBuf::from);
        let search = Search::new(None, folder, FetchPolicy::Never);
        let mut ignore = |_: data::Progress<'_>| ControlFlow::Continue(());
        let data = match data::load(&DataConfig::named("mnist"), &search, &mut ignore) {
            Err(DataError::Missing(_)) => {
                eprintln!("not tested: MNIST is not on this machine");
                return;
            }
            found => found.unwrap(),
        };
        let images = pixels::to_tensor(data.test.images.view(), Device::Cpu).unwrap();
        let found = Classifier::mnist(Device::Cpu).unwrap().classify(&images).unwrap();
        let right = found.eq_tensor(&labels_of_test(&data)).sum(Kind::Int64).int64_value(&[]);
        assert!(right >= 9_900, "{right} of 10,000");
    }
}
