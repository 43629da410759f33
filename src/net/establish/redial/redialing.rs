//! What a dialer that dials again does next: an attempt, or a pause. Told what has happened and what
//! the time is; knows no socket, no task and no randomness.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use super::backoff::{Backoff, Schedule};
use super::outlook::RetryOutlook;
use crate::net::error::DialError;
use crate::net::establish::address::Address;

/// What a [`Redialer`](crate::Redialer) is at, for whoever wants to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum RedialState<'a, E = DialError> {
    /// An attempt begins.
    Connecting {
        /// Which one since the last connection, from 1.
        attempt: u64,
    },
    /// An attempt has given a connection.
    Connected {
        /// Where to.
        address: &'a Address,
    },
    /// A pause begins before the next attempt.
    Waiting {
        /// How long it is.
        pause: Duration,
        /// Why the attempt failed; `None` when it is the last connection that was lost.
        why: Option<&'a E>,
    },
    /// There will be no other attempt.
    GivenUp {
        /// Why.
        why: &'a E,
    },
}

/// Says whether an error is one to give up at.
type GivesUp<E> = dyn Fn(&E) -> bool + Send + Sync;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedialStep {
    /// Wait, and ask again.
    Wait(Duration),
    /// Dial, and tell how that went.
    Dial,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The next attempt can begin.
    Due,
    /// It can begin then.
    Paused { until: Instant },
    /// The last attempt gave a connection.
    Connected { since: Instant },
}

/// Attempts and pauses of one dialer. `W` is told of them.
pub(crate) struct Redialing<E, W: ?Sized> {
    schedule: Schedule,
    phase: Phase,
    attempts: u64,
    gives_up: Arc<GivesUp<E>>,
    watch: Option<Box<W>>,
}

impl<E: 'static, W: ?Sized + FnMut(&RedialState<'_, E>)> Redialing<E, W> {
    pub(crate) fn new(outlook: fn(&E) -> RetryOutlook) -> Self {
        Self {
            schedule: Schedule::new(Backoff::default()),
            phase: Phase::Due,
            attempts: 0,
            gives_up: Arc::new(move |error| outlook(error) == RetryOutlook::Hopeless),
            watch: None,
        }
    }

    pub(crate) fn set_backoff(&mut self, backoff: Backoff) {
        self.schedule = Schedule::new(backoff);
    }

    pub(crate) fn set_watch(&mut self, watch: Box<W>) {
        self.watch = Some(watch);
    }

    pub(crate) fn give_up_when(&mut self, gives_up: impl Fn(&E) -> bool + Send + Sync + 'static) {
        self.gives_up = Arc::new(gives_up);
    }

    /// Returns what is to be done at `now`. An attempt whose outcome nobody told was given up, and the
    /// next one is due.
    pub(crate) fn next(&mut self, now: Instant, random: impl FnOnce() -> u64) -> RedialStep {
        if let Phase::Connected { since } = self.phase {
            let lasted = now.saturating_duration_since(since);
            self.schedule.note_connection(lasted);
            self.pause(now, random(), None);
        }
        if let Phase::Paused { until } = self.phase {
            let left = until.saturating_duration_since(now);
            if !left.is_zero() {
                return RedialStep::Wait(left);
            }
        }
        self.phase = Phase::Due;
        self.attempts += 1;
        let attempt = self.attempts;
        self.tell(&RedialState::Connecting { attempt });
        RedialStep::Dial
    }

    /// The attempt has given a connection.
    pub(crate) fn connected(&mut self, now: Instant, address: &Address) {
        self.phase = Phase::Connected { since: now };
        self.attempts = 0;
        self.tell(&RedialState::Connected { address });
    }

    /// The attempt has failed.
    ///
    /// # Errors
    ///
    /// The same error, if there is to be no other attempt. Whoever asks again begins anew.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        random: impl FnOnce() -> u64,
        error: E,
    ) -> Result<(), E> {
        if (self.gives_up)(&error) {
            self.attempts = 0;
            self.tell(&RedialState::GivenUp { why: &error });
            return Err(error);
        }
        self.pause(now, random(), Some(&error));
        Ok(())
    }

    fn pause(&mut self, now: Instant, random: u64, why: Option<&E>) {
        let pause = self.schedule.next_pause(random);
        let until = now.checked_add(pause);
        self.phase = until.map_or(Phase::Due, |until| Phase::Paused { until });
        self.tell(&RedialState::Waiting { pause, why });
    }

    fn tell(&mut self, state: &RedialState<'_, E>) {
        if let Some(watch) = &mut self.watch {
            watch(state);
        }
    }
}

