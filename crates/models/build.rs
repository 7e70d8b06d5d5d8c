//! Compiles the shim (`shim/*.cpp`) against libtorch's headers, and sets the rpath as every crate does.

#[path = "../rpath.rs"]
mod rpath;

use std::path::Path;

const FILES: [&str; 5] =
    ["shim/adam.cpp", "shim/attention.cpp", "shim/gradient.cpp", "shim/norm_silu.cpp", "shim/context.cpp"];

fn main() {
    rpath::main();
    println!("cargo:rerun-if-changed=shim");
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        panic!("torch-sys did not say where libtorch is: run `just setup`, or name one with LIBTORCH");
    };
    let include = Path::new(&lib).with_file_name("include");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(3).include(include.join("torch/csrc/api/include")).include(&include);
    // Loops over numbers become vector code; nothing here looks at errno or at floating point traps.
    for flag in ["-w", "-Wno-psabi", "-fno-math-errno", "-fno-trapping-math", "-fopenmp"] {
        build.flag_if_supported(flag);
    }
    build.files(FILES).compile("dale_shim");
    openmp(Path::new(&lib));
}

/// Links the OpenMP runtime that libtorch brings along: its threads are then the shim's, too. A libtorch without one uses the system's.
fn openmp(lib: &Path) {
    let names = std::fs::read_dir(lib).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut own = names.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with("libgomp"));
    match own.next() {
        Some(name) => {
            println!("cargo:rustc-link-search=native={}", lib.display());
            println!("cargo:rustc-link-lib=dylib:+verbatim={name}");
        }
        None => println!("cargo:rustc-link-lib=dylib=gomp"),
    }
}
