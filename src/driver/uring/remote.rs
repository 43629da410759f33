//! Wake-ups that come from other threads, or while the executor is not running.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_task::Runnable;
use rustix::event::{EventfdFlags, eventfd};

use crate::memory::ProcessMark;

/// The mailbox of an executor: all of it that other threads can see.
#[derive(Debug)]
pub(super) struct Remote {
    tasks: Mutex<Tasks>,
    /// Whether there is anything to look at.
    pending: AtomicBool,
    /// Whether the executor waits in the kernel, or is about to.
    parked: AtomicBool,
    descriptor: OwnedFd,
    /// A forked child has the descriptor, and perhaps the lock, as the executor's own process left
    /// them, and is to call nobody there.
    process: ProcessMark,
}

#[derive(Debug, Default)]
struct Tasks {
    ready: Vec<Runnable>,
    /// Set when the executor is gone.
    closed: bool,
}

impl Remote {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            tasks: Mutex::default(),
            pending: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            descriptor: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            process: ProcessMark::current(),
        })
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the executor run `task`.
    pub(super) fn push(&self, task: Runnable) {
        if self.process.is_inherited() {
            core::mem::forget(task);
            return;
        }
        let mut tasks = self.tasks();
        if tasks.closed {
            // A task may be dropped on its own thread only, and that has no use for it.
            core::mem::forget(task);
            return;
        }
        tasks.ready.push(task);
        drop(tasks);
        self.notify();
    }

    /// Has the executor look around.
    pub(super) fn notify(&self) {
        if self.process.is_inherited() {
            return;
        }
        // Both sides write their own flag before they read the other's, so one of them sees.
        self.pending.store(true, Ordering::SeqCst);
        if self.parked.swap(false, Ordering::SeqCst) {
            // Fails only when the counter is full, and then the descriptor is readable.
            let _ = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes());
        }
    }

    /// Whether somebody has called since the last [`take`](Self::take).
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// Says that the executor is going to wait; returns whether it may.
    pub(super) fn park(&self) -> bool {
        self.parked.store(true, Ordering::SeqCst);
        let may = !self.pending.load(Ordering::SeqCst);
        if !may {
            self.unpark();
        }
        may
    }

    /// Says that the executor is awake again.
    pub(super) fn unpark(&self) {
        self.parked.store(false, Ordering::SeqCst);
    }

    /// Moves the tasks that others have woken to the back of `ready`.
    pub(super) fn take(&self, ready: &mut impl Extend<Runnable>) {
        self.pending.store(false, Ordering::SeqCst);
        ready.extend(self.tasks().ready.drain(..));
    }

    /// Takes nothing more, and returns what is there.
    pub(super) fn close(&self) -> Vec<Runnable> {
        let mut tasks = self.tasks();
        tasks.closed = true;
        core::mem::take(&mut tasks.ready)
    }

    /// Returns what becomes readable when the executor is called while it is parked.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Makes the descriptor unreadable again.
    pub(super) fn clear(&self) {
        // Fails only when nothing is there.
        let _ = rustix::io::read(&self.descriptor, &mut [0_u8; 8]);
    }
}
