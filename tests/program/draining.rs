//! What is on its way when one end stops, is stopped or is told to stop.

use std::fs;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use ringseal::{Admission, Config, Connection, Listener, Runtime};
use rustix::process::Signal;
use tokio::sync::oneshot;

use crate::harness::{
    PATIENCE, Pair, Program, eventually, full_pipe, json, number_before, stop, text,
};
use crate::skipped::skipped;

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("line {number}")).collect()
}

fn type_all(program: &mut Program, lines: &[String]) {
    program.type_line(&lines.join("\n"));
    program.end_input();
}

/// Waits until the kernel has all that the dialer of `address` sends, and its end.
fn await_closed_by_dialer(address: &str) {
    let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
    let port = format!(":{port:04X}");
    eventually("the dialer has sent its end", || {
        let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
        sockets.lines().any(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            // FIN_WAIT1 or FIN_WAIT2.
            columns[2].ends_with(&port) && matches!(columns[3], "04" | "05")
        })
    });
}

/// Bob listens and Alice is connected; then he is stopped while she sends lines and ends.
fn stopped_with_lines_on_the_way(pair: &Pair, mode: &str, lines: &[String]) -> (Program, Program) {
    let (listener, address) = pair.listen_set("127.0.0.1:0", &["--mode", mode], |command| {
        command.env("RUST_LOG", "info");
    });
    let mut dialer = pair.dial(&address, &[]);
    let line = listener.next_error();
    assert!(line.contains("connected from 127.0.0.1:"), "{line}");
    listener.signal(Signal::STOP);
    type_all(&mut dialer, lines);
    await_closed_by_dialer(&address);
    (listener, dialer)
}

// HAZARDS F4: a peer that stands still for longer than anybody's patience has lost nothing.
#[test]
fn echoes_of_a_listener_that_was_stopped_for_seven_seconds_all_come() {
    let pair = Pair::new();
    let lines = numbered(1000);
    let (listener, dialer) = stopped_with_lines_on_the_way(&pair, "echo", &lines);
    thread::sleep(Duration::from_secs(7));
    listener.signal(Signal::CONT);
    assert_eq!(dialer.wait().expect_success(), lines);
    stop(listener).expect_success();
}

// HAZARDS F4, in each mode.
#[test]
fn a_listener_that_is_told_to_stop_takes_in_what_is_on_its_way() {
    for mode in ["print", "echo", "sink"] {
        let pair = Pair::new();
        let lines = numbered(2000);
        let (listener, dialer) = stopped_with_lines_on_the_way(&pair, mode, &lines);
        listener.signal(Signal::TERM);
        listener.signal(Signal::CONT);
        let printed = listener.wait().expect_success();
        let answers = dialer.wait().expect_success();
        match mode {
            "print" => assert_eq!(printed, lines),
            "echo" => assert_eq!(answers, lines),
            _ => assert_eq!(json(&printed[0])["messages"], 2000),
        }
    }
}

// HAZARDS F4: whoever lost something says so and does not succeed.
#[test]
fn lines_that_the_peer_cannot_open_are_an_error_that_names_the_wire() {
    let pair = Pair::new();
    for backend in ["auto", "tokio-uring", "epoll"] {
        let (listener, address) = pair.listen(&["--backend", backend, "--wire", "v1,v1"]);
        for line in ["hi", "long enough for a header of either version"] {
            let mut dialer = pair.dial(&address, &["--wire", "v1,v0"]);
            dialer.type_line(line);
            dialer.end_input();
            dialer.wait().expect_failure(&["--wire"]);
            assert!(listener.next_error().contains("cups version"));
        }
    }
}

// HAZARDS F4: an answer takes a while.
#[test]
fn an_answer_typed_a_second_later_is_printed() {
    let pair = Pair::new();
    let (mut listener, address) = pair.listen(&[]);
    let mut dialer = pair.dial(&address, &[]);
    dialer.type_line("request");
    dialer.end_input();
    assert_eq!(listener.next_line(), "request");
    thread::sleep(Duration::from_secs(1));
    listener.type_line("answer");
    assert_eq!(dialer.wait().expect_success(), ["answer"]);
    stop(listener).expect_success();
}

/// Alice's side of a connection to Bob at `address`, by the library.
fn client<F: Future>(pair: &Pair, address: &str, work: impl FnOnce(Connection) -> F) -> F::Output {
    let config = Config::new(pair.alice.identity(), "test");
    let bob = pair.bob.identity().public_key();
    let runtime = Runtime::builder().build().expect("a runtime");
    runtime.block_on(async {
        let connection = ringseal::dial(address, bob, &config).await.expect("dial");
        let output = ringseal::timeout(PATIENCE, work(connection)).await;
        output.expect("an end in time")
    })
}

