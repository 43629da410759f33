//! Ends that fail in the middle of a connection: the other one must not take that for an end in order.

use ringseal::protocol::native::record::AbortReason;
use ringseal::{Config, RecvError, Runtime};

use crate::harness::{Pair, stop};

const GIVEN_UP: &str = "the peer has given the connection up";

// NATIVE 4.3: End says that all was sent.
#[test]
fn a_listener_that_can_not_send_a_typed_line_gives_the_connection_up() {
    let pair = Pair::new();
    let (mut listener, address) = pair.listen(&[]);
    let mut dialer = pair.dial(&address, &["--max-message-size", "3"]);
    dialer.type_line("hi");
    assert_eq!(listener.next_line(), "hi");
    listener.type_line("abc\nabcd");
    // Its standard input is still open: it ends because it has to.
    let ended = dialer.wait();
    assert_eq!(ended.status.code(), Some(1), "{:?}", ended.errors);
    assert_eq!(ended.output, ["abc"]);
    let text = ended.errors.join("\n");
    assert!(text.contains(GIVEN_UP), "{text}");
    let line = listener.next_error();
    for part in [
        "message of 4 bytes exceeds the limit of 3",
        // The one before it has arrived, and counts as sent.
        "; 1 typed lines were not sent to it",
    ] {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
    let ended = stop(listener);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
}

#[test]
fn a_listener_that_can_not_send_a_message_back_gives_the_connection_up() {
    let pair = Pair::new();
    let (listener, address) = pair.listen(&["--mode", "echo"]);
    let config = Config::new(pair.alice.identity(), "test").max_message_size(3);
    let bob = pair.bob.identity().public_key();
    let runtime = Runtime::builder().build().expect("a runtime");
    runtime.block_on(async {
        let dialed = ringseal::dial(&*address, bob, &config).await;
        let (mut sender, mut receiver) = dialed.expect("dial").split();
        sender.send(b"abc").await.expect("send");
        sender.send(b"abcd").await.expect("send");
        sender.close().await.expect("close");
        let echo = receiver.recv().await.expect("an echo").expect("no end");
        assert_eq!(&*echo, b"abc");
        drop(echo);
        let end = receiver.recv().await;
        let failed = AbortReason(AbortReason::FIRST_OF_APPLICATION);
        assert!(
            matches!(end, Err(RecvError::Aborted { reason }) if reason == failed),
            "{end:?}"
        );
    });
    let line = listener.next_error();
    assert!(line.contains("exceeds the limit of 3"), "{line}");
    let ended = stop(listener);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
}

#[test]
fn a_dialer_that_fails_gives_the_connection_up() {
    for (more, too_long) in [
        // Longer than the listener takes, and longer than any line may be.
        (&[][..], "message of 11 bytes exceeds the limit of 10"),
        (
            &["--max-message-size", "10"],
            "standard input has more than 10 bytes",
        ),
    ] {
        let pair = Pair::new();
        let (listener, address) = pair.listen(&["--max-message-size", "10"]);
        let mut dialer = pair.dial(&address, more);
        dialer.type_line("0123456789\n0123456789a");
        dialer.wait().expect_failure(&[too_long]);
        assert_eq!(listener.next_line(), "0123456789");
        let line = listener.next_error();
        assert!(line.contains(GIVEN_UP), "{line}");
        let ended = stop(listener);
        assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
    }
}
