//! Sockets that are ready when the ring says so.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with, bind, connect,
    getsockname, ipproto, listen, socket_with, sockopt,
};
use tokio::sync::oneshot;

use crate::ring::operation::Operation;
use crate::ring::{RingState, socket};

/// Clients that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

fn new_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        family,
        SocketType::STREAM,
        flags,
        Some(ipproto::TCP),
    )?)
}

/// Connects to `address`. Dropping the future closes the socket.
pub(in crate::ring) async fn connect_to(
    state: &Rc<RingState>,
    address: SocketAddr,
) -> io::Result<OwnedFd> {
    let descriptor = Rc::new(new_socket(address)?);
    match connect(&descriptor, &address) {
        Ok(()) => {}
        // An interrupted call goes on in the background as well.
        Err(Errno::INPROGRESS | Errno::INTR) => {
            Operation::writable(state, &descriptor).await.result?;
            sockopt::socket_error(&descriptor)??;
        }
        Err(error) => return Err(error.into()),
    }
    // The operation that held the other handle is done.
    let descriptor = Rc::try_unwrap(descriptor).map_err(|_| io::ErrorKind::Other)?;
    socket::prepare(&descriptor)?;
    Ok(descriptor)
}

/// A listening socket whose readiness comes through the ring.
#[derive(Debug)]
pub(in crate::ring) struct Acceptor {
    descriptor: Rc<OwnedFd>,
    state: Rc<RingState>,
    /// The wait for the next client, kept over dropped futures.
    waiting: RefCell<Option<Operation>>,
}

impl Acceptor {
    pub(in crate::ring) fn bind(state: Rc<RingState>, address: SocketAddr) -> io::Result<Self> {
        let descriptor = new_socket(address)?;
        // So that a restart need not wait for the old connections' TIME_WAIT.
        sockopt::set_socket_reuseaddr(&descriptor, true)?;
        bind(&descriptor, &address)?;
        listen(&descriptor, BACKLOG)?;
        Ok(Self {
            descriptor: Rc::new(descriptor),
            state,
            waiting: RefCell::new(None),
        })
    }

    pub(in crate::ring) fn local_address(&self) -> io::Result<SocketAddr> {
        internet_address(Some(getsockname(&self.descriptor)?))
    }

    pub(in crate::ring) async fn accept(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(OwnedFd, SocketAddr)>> {
        loop {
            let mut waiting = self.waiting.borrow_mut();
            if let Some(operation) = waiting.as_mut() {
                let completion = ready!(Pin::new(operation).poll(context));
                *waiting = None;
                completion.result?;
            }
            match acceptfrom_with(&self.descriptor, SocketFlags::CLOEXEC) {
                Ok((descriptor, address)) => {
                    socket::prepare(&descriptor)?;
                    return Poll::Ready(Ok((descriptor, internet_address(address)?)));
                }
                Err(Errno::AGAIN) => {
                    *waiting = Some(Operation::readable(&self.state, &self.descriptor));
                }
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

fn internet_address(address: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    address
        .and_then(|address| SocketAddr::try_from(address).ok())
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Returns the addresses that a `host:port` stands for. The system's resolver blocks, so it has a
/// thread to itself.
pub(in crate::ring) async fn resolve(name: &str) -> io::Result<Vec<SocketAddr>> {
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
