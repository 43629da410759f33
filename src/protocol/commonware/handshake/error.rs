//! Why a handshake ended without a connection.
//!
//! Nothing of this is told to the peer. The texts are for whoever runs this
//! end: they name what was seen and what to compare or change.

use crate::protocol::identity::PublicKey;
use crate::protocol::varint::BadVarint;

/// A handshake failed; the machine that reports it is dead.
///
/// The end of the stream is not among these, since only the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer's confirmation is not the one both ends should compute.
    #[error(
        "peer's confirmation does not fit this handshake; it was replayed or changed on the way"
    )]
    BadConfirmation,
    /// The peer's ephemeral key leads to a secret that anybody knows.
    #[error("peer's ephemeral key has small order; no honest peer sends one")]
    BadEphemeral,
    /// The peer's signature does not verify.
    #[error(
        "peer's handshake signature does not verify; compare the namespace, the sake version and the expected public key on both ends"
    )]
    BadSignature,
    /// The peer's time lies outside the window. All in milliseconds since the
    /// Unix epoch.
    #[error(
        "peer's time {timestamp} ms is not in {earliest}..{latest_exclusive} ms; compare the clocks of both ends with synchrony_bound and max_handshake_age"
    )]
    BadTimestamp {
        /// What the peer sent.
        timestamp: u64,
        /// First time accepted.
        earliest: u64,
        /// First time after the window.
        latest_exclusive: u64,
    },
    /// A length prefix is malformed.
    #[error("handshake message has a malformed length; the peer does not speak this protocol")]
    BadVarint,
    /// A message is too short, or the dialer's key is no curve point.
    #[error(
        "handshake message is too short or its public key is not a curve point; the peer does not speak this protocol"
    )]
    Decode,
    /// The handshake ended before, well or not.
    #[error("handshake has already ended; start a new one on a new connection")]
    Finished,
    /// A message announces more than its fixed size.
    #[error(
        "handshake message announces {length} bytes, more than it can have; the peer does not speak this protocol"
    )]
    FrameTooLarge {
        /// The announced length in bytes.
        length: u32,
    },
    /// This end did not admit the dialer.
    #[error("peer {0} was not admitted; list this public key to let it in")]
    PeerRejected(PublicKey),
    /// Both ends have the same identity.
    #[error(
        "peer has this end's own identity; give each end its own key, or set allow_self if it is meant"
    )]
    SameIdentity,
    /// The peer's key is refused by the strict rule.
    #[error(
        "peer's public key is of small order or not canonically encoded; give the peer a new key"
    )]
    WeakKey,
}

impl From<BadVarint> for HandshakeError {
    fn from(_: BadVarint) -> Self {
        Self::BadVarint
    }
}
