//! How an end makes records of its messages.

use crate::protocol::native::Settings;
use core::num::NonZeroU32;

/// How an end makes records of its messages. The peer takes whatever comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealOptions {
    /// The longest message that is packed together with others, in bytes, at most
    /// [`MAX_PACKING_LIMIT`](Self::MAX_PACKING_LIMIT). Longer ones get records of their own, which
    /// are sealed from where the message is.
    pub packing_limit: usize,
    /// Hides how long messages are: the body of every record but control frames becomes a
    /// multiple of so many bytes long, or as long as the peer allows. Every message is then copied
    /// before it is sealed.
    pub padding: Option<NonZeroU32>,
}

impl SealOptions {
    /// Where the bare pipeline changes from packing to records of their own, and where nothing is lost
    /// by that here (benches/README.md, the packing limit).
    pub const DEFAULT_PACKING_LIMIT: usize = 4_096;

    /// The largest packing limit, in bytes; above it this is taken. Every peer's records have room
    /// for such a message.
    pub const MAX_PACKING_LIMIT: usize = Settings::MIN_RECORD_LIMIT as usize / 2;
}

impl Default for SealOptions {
    /// The default packing limit, and no padding.
    fn default() -> Self {
        Self {
            packing_limit: Self::DEFAULT_PACKING_LIMIT,
            padding: None,
        }
    }
}
