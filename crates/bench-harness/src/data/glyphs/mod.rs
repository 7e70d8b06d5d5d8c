//! `glyphs`: ten digit classes drawn by the program, a stand-in for MNIST where there is no data and no network.
//!
//! A glyph is a few strokes through control points ([`skeleton`], three or more writing styles per class), shaken and
//! bent as a hand does ([`warp`]), then inked, anti-aliased and centred as MNIST's images are ([`raster`]):
//!
//! ```text
//! skeleton → jitter of control points → smooth curve → slant, rotation, aspect, elastic field
//!          → fit into 20×20 pixels → ink of width w with soft edges → centre of mass to (14, 14) of 28×28
//! ```
//!
//! Everything about image `i` of a split is a function of `(seed, split, i)` alone, in operations that IEEE 754 rounds
//! exactly (`+ − × ÷ √`), so the images are the same to the bit on every machine and with any number of threads.

pub mod draw;
pub mod raster;
pub mod skeleton;
pub mod warp;

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use super::config::GlyphsConfig;
use super::digest::sha256_hex_of_parts;
use super::set::{Dataset, ImageSet, Origin};

use draw::Draw;
use raster::{SIDE, ink};
use skeleton::{CLASSES, STYLES};
use warp::write;

/// Name and version of the generator: the version changes whenever an image does.
pub const GENERATOR: &str = "glyphs/1";

/// Which part of the data set an image belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// For training.
    Train,
    /// For testing: other draws, the same distribution.
    Test,
}

/// The data set that `config` describes, drawn on all threads of the current rayon pool.
pub fn generate(config: &GlyphsConfig) -> Dataset {
    let splits = [(Split::Train, config.train, "train"), (Split::Test, config.test, "test")];
    let [(train, train_sum), (test, test_sum)] = splits.map(|(split, n, name)| {
        let set = generate_split(config.seed, split, n);
        let pixels = set.images.as_slice().unwrap_or(&[]);
        let sum = sha256_hex_of_parts([pixels, &set.labels]);
        let id = format!("{GENERATOR} seed={} {name}={n}", config.seed);
        (set, (id, sum))
    });
    Dataset {
        name: super::catalog::GLYPHS.to_owned(),
        subset: None,
        train,
        test,
        checksums: vec![train_sum, test_sum],
        origin: Origin::Generated { generator: GENERATOR.to_owned(), seed: config.seed },
    }
}

/// The first `n` images of a split, `n × 28 × 28`, with labels.
pub fn generate_split(seed: u64, split: Split, n: usize) -> ImageSet {
    let mut images = Array3::zeros((n, SIDE, SIDE));
    images.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(i, mut image)| {
        image.assign(&generate_one(seed, split, i));
    });
    let labels = (0..n).map(|i| label_of(seed, split, i)).collect();
    ImageSet { images, labels }
}

/// The label of image `index`: each ten images in a row hold the ten classes in a random order.
pub fn label_of(seed: u64, split: Split, index: usize) -> u8 {
    let mut order: [u8; CLASSES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    let mut draw = Draw::new(seed, split as u64, (index / CLASSES) as u64, 0);
    for last in (1..CLASSES).rev() {
        order.swap(last, draw.below(last + 1));
    }
    order[index % CLASSES]
}

/// Image `index` of a split, `28 × 28`, 255 is full ink.
pub fn generate_one(seed: u64, split: Split, index: usize) -> ndarray::Array2<u8> {
    let mut draw = Draw::new(seed, split as u64, index as u64, 1);
    let class = usize::from(label_of(seed, split, index));
    let styles = STYLES[class];
    let style = &styles[draw.weighted(styles.iter().map(|s| s.weight))];
    ink(&write(style, &mut draw), &mut draw)
}

#[cfg(test)]
#[path = "glyphs_tests.rs"]
mod tests;
