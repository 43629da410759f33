//! A server that drains lets everybody finish, loses nothing, and cuts who does not end.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringseal::protocol::native::record::RefuseReason;
use ringseal::{
    Address, Admission, AttemptError, Connection, DialError, Received, Receiver, Sender, Server,
    ServerStatistics, Session, sleep,
};
use tokio::sync::mpsc;

use super::{connect, finish, patient, server, server_with, start, told, try_connect, wait_for};
use crate::peers::{key, patience, pattern, run};
use crate::transport::RawStream;

/// What the server tells that it leaves for.
const REASON: u16 = 77;
const CLIENTS: usize = 6;
/// How long a peer says nothing before it is taken to be done.
const QUIET: Duration = Duration::from_secs(5);
/// How often each is tried, unless this variable says.
const ROUNDS: u64 = 24;
const ASKED_ROUNDS: &str = "RINGSEAL_ROUNDS";

/// Gives the milliseconds after which the drain of each round begins.
fn delays(step: u64) -> impl Iterator<Item = Duration> {
    let asked = std::env::var(ASKED_ROUNDS);
    let rounds = asked.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    (0..rounds).map(move |round| Duration::from_millis(step * (round % 8)))
}

/// Messages of several records, and of a few bytes.
fn message(index: usize) -> Vec<u8> {
    let length = if index.is_multiple_of(40) {
        150_000
    } else {
        index % 700
    };
    pattern(length, index)
}

/// Sends until the peer asks to end; returns how many messages.
async fn send_until_asked(mut sender: Sender, is_asked: Rc<Cell<bool>>) -> usize {
    let mut count = 0;
    while !is_asked.get() {
        sender.send(&message(count)).await.expect("send");
        count += 1;
        if count.is_multiple_of(16) {
            sender.flush().await.expect("flush");
            sleep(Duration::from_micros(200)).await;
        }
    }
    sender.close().await.expect("close");
    count
}

/// Takes echoes until the peer ends; returns how many.
async fn take_echoes(mut receiver: Receiver, is_asked: Rc<Cell<bool>>) -> usize {
    let mut count = 0;
    while let Some(received) = receiver.recv_event().await.expect("recv") {
        match received {
            Received::Message(echo) => {
                assert!(*echo == *message(count), "echo {count}");
                count += 1;
            }
            Received::Leaving(reason) => {
                assert_eq!(reason, REASON);
                is_asked.set(true);
            }
            other => panic!("{other:?}"),
        }
    }
    count
}

/// Talks until the server asks to end, and checks that everything came back.
async fn talk(address: Address) {
    let (sender, receiver) = connect(&address, 1).await.split();
    let is_asked = Rc::new(Cell::new(false));
    let sending = ringseal::spawn(send_until_asked(sender, Rc::clone(&is_asked)));
    let echoes = take_echoes(receiver, Rc::clone(&is_asked)).await;
    assert!(is_asked.get(), "the server ends only when it drains");
    assert_eq!(echoes, sending.await);
    assert!(echoes > 0, "it drains behind the first messages");
}

fn a_drain_under_load_loses_nothing() {
    for delay in delays(3) {
        run(async {
            let server = start(server().leaving_reason(REASON));
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| ringseal::spawn(talk(server.local_address())))
                .collect();
            wait_for(&server, |it| {
                let received = it.runtime.map_or(0, |runtime| runtime.messages_received);
                it.connections == CLIENTS && received > 500
            })
            .await;
            sleep(delay).await;
            finish(server).await;
            for client in clients {
                client.await;
            }
        });
    }
}

/// Sends to whoever asks until the server drains, and tells how many messages that were.
async fn push(connection: Connection, session: Session, counts: mpsc::UnboundedSender<usize>) {
    let (mut sender, mut receiver) = connection.split();
    receiver.recv().await.expect("recv").expect("the question");
    let mut count = 0;
    while !session.is_draining() {
        sender.send(&message(count)).await.expect("send");
        count += 1;
        if count.is_multiple_of(16) {
            sender.flush().await.expect("flush");
        }
    }
    sender.close().await.expect("close");
    counts.send(count).expect("the test");
    while let Ok(Some(_)) = receiver.recv().await {}
}

