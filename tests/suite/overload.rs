//! A listener with more clients than it can serve: those who mean it get through.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use ringseal::{Address, Admission, AttemptError, Config, Connection, Listener, dial};

use super::peers::{config, key, pair, patience, pattern, run};
use super::setting::{self, first_bytes, handshake_lengths, on_native};
use super::transport::{ELSEWHERE, RawListener, RawStream, somewhere};

/// Bytes of a dialer's first message.
fn prelude() -> usize {
    handshake_lengths().first
}

/// Bytes of its first two messages on the commonware wire, with which it proves its key.
fn proof() -> usize {
    handshake_lengths().before_answer
}

/// Settings of a listener on which nobody is ended by the passing of time.
fn patient(cap: usize) -> Config {
    config(2)
        .max_handshakes(cap)
        .handshake_deadline(patience() * 2)
        .first_message_timeout(patience() * 2)
}

async fn listen(settings: &Config) -> Listener {
    Listener::bind(somewhere(), settings, Admission::any())
        .await
        .expect("bind")
}

/// Dials in the background.
fn dialing(address: &Address) -> ringseal::Task<Connection> {
    let address = address.clone();
    let settings = config(1).handshake_deadline(patience());
    ringseal::spawn(async move { dial(address, key(2), &settings).await.expect("dial") })
}

/// Returns the next connection, and who made way before.
async fn next(listener: &mut Listener) -> (Connection, Vec<Address>) {
    let mut made_way = Vec::new();
    loop {
        match listener.accept().await {
            Ok(connection) => return (connection, made_way),
            Err(error) => {
                let reason = error.reason;
                assert!(matches!(reason, AttemptError::MadeWay), "{reason:?}");
                made_way.push(error.address);
            }
        }
    }
}

/// Passes the first bytes that a client sends on to a listener, and the others when it is told.
struct Relay {
    address: Address,
    /// Where the listener sees the client, once the first bytes were passed.
    passed: Receiver<Option<SocketAddr>>,
    go_on: Sender<()>,
}

impl Relay {
    fn start(target: &Address, from: Option<Ipv4Addr>, first: usize) -> Self {
        let listener = RawListener::bind();
        let address = listener.address();
        let target = target.clone();
        let (passes, passed) = channel();
        let (go_on, told) = channel::<()>();
        setting::spawn(move || {
            let mut client = listener.accept();
            let (mut server, address) = match from {
                Some(from) => {
                    let (stream, address) = RawStream::connect_from(from, &target);
                    (stream, Some(address))
                }
                None => (RawStream::connect(target), None),
            };
            let (mut back, mut forth) = (server.try_clone(), client.try_clone());
            setting::spawn(move || std::io::copy(&mut back, &mut forth));
            let mut bytes = vec![0; first];
            client.read_exact(&mut bytes).expect("read");
            server.write_all(&bytes).expect("write");
            let _ = passes.send(address);
            if told.recv().is_ok() {
                let _ = std::io::copy(&mut client, &mut server);
            }
            for stream in [client, server] {
                stream.shutdown(std::net::Shutdown::Both);
            }
        });
        Self {
            address,
            passed,
            go_on,
        }
    }

    /// Waits until the listener has the first bytes.
    async fn has_passed(&self) -> Option<SocketAddr> {
        loop {
            match self.passed.try_recv() {
                Ok(address) => return address,
                // This thread has a ring to turn.
                Err(_) => ringseal::sleep(Duration::from_millis(1)).await,
            }
        }
    }
}

// HAZARDS F7: the cap is full of silent clients.
fn silent_clients_make_way_and_the_longest_silent_first() {
    run(async {
        let mut listener = listen(&patient(8)).await;
        let address = listener.local_address();
        let silent: Vec<RawStream> = (0..40).map(|_| RawStream::connect(&address)).collect();
        let dialed = dialing(&address);
        let (_accepted, made_way) = next(&mut listener).await;
        // All but those that fit beside the honest one.
        assert_eq!(made_way.len(), 33);
        if let [Address::Socket(_), ..] = made_way[..] {
            let order = silent.iter().take(33).map(RawStream::local_address);
            assert!(order.eq(made_way), "others were silent for longer");
        }
        drop(dialed.await);
    });
}

// HAZARDS F7: somebody comes to a full listener that has nothing else to do. The one who is there
// has been silent for too short a time to make way at once.
fn a_newcomer_does_not_wait_for_another_event() {
    run(async {
        for _ in 0..10 {
            let mut listener = listen(&patient(1)).await;
            let address = listener.local_address();
            let silent = RawStream::connect(&address);
            ringseal::sleep(Duration::from_millis(2)).await;
            let dialed = dialing(&address);
            let (_accepted, made_way) = next(&mut listener).await;
            assert_eq!(made_way.len(), 1);
            drop((dialed.await, silent));
        }
    });
}