impl<E, W: ?Sized> fmt::Debug for Redialing<E, W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Redialing")
            .field("schedule", &self.schedule)
            .field("phase", &self.phase)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// Returns a number from the operating system; without one the pause is as long as it may be.
pub(crate) fn random_number() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Watch = dyn FnMut(&RedialState<'_, bool>);

    const SECOND: Duration = Duration::from_secs(1);
    const LEAST: fn() -> u64 = || 0;

    /// An error is whether it is a hopeless one.
    fn outlook(is_hopeless: &bool) -> RetryOutlook {
        match is_hopeless {
            true => RetryOutlook::Hopeless,
            false => RetryOutlook::Doubtful,
        }
    }

    fn redialing() -> (Redialing<bool, Watch>, Arc<Mutex<Vec<String>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut redialing = Redialing::<bool, Watch>::new(outlook);
        redialing.set_backoff(Backoff::new(2 * SECOND, 8 * SECOND));
        let list = Arc::clone(&told);
        redialing.set_watch(Box::new(move |state| {
            list.lock().expect("no panic").push(format!("{state:?}"));
        }));
        (redialing, told)
    }

    #[test]
    fn a_failure_is_followed_by_a_pause_that_no_impatience_makes_shorter() {
        let (mut redialing, told) = redialing();
        let start = Instant::now();
        assert_eq!(redialing.next(start, LEAST), RedialStep::Dial);
        // Nobody told how it went: the future was dropped.
        assert_eq!(redialing.next(start, LEAST), RedialStep::Dial);
        redialing
            .failed(start, LEAST, false)
            .expect("another attempt");
        assert_eq!(redialing.next(start, LEAST), RedialStep::Wait(SECOND));
        let later = start + SECOND / 4;
        assert_eq!(
            redialing.next(later, LEAST),
            RedialStep::Wait(SECOND / 4 * 3)
        );
        assert_eq!(redialing.next(start + SECOND, LEAST), RedialStep::Dial);
        let expected = [
            "Connecting { attempt: 1 }",
            "Connecting { attempt: 2 }",
            "Waiting { pause: 1s, why: Some(false) }",
            "Connecting { attempt: 3 }",
        ];
        assert_eq!(*told.lock().expect("no panic"), expected);
    }

    #[test]
    fn what_was_lost_is_dialed_after_a_pause_which_is_the_first_again_if_it_has_lasted() {
        let (mut redialing, told) = redialing();
        let mut now = Instant::now();
        for (lasted, pause) in [(0, 1), (0, 2), (7, 4), (0, 4), (8, 1), (0, 2)] {
            assert_eq!(redialing.next(now, LEAST), RedialStep::Dial);
            redialing.connected(now, &Address::Unnamed);
            now += lasted * SECOND;
            assert_eq!(redialing.next(now, LEAST), RedialStep::Wait(pause * SECOND));
            now += pause * SECOND;
        }
        let told = told.lock().expect("no panic");
        assert_eq!(
            told[1..3],
            [
                "Connected { address: Unnamed }",
                "Waiting { pause: 1s, why: None }"
            ]
        );
        assert!(told.iter().all(|line| !line.contains("attempt: 2")));
    }

    #[test]
    fn only_what_is_hopeless_ends_it_unless_somebody_says_otherwise() {
        let (mut redialing, told) = redialing();
        let now = Instant::now();
        assert_eq!(redialing.next(now, LEAST), RedialStep::Dial);
        assert!(redialing.failed(now, LEAST, true).is_err());
        assert_eq!(told.lock().expect("no panic")[1], "GivenUp { why: true }");
        assert_eq!(redialing.next(now, LEAST), RedialStep::Dial, "asked again");
        redialing.give_up_when(|_| false);
        redialing.failed(now, LEAST, true).expect("another attempt");
        redialing.give_up_when(|_| true);
        assert!(redialing.failed(now, LEAST, false).is_err());
    }
}
