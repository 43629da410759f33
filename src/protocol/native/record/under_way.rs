//! The message of which parts have passed.

use core::num::NonZeroU64;

/// How many bytes have passed of a message in parts, if one is under way.
///
/// An `Option<u64>` has a hole while there is none, and making one may put into the hole what a
/// register happens to hold: eight bytes of a secret were found there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UnderWay {
    /// One more than the bytes.
    after: Option<NonZeroU64>,
}

impl UnderWay {
    /// A message of which so many bytes have passed.
    pub(super) const fn after(bytes: u64) -> Self {
        Self {
            after: Some(NonZeroU64::MIN.saturating_add(bytes)),
        }
    }

    /// Whether there is a message.
    pub(super) const fn is_some(self) -> bool {
        self.after.is_some()
    }

    /// How many bytes of it have passed.
    pub(super) fn bytes(self) -> u64 {
        self.after.map_or(0, |after| after.get() - 1)
    }

    /// Ends it; returns whether there was one.
    pub(super) const fn end(&mut self) -> bool {
        self.after.take().is_some()
    }
}
