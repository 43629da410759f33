//! Tasks, timers and wake-ups from other threads.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::peers::{builder, config, pair, patiently, run};
use super::setting::{backend, spawn};
use super::transport::somewhere;
use ringseal::{Backend, Connection, Runtime, StartError, Statistics};

/// Is done when another thread says so.
#[derive(Default)]
struct Signal {
    waker: Mutex<Option<Waker>>,
    raised: AtomicBool,
}

impl Signal {
    fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().expect("a waker").take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|context| {
            *self.waker.lock().expect("a waker") = Some(context.waker().clone());
            if self.raised.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }
}

fn other_threads_wake_the_root_and_tasks_again_and_again() {
    run(async {
        for round in 0..200 {
            let signal = Arc::new(Signal::default());
            let theirs = Arc::clone(&signal);
            let thread = spawn(move || {
                // At once, and when the runtime sleeps already.
                if round % 2 == 1 {
                    std::thread::sleep(Duration::from_micros(200));
                }
                theirs.raise();
            });
            if round % 4 < 2 {
                signal.wait().await;
            } else {
                let ours = Arc::clone(&signal);
                ringseal::spawn(async move { ours.wait().await }).await;
            }
            thread.join().expect("the thread");
        }
    });
}

fn wakers_may_outlive_the_runtime_and_be_called_from_anywhere() {
    let signal = Arc::new(Signal::default());
    let root = Arc::new(Signal::default());
    let runtime = builder().build().expect("io_uring");
    runtime.block_on(async {
        let ours = Arc::clone(&signal);
        drop(ringseal::spawn(async move { ours.wait().await }));
        tokio::task::yield_now().await;
        let mut wait = pin!(root.wait());
        assert!(futures_util::poll!(wait.as_mut()).is_pending());
    });
    // Outside `block_on`, on the runtime's thread: the task is done in the next.
    signal.raise();
    root.raise();
    runtime.block_on(tokio::task::yield_now());
    let late = Arc::new(Signal::default());
    runtime.block_on(async {
        let ours = Arc::clone(&late);
        drop(ringseal::spawn(async move { ours.wait().await }));
        tokio::task::yield_now().await;
    });
    drop(runtime);
    spawn(move || {
        late.raise();
        root.raise();
    })
    .join()
    .expect("waking what is gone does nothing");
}

fn a_task_gives_its_output_or_its_panic_and_runs_on_without_its_handle() {
    run(async {
        assert_eq!(ringseal::spawn(async { 7 }).await, 7);
        let done = Rc::new(Cell::new(false));
        let theirs = Rc::clone(&done);
        drop(ringseal::spawn(async move {
            tokio::task::yield_now().await;
            theirs.set(true);
        }));
        while !done.get() {
            tokio::task::yield_now().await;
        }
        let failing = ringseal::spawn(async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        });
        let caught = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(failing));
        let panic = caught.await.expect_err("the panic comes through");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    });
}

/// Counts when it is dropped.
struct Counted(Rc<Cell<u32>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn an_aborted_task_is_dropped_and_does_not_go_on() {
    let drops = Rc::new(Cell::new(0));
    run({
        let drops = Rc::clone(&drops);
        async move {
            let held = Counted(Rc::clone(&drops));
            let task = ringseal::spawn(async move {
                let _held = held;
                ringseal::sleep(Duration::from_secs(3600)).await;
                unreachable!("aborted long before");
            });
            tokio::task::yield_now().await;
            task.abort();
            while drops.get() == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    assert_eq!(drops.get(), 1);
}

fn tasks_go_with_their_runtime_the_ones_they_start_while_going_included() {
    struct StartsAnother(Option<Counted>);
    impl Drop for StartsAnother {
        fn drop(&mut self) {
            let held = self.0.take();
            // Refused by a runtime that is ending, or started and dropped right away.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                drop(ringseal::spawn(async move {
                    let _held = held;
                    std::future::pending::<()>().await;
                }));
            }));
        }
    }
    let drops = Rc::new(Cell::new(0));
    let runtime = builder().build().expect("io_uring");
    runtime.block_on(async {
        for _ in 0..3 {
            let held = StartsAnother(Some(Counted(Rc::clone(&drops))));
            drop(ringseal::spawn(async move {
                let _held = held;
                std::future::pending::<()>().await;
            }));
        }
        tokio::task::yield_now().await;
    });
    assert_eq!(drops.get(), 0);
    drop(runtime);
    assert_eq!(drops.get(), 3);
}

fn no_timer_comes_early_and_a_dropped_one_harms_nobody() {
    run(async {
        let order = RefCell::new(Vec::new());
        let start = Instant::now();
        let timer = |milliseconds: u64| {
            let order = &order;
            async move {
                ringseal::sleep(Duration::from_millis(milliseconds)).await;
                assert!(start.elapsed() >= Duration::from_millis(milliseconds));
                order.borrow_mut().push(milliseconds);
            }
        };
        {
            let mut dropped = pin!(ringseal::sleep(Duration::from_millis(1)));
            assert!(futures_util::poll!(dropped.as_mut()).is_pending());
        }
        futures_util::join!(timer(40), timer(1), timer(20), timer(0));
        // On a machine that stood still meanwhile all are due at once, in any order.
        order.borrow_mut().sort_unstable();
        assert_eq!(*order.borrow(), [0, 1, 20, 40]);
        assert_eq!(
            ringseal::timeout(Duration::from_millis(5), std::future::pending::<()>()).await,
            None
        );
        assert_eq!(ringseal::timeout(Duration::MAX, async { 1 }).await, Some(1));
    });
}

