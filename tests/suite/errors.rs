//! Errors tell whoever prints them with `{}` what was tried, with what, and why it failed.

use std::io::{Read, Write};
use std::net::TcpListener;

use ringseal::{Admission, AttemptError, DialError, Listener, dial};

use super::peers::{config, key, patience, run};
use super::setting::{self, handshake_lengths};
use super::transport::{RawListener, RawStream, somewhere};

fn assert_tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

async fn bind() -> Listener {
    Listener::bind(somewhere(), &config(2), Admission::any())
        .await
        .expect("bind")
}

// HAZARDS F16.
fn a_busy_address_is_named_with_the_systems_reason() {
    run(async {
        let listener = bind().await;
        let address = listener.local_address();
        let error = Listener::bind(&address, &config(2), Admission::any()).await;
        let text = error.expect_err("in use").to_string();
        assert_tells(
            &text,
            &[
                &address.to_string(),
                "Address already in use",
                "(os error 98)",
            ],
        );
    });
}

// HAZARDS F16.
fn a_dial_that_fails_tells_of_the_address_and_the_systems_reason() {
    run(async {
        let free = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = free.local_addr().expect("bound");
        drop(free);
        let error = dial(address, key(2), &config(1)).await;
        let text = error.expect_err("nobody listens").to_string();
        assert_tells(
            &text,
            &[&address.to_string(), "Connection refused", "(os error 111)"],
        );
        let error = dial("host.invalid:1", key(2), &config(1)).await;
        let error = error.expect_err("no such name");
        let DialError::Resolve { source, .. } = &error else {
            panic!("{error:?}");
        };
        assert_tells(&error.to_string(), &["host.invalid:1", &source.to_string()]);
    });
}

// HAZARDS F16: the listener only closes, so the dialer has to be told what may be wrong here.
fn a_wrong_peer_key_is_among_the_causes_that_the_dialer_is_told() {
    run(async {
        let mut listener = bind().await;
        let address = listener.local_address();
        let task = ringseal::spawn(async move { dial(address, key(3), &config(1)).await });
        let refused = listener.accept().await.expect_err("another key");
        assert_tells(
            &refused.to_string(),
            &[&refused.address.to_string(), "public key"],
        );
        let error = task.await.expect_err("refused");
        assert!(
            matches!(error, DialError::Attempt(AttemptError::UnexpectedEnd)),
            "{error:?}"
        );
        assert_tells(
            &error.to_string(),
            &["peer key given to dial", "admit", "namespace"],
        );
    });
}

// HAZARDS F16: something else listens there.
fn an_answer_of_another_protocol_is_shown() {
    let answers: [(&[u8], &str); 5] = [
        (
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 400 Bad Request",
        ),
        (b"HTTP/1.0 400\r\n\r\n", "HTTP/1.0 400"),
        (b"\x15\x03\x01\x00\x02\x02\x16", r"\x15\x03\x01"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0-OpenSSH_9.6"),
        (b"\xff\xff\xff\xff\xff\xff", r"\xff\xff"),
    ];
    let hello = handshake_lengths().before_answer;
    run(async {
        for (answer, shown) in answers {
            let server = RawListener::bind();
            let address = server.address();
            let thread = setting::spawn(move || {
                let mut client = server.accept();
                client.set_read_timeout(patience());
                let mut request = vec![0; hello];
                client.read_exact(&mut request).expect("a hello");
                client.write_all(answer).expect("write");
            });
            let error = dial(address, key(2), &config(1)).await;
            let error = error.expect_err("no handshake");
            assert!(
                matches!(
                    error,
                    DialError::Attempt(AttemptError::OtherProtocol { .. })
                ),
                "{error:?}"
            );
            assert_tells(&error.to_string(), &["protocol", shown]);
            thread.join().expect("the server");
        }
    });
}

// HAZARDS F16: also of what was established.
fn a_reset_is_named_on_both_halves() {
    run(async {
        let mut listener = bind().await;
        let relay = RawListener::bind();
        let (address, target) = (relay.address(), listener.local_address());
        let thread = setting::spawn(move || {
            let client = relay.accept();
            let server = RawStream::connect(target);
            let pipes = [
                (client.try_clone(), server.try_clone()),
                (server.try_clone(), client.try_clone()),
            ];
            for (mut from, mut to) in pipes {
                setting::spawn(move || std::io::copy(&mut from, &mut to));
            }
        });
        let task = ringseal::spawn(async move { dial(address, key(2), &config(1)).await });
        let accepted = listener.accept().await.expect("accept");
        let mut dialed = task.await.expect("dial");
        thread.join().expect("the relay");
        drop(accepted);
        // Nobody reads any more: the writing half is told at some point.
        let error = loop {
            if let Err(error) = dialed.send(&[0; 1000]).await {
                break error;
            }
            if let Err(error) = dialed.flush().await {
                break error;
            }
            ringseal::sleep(std::time::Duration::from_millis(1)).await;
        };
        assert_tells(&error.to_string(), &["os error"]);
    });
}

crate::on_every_setting! {
    a_busy_address_is_named_with_the_systems_reason,
    a_dial_that_fails_tells_of_the_address_and_the_systems_reason,
    a_wrong_peer_key_is_among_the_causes_that_the_dialer_is_told,
    an_answer_of_another_protocol_is_shown,
    a_reset_is_named_on_both_halves,
}
