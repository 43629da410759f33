//! What can go wrong with connections, one type per thing a caller does.
//!
//! Whoever prints an error with `{}` has to be able to act on it, so the text has the system's
//! reason in it wherever there is one. It is the source as well, for callers that look for an
//! `io::Error` or its code, although a printer of whole chains repeats it then: twice is a
//! nuisance, and not at all is a riddle.

use core::fmt;
use std::io;

use super::establish::address::Address;
use super::establish::connection_limit::ConnectionLimit;
use super::thread::time_limits::TimeLimit;
use crate::driver::UnsuitableSocket;
use crate::protocol::handshake::HandshakeError;
use crate::protocol::identity::PublicKey;
use crate::protocol::native;
use crate::protocol::native::record::OpenError;
use crate::protocol::record;
use crate::protocol::{AbortReason, RefuseReason};

/// Why one attempt to establish a connection failed. The peer learns nothing of it but that it is not
/// admitted, where the wire can say so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// The admission check panicked; only this attempt ended.
    #[error("the admission check panicked")]
    AdmissionPanicked,
    /// The client closed the connection without having sent anything, as health checks and scans
    /// for open ports do. Only a listener says it.
    #[error("the peer closed the connection without having sent anything")]
    ClosedUnused,
    /// The attempt took longer than [`Config::handshake_deadline`].
    ///
    /// [`Config::handshake_deadline`]: crate::Config::handshake_deadline
    #[error("no connection within Config::handshake_deadline: {phase}")]
    Deadline {
        /// What went on when the time was over.
        phase: Phase,
    },
    /// What the listener said about admission is not acceptable. Only a dialer says it.
    #[error(transparent)]
    Answer(OpenError),
    /// What the peer sent is not an acceptable handshake of the commonware wire.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// What the peer sent is not an acceptable handshake of the native wire.
    #[error(transparent)]
    NativeHandshake(#[from] native::handshake::HandshakeError),
    /// The client has proved a key that is not admitted. Only a listener of the native wire says
    /// it.
    #[error("peer {peer} was not admitted; list this public key to let it in")]
    NotAdmitted {
        /// The client's key.
        peer: PublicKey,
    },
    /// The listener does not take this end. Only a dialer of the native wire says it.
    #[error("the listener has refused the connection: {reason}")]
    Refused {
        /// Why.
        reason: RefuseReason,
    },
    /// As many handshakes as [`Config::max_handshakes`] allows were going on, and this client had
    /// proved nothing and sent nothing for the longest time, or was one of too many from one
    /// address. Only a listener says it.
    ///
    /// [`Config::max_handshakes`]: crate::Config::max_handshakes
    #[error(
        "too many clients shake hands at a time, and this one made way for another \
         (Config::max_handshakes sets the limit)"
    )]
    MadeWay,
    /// The listener ended before the handshake did: the server drained or was shut down. Only a
    /// [`Server`](crate::Server) says it.
    #[error("the server ended before the handshake did")]
    ListenerEnded,
    /// The client did not finish its first message within [`Config::first_message_timeout`]. Only
    /// a listener says it.
    ///
    /// [`Config::first_message_timeout`]: crate::Config::first_message_timeout
    #[error("the peer sent no first message within Config::first_message_timeout")]
    NoFirstMessage,
    /// The client has proved its key, and a limit of the server kept it out. Only a
    /// [`Server`](crate::Server) says it.
    #[error("peer {peer} was refused: {limit}")]
    NoRoom {
        /// The client's key.
        peer: PublicKey,
        /// Which limit.
        limit: ConnectionLimit,
    },
    /// There is no runtime on this thread, where a client's handshake was to be run. Only
    /// [`Incoming::handshake`](crate::Incoming::handshake) says it.
    #[error("called outside Runtime::block_on, while the runtime is ending, or in a forked child")]
    OutsideRuntime,
    /// What the peer sent is no handshake of this protocol at all. Only a dialer says it.
    #[error(
        "the peer speaks another protocol, its answer begins with \"{start}\"; check host and port"
    )]
    OtherProtocol {
        /// The first bytes of the answer, with all that is not printable ASCII escaped.
        start: String,
    },
    /// The listener had so much to do that it came to this client too late. Only a listener says
    /// it.
    #[error(
        "this end was too busy to begin the handshake in time; serve fewer clients a thread, or \
         compile with optimization (see \"Debug builds\" in the documentation of the crate)"
    )]
    Overloaded,
    /// [`Admission::filter`] does not let clients of this address in, and this one was refused
    /// before any work was spent on it. Only [`Incoming::handshake`](crate::Incoming::handshake) says
    /// it.
    ///
    /// [`Admission::filter`]: crate::Admission::filter
    #[error("Admission::filter does not let in clients of this address")]
    SourceRefused,
    /// The socket failed.
    #[error("the socket failed during the handshake: {0}")]
    Transport(#[source] io::Error),
    /// The peer closed or reset the connection. A peer that refuses us does the same.
    #[error(
        "the peer closed the connection during the handshake; it may not admit this identity, or \
         the peer key given to dial is not that of the listener; else compare the namespace and the \
         wire on both ends, and on the commonware wire the SAKE version and the clocks"
    )]
    UnexpectedEnd,
}

