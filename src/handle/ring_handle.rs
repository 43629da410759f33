//! How any thread has something done on the ring threads.

use core::panic::AssertUnwindSafe;
use core::pin::pin;
use std::sync::Arc;

use futures_channel::{mpsc, oneshot};
use futures_util::FutureExt;
use futures_util::future::{Either, join_all, select};

use super::error::{RemoteError, RunError};
use super::limits::QueueLimits;
use super::remote_connection::RemoteConnection;
use super::remote_listener::RemoteListener;
use super::tasks;
use super::threads::{Job, Threads};
use crate::driver::{AsyncRead, AsyncWrite, BindOptions};
use crate::net::{
    AcceptError, Address, Admission, BindError, Config, DialError, Incoming, SocketListener,
    Statistics, accept_over, check_limits, dial, dial_over,
};
use crate::protocol::identity::PublicKey;

/// Has connections made on ring threads, one after the other in turn. Clones are cheap and may go
/// to every thread; calls work in every executor.
///
/// When the [`RingThreads`](super::RingThreads) are gone, calls fail with a `ThreadEnded`; so they
/// do in a forked child, which has none of the threads.
#[derive(Clone, Debug)]
pub struct RingHandle {
    threads: Arc<Threads>,
    limits: QueueLimits,
}

impl RingHandle {
    pub(super) fn new(jobs: Vec<mpsc::UnboundedSender<Job>>) -> Self {
        Self {
            threads: Arc::new(Threads::new(jobs)),
            limits: QueueLimits::default(),
        }
    }

    /// Sets the bounds of the queues of the connections that this handle, and clones made of it
    /// from now on, will dial and accept.
    #[must_use]
    pub fn queue_limits(mut self, limits: QueueLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Connects to `address` and shakes hands with `peer`; see [`dial`](crate::dial).
    ///
    /// # Errors
    ///
    /// As for [`dial`](crate::dial), and [`RemoteError::ThreadEnded`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the socket.
    pub async fn dial(
        &self,
        address: impl Into<Address>,
        peer: PublicKey,
        config: &Config,
    ) -> Result<RemoteConnection, RemoteError<DialError>> {
        let (address, config, limits) = (address.into(), config.clone(), self.limits);
        let made = self.ask(move || async move {
            let connection = dial(address, peer, &config).await?;
            Ok(RemoteConnection::new(connection, limits))
        });
        made.await.unwrap_or(Err(RemoteError::ThreadEnded))
    }

    /// Shakes hands with `peer` over a stream that is connected already; see
    /// [`dial_over`](crate::dial_over). The stream moves to the ring thread, and is read, written
    /// and dropped there.
    ///
    /// # Errors
    ///
    /// As for [`dial_over`](crate::dial_over), and [`RemoteError::ThreadEnded`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the stream.
    pub async fn dial_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        peer: PublicKey,
        config: &Config,
    ) -> Result<RemoteConnection, RemoteError<DialError>> {
        let (config, limits) = (config.clone(), self.limits);
        let made = self.ask(move || async move {
            let connection = dial_over(stream, peer, &config).await?;
            Ok(RemoteConnection::new(connection, limits))
        });
        made.await.unwrap_or(Err(RemoteError::ThreadEnded))
    }

