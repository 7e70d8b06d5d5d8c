//! The `dale` program from outside: the whole road on drawn digits, interruption, resumption, and every kind of bad input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

mod support;

use support::{TINY, dale, fails, interrupt, interrupt_after, run_folder, stderr, succeeds, tiny, workspace};

#[test]
fn the_whole_road_leaves_a_complete_run_and_skips_it_the_second_time() {
    let folder = TempDir::new().unwrap();
    let output = succeeds(dale(folder.path(), &tiny("reproduce", &[])));
    let run = run_folder(folder.path());
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("training images") && printed.contains("samples.png"), "{printed}");
    for file in [
        "config.toml",
        "manifest.json",
        "metrics.json",
        "metrics.jsonl",
        "log.txt",
        "samples.npz",
        "figures/samples.png",
        "figures/path.png",
        "figures/loss.svg",
        "figures/loss.png",
        "figures/loss.csv",
        "figures/levels.svg",
        "checkpoints/weights.safetensors",
    ] {
        assert!(run.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("cnn-fid") && report.contains("full-covariance log-normal"));
    assert!(!report.contains("src=\"http") && !report.contains("href=\"http"));

    let weights = fs::metadata(run.join("checkpoints/weights.safetensors")).unwrap().modified().unwrap();
    let again = succeeds(dale(folder.path(), &tiny("reproduce", &[])));
    assert_eq!(stderr(&again).matches("finished before").count(), 3, "{}", stderr(&again));
    assert_eq!(fs::metadata(run.join("checkpoints/weights.safetensors")).unwrap().modified().unwrap(), weights);

    // Image i is the same, to the bit, however many are asked for.
    let (few, many) = (folder.path().join("few.npz"), folder.path().join("many.npz"));
    let run_name = run.to_str().unwrap();
    succeeds(dale(folder.path(), &["sample", run_name, "--threads", "1", "--n", "3", "--out", few.to_str().unwrap()]));
    succeeds(dale(
        folder.path(),
        &["sample", run_name, "--threads", "1", "--n", "11", "--out", many.to_str().unwrap()],
    ));
    let read = |path: &Path| bench_harness::arrays::read_npz(path).unwrap();
    let (few, many, all) = (read(&few), read(&many), read(&run.join("samples.npz")));
    assert_eq!(few.dim(), (3, 28, 28));
    assert!(few.iter().eq(many.iter().take(few.len())) && many.iter().eq(all.iter().take(many.len())));

    // What ships is enough to sample without the run and without data.
    let shipped = folder.path().join("shipped");
    let shipped_name = shipped.to_str().unwrap();
    succeeds(dale(folder.path(), &["export", run_name, shipped_name]));
    let png = folder.path().join("grid.png");
    succeeds(dale(folder.path(), &["sample", shipped_name, "--n", "4", "--out", png.to_str().unwrap()]));
    assert!(fs::read(png).unwrap().starts_with(b"\x89PNG"));

    // An untrained network does not pass the check.
    let text = fails(dale(folder.path(), &tiny("reproduce", &["--check"])), &["check: "]);
    assert!(text.contains("linear denoiser") || text.contains("log-normal"), "{text}");

    // Half a checkpoint, and one of another architecture, are refused by name.
    let path = shipped.join("weights.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    fails(dale(folder.path(), &["sample", shipped_name]), &["weights.safetensors", "cut in half"]);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let at = text.find(r#"\"widths\":[8,16]"#).unwrap() + r#"\"widths\":[8,"#.len();
    let mut other = bytes.clone();
    other[at..at + 2].copy_from_slice(b"24");
    fs::write(&path, other).unwrap();
    fails(dale(folder.path(), &["sample", shipped_name]), &["weights.safetensors", "expected F32 or F16"]);
}

#[test]
fn the_published_recipe_walks_the_road_too() {
    let folder = TempDir::new().unwrap();
    let mut arguments = tiny("reproduce", &["--set", "sampling.n=4", "--set", "sampling.grid.steps=20"]);
    arguments[3] = "published";
    let output = succeeds(dale(folder.path(), &arguments));
    let manifest = fs::read_to_string(run_folder(folder.path()).join("metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(metrics["scores"][0]["calls"], 20, "{}", stderr(&output));
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_weights() {
    let (whole, broken) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let steps = ["--set", "training.steps=400", "--set", "training.checkpoint_every=7"];
    succeeds(dale(whole.path(), &tiny("train", &steps)));
    let text = interrupt(dale(broken.path(), &tiny("train", &steps)), broken.path());
    assert!(text.contains("stopped at step") && text.contains("--resume"), "{text}");
    fails(dale(broken.path(), &tiny("train", &steps)), &["already holds checkpoints", "--resume"]);
    succeeds(dale(broken.path(), &tiny("train", &[&steps[..], &["--resume"]].concat())));

    let tensors = |folder: &Path| {
        let bytes = fs::read(run_folder(folder).join("checkpoints/weights.safetensors")).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert_eq!(tensors(whole.path()), tensors(broken.path()));
    let losses = |folder: &Path| -> Vec<(u64, f64)> {
        let text = fs::read_to_string(run_folder(folder).join("metrics.jsonl")).unwrap();
        let parse = |l: &str| serde_json::from_str::<serde_json::Value>(l).unwrap();
        text.lines().map(parse).map(|v| (v["step"].as_u64().unwrap(), v["loss"].as_f64().unwrap())).collect()
    };
    // The interruption may add a line of its own; the last lines agree.
    assert_eq!(losses(whole.path()).last(), losses(broken.path()).last());
}

#[test]
fn an_interrupted_sampling_goes_on_to_the_same_images() {
    let (whole, broken) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let arguments = tiny("reproduce", &["--set", "sampling.n=96", "--set", "sampling.grid.steps=30"]);
    succeeds(dale(whole.path(), &arguments));
    succeeds(dale(broken.path(), &tiny("train", &[])));
    let run = run_folder(broken.path());
    let text = interrupt_after(dale(broken.path(), &arguments), || run.join("samples.part.json").is_file());
    assert!(text.contains("finished batches and stages are kept"), "{text}");
    assert!(!run.join("samples.npz").exists());
    let text = stderr(&succeeds(dale(broken.path(), &arguments)));
    assert!(text.contains("going on after"), "{text}");
    let images = |run: &Path| fs::read(run.join("samples.npz")).unwrap();
    assert_eq!(images(&run_folder(whole.path())), images(&run));
    assert!(!run.join("samples.part").exists() && !run.join("samples.part.json").exists());
}

#[test]
fn a_changed_configuration_is_not_resumed() {
    let folder = TempDir::new().unwrap();
    succeeds(dale(folder.path(), &tiny("train", &[])));
    let run = run_folder(folder.path());
    let changed = ["--set", "training.rate=0.5", "--resume"];
    fails(dale(folder.path(), &tiny("train", &changed)), &["cannot resume", "training.rate: 0.002 → 0.5"]);
    // A folder without checkpoints is refused, and nothing in it is touched.
    let shipped = folder.path().join("shipped");
    fs::create_dir(&shipped).unwrap();
    fs::copy(run.join("config.toml"), shipped.join("config.toml")).unwrap();
    fails(dale(folder.path(), &tiny("train", &["--resume", shipped.to_str().unwrap()])), &["cannot resume", "shipped"]);
    assert_eq!(fs::read_dir(&shipped).unwrap().count(), 1);
    let named = ["--set", "training.rate=0.5", "--resume", run.to_str().unwrap()];
    fails(dale(folder.path(), &tiny("train", &named)), &["changed configuration", "training.rate: 0.002 → 0.5"]);
    assert_eq!(run_folder(folder.path()), run, "no folder is left of the attempts");
}

#[test]
fn a_loss_that_is_not_a_number_stops_and_keeps_the_last_checkpoint() {
    let folder = TempDir::new().unwrap();
    let wild = ["--set", "training.rate=1e30", "--set", "training.clip=inf", "--set", "training.checkpoint_every=1"];
    fails(dale(folder.path(), &tiny("train", &wild)), &["at step", "nothing was saved after it", "training.rate"]);
    let kept = fs::read_dir(run_folder(folder.path()).join("checkpoints")).unwrap().count();
    assert!(kept >= 1, "the checkpoints before are still there");
}

#[test]
fn wrong_settings_are_explained() {
    let folder = TempDir::new().unwrap();
    let show = |set: &[&'static str]| {
        let mut arguments = vec!["config", "show", "mnist", "--preset", "cpu"];
        set.iter().for_each(|s| arguments.extend(["--set", *s]));
        dale(folder.path(), &arguments)
    };
    fails(show(&["training.step=3"]), &["experiments/mnist.toml", "training", "`step`", "did you mean `steps`?"]);
    fails(show(&["training.steps=many"]), &["experiments/mnist.toml", "training", "invalid type"]);
    fails(show(&["data.name=mnits"]), &["data", "mnits", "did you mean `mnist`?"]);
    fails(show(&["network.widths=[48,90]"]), &["network.widths", "90", "network.groups = 8"]);
    fails(dale(folder.path(), &["config", "show", "mnits"]), &["mnits", "did you mean `mnist`?"]);
    fails(dale(folder.path(), &["config", "show", "mnist", "--preset", "gpuu"]), &["did you mean `gpu`?"]);
    fails(dale(folder.path(), &["--device", "cuda:99", "config", "show", "no.toml", "--preset", "cpu"]), &["no.toml"]);
}

#[test]
fn missing_data_is_an_error_or_is_replaced_under_its_own_name() {
    let folder = TempDir::new().unwrap();
    let sets = TINY.iter().filter(|s| !s.starts_with("data=") && !s.starts_with("network") && !s.starts_with("name"));
    let mut arguments = vec!["reproduce", "mnist", "--preset", "cpu", "--strict-data"];
    sets.for_each(|s| arguments.extend(["--set", *s]));
    let parts = ["train-images-idx3-ubyte.gz", "440fcabf73cc546f", "put them into", "mnist"];
    fails(dale(folder.path(), &arguments), &parts);
    fails(dale(folder.path(), &["train", "mnist", "--preset", "cpu"]), &parts);
    fails(dale(folder.path(), &["data", "fetch", "mnist"]), &parts[..2]);
    assert!(!folder.path().join("runs/mnist").exists(), "no run of a data set that is not there");

    // Without --strict-data the program goes on with what it draws itself, says so, and keeps the names apart.
    arguments.retain(|a| *a != "--strict-data");
    arguments.extend(["--set", "network={widths=[8,16],blocks=1,decoder_blocks=1,groups=4,embedding=16}"]);
    let output = succeeds(dale(folder.path(), &arguments));
    assert!(stderr(&output).contains("│ mnist is neither on this machine nor to be downloaded"), "{}", stderr(&output));
    assert!(!folder.path().join("runs/mnist").exists());
    let run = fs::read_dir(folder.path().join("runs/glyphs")).unwrap().next().unwrap().unwrap().path();
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("None of these numbers is a number of mnist"));
    let metrics = fs::read_to_string(run.join("metrics.json")).unwrap();
    assert!(metrics.contains("glyphs/test") && !metrics.contains("mnist/test"), "{metrics}");
}

#[test]
fn a_part_of_a_data_set_stands_in_under_its_own_name() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data/kmnist");
    fs::create_dir_all(&data).unwrap();
    for name in [
        "train-first7011-images-idx3-ubyte.gz",
        "train-first7011-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ] {
        fs::write(data.join(name), b"not looked into yet").unwrap();
    }
    let root = folder.path().join("data");
    let with = |verb: &str, more: &[&str]| {
        let mut command =
            dale(folder.path(), &["--data-dir", root.to_str().unwrap(), verb, "kmnist", "--preset", "cpu"]);
        command.args(more);
        command
    };
    let parts = ["data set `kmnist` is not on this machine", "51467d22d8cc7292", "on this machine is `kmnist-7011`"];
    fails(with("train", &[]), &parts);
    fails(with("reproduce", &["--strict-data"]), &parts);
    let boxed = "│ kmnist is neither on this machine nor to be downloaded: going on with `kmnist-7011`, the first 7,011 of 60,000";
    let text = with("reproduce", &[]).output().unwrap();
    let text = stderr(&text);
    assert!(text.contains(boxed) && text.contains("train-first7011-images-idx3-ubyte.gz: wrong checksum"), "{text}");
    // Without any of it, glyphs.
    fs::remove_file(data.join("train-first7011-labels-idx1-ubyte.gz")).unwrap();
    let text = fails(with("train", &[]), &parts[..2]);
    assert!(!text.contains("kmnist-7011"), "{text}");
}

#[test]
fn what_config_show_prints_is_the_experiment() {
    let folder = TempDir::new().unwrap();
    let set = ["--set", "training.steps=20"];
    let shown =
        succeeds(dale(folder.path(), &[&["config", "show", "kmnist", "--preset", "as-written"], &set[..]].concat()));
    let text = String::from_utf8(shown.stdout).unwrap();
    for (line, origin) in [("name = ", "# kmnist.toml"), ("steps = 20 ", "# --set"), ("n = ", "# base.toml")] {
        let found = text.lines().find(|l| l.starts_with(line)).unwrap();
        assert!(found.ends_with(origin), "{found}");
    }
    let file = folder.path().join("own.toml");
    fs::write(&file, &text).unwrap();
    let again = succeeds(dale(folder.path(), &["config", "show", file.to_str().unwrap()]));
    let table = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
    assert_eq!(table(&String::from_utf8(again.stdout).unwrap()), table(&text));

    // From any folder, with what is built in.
    let mut elsewhere = dale(folder.path(), &["config", "show", "fashion-mnist", "--preset", "cpu"]);
    assert!(
        String::from_utf8(
            succeeds({
                elsewhere.current_dir(folder.path());
                elsewhere
            })
            .stdout
        )
        .unwrap()
        .contains("fashion-mnist")
    );
    fs::write(folder.path().join("mine.toml"), "extends = 'mnist.toml'\nname = 'mine'\ntraining.step = 3").unwrap();
    let mut mine = dale(folder.path(), &["config", "show", "mine.toml", "--preset", "cpu"]);
    mine.current_dir(folder.path());
    fails(mine, &["mine.toml", "`step`", "did you mean `steps`?"]);

    let schema = succeeds(dale(folder.path(), &["config", "schema"])).stdout;
    assert_eq!(schema, fs::read(workspace().join("experiments/schema.json")).unwrap());
}

#[test]
fn truncated_data_is_refused_before_use() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data/mnist");
    fs::create_dir_all(&data).unwrap();
    for name in [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ] {
        fs::write(data.join(name), b"\x1f\x8b\x08\x00 cut").unwrap();
    }
    let root = folder.path().join("data");
    let arguments = ["--data-dir", root.to_str().unwrap(), "reproduce", "mnist", "--preset", "cpu"];
    fails(dale(folder.path(), &arguments), &["train-images-idx3-ubyte.gz", "wrong checksum"]);
    assert!(data.join("train-images-idx3-ubyte.gz").exists());
}

#[test]
fn an_output_folder_that_cannot_be_written_is_named() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("runs"), b"a file, not a folder").unwrap();
    fails(dale(folder.path(), &tiny("train", &[])), &["cannot make the run folder", "runs"]);
}

