//! Names, connecting and listening, the same on every backend but for who waits.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, bind, getsockname, ipproto, listen, sockopt};
use tokio::sync::oneshot;

use super::descriptor;
use super::pollable::Pollable;
use super::unix_path::UnixPath;
use super::{Endpoint, RingState, UnixName};

/// Clients that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Returns the addresses that a `host:port` stands for. The system's resolver blocks, so it has a
/// thread to itself.
///
/// # Errors
///
/// What the system's resolver says.
pub(crate) async fn resolve(name: &str) -> io::Result<Vec<SocketAddr>> {
    let (sender, answer) = oneshot::channel();
    let name = name.to_owned();
    std::thread::Builder::new()
        .name("ringseal-resolver".to_owned())
        .spawn(move || {
            let addresses = name.to_socket_addrs().map(Iterator::collect);
            // Fails only when nobody waits any more.
            let _ = sender.send(addresses);
        })?;
    answer.await.map_err(|_| io::ErrorKind::Other)?
}

fn new_socket(endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let (family, protocol) = match endpoint {
        Endpoint::Internet(SocketAddr::V4(_)) => (AddressFamily::INET, Some(ipproto::TCP)),
        Endpoint::Internet(SocketAddr::V6(_)) => (AddressFamily::INET6, Some(ipproto::TCP)),
        Endpoint::Unix(_) => (AddressFamily::UNIX, None),
    };
    descriptor::stream_socket(family, protocol)
}

/// Connects to `endpoint`. Dropping the future closes the socket. The socket is not blocking.
///
/// # Errors
///
/// What `connect(2)` says.
pub(crate) async fn connect(state: &Rc<RingState>, endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let descriptor = new_socket(endpoint)?;
    let connected = match endpoint {
        Endpoint::Internet(address) => rustix::net::connect(&descriptor, address),
        Endpoint::Unix(name) => rustix::net::connect(&descriptor, &name.to_address()?),
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

/// A listening socket. Dropping the future of [`accept`](Self::accept) loses no client.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pollable: Pollable,
    /// Removed when the acceptor goes.
    _path: Option<UnixPath>,
}

impl Acceptor {
    /// Binds and listens. Neither port nor path is ever shared with another process.
    ///
    /// # Errors
    ///
    /// What `bind(2)` and `listen(2)` say.
    pub(crate) fn bind(
        state: &Rc<RingState>,
        endpoint: &Endpoint,
        options: PathOptions,
    ) -> io::Result<Self> {
        let descriptor = new_socket(endpoint)?;
        let path = match endpoint {
            Endpoint::Internet(address) => {
                // So that a restart need not wait for the old connections' TIME_WAIT.
                sockopt::set_socket_reuseaddr(&descriptor, true)?;
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
        listen(&descriptor, BACKLOG)?;
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

    /// Takes the next client, and where it comes from, if its socket has a name. The socket is
    /// not blocking.
    ///
    /// # Errors
    ///
    /// What `accept(2)` says; `EMFILE` and `ENFILE` pass when descriptors are closed.
    pub(crate) async fn accept(&self) -> io::Result<(OwnedFd, Option<Endpoint>)> {
        let (descriptor, address) = self.pollable.when_readable(accept_now).await?;
        let endpoint = address.and_then(endpoint);
        if let Some(Endpoint::Internet(_)) = endpoint {
            sockopt::set_tcp_nodelay(&descriptor, true)?;
        }
        Ok((descriptor, endpoint))
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

/// What a path is bound with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathOptions {
    /// Permission bits; without them the umask decides.
    pub(crate) mode: Option<u32>,
    /// Whether a socket that nobody listens on any more may be removed.
    pub(crate) replace_dead: bool,
}

fn endpoint(address: SocketAddrAny) -> Option<Endpoint> {
    if let Ok(address) = SocketAddr::try_from(address.clone()) {
        return Some(Endpoint::Internet(address));
    }
    let address = rustix::net::SocketAddrUnix::try_from(address).ok()?;
    UnixName::from_address(&address).map(Endpoint::Unix)
}
