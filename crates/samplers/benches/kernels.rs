//! The array kernels of the samplers from 10³ to 10⁸ elements: the exponentiated update with the noise given and drawn inside, the linear
//! update in log space, and beside them a plain pass over the same four streams. `just bench` makes a table and a chart of it.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use gbm_sde::{LogStep, Noise, NormalRows, Stream, Threads, by_pieces};
use ndarray::ArrayView2;
use samplers::State;
use samplers::kernels::Exponentiated;

const COLUMNS: usize = 100;

fn kernels(c: &mut Criterion) {
    // So small a step that millions of them leave x away from the subnormal numbers, which are slow.
    let step = LogStep { v: 1.0, v_next: 1.0 - 1e-14, dm: 0.0 };
    let update = Exponentiated::from(step.exponent());
    let mut group = c.benchmark_group("kernels");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_millis(1500));
    for elements in [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000_usize] {
        if elements >= 10_000_000 {
            group.sampling_mode(SamplingMode::Flat).sample_size(10);
        }
        let draw = |step: u32| {
            let mut z = vec![0.0_f32; elements];
            Noise::new(1).rows_normal(Stream::SAMPLER, 0, step, &mut z, COLUMNS);
            z
        };
        let (mut x, h, z) = (vec![1.0_f32; elements], draw(1), draw(2));
        group.throughput(Throughput::Elements(elements as u64));
        let threads = if elements >= 1 << 16 { Threads::All } else { Threads::One };
        group.bench_function(BenchmarkId::new("plain pass over four streams", elements), |b| {
            b.iter(|| {
                by_pieces(threads, black_box(&mut x), elements, |place, x| {
                    let (h, z) = (&h[place.element..][..x.len()], &z[place.element..][..x.len()]);
                    x.iter_mut().zip(h).zip(z).for_each(|((x, h), z)| *x = (*x + h) * z);
                });
            });
        });
        x.fill(1.0);
        group.bench_function(BenchmarkId::new("exponentiated update, noise given", elements), |b| {
            b.iter(|| update.given(black_box(&mut x), &h, &z));
        });
        x.fill(1.0);
        let mut rows = NormalRows { threads, ..NormalRows::new(Noise::new(1), Stream::SAMPLER, COLUMNS) };
        group.bench_function(BenchmarkId::new("exponentiated update, noise drawn inside", elements), |b| {
            b.iter(|| {
                rows.step = rows.step.wrapping_add(1);
                update.drawn(black_box(&mut x), &h, &rows)
            });
        });
        let rows_of =
            |values: &[f32]| ArrayView2::from_shape((elements / COLUMNS, COLUMNS), values).map(|v| v.to_owned());
        if let (Ok(mut y), Ok(d), Ok(z)) = (rows_of(&x), rows_of(&h), rows_of(&z)) {
            group.bench_function(BenchmarkId::new("linear update in log space, noise given", elements), |b| {
                b.iter(|| y.combine(step.alpha(), black_box(&[(step.beta(), &d), (step.eta(), &z)])));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
