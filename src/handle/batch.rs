//! Messages in order, and how long they are together.

use core::fmt;
use core::ops::Add;
use std::collections::VecDeque;

use bytes::Bytes;

use super::limits::QueueLimits;

/// Messages that change threads together.
#[derive(Default)]
pub(super) struct Batch {
    messages: VecDeque<Bytes>,
    bytes: usize,
}

/// How much there is of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Size {
    /// Whether a message of `length` bytes may be added.
    pub(super) fn has_room(self, length: usize, limits: QueueLimits) -> bool {
        self.messages == 0
            || (self.messages < limits.messages
                && self.bytes.saturating_add(length) <= limits.bytes)
    }
}

impl Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl Batch {
    /// Room for messages that an empty one keeps: 4 KiB.
    const KEPT: usize = 4096 / size_of::<Bytes>();

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn size(&self) -> Size {
        Size {
            messages: self.messages.len(),
            bytes: self.bytes,
        }
    }

    pub(super) fn push(&mut self, message: Bytes) {
        self.bytes += message.len();
        self.messages.push_back(message);
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        self.shrink();
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
        other.shrink();
    }

    /// Lets go of the room that one burst has taken: idle connections are many.
    fn shrink(&mut self) {
        if self.is_empty() && self.messages.capacity() > Self::KEPT {
            self.messages = VecDeque::new();
        }
    }
}

/// Without the messages, which are secret.
impl fmt::Debug for Batch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.size().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_batch_keeps_little_room() {
        let (mut first, mut second) = (Batch::default(), Batch::default());
        for _ in 0..10 {
            for _ in 0..5000 {
                first.push(Bytes::new());
                second.push(Bytes::from_static(b"x"));
            }
            first.append(&mut second);
            assert!(second.messages.capacity() <= Batch::KEPT);
            let size = Size {
                messages: 10_000,
                bytes: 5000,
            };
            assert_eq!(first.size(), size);
            while first.pop().is_some() {}
            assert_eq!(first.size(), Size::default());
            assert!(first.messages.capacity() <= Batch::KEPT);
        }
    }
}
