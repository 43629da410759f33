//! Lines of standard input, for every peer at its own pace.
//!
//! Each peer has a queue. Standard input is read at the pace of the fastest peer, so that one that
//! does not read holds up nobody; it is cut off when it has fallen too far behind.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use ringseal::sleep;
use tokio::sync::{Notify, mpsc};

use super::stop::{Losses, Phase, Stop, add};
use crate::failure::{self, Failure};
use crate::stdio::Input;

/// While so many bytes wait for even the fastest peer, no more are read.
const PACE: usize = 1024 * 1024;
/// How many bytes may wait for a peer while others go on. Peers share the memory of a line.
const MAX_WAITING: usize = 16 * 1024 * 1024;
/// How many peers that have ended are kept, at a time, for an answer that may be typed.
const MAX_LINGERING: usize = 64;

pub(super) type Line = Rc<Vec<u8>>;

/// Where typed lines go.
#[derive(Debug, Default)]
pub(super) struct Peers {
    next: Cell<u64>,
    queues: RefCell<BTreeMap<u64, Queue>>,
    /// A line was sent, or a peer has left.
    changed: Notify,
    /// Nobody can type any more.
    is_input_over: Cell<bool>,
    /// The listener ends.
    is_closed: Cell<bool>,
    lingering: Cell<usize>,
    losses: Rc<Losses>,
}

/// The end of a queue where lines go in.
#[derive(Debug)]
struct Queue {
    lines: mpsc::UnboundedSender<Line>,
    waiting: Rc<Waiting>,
}

/// What was given to a peer and is not sent.
#[derive(Debug)]
struct Waiting {
    lines: Cell<u64>,
    bytes: Cell<usize>,
    /// When the last line was given.
    last: Cell<Instant>,
    is_behind: Notify,
}

/// Reads lines and gives each to every peer, until the listener drains. Then what has been read
/// already is given to them, and no more comes.
pub(super) async fn distribute(input: Option<Input>, peers: Rc<Peers>, stop: Rc<Stop>) {
    if let Some(mut input) = input {
        let result = tokio::select! {
            biased;
            () = stop.reached(Phase::Draining) => Ok(()),
            result = peers.read(&mut input) => result,
        };
        if let Err(Failure::Failed(text)) = result {
            failure::warn(&text);
            peers.losses.input_failed.set(true);
        }
        input.close();
        while let Some(Ok(line)) = input.recv().await {
            peers.give(line);
        }
    }
    peers.is_input_over.set(true);
    stop.reached(Phase::Draining).await;
    peers.is_closed.set(true);
    peers.queues.borrow_mut().clear();
}

impl Peers {
    pub(super) fn new(losses: Rc<Losses>) -> Rc<Self> {
        Rc::new(Self {
            losses,
            ..Self::default()
        })
    }

    /// Adds a peer.
    pub(super) fn enter(self: &Rc<Self>) -> (Member, mpsc::UnboundedReceiver<Line>) {
        let entry = self.next.get();
        self.next.set(entry + 1);
        let (lines, receiver) = mpsc::unbounded_channel();
        let waiting = Rc::new(Waiting {
            lines: Cell::new(0),
            bytes: Cell::new(0),
            last: Cell::new(Instant::now()),
            is_behind: Notify::new(),
        });
        if !self.is_closed.get() {
            let queue = Queue {
                lines,
                waiting: Rc::clone(&waiting),
            };
            self.queues.borrow_mut().insert(entry, queue);
        }
        let member = Member {
            peers: Rc::clone(self),
            entry,
            waiting,
        };
        (member, receiver)
    }

    /// Gives lines to everybody until the input ends.
    async fn read(&self, input: &mut Input) -> Result<(), Failure> {
        loop {
            self.has_room().await;
            match input.recv().await {
                Some(line) => self.give(line?),
                None => return Ok(()),
            }
        }
    }