#[test]
fn a_disk_that_is_full_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let steps = ["--set", "training.steps=5000"];
    interrupt(dale(folder.path(), &tiny("train", &steps)), folder.path());
    let before: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(run_folder(folder.path()).join("checkpoints"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    // A limit on the size of files makes every larger write fail halfway, as a full disk does.
    let inner = dale(folder.path(), &tiny("train", &[&steps[..], &["--resume"]].concat()));
    let mut limited = Command::new("bash");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 60; exec \"$@\"", "bash"])
        .arg(inner.get_program())
        .args(inner.get_args());
    limited.current_dir(workspace()).env("DALE_OFFLINE", "1").env("XDG_CACHE_HOME", folder.path().join("cache"));
    fails(limited, &["the checkpoint was not saved; older ones are intact", "step-", "File too large"]);
    for (path, bytes) in before {
        assert_eq!(fs::read(&path).unwrap(), bytes, "{}", path.display());
    }
}

#[test]
fn images_of_another_size_than_the_network_are_refused() {
    let folder = TempDir::new().unwrap();
    fails(
        dale(folder.path(), &tiny("train", &["--set", "network.size=32"])),
        &["network.size = 32", "28 × 28", "glyphs"],
    );
    fails(
        dale(folder.path(), &tiny("train", &["--set", "network.channels=3"])),
        &["network.channels = 3", "1 channel"],
    );
}

