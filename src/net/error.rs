//! What can go wrong with connections, one type per thing a caller does.

use std::io;

use super::address::Address;
use super::time_limits::TimeLimit;
use crate::protocol::handshake::HandshakeError;

/// Why one attempt to establish a connection failed. The peer learns nothing of it.
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
    /// The attempt took longer than the handshake deadline.
    #[error(
        "no handshake within the deadline; a silent or slow peer, or a slow admission check \
         (Config::handshake_deadline sets the limit)"
    )]
    Deadline,
    /// What the peer sent is not an acceptable handshake.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The socket failed.
    #[error("the socket failed during the handshake")]
    Transport(#[source] io::Error),
    /// The peer closed or reset the connection. A peer that refuses us does the same.
    #[error(
        "the peer closed the connection during the handshake; it may not admit this identity, or \
         compare namespace, SAKE version and clock on both ends"
    )]
    UnexpectedEnd,
}

/// Why [`dial`](crate::dial) gave no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The connection was made but the handshake failed.
    #[error(transparent)]
    Attempt(#[from] AttemptError),
    /// Nothing answers at the address.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// There is no runtime on this thread.
    #[error("called outside Runtime::block_on, or while the runtime is ending")]
    OutsideRuntime,
    /// The name has no address.
    #[error("cannot resolve {name}")]
    Resolve {
        /// What was asked for.
        name: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The ring threads were shut down, or panicked.
    #[error("the ring threads have ended; keep RingThreads alive")]
    ThreadEnded,
}

/// Why [`Listener::bind`](crate::Listener::bind) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address can't be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// There is no runtime on this thread.
    #[error("called outside Runtime::block_on, or while the runtime is ending")]
    OutsideRuntime,
    /// The name has no address.
    #[error("cannot resolve {name}")]
    Resolve {
        /// What was asked for.
        name: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The ring threads were shut down, or panicked.
    #[error("the ring threads have ended; keep RingThreads alive")]
    ThreadEnded,
}

/// One client that did not become a connection. The listener goes on.
#[derive(Debug, thiserror::Error)]
#[error("the connection from {address} failed")]
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
    /// Sealing failed: the nonce counter is used up.
    #[error("the message could not be sealed; the key is used up, open a new connection")]
    SealFailed,
    /// The ring thread of the connection was shut down, or what served it there panicked.
    #[error("the ring thread of the connection has ended; keep RingThreads alive")]
    ThreadEnded,
    /// The peer was quiet for too long and the connection was ended.
    #[error("{limit}; the connection was ended")]
    TimedOut {
        /// Which limit.
        limit: TimeLimit,
    },
    /// The message is longer than the limit. Nothing was sent and the sender can be used.
    #[error(
        "a message of {length} bytes exceeds the limit of {limit}; \
         raise Config::max_message_size on both ends"
    )]
    TooLarge {
        /// Bytes of the message.
        length: usize,
        /// The limit in bytes.
        limit: u32,
    },
    /// The socket failed. What was sent before may not have arrived.
    #[error("the socket failed while sending")]
    Transport(#[source] io::Error),
}

/// Why there is no next message. Final: every later call says [`Closed`](Self::Closed).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The receiver failed before.
    #[error("the receiver is closed by an earlier failure; open a new connection")]
    Closed,
    /// The block for a message larger than a slot could not be allocated.
    #[error("no memory for a record of {length} bytes; lower Config::max_message_size")]
    OutOfMemory {
        /// Bytes of the record.
        length: usize,
    },
    /// What arrived is not an acceptable record.
    #[error(transparent)]
    Record(#[from] crate::protocol::record::OpenError),
    /// The ring thread of the connection was shut down, or what served it there panicked.
    #[error("the ring thread of the connection has ended; keep RingThreads alive")]
    ThreadEnded,
    /// The peer was quiet for too long and the connection was ended.
    #[error("{limit}; the connection was ended")]
    TimedOut {
        /// Which limit.
        limit: TimeLimit,
    },
    /// The socket failed. Messages given before are authentic.
    #[error("the socket failed while receiving")]
    Transport(#[source] io::Error),
}
