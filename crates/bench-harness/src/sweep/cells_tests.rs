use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::config::shipped;

fn expanded(file: &SweepFile, preset: &str) -> Result<Vec<Cell>> {
    expand(file, Base { layers: &shipped::experiment(&file.experiment)?, preset })
}

fn cells(sweep: &str) -> Result<Vec<Cell>> {
    let text = format!("experiment = \"mnist\"\nset = [\"sampling.n=8\"]\n[sweep]\nname = \"test\"\n{sweep}");
    let file = SweepFile::parse(Path::new("sweep.toml"), text)?;
    expanded(&file, "cpu")
}

fn refused(sweep: &str) -> String {
    format!("{:#}", cells(sweep).unwrap_err())
}

const WHOLE: &str = r#"
seeds = [1, 2]
[sweep.grid]
"training.weight" = ["edm", "paper"]
"sampling.sampler" = [{ label = "Heun", value = { kind = "heun" } }, { kind = "stochastic-heun", churn = 3.0 }]
[[sweep.zip]]
name = "top"
"sampling.grid.r_max" = [1.5, 4.0]
"training.time.r_max" = [1.9, 5.0]
[[sweep.when]]
if = { sampling.sampler.kind = "stochastic-heun" }
grid = { "sampling.sampler.churn" = [0, 8, 16.0] }
"#;

#[test]
fn grids_zipped_lists_seeds_and_conditions_multiply() {
    let cells = cells(WHOLE).unwrap();
    // 2 weights × 2 tops × (Heun + 3 churns) × 2 seeds.
    assert_eq!(cells.len(), 2 * 2 * (1 + 3) * 2);
    let keys: BTreeSet<&str> = cells.iter().map(|cell| cell.key.as_str()).collect();
    assert_eq!(keys.len(), cells.len());
    for cell in &cells {
        let e = serde_json::to_value(&cell.experiment).unwrap();
        let label = |axis: &str| cell.settings.iter().find(|(name, _)| name == axis).map(|(_, label)| label.as_str());
        assert_eq!((cell.experiment.seed, cell.experiment.sampling.n), (cell.seed, 8));
        assert_eq!(e["training"]["weight"].as_str(), label("training.weight"));
        // Zipped values stay together.
        let tops = (e["sampling"]["grid"]["r_max"].as_f64(), e["training"]["time"]["r_max"].as_f64());
        let wanted = if label("top") == Some("1.5 / 1.9") { (1.5, 1.9) } else { (4.0, 5.0) };
        assert_eq!(tops, (Some(wanted.0), Some(wanted.1)));
        // The condition's axis belongs to the cells that meet it, and to no other.
        let churn = e["sampling"]["sampler"]["churn"].as_f64();
        assert_eq!(churn, label("sampling.sampler.churn").map(|text| text.parse().unwrap()));
        assert_eq!(label("sampling.sampler") == Some("Heun"), churn.is_none(), "{}", cell.name());
    }
}

#[test]
fn every_setting_comes_once_before_a_seed_repeats_one() {
    let cells = cells("seeds = [7, 3]\n[sweep.grid]\n\"training.weight\" = [\"edm\", \"paper\", \"noise\"]").unwrap();
    let order: Vec<(u64, String)> =
        seed_by_seed(groups(&cells)).iter().map(|g| (g[0].seed, g[0].settings[0].1.clone())).collect();
    let wanted = [7, 3].iter().flat_map(|&seed| ["edm", "paper", "noise"].map(|weight| (seed, weight.to_owned())));
    assert_eq!(order, wanted.collect::<Vec<_>>());
}

#[test]
fn cells_that_differ_in_sampling_alone_share_a_training() {
    let cells = cells(WHOLE).unwrap();
    let groups = groups(&cells);
    // 2 weights × 2 tops × 2 seeds are trained.
    assert_eq!(groups.len(), 8);
    for group in &groups {
        let trained = |cell: &Cell| training_settings(&cell.experiment).unwrap();
        assert!(group.len() == 4 && group.iter().all(|cell| trained(cell) == trained(group[0])));
    }
}

#[test]
fn shards_are_a_partition() {
    let cells = cells(WHOLE).unwrap();
    for count in [1, 2, 3, 8, 11] {
        let mut seen: Vec<&str> = Vec::new();
        for index in 1..=count {
            let shard: Shard = format!("{index}/{count}").parse().unwrap();
            seen.extend(shard.of(groups(&cells)).iter().flatten().map(|cell| cell.key.as_str()));
        }
        let all: BTreeSet<&str> = cells.iter().map(|cell| cell.key.as_str()).collect();
        assert!(seen.len() == cells.len() && seen.into_iter().collect::<BTreeSet<_>>() == all, "{count}");
    }
    for wrong in ["0/3", "4/3", "1", "a/b", "1/0"] {
        assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
    }
}

#[test]
fn a_sweep_without_axes_or_seeds_is_one_cell() {
    let cells = cells("").unwrap();
    assert_eq!((cells.len(), cells[0].seed, cells[0].name().as_str()), (1, 1, "seed = 1"));
}

