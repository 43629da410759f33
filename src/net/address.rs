//! Where to connect to or listen.

use core::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use super::unix_socket::UnixSocket;
use crate::ring::{self, Endpoint, PathOptions};

/// A TCP address, a name and port that the system's resolver turns into some, or a Unix-domain
/// socket.
///
/// As text: `host:port`, `unix:/path`, and `unix:@name` for Linux' abstract namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A socket address.
    Socket(SocketAddr),
    /// `host:port`.
    Name(String),
    /// A Unix-domain stream socket.
    Unix(UnixSocket),
    /// That of a peer whose end has no name: most clients of Unix-domain sockets.
    Unnamed,
}

impl Address {
    /// Returns the TCP address, if it is one.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(address) => Some(*address),
            Self::Name(_) | Self::Unix(_) | Self::Unnamed => None,
        }
    }

    pub(crate) async fn resolve(&self) -> io::Result<Vec<Endpoint>> {
        match self {
            Self::Socket(address) => Ok(vec![Endpoint::Internet(*address)]),
            Self::Name(name) => {
                let addresses = ring::resolve(name).await?;
                Ok(addresses.into_iter().map(Endpoint::Internet).collect())
            }
            Self::Unix(socket) => Ok(vec![Endpoint::Unix(socket.name().clone())]),
            Self::Unnamed => Ok(Vec::new()),
        }
    }

    /// Returns what a path is bound with.
    pub(crate) fn path_options(&self) -> PathOptions {
        match self {
            Self::Unix(socket) => socket.options(),
            Self::Socket(_) | Self::Name(_) | Self::Unnamed => PathOptions::default(),
        }
    }
}

impl From<Endpoint> for Address {
    fn from(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Internet(address) => Self::Socket(address),
            Endpoint::Unix(name) => Self::Unix(name.into()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

impl From<UnixSocket> for Address {
    fn from(socket: UnixSocket) -> Self {
        Self::Unix(socket)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(UnixSocket::path(path))
    }
}

impl From<&Self> for Address {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        if let Some(name) = text.strip_prefix("unix:") {
            return Self::Unix(match name.strip_prefix('@') {
                Some(name) => UnixSocket::abstract_name(name),
                None => UnixSocket::path(name),
            });
        }
        text.parse()
            .map_or_else(|_| Self::Name(text.to_owned()), Self::Socket)
    }
}

impl From<String> for Address {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for Address {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(formatter),
            Self::Name(name) => name.fmt(formatter),
            Self::Unix(socket) => socket.fmt(formatter),
            Self::Unnamed => formatter.write_str("an unnamed socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_each_kind_and_is_what_it_prints() {
        for text in [
            "127.0.0.1:80",
            "[::1]:80",
            "host:80",
            "unix:/run/a b",
            "unix:@a",
        ] {
            assert_eq!(Address::from(text).to_string(), text);
        }
        assert!(matches!(Address::from("[::1]:80"), Address::Socket(_)));
        assert!(matches!(Address::from("host:80"), Address::Name(_)));
        assert_eq!(
            Address::from("unix:/run/a b"),
            Address::from(Path::new("/run/a b"))
        );
        assert_eq!(
            Address::from("unix:@a"),
            Address::from(UnixSocket::abstract_name("a"))
        );
    }
}
