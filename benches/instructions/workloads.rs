//! What is counted: each workload does its work on one message a given number of times.
//!
//! Preparations must not depend on that number, or they would be counted.

use std::hint::black_box;

use ringseal::protocol::cipher::{Aead, AeadError, DefaultAead};
use ringseal::protocol::layout::{Draft, Incoming as _, Outgoing as _, Step};
use ringseal::protocol::native::{self, KemLibrary, Suite};
use ringseal::protocol::record::{Opener, Progress};
use ringseal::{CupsVersion, SakeVersion};

use crate::native_machines::{DRAFT_LEN, Ends};
use crate::state_machines::{Parties, SameByte, VERSIONS, one_way};

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
    let native = |name: &str, run: fn(u64)| Workload::new(format!("native/{name}"), run);
    all.extend([
        native("append/msg_size=64", native_append),
        native("next_packed/msg_size=64", native_next_packed),
        native("seal/msg_size=16384", native_seal),
        native("open/msg_size=16384", native_open),
        Workload {
            iterations: HANDSHAKES,
            ..native("handshake", native_handshake)
        },
    ]);
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

/// Two ends whose keys are always the same: aws-lc-rs draws from a generator of its own.
fn native_ends() -> Ends {
    Ends::new(|parameters| parameters.libraries.ml_kem_768 = KemLibrary::RustCrypto)
}

fn native_one_way() -> (native::record::Sealer, native::record::Opener) {
    native_ends().one_way(Suite::Aes256Gcm, &mut SameByte(3))
}

/// A small message behind others in the open record, with its part of what sealing them takes.
fn native_append(iterations: u64) {
    let (mut sealer, _) = native_one_way();
    let message = [0x5a; 64];
    let mut buffer = vec![0; DRAFT_LEN];
    let mut draft = Draft::new(&mut buffer[..]);
    for _ in 0..iterations {
        append(&mut sealer, &mut draft, black_box(&message));
    }
    sealer.finish(&mut draft).expect("the cipher seals");
    black_box(draft.into_sealed());
}

/// The next small message of a record that is open already.
fn native_next_packed(iterations: u64) {
    let (mut sealer, mut opener) = native_one_way();
    let mut buffer = vec![0; DRAFT_LEN];
    let mut draft = Draft::new(&mut buffer[..]);
    // As many whatever the number of iterations: opening the record takes as long as it is.
    for _ in 0..2 * ITERATIONS {
        append(&mut sealer, &mut draft, &[0x5a; 64]);
    }
    sealer.finish(&mut draft).expect("the cipher seals");
    let (stream, length) = draft.into_sealed();
    let opened = opener.open(&mut stream[..length]).expect("a record");
    let Step::Packed { region, .. } = opened else {
        panic!("{opened:?}");
    };
    for _ in 0..iterations {
        let message = opener.next_packed(black_box(&stream[region.clone()]));
        black_box(message.expect("well formed").expect("there are more"));
    }
}

fn native_seal(iterations: u64) {
    let (mut sealer, _) = native_one_way();
    let message = vec![0x5a; 16_384];
    let mut buffer = vec![0; DRAFT_LEN];
    for _ in 0..iterations {
        let mut draft = Draft::new(black_box(&mut buffer[..]));
        append(&mut sealer, &mut draft, black_box(&message));
        sealer.finish(&mut draft).expect("the cipher seals");
    }
}

fn native_open(iterations: u64) {
    let (mut sealer, mut opener) = native_one_way();
    let message = vec![0x5a; 16_384];
    let mut records: Vec<Vec<u8>> = (0..2 * ITERATIONS)
        .map(|_| {
            let mut buffer = vec![0; DRAFT_LEN];
            let mut draft = Draft::new(&mut buffer[..]);
            append(&mut sealer, &mut draft, &message);
            sealer.finish(&mut draft).expect("the cipher seals");
            draft.sealed().to_vec()
        })
        .collect();
    for index in 0..iterations {
        let index = usize::try_from(index).expect("a small number");
        let opened = opener.open(black_box(&mut records[index]));
        assert!(matches!(black_box(opened), Ok(Step::Message { .. })));
    }
}

/// With ML-KEM by the ml-kem crate: see [`native_ends`].
fn native_handshake(iterations: u64) {
    let ends = native_ends();
    for _ in 0..iterations {
        black_box(ends.shake_hands(Suite::Aes256Gcm, &mut SameByte(3)));
    }
}

fn append(sealer: &mut native::record::Sealer, draft: &mut Draft<&mut [u8]>, message: &[u8]) {
    let planned = sealer.plan(message.len()).expect("within the limit");
    let appended = sealer.append(draft, planned, message);
    assert!(appended.is_ok(), "the draft has room");
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
