//! The protocol behind a number. A Fréchet distance says something only together with the features, the resizing and the number of
//! images on both sides; two numbers may stand in one column only when all of it is the same.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Everything that a metric depends on besides the images themselves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Name of the feature extractor, for instance `mnist-cnn`.
    pub extractor: String,
    /// SHA-256 of its weights, in lower-case hexadecimal; empty for an extractor without weights, such as raw pixels.
    pub extractor_sha256: String,
    /// How images were brought to the extractor's size, for instance `none` or `bilinear-299`.
    pub resize: String,
    /// How channels were made, for instance `grey` or `repeat-3`.
    pub channels: String,
    /// Images on the sample side; 0 where nobody knows.
    pub n_samples: usize,
    /// Images on the reference side; 0 where nobody knows.
    pub n_reference: usize,
    /// The reference images: data set and split, for instance `mnist/test`.
    pub reference_split: String,
    /// Number format in which the features were computed, for instance `f32`.
    pub dtype: String,
    /// Version of the program that computed the number.
    pub library_version: String,
}

/// The first field in which two fingerprints differ.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("numbers cannot be compared: their `{field}` differs ({left} against {right})")]
pub struct FingerprintMismatch {
    /// Name of the field, as in the serialized form.
    pub field: &'static str,
    /// Its value on the left.
    pub left: String,
    /// Its value on the right.
    pub right: String,
}

impl Fingerprint {
    /// Whether two numbers with these fingerprints may be compared.
    ///
    /// # Errors
    /// The first field that differs, with both values. [`differences`](Self::differences) lists all.
    pub fn comparable(&self, other: &Self) -> Result<(), FingerprintMismatch> {
        match self.differences(other).into_iter().next() {
            Some(mismatch) => Err(mismatch),
            None => Ok(()),
        }
    }

    /// All fields in which two fingerprints differ, in the order of the struct.
    pub fn differences(&self, other: &Self) -> Vec<FingerprintMismatch> {
        self.fields()
            .into_iter()
            .zip(other.fields())
            .filter(|((_, left), (_, right))| left != right)
            .map(|((field, left), (_, right))| FingerprintMismatch { field, left, right })
            .collect()
    }

    /// Every field with its value as text. The pattern names each field, so that a new one cannot be forgotten.
    fn fields(&self) -> Vec<(&'static str, String)> {
        let Self {
            extractor,
            extractor_sha256,
            resize,
            channels,
            n_samples,
            n_reference,
            reference_split,
            dtype,
            library_version,
        } = self;
        vec![
            ("extractor", extractor.clone()),
            ("extractor_sha256", extractor_sha256.clone()),
            ("resize", resize.clone()),
            ("channels", channels.clone()),
            ("n_samples", n_samples.to_string()),
            ("n_reference", n_reference.to_string()),
            ("reference_split", reference_split.clone()),
            ("dtype", dtype.clone()),
            ("library_version", library_version.clone()),
        ]
    }
}

impl fmt::Display for Fingerprint {
    /// One line for a caption: `mnist-cnn (0123abcd), resize none, grey, N 10000 against 10000 of mnist/test, f32, 0.1.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.extractor)?;
        if !self.extractor_sha256.is_empty() {
            write!(f, " ({})", self.extractor_sha256.chars().take(8).collect::<String>())?;
        }
        let count = |n: usize| if n == 0 { "unknown".to_owned() } else { n.to_string() };
        write!(
            f,
            ", resize {}, {}, N {} against {} of {}, {}, {}",
            self.resize,
            self.channels,
            count(self.n_samples),
            count(self.n_reference),
            self.reference_split,
            self.dtype,
            self.library_version
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Fingerprint {
        Fingerprint {
            extractor: "mnist-cnn".into(),
            extractor_sha256: "0123abcd4567".into(),
            resize: "none".into(),
            channels: "grey".into(),
            n_samples: 10_000,
            n_reference: 9_999,
            reference_split: "mnist/test".into(),
            dtype: "f32".into(),
            library_version: "0.1.0".into(),
        }
    }

    #[test]
    fn equal_ones_are_comparable() {
        assert_eq!(example().comparable(&example()), Ok(()));
    }

    #[test]
    fn each_field_is_compared_and_named() {
        type Change = fn(&mut Fingerprint);
        let changes: [(&str, Change); 9] = [
            ("extractor", |f| f.extractor.push('x')),
            ("extractor_sha256", |f| f.extractor_sha256.push('x')),
            ("resize", |f| f.resize.push('x')),
            ("channels", |f| f.channels.push('x')),
            ("n_samples", |f| f.n_samples += 1),
            ("n_reference", |f| f.n_reference += 1),
            ("reference_split", |f| f.reference_split.push('x')),
            ("dtype", |f| f.dtype.push('x')),
            ("library_version", |f| f.library_version.push('x')),
        ];
        for (field, change) in changes {
            let mut other = example();
            change(&mut other);
            let mismatch = example().comparable(&other).unwrap_err();
            assert_eq!(mismatch.field, field);
            assert_ne!(mismatch.left, mismatch.right);
            assert!(mismatch.to_string().contains(field));
        }
    }

    #[test]
    fn all_differences_are_listed() {
        let mut other = example();
        other.n_samples = 5;
        other.dtype = "bf16".into();
        let fields: Vec<_> = example().differences(&other).iter().map(|m| m.field).collect();
        assert_eq!(fields, ["n_samples", "dtype"]);
    }

    #[test]
    fn prints_on_one_line() {
        assert_eq!(
            example().to_string(),
            "mnist-cnn (0123abcd), resize none, grey, N 10000 against 9999 of mnist/test, f32, 0.1.0"
        );
        let unknown = Fingerprint { n_samples: 0, ..example() };
        assert!(unknown.to_string().contains("N unknown against 9999"));
    }
}
