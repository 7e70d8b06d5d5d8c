//! From a `[data]` table to a checked data set: find or download, verify, decode, cross-check.

use super::catalog;
use super::config::{DataConfig, WantedFile};
use super::digest::{Checksum, sha256_hex};
use super::error::{DataError, MissingFiles};
use super::fetch::{FetchError, OnProgress, fetch_file};
use super::glyphs;
use super::idx::{IdxError, parse_images, parse_labels};
use super::locate::{FetchPolicy, Found, Search};
use super::own;
use super::set::{Dataset, ImageSet, Origin};

/// Loads the data set that `config` names; missing files are downloaded where `search.policy` allows it.
///
/// `on_progress` hears of every download and can stop it. Every file is read once, and its checksum compared
/// before it is decoded.
///
/// # Errors
/// [`DataError`], each naming the files concerned. No file is changed or deleted, apart from unfinished downloads.
pub fn load(config: &DataConfig, search: &Search, on_progress: &mut OnProgress<'_>) -> Result<Dataset, DataError> {
    let wanted = config.wanted()?;
    if let Some(own) = &config.own {
        return own::load(&config.name, own);
    }
    if catalog::lookup(&config.name)?.is_none() {
        return Ok(glyphs::generate(&config.glyphs.clone().unwrap_or_default()));
    }
    let downloaded = fetch_missing(config, search, on_progress)?;
    let mut found = Vec::with_capacity(wanted.len());
    for file in &wanted {
        let place = search
            .find(&config.name, file)
            .ok_or_else(|| missing(config, search, vec![file.clone()], "a file vanished while it was being loaded"))?;
        found.push(place);
    }
    let [train_images, train_labels, test_images, test_labels] = &found[..] else {
        // `wanted` lists the four roles of every published data set.
        return Err(missing(config, search, wanted, "the catalogue entry is incomplete"));
    };
    let mut checksums = Vec::with_capacity(4);
    let train = read_split((&wanted[0], train_images), (&wanted[1], train_labels), &mut checksums)?;
    let test = read_split((&wanted[2], test_images), (&wanted[3], test_labels), &mut checksums)?;
    if train.size() != test.size() {
        return Err(DataError::Sizes {
            train_file: train_images.path.clone(),
            train: train.size(),
            test_file: test_images.path.clone(),
            test: test.size(),
        });
    }
    Ok(Dataset {
        name: config.name.clone(),
        subset: config.subset.as_ref().map(|s| s.label.clone()),
        train,
        test,
        checksums,
        origin: Origin::Files { paths: found.into_iter().map(|f| f.path).collect(), downloaded },
    })
}

/// Downloads what is missing of `config` into the cache folder; returns the names of the files that came.
///
/// # Errors
/// [`DataError::Missing`] where downloading is off or not possible, [`DataError::Download`] with every mirror and
/// its reason, [`DataError::Cancelled`].
pub fn fetch_missing(
    config: &DataConfig,
    search: &Search,
    on_progress: &mut OnProgress<'_>,
) -> Result<Vec<String>, DataError> {
    let mut absent: Vec<WantedFile> = config.wanted()?;
    absent.retain(|file| search.find(&config.name, file).is_none());
    for file in &mut absent {
        file.urls = search.urls(&config.name, file);
    }
    if absent.is_empty() {
        return Ok(Vec::new());
    }
    if search.policy == FetchPolicy::Never {
        return Err(missing(config, search, absent, "downloading is off (offline)"));
    }
    if absent.iter().any(|file| file.urls.is_empty()) {
        absent.retain(|file| file.urls.is_empty());
        let reason = "these files belong to a registered subset and are not published for download";
        return Err(missing(config, search, absent, reason));
    }
    let Some(folder) = search.download_folder(&config.name) else {
        let reason = "there is no cache folder to download into";
        return Err(missing(config, search, absent, reason));
    };
    let mut names = Vec::with_capacity(absent.len());
    while let Some(file) = absent.first() {
        match fetch_file(file, &folder, &search.fetch, on_progress) {
            Ok(_) => names.push(absent.remove(0).name),
            Err(error @ FetchError::Cancelled { .. }) => return Err(DataError::Cancelled(error)),
            Err(source) => {
                let missing = lack(config, search, absent, "downloading failed");
                return Err(DataError::Download { missing, source });
            }
        }
    }
    Ok(names)
}

fn missing(config: &DataConfig, search: &Search, files: Vec<WantedFile>, reason: &str) -> DataError {
    DataError::Missing(lack(config, search, files, reason))
}

fn lack(config: &DataConfig, search: &Search, files: Vec<WantedFile>, reason: &str) -> Box<MissingFiles> {
    let searched = search.folders(&config.name);
    Box::new(MissingFiles {
        title: config.title(),
        files,
        // The folder named most explicitly.
        folder: searched.first().cloned(),
        searched,
        reason: reason.to_owned(),
        instead: None,
    })
}

fn read_split(
    images: (&WantedFile, &Found),
    labels: (&WantedFile, &Found),
    checksums: &mut Vec<(String, String)>,
) -> Result<ImageSet, DataError> {
    let bytes = images.1.read()?;
    let pixels = parse_images(&images.1.path, &bytes)?;
    checksums.push((images.0.name.clone(), identity(images.0, &bytes)));
    let bytes = labels.1.read()?;
    let classes = parse_labels(&labels.1.path, &bytes)?;
    checksums.push((labels.0.name.clone(), identity(labels.0, &bytes)));
    if pixels.dim().0 != classes.len() {
        return Err(DataError::Idx(IdxError::Counts {
            images_file: images.1.path.clone(),
            images: pixels.dim().0,
            labels_file: labels.1.path.clone(),
            labels: classes.len(),
        }));
    }
    Ok(ImageSet { images: pixels, labels: classes })
}

/// The SHA-256 that stands for verified content, the same for the compressed and the uncompressed form.
fn identity(file: &WantedFile, verified: &[u8]) -> String {
    match &file.checksum {
        Checksum::Sha256(hex) => hex.clone(),
        Checksum::Md5(_) => sha256_hex(verified),
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
