//! What a server tells of itself.

use crate::net::{HandshakeCounts, Statistics};

/// What a [`Server`](super::Server) holds and has done since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatistics {
    /// Connections whose handlers run.
    pub connections: usize,
    /// Handshakes under way, with clients that wait for theirs.
    pub handshakes_under_way: usize,
    /// How handshakes have ended.
    pub handshakes: HandshakeCounts,
    /// Why clients were refused.
    pub refusals: Refusals,
    /// Handlers that have panicked.
    pub handler_panics: u64,
    /// What the runtimes of all threads hold and have done; `None` when all threads have ended.
    pub runtime: Option<Statistics>,
    /// The same for each thread.
    pub threads: Vec<ThreadStatistics>,
}

/// What one thread of a server holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadStatistics {
    /// Connections whose handlers run here.
    pub connections: usize,
    /// Handshakes under way here, with clients that wait for theirs.
    pub handshakes_under_way: usize,
    /// How handshakes have ended here.
    pub handshakes: HandshakeCounts,
    /// Handlers that have panicked here.
    pub handler_panics: u64,
    /// Whether it serves nobody any more: it has panicked, its driver has failed, or the server has
    /// ended.
    pub has_ended: bool,
    /// What the thread's runtime holds and has done; `None` when the thread has ended.
    pub runtime: Option<Statistics>,
}

/// Why clients were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// [`Admission::filter`](crate::Admission::filter) said no to the address.
    pub by_filter: u64,
    /// The key is not admitted.
    pub not_admitted: u64,
    /// [`ServerLimits::connections`](super::ServerLimits::connections).
    pub connections: u64,
    /// [`ServerLimits::connections_per_peer`](super::ServerLimits::connections_per_peer).
    pub connections_per_peer: u64,
    /// [`ServerLimits::connections_per_source`](super::ServerLimits::connections_per_source), those
    /// included that were reset when they were accepted.
    pub connections_per_source: u64,
    /// [`ServerLimits::handshakes_per_second`](super::ServerLimits::handshakes_per_second).
    pub handshakes_per_second: u64,
    /// The server drained.
    pub shutting_down: u64,
}

impl ServerStatistics {
    /// Adds up what the threads have; the rest is of all of them together.
    pub(super) fn of(threads: Vec<ThreadStatistics>, refusals: Refusals) -> Self {
        let mut sum = Self {
            refusals,
            ..Self::default()
        };
        for thread in &threads {
            sum.connections += thread.connections;
            sum.handshakes_under_way += thread.handshakes_under_way;
            sum.handshakes = sum.handshakes.plus(thread.handshakes);
            sum.handler_panics += thread.handler_panics;
            sum.runtime = match (sum.runtime, thread.runtime) {
                (Some(sum), Some(other)) => Some(sum.plus(other)),
                (sum, other) => sum.or(other),
            };
        }
        sum.threads = threads;
        sum
    }
}
