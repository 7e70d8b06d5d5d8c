//! One side of a comparison: images from wherever they lie, or the moments of their features.

use std::any::type_name;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use metrics::{Fingerprint, Moments};
use models::write::write_atomically;
use ndarray::{Array1, Array2, Array3, Array4, ArrayD, Axis, Ix3, Ix4};
use ndarray_npy::{NpzWriter, ReadNpyError, ReadNpyExt, ReadableElement};
use zip::ZipArchive;

use crate::data::digest::sha256_hex_of_parts;
use crate::data::idx::parse_images;

/// Endings of pictures that are not read.
const OTHER_PICTURES: [&str; 7] = ["jpg", "jpeg", "gif", "bmp", "tif", "tiff", "webp"];

/// Name of our mark in a file of statistics.
const MARK: &str = "dale";

/// Images N × H × W × C as bytes, or moments in pytorch-fid's form.
#[derive(Clone, Debug)]
pub enum Source {
    /// Images.
    Images(Array4<u8>),
    /// Moments of features.
    Statistics(Box<Statistics>),
}

impl Source {
    /// The first digits of a SHA-256 of the images or moments: what tells references of one name apart.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = match self {
            Self::Images(images) => {
                let (shape, bytes) = (format!("{:?}", images.dim()), images.as_standard_layout());
                sha256_hex_of_parts([shape.as_bytes(), bytes.as_slice().unwrap_or_default()])
            }
            Self::Statistics(found) => {
                let numbers = found.moments.mean().iter().chain(found.moments.cov());
                let bytes: Vec<u8> = numbers.flat_map(|v| v.to_le_bytes()).collect();
                sha256_hex_of_parts([bytes.as_slice()])
            }
        };
        hash.truncate(8);
        hash
    }
}

/// Mean (`mu`) and covariance (`sigma`) of features in pytorch-fid's form.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// The moments; of an unknown number of images where nobody says whose they are.
    pub moments: Moments,
    /// Network, preparation and number of images, which our files say (`dale`, JSON as bytes) and others do not.
    pub made_by: Option<Fingerprint>,
}

impl Source {
    /// Reads a folder of PNG pictures, a run's folder, an `.npz` or `.npy` array of bytes, an idx file (also compressed), or a file of
    /// statistics (`.npz` with `mu` and `sigma`).
    ///
    /// # Errors
    /// If nothing is there, a file is damaged, or pictures differ in size; names the file.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        if path.is_dir() {
            let samples = path.join("samples.npz");
            return if samples.is_file() { Self::read(&samples) } else { pictures(path) };
        }
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match ending {
            "npz" => npz(path),
            "npy" => {
                let bytes = std::fs::read(path).with_context(|| name.to_string())?;
                images(array(&bytes).with_context(|| name.to_string())?).with_context(|| name.to_string())
            }
            _ if path.is_file() => {
                let bytes = std::fs::read(path).with_context(|| name.to_string())?;
                Ok(Self::Images(parse_images(path, &bytes)?.insert_axis(Axis(3))))
            }
            _ => bail!("{name}: no such file or folder"),
        }
    }
}

/// N × H × W or N × H × W × C.
fn images(array: ArrayD<u8>) -> Result<Source> {
    let shape = array.shape().to_vec();
    let found = match array.ndim() {
        3 => array.into_dimensionality::<Ix3>()?.insert_axis(Axis(3)),
        4 => array.into_dimensionality::<Ix4>()?,
        _ => bail!("an array of shape {shape:?}; images are N × H × W or N × H × W × C"),
    };
    if found.is_empty() {
        bail!("no images: an array of shape {shape:?}");
    }
    if found.dim().3 > 4 {
        bail!("an array of shape {shape:?}; images are N × H × W or N × H × W × C with at most 4 channels");
    }
    Ok(Source::Images(found))
}

/// An array in numpy's form. Its header is believed only as far as there are bytes: a damaged one asks for any amount of memory.
fn array<T: ReadableElement>(bytes: &[u8]) -> Result<ArrayD<T>> {
    let claimed = claimed(bytes).context("not an array in numpy's form, or a damaged one")?;
    let most = bytes.len() / size_of::<T>();
    if claimed > most {
        bail!("cut short: {claimed} numbers are announced, and there is room for {most}");
    }
    ArrayD::<T>::read_npy(bytes).map_err(|error| match error {
        ReadNpyError::WrongDescriptor(found) => anyhow!("an array of {found}, not of {}", type_name::<T>()),
        other => anyhow!(other),
    })
}

