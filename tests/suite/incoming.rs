//! Clients before their handshake: looked at, refused, sent to other threads, and what becomes of
//! their sockets.

use std::io::{ErrorKind, Read, Write};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ringseal::{
    Address, Admission, AttemptError, BindError, BindOptions, Connection, DialError, Incoming,
    ListenError, Listener, RingThreads, SocketListener, Statistics, UnixSocket, dial,
};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::peers::{builder, config, is_not_admitted, key, patience, patiently, run};
use super::setting;
use super::transport::{RawStream, Transport, somewhere};

async fn sockets() -> SocketListener {
    SocketListener::bind(somewhere(), &BindOptions::default())
        .await
        .expect("bind")
}

fn raw(address: Address) -> RawStream {
    let stream = RawStream::connect(address);
    stream.set_read_timeout(patience());
    stream
}

fn statistics() -> Statistics {
    Statistics::current().expect("inside")
}

/// Whether the other end has closed or reset the connection.
fn is_closed(stream: &mut RawStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Dials in the background.
fn dialing(address: Address) -> ringseal::Task<Result<Connection, DialError>> {
    ringseal::spawn(async move { dial(address, key(2), &config(1)).await })
}

async fn exchange(mut sender: Connection, receiver: &mut Connection) {
    sender.send(&[7; 50_000]).await.expect("send");
    sender.flush().await.expect("flush");
    let message = receiver.recv().await.expect("recv").expect("one");
    assert_eq!(&*message, &[7; 50_000]);
}

async fn serves(listener: &mut Listener) {
    let dialed = dialing(listener.local_address());
    let mut accepted = listener.accept().await.expect("accept");
    exchange(dialed.await.expect("dial"), &mut accepted).await;
}

fn a_client_shows_its_address_before_anything_is_read() {
    run(async {
        let mut sockets = sockets().await;
        let before = statistics();
        let mut client = raw(sockets.local_address());
        client.write_all(&[0xff; 100]).expect("write");
        let incoming = sockets.accept().await.expect("accept");
        assert_eq!(*incoming.address(), client.local_address());
        let credentials = incoming.peer_credentials();
        let is_unix = setting::transport() == Transport::Unix;
        assert_eq!(credentials.is_some(), is_unix);
        if let Some(credentials) = credentials {
            assert_eq!(credentials.process, std::process::id());
            assert_eq!(credentials.user, rustix::process::geteuid().as_raw());
        }
        let after = statistics();
        assert_eq!(
            (after.reads, after.heap_bytes, after.refused),
            (before.reads, before.heap_bytes, before.refused)
        );
        assert_eq!(after.free_slots, before.free_slots);
        drop(incoming);
        assert!(is_closed(&mut client));
        assert_eq!(statistics().refused, 0, "it was not refused");
    });
}

fn a_client_that_is_refused_is_cut_off_and_counted() {
    run(async {
        let mut sockets = sockets().await;
        for count in 1..=3 {
            let mut client = raw(sockets.local_address());
            sockets.accept().await.expect("accept").refuse();
            assert!(is_closed(&mut client));
            assert_eq!(statistics().refused, count);
        }
        // The dialer is told that there is nobody.
        let dialed = dialing(sockets.local_address());
        sockets.accept().await.expect("accept").refuse();
        let error = dialed.await.expect_err("refused");
        assert!(
            matches!(
                error,
                DialError::Attempt(AttemptError::UnexpectedEnd) | DialError::Connect { .. }
            ),
            "{error:?}"
        );
        assert_eq!(statistics().in_flight, 0);
    });
}

fn a_client_becomes_a_connection_where_it_was_accepted() {
    run(async {
        let mut sockets = sockets().await;
        let admission = Admission::allow_list([key(1)]);
        let dialed = dialing(sockets.local_address());
        let incoming = sockets.accept().await.expect("accept");
        let address = incoming.address().clone();
        let mut accepted = incoming
            .handshake(&config(2), &admission)
            .await
            .expect("a connection");
        assert_eq!(accepted.peer(), key(1));
        assert_eq!(*accepted.peer_address(), address);
        exchange(dialed.await.expect("dial"), &mut accepted).await;
        // Who is not admitted is not, and the next one is served.
        let address = sockets.local_address();
        let stranger = ringseal::spawn(async move { dial(address, key(2), &config(9)).await });
        let incoming = sockets.accept().await.expect("accept");
        let error = incoming.handshake(&config(2), &admission).await;
        let error = error.expect_err("a stranger");
        assert!(is_not_admitted(&error.reason), "{error:?}");
        stranger.await.expect_err("not admitted");
    });
}

fn assert_send<T: Send + 'static>(value: T) -> T {
    value
}

