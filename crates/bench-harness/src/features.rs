//! Training the classifier whose features judge the images: `dale train-features`.

use std::path::Path;

use anyhow::{Result, bail};
use models::classifier::{self, Shipped};
use models::write::write_atomically;
use tch::{Kind, Tensor};

use crate::data::{Dataset, ImageSet};
use crate::pixels;
use crate::progress::Progress;
use crate::session::Session;

/// Trains the classifier of a data set on the first training images, says the accuracy on the test images, and writes the weights
/// to `out`.
///
/// # Errors
/// If there are fewer training images, or the file cannot be written.
pub fn train_and_write(which: Shipped, data: &Dataset, out: &Path, session: &Session) -> Result<()> {
    let count = which.trained_on();
    if data.train.len() < count {
        bail!("{}: {} training images, {count} are needed", data.title(), data.train.len());
    }
    let config = which.training();
    let images = pixels::to_tensor(data.train.slice(0..count).0, session.device)?;
    let labels = labels(&data.train).narrow(0, 0, count as i64).to_device(session.device);
    let mut progress = Progress::new("classifier", "steps", config.epochs * (count / config.batch) as u64);
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
    use crate::config::shipped;
    use crate::data::{self, DataError, FetchPolicy, Search};

    /// Accuracy on test images, each at least what it is; `None` without the data set.
    fn accuracy(which: Shipped, experiment: &str) -> Option<f64> {
        let folder = std::env::var_os("DALE_DATA_DIR").map(PathBuf::from);
        let search = Search::new(None, folder, FetchPolicy::Never);
        let mut ignore = |_: data::Progress<'_>| ControlFlow::Continue(());
        let data = match data::load(&shipped::data(experiment).unwrap(), &search, &mut ignore) {
            Err(DataError::Missing(_)) => {
                eprintln!("not tested: {} is not on this machine", which.data());
                return None;
            }
            found => found.unwrap(),
        };
        let images = pixels::to_tensor(data.test.images.view(), Device::Cpu).unwrap();
        let found = Classifier::shipped(which, Device::Cpu).unwrap().classify(&images).unwrap();
        let right = found.eq_tensor(&labels_of_test(&data)).sum(Kind::Int64).int64_value(&[]);
        Some(right as f64 / data.test.len() as f64)
    }

    #[test]
    fn the_shipped_classifiers_know_the_test_images() {
        for (which, experiment, least) in [
            (Shipped::Mnist, "mnist", 0.992),
            (Shipped::FashionMnist, "fashion-mnist", 0.915),
            (Shipped::Kmnist, "kmnist-7011", 0.93),
        ] {
            let Some(found) = accuracy(which, experiment) else { continue };
            assert!(found >= least, "{}: {found}", which.name());
        }
    }
}
