//! What does it give to register the arena with the ring?
//!
//! The same stream over loopback, once between runtimes that must register their slots and once
//! between runtimes that do not try, which is the baseline. An iteration is one message, as in
//! `encrypted_transport`.

mod common;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringseal::{Registration, Runtime, Wire};

use common::Sink;

const SIZES: [usize; 2] = [64, 16_384];

fn registered_buffers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registered_buffers");
    group
        .sample_size(15)
        // The default, 100 000, takes longer to analyse than to measure.
        .nresamples(5_000)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    let connect = |registration| {
        Sink::connect(
            Wire::COMMONWARE,
            &Runtime::builder().registration(registration),
        )
    };
    let mut sinks = [
        ("registered", connect(Registration::Required)),
        ("not_registered", connect(Registration::Off)),
    ];
    for size in SIZES {
        let message = vec![0x5a; size];
        group.throughput(Throughput::Bytes(size as u64));
        for (name, sink) in &mut sinks {
            let id = BenchmarkId::new(*name, format!("msg_size={size}"));
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|iterations| sink.stream(&message, iterations));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, registered_buffers);
criterion_main!(benches);
