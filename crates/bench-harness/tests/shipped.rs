//! What ships, from outside: weights that are judged again, figures that are drawn from them, sweeps that are taken over and shown.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

mod support;

use support::{dale, fails, run_folder, succeeds, sweep, sweep_file, tiny};

#[test]
fn shipped_weights_give_the_shipped_numbers_and_the_papers_figures() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    succeeds(dale(root, &tiny("reproduce", &[])));
    let (run, shipped) = (run_folder(root), root.join("shipped"));
    let name = shipped.to_str().unwrap();
    succeeds(dale(root, &["export", run.to_str().unwrap(), name]));

    let said = succeeds(dale(root, &["results-check", name, "--threads", "1"]));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.matches("yes").count(), 2, "samples and real images: {said}");
    let path = shipped.join("metrics.json");
    let good = fs::read_to_string(&path).unwrap();
    let mut metrics: Value = serde_json::from_str(&good).unwrap();
    let score = &mut metrics["scores"][0];
    score["cnn_fid"] = (score["cnn_fid"].as_f64().unwrap() + 3.0 * score["cnn_fid_sd"].as_f64().unwrap()).into();
    fs::write(&path, metrics.to_string()).unwrap();
    fails(dale(root, &["results-check", name, "--threads", "1"]), &["not the numbers that ship", "shipped (samples)"]);
    fs::remove_file(&path).unwrap();
    fails(dale(root, &["results-check", name]), &["metrics.json"]);

    let page = root.join("page");
    succeeds(dale(root, &["figures", name, "--out", page.to_str().unwrap(), "--threads", "1"]));
    let stems = [
        "forward-and-reverse-path-of-an-image",
        "samples-of-the-data-sets",
        "400-samples-glyphs",
        "nearest-training-images-by-pixels",
        "nearest-training-images-by-features",
        "start-of-all-points-paths-of-a-dozen",
        "end-points-and-contours-of-the-fitted-density",
        "r-0-8",
        "samples-as-they-form",
    ];
    for stem in stems {
        for ending in ["svg", "png", "csv"] {
            assert!(fs::metadata(page.join(format!("{stem}.{ending}"))).unwrap().len() > 100, "{stem}.{ending}");
        }
    }
    assert!(fs::read(page.join("reverse.png")).unwrap().windows(4).any(|chunk| chunk == b"acTL"), "it moves");
    assert!(fs::read_to_string(page.join("report.html")).unwrap().contains("Figure 11"));
    fails(dale(root, &["figures", root.to_str().unwrap()]), &["not a run's folder"]);
}

#[test]
fn a_sweep_is_shipped_taken_over_and_shown() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let more = ["training.eval_every=4", "evaluation.training_images=10"];
    let axes = "title = \"Two rates\"\nseeds = [1, 2]\n[sweep.grid]\n\"training.rate\" = [0.002, 0.001]\n";
    let path = sweep_file(root, "rates", &more, axes);
    succeeds(sweep(root, &[&path, "--shard", "1/2"]));
    let (own, shipped) = (root.join("runs/sweeps/rates"), root.join("shipped"));
    let name = shipped.to_str().unwrap();
    succeeds(dale(root, &["export", own.to_str().unwrap(), name]));
    assert_eq!(fs::read_to_string(shipped.join("cells.jsonl")).unwrap().lines().count(), 2);

    // Elsewhere: two cells are taken over, two are run.
    let other = TempDir::new().unwrap();
    succeeds(sweep(other.path(), &[&path, "--from", name]));
    assert_eq!(fs::read_dir(other.path().join("runs/tiny")).unwrap().count(), 2);
    let csv = fs::read_to_string(other.path().join("runs/sweeps/rates/results.csv")).unwrap();
    assert_eq!(csv.matches(",ok,").count(), 4, "{csv}");
    // Again nothing is left to do, and nothing is taken twice.
    let journal = other.path().join("runs/sweeps/rates/cells-adopted.jsonl");
    let before = fs::read_to_string(&journal).unwrap();
    succeeds(sweep(other.path(), &[&path, "--from", name]));
    assert_eq!(fs::read_to_string(&journal).unwrap(), before);
    fails(sweep(other.path(), &[&path, "--from", root.to_str().unwrap()]), &["not a sweep's folder"]);

    let page = root.join("page");
    let out = page.to_str().unwrap();
    let said = succeeds(dale(other.path(), &["sweep", "show", "rates", "--title", "Side by side", "--out", out]));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("Two rates: 12 images each") && !said.contains("have not been run"), "{said}");
    let html = fs::read_to_string(page.join("report.html")).unwrap();
    assert!(html.matches("data:image/png").count() >= 2 && html.contains("Side by side"));
    let curve = fs::read_to_string(page.join("curve-rates.csv")).unwrap();
    assert_eq!(curve.lines().count(), 1 + 2 * 3, "two settings, judged at three steps: {curve}");
    let said = succeeds(dale(root, &["sweep", "show", name, "--out", out]));
    assert!(String::from_utf8_lossy(&said.stdout).contains("2 of 4 cells of this comparison have not been run"));
}
