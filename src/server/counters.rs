//! What a server counts: once a client, never once a message.

use std::sync::PoisonError;

use super::statistics::Refusals;
use crate::net::{AttemptError, ConnectionLimit, HandshakeCounts, of_attempt};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// A number that only rises, and that any thread may read.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How the handshakes of one thread have ended. The thread has them too, but not when it has ended.
#[derive(Debug, Default)]
pub(super) struct HandshakeCounters(Mutex<HandshakeCounts>);

impl HandshakeCounters {
    pub(super) fn add<T>(&self, outcome: Result<T, &AttemptError>) {
        if let Some(number) = of_attempt(outcome) {
            *number(&mut self.counts()) += 1;
        }
    }

    pub(super) fn get(&self) -> HandshakeCounts {
        *self.counts()
    }

    fn counts(&self) -> MutexGuard<'_, HandshakeCounts> {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why clients were refused.
#[derive(Debug, Default)]
pub(super) struct RefusalCounters {
    pub(super) by_filter: Counter,
    pub(super) not_admitted: Counter,
    pub(super) handshakes_per_second: Counter,
    pub(super) connections_per_source: Counter,
    connections: Counter,
    connections_per_peer: Counter,
    shutting_down: Counter,
}

impl RefusalCounters {
    pub(super) fn no_room(&self, limit: ConnectionLimit) {
        let counter = match limit {
            ConnectionLimit::Connections => &self.connections,
            ConnectionLimit::ConnectionsPerPeer => &self.connections_per_peer,
            ConnectionLimit::ConnectionsPerSource => &self.connections_per_source,
            ConnectionLimit::ShuttingDown => &self.shutting_down,
        };
        counter.add();
    }

    pub(super) fn snapshot(&self) -> Refusals {
        Refusals {
            by_filter: self.by_filter.get(),
            not_admitted: self.not_admitted.get(),
            connections: self.connections.get(),
            connections_per_peer: self.connections_per_peer.get(),
            connections_per_source: self.connections_per_source.get(),
            handshakes_per_second: self.handshakes_per_second.get(),
            shutting_down: self.shutting_down.get(),
        }
    }
}
