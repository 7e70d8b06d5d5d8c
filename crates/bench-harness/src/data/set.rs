//! Data sets in memory: bytes, as published, with labels, checksums and origin.

use std::ops::Range;
use std::path::PathBuf;

use ndarray::{Array3, ArrayView3, Axis, Slice};
use serde::Serialize;

use super::config::title;

/// Grey images with their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSet {
    /// `N × H × W`, 0 is background, 255 full ink.
    pub images: Array3<u8>,
    /// `N` labels, each below 10.
    pub labels: Vec<u8>,
}

impl ImageSet {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Height and width in pixels.
    pub fn size(&self) -> (usize, usize) {
        let (_, h, w) = self.images.dim();
        (h, w)
    }

    /// The images and labels of `range`, cut to what there is; no copy.
    pub fn slice(&self, range: Range<usize>) -> (ArrayView3<'_, u8>, &[u8]) {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        let images = self.images.slice_axis(Axis(0), Slice::from(start..end));
        (images, &self.labels[start..end])
    }

    /// How many images each of the ten labels has.
    pub fn label_counts(&self) -> [usize; 10] {
        let mut counts = [0; 10];
        for &label in &self.labels {
            if let Some(count) = counts.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        counts
    }
}

/// Where a data set came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Origin {
    /// Read from files, in the order training images, training labels, test images, test labels.
    Files {
        /// Paths of the files.
        paths: Vec<PathBuf>,
        /// Names of those that were downloaded on this occasion.
        downloaded: Vec<String>,
    },
    /// Drawn by this program.
    Generated {
        /// Name and version of the generator.
        generator: String,
        /// Its seed.
        seed: u64,
    },
}

/// A data set ready for use: every byte was checked.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its name in the catalogue.
    pub name: String,
    /// What part of the published training set this is, if not all of it.
    pub subset: Option<String>,
    /// Training split.
    pub train: ImageSet,
    /// Test split.
    pub test: ImageSet,
    /// File name or generator, and SHA-256. An uncompressed file counts as the published one that it came from,
    /// so these do not depend on how the files are stored.
    pub checksums: Vec<(String, String)>,
    /// Where it came from.
    pub origin: Origin,
}

impl Dataset {
    /// Name for tables and plots: a subset is always named as such.
    pub fn title(&self) -> String {
        title(&self.name, self.subset.as_deref())
    }

    /// Whether the images were drawn by this program and not by people.
    pub fn is_generated(&self) -> bool {
        matches!(self.origin, Origin::Generated { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_cut_to_what_there_is() {
        let images = Array3::from_shape_fn((5, 2, 3), |(n, y, x)| (10 * n + 3 * y + x) as u8);
        let set = ImageSet { images, labels: vec![0, 1, 2, 2, 9] };
        let (images, labels) = set.slice(1..3);
        assert_eq!((images.dim(), labels), ((2, 2, 3), &[1, 2][..]));
        assert_eq!(images[[0, 1, 2]], 15);
        assert_eq!(set.slice(4..99).1, [9]);
        assert_eq!(set.slice(7..99).0.dim(), (0, 2, 3));
        assert_eq!(set.label_counts(), [1, 1, 2, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((set.len(), set.size(), set.is_empty()), (5, (2, 3), false));
    }
}
