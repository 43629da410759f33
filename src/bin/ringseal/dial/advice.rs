//! What the end of a connection may come from, for whoever has dialed.

use ringseal::{OpenError, RecvError, SendError};

use crate::args::LEAVING;
use crate::failure::Failure;
use crate::halves::FAILED;
use crate::log;

/// What to try when a peer goes that has just shaken hands.
pub(super) const GONE: &str = "the peer has gone; if that was at once, compare --wire on both ends";

pub(super) fn explain_send(error: SendError) -> Failure {
    match &error {
        SendError::Transport(_) => Failure::with_advice(&error, GONE),
        _ => error.into(),
    }
}

pub(super) fn explain_recv(error: RecvError) -> Failure {
    match &error {
        RecvError::Aborted { reason: FAILED } => Failure::with_advice(
            &error,
            "if that is a `ringseal`, its log says why, or its standard output was closed",
        ),
        RecvError::Transport(_) => Failure::with_advice(&error, GONE),
        RecvError::Record(OpenError::BadVarint | OpenError::FailedFirst | OpenError::Truncated) => {
            Failure::with_advice(&error, "compare --wire on both ends")
        }
        _ => error.into(),
    }
}

/// Tells a person at a terminal, and else a log that asks for events, that the peer wants to end.
pub(super) fn announce(reason: u16) {
    log::connected(&format!("the peer {}", leaving(reason)), None);
}

/// What a peer has said before its end.
pub(super) fn leaving(reason: u16) -> String {
    let words = if reason == LEAVING {
        "shuts down"
    } else {
        "wants to end"
    };
    format!("has announced that it {words} (Leaving, reason {reason})")
}
