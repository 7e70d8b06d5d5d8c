//! Addressed draws and the fused forward process, in values per second on one thread and on all.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gbm_sde::{Level, Noise, Perturb, Stream, Threads};

fn draws(c: &mut Criterion) {
    let mut group = c.benchmark_group("noise");
    let noise = Noise::new(1);
    for n in [784, 100_000] {
        let (mut narrow, mut wide) = (vec![0.0f32; n], vec![0.0f64; n]);
        group.throughput(Throughput::Elements(n as u64));
        group.bench_with_input(BenchmarkId::new("normals, f32", n), &n, |b, _| {
            b.iter(|| noise.fill_normal(Stream::PERTURB, 1, 2, black_box(&mut narrow)));
        });
        group.bench_with_input(BenchmarkId::new("normals, f64", n), &n, |b, _| {
            b.iter(|| noise.fill_normal_f64(Stream::PERTURB, 1, 2, black_box(&mut wide)));
        });
        group.bench_with_input(BenchmarkId::new("uniforms, f64", n), &n, |b, _| {
            b.iter(|| noise.fill_uniform_f64(Stream::TIME, 1, 2, black_box(&mut wide)));
        });
    }
    let mut rows = vec![0.0; 128 * 784];
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("normals, f32, 128 rows of 784, all threads", |b| {
        b.iter(|| noise.rows_normal(Stream::PERTURB, 0, 2, black_box(&mut rows), 784));
    });
    group.finish();
}

fn perturb(c: &mut Criterion) -> Result<(), gbm_sde::PerturbError> {
    let mut group = c.benchmark_group("perturb");
    let levels = [Level::new(-0.32, 0.64)?];
    for (rows, row_len) in [(128, 784), (1, 1_000_000)] {
        let x = vec![1.5; rows * row_len];
        let mut out = x.clone();
        group.throughput(Throughput::Elements(x.len() as u64));
        for threads in [Threads::One, Threads::All] {
            let perturb = Perturb { threads, ..Perturb::new(Noise::new(1), row_len) };
            let name = format!("{rows} rows of {row_len}, threads: {threads:?}");
            group.bench_function(name, |b| b.iter(|| perturb.out_of_place(&levels, black_box(&x), &mut out)));
        }
    }
    group.finish();
    Ok(())
}

fn benches(c: &mut Criterion) {
    draws(c);
    if let Err(error) = perturb(c) {
        eprintln!("{error}");
    }
}

criterion_group!(all, benches);
criterion_main!(all);
