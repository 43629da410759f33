//! Processes that are forked and do not start a program: what a child does to what it inherited.

#![expect(unsafe_code, reason = "fork is unsafe")]

use std::future::{Future, poll_fn};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::child::{is_case, run_case};
use super::peers::{builder, config, key, pair, patience, patiently};
use super::setting::transport;
use super::transport::{Transport, somewhere};
use ringseal::{
    Admission, BindOptions, Connection, Listener, Message, PlainSocket, RemoteConnection,
    RemoteListener, RingThreads, Runtime, ServerBuilder, SocketListener, TaskGroup, dial,
};

/// Forks, and has the child do `work` and end without anything else. Returns how it ended: zero
/// when `work` did, a negative signal number when that ended it.
fn fork_to(work: impl FnOnce()) -> i32 {
    // SAFETY: no other thread of this process holds a lock that the child needs: the case has the
    // process for itself.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        let code = i32::from(catch_unwind(AssertUnwindSafe(work)).is_err());
        // SAFETY: it only ends the process.
        unsafe { libc::_exit(code) };
    }
    wait_for(child)
}

fn wait_for(child: libc::pid_t) -> i32 {
    let deadline = Instant::now() + patience();
    loop {
        let mut status = 0;
        // SAFETY: the status is written to a number of ours.
        let ended = unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) };
        if ended == child {
            return match libc::WIFSIGNALED(status) {
                true => -libc::WTERMSIG(status),
                false => libc::WEXITSTATUS(status),
            };
        }
        if Instant::now() > deadline {
            // SAFETY: the child was not waited for, so the number is still its own.
            unsafe { libc::kill(child, libc::SIGKILL) };
            panic!("the child hangs");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Polls what has to be refused at once.
fn now<F: Future>(future: F) -> F::Output {
    let Poll::Ready(output) = pin!(future).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits");
    };
    output
}

/// What the parent has while it forks.
struct Inherited {
    runtime: Runtime,
    pair: (Connection, Connection),
    listener: Listener,
    message: Message,
}

fn set_up() -> Inherited {
    let runtime = builder().build().expect("a ring");
    let (pair, listener, message) = runtime.block_on(patiently(async {
        let listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        let mut pair = pair().await;
        pair.0.send(b"kept").await.expect("send");
        let message = pair.1.recv().await.expect("recv").expect("one");
        // A read is in flight, and a message sealed that nobody has written.
        assert!(futures_util::poll!(pin!(pair.1.recv())).is_pending());
        ringseal::sleep(Duration::from_millis(5)).await;
        (pair, listener, message)
    }));
    Inherited {
        runtime,
        pair,
        listener,
        message,
    }
}

/// Whether everything works on in the parent.
async fn works(pair: &mut (Connection, Connection), listener: &mut Listener) {
    for index in 0..10_u8 {
        let (dialer, accepted) = (&mut pair.0, &mut pair.1);
        dialer.send(&[index; 3000]).await.expect("send");
        let message = accepted.recv().await.expect("recv").expect("one");
        assert_eq!(&*message, &[index; 3000]);
        accepted.send(&[index; 30_000]).await.expect("send");
        let message = dialer.recv().await.expect("recv").expect("one");
        assert_eq!(&*message, &[index; 30_000]);
    }
    let address = listener.local_address();
    let dialed = ringseal::spawn(async move { dial(address, key(2), &config(1)).await });
    listener.accept().await.expect("accept");
    dialed.await.expect("dial");
}

/// Forks with `in_child`, which gets all that the parent has, and then goes on in the parent.
fn case(test: &str, in_child: impl FnOnce(Inherited)) {
    if !is_case(test) {
        return run_case(module_path!(), test);
    }
    let mut inherited = Some(set_up());
    let status = fork_to(|| in_child(inherited.take().expect("taken in the child alone")));
    assert_eq!(status, 0);
    let mut inherited = inherited.expect("the parent's");
    assert_eq!(&*inherited.message, b"kept");
    inherited.runtime.block_on(patiently(works(
        &mut inherited.pair,
        &mut inherited.listener,
    )));
}

