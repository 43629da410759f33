//! What the end of a connection may come from, for whoever has dialed.

use ringseal::{OpenError, RecvError, SendError};

use crate::failure::Failure;

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
        RecvError::Transport(_) => Failure::with_advice(&error, GONE),
        RecvError::Record(OpenError::BadVarint | OpenError::FailedFirst | OpenError::Truncated) => {
            Failure::with_advice(&error, "compare --wire on both ends")
        }
        _ => error.into(),
    }
}
