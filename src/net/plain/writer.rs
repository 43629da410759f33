//! The writing half of a plain socket.

use core::future::poll_fn;
use std::rc::Rc;

use super::error::PlainSocketError;
use super::link::PlainLink;
use crate::net::connection::message::Message;
use crate::net::establish::address::Address;

/// Writes received messages to a [`PlainSocket`](crate::PlainSocket), straight from where they were
/// opened.
///
/// Dropping it ends the writing as [`shutdown_write`](Self::shutdown_write) does, if every message is
/// whole with the kernel. If not, it closes the socket for the reader as well, and a TCP peer sees a
/// reset.
#[derive(Debug)]
pub struct PlainWriter {
    link: Rc<PlainLink>,
}

impl PlainWriter {
    pub(super) fn new(link: Rc<PlainLink>) -> Self {
        Self { link }
    }

    /// Returns the address of this end.
    pub fn local_address(&self) -> &Address {
        self.link.local()
    }

    /// Returns the address of the other end.
    pub fn peer_address(&self) -> &Address {
        self.link.peer()
    }

    /// Writes all of `message`, and waits until the kernel has taken it.
    ///
    /// The kernel reads it from the slot that it lies in, which stays held until then. While the peer
    /// does not read that may be for long; it stops nobody else, as holding a
    /// [`Message`] does not.
    ///
    /// # Errors
    ///
    /// [`PlainSocketError`], all final for this half.
    ///
    /// # Cancellation
    ///
    /// Dropping the future before the messages of earlier calls are written drops this one. After
    /// that it is written whole, unless this half is dropped: what the kernel does not take by itself
    /// goes out with the next call, which also tells of a failure. Whatever is dropped or leaked, the
    /// message stays in place for as long as the kernel has it.
    pub async fn write_message(&mut self, message: Message) -> Result<(), PlainSocketError> {
        self.flush().await?;
        if message.is_empty() {
            return Ok(());
        }
        self.link.write(message.into_view());
        self.flush().await
    }

    /// Waits until the kernel has taken what futures that were dropped have left.
    ///
    /// # Errors
    ///
    /// As for [`write_message`](Self::write_message).
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn flush(&mut self) -> Result<(), PlainSocketError> {
        poll_fn(|context| self.link.poll_written(context)).await
    }

    /// Waits until the kernel has all messages, and tells the peer that no more follow. The reader
    /// can go on.
    ///
    /// # Errors
    ///
    /// As for [`write_message`](Self::write_message).
    ///
    /// # Cancellation
    ///
    /// Dropping the future is dropping the writer.
    pub async fn shutdown_write(mut self) -> Result<(), PlainSocketError> {
        self.flush().await?;
        poll_fn(|context| self.link.poll_end_writing(context)).await
    }
}

impl Drop for PlainWriter {
    fn drop(&mut self) {
        self.link.writer_left();
    }
}
