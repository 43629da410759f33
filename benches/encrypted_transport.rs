//! How many bytes a second does a long-lived connection move, one `send` call a message?
//!
//! Two threads, each with its own ring, pinned to two cores, over loopback TCP. An iteration is one
//! message; its time ends when the peer has opened it, measured over many in a row. Ids are
//! `msg_size=BYTES` on the default wire, which is the native one with the suite that this processor
//! is fast at, and `commonware/msg_size=BYTES` on the other.

mod common;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringseal::{Runtime, Wire};

use common::Sink;

/// 64 B to 1 MiB.
const SIZES: [usize; 8] = [64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];

fn encrypted_transport(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encrypted_transport");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    for (wire, prefix) in [(Wire::default(), ""), (Wire::COMMONWARE, "commonware/")] {
        let mut sink = Sink::connect(wire, &Runtime::builder());
        for size in SIZES {
            let message = vec![0x5a; size];
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(
                BenchmarkId::from_parameter(format!("{prefix}msg_size={size}")),
                |bencher| {
                    bencher.iter_custom(|iterations| sink.stream(&message, iterations));
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, encrypted_transport);
criterion_main!(benches);
