//! The data sets that `dale` knows: published files with their checksums and mirrors, and the generated `glyphs`.
//!
//! | name | what | licence |
//! |---|---|---|
//! | `mnist` | Y. LeCun, C. Cortes, C. J. C. Burges, *The MNIST database of handwritten digits* | CC BY-SA 3.0 |
//! | `fashion-mnist` | H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747 | MIT |
//! | `kmnist` | T. Clanuwat et al., arXiv:1812.01718; KMNIST Dataset (ROIS-DS CODH) | CC BY-SA 4.0 |
//! | `glyphs` | digits drawn by this program, see [`super::glyphs`] | that of this program |
//!
//! SHA-256 is pinned for every published file, and for its uncompressed form where that was at hand to measure. The
//! publishers give MD5 only; all files but one were measured and agree with it. The exception, the full Kuzushiji
//! training images, has its length and SHA-256 from the checksum list of TensorFlow Datasets
//! (`url_checksums/kmnist.txt`), whose other three Kuzushiji entries agree with what was measured.

use serde::Serialize;

use super::digest::Checksum;
use super::error::DataError;

/// Name of the generated stand-in.
pub const GLYPHS: &str = "glyphs";

/// What a file holds. The four of them make a data set, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Images of the training split.
    TrainImages,
    /// Labels of the training split.
    TrainLabels,
    /// Images of the test split.
    TestImages,
    /// Labels of the test split.
    TestLabels,
}

/// One published file, gzip-compressed idx.
#[derive(Clone, Copy, Debug)]
pub struct PublishedFile {
    /// What it holds.
    pub role: Role,
    /// File name below a mirror and in the data set's folder; the uncompressed form has it without `.gz`.
    pub name: &'static str,
    /// Length in bytes, where known.
    pub bytes: Option<u64>,
    /// SHA-256 of the file, where known.
    pub sha256: Option<&'static str>,
    /// The publisher's MD5 of the file.
    pub md5: &'static str,
    /// SHA-256 of the uncompressed content, where known.
    pub raw_sha256: Option<&'static str>,
}

/// A published data set.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name in experiments, on the command line and as a folder.
    pub name: &'static str,
    /// Who made it, in one line.
    pub source: &'static str,
    /// Licence of the data.
    pub license: &'static str,
    /// Addresses below which the files lie, tried in order; each ends with `/`.
    pub mirrors: &'static [&'static str],
    /// Training images, training labels, test images, test labels.
    pub files: [PublishedFile; 4],
}

impl PublishedFile {
    /// SHA-256 where known, otherwise the published MD5.
    pub fn checksum(&self) -> Checksum {
        match self.sha256 {
            Some(hex) => Checksum::Sha256(hex.to_owned()),
            None => Checksum::Md5(self.md5.to_owned()),
        }
    }
}

/// The published data sets.
pub static PUBLISHED: [Entry; 3] = [MNIST, FASHION_MNIST, KMNIST];

/// All names that an experiment may use.
pub fn names() -> Vec<&'static str> {
    PUBLISHED.iter().map(|e| e.name).chain([GLYPHS]).collect()
}

/// The published data set called `name`, or `None` for [`GLYPHS`].
///
/// # Errors
/// [`DataError::UnknownDataset`] with the nearest valid name and the list of all.
pub fn lookup(name: &str) -> Result<Option<&'static Entry>, DataError> {
    if name == GLYPHS {
        return Ok(None);
    }
    if let Some(entry) = PUBLISHED.iter().find(|e| e.name == name) {
        return Ok(Some(entry));
    }
    let wanted = name.to_lowercase();
    let mut nearest = GLYPHS;
    let mut best = f64::NEG_INFINITY;
    for candidate in names() {
        let likeness = strsim::jaro_winkler(&wanted, candidate);
        if likeness > best {
            (nearest, best) = (candidate, likeness);
        }
    }
    Err(DataError::UnknownDataset {
        name: name.to_owned(),
        nearest: nearest.to_owned(),
        known: names().iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "),
    })
}

