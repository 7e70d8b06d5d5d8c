//! `dale metrics` from outside: what it says of good images and of bad ones.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs::{self, File};
use std::path::Path;

use bench_harness::report::image::Png;
use ndarray::{Array2, Array3};
use ndarray_npy::{WriteNpyExt, read_npy};

mod support;
use support::{dale, fails, stderr, succeeds};

/// `n` smooth images of `side` × `side` pixels that depend on `seed`, as a `.npy` file.
fn images(path: &Path, seed: u64, n: usize, side: usize) {
    let value = |(i, y, x): (usize, usize, usize)| {
        let phase = (seed * 977 + i as u64 * 131) as f64;
        let wave = (0.3 * x as f64 + phase).sin() + (0.2 * y as f64 * (1.0 + phase % 3.0)).cos();
        (127.5 + 60.0 * wave).clamp(0.0, 255.0) as u8
    };
    Array3::from_shape_fn((n, side, side), value).write_npy(File::create(path).unwrap()).unwrap();
}

fn json(output: &std::process::Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_measure_has_a_value_and_few_images_are_warned_of_by_both_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.npy"), folder.path().join("b.npy"));
    images(&a, 1, 40, 28);
    images(&b, 2, 60, 28);
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let output = succeeds(dale(folder.path(), &["metrics", a, b, "--json", "--features", "fashion-mnist-cnn"]));
    let found = json(&output);
    for name in [
        "fid",
        "kid",
        "sliced_wasserstein",
        "precision",
        "recall",
        "density",
        "coverage",
        "authenticity",
        "inception_score",
        "class_chi_square",
    ] {
        assert!(found[name]["estimate"].is_f64(), "{name}: {found}");
    }
    assert_eq!(found["fingerprint"]["extractor"], "fashion-mnist-cnn");
    assert!(found["options"]["seed"] == 1 && found["options"]["resampling"]["resamples"].is_u64(), "{found}");
    let fid = |end: &str| found["fid"][end].as_f64().unwrap();
    assert!(fid("low") <= fid("estimate") && fid("estimate") <= fid("high"), "{found}");
    assert_eq!((&found["fingerprint"]["n_samples"], &found["fingerprint"]["n_reference"]), (&40.into(), &60.into()));
    let said = stderr(&output);
    assert!(said.contains("a.npy: 40 rows for 128 features") && said.contains("b.npy: 60 rows for 128"), "{said}");
    let table = succeeds(dale(folder.path(), &["metrics", a, b]));
    assert!(
        String::from_utf8_lossy(&table.stdout).contains("mnist-cnn (35e6642e), resize none"),
        "the protocol is said"
    );
}

#[test]
fn statistics_know_their_features_and_refuse_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (a, b, statistics) = (path("a.npy"), path("b.npy"), path("a.npz"));
    images(Path::new(&a), 1, 50, 28);
    images(Path::new(&b), 2, 50, 28);
    let whole = json(&succeeds(dale(folder.path(), &["metrics", &a, &b, "--json", "--write-statistics", &statistics])));
    let from = json(&succeeds(dale(folder.path(), &["metrics", &statistics, &b, "--json"])));
    let (whole, found) = (whole["fid"]["estimate"].as_f64().unwrap(), from["fid"]["estimate"].as_f64().unwrap());
    assert!((whole - found).abs() < 1e-9 * whole, "{whole} {found}");
    assert_eq!(from["fingerprint"]["n_samples"], 50);
    fails(
        dale(folder.path(), &["metrics", &statistics, &b, "--features", "pixels"]),
        &["a.npz", "`extractor` differs", "mnist-cnn", "pixels"],
    );
    // Two files of statistics need no network, and unmarked ones have no protocol.
    let twice = json(&succeeds(dale(folder.path(), &["metrics", &statistics, &statistics, "--json"])));
    assert!(twice["fid"]["estimate"].as_f64().unwrap() < 1e-9 && twice["fingerprint"]["extractor"] == "mnist-cnn");
    let unmarked = path("unmarked.npz");
    let mut npz = ndarray_npy::NpzWriter::new(File::create(&unmarked).unwrap());
    npz.add_array("mu", &ndarray::Array1::<f32>::zeros(128)).unwrap();
    npz.add_array("sigma", &Array2::<f32>::eye(128)).unwrap();
    npz.finish().unwrap();
    let found = json(&succeeds(dale(folder.path(), &["metrics", &unmarked, &b, "--json"])));
    assert_eq!(found["fingerprint"]["extractor"], "mnist-cnn or unknown");
    let found = json(&succeeds(dale(folder.path(), &["metrics", &unmarked, &unmarked, "--json"])));
    assert!(found["fingerprint"]["extractor"] == "unknown" && found["fingerprint"]["extractor_sha256"] == "");
}

