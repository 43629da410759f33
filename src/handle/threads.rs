//! How jobs get to ring threads.

use futures_channel::mpsc;

use crate::driver::ProcessMark;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// What a ring thread is asked to do. It only starts tasks.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The ends of the threads' queues where jobs go in.
#[derive(Debug)]
pub(super) struct Threads {
    jobs: Vec<mpsc::UnboundedSender<Job>>,
    /// Whose turn it is.
    next: AtomicUsize,
    /// A forked child has none of the threads.
    process: ProcessMark,
}

impl Threads {
    pub(super) fn new(jobs: Vec<mpsc::UnboundedSender<Job>>) -> Self {
        Self {
            jobs,
            next: AtomicUsize::new(0),
            process: ProcessMark::current(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.jobs.len()
    }

    /// Whether this process is a forked child, which has none of the threads.
    pub(super) fn is_inherited(&self) -> bool {
        self.process.is_inherited()
    }

    /// Gives the job to the next thread that takes it. When all have ended it is dropped.
    pub(super) fn post(&self, mut job: Job) {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..self.count() {
            let thread = first.wrapping_add(offset) % self.count();
            match self.try_post(thread, job) {
                Ok(()) => return,
                Err(refused) => job = refused,
            }
        }
    }

    /// Gives the job to this thread; returns whether that takes any.
    pub(super) fn post_to(&self, thread: usize, job: Job) -> bool {
        self.try_post(thread, job).is_ok()
    }

    fn try_post(&self, thread: usize, job: Job) -> Result<(), Job> {
        let posted = self.jobs[thread].unbounded_send(job);
        posted.map_err(mpsc::TrySendError::into_inner)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The other ends are the parent's, and their locks as it left them.
        if self.process.is_inherited() {
            core::mem::forget(core::mem::take(&mut self.jobs));
        }
    }
}
