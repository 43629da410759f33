//! What happens to standard error when nobody reads it, and what strangers can make of it.

use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::thread;

use ringseal::protocol::native::record::AbortReason;
use ringseal::{Config, Runtime};
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Pair, Program, full_pipe, number_before, stop, text};

/// More than any pipe holds in log lines.
const STRANGERS: usize = 1500;

/// What a browser or a scan sends.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example\r\n\r\n";

/// An address that is known before anybody listens on it.
fn unix_name(pair: &Pair) -> String {
    format!("unix:@{}", pair.bob.public)
}

/// Returns when the listener has seen all of them.
fn strangers_then_an_honest_peer(pair: &Pair) {
    let name = SocketAddr::from_abstract_name(&pair.bob.public).expect("a name");
    for _ in 0..STRANGERS {
        let mut client = UnixStream::connect_addr(&name).expect("connect");
        client.write_all(REQUEST).expect("send");
    }
    let mut dialer = pair.dial(&unix_name(pair), &[]);
    dialer.type_line("still served");
    assert_eq!(dialer.next_line(), "still served");
    dialer.end_input();
    dialer.wait().expect_success();
}

/// All lines that were written to a pipe whose writers have gone, without the filling.
fn rest(pipe: PipeReader) -> Vec<String> {
    let lines = BufReader::new(pipe).lines().map(|line| line.expect("text"));
    lines.filter(|line| !line.is_empty()).collect()
}

// HAZARDS F2.
#[test]
fn a_listener_serves_and_ends_while_nobody_reads_its_standard_error() {
    let pair = Pair::new();
    let (reader, writer) = full_pipe();
    let mut args = vec!["listen", "127.0.0.1:0", "--identity", text(&pair.bob.file)];
    args.extend(["--namespace", "test", "--allow-any", "--mode", "echo"]);
    let listener = Program::start_with(&args, |command| {
        command.stderr(writer);
    });
    let first = listener.next_line();
    let address = first.strip_prefix("listening on ").expect("an address");
    for _ in 0..STRANGERS {
        let mut client = TcpStream::connect(address).expect("connect");
        client.write_all(REQUEST).expect("send");
    }
    let mut dialer = pair.dial(address, &[]);
    dialer.type_line("still served");
    assert_eq!(dialer.next_line(), "still served");
    dialer.end_input();
    dialer.wait().expect_success();
    listener.signal(Signal::TERM);
    assert_eq!(listener.wait().status.code(), Some(0));
    drop(reader);
}

// HAZARDS F2: each failure is printed or counted, and few are printed.
#[test]
fn failures_of_strangers_are_limited_and_none_goes_uncounted() {
    let pair = Pair::new();
    let (reader, writer) = io::pipe().expect("a pipe");
    let listener = pair.listen_with(&unix_name(&pair), &["--mode", "echo"], |command| {
        command.stderr(writer);
    });
    strangers_then_an_honest_peer(&pair);
    let lines = thread::spawn(move || rest(reader));
    listener.signal(Signal::TERM);
    assert_eq!(listener.wait().status.code(), Some(0));
    let lines = lines.join().expect("lines");
    let printed = lines
        .iter()
        .filter(|line| line.contains(" failed: "))
        .count();
    let left_out: usize = lines
        .iter()
        .filter_map(|line| number_before(line, " more lines about peers"))
        .sum();
    assert_eq!(printed + left_out, STRANGERS, "{lines:?}");
    assert!((10..STRANGERS / 2).contains(&printed), "{printed}");
}