// HAZARDS F15.
fn a_forked_child_that_drops_everything_leaves_the_parent_alone() {
    const TEST: &str = "a_forked_child_that_drops_everything_leaves_the_parent_alone";
    case(TEST, |inherited| {
        let Inherited {
            runtime,
            pair,
            listener,
            message,
        } = inherited;
        drop(message);
        drop(pair);
        drop(listener);
        drop(runtime);
    });
}

// HAZARDS F15: in the other order, and by halves.
fn a_forked_child_may_drop_the_runtime_first() {
    const TEST: &str = "a_forked_child_may_drop_the_runtime_first";
    case(TEST, |inherited| {
        drop(inherited.runtime);
        let (sender, receiver) = inherited.pair.0.split();
        drop(receiver);
        drop(sender);
        drop(inherited.listener);
        drop(inherited.pair.1);
        drop(inherited.message);
    });
}

// HAZARDS F15.
fn a_forked_child_that_uses_anything_is_refused() {
    const TEST: &str = "a_forked_child_that_uses_anything_is_refused";
    case(TEST, |mut inherited| {
        let says_so = |error: &dyn std::error::Error| {
            let mut text = error.to_string();
            let mut next = error.source();
            while let Some(cause) = next {
                text = format!("{text}: {cause}");
                next = cause.source();
            }
            assert!(text.contains("fork"), "{text}");
        };
        for connection in [&mut inherited.pair.0, &mut inherited.pair.1] {
            says_so(&now(connection.send(b"x")).expect_err("the parent's"));
            now(connection.recv()).expect_err("the parent's");
        }
        says_so(&now(inherited.listener.accept()).expect_err("the parent's"));
        let entered = catch_unwind(AssertUnwindSafe(|| inherited.runtime.block_on(async {})));
        assert!(entered.is_err());
        inherited.runtime.statistics();
    });
}

// HAZARDS F15: forked in a task of the runtime, while messages wait to be written.
fn a_child_forked_inside_the_runtime_is_refused() {
    const TEST: &str = "a_child_forked_inside_the_runtime_is_refused";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    let Inherited {
        runtime,
        mut pair,
        mut listener,
        message: _message,
    } = set_up();
    runtime.block_on(patiently(async {
        pair.0.send(b"sealed before").await.expect("send");
        let status = fork_to(|| {
            now(pair.0.send(b"after")).expect_err("the parent's");
            now(pair.0.flush()).expect_err("the parent's");
            now(pair.1.recv()).expect_err("the parent's");
            now(dial(listener.local_address(), key(2), &config(1))).expect_err("the parent's");
            let bound = now(Listener::bind(somewhere(), &config(2), Admission::any()));
            bound.expect_err("the parent's");
        });
        assert_eq!(status, 0);
        let message = pair.1.recv().await.expect("recv").expect("one");
        assert_eq!(&*message, b"sealed before");
        Box::pin(works(&mut pair, &mut listener)).await;
    }));
}

/// Whether a child that was forked in the root or in a task, and returns, ends without a turn of
/// the parent's driver.
fn ends_when_it_returns(in_task: bool) {
    let inherited = set_up();
    let Inherited {
        runtime,
        mut pair,
        mut listener,
        ..
    } = inherited;
    let parent = std::process::id();
    let is_child = || std::process::id() != parent;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(patiently(async {
            let fork = || {
                // SAFETY: as above.
                let child = unsafe { libc::fork() };
                assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
                child
            };
            let child = match in_task {
                true => ringseal::spawn(async move { fork() }).await,
                false => poll_fn(|_| Poll::Ready(fork())).await,
            };
            if is_child() {
                // Not refused yet: the child is still in the turn that it was forked in.
                ringseal::sleep(Duration::from_millis(1)).await;
                return;
            }
            let status = wait_for(child);
            assert!(status == 77 || status == -libc::SIGABRT, "{status}");
            Box::pin(works(&mut pair, &mut listener)).await;
        }));
    }));
    if is_child() {
        let code = if ended.is_err() { 77 } else { 1 };
        // SAFETY: it only ends the process.
        unsafe { libc::_exit(code) };
    }
    ended.expect("the parent goes on");
}