const BACKENDS: [Backend; 3] = [Backend::Uring, Backend::TokioUring, Backend::Epoll];

/// What a runtime that somebody tried to put another one into has to do still.
async fn the_runtime_works((dialer, listener): &mut (Connection, Connection)) {
    assert!(Statistics::current().is_some());
    dialer.send(b"still here").await.expect("send");
    let message = listener.recv().await.expect("recv").expect("a message");
    assert_eq!(&*message, b"still here");
    ringseal::spawn(ringseal::sleep(Duration::from_millis(1))).await;
    drop(pair().await);
}

fn a_runtime_inside_a_runtime_is_refused() {
    for backend in BACKENDS {
        let other = Runtime::builder().backend(backend).build().expect("a ring");
        run(async {
            let mut connections = pair().await;
            let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                other.block_on(async {});
            }));
            assert!(refused.is_err(), "{backend:?}");
            the_runtime_works(&mut connections).await;
            drop(other);
            the_runtime_works(&mut connections).await;
        });
    }
}

fn a_runtime_is_not_built_inside_a_runtime() {
    run(async {
        let mut connections = pair().await;
        for backend in BACKENDS.into_iter().chain([Backend::Auto]) {
            let built = Runtime::builder().backend(backend).build();
            assert!(
                matches!(built, Err(StartError::Configuration(_))),
                "{backend:?}: {built:?}"
            );
            the_runtime_works(&mut connections).await;
        }
    });
}

// Only our own loop goes into a tokio runtime.
fn a_runtime_inside_tokio_works_or_is_refused() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("tokio");
    tokio.block_on(async {
        match builder().build() {
            Ok(runtime) => {
                assert_eq!(backend(), Backend::Uring);
                runtime.block_on(async { the_runtime_works(&mut pair().await).await });
            }
            Err(error) => {
                assert_ne!(backend(), Backend::Uring);
                assert!(matches!(error, StartError::Configuration(_)), "{error:?}");
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
}

// Its own thread-local variables may be gone when it goes; it is no reason to abort.
fn a_runtime_may_end_with_its_thread() {
    thread_local! {
        static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }
    spawn(|| {
        RUNTIME.with(|place| {
            let runtime = builder().build().expect("a ring");
            runtime.block_on(patiently(async {
                let _listener =
                    ringseal::Listener::bind(somewhere(), &config(2), ringseal::Admission::any())
                        .await
                        .expect("bind");
            }));
            *place.borrow_mut() = Some(runtime);
        });
    })
    .join()
    .expect("the thread");
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

// HAZARDS B9: the process and the other tasks go on.
fn what_panics_when_a_task_is_dropped_harms_nobody() {
    let runtime = builder().build().expect("a ring");
    let wait = || async {
        let _bomb = Bomb;
        std::future::pending::<()>().await;
    };
    runtime.block_on(patiently(async {
        let aborted = ringseal::spawn(wait());
        let with_output = ringseal::spawn(async { Some(Bomb) });
        let unclaimed = ringseal::spawn(async { Some(Bomb) });
        drop(ringseal::spawn(wait()));
        tokio::task::yield_now().await;
        aborted.abort();
        unclaimed.abort();
        drop(unclaimed);
        std::mem::forget(with_output.await);
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ringseal::spawn(async { 7 }).await, 7);
    }));
    drop(runtime);
}

fn a_root_that_waits_for_a_thread_costs_no_processor_time() {
    run(async {
        let (sender, receiver) = mpsc::channel();
        let signal = Arc::new(Signal::default());
        let theirs = Arc::clone(&signal);
        let thread = spawn(move || {
            receiver.recv().expect("go");
            std::thread::sleep(Duration::from_millis(300));
            theirs.raise();
        });
        let polls = Cell::new(0);
        let mut wait = pin!(signal.wait());
        sender.send(()).expect("the thread");
        patiently(poll_fn(|context| {
            polls.set(polls.get() + 1);
            wait.as_mut().poll(context)
        }))
        .await;
        // tokio-uring looks at its root at each tick of its watchdog.
        assert!(polls.get() <= 100, "polled {} times", polls.get());
        thread.join().expect("the thread");
    });
}

crate::on_every_transport! {
    other_threads_wake_the_root_and_tasks_again_and_again,
    wakers_may_outlive_the_runtime_and_be_called_from_anywhere,
    a_task_gives_its_output_or_its_panic_and_runs_on_without_its_handle,
    an_aborted_task_is_dropped_and_does_not_go_on,
    tasks_go_with_their_runtime_the_ones_they_start_while_going_included,
    no_timer_comes_early_and_a_dropped_one_harms_nobody,
    a_runtime_inside_a_runtime_is_refused,
    a_runtime_is_not_built_inside_a_runtime,
    a_runtime_inside_tokio_works_or_is_refused,
    a_runtime_may_end_with_its_thread,
    what_panics_when_a_task_is_dropped_harms_nobody,
    a_root_that_waits_for_a_thread_costs_no_processor_time,
}
