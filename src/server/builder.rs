//! The settings of a server, and its start.

use core::future::Future;
use core::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread;

use super::accepting;
use super::cores;
use super::entrance::Entrance;
use super::error::ServerError;
use super::limits::ServerLimits;
use super::reporter::Reporter;
use super::server::Server;
use super::server_handle::ServerHandle;
use super::serving;
use super::session::Session;
use super::shared::{Parts, Shared};
use crate::driver::{BindOptions, ListeningSocket, StartError};
use crate::handle::{self, Distribution, Inbox, RingHandle, RingThreads};
use crate::net::{AcceptError, Address, Admission, Config, Connection, RuntimeBuilder, bind};

/// Starts a [`Server`].
///
/// ```
/// use ringseal::{
///     Admission, BindOptions, Config, Identity, Runtime, ServerBuilder, ServerLimits, UnixSocket,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("ringseal-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("socket");
/// let config = Config::new(Identity::from_seed(&[1; 32]), "example").max_handshakes(64);
/// let from_systemd = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let limits = ServerLimits::new().connections(10_000).connections_per_peer(4);
/// let server = ServerBuilder::new(config, Admission::any())
///     .bind("127.0.0.1:0")
///     .bind_with(UnixSocket::path(&path), BindOptions::new().mode(0o660))
///     .listen_on(from_systemd)
///     .limits(limits)
///     .threads(2)
///     .runtime(Runtime::builder().slots(64).slot_size(64 * 1024))
///     .start(|connection, _session| async move { drop(connection) })?;
/// assert_eq!(server.local_addresses().len(), 3);
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ServerBuilder {
    config: Config,
    admission: Admission,
    listening: Vec<Listening>,
    limits: ServerLimits,
    runtime: RuntimeBuilder,
    threads: Option<usize>,
    cores: Option<Vec<usize>>,
    leaving_reason: u16,
    reporter: Reporter,
}

/// Where clients come from.
#[derive(Debug)]
enum Listening {
    Address(Address, BindOptions),
    Socket(OwnedFd),
}

impl ServerBuilder {
    /// Starts from the defaults: a thread for each processor that this process may use, none of them
    /// pinned, and no limits but those of `config`.
    pub fn new(config: Config, admission: Admission) -> Self {
        Self {
            config,
            admission,
            listening: Vec::new(),
            limits: ServerLimits::default(),
            runtime: RuntimeBuilder::default(),
            threads: None,
            cores: None,
            leaving_reason: 0,
            reporter: Reporter::default(),
        }
    }

    /// Has the server listen on `address`, beside others. Port 0 takes a free one.
    #[must_use]
    pub fn bind(self, address: impl Into<Address>) -> Self {
        self.bind_with(address, BindOptions::default())
    }

    /// Has the server listen on `address`, beside others, with options of your own.
    #[must_use]
    pub fn bind_with(mut self, address: impl Into<Address>, options: BindOptions) -> Self {
        let address = Listening::Address(address.into(), options);
        self.listening.push(address);
        self
    }

    /// Has the server accept on a socket that listens already, beside others; see
    /// [`SocketListener::from_std`](crate::SocketListener::from_std).
    #[must_use]
    pub fn listen_on(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.listening.push(Listening::Socket(socket.into()));
        self
    }

    /// Sets how many clients the server takes, over all threads.
    #[must_use]
    pub fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the runtime of each thread.
    #[must_use]
    pub fn runtime(mut self, builder: RuntimeBuilder) -> Self {
        self.runtime = builder;
        self
    }