/// What an attempt to establish a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The system's resolver is asked for the addresses of the name.
    Resolving,
    /// Connections to the addresses are attempted.
    Connecting,
    /// A connection is made, and the handshake goes on.
    Handshake,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Resolving => {
                "the name was still being resolved; check the name servers of this host, or use \
                 an IP address"
            }
            Self::Connecting => {
                "no address has answered; check host and port, and whether a firewall drops what \
                 is sent there"
            }
            Self::Handshake => {
                "the connection was made, but the handshake did not end; the peer is silent, \
                 slow, or speaks another protocol, or the admission check is slow"
            }
        })
    }
}

/// Why [`dial`](crate::dial) gave no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The connection was made but the handshake failed.
    #[error(transparent)]
    Attempt(#[from] AttemptError),
    /// Nothing answers at the address.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// There is no runtime on this thread.
    #[error("called outside Runtime::block_on, while the runtime is ending, or in a forked child")]
    OutsideRuntime,
    /// The name has no address.
    #[error("cannot resolve {name}: {source}")]
    Resolve {
        /// What was asked for.
        name: String,
        /// What the resolver says.
        source: io::Error,
    },
}

/// Why [`Listener::bind`](crate::Listener::bind) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address can't be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// There is no runtime on this thread.
    #[error("called outside Runtime::block_on, while the runtime is ending, or in a forked child")]
    OutsideRuntime,
    /// The name has no address.
    #[error("cannot resolve {name}: {source}")]
    Resolve {
        /// What was asked for.
        name: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The descriptor that was handed in can't be accepted on.
    #[error("cannot accept clients on the descriptor that was handed in: {reason}")]
    Unsuitable {
        /// What is wrong with it.
        #[source]
        reason: UnsuitableSocket,
    },
    /// A limit lets nobody in.
    #[error("{limit} is 0, which lets nobody in; set 1 at least, or leave it out for the default")]
    ZeroLimit {
        /// Which one.
        limit: &'static str,
    },
}

/// Why a [`SocketListener`](crate::SocketListener) takes no clients any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The driver of this thread has failed, or belongs to the process that this one was forked from.
    #[error("cannot accept at {address}: {source}")]
    Accept {
        /// Where.
        address: String,
        /// What the driver says.
        source: io::Error,
    },
    /// There is no runtime on this thread, or it is not the one that the listener was bound in.
    #[error("called outside Runtime::block_on, in another runtime, or while the runtime is ending")]
    OutsideRuntime,
}

/// One client that did not become a connection. The listener goes on.
#[derive(Debug, thiserror::Error)]
#[error("the connection from {address} failed: {reason}")]
#[non_exhaustive]
pub struct AcceptError {
    /// Who connected.
    pub address: Address,
    /// What was wrong.
    #[source]
    pub reason: AttemptError,
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The sender failed before, or a reservation was leaked.
    #[error("the sender is closed by an earlier failure; open a new connection")]
    Closed,
    /// The block for a message larger than a slot could not be allocated.
    #[error("no memory for a record of {length} bytes; send smaller messages or set larger slots")]
    OutOfMemory {
        /// Bytes of the record.
        length: usize,
    },
    /// The wire has no messages in parts. The sender can be used.
    #[error(
        "the commonware wire has no messages in parts; use Sender::send, or Wire::native on both ends"
    )]
    NoParts,
    /// The listener does not take this end. Only who did not wait for its answer hears of it here, once
    /// the receiving half has: see [`Config::await_accept`](crate::Config::await_accept).
    #[error("the listener has refused the connection: {reason}")]
    Refused {
        /// Why.
        reason: RefuseReason,
    },
    /// Sealing failed: the nonce counter is used up.
    #[error("the message could not be sealed; the key is used up, open a new connection")]
    SealFailed,
    /// The peer was quiet for too long and the connection was ended.
    #[error("{limit}; the connection was ended")]
    TimedOut {
        /// Which limit.
        limit: TimeLimit,
    },
    /// The message is longer than the limit: on the native wire what the peer has told that it takes,
    /// on the commonware wire that of this end. Nothing was sent and the sender can be used.
    #[error(
        "a message of {length} bytes exceeds the limit of {limit}; raise Config::max_message_size \
         at the receiving end, and on the commonware wire at this end too"
    )]
    TooLarge {
        /// Bytes of the message.
        length: usize,
        /// The limit in bytes.
        limit: u64,
    },
    /// The message can't be written in place, because it needs more than one record.
    #[error(
        "a message of {length} bytes cannot be reserved, the peer takes {limit} in one record; \
         use Sender::send"
    )]
    TooLongInPlace {
        /// Bytes of the message.
        length: usize,
        /// Bytes of the longest that can be.
        limit: usize,
    },
    /// The socket failed. What was sent before may not have arrived.
    #[error("the socket failed while sending: {0}")]
    Transport(#[source] io::Error),
}

