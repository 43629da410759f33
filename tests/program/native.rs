//! What only the native wire has.

use ringseal::{Config, Identity, Runtime};
use rustix::process::Signal;

use crate::harness::{PATIENCE, Pair, stop};

/// The suites by the names that the option takes.
const AES: &str = "native:aes-256-gcm";
const CHACHA: &str = "native:chacha20-poly1305";

#[test]
fn a_listener_takes_the_suites_that_it_names_and_else_all() {
    let pair = Pair::new();
    for (named, taken) in [
        (&[][..], &[AES, CHACHA][..]),
        (&["native"], &[AES, CHACHA]),
        (&[AES], &[AES]),
        (&[CHACHA], &[CHACHA]),
        (&[CHACHA, AES], &[AES, CHACHA]),
        (&[CHACHA, "native"], &[AES, CHACHA]),
        (&[CHACHA, "commonware"], &[CHACHA, "commonware"]),
    ] {
        let mut more = vec!["--mode", "echo"];
        for wire in named {
            more.extend(["--wire", wire]);
        }
        let (listener, address) = pair.listen(&more);
        for wire in [AES, CHACHA, "commonware"] {
            let mut dialer = pair.dial(&address, &["--wire", wire]);
            if taken.contains(&wire) {
                dialer.type_line(wire);
                dialer.end_input();
                let ended = dialer.wait();
                let said = listener.errors.try_iter().collect::<Vec<_>>();
                assert!(said.is_empty(), "{named:?}, {wire}: {said:?}");
                assert_eq!(ended.expect_success(), [wire]);
                continue;
            }
            if wire == "commonware" {
                dialer.wait().expect_failure(&["--wire"]);
                let line = listener.next_error();
                assert!(line.contains("failed: "), "{named:?}, {wire}: {line}");
                continue;
            }
            dialer.wait().expect_failure(&[
                "closed the connection during the handshake",
                "--namespace",
                &format!("--wire {wire}"),
                "names suites",
            ]);
            let line = listener.next_error();
            for part in [&format!("the dialer wants {wire}"), "--wire"] {
                assert!(line.contains(part), "{named:?}, {wire}: {line}");
            }
        }
        stop(listener);
    }
}

#[test]
fn advice_on_a_failed_dial_names_the_wire_and_no_clock() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&[]);
    let dialer = pair.dial(&address, &["--namespace", "other", "--wire", CHACHA]);
    let ended = dialer.wait();
    let text = ended.errors.join("\n");
    for wrong in ["SAKE", "clock"] {
        assert!(!text.contains(wrong), "`{wrong}` is in: {text}");
    }
    ended.expect_failure(&["--peer", "--namespace", &format!("--wire {CHACHA}")]);
    stop(listener);
}

#[test]
fn a_listener_that_is_told_to_stop_announces_it_and_a_dialer_tells() {
    let pair = Pair::new();
    for mode in ["print", "echo", "sink"] {
        let (listener, address) = pair.listen_set("127.0.0.1:0", &["--mode", mode], |command| {
            command.env("RUST_LOG", "info");
        });
        let talking = pair.dial_with(&address, &[], |command| {
            command.env("RUST_LOG", "info");
        });
        let line = talking.next_error();
        assert!(line.contains("connected to"), "{line}");
        let flooding = pair.dial_with(&address, &["--flood", "--seconds", "600"], |command| {
            command.env("RUST_LOG", "info");
        });
        let line = flooding.next_error();
        assert!(line.contains("connected to"), "{line}");
        let config = Config::new(pair.alice.identity(), "test");
        let bob = pair.bob.identity().public_key();
        let runtime = Runtime::builder().build().expect("a runtime");
        runtime.block_on(async {
            let work = async {
                let dialed = ringseal::dial(&*address, bob, &config).await;
                let (_sender, mut receiver) = dialed.expect("dial").split();
                // Who has not been taken over yet is not told.
                for _ in 0..3 {
                    let line = listener.next_error();
                    assert!(line.contains("connected from"), "{line}");
                }
                listener.signal(Signal::TERM);
                assert!(receiver.recv().await.expect("an end").is_none());
                assert_eq!(receiver.leaving(), Some(3), "{mode}");
            };
            ringseal::timeout(PATIENCE, work).await.expect("in time");
        });
        let told = "has announced that it shuts down (Leaving, reason 3)";
        let ended = talking.wait();
        assert_eq!(ended.status.code(), Some(1), "{mode}: {:?}", ended.errors);
        let [event, failure] = &ended.errors[..] else {
            panic!("{mode}: not an event and a failure: {:?}", ended.errors);
        };
        assert!(event.contains(" INFO ") && event.contains(told), "{event}");
        for part in ["the peer ended the connection", told] {
            assert!(failure.contains(part), "{mode}: {failure}");
        }
        if mode != "echo" {
            flooding.wait().expect_failure(&[told]);
        }
        drop(listener);
    }
}