/// Takes what is pushed until the server ends; returns how many messages.
async fn take_pushed(address: Address) -> usize {
    let mut connection = connect(&address, 1).await;
    connection.send(b"go on").await.expect("send");
    let mut count = 0;
    while let Some(pushed) = connection.recv().await.expect("recv") {
        assert!(*pushed == *message(count), "message {count}");
        count += 1;
    }
    connection.close().await.expect("close");
    count
}

async fn sorted(counts: impl Future<Output = Vec<usize>>) -> Vec<usize> {
    let mut counts = counts.await;
    counts.sort_unstable();
    counts
}

fn what_handlers_have_sent_before_they_end_arrives() {
    for delay in delays(2) {
        run(async {
            let (counts, mut pushed) = mpsc::unbounded_channel();
            let server = server().start(move |connection, session| {
                let counts = counts.clone();
                push(connection, session, counts)
            });
            let server = server.expect("a server");
            let clients = (0..CLIENTS).map(|_| take_pushed(server.local_address()));
            let clients: Vec<_> = clients.map(ringseal::spawn).collect();
            wait_for(&server, |it| it.connections == CLIENTS).await;
            sleep(delay).await;
            finish(server).await;
            let taken = sorted(futures_util::future::join_all(clients)).await;
            let mut sent = Vec::new();
            while let Some(count) = pushed.recv().await {
                sent.push(count);
            }
            assert_eq!(taken, sorted(async { sent }).await);
        });
    }
}

/// Takes what comes until the peer ends, and tells how many messages that were.
async fn collect(mut connection: Connection, counts: mpsc::UnboundedSender<usize>) {
    let mut count = 0;
    while let Some(received) = connection.recv().await.expect("recv") {
        assert!(*received == *message(count), "message {count}");
        count += 1;
    }
    connection.close().await.expect("close");
    counts.send(count).expect("the test");
}

/// Sends until it is told to end; returns how many messages.
async fn send_until_told(address: Address, is_told: Rc<Cell<bool>>) -> usize {
    let (sender, mut receiver) = connect(&address, 1).await.split();
    let count = send_until_asked(sender, is_told).await;
    assert!(receiver.recv().await.expect("recv").is_none());
    count
}

fn what_clients_send_while_it_drains_arrives_at_handlers() {
    for delay in delays(3) {
        run(async {
            let (counts, mut collected) = mpsc::unbounded_channel();
            let server = server().start(move |connection, _session| {
                let counts = counts.clone();
                collect(connection, counts)
            });
            let server = server.expect("a server");
            let is_told = Rc::new(Cell::new(false));
            let clients =
                (0..CLIENTS).map(|_| send_until_told(server.local_address(), Rc::clone(&is_told)));
            let clients: Vec<_> = clients.map(ringseal::spawn).collect();
            wait_for(&server, |it| it.connections == CLIENTS).await;
            server.handle().begin_drain(patience());
            sleep(delay).await;
            is_told.set(true);
            finish(server).await;
            let sent = sorted(futures_util::future::join_all(clients)).await;
            let mut received = Vec::new();
            while let Some(count) = collected.recv().await {
                received.push(count);
            }
            assert_eq!(sent, sorted(async { received }).await);
        });
    }
}

/// Takes echoes until the peer ends; returns how many.
async fn count_echoes(mut receiver: Receiver) -> usize {
    let mut count = 0;
    while let Some(echo) = receiver.recv().await.expect("recv") {
        assert!(*echo == *message(count), "echo {count}");
        count += 1;
    }
    count
}

/// Sends until it is told to end; returns how many messages, and how many came back.
async fn have_echoed_until_told(address: Address, is_told: Rc<Cell<bool>>) -> (usize, usize) {
    let (sender, receiver) = connect(&address, 1).await.split();
    let taking = ringseal::spawn(count_echoes(receiver));
    let sent = send_until_asked(sender, is_told).await;
    (sent, taking.await)
}

// Also where the wire tells nobody that the server drains.
fn echoes_of_what_clients_send_while_it_drains_arrive() {
    for delay in delays(3) {
        run(async {
            let server = start(server());
            let is_told = Rc::new(Cell::new(false));
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| have_echoed_until_told(server.local_address(), Rc::clone(&is_told)))
                .map(ringseal::spawn)
                .collect();
            wait_for(&server, |it| it.connections == CLIENTS).await;
            server.handle().begin_drain(patience());
            sleep(delay).await;
            is_told.set(true);
            finish(server).await;
            for client in clients {
                let (sent, echoes) = client.await;
                assert_eq!(echoes, sent);
            }
        });
    }
}

