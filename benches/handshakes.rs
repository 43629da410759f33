//! How many complete handshakes a second does one core do, both ends counted?
//!
//! * `primitives`, the baseline: nothing but the two signatures, the two verifications and the
//!   two key exchanges that each handshake needs, all by the dalek crates; with the feature
//!   `aws-lc-rs` a handshake's own key exchange takes less;
//! * `sans_io`: dialer and listener as state machines, up to the keys for the records;
//! * `loopback`: both ends in one runtime on one core, from connect to the established
//!   connections and their end, one handshake at a time and 16 side by side.

mod common;
#[path = "common/state_machines.rs"]
mod state_machines;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use futures_util::future::{join, join_all};
use ringseal::{Admission, Config, CupsVersion, Identity, Listener, Runtime, SakeVersion};
use x25519_dalek::{PublicKey as Ephemeral, StaticSecret};

use common::pin;
use state_machines::Parties;

fn primitives(group: &mut BenchmarkGroup<'_, WallTime>) {
    let identity = SigningKey::from_bytes(&[1; 32]);
    let public = identity.verifying_key().to_bytes();
    // As long as what a handshake signs.
    let payload = [0x5a; 33];
    let one_end = |seed: u8, peer: &Ephemeral| {
        let secret = StaticSecret::from([seed; 32]);
        black_box(Ephemeral::from(&secret));
        black_box(secret.diffie_hellman(black_box(peer)));
        let signature = identity.sign(black_box(&payload));
        VerifyingKey::from_bytes(black_box(&public))
            .and_then(|key| key.verify_strict(&payload, &signature))
            .expect("our own signature");
    };
    group.bench_function("primitives", |bencher| {
        let peer = Ephemeral::from(&StaticSecret::from([9; 32]));
        bencher.iter(|| {
            one_end(3, &peer);
            one_end(4, &peer);
        });
    });
}

fn sans_io(group: &mut BenchmarkGroup<'_, WallTime>) {
    for (version, name) in [(SakeVersion::V0, "v0"), (SakeVersion::V1, "v1")] {
        let parties = Parties::new(version);
        group.bench_function(BenchmarkId::new("sans_io", name), |bencher| {
            bencher.iter(|| {
                let (dialer, listener) = parties.shake_hands();
                let keyed = |session: ringseal::protocol::handshake::Session| {
                    session.records(CupsVersion::V1, 1 << 20).expect("a limit")
                };
                (keyed(dialer), keyed(listener))
            });
        });
    }
}

fn loopback(group: &mut BenchmarkGroup<'_, WallTime>) {
    let dialing = Config::new(Identity::from_seed(&[1; 32]), "ringseal bench");
    let listening = Config::new(Identity::from_seed(&[2; 32]), "ringseal bench");
    let runtime = Runtime::builder().build().expect("io_uring");
    let mut listener = runtime
        .block_on(Listener::bind("127.0.0.1:0", &listening, Admission::any()))
        .expect("a free port");
    let address = listener.local_address();
    for side_by_side in [1, 16] {
        let id = BenchmarkId::new("loopback", format!("side_by_side={side_by_side}"));
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|iterations| {
                runtime.block_on(async {
                    let start = Instant::now();
                    let mut left = iterations;
                    while left > 0 {
                        let count = left.min(side_by_side);
                        left -= count;
                        let dialed =
                            join_all((0..count).map(|_| {
                                ringseal::dial(&address, listening.public_key(), &dialing)
                            }));
                        let accepted = async {
                            for _ in 0..count {
                                drop(listener.accept().await.expect("a whole handshake"));
                            }
                        };
                        for connection in join(dialed, accepted).await.0 {
                            drop(connection.expect("a whole handshake"));
                        }
                    }
                    start.elapsed()
                })
            });
        });
    }
    runtime.block_on(async { drop(listener) });
}

fn handshakes(criterion: &mut Criterion) {
    pin(0);
    let mut group = criterion.benchmark_group("handshakes");
    group
        .sample_size(10)
        // The default, 100 000, takes longer to analyse than to measure.
        .nresamples(5_000)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .throughput(Throughput::Elements(1));
    primitives(&mut group);
    sans_io(&mut group);
    loopback(&mut group);
    group.finish();
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
