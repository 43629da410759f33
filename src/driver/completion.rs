//! What a read, write or wait gives back.

use std::io;

use super::DriverError;
use crate::memory::{Buffer, Lent, View};

/// What the kernel answered, and the memory it no longer touches.
#[derive(Debug)]
pub(crate) struct Completion {
    /// Bytes moved for reads and writes, event bits for readiness.
    pub(crate) result: io::Result<usize>,
    /// What was lent for it, if anything was and the kernel is done with it.
    pub(crate) memory: Option<Lent>,
}

impl Completion {
    /// The completion of an operation that somebody else has collected.
    pub(crate) fn cancelled() -> Self {
        Self {
            result: Err(rustix::io::Errno::CANCELED.into()),
            memory: None,
        }
    }

    /// The completion of an operation whose memory the kernel may keep.
    pub(crate) fn failed(error: DriverError) -> Self {
        Self {
            result: Err(error.into()),
            memory: None,
        }
    }

    /// Splits into count and buffer; a buffer that came with an error is released.
    ///
    /// # Errors
    ///
    /// What the kernel answered.
    pub(crate) fn into_parts(self) -> io::Result<(usize, Buffer)> {
        let count = self.result?;
        let buffer = self.memory.and_then(Lent::into_buffer);
        Ok((count, buffer.ok_or(io::ErrorKind::InvalidData)?))
    }

    /// Splits into count and view; a view that came with an error is released.
    ///
    /// # Errors
    ///
    /// What the kernel answered.
    pub(crate) fn into_view_parts(self) -> io::Result<(usize, View)> {
        let count = self.result?;
        let view = self.memory.and_then(Lent::into_view);
        Ok((count, view.ok_or(io::ErrorKind::InvalidData)?))
    }
}
