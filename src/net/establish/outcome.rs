//! In which number a handshake counts.

use crate::net::error::{AcceptError, AttemptError, DialError};
use crate::net::thread::counters::{HandshakeCounts, Outcome, count_handshake};
use crate::net::thread::shard::Shard;
use crate::protocol::RefuseReason;
use crate::protocol::handshake::HandshakeError;

/// Counts an attempt of a dialer.
pub(crate) fn count_dialed<T>(shard: &Shard, outcome: &Result<T, DialError>) {
    let counts = &shard.counters.dialed;
    match outcome {
        Ok(_) => count_handshake(counts, |counts| &mut counts.established),
        Err(DialError::Attempt(error)) => count_handshake(counts, failed(error)),
        Err(DialError::Connect { .. } | DialError::Resolve { .. }) => {
            count_handshake(counts, |counts| &mut counts.unreachable);
        }
        Err(DialError::OutsideRuntime) => {}
    }
}

/// Counts the handshake of a client.
pub(crate) fn count_accepted<T>(shard: &Shard, outcome: &Result<T, AcceptError>) {
    count_attempt(shard, outcome.as_ref().map_err(|error| &error.reason));
}

/// Counts the handshake of a client whose address nobody knows.
pub(crate) fn count_attempt<T>(shard: &Shard, outcome: Result<T, &AttemptError>) {
    if let Some(number) = of_attempt(outcome) {
        count_handshake(&shard.counters.accepted, number);
    }
}

/// Returns the number that the handshake of a client counts in, if it was one.
pub(crate) fn of_attempt<T>(outcome: Result<T, &AttemptError>) -> Option<Outcome> {
    match outcome {
        Ok(_) => Some(|counts| &mut counts.established),
        // `Statistics::refused` has the first one.
        Err(AttemptError::SourceRefused | AttemptError::OutsideRuntime) => None,
        Err(error) => Some(failed(error)),
    }
}

fn failed(error: &AttemptError) -> Outcome {
    match error {
        AttemptError::NotAdmitted { .. }
        | AttemptError::SourceRefused
        | AttemptError::Handshake(HandshakeError::PeerRejected(_))
        | AttemptError::Refused {
            reason: RefuseReason::NOT_ADMITTED,
        } => |counts: &mut HandshakeCounts| &mut counts.not_admitted,
        AttemptError::Deadline { .. } | AttemptError::NoFirstMessage => {
            |counts: &mut HandshakeCounts| &mut counts.timed_out
        }
        AttemptError::Overloaded | AttemptError::Refused { .. } => {
            |counts: &mut HandshakeCounts| &mut counts.overloaded
        }
        AttemptError::ListenerEnded => |counts: &mut HandshakeCounts| &mut counts.dropped,
        AttemptError::MadeWay => |counts: &mut HandshakeCounts| &mut counts.made_way,
        AttemptError::NoRoom { .. } => |counts: &mut HandshakeCounts| &mut counts.no_room,
        AttemptError::ClosedUnused => |counts: &mut HandshakeCounts| &mut counts.unused,
        AttemptError::UnexpectedEnd | AttemptError::OutsideRuntime | AttemptError::Transport(_) => {
            |counts: &mut HandshakeCounts| &mut counts.closed
        }
        AttemptError::AdmissionPanicked
        | AttemptError::Answer(_)
        | AttemptError::Handshake(_)
        | AttemptError::NativeHandshake(_)
        | AttemptError::OtherProtocol { .. } => |counts: &mut HandshakeCounts| &mut counts.invalid,
    }
}
