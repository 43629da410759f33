//! How many connections wait for standard output.

use core::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, getrlimit};

/// How many connections that have ended may wait for standard output, beside its queue.
const MAX_ENDED: usize = 64;

/// Connections, of all threads, that wait for standard output.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Those that keep a descriptor meanwhile, because they can't read on to the end.
    stuck: AtomicUsize,
    max_stuck: usize,
    /// Those whose connection has ended.
    ended: AtomicUsize,
}

impl Crowd {
    /// Half of the descriptors that this process may have are for those who wait.
    pub(super) fn new() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current;
        Self {
            stuck: AtomicUsize::new(0),
            max_stuck: descriptors.map_or(usize::MAX, |most| {
                usize::try_from(most / 2).unwrap_or(usize::MAX)
            }),
            ended: AtomicUsize::new(0),
        }
    }

    /// Counts one more that can't read on; `None` if there are too many.
    pub(super) fn stuck(&self) -> Option<Counted<'_>> {
        Counted::up_to(self.max_stuck, &self.stuck)
    }

    /// Counts one more that has ended; `None` if there are too many.
    pub(super) fn ended(&self) -> Option<Counted<'_>> {
        Counted::up_to(MAX_ENDED, &self.ended)
    }
}

/// One more, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    /// Counts one more, unless there are as many as `limit`.
    pub(super) fn up_to(limit: usize, count: &'a AtomicUsize) -> Option<Self> {
        let counted = Self(count);
        // Given back at once by the drop where it was one too many.
        (count.fetch_add(1, Ordering::Relaxed) < limit).then_some(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
