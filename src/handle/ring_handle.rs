//! How any thread has something done on the ring threads.

use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use futures_channel::{mpsc, oneshot};
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::error::RunError;
use super::limits::QueueLimits;
use super::remote_connection::RemoteConnection;
use super::remote_listener::RemoteListener;
use super::tasks;
use crate::net::{Address, Admission, BindError, Config, DialError, Listener, dial};
use crate::protocol::identity::PublicKey;

/// What a ring thread is asked to do. It only starts tasks.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Has connections made on ring threads, one after the other in turn. Clones are cheap and may go
/// to every thread; calls work in every executor.
///
/// When the [`RingThreads`](super::RingThreads) are gone, calls fail with a `ThreadEnded`.
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
}

impl RingHandle {
    pub(super) fn new(jobs: Vec<mpsc::UnboundedSender<Job>>) -> Self {
        Self {
            threads: Arc::new(Threads {
                jobs,
                next: AtomicUsize::new(0),
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
    /// As for [`dial`](crate::dial), and [`DialError::ThreadEnded`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the socket.
    pub async fn dial(
        &self,
        address: impl Into<Address>,
        peer: PublicKey,
        config: &Config,
    ) -> Result<RemoteConnection, DialError> {
        let (address, config, limits) = (address.into(), config.clone(), self.limits);
        let made = self.ask(move || async move {
            let connection = dial(address, peer, &config).await?;
            Ok(RemoteConnection::new(connection, limits))
        });
        made.await.unwrap_or(Err(DialError::ThreadEnded))
    }

    /// Listens on `address`; see [`Listener::bind`]. What is accepted lives on the ring thread of
    /// the listener.
    ///
    /// # Errors
    ///
    /// As for [`Listener::bind`], and [`BindError::ThreadEnded`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the port.
    pub async fn listen(
        &self,
        address: impl Into<Address>,
        config: &Config,
        admission: Admission,
    ) -> Result<RemoteListener, BindError> {
        let (address, config, limits) = (address.into(), config.clone(), self.limits);
        let made = self.ask(move || async move {
            let listener = Listener::bind(address, &config, admission).await?;
            Ok(RemoteListener::new(listener, limits))
        });
        made.await.unwrap_or(Err(BindError::ThreadEnded))
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
