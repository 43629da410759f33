//! Who stands behind a client's address, as far as that can be told before a handshake.

use std::net::{IpAddr, Ipv4Addr};

use super::address::Address;

/// What shares a listener with others as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Ipv4(Ipv4Addr),
    /// The network of 64 bits, in which a host may take any address it likes.
    Ipv6([u8; 8]),
    /// The user of a Unix-domain socket.
    User(u32),
    Unknown,
}

impl Source {
    /// Tells by the client's address, and the user id that the system gives for a Unix-domain
    /// socket.
    pub(crate) fn new(address: &Address, user: Option<u32>) -> Self {
        match (address.socket_address().map(|address| address.ip()), user) {
            (Some(IpAddr::V4(address)), _) => Self::Ipv4(address),
            (Some(IpAddr::V6(address)), _) => {
                let mut network = [0; 8];
                network.copy_from_slice(&address.octets()[..8]);
                Self::Ipv6(network)
            }
            (None, Some(user)) => Self::User(user),
            (None, None) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_source_whatever_it_calls_itself() {
        let source = |text: &str| Source::new(&text.into(), None);
        assert_eq!(source("192.0.2.1:1"), source("192.0.2.1:2"));
        assert_eq!(source("192.0.2.1:1"), source("[::ffff:192.0.2.1]:1"));
        assert_ne!(source("192.0.2.1:1"), source("192.0.2.2:1"));
        assert_eq!(
            source("[2001:db8::1]:1"),
            source("[2001:db8::ffff:0:0:2]:1")
        );
        assert_ne!(source("[2001:db8::1]:1"), source("[2001:db8:0:1::1]:1"));
        let user = |user| Source::new(&Address::Unnamed, Some(user));
        assert_eq!(user(1000), user(1000));
        assert_ne!(user(1000), user(1001));
    }
}
