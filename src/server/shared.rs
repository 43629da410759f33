//! What the threads of a server, and those who have its handle, share.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::control::{Control, Phase};
use super::counters::{Counter, HandshakeCounters};
use super::entrance::Entrance;
use super::reporter::Reporter;
use crate::driver::ListeningSocket;
use crate::handle::{Distribution, RingHandle};
use crate::net::{Address, Config};

/// A server, as all of its parts see it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) ring: RingHandle,
    pub(super) entrance: Arc<Entrance>,
    pub(super) distribution: Distribution,
    pub(super) control: Control,
    pub(super) threads: Box<[ThreadState]>,
    /// What peers are told when the server drains.
    pub(super) leaving_reason: u16,
    pub(super) reporter: Reporter,
    /// One at least.
    pub(super) addresses: Vec<Address>,
    /// Empty once nobody is accepted any more. They are here and not with the thread that accepts, so
    /// that another one can.
    sockets: Mutex<Vec<ListeningSocket>>,
}

/// What is known of a thread.
#[derive(Debug, Default)]
pub(super) struct ThreadState {
    pub(super) handshakes: HandshakeCounters,
    pub(super) handler_panics: Counter,
    has_ended: AtomicBool,
}

impl ThreadState {
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

/// What a server is made of, beside its threads.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) entrance: Entrance,
    pub(super) leaving_reason: u16,
    pub(super) reporter: Reporter,
    pub(super) bound: Vec<(ListeningSocket, Address)>,
}

impl Shared {
    pub(super) fn new(parts: Parts, ring: RingHandle, distribution: Distribution) -> Self {
        let count = ring.thread_count();
        let (sockets, addresses) = parts.bound.into_iter().unzip();
        Self {
            config: parts.config,
            ring,
            entrance: Arc::new(parts.entrance),
            distribution,
            control: Control::new(count),
            threads: (0..count).map(|_| ThreadState::default()).collect(),
            leaving_reason: parts.leaving_reason,
            reporter: parts.reporter,
            addresses,
            sockets: Mutex::new(sockets),
        }
    }

    /// Goes on to `phase`, in which nobody new is served, and closes the ports.
    pub(super) fn end(&self, phase: Phase) {
        self.entrance.close();
        // Whoever accepts looks at this before it sees that its sockets are closed.
        self.control.go_on(phase);
        self.close_ports();
    }

    /// Returns other descriptors of the listening sockets, and where they listen: none when the ports
    /// are closed.
    ///
    /// # Errors
    ///
    /// What the system says when descriptors are short.
    pub(super) fn share_sockets(&self) -> std::io::Result<Vec<(ListeningSocket, Address)>> {
        let sockets = self.sockets();
        let shared: std::io::Result<Vec<_>> = sockets.iter().map(ListeningSocket::share).collect();
        Ok(shared?.into_iter().zip(self.addresses.clone()).collect())
    }

    /// Closes the ports, and gives nobody to any thread any more.
    pub(super) fn stop_accepting(&self) {
        self.close_ports();
        self.distribution.close();
    }

    fn close_ports(&self) {
        let sockets = core::mem::take(&mut *self.sockets());
        drop(sockets);
    }

    /// Notes that a thread serves nobody any more.
    pub(super) fn thread_ended(&self, thread: usize, cut: usize, is_lost: bool) {
        self.distribution.close_thread(thread);
        self.threads[thread]
            .has_ended
            .store(true, Ordering::Release);
        self.control.thread_ended(cut, is_lost);
    }

    fn sockets(&self) -> MutexGuard<'_, Vec<ListeningSocket>> {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
