//! The halves of a connection, for commands that may fail in the middle of it.
//!
//! A sender of the library that is dropped tells its peer an end in order. From a program that has
//! failed that would say that all was sent, and both ends would take the connection for a good one. So
//! this one gives the connection up unless it is closed.

use core::cell::Cell;
use std::rc::Rc;

use ringseal::protocol::native::record::AbortReason;
use ringseal::{Connection, Message, Received, Receiver, RecvError, SendError, Sender};

/// What the peer is told when this end has failed: our own word, as the wire has none for it.
pub(crate) const FAILED: AbortReason = AbortReason(AbortReason::FIRST_OF_APPLICATION);

pub(crate) fn split(connection: Connection) -> (WholeSender, WholeReceiver) {
    let (sender, receiver) = connection.split();
    let has_failed = Rc::<Cell<bool>>::default();
    let sender = WholeSender {
        sender: Some(sender),
        has_receiving_failed: Rc::clone(&has_failed),
    };
    let receiver = WholeReceiver {
        receiver,
        has_failed,
    };
    (sender, receiver)
}

/// Tells the peer the end only in [`close`](Self::close), and gives the connection up when it is
/// dropped before that.
#[derive(Debug)]
pub(crate) struct WholeSender {
    /// Until it has failed so that nothing more can be told to the peer.
    sender: Option<Sender>,
    has_receiving_failed: Rc<Cell<bool>>,
}

impl WholeSender {
    pub(crate) async fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let result = self.open()?.send(message).await;
        self.note(result)
    }

    pub(crate) async fn forward(&mut self, message: Message) -> Result<(), SendError> {
        let result = self.open()?.forward(message).await;
        self.note(result)
    }

    pub(crate) async fn flush(&mut self) -> Result<(), SendError> {
        let result = self.open()?.flush().await;
        self.note(result)
    }

    /// Flushes, then tells the peer the end. Dropping the future ends it in order as well, since all was
    /// sent before.
    pub(crate) async fn close(mut self) -> Result<(), SendError> {
        let sender = self.sender.take().ok_or(SendError::Closed)?;
        sender.close().await
    }

    fn open(&mut self) -> Result<&mut Sender, SendError> {
        self.sender.as_mut().ok_or(SendError::Closed)
    }

    fn note(&mut self, result: Result<(), SendError>) -> Result<(), SendError> {
        let is_over = matches!(
            result,
            Err(SendError::Transport(_)
                | SendError::TimedOut { .. }
                | SendError::Refused { .. }
                | SendError::Closed)
        );
        if is_over {
            // The peer hears nothing more from here. What it has said may still be read, and tell why.
            self.sender = None;
        }
        result
    }
}

impl Drop for WholeSender {
    fn drop(&mut self) {
        // Where receiving has failed, the library has told the peer why.
        if let Some(sender) = self.sender.take()
            && !self.has_receiving_failed.get()
        {
            sender.abort(FAILED);
        }
    }
}

/// The other half, as that of the library is.
#[derive(Debug)]
pub(crate) struct WholeReceiver {
    receiver: Receiver,
    has_failed: Rc<Cell<bool>>,
}

impl WholeReceiver {
    pub(crate) async fn recv(&mut self) -> Result<Option<Message>, RecvError> {
        let result = self.receiver.recv().await;
        self.note(&result);
        result
    }

    pub(crate) async fn recv_event(&mut self) -> Result<Option<Received>, RecvError> {
        let result = self.receiver.recv_event().await;
        self.note(&result);
        result
    }

    fn note<T>(&self, result: &Result<T, RecvError>) {
        // Of want of memory the peer is told nothing: the other direction could go on.
        let is_told =
            matches!(result, Err(error) if !matches!(error, RecvError::OutOfMemory { .. }));
        self.has_failed.set(is_told);
    }

    /// Why the peer wants to end, if it has said so.
    pub(crate) fn leaving(&self) -> Option<u16> {
        self.receiver.leaving()
    }

    /// Whether a part of a message has come.
    pub(crate) fn is_mid_message(&self) -> bool {
        self.receiver.is_mid_message()
    }
}
