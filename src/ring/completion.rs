//! What a read, write or wait gives back.

use std::io;

use crate::memory::Buffer;

/// What the kernel answered, and the memory it no longer touches.
#[derive(Debug)]
pub(crate) struct Completion {
    /// Bytes moved for reads and writes, event bits for readiness.
    pub(crate) result: io::Result<usize>,
    /// The buffer that went in, if one did.
    pub(crate) buffer: Option<Buffer>,
}

impl Completion {
    /// The completion of an operation that somebody else has collected.
    pub(crate) fn cancelled() -> Self {
        Self {
            result: Err(rustix::io::Errno::CANCELED.into()),
            buffer: None,
        }
    }

    /// Splits into count and buffer; a buffer that came with an error is released.
    ///
    /// # Errors
    ///
    /// What the kernel answered.
    pub(crate) fn into_parts(self) -> io::Result<(usize, Buffer)> {
        let count = self.result?;
        let buffer = self.buffer.ok_or(io::ErrorKind::InvalidData)?;
        Ok((count, buffer))
    }
}
