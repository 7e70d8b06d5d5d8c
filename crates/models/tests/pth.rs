//! Files of torch.save, of both forms, against the values that PyTorch itself says they hold; damaged and malicious ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use models::pth::{Array, Reason, read_weights, sha256_of};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pth").join(name)
}

fn expected() -> BTreeMap<String, Array> {
    let text = std::fs::read_to_string(example("expected.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let tensors = json["tensors"].as_object().unwrap();
    let of = |value: &serde_json::Value| Array {
        shape: value["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect(),
        values: value["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect(),
    };
    tensors.iter().map(|(name, value)| (name.clone(), of(value))).collect()
}

#[test]
fn both_forms_hold_what_pytorch_says() {
    let expected = expected();
    assert_eq!(expected["transposed"].shape, [4, 3]);
    for name in ["archive.pth", "legacy.pth", "nested-archive.pth", "nested-legacy.pth"] {
        let found = read_weights(&example(name)).unwrap();
        assert!(found.keys().eq(expected.keys()), "{name}: {:?}", found.keys());
        for (key, array) in &expected {
            assert_eq!(&found[key], array, "{name}: {key}");
        }
    }
}

#[test]
fn functions_are_refused_by_name_and_not_called() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["calls-archive.pth", "calls-legacy.pth"] {
        let error = read_weights(&example(name)).unwrap_err();
        assert!(matches!(&error.reason, Reason::Refused(function) if function.ends_with(".system")), "{error}");
        assert!(error.to_string().contains(name));
    }
    assert!(!Path::new("executed").exists() && !folder.path().join("executed").exists());
}

#[test]
fn other_files_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let message = |bytes: &[u8]| {
        let path = folder.path().join("weights.pth");
        std::fs::write(&path, bytes).unwrap();
        let message = read_weights(&path).unwrap_err().to_string();
        assert!(message.contains("weights.pth"), "{message}");
        message
    };
    assert!(message(b"").contains("neither"));
    assert!(message(b"<!DOCTYPE html>").contains("neither"));
    assert!(message(b"\x80\x02K\x01.").contains("not one that torch.save wrote"));
    assert!(message(b"PK\x03\x04 and nothing").contains("damaged archive"));
    assert!(read_weights(&folder.path().join("none.pth")).unwrap_err().to_string().contains("none.pth"));
    assert!(matches!(read_weights(&example("list.pth")).unwrap_err().reason, Reason::NoTensors));
}

#[test]
fn files_cut_short_and_changed_at_random_never_panic_nor_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.pth");
    let whole = expected();
    let total = |arrays: &BTreeMap<String, Array>| arrays.values().map(|array| array.values.len()).sum::<usize>();
    for name in ["archive.pth", "legacy.pth"] {
        let bytes = std::fs::read(example(name)).unwrap();
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let found = read_weights(&path);
            assert!(found.is_err(), "{name}: {length} of {} bytes were enough", bytes.len());
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..3000 {
            let mut changed = bytes.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                changed[(state >> 33) as usize % bytes.len()] = (state >> 20) as u8;
            }
            std::fs::write(&path, &changed).unwrap();
            if let Ok(found) = read_weights(&path) {
                assert!(total(&found) <= total(&whole) + bytes.len());
            }
        }
    }
}

#[test]
fn hashes_are_those_of_the_standard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abc");
    std::fs::write(&path, b"abc").unwrap();
    assert_eq!(sha256_of(&path).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
