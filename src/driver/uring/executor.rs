//! The tasks of one thread, and the loop that runs them and turns the ring.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

use async_task::{Builder, Runnable};
use slab::Slab;

use super::contained::Contained;
use super::polling::{Look, Polling};
use super::queue::Queue;
use super::remote::Remote;
use super::timer::{Sleep, Timers};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{thread_local, yield_now};

thread_local! {
    /// The executor that this thread is inside of.
    static CURRENT: RefCell<Option<Rc<Executor>>> = const { RefCell::new(None) };
}

/// Tasks that run before the ring is looked at again.
const TASKS_PER_TURN: usize = 64;
/// Looks at the queue between two looks at the clock while polling.
const LOOKS_PER_CLOCK: u32 = 16;

/// Ready tasks, sleeping tasks, and the queue that wakes them.
#[derive(Debug)]
pub(super) struct Executor {
    queue: Rc<Queue>,
    ready: RefCell<VecDeque<Runnable>>,
    /// All tasks that are not done, to be ended with the executor.
    alive: RefCell<Slab<Waker>>,
    timers: Rc<Timers>,
    /// Whether this thread has woken the future that is blocked on.
    is_root_woken: Cell<bool>,
    remote: Arc<Remote>,
    /// Whether the ring watches the doorbell of `remote`.
    watching: Cell<bool>,
    polling: Polling,
}

impl Executor {
    pub(super) fn new(queue: Rc<Queue>, remote: Remote, polling: Polling) -> Rc<Self> {
        Rc::new(Self {
            queue,
            ready: RefCell::default(),
            alive: RefCell::default(),
            timers: Rc::default(),
            is_root_woken: Cell::new(false),
            remote: Arc::new(remote),
            watching: Cell::new(false),
            polling,
        })
    }

    /// Returns the executor that this thread is inside of.
    pub(super) fn current() -> Option<Rc<Self>> {
        CURRENT
            .try_with(|current| current.borrow().clone())
            .ok()
            .flatten()
    }

    /// Whether this thread is inside no executor, and not ending.
    pub(super) fn can_enter() -> bool {
        CURRENT
            .try_with(|current| current.borrow().is_none())
            .unwrap_or(false)
    }

    fn enter(self: &Rc<Self>) -> Entered {
        Entered {
            previous: CURRENT.with(|current| current.replace(Some(Rc::clone(self)))),
        }
    }

    /// Gives `use_it` the executor of `remote`, if this thread is inside it. A thread that is
    /// ending is inside none.
    fn with_current<R>(remote: &Arc<Remote>, use_it: impl FnOnce(&Self) -> R) -> Option<R> {
        let look = |current: &RefCell<Option<Rc<Self>>>| {
            let current = current.borrow();
            let executor = current.as_ref()?;
            Arc::ptr_eq(&executor.remote, remote).then(|| use_it(executor))
        };
        CURRENT.try_with(look).ok().flatten()
    }

    /// Makes a task ready, whichever thread says so.
    fn schedule(remote: &Arc<Remote>, task: Runnable) {
        let mut task = Some(task);
        Self::with_current(remote, |executor| {
            executor.ready.borrow_mut().extend(task.take());
        });
        if let Some(task) = task {
            remote.push(task);
        }
    }

    /// Starts a task.
    pub(super) fn spawn<F>(self: &Rc<Self>, future: F) -> async_task::Task<Contained<F::Output>>
    where
        F: Future + 'static,
    {
        let mut alive = self.alive.borrow_mut();
        let entry = alive.vacant_entry();
        let registered = Registered {
            executor: Rc::clone(self),
            key: entry.key(),
        };
        let remote = Arc::clone(&self.remote);
        let future = Contained::new(Box::pin(future));
        let (task, handle) = Builder::new().propagate_panic(true).spawn_local(
            move |()| async move {
                let _registered = registered;
                Contained::new(future.await)
            },
            move |task| Self::schedule(&remote, task),
        );
        entry.insert(task.waker());
        drop(alive);
        task.schedule();
        handle
    }