/// A client that sends one line and then stays, whatever the listener says, until `release` is
/// done. Says through `told` that the listener has ended its direction.
fn stay(pair: &Pair, address: &str, told: &Sender<()>, release: oneshot::Receiver<()>) {
    client(pair, address, |mut connection| async move {
        connection.send(b"one").await.expect("send");
        let end = connection.recv().await.expect("an end");
        assert!(end.is_none());
        told.send(()).expect("a test that waits");
        // Fails when the test has failed.
        let _ = release.await;
    });
}

/// Does `work` beside such a peer: it is told when that has seen the end.
fn beside_one_that_stays(pair: &Pair, address: &str, work: impl FnOnce(&Receiver<()>)) {
    let (told, was_told) = channel();
    let (release, released) = oneshot::channel();
    thread::scope(|scope| {
        scope.spawn(|| stay(pair, address, &told, released));
        work(&was_told);
        drop(release);
    });
}

// HAZARDS F4: draining has a limit, and who is cut off at it counts.
#[test]
fn a_peer_that_goes_on_sending_is_cut_off_and_counted() {
    for mode in ["print", "echo", "sink"] {
        let pair = Pair::new();
        let name = format!("unix:@{}", pair.bob.public);
        let more = ["--mode", mode, "--drain-timeout", "0.5"];
        let (listener, address) = pair.listen_on(&name, &more);
        let (sent, has_sent) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                client(&pair, &address, |connection| async move {
                    let (mut sender, mut receiver) = connection.split();
                    // Takes what comes, and does not mind the end.
                    drop(ringseal::spawn(async move {
                        while let Ok(Some(_)) = receiver.recv().await {}
                    }));
                    // More than such a socket and a sender hold, so some of it has been read.
                    let mut left = 60;
                    while sender.send(&[b'x'; 50_000]).await.is_ok() {
                        left -= 1;
                        if left == 0 {
                            sent.send(()).expect("a test that waits");
                        }
                    }
                });
            });
            let taken = has_sent.recv_timeout(PATIENCE);
            assert!(taken.is_ok(), "{mode}: 3 MB are not taken");
            listener.signal(Signal::TERM);
            let ended = listener.wait();
            assert_eq!(ended.status.code(), Some(1), "{mode}: {:?}", ended.errors);
            let text = ended.errors.join("\n");
            for part in ["1 connection was cut off", "--drain-timeout"] {
                assert!(text.contains(part), "{mode}: {text}");
            }
        });
    }
}

// HAZARDS F4: who was told that it is admitted is served, however soon the signal comes.
#[test]
fn a_peer_that_was_admitted_just_before_the_signal_sees_an_end_in_order() {
    let pair = Pair::new();
    for _ in 0..15 {
        let (listener, address) = pair.listen(&["--mode", "sink"]);
        let end = client(&pair, &address, |connection| async {
            listener.signal(Signal::TERM);
            let (mut sender, mut receiver) = connection.split();
            sender.send(b"one").await.expect("send");
            sender.close().await.expect("close");
            receiver.recv().await.map(|message| message.is_none())
        });
        assert!(end.expect("an end in order"));
        let output = listener.wait().expect_success();
        assert_eq!(json(&output[0])["messages"], 1);
    }
}

// HAZARDS F4: who has nothing to say loses nothing.
#[test]
fn a_silent_peer_that_does_not_end_is_no_loss() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--drain-timeout", "0.3"]);
    beside_one_that_stays(&pair, &address, |was_told| {
        assert_eq!(listener.next_line(), "one");
        assert_eq!(stop(listener).status.code(), Some(0));
        was_told.recv_timeout(PATIENCE).expect("the end was seen");
    });
}

// HAZARDS F4: a time limit counts no time in which the listener did not run.
#[test]
fn a_listener_that_is_stopped_while_it_drains_takes_what_was_sent_meanwhile() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--drain-timeout", "3"]);
    client(&pair, &address, |connection| async {
        let (mut sender, mut receiver) = connection.split();
        sender.send(b"one").await.expect("send");
        sender.flush().await.expect("flush");
        assert_eq!(listener.next_line(), "one");
        listener.signal(Signal::TERM);
        assert!(receiver.recv().await.expect("an end").is_none());
        listener.signal(Signal::STOP);
        sender.send(b"two").await.expect("send");
        sender.close().await.expect("close");
        ringseal::sleep(Duration::from_secs(4)).await;
        listener.signal(Signal::CONT);
    });
    assert_eq!(listener.wait().expect_success(), ["two"]);
}

