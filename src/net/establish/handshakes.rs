//! The handshakes of a listener that go on at the same time: which of them is worked on next, which
//! is over, and which makes way.
//!
//! * The oldest that can go on is worked on first. When there is more work than time, those that
//!   came first are done in time and the others fail, instead of all coming too late together.
//! * A handshake that has waited for its turn so long that it can hardly be done in time is given
//!   up before any work is spent on it. Without that the oldest would always be the one whose
//!   time is just over.
//! * Where there is no room for another client, a handshake that waits for its peer makes way:
//!   of those whose peer has sent nothing the one that has waited for longest, then of those
//!   whose peer has not proved its key. Who proved it stays, unless its source has more than
//!   half of all and others want in.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::Instant;

use super::address::Address;
use super::progress::{Progress, Stage};
use super::source::Source;
use crate::driver;
use crate::net::error::{AcceptError, AttemptError, Phase};

/// How long a peer is waited for before its handshake may make way. What it has sent may be here
/// and not yet noticed.
const GRACE: Duration = Duration::from_millis(10);

/// What a handshake may take, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    pub(crate) first_message: Duration,
    pub(crate) count: usize,
}

impl Limits {
    /// How many of all the handshakes one source may have when others want in.
    fn share(&self) -> usize {
        self.count.div_ceil(2)
    }

    /// How long a handshake may wait for its turn and still be begun.
    fn patience(&self) -> Duration {
        self.deadline / 4 * 3
    }
}

/// Whose handshakes a listener gives up that ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum GivenUp {
    #[default]
    Nobody,
    /// Those who have not proved their key. The others may believe that they are in.
    Unproven,
    Everybody,
}

type Work<T> = Pin<Box<dyn Future<Output = Result<T, AttemptError>>>>;

/// Handshakes by age.
pub(crate) struct Handshakes<T> {
    limits: Limits,
    running: BTreeMap<u64, Handshake<T>>,
    next_key: u64,
    /// Those whose first message is not complete.
    unclaimed: BTreeSet<u64>,
    /// Those that can go on, and since when.
    ready: BTreeMap<u64, Instant>,
    woken: Arc<Woken>,
    alarm: Option<Alarm>,
    /// When somebody may make way who may not yet.
    grace_until: Option<Instant>,
}

struct Handshake<T> {
    work: Work<T>,
    waker: Waker,
    progress: Rc<Progress>,
    address: Address,
    source: Source,
    begun: Instant,
}

impl<T> Handshake<T> {
    fn has_lasted(&self, limit: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) >= limit
    }
}

/// What a step has brought.
pub(crate) enum Step<T> {
    /// A handshake has ended.
    Ended(Result<T, AcceptError>),
    /// One was worked on, and there may be more to do.
    Worked,
    /// Nothing can be done now. The task is woken when that changes.
    Waits,
}

/// What is to be done with the next client when there is no room.
enum Choice {
    Displace(u64),
    /// Somebody may make way then.
    WaitUntil(Instant),
    /// Somebody may make way once it was worked on.
    Wait,
}

