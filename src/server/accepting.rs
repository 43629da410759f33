//! The one thread of a server that accepts, and what becomes of that when it can't go on.

use core::pin::pin;
use std::io;
use std::sync::Arc;

use futures_util::future::{Either, select};

use super::client_place::ClientPlace;
use super::control::Phase;
use super::shared::Shared;
use crate::handle;
use crate::net::{Incoming, Place, SocketListener};

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
async fn accept(shared: &Arc<Shared>) -> io::Result<()> {
    let bound = shared.share_sockets()?;
    if bound.is_empty() {
        return Ok(());
    }
    let mut sockets = SocketListener::over(bound).map_err(io::Error::other)?;
    let let_in = |incoming: &Incoming, seat| {
        let place = ClientPlace::take(&shared.entrance, incoming, seat)?;
        Some(Box::new(place) as Box<dyn Place>)
    };
    let mut follower = shared.control.follow();
    let accepting = pin!(shared.distribution.run(&mut sockets, let_in));
    match select(accepting, pin!(follower.draining())).await {
        Either::Left((Err(error), _)) => Err(io::Error::other(error)),
        Either::Left((Ok(()), _)) | Either::Right(_) => Ok(()),
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
