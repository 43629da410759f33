//! The driver on tokio-uring. No file outside this directory names that crate.
//!
//! What decides the shape here is how tokio-uring behaves: dropping its operation cancels
//! nothing, its teardown frees stored data before it cancels, submissions enter the kernel only
//! when the thread parks or the queue is full, and completions arrive by way of epoll.

mod oneshot;
mod registration;
mod watchdog;

use core::future::Future;
use std::io;
use std::rc::Rc;

use super::{RingState, StartError, probe, requirement};
use crate::memory::Pool;

pub(super) use oneshot::Oneshot;

/// tokio-uring's runtime.
pub(super) struct TokioUringRing {
    runtime: tokio_uring::Runtime,
}

impl TokioUringRing {
    pub(super) fn start(entries: u32, state: &Rc<RingState>) -> Result<Self, StartError> {
        // tokio-uring leaks descriptors when its own start fails, so a throw-away ring goes first.
        let builder = probe::usable_builder(entries, &requirement::WAITING_ELSEWHERE)?;
        let runtime = tokio_uring::Runtime::new(
            tokio_uring::builder()
                .entries(entries)
                .uring_builder(&builder),
        )
        .map_err(StartError::from_setup)?;
        let watchdog = watchdog::watch(Rc::clone(state), entries);
        runtime.block_on(async { drop(tokio_uring::spawn(watchdog)) });
        Ok(Self { runtime })
    }

    pub(super) fn register(&self, pool: &Pool) -> io::Result<()> {
        self.runtime
            .block_on(async { registration::register(pool.clone()) })
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

impl core::fmt::Debug for TokioUringRing {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("TokioUringRing")
            .finish_non_exhaustive()
    }
}
