//! The training engine from outside: killed at any moment, gone wrong, averaged afterwards, conditioned on classes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

mod support;

use support::{dale, fails, run_folder, stderr, succeeds, tiny};

/// The tensors of a file, without its header (which holds seconds).
fn tensors(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

/// The lines of `metrics.jsonl` without what a clock has said.
fn lines(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let parse = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let object = value.as_object_mut().unwrap();
        object.remove("seconds").unwrap();
        object.remove("images_per_second").unwrap();
        value
    };
    text.lines().map(parse).collect()
}

/// All that must not depend on whether a run was killed: file by file, weights, averages, the last checkpoints, the log.
fn state(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in [run.join("checkpoints"), run.join("checkpoints/averages")] {
        let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.extend(all.filter(|path| path.extension().is_some_and(|ending| ending == "safetensors")));
    }
    files.sort();
    files.iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), tensors(path))).collect()
}

#[test]
fn a_run_that_was_killed_twenty_times_is_the_run_that_was_not() {
    // With dropout, several averages and a checkpoint at every third step, so that many kills fall into the writing of one.
    let settings = [
        "--set",
        "training.steps=240",
        "--set",
        "training.checkpoint_every=3",
        "--set",
        "network.dropout=0.1",
        "--set",
        "training.averages=[{width=0.1},{decay=0.9}]",
        "--set",
        "training.grid=0",
        "--set",
        "training.log_every=5",
    ];
    let (whole, broken) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let began = Instant::now();
    succeeds(dale(whole.path(), &tiny("train", &settings)));
    let full = began.elapsed();

    // Kills at moments spread over the run by a golden ratio; each sitting lives a part of the whole run's time, and more of it if
    // none of the sittings before got anywhere.
    let (mut kills, mut patience) = (0, 1.0);
    for sitting in 0..200 {
        let begun = fs::read_dir(broken.path().join("runs/tiny")).is_ok_and(|mut all| all.next().is_some());
        let has_checkpoint = begun && support::newest_checkpoint(broken.path()).is_some();
        let resume = [&settings[..], if has_checkpoint { &["--resume"][..] } else { &[] }].concat();
        let mut command = dale(broken.path(), &tiny("train", &resume));
        let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        if kills < 20 {
            let part = (0.5 + f64::from(sitting) * 0.618_033_988_75).fract();
            std::thread::sleep(full.mul_f64(patience * (0.05 + 0.25 * part)).max(Duration::from_millis(5)));
            child.kill().unwrap();
            if child.wait().unwrap().success() {
                // It had finished: the rest of the kills must come earlier.
                fs::remove_dir_all(broken.path().join("runs")).unwrap();
                patience *= 0.5;
                kills = 0;
                continue;
            }
            kills += 1;
        } else {
            assert!(child.wait().unwrap().success());
            break;
        }
    }
    assert_eq!(kills, 20);
    let (one, other) = (run_folder(whole.path()), run_folder(broken.path()));
    let (expected, found) = (state(&one), state(&other));
    let names = |all: &[(String, Vec<u8>)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&expected), names(&found));
    assert!(names(&expected).iter().any(|name| name == "best.safetensors"));
    for ((name, a), (_, b)) in expected.iter().zip(&found) {
        assert!(a == b, "{name} differs");
    }
    assert_eq!(lines(&one), lines(&other));
}

#[test]
fn a_step_that_goes_wrong_can_be_replayed() {
    let folder = TempDir::new().unwrap();
    // The host looks only every 6 steps; the box holds the first bad one.
    let wild = [
        "--set",
        "training.rate=1e30",
        "--set",
        "training.clip=inf",
        "--set",
        "training.log_every=6",
        "--set",
        "training.warmup=0",
        "--set",
        "training.checkpoint_every=1000",
        "--set",
        "training.steps=2000",
    ];
    let text = fails(dale(folder.path(), &tiny("train", &wild)), &["not finite at step 1:", "dale replay"]);
    let run = run_folder(folder.path());
    let path = run.join("blackbox-step-00000001.safetensors");
    assert!(path.is_file(), "{text}");
    assert!(run.join("checkpoints/step-00000000.safetensors").is_file());
    assert!(!run.join("checkpoints/weights.safetensors").exists());

    let output = succeeds(dale(folder.path(), &["replay", path.to_str().unwrap(), "--threads", "1"]));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let sentence = |start: &str| said.lines().find_map(|l| l.strip_prefix(start)).unwrap().to_owned();
    assert_eq!(sentence("recorded: "), sentence("replayed: "));
    assert!(said.contains("gradient norm NaN; ") && said.contains("the first "), "{said}");

    // Weights are no black box, and half a black box is none.
    let weights = run.join("checkpoints/step-00000000.safetensors");
    fails(dale(folder.path(), &["replay", weights.to_str().unwrap()]), &["step-00000000", "no black box"]);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    fails(dale(folder.path(), &["replay", path.to_str().unwrap()]), &["blackbox-step", "damaged"]);
}

