//! Where to connect to or listen.

use core::fmt;
use std::io;
use std::net::SocketAddr;

use crate::ring::{self, RingState};

/// A TCP address, or a name and port that the system's resolver turns into some.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A socket address.
    Socket(SocketAddr),
    /// `host:port`.
    Name(String),
}

impl Address {
    pub(crate) async fn resolve(&self, ring: &RingState) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Socket(address) => Ok(vec![*address]),
            Self::Name(name) => ring::resolve(ring, name).await,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
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
        }
    }
}
