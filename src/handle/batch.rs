//! Messages and parts of messages in order, and how long they are together.

use core::fmt;
use core::ops::Add;
use std::collections::VecDeque;

use bytes::Bytes;

use super::limits::QueueLimits;

/// What changes threads in one go.
#[derive(Clone)]
pub(super) struct Fragment {
    pub(super) bytes: Bytes,
    pub(super) kind: Kind,
}

/// What a fragment is of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// All of it.
    Whole,
    /// A part that others follow.
    Part,
    /// The last part. On the way to a sender it has no bytes.
    Last,
    /// Nothing: the message of which parts came before is given up.
    GivenUp,
}

impl Fragment {
    pub(super) const GIVEN_UP: Self = Self {
        bytes: Bytes::new(),
        kind: Kind::GivenUp,
    };

    pub(super) const fn whole(bytes: Bytes) -> Self {
        Self {
            bytes,
            kind: Kind::Whole,
        }
    }

    /// Whether a message is complete with this.
    pub(super) const fn completes(&self) -> bool {
        matches!(self.kind, Kind::Whole | Kind::Last)
    }
}

/// Fragments that change threads together.
#[derive(Default)]
pub(super) struct Batch {
    fragments: VecDeque<Fragment>,
    bytes: usize,
}

/// How much there is. Parts count as messages do.
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
    /// Room for fragments that an empty one keeps: 4 KiB.
    const KEPT: usize = 4096 / size_of::<Fragment>();

    pub(super) fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    pub(super) fn size(&self) -> Size {
        Size {
            messages: self.fragments.len(),
            bytes: self.bytes,
        }
    }

    pub(super) fn push(&mut self, fragment: Fragment) {
        self.bytes += fragment.bytes.len();
        self.fragments.push_back(fragment);
    }

    pub(super) fn pop(&mut self) -> Option<Fragment> {
        let fragment = self.fragments.pop_front()?;
        self.bytes -= fragment.bytes.len();
        self.shrink();
        Some(fragment)
    }

    /// Moves all of `other` to the end of this, which for an empty one is an exchange.
    pub(super) fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            core::mem::swap(self, other);
            return;
        }
        self.bytes += core::mem::take(&mut other.bytes);
        self.fragments.append(&mut other.fragments);
        other.shrink();
    }

    /// Lets go of the room that one burst has taken: idle connections are many.
    fn shrink(&mut self) {
        if self.is_empty() && self.fragments.capacity() > Self::KEPT {
            self.fragments = VecDeque::new();
        }
    }
}

/// Without the bytes, which are secret.
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
                first.push(Fragment::GIVEN_UP);
                second.push(Fragment::whole(Bytes::from_static(b"x")));
            }
            first.append(&mut second);
            assert!(second.fragments.capacity() <= Batch::KEPT);
            let size = Size {
                messages: 10_000,
                bytes: 5000,
            };
            assert_eq!(first.size(), size);
            while first.pop().is_some() {}
            assert_eq!(first.size(), Size::default());
            assert!(first.fragments.capacity() <= Batch::KEPT);
        }
    }
}
