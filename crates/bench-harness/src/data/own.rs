//! Images of one's own: a folder of PNG pictures, a `.npz` or `.npy` array, or an idx file.
//!
//! ```toml
//! [data]
//! name = "cells"                     # any name that no published data set has
//! own = { train = "cells/train", test = "cells/test.npz" }
//! ```

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis, Slice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::DataError;
use super::set::{Dataset, ImageSet, Origin};
use crate::judge::source::Source;

/// The part of the training images that is held out where no test images are given: every tenth, from the first on.
const HELD_OUT: usize = 10;

/// Where images of one's own are: grey, one byte a pixel, all of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnConfig {
    /// Training images: a folder of PNG pictures, a .npz or .npy array N × H × W, or an idx file; from the current folder.
    pub train: PathBuf,
    /// Test images, in one of the same forms; without them every tenth training image is held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
}

/// Reads them.
///
/// # Errors
/// [`DataError::Own`] names the key, the path, and what is wrong.
pub(super) fn load(name: &str, config: &OwnConfig) -> Result<Dataset, DataError> {
    let (images, digest) = read("train", &config.train)?;
    let mut checksums = vec![("data.own.train".to_owned(), digest)];
    let mut paths = vec![config.train.clone()];
    let (train, test) = match &config.test {
        Some(path) => {
            let (test, digest) = read("test", path)?;
            checksums.push(("data.own.test".to_owned(), digest));
            paths.push(path.clone());
            (images, test)
        }
        None => split(&images),
    };
    let [train_size, test_size] = [&train, &test].map(|set| (set.dim().1, set.dim().2));
    if train_size != test_size {
        let (train_file, test_file) = (config.train.clone(), config.test.clone().unwrap_or_default());
        return Err(DataError::Sizes { train_file, train: train_size, test_file, test: test_size });
    }
    for (key, path, set) in [("train", &config.train, &train), ("test", paths.last().unwrap_or(&config.train), &test)] {
        if set.dim().0 < 2 {
            return Err(wrong(key, path, format!("{} images; at least 2 are needed", set.dim().0)));
        }
    }
    let unlabelled = |images: Array3<u8>| ImageSet { labels: vec![0; images.dim().0], images };
    Ok(Dataset {
        name: name.to_owned(),
        subset: None,
        train: unlabelled(train),
        test: unlabelled(test),
        checksums,
        origin: Origin::Files { paths, downloaded: Vec::new() },
    })
}

/// Every tenth image for testing, the others for training.
fn split(images: &Array3<u8>) -> (Array3<u8>, Array3<u8>) {
    let kept: Vec<usize> = (0..images.dim().0).filter(|i| !i.is_multiple_of(HELD_OUT)).collect();
    let test = images.slice_axis(Axis(0), Slice::new(0, None, HELD_OUT as isize)).to_owned();
    (images.select(Axis(0), &kept), test)
}

fn read(key: &str, path: &Path) -> Result<(Array3<u8>, String), DataError> {
    let source = Source::read(path).map_err(|error| wrong(key, path, format!("{error:#}")))?;
    let digest = source.digest();
    let Source::Images(images) = source else {
        return Err(wrong(key, path, "statistics of features, where images are needed".to_owned()));
    };
    let channels = images.dim().3;
    if channels != 1 {
        return Err(wrong(key, path, format!("images with {channels} channels; only grey ones can be trained on")));
    }
    Ok((images.index_axis_move(Axis(3), 0), digest))
}

fn wrong(key: &str, path: &Path, problem: String) -> DataError {
    DataError::Own { key: format!("data.own.{key}"), path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrays::write_npz;

    fn images(n: usize, side: usize) -> Array3<u8> {
        Array3::from_shape_fn((n, side, side), |(i, y, x)| (10 * i + y + x) as u8)
    }

    #[test]
    fn every_tenth_image_is_held_out_unless_there_are_others() {
        let folder = tempfile::tempdir().unwrap();
        let (train, test) = (folder.path().join("a.npz"), folder.path().join("b.npz"));
        write_npz(&train, &images(25, 4)).unwrap();
        write_npz(&test, &images(3, 4)).unwrap();
        let mut config = OwnConfig { train: train.clone(), test: None };
        let data = load("mine", &config).unwrap();
        assert_eq!((data.train.len(), data.test.len(), data.title().as_str()), (22, 3, "mine"));
        let all = images(25, 4);
        for (i, from) in [0, 10, 20].into_iter().enumerate() {
            assert_eq!(data.test.images.index_axis(Axis(0), i), all.index_axis(Axis(0), from));
        }
        assert_eq!(data.train.images.index_axis(Axis(0), 9), all.index_axis(Axis(0), 11));
        config.test = Some(test);
        let data = load("mine", &config).unwrap();
        assert_eq!((data.train.len(), data.test.len(), data.checksums.len()), (25, 3, 2));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write_npz(&at("small.npz"), &images(25, 4)).unwrap();
        write_npz(&at("large.npz"), &images(25, 5)).unwrap();
        write_npz(&at("few.npz"), &images(2, 4)).unwrap();
        let said = |train: &str, test: Option<&str>| {
            load("mine", &OwnConfig { train: at(train), test: test.map(at) }).unwrap_err().to_string()
        };
        let missing = said("nowhere", None);
        assert!(missing.contains("data.own.train") && missing.contains("nowhere"), "{missing}");
        assert!(said("few.npz", None).contains("at least 2"));
        let sizes = said("small.npz", Some("large.npz"));
        assert!(sizes.contains("large.npz") && sizes.contains("(5, 5)"), "{sizes}");
        assert!(said("small.npz", Some("none.npy")).contains("data.own.test"));
    }
}
