//! What do the native wire's records and handshakes cost, without sockets?
//!
//! * `packed`: small messages into records of 64 KiB, sealed and opened again, by suite and
//!   library: the time is that of one message.
//! * `packing_limit`: messages of one size, packed or in records of their own: where the two meet
//!   is the default packing limit.
//! * `long`: messages of 16 KiB in records of their own.
//! * `handshakes`: a whole one, by both ends; `sake` is the other wire's.
//! * `refused_stranger`: what a listener spends on a hello with a wrong mac.

#[path = "common/native_machines.rs"]
mod native_machines;
#[path = "common/state_machines.rs"]
mod state_machines;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use ringseal::protocol::layout::Draft;
use ringseal::protocol::native::handshake::{Dialer, HandshakeError, Listener};
use ringseal::protocol::native::{Library, Suite};
use ringseal::{Identity, SakeVersion};

use native_machines::{DRAFT_LEN, Ends, drain, fill};
use state_machines::Parties;

/// What a program draws from.
fn random() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// Times messages of one size through both directions' machines.
fn carry(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    ends: &Ends,
    suite: Suite,
    size: usize,
) {
    group.bench_function(id, |bencher| {
        let (mut sealer, mut opener) = ends.one_way(suite, &mut random());
        let message = vec![0x5a; size];
        let mut buffer = vec![0; DRAFT_LEN];
        bencher.iter_custom(|iterations| {
            let (mut carried, mut elapsed) = (0, Duration::ZERO);
            while carried < iterations {
                let start = std::time::Instant::now();
                let mut draft = Draft::new(&mut buffer[..]);
                let sent = fill(&mut sealer, &mut draft, &message);
                let (stream, length) = draft.into_sealed();
                let received = drain(&mut opener, &mut stream[..length]);
                elapsed += start.elapsed();
                assert_eq!(sent, received);
                carried += received;
            }
            // What was carried beyond what was asked for does not count.
            elapsed.mul_f64(iterations as f64 / carried as f64)
        });
    });
}

fn records(criterion: &mut Criterion) {
    for (name, sizes) in [("packed", [64, 1_024]), ("long", [16_384, 65_536])] {
        let mut group = criterion.benchmark_group(format!("native_records/{name}"));
        settings(&mut group);
        for size in sizes {
            group.throughput(Throughput::Bytes(size as u64));
            for suite in Suite::ALL {
                for &library in Library::BUILT {
                    let ends = Ends::new(|parameters| {
                        parameters.libraries.aes_256_gcm = library;
                        parameters.libraries.chacha20_poly1305 = library;
                    });
                    let name = format!("{suite}/{}", library.name(suite));
                    let id = BenchmarkId::new(name, format!("msg_size={size}"));
                    carry(&mut group, id, &ends, suite, size);
                }
            }
        }
        group.finish();
    }
}

fn packing_limit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("native_records/packing_limit");
    settings(&mut group);
    for size in [512, 1_024, 2_048, 4_096, 8_192] {
        group.throughput(Throughput::Bytes(size as u64));
        for (name, limit) in [("packed", usize::MAX), ("own", 0)] {
            for suite in Suite::ALL {
                let ends = Ends::new(|parameters| {
                    parameters.seal_options.packing_limit = limit;
                });
                let id = BenchmarkId::new(format!("{suite}/{name}"), format!("msg_size={size}"));
                carry(&mut group, id, &ends, suite, size);
            }
        }
    }
    group.finish();
}

fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("native_records/handshakes");
    settings(&mut group);
    group.throughput(Throughput::Elements(1));
    for suite in Suite::ALL {
        let ends = Ends::new(|_| {});
        group.bench_function(BenchmarkId::new("native", suite), |bencher| {
            bencher.iter(|| ends.shake_hands(suite, &mut random()));
        });
    }
    let parties = Parties::new(SakeVersion::V1);
    group.bench_function("sake/v1", |bencher| bencher.iter(|| parties.shake_hands()));
    group.finish();
}

fn refused_stranger(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("native_records/refused_stranger");
    settings(&mut group);
    group.bench_function("wrong_mac", |bencher| {
        let ends = Ends::new(|_| {});
        let mut hello = Vec::new();
        let other = Identity::from_seed(&[3; 32]).public_key();
        Dialer::new(
            &ends.dialer,
            other,
            Suite::preferred(),
            &ends.parameters,
            &mut random(),
            &mut hello,
        )
        .expect("a peer that may be dialed");
        bencher.iter(|| {
            let mut listener = Listener::new(&ends.setup);
            let refused = listener.receive(black_box(&hello), &mut random(), &mut Vec::new());
            assert_eq!(refused, Err(HandshakeError::NotForUs));
        });
    });
    group.finish();
}

fn settings(group: &mut BenchmarkGroup<'_, WallTime>) {
    group
        .sample_size(10)
        // The default, 100 000, takes longer to analyse than to measure.
        .nresamples(5_000)
        .warm_up_time(Duration::from_millis(150))
        .measurement_time(Duration::from_millis(500));
}

criterion_group!(
    benches,
    records,
    packing_limit,
    handshakes,
    refused_stranger
);
criterion_main!(benches);
