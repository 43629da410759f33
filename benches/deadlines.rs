//! What do time limits cost?
//!
//! The same stream over loopback with both limits set on both ends and, as the baseline, with
//! none. An iteration is one message, as in `encrypted_transport`. A percent is less than what
//! the machine drifts between two of criterion's measurements, so at the end both are run in
//! turn, and the median of the ratios of neighbours is printed.

mod common;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringseal::{Config, Runtime, Wire};

use common::Sink;

/// Message sizes, and how many messages take some tenths of a second.
const SIZES: [(usize, u64); 2] = [(64, 500_000), (16_384, 25_000)];
/// Ratios of neighbours.
const PAIRS: usize = 15;
/// One sink is silent while the other is measured. However long, the tick is at its longest.
const LIMIT: Duration = Duration::from_secs(3600);

fn limited(config: Config) -> Config {
    config.idle_timeout(LIMIT).progress_timeout(LIMIT)
}

fn unlimited(config: Config) -> Config {
    config.idle_timeout(None).progress_timeout(None)
}

fn deadlines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deadlines");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    let connect = |adjust| Sink::connect_with(Wire::COMMONWARE, &Runtime::builder(), adjust);
    let mut sinks = [("off", connect(unlimited)), ("on", connect(limited))];
    for (size, _) in SIZES {
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
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let [(_, off), (_, on)] = &mut sinks;
    for (size, count) in SIZES {
        let message = vec![0x5a; size];
        let mut ratios: Vec<f64> = (0..PAIRS)
            .map(|pair| {
                // Who goes first changes, so that a drift favours nobody.
                let times = if pair % 2 == 0 {
                    let first = off.stream(&message, count);
                    (first, on.stream(&message, count))
                } else {
                    let first = on.stream(&message, count);
                    (off.stream(&message, count), first)
                };
                times.1.as_secs_f64() / times.0.as_secs_f64()
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "deadlines msg_size={size}: time with limits over time without, median of {PAIRS} \
             neighbours: {:.4} ({:.4} to {:.4})",
            ratios[PAIRS / 2],
            ratios[0],
            ratios[PAIRS - 1]
        );
    }
}

criterion_group!(benches, deadlines);
criterion_main!(benches);