/// Answers until the server drains, and then ends by itself.
async fn answer_until_draining(connection: Connection, session: Session) {
    let (mut sender, mut receiver) = connection.split();
    let mut draining = pin!(session.draining());
    loop {
        let received = tokio::select! {
            biased;
            received = receiver.recv() => received,
            () = &mut draining => break,
        };
        let Ok(Some(message)) = received else { return };
        sender.send(&message).await.expect("send");
    }
    assert!(session.is_draining());
    sender.send(b"the last").await.expect("send");
    sender.close().await.expect("close");
    while let Ok(Some(_)) = receiver.recv().await {}
}

fn handlers_that_look_at_it_end_in_order() {
    run(async {
        let server = server().start(answer_until_draining).expect("a server");
        let address = server.local_address();
        let mut connections = Vec::new();
        for index in 0..4 {
            let mut connection = connect(&address, 1).await;
            connection.send(&message(index)).await.expect("send");
            let echo = connection.recv().await.expect("recv").expect("one");
            assert!(*echo == *message(index));
            drop(echo);
            connections.push(connection);
        }
        server.handle().begin_drain(patience());
        for mut connection in connections {
            let last = connection.recv().await.expect("recv").expect("one");
            assert_eq!(&*last, b"the last");
            drop(last);
            assert!(connection.recv().await.expect("recv").is_none());
            connection.close().await.expect("close");
        }
        finish(server).await;
    });
}

/// Holds a connection for good.
async fn hold(connection: Connection, _session: Session) {
    let _connection = connection;
    std::future::pending::<()>().await;
}

fn who_does_not_end_in_time_is_cut_and_counted() {
    run(async {
        let server = server().start(hold).expect("a server");
        let address = server.local_address();
        let mut held = [connect(&address, 1).await, connect(&address, 1).await];
        let limit = Duration::from_millis(50);
        let start = Instant::now();
        let drained = server.handle().drain(limit).await.expect("not a child");
        assert!(start.elapsed() >= limit);
        assert_eq!(drained.cut, 2);
        for connection in &mut held {
            assert!(!matches!(connection.recv().await, Ok(Some(_))));
        }
        // The same is told to all who wait.
        assert_eq!(server.wait().await.expect("no panic"), drained);
    });
}

fn a_later_call_makes_the_time_shorter_and_never_longer() {
    run(async {
        let server = server().start(hold).expect("a server");
        let held = connect(&server.local_address(), 1).await;
        let handle = server.handle();
        handle.begin_drain(patience() * 4);
        sleep(Duration::from_millis(10)).await;
        handle.begin_drain(Duration::from_millis(20));
        let drained = handle.drain(patience() * 4).await.expect("not a child");
        assert_eq!(drained.cut, 1);
        drop(held);
    });
}

fn nobody_new_is_let_in_while_it_drains() {
    run(async {
        let (asks, mut asked) = mpsc::unbounded_channel::<()>();
        let (says, said) = tokio::sync::watch::channel(true);
        let admission = Admission::check_async(move |_| {
            asks.send(()).expect("the test");
            let mut said = said.clone();
            async move { said.wait_for(|yes| *yes).await.is_ok() }
        });
        let server = server_with(patient(2), admission);
        let server = server.start(hold).expect("a server");
        let (handle, address) = (server.handle(), server.local_address());
        let held = connect(&address, 1).await;
        asked.recv().await.expect("it was asked");
        says.send_replace(false);
        let dialed = address.clone();
        let late = ringseal::spawn(async move { try_connect(&dialed, 3).await });
        asked.recv().await.expect("it is asked");
        handle.begin_drain(patience());
        RawStream::try_connect(&address).expect_err("the port is closed at once");
        says.send_replace(true);
        assert_eq!(told(late.await), RefuseReason::SHUTTING_DOWN);
        let statistics = handle.statistics().await;
        assert_eq!(statistics.refusals.shutting_down, 1);
        assert_eq!(statistics.connections, 1);
        handle.shut_down();
        assert_eq!(server.wait().await.expect("no panic").cut, 1);
        drop(held);
    });
}

