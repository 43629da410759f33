//! A received message, still in the memory that the kernel wrote it into.

use core::fmt;
use core::ops::Deref;

use bytes::Bytes;

use crate::memory::View;

/// A message, opened in place. Derefs to its bytes.
///
/// It lives in a slot of its thread's pool, or in a heap block where slots are short, together with
/// the messages that came in the same read; that is free again when the last of them is dropped.
/// Holding one, while you wait to send it on for instance, stops nobody else. Many that are held
/// use up slots, which costs the other connections speed, and then the memory that
/// [`RuntimeBuilder::heap_budget`](crate::RuntimeBuilder::heap_budget) sets; so copy with
/// [`to_bytes`](Self::to_bytes) or `to_vec` what is kept for long or sent to another thread. Clones
/// are views of the same bytes.
#[derive(Clone)]
pub struct Message {
    view: View,
}

impl Message {
    pub(crate) fn new(view: View) -> Self {
        Self { view }
    }

    /// Whether it lies in a slot, which others may wait for.
    pub(crate) fn is_in_slot(&self) -> bool {
        self.view.is_slot()
    }

    pub(crate) fn into_view(self) -> View {
        self.view
    }

    /// Copies the message out, so that it can leave the thread. Allocates its length in bytes.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

impl Deref for Message {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.view
    }
}

impl AsRef<[u8]> for Message {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Message> for Vec<u8> {
    /// Copies the message out.
    fn from(message: Message) -> Self {
        message.to_vec()
    }
}

impl From<Message> for Bytes {
    /// Copies the message out.
    fn from(message: Message) -> Self {
        message.to_bytes()
    }
}

impl PartialEq<[u8]> for Message {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes are somebody's plaintext and stay out of logs.
        formatter
            .debug_struct("Message")
            .field("length", &self.len())
            .finish_non_exhaustive()
    }
}
