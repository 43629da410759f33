//! What is committed to the transcript, and in which order (SPEC section 4.1).
//!
//! The two versions differ in the label, the mode packet, and in when the
//! dialer's key is committed; everything else is the same for both roles and
//! versions, so it is written down once.

use super::SakeVersion;
use crate::protocol::commonware::modes;
use crate::protocol::commonware::transcript::{Framing, Summary, Transcript};
use crate::protocol::identity::PublicKey;

/// The transcript of one handshake, step by step.
#[derive(Debug)]
pub(super) struct Schedule {
    transcript: Transcript,
    version: SakeVersion,
}

impl Schedule {
    /// Steps 1 to 7, after which the dialer signs.
    pub(super) fn offer(
        version: SakeVersion,
        namespace: &[u8],
        time: u64,
        keys: Keys,
        ephemeral: &[u8; 32],
    ) -> Self {
        let (framing, label, mode): (_, &[u8], _) = match version {
            SakeVersion::V0 => (Framing::V0, b"_COMMONWARE_CRYPTOGRAPHY_HANDSHAKE", 0),
            SakeVersion::V1 => (Framing::V1, b"_COMMONWARE_CRYPTOGRAPHY_SAKE", 1),
        };
        let mut transcript = Transcript::new(framing, namespace).fork(label);
        if let Some(packet) = modes::packet(&[mode]) {
            transcript.commit(&packet);
        }
        transcript.commit(&time.to_be_bytes());
        transcript.commit(keys.listener.as_bytes());
        if version == SakeVersion::V1 {
            transcript.commit(keys.dialer.as_bytes());
        }
        transcript.commit(ephemeral);
        Self {
            transcript,
            version,
        }
    }

    /// Steps 9 to 11, after which the listener signs.
    pub(super) fn answer(&mut self, time: u64, dialer: PublicKey, ephemeral: &[u8; 32]) {
        if self.version == SakeVersion::V0 {
            self.transcript.commit(dialer.as_bytes());
        }
        self.transcript.commit(&time.to_be_bytes());
        self.transcript.commit(ephemeral);
    }

    /// What is signed at this point.
    pub(super) fn signing_payload(&self) -> [u8; 33] {
        self.transcript.signing_payload()
    }

    /// Step 13: the result.
    pub(super) fn finish(mut self, shared: &[u8; 32]) -> Outcome {
        self.transcript.commit(shared);
        Outcome(self.transcript.summary())
    }
}

/// The long-term keys of both ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    pub(super) dialer: PublicKey,
    pub(super) listener: PublicKey,
}

/// The secret result of a handshake.
#[derive(Debug)]
pub(super) struct Outcome(pub(super) Summary);

impl Outcome {
    /// What the listener sends to show that it knows the result.
    ///
    /// Comparing two of these hashes takes the same time whatever they are.
    pub(super) fn confirmation_by_listener(&self) -> blake3::Hash {
        self.confirmation(b"confirmation_l2d")
    }

    /// What the dialer sends to show that it knows the result.
    pub(super) fn confirmation_by_dialer(&self) -> blake3::Hash {
        self.confirmation(b"confirmation_d2l")
    }

    fn confirmation(&self, label: &[u8]) -> blake3::Hash {
        (*self.0.fork(label).summary().as_bytes()).into()
    }
}
