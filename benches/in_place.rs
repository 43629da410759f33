//! What does it give to seal straight into the submission buffer and to open where the bytes
//! landed?
//!
//! The baseline does the same with one copy each, as an interface that owns its buffers would:
//! the plaintext is copied to a `Vec` before it is sealed, the record is copied out to a `Vec`
//! before it is opened. Both keep their `Vec`, so this is the copy alone, without allocation.
//! V1, default cipher.

#[path = "common/state_machines.rs"]
mod state_machines;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use ringseal::CupsVersion;
use ringseal::protocol::cipher::DefaultAead;

use state_machines::{SIZES, one_way, place, slot, time_opening};

/// Has `source` copied to `copy`, whatever the compiler can prove about it.
fn copied<'a>(source: &[u8], copy: &'a mut Vec<u8>) -> &'a mut [u8] {
    copy.clear();
    copy.extend_from_slice(source);
    black_box(copy)
}

fn seal(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, size: usize, copying: bool) {
    let id = BenchmarkId::new(name, format!("msg_size={size}"));
    group.bench_function(id, |bencher| {
        let (mut sealer, _) = one_way::<DefaultAead>(CupsVersion::V1);
        let needed = sealer.sealed_len(size).expect("within the limit");
        let message = vec![0x5a; size];
        let mut copy = Vec::new();
        let mut slot = slot();
        let mut at = 0;
        bencher.iter(|| {
            let message = black_box(&message);
            let (room, next) = place(&mut slot, at, needed);
            if copying {
                sealer.seal(copied(message, &mut copy), room).expect("room");
            } else {
                sealer.seal(message, room).expect("room");
            }
            at = next;
        });
    });
}

fn open(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, size: usize, copying: bool) {
    let id = BenchmarkId::new(name, format!("msg_size={size}"));
    group.bench_function(id, |bencher| {
        let (mut sealer, mut opener) = one_way::<DefaultAead>(CupsVersion::V1);
        let message = vec![0x5a; size];
        let mut copy = Vec::new();
        bencher.iter_custom(|iterations| {
            time_opening(&mut sealer, &message, iterations, |record| {
                if copying {
                    opener.open(copied(record, &mut copy))
                } else {
                    opener.open(record)
                }
                .expect("a record in its turn")
            })
        });
    });
}

fn in_place(criterion: &mut Criterion) {
    for opening in [false, true] {
        let verb = if opening { "open" } else { "seal" };
        let mut group = criterion.benchmark_group(format!("in_place/{verb}"));
        group
            .sample_size(20)
            // The default, 100 000, takes longer to analyse than to measure.
            .nresamples(5_000)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(600));
        for size in SIZES {
            group.throughput(Throughput::Bytes(size as u64));
            for (name, copying) in [("in_place", false), ("with_one_copy", true)] {
                if opening {
                    open(&mut group, name, size, copying);
                } else {
                    seal(&mut group, name, size, copying);
                }
            }
        }
        group.finish();
    }
}

criterion_group!(benches, in_place);
criterion_main!(benches);