// HAZARDS F2: the last line is no reason to stay.
#[test]
fn a_failing_command_ends_while_nobody_reads_its_standard_error() {
    let pair = Pair::new();
    let key = text(&pair.alice.file);
    let end = ["--identity", key, "--namespace", "test"];
    let missing = ["--identity", "/nowhere", "--namespace", "test"];
    let dial = ["dial", "127.0.0.1:1", "--peer", &pair.bob.public];
    let listen = ["listen", "127.0.0.1:0", "--allow-any"];
    for args in [
        [&dial[..], &end].concat(),
        [&listen[..], &missing].concat(),
        vec!["pubkey", "/nowhere"],
        vec!["health", "127.0.0.1:1"],
    ] {
        let (reader, writer) = full_pipe();
        let ended = Program::start_with(&args, |command| {
            command.stderr(writer);
        })
        .wait();
        assert_eq!(ended.status.code(), Some(1), "{args:?}");
        drop(reader);
    }
}

// HAZARDS F2: lines that found no room are counted, and the count is printed.
#[test]
fn log_lines_without_room_are_counted() {
    let pair = Pair::new();
    let (reader, writer) = full_pipe();
    let listener = pair.listen_with(&unix_name(&pair), &["--mode", "echo"], |command| {
        command.env("RUST_LOG", "debug").stderr(writer);
    });
    strangers_then_an_honest_peer(&pair);
    let lines = thread::spawn(move || rest(reader));
    assert_eq!(stop(listener).status.code(), Some(0));
    let lines = lines.join().expect("lines");
    let dropped = lines
        .iter()
        .find_map(|line| number_before(line, " log lines were dropped"));
    assert!(dropped.is_some_and(|count| count > 0), "{lines:?}");
}

#[test]
fn events_are_printed_on_request_and_a_filter_that_is_none_says_so() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "echo"]);
    let dial = |filter: &str| {
        let mut dialer = pair.dial_with(&address, &[], |command| {
            command.env("RUST_LOG", filter);
        });
        dialer.end_input();
        let ended = dialer.wait();
        assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
        ended.errors
    };
    for quiet in ["", "warn", "other=trace"] {
        assert_eq!(dial(quiet), [""; 0], "{quiet}");
    }
    for (filter, parts) in [
        ("ringseal=info", [" INFO ringseal", "connected to"]),
        (
            "ringseal=loud",
            ["ringseal: RUST_LOG is `ringseal=loud`", "`ringseal=debug`"],
        ),
        ("loud", ["`loud` is no level", "`ringseal=debug`"]),
        ("[[", ["ringseal: RUST_LOG is `[[`", "`ringseal=debug`"]),
        (
            "a=b=c",
            ["ringseal: RUST_LOG is `a=b=c`", "`ringseal=debug`"],
        ),
    ] {
        let lines = dial(filter);
        let [line] = &lines[..] else {
            panic!("not one line: {lines:?}");
        };
        for part in parts {
            assert!(line.contains(part), "`{part}` is not in: {line}");
        }
    }
    stop(listener).expect_success();
}

// HAZARDS F16: events are read by users as well.
#[test]
fn events_speak_of_options_as_failures_do() {
    let pair = Pair::new();
    // The native wire would keep it alive.
    let more = ["--wire", "commonware", "--idle-timeout", "0.2"];
    let (listener, address) = pair.listen_set("127.0.0.1:0", &more, |command| {
        command.env("RUST_LOG", "debug");
    });
    let dialer = pair.dial(&address, &["--wire", "commonware"]);
    dialer.wait().expect_failure(&["the peer"]);
    let log = stop(listener).errors;
    let is_event = |line: &&String| {
        let parts = [
            " DEBUG connection{peer=",
            " wire=commonware:",
            "--idle-timeout",
        ];
        parts.iter().all(|part| line.contains(part))
    };
    assert_eq!(log.iter().filter(is_event).count(), 1, "{log:?}");
    assert!(!log.join("\n").contains("Config::"), "{log:?}");
}

