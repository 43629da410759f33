//! Listening sockets alone: who comes to them is given out before any handshake.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use futures_util::stream::{self, Stream};

use super::address::Address;
use super::bind::{Bound, adopt, bind_resolved, bind_within};
use super::incoming::Incoming;
use crate::driver::{self, Acceptor, Arrival, BindOptions, DriverError, ProcessMark};
use crate::net::error::{BindError, ListenError};
use crate::net::thread::shard::Shard;

/// The first pause after accept failed for want of descriptors, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Listens, and gives each client out as an [`Incoming`], before a byte is read from it.
///
/// It is for servers that decide by themselves on which thread a client is served, how many
/// handshakes run at a time, or whom to refuse by the address. A [`Listener`] does the rest too, and
/// can be made of this by [`Listener::over`].
///
/// It accepts only while [`accept`](Self::accept) waits; other clients queue in the kernel, as many as
/// [`BindOptions::backlog`] says. Dropping it closes the port; what it has given out goes on.
///
/// ```
/// use ringseal::{Admission, BindOptions, Config, Identity, Runtime, SocketListener, dial};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let alice = Config::new(Identity::from_seed(&[1; 32]), "example");
/// let bob = Config::new(Identity::from_seed(&[2; 32]), "example");
/// Runtime::builder().build()?.block_on(async {
///     let options = BindOptions::default();
///     let mut sockets = SocketListener::bind("127.0.0.1:0", &options).await?;
///     let (address, bobs_key) = (sockets.local_address(), bob.public_key());
///     let dialing = ringseal::spawn(async move { dial(address, bobs_key, &alice).await });
///     let incoming = sockets.accept().await?;
///     let is_local = (incoming.address().socket_address()).is_some_and(|it| it.ip().is_loopback());
///     if !is_local {
///         incoming.refuse();
///         return Ok(());
///     }
///     let mut connection = incoming.handshake(&bob, &Admission::any()).await?;
///     connection.send(b"welcome").await?;
///     connection.flush().await?;
///     assert_eq!(&*dialing.await?.recv().await?.expect("a message"), b"welcome");
///     Ok(())
/// })
/// # }
/// ```
///
/// [`Listener`]: crate::Listener
/// [`Listener::over`]: crate::Listener::over
#[derive(Debug)]
pub struct SocketListener {
    shard: Rc<Shard>,
    acceptors: Rc<[Acceptor]>,
    /// One at least.
    addresses: Vec<Address>,
    /// Which of the acceptors is asked first.
    turn: usize,
    process: ProcessMark,
}

impl SocketListener {
    /// Binds `address` and listens. Port 0 takes a free one. Where the address stands for several,
    /// all of them are bound, with the same port if that is 0.
    ///
    /// # Errors
    ///
    /// [`BindError`]; then nothing stays bound. A name is resolved for as long as the system's
    /// resolver takes; [`timeout`](crate::timeout) bounds it.
    ///
    /// # Cancellation
    ///
    /// Dropping the future binds nothing.
    pub async fn bind(
        address: impl Into<Address>,
        options: &BindOptions,
    ) -> Result<Self, BindError> {
        let (shard, address) = (shard()?, address.into());
        let bound = bind_resolved(&address, address.resolve(), options).await?;
        Self::of(shard, bound)
    }