// HAZARDS F7: 60 silent clients a second and more, while others work.
fn a_flood_of_silence_stops_nobody() {
    run(async {
        let (mut near, mut far) = pair().await;
        let settings = patient(16).handshake_deadline(patience());
        let mut listener = listen(&settings).await;
        let address = listener.local_address();
        let target = address.clone();
        let (stop, stopped) = channel::<()>();
        let connected = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connected);
        let flood = setting::spawn(move || {
            let mut silent = Vec::new();
            while stopped.try_recv() == Err(TryRecvError::Empty) && silent.len() < 400 {
                silent.push(RawStream::connect(&target));
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            // They stay as long as the others work, or who is slow would see them go.
            let _ = stopped.recv();
        });
        // The cap is full several times over before anybody else comes.
        let mut early = 0;
        while connected.load(Ordering::Relaxed) < 100 {
            let made_way = ringseal::timeout(Duration::from_millis(1), listener.accept()).await;
            early += usize::from(made_way.is_some_and(|outcome| outcome.is_err()));
        }
        assert!(early > 0, "nobody made way");
        for round in 0..10 {
            let dialed = dialing(&address);
            let (mut accepted, _) = next(&mut listener).await;
            let mut dialed = dialed.await;
            for (from, to) in [(&mut dialed, &mut accepted), (&mut near, &mut far)] {
                from.send(&pattern(500, round)).await.expect("send");
                let message = to.recv().await.expect("recv").expect("a message");
                assert!(*message == *pattern(500, round));
            }
        }
        drop(stop);
        while !flood.is_finished() {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        flood.join().expect("the flood");
    });
}

// HAZARDS F7: silence never throws out what has begun.
fn a_handshake_that_has_begun_outlives_a_flood_of_silence() {
    run(async {
        // On the native wire the second message comes behind an answer.
        let proving = (!on_native()).then(|| [proof() - 1, proof()]);
        let proving = proving.into_iter().flatten();
        for begun in [1, prelude() - 1, prelude()].into_iter().chain(proving) {
            let mut listener = listen(&patient(4)).await;
            let address = listener.local_address();
            let slow = Relay::start(&address, None, begun);
            let dialed = dialing(&slow.address);
            slow.has_passed().await;
            let silent: Vec<RawStream> = (0..40).map(|_| RawStream::connect(&address)).collect();
            for _ in 0..37 {
                let reason = listener.accept().await.expect_err("silent").reason;
                assert!(matches!(reason, AttemptError::MadeWay), "{reason:?}");
            }
            slow.go_on.send(()).expect("the relay");
            let (_accepted, made_way) = next(&mut listener).await;
            assert!(made_way.is_empty(), "{made_way:?}");
            drop((dialed.await, silent));
        }
    });
}

// HAZARDS F7, the same kind: clients that say who they are, and no more, keep nobody out either.
fn clients_that_prove_nothing_make_way() {
    run(async {
        let mut listener = listen(&patient(8)).await;
        let address = listener.local_address();
        let hold = |_| async {
            let relay = Relay::start(&address, None, prelude());
            let dialed = dialing(&relay.address);
            relay.has_passed().await;
            (relay, dialed)
        };
        let mut held = Vec::new();
        for index in 0..8 {
            held.push(hold(index).await);
        }
        let dialed = dialing(&address);
        let (_accepted, made_way) = next(&mut listener).await;
        assert_eq!(made_way.len(), 1);
        drop(dialed.await);
        held.iter().for_each(|(_, dialed)| dialed.abort());
    });
}

// HAZARDS F7: a share for each source. All of the cap is with clients of one address that have
// proved their keys and wait; somebody from elsewhere gets in.
fn one_source_does_not_keep_all_others_out() {
    run(async {
        let mut listener = listen(&patient(8)).await;
        let address = listener.local_address();
        let mut held = Vec::new();
        for _ in 0..8 {
            let relay = Relay::start(&address, Some(ELSEWHERE), proof());
            let dialed = dialing(&relay.address);
            let seen_as = relay.has_passed().await.expect("TCP");
            held.push((relay, dialed.await, Address::from(seen_as)));
        }
        for index in (4..8).rev() {
            let dialed = dialing(&address);
            let (_accepted, made_way) = next(&mut listener).await;
            // The one that had waited the least, while its source had more than half.
            assert_eq!(made_way, [held[index].2.clone()]);
            drop(dialed.await);
            if index == 4 {
                break;
            }
            // Its place is taken by an honest one that stays.
            let relay = Relay::start(&address, None, proof());
            let dialed = dialing(&relay.address);
            relay.has_passed().await;
            held.push((relay, dialed.await, Address::Unnamed));
        }
        // What is left of them is served when it goes on.
        for (relay, _, seen_as) in held.iter().take(4) {
            relay.go_on.send(()).expect("the relay");
            let (accepted, made_way) = next(&mut listener).await;
            assert!(made_way.is_empty(), "{made_way:?}");
            assert_eq!(accepted.peer_address(), seen_as);
        }
    });
}

// HAZARDS F7: the first message has a time limit of its own.
fn a_client_without_a_first_message_has_less_time() {
    run(async {
        let settings = patient(8).first_message_timeout(Duration::from_millis(100));
        let mut listener = listen(&settings).await;
        let address = listener.local_address();
        // It is in time, and then slow.
        let slow = Relay::start(&address, None, prelude());
        let dialed = dialing(&slow.address);
        slow.has_passed().await;
        let silent = RawStream::connect(&address);
        let mut trickle = RawStream::connect(&address);
        let bytes = first_bytes().take(prelude() - 1);
        let trickling = setting::spawn(move || {
            for byte in bytes {
                if trickle.write_all(&[byte]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        for _ in 0..2 {
            let reason = listener.accept().await.expect_err("no message").reason;
            assert!(matches!(reason, AttemptError::NoFirstMessage), "{reason:?}");
        }
        slow.go_on.send(()).expect("the relay");
        drop((listener.accept().await.expect("accept"), dialed.await));
        drop(silent);
        while !trickling.is_finished() {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
    });
}

// The work for all clients takes several times the deadline: those who came first are served in
// time, and not all are too late.
fn under_overload_the_oldest_handshakes_are_finished_first() {
    const CLIENTS: usize = 60;
    const STEP: Duration = Duration::from_millis(100);
    run(async {
        let settings = config(2).handshake_deadline(STEP * 20);
        // What a slow processor does.
        let admission = Admission::check(|_| {
            std::thread::sleep(STEP);
            true
        });
        let mut listener = Listener::bind(somewhere(), &settings, admission)
            .await
            .expect("bind");
        let address = listener.local_address();
        let clients = setting::spawn(move || {
            let settings = config(1).handshake_deadline(patience());
            run(async {
                let dialing = (0..CLIENTS).map(|_| dial(&address, key(2), &settings));
                let dialed = futures_util::future::join_all(dialing).await;
                drop(dialed);
            });
        });
        let mut served = 0;
        for _ in 0..CLIENTS {
            served += usize::from(listener.accept().await.is_ok());
        }
        // There is time for three quarters of the twenty that would fit, less what a busy
        // machine takes; before, the first was as late as the last.
        assert!(served >= 5, "{served} came in time");
        while !clients.is_finished() {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        clients.join().expect("the clients");
    });
}

macro_rules! on_sockets {
    ($wire:ident: $($setting:ident, $backend:ident, $transport:ident;)+) => {$(
        crate::on_setting!(
            $setting,
            $wire,
            $backend,
            $transport,
            silent_clients_make_way_and_the_longest_silent_first,
            a_newcomer_does_not_wait_for_another_event,
            a_flood_of_silence_stops_nobody,
            a_handshake_that_has_begun_outlives_a_flood_of_silence,
            clients_that_prove_nothing_make_way,
            a_client_without_a_first_message_has_less_time,
            under_overload_the_oldest_handshakes_are_finished_first,
        );
    )+};
}

on_sockets! { Native:
    uring_tcp, Uring, Tcp;
    uring_unix, Uring, Unix;
    tokio_uring_tcp, TokioUring, Tcp;
    tokio_uring_unix, TokioUring, Unix;
    epoll_tcp, Epoll, Tcp;
    epoll_unix, Epoll, Unix;
}

on_sockets! { Commonware:
    commonware_uring_tcp, Uring, Tcp;
    commonware_uring_unix, Uring, Unix;
    commonware_tokio_uring_tcp, TokioUring, Tcp;
    commonware_epoll_tcp, Epoll, Tcp;
    commonware_epoll_unix, Epoll, Unix;
}

mod of_one_wire {
    // On the native wire nobody has proved a key and keeps the listener waiting.
    use super::one_source_does_not_keep_all_others_out;

    crate::on_setting!(
        commonware_uring_tcp,
        Commonware,
        Uring,
        Tcp,
        one_source_does_not_keep_all_others_out,
    );
    crate::on_setting!(
        commonware_tokio_uring_tcp,
        Commonware,
        TokioUring,
        Tcp,
        one_source_does_not_keep_all_others_out,
    );
    crate::on_setting!(
        commonware_epoll_tcp,
        Commonware,
        Epoll,
        Tcp,
        one_source_does_not_keep_all_others_out,
    );
}
