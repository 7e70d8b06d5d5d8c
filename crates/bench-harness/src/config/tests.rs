use super::*;
use samplers::{GridConfig, PriorConfig, PublishedConfig, SamplerConfig};
use score_match::TimeWeight;

const MNIST: &str = include_str!("../../../../experiments/mnist.toml");

fn resolve_with(preset: &str, set: &[&str]) -> Result<Experiment, ConfigError> {
    let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
    resolve_text(Path::new("mnist.toml"), MNIST, preset, &set)
}

fn message(set: &[&str]) -> String {
    resolve_with("cpu", set).unwrap_err().to_string()
}

#[test]
fn every_shipped_preset_resolves_and_comes_back_from_its_own_text() {
    for name in shipped::names() {
        let layers = shipped::experiment(name).unwrap();
        let presets = ["cpu", "gpu", "published", "published-ums", "as-written", "smoke"];
        assert_eq!(layers.presets(), presets, "{name}");
        for preset in presets {
            let resolved = layers.resolve(Some(preset), &[]).unwrap();
            assert_eq!(resolved.experiment.name, name);
            let plain = toml::to_string(&resolved.experiment).unwrap();
            for text in [plain, resolved.annotated().unwrap()] {
                assert_eq!(toml::from_str::<Experiment>(&text).unwrap(), resolved.experiment, "{name} {preset}");
            }
        }
    }
}

/// Rows of the paper's table: prior (a, b), Dale–Langevin and unconstrained (δ, L, anneal).
#[test]
fn published_settings_are_the_published_ones() {
    let kmnist = ([0.2140, 0.8290], (2.113e-4, 3, 0.995), (2.113e-4, 3, 1.0));
    for (name, (prior, dls, ums)) in [
        ("mnist", ([0.1565, 0.8353], (6.165e-4, 1, 0.995), (1.438e-4, 4, 0.995))),
        ("fashion-mnist", ([0.2771, 0.8428], (5.863e-4, 1, 0.995), (1.468e-3, 3, 0.9995))),
        ("kmnist", kmnist),
        ("kmnist-7011", kmnist),
    ] {
        let resolve = |preset| shipped::experiment(name).unwrap().resolve(Some(preset), &[]).unwrap().experiment;
        let settings = |(delta, inner, anneal)| PublishedConfig { delta, inner, anneal, sigma: 0.8, final_passes: 0 };
        let (published, unconstrained) = (resolve("published"), resolve("published-ums"));
        assert_eq!(published.sampling.sampler, SamplerConfig::PublishedDaleLangevin(settings(dls)), "{name}");
        assert_eq!(unconstrained.sampling.sampler, SamplerConfig::PublishedUnconstrained(settings(ums)), "{name}");
        assert_eq!(published.sampling.prior, PriorConfig::LogNormal { a: prior[0], b: prior[1] });
        assert_eq!(published.training.keep, Keep::SmallestBatchLoss);
        assert_eq!((published.training.level_offset, published.training.steps), (0.64 / 1000.0, 300_000));
        assert_eq!(
            (published.training.weight.clone(), published.training.reduction),
            (TimeWeight::Paper, Reduction::Sum)
        );
        assert_eq!(unconstrained.training, published.training);

        // As written differs in what the authors' code has different from their equations, and in nothing else.
        let written = resolve("as-written");
        let training = TrainingConfig { keep: Keep::Ema, level_offset: 0.0, ..published.training.clone() };
        let sampling = SamplingConfig {
            sampler: SamplerConfig::DaleLangevin {},
            grid: GridConfig::UniformTime { steps: 1000 },
            prior: PriorConfig::MomentMatched {},
            ..published.sampling.clone()
        };
        assert_eq!(written, Experiment { training, sampling, ..published });
        assert_eq!(written.training.ema, 0.999);
    }
}

/// A folder with these files; the last one is read.
fn layers(files: &[(&str, &str)]) -> Result<Layers, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
    Layers::read(&folder.path().join(files.last().unwrap().0))
}

