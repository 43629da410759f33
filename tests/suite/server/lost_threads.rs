//! A thread whose ring the kernel no longer lets it enter ends with its connections; the others go on.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ringseal::{Connection, RunError, Session};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Resource, getrlimit};

use super::ending::descriptors;
use super::{answers, connect, connect_many, echo, server, wait_for};
use crate::allocations::bytes_in_use_by_all;
use crate::child::{is_case, limit, run_case};
use crate::peers::{builder, patience, run, run_with};
use crate::seccomp::deny_from_now_on;
use crate::slowness::slowed;

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
            let drained = handle.drain(patience()).await.expect("not a child");
            assert_eq!((drained.cut, drained.lost_threads), (0, 1));
            ringseal::timeout(slowed(Duration::from_secs(20)), server.wait())
                .await
                .expect("it ends")
                .expect("no panic");
        });
    }
}

// HAZARDS B9. What handlers and tasks panic with is contained, so this is the loop of the thread itself.
fn nothing_is_left_of_a_thread_that_has_panicked() {
    const TEST: &str = "nothing_is_left_of_a_thread_that_has_panicked";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    // Of slots that are few, since locked memory is short in a child.
    let small = || builder().slots(4);
    let round = || {
        run_with(small(), async {
            let server = server().runtime(small()).start(echo).expect("a server");
            let address = server.local_address();
            let mut connections = connect_many(&address, 1, 6).await;
            // With something on its way.
            connections[0].send(&[7; 100_000]).await.expect("send");
            server.break_thread(0);
            wait_for(&server, |it| {
                it.threads[0].has_ended && it.threads[0].connections == 0
            })
            .await;
            let mut survivors = 0;
            for connection in &mut connections[1..] {
                survivors += usize::from(answers(connection).await);
            }
            assert_eq!(survivors, 3, "of six on two threads");
            drop(connections);
            // All that is held there has come back.
            wait_for(&server, |it| {
                let runtime = it.threads[1].runtime.expect("it runs");
                it.connections == 0 && runtime.free_slots == runtime.slots
            })
            .await;
            server.break_thread(1);
            let ended = ringseal::timeout(patience(), server.wait()).await;
            assert_eq!(ended.expect("it ends"), Err(RunError::Panicked));
        });
    };
    // What is made once in a process.
    round();
    round();
    let (descriptors_before, heap_before) = (descriptors(), bytes_in_use_by_all());
    let mapped_before = mapped();
    for _ in 0..5 {
        round();
    }
    let start = Instant::now();
    // A round takes more than this if anything of a connection stays.
    let few = 5 * 400;
    while descriptors() > descriptors_before
        || mapped() > mapped_before
        || bytes_in_use_by_all() > heap_before + few
    {
        assert!(
            start.elapsed() < patience(),
            "descriptors: {} and {descriptors_before} before; KiB mapped: {} and {mapped_before} before; \
             heap: {} and {heap_before} before",
            descriptors(),
            mapped(),
            bytes_in_use_by_all()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the KiB of this process that a forked child does not have: arenas and rings.
fn mapped() -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("ours");
    let (mut sum, mut size) = (0, 0);
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("Size:") => size = words.next().and_then(|it| it.parse().ok()).expect("KiB"),
            Some("VmFlags:") if words.any(|flag| flag == "dc") => sum += size,
            _ => {}
        }
    }
    sum
}

/// What this process has logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes in all warnings of this process from now on.
    fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        log
    }

    fn count(&self, line: &str) -> usize {
        let bytes = self.0.lock().expect("nobody panics in here");
        String::from_utf8_lossy(&bytes).matches(line).count()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics in here").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// HAZARDS S4, F14. The thread that accepts is lost while there are no descriptors, which whoever
// accepts next needs one of: it waits, the port stays open, and who came meanwhile is served.
fn accepting_goes_on_elsewhere_once_there_are_descriptors_again() {
    const TEST: &str = "accepting_goes_on_elsewhere_once_there_are_descriptors_again";
    const WAITS: &str = "a thread of the server cannot accept yet; trying again";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    let log = Log::start();
    // Of slots that are few, since locked memory is short in a child.
    let small = || builder().slots(4);
    run_with(small(), async {
        let server = server().runtime(small()).start(fail_or_echo);
        let server = server.expect("a server");
        let address = server.local_address();
        let (mut lost, mut kept) = (connect(&address, 1).await, connect(&address, 1).await);
        let early = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        // A descriptor's number has to be below the limit, so one that is closed makes no room either.
        let allowed = getrlimit(Resource::Nofile).current.unwrap_or(1024);
        limit(Resource::Nofile, 3);
        assert_eq!(order(&mut kept, b"go on").await, 1);
        assert_eq!(order(&mut lost, b"fail").await, 0);
        wait_for(&server, |it| it.threads[0].has_ended).await;
        // A driver that needs no ring to accept notices by this one that it can't.
        let target = address.socket_address().expect("over TCP");
        rustix::net::connect(&early, &target).expect("the port is open");
        let start = Instant::now();
        while log.count(WAITS) == 0 {
            assert!(start.elapsed() < patience(), "nobody says that it waits");
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        // It serves whom it has meanwhile.
        assert!(answers(&mut kept).await);
        limit(Resource::Nofile, allowed);
        wait_for(&server, |it| it.threads[1].handshakes_under_way == 1).await;
        let mut later = connect(&address, 1).await;
        assert_eq!(order(&mut later, b"go on").await, 1);
        assert!(answers(&mut later).await);
        assert_eq!(log.count(WAITS), 1, "told once for all attempts");
        drop((early, lost, kept, later));
        let drained = server
            .handle()
            .drain(patience())
            .await
            .expect("not a child");
        assert_eq!((drained.cut, drained.lost_threads), (0, 1));
        server.wait().await.expect("no panic");
    });
}

crate::on_setting!(
    uring_tcp,
    Native,
    Uring,
    Tcp,
    a_thread_whose_ring_fails_ends_alone,
    nothing_is_left_of_a_thread_that_has_panicked,
    accepting_goes_on_elsewhere_once_there_are_descriptors_again,
);

crate::on_setting!(
    tokio_uring_tcp,
    Native,
    TokioUring,
    Tcp,
    a_thread_whose_ring_fails_ends_alone,
    nothing_is_left_of_a_thread_that_has_panicked,
    accepting_goes_on_elsewhere_once_there_are_descriptors_again,
);

crate::on_setting!(
    epoll_tcp,
    Native,
    Epoll,
    Tcp,
    nothing_is_left_of_a_thread_that_has_panicked,
);
