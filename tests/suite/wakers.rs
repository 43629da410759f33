//! Wakers that do something when they are dropped: nothing of ours may be borrowed meanwhile.

use std::any::Any;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ringseal::{Admission, Listener, Statistics, dial};

use super::peers::{builder, config, key, pair, pattern, run, run_with};
use super::transport::somewhere;

thread_local! {
    /// What the waker drops when it is dropped.
    static OWNED: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

struct DropsWhatItOwns;

impl Wake for DropsWhatItOwns {
    fn wake(self: Arc<Self>) {}
}

impl Drop for DropsWhatItOwns {
    fn drop(&mut self) {
        drop(OWNED.take());
    }
}

/// Makes a waker that drops `owned` with its last clone.
fn waker_that_owns(owned: impl Any) -> Waker {
    let previous = OWNED.replace(Some(Box::new(owned)));
    assert!(previous.is_none(), "one at a time");
    Waker::from(Arc::new(DropsWhatItOwns))
}

fn expect_dropped() {
    assert!(OWNED.take().is_none(), "the waker is still kept somewhere");
}

// HAZARDS F17: a sender that waits for its peer.
fn a_waker_may_drop_the_receiver_of_the_sender_that_it_is_for() {
    run(async {
        let (dialer, listener) = pair().await;
        let (mut sender, receiver) = dialer.split();
        let waker = waker_that_owns(receiver);
        'filling: loop {
            let mut sending = pin!(sender.send(&[1; 16_000]));
            for _ in 0..20 {
                match sending.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(result) => {
                        result.expect("send");
                        continue 'filling;
                    }
                    Poll::Pending => ringseal::sleep(Duration::from_millis(2)).await,
                }
            }
            drop(waker);
            assert!(futures_util::poll!(sending.as_mut()).is_pending());
            break;
        }
        expect_dropped();
        drop(listener);
    });
}

// HAZARDS F17: receivers that wait for messages to be dropped, where they have to.
fn a_waker_may_drop_the_message_that_a_receiver_waits_for() {
    run_with(builder().slots(4).slot_size(8192), async {
        let (mut filling, mut full) = pair().await;
        let mut held = Vec::new();
        let free = || Statistics::current().expect("inside").free_slots;
        while free() > 2 && held.len() < 4 {
            let message = pattern(6000, held.len());
            filling.send(&message).await.expect("send");
            filling.flush().await.expect("flush");
            held.push(full.recv().await.expect("recv").expect("a message"));
        }
        let (mut peer, mut receiver) = pair().await;
        peer.send(&pattern(6000, 7)).await.expect("send");
        peer.flush().await.expect("flush");
        let waker = waker_that_owns(held.pop());
        let mut receiving = pin!(receiver.recv());
        for _ in 0..5 {
            let poll = receiving.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(message) = poll {
                let message = message.expect("recv").expect("a message");
                assert!(*message == *pattern(6000, 7));
                return drop(OWNED.take());
            }
            ringseal::sleep(Duration::from_millis(5)).await;
        }
        drop(waker);
        let message = receiving.await.expect("recv").expect("a message");
        assert!(*message == *pattern(6000, 7));
        expect_dropped();
    });
}

/// Passes a call on to whoever polls.
struct PassesOn(Mutex<Waker>);

impl Wake for PassesOn {
    fn wake(self: Arc<Self>) {
        self.0.lock().expect("never held in a panic").wake_by_ref();
    }
}

/// Completes `future`, after which nobody may keep the waker that it was polled with: the memory of a
/// task lasts as long as its wakers.
async fn expect_no_waker_behind<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let passes_on = Arc::new(PassesOn(Mutex::new(Waker::noop().clone())));
    let output = poll_fn(|context| {
        *passes_on.0.lock().expect("never held in a panic") = context.waker().clone();
        let waker = Waker::from(Arc::clone(&passes_on));
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await;
    assert_eq!(Arc::strong_count(&passes_on), 1, "a waker is still kept");
    output
}

fn what_is_done_keeps_no_waker() {
    run_with(builder(), async {
        let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        let address = listener.local_address();
        let config = config(1);
        let dialing = expect_no_waker_behind(dial(&address, key(2), &config));
        let (dialer, accepted) = tokio::join!(dialing, listener.accept());
        let (mut dialer, mut accepted) = (dialer.expect("dial"), accepted.expect("accept"));
        let receiving = expect_no_waker_behind(accepted.recv());
        let sending = async {
            ringseal::sleep(Duration::from_millis(5)).await;
            dialer.send(b"late").await.expect("send");
        };
        let (message, ()) = tokio::join!(receiving, sending);
        assert!(message.expect("recv").is_some());
    });
}

crate::on_every_setting! {
    what_is_done_keeps_no_waker,
    a_waker_may_drop_the_receiver_of_the_sender_that_it_is_for,
    a_waker_may_drop_the_message_that_a_receiver_waits_for,
}