/// Why there is no next message. Final but for [`MessageGivenUp`](Self::MessageGivenUp): every later
/// call says [`Closed`](Self::Closed).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The peer has given the connection up.
    #[error("the peer has given the connection up: {reason}")]
    Aborted {
        /// Why.
        reason: AbortReason,
    },
    /// The receiver failed before.
    #[error("the receiver is closed by an earlier failure; open a new connection")]
    Closed,
    /// The peer has given up the message that was being taken in parts. The receiver can be used. Only
    /// [`MessageReader::next_part`](crate::MessageReader::next_part) says it.
    #[error("the peer has given up the message in the middle of it")]
    MessageGivenUp,
    /// What arrived is not an acceptable record of the native wire.
    #[error(transparent)]
    NativeRecord(#[from] OpenError),
    /// The block for a message larger than a slot could not be allocated.
    #[error("no memory for a record of {length} bytes; lower Config::max_message_size")]
    OutOfMemory {
        /// Bytes of the record.
        length: usize,
    },
    /// The listener does not take this end.
    #[error("the listener has refused the connection: {reason}")]
    Refused {
        /// Why.
        reason: RefuseReason,
    },
    /// What arrived is not an acceptable record of the commonware wire.
    #[error(transparent)]
    Record(#[from] record::OpenError),
    /// The peer was quiet for too long and the connection was ended.
    #[error("{limit}; the connection was ended")]
    TimedOut {
        /// Which limit.
        limit: TimeLimit,
    },
    /// The message is longer than what is put together of parts.
    #[error(
        "a message in parts is longer than {limit} bytes; raise Config::max_message_size, or take it \
         with Receiver::recv_stream"
    )]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The socket failed. Messages given before are authentic.
    #[error("the socket failed while receiving: {0}")]
    Transport(#[source] io::Error),
}

impl RecvError {
    /// Whether the rest of a record is missing; `None` from errors that say nothing of records.
    pub(crate) fn says_record_is_cut(&self) -> Option<bool> {
        match self {
            Self::Record(error) => Some(matches!(error, record::OpenError::Truncated)),
            Self::NativeRecord(error) => Some(matches!(error, OpenError::Truncated)),
            _ => None,
        }
    }

    /// Returns what it asks the receiving end to do.
    pub(crate) fn remedy(&self) -> Remedy<'_> {
        match self {
            Self::Transport(error) => Remedy::FailSocket(error),
            Self::Record(_) => Remedy::RefusePeer,
            Self::Refused { reason } => Remedy::TellRefused(*reason),
            Self::Aborted { .. } | Self::NativeRecord(OpenError::Truncated) => Remedy::EndBoth,
            Self::NativeRecord(error) => Remedy::AbortPeer(error.abort_reason()),
            Self::TooLong { .. } => Remedy::AbortPeer(AbortReason::TOO_LARGE),
            _ => Remedy::Leave,
        }
    }
}

/// What a receiver does to its connection when it fails.
#[derive(Debug)]
pub(crate) enum Remedy<'a> {
    /// The socket fails for both directions.
    FailSocket(&'a io::Error),
    /// No more is read of a peer that cannot be told why.
    RefusePeer,
    /// The sender is told why the listener does not take this end.
    TellRefused(RefuseReason),
    /// The peer takes nothing more either.
    EndBoth,
    /// The peer is told why.
    AbortPeer(AbortReason),
    /// Nothing more is received, and the sender goes on.
    Leave,
}

#[cfg(test)]
mod tests {
    use core::error::Error;

    use rustix::io::Errno;

    use super::*;

    // HAZARDS F16: whatever has a source says it itself.
    #[test]
    fn every_text_has_its_cause_in_it() {
        let cause = || io::Error::from(Errno::MFILE);
        let text = || String::from("somewhere");
        let attempt = || AttemptError::Transport(cause());
        let reason = attempt();
        let address = Address::Unnamed;
        let (listening, unresolved) = (
            BindError::Bind {
                address: text(),
                source: cause(),
            },
            BindError::Resolve {
                name: text(),
                source: cause(),
            },
        );
        let errors: [Box<dyn Error>; 9] = [
            Box::new(attempt()),
            Box::new(DialError::from(attempt())),
            Box::new(DialError::Connect {
                address: text(),
                source: cause(),
            }),
            Box::new(DialError::Resolve {
                name: text(),
                source: cause(),
            }),
            Box::new(listening),
            Box::new(unresolved),
            Box::new(ListenError::Accept {
                address: text(),
                source: cause(),
            }),
            Box::new(AcceptError { address, reason }),
            Box::new(SendError::Transport(cause())),
        ];
        for error in errors {
            assert!(error.to_string().ends_with(&cause().to_string()), "{error}");
            let mut last: &dyn Error = &*error;
            while let Some(source) = last.source() {
                last = source;
            }
            let last = last.downcast_ref::<io::Error>().expect("the system's");
            assert_eq!(last.raw_os_error(), cause().raw_os_error());
        }
        let error = RecvError::Transport(cause());
        assert!(error.to_string().ends_with(&cause().to_string()), "{error}");
    }
}
