//! What each thread of a server does: handshakes, handlers, and their end.

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, lazy, select};

use super::control::Follower;
use super::registry::{Member, Registry};
use super::session::Session;
use super::shared::{Shared, ThreadState};
use crate::driver::{DriverError, Latch, timeout};
use crate::handle::Inbox;
use crate::net::{
    AcceptError, Accepted, AttemptError, Connection, GivenUp, Listener, Shard, TaskGroup,
};
use crate::protocol::handshake::HandshakeError;

/// How long handshakes may still end once the server drains. Those who have proved their key may believe
/// that they are in, and have until the handshake deadline.
const LAST_HANDSHAKES: Duration = Duration::from_millis(100);

/// Serves the clients that come out of `inbox`, on this ring thread, until the server ends.
pub(super) async fn run<H, F>(mut ended: Ended, inbox: Inbox, handler: H)
where
    H: Fn(Connection, Session) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (shared, thread) = (Arc::clone(&ended.shared), ended.thread);
    let config = shared.config.share_handshakes(thread, shared.threads.len());
    let (addresses, admission) = (shared.addresses.clone(), shared.entrance.admission.clone());
    let Ok(listener) = Listener::of_clients(inbox, addresses, &config, admission) else {
        return;
    };
    let mut follower = shared.control.follow();
    let serving = Serving {
        shared,
        thread,
        handler: Rc::new(handler),
        draining: Rc::default(),
        registry: Registry::start(),
        handlers: TaskGroup::new(),
    };
    match serving.serve(listener, &mut follower).await {
        Ok(cut) => ended.cut = Some(cut),
        Err(error) => tracing::error!(%error, "the driver of a thread of the server has failed"),
    }
}

/// Notes that a thread serves nobody any more, whatever has ended it: it may have ended before it began.
pub(super) struct Ended {
    shared: Arc<Shared>,
    thread: usize,
    /// How many connections were cut; `None` where it has not come that far.
    cut: Option<usize>,
}

impl Ended {
    pub(super) fn new(shared: Arc<Shared>, thread: usize) -> Self {
        Self {
            shared,
            thread,
            cut: None,
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let is_lost = self.cut.is_none() && !self.shared.control.is_stopping();
        if is_lost {
            tracing::error!(
                thread = self.thread,
                "a thread of the server has ended with all of its connections; the others go on"
            );
        }
        let cut = self.cut.unwrap_or_default();
        self.shared.thread_ended(self.thread, cut, is_lost);
    }
}

/// One thread of a server.
struct Serving<H> {
    shared: Arc<Shared>,
    thread: usize,
    handler: Rc<H>,
    /// Open once the server drains.
    draining: Rc<Latch>,
    registry: Rc<Registry>,
    handlers: TaskGroup,
}

impl<H, F> Serving<H>
where
    H: Fn(Connection, Session) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    /// Serves until the server ends; returns how many connections were cut then.
    ///
    /// # Errors
    ///
    /// Why nobody can be served on this thread any more.
    async fn serve(
        &self,
        mut listener: Listener,
        follower: &mut Follower,
    ) -> Result<usize, DriverError> {
        {
            let (serving, draining) = (
                pin!(self.take_all(&mut listener)),
                pin!(follower.draining()),
            );
            if let Either::Left((result, draining)) = select(serving, draining).await {
                result?;
                // Nobody comes any more, and the server knows.
                draining.await;
            }
        }
        self.draining.open();
        self.registry.announce_leaving(self.shared.leaving_reason);
        let last = timeout(LAST_HANDSHAKES, self.take_all(&mut listener));
        ends_before(last, follower.cut()).await;
        listener.give_up(GivenUp::Unproven);
        ends_before(self.take_all(&mut listener), follower.cut()).await;
        listener.give_up(GivenUp::Everybody);
        // Nobody is waited for there, unless the thread can't go on.
        timeout(LAST_HANDSHAKES, self.drop_all(&mut listener)).await;
        drop(listener);
        Ok(self.drain(follower).await)
    }

    /// Takes connections until there are no more.
    ///
    /// # Errors
    ///
    /// Why there can be none on this thread any more.
    async fn take_all(&self, listener: &mut Listener) -> Result<(), DriverError> {
        while let Some(outcome) = listener.next().await {
            match outcome {
                Ok(accepted) => self.take(accepted),
                Err(error) => self.note(&error),
            }
        }
        // When it has failed, the handshakes under way have ended by that.
        Shard::current().map_or(Ok(()), |shard| shard.driver.check())
    }

