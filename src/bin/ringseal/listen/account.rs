//! What is lost of a connection when it is cut off.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::pending;
use std::sync::Arc;

use ringseal::{Message, RecvError, Session};

use super::losses::Losses;
use crate::figures::{Figures, Tally};
use crate::halves::WholeReceiver;

/// What one connection has brought, and what of that is lost if its handler is dropped now, as the
/// server does when the time of a drain is over.
#[derive(Debug)]
pub(super) struct Account {
    losses: Arc<Losses>,
    session: Session,
    tally: RefCell<Tally>,
    /// How many messages there were when the server began to drain.
    before_draining: Cell<Option<u64>>,
    /// Messages of whose echoes it is not known that the kernel has them.
    unechoed: Cell<u64>,
    has_lost_lines: Cell<bool>,
    /// Whether the receiver is gone while a message had come in part.
    has_message_in_part: Cell<bool>,
    /// Whether the connection is closed, and only lines of it are left to be printed.
    is_closed: Cell<bool>,
    is_handled: Cell<bool>,
}

impl Account {
    pub(super) fn new(losses: &Arc<Losses>, session: &Session) -> Self {
        Self {
            losses: Arc::clone(losses),
            session: session.clone(),
            tally: RefCell::default(),
            before_draining: Cell::default(),
            unechoed: Cell::default(),
            has_lost_lines: Cell::default(),
            has_message_in_part: Cell::default(),
            is_closed: Cell::default(),
            is_handled: Cell::default(),
        }
    }

    /// Watches the server, for as long as the connection is handled.
    pub(super) async fn watch(&self) -> Infallible {
        self.session.draining().await;
        self.before_draining
            .set(Some(self.tally.borrow().messages()));
        pending().await
    }

    /// Has what comes counted.
    pub(super) fn counting(&self, receiver: WholeReceiver) -> CountingReceiver<'_> {
        CountingReceiver {
            account: self,
            receiver,
        }
    }

    /// Says what is missing if the last message has come in part.
    pub(super) fn text_of_part(&self) -> Option<String> {
        let whole = self.tally.borrow().messages();
        let is_missing = self.has_message_in_part.get();
        is_missing.then(|| format!("{whole} messages came whole, and one only in part"))
    }

    pub(super) fn figures(&self) -> Figures {
        self.tally.borrow().figures()
    }

    /// Notes a message that is to be sent back.
    pub(super) fn owes_echo(&self) {
        self.unechoed.set(self.unechoed.get() + 1);
    }

    /// Whether it is unknown of some echoes that the kernel has them.
    pub(super) fn has_unflushed(&self) -> bool {
        self.unechoed.get() > 0
    }

    /// Notes that the kernel has all echoes.
    pub(super) fn flushed(&self) {
        self.unechoed.set(0);
    }

    /// Notes a message that came after the end of its echoes.
    pub(super) fn came_too_late(&self) {
        self.losses.echoes(1);
    }

    pub(super) fn lost_lines(&self) {
        self.has_lost_lines.set(true);
    }

    pub(super) fn closed(&self) {
        self.is_closed.set(true);
    }

    /// Notes that the handler has come to its end, whatever that is: nothing is cut off.
    pub(super) fn handled(&self) {
        self.is_handled.set(true);
    }
}

/// A receiver whose account knows what has come.
#[derive(Debug)]
pub(super) struct CountingReceiver<'a> {
    account: &'a Account,
    receiver: WholeReceiver,
}

impl CountingReceiver<'_> {
    /// Returns the next message.
    pub(super) async fn recv(&mut self) -> Result<Option<Message>, RecvError> {
        let message = self.receiver.recv().await?;
        if let Some(message) = &message {
            self.account.tally.borrow_mut().add(message.len());
        }
        Ok(message)
    }

    /// Whether a part of a message has come.
    pub(super) fn is_mid_message(&self) -> bool {
        self.receiver.is_mid_message()
    }

    /// Takes messages until the peer ends.
    pub(super) async fn recv_to_end(&mut self) -> Result<(), RecvError> {
        while self.recv().await?.is_some() {}
        Ok(())
    }
}

impl Drop for CountingReceiver<'_> {
    fn drop(&mut self) {
        let is_missing = self.receiver.is_mid_message();
        self.account.has_message_in_part.set(is_missing);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // What a peer breaks off before is told of it, and says nothing of how this program ends.
        if !self.session.is_draining() {
            return;
        }
        let messages = self.tally.borrow().messages();
        let has_message_in_part = self.has_message_in_part.get();
        if has_message_in_part {
            self.losses.message_in_part(messages);
        }
        if self.is_handled.get() {
            return;
        }
        let unechoed = self.unechoed.get();
        self.losses.echoes(unechoed);
        let before = self.before_draining.get();
        let is_moving = before.is_some_and(|before| before != messages);
        let is_moving = is_moving || has_message_in_part;
        let is_losing = self.has_lost_lines.get() || unechoed > 0 || is_moving;
        self.losses
            .connection_cut(is_losing && !self.is_closed.get());
    }
}
