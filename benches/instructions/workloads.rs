//! What is counted: each workload does its work on one message a given number of times.
//!
//! Preparations must not depend on that number, or they would be counted.

use std::hint::black_box;

use ringseal::protocol::cipher::{Aead, AeadError, DefaultAead};
use ringseal::protocol::record::{Opener, Progress};
use ringseal::{CupsVersion, SakeVersion};

use crate::state_machines::{Parties, VERSIONS, one_way};

/// All overhead, and mostly cipher, in bytes.
const SIZES: [usize; 2] = [64, 16_384];

/// How many iterations count. The second run does twice as many.
const ITERATIONS: u64 = 50;
/// Handshakes take a hundred times longer than anything else.
const HANDSHAKES: u64 = 4;

/// One workload.
pub(crate) struct Workload {
    /// What it is called on the command line and in the baseline.
    pub(crate) name: String,
    /// How many iterations count.
    pub(crate) iterations: u64,
    run: Box<dyn Fn(u64)>,
}

impl Workload {
    fn new(name: String, run: impl Fn(u64) + 'static) -> Self {
        Self {
            name,
            iterations: ITERATIONS,
            run: Box::new(run),
        }
    }

    /// Prepares, then does the work `iterations` times, twice [`Self::iterations`] at most.
    pub(crate) fn run(&self, iterations: u64) {
        (self.run)(iterations);
    }
}

/// Every workload, in the order of the table.
pub(crate) fn all() -> Vec<Workload> {
    let mut all = Vec::new();
    for (version, name) in VERSIONS {
        for size in SIZES {
            let id = |verb| format!("{verb}/{name}/msg_size={size}");
            all.extend([
                Workload::new(id("seal"), move |times| seal(version, size, times)),
                Workload::new(id("open"), move |times| open(version, size, times)),
                Workload::new(id("frame"), move |times| frame(version, size, times)),
                Workload::new(id("deframe"), move |times| deframe(version, size, times)),
                Workload::new(id("deframe_in_pieces"), move |times| {
                    deframe_in_pieces(version, size, times);
                }),
            ]);
        }
    }
    for (version, name) in [(SakeVersion::V0, "v0"), (SakeVersion::V1, "v1")] {
        all.push(Workload {
            iterations: HANDSHAKES,
            ..Workload::new(format!("handshake/{name}"), move |times| {
                handshake(version, times);
            })
        });
    }
    all
}

/// Leaves the bytes as they are, so that what remains of sealing and opening is the framing:
/// checks, lengths, nonces.
struct NoCipher;

impl Aead for NoCipher {
    fn name() -> &'static str {
        "none"
    }

    fn new(_: &[u8; 32]) -> Self {
        Self
    }

    /// Copies, since V1 seals its length from elsewhere and it has to arrive.
    #[inline]
    fn seal(
        &mut self,
        nonce: &[u8; 12],
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), AeadError> {
        black_box(nonce);
        let body = sealed.get_mut(..plaintext.len()).ok_or(AeadError)?;
        body.copy_from_slice(plaintext);
        Ok(())
    }

    #[inline]
    fn seal_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        black_box((nonce, sealed));
        Ok(())
    }

    #[inline]
    fn open_in_place(&mut self, nonce: &[u8; 12], sealed: &mut [u8]) -> Result<(), AeadError> {
        black_box((nonce, sealed));
        Ok(())
    }
}

fn seal(version: CupsVersion, size: usize, iterations: u64) {
    let (mut sealer, _) = one_way::<DefaultAead>(version);
    let message = vec![0x5a; size];
    let mut record = record_for(size);
    for _ in 0..iterations {
        sealer
            .seal(black_box(&message), black_box(&mut record))
            .expect("room for the record");
    }
}

fn open(version: CupsVersion, size: usize, iterations: u64) {
    let (mut sealer, mut opener) = one_way::<DefaultAead>(version);
    let message = vec![0x5a; size];
    // As many whatever the number of iterations: each opens once only.
    let mut records: Vec<Vec<u8>> = (0..2 * ITERATIONS)
        .map(|_| {
            let mut record = record_for(size);
            let length = sealer.seal(&message, &mut record).expect("room");
            record.truncate(length);
            record
        })
        .collect();
    for index in 0..iterations {
        let index = usize::try_from(index).expect("a small number");
        open_whole(&mut opener, &mut records[index]);
    }
}

fn frame(version: CupsVersion, size: usize, iterations: u64) {
    let (mut sealer, _) = one_way::<NoCipher>(version);
    let mut record = record_for(size);
    for _ in 0..iterations {
        sealer
            .seal_in_place(black_box(size), black_box(&mut record))
            .expect("room for the record");
    }
}

fn deframe(version: CupsVersion, size: usize, iterations: u64) {
    let (mut opener, mut record, _) = framed(version, size);
    for _ in 0..iterations {
        open_whole(&mut opener, &mut record);
    }
}

/// The record arrives in three pieces: less than a header, less than the body, all. Each is
/// looked at when it comes, as a receiver does.
fn deframe_in_pieces(version: CupsVersion, size: usize, iterations: u64) {
    let (mut opener, mut record, header_len) = framed(version, size);
    for _ in 0..iterations {
        let mut at = 0;
        for arrived in [header_len - 1, header_len + 1] {
            let progress = opener.open(black_box(&mut record[at..arrived]));
            let Ok(Progress::Incomplete { consumed, .. }) = progress else {
                panic!("the record is not whole");
            };
            at += consumed;
        }
        open_whole(&mut opener, &mut record[at..]);
    }
}

fn handshake(version: SakeVersion, iterations: u64) {
    let parties = Parties::new(version);
    for _ in 0..iterations {
        let (dialer, listener) = parties.shake_hands();
        for session in [dialer, listener] {
            black_box(session.records(CupsVersion::V1, 1 << 20)).expect("a limit");
        }
    }
}

/// Room for the record of a message of this size, and more.
fn record_for(size: usize) -> Vec<u8> {
    vec![0; size + ringseal::protocol::record::MAX_OVERHEAD]
}

/// An opener without cipher, a record that it opens as often as one likes, and how long that
/// record's header is.
fn framed(version: CupsVersion, size: usize) -> (Opener<NoCipher>, Vec<u8>, usize) {
    let (mut sealer, opener) = one_way(version);
    let mut record = record_for(size);
    sealer.seal_in_place(size, &mut record).expect("room");
    record.truncate(sealer.sealed_len(size).expect("a limit"));
    (opener, record, sealer.header_len(size))
}

fn open_whole<A: Aead>(opener: &mut Opener<A>, record: &mut [u8]) {
    let progress = opener.open(black_box(record)).expect("a good record");
    assert!(matches!(black_box(progress), Progress::Message { .. }));
}
