//! Names, connecting and listening, by whichever driver this thread runs.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::{Backend, RingState, native, tokio_uring};

/// Returns the addresses that a `host:port` stands for.
///
/// # Errors
///
/// What the system's resolver says.
pub(crate) async fn resolve(state: &RingState, name: &str) -> io::Result<Vec<SocketAddr>> {
    match state.backend() {
        Backend::Uring => native::resolve(name).await,
        Backend::TokioUring => tokio_uring::resolve(name).await,
    }
}

/// Connects to `address`. Dropping the future closes the socket.
///
/// # Errors
///
/// What `connect(2)` says.
pub(crate) async fn connect(state: &Rc<RingState>, address: SocketAddr) -> io::Result<OwnedFd> {
    match state.backend() {
        Backend::Uring => native::connect_to(state, address).await,
        Backend::TokioUring => tokio_uring::connect_to(address).await,
    }
}

/// A listening socket. Dropping the future of [`accept`](Self::accept) loses no client.
#[derive(Debug)]
pub(crate) struct Acceptor {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Native(native::Acceptor),
    TokioUring(tokio_uring::Acceptor),
}

impl Acceptor {
    /// Binds and listens. The port is never shared with another process.
    ///
    /// # Errors
    ///
    /// What `bind(2)` and `listen(2)` say.
    pub(crate) async fn bind(state: &Rc<RingState>, address: SocketAddr) -> io::Result<Self> {
        let inner = match state.backend() {
            Backend::Uring => Inner::Native(native::Acceptor::bind(Rc::clone(state), address)?),
            Backend::TokioUring => Inner::TokioUring(tokio_uring::Acceptor::bind(address).await?),
        };
        Ok(Self { inner })
    }

    /// Returns the address that was bound.
    ///
    /// # Errors
    ///
    /// What `getsockname(2)` says.
    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        match &self.inner {
            Inner::Native(acceptor) => acceptor.local_address(),
            Inner::TokioUring(acceptor) => acceptor.local_address(),
        }
    }

    /// Takes the next client.
    ///
    /// # Errors
    ///
    /// What `accept(2)` says; `EMFILE` and `ENFILE` pass when descriptors are closed.
    pub(crate) async fn accept(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        match &self.inner {
            Inner::Native(acceptor) => acceptor.accept().await,
            Inner::TokioUring(acceptor) => acceptor.accept().await,
        }
    }
}
