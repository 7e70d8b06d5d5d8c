//! Sweeps from outside: cells that fail, shards, resumption, interruption, limits, and mistakes in the file.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

mod support;

use support::{fails, newest_checkpoint, stderr, succeeds, sweep, sweep_file as file};

fn lines(folder: &Path, journal: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("runs/sweeps").join(journal)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn size(folder: &Path) -> u64 {
    let all = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    all.map(|path| if path.is_dir() { size(&path) } else { path.metadata().unwrap().len() }).sum()
}

const AXES: &str = r#"
seeds = [1, 2]
[sweep.grid]
"training.rate" = [0.002, { label = "wild", value = 1e30 }]
"sampling.sampler" = [{ kind = "euler" }, { label = "churned", value = { kind = "stochastic-heun", churn = 2.0 } }]
"#;

#[test]
fn a_sweep_goes_on_after_failures_and_shares_trainings() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let more = ["training.steps=3", "training.clip=inf", "training.checkpoint_every=1"];
    let path = file(root, "rates", &more, AXES);
    let plan = succeeds(sweep(root, &[&path, "--dry-run"]));
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.contains("8 of 8 cells to do, in 4 trainings") && plan.contains("short timing"), "{plan}");
    assert!(plan.contains("churned") && plan.contains("wild"), "{plan}");
    assert!(!root.join("runs").exists(), "a dry run leaves nothing");

    // The first shard: every second training, here those of seed 1.
    let text = fails(sweep(root, &[&path, "--shard", "1/2"]), &["2 of 8 cells failed"]);
    assert!(text.contains("2 cells finished, 2 failed"), "{text}");
    let first = lines(root, "rates/cells-1-of-2.jsonl");
    assert!(first.len() == 4 && first.iter().all(|record| record["seed"] == 1), "{first:?}");
    // Without shards, the rest.
    fails(sweep(root, &[&path, "--jobs", "2", "--memory", "3GiB"]), &["4 of 8 cells failed", "--retry"]);
    let second = lines(root, "rates/cells.jsonl");
    assert_eq!(second.len(), 4);
    for record in first.iter().chain(&second) {
        if record["settings"]["training.rate"] == "wild" {
            let error = record["error"].as_str().unwrap();
            assert!(record["status"] == "failed" && error.contains("at step"), "{record}");
        } else {
            assert!(record["status"] == "ok" && record["score"]["cnn_fid"].as_f64().unwrap() > 0.0, "{record}");
        }
    }
    // Two samplers of one seed stand on one training.
    let runs: Vec<PathBuf> = fs::read_dir(root.join("runs/tiny")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(runs.len(), 4);
    let logs = fs::read_dir(root.join("runs/sweeps/rates/logs")).unwrap();
    let skipped = logs.filter(|e| {
        let text = fs::read_to_string(e.as_ref().unwrap().path()).unwrap();
        text.contains("training: finished before")
    });
    assert_eq!(skipped.count(), 2);
    // Disk as foretold, within a quarter and what settings and logs take.
    let trained = runs.iter().find(|run| run.join("metrics.json").exists()).unwrap();
    let experiment = bench_harness::run::stored_experiment(trained).unwrap();
    let foretold = bench_harness::sweep::estimate::disk(&experiment).unwrap() as f64;
    let taken = size(trained) as f64;
    assert!(taken > 0.75 * foretold && taken < 1.25 * foretold + 1e5, "{taken} against {foretold}");

    // Nothing runs twice, except failures on demand.
    fails(sweep(root, &[&path]), &["4 of 8 cells failed"]);
    assert_eq!(lines(root, "rates/cells.jsonl").len(), 4);
    fails(sweep(root, &[&path, "--retry"]), &["4 of 8 cells failed"]);
    assert_eq!(lines(root, "rates/cells.jsonl").len(), 8);

    let sweep_folder = root.join("runs/sweeps/rates");
    let csv = fs::read_to_string(sweep_folder.join("results.csv")).unwrap();
    let head = "cell,training.rate,sampling.sampler,seed,status,images,cnn_fid,";
    assert!(csv.starts_with(head) && csv.matches(",ok,").count() == 4 && csv.matches(",failed,").count() == 4, "{csv}");
    assert!(fs::read(sweep_folder.join("results.parquet")).unwrap().starts_with(b"PAR1"));
    for name in ["main-effects", "front-calls", "front-seconds"] {
        assert!(fs::read_to_string(sweep_folder.join(format!("{name}.svg"))).unwrap().starts_with("<svg"), "{name}");
        assert!(fs::read_to_string(sweep_folder.join(format!("{name}.csv"))).unwrap().lines().count() > 2, "{name}");
    }
    let page = fs::read_to_string(sweep_folder.join("report.html")).unwrap();
    for part in ["Main effects", "Quality and cost", "churned", "Samples", "data:image/png"] {
        assert!(page.contains(part), "{part}");
    }
    let plan = succeeds(sweep(root, &[&path, "--dry-run", "--retry"]));
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.contains("4 of 8 cells to do") && plan.contains("from the cells that are finished"), "{plan}");

    // A sweep against itself: no difference.
    let same = succeeds(sweep(root, &["compare", "rates", sweep_folder.to_str().unwrap()]));
    let same = String::from_utf8_lossy(&same.stdout).into_owned();
    assert!(same.contains("training.rate = 0.002") && same.contains("0.00 to 0.00"), "{same}");
    fails(sweep(root, &["compare", "rates", "none"]), &["no sweep none"]);
}