    /// Takes a socket that listens already: a [`TcpListener`], a [`UnixListener`], or a descriptor that
    /// a service manager has opened. It is made non-blocking, for all who share it, and programs that
    /// are started do not inherit it. The file of a Unix-domain socket stays where it is.
    ///
    /// ```
    /// use ringseal::{Runtime, SocketListener};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let address = socket.local_addr()?;
    /// Runtime::builder().build()?.block_on(async {
    ///     let sockets = SocketListener::from_std(socket)?;
    ///     assert_eq!(sockets.local_address(), address.into());
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`BindError::Unsuitable`] says what else the descriptor is;
    /// [`BindError::OutsideRuntime`]. Then it is closed.
    ///
    /// [`TcpListener`]: std::net::TcpListener
    /// [`UnixListener`]: std::os::unix::net::UnixListener
    pub fn from_std(socket: impl Into<OwnedFd>) -> Result<Self, BindError> {
        let descriptor = socket.into();
        Self::of(shard()?, vec![adopt(descriptor)?])
    }

    /// Binds `address` within `limit` for the resolver.
    pub(crate) async fn bind_within(
        limit: Duration,
        address: Address,
        options: &BindOptions,
    ) -> Result<Self, BindError> {
        let shard = shard()?;
        let bound = bind_within(limit, &address, options).await?;
        Self::of(shard, bound)
    }

    /// Accepts at all of `bound`, which is not empty, in the runtime of this thread.
    pub(crate) fn over(bound: Bound) -> Result<Self, BindError> {
        Self::of(shard()?, bound)
    }

    fn of(shard: Rc<Shard>, bound: Bound) -> Result<Self, BindError> {
        let mut acceptors = Vec::with_capacity(bound.len());
        let mut addresses = Vec::with_capacity(bound.len());
        for (socket, address) in bound {
            let acceptor = Acceptor::new(socket, &shard.driver);
            acceptors.push(acceptor.map_err(|source| BindError::Bind {
                address: address.to_string(),
                source,
            })?);
            addresses.push(address);
        }
        Ok(Self {
            shard,
            acceptors: acceptors.into(),
            addresses,
            turn: 0,
            process: ProcessMark::current(),
        })
    }

    /// Returns the address that is listened on, with the port that was taken; the first one where
    /// there are several.
    pub fn local_address(&self) -> Address {
        self.addresses[0].clone()
    }

    /// Returns all addresses that are listened on.
    pub fn local_addresses(&self) -> &[Address] {
        &self.addresses
    }

    pub(crate) fn shard(&self) -> &Rc<Shard> {
        &self.shard
    }

    /// Returns what accepts, for whoever is to close the ports before this is dropped.
    pub(crate) fn acceptors(&self) -> Rc<[Acceptor]> {
        Rc::clone(&self.acceptors)
    }

    /// Returns the next client. While the process or the system has no descriptor left, it waits
    /// until there is one again.
    ///
    /// # Errors
    ///
    /// [`ListenError`]: nobody can be accepted here any more.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no client.
    pub async fn accept(&mut self) -> Result<Incoming, ListenError> {
        let accepted = if self.process.is_inherited() {
            Err(DriverError::Forked.into())
        } else if self.shard.is_running() {
            self.next().await
        } else {
            return Err(ListenError::OutsideRuntime);
        };
        accepted.map_err(|source| ListenError::Accept {
            address: self.local_address().to_string(),
            source,
        })
    }

    /// Returns all who come, for good. Where nobody can be accepted any more, nobody comes.
    pub(crate) fn into_clients(self) -> impl Stream<Item = Incoming> {
        stream::unfold(self, |mut sockets| async move {
            loop {
                match sockets.next().await {
                    Ok(incoming) => return Some((incoming, sockets)),
                    // Whoever listens has asked the driver as well.
                    Err(_) => driver::sleep(LAST_PAUSE).await,
                }
            }
        })
    }

    /// Accepts, with pauses while descriptors are short. Fails when the driver has.
    async fn next(&mut self) -> io::Result<Incoming> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.accept_any().await {
                Ok(arrival) => {
                    self.turn = (self.turn + 1) % self.acceptors.len();
                    return Ok(arrival.into());
                }
                // A client that has gone again is no reason to pause.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.shard.driver.check()?;
                    if pause == FIRST_PAUSE {
                        tracing::warn!(%error, "cannot accept; pausing until it works again");
                    }
                    driver::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    /// Accepts from the first socket that has somebody, asking that whose turn it is first.
    async fn accept_any(&self) -> io::Result<Arrival> {
        let (behind, ahead) = self.acceptors.split_at(self.turn);
        // Dropping the future of an acceptor loses no client.
        poll_fn(|context| {
            let accepted = ahead.iter().chain(behind).find_map(|acceptor| {
                match pin!(acceptor.accept()).poll(context) {
                    Poll::Ready(accepted) => Some(accepted),
                    Poll::Pending => None,
                }
            });
            accepted.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Returns the shard of this thread's runtime, which has to be running.
fn shard() -> Result<Rc<Shard>, BindError> {
    Shard::current()
        .filter(Shard::is_running)
        .ok_or(BindError::OutsideRuntime)
}
