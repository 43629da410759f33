//! Limits on how long a connection waits for its peer, kept by one coarse tick a thread.
//!
//! No operation has a timer. What happens on a socket leaves a mark; the tick turns marks into
//! times and ends connections whose time is up. So a limit is overrun by two ticks at most, and
//! never undercut.
//!
//! Times go by a clock of the thread's own that a tick advances by no more than it was to take. A
//! process that was stopped, or that had no processor, charges that to nobody; and a tick that
//! comes much too late ends nothing, so that what has come meanwhile is read first.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use std::rc::{Rc, Weak};

use slab::Slab;
use tracing::Span;

use super::lifetime::Need;
use crate::driver::{self, Socket, WakerCell, catch_panic};

/// Ticks in the shortest limit of a thread.
const TICKS_PER_LIMIT: u32 = 8;
/// The longest tick.
const LONGEST_TICK: Duration = Duration::from_millis(250);
/// The shortest time between two records that only say that this end is there.
const SHORTEST_ALIVE: Duration = Duration::from_millis(100);
/// The shortest tick.
const SHORTEST_TICK: Duration = Duration::from_millis(1);
/// A connection that may only last so long asks its peer to end when so many eighths of it are over.
const LEAVING_AFTER: u32 = 7;
/// By how much more than its own length a tick may be late and still judge.
const LATENESS: Duration = Duration::from_millis(20);

/// Which limit on waiting for the peer, or on a connection, was over.
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
    /// The peer's host did not answer for as long as [`Config::host_timeout`] says.
    ///
    /// [`Config::host_timeout`]: crate::Config::host_timeout
    Host,
    /// The connection has lasted as long as [`Config::max_lifetime`] lets it.
    ///
    /// [`Config::max_lifetime`]: crate::Config::max_lifetime
    Lifetime,
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Idle => "nothing came from the peer within Config::idle_timeout",
            Self::Progress => {
                "the peer neither took nor finished what was begun within \
                 Config::progress_timeout"
            }
            Self::Host => {
                "the peer's host, or the network on the way to it, did not answer within \
                 Config::host_timeout"
            }
            Self::Lifetime => "the connection has lasted as long as Config::max_lifetime allows",
        })
    }
}

/// The limits of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeLimits {
    pub(crate) idle: Option<Duration>,
    pub(crate) progress: Option<Duration>,
    pub(crate) lifetime: Option<Duration>,
}

impl TimeLimits {
    fn shortest(&self) -> Option<Duration> {
        [self.idle, self.progress, self.lifetime]
            .into_iter()
            .flatten()
            .min()
    }
}

/// One direction, as the tick sees it.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Whether something has happened since the last tick.
    moved: Cell<bool>,
    /// The time of the tick that saw it.
    seen: Cell<Option<Duration>>,
}

impl Activity {
    /// Notes that a wait has begun, or that bytes have moved.
    #[inline]
    pub(crate) fn note(&self) {
        self.moved.set(true);
    }

    /// Returns for how long nothing has happened, at the least.
    fn quiet_at(&self, now: Duration) -> Duration {
        match self.seen.get() {
            Some(seen) if !self.moved.replace(false) => now.saturating_sub(seen),
            _ => {
                self.moved.set(false);
                self.seen.set(Some(now));
                Duration::ZERO
            }
        }
    }
}

/// A connection, as far as its limits need it.
pub(crate) trait Limited {
    /// What the tick knows of it.
    fn tracker(&self) -> &IdleTracker;

    /// The socket, unless the connection is over.
    fn socket(&self) -> Option<Rc<Socket>>;

    /// What the socket is needed for.
    fn need(&self) -> Need;

    /// What it is told of within.
    fn span(&self) -> Option<Span>;

    /// Has the peer told that this end is there, if the wire can.
    fn tell_alive(&self);

    /// Has the peer asked to end, if the wire can.
    fn tell_leaving(&self);

    /// Closes the socket now.
    fn cut(&self);
}

/// What the tick knows of one connection.
#[derive(Debug, Default)]
pub(crate) struct IdleTracker {
    limits: Cell<TimeLimits>,
    pub(crate) reading: Activity,
    pub(crate) writing: Activity,
    /// Whether the read in flight continues a record.
    mid_record: Cell<bool>,
    expired: Cell<Option<TimeLimit>>,
    /// After how long without a byte the peer is to be told that this end is there.
    alive_after: Cell<Option<Duration>>,
    /// The time of the first tick.
    born: Cell<Option<Duration>>,
    /// Whether the peer was asked to end, because the connection has lasted for long.
    was_asked_to_end: Cell<bool>,
}

