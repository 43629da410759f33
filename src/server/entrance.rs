//! Who may come in to a server, and how many: the one place where its limits are kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::time::Instant;

use super::counters::RefusalCounters;
use super::handshake_rate::HandshakeRate;
use super::limits::ServerLimits;
use crate::net::{Admission, ConnectionLimit, CurrentAdmission, Incoming, Source};
use crate::protocol::identity::PublicKey;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Admission and limits, for all threads of a server.
#[derive(Debug)]
pub(super) struct Entrance {
    limits: ServerLimits,
    pub(super) admission: CurrentAdmission,
    /// How often whom the admission let in has had to be asked about again.
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
    /// Where there is a limit of handshakes a second.
    rate: Option<HandshakeRate>,
}

#[derive(Clone, Copy, Debug, Default)]
struct OfSource {
    connections: usize,
    handshakes: usize,
}

impl Entrance {
    pub(super) fn new(limits: ServerLimits, admission: Admission) -> Self {
        let taken = Taken {
            rate: limits.handshakes_per_second.map(HandshakeRate::new),
            ..Taken::default()
        };
        Self {
            limits,
            admission: CurrentAdmission::new(admission),
            generation: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            refusals: RefusalCounters::default(),
            taken: Mutex::new(taken),
        }
    }

    /// Replaces who may connect. Handshakes under way are looked at again at their end.
    pub(super) fn set_admission(&self, admission: Admission) {
        self.admission.set(admission);
        self.ask_again();
    }

    /// Has handshakes under way looked at again at their end: the admission may give another answer
    /// than it gave them.
    pub(super) fn ask_again(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Returns how often that was so until now.
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
        if let Some(rate) = &mut taken.rate
            && !rate.begin(source, Instant::now())
        {
            self.refusals.handshakes_per_second.add();
            return false;
        }
        if self.limits.connections_per_source.is_some() {
            taken.sources.entry(source).or_default().handshakes += 1;
        }
        true
    }

    /// Whether there is room for a connection, and the server takes any. Takes nothing.
    pub(super) fn check(&self, source: Source, peer: &PublicKey) -> Result<(), ConnectionLimit> {
        self.check_open()?;
        match self.taken().exceeded(&self.limits, source, peer) {
            Some(limit) => self.refuse(limit),
            None => Ok(()),
        }
    }

    fn check_open(&self) -> Result<(), ConnectionLimit> {
        match self.is_closed.load(Ordering::Relaxed) {
            true => self.refuse(ConnectionLimit::ShuttingDown),
            false => Ok(()),
        }
    }

    /// Makes a connection of a handshake of this source, by the limits alone if its dialer believes to
    /// be in.
    pub(super) fn enter(
        &self,
        source: Source,
        peer: &PublicKey,
        believes_to_be_in: bool,
    ) -> Result<(), ConnectionLimit> {
        if !believes_to_be_in {
            self.check_open()?;
        }
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
}
