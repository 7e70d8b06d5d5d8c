//! The `dale` program.

use std::io::IsTerminal;

use bench_harness::log::RunLog;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

fn main() -> std::process::ExitCode {
    models::memory::keep_freed_memory();
    let filter = EnvFilter::try_from_env("DALE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = RunLog::default();
    let terminal = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time();
    let file = fmt::layer().with_writer(log.clone()).with_ansi(false).with_target(false);
    tracing_subscriber::registry().with(filter).with(terminal).with(file).init();
    bench_harness::cli::main(log)
}
