//! Grids of grey images as PNG.
//!
//! Images are `N × H × W` bytes, black 0 to white 255. A grid is enlarged by a whole factor, so that pixels stay pixels, with light
//! separators between the images and around them.

use models::write::{WriteError, write_atomically};
use std::path::Path;

use super::csv::field;
use ndarray::{Array2, Array3, ArrayView2, ArrayView3, Axis};
use thiserror::Error;

/// Pixels in the largest picture that is drawn; a larger one is a mistake in the scale or the number of images.
const MOST_PIXELS: usize = 1 << 28;

/// A picture that could not be made.
#[derive(Debug, Error)]
pub enum ImageError {
    /// No image, or images without pixels.
    #[error("there is nothing to draw: {n} images of {height} × {width} pixels")]
    Empty {
        /// Number of images.
        n: usize,
        /// Height of each.
        height: usize,
        /// Width of each.
        width: usize,
    },
    /// A number of columns or a scale of 0.
    #[error("the {0} of a grid must be at least 1")]
    Zero(&'static str),
    /// The picture would be larger than any screen or viewer can show.
    #[error(
        "a grid of {n} images of {height} × {width} pixels at scale {scale} has too many pixels (at most {MOST_PIXELS})"
    )]
    TooLarge {
        /// Number of images.
        n: usize,
        /// Height of each.
        height: usize,
        /// Width of each.
        width: usize,
        /// Enlargement.
        scale: usize,
    },
    /// The bytes are no PNG picture.
    #[error("not a PNG picture: {0}")]
    Decode(#[from] png::DecodingError),
    /// The encoder refused the picture.
    #[error("cannot encode a PNG picture: {0}")]
    Encode(#[from] png::EncodingError),
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// An encoded picture and its size in pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Png {
    bytes: Vec<u8>,
    width: usize,
    height: usize,
}

impl Png {
    /// Encodes one grey image (H × W).
    ///
    /// # Errors
    /// An image without pixels, or too many.
    pub fn from_gray(image: ArrayView2<'_, u8>) -> Result<Self, ImageError> {
        let (height, width) = image.dim();
        if height == 0 || width == 0 {
            return Err(ImageError::Empty { n: 1, height, width });
        }
        match height.checked_mul(width) {
            Some(pixels) if pixels <= MOST_PIXELS => {}
            _ => return Err(ImageError::TooLarge { n: 1, height, width, scale: 1 }),
        }
        Self::encode(&image.iter().copied().collect::<Vec<u8>>(), (width, height), png::ColorType::Grayscale)
    }

    /// Encodes red, green and blue bytes, row by row.
    ///
    /// # Errors
    /// Sides that are 0, or other than the bytes say.
    pub(super) fn from_rgb(bytes: &[u8], width: u32, height: u32) -> Result<Self, ImageError> {
        Self::encode(bytes, (width as usize, height as usize), png::ColorType::Rgb)
    }

    /// Both sides fit in 32 bits: their product is bounded by whoever made the pixels.
    fn encode(pixels: &[u8], (width, height): (usize, usize), color: png::ColorType) -> Result<Self, ImageError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()?;
        Ok(Self { bytes, width, height })
    }

    /// Takes a picture that is already encoded, of any colour type; only its header is read.
    ///
    /// # Errors
    /// [`ImageError::Decode`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ImageError> {
        let reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info()?;
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        drop(reader);
        Ok(Self { bytes, width, height })
    }

    /// The encoded bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Writes the picture under a temporary name and renames it.
    ///
    /// # Errors
    /// [`WriteError`], which names the path.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        write_atomically(path, &self.bytes)
    }
}

/// How a grid is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Images in a row; as square as possible when `None`.
    pub columns: Option<usize>,
    /// Whole factor by which each pixel is enlarged.
    pub scale: usize,
    /// Width of the separators and of the frame, in pixels of the picture.
    pub padding: usize,
    /// Grey of separators, frame and empty places.
    pub separator: u8,
}

