//! CUPS, the record layer: one encrypted record per message (SPEC section 6).
//!
//! ```text
//! V0   | varint: n + 16, in the clear (1-5) | ciphertext (n) | tag (16) |
//! V1   | length n, sealed (4) | tag (16)    | ciphertext (n) | tag (16) |
//!      |<------------- header ------------->|<--------- body ---------->|
//! ```
//!
//! [`Sealer`] and [`Opener`] are the two directions of a connection; neither
//! knows the other. Both work on the caller's slices, allocate nothing, and
//! count their own nonces, which nobody else can set: a record that is
//! forged, repeated, reordered or left out fails to open, and that ends the
//! direction. The end of a stream is not authenticated: a cut between two
//! records looks like a normal end, so messages must mark their own.

mod counter;
mod error;
#[cfg(any(test, feature = "internals"))]
mod keyed;
mod opener;
mod sealer;

#[cfg(test)]
mod tests;

pub use crate::protocol::layout;
pub use error::{LimitError, OpenError, SealError};
#[cfg(feature = "internals")]
pub(crate) use keyed::keyed_pair;
pub use opener::{Opener, Progress};
pub use sealer::Sealer;

use crate::protocol::cipher::TAG_LEN;

/// The largest limit for the plaintext of one message, in bytes.
pub const MAX_MESSAGE_SIZE: u32 = u32::MAX - 16;

/// The most bytes that a record is longer than its message.
pub const MAX_OVERHEAD: usize = V1_HEADER_LEN + TAG_LEN;

/// Length of a header in V1: a sealed 32-bit length.
const V1_HEADER_LEN: usize = 4 + TAG_LEN;

/// Version of the record layer; both ends must use the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CupsVersion {
    /// Lengths in the clear; 17 to 21 bytes more than the message.
    V0,
    /// Lengths encrypted; 36 bytes more than the message.
    #[default]
    V1,
}

/// Both ends of one direction, for tests of other rooms.
#[cfg(test)]
pub(crate) fn pair(version: CupsVersion, max_message_size: u32) -> (Sealer, Opener) {
    keyed_pair(&[7; 32], version, max_message_size)
}
