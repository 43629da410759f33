//! For how long a thread looks for something to do before it sleeps.
//!
//! To sleep and be woken costs both threads some microseconds, and on virtual machines many: whoever
//! wakes has to interrupt another core. Where waits are shorter than that, looking costs less than
//! sleeping does. So a thread that was told nothing else looks for as long as that before waits that are
//! likely to be short: those behind short ones. When it has looked in vain it leaves out more and more of
//! them, so that a thread whose waits are longer sleeps nearly always. It gives its core to whoever else
//! wants it meanwhile, who may be the one that it waits for.

use core::cell::Cell;
use core::time::Duration;

/// A wait that is likely to be followed by another short one.
pub(super) const SHORT: Duration = Duration::from_micros(100);
/// About what it costs to sleep and be woken, by measurement on virtual machines (benches/README.md).
const WORTH: Duration = Duration::from_micros(20);
/// Short waits that are left out between two looks, at most.
const MOST_LEFT_OUT: u32 = 1024;

/// A look before a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) limit: Duration,
    /// Whether others may have the core meanwhile.
    pub(super) yields: bool,
}

/// Decides before which waits a thread looks.
#[derive(Debug)]
pub(super) enum Polling {
    /// Before each, for as long as this.
    Always(Duration),
    /// Before waits that are likely to be short.
    WhereItPays {
        /// How long a short wait takes at most.
        short: Duration,
        /// Short waits that are left out before the next look.
        left_out: Cell<u32>,
        /// How many were left out last; twice as many follow the next look in vain.
        step: Cell<u32>,
    },
}

impl Polling {
    /// Looks before waits that are likely to be shorter than `short`.
    pub(super) const fn where_it_pays(short: Duration) -> Self {
        Self::WhereItPays {
            short,
            left_out: Cell::new(1),
            step: Cell::new(1),
        }
    }

    /// How to look before the next wait, if at all.
    pub(super) fn look(&self) -> Option<Look> {
        match self {
            Self::Always(limit) => Some(Look {
                limit: *limit,
                yields: false,
            }),
            Self::WhereItPays { left_out, .. } => (left_out.get() == 0).then_some(Look {
                limit: WORTH,
                yields: true,
            }),
        }
    }

    /// Notes whether a look has found something.
    pub(super) fn looked(&self, has_found: bool) {
        let Self::WhereItPays { left_out, step, .. } = self else {
            return;
        };
        if has_found {
            step.set(1);
        } else {
            step.set((step.get() * 2).min(MOST_LEFT_OUT));
            left_out.set(step.get());
        }
    }

    /// Notes how long the thread has slept.
    pub(super) fn slept(&self, duration: Duration) {
        if let Self::WhereItPays {
            short, left_out, ..
        } = self
            && duration < *short
        {
            left_out.set(left_out.get().saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITTLE: Duration = Duration::from_micros(30);
    const LONG: Duration = Duration::from_millis(1);

    /// Waits, with `found` as what each look comes to; returns whether it looked.
    fn wait(polling: &Polling, found: bool, slept: Duration) -> bool {
        let looks = polling.look().is_some();
        if looks {
            polling.looked(found);
        }
        if !(looks && found) {
            polling.slept(slept);
        }
        looks
    }

    #[test]
    fn long_waits_are_slept_through() {
        let polling = Polling::where_it_pays(SHORT);
        for _ in 0..10_000 {
            assert!(!wait(&polling, true, LONG));
        }
    }

    #[test]
    fn a_look_follows_a_short_wait_and_goes_on_while_it_finds_something() {
        let polling = Polling::where_it_pays(SHORT);
        assert!(!wait(&polling, true, LITTLE));
        for _ in 0..100 {
            let look = polling.look().expect("a look");
            assert!(look.limit < SHORT && look.yields);
            assert!(wait(&polling, true, LITTLE));
        }
    }

    #[test]
    fn a_look_in_vain_is_followed_by_twice_as_many_waits_without_one() {
        let polling = Polling::where_it_pays(SHORT);
        let mut between = Vec::new();
        let mut sleeps = 0;
        while between.len() < 13 {
            if wait(&polling, false, LITTLE) {
                between.push(sleeps);
                sleeps = 0;
            } else {
                sleeps += 1;
            }
        }
        // The sleep behind the look is one of those that follow it.
        let wanted = [1, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1023, 1023];
        assert_eq!(between, wanted);
        // One that finds something makes up for all of them.
        while !wait(&polling, true, LITTLE) {}
        assert!(wait(&polling, false, LITTLE));
        assert!(!wait(&polling, false, LITTLE));
        assert!(wait(&polling, false, LITTLE));
    }

    #[test]
    fn who_asks_for_it_looks_before_each_wait() {
        let polling = Polling::Always(LONG);
        for _ in 0..10 {
            let look = polling.look().expect("a look");
            assert_eq!((look.limit, look.yields), (LONG, false));
            assert!(wait(&polling, false, LONG));
        }
    }
}
