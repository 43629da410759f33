//! Limits on how long a connection waits for its peer, kept by one coarse tick a thread.
//!
//! No operation has a timer. What happens on a socket notes the time of the next tick. A connection is
//! looked at when the first of its limits would be over if nothing had happened since the last look: so
//! ten thousand idle ones cost next to nothing. A limit is overrun by two ticks at most, and never
//! undercut.
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
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
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
/// How many entries of the queue may be out of date, beside as many as there are connections.
const OUTDATED_KEPT: usize = 64;
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
    /// When something has happened last, or later.
    seen: Cell<Duration>,
}

impl Activity {
    /// Notes that a wait has begun, or that bytes have moved, where the next tick is at `upcoming`.
    #[inline]
    pub(crate) fn note(&self, upcoming: Duration) {
        self.seen.set(upcoming);
    }

    /// Returns for how long nothing has happened, at the least.
    fn quiet_at(&self, now: Duration) -> Duration {
        now.saturating_sub(self.seen.get())
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
    /// The time of the first look.
    born: Cell<Option<Duration>>,
    /// Under which key it is watched, if it is.
    watched_as: Cell<Option<usize>>,
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
    pub(crate) fn begin_read(&self, mid_record: bool, upcoming: Duration) {
        self.reading.note(upcoming);
        self.mid_record.set(mid_record);
    }

    /// Returns the limit that ended the connection.
    pub(crate) fn expired(&self) -> Option<TimeLimit> {
        self.expired.get()
    }

    /// Begins to count at the first look.
    fn begin(&self, now: Duration) {
        if self.born.get().is_none() {
            self.born.set(Some(now));
            self.reading.note(now);
            self.writing.note(now);
        }
    }

    fn age_at(&self, now: Duration) -> Duration {
        now.saturating_sub(self.born.get().unwrap_or(now))
    }

    /// Looks at a connection; returns the limit that is over, if one is.
    fn look(&self, link: &dyn Limited, socket: &Socket, now: Duration) -> Option<TimeLimit> {
        self.begin(now);
        let limits = self.limits.get();
        if let Some(lifetime) = limits.lifetime {
            let age = self.age_at(now);
            if age >= leaving_age(lifetime) && !self.was_asked_to_end.replace(true) {
                link.tell_leaving();
            }
            if age >= lifetime {
                return Some(TimeLimit::Lifetime);
            }
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

    /// Returns how long after `now` the connection has to be looked at again. No limit can be over
    /// before: whatever happens meanwhile only puts it off.
    fn next_look(&self, now: Duration) -> Duration {
        let limits = self.limits.get();
        // What is over without a wait in flight counts from the begin of the next wait, which notes
        // itself.
        let left = |limit: Duration, quiet: Duration| match limit.saturating_sub(quiet) {
            Duration::ZERO => limit,
            left => left,
        };
        let (read, written) = (self.reading.quiet_at(now), self.writing.quiet_at(now));
        let lifetime = limits.lifetime.map(|lifetime| {
            let asked = self.was_asked_to_end.get();
            let until = if asked {
                lifetime
            } else {
                leaving_age(lifetime)
            };
            until.saturating_sub(self.age_at(now))
        });
        let idle = limits.idle.map(|limit| left(limit, read));
        let progress = limits
            .progress
            .map(|limit| left(limit, read).min(left(limit, written)));
        // Where nothing could be said now it is tried after the same time again: three of them are what
        // the peer waits for.
        let alive = self.alive_after.get().map(|after| left(after, written));
        let first = [lifetime, idle, progress, alive].into_iter().flatten();
        first.min().unwrap_or(Duration::MAX)
    }
}

/// Returns the age at which a connection that may last for `lifetime` asks its peer to end.
fn leaving_age(lifetime: Duration) -> Duration {
    lifetime / 8 * LEAVING_AFTER
}

/// The connections of a thread that have limits.
#[derive(Default)]
pub(crate) struct Watched {
    links: RefCell<Slab<Entry>>,
    /// When to look at which, the first one first. Some are out of date: see [`Entry::due`].
    queue: RefCell<BinaryHeap<Reverse<(u64, usize)>>>,
    /// The shortest times that matter to them, and to how many.
    shortest: RefCell<BTreeMap<Duration, usize>>,
    is_ticking: Cell<bool>,
    clock: TickClock,
    /// How long the current tick is to take.
    tick: Cell<Duration>,
    /// When the next tick is.
    upcoming: Cell<Duration>,
    /// The task that ticks.
    ticker: WakerCell,
    /// How many connections each limit has ended.
    expired: [Cell<u64>; 4],
    #[cfg(test)]
    looks: Cell<u64>,
}

/// A connection that is watched.
struct Entry {
    link: Weak<dyn Limited>,
    /// When it is looked at, in nanoseconds of the thread's clock. What the queue says else of this
    /// key is out of date.
    due: u64,
}

/// Keeps to `limits` from now on, until [`Watched::forget`].
pub(crate) fn watch(watched: &Rc<Watched>, link: &Rc<impl Limited + 'static>, limits: TimeLimits) {
    let tracker = link.tracker();
    tracker.limits.set(limits);
    let Some(shortest) = tracker.shortest() else {
        return;
    };
    let place: Weak<dyn Limited> = Rc::downgrade(link) as Weak<dyn Limited>;
    tracker.watched_as.set(Some(watched.enter(place, shortest)));
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

/// The same in nanoseconds, up to the end of the clock in 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Looks at the connections until there is none.
async fn tick(watched: Rc<Watched>) {
    while let Some(duration) = watched.look_at_due() {
        watched.begin_tick(duration);
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
    /// Returns when the next tick is: later than now by the clock of the thread, which goes by ticks.
    #[inline]
    pub(crate) fn upcoming(&self) -> Duration {
        self.upcoming.get()
    }

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

    /// Has a connection looked at with the next tick for the first time.
    fn enter(&self, link: Weak<dyn Limited>, shortest: Duration) -> usize {
        *self.shortest.borrow_mut().entry(shortest).or_default() += 1;
        let due = nanoseconds(self.clock.now.get()) + 1;
        let key = self.links.borrow_mut().insert(Entry { link, due });
        self.queue.borrow_mut().push(Reverse((due, key)));
        key
    }

    /// Forgets a connection, which is over.
    pub(crate) fn forget(&self, tracker: &IdleTracker) {
        let Some(key) = tracker.watched_as.take() else {
            return;
        };
        drop(self.links.borrow_mut().try_remove(key));
        let mut shortest = self.shortest.borrow_mut();
        if let Some(limit) = tracker.shortest()
            && let Some(count) = shortest.get_mut(&limit)
        {
            *count -= 1;
            if *count == 0 {
                shortest.remove(&limit);
            }
        }
        drop(shortest);
        self.drop_outdated();
    }

    /// Makes the queue shorter when most of it is about connections that are gone.
    fn drop_outdated(&self) {
        let links = self.links.borrow();
        let mut queue = self.queue.borrow_mut();
        if queue.len() > 2 * links.len() + OUTDATED_KEPT {
            queue.retain(|Reverse((due, key))| links.get(*key).is_some_and(|it| it.due == *due));
        }
    }

    /// Returns the next connection whose time to be looked at has come, if there is one.
    fn next_due(&self, now: u64) -> Option<(usize, Rc<dyn Limited>)> {
        let mut queue = self.queue.borrow_mut();
        loop {
            let &Reverse((due, key)) = queue.peek().filter(|Reverse((due, _))| *due <= now)?;
            queue.pop();
            let links = self.links.borrow();
            let entry = links.get(key).filter(|entry| entry.due == due);
            if let Some(link) = entry.and_then(|entry| entry.link.upgrade()) {
                return Some((key, link));
            }
        }
    }

    /// Has a connection looked at again `after` now, at the next tick at the earliest.
    fn look_again(&self, key: usize, now: u64, after: Duration) {
        let due = now.saturating_add(nanoseconds(after).max(1));
        if let Some(entry) = self.links.borrow_mut().get_mut(key) {
            entry.due = due;
            self.queue.borrow_mut().push(Reverse((due, key)));
        }
    }

    /// Looks at the connections whose time for that has come, and ends those whose time is up. Returns
    /// how long to wait, if there are any.
    fn look_at_due(&self) -> Option<Duration> {
        let time = self.clock.now.get();
        let now = nanoseconds(time);
        while let Some((key, link)) = self.next_due(now) {
            #[cfg(test)]
            self.looks.set(self.looks.get() + 1);
            let tracker = link.tracker();
            let Some(socket) = link.socket() else {
                self.forget(tracker);
                continue;
            };
            // A connection that nobody holds any more has limits of its own.
            let limit = match link.need() {
                Need::Use => tracker.look(&*link, &socket, time),
                Need::Arrival | Need::Nothing => None,
            };
            drop(socket);
            match limit {
                Some(limit) if self.clock.is_on_time() => self.end(&*link, limit),
                // At the next tick.
                Some(_) => self.look_again(key, now, Duration::ZERO),
                None => self.look_again(key, now, tracker.next_look(time)),
            }
        }
        let shortest = self.shortest.borrow();
        shortest.keys().next().copied().map(tick_for)
    }

    fn begin_tick(&self, duration: Duration) {
        self.tick.set(duration);
        self.upcoming.set(self.clock.now.get() + duration);
    }

    /// Ends a connection whose time is up.
    fn end(&self, link: &dyn Limited, limit: TimeLimit) {
        self.forget(link.tracker());
        let _telling = link.span().map(Span::entered);
        tracing::debug!(%limit, "a connection ends");
        self.count(limit);
        link.tracker().expired.set(Some(limit));
        // Whoever waits for it finds the reason.
        catch_panic(|| link.cut());
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

    /// A connection on which nothing happens.
    struct Idle {
        tracker: IdleTracker,
        socket: Rc<Socket>,
    }

    impl Idle {
        fn new() -> Rc<Self> {
            let (socket, _peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
            let shard = crate::net::Shard::current().expect("inside a runtime");
            let socket = Socket::new(socket.into(), &shard.driver).expect("a socket");
            Rc::new(Self {
                tracker: IdleTracker::default(),
                socket: Rc::new(socket),
            })
        }
    }

    impl Limited for Idle {
        fn tracker(&self) -> &IdleTracker {
            &self.tracker
        }

        fn socket(&self) -> Option<Rc<Socket>> {
            Some(Rc::clone(&self.socket))
        }

        fn need(&self) -> Need {
            Need::Use
        }

        fn span(&self) -> Option<Span> {
            None
        }

        fn tell_alive(&self) {}

        fn tell_leaving(&self) {}

        fn cut(&self) {}
    }

    /// Watched by nobody but who calls this: so many ticks pass.
    fn pass(watched: &Watched, ticks: u32) {
        for _ in 0..ticks {
            let duration = watched.look_at_due().expect("there are connections");
            watched.begin_tick(duration);
            watched.clock.advance(duration, duration);
        }
    }

    fn progress(seconds: u64) -> TimeLimits {
        TimeLimits {
            progress: Some(Duration::from_secs(seconds)),
            ..TimeLimits::default()
        }
    }

    #[test]
    fn an_idle_connection_is_looked_at_once_in_the_time_of_its_limit() {
        let runtime = crate::net::Runtime::builder().build().expect("a runtime");
        runtime.block_on(async {
            let watched = Rc::<Watched>::default();
            watched.is_ticking.set(true);
            let links: Vec<_> = (0..10).map(|_| Idle::new()).collect();
            for link in &links {
                watch(&watched, link, progress(60));
            }
            // Two minutes.
            pass(&watched, 2 * 240);
            let looks = watched.looks.get();
            assert!(
                (20..=30).contains(&looks),
                "{looks} looks at 10 connections"
            );
            // One with a short limit makes the ticks shorter, and the looks at the others no more.
            let short = Idle::new();
            let limits = TimeLimits {
                idle: Some(8 * TICK),
                ..TimeLimits::default()
            };
            watch(&watched, &short, limits);
            pass(&watched, 2);
            assert_eq!(watched.tick.get(), TICK);
            watched.forget(&short.tracker);
            pass(&watched, 1);
            assert_eq!(watched.tick.get(), LONGEST_TICK);
            assert!(watched.looks.get() <= looks + 2);
        });
    }

    #[test]
    fn nothing_is_kept_of_connections_that_have_come_and_gone() {
        let runtime = crate::net::Runtime::builder().build().expect("a runtime");
        runtime.block_on(async {
            let watched = Rc::<Watched>::default();
            watched.is_ticking.set(true);
            let (stays, goes) = (Idle::new(), Idle::new());
            watch(&watched, &stays, progress(60));
            for _ in 0..10_000 {
                watch(&watched, &goes, progress(30));
                pass(&watched, 1);
                watched.forget(&goes.tracker);
            }
            assert_eq!(watched.links.borrow().len(), 1);
            assert_eq!(watched.shortest.borrow().len(), 1);
            assert!(watched.queue.borrow().len() <= 2 + OUTDATED_KEPT);
            watched.forget(&stays.tracker);
            assert_eq!(watched.look_at_due(), None);
        });
    }

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
