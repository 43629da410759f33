//! Wake-ups of a ring thread by others.

use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use loom::thread;

use super::executor::Executor;
use super::polling::Polling;
use super::queue::Queue;
use super::remote::Remote;
use crate::driver::{DriverStatus, give_others_a_turn};
use crate::signal::Signal;
use crate::sync::atomic::{AtomicUsize, Ordering};

fn executor() -> Rc<Executor> {
    let queue = Queue::new(Rc::new(DriverStatus::new()));
    let remote = Remote::new().expect("it cannot fail here");
    // No wait is shorter than that: what is done must not depend on the time.
    let polling = Polling::where_it_pays(Duration::ZERO);
    Executor::new(Rc::new(queue), remote, polling)
}

/// Has another thread give a signal.
fn given_by_another(signal: &Arc<Signal>) -> thread::JoinHandle<()> {
    let signal = Arc::clone(signal);
    thread::spawn(move || signal.give())
}

/// Two threads wake what is blocked on: it sees both, however they meet the thread on its way to sleep.
pub(crate) fn the_future_that_is_blocked_on_sees_every_wake() {
    let executor = executor();
    let signals = [Arc::new(Signal::default()), Arc::new(Signal::default())];
    let others = signals.each_ref().map(given_by_another);
    executor.block_on(async {
        for signal in &signals {
            signal.given().await;
        }
    });
    executor.end();
    for other in others {
        other.join().expect("no panic");
    }
}

/// A task is woken by another thread, and wakes what is blocked on.
pub(crate) fn a_task_sees_every_wake() {
    let executor = executor();
    let signal = Arc::new(Signal::default());
    let waited_for = Arc::clone(&signal);
    let task = executor.spawn(async move { waited_for.given().await });
    let other = given_by_another(&signal);
    executor.block_on(task);
    executor.end();
    other.join().expect("no panic");
}

/// Says when it is dropped.
struct Tells(Arc<AtomicUsize>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// Has the checker see that the order of what is around this makes a difference: it sees nothing of what
/// async-task does.
fn touch(drops: &AtomicUsize) {
    drops.fetch_add(0, Ordering::AcqRel);
}

/// An executor ends while another thread wakes one of its tasks: the task goes with it, on its thread.
pub(crate) fn a_task_that_is_being_woken_ends_with_its_executor() {
    let executor = executor();
    let signal = Arc::new(Signal::default());
    let drops = Arc::new(AtomicUsize::new(0));
    let (waited_for, held) = (Arc::clone(&signal), Tells(Arc::clone(&drops)));
    let task = executor.spawn(async move {
        let _held = held;
        waited_for.given().await;
        core::future::pending::<()>().await;
    });
    task.detach();
    executor.block_on(give_others_a_turn());
    let other = {
        let drops = Arc::clone(&drops);
        thread::spawn(move || {
            touch(&drops);
            signal.give();
            touch(&drops);
        })
    };
    touch(&drops);
    executor.end();
    assert_eq!(drops.load(Ordering::Acquire), 1, "the task is still there");
    other.join().expect("no panic");
}
