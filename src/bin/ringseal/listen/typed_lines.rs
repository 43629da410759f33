//! Lines of standard input, for every peer at its own pace.
//!
//! Each peer has a queue. Standard input is read at the pace of the fastest peer, so that one that
//! does not read holds up nobody; it is cut off when it has fallen too far behind.

use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ringseal::sleep;
use tokio::sync::{Notify, mpsc};

use super::crowd::Counted;
use super::losses::Losses;
use crate::failure::{self, Failure};
use crate::stdio::Input;

/// While so many bytes wait for even the fastest peer, no more are read.
const PACE: usize = 1024 * 1024;
/// How many bytes may wait for a peer while others go on. Peers share the memory of a line.
const MAX_WAITING: usize = 16 * 1024 * 1024;
/// How many peers that have ended are kept, at a time, for an answer that may be typed.
const MAX_LINGERING: usize = 64;

pub(super) type Line = Arc<Vec<u8>>;

/// Where typed lines go.
#[derive(Debug)]
pub(super) struct TypedLines {
    queues: Mutex<Queues>,
    /// A line was sent, or a peer has left.
    changed: Notify,
    /// Nobody can type any more.
    is_input_over: AtomicBool,
    lingering: AtomicUsize,
    losses: Arc<Losses>,
}

/// The queues of all peers.
#[derive(Debug, Default)]
struct Queues {
    next: u64,
    of_peers: BTreeMap<u64, Queue>,
    /// Whether the server ends, and nothing more goes to anybody.
    is_over: bool,
}

/// The end of a queue where lines go in.
#[derive(Debug)]
struct Queue {
    lines: mpsc::UnboundedSender<Line>,
    waiting: Arc<Waiting>,
}

/// What was given to a peer and is not sent.
#[derive(Debug)]
struct Waiting {
    lines: AtomicU64,
    bytes: AtomicUsize,
    /// When the last line was given.
    last: Mutex<Instant>,
    is_behind: Notify,
}

/// Reads lines and gives each to every peer, until the server drains. Then what has been read already
/// is given to them, and no more comes.
pub(super) async fn distribute(
    input: Option<Input>,
    lines: Arc<TypedLines>,
    draining: impl Future<Output = ()>,
) {
    let mut draining = pin!(draining);
    let mut drains = false;
    if let Some(mut input) = input {
        let result = tokio::select! {
            biased;
            () = &mut draining => {
                drains = true;
                Ok(())
            }
            result = lines.read(&mut input) => result,
        };
        let has_failed = result.is_err();
        if let Err(Failure::Failed(text)) = result {
            failure::warn(&text);
            lines.losses.input_failed();
        }
        input.close();
        while let Some(Ok(line)) = input.recv().await {
            lines.give(line);
        }
        if !has_failed && lines.least_waiting().is_some() {
            lines.losses.typed_bytes(input.unfinished());
        }
    }
    lines.is_input_over.store(true, Ordering::Relaxed);
    if !drains {
        draining.await;
    }
    lines.end();
}

impl TypedLines {
    pub(super) fn new(losses: &Arc<Losses>) -> Arc<Self> {
        Arc::new(Self {
            queues: Mutex::default(),
            changed: Notify::new(),
            is_input_over: AtomicBool::new(false),
            lingering: AtomicUsize::new(0),
            losses: Arc::clone(losses),
        })
    }