impl<T> Handshakes<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            running: BTreeMap::new(),
            next_key: 0,
            unclaimed: BTreeSet::new(),
            ready: BTreeMap::new(),
            woken: Arc::default(),
            alarm: None,
            grace_until: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// Begins a handshake with the client at `address`.
    pub(crate) fn begin(
        &mut self,
        (address, source): (Address, Source),
        progress: Rc<Progress>,
        work: Work<T>,
    ) {
        let key = self.next_key;
        self.next_key += 1;
        let begun = driver::now();
        let woken = Arc::clone(&self.woken);
        let handshake = Handshake {
            work,
            waker: Arc::new(HandshakeWaker { key, woken }).into(),
            progress,
            address,
            source,
            begun,
        };
        self.running.insert(key, handshake);
        self.unclaimed.insert(key);
        self.ready.insert(key, begun);
    }

    /// Ends those that a listener gives up which ends; returns what is to be told of them.
    pub(crate) fn give_up(&mut self, given_up: GivenUp) -> Vec<AcceptError> {
        let is_given_up = |progress: &Progress| match given_up {
            GivenUp::Nobody => false,
            GivenUp::Unproven => progress.stage() < Stage::Proven,
            GivenUp::Everybody => true,
        };
        let keys = (self.running.iter())
            .filter(|(_, handshake)| is_given_up(&handshake.progress))
            .map(|(&key, _)| key);
        let keys: Vec<u64> = keys.collect();
        let end = |key| {
            let handshake = self.take_out(key);
            handshake.progress.end_listener();
            AcceptError {
                address: handshake.address.clone(),
                reason: AttemptError::ListenerEnded,
            }
        };
        keys.into_iter().map(end).collect()
    }

    /// Ends a handshake whose time is over, or works on the oldest that can go on.
    pub(crate) fn step(&mut self, context: &mut Context<'_>) -> Step<T> {
        let now = driver::now();
        self.woken.set_task(context);
        for key in self.woken.take() {
            if self.running.contains_key(&key) {
                self.ready.entry(key).or_insert(now);
            }
        }
        if let Some((key, reason)) = self.overdue(now) {
            return self.end(key, Err(reason));
        }
        let Some((key, since)) = self.ready.pop_first() else {
            return self.wait(context, now);
        };
        let handshake = self.running.get_mut(&key).expect("ready ones are running");
        let waited = now.saturating_duration_since(since);
        if waited > self.limits.patience() && handshake.progress.stage() < Stage::Proven {
            return self.end(key, Err(AttemptError::Overloaded));
        }
        let waker = handshake.waker.clone();
        let poll = handshake
            .work
            .as_mut()
            .poll(&mut Context::from_waker(&waker));
        if handshake.progress.stage() >= Stage::Claimed {
            self.unclaimed.remove(&key);
        }
        match poll {
            Poll::Ready(outcome) => self.end(key, outcome),
            Poll::Pending => Step::Worked,
        }
    }

    /// Finds a handshake whose time is over.
    fn overdue(&self, now: Instant) -> Option<(u64, AttemptError)> {
        let (&oldest, handshake) = self.running.first_key_value()?;
        // What it can go on with may have come in time, while this process had none.
        if handshake.has_lasted(self.limits.deadline, now) && !self.ready.contains_key(&oldest) {
            let phase = Phase::Handshake;
            return Some((oldest, AttemptError::Deadline { phase }));
        }
        let limit = self.limits.first_message;
        self.unclaimed
            .iter()
            .take_while(|key| self.running[*key].has_lasted(limit, now))
            // The message may be among what it can go on with.
            .find(|key| !self.ready.contains_key(*key))
            .map(|&key| (key, AttemptError::NoFirstMessage))
    }

    fn end(&mut self, key: u64, outcome: Result<T, AttemptError>) -> Step<T> {
        let address = self.take_out(key).address;
        Step::Ended(outcome.map_err(|reason| AcceptError { address, reason }))
    }

    fn take_out(&mut self, key: u64) -> Handshake<T> {
        self.unclaimed.remove(&key);
        self.ready.remove(&key);
        self.running.remove(&key).expect("it is running")
    }

    /// Has the task woken when the next time is over.
    fn wait(&mut self, context: &mut Context<'_>, now: Instant) -> Step<T> {
        let oldest = self.running.values().next();
        let deadline = oldest.and_then(|it| it.begun.checked_add(self.limits.deadline));
        let unclaimed = self.unclaimed.first().map(|key| &self.running[key]);
        let first_message =
            unclaimed.and_then(|it| it.begun.checked_add(self.limits.first_message));
        let due = [deadline, first_message, self.grace_until];
        let Some(due) = due.into_iter().flatten().min() else {
            self.alarm = None;
            return Step::Waits;
        };
        let alarm = match &mut self.alarm {
            // One that comes too early is only looked at once more.
            Some(alarm) if alarm.due <= due => alarm,
            alarm => alarm.insert(Alarm::new(due, now)),
        };
        if alarm.sleep.as_mut().poll(context).is_pending() {
            return Step::Waits;
        }
        self.alarm = None;
        self.grace_until = None;
        Step::Worked
    }

    /// Has a handshake make way for a client of `source`, if one can.
    pub(crate) fn displace(&mut self, source: Source) -> Option<AcceptError> {
        let now = driver::now();
        self.grace_until = None;
        match self.choose(source, now)? {
            Choice::Displace(key) => match self.end(key, Err(AttemptError::MadeWay)) {
                Step::Ended(Err(error)) => Some(error),
                _ => None,
            },
            Choice::WaitUntil(due) => {
                self.grace_until = Some(due);
                None
            }
            Choice::Wait => None,
        }
    }

    fn choose(&self, source: Source, now: Instant) -> Option<Choice> {
        let mut counts = BTreeMap::<Source, usize>::new();
        for handshake in self.running.values() {
            *counts.entry(handshake.source).or_default() += 1;
        }
        let share = self.limits.share();
        if counts.get(&source).is_some_and(|&count| count >= share) {
            return self.weakest(now, |other| other == source);
        }
        let Some((&greedy, _)) = counts.iter().find(|(_, count)| **count > share) else {
            return self.weakest(now, |_| true);
        };
        let is_greedy = |other| other == greedy;
        self.weakest(now, is_greedy).or_else(|| {
            let mut youngest = self.running.iter().rev();
            let (&key, _) = youngest.find(|(_, handshake)| is_greedy(handshake.source))?;
            Some(Choice::Displace(key))
        })
    }

    /// Finds who may make way among the handshakes of some sources, none of whom has proved a key.
    fn weakest(&self, now: Instant, is_among: impl Fn(Source) -> bool) -> Option<Choice> {
        let among = || (self.running.iter()).filter(|(_, handshake)| is_among(handshake.source));
        let is_silent = |handshake: &Handshake<T>| handshake.progress.stage() == Stage::Silent;
        let any_silent = among().any(|(_, handshake)| is_silent(handshake));
        let longest = among()
            .filter(|(_, handshake)| match any_silent {
                true => is_silent(handshake),
                false => handshake.progress.stage() < Stage::Proven,
            })
            .filter(|(key, _)| !self.ready.contains_key(*key))
            .filter_map(|(&key, handshake)| Some((handshake.progress.waiting_since()?, key)))
            .min();
        match longest {
            Some((since, key)) if now >= since + GRACE => Some(Choice::Displace(key)),
            Some((since, _)) => Some(Choice::WaitUntil(since + GRACE)),
            None => any_silent.then_some(Choice::Wait),
        }
    }
}