    fn give(&self, line: Vec<u8>) {
        let line = Rc::new(line);
        self.queues.borrow_mut().retain(|_, queue| {
            let waiting = &queue.waiting;
            waiting.lines.set(waiting.lines.get() + 1);
            waiting.bytes.set(waiting.bytes.get() + line.len());
            waiting.last.set(Instant::now());
            // Fails where a session is ending, which counts what it has not sent.
            let _ = queue.lines.send(Rc::clone(&line));
            let keeps_up = waiting.bytes.get() <= MAX_WAITING;
            if !keeps_up {
                waiting.is_behind.notify_one();
            }
            keeps_up
        });
    }

    /// Waits until a peer has room, or there is none.
    async fn has_room(&self) {
        while self.least_waiting().is_some_and(|bytes| bytes >= PACE) {
            self.changed.notified().await;
        }
    }

    fn least_waiting(&self) -> Option<usize> {
        let queues = self.queues.borrow();
        queues.values().map(|queue| queue.waiting.bytes.get()).min()
    }
}

/// A peer with a queue. It leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Member {
    peers: Rc<Peers>,
    entry: u64,
    waiting: Rc<Waiting>,
}

impl Member {
    /// No more lines are given to it.
    pub(super) fn leave(&self) {
        self.peers.queues.borrow_mut().remove(&self.entry);
        self.peers.changed.notify_one();
    }

    /// So many lines, of so many bytes together, are with the kernel.
    pub(super) fn sent(&self, lines: u64, bytes: usize) {
        let waiting = &self.waiting;
        waiting.lines.set(waiting.lines.get() - lines);
        waiting.bytes.set(waiting.bytes.get() - bytes);
        self.peers.changed.notify_one();
    }

    /// Lines that were given to it and are not known to be with the kernel.
    pub(super) fn unsent(&self) -> u64 {
        self.waiting.lines.get()
    }

    /// Is done when too much waits for it, while others go on.
    pub(super) async fn has_fallen_behind(&self) {
        self.waiting.is_behind.notified().await;
    }

    /// Is done when no answer was typed for as long as `limit`, or none can be.
    pub(super) async fn no_answer_for(&self, limit: Duration) {
        let lingering = &self.peers.lingering;
        let is_over = self.peers.is_input_over.get();
        if is_over || lingering.get() >= MAX_LINGERING {
            return;
        }
        let _counted = Counted::new(lingering);
        let start = Instant::now();
        loop {
            let quiet = self.waiting.last.get().max(start).elapsed();
            if quiet >= limit {
                return;
            }
            sleep(limit - quiet).await;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave();
        // Before that it was the peer's doing.
        if self.peers.is_closed.get() {
            add(&self.peers.losses.typed_lines, self.unsent());
        }
    }
}

/// One more, until it is dropped.
pub(super) struct Counted<'a>(&'a Cell<usize>);

impl<'a> Counted<'a> {
    pub(super) fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Waker};

    use super::*;

    fn is_done(future: impl Future<Output = ()>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(future).poll(&mut context).is_ready()
    }

    // HAZARDS F5.
    #[test]
    fn the_fastest_peer_sets_the_pace_and_only_who_falls_behind_is_cut_off() {
        let peers = Peers::new(Rc::default());
        let (fast, mut lines) = peers.enter();
        let (slow, _unread) = peers.enter();
        let line = vec![b'x'; PACE / 2];
        for _ in 0..MAX_WAITING / line.len() {
            assert!(is_done(peers.has_room()));
            peers.give(line.clone());
            let given = lines.try_recv().expect("a line");
            fast.sent(1, given.len());
        }
        assert!(!is_done(slow.has_fallen_behind()));
        peers.give(line.clone());
        assert!(is_done(slow.has_fallen_behind()));
        assert!(!is_done(fast.has_fallen_behind()));
        assert_eq!((fast.unsent(), slow.unsent()), (1, 33));
        // Nobody else takes lines, so its own pace counts now.
        peers.give(line);
        assert!(!is_done(peers.has_room()));
        fast.sent(1, PACE / 2);
        assert!(is_done(peers.has_room()));
    }
}
