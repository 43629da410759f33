//! The driver on tokio-uring, for programs whose tasks need timers and sockets of tokio on a ring
//! thread. No file outside this directory names that crate.
//!
//! **A turn** is that of tokio's current-thread runtime. Submissions enter the kernel only when the
//! thread parks or the queue is full, and completions arrive by way of epoll.
//!
//! What works around the rest: dropping an operation of tokio-uring cancels nothing, so [`oneshot`]
//! keeps it until its completion; its teardown frees stored data before it cancels, so a ring that
//! still has something in flight is leaked; a task that never idles holds back the submissions of
//! others, and a ring that can't be entered fails without an error, so [`watchdog`] sees to both.

mod oneshot;
mod registration;
mod waiting;
mod watchdog;

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::time::Duration;
use std::io;
use std::rc::Rc;

use super::{DriverStatus, StartError, epoll, probe, setup_flag};
use crate::memory::Pool;
use registration::Registered;

pub(super) use oneshot::{Oneshot, Oneshots};
use waiting::Waiting;

/// How long a ring that was given up may still count as locked memory.
const LET_GO: Duration = Duration::from_millis(50);

/// tokio-uring's runtime.
pub(super) struct TokioUring {
    /// `None` only while this is dropped.
    runtime: Option<tokio_uring::Runtime>,
    oneshots: Rc<Oneshots>,
    registered: Option<Registered>,
}

impl TokioUring {
    pub(super) fn start(entries: u32, status: &Rc<DriverStatus>) -> Result<Self, StartError> {
        // tokio-uring leaks descriptors when its own start fails, and does not tell what failed,
        // so a throw-away ring and a throw-away reactor go first.
        let builder = probe::usable_builder(entries, &setup_flag::WAITING_ELSEWHERE)?;
        drop(epoll::Epoll::start().map_err(StartError::Epoll)?);
        let start = || {
            let mut settings = tokio_uring::builder();
            let settings = settings.entries(entries).uring_builder(&builder);
            tokio_uring::Runtime::new(settings).map_err(StartError::from_setup)
        };
        let runtime = start().or_else(|_| {
            // The throw-away ring may still count.
            std::thread::sleep(LET_GO);
            start()
        })?;
        let waiting = Rc::new(Waiting::new(Rc::clone(status)));
        let (calling, watching) = (Rc::clone(&waiting), Rc::clone(&waiting));
        runtime.block_on(async {
            drop(tokio_uring::spawn(calling.call()));
            drop(tokio_uring::spawn(watchdog::watch(watching, entries)));
            // Both have had a turn then.
            tokio::task::yield_now().await;
        });
        Ok(Self {
            runtime: Some(runtime),
            oneshots: Rc::new(Oneshots::new(waiting)),
            registered: None,
        })
    }

    fn runtime(&self) -> &tokio_uring::Runtime {
        self.runtime.as_ref().expect("a runtime until the drop")
    }

    pub(super) fn oneshots(&self) -> &Rc<Oneshots> {
        &self.oneshots
    }

    pub(super) fn register(&mut self, pool: &Pool) -> io::Result<()> {
        let registered = self
            .runtime()
            .block_on(async { Registered::new(pool.clone()) })?;
        self.registered = Some(registered);
        Ok(())
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        self.runtime().block_on(poll_fn(|context| {
            self.oneshots.waiting().note_root(context.waker());
            future.as_mut().poll(context)
        }))
    }
}

impl Drop for TokioUring {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        let status = self.oneshots.waiting().status();
        if status.check().is_err() || watchdog::refusal().is_some() {
            // It would panic, or wait without end.
            tracing::warn!("tokio-uring can't let go of a ring that it can't enter; it is leaked");
            core::mem::forget(runtime);
            return;
        }
        // Closing the ring does it only some time later. While the kernel uses it, it would wait.
        if let Some(registered) = self.registered.take()
            && status.in_flight() == 0
            && let Err(error) = runtime.block_on(async { registered.end() })
        {
            tracing::debug!(%error, "the arena stays locked until the ring is gone");
        }
    }
}

impl core::fmt::Debug for TokioUring {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("TokioUring").finish_non_exhaustive()
    }
}