// HAZARDS F15: a turn of the driver would be the parent's.
fn a_child_that_returns_into_the_runtime_ends() {
    const TEST: &str = "a_child_that_returns_into_the_runtime_ends";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    for in_task in [false, true] {
        ends_when_it_returns(in_task);
    }
}

// HAZARDS F15: what a child makes itself is its own, also where it inherited a runtime.
fn a_forked_child_may_have_a_runtime_of_its_own() {
    const TEST: &str = "a_forked_child_may_have_a_runtime_of_its_own";
    case(TEST, |inherited| {
        let runtime = builder().build().expect("a ring");
        runtime.block_on(patiently(async {
            let (mut dialer, mut listener) = pair().await;
            dialer.send(b"a child's").await.expect("send");
            let message = listener.recv().await.expect("recv").expect("one");
            assert_eq!(&*message, b"a child's");
        }));
        drop(runtime);
        drop(inherited);
    });
}

/// Connections on ring threads, as any thread has them.
async fn pair_on(threads: &RingThreads) -> (RemoteConnection, RemoteConnection, RemoteListener) {
    let handle = threads.handle();
    let mut listener = handle
        .listen(somewhere(), &config(2), Admission::any())
        .await
        .expect("listen");
    let address = listener.local_address();
    let ours = config(1);
    let (dialed, accepted) =
        futures_util::join!(handle.dial(address, key(2), &ours), listener.accept());
    (dialed.expect("dial"), accepted.expect("accept"), listener)
}

// HAZARDS F15: the ring threads are not in the child.
fn a_forked_child_can_drop_and_not_use_handles() {
    const TEST: &str = "a_forked_child_can_drop_and_not_use_handles";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    let threads = RingThreads::start(builder(), 1).expect("a ring");
    let (dialed, accepted, listener) = futures::executor::block_on(pair_on(&threads));
    let mut inherited = Some((threads, dialed, accepted, listener));
    let status = fork_to(|| {
        let (threads, mut dialed, accepted, mut listener) = inherited.take().expect("ours");
        now(dialed.send("x")).expect_err("no thread");
        now(dialed.recv()).expect_err("no thread");
        now(listener.accept()).expect_err("no thread");
        let handle = threads.handle();
        now(handle.dial(listener.local_address(), key(2), &config(1))).expect_err("no thread");
        now(handle.run(|| async {})).expect_err("no thread");
        drop((dialed, accepted, listener));
        now(threads.shutdown()).expect_err("no thread");
    });
    assert_eq!(status, 0);
    let (threads, mut dialed, mut accepted, mut listener) = inherited.expect("the parent's");
    futures::executor::block_on(async {
        dialed.send("still here").await.expect("send");
        let message = accepted.recv().await.expect("recv").expect("one");
        assert_eq!(message, "still here");
        let address = listener.local_address();
        let (handle, ours) = (threads.handle(), config(1));
        let (dialed, accepted) =
            futures_util::join!(handle.dial(address, key(2), &ours), listener.accept());
        dialed.expect("dial");
        accepted.expect("accept");
        threads.shutdown().await.expect("no panic");
    });
}

