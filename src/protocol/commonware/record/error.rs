//! What can go wrong with a record, one small type per operation.
//!
//! A record that does not open has one face, whatever was wrong with it. The
//! first record of a connection has another text only, because the two ends
//! agree on neither version nor cipher before it.

use super::MAX_MESSAGE_SIZE;
use crate::protocol::layout::IsNoRoom;
use crate::protocol::varint::BadVarint;

/// The limit for the size of a message is above what records can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message size limit {limit} is above {MAX_MESSAGE_SIZE}; choose a smaller one")]
#[non_exhaustive]
pub struct LimitError {
    /// The limit asked for, in bytes.
    pub limit: u32,
}

impl LimitError {
    pub(in crate::protocol) const fn check(limit: u32) -> Result<(), Self> {
        if limit > MAX_MESSAGE_SIZE {
            return Err(Self { limit });
        }
        Ok(())
    }
}

/// A message was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// An earlier message failed to seal.
    #[error("sealer failed before; open a new connection")]
    Closed,
    /// The cipher refused or all nonces are used; the sealer is dead.
    #[error("message could not be sealed; open a new connection")]
    Failed,
    /// The message has another length than was planned. No nonce was used; the sealer goes on.
    #[error("message of {length} bytes was planned with {planned}; plan each message anew")]
    LengthMismatch {
        /// Length of the message in bytes.
        length: usize,
        /// The length that was planned, in bytes.
        planned: usize,
    },
    /// Something else was sealed after a place was reserved. No nonce was used; the sealer goes on.
    #[error("draft has grown since the place was reserved; reserve it again")]
    Moved,
    /// The buffer for the record is too short. No nonce was used; the sealer
    /// goes on.
    #[error("record needs {needed} bytes but the buffer has {room}")]
    NoRoom {
        /// Length of the record in bytes.
        needed: usize,
        /// Length of the buffer in bytes.
        room: usize,
    },
    /// The message is above the limit. No nonce was used; the sealer goes on.
    #[error("message of {length} bytes is above the limit of {limit}; split it or raise the limit")]
    TooLarge {
        /// Length of the message in bytes.
        length: usize,
        /// The limit in bytes.
        limit: u32,
    },
}

impl IsNoRoom for SealError {
    #[inline]
    fn is_no_room(&self) -> bool {
        matches!(self, Self::NoRoom { .. })
    }
}

/// No message can be taken from the stream; the opener is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A record's length is malformed (V0 only).
    #[error(
        "record has a malformed length; the stream was changed on the way, or the other end uses another cups version"
    )]
    BadVarint,
    /// The opener failed before.
    #[error("opener failed before; open a new connection")]
    Closed,
    /// A record is not what the peer sealed at this place, or all nonces are
    /// used.
    #[error("record failed to open; the stream was changed on the way")]
    Failed,
    /// As [`Failed`](Self::Failed), on the first record of the connection.
    #[error(
        "first record failed to open; compare the cups version and the cipher on both ends, which the handshake does not check"
    )]
    FailedFirst,
    /// A record announces a message above the limit.
    #[error(
        "record announces a message of {length} bytes, above the limit of {limit}; raise the limit here or compare the cups version on both ends"
    )]
    TooLarge {
        /// Announced length of the plaintext in bytes.
        length: u32,
        /// The limit in bytes.
        limit: u32,
    },
    /// The stream ended within a record.
    #[error(
        "stream ended within a record; the peer or the network cut it, or, on the first record, the other end uses another cups version"
    )]
    Truncated,
}

impl From<BadVarint> for OpenError {
    fn from(_: BadVarint) -> Self {
        Self::BadVarint
    }
}
