//! A socket that listens, before it belongs to a runtime.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, sockopt};

use super::port::Port;
use super::unix_path::UnixPath;
use super::{BindOptions, Endpoint, UnixName, UnsuitableSocket, descriptor};

/// A stream socket that listens. It may go to any thread.
#[derive(Debug)]
pub(crate) struct ListeningSocket {
    /// `None` only once it was taken apart.
    descriptor: Option<OwnedFd>,
    /// Closed when the socket goes.
    port: Port,
}

impl ListeningSocket {
    /// Binds and listens. A port is shared only where `options` ask for it. With `only_ipv6` an
    /// IPv6 address leaves the port of the IPv4 addresses alone, else the system decides.
    ///
    /// # Errors
    ///
    /// What `bind(2)` and `listen(2)` say; [`io::ErrorKind::Unsupported`] for what can't be shared.
    pub(crate) fn bind(
        endpoint: &Endpoint,
        options: &BindOptions,
        only_ipv6: bool,
    ) -> io::Result<Self> {
        let descriptor = descriptor::socket_for(endpoint)?;
        if options.shares_port {
            share_port(descriptor.as_fd(), endpoint)?;
        }
        let path = match endpoint {
            Endpoint::Internet(address) => {
                bind_internet(&descriptor, address, only_ipv6)?;
                None
            }
            Endpoint::Unix(UnixName::Path(path)) => {
                Some(UnixPath::bind(descriptor.as_fd(), path, options)?)
            }
            Endpoint::Unix(name @ UnixName::Abstract(_)) => {
                bind(&descriptor, &name.to_address()?)?;
                None
            }
        };
        // Nobody can connect before this, so a path has its permissions by now.
        listen(
            &descriptor,
            i32::try_from(options.backlog).unwrap_or(i32::MAX),
        )?;
        Ok(Self {
            descriptor: Some(descriptor),
            port: Port::bound(path),
        })
    }

    /// Takes a socket that somebody else has made listen. Its file, if it has one, stays theirs.
    ///
    /// # Errors
    ///
    /// [`UnsuitableSocket`]; then the descriptor is closed.
    pub(crate) fn adopt(descriptor: OwnedFd) -> Result<Self, UnsuitableSocket> {
        let kind = sockopt::socket_type(&descriptor).map_err(|error| match error {
            Errno::NOTSOCK => UnsuitableSocket::NoSocket,
            other => UnsuitableSocket::System(other.into()),
        })?;
        if kind != SocketType::STREAM {
            return Err(UnsuitableSocket::NoStream);
        }
        let system = |error: Errno| UnsuitableSocket::System(error.into());
        let address = getsockname(&descriptor).map_err(system)?;
        let families = [
            AddressFamily::INET,
            AddressFamily::INET6,
            AddressFamily::UNIX,
        ];
        if !families.contains(&address.address_family()) {
            return Err(UnsuitableSocket::Family);
        }
        if !is_listening(descriptor.as_fd()).map_err(system)? {
            return Err(UnsuitableSocket::NotListening);
        }
        ioctl_fionbio(&descriptor, true).map_err(system)?;
        fcntl_setfd(&descriptor, FdFlags::CLOEXEC).map_err(system)?;
        Ok(Self {
            descriptor: Some(descriptor),
            port: Port::shared(),
        })
    }

    /// Returns another descriptor of the same socket. Port and file stay with this one.
    ///
    /// # Errors
    ///
    /// What the system says when descriptors are short.
    pub(crate) fn share(&self) -> io::Result<Self> {
        Ok(Self {
            descriptor: Some(self.descriptor().try_clone()?),
            port: Port::shared(),
        })
    }

    /// Returns where it listens.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says; [`io::ErrorKind::Unsupported`] for a socket without a name.
    pub(crate) fn local_endpoint(&self) -> io::Result<Endpoint> {
        let address = getsockname(self.descriptor())?;
        Endpoint::from_address(address).ok_or_else(|| {
            let text =
                "the socket has no address, or a path that fills all of it; bind it to another";
            io::Error::new(io::ErrorKind::Unsupported, text)
        })
    }

    fn descriptor(&self) -> &OwnedFd {
        self.descriptor
            .as_ref()
            .expect("there until it is taken apart")
    }

    pub(super) fn into_parts(mut self) -> (OwnedFd, Port) {
        let descriptor = self.descriptor.take();
        let port = core::mem::replace(&mut self.port, Port::shared());
        (descriptor.expect("it is taken apart once"), port)
    }
}

impl Drop for ListeningSocket {
    fn drop(&mut self) {
        if let Some(descriptor) = &self.descriptor {
            self.port.close(descriptor);
        }
    }
}

fn bind_internet(descriptor: &OwnedFd, address: &SocketAddr, only_ipv6: bool) -> io::Result<()> {
    // So that a restart need not wait for the old connections' TIME_WAIT.
    sockopt::set_socket_reuseaddr(descriptor, true)?;
    if only_ipv6 && address.is_ipv6() {
        sockopt::set_ipv6_v6only(descriptor, true)?;
    }
    Ok(bind(descriptor, address)?)
}

#[cfg(not(target_vendor = "apple"))]
fn is_listening(descriptor: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    sockopt::socket_acceptconn(descriptor)
}

// Nothing tells there, and accepting says it in time.
#[cfg(target_vendor = "apple")]
fn is_listening(descriptor: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    Ok(rustix::net::getpeername(descriptor).is_err())
}

/// Lets other sockets of this user that ask for the same take the port, each with clients of its
/// own.
fn share_port(descriptor: BorrowedFd<'_>, endpoint: &Endpoint) -> io::Result<()> {
    if let Endpoint::Unix(_) = endpoint {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a Unix-domain socket has one listener; accept on one thread and send what comes to the \
             others (Incoming)",
        ));
    }
    let_share(descriptor)
}

#[cfg(target_os = "linux")]
fn let_share(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::set_socket_reuseport(descriptor, true)?)
}

// Without the balance the other option has the last one that was bound get everybody.
#[cfg(target_os = "freebsd")]
fn let_share(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::set_socket_reuseport_lb(descriptor, true)?)
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn let_share(_descriptor: BorrowedFd<'_>) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system gives all clients of a shared port to one listener; accept on one thread and \
         send what comes to the others (Incoming)",
    ))
}
