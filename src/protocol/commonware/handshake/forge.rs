//! Messages of a peer that has all keys and does not keep to the wire: signed and confirmed as they
//! should be, around content of the caller's choice.
//!
//! For fuzzing: bytes that fail a signature reach nothing of what is behind it.

use super::SakeVersion;
use super::frame;
use super::schedule::{Keys, Schedule};
use crate::protocol::ephemeral::Ephemeral;
use crate::protocol::identity::{Identity, PublicKey};
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// Both long-term keys of a handshake and how it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The version that is signed for.
    pub version: SakeVersion,
    /// The namespace that is signed for.
    pub namespace: &'a [u8],
    /// The dialer's key.
    pub dialer: PublicKey,
    /// The listener's key.
    pub listener: PublicKey,
}

impl Parties<'_> {
    fn offer(&self, time: u64, ephemeral: &[u8; 32]) -> Schedule {
        let keys = Keys {
            dialer: self.dialer,
            listener: self.listener,
        };
        Schedule::offer(self.version, self.namespace, time, keys, ephemeral)
    }
}

/// Writes Prelude and Syn with this time and ephemeral key, signed by `signer`.
#[must_use]
pub fn syn(parties: &Parties<'_>, signer: &Identity, time: u64, ephemeral: &[u8; 32]) -> Vec<u8> {
    let signature = signer.sign(&parties.offer(time, ephemeral).signing_payload());
    let mut output = Vec::new();
    frame::write(&mut output, &[parties.dialer.as_bytes()]);
    let time = time.to_be_bytes();
    frame::write(&mut output, &[&time, ephemeral, &signature]);
    output
}

/// Answers a Syn of this time and ephemeral key with SynAck, at `time` and signed by `signer`. With
/// an `ephemeral` key of choice it is that which is sent and signed, and the confirmation is wrong.
/// `None` if the Syn has a key of small order.
pub fn syn_ack(
    parties: &Parties<'_>,
    signer: &Identity,
    (their_time, theirs): (u64, &[u8; 32]),
    time: u64,
    ephemeral: Option<[u8; 32]>,
    rng: &mut impl CryptoRng,
) -> Option<Vec<u8>> {
    let secret = Ephemeral::draw(rng);
    let shared = secret.agree(theirs)?;
    let ours = ephemeral.unwrap_or_else(|| secret.public_key());
    let mut schedule = parties.offer(their_time, theirs);
    schedule.answer(time, parties.dialer, &ours);
    let signature = signer.sign(&schedule.signing_payload());
    let confirmation = schedule.finish(&shared).confirmation_by_listener();
    let mut output = Vec::new();
    let time = time.to_be_bytes();
    let fields = [&time[..], &ours, &signature, confirmation.as_bytes()];
    frame::write(&mut output, &fields);
    Some(output)
}
