//! Files of torch.save (scripts/make_pth_examples.py says what is in them), whole and damaged, and safetensors.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use models::pth::{Array, Dtype, Flaw, read, read_weights, sha256_of};
use safetensors::tensor::{Dtype as Stored, TensorView};

/// Every file that can be read.
const GOOD: [&str; 5] = ["zip.pth", "legacy.pth", "training.pth", "training-legacy.pth", "no-check-sums.pth"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pth").join(name)
}

fn flaw(path: &Path) -> Flaw {
    read(path).unwrap_err().flaw
}

/// −1, −3/4, −1/2 and so on.
fn quarters(count: i32) -> Vec<f32> {
    (0..count).map(|i| (i - 4) as f32 / 4.0).collect()
}

fn array(dtype: Dtype, shape: &[usize], values: impl Into<Vec<f32>>) -> Array {
    Array { shape: shape.to_vec(), dtype, values: values.into() }
}

fn expected() -> BTreeMap<String, Array> {
    let at = |i: i32| (i - 4) as f32 / 4.0;
    let permuted: Vec<f32> = (0..4).flat_map(|k| (0..6).map(move |ij| at(4 * ij + k))).collect();
    let expanded: Vec<f32> = (0..3).flat_map(|i| [at(i), at(i)]).collect();
    let column: Vec<f32> = (0..4).map(|i| at(5 * i + 3)).collect();
    let f32 = |shape: &[usize], values: Vec<f32>| array(Dtype::F32, shape, values);
    let small = [-3.0, 0.0, 100.0];
    [
        ("linear.weight", f32(&[2, 3], quarters(6))),
        ("linear.bias", f32(&[2], quarters(2))),
        ("norm.weight", f32(&[2], vec![1.0; 2])),
        ("norm.bias", f32(&[2], vec![0.0; 2])),
        ("norm.running_mean", f32(&[2], vec![0.0; 2])),
        ("norm.running_var", f32(&[2], vec![1.0; 2])),
        ("norm.num_batches_tracked", array(Dtype::I64, &[], [7.0])),
        ("table", f32(&[4, 5], quarters(20))),
        ("shared.row", f32(&[5], (10..15).map(at).collect())),
        ("shared.column", f32(&[4], column)),
        ("shared.corner", f32(&[2, 2], vec![at(7), at(8), at(12), at(13)])),
        ("transposed", f32(&[4, 2, 3], permuted)),
        ("expanded", f32(&[3, 2], expanded)),
        ("single", f32(&[], vec![2.5])),
        ("empty", f32(&[0, 3], vec![])),
        ("parameter", f32(&[3], quarters(3))),
        ("float64", array(Dtype::F64, &[7], quarters(7))),
        ("float16", array(Dtype::F16, &[7], quarters(7))),
        ("bfloat16", array(Dtype::Bf16, &[7], quarters(7))),
        ("int64", array(Dtype::I64, &[3], small)),
        ("int32", array(Dtype::I32, &[3], small)),
        ("int16", array(Dtype::I16, &[3], small)),
        ("int8", array(Dtype::I8, &[3], small)),
        ("uint8", array(Dtype::U8, &[3], [0.0, 1.0, 255.0])),
        ("bool", array(Dtype::Bool, &[2], [1.0, 0.0])),
    ]
    .map(|(name, array)| (name.to_owned(), array))
    .into()
}

#[test]
fn both_formats_hold_what_was_saved() {
    assert_eq!(read(&file("zip.pth")).unwrap(), expected());
    assert_eq!(read(&file("legacy.pth")).unwrap(), expected());
    assert_eq!(read_weights(&file("zip.pth")).unwrap(), expected());
    assert_eq!(read_weights(&file("legacy.pth")).unwrap(), expected());
}

#[test]
fn a_state_dictionary_may_lie_in_another_dictionary() {
    let a: BTreeMap<_, _> = [("a".to_owned(), array(Dtype::F32, &[2, 2], quarters(4)))].into();
    for name in ["training.pth", "training-legacy.pth", "no-check-sums.pth"] {
        assert_eq!(read(&file(name)).unwrap(), a, "{name}");
    }
}

#[test]
fn commands_and_pickled_modules_are_refused_by_name() {
    for (name, wanted) in [
        ("command.pth", "posix.system"),
        ("command-legacy.pth", "posix.system"),
        ("module.pth", "torch.nn.modules.linear.Linear"),
    ] {
        let error = read(&file(name)).unwrap_err();
        assert!(matches!(&error.flaw, Flaw::Refused { name, .. } if name == wanted), "{error}");
        let text = error.to_string();
        assert!(text.contains(wanted) && text.contains(name), "{text}");
    }
}

#[test]
fn compressed_entries_are_refused_by_name() {
    let flaw = flaw(&file("compressed.pth"));
    assert!(matches!(&flaw, Flaw::Compressed { method: 8, entry } if entry.starts_with("archive/")), "{flaw}");
}

#[test]
fn what_is_no_file_of_weights_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pth");
    assert!(matches!(flaw(&path), Flaw::Io(_)));
    assert!(matches!(flaw(folder.path()), Flaw::Io(_)));
    for content in ["", "P", "<!DOCTYPE html><html>", "{\"a\": 1}", "version https://git-lfs"] {
        fs::write(&path, content).unwrap();
        let error = read_weights(&path).unwrap_err();
        assert!(matches!(error.flaw, Flaw::Unknown { .. }), "{error}");
        assert!(error.to_string().contains("a.pth"), "{error}");
    }
}