    /// Notes the handshakes that end with the server, until there are no more. One that has just given
    /// a connection has come too late for that to be served.
    async fn drop_all(&self, listener: &mut Listener) {
        while let Some(outcome) = listener.next().await {
            match outcome {
                Ok(accepted) => {
                    let address = accepted.connection.peer_address().clone();
                    drop(accepted);
                    let reason = AttemptError::ListenerEnded;
                    self.note(&AcceptError { address, reason });
                }
                Err(error) => self.note(&error),
            }
        }
    }

    fn state(&self) -> &ThreadState {
        &self.shared.threads[self.thread]
    }

    fn note(&self, error: &AcceptError) {
        self.state().handshakes.add::<()>(Err(&error.reason));
        if let AttemptError::NotAdmitted { .. }
        | AttemptError::Handshake(HandshakeError::PeerRejected(_)) = error.reason
        {
            self.shared.entrance.refusals.not_admitted.add();
        }
        tracing::debug!(%error, "a client did not become a connection");
        self.shared.reporter.report(error);
    }

    /// Has a connection served by a task of its own.
    fn take(&self, accepted: Accepted) {
        self.state().handshakes.add(Ok(()));
        let Accepted { connection, place } = accepted;
        let member = Member::new(&connection);
        let control = member.control.clone();
        control.note_served();
        if self.draining.is_open() {
            control.announce_leaving(self.shared.leaving_reason);
        }
        let is_outdated = place.as_ref().is_some_and(|place| place.is_outdated());
        let outdated = is_outdated.then(|| Box::new(member.clone()));
        let entry = self.registry.enter(member);
        let handler = Rc::clone(&self.handler);
        let about = Arc::clone(connection.about());
        let session = Session::new(Rc::clone(&self.draining), self.thread);
        let (shared, thread) = (Arc::clone(&self.shared), self.thread);
        let aborting = control.clone();
        // Put together without async blocks, which have room for twice what they wait for: there may be
        // thousands of these.
        let handling = lazy(move |_| handler(connection, session)).flatten();
        let handling = AssertUnwindSafe(handling).catch_unwind();
        let handling = handling.map(move |outcome| {
            if outcome.is_err() {
                shared.threads[thread].handler_panics.add();
                tracing::error!(
                    parent: &about.span,
                    "the handler of a connection has panicked; the others go on"
                );
                // What was not dropped by that is given up as well.
                aborting.abort();
            }
            // Given back behind the connection.
            drop((entry, place));
        });
        let spawned = match outdated {
            None => self.handlers.spawn(handling),
            Some(member) => {
                let shared = Arc::clone(&self.shared);
                self.handlers.spawn(async move {
                    if is_still_admitted(&shared, &member).await {
                        handling.await;
                    } else {
                        control.cut();
                    }
                })
            }
        };
        // Closed only where this thread ends.
        debug_assert!(
            spawned.is_ok(),
            "handlers are drained behind the last handshake"
        );
    }

    /// Lets handlers end, and what they have sent arrive, until who is left is to be cut. Returns how
    /// many connections were.
    async fn drain(&self, follower: &mut Follower) -> usize {
        let is_drained = ends_before(self.handlers.drain(), follower.cut()).await;
        let mut cut = 0;
        if !is_drained {
            cut = self.handlers.len();
            self.handlers.abort();
            self.handlers.drain().await;
        }
        let Some(shard) = Shard::current() else {
            return cut;
        };
        let has_arrived = ends_before(shard.retired(), follower.cut()).await;
        if !has_arrived {
            // Those of handlers that were ended are among them.
            cut = cut.max(shard.cut_all());
        }
        cut
    }
}

/// Whether a peer may stay whose handshake began before the admission was replaced: by the one that holds
/// when it was asked about.
async fn is_still_admitted(shared: &Shared, member: &Member) -> bool {
    let entrance = &shared.entrance;
    loop {
        let generation = entrance.generation();
        let admission = entrance.admission.get();
        let limit = shared.config.deadline();
        if !member.is_admitted(&admission, limit).await {
            entrance.refusals.not_admitted.add();
            return false;
        }
        if entrance.generation() == generation {
            return true;
        }
    }
}

/// Waits for whatever ends first; returns whether that was `work`.
async fn ends_before(work: impl Future, end: impl Future) -> bool {
    let (work, end) = (pin!(work), pin!(end));
    let first = select(work, end).await;
    matches!(first, Either::Left(_))
}