impl<T> Drop for Handshakes<T> {
    fn drop(&mut self) {
        for handshake in self.running.values() {
            handshake.progress.end_listener();
        }
    }
}

/// A timer for all handshakes.
struct Alarm {
    due: Instant,
    sleep: Pin<Box<dyn Future<Output = ()>>>,
}

impl Alarm {
    fn new(due: Instant, now: Instant) -> Self {
        let sleep = Box::pin(driver::sleep(due.saturating_duration_since(now)));
        Self { due, sleep }
    }
}

/// Handshakes that were woken, from whichever thread.
#[derive(Debug, Default)]
struct Woken {
    state: Mutex<WokenState>,
}

#[derive(Debug, Default)]
struct WokenState {
    keys: BTreeSet<u64>,
    task: Option<Waker>,
}

impl Woken {
    fn state(&self) -> MutexGuard<'_, WokenState> {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> BTreeSet<u64> {
        core::mem::take(&mut self.state().keys)
    }

    fn set_task(&self, context: &Context<'_>) {
        let mut state = self.state();
        match &mut state.task {
            Some(task) => task.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
    }
}

/// Wakes the task of the listener on behalf of one handshake.
struct HandshakeWaker {
    key: u64,
    woken: Arc<Woken>,
}

impl Wake for HandshakeWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.woken.state();
        state.keys.insert(self.key);
        let task = state.task.clone();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use core::cell::RefCell;
    use core::future::poll_fn;

    use super::*;
    use crate::net::Runtime;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: Limits = Limits {
        deadline: Duration::from_secs(8),
        first_message: Duration::from_secs(2),
        count: 256,
    };

    /// Runs `test` in time that passes only while it sleeps.
    fn run(test: impl Future<Output = ()>) {
        let runtime = Runtime::builder().paused_time().build().expect("epoll");
        runtime.block_on(test);
    }

    fn begin<T>(
        handshakes: &mut Handshakes<T>,
        make: impl FnOnce(Rc<Progress>) -> Work<T>,
    ) -> Rc<Progress> {
        let progress = Rc::new(Progress::default());
        let who = (Address::Unnamed, Source::Unknown);
        handshakes.begin(who, Rc::clone(&progress), make(Rc::clone(&progress)));
        progress
    }

    /// Works until there is nothing to do; returns what has ended.
    async fn work<T>(handshakes: &mut Handshakes<T>) -> Vec<Result<T, AttemptError>> {
        let mut ended = Vec::new();
        poll_fn(|context| {
            loop {
                match handshakes.step(context) {
                    Step::Ended(outcome) => ended.push(outcome.map_err(|error| error.reason)),
                    Step::Worked => {}
                    Step::Waits => return Poll::Ready(()),
                }
            }
        })
        .await;
        ended
    }

    #[test]
    fn the_oldest_that_can_go_on_is_worked_on_first() {
        run(async {
            let mut handshakes = Handshakes::<()>::new(LIMITS);
            let polled = Rc::new(RefCell::new(Vec::new()));
            let wakers = Rc::new(RefCell::new(BTreeMap::new()));
            for index in 0..4 {
                let (polled, wakers) = (Rc::clone(&polled), Rc::clone(&wakers));
                begin(&mut handshakes, |_| {
                    Box::pin(poll_fn(move |context| {
                        polled.borrow_mut().push(index);
                        wakers.borrow_mut().insert(index, context.waker().clone());
                        Poll::Pending
                    }))
                });
            }
            assert!(work(&mut handshakes).await.is_empty());
            assert_eq!(polled.take(), [0, 1, 2, 3]);
            for index in [3, 1, 2, 1] {
                wakers.borrow()[&index].wake_by_ref();
            }
            assert!(work(&mut handshakes).await.is_empty());
            assert_eq!(polled.take(), [1, 2, 3]);
        });
    }

    #[test]
    fn each_limit_counts_from_the_beginning() {
        run(async {
            let mut handshakes = Handshakes::<()>::new(LIMITS);
            let pending = |_| -> Work<()> { Box::pin(core::future::pending()) };
            let claimed = begin(&mut handshakes, |progress| {
                progress.reach(Stage::Claimed);
                Box::pin(core::future::pending())
            });
            assert!(work(&mut handshakes).await.is_empty());
            driver::sleep(SECOND).await;
            begin(&mut handshakes, pending);
            assert!(work(&mut handshakes).await.is_empty());
            driver::sleep(SECOND * 2).await;
            let ended = work(&mut handshakes).await;
            assert!(
                matches!(ended[..], [Err(AttemptError::NoFirstMessage)]),
                "{ended:?}"
            );
            driver::sleep(SECOND * 5).await;
            let ended = work(&mut handshakes).await;
            assert!(
                matches!(ended[..], [Err(AttemptError::Deadline { .. })]),
                "{ended:?}"
            );
            assert_eq!(claimed.stage(), Stage::Claimed);
            assert_eq!(handshakes.len(), 0);
        });
    }

    // HAZARDS F10.
    #[test]
    fn what_came_while_this_process_was_stopped_is_in_time() {
        run(async {
            let mut handshakes = Handshakes::<()>::new(LIMITS);
            let waker = Rc::new(RefCell::new(None));
            let is_here = Rc::new(core::cell::Cell::new(false));
            let (given, here) = (Rc::clone(&waker), Rc::clone(&is_here));
            begin(&mut handshakes, |progress| {
                progress.reach(Stage::Claimed);
                Box::pin(poll_fn(move |context| {
                    *given.borrow_mut() = Some(context.waker().clone());
                    match here.get() {
                        true => Poll::Ready(Ok(())),
                        false => Poll::Pending,
                    }
                }))
            });
            assert!(work(&mut handshakes).await.is_empty());
            driver::sleep(LIMITS.deadline * 2).await;
            is_here.set(true);
            waker.take().expect("it was polled").wake();
            let ended = work(&mut handshakes).await;
            assert!(matches!(ended[..], [Ok(())]), "{ended:?}");
        });
    }

    #[test]
    fn the_task_is_woken_when_a_limit_is_over() {
        run(async {
            let limits = Limits {
                deadline: Duration::MAX,
                ..LIMITS
            };
            let mut handshakes = Handshakes::<()>::new(limits);
            begin(&mut handshakes, |_| Box::pin(core::future::pending()));
            let start = driver::now();
            let reason = poll_fn(|context| {
                loop {
                    match handshakes.step(context) {
                        Step::Ended(outcome) => return Poll::Ready(outcome),
                        Step::Worked => {}
                        Step::Waits => return Poll::Pending,
                    }
                }
            });
            let reason = reason.await.expect_err("silent").reason;
            assert!(matches!(reason, AttemptError::NoFirstMessage), "{reason:?}");
            let lasted = driver::now() - start;
            assert!(lasted >= LIMITS.first_message && lasted < LIMITS.first_message * 2);
        });
    }

    // Four times as many clients come as there is time for, and that goes on for two minutes. What
    // there is time for is used well.
    #[test]
    fn lasting_overload_is_no_reason_for_all_to_come_too_late() {
        const COST: Duration = Duration::from_millis(100);
        run(async {
            let mut handshakes = Handshakes::<()>::new(LIMITS);
            let (mut begun, mut served) = (0, 0);
            let start = driver::now();
            while driver::now() < start + SECOND * 120 {
                while start + COST / 2 * begun <= driver::now() {
                    begun += 1;
                    begin(&mut handshakes, |progress| {
                        Box::pin(async move {
                            progress.reach(Stage::Proven);
                            driver::sleep(COST / 5).await;
                            Ok(())
                        })
                    });
                }
                let step = poll_fn(|context| Poll::Ready(handshakes.step(context))).await;
                match step {
                    Step::Ended(Ok(())) => served += 1,
                    Step::Ended(Err(_)) => continue,
                    Step::Worked | Step::Waits => {}
                }
                driver::sleep(COST).await;
            }
            // Two steps each.
            let possible = 120 * 1000 / 200;
            assert!(served > possible * 3 / 4, "{served} of {possible}");
        });
    }
}
