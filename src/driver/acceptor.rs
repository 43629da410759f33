//! Accepting at a listening socket, the same on every backend but for who waits.

use core::cell::RefCell;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::descriptor;
use super::pollable::Pollable;
use super::port::Port;
use super::{DriverState, Endpoint, ListeningSocket, socket};
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, sockopt};

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
