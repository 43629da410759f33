//! A ring that the kernel no longer lets us enter.

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use super::peers::{builder, config, key, pair, patience, patiently};
use super::seccomp::deny_from_now_on;
use super::setting::{backend, spawn};
use super::transport::{RawListener, RawStream, somewhere};
use ringseal::{Address, Admission, Backend, Listener, PlainSocket, Runtime, SendError, dial};

/// Runs `work` on a thread of its own, and fails instead of hanging with it.
fn bounded(work: impl FnOnce() + Send + 'static) {
    let (sender, done) = mpsc::channel::<()>();
    let thread = spawn(move || {
        let _sender = sender;
        work();
    });
    // Nothing is ever sent: this is the end of the thread.
    let end = done.recv_timeout(3 * patience());
    assert_eq!(end, Err(mpsc::RecvTimeoutError::Disconnected), "it hangs");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// All that an error says, its causes included.
fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn names_the_cause(error: &dyn Error, errno: i32) {
    let text = text(error);
    let cause = std::io::Error::from_raw_os_error(errno).to_string();
    for part in ["io_uring_enter", cause.as_str()] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
}

/// A listener on a thread that nothing is denied: its address, and what tells of the end of the
/// one connection that it accepts.
fn listener_elsewhere() -> (Address, mpsc::Receiver<()>) {
    let (address, bound) = mpsc::channel();
    let (ended, end) = mpsc::channel();
    spawn(move || {
        // Another driver than the one that fails, which this is not about.
        let runtime = Runtime::builder().backend(Backend::Epoll).build();
        runtime.expect("epoll").block_on(patiently(async {
            let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
                .await
                .expect("bind");
            address.send(listener.local_address()).expect("awaited");
            let mut connection = listener.accept().await.expect("accept");
            while let Ok(Some(_)) = connection.recv().await {}
            ended.send(()).expect("awaited");
        }));
    });
    (bound.recv().expect("a listener"), end)
}

fn fail_by(errno: i32) {
    let (address, end_elsewhere) = listener_elsewhere();
    let silent = RawListener::bind();
    let runtime = builder().build().expect("a ring");
    let kept = runtime.block_on(patiently(async {
        let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        let mut dialed = dial(&address, key(2), &config(1)).await.expect("dial");
        dialed.send(b"before").await.expect("send");
        dialed.flush().await.expect("flush");
        let (mut ours, theirs) = pair().await;
        let receiving = ringseal::spawn(async move { (dialed.recv().await, dialed) });
        ringseal::sleep(Duration::from_millis(20)).await;
        deny_from_now_on(&[libc::SYS_io_uring_enter], errno);
        // Tasks and timers go on.
        ringseal::sleep(Duration::from_millis(5)).await;
        assert_eq!(ringseal::spawn(async { 7 }).await, 7);
        if backend() == Backend::Epoll {
            ours.send(b"nothing happens").await.expect("send");
            return None;
        }
        let error = loop {
            if let Err(error) = ours.send(&[1; 1000]).await {
                break error;
            }
            if let Err(error) = ours.flush().await {
                break error;
            }
        };
        names_the_cause(&error, errno);
        let (received, dialed) = receiving.await;
        names_the_cause(&received.expect_err("no ring"), errno);
        drop(dialed);
        let error = dial(silent.address(), key(2), &config(1)).await;
        names_the_cause(&error.expect_err("no ring"), errno);
        // Refused or not: it depends on who waits for clients.
        let _client = RawStream::try_connect(&listener.local_address());
        let error = listener.accept().await.expect_err("no ring");
        names_the_cause(&error, errno);
        // Told once: who asks again and again does not spin.
        let again = ringseal::timeout(Duration::from_millis(5), listener.accept());
        assert!(again.await.is_none());
        Some((ours, theirs, listener))
    }));
    if kept.is_some() {
        // The peer sees the end while the runtime is alive.
        let end = end_elsewhere.recv_timeout(patience());
        end.expect("the peer waits for nothing");
    }
    drop(runtime);
    drop(kept);
}

// HAZARDS F14.
fn connections_end_with_the_cause_when_their_ring_cannot_be_entered_any_more() {
    for errno in [libc::EBADR, libc::EINVAL, libc::EPERM] {
        bounded(move || fail_by(errno));
    }
}

// HAZARDS F14: errors that pass, but do not.
fn an_error_that_does_not_pass_ends_connections_as_well() {
    for errno in [libc::EAGAIN, libc::EBUSY] {
        bounded(move || fail_by(errno));
    }
}

// HAZARDS F14: nothing was submitted that the failure could be noticed by.
fn a_runtime_ends_without_its_ring() {
    bounded(|| {
        let runtime = builder().build().expect("a ring");
        let connections = runtime.block_on(patiently(async {
            let mut pairs = Vec::new();
            for _ in 0..3 {
                let (dialer, mut listener) = pair().await;
                assert!(futures_util::poll!(std::pin::pin!(listener.recv())).is_pending());
                pairs.push((dialer, listener));
            }
            pairs
        }));
        deny_from_now_on(&[libc::SYS_io_uring_enter], libc::EBADR);
        drop(runtime);
        drop(connections);
    });
}

// HAZARDS F14: the kernel keeps the buffer, and messages that were appended to it.
fn a_lent_buffer_that_never_comes_back_ends_its_connection_with_the_cause() {
    for is_dropped in [false, true] {
        bounded(move || {
            let runtime = builder().build().expect("a ring");
            runtime.block_on(patiently(async {
                let silent = RawListener::bind();
                let plain = PlainSocket::connect(silent.address()).await;
                let (mut reader, _writer) = plain.expect("connect").split();
                let (dialer, _listener) = pair().await;
                let (mut sender, _receiver) = dialer.split();
                sender.send(b"before").await.expect("send");
                let reservation = sender.reserve(100).await.expect("reserve");
                let mut read = Box::pin(reader.read_into(reservation, ..));
                assert!(futures_util::poll!(read.as_mut()).is_pending());
                ringseal::sleep(Duration::from_millis(20)).await;
                deny_from_now_on(&[libc::SYS_io_uring_enter], libc::EINVAL);
                if is_dropped || backend() == Backend::Epoll {
                    drop(read);
                } else {
                    names_the_cause(&read.await.expect_err("no ring"), libc::EINVAL);
                }
                if backend() == Backend::Epoll {
                    return sender.flush().await.expect("flush");
                }
                let error = sender.flush().await.expect_err("it is not written");
                names_the_cause(&error, libc::EINVAL);
                let error = sender.send(b"behind").await.expect_err("no ring");
                assert!(matches!(error, SendError::Closed), "{error}");
            }));
        });
    }
}

crate::on_every_driver! {
    a_lent_buffer_that_never_comes_back_ends_its_connection_with_the_cause,
    connections_end_with_the_cause_when_their_ring_cannot_be_entered_any_more,
    an_error_that_does_not_pass_ends_connections_as_well,
    a_runtime_ends_without_its_ring,
}