impl IdleTracker {
    /// Has the peer told that this end is there before `within` is over without a byte. Before
    /// [`watch`].
    pub(crate) fn tell_alive(&self, within: Option<Duration>) {
        // NATIVE section 4.3; but what a peer asks for must not keep the thread busy.
        let after = within.map(|within| (within / 3).max(SHORTEST_ALIVE));
        self.alive_after.set(after);
    }

    /// Returns the shortest time that matters.
    fn shortest(&self) -> Option<Duration> {
        let limit = self.limits.get().shortest();
        limit.into_iter().chain(self.alive_after.get()).min()
    }

    /// Notes that a read, or a wait for something to read, has begun.
    pub(crate) fn begin_read(&self, mid_record: bool) {
        self.reading.note();
        self.mid_record.set(mid_record);
    }

    /// Returns the limit that ended the connection.
    pub(crate) fn expired(&self) -> Option<TimeLimit> {
        self.expired.get()
    }

    /// Whether the connection has lasted for long enough. Asks the peer to end before that.
    fn has_lived(&self, link: &dyn Limited, lifetime: Duration, now: Duration) -> bool {
        let born = self.born.get().unwrap_or(now);
        self.born.set(Some(born));
        let age = now.saturating_sub(born);
        if age >= lifetime / 8 * LEAVING_AFTER && !self.was_asked_to_end.replace(true) {
            link.tell_leaving();
        }
        age >= lifetime
    }

    /// Looks at a connection; returns the limit that is over, if one is.
    fn sweep(&self, link: &dyn Limited, now: Duration) -> Option<TimeLimit> {
        let socket = link.socket()?;
        let limits = self.limits.get();
        if let Some(lifetime) = limits.lifetime
            && self.has_lived(link, lifetime, now)
        {
            return Some(TimeLimit::Lifetime);
        }
        let over = |limit: Option<Duration>, quiet: Duration| limit.is_some_and(|it| quiet >= it);
        let quiet = self.reading.quiet_at(now);
        // Only a wait in flight counts: without one it is this end that does not read. A stream
        // that panics when it is asked is past waiting for.
        let reads = || catch_panic(|| socket.is_read_pending()).unwrap_or(true);
        let writes = || catch_panic(|| socket.is_write_pending()).unwrap_or(true);
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
        if over(self.alive_after.get(), quiet) && !writes() {
            link.tell_alive();
        }
        None
    }
}

/// The connections of a thread that have limits.
#[derive(Default)]
pub(crate) struct Watched {
    links: RefCell<Slab<Weak<dyn Limited>>>,
    is_ticking: Cell<bool>,
    clock: TickClock,
    /// How long the current tick is to take.
    tick: Cell<Duration>,
    /// The task that ticks.
    ticker: WakerCell,
    /// How many connections each limit has ended.
    expired: [Cell<u64>; 4],
}

/// Keeps to `limits` from now on.
pub(crate) fn watch(watched: &Rc<Watched>, link: &Rc<impl Limited + 'static>, limits: TimeLimits) {
    let tracker = link.tracker();
    tracker.limits.set(limits);
    let Some(shortest) = tracker.shortest() else {
        return;
    };
    let place: Weak<dyn Limited> = Rc::downgrade(link) as Weak<dyn Limited>;
    watched.links.borrow_mut().insert(place);
    if !watched.is_ticking.replace(true) {
        drop(driver::spawn(tick(Rc::clone(watched))));
    } else if tick_for(shortest) < watched.tick.get() {
        // Shorter than all before: the tick has to be as well, at once.
        watched.tick.set(Duration::ZERO);
        watched.ticker.wake();
    }
}

fn tick_for(limit: Duration) -> Duration {
    (limit / TICKS_PER_LIMIT).clamp(SHORTEST_TICK, LONGEST_TICK)
}

/// Looks at the connections until there is none.
async fn tick(watched: Rc<Watched>) {
    while let Some(duration) = watched.sweep_all() {
        watched.tick.set(duration);
        let start = driver::now();
        let mut sleep = pin!(driver::sleep(duration));
        poll_fn(|context| {
            watched.ticker.set(context.waker());
            if watched.tick.get().is_zero() {
                return Poll::Ready(());
            }
            sleep.as_mut().poll(context)
        })
        .await;
        let took = driver::now().saturating_duration_since(start);
        watched.clock.advance(duration, took);
    }
    watched.is_ticking.set(false);
}

impl Watched {
    /// Returns how many connections `limit` has ended.
    pub(crate) fn expired(&self, limit: TimeLimit) -> u64 {
        self.counter(limit).get()
    }

    /// Counts a connection that `limit` has ended.
    pub(crate) fn count(&self, limit: TimeLimit) {
        let counter = self.counter(limit);
        counter.set(counter.get() + 1);
    }

