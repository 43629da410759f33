//! How much may wait between a caller and a ring thread.

/// Bounds of the queues of a connection, one in each direction.
///
/// A queue takes a message while it is empty, or while the message stays within both bounds. A
/// direction holds at most two queues: one that gathers and one that is being emptied. What a
/// peer sends is measured when it is there, so there the last message of a queue may begin below the
/// bound of bytes and end above. Parts of [streamed](crate::RemoteSender::send_stream) messages count as
/// messages do. What has no room stays sealed, or in the one slot that it was read
/// into.
///
/// # Memory
///
/// Queues are in no budget: [`RuntimeBuilder::heap_budget`](crate::RuntimeBuilder::heap_budget) bounds
/// what a ring thread reads into and seals from, for all connections together, and these bounds what
/// waits beside it, for each connection. At most, in bytes for each connection:
///
/// | direction | bound | by default |
/// |---|---|---|
/// | received | 2 × (8/7 × bytes + 80 × messages + 32 KiB + the longest message) | 1.3 MiB and two messages |
/// | to be sent | 2 × (bytes + 112 × messages + the longest message) | 1.4 MiB and two messages |
///
/// Bytes to be sent are those of the caller, who may share them. While the ring thread takes over
/// messages, it holds up to 80 KiB of pointers more. An idle connection whose messages were
/// all taken keeps at most 4 KiB for each of five queues.
///
/// A receiver that nobody calls has one of its two queues. With peers that send without end, 10 000
/// of them come to 6.2 GiB by default: lower the bounds where there may be so many.
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
