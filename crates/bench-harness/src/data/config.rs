//! The `[data]` table of an experiment, and the list of files that it asks for.
//!
//! ```toml
//! [data]
//! name = "kmnist"
//!
//! [data.subset]                     # only where the published training files are not used
//! label = "first 7,011 of 60,000"   # printed wherever its numbers appear
//! train_images = "train-first7011-images-idx3-ubyte.gz"
//! train_images_sha256 = "60de…"
//! train_labels = "train-first7011-labels-idx1-ubyte.gz"
//! train_labels_sha256 = "d969…"
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalog::{self, Role};
use super::digest::Checksum;
use super::error::DataError;
use super::own::OwnConfig;

/// Which data set an experiment uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// One of [`catalog::names`], or any other with `own`.
    pub name: String,
    /// Other training files in the data set's folder, with their own checksums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<SubsetConfig>,
    /// Seed and sizes of the generated `glyphs`; not allowed with another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glyphs: Option<GlyphsConfig>,
    /// Images of one's own, under a name that no published data set has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnConfig>,
}

/// A training split that is not a published one. The test split stays the published one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubsetConfig {
    /// What it is, for people: printed wherever its numbers appear.
    pub label: String,
    /// File name of the training images in the data set's folder.
    pub train_images: String,
    /// SHA-256 of that file, 64 hexadecimal digits.
    pub train_images_sha256: String,
    /// File name of the training labels in the data set's folder.
    pub train_labels: String,
    /// SHA-256 of that file, 64 hexadecimal digits.
    pub train_labels_sha256: String,
}

/// What to draw for `glyphs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GlyphsConfig {
    /// Every image is a function of (seed, split, index).
    pub seed: u64,
    /// Number of training images, at least 1.
    pub train: usize,
    /// Number of test images, at least 1.
    pub test: usize,
}

impl Default for GlyphsConfig {
    /// MNIST's sizes, seed 0.
    fn default() -> Self {
        Self { seed: 0, train: 60_000, test: 10_000 }
    }
}

/// One file that a data set needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WantedFile {
    /// What it holds.
    pub role: Role,
    /// Its name in the data set's folder.
    pub name: String,
    /// Its length in bytes, where published.
    pub bytes: Option<u64>,
    /// What its content must be.
    pub checksum: Checksum,
    /// SHA-256 of the uncompressed form, which is accepted under the name without `.gz` where this is known.
    pub raw_checksum: Option<Checksum>,
    /// Where it can be downloaded, tried in order; empty for a file that nobody publishes.
    pub urls: Vec<String>,
}

impl WantedFile {
    /// The name of the uncompressed form, where that form can be checked.
    pub fn raw_name(&self) -> Option<&str> {
        self.raw_checksum.as_ref().and_then(|_| self.name.strip_suffix(".gz"))
    }
}

impl DataConfig {
    /// The whole published data set called `name` (or `glyphs` with its defaults).
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), subset: None, glyphs: None, own: None }
    }

    /// Name for tables and plots: with a subset, `kmnist (subset: first 7,011 of 60,000)`.
    pub fn title(&self) -> String {
        title(&self.name, self.subset.as_ref().map(|s| s.label.as_str()))
    }

    /// The files that this data set needs, in the order of [`Role`]; none for `glyphs`.
    ///
    /// # Errors
    /// [`DataError::UnknownDataset`] and [`DataError::Config`]. Does not look at the disk: use it to check a
    /// configuration early.
    pub fn wanted(&self) -> Result<Vec<WantedFile>, DataError> {
        if self.own.is_some() {
            return self.check_own().map(|()| Vec::new());
        }
        let Some(entry) = catalog::lookup(&self.name)? else {
            return self.check_glyphs().map(|()| Vec::new());
        };
        if self.glyphs.is_some() {
            return Err(config_error(
                "data.glyphs",
                format!("it belongs to the data set `glyphs` and was given with `{}`", self.name),
            ));
        }
        let mut files: Vec<WantedFile> = entry
            .files
            .iter()
            .map(|file| WantedFile {
                role: file.role,
                name: file.name.to_owned(),
                bytes: file.bytes,
                checksum: file.checksum(),
                raw_checksum: file.raw_sha256.map(|hex| Checksum::Sha256(hex.to_owned())),
                urls: entry.mirrors.iter().map(|m| format!("{m}{}", file.name)).collect(),
            })
            .collect();
        if let Some(subset) = &self.subset {
            files[0] = subset.images()?;
            files[1] = subset.labels()?;
        }
        Ok(files)
    }

    fn check_own(&self) -> Result<(), DataError> {
        if catalog::names().contains(&self.name.as_str()) {
            let problem =
                format!("`{}` is a published data set; images of your own need a name of their own", self.name);
            return Err(config_error("data.name", problem));
        }
        if self.subset.is_some() || self.glyphs.is_some() {
            let problem = "cannot be given with data.subset or data.glyphs".to_owned();
            return Err(config_error("data.own", problem));
        }
        Ok(())
    }

    fn check_glyphs(&self) -> Result<(), DataError> {
        if self.subset.is_some() {
            return Err(config_error(
                "data.subset",
                "`glyphs` is drawn by the program and has no files; set data.glyphs.train instead".to_owned(),
            ));
        }
        let glyphs = self.glyphs.clone().unwrap_or_default();
        for (key, n) in [("data.glyphs.train", glyphs.train), ("data.glyphs.test", glyphs.test)] {
            if !(1..=1_000_000).contains(&n) {
                return Err(config_error(key, format!("expected 1 to 1000000 images, found {n}")));
            }
        }
        Ok(())
    }
}