#[test]
fn features_are_written_for_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (a, out) = (folder.path().join("a.npy"), folder.path().join("features.npy"));
    images(&a, 3, 5, 20);
    let arguments = ["features", a.to_str().unwrap(), out.to_str().unwrap(), "--features", "pixels"];
    succeeds(dale(folder.path(), &arguments));
    let found: Array2<f32> = read_npy(&out).unwrap();
    assert!(found.dim() == (5, 400) && found.iter().all(|v| (0.0..=1.0).contains(v)));
}

#[test]
fn bad_input_is_explained_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (good, one, large) = (path("good.npy"), path("one.npy"), path("large.npy"));
    images(Path::new(&good), 1, 20, 28);
    images(Path::new(&one), 1, 1, 28);
    images(Path::new(&large), 1, 20, 32);
    let metrics = |a: &str, more: &[&str]| dale(folder.path(), &[&["metrics", a, &good], more].concat());
    fails(metrics(&one, &[]), &["sample features have 1 rows"]);
    fails(metrics(&large, &[]), &["large.npy", "32 × 32", "28 × 28"]);
    fails(metrics(&large, &["--features", "pixels"]), &["large.npy", "`resize` differs", "32 × 32", "28 × 28"]);
    let pictures = folder.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    let pictures_name = path("pictures");
    fails(metrics(&pictures_name, &[]), &["pictures", "no PNG"]);
    let grey = |side: usize| Png::from_gray(Array2::from_elem((side, side), 9).view()).unwrap();
    grey(28).write(&pictures.join("a.png")).unwrap();
    grey(30).write(&pictures.join("b.png")).unwrap();
    fails(metrics(&pictures_name, &[]), &["b.png", "one size"]);
    let bytes = fs::read(pictures.join("a.png")).unwrap();
    fs::write(pictures.join("b.png"), &bytes[..bytes.len() / 2]).unwrap();
    fails(metrics(&pictures_name, &[]), &["b.png"]);
    fs::write(path("noise.npz"), b"no archive").unwrap();
    fails(metrics(&path("noise.npz"), &[]), &["noise.npz"]);
    Array2::from_elem((20, 784), f32::NAN).write_npy(File::create(path("nan.npy")).unwrap()).unwrap();
    fails(metrics(&path("nan.npy"), &["--features", "pixels"]), &["nan.npy", "<f4", "u8"]);
    fails(metrics(&good, &["--weights", "x.pth"]), &["--weights", "--features inception"]);
    // Weights: none, none there, something else.
    let inception = |weights: &[&str]| metrics(&good, &[&["--features", "inception"], weights].concat());
    fails(inception(&[]), &["--weights FILE", "6726825d"]);
    fails(
        inception(&["--weights", &path("none.pth")]),
        &["none.pth", "no such file", "github.com/mseitzer/pytorch-fid"],
    );
    fails(inception(&["--weights", &good]), &["good.npy", "neither a file of torch.save nor safetensors"]);
    let other = support::workspace().join("crates/models/weights/mnist-cnn.safetensors");
    let other = other.to_str().unwrap();
    fails(inception(&["--weights", other]), &["mnist-cnn.safetensors", "Conv2d_1a_3x3.conv.weight: missing"]);
}
