//! From files in folders, or a server, to a data set; and every way in which that is refused.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::config::{GlyphsConfig, SubsetConfig};
use super::super::fetch::{FetchOptions, ProxyUse};
use super::super::idx::tests::{gzip, idx_bytes};
use super::super::idx::{IMAGE_MAGIC, LABEL_MAGIC};
use super::super::status::{Depth, FileState, status, status_all};
use super::super::test_server::{Reply, Server};
use super::*;

fn go(_: super::super::fetch::Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn offline(dir: &Path) -> Search {
    Search {
        data_dir: Some(dir.to_owned()),
        policy: FetchPolicy::Never,
        fetch: FetchOptions { proxy: ProxyUse::Direct, ..FetchOptions::default() },
        ..Search::default()
    }
}

/// Writes a subset of `n` images and `m` labels and returns its configuration.
fn write_subset(folder: &Path, n: u32, m: u32) -> DataConfig {
    fs::create_dir_all(folder).unwrap();
    let images = gzip(&idx_bytes(IMAGE_MAGIC, &[n, 2, 2], &vec![7; 4 * n as usize]));
    let labels = gzip(&idx_bytes(LABEL_MAGIC, &[m], &vec![3; m as usize]));
    fs::write(folder.join("a.gz"), &images).unwrap();
    fs::write(folder.join("b.gz"), &labels).unwrap();
    let subset = SubsetConfig {
        label: "a few".into(),
        train_images: "a.gz".into(),
        train_images_sha256: sha256_hex(&images),
        train_labels: "b.gz".into(),
        train_labels_sha256: sha256_hex(&labels),
    };
    DataConfig { subset: Some(subset), ..DataConfig::named("kmnist") }
}

fn split(config: &DataConfig, search: &Search) -> Result<ImageSet, DataError> {
    let wanted = config.wanted()?;
    let places: Vec<Found> = wanted[..2].iter().map(|f| search.find(&config.name, f).unwrap()).collect();
    read_split((&wanted[0], &places[0]), (&wanted[1], &places[1]), &mut Vec::new())
}

#[test]
fn offline_without_data_one_error_names_files_checksums_and_folders() {
    let (given, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let search = Search { cache_dir: Some(cache.path().into()), ..offline(given.path()) };
    let config = DataConfig::named("mnist");
    let text = load(&config, &search, &mut go).unwrap_err().to_string();
    for file in config.wanted().unwrap() {
        assert!(text.contains(&file.name) && text.contains(file.checksum.hex()), "{text}");
    }
    let put = format!("put them into: {}", given.path().join("mnist").display());
    assert!(text.contains(&put), "{text}");
    assert!(text.contains(&cache.path().join("mnist").display().to_string()), "{text}");
    assert!(text.contains("offline"), "{text}");

    let nowhere = Search { policy: FetchPolicy::Never, ..Search::default() };
    let text = load(&config, &nowhere, &mut go).unwrap_err().to_string();
    assert!(text.contains("--data-dir") && text.contains("DALE_DATA_DIR"), "{text}");
}

#[test]
fn folders_are_searched_in_order_and_empty_paths_count_as_not_given() {
    let search = Search {
        data_dir: Some("a".into()),
        env_dir: Some("b".into()),
        cache_dir: Some("c".into()),
        ..Search::default()
    };
    assert_eq!(search.folders("mnist"), ["a/mnist", "b/mnist", "c/mnist"].map(PathBuf::from));
    let search = Search { env_dir: Some("a".into()), ..search };
    assert_eq!(search.folders("mnist"), ["a/mnist", "c/mnist"].map(PathBuf::from));
    let search = Search::new(Some("".into()), Some("b".into()), FetchPolicy::Never);
    assert_eq!(search.folders("x")[0], PathBuf::from("b/x"));
    assert_eq!(search.cache_dir, super::super::locate::user_cache());

    // The first folder that has the file wins; a file is looked for in each.
    let (a, b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let file = &DataConfig::named("mnist").wanted().unwrap()[0];
    let search = Search { data_dir: Some(a.path().into()), env_dir: Some(b.path().into()), ..Search::default() };
    assert_eq!(search.find("mnist", file), None);
    for dir in [&b, &a] {
        let folder = dir.path().join("mnist");
        fs::create_dir(&folder).unwrap();
        let raw = folder.join("train-images-idx3-ubyte");
        fs::write(&raw, b"").unwrap();
        let found = search.find("mnist", file).unwrap();
        assert_eq!((&found.path, Some(&found.checksum)), (&raw, file.raw_checksum.as_ref()));
        let packed = folder.join(&file.name);
        fs::write(&packed, b"").unwrap();
        let found = search.find("mnist", file).unwrap();
        assert_eq!((&found.path, &found.checksum), (&packed, &file.checksum));
    }
}

#[test]
fn a_wrong_checksum_is_refused_and_the_file_kept() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("kmnist");
    let config = write_subset(&folder, 3, 3);
    let path = folder.join("a.gz");
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let text = split(&config, &offline(dir.path())).unwrap_err().to_string();
    let expected = config.subset.clone().unwrap().train_images_sha256;
    for part in [path.to_str().unwrap(), expected.as_str(), &sha256_hex(&bytes), "dale data fetch"] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_subset_is_read_and_its_counts_must_agree() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("kmnist");
    let config = write_subset(&folder, 3, 3);
    let set = split(&config, &offline(dir.path())).unwrap();
    assert_eq!((set.len(), set.size(), set.label_counts()[3]), (3, (2, 2), 3));
    let config = write_subset(&folder, 3, 2);
    let text = split(&config, &offline(dir.path())).unwrap_err().to_string();
    for part in ["a.gz", "b.gz", "3 images", "2 labels"] {
        assert!(text.contains(part), "{part} not in {text}");
    }
}

#[test]
fn a_missing_subset_file_is_named_even_where_downloading_is_allowed() {
    let dir = TempDir::new().unwrap();
    let config = write_subset(&dir.path().join("kmnist"), 3, 3);
    fs::remove_file(dir.path().join("kmnist/a.gz")).unwrap();
    let search = Search { policy: FetchPolicy::Allow, ..offline(dir.path()) };
    let error = load(&config, &search, &mut go).unwrap_err();
    let DataError::Missing(missing) = &error else { panic!("{error}") };
    assert_eq!(missing.files.len(), 1);
    assert_eq!(missing.title, "kmnist (subset: a few)");
    assert!(error.to_string().contains("a.gz"), "{error}");
}

#[test]
fn a_failed_download_names_files_checksums_folder_and_every_mirror() {
    let (given, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let server = Server::start(vec![Reply::Status(403)]);
    let search = Search {
        cache_dir: Some(cache.path().into()),
        policy: FetchPolicy::Allow,
        mirrors: vec![server.url("a"), server.url("b/")],
        ..offline(given.path())
    };
    let config = DataConfig::named("mnist");
    let error = load(&config, &search, &mut go).unwrap_err();
    assert!(matches!(error, DataError::Download { .. }), "{error}");
    let text = error.to_string();
    for file in config.wanted().unwrap() {
        assert!(text.contains(&file.name) && text.contains(file.checksum.hex()), "{text}");
    }
    let url = server.url("b/mnist/train-images-idx3-ubyte.gz");
    for part in [&url, "403", given.path().join("mnist").to_str().unwrap()] {
        assert!(text.contains(part), "{part} not in {text}");
    }

    let stop = &mut |_: super::super::fetch::Progress<'_>| ControlFlow::Break(());
    let error = load(&config, &search, stop).unwrap_err();
    assert!(matches!(error, DataError::Cancelled(_)), "{error}");
}

#[test]
fn status_tells_present_verified_wrong_and_missing() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("kmnist");
    let config = write_subset(&folder, 3, 3);
    fs::write(folder.join("b.gz"), b"other").unwrap();
    let states = |depth| -> Vec<FileState> {
        let table = status(&config, &offline(dir.path()), depth).unwrap();
        assert!(!table.usable && !table.generated && table.subset.is_some());
        table.files.into_iter().map(|f| f.state).collect()
    };
    use FileState::{Missing, Present, Verified, WrongChecksum};
    assert_eq!(states(Depth::Presence), [Present, Present, Missing, Missing]);
    let found = Checksum::Sha256(sha256_hex(b"other"));
    assert_eq!(states(Depth::Checksums), [Verified, WrongChecksum { found }, Missing, Missing]);

    let all = status_all(&offline(dir.path()), Depth::Presence).unwrap();
    let names: Vec<_> = all.iter().map(|d| (d.name.as_str(), d.usable)).collect();
    let expected = [("mnist", false), ("fashion-mnist", false), ("kmnist", false), ("glyphs", true)];
    assert_eq!(names, expected);
    let json = serde_json::to_value(&all).unwrap();
    assert_eq!(json[0]["files"][0]["state"], "missing");
    assert_eq!(json[0]["files"][0]["role"], "train-images");
}

#[test]
fn glyphs_need_no_file_and_say_what_they_are() {
    let glyphs = Some(GlyphsConfig { seed: 4, train: 30, test: 20 });
    let config = DataConfig { glyphs, ..DataConfig::named("glyphs") };
    let nowhere = Search { policy: FetchPolicy::Never, ..Search::default() };
    let set = load(&config, &nowhere, &mut go).unwrap();
    assert_eq!((set.train.len(), set.test.len(), set.train.size()), (30, 20, (28, 28)));
    assert!(set.is_generated() && set.title() == "glyphs" && set.checksums.len() == 2);
}

#[test]
fn an_unknown_name_is_refused_before_any_folder_is_searched() {
    let error = load(&DataConfig::named("minst"), &Search::default(), &mut go).unwrap_err();
    assert!(matches!(error, DataError::UnknownDataset { .. }), "{error}");
}

/// The published files, where this machine has them (`DALE_DATA_DIR`): label counts as published.
#[test]
fn published_files_load_where_they_are_at_hand() {
    let Some(dir) = std::env::var_os("DALE_DATA_DIR") else {
        return;
    };
    let search = offline(Path::new(&dir));
    let config = DataConfig::named("mnist");
    if !status(&config, &search, Depth::Presence).unwrap().usable {
        return;
    }
    let set = load(&config, &search, &mut go).unwrap();
    assert_eq!((set.train.len(), set.test.len(), set.train.size()), (60_000, 10_000, (28, 28)));
    let train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    assert_eq!(set.train.label_counts(), train);
    assert_eq!(set.checksums.len(), 4);
    assert_eq!(set.checksums[0].1, config.wanted().unwrap()[0].checksum.hex());

    // Downloaded into an empty cache, it is the same data set again.
    let cache = TempDir::new().unwrap();
    let files = config.wanted().unwrap();
    let good = |f: &WantedFile| Reply::Good(fs::read(search.find("mnist", f).unwrap().path).unwrap());
    let server = Server::start(files.iter().map(good).collect());
    let online = Search {
        cache_dir: Some(cache.path().into()),
        policy: FetchPolicy::Allow,
        mirrors: vec![server.url("")],
        fetch: search.fetch.clone(),
        ..Search::default()
    };
    let fetched = load(&config, &online, &mut go).unwrap();
    assert!(fetched.train == set.train && fetched.checksums == set.checksums);
    let Origin::Files { downloaded, .. } = &fetched.origin else { panic!("{:?}", fetched.origin) };
    assert_eq!(downloaded.len(), 4);

    // The uncompressed file is the same data set, checksums included.
    let raw_dir = TempDir::new().unwrap();
    let folder = raw_dir.path().join("mnist");
    fs::create_dir(&folder).unwrap();
    for file in config.wanted().unwrap() {
        let packed = fs::read(search.find("mnist", &file).unwrap().path).unwrap();
        let mut raw = Vec::new();
        std::io::copy(&mut flate2::read::GzDecoder::new(&packed[..]), &mut raw).unwrap();
        fs::write(folder.join(file.raw_name().unwrap()), raw).unwrap();
    }
    let from_raw = load(&config, &offline(raw_dir.path()), &mut go).unwrap();
    assert_eq!(from_raw.checksums, set.checksums);
    assert!(from_raw.train == set.train && from_raw.test == set.test);
}