impl Default for Grid {
    /// As square as possible, enlarged twice, separated by 2 pixels of light grey.
    fn default() -> Self {
        Self { columns: None, scale: 2, padding: 2, separator: 216 }
    }
}

impl Grid {
    /// Rows and columns for `n` images.
    pub fn shape(&self, n: usize) -> (usize, usize) {
        let columns = self.columns.unwrap_or_else(|| n.isqrt() + usize::from(n.isqrt().pow(2) < n)).max(1);
        (n.div_ceil(columns), columns)
    }

    /// Draws the images (N × H × W) row by row.
    ///
    /// # Errors
    /// As [`Self::canvas`].
    pub fn draw(&self, images: ArrayView3<'_, u8>) -> Result<Png, ImageError> {
        Png::from_gray(self.canvas(images)?.view())
    }

    /// The same, not encoded.
    ///
    /// # Errors
    /// No images, no pixels, a zero option, or too large a picture.
    pub fn canvas(&self, images: ArrayView3<'_, u8>) -> Result<Array2<u8>, ImageError> {
        let (n, height, width) = images.dim();
        if n == 0 || height == 0 || width == 0 {
            return Err(ImageError::Empty { n, height, width });
        }
        if self.columns == Some(0) {
            return Err(ImageError::Zero("number of columns"));
        }
        if self.scale == 0 {
            return Err(ImageError::Zero("scale"));
        }
        let (rows, columns) = self.shape(n);
        let side = |count: usize, length: usize| {
            length
                .checked_mul(self.scale)
                .and_then(|l| l.checked_add(self.padding))
                .and_then(|l| l.checked_mul(count))
                .and_then(|l| l.checked_add(self.padding))
        };
        let too_large = ImageError::TooLarge { n, height, width, scale: self.scale };
        let (Some(all_height), Some(all_width)) = (side(rows, height), side(columns, width)) else {
            return Err(too_large);
        };
        if all_height.checked_mul(all_width).is_none_or(|pixels| pixels > MOST_PIXELS) {
            return Err(too_large);
        }
        let mut canvas = Array2::from_elem((all_height, all_width), self.separator);
        for (index, image) in images.outer_iter().enumerate() {
            let top = self.padding + (index / columns) * (height * self.scale + self.padding);
            let left = self.padding + (index % columns) * (width * self.scale + self.padding);
            for ((y, x), &value) in image.indexed_iter() {
                for row in 0..self.scale {
                    for column in 0..self.scale {
                        canvas[(top + y * self.scale + row, left + x * self.scale + column)] = value;
                    }
                }
            }
        }
        Ok(canvas)
    }

    /// Draws the images and writes them to a file that appears whole or not at all.
    ///
    /// # Errors
    /// As [`draw`](Self::draw), or [`WriteError`] with the path.
    pub fn write(&self, images: ArrayView3<'_, u8>, path: &Path) -> Result<(), ImageError> {
        Ok(self.draw(images)?.write(path)?)
    }
}

/// One row of a path figure: images of one process, in the order in which they are shown, each with a caption below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// What the row shows, for instance `forward: noise is multiplied in`.
    pub name: String,
    /// The images, N × H × W.
    pub images: Array3<u8>,
    /// A caption for each image, for instance `t = 0.5`; images without one stay bare.
    pub captions: Vec<String>,
}

impl Strip {
    /// One line for each image: the row's name, the image's caption, and its pixels (0 to 255) from the top left, row by row.
    #[must_use]
    pub fn csv(&self) -> String {
        let captions = self.captions.iter().map(String::as_str).chain(std::iter::repeat(""));
        self.images
            .outer_iter()
            .zip(captions)
            .map(|(image, caption)| {
                let values: String = image.iter().map(|value| format!(",{value}")).collect();
                format!("{},{}{values}\n", field(&self.name), field(caption))
            })
            .collect()
    }

