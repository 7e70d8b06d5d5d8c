//! Times the kernels and a whole run for `scripts/bench_samplers.py`: prints one JSON object with the seconds of each run.
//!
//! ```text
//! sampler_speed kernels VALUES RUNS
//! sampler_speed sample POINTS STEPS RUNS
//! ```
//!
//! `kernels`: passes over four streams (three read, one of them also written) that hardly compute, as a plain loop and by the linear
//! kernel, the exponentiated update with noise given, and with noise drawn inside, in place, on all threads. `sample`: Dale–Langevin on the mixture that the script names on standard input, in single
//! precision, from r = 2 to 0 in equal steps of v; also mean and variance of the result's logarithm, so that the reader of the times can
//! check what was timed.

use std::hint::black_box;
use std::io::Read;
use std::ops::ControlFlow;
use std::time::Instant;

use gbm_sde::{LogNormalMixture, LogStep, Noise, NormalRows, Stream, Threads, by_pieces};
use ndarray::{ArrayView2, Axis};
use samplers::kernels::Exponentiated;
use samplers::{AddressedNoise, DaleLangevin, GridConfig, Prior, Sampler, State};
use serde::Deserialize;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = |i: usize| arguments.get(i).and_then(|a| a.parse().ok()).ok_or("usage: see the head of the file");
    match arguments.first().map(String::as_str) {
        Some("kernels") => kernels(count(1)?, count(2)?),
        Some("sample") => sample(count(1)?, count(2)?, count(3)?),
        _ => Err("usage: see the head of the file".into()),
    }
}

/// Seconds of each run but the first, which warms up.
fn seconds(runs: usize, mut work: impl FnMut() -> Result<(), Failure>) -> Result<Vec<f64>, Failure> {
    let one = |_| {
        let start = Instant::now();
        work().map(|()| start.elapsed().as_secs_f64())
    };
    Ok((0..=runs).map(one).collect::<Result<Vec<_>, _>>()?.split_off(1))
}

fn kernels(values: usize, runs: usize) -> Result<(), Failure> {
    let fill = |stream| {
        let mut z = vec![0.0_f32; values];
        Noise::new(1).fill_normal(Stream(stream), 0, 0, &mut z);
        z
    };
    let (h, z) = (fill(1), fill(2));
    // Steps down to 0 and up again, so that x stays in range however often it is updated.
    let exponent = LogStep::between_levels(0.5, 0.4999)?.exponent();
    let step = Exponentiated::from(exponent);
    let mut x = vec![1.0_f32; values];
    let stream = seconds(runs, || {
        by_pieces(Threads::All, &mut x, values, |place, x| {
            let (h, z) = (&h[place.element..][..x.len()], &z[place.element..][..x.len()]);
            x.iter_mut().zip(h).zip(z).for_each(|((x, h), z)| *x = (*x + h) * z);
        });
        black_box(&x);
        Ok(())
    })?;
    let row = |values: &[f32]| ArrayView2::from_shape((1, values.len()), values).map(|row| row.to_owned());
    let (mut y, terms) = (row(&x)?, (row(&h)?, row(&z)?));
    let linear = seconds(runs, || {
        black_box(&mut y).combine(0.9, &[(0.05, &terms.0), (0.05, &terms.1)]);
        Ok(())
    })?;
    drop((y, terms));
    x.fill(1.0);
    let given = seconds(runs, || Ok(step.given(black_box(&mut x), &h, &z)?))?;
    let mut rows = NormalRows::new(Noise::new(1), Stream::SAMPLER, values);
    x.fill(1.0);
    let drawn = seconds(runs, || {
        rows.step += 1;
        Ok(step.drawn(black_box(&mut x), &h, &rows)?)
    })?;
    let answer = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"), "a": exponent.a, "b": exponent.b, "c": exponent.c,
        "stream": stream, "linear": linear, "given": given, "drawn": drawn,
    });
    println!("{answer}");
    Ok(())
}

#[derive(Deserialize)]
struct Law {
    weights: Vec<f64>,
    means: Vec<Vec<f64>>,
    variances: Vec<Vec<f64>>,
}

fn sample(points: usize, steps: usize, runs: usize) -> Result<(), Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let law: Law = serde_json::from_str(&text)?;
    let columns = law.means[0].len();
    let truth = LogNormalMixture::new(law.weights, law.means, law.variances)?;
    let grid = GridConfig::Published { sigma: 2.0, steps }.build(None)?;
    let prior = Prior { mean: 0.0, sd: grid.start().sqrt() };
    let mut last = None;
    let seconds = seconds(runs, || {
        let start = prior.draw_f32(&Noise::new(1), 0, points, columns);
        let mut noise = AddressedNoise::sampler(1, 0);
        last = Some(DaleLangevin.sample(start, &truth, &mut noise, &grid, &mut |_| ControlFlow::Continue(()))?.state);
        Ok(())
    })?;
    let state = last.ok_or("no run")?.mapv(f64::from);
    let (mean, variance) = (state.mean_axis(Axis(0)), state.var_axis(Axis(0), 0.0));
    let answer = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"), "seconds": seconds,
        "mean": mean.map(|m| m.to_vec()), "variance": variance.to_vec(),
    });
    println!("{answer}");
    Ok(())
}