#[test]
fn an_average_of_another_width_is_made_after_training_and_sampled() {
    let folder = TempDir::new().unwrap();
    let averages = ["--set", "training.averages=[{width=0.05},{width=0.1},{decay=0.5}]"];
    succeeds(dale(folder.path(), &tiny("train", &averages)));
    let run = run_folder(folder.path());
    let name = run.to_str().unwrap();
    // Of a width that was kept: the kept one itself, within the rounding of single precision.
    succeeds(dale(folder.path(), &["average", name, "--width", "0.1"]));
    let values = |path: PathBuf| -> Vec<f32> {
        tensors(&path).chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let made = values(run.join("checkpoints/weights-width-0.1.safetensors"));
    let kept = values(run.join("checkpoints/averages/width-0.1-step-00000012.safetensors"));
    let largest = made.iter().zip(&kept).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(made.len() == kept.len() && largest < 1e-5, "{largest}");

    succeeds(dale(folder.path(), &["average", name, "--width", "0.07"]));
    let weights = run.join("checkpoints/weights-width-0.07.safetensors");
    let picture = folder.path().join("a.png");
    let arguments =
        ["sample", name, "--weights", weights.to_str().unwrap(), "--n", "4", "--out", picture.to_str().unwrap()];
    succeeds(dale(folder.path(), &arguments));
    assert!(picture.is_file());
    fails(dale(folder.path(), &["average", name, "--width", "0.5"]), &["0.5", "at most 0.28"]);

    let without = TempDir::new().unwrap();
    succeeds(dale(without.path(), &tiny("train", &["--set", "training.averages=[]"])));
    let run = run_folder(without.path());
    fails(dale(without.path(), &["average", run.to_str().unwrap(), "--width", "0.1"]), &["training.averages"]);
}

#[test]
fn a_network_with_classes_is_trained_and_asked() {
    let folder = TempDir::new().unwrap();
    succeeds(dale(folder.path(), &tiny("reproduce", &["--set", "network.classes=10"])));
    let run = run_folder(folder.path());
    let out = folder.path().join("a.npz");
    let mut arguments = vec!["sample", run.to_str().unwrap(), "--n", "3", "--out", out.to_str().unwrap()];
    let base = arguments.len();
    for set in ["sampling.class=7", "sampling.guidance=2.0"] {
        arguments.truncate(base);
        arguments.extend(["--set", set]);
        succeeds(dale(folder.path(), &arguments));
    }
    arguments.truncate(base);
    arguments.extend(["--set", "sampling.class=10"]);
    fails(dale(folder.path(), &arguments), &["sampling.class", "network.classes = 10"]);
    fails(dale(folder.path(), &tiny("train", &["--set", "sampling.guidance=2.0"])), &["sampling.guidance", "classes"]);
}

#[test]
fn a_network_is_shown_layer_by_layer() {
    let folder = TempDir::new().unwrap();
    let output = succeeds(dale(folder.path(), &["model", "show", "unet-9m"]));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("9141188") && text.contains("embedding"), "{text}");
    let output = succeeds(dale(folder.path(), &["model", "show", "mnist", "--preset", "cpu", "--json"]));
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(whole["parameters"], 1_732_196);
    let named = ["model", "show", "mnist", "--preset", "cpu", "--set", "network.preset=unet-17m"];
    let output = succeeds(dale(folder.path(), &named));
    assert!(String::from_utf8_lossy(&output.stdout).contains("17346820"), "{}", stderr(&output));
    fails(dale(folder.path(), &["model", "show", "unet-3m"]), &["network.preset", "unet-2m"]);
}

