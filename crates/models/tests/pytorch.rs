//! The U-Net against the output of examples/unet.py in PyTorch, which scripts/check_unet.py stored with its versions.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn the_output_is_pytorchs() {
    let stored: Value = serde_json::from_str(include_str!("unet-pytorch.json")).unwrap();
    let numbers = |v: &Value| v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<f64>>();
    let theirs = numbers(&stored["output"]);
    // Examples are built together with tests, beside them.
    let program = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("unet_output");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    let run = |verb: &str, path: &Path| {
        let output = Command::new(&program).arg(verb).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    run("small", &path);
    let ours = numbers(&serde_json::from_slice(&run("run", &path)).unwrap());
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    for (a, b) in ours.iter().zip(&theirs) {
        assert!((a - b).abs() < 1e-5 * largest, "{a} {b}");
    }
}
