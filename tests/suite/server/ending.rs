//! What ends a server at once, and what is left of it: nothing.

use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{answers, connect, connect_many, finish, nothing_is_left, server, start, try_connect};
use crate::child::{is_case, run_case};
use crate::peers::{builder, patience, run, run_with};
use crate::setting;

fn another_thread_may_shut_it_down() {
    let server = start(server());
    let (handle, address) = (server.handle(), server.local_address());
    let client = setting::spawn(move || {
        run(async {
            let mut connection = connect(&address, 1).await;
            assert!(answers(&mut connection).await);
            let shutting_down = std::thread::spawn(move || handle.shut_down());
            // Without waiting for this end, which ends only then.
            assert!(!matches!(connection.recv().await, Ok(Some(_))));
            shutting_down.join().expect("no panic");
            try_connect(&address, 1)
                .await
                .expect_err("the port is closed");
        });
    });
    // Beside this thread, which waits no longer than it should have to.
    let (ends, ended) = mpsc::channel();
    let waiting = std::thread::spawn(move || ends.send(server.join()));
    let drained = ended.recv_timeout(patience()).expect("it ends");
    assert_eq!(drained.expect("no panic").cut, 1);
    waiting.join().expect("no panic").expect("it was awaited");
    client.join().expect("no panic");
}

fn a_server_that_is_dropped_ends() {
    run(async {
        let server = start(server());
        let (handle, address) = (server.handle(), server.local_address());
        let mut connection = connect(&address, 1).await;
        drop(server);
        assert!(!matches!(connection.recv().await, Ok(Some(_))));
        handle.drain(patience()).await.expect("not a child");
        while handle.statistics().await.connections > 0 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    });
}

fn slots_come_back() {
    run(async {
        let server = start(server());
        let address = server.local_address();
        let mut connections = connect_many(&address, 1, 8).await;
        for connection in &mut connections {
            assert!(answers(connection).await);
        }
        drop(connections);
        nothing_is_left(&server).await;
        finish(server).await;
    });
}

pub(super) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("ours").count()
}

fn no_descriptor_is_left() {
    const TEST: &str = "no_descriptor_is_left";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    // Of slots that are few, since locked memory is short in a child.
    let small = || builder().slots(4);
    let round = || {
        run_with(small(), async {
            let server = start(server().runtime(small()));
            let address = server.local_address();
            let held = connect_many(&address, 1, 4).await;
            // Cut in the middle, one of them, and the others at the end.
            drop(connect(&address, 3).await);
            let limit = Duration::from_millis(20);
            let drained = server.handle().drain(limit).await.expect("not a child");
            assert!(drained.cut >= 4, "{drained:?}");
            server.wait().await.expect("no panic");
            drop(held);
        });
    };
    // What is made once in a process.
    round();
    let before = descriptors();
    for _ in 0..5 {
        round();
    }
    let start = Instant::now();
    while descriptors() > before {
        assert!(start.elapsed() < patience(), "{} > {before}", descriptors());
        std::thread::sleep(Duration::from_millis(5));
    }
}

crate::on_every_driver!(
    another_thread_may_shut_it_down,
    a_server_that_is_dropped_ends,
    slots_come_back,
    no_descriptor_is_left,
);
