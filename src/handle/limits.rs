//! How much may wait between a caller and a ring thread.

/// Bounds of the queues of a connection, one in each direction.
///
/// A queue takes a message while it is empty, or while the message stays within both bounds. A
/// direction holds at most two queues: one that gathers and one that is being emptied. What a
/// peer sends is measured when it is there, so there the last message of a queue may begin below the
/// bound of bytes and end above. What has no room stays sealed, or in the one slot that it was read
/// into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    pub(super) bytes: usize,
    pub(super) messages: usize,
}

impl QueueLimits {
    /// Bytes of messages in a queue by default: about what fills a slot.
    pub const DEFAULT_BYTES: usize = 256 * 1024;
    /// Messages in a queue by default.
    pub const DEFAULT_MESSAGES: usize = 4096;

    /// Sets how many bytes of messages may wait.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets how many messages may wait.
    #[must_use]
    pub fn messages(mut self, messages: usize) -> Self {
        self.messages = messages;
        self
    }
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            bytes: Self::DEFAULT_BYTES,
            messages: Self::DEFAULT_MESSAGES,
        }
    }
}
