//! What all of a run share: the clock, the trace, and what was seen.

use core::cell::RefCell;
use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::trace::Trace;

/// The surroundings of a run.
#[derive(Debug)]
pub(crate) struct World {
    start: Instant,
    trace: RefCell<Trace>,
    seen: RefCell<BTreeMap<&'static str, u64>>,
    /// When the clock has stepped, and by how much.
    steps: RefCell<Vec<(u64, u64)>>,
}

/// Notes a line in the trace.
macro_rules! note {
    ($world:expr, $($text:tt)+) => {
        $world.note(format_args!($($text)+))
    };
}
pub(crate) use note;

impl World {
    /// Begins now, inside a runtime.
    pub(crate) fn new(is_shown: bool) -> Self {
        Self {
            start: Instant::now(),
            trace: RefCell::new(Trace::new(is_shown)),
            seen: RefCell::default(),
            steps: RefCell::default(),
        }
    }

    /// Returns the virtual time in milliseconds since the run has begun.
    pub(crate) fn now(&self) -> u64 {
        milliseconds(self.start.elapsed())
    }

    pub(crate) fn note(&self, text: fmt::Arguments<'_>) {
        self.trace.borrow_mut().note(self.now(), text);
    }

    /// Leaves out of the hash what follows.
    pub(crate) fn seal(&self) {
        self.trace.borrow_mut().seal();
    }

    pub(crate) fn hash(&self) -> u64 {
        self.trace.borrow().hash()
    }

    /// Counts something that a run may come to.
    pub(crate) fn count(&self, what: &'static str) {
        *self.seen.borrow_mut().entry(what).or_default() += 1;
    }

    pub(crate) fn take_seen(&self) -> BTreeMap<&'static str, u64> {
        self.seen.take()
    }

    /// Has the clock step, as it does for a process that is stopped for so long.
    pub(crate) async fn step(&self, by: u64) {
        self.steps.borrow_mut().push((self.now(), by));
        note!(self, "the clock steps by {by} ms");
        self.count("the clock steps");
        tokio::time::advance(Duration::from_millis(by)).await;
    }

    /// Returns how much of the time since then was steps, and how many those were.
    pub(crate) fn stepped_since(&self, then: u64) -> (u64, u64) {
        self.stepped_between(then, u64::MAX)
    }

    /// Returns how much of the time from `then` until `end` was steps, and how many those were.
    pub(crate) fn stepped_between(&self, then: u64, end: u64) -> (u64, u64) {
        let steps = self.steps.borrow();
        let later = steps.iter().filter(|(at, _)| (then..end).contains(at));
        later.fold((0, 0), |(sum, count), (_, by)| (sum + by, count + 1))
    }
}

/// Returns whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("less than an age")
}