#[test]
fn lines_and_events_are_json_on_request() {
    let pair = Pair::new();
    let json = ["--log-format", "json"];
    let (listener, address) = pair.listen_set("127.0.0.1:0", &json, |command| {
        command.env("RUST_LOG", "debug");
    });
    let mut dialer = pair.dial_with(&address, &json, |command| {
        command.env("RUST_LOG", "ringseal=debug,nonsense=");
    });
    dialer.type_line("hello");
    assert_eq!(listener.next_line(), "hello");
    dialer.end_input();
    let dialed = dialer.wait();
    assert_eq!(dialed.status.code(), Some(0), "{:?}", dialed.errors);
    let log = stop(listener).errors;
    let objects = |lines: &[String]| -> Vec<Value> {
        let parse = |line: &String| serde_json::from_str(line).expect(line);
        lines.iter().map(parse).collect()
    };
    for object in objects(&log).iter().chain(&objects(&dialed.errors)) {
        for name in ["timestamp", "level", "target", "message"] {
            assert!(object[name].is_string(), "{name} is not in {object}");
        }
    }
    let is_over = |object: &&Value| object["message"] == "a connection is over";
    let over: Vec<_> = objects(&log);
    let over = over
        .iter()
        .find(is_over)
        .expect("an event of the connection");
    let span = &over["span"];
    assert_eq!(span["name"], "connection");
    assert_eq!(span["peer"], pair.alice.public[..16]);
    let address = span["address"].as_str().expect("an address");
    assert!(address.starts_with("127.0.0.1:"), "{span}");
    let wire = span["wire"].as_str().expect("a wire");
    assert!(wire.starts_with("native:"), "{span}");
}

/// Without being asked for events.
#[test]
fn json_lines_about_a_connection_say_whose_it_is() {
    let pair = Pair::new();
    let json = ["--log-format", "json", "--mode", "echo"];
    let (listener, address) = pair.listen(&json);
    let config = Config::new(pair.alice.identity(), "test");
    let bob = pair.bob.identity().public_key();
    let runtime = Runtime::builder().build().expect("a runtime");
    runtime.block_on(async {
        let connection = ringseal::dial(&*address, bob, &config).await.expect("dial");
        let (mut sender, mut receiver) = connection.split();
        sender.send(b"hello").await.expect("send");
        receiver.recv().await.expect("recv").expect("an echo");
        sender.abort(AbortReason::UNSPECIFIED);
    });
    let stranger = pair.dial(&address, &["--namespace", "other"]);
    assert_eq!(stranger.wait().status.code(), Some(1));
    let line = |_| -> Value { serde_json::from_str(&listener.next_error()).expect("JSON") };
    let mut lines: Vec<Value> = (0..2).map(line).collect();
    lines.sort_by_key(|line| line["span"]["peer"].is_null());
    let [failed, refused] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(failed["span"]["peer"], pair.alice.public[..16]);
    let message = failed["message"].as_str().expect("a message");
    assert!(message.contains("failed"), "{message}");
    for span in [&failed["span"], &refused["span"]] {
        assert_eq!(span["name"], "connection");
        let address = span["address"].as_str().expect("an address");
        assert!(address.starts_with("127.0.0.1:"), "{span}");
    }
    assert!(refused["span"]["peer"].is_null(), "{refused}");
    stop(listener);
}

/// One line, which says what to change.
#[test]
fn failures_are_json_as_well_and_an_unknown_format_is_refused() {
    let ended = Program::start(&["pubkey", "/nowhere", "--log-format", "json"]).wait();
    assert_eq!(ended.status.code(), Some(1));
    let [line] = &ended.errors[..] else {
        panic!("not one line: {:?}", ended.errors);
    };
    let object: Value = serde_json::from_str(line).expect(line);
    assert_eq!(object["level"], "ERROR");
    let message = object["message"].as_str().expect("a message");
    assert!(
        message.contains("there is no private key /nowhere"),
        "{message}"
    );
    let ended = Program::start(&["pubkey", "/nowhere", "--log-format", "xml"]).wait();
    assert_eq!(ended.status.code(), Some(2));
    let text = ended.errors.join(" ");
    assert!(
        text.contains("'xml'") && text.contains("text, json"),
        "{text}"
    );
}