#[test]
fn impossible_requests_of_sample_fail_before_any_work() {
    let folder = TempDir::new().unwrap();
    fails(dale(folder.path(), &["sample", "no/such/run"]), &["no/such/run/config.toml", "not a run's folder"]);
    fails(dale(folder.path(), &["sample", "--out", "grid.jpg"]), &["grid.jpg", ".png or .npz"]);
    fails(dale(folder.path(), &["sample", "--out", "no/folder/a.png"]), &["no/folder"]);
    fails(
        dale(folder.path(), &["sample", "--set", "network.size=3"]),
        &["network.size=3", "only settings of `sampling`"],
    );
}

#[test]
fn the_doctor_answers_in_json() {
    let folder = TempDir::new().unwrap();
    let output = succeeds(dale(folder.path(), &["doctor", "--json"]));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["healthy"], true);
    assert!(found["libtorch_version"].as_str().unwrap().starts_with("2.11"));
    assert!(found["cuda_devices"].as_u64().unwrap() > 0 || found["cuda_reason"].is_string());
}

#[test]
fn the_identities_hold_and_their_page_needs_no_network() {
    let folder = TempDir::new().unwrap();
    let output = succeeds(dale(
        folder.path(),
        &["theory", "--offline", "--out", folder.path().join("theory").to_str().unwrap()],
    ));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        printed.lines().filter(|line| line.starts_with("ok ")).count() == 43 && !printed.contains("NO "),
        "{printed}"
    );
    let report = fs::read_to_string(folder.path().join("theory/report.html")).unwrap();
    assert!(report.matches("<math").count() >= 35 && report.matches("<svg").count() >= 6);
    assert!(!report.contains("src=\"http") && !report.contains("href=\"http") && !report.contains("<script src"));
    assert!(report.contains("glyphs"), "the stand-in is named");
    assert!(fs::read_to_string(folder.path().join("theory/identities.md")).unwrap().contains("$`"));
}

