//! Names, connecting and listening, the same on every backend but for who waits.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::descriptor;
use super::pollable::Pollable;
use super::unix_path::UnixPath;
use super::{BindOptions, DriverState, Endpoint, UnixName, socket};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketType, bind, getpeername, getsockname, ipproto, listen,
    sockopt,
};

/// The first pause while the queue of a Unix-domain listener is full, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(64);

fn new_socket(endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let (family, protocol) = match endpoint {
        Endpoint::Internet(SocketAddr::V4(_)) => (AddressFamily::INET, Some(ipproto::TCP)),
        Endpoint::Internet(SocketAddr::V6(_)) => (AddressFamily::INET6, Some(ipproto::TCP)),
        Endpoint::Unix(_) => (AddressFamily::UNIX, None),
    };
    descriptor::stream_socket(family, protocol)
}

/// Connects to `endpoint`, and waits while the queue of a Unix-domain listener is full, as TCP
/// does by itself. Dropping the future closes the socket. The socket is not blocking.
///
/// # Errors
///
/// What `connect(2)` says.
pub(crate) async fn connect(state: &Rc<DriverState>, endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let descriptor = new_socket(endpoint)?;
    let connected = match endpoint {
        Endpoint::Internet(address) => rustix::net::connect(&descriptor, address),
        Endpoint::Unix(name) => connect_unix(&descriptor, name).await?,
    };
    let descriptor = match connected {
        Ok(()) => descriptor,
        // An interrupted call goes on in the background as well.
        Err(Errno::INPROGRESS | Errno::INTR) => {
            let pollable = Pollable::new(descriptor, state)?;
            pollable.writable().await?;
            sockopt::socket_error(pollable.descriptor())??;
            pollable.into_descriptor()?
        }
        Err(error) => return Err(error.into()),
    };
    if let Endpoint::Internet(_) = endpoint {
        sockopt::set_tcp_nodelay(&descriptor, true)?;
    }
    Ok(descriptor)
}

/// Connects to a Unix-domain socket. With a full queue the kernel answers at once, and has nothing
/// to wait for.
async fn connect_unix(descriptor: &OwnedFd, name: &UnixName) -> io::Result<Result<(), Errno>> {
    let address = name.to_address()?;
    let mut pause = FIRST_PAUSE;
    loop {
        match rustix::net::connect(descriptor, &address) {
            Err(Errno::AGAIN) => super::sleep(pause).await,
            connected => return Ok(connected),
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
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

/// A listening socket. Dropping the future of [`accept`](Self::accept) loses no client.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pollable: Pollable,
    /// Removed when the acceptor goes.
    _path: Option<UnixPath>,
}

impl Acceptor {
    /// Binds and listens. A port is shared only where `options` ask for it. With `only_ipv6` an
    /// IPv6 address leaves the port of the IPv4 addresses alone, else the system decides.
    ///
    /// # Errors
    ///
    /// What `bind(2)` and `listen(2)` say; [`io::ErrorKind::Unsupported`] for what can't be shared.
    pub(crate) fn bind(
        state: &Rc<DriverState>,
        endpoint: &Endpoint,
        options: &BindOptions,
        only_ipv6: bool,
    ) -> io::Result<Self> {
        let descriptor = new_socket(endpoint)?;
        if options.shares_port {
            share_port(descriptor.as_fd(), endpoint)?;
        }
        let path = match endpoint {
            Endpoint::Internet(address) => {
                // So that a restart need not wait for the old connections' TIME_WAIT.
                sockopt::set_socket_reuseaddr(&descriptor, true)?;
                if only_ipv6 && address.is_ipv6() {
                    sockopt::set_ipv6_v6only(&descriptor, true)?;
                }
                bind(&descriptor, address)?;
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
            pollable: Pollable::new(descriptor, state)?,
            _path: path,
        })
    }

    /// Returns the endpoint that was bound.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    pub(crate) fn local_endpoint(&self) -> io::Result<Endpoint> {
        let address = getsockname(self.pollable.descriptor())?;
        endpoint(address).ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Takes the next client. Its socket is not blocking.
    ///
    /// # Errors
    ///
    /// What `accept(2)` says; `EMFILE` and `ENFILE` pass when descriptors are closed.
    pub(crate) async fn accept(&self) -> io::Result<Arrival> {
        let (descriptor, address) = self.pollable.when_readable(accept_now).await?;
        let endpoint = address.and_then(endpoint);
        let mut credentials = None;
        match endpoint {
            Some(Endpoint::Internet(_)) => sockopt::set_tcp_nodelay(&descriptor, true)?,
            _ => credentials = socket::credentials(descriptor.as_fd()),
        }
        Ok(Arrival {
            descriptor,
            endpoint,
            credentials,
        })
    }
}

/// A client that was accepted.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) descriptor: OwnedFd,
    /// Where it comes from, if its socket has a name.
    pub(crate) endpoint: Option<Endpoint>,
    /// Process, user and group id at the other end of a Unix-domain socket.
    pub(crate) credentials: Option<(u32, u32, u32)>,
}

/// Closes a client's socket so that the client sees a reset and our kernel keeps nothing of it.
pub(crate) fn refuse(client: OwnedFd) {
    let at_once = Some(Duration::ZERO);
    // Where it can't be reset the client sees an end.
    if let Err(error) = sockopt::set_socket_linger(&client, at_once) {
        tracing::debug!(%error, "a client can't be reset");
    }
}

fn accept_now(descriptor: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    loop {
        match descriptor::accept(descriptor) {
            Err(Errno::INTR) => {}
            accepted => return Ok(accepted?),
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
    Ok((endpoint(local), peer.and_then(endpoint)))
}

fn endpoint(address: SocketAddrAny) -> Option<Endpoint> {
    if let Ok(address) = SocketAddr::try_from(address.clone()) {
        return Some(Endpoint::Internet(address));
    }
    let address = rustix::net::SocketAddrUnix::try_from(address).ok()?;
    UnixName::from_address(&address).map(Endpoint::Unix)
}
