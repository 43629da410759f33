//! Messages and lines of which only a part is there when one end goes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::io::ioctl_fionread;
use rustix::process::Signal;

use crate::harness::{PATIENCE, Pair, Program, eventually, stop};

/// Bytes of a line, and how many bytes of one direction pass, which the first line is among.
const LONG: usize = 100_000;
const PASSED: usize = 50_000;

/// What a dialer and a listener of each wire get, and the driver of the listener.
const SETTINGS: [[&str; 4]; 4] = [
    ["--wire", "native", "--backend", "auto"],
    ["--wire", "v1,v1", "--backend", "auto"],
    ["--wire", "native", "--backend", "epoll"],
    ["--wire", "v1,v1", "--backend", "tokio-uring"],
];

/// Which direction a relay stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToListener,
    ToDialer,
}

/// Passes no more than so many bytes on, and then says so. The end of one side is the end of the other.
fn pass(mut from: TcpStream, mut to: TcpStream, limit: Option<usize>, told: &Sender<()>) {
    let mut left = limit;
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        let passes = left.map_or(count, |left| count.min(left));
        if to.write_all(&chunk[..passes]).is_err() {
            break;
        }
        if let Some(left) = &mut left {
            *left -= passes;
            if *left == 0 && passes > 0 {
                told.send(()).expect("a test that waits");
            }
        }
    }
    // The other end may have been quicker.
    let _ = to.shutdown(Shutdown::Write);
}

/// Relays one connection to `target`, and stops one direction after some bytes. Gives its address, and
/// says when they have passed.
fn relay(target: String, stopped: Direction) -> (String, Receiver<()>) {
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = relay.local_addr().unwrap().to_string();
    let (told, has_passed) = channel();
    thread::spawn(move || {
        let (dialer, _) = relay.accept().unwrap();
        let listener = TcpStream::connect(target).unwrap();
        let limit = move |direction| (direction == stopped).then_some(PASSED);
        let (back, forth) = (listener.try_clone().unwrap(), dialer.try_clone().unwrap());
        let also_told = told.clone();
        let answers = thread::spawn(move || {
            pass(back, forth, limit(Direction::ToDialer), &also_told);
        });
        pass(dialer, listener, limit(Direction::ToListener), &told);
        answers.join().unwrap();
    });
    (address, has_passed)
}

/// Alice has sent Bob one line and a half.
fn one_line_and_a_half(pair: &Pair, settings: &[&str], more: &[&str]) -> (Program, Program) {
    let (listener, address) = pair.listen(&[settings, more].concat());
    let (address, has_passed) = relay(address, Direction::ToListener);
    let mut dialer = pair.dial(&address, &settings[..2]);
    dialer.type_line("one");
    dialer.type_line(&"x".repeat(LONG));
    has_passed.recv_timeout(PATIENCE).expect("a part");
    (listener, dialer)
}

// HAZARDS F4: the rest of a message of a peer that was killed never comes. No peer can say how the
// listener ends.
#[test]
fn a_message_that_a_killed_dialer_has_sent_in_part_is_told() {
    for settings in SETTINGS {
        for mode in ["print", "echo", "sink"] {
            let pair = Pair::new();
            let (listener, dialer) = one_line_and_a_half(&pair, &settings, &["--mode", mode]);
            dialer.signal(Signal::KILL);
            let line = listener.next_error();
            let told = "1 messages came whole, and one only in part";
            assert!(line.contains(told), "{settings:?} {mode}: {line}");
            let ended = stop(listener);
            assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
        }
    }
}

// HAZARDS F4: half a message is on its way as much as a whole one is.
#[test]
fn a_message_that_has_come_in_part_when_time_is_over_is_counted() {
    for settings in SETTINGS {
        for mode in ["print", "echo", "sink"] {
            let pair = Pair::new();
            let more = ["--mode", mode, "--drain-timeout", "0.5"];
            let (listener, dialer) = one_line_and_a_half(&pair, &settings, &more);
            // Or it would end when the listener says that it does.
            dialer.signal(Signal::STOP);
            let ended = stop(listener);
            assert_eq!(ended.status.code(), Some(1), "{:?}", ended.errors);
            let text = ended.errors.join("\n");
            for part in [
                "1 connection was cut off with something on its way",
                "1 message came only in part, after 1 whole ones",
            ] {
                assert!(text.contains(part), "{settings:?} {mode}: {text}");
            }
        }
    }
}

// HAZARDS F4, for the dialer.
#[test]
fn a_message_that_a_killed_listener_has_sent_in_part_is_told() {
    for settings in SETTINGS {
        let pair = Pair::new();
        let (mut listener, address) = pair.listen(&settings);
        let (address, has_passed) = relay(address, Direction::ToDialer);
        let mut dialer = pair.dial(&address, &settings[..2]);
        dialer.type_line("hello");
        assert_eq!(listener.next_line(), "hello");
        listener.type_line("one");
        assert_eq!(dialer.next_line(), "one");
        listener.type_line(&"x".repeat(LONG));
        has_passed.recv_timeout(PATIENCE).expect("a part");
        listener.signal(Signal::KILL);
        let told = "1 messages came whole, and one only in part";
        dialer.wait().expect_failure(&[told]);
    }
}

/// Types the start of a line, and waits until the program has read it.
fn type_start(program: &mut Program, start: &str) {
    let input = program.input.as_mut().unwrap();
    input.write_all(start.as_bytes()).unwrap();
    eventually("the start of a line is read", || {
        ioctl_fionread(&*input).unwrap() == 0
    });
}

// HAZARDS F4: a line that is being typed when the listener is told to stop.
#[test]
fn the_start_of_a_line_is_not_passed_over() {
    let pair = Pair::new();
    let (mut listener, address) = pair.listen(&[]);
    let mut dialer = pair.dial(&address, &[]);
    dialer.type_line("hello");
    assert_eq!(listener.next_line(), "hello");
    type_start(&mut listener, "whole\nhalf");
    assert_eq!(dialer.next_line(), "whole");
    listener.signal(Signal::TERM);
    dialer.end_input();
    let ended = listener.wait();
    assert_eq!(ended.status.code(), Some(1), "{:?}", ended.errors);
    let text = ended.errors.join("\n");
    assert!(text.contains("4 bytes of standard input"), "{text}");
}

// HAZARDS F4: with nobody there, nobody misses it.
#[test]
fn the_start_of_a_line_for_nobody_is_no_loss() {
    let pair = Pair::new();
    let (mut listener, _) = pair.listen(&[]);
    type_start(&mut listener, "half");
    stop(listener).expect_success();
}
