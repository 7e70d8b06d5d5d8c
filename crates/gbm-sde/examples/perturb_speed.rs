//! Times the forward process on one core, for `scripts/bench_perturb.py`: prints one JSON object with seconds of each run.
//!
//! ```text
//! cargo run --release -p gbm-sde --example perturb_speed [values] [runs] [log drift] [log variance]
//! ```
//!
//! `fresh` makes a new array for the result, `reused` writes into one that is there, `normals` only draws.

use std::hint::black_box;
use std::time::Instant;

use gbm_sde::{Level, Noise, Perturb, Stream, Threads};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |i: usize, default: f64| arguments.get(i).map_or(Ok(default), |text| text.parse::<f64>());
    let (values, runs) = (argument(0, 1e7)? as usize, argument(1, 5.0)? as usize);
    let level = [Level::new(argument(2, -0.32)?, argument(3, 0.64)?)?];

    let x: Vec<f32> = (0..values).map(|i| 1.0 + (i % 256) as f32 / 255.0).collect();
    let one_row = Perturb { threads: Threads::One, ..Perturb::new(Noise::new(1), values) };
    let seconds = |work: &mut dyn FnMut(u32) -> Result<(), gbm_sde::PerturbError>| {
        // The first run, which is not counted, warms the caches and the clock.
        let run = |step| {
            let start = Instant::now();
            work(step).map(|()| start.elapsed().as_secs_f64())
        };
        (0..=runs as u32).map(run).skip(1).collect::<Result<Vec<f64>, _>>()
    };

    let fresh = seconds(&mut |step| {
        let mut out = vec![0.0; x.len()];
        Perturb { step, ..one_row }.out_of_place(&level, black_box(&x), &mut out)?;
        black_box(out);
        Ok(())
    })?;
    let mut kept = x.clone();
    let reused =
        seconds(&mut |step| Perturb { step, ..one_row }.out_of_place(&level, black_box(&x), black_box(&mut kept)))?;
    let (mean, variance) = log_moments(&x, &kept);
    let normals = seconds(&mut |step| {
        Noise::new(1).fill_normal(Stream::PERTURB, 0, step, black_box(&mut kept));
        Ok(())
    })?;
    println!(
        "{{\"version\": \"{}\", \"vectors\": \"{}\", \"values\": {values}, \"fresh\": {fresh:?}, \"reused\": {reused:?}, \
         \"normals\": {normals:?}, \"log_mean\": {mean}, \"log_variance\": {variance}}}",
        env!("CARGO_PKG_VERSION"),
        vectors(),
    );
    Ok(())
}

/// Mean and variance of `ln(out/x)`, so that the reader of the times can check what was timed.
fn log_moments(x: &[f32], out: &[f32]) -> (f64, f64) {
    let logs = || x.iter().zip(out).map(|(x, out)| f64::from(out / x).ln());
    let n = x.len() as f64;
    let mean = logs().sum::<f64>() / n;
    (mean, logs().map(|y| (y - mean).powi(2)).sum::<f64>() / n)
}

/// The vector instructions that the kernels use here.
fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl") {
            return "AVX-512";
        }
        if has!("avx2") && has!("fma") {
            return "AVX2";
        }
    }
    "baseline"
}
