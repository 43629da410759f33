//! A model, and all there are.

use core::cell::Cell;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::driver::{tokio_uring, uring};
use crate::{handle, server};

/// How often a thread may be preempted in one order, where `LOOM_MAX_PREEMPTIONS` says nothing.
/// Mistakes that take more are rare.
const PREEMPTIONS: usize = 3;
/// How many steps an order may have.
const STEPS: usize = 10_000;

thread_local! {
    /// What this thread tries.
    static CURRENT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// What two or more threads do, to be tried in every order.
#[derive(Debug)]
pub struct Model {
    /// What holds in every order.
    pub name: &'static str,
    run: fn(),
}

macro_rules! models {
    ($($path:path,)*) => {
        &[$(Model { name: stringify!($path), run: $path }),*]
    };
}

/// All models.
pub const MODELS: &[Model] = models![
    uring::models::the_future_that_is_blocked_on_sees_every_wake,
    uring::models::a_task_sees_every_wake,
    uring::models::a_task_that_is_being_woken_ends_with_its_executor,
    tokio_uring::models::a_foreign_waker_is_called,
    handle::models::what_is_sent_leaves_in_order_and_the_end_behind_it,
    handle::models::a_message_that_is_given_up_is_told_of_before_the_next,
    handle::models::a_flush_is_told_when_everything_has_left,
    handle::models::a_task_ends_when_both_halves_are_dropped,
    handle::models::what_a_dropped_sender_has_sent_leaves,
    handle::models::a_caller_is_told_that_the_connection_has_failed,
    handle::models::what_comes_is_received_in_order_and_the_end_behind_it,
    handle::models::what_comes_together_is_received_in_order,
    handle::models::what_comes_later_waits_behind_what_came_before,
    handle::models::a_task_ends_when_the_receiver_is_dropped,
    handle::models::who_accepts_is_woken_when_a_client_has_gone,
    handle::models::the_counts_of_a_thread_come_to_nothing,
    handle::models::who_accepts_ends_with_the_last_thread,
    server::models::one_of_two_gets_the_last_room,
    server::models::what_goes_on_two_threads_makes_room,
    server::models::who_came_by_the_admission_before_is_looked_at_again,
];

impl Model {
    /// Tries every order; returns how many there were.
    ///
    /// # Panics
    ///
    /// In the first order in which the model does not hold.
    #[must_use]
    pub fn check(&self) -> usize {
        CURRENT.set(Some(self.name));
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound.get_or_insert(PREEMPTIONS);
        builder.max_branches = STEPS;
        let orders = Arc::new(AtomicUsize::new(0));
        let (count, run) = (Arc::clone(&orders), self.run);
        builder.check(move || {
            count.fetch_add(1, Ordering::Relaxed);
            run();
        });
        orders.load(Ordering::Relaxed)
    }
}

/// Has the first panic of a model tell how to see it step by step. Some end the process at once: what is
/// dropped in a model that is at a halt may ask the checker where it is.
pub fn tell_how_to_replay() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        if let Some(name) = CURRENT.get() {
            let run = format!("cargo run -q -p ringseal-models -- {name}");
            eprintln!(
                "{name} does not hold in some order; find it, then run it alone:\n    \
                 LOOM_CHECKPOINT_INTERVAL=1 LOOM_CHECKPOINT_FILE=target/model.json {run}\n    \
                 LOOM_LOG=trace LOOM_LOCATION=1 LOOM_CHECKPOINT_FILE=target/model.json {run}"
            );
            CURRENT.set(None);
        }
        hook(panicked);
    }));
}