    /// Sets how many threads serve. By default there are as many as processors available to this
    /// process (its affinity, and the quota of its control group), or as cores that it is
    /// [pinned](Self::pin) to. There may be more than cores, if they are not pinned.
    #[must_use]
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = Some(count);
        self
    }

    /// Keeps each thread on a core of its own, in this order.
    #[must_use]
    pub fn pin(mut self, cores: impl IntoIterator<Item = usize>) -> Self {
        self.cores = Some(cores.into_iter().collect());
        self
    }

    /// Sets the reason that peers are given when the server drains, 0 by default; see
    /// [`Sender::announce_leaving`](crate::Sender::announce_leaving).
    #[must_use]
    pub fn leaving_reason(mut self, reason: u16) -> Self {
        self.leaving_reason = reason;
        self
    }

    /// Has `report` called for each client that did not become a connection, for logs that say why. It is
    /// called on the thread of the client's handshake, which waits meanwhile, and as often as strangers
    /// like: count, or print few. Who is reset when it is accepted, by
    /// [`Admission::filter`](crate::Admission::filter) or by [`ServerLimits`], is only counted in
    /// [`Refusals`](super::Refusals). If it panics, that is contained.
    #[must_use]
    pub fn on_accept_error(
        mut self,
        report: impl Fn(&AcceptError) + Send + Sync + 'static,
    ) -> Self {
        self.reporter = Reporter::new(report);
        self
    }

    /// Binds, starts the threads, and serves: for each connection the future that `handler` gives runs
    /// as a task of the thread that the connection lives on, and need not be `Send`. The connection
    /// counts for the limits until that future has ended.
    ///
    /// A handler that panics ends its own connection and no other, and is counted; the peer is told that
    /// the connection was given up, where the wire has that, and sees a reset elsewhere.
    ///
    /// Blocks for milliseconds, and for as long as names take to resolve, at most
    /// [`Config::handshake_deadline`] each.
    ///
    /// # Errors
    ///
    /// [`ServerError`]; then nothing stays bound or running.
    pub fn start<H, F>(self, handler: H) -> Result<Server, ServerError>
    where
        H: Fn(Connection, Session) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        self.limits.check()?;
        if let Some(limit) = self.config.zero_limit() {
            return Err(ServerError::ZeroLimit { limit });
        }
        let count = self.count()?;
        let sources = adopt(self.listening)?;
        let threads = start_threads(self.runtime, count, self.cores)?;
        let ring = threads.handle();
        let bound = bind_all(&ring, sources, &self.config)?;
        let (distribution, inboxes) = distribution(&self.config, count);
        let parts = Parts {
            config: self.config,
            entrance: Entrance::new(self.limits, self.admission),
            leaving_reason: self.leaving_reason,
            reporter: self.reporter,
            bound,
        };
        let shared = Arc::new(Shared::new(parts, ring, distribution));
        for (thread, inbox) in inboxes.into_iter().enumerate() {
            serve(&shared, thread, inbox, handler.clone());
        }
        accepting::start(&shared, 0);
        Ok(Server::new(threads, ServerHandle::new(shared)))
    }

    /// Returns how many threads there are to be.
    fn count(&self) -> Result<usize, ServerError> {
        let available = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let Some(cores) = &self.cores else {
            return Ok(self.threads.unwrap_or_else(available));
        };
        let count = self.threads.unwrap_or(cores.len());
        cores::check(cores, count)?;
        Ok(count)
    }
}

/// Where clients come from, as far as that needs no runtime.
enum Source {
    Address(Address, BindOptions),
    Socket(Box<(ListeningSocket, Address)>),
}

fn adopt(listening: Vec<Listening>) -> Result<Vec<Source>, ServerError> {
    if listening.is_empty() {
        return Err(ServerError::NoAddress);
    }
    let source = |listening| match listening {
        Listening::Address(address, options) => Ok(Source::Address(address, options)),
        Listening::Socket(socket) => Ok(Source::Socket(Box::new(bind::adopt(socket)?))),
    };
    listening.into_iter().map(source).collect()
}

fn start_threads(
    runtime: RuntimeBuilder,
    count: usize,
    cores: Option<Vec<usize>>,
) -> Result<RingThreads, StartError> {
    let cores = Arc::new(cores.unwrap_or_default());
    RingThreads::start_prepared(runtime, count, move |thread| match cores.get(thread) {
        Some(&core) => cores::pin(core),
        None => Ok(()),
    })
}

/// Binds on a ring thread, where names can be resolved, and waits for it.
fn bind_all(
    ring: &RingHandle,
    sources: Vec<Source>,
    config: &Config,
) -> Result<bind::Bound, ServerError> {
    let limit = config.deadline();
    let (reply, answer) = mpsc::channel();
    let binding = move || {
        handle::spawn(async move {
            let mut bound = Vec::new();
            for source in sources {
                let result = match source {
                    Source::Socket(socket) => Ok(vec![*socket]),
                    Source::Address(address, options) => {
                        bind::bind_within(limit, &address, &options).await
                    }
                };
                match result {
                    Ok(more) => bound.extend(more),
                    // Whoever starts the server waits.
                    Err(error) => return drop(reply.send(Err(error))),
                }
            }
            drop(reply.send(Ok(bound)));
        });
    };
    ring.post_to(0, Box::new(binding));
    let ended = StartError::Configuration("a ring thread has ended while the server started");
    Ok(answer.recv().map_err(|_| ended)??)
}

fn distribution(config: &Config, count: usize) -> (Distribution, Vec<Inbox>) {
    Distribution::new((0..count).map(|thread| config.share_handshakes(thread, count).handshakes()))
}

fn serve<H, F>(shared: &Arc<Shared>, thread: usize, inbox: Inbox, handler: H)
where
    H: Fn(Connection, Session) -> F + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let ended = serving::Ended::new(Arc::clone(shared), thread);
    let job = move || handle::spawn(serving::run(ended, inbox, handler));
    // A thread that takes no jobs drops it, which says that it has ended.
    shared.ring.post_to(thread, Box::new(job));
}