#[test]
fn the_file_lies_over_its_base_presets_over_both_and_assignments_over_all() {
    let base = "extends = 'base.toml'\nseed = 2\n[training]\nsteps = 2\nbatch = 2\nwarmup = 2\nlog_every = 2\n\
                [preset.cpu.training]\nbatch = 3\nwarmup = 3\nlog_every = 3\n[preset.own]\nextends = 'cpu'\n";
    let file = "extends = 'family.toml'\nname = 'x'\ndata.name = 'glyphs'\ntraining.steps = 4\n\
                [preset.cpu.training]\nwarmup = 5\nlog_every = 5\n[preset.own.training]\nlog_every = 6\n";
    // The shipped base is there although it is not in the folder.
    let layers = layers(&[("family.toml", base), ("x.toml", file)]).unwrap();
    let resolved = layers.resolve(Some("own"), &["training.rate=0.5".to_owned()]).unwrap();
    let t = &resolved.experiment.training;
    assert_eq!((resolved.experiment.seed, t.steps, t.batch, t.warmup, t.log_every, t.rate), (2, 4, 3, 5, 6, 0.5));
    let text = resolved.annotated().unwrap();
    for (line, origin) in [
        ("seed = 2", "family.toml"),
        ("steps = 4", "x.toml"),
        ("batch = 3", "family.toml, preset cpu"),
        ("warmup = 5", "x.toml, preset cpu"),
        ("log_every = 6", "x.toml, preset own"),
        ("rate = 0.5", "--set"),
        ("r_max = 4.0", "base.toml"),
        ("keep_checkpoints = 2", "default"),
        ("averages = [{ width = 0.05 }, { width = 0.1 }]", "base.toml"),
    ] {
        let found = text.lines().find(|l| l.starts_with(line)).unwrap_or_else(|| panic!("{line}: {text}"));
        assert_eq!(found.split_once("# ").unwrap().1, origin, "{found}");
    }
    // Without a preset, as `config show` prints it, a file stands for itself.
    let shown = layers_of(&text).resolve(None, &[]).unwrap();
    assert_eq!(shown.experiment, resolved.experiment);
}

fn layers_of(text: &str) -> Layers {
    Layers::parse(Path::new("shown.toml"), text).unwrap()
}

#[test]
fn circles_are_refused_with_their_chain() {
    let files = layers(&[("b.toml", "extends = 'a.toml'"), ("a.toml", "extends = 'b.toml'")]).unwrap_err().to_string();
    let order: Vec<usize> = ["a.toml → ", "b.toml → "].iter().map(|name| files.find(name).unwrap()).collect();
    assert!(order[0] < order[1] && files.ends_with("a.toml") && files.contains("circle"), "{files}");
    let own = layers(&[("a.toml", "extends = './a.toml'")]).unwrap_err().to_string();
    assert!(own.contains("circle"), "{own}");
    let text = "extends = 'mnist.toml'\n[preset.p]\nextends = 'q'\n[preset.q]\nextends = 'p'";
    let presets = layers_of(text).resolve(Some("p"), &[]).unwrap_err().to_string();
    assert!(presets.contains("presets extend each other in a circle: p → q → p"), "{presets}");
}

#[test]
fn errors_name_the_file_that_the_key_is_in() {
    let base = "extends = 'mnist.toml'\n[preset.cpu.sampling]\nnn = 3\n[preset.gpu.training]\nsteps = 'many'";
    let layers = layers(&[("base2.toml", base), ("top.toml", "extends = 'base2.toml'\nseed = 3")]).unwrap();
    let unknown = layers.resolve(Some("cpu"), &[]).unwrap_err().to_string();
    assert!(unknown.contains("base2.toml: preset cpu: ") && unknown.contains("`nn`"), "{unknown}");
    let wrong = layers.resolve(Some("gpu"), &[]).unwrap_err().to_string();
    assert!(wrong.contains("base2.toml: preset gpu: ") && wrong.contains("training.steps"), "{wrong}");
    let set = layers.resolve(Some("smoke"), &["trainign.steps=3".to_owned()]).unwrap_err().to_string();
    assert!(set.contains("top.toml: --set: ") && set.contains("did you mean `training`?"), "{set}");
}

#[test]
fn what_cannot_be_extended_is_explained() {
    let missing = Layers::parse(Path::new("x.toml"), "extends = 'bse.toml'").unwrap_err().to_string();
    assert!(missing.contains("x.toml: extends \"bse.toml\""), "{missing}");
    for text in ["extends = 3", "preset = 3", "extends = 'base.toml'\n[preset]\ncpu = 3", "[preset.cpu]\nextends = []"]
    {
        let found = Layers::parse(Path::new("x.toml"), text).and_then(|l| l.resolve(Some("cpu"), &[]));
        assert!(matches!(found, Err(ConfigError::Key { .. })), "{text}: {found:?}");
    }
    let base = shipped::experiment("base").unwrap().resolve(Some("cpu"), &[]).unwrap_err().to_string();
    assert!(base.contains("base.toml") && base.contains("`name`"), "{base}");
}

#[test]
fn a_part_of_a_data_set_is_found_by_the_whole() {
    let (name, part) = shipped::part_of(&DataConfig::named("kmnist")).unwrap();
    assert_eq!((name, part.title().as_str()), ("kmnist-7011", "kmnist (subset: first 7,011 of 60,000)"));
    assert!(shipped::part_of(&part).is_none() && shipped::part_of(&DataConfig::named("mnist")).is_none());
}

