//! Which errors of an attempt another one may mend.
//!
//! An attempt ends for good only by what this end knows by itself, or what the listener has said
//! under its key. Whatever a stranger on the way, or at the address, could have said as well must not
//! keep this end from the real listener for longer than it is there.

use std::io;

use crate::net::error::{AttemptError, DialError};
use crate::protocol::RefuseReason;
use crate::protocol::{handshake, native};

/// What another attempt may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryOutlook {
    /// The same, until somebody changes a configuration: the listener has refused this end's key and
    /// has proved its own, both ends have the same identity, the peer's key or settings can't be used,
    /// the address is none, or there is no runtime.
    Hopeless,
    /// The same, if it was the real listener: who answered does not have its key, speaks another
    /// protocol, or has closed the connection during the handshake, as listeners do that know nothing of
    /// this end's key or namespace. But it may have been somebody else, who is not there the next time.
    Doubtful,
    /// A connection, once the listener and the way to it are there.
    Good,
}

impl DialError {
    /// Returns what another attempt may bring.
    #[must_use]
    pub fn retry_outlook(&self) -> RetryOutlook {
        match self {
            Self::OutsideRuntime => RetryOutlook::Hopeless,
            Self::Resolve { source, .. } | Self::Connect { source, .. } => of_address(source),
            Self::Attempt(error) => error.retry_outlook(),
        }
    }
}

impl AttemptError {
    /// Returns what another attempt may bring.
    #[must_use]
    pub fn retry_outlook(&self) -> RetryOutlook {
        match self {
            Self::Refused { reason } => of_refusal(*reason),
            Self::NotAdmitted { .. } | Self::SourceRefused | Self::OutsideRuntime => {
                RetryOutlook::Hopeless
            }
            Self::Handshake(error) => of_commonware(error),
            Self::NativeHandshake(error) => of_native(error),
            Self::Answer(_) | Self::OtherProtocol { .. } | Self::UnexpectedEnd => {
                RetryOutlook::Doubtful
            }
            Self::AdmissionPanicked
            | Self::ClosedUnused
            | Self::Deadline { .. }
            | Self::ListenerEnded
            | Self::MadeWay
            | Self::NoFirstMessage
            | Self::NoRoom { .. }
            | Self::Overloaded
            | Self::Transport(_) => RetryOutlook::Good,
        }
    }
}

/// What the system says of an address that can never be one.
fn of_address(error: &io::Error) -> RetryOutlook {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => RetryOutlook::Hopeless,
        _ => RetryOutlook::Good,
    }
}

/// A refusal is said under the listener's key.
fn of_refusal(reason: RefuseReason) -> RetryOutlook {
    match reason {
        RefuseReason::NOT_ADMITTED => RetryOutlook::Hopeless,
        _ => RetryOutlook::Good,
    }
}

fn of_commonware(error: &handshake::HandshakeError) -> RetryOutlook {
    use handshake::HandshakeError::{PeerRejected, SameIdentity, WeakKey};

    match error {
        SameIdentity | WeakKey | PeerRejected(_) => RetryOutlook::Hopeless,
        _ => RetryOutlook::Doubtful,
    }
}

fn of_native(error: &native::handshake::HandshakeError) -> RetryOutlook {
    use native::handshake::HandshakeError::{ListenerKey, SameIdentity, Settings};

    match error {
        SameIdentity | ListenerKey(_) | Settings(_) => RetryOutlook::Hopeless,
        _ => RetryOutlook::Doubtful,
    }
}
