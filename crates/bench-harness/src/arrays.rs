//! Images as compressed `.npz` files, as numpy reads them.

use std::path::Path;

use anyhow::{Context, Result};
use models::write::write_atomically;
use ndarray::{Array1, Array3};
use ndarray_npy::{NpzReader, NpzWriter};

/// Writes images as `images` (N × H × W, u8) into a compressed `.npz`.
///
/// # Errors
/// If it cannot be written; nothing is left half-written.
pub fn write_npz(path: &Path, images: &Array3<u8>) -> Result<()> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut npz = NpzWriter::new_compressed(&mut bytes);
    npz.add_array("images", images)?;
    npz.add_array("index", &Array1::from_iter(0..images.dim().0 as u64))?;
    npz.finish()?;
    Ok(write_atomically(path, &bytes.into_inner())?)
}

/// Reads what [`write_npz`] wrote.
///
/// # Errors
/// If the file is missing, damaged or holds something else.
pub fn read_npz(path: &Path) -> Result<Array3<u8>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut npz = NpzReader::new(file).with_context(|| path.display().to_string())?;
    npz.by_name("images").with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_back_and_a_cut_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let images = Array3::from_shape_fn((3, 5, 4), |(n, i, j)| (n * 20 + i * 4 + j) as u8);
        write_npz(&path, &images).unwrap();
        assert_eq!(read_npz(&path).unwrap(), images);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(format!("{:#}", read_npz(&path).unwrap_err()).contains("a.npz"));
    }
}