/// How many numbers the header of an array announces.
fn claimed(bytes: &[u8]) -> Option<usize> {
    let head = bytes.strip_prefix(b"\x93NUMPY")?;
    let text = String::from_utf8_lossy(&head[..head.len().min(1 << 16)]);
    let (_, shape) = text.split_once("'shape':")?;
    let (shape, _) = shape.trim_start().strip_prefix('(')?.split_once(')')?;
    let mut lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
    lengths.try_fold(1_usize, |product, length| product.checked_mul(length.parse().ok()?))
}

fn npz(path: &Path) -> Result<Source> {
    let name = path.display();
    let file = File::open(path).with_context(|| name.to_string())?;
    let mut archive = ZipArchive::new(file).map_err(|_| anyhow!("{name}: not an .npz archive, or a damaged one"))?;
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let has = |key: &str| names.iter().any(|n| n.trim_end_matches(".npy") == key);
    let mut entry = |key: &str| -> Result<Vec<u8>> {
        let full = names.iter().find(|n| n.trim_end_matches(".npy") == key).map_or(key, String::as_str);
        let mut bytes = Vec::new();
        let mut entry = archive.by_name(full).map_err(|e| anyhow!("{name}: {key}: {e}"))?;
        entry.read_to_end(&mut bytes).with_context(|| format!("{name}: {key}"))?;
        Ok(bytes)
    };
    if has("mu") && has("sigma") {
        let mut numbers = |key: &str| -> Result<ArrayD<f64>> {
            let bytes = entry(key)?;
            // Some tools write single precision.
            array::<f64>(&bytes)
                .or_else(|error| array::<f32>(&bytes).map(|found| found.mapv(f64::from)).map_err(|_| error))
                .with_context(|| format!("{name}: {key}"))
        };
        let mu: Array1<f64> = numbers("mu")?.into_dimensionality().with_context(|| format!("{name}: mu"))?;
        let sigma: Array2<f64> = numbers("sigma")?.into_dimensionality().with_context(|| format!("{name}: sigma"))?;
        if sigma.dim() != (mu.len(), mu.len()) {
            bail!("{name}: mu has {} numbers and sigma is {:?}", mu.len(), sigma.dim());
        }
        let made_by = if has(MARK) {
            let bytes = array::<u8>(&entry(MARK)?).with_context(|| format!("{name}: {MARK}"))?.into_iter();
            let bytes: Vec<u8> = bytes.collect();
            let print: Fingerprint = serde_json::from_slice(&bytes).with_context(|| format!("{name}: {MARK}"))?;
            Some(print)
        } else {
            None
        };
        // The distance does not depend on the number of images; other tools do not write it.
        let n = made_by.as_ref().map_or(mu.len() + 1, |print| print.n_samples);
        let moments = Moments::new(n, mu, sigma).with_context(|| name.to_string())?;
        return Ok(Source::Statistics(Box::new(Statistics { moments, made_by })));
    }
    let key = ["images", "arr_0"].into_iter().find(|key| has(key));
    let key =
        key.with_context(|| format!("{name}: neither `images`, `arr_0` nor `mu` and `sigma`; it has {names:?}"))?;
    images(array(&entry(key)?).with_context(|| format!("{name}: {key}"))?).with_context(|| name.to_string())
}

/// All PNG pictures of a folder, in the order of their names.
fn pictures(folder: &Path) -> Result<Source> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.with_context(|| folder.display().to_string())?;
    let ends_in = |path: &PathBuf, endings: &[&str]| {
        path.extension().is_some_and(|e| endings.iter().any(|ending| e.eq_ignore_ascii_case(ending)))
    };
    let others = paths.iter().filter(|path| ends_in(path, &OTHER_PICTURES)).count();
    if others > 0 {
        tracing::warn!("{}: {others} pictures that are not PNG are left out", folder.display());
    }
    paths.retain(|path| ends_in(path, &["png"]));
    paths.sort();
    let Some(first) = paths.first() else {
        bail!("{}: no PNG pictures and no samples.npz are there", folder.display())
    };
    let one = picture(first)?;
    let (h, w, c) = one.dim();
    let mut bytes = Vec::with_capacity(paths.len() * h * w * c);
    for path in &paths {
        let image = picture(path)?;
        if image.dim() != (h, w, c) {
            let (a, b) = (path.display(), first.display());
            bail!(
                "{a} is {:?} (height, width, channels), but {b} is {:?}: pictures must be of one size",
                image.dim(),
                (h, w, c)
            );
        }
        bytes.extend(image);
    }
    Ok(Source::Images(Array4::from_shape_vec((paths.len(), h, w, c), bytes)?))
}

