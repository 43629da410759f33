//! New descriptors: never blocking, and never inherited by programs that are started.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, Protocol, SocketAddrAny, SocketType, ipproto};

use super::Endpoint;

/// Makes a stream socket for an address like this.
///
/// # Errors
///
/// What `socket(2)` says.
pub(super) fn socket_for(endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let (family, protocol) = match endpoint {
        Endpoint::Internet(SocketAddr::V4(_)) => (AddressFamily::INET, Some(ipproto::TCP)),
        Endpoint::Internet(SocketAddr::V6(_)) => (AddressFamily::INET6, Some(ipproto::TCP)),
        Endpoint::Unix(_) => (AddressFamily::UNIX, None),
    };
    stream_socket(family, protocol)
}

/// Makes a stream socket.
///
/// # Errors
///
/// What `socket(2)` says.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn stream_socket(
    family: AddressFamily,
    protocol: Option<Protocol>,
) -> io::Result<OwnedFd> {
    use rustix::net::{SocketFlags, socket_with};

    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(family, SocketType::STREAM, flags, protocol)?)
}

/// Accepts a client, if one waits.
///
/// # Errors
///
/// What `accept(2)` says.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn accept(
    listener: BorrowedFd<'_>,
) -> rustix::io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    use rustix::net::{SocketFlags, acceptfrom_with};

    acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// Makes a stream socket.
///
/// # Errors
///
/// What `socket(2)` says.
#[cfg(target_vendor = "apple")]
pub(super) fn stream_socket(
    family: AddressFamily,
    protocol: Option<Protocol>,
) -> io::Result<OwnedFd> {
    let descriptor = rustix::net::socket(family, SocketType::STREAM, protocol)?;
    prepare(&descriptor)?;
    Ok(descriptor)
}

/// Accepts a client, if one waits.
///
/// # Errors
///
/// What `accept(2)` says.
#[cfg(target_vendor = "apple")]
pub(super) fn accept(
    listener: BorrowedFd<'_>,
) -> rustix::io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    let (descriptor, address) = rustix::net::acceptfrom(listener)?;
    prepare(&descriptor)?;
    Ok((descriptor, address))
}

/// Does afterwards what other systems do in one call.
#[cfg(target_vendor = "apple")]
fn prepare(descriptor: &OwnedFd) -> rustix::io::Result<()> {
    rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(descriptor, true)
}
