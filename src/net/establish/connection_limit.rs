//! Why a server has no room for a client.

use core::fmt;

use crate::protocol::RefuseReason;

/// Which limit of a [`Server`](crate::Server) kept a client out whose handshake went well otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionLimit {
    /// There are as many connections as
    /// [`ServerLimits::connections`](crate::ServerLimits::connections) says.
    Connections,
    /// The peer's key has as many as
    /// [`ServerLimits::connections_per_peer`](crate::ServerLimits::connections_per_peer) says.
    ConnectionsPerPeer,
    /// Its address has as many as
    /// [`ServerLimits::connections_per_source`](crate::ServerLimits::connections_per_source) says.
    ConnectionsPerSource,
    /// The server drains.
    ShuttingDown,
}

impl ConnectionLimit {
    /// Returns what the dialer is told on the native wire.
    pub(crate) fn reason(self) -> RefuseReason {
        match self {
            Self::ShuttingDown => RefuseReason::SHUTTING_DOWN,
            _ => RefuseReason::TOO_BUSY,
        }
    }
}

impl fmt::Display for ConnectionLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Connections => {
                "the server has as many connections as ServerLimits::connections allows"
            }
            Self::ConnectionsPerPeer => {
                "this peer has as many connections as ServerLimits::connections_per_peer allows"
            }
            Self::ConnectionsPerSource => {
                "this address has as many connections as ServerLimits::connections_per_source allows"
            }
            Self::ShuttingDown => "the server drains and takes nobody new",
        })
    }
}
