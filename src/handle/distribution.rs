//! Gives the clients that one thread accepts to the threads that serve them.
//!
//! One thread accepts, in a task beside its connections, and every client goes to the thread that has
//! the fewest, its handshake included. So the spread is even to one connection whoever comes from where,
//! and for Unix-domain sockets and sockets that were handed in as well. Where each thread accepts for
//! itself on a shared port, the kernel spreads by a hash of the addresses: of two clients both may get
//! the same thread, and what waits at a thread that ends is reset. What accepting costs is a small part
//! of a handshake, and handshakes run on all threads.

use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};
use std::sync::Arc;

use futures_channel::mpsc;

use crate::driver;
use crate::net::{ConnectionLimit, Incoming, ListenError, Place, SocketListener};
use crate::protocol::identity::PublicKey;
use crate::sync::AtomicWaker;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many clients are accepted before the other tasks of the thread have a turn.
const TURN: u32 = 32;

/// The threads that serve the clients of one listener, and how busy they are.
pub(crate) struct Distribution {
    inboxes: Vec<mpsc::UnboundedSender<Incoming>>,
    loads: Arc<Loads>,
}

/// Where the clients of a thread come out.
pub(crate) type Inbox = mpsc::UnboundedReceiver<Incoming>;

#[derive(Debug)]
struct Loads {
    threads: Box<[Load]>,
    /// Whoever waits for room.
    waiting: AtomicWaker,
}

#[derive(Debug)]
struct Load {
    connections: AtomicUsize,
    /// Handshakes under way, and clients whose handshake has not begun.
    handshakes: AtomicUsize,
    /// How many handshakes may be under way.
    handshake_limit: usize,
    /// Whether it serves nobody any more.
    is_closed: AtomicBool,
}

impl Load {
    fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::Relaxed)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Distribution {
    /// Makes a distribution to as many threads as there are limits of their handshakes.
    pub(crate) fn new(handshake_limits: impl IntoIterator<Item = usize>) -> (Self, Vec<Inbox>) {
        let load = |handshake_limit| Load {
            connections: AtomicUsize::new(0),
            handshakes: AtomicUsize::new(0),
            handshake_limit,
            is_closed: AtomicBool::new(false),
        };
        let threads: Box<[Load]> = handshake_limits.into_iter().map(load).collect();
        let (inboxes, receivers) = threads.iter().map(|_| mpsc::unbounded()).unzip();
        let loads = Arc::new(Loads {
            threads,
            waiting: AtomicWaker::new(),
        });
        (Self { inboxes, loads }, receivers)
    }

    /// Accepts at `sockets` and hands each client over with the place that `let_in` gives it; whom it
    /// gives none is refused. Ends when no thread serves any more. One call at a time.
    ///
    /// # Errors
    ///
    /// [`ListenError`]: nobody can be accepted here any more.
    pub(crate) async fn run(
        &self,
        sockets: &mut SocketListener,
        mut let_in: impl FnMut(&Incoming, Seat) -> Option<Box<dyn Place>>,
    ) -> Result<(), ListenError> {
        let mut in_a_row = 0;
        while self.has_room().await {
            let mut incoming = sockets.accept().await?;
            let Some(seat) = self.loads.take_seat() else {
                break;
            };
            let thread = seat.thread;
            match let_in(&incoming, seat) {
                Some(place) => {
                    incoming.set_place(place);
                    self.hand_over(thread, incoming);
                }
                None => incoming.refuse(),
            }
            in_a_row = (in_a_row + 1) % TURN;
            if in_a_row == 0 {
                driver::give_others_a_turn().await;
            }
        }
        Ok(())
    }

    fn hand_over(&self, thread: usize, incoming: Incoming) {
        // Where the thread has just ended, so has the client.
        if self.inboxes[thread].unbounded_send(incoming).is_err() {
            self.close_thread(thread);
        }
    }

    /// Waits until a thread has room for a client; returns whether any serves.
    async fn has_room(&self) -> bool {
        poll_fn(|context| self.loads.poll_room(context)).await
    }

    /// Gives nobody to this thread any more.
    pub(crate) fn close_thread(&self, thread: usize) {
        self.loads.threads[thread]
            .is_closed
            .store(true, Ordering::Relaxed);
        self.inboxes[thread].close_channel();
        self.loads.waiting.wake();
    }

    /// Gives nobody to any thread any more. What is in the inboxes stays there.
    pub(crate) fn close(&self) {
        for thread in 0..self.inboxes.len() {
            self.close_thread(thread);
        }
    }

    /// Returns how many connections this thread has, and how many handshakes are under way there.
    pub(crate) fn load(&self, thread: usize) -> (usize, usize) {
        let load = &self.loads.threads[thread];
        (load.connections(), load.handshakes())
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Distribution")
            .field("loads", &self.loads)
            .finish_non_exhaustive()
    }
}

