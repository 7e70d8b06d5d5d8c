//! The array kernels of the samplers, in elements and bytes per second: one Dale–Langevin update with the noise given, one
//! Heun corrector, and the noise itself.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gbm_sde::LogStep;
use ndarray::Array2;
use samplers::{AddressedNoise, State};

const COLUMNS: usize = 100;

fn kernels(c: &mut Criterion) {
    let step = LogStep { v: 1.0, v_next: 0.9, dm: 0.0 };
    let mut group = c.benchmark_group("kernels");
    for elements in [10_000, 100_000, 1_000_000] {
        let rows = elements / COLUMNS;
        let draw = |step: u32| AddressedNoise::sampler(1, 0).rows_f32(rows, COLUMNS, step);
        let (state, denoised, other): (Array2<f32>, _, _) = (draw(0), draw(1), draw(2));
        // Two reads of the operands, one read and one write of the state.
        group.throughput(Throughput::Bytes(4 * 4 * elements as u64));
        group.bench_with_input(BenchmarkId::new("dale-langevin, noise given", elements), &elements, |b, _| {
            let mut y = state.duplicate();
            b.iter(|| y.combine(step.alpha(), black_box(&[(step.beta(), &denoised), (step.eta(), &other)])));
        });
        group.bench_with_input(BenchmarkId::new("heun corrector", elements), &elements, |b, _| {
            let mut y = state.duplicate();
            b.iter(|| y.combine(0.9, black_box(&[(0.04, &denoised), (0.06, &other)])));
        });
        group.throughput(Throughput::Elements(elements as u64));
        group.bench_with_input(BenchmarkId::new("addressed normals", elements), &elements, |b, _| {
            b.iter(|| black_box(draw(3)));
        });
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