#[test]
fn dales_law_is_kept_by_exponentiated_gradient_descent_alone() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("dale");
    let request = ["dales-law", "--seeds", "1", "--epochs", "1", "--images", "1280", "--threads", "1", "--out"];
    let request: Vec<&str> = request.into_iter().chain([out.to_str().unwrap()]).collect();
    let said = String::from_utf8(succeeds(dale(folder.path(), &request)).stdout).unwrap();
    let study: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(out.join("dales_law.json")).unwrap()).unwrap();
    assert_eq!(study["data"], "glyphs");
    let learned = study["learned"].as_array().unwrap();
    assert_eq!(learned.len(), 4);
    for network in learned {
        let end = network["epochs"].as_array().unwrap().last().unwrap();
        assert_eq!(end["flipped"].as_f64() == Some(0.0), network["rule"] == "exponentiated", "{network}");
        assert_eq!(network["populations"].as_array().unwrap().len(), 6);
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Not the data set that was asked for") && !page.contains("src=\"http"));
    let table = fs::read_to_string(out.join("dales_law.md")).unwrap();
    assert!(
        said.contains("Under EGD no weight changed its sign") && table.contains("Under EGD no weight changed its sign")
    );
    for chart in ["learning", "signs", "weights-egd-uniform", "weights-gradient-log-normal"] {
        assert!(fs::read_to_string(out.join(format!("{chart}.svg"))).unwrap().starts_with("<svg"), "{chart}");
    }
}

