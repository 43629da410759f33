//! Wake-ups that come from other threads, or while the executor is not running.

use std::io;
use std::sync::PoisonError;

use async_task::Runnable;

use super::doorbell::Doorbell;
use crate::memory::ProcessMark;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// The mailbox of an executor: all of it that other threads can see.
#[derive(Debug)]
pub(super) struct Remote {
    tasks: Mutex<Tasks>,
    /// Whether there is anything to look at.
    pending: AtomicBool,
    /// Whether the executor waits in the kernel, or is about to.
    parked: AtomicBool,
    doorbell: Doorbell,
    /// A forked child has the doorbell, and perhaps the lock, as the executor's own process left
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
            doorbell: Doorbell::new()?,
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
        // Both flags are only ever exchanged, by callers and by the executor. So whoever comes later
        // sees all that those before did, also where another caller came between: either the executor
        // sees that something is pending, with what was done before, or it is rung for.
        self.pending.swap(true, Ordering::Release);
        if self.parked.swap(false, Ordering::AcqRel) {
            self.doorbell.ring();
        }
    }

    /// Whether somebody has called since the last [`take`](Self::take).
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// Says that the executor is going to wait; returns whether it may.
    pub(super) fn park(&self) -> bool {
        self.parked.swap(true, Ordering::AcqRel);
        let may = !self.pending.load(Ordering::Acquire);
        if !may {
            self.unpark();
        }
        may
    }

    /// Says that the executor is awake again.
    pub(super) fn unpark(&self) {
        self.parked.swap(false, Ordering::AcqRel);
    }

    /// Moves the tasks that others have woken to the back of `ready`.
    pub(super) fn take(&self, ready: &mut impl Extend<Runnable>) {
        self.pending.swap(false, Ordering::AcqRel);
        ready.extend(self.tasks().ready.drain(..));
    }

    /// Takes nothing more, and returns what is there.
    pub(super) fn close(&self) -> Vec<Runnable> {
        let mut tasks = self.tasks();
        tasks.closed = true;
        core::mem::take(&mut tasks.ready)
    }

    /// Returns what rings when the executor is called while it is parked.
    pub(super) fn doorbell(&self) -> &Doorbell {
        &self.doorbell
    }
}
