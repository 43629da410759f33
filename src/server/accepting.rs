//! The one thread of a server that accepts, and what becomes of that when it can't go on.

use core::pin::pin;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use futures_util::future::{Either, select};

use super::client_place::ClientPlace;
use super::control::Phase;
use super::shared::Shared;
use crate::driver::sleep;
use crate::handle;
use crate::net::{Incoming, Place, Shard, SocketListener};

/// Between attempts to have descriptors of the sockets.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts for all threads, on the first that has not ended, counted from `first`. Where none can, the
/// server drains.
pub(super) fn start(shared: &Arc<Shared>, first: usize) {
    let mut threads = first..shared.threads.len();
    let Some(thread) = threads.find(|&thread| !shared.threads[thread].has_ended()) else {
        tracing::error!("no thread of the server can accept any more; it drains");
        shared.end(Phase::Draining(None));
        return shared.stop_accepting();
    };
    let accepting = Accepting::new(Arc::clone(shared), thread);
    let job = move || handle::spawn(run(accepting));
    // A thread that takes no jobs drops it, which goes on to the next.
    shared.ring.post_to(thread, Box::new(job));
}

async fn run(mut accepting: Accepting) {
    match accept(&accepting.shared).await {
        Ok(()) => accepting.is_done = true,
        Err(error) => tracing::error!(%error, "a thread of the server cannot accept any more"),
    }
}

/// Accepts until the server ends.
///
/// # Errors
///
/// Why nobody can be accepted on this thread any more.
async fn accept(shared: &Arc<Shared>) -> io::Result<()> {
    let mut follower = shared.control.follow();
    let accepting = pin!(accept_all(shared));
    // In this order: a server that ends closes the sockets, and that is no failure.
    match select(pin!(follower.draining()), accepting).await {
        Either::Left(_) => Ok(()),
        Either::Right((outcome, _)) => outcome,
    }
}

async fn accept_all(shared: &Arc<Shared>) -> io::Result<()> {
    let Some(mut sockets) = share_sockets(shared).await? else {
        return Ok(());
    };
    let let_in = |incoming: &Incoming, seat| {
        let place = ClientPlace::take(&shared.entrance, incoming, seat)?;
        Some(Box::new(place) as Box<dyn Place>)
    };
    let accepted = shared.distribution.run(&mut sockets, let_in).await;
    accepted.map_err(io::Error::other)
}

/// Returns the sockets as this thread's, or `None` when the ports are closed. Waits while descriptors
/// are short: another thread would have none either.
async fn share_sockets(shared: &Shared) -> io::Result<Option<SocketListener>> {
    let mut is_told = false;
    loop {
        let error = match shared.share_sockets() {
            Ok(bound) if bound.is_empty() => return Ok(None),
            Ok(bound) => match SocketListener::over(bound) {
                Ok(sockets) => return Ok(Some(sockets)),
                Err(error) => io::Error::other(error),
            },
            Err(error) => error,
        };
        Shard::current().map_or(Ok(()), |shard| shard.driver.check())?;
        if !core::mem::replace(&mut is_told, true) {
            tracing::warn!(%error, "a thread of the server cannot accept yet; trying again");
        }
        sleep(PAUSE).await;
    }
}

/// The task that accepts, on its thread.
struct Accepting {
    shared: Arc<Shared>,
    thread: usize,
    /// Whether nobody is to be accepted any more.
    is_done: bool,
}

impl Accepting {
    fn new(shared: Arc<Shared>, thread: usize) -> Self {
        Self {
            shared,
            thread,
            is_done: false,
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        if self.is_done || !self.shared.control.is_serving() {
            self.shared.stop_accepting();
        } else {
            // Its thread has panicked, or its driver has failed.
            start(&self.shared, self.thread + 1);
        }
    }
}
