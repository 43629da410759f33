//! Runtimes that end with operations in flight. Meant to run under AddressSanitizer as well:
//! `.ci/run` does.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::peers::{builder, config, key, pair, patiently};
use super::setting::{spawn, transport, wire};
use super::transport::{RawStream, Transport, somewhere};
use ringseal::protocol::native::handshake::MAGIC;
use ringseal::{Admission, Connection, Listener, Statistics, Wire};

/// Leaves reads of many connections in flight, and writes that their peers do not take.
async fn leave_operations_in_flight(count: usize) -> Vec<Connection> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let (mut dialer, mut listener) = pair().await;
        for connection in [&mut dialer, &mut listener] {
            for _ in 0..400 {
                let mut send = std::pin::pin!(connection.send(&[3; 65_536]));
                if futures_util::poll!(send.as_mut()).is_pending() {
                    // Long enough for the kernel to take what it will take.
                    ringseal::sleep(Duration::from_millis(5)).await;
                    if futures_util::poll!(send).is_pending() {
                        break;
                    }
                }
            }
        }
        // Pending or not: the first poll submits the read if there is nothing to give.
        let _ = futures_util::poll!(std::pin::pin!(listener.recv()));
        connections.extend([dialer, listener]);
    }
    let in_flight = Statistics::current().expect("inside").in_flight;
    assert!(
        in_flight >= count,
        "only {in_flight} operations are in flight"
    );
    connections
}

// HAZARDS B4: the handles go first, last, or not at all before the runtime does.
fn a_runtime_ends_with_operations_in_flight_whoever_holds_the_handles() {
    for order in 0..3 {
        let runtime = builder().slots(64).build().expect("io_uring");
        let connections = runtime.block_on(patiently(leave_operations_in_flight(5)));
        match order {
            0 => {
                drop(connections);
                drop(runtime);
            }
            1 => {
                drop(runtime);
                drop(connections);
            }
            _ => {
                runtime.block_on(async {
                    ringseal::spawn(async move {
                        let _held = connections;
                        std::future::pending::<()>().await;
                    });
                    tokio::task::yield_now().await;
                });
                drop(runtime);
            }
        }
    }
}

// HAZARDS B4: the kernel goes on writing while the runtime ends.
fn a_runtime_ends_while_the_peer_keeps_writing() {
    for _ in 0..20 {
        let (address, ready) = std::sync::mpsc::channel();
        let serving = spawn(move || {
            let runtime = builder().build().expect("io_uring");
            runtime.block_on(async {
                let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
                    .await
                    .expect("bind");
                address
                    .send(listener.local_address())
                    .expect("the test waits");
                for _ in 0..8 {
                    let (_sender, mut receiver) = listener.accept().await.expect("accept").split();
                    ringseal::spawn(async move {
                        // Holds what it gets, so that slots are in all states.
                        let mut held = std::collections::VecDeque::new();
                        while let Ok(Some(message)) = receiver.recv().await {
                            held.push_back(message);
                            held.truncate(3);
                        }
                    });
                }
                // The root is done while reads are in flight and data is coming in.
            });
        });
        let address = ready.recv().expect("a listener");
        let runtime = builder().slots(40).build().expect("io_uring");
        runtime.block_on(patiently(async {
            let mut tasks = Vec::new();
            for _ in 0..8 {
                let mut connection = ringseal::dial(&address, key(2), &config(1))
                    .await
                    .expect("dial");
                tasks.push(ringseal::spawn(async move {
                    while connection.send(&[8; 5000]).await.is_ok() {}
                }));
            }
            for task in tasks {
                task.await;
            }
        }));
        serving.join().expect("the serving thread");
    }
}

// HAZARDS B4: half-open handshakes are in flight too.
fn a_runtime_ends_with_handshakes_half_open() {
    // Anything else than a beginning of this wire ends a handshake at its first byte.
    let beginning: &[u8] = match wire() {
        Wire::Commonware { .. } => &[0x20, 1, 2, 3],
        _ => &MAGIC[..3],
    };
    let runtime = builder().build().expect("io_uring");
    let clients: Vec<RawStream> = runtime.block_on(patiently(async {
        let listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        let clients = (0..20)
            .map(|_| {
                let mut client = RawStream::connect(listener.local_address());
                client.write_all(beginning).expect("write");
                client
            })
            .collect();
        while Statistics::current().expect("inside").in_flight < 20 {
            tokio::task::yield_now().await;
        }
        std::mem::forget(listener);
        clients
    }));
    drop(runtime);
    drop(clients);
}

// HAZARDS B4: nobody waits for clients that may never come, and the address is free again.
fn a_runtime_ends_at_once_with_a_listener_alive() {
    let runtime = builder().build().expect("io_uring");
    let listener = runtime.block_on(patiently(async {
        let listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        // The listener's task has its turn, and waits for the first client.
        ringseal::sleep(Duration::from_millis(5)).await;
        assert_eq!(Statistics::current().expect("inside").in_flight, 0);
        listener
    }));
    let start = Instant::now();
    drop(runtime);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    let next = builder().build().expect("io_uring");
    next.block_on(patiently(async {
        Listener::bind(listener.local_address(), &config(2), Admission::any())
            .await
            .expect("bind again");
    }));
}

