//! Reads and writes handshake messages.

use std::io;

use crate::memory::{Buffer, Class};
use crate::net::connection::link::Link;
use crate::net::error::AttemptError;

/// Longer than any handshake message, in bytes.
const READ_SIZE: usize = 1_280;

/// Reads never more than the current handshake message, so that what follows stays in the socket
/// for the record layer.
pub(super) struct Reader {
    buffer: Option<Buffer>,
    filled: usize,
}

impl Reader {
    pub(super) fn new(link: &Link) -> Result<Self, AttemptError> {
        let grant = (link.shard.pool)
            .account(Class::Receive)
            .take_short(READ_SIZE);
        let buffer = Buffer::heap(grant).map_err(AttemptError::Transport)?;
        Ok(Self {
            buffer: Some(buffer),
            filled: 0,
        })
    }

    pub(super) async fn read(&mut self, link: &Link, wanted: usize) -> Result<&[u8], AttemptError> {
        let buffer = self.buffer.take().expect("a buffer between reads");
        let (count, buffer) = link
            .read(buffer, wanted.clamp(1, READ_SIZE))
            .await
            .map_err(broken)?;
        if count == 0 {
            return Err(AttemptError::UnexpectedEnd);
        }
        self.filled = count;
        Ok(&self.buffer.insert(buffer)[..count])
    }

    /// Whether nothing was read yet.
    pub(super) const fn is_unused(&self) -> bool {
        self.filled == 0
    }

    /// Returns what the last read has brought.
    pub(super) fn last(&self) -> &[u8] {
        let bytes = self.buffer.as_deref().unwrap_or_default();
        bytes.get(..self.filled).unwrap_or_default()
    }

    /// A surplus would be lost to the record layer; `wanted` sees to it that there is none.
    pub(super) fn expect_consumed(&self, consumed: usize) {
        assert_eq!(
            consumed, self.filled,
            "a handshake read ends with its message"
        );
    }
}

/// What a socket's failure means here. A peer that refuses while bytes of ours are unread resets.
pub(super) fn broken(error: io::Error) -> AttemptError {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => AttemptError::UnexpectedEnd,
        _ => AttemptError::Transport(error),
    }
}

/// Writes `output`, and empties it.
pub(super) async fn write(link: &Link, output: &mut Vec<u8>) -> Result<(), AttemptError> {
    if output.is_empty() {
        return Ok(());
    }
    let grant = (link.shard.pool)
        .account(Class::Send)
        .take_short(output.len());
    let mut buffer = Buffer::heap(grant).map_err(AttemptError::Transport)?;
    buffer.copy_from_slice(output);
    let length = output.len();
    output.clear();
    link.write_all(buffer, length).await.map_err(broken)
}
