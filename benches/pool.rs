//! What does a slot of the pool cost against memory from the allocator?
//!
//! Takes one, writes its first byte, gives it back. The baselines do the same with a block of the
//! same size from malloc, and with a fresh zeroed `Vec`, which is what a read buffer is without a
//! pool (a slot holds what was in it before and is zeroed once, when the arena is made).

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringseal::RuntimeBuilder;
use ringseal::internals::Slots;

/// The shortest slot, one record of 64 KiB, and the default.
const SIZES: [usize; 3] = [
    RuntimeBuilder::MIN_SLOT_SIZE,
    64 * 1024,
    RuntimeBuilder::DEFAULT_SLOT_SIZE,
];

fn pool(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool");
    group
        .sample_size(20)
        // The default, 100 000, takes longer to analyse than to measure.
        .nresamples(5_000)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .throughput(Throughput::Elements(1));
    for size in SIZES {
        let id = |name| BenchmarkId::new(name, format!("slot_size={size}"));
        let slots = Slots::new(RuntimeBuilder::DEFAULT_SLOTS, size).expect("memory for the arena");
        group.bench_function(id("slot"), |bencher| {
            bencher.iter(|| {
                let mut slot = slots.take().expect("all are free");
                slot.bytes()[0] = 1;
                black_box(slot.bytes());
            });
        });
        group.bench_function(id("malloc"), |bencher| {
            bencher.iter(|| {
                let mut block: Vec<u8> = Vec::with_capacity(black_box(size));
                block.push(1);
                black_box(&mut block);
            });
        });
        group.bench_function(id("zeroed_vec"), |bencher| {
            bencher.iter(|| {
                let mut block = vec![0_u8; black_box(size)];
                block[0] = 1;
                black_box(&mut block);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pool);
criterion_main!(benches);
