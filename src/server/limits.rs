//! How many a server takes, over all of its threads.

use super::error::ServerError;

/// How many clients a [`Server`](super::Server) takes, over all of its threads. By default there is no
/// limit but that of handshakes under way, [`Config::max_handshakes`](crate::Config::max_handshakes).
///
/// # What a refused client costs, and what it is told
///
/// A client beyond a limit of connections is refused when it has proved its key: on the native wire it
/// is told that the server is too busy ([`RefuseReason::TOO_BUSY`]), for the price of its handshake.
/// While a source is at its limit, only one client of it at a time is told so; others are reset when
/// they are accepted, as are all that come faster than
/// [`handshakes_per_second`](Self::handshakes_per_second), which costs no more than their sockets. On
/// the commonware wire, where nothing can be told, the connection is closed.
///
/// [`Refusals`](super::Refusals) counts each, by its reason.
///
/// [`RefuseReason::TOO_BUSY`]: crate::protocol::native::record::RefuseReason::TOO_BUSY
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerLimits {
    pub(super) connections: Option<usize>,
    pub(super) connections_per_peer: Option<usize>,
    pub(super) connections_per_source: Option<usize>,
    pub(super) handshakes_per_second: Option<u32>,
}

impl ServerLimits {
    /// Starts without limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many connections there may be. A connection counts while its handler runs.
    #[must_use]
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = Some(count);
        self
    }

    /// Sets how many connections one key may have.
    #[must_use]
    pub fn connections_per_peer(mut self, count: usize) -> Self {
        self.connections_per_peer = Some(count);
        self
    }

    /// Sets how many connections one source may have: an IPv4 address, an IPv6 network of 64 bits, a
    /// user of Unix-domain sockets.
    #[must_use]
    pub fn connections_per_source(mut self, count: usize) -> Self {
        self.connections_per_source = Some(count);
        self
    }

    /// Sets how many handshakes may begin in a second. As many may begin at once after a quiet second.
    ///
    /// They are shared by the sources: one that is alone has the whole rate, but may begin only half of it
    /// at once, which leaves the other half to others; several share in equal parts.
    #[must_use]
    pub fn handshakes_per_second(mut self, count: u32) -> Self {
        self.handshakes_per_second = Some(count);
        self
    }

    /// # Errors
    ///
    /// [`ServerError::ZeroLimit`].
    pub(super) fn check(&self) -> Result<(), ServerError> {
        let limits = [
            ("ServerLimits::connections", self.connections == Some(0)),
            (
                "ServerLimits::connections_per_peer",
                self.connections_per_peer == Some(0),
            ),
            (
                "ServerLimits::connections_per_source",
                self.connections_per_source == Some(0),
            ),
            (
                "ServerLimits::handshakes_per_second",
                self.handshakes_per_second == Some(0),
            ),
        ];
        match limits.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((limit, _)) => Err(ServerError::ZeroLimit { limit }),
            None => Ok(()),
        }
    }
}