// HAZARDS S6.
#[test]
fn a_second_signal_ends_at_once() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let pair = Pair::new();
        let (listener, address) = pair.listen(&["--drain-timeout", "600"]);
        beside_one_that_stays(&pair, &address, |was_told| {
            assert_eq!(listener.next_line(), "one");
            listener.signal(Signal::TERM);
            was_told.recv_timeout(PATIENCE).expect("it drains");
            // Before, it would be taken for the first one.
            thread::sleep(Duration::from_millis(500));
            listener.signal(signal);
            let ended = listener.wait();
            assert_eq!(ended.status.code(), Some(code), "{:?}", ended.errors);
            assert!(
                ended.errors.join("\n").contains("second signal"),
                "{:?}",
                ended.errors
            );
        });
    }
}

// What a parent has blocked is blocked in its children.
#[test]
fn signals_that_its_parent_has_blocked_are_heard() {
    let blocking = ["--block-signal=TERM,INT,HUP", "true"];
    let can_block = Command::new("env").args(blocking).output();
    if !can_block.is_ok_and(|output| output.status.success()) {
        skipped(format_args!("`env` blocks no signals here"));
        return;
    }
    let pair = Pair::new();
    let program = env!("CARGO_BIN_EXE_ringseal");
    let mut args = vec![blocking[0], program, "listen", "127.0.0.1:0"];
    args.extend(["--identity", text(&pair.bob.file), "--namespace", "test"]);
    args.push("--allow-any");
    for signal in [Signal::TERM, Signal::INT] {
        let listener = Program::start_program("env", &args, |_| {});
        assert!(listener.next_line().starts_with("listening on "));
        listener.signal(signal);
        listener.wait().expect_success();
    }
}

// `timeout` sends one to the process and one to its group.
#[test]
fn two_signals_at_once_are_one_wish() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--drain-timeout", "600"]);
    beside_one_that_stays(&pair, &address, |was_told| {
        assert_eq!(listener.next_line(), "one");
        // Two that both wait, and so come at the same time.
        for signal in [Signal::STOP, Signal::TERM, Signal::INT, Signal::CONT] {
            listener.signal(signal);
        }
        was_told.recv_timeout(PATIENCE).expect("it drains");
    });
    listener.wait().expect_success();
}

// HAZARDS F4: lines that were received and that nobody has read.
#[test]
fn lines_that_could_not_be_printed_are_counted() {
    let pair = Pair::new();
    let address = format!("unix:@{}", pair.bob.public);
    let (reader, writer) = full_pipe();
    let more = ["--drain-timeout", "0.3"];
    let listener = pair.listen_with(&address, &more, |command| {
        command.stdout(writer);
    });
    let mut dialer = pair.dial(&address, &[]);
    type_all(&mut dialer, &numbered(5));
    dialer.wait().expect_success();
    listener.signal(Signal::TERM);
    let ended = listener.wait();
    assert_eq!(ended.status.code(), Some(1), "{:?}", ended.errors);
    let unprinted = ended
        .errors
        .iter()
        .find_map(|line| number_before(line, " lines were not printed"));
    // The address is one of them.
    assert_eq!(unprinted, Some(6), "{:?}", ended.errors);
    drop(reader);
}

// HAZARDS F4: echoes that got stuck, because nobody reads them.
#[test]
fn echoes_that_their_peer_does_not_read_are_counted() {
    let pair = Pair::new();
    let name = format!("unix:@{}", pair.bob.public);
    let more = ["--mode", "echo", "--drain-timeout", "0.3"];
    let (listener, address) = pair.listen_on(&name, &more);
    let (stuck, is_stuck) = channel();
    let (release, released) = oneshot::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            client(&pair, &address, |mut connection| async move {
                let second = Duration::from_secs(1);
                let message = [b'x'; 50_000];
                while let Some(sent) = ringseal::timeout(second, connection.send(&message)).await {
                    sent.expect("send");
                }
                stuck.send(()).expect("a test that waits");
                let _ = released.await;
            });
        });
        is_stuck.recv_timeout(PATIENCE).expect("nothing moves");
        let ended = stop(listener);
        assert_eq!(ended.status.code(), Some(1), "{:?}", ended.errors);
        let text = ended.errors.join("\n");
        let lost = number_before(&text, " messages were not sent back");
        assert!(lost.is_some_and(|count| count > 0), "{text}");
        assert!(text.contains("1 connection was cut off"), "{text}");
        drop(release);
    });
}

// HAZARDS F4: an echo that the kernel has is none that is lost.
#[test]
fn echoes_of_a_silent_peer_that_has_read_all_are_no_loss() {
    let pair = Pair::new();
    let more = ["--mode", "echo", "--drain-timeout", "2"];
    let (listener, address) = pair.listen(&more);
    let (told, was_told) = channel();
    let (release, released) = oneshot::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            client(&pair, &address, |mut connection| async move {
                for _ in 0..3 {
                    connection.send(b"one").await.expect("send");
                    connection.recv().await.expect("receive").expect("an echo");
                }
                told.send(()).expect("a test that waits");
                assert!(connection.recv().await.expect("an end").is_none());
                let _ = released.await;
            });
        });
        was_told.recv_timeout(PATIENCE).expect("echoes");
        assert_eq!(stop(listener).status.code(), Some(0));
        drop(release);
    });
}