#[test]
fn a_file_that_is_cut_short_anywhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pth");
    for name in GOOD {
        fs::copy(file(name), &path).unwrap();
        let whole = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for length in (0..whole.metadata().unwrap().len()).rev() {
            whole.set_len(length).unwrap();
            assert!(read_weights(&path).is_err(), "{name}, {length} bytes");
        }
    }
}

/// Numbers as from a die, the same at every run (Steele et al. 2014, SplitMix64).
struct Die(u64);

impl Die {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// Writes over a file of the same length: much faster than to replace it, which waits for the disk.
fn overwrite(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn changed_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.pth");
    let mut die = Die(1);
    let mut read_anyway = 0;
    for name in GOOD.into_iter().chain(["compressed.pth", "command.pth", "module.pth"]) {
        let whole = fs::read(file(name)).unwrap();
        fs::write(&path, &whole).unwrap();
        for round in 0..2_000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + round % 4 {
                let at = die.below(bytes.len());
                bytes[at] = die.below(256) as u8;
            }
            overwrite(&path, &bytes);
            if let Ok(weights) = read_weights(&path) {
                read_anyway += 1;
                for array in weights.values() {
                    assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
                }
                // An archive's check sums notice all changes that matter.
                if name == "zip.pth" {
                    assert_eq!(weights, expected(), "round {round}");
                }
            }
        }
    }
    assert!(read_anyway > 1_000, "the changes are to lie in the numbers, too: {read_anyway}");
}

#[test]
fn a_changed_number_in_an_archive_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.pth");
    let mut bytes = fs::read(file("training.pth")).unwrap();
    let first = (-1.0_f32).to_le_bytes();
    let at = bytes.windows(4).position(|w| w == first).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let flaw = flaw(&path);
    assert!(matches!(&flaw, Flaw::CheckSum { entry, .. } if entry == "training/data/0"), "{flaw}");
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn safetensors_give_the_same_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.bin");
    let (a, b) = (quarters(6), [1.0, -2.0]);
    let f64_bytes: Vec<u8> = b.iter().flat_map(|v: &f64| v.to_le_bytes()).collect();
    let a_bytes = f32_bytes(&a);
    let views = || {
        let a = TensorView::new(Stored::F32, vec![2, 3], &a_bytes).unwrap();
        [("a", a), ("b", TensorView::new(Stored::F64, vec![2], &f64_bytes).unwrap())]
    };
    let wanted: BTreeMap<_, _> =
        [("a".to_owned(), array(Dtype::F32, &[2, 3], a)), ("b".to_owned(), array(Dtype::F64, &[2], [1.0, -2.0]))]
            .into();
    // With a header of 640 bytes the file starts as a pickle does: 80 02.
    let mut like_a_pickle = 0;
    for padding in (0..800).step_by(8) {
        let metadata = HashMap::from([("note".to_owned(), "x".repeat(padding))]);
        let bytes = safetensors::serialize(views(), Some(metadata)).unwrap();
        like_a_pickle += usize::from(bytes.starts_with(&[0x80, 2]));
        fs::write(&path, &bytes).unwrap();
        assert_eq!(read_weights(&path).unwrap(), wanted);
    }
    assert_eq!(like_a_pickle, 1);

    let bytes = safetensors::serialize(views(), None).unwrap();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(read_weights(&path).is_err(), "{length} bytes");
    }
    fs::write(&path, &bytes).unwrap();
    let mut die = Die(2);
    for _ in 0..4_000 {
        let mut bytes = bytes.clone();
        let at = die.below(bytes.len());
        bytes[at] = die.below(256) as u8;
        overwrite(&path, &bytes);
        if let Ok(weights) = read_weights(&path) {
            assert!(weights.values().all(|a| a.values.len() == a.shape.iter().product::<usize>()));
        }
    }
}

#[test]
fn a_type_that_is_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let view = TensorView::new(Stored::U64, vec![1], &[0; 8]).unwrap();
    fs::write(&path, safetensors::serialize([("count", view)], None).unwrap()).unwrap();
    let flaw = read_weights(&path).unwrap_err().flaw;
    assert!(matches!(&flaw, Flaw::Type { name, dtype } if name == "count" && dtype == "U64"), "{flaw}");
}

#[test]
fn the_shipped_weights_can_be_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/mnist-cnn.safetensors");
    assert_eq!(sha256_of(&path).unwrap(), models::classifier::Shipped::Mnist.sha256());
    let weights = read_weights(&path).unwrap();
    assert_eq!(weights["conv2.weight"].shape, [32, 16, 3, 3]);
    assert_eq!(weights["hidden.bias"].values.len(), 128);
}

#[test]
fn sha256_is_that_of_the_standard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    // FIPS 180-2, B.1 and B.3.
    fs::write(&path, "abc").unwrap();
    assert_eq!(sha256_of(&path).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    fs::write(&path, "a".repeat(1_000_000)).unwrap();
    assert_eq!(sha256_of(&path).unwrap(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert!(sha256_of(&folder.path().join("missing")).is_err());
}