impl Loads {
    fn poll_room(&self, context: &Context<'_>) -> Poll<bool> {
        self.waiting.register(context.waker());
        let mut open = (self.threads.iter())
            .filter(|load| !load.is_closed.load(Ordering::Relaxed))
            .peekable();
        if open.peek().is_none() {
            return Poll::Ready(false);
        }
        // One more than the limit: who comes then has another make way.
        match open.any(|load| load.handshakes() <= load.handshake_limit) {
            true => Poll::Ready(true),
            false => Poll::Pending,
        }
    }

    /// Takes a seat at the thread that has the fewest, of those which have room for a handshake.
    fn take_seat(self: &Arc<Self>) -> Option<Seat> {
        let order = |load: &Load| {
            let (connections, handshakes) = (load.connections(), load.handshakes());
            let excess = handshakes.saturating_sub(load.handshake_limit - 1);
            (excess, connections + handshakes)
        };
        let (thread, load) = (self.threads.iter().enumerate())
            .filter(|(_, load)| !load.is_closed.load(Ordering::Relaxed))
            .min_by_key(|(_, load)| order(load))?;
        load.handshakes.fetch_add(1, Ordering::Relaxed);
        Some(Seat {
            loads: Arc::clone(self),
            thread,
            is_connected: false,
        })
    }
}

/// A client's share of what a thread has to do, until this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    loads: Arc<Loads>,
    thread: usize,
    is_connected: bool,
}

impl Seat {
    /// Notes that the handshake has ended well.
    pub(crate) fn connect(&mut self) {
        if core::mem::replace(&mut self.is_connected, true) {
            return;
        }
        let load = &self.loads.threads[self.thread];
        load.connections.fetch_add(1, Ordering::Relaxed);
        load.handshakes.fetch_sub(1, Ordering::Relaxed);
        self.loads.waiting.wake();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let load = &self.loads.threads[self.thread];
        let count = match self.is_connected {
            true => &load.connections,
            false => &load.handshakes,
        };
        count.fetch_sub(1, Ordering::Relaxed);
        self.loads.waiting.wake();
    }
}

/// A place that has no limits.
impl Place for Seat {
    fn check(&self, _: &PublicKey) -> Result<(), ConnectionLimit> {
        Ok(())
    }

    fn enter(&mut self, _: &PublicKey, _: bool) -> Result<(), ConnectionLimit> {
        self.connect();
        Ok(())
    }

    fn is_outdated(&self) -> bool {
        false
    }

    fn was_let_in(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(distribution: &Distribution) -> Vec<(usize, usize)> {
        let threads = 0..distribution.inboxes.len();
        threads.map(|thread| distribution.load(thread)).collect()
    }

    #[test]
    fn clients_go_to_the_thread_that_has_the_fewest() {
        let (distribution, _inboxes) = Distribution::new([100; 3]);
        let mut seats: Vec<_> = (0..8)
            .map(|_| distribution.loads.take_seat().expect("a thread"))
            .collect();
        assert_eq!(counts(&distribution), [(0, 3), (0, 3), (0, 2)]);
        seats.iter_mut().for_each(Seat::connect);
        assert_eq!(counts(&distribution), [(3, 0), (3, 0), (2, 0)]);
        // Those of the first thread go.
        seats.retain(|seat| seat.thread != 0);
        let again: Vec<_> = (0..4)
            .map(|_| distribution.loads.take_seat().expect("a thread").thread)
            .collect();
        assert!(again.iter().all(|&thread| thread == 0), "{again:?}");
    }

    #[test]
    fn a_thread_without_room_for_a_handshake_is_the_last_to_get_one() {
        let (distribution, _inboxes) = Distribution::new([1, 2]);
        let seats: Vec<_> = (0..4)
            .map(|_| distribution.loads.take_seat().expect("a thread"))
            .collect();
        let threads: Vec<_> = seats.iter().map(|seat| seat.thread).collect();
        assert_eq!(threads[..3], [0, 1, 1]);
        distribution.close_thread(0);
        assert_eq!(
            distribution.loads.take_seat().map(|seat| seat.thread),
            Some(1)
        );
        distribution.close();
        assert!(distribution.loads.take_seat().is_none());
    }
}