    /// Shakes hands with whoever dials over `stream`; see [`accept_over`](crate::accept_over). The
    /// stream is as for [`dial_over`](Self::dial_over).
    ///
    /// # Errors
    ///
    /// As for [`accept_over`](crate::accept_over), and [`RemoteError::ThreadEnded`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the stream.
    pub async fn accept_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        config: &Config,
        admission: &Admission,
    ) -> Result<RemoteConnection, RemoteError<DialError>> {
        let (config, admission, limits) = (config.clone(), admission.clone(), self.limits);
        let made = self.ask(move || async move {
            let connection = accept_over(stream, &config, &admission).await?;
            Ok(RemoteConnection::new(connection, limits))
        });
        made.await.unwrap_or(Err(RemoteError::ThreadEnded))
    }

    /// Shakes hands with a client that was accepted anywhere; see [`Incoming::handshake`]. The
    /// socket moves to the ring thread. To have a connection there whose messages are not copied,
    /// call [`Incoming::handshake`] inside of [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// As for [`Incoming::handshake`], and [`RemoteError::ThreadEnded`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the socket.
    pub async fn handshake(
        &self,
        incoming: Incoming,
        config: &Config,
        admission: &Admission,
    ) -> Result<RemoteConnection, RemoteError<AcceptError>> {
        let (config, admission, limits) = (config.clone(), admission.clone(), self.limits);
        let made = self.ask(move || async move {
            let connection = incoming.handshake(&config, &admission).await?;
            Ok(RemoteConnection::new(connection, limits))
        });
        made.await.unwrap_or(Err(RemoteError::ThreadEnded))
    }

    /// Listens on `address`; see [`Listener::bind`](crate::Listener::bind). One of the ring threads
    /// accepts, and has each client served by the thread that has the fewest: there its handshake runs,
    /// and there the connection lives.
    ///
    /// [`Config::max_handshakes`] is the number for all threads together; each has one at least.
    ///
    /// # Errors
    ///
    /// As for [`Listener::bind`](crate::Listener::bind), and [`RemoteError::ThreadEnded`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the port.
    pub async fn listen(
        &self,
        address: impl Into<Address>,
        config: &Config,
        admission: Admission,
    ) -> Result<RemoteListener, RemoteError<BindError>> {
        self.listen_with(address, &BindOptions::default(), config, admission)
            .await
    }

    /// Listens on `address` as [`listen`](Self::listen) does, with options of your own; see
    /// [`Listener::bind_with`](crate::Listener::bind_with).
    ///
    /// # Errors
    ///
    /// As for [`listen`](Self::listen).
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the port.
    pub async fn listen_with(
        &self,
        address: impl Into<Address>,
        options: &BindOptions,
        config: &Config,
        admission: Admission,
    ) -> Result<RemoteListener, RemoteError<BindError>> {
        check_limits(config)?;
        let (address, options, config) = (address.into(), *options, config.clone());
        let (limits, threads) = (self.limits, Arc::clone(&self.threads));
        let made = self.ask(move || async move {
            let deadline = config.deadline();
            let sockets = SocketListener::bind_within(deadline, address, &options).await?;
            Ok(RemoteListener::start(
                &threads, sockets, &config, admission, limits,
            ))
        });
        made.await.unwrap_or(Err(RemoteError::ThreadEnded))
    }

    /// Returns what each of the ring threads holds and has done; `None` for one that has ended.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn statistics(&self) -> Vec<Option<Statistics>> {
        let of_threads = (0..self.thread_count()).map(|thread| async move {
            let current = self.ask_thread(thread, || async { Statistics::current() });
            current.await.flatten()
        });
        join_all(of_threads).await
    }

    /// Returns how many ring threads there are, those that have ended included.
    pub(crate) fn thread_count(&self) -> usize {
        self.threads.count()
    }

    /// Whether this process is a forked child, which has none of the threads.
    pub(crate) fn is_inherited(&self) -> bool {
        self.threads.is_inherited()
    }

    /// Has this thread do a job, which only starts tasks; returns whether it takes any. Not for a
    /// forked child.
    pub(crate) fn post_to(&self, thread: usize, job: Job) -> bool {
        self.threads.post_to(thread, job)
    }

    /// Has the future that `make` gives run on this ring thread; `None` when that has ended, and in a
    /// forked child.
    pub(crate) async fn ask_thread<F, T>(
        &self,
        thread: usize,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Option<T>
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        // A thread that has ended drops the job, and with it the reply.
        let post = |job| _ = self.threads.post_to(thread, job);
        self.ask_by(post, make).await
    }

    /// Runs the future that `make` gives as a task of a ring thread, where it may use all that is
    /// bound to a thread: connections whose messages are not copied never leave it, and only what
    /// is made of them comes back.
    ///
    /// # Errors
    ///
    /// [`RunError`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the other one, at its next wait.
    pub async fn run<F, T>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<T, RunError>
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let output = self.ask(move || {
            let work = async move { make().await };
            AssertUnwindSafe(work)
                .catch_unwind()
                .map(|output| output.map_err(|_| RunError::Panicked))
        });
        output.await.unwrap_or(Err(RunError::ThreadEnded))
    }

    /// Has the future that `make` gives run on a ring thread; `None` when that has ended.
    async fn ask<F, T>(&self, make: impl FnOnce() -> F + Send + 'static) -> Option<T>
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        self.ask_by(|job| self.threads.post(job), make).await
    }

    /// Has `post` hand the future that `make` gives to a ring thread, and waits for its output.
    async fn ask_by<F, T>(
        &self,
        post: impl FnOnce(Job),
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Option<T>
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        if self.is_inherited() {
            return None;
        }
        let (reply, output) = oneshot::channel();
        post(Box::new(move || tasks::spawn(answer(reply, make()))));
        output.await.ok()
    }
}

/// Answers with the output of `work`, unless nobody waits for it any more.
async fn answer<T>(mut reply: oneshot::Sender<T>, work: impl Future<Output = T>) {
    let output = {
        let work = pin!(work);
        match select(work, reply.cancellation()).await {
            Either::Left((output, _)) => output,
            Either::Right(_) => return,
        }
    };
    // What nobody waits for any more is dropped.
    let _ = reply.send(output);
}
