//! Compiles the shim (`shim/fused_adam.cpp`) against libtorch's headers, and sets the rpath as every crate does.

#[path = "../rpath.rs"]
mod rpath;

use std::path::Path;

fn main() {
    rpath::main();
    println!("cargo:rerun-if-changed=shim/fused_adam.cpp");
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        panic!("torch-sys did not say where libtorch is: run `just setup`, or name one with LIBTORCH");
    };
    let include = Path::new(&lib).with_file_name("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .flag_if_supported("-w")
        .include(&include)
        .file("shim/fused_adam.cpp")
        .compile("dale_fused_adam");
}