// HAZARDS F15: the threads of a server are not in the child, and its sockets are the parent's.
fn a_forked_child_can_drop_and_not_use_a_server() {
    const TEST: &str = "a_forked_child_can_drop_and_not_use_a_server";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let server = ServerBuilder::new(config(2), Admission::any())
        .bind(&*path)
        .threads(2)
        .runtime(builder().slots(4))
        .start(|mut connection, _session| async move {
            while let Ok(Some(message)) = connection.recv().await {
                connection.send(&message).await.expect("send");
            }
        })
        .expect("a server");
    let runtime = builder().slots(4).build().expect("a ring");
    let address = server.local_address();
    let mut connection = runtime.block_on(patiently(async {
        dial(&address, key(2), &config(1)).await.expect("dial")
    }));
    let mut inherited = Some(server);
    let status = fork_to(|| {
        let server = inherited.take().expect("ours");
        let handle = server.handle();
        handle.set_admission(Admission::any().filter(|_, _| false));
        handle.shut_down();
        now(handle.drain(patience())).expect_err("no thread");
        assert_eq!(now(handle.drop_unadmitted()), 0);
        assert!(now(handle.statistics()).runtime.is_none());
        drop(handle.clone());
        now(server.wait()).expect_err("no thread");
        drop(handle);
    });
    assert_eq!(status, 0);
    assert!(path.exists(), "the file is the parent's");
    let server = inherited.expect("the parent's");
    runtime.block_on(patiently(async {
        connection.send(b"still here").await.expect("send");
        let echo = connection.recv().await.expect("recv").expect("one");
        assert_eq!(&*echo, b"still here");
        drop(echo);
        drop(dial(&address, key(2), &config(1)).await.expect("dial"));
        drop(connection);
        let drained = server
            .handle()
            .drain(patience())
            .await
            .expect("not a child");
        assert_eq!(drained.cut, 0);
    }));
    server.join().expect("no panic");
}

// HAZARDS F15.
fn a_forked_child_has_no_tasks_of_a_group() {
    const TEST: &str = "a_forked_child_has_no_tasks_of_a_group";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    let runtime = builder().build().expect("a ring");
    let mut inherited = runtime.block_on(async {
        let group = TaskGroup::new();
        let spawned = group.spawn(ringseal::sleep(Duration::from_millis(20)));
        spawned.expect("it is open");
        ringseal::sleep(Duration::from_millis(1)).await;
        Some(group)
    });
    let status = fork_to(|| {
        let group = inherited.take().expect("ours");
        now(group.drain());
        group.spawn(async {}).expect_err("the parent's");
        group.abort();
        drop(group);
    });
    assert_eq!(status, 0);
    let group = inherited.expect("the parent's");
    assert_eq!(group.len(), 1);
    runtime.block_on(patiently(group.drain()));
    assert_eq!(group.len(), 0);
}

// HAZARDS F15: what was accepted and not served, and the sockets that it came to.
fn a_forked_child_can_drop_clients_and_not_use_them() {
    const TEST: &str = "a_forked_child_can_drop_clients_and_not_use_them";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let runtime = builder().build().expect("a ring");
    let (mut inherited, mut clients) = runtime.block_on(patiently(async {
        let options = BindOptions::default();
        let mut listener = SocketListener::bind(&*path, &options).await.expect("bind");
        let (mut accepted, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            clients.push(UnixStream::connect(&path).expect("connect"));
            accepted.push(listener.accept().await.expect("accept"));
        }
        (Some((listener, accepted)), clients)
    }));
    let status = fork_to(|| {
        let (mut listener, mut accepted) = inherited.take().expect("ours");
        drop(accepted.pop());
        accepted.pop().expect("another").refuse();
        let (incoming, ours) = (accepted.pop().expect("the last"), config(2));
        let error = now(incoming.handshake(&ours, &Admission::any())).expect_err("the parent's");
        assert!(error.to_string().contains("fork"), "{error}");
        let error = now(listener.accept()).expect_err("the parent's");
        assert!(error.to_string().contains("fork"), "{error}");
        drop(listener);
    });
    assert_eq!(status, 0);
    assert!(path.exists(), "the file is the parent's");
    let (mut listener, accepted) = inherited.expect("the parent's");
    for (incoming, client) in accepted.into_iter().zip(&mut clients) {
        client.set_nonblocking(true).expect("set it");
        let error = client.read(&mut [0; 1]).expect_err("it is open");
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        client.set_nonblocking(false).expect("set it");
        incoming.refuse();
        assert_eq!(client.read(&mut [0; 1]).expect("the end"), 0);
    }
    runtime.block_on(patiently(async {
        let address = listener.local_address();
        let dialed = ringseal::spawn(async move { dial(address, key(2), &config(1)).await });
        let incoming = listener.accept().await.expect("accept");
        let ours = config(2);
        let outcome = incoming.handshake(&ours, &Admission::any()).await;
        outcome.expect("a connection");
        dialed.await.expect("dial");
    }));
}

