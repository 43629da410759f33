//! A thread whose ring the kernel no longer lets it enter ends with its connections; the others go on.

use std::time::Duration;

use ringseal::{Connection, Session};

use super::{answers, connect, connect_many, echo, server, wait_for};
use crate::peers::{PATIENCE, run};
use crate::seccomp::deny_from_now_on;

/// By which connections are served that come one by one.
const THREADS: [u8; 4] = [0, 1, 0, 1];

/// Answers with the thread, and then echoes or has the thread's ring fail.
async fn fail_or_echo(mut connection: Connection, session: Session) {
    let thread = u8::try_from(session.thread()).expect("a few");
    connection.send(&[thread]).await.expect("send");
    let Ok(Some(order)) = connection.recv().await else {
        return;
    };
    let fails = *order == *b"fail";
    drop(order);
    connection.send(b"understood").await.expect("send");
    connection.flush().await.expect("flush");
    if fails {
        deny_from_now_on(&[libc::SYS_io_uring_enter], libc::EBADR);
    }
    echo(connection, session).await;
}

/// Gives the order; returns the thread that serves the connection.
async fn order(connection: &mut Connection, order: &[u8]) -> u8 {
    let thread = connection.recv().await.expect("recv").expect("one")[0];
    connection.send(order).await.expect("send");
    connection.recv().await.expect("recv").expect("one");
    thread
}

// HAZARDS F14. One of the threads is the one that accepts.
fn a_thread_whose_ring_fails_ends_alone() {
    for lost in [0_u8, 1] {
        run(async {
            let server = server().start(fail_or_echo).expect("a server");
            let (handle, address) = (server.handle(), server.local_address());
            let mut connections = connect_many(&address, 1, 4).await;
            for (connection, thread) in connections.iter_mut().zip(THREADS) {
                assert_eq!(order(connection, b"go on").await, thread);
            }
            let mut last = connect(&address, 1).await;
            if lost == 1 {
                last = connect(&address, 1).await;
            }
            assert_eq!(order(&mut last, b"fail").await, lost);
            wait_for(&server, |it| {
                let thread = it.threads[usize::from(lost)];
                thread.has_ended && thread.connections == 0
            })
            .await;
            for (connection, thread) in connections.iter_mut().zip(THREADS) {
                assert_eq!(answers(connection).await, thread != lost, "{thread}");
            }
            for _ in 0..6 {
                let mut connection = connect(&address, 1).await;
                assert_eq!(order(&mut connection, b"go on").await, 1 - lost);
                assert!(answers(&mut connection).await);
            }
            drop((connections, last));
            let drained = handle.drain(PATIENCE).await.expect("not a child");
            assert_eq!((drained.cut, drained.lost_threads), (0, 1));
            ringseal::timeout(Duration::from_secs(20), server.wait())
                .await
                .expect("it ends")
                .expect("no panic");
        });
    }
}

crate::on_setting!(
    uring_tcp,
    Native,
    Uring,
    Tcp,
    a_thread_whose_ring_fails_ends_alone,
);

crate::on_setting!(
    tokio_uring_tcp,
    Native,
    TokioUring,
    Tcp,
    a_thread_whose_ring_fails_ends_alone,
);