#[test]
fn priors_of_the_data_set_walk_the_road_and_say_when_it_is_missing() {
    let folder = TempDir::new().unwrap();
    let prior = ["--set", "sampling.prior={kind=\"full-covariance\",rank=5}"];
    succeeds(dale(folder.path(), &tiny("reproduce", &prior)));
    let run = run_folder(folder.path());
    let run_name = run.to_str().unwrap();
    let metrics = fs::read_to_string(run.join("metrics.json")).unwrap();
    assert!(metrics.contains("prior alone"));

    // `sample` loads the data set for such a prior, and image i is the same however many are asked for.
    let draw = |prior: &str, n: &str, out: &str| {
        let out = folder.path().join(out);
        let set = format!("sampling.prior={prior}");
        let arguments = ["sample", run_name, "--threads", "1", "--n", n, "--set", &set, "--out", out.to_str().unwrap()];
        succeeds(dale(folder.path(), &arguments));
        bench_harness::arrays::read_npz(&out).unwrap()
    };
    let mut seen = vec![bench_harness::arrays::read_npz(&run.join("samples.npz")).unwrap()];
    for prior in ["{kind=\"full-covariance\",rank=5}", "{kind=\"class-average\"}", "{kind=\"moment-matched\"}"] {
        let (few, many) = (draw(prior, "3", "few.npz"), draw(prior, "12", "many.npz"));
        assert!(few.iter().eq(many.iter().take(few.len())), "{prior}");
        seen.push(many);
    }
    assert_eq!(seen[0], seen[1], "the run's own prior");
    assert!(seen[1] != seen[2] && seen[2] != seen[3], "three different starts");

    // The data set is not on this machine: only priors that are made of it need it.
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let moved = folder.path().join("moved");
    fs::create_dir(&moved).unwrap();
    fs::copy(run.join("checkpoints/weights.safetensors"), moved.join("weights.safetensors")).unwrap();
    let start = config.find("[data]").unwrap();
    let end = config.find("[pixels]").unwrap();
    let other = format!("{}[data]\nname = \"mnist\"\n\n{}", &config[..start], &config[end..]);
    fs::write(moved.join("config.toml"), other).unwrap();
    let moved_name = moved.to_str().unwrap();
    let out = folder.path().join("moved.png");
    let arguments = ["sample", moved_name, "--n", "2", "--out", out.to_str().unwrap()];
    fails(dale(folder.path(), &arguments), &["sampling.prior is made of the training images", "train-images-idx3"]);
    let plain = [&arguments[..], &["--set", "sampling.prior.kind=moment-matched"]].concat();
    succeeds(dale(folder.path(), &plain));
}