/// Passes bytes on between one dialer and `server`. What the dialer sends once it has been answered waits
/// for the sender that this returns to be dropped.
fn withhold_the_last_flight(server: Address) -> (Address, std::sync::mpsc::Sender<()>) {
    let relay = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = Address::from(relay.local_addr().expect("an address"));
    let (release, released) = std::sync::mpsc::channel();
    let server = server.socket_address().expect("over TCP");
    std::thread::spawn(move || {
        let (mut dialer, _) = relay.accept().expect("the dialer");
        let mut server = TcpStream::connect(server).expect("the server");
        let is_answered = Arc::new(AtomicBool::new(false));
        let back = {
            let mut from = server.try_clone().expect("a descriptor");
            let mut to = dialer.try_clone().expect("a descriptor");
            let is_answered = Arc::clone(&is_answered);
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = from.read(&mut bytes) {
                    is_answered.store(true, Ordering::SeqCst);
                    if to.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Write);
            })
        };
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = dialer.read(&mut bytes) {
            if is_answered.load(Ordering::SeqCst) {
                // Fails once it is dropped.
                let _ = released.recv();
            }
            if server.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Write);
        back.join().expect("no panic");
    });
    (address, release)
}

// On the wire where a dialer is in before the server knows.
fn who_believes_to_be_in_is_served_though_its_last_flight_is_late() {
    run(async {
        let server = start(server());
        let (address, release) = withhold_the_last_flight(server.local_address());
        let mut connection = connect(&address, 1).await;
        connection.send(b"question").await.expect("send");
        connection.flush().await.expect("flush");
        server.handle().begin_drain(patience());
        // Longer than strangers are waited for.
        sleep(Duration::from_millis(250)).await;
        drop(release);
        let echo = connection.recv().await.expect("recv").expect("an echo");
        assert!(*echo == *b"question");
        connection.close().await.expect("close");
        let drained = server.wait().await.expect("no panic");
        assert_eq!(drained.cut, 0);
    });
}

/// A server that holds a connection, has one handshake behind it that waits for its admission, and
/// several whose clients are silent.
struct Busy {
    server: Server,
    held: Connection,
    undecided: ringseal::Task<Result<Connection, DialError>>,
    silent: Vec<RawStream>,
    /// How many were told of to whoever is told of clients that did not become connections.
    told: Arc<AtomicUsize>,
}

impl Busy {
    const SILENT: usize = 5;

    async fn start() -> Self {
        let admission = Admission::check_async(|asked| async move {
            if asked == key(3) {
                std::future::pending::<()>().await;
            }
            true
        });
        let told = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&told);
        let server = server_with(patient(2), admission)
            .on_accept_error(move |error| {
                assert!(
                    matches!(error.reason, AttemptError::ListenerEnded),
                    "{error}"
                );
                counted.fetch_add(1, Ordering::SeqCst);
            })
            .start(hold)
            .expect("a server");
        let address = server.local_address();
        let held = connect(&address, 1).await;
        let silent = (0..Self::SILENT).map(|_| RawStream::connect(address.clone()));
        let silent = silent.collect();
        let undecided = ringseal::spawn(async move { try_connect(&address, 3).await });
        wait_for(&server, |it| {
            (it.connections, it.handshakes_under_way) == (1, Self::SILENT + 1)
        })
        .await;
        Self {
            server,
            held,
            undecided,
            silent,
            told,
        }
    }

    /// Whether each handshake that was under way is in its counter, and in no other.
    fn are_counted(&self, statistics: &ServerStatistics) -> bool {
        let handshakes = statistics.handshakes;
        assert_eq!(handshakes.established, 1);
        let others = [
            handshakes.not_admitted,
            handshakes.timed_out,
            handshakes.made_way,
            handshakes.no_room,
            handshakes.unused,
            handshakes.closed,
            handshakes.invalid,
        ];
        assert_eq!(others, [0; 7]);
        let count = Self::SILENT + 1;
        handshakes.dropped == u64::try_from(count).expect("a few")
            && self.told.load(Ordering::SeqCst) == count
            && statistics.handshakes_under_way == 0
    }
}