fn a_client_that_one_thread_accepts_becomes_a_connection_on_another() {
    let (clients, received) = mpsc::channel::<Incoming>();
    let serving = setting::spawn(move || {
        let runtime = builder().build().expect("a ring");
        let mut served = 0;
        for incoming in received {
            runtime.block_on(patiently(async {
                let accepted = incoming.handshake(&config(2), &Admission::any()).await;
                let mut accepted = accepted.expect("a connection");
                let message = accepted.recv().await.expect("recv").expect("one");
                assert_eq!(&*message, b"where are you?");
                drop(message);
                accepted.send(b"elsewhere").await.expect("send");
                accepted.close().await.expect("close");
            }));
            served += 1;
        }
        served
    });
    run(async {
        let mut sockets = sockets().await;
        for _ in 0..3 {
            let dialed = dialing(sockets.local_address());
            let incoming = sockets.accept().await.expect("accept");
            clients.send(assert_send(incoming)).expect("it serves");
            let mut dialed = dialed.await.expect("dial");
            dialed.send(b"where are you?").await.expect("send");
            let message = dialed.recv().await.expect("recv").expect("one");
            assert_eq!(&*message, b"elsewhere");
        }
        drop(clients);
    });
    assert_eq!(serving.join().expect("it serves"), 3);
}

fn a_client_becomes_a_connection_on_a_ring_thread() {
    let threads = RingThreads::start(builder(), 1).expect("a ring");
    let handle = threads.handle();
    run(async {
        let mut sockets = sockets().await;
        let dialed = dialing(sockets.local_address());
        let incoming = sockets.accept().await.expect("accept");
        let ours = config(2);
        let mut remote = handle
            .handshake(incoming, &ours, &Admission::any())
            .await
            .expect("a connection");
        let mut dialed = dialed.await.expect("dial");
        dialed.send(b"across").await.expect("send");
        dialed.flush().await.expect("flush");
        let message = remote.recv().await.expect("recv").expect("one");
        assert_eq!(message, "across");
        // Threads that have ended close what they are given.
        threads.shutdown().await.expect("no panic");
        let mut client = raw(sockets.local_address());
        let incoming = sockets.accept().await.expect("accept");
        let outcome = handle.handshake(incoming, &ours, &Admission::any()).await;
        outcome.expect_err("no thread");
        assert!(is_closed(&mut client));
    });
}

fn a_client_that_says_too_little_is_given_up() {
    run(async {
        let mut sockets = sockets().await;
        let mut client = raw(sockets.local_address());
        let incoming = sockets.accept().await.expect("accept");
        let limited = config(2).first_message_timeout(Duration::from_millis(50));
        let error = incoming.handshake(&limited, &Admission::any()).await;
        let error = error.expect_err("silent");
        assert!(
            matches!(error.reason, AttemptError::NoFirstMessage),
            "{error:?}"
        );
        assert!(is_closed(&mut client));
        let mut client = raw(sockets.local_address());
        let incoming = sockets.accept().await.expect("accept");
        let limited = config(2).handshake_deadline(Duration::from_millis(50));
        let error = incoming.handshake(&limited, &Admission::any()).await;
        let error = error.expect_err("silent");
        assert!(
            matches!(error.reason, AttemptError::Deadline { .. }),
            "{error:?}"
        );
        assert!(is_closed(&mut client));
    });
}

