//! The records of the native wire (NATIVE section 4): many small messages in one, or one long
//! message in many.
//!
//! ```text
//! | kind (1) | length (3), with tag | body, sealed | tag (16) |
//!
//! Packed   | varint | message | varint | message | ...           to 65 536 bytes
//! Message  | message, or its last part                         |
//! Part     | a part of a message that goes on                  |
//! Control  | type (1) | data                                   |
//! Padded   | kind (1) | length (3) | body of that kind | filling |
//! ```
//!
//! [`Sealer`] and [`Opener`] are the two directions of a connection; neither knows the other.
//! Both work on the caller's buffers and allocate nothing but, once a gigabyte, the keys of the
//! next generation. How they are called stands at
//! [`layout`](crate::protocol::layout), which CUPS keeps to as well; what only this wire
//! has are inherent methods: control frames, messages in parts, padding.
//!
//! An error is final for the opener, and a failed seal for the sealer. An opener that has given a
//! message out has checked the whole record that it came in, and the layout of the record up to
//! the end of that message: Packed bodies are walked as their messages are taken, so that a record
//! of 65 536 empty ones costs nobody any time who does not take them. They must all be taken
//! before the next record, so that no malformed record goes unnoticed.

mod bodies;
mod control;
mod direction;
mod error;
mod header;
mod opener;
mod options;
#[cfg(feature = "internals")]
pub(crate) mod raw;
mod sealer;
mod under_way;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::pair;

pub use crate::protocol::{AbortReason, RefuseReason};
pub(super) use control::Answer;
pub use control::{Event, Frame};
pub(super) use direction::Direction;
pub use error::{OpenError, SealError};
pub(crate) use header::describe;
pub use opener::Opener;
pub use options::SealOptions;
pub use sealer::Sealer;

/// The longest body of a Packed record, in bytes.
const MAX_PACKED_LEN: usize = 65_536;

/// Kind and length in front of what a Padded body holds, in bytes.
const PADDED_PREFIX_LEN: usize = 4;

/// What stands for the kind of a Padded body that holds nothing.
const NOTHING: u8 = 0xff;