    /// Each image as a picture of its own, so that text around it can be real text.
    ///
    /// # Errors
    /// No images, or images without pixels.
    pub fn pictures(&self) -> Result<Vec<Png>, ImageError> {
        let (n, height, width) = self.images.dim();
        if n == 0 || height == 0 || width == 0 {
            return Err(ImageError::Empty { n, height, width });
        }
        self.images.axis_iter(Axis(0)).map(Png::from_gray).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(png: &Png) -> (usize, usize, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png.bytes())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Grayscale, png::BitDepth::Eight));
        (info.width as usize, info.height as usize, pixels)
    }

    #[test]
    fn every_pixel_comes_back() {
        let images = Array3::from_shape_fn((5, 3, 4), |(n, y, x)| (n * 40 + y * 7 + x) as u8);
        let grid = Grid { columns: Some(3), scale: 3, padding: 2, separator: 200 };
        assert_eq!(grid.shape(5), (2, 3));
        let png = grid.draw(images.view()).unwrap();
        let (width, height, pixels) = decode(&png);
        assert_eq!((width, height), (2 + 3 * 14, 2 + 2 * 11));
        assert_eq!(png.size(), (width, height));
        for y in 0..height {
            for x in 0..width {
                let (in_y, in_x) = (y.wrapping_sub(2), x.wrapping_sub(2));
                let index = (in_y / 11) * 3 + in_x / 14;
                let inside = y >= 2 && x >= 2 && in_y % 11 < 9 && in_x % 14 < 12 && index < 5;
                let expected = if inside { images[(index, in_y % 11 / 3, in_x % 14 / 3)] } else { grid.separator };
                assert_eq!(pixels[y * width + x], expected, "({y}, {x})");
            }
        }
    }

    #[test]
    fn a_grid_is_as_square_as_possible() {
        let grid = Grid::default();
        for (n, shape) in [(1, (1, 1)), (2, (1, 2)), (9, (3, 3)), (10, (3, 4)), (64, (8, 8)), (65, (8, 9))] {
            assert_eq!(grid.shape(n), shape, "{n}");
        }
    }

    #[test]
    fn bad_grids_are_errors() {
        let grid = Grid::default();
        assert!(matches!(grid.draw(Array3::zeros((0, 2, 2)).view()), Err(ImageError::Empty { n: 0, .. })));
        assert!(matches!(grid.draw(Array3::zeros((2, 2, 0)).view()), Err(ImageError::Empty { width: 0, .. })));
        let images = Array3::zeros((2, 2, 2));
        let huge = Grid { scale: usize::MAX / 2, ..grid };
        assert!(matches!(huge.draw(images.view()), Err(ImageError::TooLarge { .. })));
        let large = Grid { scale: 100_000, ..grid };
        assert!(matches!(large.draw(images.view()), Err(ImageError::TooLarge { .. })));
        assert!(matches!(Grid { scale: 0, ..grid }.draw(images.view()), Err(ImageError::Zero("scale"))));
        let none = Grid { columns: Some(0), ..grid };
        assert!(matches!(none.draw(images.view()), Err(ImageError::Zero(_))));
        assert!(Png::from_bytes(b"no picture".to_vec()).is_err());
    }

    #[test]
    fn a_file_holds_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let images = Array3::from_elem((4, 2, 2), 9);
        let path = folder.path().join("grid.png");
        Grid::default().write(images.view(), &path).unwrap();
        let read = Png::from_bytes(std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read, Grid::default().draw(images.view()).unwrap());
        let missing = folder.path().join("no").join("grid.png");
        let error = Grid::default().write(images.view(), &missing).unwrap_err().to_string();
        assert!(error.contains("grid.png"), "{error}");
    }

    #[test]
    fn a_strip_keeps_its_images_apart() {
        let images = Array3::from_shape_fn((3, 2, 2), |(n, y, x)| (n * 4 + y * 2 + x) as u8);
        let strip = Strip { name: "forward".into(), images, captions: vec![] };
        let pictures = strip.pictures().unwrap();
        assert_eq!(decode(&pictures[2]), (2, 2, vec![8, 9, 10, 11]));
        assert!(Strip { images: Array3::zeros((0, 2, 2)), ..strip }.pictures().is_err());
    }
}