fn a_handshake_that_is_dropped_leaves_nothing() {
    run(async {
        let mut sockets = sockets().await;
        let mut client = raw(sockets.local_address());
        let incoming = sockets.accept().await.expect("accept");
        let ours = config(2);
        let admission = Admission::any();
        {
            let mut handshake = pin!(incoming.handshake(&ours, &admission));
            assert!(futures_util::poll!(handshake.as_mut()).is_pending());
            ringseal::sleep(Duration::from_millis(5)).await;
            assert!(futures_util::poll!(handshake.as_mut()).is_pending());
        }
        while statistics().in_flight > 0 || statistics().heap_bytes > 0 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        assert!(is_closed(&mut client));
    });
}

fn a_dropped_accept_loses_no_client() {
    run(async {
        let mut sockets = sockets().await;
        assert!(futures_util::poll!(pin!(sockets.accept())).is_pending());
        let client = raw(sockets.local_address());
        ringseal::sleep(Duration::from_millis(5)).await;
        let incoming = sockets.accept().await.expect("accept");
        assert_eq!(*incoming.address(), client.local_address());
    });
}

fn the_addresses_of_a_listener_take_turns() {
    run(async {
        let options = BindOptions::default();
        let both = "127.0.0.1:0,127.0.0.2:0";
        let mut sockets = SocketListener::bind(both, &options).await.expect("bind");
        let [busy, quiet] = sockets.local_addresses() else {
            panic!("{:?}", sockets.local_addresses());
        };
        let mut crowd: Vec<_> = (0..3).map(|_| raw(busy.clone())).collect();
        let single = raw(quiet.clone());
        let mut place = None;
        for index in 0..4 {
            let incoming = sockets.accept().await.expect("accept");
            if *incoming.address() == single.local_address() {
                place = Some(index);
            }
        }
        assert!(place.is_some_and(|place| place < 2), "{place:?}");
        assert!(crowd.iter_mut().all(is_closed));
    });
}

fn no_more_clients_queue_than_the_backlog_says() {
    let name = format!(
        "ringseal-backlog-{}-{}",
        std::process::id(),
        setting::Setting::current().name
    );
    run(async {
        let options = BindOptions::new().backlog(3);
        let address = UnixSocket::abstract_name(&name);
        let mut sockets = SocketListener::bind(address, &options).await.expect("bind");
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).expect("a name");
        let mut queued = Vec::new();
        loop {
            let flags = SocketFlags::NONBLOCK;
            let client = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
            let client = client.expect("a socket");
            match net::connect(&client, &address) {
                Ok(()) => queued.push(client),
                Err(error) => {
                    assert_eq!(error, rustix::io::Errno::AGAIN);
                    break;
                }
            }
        }
        // Linux lets one more in.
        assert_eq!(queued.len(), 4);
        for _ in queued {
            sockets.accept().await.expect("accept").refuse();
        }
    });
}

fn outside_a_runtime_nobody_is_served_and_sockets_are_closed() {
    let runtime = builder().build().expect("a ring");
    let (mut sockets, incoming, mut client) = runtime.block_on(patiently(async {
        let mut sockets = sockets().await;
        let client = raw(sockets.local_address());
        let incoming = sockets.accept().await.expect("accept");
        assert!(futures_util::poll!(pin!(sockets.accept())).is_pending());
        (sockets, incoming, client)
    }));
    let (ours, admission) = (config(2), Admission::any());
    let outcome = futures::executor::block_on(incoming.handshake(&ours, &admission));
    let error = outcome.expect_err("no runtime");
    assert!(
        matches!(error.reason, AttemptError::OutsideRuntime),
        "{error:?}"
    );
    assert!(is_closed(&mut client));
    drop(runtime);
    let error = futures::executor::block_on(sockets.accept()).expect_err("no runtime");
    assert!(matches!(error, ListenError::OutsideRuntime), "{error:?}");
    // Nor in another one.
    let other = builder().build().expect("a ring");
    other.block_on(async {
        let error = sockets.accept().await.expect_err("not its runtime");
        assert!(matches!(error, ListenError::OutsideRuntime), "{error:?}");
        let error = Listener::over(sockets, &ours, admission).expect_err("not its runtime");
        assert!(matches!(error, BindError::OutsideRuntime), "{error:?}");
    });
}

