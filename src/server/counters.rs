//! What a server counts: once a client, never once a message.

use super::statistics::{HandshakeOutcomes, Refusals};
use crate::net::{AttemptError, ConnectionLimit};
use crate::protocol::handshake::HandshakeError;
use crate::sync::atomic::{AtomicU64, Ordering};

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

/// How the handshakes of one thread have ended.
#[derive(Debug, Default)]
pub(super) struct OutcomeCounters {
    established: Counter,
    refused: Counter,
    made_way: Counter,
    timed_out: Counter,
    overloaded: Counter,
    closed_unused: Counter,
    failed: Counter,
}

impl OutcomeCounters {
    pub(super) fn established(&self) {
        self.established.add();
    }

    pub(super) fn failed(&self, reason: &AttemptError) {
        let counter = match reason {
            AttemptError::NotAdmitted { .. }
            | AttemptError::NoRoom { .. }
            | AttemptError::AdmissionPanicked
            | AttemptError::Handshake(HandshakeError::PeerRejected(_)) => &self.refused,
            AttemptError::MadeWay => &self.made_way,
            AttemptError::Deadline { .. } | AttemptError::NoFirstMessage => &self.timed_out,
            AttemptError::Overloaded => &self.overloaded,
            AttemptError::ClosedUnused => &self.closed_unused,
            _ => &self.failed,
        };
        counter.add();
    }

    pub(super) fn snapshot(&self) -> HandshakeOutcomes {
        HandshakeOutcomes {
            established: self.established.get(),
            refused: self.refused.get(),
            made_way: self.made_way.get(),
            timed_out: self.timed_out.get(),
            overloaded: self.overloaded.get(),
            closed_unused: self.closed_unused.get(),
            failed: self.failed.get(),
        }
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
