//! Who cuts connections: carries bytes between two sockets and ends both in the middle.

use core::time::Duration;
use std::io;
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener as StdUnixListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ringseal::{Address, UnixSocket};
use ringseal_cli::failure::Failure;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::plan::{Cut, Side};

/// How long whoever asked may take to connect.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that are carried at a time.
const BUFFER: usize = 16 * 1024;

/// A connection that is to be cut.
#[derive(Debug)]
struct Request {
    target: Address,
    cut: Cut,
    number: usize,
    reply: oneshot::Sender<io::Result<Address>>,
}

/// The thread that cuts connections. It ends when the last of its handles is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    requests: mpsc::UnboundedSender<Request>,
    /// Connections that it carries, or waits for.
    carried: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

impl Relay {
    pub(crate) fn start() -> Result<Self, Failure> {
        let executor = Builder::new_current_thread().enable_all().build()?;
        let (requests, mut received) = mpsc::unbounded_channel::<Request>();
        let carried = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&carried);
        let work = async move {
            while let Some(request) = received.recv().await {
                let carried = Carried::one(&counted);
                tokio::spawn(async move {
                    serve(request).await;
                    drop(carried);
                });
            }
        };
        thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || executor.block_on(work))?;
        Ok(Self {
            requests,
            carried,
            made: Arc::default(),
        })
    }

    /// An address that leads to `target`, once, until the connection is cut.
    pub(crate) async fn to(&self, target: Address, cut: Cut) -> io::Result<Address> {
        let (reply, address) = oneshot::channel();
        let request = Request {
            target,
            cut,
            number: self.made.fetch_add(1, Ordering::Relaxed),
            reply,
        };
        let ended = || io::Error::other("the relay has ended");
        self.requests.send(request).map_err(|_| ended())?;
        address.await.map_err(|_| ended())?
    }

    /// Connections that it carries now.
    pub(crate) fn carried(&self) -> usize {
        self.carried.load(Ordering::Relaxed)
    }
}

/// Counts a connection while it is there.
struct Carried(Arc<AtomicUsize>);

impl Carried {
    fn one(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits for one connection and carries it. Its failures are those of the connection, which is cut
/// anyway.
async fn serve(request: Request) {
    let Request {
        target,
        cut,
        number,
        reply,
    } = request;
    let result = match target {
        Address::Socket(target) => serve_tcp(target, cut, reply).await,
        Address::Unix(socket) => {
            let name = socket.as_abstract_name().unwrap_or_default();
            serve_unix(name, cut, number, reply).await
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    drop(result);
}

async fn serve_tcp(
    target: core::net::SocketAddr,
    cut: Cut,
    reply: oneshot::Sender<io::Result<Address>>,
) -> io::Result<()> {
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await {
        Ok(listener) => listener,
        Err(error) => {
            // Whoever asked may have gone.
            let _ = reply.send(Err(error));
            return Ok(());
        }
    };
    let _ = reply.send(listener.local_addr().map(Address::from));
    let (near, _) = timeout(PATIENCE, listener.accept()).await??;
    let far = TcpStream::connect(target).await?;
    for socket in [&near, &far] {
        socket.set_nodelay(true)?;
        if cut.is_reset {
            socket.set_zero_linger()?;
        }
    }
    carry(near, far, cut).await
}

async fn serve_unix(
    target: &[u8],
    cut: Cut,
    number: usize,
    reply: oneshot::Sender<io::Result<Address>>,
) -> io::Result<()> {
    let name = format!("ringseal-bench-relay-{}-{number}", std::process::id());
    let bound = UnixAddress::from_abstract_name(&name)
        .and_then(|address| StdUnixListener::bind_addr(&address))
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            UnixListener::from_std(listener)
        });
    let listener = match bound {
        Ok(listener) => listener,
        Err(error) => {
            let _ = reply.send(Err(error));
            return Ok(());
        }
    };
    let _ = reply.send(Ok(UnixSocket::abstract_name(name).into()));
    let (near, _) = timeout(PATIENCE, listener.accept()).await??;
    let target = UnixAddress::from_abstract_name(target)?;
    let far = std::os::unix::net::UnixStream::connect_addr(&target)?;
    far.set_nonblocking(true)?;
    carry(near, UnixStream::from_std(far)?, cut).await
}

/// Carries bytes until so many have passed, or both directions have ended by themselves.
async fn carry<S: AsyncRead + AsyncWrite>(near: S, far: S, cut: Cut) -> io::Result<()> {
    let (mut from_dialer, mut to_dialer) = split(near);
    let (mut from_listener, mut to_listener) = split(far);
    let of = |side| {
        if cut.from == side {
            cut.after
        } else {
            u64::MAX
        }
    };
    let up = copy(&mut from_dialer, &mut to_listener, of(Side::Dialer));
    let down = copy(&mut from_listener, &mut to_dialer, of(Side::Listener));
    tokio::pin!(up, down);
    // The first that is over its count or has failed ends both; one that has ended by itself does not.
    tokio::select! {
        copied = &mut up => if copied? { down.await?; },
        copied = &mut down => if copied? { up.await?; },
    }
    Ok(())
}

/// Copies up to `limit` bytes. Returns whether the direction has ended by itself before.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut limit: u64,
) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER];
    while limit > 0 {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            to.shutdown().await?;
            return Ok(true);
        }
        let passed = usize::try_from(limit).map_or(count, |limit| count.min(limit));
        to.write_all(&buffer[..passed]).await?;
        limit -= passed as u64;
    }
    Ok(false)
}