// HAZARDS B4.
fn a_runtime_ends_soon_though_its_tasks_receive_from_peers_that_end_with_it() {
    let (ended, is_over) = std::sync::mpsc::channel();
    let thread = spawn(move || {
        let runtime = builder().build().expect("a runtime");
        runtime.block_on(patiently(async {
            let mut dialers = Vec::new();
            for _ in 0..20 {
                let (mut dialer, mut listener) = pair().await;
                drop(ringseal::spawn(async move {
                    while let Ok(Some(message)) = listener.recv().await {
                        listener.send(&message).await.expect("send");
                    }
                }));
                dialer.send(b"here").await.expect("send");
                assert!(dialer.recv().await.expect("recv").is_some());
                dialers.push(dialer);
            }
        }));
        drop(runtime);
        ended.send(()).expect("the test waits");
    });
    // Far more than it takes, and less than the kernel is waited for that gives nothing back.
    let limit = Duration::from_secs(10);
    is_over.recv_timeout(limit).expect("the runtime hangs");
    thread.join().expect("no panic");
}

// HAZARDS B4, B9.
fn a_panic_in_the_root_or_in_a_task_leaves_the_thread_usable() {
    let runtime = builder().build().expect("io_uring");
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let (_dialer, mut listener) = pair().await;
            assert!(futures_util::poll!(std::pin::pin!(listener.recv())).is_pending());
            panic!("the root gives up");
        });
    }));
    assert!(panicked.is_err());
    runtime.block_on(patiently(async {
        let task = ringseal::spawn(async {
            let _connections = pair().await;
            panic!("a task gives up");
        });
        assert!(AssertUnwindSafe(task).await_panics().await);
        let (mut dialer, mut listener) = pair().await;
        dialer.send(b"the ring still turns").await.expect("send");
        let message = listener.recv().await.expect("recv").expect("one");
        assert_eq!(&*message, b"the ring still turns");
    }));
    drop(runtime);
    let next = builder().build().expect("io_uring");
    next.block_on(patiently(async {
        drop(pair().await);
    }));
}

/// Tells whether a future panics.
trait AwaitPanics {
    async fn await_panics(self) -> bool;
}

impl<F: Future> AwaitPanics for AssertUnwindSafe<F> {
    async fn await_panics(self) -> bool {
        futures_util::FutureExt::catch_unwind(self).await.is_err()
    }
}

// A message may outlive its connection and its runtime: it holds its slot, and the slot the arena.
fn a_message_outlives_its_runtime() {
    let runtime = builder().build().expect("io_uring");
    let message = runtime.block_on(patiently(async {
        let (mut dialer, mut listener) = pair().await;
        dialer.send(&[7; 5000]).await.expect("send");
        listener.recv().await.expect("recv").expect("one")
    }));
    drop(runtime);
    assert_eq!(&*message, &[7; 5000]);
}

// HAZARDS B10, in small: operations and slots are back where they started.
fn connections_come_and_go_without_leaving_anything() {
    let runtime = builder().build().expect("io_uring");
    runtime.block_on(patiently(async {
        let statistics = || Statistics::current().expect("inside");
        for _ in 0..200 {
            let (mut dialer, mut listener) = pair().await;
            dialer.send(b"x").await.expect("send");
            listener.recv().await.expect("recv").expect("one");
        }
        while statistics().in_flight > 0 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(statistics().free_slots, statistics().slots);
    }));
}

// HAZARDS B4: found by the simulation. Whoever waits for the buffer of a reservation waits asleep.
fn a_runtime_ends_without_work_while_a_task_holds_a_reservation() {
    // What it waits with is the same on every transport, and takes seconds.
    if transport() != Transport::Tcp {
        return;
    }
    let runtime = builder().build().expect("io_uring");
    runtime.block_on(patiently(async {
        let (dialer, listener) = pair().await;
        ringseal::spawn(async move {
            let (mut sender, _receiver) = dialer.split();
            let _held = sender.reserve(100).await.expect("room");
            std::future::pending::<()>().await;
        });
        ringseal::spawn(async move {
            let _listener = listener;
            std::future::pending::<()>().await;
        });
        ringseal::sleep(Duration::from_millis(5)).await;
    }));
    let worked = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("positive");
    let (start, before) = (Instant::now(), worked());
    drop(runtime);
    let (took, worked) = (start.elapsed(), worked() - before);
    assert!(
        worked < Duration::from_secs(1).max(took / 4),
        "{worked:?} of {took:?}"
    );
}

crate::on_every_setting! {
    a_runtime_ends_without_work_while_a_task_holds_a_reservation,
    a_runtime_ends_with_operations_in_flight_whoever_holds_the_handles,
    a_runtime_ends_while_the_peer_keeps_writing,
    a_runtime_ends_with_handshakes_half_open,
    a_runtime_ends_at_once_with_a_listener_alive,
    a_runtime_ends_soon_though_its_tasks_receive_from_peers_that_end_with_it,
    a_panic_in_the_root_or_in_a_task_leaves_the_thread_usable,
    a_message_outlives_its_runtime,
    connections_come_and_go_without_leaving_anything,
}