fn a_listener_can_be_made_of_sockets() {
    run(async {
        let sockets = sockets().await;
        let address = sockets.local_address();
        let mut listener = Listener::over(sockets, &config(2), Admission::any()).expect("inside");
        assert_eq!(listener.local_address(), address);
        serves(&mut listener).await;
    });
}

fn a_filter_refuses_by_the_address_before_the_handshake() {
    run(async {
        let (names, asked) = mpsc::channel();
        let is_closed_to_all = Arc::new(AtomicBool::new(false));
        let is_closed_now = Arc::clone(&is_closed_to_all);
        let is_unix = setting::transport() == Transport::Unix;
        let admission = Admission::any().filter(move |address, credentials| {
            assert_eq!(credentials.is_some(), is_unix);
            names.send(address.clone()).expect("the test");
            !is_closed_now.load(Ordering::Relaxed)
        });
        let listener = Listener::bind(somewhere(), &config(2), admission.clone()).await;
        let mut listener = listener.expect("bind");
        serves(&mut listener).await;
        let address = asked.try_recv().expect("the filter was asked");
        assert_eq!(address == Address::Unnamed, is_unix);
        assert_eq!(statistics().refused, 0);

        // Everybody, also who would speak the protocol.
        is_closed_to_all.store(true, Ordering::Relaxed);
        let mut client = raw(listener.local_address());
        {
            let mut accept = pin!(listener.accept());
            while statistics().refused == 0 {
                assert!(futures_util::poll!(accept.as_mut()).is_pending());
                ringseal::sleep(Duration::from_millis(1)).await;
            }
            assert!(futures_util::poll!(accept).is_pending(), "no outcome of it");
        }
        assert!(is_closed(&mut client));
        let error = dial(listener.local_address(), key(2), &config(1)).await;
        error.expect_err("refused");
        is_closed_to_all.store(false, Ordering::Relaxed);
        serves(&mut listener).await;

        // And where the handshake is begun by hand.
        is_closed_to_all.store(true, Ordering::Relaxed);
        let mut sockets = sockets().await;
        let mut client = raw(sockets.local_address());
        let incoming = sockets.accept().await.expect("accept");
        let before = statistics().refused;
        let outcome = incoming.handshake(&config(2), &admission).await;
        let error = outcome.expect_err("refused");
        assert!(
            matches!(error.reason, AttemptError::SourceRefused),
            "{error:?}"
        );
        assert_eq!(statistics().refused, before + 1);
        assert!(is_closed(&mut client));
    });
}

fn a_filter_that_panics_refuses_and_ends_nothing_else() {
    run(async {
        let panicking = Arc::new(AtomicBool::new(true));
        let is_on = Arc::clone(&panicking);
        let admission = Admission::any().filter(move |_, _| {
            assert!(!is_on.swap(false, Ordering::Relaxed), "on purpose");
            true
        });
        let listener = Listener::bind(somewhere(), &config(2), admission).await;
        let mut listener = listener.expect("bind");
        let mut client = raw(listener.local_address());
        while statistics().refused == 0 {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        assert!(is_closed(&mut client));
        serves(&mut listener).await;
    });
}

crate::on_every_setting! {
    a_client_shows_its_address_before_anything_is_read,
    a_client_that_is_refused_is_cut_off_and_counted,
    a_client_becomes_a_connection_where_it_was_accepted,
    a_client_that_one_thread_accepts_becomes_a_connection_on_another,
    a_client_becomes_a_connection_on_a_ring_thread,
    a_client_that_says_too_little_is_given_up,
    a_handshake_that_is_dropped_leaves_nothing,
    a_dropped_accept_loses_no_client,
    the_addresses_of_a_listener_take_turns,
    no_more_clients_queue_than_the_backlog_says,
    outside_a_runtime_nobody_is_served_and_sockets_are_closed,
    a_listener_can_be_made_of_sockets,
    a_filter_refuses_by_the_address_before_the_handshake,
    a_filter_that_panics_refuses_and_ends_nothing_else,
}
