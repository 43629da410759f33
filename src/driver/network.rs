//! Connecting and listening, the same on every backend but for who waits.

use core::cell::RefCell;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::descriptor;
use super::pollable::Pollable;
use super::port::Port;
use super::{DriverState, Endpoint, ListeningSocket, UnixName, socket};
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketType, getpeername, getsockname, sockopt};

/// The first pause while the queue of a Unix-domain listener is full, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(64);

/// Connects to `endpoint`, and waits while the queue of a Unix-domain listener is full, as TCP
/// does by itself. Dropping the future closes the socket. The socket is not blocking.
///
/// # Errors
///
/// What `connect(2)` says.
pub(crate) async fn connect(state: &Rc<DriverState>, endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let descriptor = descriptor::socket_for(endpoint)?;
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

/// A listening socket in a runtime, whose port is closed when it goes. Dropping the future of
/// [`accept`](Self::accept) loses no client.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pollable: Pollable,
    port: RefCell<Port>,
}

impl Acceptor {
    /// Accepts at `socket` in this runtime.
    ///
    /// # Errors
    ///
    /// What the reactor says.
    pub(crate) fn new(socket: ListeningSocket, state: &Rc<DriverState>) -> io::Result<Self> {
        let (descriptor, port) = socket.into_parts();
        Ok(Self {
            pollable: Pollable::new(descriptor, state)?,
            port: RefCell::new(port),
        })
    }

    /// Lets nobody in any more, if nobody else may listen here.
    pub(crate) fn close(&self) {
        self.port.borrow_mut().close(self.pollable.descriptor());
    }

    /// Takes the next client. Its socket is not blocking.
    ///
    /// # Errors
    ///
    /// What `accept(2)` says; `EMFILE` and `ENFILE` pass when descriptors are closed.
    pub(crate) async fn accept(&self) -> io::Result<Arrival> {
        let (descriptor, address) = self.pollable.when_readable(accept_now).await?;
        let endpoint = address.and_then(Endpoint::from_address);
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

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.close();
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
    Ok((
        Endpoint::from_address(local),
        peer.and_then(Endpoint::from_address),
    ))
}
