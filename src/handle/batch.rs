//! Messages in order, and how long they are together.

use std::collections::VecDeque;

use bytes::Bytes;

use super::limits::QueueLimits;

/// Messages that change threads together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    messages: VecDeque<Bytes>,
    bytes: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether a message of `length` bytes may be added.
    pub(super) fn has_room(&self, length: usize, limits: QueueLimits) -> bool {
        self.is_empty()
            || (self.messages.len() < limits.messages
                && self.bytes.saturating_add(length) <= limits.bytes)
    }

    pub(super) fn push(&mut self, message: Bytes) {
        self.bytes += message.len();
        self.messages.push_back(message);
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }

    /// Moves all of `other` to the end of this, which for an empty one is an exchange.
    pub(super) fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            core::mem::swap(self, other);
            return;
        }
        self.bytes += core::mem::take(&mut other.bytes);
        self.messages.append(&mut other.messages);
    }
}