#[test]
fn shipped_runs_are_of_this_version() {
    let shipped = include_str!("../../../../results/mnist-cpu/config.toml");
    let experiment: Experiment = toml::from_str(shipped).unwrap();
    assert_eq!(experiment.sampling.prior, PriorConfig::MomentMatched {});
    assert!(
        toml::from_str::<Experiment>(&shipped.replace("\"moment-matched\"", "\"moment-matched\"\nrank = 3")).is_err()
    );
    check::check(Path::new("config.toml"), &experiment).unwrap();
}

#[test]
fn assignments_reach_nested_keys_and_bare_words_are_strings() {
    let e = resolve_with("cpu", &["training.steps=17", "training.adam.beta2=0.5", "name=other"]).unwrap();
    assert_eq!((e.training.steps, e.training.adam.beta2, e.name.as_str()), (17, 0.5, "other"));
}

#[test]
fn another_kind_replaces_the_whole_table() {
    let e = resolve_with("cpu", &["sampling.grid={kind=\"uniform-time\",steps=9}"]).unwrap();
    assert_eq!(e.sampling.grid, GridConfig::UniformTime { steps: 9 });
    let e = resolve_with("published", &["sampling.prior.kind=class-average"]).unwrap();
    assert_eq!(e.sampling.prior, PriorConfig::ClassAverage {});
}

#[test]
fn wrong_keys_types_and_names_are_explained() {
    let unknown = message(&["training.step=5"]);
    assert!(unknown.contains("mnist.toml") && unknown.contains("did you mean `steps`?"), "{unknown}");
    assert!(unknown.contains("training"), "{unknown}");
    let wrong = message(&["training.steps=\"many\""]);
    assert!(wrong.contains("invalid type") && wrong.contains("training"), "{wrong}");
    let data = message(&["data.name=mnits"]);
    assert!(data.contains("mnits") && data.contains("mnist"), "{data}");
    let preset = resolve_with("gpuu", &[]).unwrap_err().to_string();
    assert!(preset.contains("did you mean `gpu`?") && preset.contains("published"), "{preset}");
    let text = resolve_text(Path::new("x.toml"), "a = [", "cpu", &[]).unwrap_err().to_string();
    assert!(text.contains("x.toml") && text.contains("line 1"), "{text}");
    assert!(matches!(resolve_with("cpu", &["steps"]), Err(ConfigError::Assignment(_))));
}

#[test]
fn a_size_by_name_replaces_what_stood_before_and_yields_to_what_comes_after() {
    let resolve = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        resolve_text(Path::new("mnist.toml"), MNIST, "cpu", &sets)
    };
    let network = |sets: &[&str]| resolve(sets).unwrap().network;
    let found = network(&["network.classes=10", "network.preset=unet-9m", "network.dropout=0.0"]);
    let wanted = UNetConfig { classes: 10, dropout: 0.0, ..UNetConfig::preset("unet-9m").unwrap() };
    assert_eq!(found, wanted);
    assert_eq!(network(&["network.preset=unet-2m"]), network(&[]));
    let error = resolve(&["network.preset=unet-3m"]).unwrap_err().to_string();
    assert!(error.contains("mnist.toml") && error.contains("network.preset") && error.contains("unet-2m"), "{error}");
}

#[test]
fn impossible_settings_name_their_key() {
    for (set, key) in [
        ("network.widths=[48,90]", "network.widths"),
        ("pixels.low=0.0", "pixels"),
        ("training.rate=-1.0", "training.rate"),
        ("training.ema=1.0", "training.ema"),
        ("sampling.n=1", "sampling.n"),
        ("training.batch=1000000000000", "training.batch"),
        ("process.variance.r_max=1.0", "sampling.grid"),
        ("sampling.grid.r_min=9.0", "sampling.grid"),
        ("sampling.prior={kind=\"full-covariance\",rank=0}", "sampling.prior: prior: rank must be at least 1"),
        ("sampling.prior={kind=\"full-covariance\",rank=785}", "the rank must be at most 784, got 785"),
        ("sampling.prior={kind=\"log-normal\",a=0.1,b=-1.0}", "sampling.prior: prior: b must be positive"),
        ("evaluation.levels=[0.0]", "evaluation.levels"),
        ("training.averages=[{width=0.4}]", "training.averages"),
        ("training.averages=[{widht=0.1}]", "did you mean `width`?"),
        ("training.averages=[{width=0.1,decay=0.9}]", "either a `decay` or a `width`"),
        ("network.channels=65536", "network.channels"),
        ("sampling.class=3", "sampling.class"),
        ("training.eval_every=1500", "training.checkpoint_every = 1000"),
        ("name=a/b", "name"),
    ] {
        let text = message(&[set]);
        assert!(text.contains(key) && text.contains("mnist.toml"), "{set}: {text}");
    }
}
