//! Both ends of a connection without sockets, clock or chance, for the benches.
//!
//! Keys, times and random bytes are always the same, so that a run does exactly the work of the
//! run before.

#![allow(dead_code, reason = "each bench uses a part")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_core::{TryCryptoRng, TryRng};
use ringseal::protocol::cipher::Aead;
use ringseal::protocol::handshake::{Dialer, Listener, ListenerEvent, Parameters, Session};
use ringseal::protocol::record::{Opener, Progress, Sealer};
use ringseal::{CupsVersion, Identity, RuntimeBuilder, SakeVersion};

/// Message sizes in bytes, from all overhead to all cipher.
pub(crate) const SIZES: [usize; 4] = [64, 1024, 16_384, 65_536];

/// The record versions and what the benches call them.
pub(crate) const VERSIONS: [(CupsVersion, &str); 2] =
    [(CupsVersion::V0, "v0"), (CupsVersion::V1, "v1")];

/// The limit for messages in bytes, the default of connections.
const MAX_MESSAGE_SIZE: u32 = 1 << 20;

/// Both clocks, in milliseconds since the Unix epoch.
const NOW_MS: u64 = 1_700_000_000_000;

/// Draws this byte again and again. For work that must repeat, never for a secret.
pub(crate) struct SameByte(pub(crate) u8);

impl TryRng for SameByte {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for SameByte {}

/// Two ends that know each other.
pub(crate) struct Parties {
    dialer: Identity,
    listener: Arc<Identity>,
    parameters: Parameters,
}

impl Parties {
    /// Two ends that speak this version of the handshake.
    pub(crate) fn new(version: SakeVersion) -> Self {
        let mut parameters = Parameters::new(b"ringseal bench");
        parameters.version = version;
        Self {
            dialer: Identity::from_seed(&[1; 32]),
            listener: Arc::new(Identity::from_seed(&[2; 32])),
            parameters,
        }
    }

    /// One complete handshake, by both ends: the dialer's session, then the listener's.
    pub(crate) fn shake_hands(&self) -> (Session, Session) {
        let (mut to_listener, mut to_dialer) = (Vec::new(), Vec::new());
        let mut dialer = Dialer::new(
            &self.dialer,
            self.listener.public_key(),
            &self.parameters,
            NOW_MS,
            &mut SameByte(3),
            &mut to_listener,
        )
        .expect("a peer that may be dialed");
        let mut listener = Listener::new(Arc::clone(&self.listener), &self.parameters);
        let mut random = SameByte(4);
        let (consumed, event) = listener
            .receive(&to_listener, NOW_MS, &mut random, &mut to_dialer)
            .expect("a prelude");
        assert!(matches!(event, ListenerEvent::Admit(_)));
        listener.admit(true).expect("it was asked");
        listener
            .receive(
                &to_listener[consumed..],
                NOW_MS,
                &mut random,
                &mut to_dialer,
            )
            .expect("a syn");
        to_listener.clear();
        let (_, dialed) = dialer
            .receive(&to_dialer, &mut to_listener)
            .expect("a syn-ack");
        let (_, event) = listener
            .receive(&to_listener, NOW_MS, &mut random, &mut to_dialer)
            .expect("an ack");
        let ListenerEvent::Done(_, listened) = event else {
            panic!("the ack ends the handshake");
        };
        (dialed.expect("the syn-ack ends the handshake"), listened)
    }
}

/// What seals and what opens it, one direction of a fresh connection.
pub(crate) fn one_way<A: Aead>(version: CupsVersion) -> (Sealer<A>, Opener<A>) {
    let (dialer, listener) = Parties::new(SakeVersion::V1).shake_hands();
    let (sealer, _) = dialer
        .records_with(version, MAX_MESSAGE_SIZE)
        .expect("a limit within the wire's");
    let (_, opener) = listener
        .records_with(version, MAX_MESSAGE_SIZE)
        .expect("a limit within the wire's");
    (sealer, opener)
}

/// Memory as long as a slot, which is what records are sealed into and read into.
pub(crate) fn slot() -> Vec<u8> {
    vec![0; RuntimeBuilder::DEFAULT_SLOT_SIZE]
}

/// Where the next record goes: behind the last one, or to the start when the slot is full.
pub(crate) fn place(slot: &mut [u8], at: usize, needed: usize) -> (&mut [u8], usize) {
    let at = if slot.len() - at < needed { 0 } else { at };
    (&mut slot[at..], at + needed)
}

/// Times `open` on `iterations` records of `message`, a slot full at a time. Each record opens
/// once only, so they are sealed in between, which does not count.
pub(crate) fn time_opening<A: Aead>(
    sealer: &mut Sealer<A>,
    message: &[u8],
    iterations: u64,
    mut open: impl FnMut(&mut [u8]) -> Progress,
) -> Duration {
    let mut slot = slot();
    let record_len = sealer
        .sealed_len(message.len())
        .expect("a message within the limit");
    let fit = (slot.len() / record_len) as u64;
    let mut elapsed = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let count = fit.min(left);
        left -= count;
        let mut filled = 0;
        for _ in 0..count {
            filled += sealer
                .seal(message, &mut slot[filled..])
                .expect("room for the record");
        }
        let start = Instant::now();
        for record in slot[..filled].chunks_exact_mut(record_len) {
            std::hint::black_box(open(record));
        }
        elapsed += start.elapsed();
    }
    elapsed
}
