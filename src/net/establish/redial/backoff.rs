//! How long to wait before the next attempt: twice as long as before, up to a limit, and never all
//! who lost the same listener at once.

use core::time::Duration;

/// How long a [`Redialer`](crate::Redialer) waits between two attempts.
///
/// The first pause is between a half and the whole of [`first`](Self::first), each further one between
/// a half and the whole of twice as much as the one before could be, up to
/// [`longest`](Self::longest). Where in there is left to chance, so that clients that have lost the
/// same listener do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// The first pause by default: 100 milliseconds.
    pub const DEFAULT_FIRST: Duration = Duration::from_millis(100);
    /// The longest pause by default: 30 seconds.
    pub const DEFAULT_LONGEST: Duration = Duration::from_secs(30);
    /// The shortest first pause that can be set, 1 millisecond, so that no setting is a busy loop.
    pub const SHORTEST: Duration = Duration::from_millis(1);
    /// The longest pause that can be set: a day.
    pub const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

    /// Sets the first and the longest pause. What is out of [`SHORTEST`](Self::SHORTEST) to
    /// [`LIMIT`](Self::LIMIT) becomes the nearest that is not, and `longest` at least `first`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        let first = first.clamp(Self::SHORTEST, Self::LIMIT);
        Self {
            first,
            longest: longest.clamp(first, Self::LIMIT),
        }
    }

    /// Returns how long the first pause is at most.
    #[must_use]
    pub const fn first(&self) -> Duration {
        self.first
    }

    /// Returns how long a pause is at most.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        self.longest
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Self::DEFAULT_FIRST, Self::DEFAULT_LONGEST)
    }
}

/// The pauses of one dialer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    backoff: Backoff,
    /// How long the next pause is at most.
    ceiling: Duration,
}

impl Schedule {
    pub(crate) const fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            ceiling: backoff.first,
        }
    }

    /// Returns how long to wait now. `random` is any number, each as likely as the others.
    pub(crate) fn next_pause(&mut self, random: u64) -> Duration {
        let ceiling = self.ceiling;
        let doubled = ceiling.saturating_mul(2);
        self.ceiling = doubled.min(self.backoff.longest);
        let half = ceiling / 2;
        half + share(ceiling.saturating_sub(half), random)
    }

    /// Notes how long a connection has lasted. Only one that has lasted as long as the longest pause
    /// shows that all is well again: a listener that accepts and then cuts must not be dialed in a
    /// busy loop.
    pub(crate) fn note_connection(&mut self, lasted: Duration) {
        if lasted >= self.backoff.longest {
            self.ceiling = self.backoff.first;
        }
    }
}

/// Returns as much of `whole`, of a day at most, as `random` is of all numbers.
fn share(whole: Duration, random: u64) -> Duration {
    let nanoseconds = whole.as_nanos().saturating_mul(u128::from(random)) >> u64::BITS;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any setting, sensible or not.
    fn backoffs() -> impl Strategy<Value = Backoff> {
        let times = || (0..=u64::MAX).prop_map(Duration::from_nanos);
        let short = || (0..100_000_u64).prop_map(Duration::from_millis);
        prop_oneof![
            (times(), times()).prop_map(|(first, longest)| Backoff::new(first, longest)),
            (short(), short()).prop_map(|(first, longest)| Backoff::new(first, longest)),
        ]
    }

    #[test]
    fn settings_out_of_range_become_the_nearest_that_is_in_it() {
        let none = Backoff::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(
            (none.first(), none.longest()),
            (Backoff::SHORTEST, Backoff::SHORTEST)
        );
        let all = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!(
            (all.first(), all.longest()),
            (Backoff::LIMIT, Backoff::LIMIT)
        );
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let second = Duration::from_secs(1);
        let mut schedule = Schedule::new(Backoff::new(second, 6 * second));
        let pauses = [(); 5].map(|()| schedule.next_pause(u64::MAX).as_secs_f64().round());
        assert_eq!(pauses, [1.0, 2.0, 4.0, 6.0, 6.0]);
        schedule.note_connection(5 * second);
        assert_eq!(schedule.next_pause(0), 3 * second);
        schedule.note_connection(6 * second);
        assert_eq!(schedule.next_pause(0), second / 2);
    }

    proptest! {
        #[test]
        fn pauses_stay_in_their_bounds_and_never_overflow(
            backoff in backoffs(),
            randoms in proptest::collection::vec(any::<u64>(), 1..80),
        ) {
            let mut schedule = Schedule::new(backoff);
            let mut ceiling = backoff.first();
            for random in randoms {
                let pause = schedule.next_pause(random);
                prop_assert!(ceiling / 2 <= pause && pause <= ceiling, "{pause:?} of {ceiling:?}");
                prop_assert!(pause >= Backoff::SHORTEST / 2 && pause <= backoff.longest());
                ceiling = (ceiling * 2).min(backoff.longest());
            }
        }

        #[test]
        fn chance_spreads_them_over_all_of_the_bounds(backoff in backoffs(), part in 0..16_u64) {
            let mut schedule = Schedule::new(backoff);
            let pause = schedule.next_pause(part << 60);
            let half = backoff.first() / 2;
            let expected = half + half * u32::try_from(part).expect("few") / 16;
            let difference = pause.abs_diff(expected);
            prop_assert!(difference <= Duration::from_nanos(32), "{pause:?}, {expected:?}");
        }
    }
}
