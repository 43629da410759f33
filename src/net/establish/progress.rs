//! How far the handshake with a client is, for a listener that has more clients than it can serve.

use core::cell::Cell;
use std::time::Instant;

/// What a client has shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Nothing.
    #[default]
    Silent,
    /// Part of its first message.
    Begun,
    /// All of it: who it says that it is, or that it knows whom it calls.
    Claimed,
    /// That it holds the key.
    Proven,
}

/// Written by the attempt, read by the listener.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    stage: Cell<Stage>,
    waiting: Cell<Option<Instant>>,
    is_listener_ending: Cell<bool>,
}

impl Progress {
    pub(crate) fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// Returns since when it is the client that the handshake waits for, if it is.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.waiting.get()
    }

    /// Notes that there is nothing to do until the client sends something.
    pub(crate) fn wait(&self, now: Instant) {
        self.waiting.set(Some(now));
    }

    /// Notes that it has sent something.
    pub(crate) fn hear(&self) {
        self.waiting.set(None);
        self.reach(Stage::Begun);
    }

    /// Notes that the listener ends, and the handshake with it.
    pub(crate) fn end_listener(&self) {
        self.is_listener_ending.set(true);
    }

    pub(crate) fn is_listener_ending(&self) -> bool {
        self.is_listener_ending.get()
    }

    /// Notes what the client has shown.
    pub(crate) fn reach(&self, stage: Stage) {
        self.stage.set(stage.max(self.stage.get()));
    }
}
