//! What acts on a server from any thread.

use core::time::Duration;
use std::sync::Arc;

use futures_util::future::join_all;

use super::control::{Drained, Phase};
use super::registry::Registry;
use super::shared::Shared;
use super::statistics::{ServerStatistics, ThreadStatistics};
use crate::handle::RunError;
use crate::net::{Address, Admission, Statistics};

/// Acts on a [`Server`](super::Server) from any thread and any executor. Clones are cheap. When the
/// server has ended, and in a forked child, which has none of its threads, it does nothing.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

impl ServerHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Returns the address that is listened on, with the port that was taken; the first one where
    /// there are several.
    pub fn local_address(&self) -> Address {
        self.shared.addresses[0].clone()
    }

    /// Returns all addresses that are listened on.
    pub fn local_addresses(&self) -> &[Address] {
        &self.shared.addresses
    }

    /// Replaces who may connect, on all threads at once: every connection that is made after this call
    /// goes by `admission`, its filter and its keys. Handshakes under way are asked about again at their
    /// end. Connections go on; [`drop_unadmitted`](Self::drop_unadmitted) looks at those.
    pub fn set_admission(&self, admission: Admission) {
        if !self.shared.ring.is_inherited() {
            self.shared.entrance.set_admission(admission);
        }
    }

    /// Cuts all connections whose peers the admission does not let in now, and returns how many that
    /// were. Their handlers see that the connection was aborted, as the peers do. Who has only just shaken
    /// hands is looked at before it is served, and not among them. A check that takes
    /// longer than [`Config::handshake_deadline`](crate::Config::handshake_deadline) counts as a no.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some connections unlooked at.
    pub async fn drop_unadmitted(&self) -> usize {
        if self.shared.ring.is_inherited() {
            return 0;
        }
        // What an admission goes by changes without it, as a key file does.
        self.shared.entrance.ask_again();
        let of_threads = (0..self.shared.threads.len()).map(|thread| {
            let shared = Arc::clone(&self.shared);
            self.shared.ring.ask_thread(thread, move || async move {
                let admission = shared.entrance.admission.get();
                match Registry::current() {
                    Some(registry) => {
                        let limit = shared.config.deadline();
                        registry.drop_unadmitted(&admission, limit).await
                    }
                    None => 0,
                }
            })
        });
        join_all(of_threads).await.into_iter().flatten().sum()
    }

    /// Returns what the server holds and has done. Each thread is asked, which takes it microseconds.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn statistics(&self) -> ServerStatistics {
        let runtimes = self.shared.ring.statistics().await;
        let of_thread = |(thread, runtime): (usize, Option<Statistics>)| {
            let state = &self.shared.threads[thread];
            let (connections, handshakes_under_way) = self.shared.distribution.load(thread);
            ThreadStatistics {
                connections,
                handshakes_under_way,
                handshakes: state.handshakes.get(),
                handler_panics: state.handler_panics.get(),
                has_ended: state.has_ended(),
                runtime,
            }
        };
        let threads = runtimes.into_iter().enumerate().map(of_thread).collect();
        ServerStatistics::of(threads, self.shared.entrance.refusals.snapshot())
    }

    /// Has the server end without losing anything, and waits for that: it stops accepting, asks the
    /// peers to begin nothing new and to end where the wire has that, lets handlers finish, and has what
    /// they have sent arrive; after `limit` it cuts those that are left, and tells how many. Handshakes
    /// under way may still end for a moment; those that it drops are counted in
    /// [`HandshakeCounts::dropped`](crate::HandshakeCounts::dropped). Called again
    /// it makes the time shorter, never longer.
    ///
    /// # Errors
    ///
    /// [`RunError::ThreadEnded`] in a forked child.
    ///
    /// # Cancellation
    ///
    /// The server ends all the same.
    pub async fn drain(&self, limit: Duration) -> Result<Drained, RunError> {
        self.begin_drain(limit);
        self.ended().await
    }

    /// Begins what [`drain`](Self::drain) does, and waits for nothing. For threads that have no
    /// executor, as those that wait for signals.
    pub fn begin_drain(&self, limit: Duration) {
        self.end(Phase::draining(limit));
    }

    /// Has the server end now: handlers are dropped and connections cut. Waits for nothing;
    /// [`drain`](Self::drain) or [`Server::wait`](super::Server::wait) tell when it has ended.
    pub fn shut_down(&self) {
        self.end(Phase::Stopping);
    }

    /// Waits until the server has ended.
    ///
    /// # Errors
    ///
    /// [`RunError::ThreadEnded`] in a forked child.
    pub(super) async fn ended(&self) -> Result<Drained, RunError> {
        if self.shared.ring.is_inherited() {
            return Err(RunError::ThreadEnded);
        }
        Ok(self.shared.control.ended().await)
    }

    fn end(&self, phase: Phase) {
        if !self.shared.ring.is_inherited() {
            self.shared.end(phase);
        }
    }
}