    /// Adds a peer.
    pub(super) fn enter(self: &Arc<Self>) -> (Member, mpsc::UnboundedReceiver<Line>) {
        let (lines, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(Waiting {
            lines: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
            is_behind: Notify::new(),
        });
        let mut queues = self.queues();
        let entry = queues.next;
        queues.next += 1;
        if !queues.is_over {
            let waiting = Arc::clone(&waiting);
            queues.of_peers.insert(entry, Queue { lines, waiting });
        }
        drop(queues);
        let member = Member {
            lines: Arc::clone(self),
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
        let line = Arc::new(line);
        self.queues().of_peers.retain(|_, queue| {
            let waiting = &queue.waiting;
            waiting.lines.fetch_add(1, Ordering::Relaxed);
            let before = waiting.bytes.fetch_add(line.len(), Ordering::Relaxed);
            *lock(&waiting.last) = Instant::now();
            // Fails where a connection is ending, whose end counts what it has not sent.
            let _ = queue.lines.send(Arc::clone(&line));
            let keeps_up = before + line.len() <= MAX_WAITING;
            if !keeps_up {
                waiting.is_behind.notify_one();
            }
            keeps_up
        });
    }

    /// Gives nothing to anybody any more.
    fn end(&self) {
        let mut queues = self.queues();
        queues.is_over = true;
        queues.of_peers.clear();
    }

    /// Waits until a peer has room, or there is none.
    async fn has_room(&self) {
        while self.least_waiting().is_some_and(|bytes| bytes >= PACE) {
            self.changed.notified().await;
        }
    }

    fn least_waiting(&self) -> Option<usize> {
        let queues = self.queues();
        let waiting = |queue: &Queue| queue.waiting.bytes.load(Ordering::Relaxed);
        queues.of_peers.values().map(waiting).min()
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        lock(&self.queues)
    }
}

/// Nothing that is locked here is left half changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A peer with a queue. It leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Member {
    lines: Arc<TypedLines>,
    entry: u64,
    waiting: Arc<Waiting>,
}

impl Member {
    /// No more lines are given to it.
    pub(super) fn leave(&self) {
        self.lines.queues().of_peers.remove(&self.entry);
        self.lines.changed.notify_one();
    }

    /// Whether the server ends, and nothing more goes to anybody.
    pub(super) fn is_over(&self) -> bool {
        self.lines.queues().is_over
    }

    /// So many lines, of so many bytes together, are with the kernel.
    pub(super) fn sent(&self, lines: u64, bytes: usize) {
        self.waiting.lines.fetch_sub(lines, Ordering::Relaxed);
        self.waiting.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.lines.changed.notify_one();
    }

    /// Lines that were given to it and are not known to be with the kernel.
    fn unsent(&self) -> u64 {
        self.waiting.lines.load(Ordering::Relaxed)
    }

    /// Adds to a failure how many lines were not sent by that.
    pub(super) fn with_unsent(&self, failure: Failure) -> Failure {
        match self.unsent() {
            0 => failure,
            count => failure.and(&format!("{count} typed lines were not sent to it")),
        }
    }

    /// Is done when too much waits for it, while others go on.
    pub(super) async fn falls_behind(&self) -> Failure {
        self.waiting.is_behind.notified().await;
        Failure::new("it reads too slowly what is typed for all")
    }

    /// Is done when no answer was typed for as long as `limit`, or none can be.
    pub(super) async fn no_answer_for(&self, limit: Duration) {
        if self.lines.is_input_over.load(Ordering::Relaxed) {
            return;
        }
        let Some(_counted) = Counted::up_to(MAX_LINGERING, &self.lines.lingering) else {
            return;
        };
        let start = Instant::now();
        loop {
            let last = *lock(&self.waiting.last);
            let quiet = last.max(start).elapsed();
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
        if self.is_over() {
            self.lines.losses.typed_lines(self.unsent());
        }
    }
}

#[cfg(test)]
mod tests {
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Waker};

    use super::*;

    fn is_done<T>(future: impl Future<Output = T>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(future).poll(&mut context).is_ready()
    }

    // HAZARDS F5.
    #[test]
    fn the_fastest_peer_sets_the_pace_and_only_who_falls_behind_is_cut_off() {
        let peers = TypedLines::new(&Arc::default());
        let (fast, mut lines) = peers.enter();
        let (slow, _unread) = peers.enter();
        let line = vec![b'x'; PACE / 2];
        for _ in 0..MAX_WAITING / line.len() {
            assert!(is_done(peers.has_room()));
            peers.give(line.clone());
            let given = lines.try_recv().expect("a line");
            fast.sent(1, given.len());
        }
        assert!(!is_done(slow.falls_behind()));
        peers.give(line.clone());
        assert!(is_done(slow.falls_behind()));
        assert!(!is_done(fast.falls_behind()));
        assert_eq!((fast.unsent(), slow.unsent()), (1, 33));
        // Nobody else takes lines, so its own pace counts now.
        peers.give(line);
        assert!(!is_done(peers.has_room()));
        fast.sent(1, PACE / 2);
        assert!(is_done(peers.has_room()));
    }
}