#[test]
fn tensorboard_and_the_grids_of_a_training_are_there() {
    let folder = TempDir::new().unwrap();
    succeeds(dale(folder.path(), &tiny("train", &["--set", "training.grid=4"])));
    let run = run_folder(folder.path());
    let events = fs::read_dir(run.join("tensorboard")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(events).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for tag in ["loss", "gradient_norm", "probe loss", "Hyvärinen score", "samples", "error by level/", "config"] {
        assert!(holds(tag), "{tag}");
    }
    assert_eq!(fs::read_dir(run.join("grids")).unwrap().count(), 3);
    assert_eq!(fs::read_to_string(run.join("quality.jsonl")).unwrap(), "", "nothing was to be judged");
    let levels = &lines(&run)[0]["levels"];
    assert!(levels.as_array().unwrap().iter().any(|bin| bin["error"].is_f64()), "{levels}");
}

#[test]
fn a_gpu_is_checked_where_there_is_one() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("check");
    let name = out.to_str().unwrap();
    let output = succeeds(dale(folder.path(), &["--device", "cpu", "gpu-check", "--out", name]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing to check"), "{}", stderr(&output));
    assert!(!out.exists());
    // The same way on the CPU.
    let mut arguments = tiny("gpu-check", &["--rehearse", "--device", "cpu", "--out", name]);
    arguments[3] = "gpu";
    succeeds(dale(folder.path(), &arguments));
    let found: Value = serde_json::from_slice(&fs::read(out.join("gpu-check.json")).unwrap()).unwrap();
    assert_eq!(found["difference_from_cpu"], 0.0);
    assert!(found["cnn_fid"].as_f64().unwrap() > 0.0 && found["step_seconds"]["tf32"].as_f64().unwrap() > 0.0);
    assert!(out.join("gpu-check.svg").is_file());
}

#[test]
fn quality_is_judged_while_training_and_drawn_against_time() {
    let folder = TempDir::new().unwrap();
    let more = ["--set", "training.eval_every=8", "--set", "evaluation.training_images=10"];
    succeeds(dale(folder.path(), &tiny("reproduce", &more)));
    let run = run_folder(folder.path());
    let text = fs::read_to_string(run.join("quality.jsonl")).unwrap();
    let judged: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(judged.len(), 1, "{text}");
    assert_eq!((&judged[0]["step"], &judged[0]["score"]["n"]), (&Value::from(8), &Value::from(10)));
    assert!(judged[0]["score"]["fingerprint"]["extractor_sha256"].is_string());
    assert!(run.join("figures/quality.svg").is_file());
}

#[test]
fn two_sets_of_images_are_compared_wherever_they_come_from() {
    let folder = TempDir::new().unwrap();
    succeeds(dale(folder.path(), &tiny("reproduce", &["--set", "sampling.n=30"])));
    let run = run_folder(folder.path());
    let (run_name, statistics) = (run.to_str().unwrap(), folder.path().join("a.npz"));
    let measure = |a: &str, b: &str, more: &[&str]| -> Value {
        let output = succeeds(dale(folder.path(), &[&["metrics", a, b, "--json"], more].concat()));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let own = measure(run_name, run_name, &["--write-statistics", statistics.to_str().unwrap()]);
    assert!(own["fid"]["estimate"].as_f64().unwrap() < 1e-6, "{own}");
    assert_eq!((&own["fingerprint"]["n_samples"], &own["copied"]["estimate"]), (&Value::from(30), &Value::from(1.0)));
    // The same from the moments alone, and on pixels.
    let moments = measure(statistics.to_str().unwrap(), run_name, &[]);
    assert!(moments["fid"]["estimate"].as_f64().unwrap() < 1e-6 && moments.get("kid").is_none(), "{moments}");
    let pixels = measure(run_name, run_name, &["--features", "pixels"]);
    assert_eq!(pixels["fingerprint"]["extractor"], "pixels");
    let figures = run.join("figures");
    fails(dale(folder.path(), &["metrics", figures.to_str().unwrap(), run_name]), &["one size", ".png"]);
    fails(dale(folder.path(), &["metrics", "nowhere", run_name]), &["nowhere", "no such file"]);

    // The nearest training images of a run's samples.
    let out = folder.path().join("near");
    succeeds(dale(folder.path(), &["neighbours", run_name, "--n", "3", "--k", "4", "--out", out.to_str().unwrap()]));
    let found: Value = serde_json::from_slice(&fs::read(out.join("neighbours.json")).unwrap()).unwrap();
    for space in ["pixels", "features"] {
        assert!(fs::read(out.join(format!("neighbours-{space}.png"))).unwrap().starts_with(b"\x89PNG"));
        assert_eq!(found[space]["shown"].as_array().unwrap().len(), 3);
        assert_eq!(found[space]["shown"][0]["indices"].as_array().unwrap().len(), 4);
    }
    fails(dale(folder.path(), &["neighbours", run_name, "--k", "500"]), &["500", "300"]);
}