impl SubsetConfig {
    fn images(&self) -> Result<WantedFile, DataError> {
        if self.label.trim().is_empty() {
            return Err(config_error(
                "data.subset.label",
                "a subset must say what it is, and the label is empty".to_owned(),
            ));
        }
        subset_file(Role::TrainImages, "train_images", &self.train_images, &self.train_images_sha256)
    }

    fn labels(&self) -> Result<WantedFile, DataError> {
        subset_file(Role::TrainLabels, "train_labels", &self.train_labels, &self.train_labels_sha256)
    }
}

/// Name for tables and plots, the subset spelled out.
pub(super) fn title(name: &str, subset: Option<&str>) -> String {
    match subset {
        Some(label) => format!("{name} (subset: {label})"),
        None => name.to_owned(),
    }
}

fn subset_file(role: Role, key: &str, name: &str, sha256: &str) -> Result<WantedFile, DataError> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    if !plain {
        return Err(config_error(
            &format!("data.subset.{key}"),
            format!("expected a plain file name in the data set's folder, found `{name}`"),
        ));
    }
    let checksum = Checksum::parse_sha256(sha256).ok_or_else(|| {
        config_error(&format!("data.subset.{key}_sha256"), format!("expected 64 hexadecimal digits, found `{sha256}`"))
    })?;
    Ok(WantedFile { role, name: name.to_owned(), bytes: None, checksum, raw_checksum: None, urls: Vec::new() })
}

fn config_error(key: &str, problem: String) -> DataError {
    DataError::Config { key: key.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subset() -> SubsetConfig {
        SubsetConfig {
            label: "first 7 of 60,000".into(),
            train_images: "a-images.gz".into(),
            train_images_sha256: "0a".repeat(32),
            train_labels: "a-labels.gz".into(),
            train_labels_sha256: "0b".repeat(32),
        }
    }

    fn problem(config: &DataConfig) -> (String, String) {
        match config.wanted() {
            Err(DataError::Config { key, problem }) => (key, problem),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn toml_round_trip_and_unknown_keys() {
        let config = DataConfig { subset: Some(subset()), ..DataConfig::named("kmnist") };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<DataConfig>(&text).unwrap(), config);
        assert_eq!(toml::from_str::<DataConfig>("name = 'mnist'").unwrap(), DataConfig::named("mnist"));
        let error = toml::from_str::<DataConfig>("name = 'mnist'\nfolder = 'x'").unwrap_err();
        assert!(error.to_string().contains("folder"), "{error}");
        let glyphs: DataConfig = toml::from_str("name = 'glyphs'\nglyphs = { train = 500 }").unwrap();
        assert_eq!(glyphs.glyphs, Some(GlyphsConfig { seed: 0, train: 500, test: 10_000 }));
    }

    #[test]
    fn a_subset_replaces_the_training_files_only_and_is_named() {
        let config = DataConfig { subset: Some(subset()), ..DataConfig::named("kmnist") };
        let files = config.wanted().unwrap();
        let names: Vec<_> = files.iter().map(|f| f.name.as_str()).collect();
        let test = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"];
        assert_eq!(names, ["a-images.gz", "a-labels.gz", test[0], test[1]]);
        assert_eq!(files[0].checksum, Checksum::Sha256("0a".repeat(32)));
        assert!(files[0].urls.is_empty() && !files[2].urls.is_empty());
        assert_eq!(config.title(), "kmnist (subset: first 7 of 60,000)");
        assert_eq!(DataConfig::named("kmnist").title(), "kmnist");
    }

    #[test]
    fn bad_subsets_are_refused_by_key() {
        let with = |change: fn(&mut SubsetConfig)| {
            let mut subset = subset();
            change(&mut subset);
            problem(&DataConfig { subset: Some(subset), ..DataConfig::named("kmnist") })
        };
        assert_eq!(with(|s| s.label = " ".into()).0, "data.subset.label");
        assert_eq!(with(|s| s.train_images = "../x.gz".into()).0, "data.subset.train_images");
        let (key, text) = with(|s| s.train_labels_sha256 = "12".into());
        assert_eq!(key, "data.subset.train_labels_sha256");
        assert!(text.contains("`12`"), "{text}");
    }

    #[test]
    fn tables_that_do_not_fit_the_data_set_are_refused() {
        let glyphs = Some(GlyphsConfig::default());
        let config = DataConfig { glyphs, ..DataConfig::named("mnist") };
        assert_eq!(problem(&config).0, "data.glyphs");
        let config = DataConfig { subset: Some(subset()), ..DataConfig::named("glyphs") };
        assert_eq!(problem(&config).0, "data.subset");
        let none = Some(GlyphsConfig { test: 0, ..GlyphsConfig::default() });
        let config = DataConfig { glyphs: none, ..DataConfig::named("glyphs") };
        assert_eq!(problem(&config).0, "data.glyphs.test");
    }
}