/// See the table in the module documentation.
const MNIST: Entry = Entry {
    name: "mnist",
    source: "Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits",
    license: "CC BY-SA 3.0",
    mirrors: &["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"],
    files: [
        PublishedFile {
            role: Role::TrainImages,
            name: "train-images-idx3-ubyte.gz",
            bytes: Some(9_912_422),
            sha256: Some("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            raw_sha256: Some("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        },
        PublishedFile {
            role: Role::TrainLabels,
            name: "train-labels-idx1-ubyte.gz",
            bytes: Some(28_881),
            sha256: Some("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            md5: "d53e105ee54ea40749a09fcbcd1e9432",
            raw_sha256: Some("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        },
        PublishedFile {
            role: Role::TestImages,
            name: "t10k-images-idx3-ubyte.gz",
            bytes: Some(1_648_877),
            sha256: Some("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            md5: "9fb629c4189551a2d022fa330f9573f3",
            raw_sha256: Some("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        },
        PublishedFile {
            role: Role::TestLabels,
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: Some(4_542),
            sha256: Some("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
            md5: "ec29112dd5afa0611ce80d1b7f02629c",
            raw_sha256: Some("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        },
    ],
};

/// See the table in the module documentation.
const FASHION_MNIST: Entry = Entry {
    name: "fashion-mnist",
    source: "H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, arXiv:1708.07747",
    license: "MIT",
    mirrors: &[
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ],
    files: [
        PublishedFile {
            role: Role::TrainImages,
            name: "train-images-idx3-ubyte.gz",
            bytes: Some(26_421_880),
            sha256: Some("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            md5: "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            raw_sha256: Some("c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        },
        PublishedFile {
            role: Role::TrainLabels,
            name: "train-labels-idx1-ubyte.gz",
            bytes: Some(29_515),
            sha256: Some("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            md5: "25c81989df183df01b3e8a0aad5dffbe",
            raw_sha256: Some("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        },
        PublishedFile {
            role: Role::TestImages,
            name: "t10k-images-idx3-ubyte.gz",
            bytes: Some(4_422_102),
            sha256: Some("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            md5: "bef4ecab320f06d8554ea6380940ec79",
            raw_sha256: Some("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        },
        PublishedFile {
            role: Role::TestLabels,
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: Some(5_148),
            sha256: Some("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
            md5: "bb300cfdad3c16e7a12a480ee83cd310",
            raw_sha256: Some("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        },
    ],
};

/// See the table in the module documentation.
const KMNIST: Entry = Entry {
    name: "kmnist",
    source: "KMNIST Dataset (ROIS-DS CODH), adapted from Kuzushiji Dataset (NIJL and others), arXiv:1812.01718",
    license: "CC BY-SA 4.0",
    mirrors: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
    files: [
        PublishedFile {
            role: Role::TrainImages,
            name: "train-images-idx3-ubyte.gz",
            bytes: Some(18_165_135),
            sha256: Some("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            md5: "bdb82020997e1d708af4cf47b453dcf7",
            raw_sha256: None,
        },
        PublishedFile {
            role: Role::TrainLabels,
            name: "train-labels-idx1-ubyte.gz",
            bytes: Some(29_497),
            sha256: Some("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            md5: "e144d726b3acfaa3e44228e80efcd344",
            raw_sha256: Some("2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b"),
        },
        PublishedFile {
            role: Role::TestImages,
            name: "t10k-images-idx3-ubyte.gz",
            bytes: Some(3_041_136),
            sha256: Some("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            md5: "5c965bf0a639b31b8f53240b1b52f4d7",
            raw_sha256: Some("76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e"),
        },
        PublishedFile {
            role: Role::TestLabels,
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: Some(5_120),
            sha256: Some("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
            md5: "7320c461ea6c1c855c0b718fb2a4b134",
            raw_sha256: Some("a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6"),
        },
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_complete() {
        for entry in &PUBLISHED {
            assert!(!entry.mirrors.is_empty());
            assert!(entry.mirrors.iter().all(|m| m.starts_with("http") && m.ends_with('/')));
            let roles = entry.files.map(|f| f.role);
            use Role::{TestImages, TestLabels, TrainImages, TrainLabels};
            assert_eq!(roles, [TrainImages, TrainLabels, TestImages, TestLabels]);
            for file in &entry.files {
                assert!(file.name.ends_with(".gz"));
                assert_eq!(file.md5.len(), 32);
                for sum in [file.sha256, file.raw_sha256].into_iter().flatten() {
                    assert!(Checksum::parse_sha256(sum).is_some(), "{sum}");
                }
            }
        }
    }

    #[test]
    fn md5_stands_in_only_where_no_sha256_is_known() {
        let mut file = KMNIST.files[0];
        assert!(matches!(file.checksum(), Checksum::Sha256(_)));
        file.sha256 = None;
        assert_eq!(file.checksum(), Checksum::Md5("bdb82020997e1d708af4cf47b453dcf7".into()));
        assert!(PUBLISHED.iter().flat_map(|e| &e.files).all(|f| f.sha256.is_some()));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_and_the_list() {
        for (typed, nearest) in [
            ("minst", "mnist"),
            ("MNIST", "mnist"),
            ("fashion", "fashion-mnist"),
            ("glyph", "glyphs"),
            ("k-mnist", "kmnist"),
        ] {
            let text = lookup(typed).unwrap_err().to_string();
            assert!(text.contains(&format!("did you mean `{nearest}`")), "{text}");
            assert!(names().iter().all(|n| text.contains(n)), "{text}");
        }
        assert!(lookup("glyphs").unwrap().is_none());
        assert_eq!(lookup("kmnist").unwrap().unwrap().name, "kmnist");
    }
}