#[test]
fn mistakes_name_the_file_and_the_key() {
    let zip = |lists: &str| format!("[[sweep.zip]]\n{lists}");
    for (sweep, parts) in [
        ("[sweep.grid]\n\"training.wieght\" = [\"edm\"]".to_owned(), ["training.wieght", "did you mean `weight`?"]),
        ("[sweep.grid]\n\"training.weight\" = [\"edn\"]".to_owned(), ["training.weight", "edn"]),
        ("[sweep.grid]\n\"training.rate\" = [-1.0]".to_owned(), ["training.rate", "positive"]),
        ("[sweep.grid]\n\"training.rate\" = 0.1".to_owned(), ["training.rate", "not a list"]),
        ("[sweep.grid]\n\"training.rate\" = []".to_owned(), ["training.rate", "no values"]),
        ("[sweep.grid]\n\"training.rate\" = [0.1, 0.1]".to_owned(), ["training.rate", "two values are called"]),
        ("[sweep.grid]\nseed = [1, 2]".to_owned(), ["seed", "sweep.seeds"]),
        ("[sweep.grids]\n".to_owned(), ["grids", "did you mean `grid`?"]),
        ("seeds = [1, 1]".to_owned(), ["sweep.seeds", "twice"]),
        (zip("\"training.rate\" = [0.1]\n\"training.batch\" = [1, 2]"), ["sweep.zip", "equally long"]),
        (
            "[sweep.grid]\ntraining.rate = [0.1]\n[[sweep.zip]]\ntraining.rate = [0.2]".to_owned(),
            ["training.rate", "two axes"],
        ),
        (
            "[[sweep.when]]\nif = { \"training.weight\" = \"paper\" }\ngrid = { \"seed\" = [1] }".to_owned(),
            ["seed", "axis"],
        ),
        (
            "[[sweep.when]]\nif = { \"training.wieght\" = \"edm\" }\ngrid = { \"training.rate\" = [1.0] }".to_owned(),
            ["training.wieght", "no cell"],
        ),
        ("[sweep.grid]\n\"training.rate\" = [0.5, { label = \"half\", value = 0.5 }]".to_owned(), ["half", "the same"]),
        ("[sweep.grid]\n\"sampling.n\" = [8, 9]".to_owned(), ["sampling.n", "8 and 9"]),
    ] {
        let text = refused(&sweep);
        assert!(text.contains("sweep.toml") && parts.iter().all(|part| text.contains(part)), "{sweep}: {text}");
    }
}

