//! Limits on how long a connection waits for its peer, kept by one coarse tick a thread.
//!
//! No operation has a timer. What happens on a socket leaves a mark; the tick turns marks into
//! times and ends connections whose time is up. So a limit is overrun by two ticks at most, and
//! never undercut.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;
use std::rc::{Rc, Weak};
use std::time::Instant;

use slab::Slab;

use super::context::Context;
use super::link::Link;
use crate::ring::{self, ShutdownSide};

/// Ticks in the shortest limit of a thread.
const TICKS_PER_LIMIT: u32 = 8;
/// The longest tick.
const LONGEST_TICK: Duration = Duration::from_millis(250);
/// The shortest tick.
const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// Which limit on waiting for the peer was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeLimit {
    /// Nothing came from the peer for as long as [`Config::idle_timeout`] says.
    ///
    /// [`Config::idle_timeout`]: crate::Config::idle_timeout
    Idle,
    /// A record did not go on, or what was sent was not taken, for as long as
    /// [`Config::progress_timeout`] says.
    ///
    /// [`Config::progress_timeout`]: crate::Config::progress_timeout
    Progress,
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Idle => "nothing came from the peer within Config::idle_timeout",
            Self::Progress => {
                "the peer neither took nor finished what was begun within \
                 Config::progress_timeout"
            }
        })
    }
}

/// The limits of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeLimits {
    pub(crate) idle: Option<Duration>,
    pub(crate) progress: Option<Duration>,
}

impl TimeLimits {
    fn shortest(&self) -> Option<Duration> {
        self.idle.into_iter().chain(self.progress).min()
    }
}

/// One direction, as the tick sees it.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Whether something has happened since the last tick.
    moved: Cell<bool>,
    /// The tick that saw it.
    seen: Cell<Option<Instant>>,
}

impl Activity {
    /// Notes that a wait has begun, or that bytes have moved.
    #[inline]
    pub(crate) fn note(&self) {
        self.moved.set(true);
    }

    /// Returns for how long nothing has happened, at the least.
    fn quiet_at(&self, now: Instant) -> Duration {
        match self.seen.get() {
            Some(seen) if !self.moved.replace(false) => now.saturating_duration_since(seen),
            _ => {
                self.moved.set(false);
                self.seen.set(Some(now));
                Duration::ZERO
            }
        }
    }
}

/// What the tick knows of one connection.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    limits: Cell<TimeLimits>,
    pub(crate) reading: Activity,
    pub(crate) writing: Activity,
    /// Whether the read in flight continues a record.
    mid_record: Cell<bool>,
    overrun: Cell<Option<TimeLimit>>,
}

impl Watch {
    /// Notes that a read, or a wait for something to read, has begun.
    pub(crate) fn begin_read(&self, mid_record: bool) {
        self.reading.note();
        self.mid_record.set(mid_record);
    }

    /// Returns the limit that ended the connection.
    pub(crate) fn overrun(&self) -> Option<TimeLimit> {
        self.overrun.get()
    }

    /// Looks at a connection; returns whether its time is up.
    fn look(&self, link: &Link, now: Instant) -> Option<TimeLimit> {
        let limits = self.limits.get();
        let over = |limit: Option<Duration>, quiet: Duration| limit.is_some_and(|it| quiet >= it);
        let quiet = self.reading.quiet_at(now);
        // Only a wait in flight counts: without one it is this end that does not read. A stream
        // that panics when it is asked is past waiting for.
        let reads = || contained(|| link.socket.is_read_pending()).unwrap_or(true);
        let writes = || contained(|| link.socket.is_write_pending()).unwrap_or(true);
        if over(limits.idle, quiet) && reads() {
            return Some(TimeLimit::Idle);
        }
        if self.mid_record.get() && over(limits.progress, quiet) && reads() {
            return Some(TimeLimit::Progress);
        }
        let quiet = self.writing.quiet_at(now);
        if over(limits.progress, quiet) && writes() {
            return Some(TimeLimit::Progress);
        }
        None
    }
}

/// Does what may run code of a user's stream, whose panic is no concern of the other connections.
fn contained<T>(foreign: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(foreign)).ok()
}

/// The connections of a thread that have limits.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    links: RefCell<Slab<Weak<Link>>>,
    ticking: Cell<bool>,
}

/// Keeps to `limits` from now on.
pub(crate) fn watch(link: &Rc<Link>, limits: TimeLimits) {
    if limits.shortest().is_none() {
        return;
    }
    link.watch.limits.set(limits);
    let context = &link.context;
    let watched = &context.watched;
    watched.links.borrow_mut().insert(Rc::downgrade(link));
    if !watched.ticking.replace(true) {
        drop(ring::spawn(tick(Rc::clone(context))));
    }
}

/// Looks at the connections until there is none.
async fn tick(context: Rc<Context>) {
    while let Some(duration) = look_at_all(&context.watched, ring::now()) {
        ring::sleep(duration).await;
    }
    context.watched.ticking.set(false);
}

/// Ends connections whose time is up and forgets those that are gone. Returns how long to wait, if
/// there are others.
fn look_at_all(watched: &Watched, now: Instant) -> Option<Duration> {
    let mut overrun = Vec::new();
    let mut shortest: Option<Duration> = None;
    watched.links.borrow_mut().retain(|_, link| {
        let Some(link) = link.upgrade() else {
            return false;
        };
        let limit = link.watch.limits.get().shortest();
        shortest = shortest.into_iter().chain(limit).min();
        if link.watch.overrun().is_none()
            && let Some(limit) = link.watch.look(&link, now)
        {
            overrun.push((link, limit));
        }
        true
    });
    for (link, limit) in overrun {
        tracing::debug!(%limit, "a connection ends");
        link.watch.overrun.set(Some(limit));
        // Both operations complete, and whoever waits for them finds the reason.
        contained(|| link.socket.shutdown(ShutdownSide::Both));
    }
    shortest.map(|limit| (limit / TICKS_PER_LIMIT).clamp(SHORTEST_TICK, LONGEST_TICK))
}
