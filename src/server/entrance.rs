//! Who may come in to a server, and how many: the one place where its limits are kept.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::time::Instant;

use super::counters::RefusalCounters;
use super::limits::ServerLimits;
use crate::net::{Admission, ConnectionLimit, CurrentAdmission, Incoming, Source};
use crate::protocol::identity::PublicKey;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// In this time as many handshakes may begin at once as the rate says.
const BURST: Duration = Duration::from_secs(1);

/// Admission and limits, for all threads of a server.
#[derive(Debug)]
pub(super) struct Entrance {
    limits: ServerLimits,
    pub(super) admission: CurrentAdmission,
    /// How often the admission was replaced.
    generation: AtomicU64,
    is_closed: AtomicBool,
    pub(super) refusals: RefusalCounters,
    taken: Mutex<Taken>,
}

/// What is taken of the limits.
#[derive(Debug, Default)]
struct Taken {
    connections: usize,
    /// Connections by key, where there is a limit of those.
    peers: HashMap<PublicKey, usize>,
    /// Clients by source, where there is a limit of those.
    sources: BTreeMap<Source, OfSource>,
    /// When the rate of handshakes would be kept exactly if the next began then.
    due: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct OfSource {
    connections: usize,
    handshakes: usize,
}

impl Entrance {
    pub(super) fn new(limits: ServerLimits, admission: Admission) -> Self {
        Self {
            limits,
            admission: CurrentAdmission::new(admission),
            generation: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            refusals: RefusalCounters::default(),
            taken: Mutex::default(),
        }
    }

    /// Replaces who may connect. Handshakes under way are looked at again at their end.
    pub(super) fn set_admission(&self, admission: Admission) {
        self.admission.set(admission);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Returns how often the admission was replaced until now.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Lets nobody in any more whose dialer does not believe to be in.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Whether the handshake of a client may begin; if so, counts it for its source.
    pub(super) fn begin(&self, incoming: &Incoming) -> bool {
        if !incoming.is_admitted_by(&self.admission.get()) {
            self.refusals.by_filter.add();
            return false;
        }
        let source = incoming.source();
        let mut taken = self.taken();
        if let Some(limit) = self.limits.connections_per_source {
            // One beyond the limit may go on, to be told why it is refused.
            let of_source = taken.sources.get(&source).copied().unwrap_or_default();
            if of_source.connections + of_source.handshakes > limit {
                self.refusals.connections_per_source.add();
                return false;
            }
        }
        if !taken.keeps_rate(self.limits.handshakes_per_second, Instant::now()) {
            self.refusals.handshakes_per_second.add();
            return false;
        }
        if self.limits.connections_per_source.is_some() {
            taken.sources.entry(source).or_default().handshakes += 1;
        }
        true
    }

    /// Whether there is room for a connection, and the server takes any.
    pub(super) fn check(&self, source: Source, peer: &PublicKey) -> Result<(), ConnectionLimit> {
        if self.is_closed.load(Ordering::Relaxed) {
            return self.refuse(ConnectionLimit::ShuttingDown);
        }
        match self.taken().exceeded(&self.limits, source, peer) {
            Some(limit) => self.refuse(limit),
            None => Ok(()),
        }
    }

    /// Makes a connection of a handshake of this source.
    pub(super) fn enter(&self, source: Source, peer: &PublicKey) -> Result<(), ConnectionLimit> {
        let mut taken = self.taken();
        if let Some(limit) = taken.exceeded(&self.limits, source, peer) {
            return self.refuse(limit);
        }
        taken.connections += 1;
        if self.limits.connections_per_peer.is_some() {
            *taken.peers.entry(*peer).or_default() += 1;
        }
        if let Some(of_source) = taken.sources.get_mut(&source) {
            of_source.handshakes -= 1;
            of_source.connections += 1;
        }
        Ok(())
    }

    /// Takes a client out, whose connection is `peer`'s if it has become one.
    pub(super) fn leave(&self, source: Source, peer: Option<&PublicKey>) {
        let mut taken = self.taken();
        if let Some(peer) = peer {
            taken.connections -= 1;
            if let Some(count) = taken.peers.get_mut(peer) {
                *count -= 1;
                if *count == 0 {
                    taken.peers.remove(peer);
                }
            }
        }
        if let Some(of_source) = taken.sources.get_mut(&source) {
            match peer {
                Some(_) => of_source.connections -= 1,
                None => of_source.handshakes -= 1,
            }
            if of_source.connections + of_source.handshakes == 0 {
                taken.sources.remove(&source);
            }
        }
    }

    fn refuse(&self, limit: ConnectionLimit) -> Result<(), ConnectionLimit> {
        self.refusals.no_room(limit);
        Err(limit)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Returns the limit that one more connection would exceed.
    fn exceeded(
        &self,
        limits: &ServerLimits,
        source: Source,
        peer: &PublicKey,
    ) -> Option<ConnectionLimit> {
        let is_over =
            |limit: Option<usize>, count: usize| limit.is_some_and(|limit| count >= limit);
        let of_peer = || self.peers.get(peer).copied().unwrap_or_default();
        let of_source = || self.sources.get(&source).copied().unwrap_or_default();
        if is_over(limits.connections, self.connections) {
            return Some(ConnectionLimit::Connections);
        }
        if is_over(limits.connections_per_peer, of_peer()) {
            return Some(ConnectionLimit::ConnectionsPerPeer);
        }
        if is_over(limits.connections_per_source, of_source().connections) {
            return Some(ConnectionLimit::ConnectionsPerSource);
        }
        None
    }

    /// Whether a handshake may begin now by the rate; if so, counts it.
    fn keeps_rate(&mut self, rate: Option<u32>, now: Instant) -> bool {
        let Some(rate) = rate else {
            return true;
        };
        let interval = BURST / rate;
        let due = self.due.map_or(now, |due| due.max(now));
        if due.saturating_duration_since(now) + interval > BURST {
            return false;
        }
        self.due = Some(due + interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_handshakes_begin_as_the_rate_says() {
        let mut taken = Taken::default();
        let start = Instant::now();
        let mut begun_at = |milliseconds| {
            let now = start + Duration::from_millis(milliseconds);
            (0..50).filter(|_| taken.keeps_rate(Some(10), now)).count()
        };
        assert_eq!(begun_at(0), 10);
        assert_eq!(begun_at(99), 0);
        assert_eq!(begun_at(100), 1);
        assert_eq!(begun_at(550), 4);
        assert_eq!(begun_at(60_000), 10);
        let mut slow = Taken::default();
        assert!(slow.keeps_rate(Some(1), start) && !slow.keeps_rate(Some(1), start));
        assert!(slow.keeps_rate(Some(1), start + BURST));
        assert!((0..1000).all(|_| taken.keeps_rate(None, start)));
    }
}
