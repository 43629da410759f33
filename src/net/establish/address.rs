//! Where to connect to or listen.

use core::fmt;
use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::unix_socket::UnixSocket;
use crate::driver::{self, Endpoint};

/// A TCP address, several of one host, a name and port that the system's resolver turns into
/// some, or a Unix-domain socket.
///
/// Who dials several tries them, the next a quarter of a second after the one before or as soon
/// as that has failed, and takes the first that connects. Who listens on several listens on all.
///
/// As text: `host:port`, several socket addresses with commas between, `unix:/path`, and
/// `unix:@name` for Linux' abstract namespace. An IPv4 address that is written as an IPv6 one
/// (`::ffff:192.0.2.1`) is taken as what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A socket address.
    Socket(SocketAddr),
    /// Several socket addresses of one host.
    Sockets(Vec<SocketAddr>),
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
            Self::Sockets(_) | Self::Name(_) | Self::Unix(_) | Self::Unnamed => None,
        }
    }

    /// Returns what it stands for, each once and in the order of preference.
    pub(crate) async fn resolve(&self) -> io::Result<Vec<Endpoint>> {
        let addresses = match self {
            Self::Socket(address) => vec![*address],
            Self::Sockets(addresses) => addresses.clone(),
            Self::Name(name) => driver::resolve(&for_resolver(name)).await?,
            Self::Unix(socket) => return Ok(vec![Endpoint::Unix(socket.name().clone())]),
            Self::Unnamed => Vec::new(),
        };
        let mut endpoints = Vec::with_capacity(addresses.len());
        for address in addresses {
            let endpoint = Endpoint::Internet(canonical(address));
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        Ok(endpoints)
    }
}

/// How the resolver takes the name. It knows the names of interfaces, as in `[fe80::1%eth0]:80`, which
/// are none of the text of a socket address, and knows no brackets.
fn for_resolver(name: &str) -> Cow<'_, str> {
    let scoped = name
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
        .filter(|(host, _)| host.contains('%'));
    match scoped {
        Some((host, port)) => format!("{host}:{port}").into(),
        None => name.into(),
    }
}

/// The address itself when it is one of IPv4 in the clothes of IPv6, as a socket of both families
/// has it of an IPv4 peer.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        address_v4 @ IpAddr::V4(_) => SocketAddr::new(address_v4, address.port()),
        IpAddr::V6(_) => address,
    }
}

impl From<Endpoint> for Address {
    fn from(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Internet(address) => address.into(),
            Endpoint::Unix(name) => Self::Unix(name.into()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(canonical(address))
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Address {
    fn from((host, port): (I, u16)) -> Self {
        SocketAddr::new(host.into(), port).into()
    }
}

impl From<Vec<SocketAddr>> for Address {
    fn from(addresses: Vec<SocketAddr>) -> Self {
        match addresses[..] {
            [address] => address.into(),
            _ => Self::Sockets(addresses.into_iter().map(canonical).collect()),
        }
    }
}

impl From<&[SocketAddr]> for Address {
    fn from(addresses: &[SocketAddr]) -> Self {
        addresses.to_vec().into()
    }
}

impl<const N: usize> From<[SocketAddr; N]> for Address {
    fn from(addresses: [SocketAddr; N]) -> Self {
        addresses.to_vec().into()
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
        let addresses: Result<Vec<SocketAddr>, _> = text.split(',').map(str::parse).collect();
        addresses.map_or_else(|_| Self::Name(text.to_owned()), Self::from)
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
            Self::Sockets(addresses) => {
                let texts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
                formatter.write_str(&texts.join(","))
            }
            Self::Name(name) => name.fmt(formatter),
            Self::Unix(socket) => socket.fmt(formatter),
            Self::Unnamed => formatter.write_str("an unnamed socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;

    #[test]
    fn text_names_each_kind_and_is_what_it_prints() {
        for text in [
            "127.0.0.1:80",
            "[::1]:80",
            "[::1]:80,127.0.0.1:81",
            "host:80",
            "unix:/run/a b",
            "unix:@a",
        ] {
            assert_eq!(Address::from(text).to_string(), text);
        }
        let mapped = Address::from("[::ffff:192.0.2.1]:80");
        assert_eq!(mapped.to_string(), "192.0.2.1:80");
        assert!(matches!(Address::from("[::1]:80"), Address::Socket(_)));
        assert!(matches!(Address::from("host:80"), Address::Name(_)));
        assert!(matches!(
            Address::from("[::1]:80,127.0.0.1:81"),
            Address::Sockets(_)
        ));
        assert_eq!(
            Address::from("unix:/run/a b"),
            Address::from(Path::new("/run/a b"))
        );
        assert_eq!(
            Address::from("unix:@a"),
            Address::from(UnixSocket::abstract_name("a"))
        );
    }

    #[test]
    fn an_ipv4_address_is_one_however_it_is_written() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:80".parse().expect("an address");
        let plain = Address::from("192.0.2.1:80");
        assert_eq!(Address::from(mapped), plain);
        assert_eq!(Address::from("[::ffff:192.0.2.1]:80"), plain);
        assert_eq!(Address::from(Endpoint::Internet(mapped)), plain);
        assert_eq!(Address::from([mapped]), plain);
        assert_eq!(
            Address::from([mapped, mapped]).to_string(),
            "192.0.2.1:80,192.0.2.1:80"
        );
        // What carries more than an address and a port keeps it.
        let scoped = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 7).into();
        assert_eq!(Address::from(scoped), Address::Socket(scoped));
    }
}
