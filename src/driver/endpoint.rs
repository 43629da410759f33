//! Where a socket is bound or connects to.

use core::fmt;
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType, getpeername, getsockname, sockopt,
};

/// Length of a path's place in an address, in bytes, its zero byte included.
const UNIX_PATH_LEN: usize = if cfg!(target_vendor = "apple") {
    104
} else {
    108
};

/// What is before that.
const FAMILY_LEN: usize = 2;

/// The address of a stream socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Internet(SocketAddr),
    Unix(UnixName),
}

impl Endpoint {
    /// Returns what the system calls by `address`, if that has a name.
    pub(super) fn from_address(address: SocketAddrAny) -> Option<Self> {
        if let Ok(address) = SocketAddr::try_from(address.clone()) {
            return Some(Self::Internet(address));
        }
        // A path that fills its place has no zero byte behind it, and rustix panics where it looks for
        // one. Whoever connects chooses what its own socket is bound to.
        let fills_its_place = address.addr_len() as usize > FAMILY_LEN + UNIX_PATH_LEN;
        if address.address_family() == AddressFamily::UNIX && fills_its_place {
            return None;
        }
        let address = SocketAddrUnix::try_from(address).ok()?;
        UnixName::from_address(&address).map(Self::Unix)
    }

    /// Whether it is an address of IPv6.
    pub(crate) fn is_ipv6(&self) -> bool {
        matches!(self, Self::Internet(SocketAddr::V6(_)))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet(address) => address.fmt(formatter),
            Self::Unix(name) => name.fmt(formatter),
        }
    }
}

/// The name of a Unix-domain socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum UnixName {
    /// In the file system, at most 107 bytes.
    Path(PathBuf),
    /// In Linux' abstract namespace, at most 107 bytes, without the leading zero byte.
    Abstract(Vec<u8>),
}

impl UnixName {
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a path that is too long, or has a zero byte;
    /// `ENAMETOOLONG` for another name that is.
    pub(super) fn to_address(&self) -> io::Result<SocketAddrUnix> {
        Ok(match self {
            Self::Path(path) if path.as_os_str().len() >= UNIX_PATH_LEN => {
                let text = format!("a socket's path has at most {} bytes", UNIX_PATH_LEN - 1);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            Self::Path(path) => SocketAddrUnix::new(path)?,
            #[cfg(target_os = "linux")]
            Self::Abstract(name) => SocketAddrUnix::new_abstract_name(name)?,
            #[cfg(not(target_os = "linux"))]
            Self::Abstract(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }

    /// Returns the name, if the socket has one.
    pub(super) fn from_address(address: &SocketAddrUnix) -> Option<Self> {
        #[cfg(target_os = "linux")]
        if let Some(name) = address.abstract_name().filter(|name| !name.is_empty()) {
            return Some(Self::Abstract(name.to_vec()));
        }
        let path = address.path()?;
        let path = Path::new(OsStr::from_bytes(path.to_bytes()));
        Some(Self::Path(path.to_owned()))
    }
}

impl fmt::Display for UnixName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(formatter, "unix:{}", path.display()),
            Self::Abstract(name) => write!(formatter, "unix:@{}", name.escape_ascii()),
        }
    }
}

/// Returns the names of this end and of the other end of a connected stream socket, as far as they
/// have any.
///
/// # Errors
///
/// What `getpeername(2)` says, and [`io::ErrorKind::InvalidInput`] for a socket of another kind.
pub(crate) fn ends(socket: BorrowedFd<'_>) -> io::Result<(Option<Endpoint>, Option<Endpoint>)> {
    if sockopt::socket_type(socket)? != SocketType::STREAM {
        let text = "not a stream socket, which carries bytes in order";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let (local, peer) = (getsockname(socket)?, getpeername(socket)?);
    Ok((
        Endpoint::from_address(local),
        peer.and_then(Endpoint::from_address),
    ))
}