#[test]
fn likelihoods_are_bits_per_dimension_beside_closed_forms() {
    let folder = TempDir::new().unwrap();
    succeeds(dale(folder.path(), &tiny("train", &[])));
    let run = run_folder(folder.path());
    let out = folder.path().join("likelihood");
    fs::create_dir(&out).unwrap();
    let compute = |more: &[&str]| {
        let arguments = ["likelihood", run.to_str().unwrap(), "--threads", "1", "--out", out.to_str().unwrap()];
        let output = succeeds(dale(folder.path(), &[&arguments[..], more].concat()));
        let json = fs::read(out.join("likelihood.json")).unwrap();
        let found: serde_json::Value = serde_json::from_slice(&json).unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), found)
    };
    let (printed, found) = compute(&["--n", "6", "--steps", "5", "--probes", "2"]);
    for part in
        ["bits per dimension", "uniform", "Hutchinson's trace, 2 probes", "Heun, 5 steps, 10 calls", "x = 1 + 1 u"]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let bits = |found: &serde_json::Value, law: usize| found["laws"][law]["bits"].as_f64().unwrap();
    assert_eq!(found["laws"].as_array().unwrap().len(), 4, "no full covariance without noise from 300 images");
    assert_eq!((found["n"].as_u64(), found["calls"].as_u64()), (Some(6), Some(10)));
    assert_eq!((found["r_min"].as_f64(), found["r_max"].as_f64()), (Some(0.004), Some(4.0)));
    assert!(bits(&found, 0).is_finite() && found["laws"][0]["standard_error"].as_f64().unwrap() > 0.0);
    assert!(found["probe_error"].as_f64().unwrap() > 0.0);
    assert_eq!(found["laws"][3]["bits"], 8.0);
    // The same numbers again, and others with another seed.
    assert_eq!(compute(&["--n", "6", "--steps", "5", "--probes", "2"]).1, found);
    let other = compute(&["--n", "6", "--steps", "5", "--probes", "2", "--seed", "9"]).1;
    assert!(bits(&other, 0) != bits(&found, 0) && bits(&other, 2) != bits(&found, 2));
    // The exact trace and the adaptive solver are not far from it.
    let two = ["--n", "2", "--split", "train", "--r-min", "0.5"];
    let random = compute(&[&two[..], &["--steps", "2", "--probes", "20"]].concat()).1;
    let exact = compute(&[&two[..], &["--steps", "2", "--exact"]].concat()).1;
    let error = random["probe_error"].as_f64().unwrap();
    assert!((bits(&random, 0) - bits(&exact, 0)).abs() < 4.5 * error + 1e-5, "{random} {exact}");
    assert!(exact["probes"].is_null() && exact["trace"] == "exact");
    let fine = compute(&[&two[..], &["--steps", "40"]].concat()).1;
    let adaptive = compute(&[&two[..], &["--tolerance", "0.1"]].concat()).1;
    assert!((bits(&adaptive, 0) - bits(&fine, 0)).abs() < 0.005, "{fine} {adaptive}");

    let run_name = run.to_str().unwrap();
    fails(dale(folder.path(), &["likelihood", run_name, "--n", "200"]), &["--n 200", "there are 100"]);
    fails(dale(folder.path(), &["likelihood", run_name, "--n", "2", "--r-min", "9"]), &["r_min = 9", "r_max = 4"]);
    fails(dale(folder.path(), &["likelihood", run_name, "--n", "2", "--tolerance=-1"]), &["must be positive"]);
    fails(dale(folder.path(), &["likelihood", run_name, "--n", "2", "--out", "no/such"]), &["no/such: not a folder"]);
}