    const fn counter(&self, limit: TimeLimit) -> &Cell<u64> {
        let [idle, progress, host, lifetime] = &self.expired;
        match limit {
            TimeLimit::Idle => idle,
            TimeLimit::Progress => progress,
            TimeLimit::Host => host,
            TimeLimit::Lifetime => lifetime,
        }
    }

    /// Ends connections whose time is up and forgets those that are gone. Returns how long to wait,
    /// if there are others.
    fn sweep_all(&self) -> Option<Duration> {
        let now = self.clock.now.get();
        let mut expired = Vec::new();
        let mut shortest: Option<Duration> = None;
        let mut links = core::mem::take(&mut *self.links.borrow_mut());
        links.retain(|_, link| {
            let Some(link) = link.upgrade().filter(|link| link.socket().is_some()) else {
                return false;
            };
            let limit = link.tracker().shortest();
            shortest = shortest.into_iter().chain(limit).min();
            // A connection that nobody holds any more has limits of its own.
            if link.need() == Need::Use
                && let Some(limit) = link.tracker().sweep(&*link, now)
                && self.clock.is_on_time()
            {
                expired.push((link, limit));
            }
            true
        });
        // What a foreign stream has added meanwhile, if it has.
        let added = core::mem::replace(&mut *self.links.borrow_mut(), links);
        for (_, link) in added {
            self.links.borrow_mut().insert(link);
        }
        for (link, limit) in expired {
            let _telling = link.span().map(Span::entered);
            tracing::debug!(%limit, "a connection ends");
            self.count(limit);
            link.tracker().expired.set(Some(limit));
            // Whoever waits for it finds the reason.
            catch_panic(|| link.cut());
        }
        shortest.map(tick_for)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Watched")
            .field("is_ticking", &self.is_ticking)
            .finish_non_exhaustive()
    }
}

/// The time of a thread as far as it can be charged to peers.
#[derive(Debug, Default)]
struct TickClock {
    now: Cell<Duration>,
    /// Whether the last tick took much longer than it was to take, and the one before did not.
    is_late: Cell<bool>,
}

impl TickClock {
    /// Ends a tick that was to take `planned` and took `took`.
    fn advance(&self, planned: Duration, took: Duration) {
        self.now.set(self.now.get() + took.min(planned));
        // Not twice in a row: a thread that is always late still ends what is over.
        self.is_late
            .set(took > 2 * planned + LATENESS && !self.is_late.get());
    }

    /// Whether what has come until now was read, or could be.
    fn is_on_time(&self) -> bool {
        !self.is_late.get()
    }
}

/// Gives `future` until `limit` has passed, in time that this process has had; `None` when it took
/// longer.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let clock = TickClock::default();
    loop {
        let left = limit.saturating_sub(clock.now.get());
        let step = tick_for(limit).min(left).max(SHORTEST_TICK);
        let start = driver::now();
        let future: Pin<&mut F> = future.as_mut();
        if let Some(output) = driver::timeout(step, future).await {
            return Some(output);
        }
        clock.advance(step, driver::now().saturating_duration_since(start));
        if clock.now.get() >= limit && clock.is_on_time() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    // HAZARDS F10.
    #[test]
    fn a_tick_charges_no_more_than_it_was_to_take() {
        let clock = TickClock::default();
        clock.advance(TICK, TICK);
        assert_eq!(clock.now.get(), TICK);
        clock.advance(TICK, 35 * TICK);
        assert_eq!(clock.now.get(), 2 * TICK);
        // One that is woken early has taken less.
        clock.advance(TICK, TICK / 4);
        assert_eq!(clock.now.get(), 2 * TICK + TICK / 4);
    }

    // HAZARDS F10.
    #[test]
    fn a_late_tick_ends_nothing_but_not_for_ever() {
        let clock = TickClock::default();
        clock.advance(TICK, TICK + LATENESS);
        assert!(clock.is_on_time());
        clock.advance(TICK, 35 * TICK);
        assert!(!clock.is_on_time());
        for _ in 0..4 {
            clock.advance(TICK, 35 * TICK);
            assert!(clock.is_on_time());
            clock.advance(TICK, 35 * TICK);
            assert!(!clock.is_on_time());
        }
        clock.advance(TICK, TICK);
        assert!(clock.is_on_time());
    }

    #[test]
    fn limits_pass_in_time_that_the_process_has_had() {
        let runtime = crate::net::Runtime::builder().build().expect("a runtime");
        runtime.block_on(async {
            let start = driver::now();
            let limit = Duration::from_millis(30);
            let never = within(limit, core::future::pending::<()>()).await;
            assert_eq!(never, None);
            assert!(driver::now() - start >= limit);
            assert_eq!(within(Duration::ZERO, async { 5 }).await, Some(5));
            assert_eq!(within(limit, async { 5 }).await, Some(5));
        });
    }
}