// HAZARDS F15: a plain socket, with a read in flight.
fn a_forked_child_can_drop_plain_sockets_and_not_use_them() {
    const TEST: &str = "a_forked_child_can_drop_plain_sockets_and_not_use_them";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    let (near, mut far) = UnixStream::pair().expect("a pair");
    let runtime = builder().build().expect("a ring");
    let mut inherited = runtime.block_on(patiently(async {
        let mut pair = pair().await;
        pair.0.send(b"carried").await.expect("send");
        let message = pair.1.recv().await.expect("recv").expect("one");
        let (mut reader, writer) = PlainSocket::from_std(near).expect("ours").split();
        assert!(futures_util::poll!(pin!(reader.readable())).is_pending());
        ringseal::sleep(Duration::from_millis(5)).await;
        Some((reader, writer, message, pair))
    }));
    let status = fork_to(|| {
        let (mut reader, mut writer, message, pair) = inherited.take().expect("ours");
        now(reader.readable()).expect_err("the parent's");
        now(writer.write_message(message)).expect_err("the parent's");
        now(writer.flush()).expect_err("the parent's");
        drop(reader);
        now(writer.shutdown_write()).expect_err("the parent's");
        drop(pair);
    });
    assert_eq!(status, 0);
    let (mut reader, mut writer, message, _pair) = inherited.expect("the parent's");
    runtime.block_on(patiently(async {
        std::io::Write::write_all(&mut far, b"still here").expect("write");
        reader.readable().await.expect("readable");
        writer.write_message(message).await.expect("write");
        writer.flush().await.expect("flush");
    }));
    let mut carried = [0; 7];
    far.read_exact(&mut carried).expect("what was written");
    assert_eq!(&carried, b"carried");
}

// A process that does start a program is none of this: the descriptors do not go along.
fn a_started_program_inherits_no_descriptor() {
    let inherited = set_up();
    if transport() == Transport::Memory {
        return;
    }
    let output = std::process::Command::new("ls")
        .args(["-l", "/proc/self/fd"])
        .output()
        .expect("ls");
    let text = String::from_utf8_lossy(&output.stdout);
    for kind in ["io_uring", "eventpoll", "eventfd"] {
        assert!(!text.contains(kind), "{text}");
    }
    drop(inherited.pair);
    drop(inherited.listener);
    drop(inherited.runtime);
}

crate::on_every_driver! {
    a_forked_child_that_drops_everything_leaves_the_parent_alone,
    a_forked_child_may_drop_the_runtime_first,
    a_forked_child_that_uses_anything_is_refused,
    a_child_forked_inside_the_runtime_is_refused,
    a_child_that_returns_into_the_runtime_ends,
    a_forked_child_may_have_a_runtime_of_its_own,
    a_forked_child_can_drop_and_not_use_handles,
    a_forked_child_can_drop_clients_and_not_use_them,
    a_forked_child_can_drop_plain_sockets_and_not_use_them,
    a_forked_child_can_drop_and_not_use_a_server,
    a_forked_child_has_no_tasks_of_a_group,
    a_started_program_inherits_no_descriptor,
}