/// A picture of 8 bits, H × W × C.
fn picture(path: &Path) -> Result<Array3<u8>> {
    let name = path.display();
    let file = std::io::BufReader::new(File::open(path).with_context(|| name.to_string())?);
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().with_context(|| format!("{name}: not a PNG picture"))?;
    let size = reader.output_buffer_size().with_context(|| format!("{name}: too large"))?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).with_context(|| format!("{name}: damaged"))?;
    bytes.truncate(info.buffer_size());
    let channels = info.color_type.samples();
    Ok(Array3::from_shape_vec((info.height as usize, info.width as usize, channels), bytes)?)
}

impl Statistics {
    /// Writes them as pytorch-fid does, `mu` and `sigma`, with our mark beside them, which other tools do not look at.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut npz = NpzWriter::new(&mut bytes);
        npz.add_array("mu", self.moments.mean())?;
        npz.add_array("sigma", self.moments.cov())?;
        if let Some(made_by) = &self.made_by {
            npz.add_array(MARK, &Array1::from(serde_json::to_vec(made_by)?))?;
        }
        npz.finish()?;
        Ok(write_atomically(path, &bytes.into_inner())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extractor::{Extractor, Shape};
    use crate::report::image::Png;

    fn message(path: &Path) -> String {
        format!("{:#}", Source::read(path).unwrap_err())
    }

    #[test]
    fn pictures_of_a_folder_are_read_in_order_and_must_be_of_one_size() {
        let folder = tempfile::tempdir().unwrap();
        assert!(message(folder.path()).contains("no PNG pictures"));
        let grey = |value: u8, size: usize| Png::from_gray(Array2::from_elem((size, 3), value).view()).unwrap();
        grey(7, 2).write(&folder.path().join("b.png")).unwrap();
        grey(9, 2).write(&folder.path().join("a.png")).unwrap();
        let Source::Images(images) = Source::read(folder.path()).unwrap() else { panic!("no images") };
        assert_eq!((images.dim(), images[[0, 0, 0, 0]], images[[1, 1, 2, 0]]), ((2, 2, 3, 1), 9, 7));
        grey(9, 4).write(&folder.path().join("c.png")).unwrap();
        assert!(message(folder.path()).contains("c.png") && message(folder.path()).contains("one size"));
        std::fs::write(folder.path().join("c.png"), b"\x89PNG\r\n\x1a\nhalf").unwrap();
        assert!(message(folder.path()).contains("c.png"));
    }

    #[test]
    fn statistics_come_back_and_other_files_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let mean = Array1::from(vec![1.0, 2.0]);
        let cov = Array2::from_diag(&Array1::from(vec![3.0, 4.0]));
        let print = Extractor::Pixels.fingerprint(Shape { h: 1, w: 2, c: 1 }, 10, 0, String::new());
        for made_by in [None, Some(print)] {
            let moments = Moments::new(10, mean.clone(), cov.clone()).unwrap();
            Statistics { moments, made_by: made_by.clone() }.write(&path).unwrap();
            let Source::Statistics(found) = Source::read(&path).unwrap() else { panic!("no statistics") };
            assert!(found.moments.mean() == mean && found.moments.cov() == cov && found.made_by == made_by);
        }
        // Half of it, and an array that says that it is larger than any memory.
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(message(&path).contains("a.npz"));
        let array = folder.path().join("a.npy");
        let head = format!("{:<117}\n", "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 28, 28), }");
        std::fs::write(&array, [b"\x93NUMPY\x01\x00\x76\x00", head.as_bytes(), &[0; 784]].concat()).unwrap();
        assert!(message(&array).contains("a.npy: cut short: 784000000000000 numbers"), "{}", message(&array));
        std::fs::write(&path, b"PK nothing").unwrap();
        assert!(message(&path).contains("a.npz"));
        assert!(message(&folder.path().join("b")).contains("no such file or folder"));
    }
}
