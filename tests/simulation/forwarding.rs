//! What an end has received and sends on.

use core::cell::RefCell;

use ringseal::Message;

/// One message on its way from the receiver of an end to its sender.
#[derive(Debug, Default)]
pub(crate) struct Forwarding(RefCell<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Empty,
    Waiting(Message),
    /// The sender takes nothing any more.
    Closed,
}

impl Forwarding {
    /// Leaves a message with the sender; gives it back if one waits already, or none is taken.
    pub(crate) fn put(&self, message: Message) -> Option<Message> {
        let mut state = self.0.borrow_mut();
        if !matches!(*state, State::Empty) {
            return Some(message);
        }
        *state = State::Waiting(message);
        None
    }

    pub(crate) fn take(&self) -> Option<Message> {
        let mut state = self.0.borrow_mut();
        match core::mem::take(&mut *state) {
            State::Waiting(message) => Some(message),
            other => {
                *state = other;
                None
            }
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        usize::from(matches!(*self.0.borrow(), State::Waiting(_)))
    }

    /// Drops what waits, and takes nothing from now on.
    pub(crate) fn close(&self) {
        drop(self.0.replace(State::Closed));
    }
}