// HAZARDS F4: no error when the reader of standard output goes, but not passed over either.
#[test]
fn lines_that_are_lost_with_the_reader_of_standard_output_are_told() {
    let pair = Pair::new();
    let address = format!("unix:@{}", pair.bob.public);
    let (reader, writer) = full_pipe();
    let listener = pair.listen_with(&address, &[], |command| {
        command.stdout(writer);
    });
    let mut dialer = pair.dial(&address, &[]);
    type_all(&mut dialer, &numbered(5));
    dialer.wait().expect_success();
    drop(reader);
    let ended = listener.wait();
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
    let text = ended.errors.join("\n");
    assert_eq!(
        number_before(&text, " lines were not printed"),
        Some(6),
        "{text}"
    );
}

// HAZARDS F4: lines that were typed for somebody who does not read.
#[test]
fn typed_lines_that_nobody_took_are_counted() {
    let pair = Pair::new();
    let name = format!("unix:@{}", pair.bob.public);
    let (mut listener, address) = pair.listen_on(&name, &["--drain-timeout", "0.3"]);
    let (release, released) = oneshot::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            client(&pair, &address, |mut connection| async move {
                connection.send(b"one").await.expect("send");
                let _ = released.await;
            });
        });
        assert_eq!(listener.next_line(), "one");
        // More than the kernel and a sender hold.
        for _ in 0..8 {
            listener.type_line(&"x".repeat(1_000_000));
        }
        let ended = stop(listener);
        assert_eq!(ended.status.code(), Some(1), "{:?}", ended.errors);
        let unsent = ended
            .errors
            .iter()
            .find_map(|line| number_before(line, " typed lines were not sent"));
        assert!(unsent.is_some_and(|count| count > 0), "{:?}", ended.errors);
        drop(release);
    });
}

// HAZARDS F4: to stop waiting is not to succeed.
#[test]
fn a_dialer_that_gives_up_says_so() {
    let pair = Pair::new();
    let config = Config::new(pair.bob.identity(), "test");
    let (bound, address) = channel();
    let (release, released) = oneshot::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = Runtime::builder().build().expect("a runtime");
            runtime.block_on(async {
                let listener = Listener::bind("127.0.0.1:0", &config, Admission::any()).await;
                let mut listener = listener.expect("bind");
                bound
                    .send(listener.local_address().to_string())
                    .expect("a test");
                let serve = async {
                    let mut connections = Vec::new();
                    for _ in 0..3 {
                        connections.push(listener.accept().await.expect("accept"));
                    }
                    let _ = released.await;
                };
                ringseal::timeout(PATIENCE, serve).await.expect("in time");
            });
        });
        let address = address.recv_timeout(PATIENCE).expect("an address");
        let mut dialer = pair.dial(&address, &["--wait", "0.5"]);
        type_all(&mut dialer, &numbered(3));
        dialer.wait().expect_failure(&["3 lines", "--wait"]);
        // The runtimes tell each other that they are there: nobody gets on by that.
        let mut dialer = pair.dial(&address, &["--wait", "0.5", "--idle-timeout", "1"]);
        type_all(&mut dialer, &numbered(3));
        dialer.wait().expect_failure(&["3 lines", "--wait"]);
        let more = [
            "--flood",
            "--size",
            "16",
            "--seconds",
            "0.0001",
            "--wait",
            "0.5",
        ];
        pair.dial(&address, &more)
            .wait()
            .expect_failure(&["messages were sent", "--wait"]);
        drop(release);
    });
}

// HAZARDS F4: what a limit counts is standstill.
#[test]
fn a_dialer_waits_as_long_as_something_comes() {
    let pair = Pair::new();
    let (mut listener, address) = pair.listen(&["--answer-timeout", "60"]);
    let mut dialer = pair.dial(&address, &["--wait", "5"]);
    type_all(&mut dialer, &numbered(1));
    assert_eq!(listener.next_line(), "line 0");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        listener.type_line("still there");
        assert_eq!(dialer.next_line(), "still there");
        thread::sleep(Duration::from_millis(500));
    }
    stop(listener).expect_success();
    assert_eq!(dialer.wait().expect_success(), [""; 0]);
}

// HAZARDS F4.
#[test]
fn a_flood_whose_peer_is_told_to_stop_does_not_succeed() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&[]);
    let dialer = pair.dial(&address, &["--flood", "--size", "100", "--seconds", "600"]);
    assert_eq!(listener.next_line(), "Z".repeat(100));
    // The dialer answers an end in order with another.
    stop(listener).expect_success();
    dialer
        .wait()
        .expect_failure(&["the peer ended the connection", "messages were sent"]);
}