/// The kinds of the records that a log tells of, and how long they were together.
fn records(log: &[String], direction: &str) -> (Vec<String>, u64) {
    let of_line = |line: &String| {
        let (_, record) = line.split_once(&format!(" ringseal::wire: {direction} "))?;
        let field = |name: &str| {
            let value = record.split(&format!("{name}=")).nth(1)?;
            value.split(' ').next().map(str::to_owned)
        };
        let kind = field("kind")?.trim_matches('"').to_owned();
        Some((kind, field("length")?.parse::<u64>().ok()?))
    };
    let records = log.iter().filter_map(of_line);
    let (kinds, lengths): (_, Vec<_>) = records.unzip();
    (kinds, lengths.iter().sum())
}

#[test]
fn a_debug_log_tells_whom_a_listener_refuses() {
    let pair = Pair::new();
    let (listener, address) = pair.listen_set("127.0.0.1:0", &[], |command| {
        command.env("RUST_LOG", "ringseal::wire=debug");
    });
    let stranger = Identity::from_seed(&[99; 32]);
    let key = stranger.public_key();
    let config = Config::new(stranger, "test");
    let bob = pair.bob.identity().public_key();
    let runtime = Runtime::builder().build().expect("a runtime");
    let dialed = runtime.block_on(ringseal::dial(&*address, bob, &config));
    assert!(dialed.is_err());
    let told = stop(listener).errors;
    let (kinds, _) = records(&told, "sent");
    assert_eq!(kinds, ["control"], "{told:?}");
    assert!(
        told.iter()
            .any(|line| line.contains(&format!("sent peer={key}"))),
        "{told:?}"
    );
}

#[test]
fn a_debug_log_tells_kinds_and_lengths_of_records_and_nothing_that_is_in_them() {
    let pair = Pair::new();
    let line = "what nobody else is to read";
    for filter in ["debug", "ringseal=debug", "ringseal::wire=debug", "trace"] {
        let (listener, address) = pair.listen_set("127.0.0.1:0", &[], |command| {
            command.env("RUST_LOG", filter);
        });
        let mut dialer = pair.dial_with(&address, &[], |command| {
            command.env("RUST_LOG", filter);
        });
        dialer.type_line(line);
        // Above what is packed.
        dialer.type_line(&"z".repeat(10_000));
        assert_eq!(listener.next_line(), line);
        dialer.end_input();
        let (dialer, listener) = (dialer.wait(), stop(listener));
        assert_eq!(dialer.status.code(), Some(0), "{:?}", dialer.errors);
        let (sent, bytes) = records(&dialer.errors, "sent");
        assert_eq!(sent.first().map(String::as_str), Some("packed"), "{sent:?}");
        assert!(sent.contains(&"message".to_owned()), "{sent:?}");
        assert_eq!(sent.last().map(String::as_str), Some("control"), "{sent:?}");
        assert_eq!((sent, bytes), records(&listener.errors, "received"));
        let (received, bytes) = records(&dialer.errors, "received");
        assert_eq!(received, ["control", "control"], "accepted, and the end");
        assert_eq!((received, bytes), records(&listener.errors, "sent"));
        for log in [dialer.errors, listener.errors] {
            let log = log.join("\n");
            assert!(log.contains("ringseal::wire: established"), "{log}");
            let secrets = [&pair.alice, &pair.bob].map(|key| std::fs::read_to_string(&key.file));
            for secret in secrets {
                for text in secret.expect("a key").lines().skip(1).take(1) {
                    assert!(!log.contains(text), "a key is in the log");
                }
            }
            for part in ["nobody else", "zzz", &crate::harness::hex(line.as_bytes())] {
                assert!(!log.contains(part), "`{part}` is in: {log}");
            }
        }
    }
    // Nothing of it without having been asked.
    let (listener, address) = pair.listen(&[]);
    for filter in ["info", "debug,ringseal::wire=off"] {
        let mut dialer = pair.dial_with(&address, &[], |command| {
            command.env("RUST_LOG", filter);
        });
        dialer.end_input();
        let errors = dialer.wait().errors;
        assert!(!errors.join("\n").contains("ringseal::wire"), "{errors:?}");
    }
    stop(listener).expect_success();
}
