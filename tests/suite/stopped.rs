//! A process that is stopped for a while: its own pause is nobody else's silence.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use ringseal::{Admission, Listener, dial};
use rustix::process::{Pid, Signal, kill_process};

use super::child::{is_case, said, start};
use super::peers::{config, key, pattern, run};
use super::setting::transport;
use super::transport::{Transport, somewhere};

/// How long the peer may be silent.
const LIMIT: Duration = Duration::from_secs(1);
/// How often it sends.
const PERIOD: Duration = Duration::from_millis(150);
/// How long the process is stopped.
const PAUSE: Duration = Duration::from_millis(3_500);

// HAZARDS F10.
fn a_process_that_was_stopped_cuts_no_peer_that_went_on() {
    const TEST: &str = "a_process_that_was_stopped_cuts_no_peer_that_went_on";
    // Two processes need sockets.
    if transport() == Transport::Memory {
        return;
    }
    if is_case(TEST) {
        return receive_with_a_limit();
    }
    let mut process = start(module_path!(), TEST);
    let mut lines = BufReader::new(process.child.stdout.take().expect("piped")).lines();
    let address = said(&mut lines, "ADDRESS");
    let id = Pid::from_child(&process.child);
    run(async {
        let mut dialer = dial(&address, key(2), &config(1)).await.expect("dial");
        let mut sent = 0;
        let mut send_for = async |duration: Duration| {
            let start = std::time::Instant::now();
            while start.elapsed() < duration {
                dialer.send(&pattern(100, sent)).await.expect("send");
                sent += 1;
                ringseal::sleep(PERIOD).await;
            }
        };
        send_for(PERIOD * 5).await;
        kill_process(id, Signal::STOP).expect("stop it");
        send_for(PAUSE).await;
        kill_process(id, Signal::CONT).expect("let it go on");
        send_for(PERIOD * 5).await;
        dialer.send(b"end").await.expect("send");
        dialer.flush().await.expect("flush");
        assert_eq!(
            &*dialer.recv().await.expect("recv").expect("an answer"),
            format!("{sent}").as_bytes(),
            "not everything was received"
        );
    });
    drop(process.child.stdin.take());
    assert!(process.child.wait().expect("wait").success());
}

/// The child: counts what comes and tells how much it was.
fn receive_with_a_limit() {
    run(async {
        let limited = config(2).idle_timeout(LIMIT).progress_timeout(LIMIT);
        let mut listener = Listener::bind(somewhere(), &limited, Admission::any())
            .await
            .expect("bind");
        println!("\nADDRESS {}", listener.local_address());
        std::io::stdout().flush().expect("flush");
        let mut connection = listener.accept().await.expect("accept");
        let mut received = 0;
        loop {
            let message = connection.recv().await.expect("recv").expect("a message");
            if *message == *b"end" {
                break;
            }
            assert!(*message == *pattern(100, received));
            received += 1;
        }
        connection
            .send(format!("{received}").as_bytes())
            .await
            .expect("send");
        connection.flush().await.expect("flush");
        // The peer ends first.
        let _ = connection.recv().await;
    });
}

/// Longer than a connection that nobody holds is seen to its end while its peer does not read.
const LONG_PAUSE: Duration = Duration::from_secs(6);
const LENGTH: usize = 60_000;

// HAZARDS F1, F10.
fn what_was_sent_before_a_process_was_stopped_still_arrives() {
    const TEST: &str = "what_was_sent_before_a_process_was_stopped_still_arrives";
    // What holds an end back is the same on both sockets, and takes seconds.
    if transport() != Transport::Tcp {
        return;
    }
    if is_case(TEST) {
        return fill_and_leave();
    }
    let mut process = start(module_path!(), TEST);
    let mut lines = BufReader::new(process.child.stdout.take().expect("piped")).lines();
    let address = said(&mut lines, "ADDRESS");
    let id = Pid::from_child(&process.child);
    run(async {
        let mut dialer = dial(&address, key(2), &config(1)).await.expect("dial");
        let sent: usize = said(&mut lines, "SENT").parse().expect("a number");
        kill_process(id, Signal::STOP).expect("stop it");
        ringseal::sleep(LONG_PAUSE).await;
        kill_process(id, Signal::CONT).expect("let it go on");
        // It has looked at the time before anything moves.
        ringseal::sleep(Duration::from_millis(500)).await;
        for index in 0..sent {
            let message = dialer.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(LENGTH, index), "message {index}");
        }
        assert!(dialer.recv().await.expect("recv").is_none());
    });
    drop(process.child.stdin.take());
    assert!(process.child.wait().expect("wait").success());
}

/// The child: sends as much as finds room, and leaves.
fn fill_and_leave() {
    run(async {
        let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        println!("\nADDRESS {}", listener.local_address());
        std::io::stdout().flush().expect("flush");
        let mut connection = listener.accept().await.expect("accept");
        let mut sent = 0;
        loop {
            let message = pattern(LENGTH, sent);
            let sending = connection.send(&message);
            match ringseal::timeout(Duration::from_millis(300), sending).await {
                Some(sending) => sending.expect("send"),
                None => break,
            }
            sent += 1;
        }
        drop(connection);
        println!("\nSENT {sent}");
        std::io::stdout().flush().expect("flush");
    });
}

crate::on_every_setting! {
    what_was_sent_before_a_process_was_stopped_still_arrives,
    a_process_that_was_stopped_cuts_no_peer_that_went_on,
}