fn handshakes_that_a_drain_drops_are_counted() {
    run(async {
        let busy = Busy::start().await;
        let handle = busy.server.handle();
        handle.begin_drain(patience());
        wait_for(&busy.server, |it| busy.are_counted(it)).await;
        // The connection goes on, and so do the threads.
        let statistics = handle.statistics().await;
        assert_eq!(statistics.connections, 1);
        let runtime = statistics.runtime.expect("they run");
        assert_eq!(runtime.accepted.dropped, statistics.handshakes.dropped);
        let text = statistics.prometheus_text().to_string();
        let dropped = text.lines().filter(|line| {
            line.starts_with("ringseal_server_handshakes_total{")
                && line.contains("outcome=\"dropped\"")
                && !line.ends_with(" 0")
        });
        assert_eq!(dropped.count(), 2, "of both threads: {text}");
        busy.undecided.await.expect_err("it was dropped");
        handle.shut_down();
        let drained = busy.server.wait().await.expect("no panic");
        assert_eq!(drained.cut, 1);
        drop((busy.held, busy.silent));
    });
}

fn handshakes_that_a_server_drops_when_it_is_shut_down_are_counted() {
    run(async {
        let busy = Busy::start().await;
        let handle = busy.server.handle();
        handle.shut_down();
        handle.drain(patience()).await.expect("not a child");
        let statistics = handle.statistics().await;
        assert!(busy.are_counted(&statistics), "{statistics:#?}");
        busy.undecided.await.expect_err("it was dropped");
        drop((busy.held, busy.silent));
    });
}

/// Sends messages on until the server has drained for a while and the peer has said nothing meanwhile.
async fn forward_until_quiet(connection: Connection, session: Session) {
    let (mut sender, mut receiver) = connection.split();
    loop {
        let received = tokio::select! {
            biased;
            received = receiver.recv() => received.expect("recv"),
            () = session.draining_for(QUIET) => break,
        };
        let Some(message) = received else { break };
        sender.forward(message).await.expect("send");
    }
    sender.close().await.expect("close");
    while let Ok(Some(_)) = receiver.recv().await {}
}

fn a_handler_ends_that_waits_for_its_peer_to_be_quiet() {
    const MESSAGES: usize = 60;
    run(async {
        let server = server().start(forward_until_quiet).expect("a server");
        let connection = connect(&server.local_address(), 1).await;
        let (mut sender, mut receiver) = connection.split();
        let sending = ringseal::spawn(async move {
            for index in 0..MESSAGES {
                sender.send(&pattern(60_000, index)).await.expect("send");
            }
            sender
        });
        // More than hosts take while nobody reads, so some are sent on from copies.
        sleep(Duration::from_millis(50)).await;
        server.handle().begin_drain(patience());
        for index in 0..MESSAGES {
            let echo = receiver.recv().await.expect("recv").expect("one");
            assert!(*echo == *pattern(60_000, index), "echo {index}");
        }
        let mut sender = sending.await;
        sender.send(b"another").await.expect("send");
        let echo = receiver.recv().await.expect("recv").expect("one");
        assert_eq!(&*echo, b"another");
        drop(echo);
        // By itself, as nothing more is said.
        assert!(receiver.recv().await.expect("recv").is_none());
        sender.close().await.expect("close");
        finish(server).await;
    });
}

fn an_idle_server_drains_at_once() {
    run(async {
        let server: Server = start(server());
        finish(server).await;
    });
}

crate::on_every_driver!(
    handshakes_that_a_drain_drops_are_counted,
    handshakes_that_a_server_drops_when_it_is_shut_down_are_counted,
    a_drain_under_load_loses_nothing,
    what_handlers_have_sent_before_they_end_arrives,
    what_clients_send_while_it_drains_arrives_at_handlers,
    echoes_of_what_clients_send_while_it_drains_arrive,
    a_handler_ends_that_waits_for_its_peer_to_be_quiet,
    handlers_that_look_at_it_end_in_order,
    who_does_not_end_in_time_is_cut_and_counted,
    a_later_call_makes_the_time_shorter_and_never_longer,
    nobody_new_is_let_in_while_it_drains,
    an_idle_server_drains_at_once,
);

crate::on_setting!(
    commonware_uring_tcp,
    Commonware,
    Uring,
    Tcp,
    handshakes_that_a_drain_drops_are_counted,
    handshakes_that_a_server_drops_when_it_is_shut_down_are_counted,
    who_believes_to_be_in_is_served_though_its_last_flight_is_late,
    what_handlers_have_sent_before_they_end_arrives,
    what_clients_send_while_it_drains_arrives_at_handlers,
    handlers_that_look_at_it_end_in_order,
    who_does_not_end_in_time_is_cut_and_counted,
);
