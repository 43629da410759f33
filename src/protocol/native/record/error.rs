//! What can go wrong with a record, one type per direction.

use crate::protocol::AbortReason;
use crate::protocol::layout::IsNoRoom;

/// Nothing was put into a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// An earlier record failed to seal.
    #[error("sealer failed before; open a new connection")]
    Closed,
    /// This end has said that it sends nothing more.
    #[error("this direction was ended before; open a new connection to send more")]
    Ended,
    /// The cipher refused; the sealer is dead.
    #[error("record could not be sealed; open a new connection")]
    Failed,
    /// The message has another length than was planned.
    #[error("message of {length} bytes was planned with {planned}; plan each message anew")]
    LengthMismatch {
        /// Length of the message in bytes.
        length: usize,
        /// The length that was planned, in bytes.
        planned: usize,
    },
    /// A message is under way in parts, and only parts and control frames may come before its end.
    #[error("message in parts is under way; complete or drop it first")]
    MidMessage,
    /// Something else was appended after the place was made.
    #[error("draft has grown since the place was reserved; reserve it again")]
    Moved,
    /// No message is under way that could be given up.
    #[error("no message in parts is under way; there is nothing to drop")]
    NoMessage,
    /// The draft is too short. Nothing was changed.
    #[error("record needs {needed} bytes but the draft has {room}; finish it and begin another")]
    NoRoom {
        /// How many bytes are needed.
        needed: usize,
        /// How many bytes the draft has.
        room: usize,
    },
    /// A part is empty, or longer than a record of the peer can hold.
    #[error("part of {length} bytes is not in 1..={limit}; cut the message into such parts")]
    PartLength {
        /// Length of the part in bytes.
        length: usize,
        /// The longest part that the peer takes, in bytes.
        limit: usize,
    },
    /// The message is above the peer's limit. Nothing was changed; a message under way in parts is
    /// to be given up with [`Frame::Drop`](super::Frame::Drop).
    #[error(
        "message of {length} bytes is above the peer's limit of {limit}; split it or raise the limit on the peer"
    )]
    TooLarge {
        /// Length of the message in bytes, as far as it is known.
        length: u64,
        /// The peer's limit in bytes.
        limit: u64,
    },
    /// The message does not fit into one record of the peer, so it cannot be written in place.
    #[error(
        "message of {length} bytes is above the peer's record limit of {limit} and cannot be written in place; send it from elsewhere"
    )]
    TooLongInPlace {
        /// Length of the message in bytes.
        length: usize,
        /// The longest message that fits, in bytes.
        limit: usize,
    },
}

impl IsNoRoom for SealError {
    #[inline]
    fn is_no_room(&self) -> bool {
        matches!(self, Self::NoRoom { .. })
    }
}

/// What the peer sent is not as the wire demands; the opener is dead.
///
/// Whatever the cause, the peer is told the same; see [`abort_reason`](Self::abort_reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// An answer about admission where none is due, or another frame where one is.
    #[error("peer's answer about admission is misplaced; it does not keep to the native wire")]
    AnswerMisplaced,
    /// Something other than a control frame where an answer about admission is due.
    #[error("listener did not say whether it admits us; it does not keep to the native wire")]
    AnswerMissing,
    /// A length inside a record is malformed.
    #[error("record holds a malformed length; the peer does not keep to the native wire")]
    BadVarint,
    /// The opener failed before.
    #[error("opener failed before; open a new connection")]
    Closed,
    /// A control frame is empty, too long, or of the wrong length for its type.
    #[error("control frame has a wrong length; the peer does not keep to the native wire")]
    ControlLength,
    /// A message was given up that was not under way.
    #[error("peer dropped a message that it had not begun; it does not keep to the native wire")]
    DropOutsideMessage,
    /// A part of a message is empty.
    #[error("part of a message is empty; the peer does not keep to the native wire")]
    EmptyPart,
    /// The peer ended its direction in the middle of a message.
    #[error("peer ended within a message; the peer does not keep to the native wire")]
    EndWithinMessage,
    /// The peer had ended its direction before.
    #[error("peer has ended its direction; read no further")]
    Ended,
    /// The peer has sealed more with one key than is safe.
    #[error("peer has used one key for too much; it does not keep to the native wire")]
    KeyOverused,
    /// A message announces more than its record holds.
    #[error("message overruns its record; the peer does not keep to the native wire")]
    Overrun,
    /// A Packed record is empty or too long.
    #[error("packed record has a wrong length; the peer does not keep to the native wire")]
    PackedLength,
    /// A record of whole messages within a message.
    #[error("packed record within a message; the peer does not keep to the native wire")]
    PackedWithinMessage,
    /// A Padded record is malformed.
    #[error("padded record is malformed; the peer does not keep to the native wire")]
    Padded,
    /// A header announces a length that no record of this connection has.
    #[error(
        "record announces {length} bytes, which is not in 16..={limit}; the stream was changed on the way, or the peer ignores this end's record limit"
    )]
    RecordLength {
        /// Announced length of ciphertext and tag in bytes.
        length: usize,
        /// The longest that is taken, in bytes.
        limit: usize,
    },
    /// A record is not what the peer sealed at this place.
    #[error("record failed to open; the stream was changed on the way")]
    Tag,
    /// A message is above this end's limit.
    #[error(
        "peer sends a message of {length} bytes or more, above the limit of {limit}; raise the limit here"
    )]
    TooLarge {
        /// Length of the message in bytes, as far as it is known.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The stream ended before the peer has ended it.
    #[error("stream ended without the peer's end; the peer died, or the network cut it")]
    Truncated,
    /// A control frame that is not known and must not be ignored.
    #[error("control frame of unknown type {frame}; the peer speaks another version")]
    UnknownControl {
        /// Its type.
        frame: u8,
    },
    /// A header of no known kind.
    #[error(
        "record of unknown kind {kind}; the stream was changed on the way, or the peer speaks another version"
    )]
    UnknownKind {
        /// Its kind.
        kind: u8,
    },
    /// Messages of the last record were not taken.
    #[error("messages of a packed record were not taken; take them all before the next record")]
    Unread,
    /// A key was updated before it was used.
    #[error("key update as the first record of a key; the peer does not keep to the native wire")]
    UpdateFirst,
}

impl OpenError {
    /// Returns what to tell the peer: the same for every failed check, but for a message that is
    /// too large.
    #[must_use]
    pub const fn abort_reason(&self) -> AbortReason {
        match self {
            Self::TooLarge { .. } => AbortReason::TOO_LARGE,
            _ => AbortReason::PROTOCOL,
        }
    }
}
