//! What only our own io_uring loop can do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use ringseal::{Backend, Runtime, StartError};

use super::peers::{pair, pattern, run_with};

fn busy_polling_finds_messages_timers_and_other_threads() {
    let builder = Runtime::builder().busy_poll(Duration::from_millis(20));
    run_with(builder, async {
        let (mut dialer, mut listener) = pair().await;
        for index in 0..200 {
            let message = pattern(1 + index * 7, index);
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

fn busy_polling_is_refused_where_it_cannot_be() {
    let builder = Runtime::builder()
        .backend(Backend::TokioUring)
        .busy_poll(Duration::from_micros(1));
    let error = builder.build().expect_err("it waits in epoll");
    assert!(matches!(error, StartError::Configuration(_)), "{error:?}");
    assert!(error.to_string().contains("Backend::Uring"));
}

// HAZARDS B9: what completes together with its operation is woken all the same.
fn a_waker_that_panics_loses_nobody_elses_completion() {
    struct Panics(AtomicBool);
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
            panic!("on purpose");
        }
    }
    run_with(Runtime::builder().backend(Backend::Uring), async {
        let panics = Arc::new(Panics(AtomicBool::new(false)));
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for _ in 0..6 {
            let (dialer, listener) = pair().await;
            senders.push(dialer);
            receivers.push(listener);
        }
        {
            let waker = Waker::from(Arc::clone(&panics));
            let mut recv = std::pin::pin!(receivers[0].recv());
            let poll = recv.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
        }
        let receiving: Vec<_> = receivers
            .drain(1..)
            .map(|mut receiver| {
                ringseal::spawn(async move { receiver.recv().await.map(|one| one.is_some()) })
            })
            .collect();
        tokio::task::yield_now().await;
        for sender in &mut senders {
            sender.send(b"m").await.expect("send");
        }
        for task in receiving {
            assert!(task.await.expect("recv"));
        }
        let message = receivers[0].recv().await.expect("recv");
        assert_eq!(&*message.expect("a message"), b"m");
        assert!(panics.0.load(Ordering::SeqCst));
    });
}

crate::on_setting! { uring_tcp, Native, Uring, Tcp,
    busy_polling_finds_messages_timers_and_other_threads,
    busy_polling_is_refused_where_it_cannot_be,
    a_waker_that_panics_loses_nobody_elses_completion,
}
