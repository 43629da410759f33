//! Groups of tasks: who waits for them sees the last one end, whatever the tasks do.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use ringseal::{Runtime, TaskGroup, TaskGroupClosed, sleep};

use super::peers::{builder, run};

const MOMENT: Duration = Duration::from_millis(5);

/// Counts how many of it there are.
struct Counted(Rc<Cell<usize>>);

impl Counted {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A task that never ends, and holds one of what is counted.
async fn forever(counted: Counted) {
    pending::<()>().await;
    drop(counted);
}

fn a_drain_waits_for_all_tasks_and_lets_no_more_in() {
    run(async {
        let (group, ended) = (TaskGroup::new(), Rc::new(Cell::new(0)));
        for index in 0..10 {
            let ended = Rc::clone(&ended);
            let spawned = group.spawn(async move {
                sleep(MOMENT * index).await;
                ended.set(ended.get() + 1);
            });
            spawned.expect("it is open");
        }
        assert_eq!((group.len(), group.is_empty()), (10, false));
        {
            let mut first = pin!(group.drain());
            assert!(futures_util::poll!(first.as_mut()).is_pending());
            assert_eq!(group.spawn(async { unreachable!() }), Err(TaskGroupClosed));
            // A dropped drain leaves the tasks alone, and several may wait.
        }
        futures_util::join!(group.drain(), group.drain());
        assert_eq!((ended.get(), group.len()), (10, 0));
        group.drain().await;
        assert_eq!(group.drain_within(Duration::ZERO).await, 0);
        assert_eq!(group.panicked(), 0);
    });
}

fn what_is_left_at_the_limit_is_cut_and_gone() {
    run(async {
        let (group, alive) = (TaskGroup::new(), Rc::default());
        for _ in 0..3 {
            group.spawn(forever(Counted::new(&alive))).expect("open");
        }
        group.spawn(sleep(MOMENT)).expect("open");
        // Never polled before it is cut.
        assert_eq!(group.drain_within(MOMENT * 10).await, 3);
        assert_eq!((alive.get(), group.len()), (0, 0));
        group.spawn(async {}).expect_err("closed");

        let group = TaskGroup::new();
        group.spawn(forever(Counted::new(&alive))).expect("open");
        group.abort();
        group.spawn(async {}).expect_err("closed");
        assert_eq!(alive.get(), 1, "it ends when its thread turns to it");
        group.drain().await;
        assert_eq!(alive.get(), 0);
    });
}

fn a_task_that_panics_hangs_no_drain_and_ends_no_other() {
    run(async {
        let (group, ended) = (TaskGroup::new(), Rc::new(Cell::new(false)));
        let is_ended = Rc::clone(&ended);
        let other = async move {
            sleep(MOMENT).await;
            is_ended.set(true);
        };
        group.spawn(async { panic!("on purpose") }).expect("open");
        group.spawn(other).expect("open");
        let late = async {
            sleep(MOMENT).await;
            panic!("on purpose");
        };
        group.spawn(late).expect("open");
        group.drain().await;
        assert!(ended.get());
        assert_eq!(group.panicked(), 2);
    });
}

fn a_group_that_is_dropped_ends_its_tasks() {
    run(async {
        let alive = Rc::default();
        let group = TaskGroup::default();
        group.spawn(forever(Counted::new(&alive))).expect("open");
        sleep(MOMENT).await;
        group.spawn(forever(Counted::new(&alive))).expect("open");
        drop(group);
        while alive.get() > 0 {
            sleep(MOMENT).await;
        }
    });
}

fn a_task_may_abort_the_group_that_it_is_in() {
    run(async {
        let (group, alive) = (Rc::new(TaskGroup::new()), Rc::default());
        group.spawn(forever(Counted::new(&alive))).expect("open");
        let within = Rc::clone(&group);
        let spawned = group.spawn(async move {
            within.spawn(async {}).expect("open");
            within.abort();
            pending::<()>().await;
        });
        spawned.expect("open");
        sleep(MOMENT).await;
        group.drain().await;
        assert_eq!(alive.get(), 0);
    });
}

fn a_group_may_outlive_its_runtime() {
    thread_local! {
        static KEPT: RefCell<Option<TaskGroup>> = const { RefCell::new(None) };
    }
    let alive = Rc::default();
    let runtime: Runtime = builder().build().expect("a ring");
    runtime.block_on(async {
        let group = TaskGroup::new();
        group.spawn(forever(Counted::new(&alive))).expect("open");
        sleep(MOMENT).await;
        KEPT.set(Some(group));
    });
    drop(runtime);
    let group = KEPT.take().expect("kept");
    assert_eq!((alive.get(), group.len()), (0, 0));
    futures::executor::block_on(group.drain());
    KEPT.set(Some(group));
}

crate::on_every_driver! {
    a_drain_waits_for_all_tasks_and_lets_no_more_in,
    what_is_left_at_the_limit_is_cut_and_gone,
    a_task_that_panics_hangs_no_drain_and_ends_no_other,
    a_group_that_is_dropped_ends_its_tasks,
    a_task_may_abort_the_group_that_it_is_in,
    a_group_may_outlive_its_runtime,
}