#[test]
fn a_sweep_that_is_stopped_or_killed_goes_on_where_it_was() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let path = file(root, "long", &["training.steps=300", "training.checkpoint_every=7"], "");
    let wait_for_checkpoint = |past: Option<PathBuf>| {
        while newest_checkpoint(root) == past {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let mut child = sweep(root, &[&path]).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_checkpoint(None);
    // As a scheduler would: to the sweep alone, which passes it on.
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("Repeat the command"), "{}", stderr(&output));
    assert!(lines(root, "long/cells.jsonl").is_empty());

    child = sweep(root, &[&path]).stderr(Stdio::null()).spawn().unwrap();
    wait_for_checkpoint(newest_checkpoint(root));
    child.kill().unwrap();
    child.wait().unwrap();
    // Its worker leaves by itself, and the run's folder is free again.
    let run = newest_checkpoint(root).unwrap().parent().unwrap().parent().unwrap().to_owned();
    let free = || fs::File::open(run.join(".lock")).unwrap().try_lock().is_ok();
    let waited = (0..100).take_while(|_| !free()).inspect(|_| std::thread::sleep(Duration::from_millis(100))).count();
    assert!(waited < 100, "the worker did not leave");
    succeeds(sweep(root, &[&path]));
    let records = lines(root, "long/cells.jsonl");
    assert!(records.len() == 1 && records[0]["status"] == "ok", "{records:?}");
    let log = fs::read_to_string(run.join("log.txt")).unwrap();
    assert!(log.matches("going on from step").count() >= 2, "{log}");
}

#[test]
fn a_worker_that_holds_too_much_memory_is_ended_and_recorded() {
    let folder = TempDir::new().unwrap();
    let path = file(folder.path(), "small", &[], "");
    fails(sweep(folder.path(), &[&path, "--memory", "20MiB"]), &["1 of 1 cells failed"]);
    let records = lines(folder.path(), "small/cells.jsonl");
    assert!(records[0]["error"].as_str().unwrap().contains("above the limit of 20.0 MiB"), "{records:?}");
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let path = file(root, "wrong", &[], "[sweep.grid]\n\"training.weigth\" = [\"edm\"]");
    fails(sweep(root, &[&path]), &["wrong.toml", "training.weigth", "did you mean `weight`?"]);
    let path = file(root, "wrong", &[], "sedes = [1]");
    fails(sweep(root, &[&path]), &["wrong.toml", "sedes", "did you mean `seeds`?"]);
    fails(sweep(root, &["none.toml"]), &["none.toml"]);
    assert!(!root.join("runs").exists());
}