    pub(super) fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(Rc::clone(&self.timers), duration)
    }

    /// Runs `future` and the tasks until it is done.
    pub(super) fn block_on<F: Future>(self: &Rc<Self>, future: F) -> F::Output {
        let _entered = self.enter();
        let root = Arc::new(Root {
            woken: AtomicBool::new(false),
            remote: Arc::clone(&self.remote),
        });
        self.is_root_woken.set(true);
        let waker = Waker::from(Arc::clone(&root));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            let woken_by_others = root.woken.swap(false, Ordering::AcqRel);
            if (self.is_root_woken.take() || woken_by_others)
                && let Poll::Ready(output) = future.as_mut().poll(&mut context)
            {
                return output;
            }
            self.run_ready();
            // A task may have forked, and this be the child, which has no ring.
            self.queue.status().expect_own_process();
            let is_ready = || {
                !self.ready.borrow().is_empty()
                    || self.is_root_woken.get()
                    || root.woken.load(Ordering::Acquire)
            };
            if is_ready() {
                self.queue.enter_now();
                self.process_events();
            } else {
                self.process_events();
                if !is_ready() {
                    self.wait();
                }
            }
        }
    }

    fn run_ready(&self) {
        for _ in 0..TASKS_PER_TURN {
            let task = self.ready.borrow_mut().pop_front();
            let Some(task) = task else { return };
            task.run();
        }
    }

    /// Processes completions, wake-ups and timers, without entering the kernel.
    fn process_events(&self) {
        // Without a ring nothing says that somebody has called.
        if self.queue.reap() || self.queue.status().check().is_err() {
            self.remote.doorbell().clear();
            self.watching.set(false);
        }
        if self.remote.is_pending() {
            self.remote.take(&mut *self.ready.borrow_mut());
        }
        self.timers.fire(Instant::now);
    }

    /// Submits queued entries, and waits until something has happened.
    fn wait(&self) {
        let has_ring = || self.queue.status().check().is_ok();
        let had_ring = has_ring();
        if !self.watching.replace(true) {
            self.queue.watch(self.remote.doorbell());
        }
        // Without a ring nothing clears what a look finds.
        if had_ring && let Some(look) = self.polling.look() {
            self.queue.enter_now();
            let has_found = self.poll_busily(look);
            self.polling.looked(has_found);
            if has_found {
                self.queue.enter_now();
                self.process_events();
                return;
            }
        }
        // Whom the end of the ring has woken is of this thread: nobody rings for that.
        if had_ring && !has_ring() {
            return self.process_events();
        }
        let start = Instant::now();
        let timeout = self.timers.next(|| start);
        if self.remote.park() {
            self.queue.enter_and_wait(timeout, self.remote.doorbell());
            self.remote.unpark();
        }
        self.polling.slept(start.elapsed());
        self.process_events();
    }

    /// Looks for something to do, for a time that only others who have the core meanwhile make longer;
    /// returns whether there is.
    fn poll_busily(&self, look: Look) -> bool {
        let start = Instant::now();
        let limit = match self.timers.next(|| start) {
            Some(timeout) => timeout.min(look.limit),
            None => look.limit,
        };
        loop {
            for _ in 0..LOOKS_PER_CLOCK {
                if self.queue.has_completions() || self.remote.is_pending() {
                    return true;
                }
                core::hint::spin_loop();
            }
            if look.yields {
                yield_now();
            }
            // Behind that: a core that others have had for longer was no gain.
            if start.elapsed() >= limit {
                return false;
            }
        }
    }

    /// Has this thread look before its next wait.
    #[cfg(test)]
    pub(super) fn look_next(&self) {
        while self.polling.look().is_none() {
            self.polling.slept(Duration::ZERO);
        }
    }

    /// Drops all tasks. None of them runs again, and later wake-ups go nowhere.
    pub(super) fn end(self: &Rc<Self>) {
        let _entered = self.enter();
        loop {
            let alive: Vec<Waker> = {
                let alive = self.alive.borrow();
                alive.iter().map(|(_, waker)| waker.clone()).collect()
            };
            if alive.is_empty() {
                break;
            }
            for waker in alive {
                waker.wake();
            }
            self.remote.take(&mut *self.ready.borrow_mut());
            let ready = core::mem::take(&mut *self.ready.borrow_mut());
            if ready.is_empty() {
                // Another thread has woken what is left, and is about to hand it over.
                yield_now();
            }
            // Each may start others while it goes.
            drop(ready);
        }
        drop(self.remote.close());
    }
}

/// Makes an executor current until dropped, and then the one before it.
struct Entered {
    previous: Option<Rc<Executor>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.replace(self.previous.take()));
    }
}

/// A task's place in the list of those that are not done.
struct Registered {
    executor: Rc<Executor>,
    key: usize,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let waker = self.executor.alive.borrow_mut().try_remove(self.key);
        drop(waker);
    }
}

/// Wakes the future that is blocked on.
struct Root {
    /// Whether another thread has. Only ever exchanged, as the flags of `remote`.
    woken: AtomicBool,
    remote: Arc<Remote>,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let wake = |executor: &Executor| executor.is_root_woken.set(true);
        if Executor::with_current(&self.remote, wake).is_none() {
            self.woken.swap(true, Ordering::Release);
            self.remote.notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Uring;
    use super::*;
    use crate::driver::{DriverError, DriverStatus};

    struct Tells(Rc<Cell<bool>>);

    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    // HAZARDS F14: what a look finds then stays for good.
    #[test]
    fn a_thread_without_its_ring_sleeps_and_does_not_look() {
        let status = Rc::new(DriverStatus::new());
        let ring = Uring::start(8, Duration::ZERO, &status).expect("io_uring");
        let executor = &ring.executor;
        executor.look_next();
        executor.polling.looked(false);
        executor.look_next();
        let before = format!("{:?}", executor.polling);
        status.fail(DriverError::Stalled);
        executor.block_on(executor.sleep(Duration::from_millis(2)));
        assert_eq!(format!("{:?}", executor.polling), before);
    }

    #[test]
    fn a_task_that_another_thread_is_about_to_hand_over_goes_with_its_executor() {
        let status = Rc::new(DriverStatus::new());
        let ring = Uring::start(8, Duration::ZERO, &status).expect("io_uring");
        let dropped = Rc::new(Cell::new(false));
        let held = Tells(Rc::clone(&dropped));
        let task = ring.executor.spawn(async move {
            let _held = held;
            core::future::pending::<()>().await;
        });
        task.detach();
        // Woken, as the task sees it, and not in the mailbox yet.
        let mut woken = Vec::new();
        ring.executor.remote.take(&mut woken);
        assert_eq!(woken.len(), 1);
        let remote = Arc::clone(&ring.executor.remote);
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            for task in woken {
                remote.push(task);
            }
        });
        drop(ring);
        assert!(dropped.get());
        thread.join().expect("the thread");
    }
}
