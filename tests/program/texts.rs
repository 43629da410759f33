//! What a user is told: who is connected, and what to change when something fails.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::harness::{PATIENCE, Pair, Program, stop};
use crate::seccomp::{IO_URING, deny};
use crate::skipped::skipped;

/// Something else that listens: reads a request and sends `answer`. Gives its address.
fn other_server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        let _ = client.read(&mut [0; 1000]).expect("a request");
        client.write_all(answer).expect("an answer");
        // Until the client has gone.
        let _ = client.read_to_end(&mut Vec::new());
    });
    address
}

// HAZARDS F16.
#[test]
fn a_wrong_peer_and_another_service_are_told_apart() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&[]);
    let carol = crate::harness::keygen(&pair.directory, "carol.pem");
    let dialer = pair.dial_key(&address, &carol.public, &[]);
    dialer.wait().expect_failure(&["--peer"]);
    let own = pair.dial_key(&address, &pair.alice.public, &[]);
    own.wait().expect_failure(&["--peer", "--identity"]);
    stop(listener);

    let http = b"HTTP/1.1 400 Bad Request\r\nServer: example\r\nContent-Type: text/html\r\n\
        Content-Length: 70\r\n\r\n\
        <html><title>400</title><p>This is not how one talks to me.</p></html>";
    let dialer = pair.dial(&other_server(http), &[]);
    dialer
        .wait()
        .expect_failure(&["speaks another protocol", "host and port"]);
    let silent = pair.dial(&other_server(b""), &["--handshake-timeout", "0.3"]);
    silent.wait().expect_failure(&["--handshake-timeout"]);
}

// HAZARDS F16.
#[test]
fn the_fallback_names_what_the_kernel_said() {
    for (errno, text) in [
        (libc::EINVAL, "Invalid argument (os error 22)"),
        (libc::EMFILE, "Too many open files (os error 24)"),
    ] {
        let ended = deny(&IO_URING, errno, || {
            let mut demo = Program::start(&["demo", "--seconds", "0.05"]);
            demo.end_input();
            demo.wait()
        });
        assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
        let [line] = &ended.errors[..] else {
            panic!("not one line: {:?}", ended.errors);
        };
        for part in ["falling back to epoll", text] {
            assert!(line.contains(part), "`{part}` is not in: {line}");
        }
    }
}

#[test]
fn clients_of_both_families_are_shown_by_their_own_addresses() {
    if TcpListener::bind("[::]:0").is_err() {
        skipped(format_args!(
            "no IPv6 here; NOBODY HAS SEEN HOW IPv4 CLIENTS ARE SHOWN"
        ));
        return;
    }
    let pair = Pair::new();
    let (listener, address) = pair.listen_on("[::]:0", &[]);
    let port = address.strip_prefix("[::]:").expect("a port");
    for (host, shown) in [("127.0.0.1", "from 127.0.0.1:"), ("[::1]", "from [::1]:")] {
        let dialer = pair.dial(&format!("{host}:{port}"), &["--namespace", "other"]);
        dialer.wait().expect_failure(&["namespace"]);
        let line = listener.next_error();
        assert!(line.contains(shown), "`{shown}` is not in: {line}");
    }
    stop(listener).expect_success();
}

/// A terminal for standard error, and the lines that are shown on it.
fn terminal() -> (File, Receiver<String>) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&controller).expect("its permissions");
    unlockpt(&controller).expect("unlocked");
    let name = ptsname(&controller, Vec::new()).expect("its name");
    let name = name.into_string().expect("text");
    let terminal = File::options().read(true).write(true).open(name);
    let (sender, lines) = channel();
    thread::spawn(move || {
        // Ends with an error when the last program on the terminal has ended.
        let reader = BufReader::new(File::from(controller));
        for line in reader.lines().map_while(Result::ok) {
            if sender.send(line.trim_end().to_owned()).is_err() {
                break;
            }
        }
    });
    (terminal.expect("opened"), lines)
}

#[test]
fn both_ends_say_on_a_terminal_that_they_are_connected() {
    let pair = Pair::new();
    let (screen, lines) = terminal();
    let (listener, address) = pair.listen_set("127.0.0.1:0", &[], |command| {
        command.stderr(screen.try_clone().expect("a copy"));
    });
    let mut dialer = pair.dial_with(&address, &[], |command| {
        command.stderr(screen);
    });
    dialer.type_line("hello");
    assert_eq!(listener.next_line(), "hello");
    let mut seen: Vec<_> = (0..2)
        .map(|_| lines.recv_timeout(PATIENCE).expect("a line"))
        .collect();
    seen.sort_unstable();
    let (alice, bob) = (&pair.alice.public, &pair.bob.public);
    let mut expected = [
        format!("ringseal: connected to {bob} at {address}"),
        format!("ringseal: {alice} connected from 127.0.0.1:"),
    ];
    expected.sort_unstable();
    for (line, start) in seen.iter().zip(expected) {
        assert!(line.starts_with(&start), "{line} instead of {start}");
    }
}
