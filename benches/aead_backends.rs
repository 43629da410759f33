//! What do our own cipher and aws-lc-rs give over the pure Rust chacha20poly1305 on whole records?
//!
//! Seals and opens one record by message size, with everything that a connection does to it but
//! the socket: header, nonces, tag. The baseline is `chacha20poly1305`, the cipher where the
//! features `avx512` (an option) and `aws-lc-rs` are off.

#[path = "common/state_machines.rs"]
mod state_machines;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use ringseal::CupsVersion;
use ringseal::protocol::cipher::{Aead, AwsLc, RustCrypto};

use state_machines::{SIZES, VERSIONS, one_way, place, slot, time_opening};

fn seal<A: Aead>(group: &mut BenchmarkGroup<'_, WallTime>, version: CupsVersion, size: usize) {
    let id = BenchmarkId::new(A::name(), format!("msg_size={size}"));
    group.bench_function(id, |bencher| {
        let (mut sealer, _) = one_way::<A>(version);
        let needed = sealer.sealed_len(size).expect("within the limit");
        let message = vec![0x5a; size];
        let mut slot = slot();
        let mut at = 0;
        bencher.iter(|| {
            let (room, next) = place(&mut slot, at, needed);
            sealer.seal(black_box(&message), room).expect("room");
            at = next;
        });
    });
}

fn open<A: Aead>(group: &mut BenchmarkGroup<'_, WallTime>, version: CupsVersion, size: usize) {
    let id = BenchmarkId::new(A::name(), format!("msg_size={size}"));
    group.bench_function(id, |bencher| {
        let (mut sealer, mut opener) = one_way::<A>(version);
        let message = vec![0x5a; size];
        bencher.iter_custom(|iterations| {
            time_opening(&mut sealer, &message, iterations, |record| {
                opener.open(record).expect("a record in its turn")
            })
        });
    });
}

fn aead_backends(criterion: &mut Criterion) {
    for (version, name) in VERSIONS {
        for opening in [false, true] {
            let verb = if opening { "open" } else { "seal" };
            let mut group = criterion.benchmark_group(format!("aead_backends/{verb}_{name}"));
            group
                .sample_size(10)
                // The default, 100 000, takes longer to analyse than to measure.
                .nresamples(5_000)
                .warm_up_time(Duration::from_millis(150))
                .measurement_time(Duration::from_millis(400));
            for size in SIZES {
                group.throughput(Throughput::Bytes(size as u64));
                if opening {
                    #[cfg(all(feature = "avx512", target_arch = "x86_64"))]
                    open::<ringseal::protocol::cipher::Avx512>(&mut group, version, size);
                    open::<AwsLc>(&mut group, version, size);
                    open::<RustCrypto>(&mut group, version, size);
                    #[cfg(feature = "openssl")]
                    open::<ringseal::protocol::cipher::OpenSsl>(&mut group, version, size);
                } else {
                    #[cfg(all(feature = "avx512", target_arch = "x86_64"))]
                    seal::<ringseal::protocol::cipher::Avx512>(&mut group, version, size);
                    seal::<AwsLc>(&mut group, version, size);
                    seal::<RustCrypto>(&mut group, version, size);
                    #[cfg(feature = "openssl")]
                    seal::<ringseal::protocol::cipher::OpenSsl>(&mut group, version, size);
                }
            }
            group.finish();
        }
    }
}

criterion_group!(benches, aead_backends);
criterion_main!(benches);