#[test]
fn the_orders_of_a_few_samplers_are_written_and_hold() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("orders");
    let few = ["orders", "--only", "euler,heun,adaptive", "--states", "256", "--draws", "20000", "--out"];
    let output = succeeds(dale(folder.path(), &[&few[..], &[out.to_str().unwrap()]].concat()));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("euler") && printed.contains("report.html") && !printed.contains("NO"), "{printed}");
    for file in ["weak-flow.svg", "covariance-flow.svg", "strong-flow.svg", "calls-flow.svg", "signs.svg"] {
        assert!(fs::read_to_string(out.join(file)).unwrap().starts_with("<svg"), "{file}");
    }
    assert!(!out.join("weak-noise.svg").exists(), "nothing to show there");
    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(
        report.matches("<svg").count() == 5 && report.contains("12 of 12") && report.contains("1 of 1"),
        "{report}"
    );
    assert!(!report.contains("src=\"http") && !report.contains("href=\"http") && !report.contains("<script src"));
    assert!(fs::read_to_string(out.join("orders.md")).unwrap().contains("| heun | 2 / 2 | 2.00 |"));

    // Every point has its line: two samplers by three grids of six quantities; three results for each run; rates and curves.
    let csv = fs::read_to_string(out.join("orders.csv")).unwrap();
    let lines = |part: &str| csv.lines().filter(|line| line.contains(part)).count();
    assert_eq!((lines(",steps,"), lines(",calls,"), lines(",delta,")), (36, 3 * (8 + 7 + 7), 2 * 16 + 3 * 61), "{csv}");
    let columns = |line: &str| line.split('"').step_by(2).map(|part| part.matches(',').count()).sum::<usize>();
    assert!(csv.lines().all(|line| columns(line) == 7), "{csv}");

    fails(dale(folder.path(), &["orders", "--only", "huen"]), &["huen", "did you mean `heun`?"]);
}
