//! How any thread has something done on the ring threads.

use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use futures_channel::{mpsc, oneshot};
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::error::{RemoteError, RunError};
use super::limits::QueueLimits;
use super::remote_connection::RemoteConnection;
use super::remote_listener::RemoteListener;
use super::tasks;
use crate::driver::{AsyncRead, AsyncWrite, BindOptions, ProcessMark};
use crate::net::{
    AcceptError, Address, Admission, BindError, Config, DialError, Incoming, Listener, accept_over,
    dial, dial_over,
};
use crate::protocol::identity::PublicKey;

/// What a ring thread is asked to do. It only starts tasks.
pub(super) type Job = Box<dyn FnOnce() + Send>;

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

#[derive(Debug)]
struct Threads {
    jobs: Vec<mpsc::UnboundedSender<Job>>,
    /// Whose turn it is.
    next: AtomicUsize,
    /// A forked child has none of the threads.
    process: ProcessMark,
}

impl RingHandle {
    pub(super) fn new(jobs: Vec<mpsc::UnboundedSender<Job>>) -> Self {
        Self {
            threads: Arc::new(Threads {
                jobs,
                next: AtomicUsize::new(0),
                process: ProcessMark::current(),
            }),
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

    /// Listens on `address`; see [`Listener::bind`]. What is accepted lives on the ring thread of
    /// the listener.
    ///
    /// # Errors
    ///
    /// As for [`Listener::bind`], and [`RemoteError::ThreadEnded`].
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

    /// Listens on `address` with options of your own; see [`Listener::bind_with`]. To have each
    /// thread accept at one port, call it as often as there are threads, and let them share it.
    ///
    /// # Errors
    ///
    /// As for [`Listener::bind_with`], and [`RemoteError::ThreadEnded`].
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
        let (address, options, config) = (address.into(), *options, config.clone());
        let limits = self.limits;
        let made = self.ask(move || async move {
            let listener = Listener::bind_with(address, &options, &config, admission).await?;
            Ok(RemoteListener::new(listener, limits))
        });
        made.await.unwrap_or(Err(RemoteError::ThreadEnded))
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
        if self.threads.process.is_inherited() {
            return None;
        }
        let (reply, output) = oneshot::channel();
        self.threads
            .post(Box::new(move || tasks::spawn(answer(reply, make()))));
        output.await.ok()
    }
}

impl Threads {
    /// Gives the job to the next thread that takes it. When all have ended it is dropped.
    fn post(&self, mut job: Job) {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..self.jobs.len() {
            let thread = first.wrapping_add(offset) % self.jobs.len();
            match self.jobs[thread].unbounded_send(job) {
                Ok(()) => return,
                Err(refused) => job = refused.into_inner(),
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The other ends are the parent's, and their locks as it left them.
        if self.process.is_inherited() {
            core::mem::forget(core::mem::take(&mut self.jobs));
        }
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
