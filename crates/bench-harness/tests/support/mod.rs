//! The `dale` program from outside, on drawn digits and a tiny network.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses some of these")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A network and a data set small enough for a test.
pub const TINY: [&str; 15] = [
    "data={name=\"glyphs\",glyphs={train=300,test=100}}",
    "name=tiny",
    "network={widths=[8,16],blocks=1,decoder_blocks=1,groups=4,embedding=16}",
    "training.steps=12",
    "training.batch=8",
    "training.warmup=2",
    "training.checkpoint_every=4",
    "training.log_every=2",
    "training.precision=f32",
    "sampling.n=12",
    "sampling.batch=8",
    "sampling.grid.steps=4",
    "evaluation.resamples=3",
    "evaluation.kid_subsets=3",
    "evaluation.level_images=10",
];

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `dale` in the workspace's folder, writing runs into `folder`, without network.
pub fn dale(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dale"));
    command.current_dir(workspace()).env("DALE_OFFLINE", "1").env_remove("DALE_DATA_DIR");
    command.env("XDG_CACHE_HOME", folder.join("cache")).arg("--out-root").arg(folder.join("runs"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The arguments of a tiny experiment.
pub fn tiny<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![verb, "mnist", "--preset", "cpu", "--threads", "1"];
    TINY.iter().for_each(|set| arguments.extend(["--set", *set]));
    arguments.extend(more);
    arguments
}

/// A sweep's file over the tiny experiment.
pub fn sweep_file(folder: &Path, name: &str, more: &[&str], axes: &str) -> String {
    let set: Vec<String> = TINY.iter().chain(more).map(|set| format!("{set:?}")).collect();
    let head = format!("experiment = \"mnist\"\npreset = \"cpu\"\nset = [{}]\n", set.join(", "));
    let path = folder.join(format!("{name}.toml"));
    fs::write(&path, format!("{head}[sweep]\nname = {name:?}\n{axes}")).unwrap();
    path.to_str().unwrap().to_owned()
}

/// `dale sweep` with one thread.
pub fn sweep(folder: &Path, arguments: &[&str]) -> Command {
    dale(folder, &[&["sweep"], arguments, &["--threads", "1"]].concat())
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn succeeds(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

/// Runs a command that must fail with exit code 1 and one message holding all of `parts`, no backtrace.
pub fn fails(mut command: Command, parts: &[&str]) -> String {
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
    assert!(!text.contains("panicked") && !text.contains("stack backtrace"), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    text
}

pub fn run_folder(folder: &Path) -> PathBuf {
    let mut all: Vec<PathBuf> = fs::read_dir(folder.join("runs/tiny")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// The newest checkpoint of the only run in a folder.
pub fn newest_checkpoint(folder: &Path) -> Option<PathBuf> {
    let run = fs::read_dir(folder.join("runs/tiny")).ok()?.next()?.ok()?.path();
    let all = fs::read_dir(run.join("checkpoints")).ok()?.flatten().map(|e| e.path());
    all.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("step-")).max()
}

/// Starts a training, waits for its first checkpoint, presses Ctrl-C, and returns what it said.
pub fn interrupt(command: Command, folder: &Path) -> String {
    interrupt_after(command, || newest_checkpoint(folder).is_some())
}

/// Starts a command, waits for something, presses Ctrl-C, and returns what it said.
pub fn interrupt_after(mut command: Command, happened: impl Fn() -> bool) -> String {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    while !happened() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    stderr(&output)
}
