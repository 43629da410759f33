//! What all connections of a run have in common: counts, whether they may go on, and what went wrong.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::ValueEnum;
use tokio::sync::{Notify, watch};

use super::checker::Mistake;
use super::plan::{Episode, Kind, Side};

/// A mistake that is made on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plant {
    /// A byte is altered.
    Altered,
    /// A message is left out.
    Lost,
    /// A message is sent twice.
    Doubled,
    /// Two messages change places.
    Reordered,
    /// A descriptor is never closed.
    Leak,
}

/// What lanes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// One connection after the other.
    Run,
    /// They finish theirs and begin no other.
    Rest,
    /// The same, for good.
    End,
}

/// A mistake and where it happened.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) episode: Episode,
    pub(crate) side: Side,
    pub(crate) mistake: Mistake,
}

/// Shared by all threads of a run.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) seed: u64,
    phase: watch::Sender<Phase>,
    plant: Option<Plant>,
    has_rested: AtomicBool,
    messages: AtomicU64,
    bytes: AtomicU64,
    /// Ends of connections that are played now.
    playing: AtomicUsize,
    episodes: Mutex<BTreeMap<Kind, u64>>,
    /// Connections whose listener has not read yet which one it serves.
    unknown: Mutex<BTreeSet<Episode>>,
    found: Mutex<Option<Found>>,
    something_found: Notify,
}

/// Messages and bytes that have come so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Ledger {
    pub(crate) fn new(seed: u64, plant: Option<Plant>) -> Arc<Self> {
        Arc::new(Self {
            seed,
            phase: watch::Sender::new(Phase::Run),
            plant,
            has_rested: AtomicBool::new(false),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            playing: AtomicUsize::new(0),
            episodes: Mutex::default(),
            unknown: Mutex::default(),
            found: Mutex::default(),
            something_found: Notify::new(),
        })
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        if self.phase.send_replace(phase) == Phase::Rest {
            self.has_rested.store(true, Ordering::Relaxed);
        }
    }

    /// Waits while there is a rest; returns whether there is more to do.
    pub(crate) async fn may_go_on(&self) -> bool {
        let mut phase = self.phase.subscribe();
        let phase = phase.wait_for(|phase| *phase != Phase::Rest).await;
        phase.is_ok_and(|phase| *phase == Phase::Run)
    }

    /// The mistake to make on this connection, if it is one to make it on.
    pub(crate) fn plant(&self, kind: Kind) -> Option<Plant> {
        // Behind the first rest, which is what later ones are compared with.
        let is_time = self.has_rested.load(Ordering::Relaxed);
        self.plant.filter(|_| kind == Kind::Steady && is_time)
    }

    pub(crate) fn add(&self, amount: Amount) {
        self.messages.fetch_add(amount.messages, Ordering::Relaxed);
        self.bytes.fetch_add(amount.bytes, Ordering::Relaxed);
    }

    pub(crate) fn amount(&self) -> Amount {
        Amount {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// Counts an end of a connection until the guard is dropped.
    pub(crate) fn play(self: &Arc<Self>) -> Playing {
        self.playing.fetch_add(1, Ordering::Relaxed);
        Playing(Arc::clone(self))
    }

    pub(crate) fn playing(&self) -> usize {
        self.playing.load(Ordering::Relaxed)
    }

    /// Says that a dialer begins this connection.
    pub(crate) fn dialed(&self, episode: Episode) {
        locked(&self.unknown).insert(episode);
    }

    /// Says that a listener knows that it serves this connection, or that the connection is over.
    /// Returns whether no listener had known before.
    pub(crate) fn known(&self, episode: Episode) -> bool {
        locked(&self.unknown).remove(&episode)
    }

    pub(crate) fn finish(&self, kind: Kind) {
        *locked(&self.episodes).entry(kind).or_default() += 1;
    }

    pub(crate) fn count_of(&self, kind: Kind) -> u64 {
        locked(&self.episodes).get(&kind).copied().unwrap_or(0)
    }

    /// Connections that have ended.
    pub(crate) fn episodes(&self) -> u64 {
        locked(&self.episodes).values().sum()
    }

    /// Notes a mistake. The first one counts: others may follow from it.
    pub(crate) fn report(&self, found: Found) {
        locked(&self.found).get_or_insert(found);
        self.something_found.notify_one();
    }

    pub(crate) fn found(&self) -> Option<Found> {
        locked(&self.found).clone()
    }

    /// Waits for the first mistake.
    pub(crate) async fn mistake(&self) -> Found {
        loop {
            if let Some(found) = self.found() {
                return found;
            }
            self.something_found.notified().await;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// See [`Ledger::play`].
#[derive(Debug)]
pub(crate) struct Playing(Arc<Ledger>);

impl Drop for Playing {
    fn drop(&mut self) {
        self.0.playing.fetch_sub(1, Ordering::Relaxed);
    }
}