#[test]
fn shipped_sweeps_are_of_this_version() {
    let counts = [
        ("additive.toml", 12, 12),
        ("annealing.toml", 6, 1),
        ("checkpoint-choice.toml", 6, 6),
        ("ladder.toml", 21, 12),
        ("long-fashion-mnist.toml", 9, 6),
        ("long-kmnist-7011.toml", 9, 6),
        ("long-kmnist.toml", 9, 6),
        ("long-mnist.toml", 9, 6),
        ("priors.toml", 7, 1),
        ("recipes-fashion-mnist.toml", 9, 9),
        ("recipes-kmnist-7011.toml", 6, 6),
        ("recipes-kmnist.toml", 6, 6),
        ("recipes-mnist.toml", 9, 9),
        ("ten-times-fashion-mnist.toml", 2, 2),
        ("ten-times-mnist.toml", 2, 2),
        ("terminal-variance.toml", 21, 21),
        ("weights.toml", 24, 24),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/sweeps");
    let found = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(counts.iter().map(|(name, ..)| (*name).to_owned()).eq(found.collect::<BTreeSet<_>>()));
    for (name, count, trainings) in counts {
        let file = SweepFile::read(&folder.join(name)).unwrap();
        let cells = expanded(&file, &file.preset).unwrap();
        assert_eq!((cells.len(), groups(&cells).len()), (count, trainings), "{name}");
        // A recipe or rung may train in larger steps, but not on more images, unless that is what its name says.
        let times = if name.starts_with("ten-times") { 10 } else { 1 };
        assert!(cells.iter().all(|cell| [1, times].contains(&(cell.images_seen() / cells[0].images_seen()))), "{name}");
        assert!(cells.iter().all(|cell| cell.images_seen().is_multiple_of(cells[0].images_seen())), "{name}");
    }
}

/// Sampling starts where the process ends, and training sees no level beyond it that sampling never meets.
#[test]
fn the_terminal_variance_takes_grid_and_training_with_it() {
    let text = include_str!("../../../../experiments/sweeps/terminal-variance.toml");
    let file = SweepFile::parse(Path::new("terminal-variance.toml"), text.to_owned()).unwrap();
    for cell in expanded(&file, &file.preset).unwrap() {
        let e = serde_json::to_value(&cell.experiment).unwrap();
        let r = e["process"]["variance"]["r_max"].as_f64().unwrap();
        assert_eq!(cell.settings[0].1.parse::<f64>().unwrap(), r);
        assert_eq!(e["sampling"]["grid"]["r_max"].as_f64(), Some(r));
        let trained = e["training"]["time"]["r_max"].as_f64().unwrap();
        assert!((trained / r - 1.25).abs() < 1e-12, "{r}: {trained}");
        assert_eq!(e["evaluation"]["levels"].as_array().unwrap().last().unwrap().as_f64(), Some(r));
        assert_eq!(e["sampling"]["prior"]["kind"], "moment-matched");
    }
}

/// Axes become columns of the results, beside those that every sweep has.
#[test]
fn an_axis_cannot_have_the_name_of_a_result() {
    for name in ["calls", "kid", "status", "cell", "precision"] {
        let text = refused(&format!("[[sweep.zip]]\nname = \"{name}\"\n\"training.steps\" = [1, 2]\n"));
        assert!(text.contains(name) && text.contains("column of the results"), "{text}");
    }
}

/// A sweep for whatever device there is says in its folder which preset that was.
#[test]
fn what_is_kept_of_a_sweep_names_its_preset() {
    let text = "experiment = \"mnist\"\nset = [\"sampling.n=8\"]\n[sweep]\nname = \"test\"\n";
    let mut file = SweepFile::parse(Path::new("sweep.toml"), text.to_owned()).unwrap();
    assert_eq!(file.preset, "auto");
    file.settle("gpu").unwrap();
    let kept = SweepFile::parse(Path::new("sweep.toml"), file.text.clone()).unwrap();
    assert_eq!((kept.preset.as_str(), kept.set), ("gpu", vec!["sampling.n=8".to_owned()]));
}

#[test]
fn presets_are_an_axis_of_their_own() {
    let cells = cells("[sweep.grid]\npreset = [\"cpu\", \"published\"]\n").unwrap();
    let presets: Vec<&str> = cells.iter().map(|cell| cell.preset.as_str()).collect();
    assert_eq!(presets, ["cpu", "published"]);
    assert!(cells.iter().all(|cell| cell.assignments.iter().all(|set| !set.starts_with("preset"))));
    assert_ne!(cells[0].experiment.training.head, cells[1].experiment.training.head);
    assert!(refused("[sweep.grid]\npreset = [\"publisched\"]\n").contains("published"));
}

/// A file that extends another holds what differs, and what is kept of it needs no other file.
#[test]
fn a_sweep_may_extend_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    let base = "experiment = \"mnist\"\npreset = \"cpu\"\n[sweep]\nname = \"base\"\nseeds = [1, 2]\n\
                [sweep.grid]\n\"training.rate\" = [0.1, 0.2]\n\"sampling.n\" = [8]\n\
                [[sweep.zip]]\nname = \"end\"\n\"sampling.grid.r_max\" = [2.0, 4.0]\n\"training.time.r_max\" = [2.5, 5.0]\n";
    write("base.toml", base);
    write(
        "own.toml",
        "extends = \"base.toml\"\nexperiment = \"fashion-mnist\"\n[sweep]\nname = \"own\"\nseeds = [3]\n",
    );
    let file = SweepFile::read(&path("own.toml")).unwrap();
    assert_eq!(
        (file.name.as_str(), file.experiment.as_str(), file.seeds.as_slice()),
        ("own", "fashion-mnist", &[3][..])
    );
    // In the order of the file, which is not that of the alphabet.
    assert_eq!(file.axes, SweepFile::read(&path("base.toml")).unwrap().axes);
    assert_eq!(file.axes[0].name, "training.rate");
    let kept = SweepFile::parse(&path("own.toml"), file.text.clone()).unwrap();
    assert_eq!(kept, file);

    write("third.toml", "extends = \"own.toml\"\n[sweep]\nname = \"third\"\n");
    write("wrong.toml", "extends = \"no-such.toml\"\n[sweep]\nname = \"wrong\"\n");
    write("nameless.toml", "extends = \"base.toml\"\n[sweep]\nseeds = [3]\n");
    write("number.toml", "extends = 3\n[sweep]\nname = \"number\"\n");
    write("typed.toml", &base.replace("[1, 2]", "'many'"));
    write("blamed.toml", "extends = \"typed.toml\"\n[sweep]\nname = \"blamed\"\n");
    let refused = |name: &str| SweepFile::read(&path(name)).unwrap_err().to_string();
    assert!(refused("third.toml").contains("third.toml: extends: own.toml extends a file itself"));
    assert!(refused("wrong.toml").contains("no-such.toml"), "{}", refused("wrong.toml"));
    assert!(refused("nameless.toml").contains("a name of its own"), "{}", refused("nameless.toml"));
    assert!(refused("number.toml").contains("extends: 3 is not a name"));
    let blamed = refused("blamed.toml");
    assert!(blamed.contains("typed.toml") && blamed.contains("many"), "{blamed}");
}

/// What a worker finds must be what the sweep recorded it under.
#[test]
fn a_cell_whose_files_changed_is_refused() {
    let cells = cells("seeds = [1, 2]\n").unwrap();
    unchanged(&cells[0].experiment, &cells[0].key).unwrap();
    let error = unchanged(&cells[1].experiment, &cells[0].key).unwrap_err().to_string();
    assert!(error.contains("mnist: its settings have changed"), "{error}");
}
