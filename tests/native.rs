//! The suite on the native driver, and what only that driver can do. Meant to run under
//! AddressSanitizer as well: `.ci/run` does.

mod suite;

use std::time::Duration;

use ringseal::{Backend, Runtime, StartError};

/// What every runtime of the suite is driven by.
const BACKEND: Backend = Backend::Uring;

/// What connects the peers of the suite.
const TRANSPORT: suite::Transport = suite::Transport::Tcp;

#[test]
fn busy_polling_finds_messages_timers_and_other_threads() {
    let builder = Runtime::builder().busy_poll(Duration::from_millis(20));
    suite::run_with(builder, async {
        let (mut dialer, mut listener) = suite::pair().await;
        for index in 0..200 {
            let message = suite::pattern(1 + index * 7, index);
            dialer.send(&message).await.expect("send");
            let received = listener.recv().await.expect("recv").expect("a message");
            assert!(*received == *message);
        }
        ringseal::sleep(Duration::from_millis(2)).await;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1));
            sender.send(5).expect("somebody waits");
        });
        assert_eq!(receiver.await, Ok(5));
        thread.join().expect("the thread");
    });
}

#[test]
fn busy_polling_is_refused_where_it_cannot_be() {
    let builder = Runtime::builder()
        .backend(Backend::TokioUring)
        .busy_poll(Duration::from_micros(1));
    let error = builder.build().expect_err("it waits in epoll");
    assert!(matches!(error, StartError::Configuration(_)), "{error:?}");
    assert!(error.to_string().contains("Backend::Uring"));
}
