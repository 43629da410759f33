//! SAKE, the three-message authenticated key exchange (SPEC sections 3 and 4).
//!
//! ```text
//! Dialer                                Listener
//!   Prelude | its public key     ---->
//!   Syn     | time, X, signature ---->    admit this key?
//!           <----  time, Y, signature, confirmation | SynAck
//!   Ack     | confirmation       ---->
//! ```
//!
//! [`Dialer`] and [`Listener`] take slices of what arrived and say how much of
//! it they consumed: never a byte past their last message, for the next one
//! belongs to the records. Any way of cutting the input into pieces gives the
//! same result, and an error surfaces at the byte that decides it. Call in
//! this order: `wanted` (how much may be read at most), `receive`, send what
//! was appended to `output`, and so on until a [`Session`] comes out. The end
//! of the stream is the caller's to notice; so is every deadline.
//!
//! What it gives: each end knows that the other holds its identity key and
//! the same namespace and version, and both share fresh secrets. What it does
//! not: the dialer's key travels in the clear, an old Syn is answered while
//! its time is in the window, and the versions of records are not part of it.

mod dialer;
mod error;
#[cfg(feature = "internals")]
pub(crate) mod forge;
mod frame;
mod listener;
mod schedule;
mod session;

#[cfg(test)]
mod tests;

pub use crate::protocol::Role;
pub use dialer::Dialer;
pub use error::HandshakeError;
pub use listener::{Listener, ListenerEvent};
pub use session::Session;

use crate::protocol::identity::{KeyError, PublicKey, Verification, Verifier};
use alloc::sync::Arc;
use core::time::Duration;

/// Total bytes a dialer writes: Prelude, Syn and Ack with their prefixes.
pub const DIALER_LEN: usize = 33 + 105 + 33;
/// Total bytes a listener writes: SynAck with its prefix.
pub const LISTENER_LEN: usize = 138;

/// Version of the handshake; both ends must use the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SakeVersion {
    /// The older one, which binds the dialer's key only after its signature.
    /// For existing peers only.
    V0,
    /// Binds both keys before either signature.
    #[default]
    V1,
}

/// What both roles are configured with.
///
/// Times are compared in whole milliseconds; smaller parts are cut off.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parameters {
    /// Name of the application; both ends must use the same bytes.
    pub namespace: Arc<[u8]>,
    /// Version of the handshake; both ends must use the same.
    pub version: SakeVersion,
    /// Which keys and signatures are accepted from the peer.
    pub verification: Verification,
    /// How far ahead the peer's clock may be, excluded. The delay between the
    /// dialer's start and the listener's answer counts against it.
    pub synchrony_bound: Duration,
    /// How old the peer's time may be, included.
    pub max_handshake_age: Duration,
    /// Whether a peer with this end's own identity is accepted.
    pub allow_self: bool,
}

impl Parameters {
    /// Version 1, strict verification, 5 s of synchrony, 10 s of age, and no
    /// connection to oneself.
    #[must_use]
    pub fn new(namespace: &[u8]) -> Self {
        Self {
            namespace: namespace.into(),
            version: SakeVersion::default(),
            verification: Verification::default(),
            synchrony_bound: Duration::from_secs(5),
            max_handshake_age: Duration::from_secs(10),
            allow_self: false,
        }
    }

    /// Which times are accepted by an end whose clock shows `now_ms`.
    fn window(&self, now_ms: u64) -> Window {
        Window {
            earliest: now_ms.saturating_sub(whole_milliseconds(self.max_handshake_age)),
            latest_exclusive: now_ms.saturating_add(whole_milliseconds(self.synchrony_bound)),
        }
    }

    /// Refuses a peer key that must not take part.
    fn check_peer(&self, own: PublicKey, peer: PublicKey) -> Result<Verifier, HandshakeError> {
        let verifier = match peer.verifier(self.verification) {
            Err(KeyError::NotOnCurve) => return Err(HandshakeError::Decode),
            Err(_) => return Err(HandshakeError::WeakKey),
            Ok(verifier) => verifier,
        };
        if own == peer && !self.allow_self {
            return Err(HandshakeError::SameIdentity);
        }
        Ok(verifier)
    }
}

fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The peer's times that are accepted, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
struct Window {
    earliest: u64,
    latest_exclusive: u64,
}

impl Window {
    fn check(self, timestamp: u64) -> Result<(), HandshakeError> {
        if (self.earliest..self.latest_exclusive).contains(&timestamp) {
            return Ok(());
        }
        Err(HandshakeError::BadTimestamp {
            timestamp,
            earliest: self.earliest,
            latest_exclusive: self.latest_exclusive,
        })
    }
}
