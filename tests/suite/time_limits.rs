//! Peers that are quiet, or do not go on with what was begun.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::future::{Either, select};
use ringseal::{
    Admission, Config, Connection, Listener, Received, RecvError, SendError, Sender, TimeLimit,
    dial,
};

use super::peers::{config, key, pair, pair_with, pattern, relay, run};
use super::setting::on_native;
use super::transport::somewhere;

/// Short, so that what should be over is over soon.
const SHORT: Duration = Duration::from_millis(60);
/// Long enough for a machine that is busy with other things.
const LONG: Duration = Duration::from_secs(2);

/// As by default, but with this limit.
fn progress(seed: u8, limit: Duration) -> Config {
    config(seed).progress_timeout(limit)
}

/// Sends until something goes wrong.
async fn send_until_it_fails(sender: &mut Sender) -> (usize, SendError) {
    let mut count = 0;
    loop {
        match sender.send(&[7; 16_384]).await {
            Ok(()) => count += 1,
            Err(error) => return (count, error),
        }
    }
}

fn a_silent_peer_is_idle_and_both_halves_say_so() {
    run(async {
        let (mut dialer, mut listener) =
            pair_with(&config(1), &config(2).idle_timeout(SHORT)).await;
        dialer.send(b"once").await.expect("send");
        let message = listener.recv().await.expect("recv").expect("a message");
        assert_eq!(&*message, b"once");
        let error = listener.recv().await.expect_err("silence");
        let limit = TimeLimit::Idle;
        assert!(
            matches!(error, RecvError::TimedOut { limit: it } if it == limit),
            "{error:?}"
        );
        assert!(
            error.to_string().contains("Config::idle_timeout"),
            "{error}"
        );
        assert!(matches!(listener.recv().await, Err(RecvError::Closed)));
        // Errors of sending surface with the next flush at the latest.
        let sent = match listener.send(b"late").await {
            Ok(()) => listener.flush().await,
            failed => failed,
        };
        assert!(
            matches!(sent, Err(SendError::TimedOut { limit: it }) if it == limit),
            "{sent:?}"
        );
        // The peer sees an end, and is not left waiting.
        assert!(!matches!(dialer.recv().await, Ok(Some(_))));
    });
}

fn a_peer_that_goes_on_sending_is_not_idle() {
    run(async {
        let (mut dialer, mut listener) = pair_with(&config(1), &config(2).idle_timeout(LONG)).await;
        let sending = ringseal::spawn(async move {
            for index in 0..30 {
                ringseal::sleep(LONG / 20).await;
                dialer.send(&pattern(100, index)).await.expect("send");
            }
            dialer
        });
        for index in 0..30 {
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(100, index));
        }
        sending.await;
    });
}

fn not_receiving_is_not_the_peers_silence() {
    run(async {
        let (mut dialer, mut listener) =
            pair_with(&config(1), &config(2).idle_timeout(SHORT)).await;
        for index in 0..3 {
            dialer.send(&pattern(500, index)).await.expect("send");
            dialer.flush().await.expect("flush");
            if index == 1 {
                // A read is in flight when the message comes, and nobody collects it.
                let mut receive = std::pin::pin!(listener.recv());
                let message = loop {
                    if let std::task::Poll::Ready(message) = futures_util::poll!(receive.as_mut()) {
                        break message;
                    }
                    ringseal::sleep(Duration::from_millis(1)).await;
                };
                let message = message.expect("recv").expect("a message");
                assert!(*message == *pattern(500, index));
                continue;
            }
            ringseal::sleep(SHORT * 4).await;
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(500, index));
        }
    });
}

// HAZARDS R10: the write deadline cancels and poisons.
fn a_peer_that_never_reads_is_cut_off() {
    run(async {
        let (dialer, silent) = pair_with(&progress(1, SHORT), &config(2)).await;
        let (mut sender, _receiver) = dialer.split();
        let (_, error) = send_until_it_fails(&mut sender).await;
        let limit = TimeLimit::Progress;
        assert!(
            matches!(error, SendError::TimedOut { limit: it } if it == limit),
            "{error:?}"
        );
        assert!(error.to_string().contains("Config::progress_timeout"));
        assert!(matches!(sender.send(b"more").await, Err(SendError::Closed)));
        drop(silent);
    });
}

// HAZARDS R11.
fn both_ends_are_told_when_both_write_and_neither_reads() {
    run(async {
        let (dialer, listener) = pair_with(&progress(1, SHORT), &progress(2, SHORT)).await;
        let stuck = |connection: Connection| async move {
            let (mut sender, _receiver) = connection.split();
            send_until_it_fails(&mut sender).await.1
        };
        let (dialer, listener) = futures_util::join!(stuck(dialer), stuck(listener));
        // Whoever is second may see that the first has gone instead.
        let told = [&dialer, &listener].into_iter().any(
            |error| matches!(error, SendError::TimedOut { limit } if *limit == TimeLimit::Progress),
        );
        assert!(told, "{dialer:?}, {listener:?}");
    });
}

fn a_slow_reader_that_goes_on_is_not_cut_off() {
    run(async {
        let (dialer, mut listener) = pair_with(&progress(1, LONG), &config(2)).await;
        let (mut sender, _receiver) = dialer.split();
        let sending = ringseal::spawn(async move {
            for index in 0..600 {
                sender.send(&pattern(16_384, index)).await.expect("send");
            }
            sender.close().await.expect("close");
        });
        for index in 0..600 {
            if index % 30 == 0 {
                ringseal::sleep(LONG / 20).await;
            }
            let message = listener.recv().await.expect("recv").expect("a message");
            assert!(*message == *pattern(16_384, index));
        }
        assert!(listener.recv().await.expect("end").is_none());
        sending.await;
    });
}

fn a_record_that_does_not_go_on_ends_the_connection() {
    run(async {
        let mut listener = Listener::bind(somewhere(), &progress(2, SHORT), Admission::any())
            .await
            .expect("bind");
        let (over, waiting) = mpsc::channel::<()>();
        let mut passed = 0;
        let address = relay(listener.local_address(), move |_, bytes| {
            passed += bytes.len();
            // The handshake and the first half of the record pass.
            if passed > 6000 {
                let _ = waiting.recv();
            }
            bytes.len()
        });
        let dialing = ringseal::spawn(async move {
            let mut connection = dial(address, key(2), &config(1)).await.expect("dial");
            connection.send(&pattern(9000, 1)).await.expect("send");
            connection.flush().await.expect("flush");
            connection
        });
        let mut accepted = listener.accept().await.expect("accept");
        let error = accepted.recv().await.expect_err("half a record");
        assert!(
            matches!(error, RecvError::TimedOut { limit } if limit == TimeLimit::Progress),
            "{error:?}"
        );
        drop(over);
        drop(dialing.await);
    });
}

fn a_quiet_connection_without_limits_stays() {
    run(async {
        let quiet = |seed| config(seed).progress_timeout(None);
        let (_busy, mut limited) = pair_with(&quiet(1), &config(2).idle_timeout(SHORT)).await;
        let (mut dialer, mut listener) = pair_with(&quiet(1), &quiet(2)).await;
        let (mut default, mut other) = pair().await;
        // Ticks come and go meanwhile.
        assert!(limited.recv().await.is_err());
        ringseal::sleep(SHORT * 4).await;
        for (from, to) in [(&mut dialer, &mut listener), (&mut default, &mut other)] {
            from.send(b"still here").await.expect("send");
            let message = to.recv().await.expect("recv").expect("a message");
            assert_eq!(&*message, b"still here");
        }
    });
}

async fn count_sleeps(length: Duration, sleeps: &Cell<usize>) -> Infallible {
    loop {
        ringseal::sleep(length).await;
        sleeps.set(sleeps.get() + 1);
    }
}

// HAZARDS F19, in time that passes. How late a limit is can't be asserted on a busy machine, but a turn
// of a thread that ends a short sleep ends a tick too, which is shorter; and a limit takes so many ticks.
fn a_short_limit_beside_long_ones_is_kept() {
    const LIMIT: Duration = Duration::from_millis(20);
    // An eighth of the limit each: one that sees it begin, eight, and one that was late. Timers are set
    // one after the other, so one of the two may miss a turn.
    const MOST_SLEEPS: usize = 2 * (1 + 8 + 1);
    run(async {
        for limited in [config(2).idle_timeout(LIMIT), config(2).max_lifetime(LIMIT)] {
            // The tick that suits this one has begun.
            let _long = pair_with(&config(1), &config(2).idle_timeout(LONG * 30)).await;
            let (_dialer, mut listener) = pair_with(&config(1), &limited).await;
            let sleeps = Cell::new(0);
            let counting = pin!(count_sleeps(LIMIT / 4, &sleeps));
            let end = match select(pin!(listener.recv()), counting).await {
                Either::Left((end, _)) => end,
                Either::Right((never, _)) => match never {},
            };
            let error = end.expect_err("a limit");
            assert!(matches!(error, RecvError::TimedOut { .. }), "{error:?}");
            assert!(sleeps.get() <= MOST_SLEEPS, "{} sleeps", sleeps.get());
        }
    });
}

/// Sends until the other end takes nothing more.
async fn send_on(mut sender: Sender) {
    while sender.send(b"x").await.is_ok() && sender.flush().await.is_ok() {
        ringseal::sleep(Duration::from_millis(2)).await;
    }
}

fn a_connection_lasts_no_longer_than_it_may_and_asks_the_peer_to_end_before() {
    run(async {
        let limited = config(2).max_lifetime(SHORT * 8);
        let start = std::time::Instant::now();
        let (dialer, mut listener) = pair_with(&config(1), &limited).await;
        let (sender, mut receiver) = dialer.split();
        let sending = ringseal::spawn(send_on(sender));
        let asked = ringseal::spawn(async move {
            let event = receiver.recv_event().await;
            matches!(event, Ok(Some(Received::Leaving(0))))
        });
        // Neither idle nor stuck.
        let error = loop {
            match listener.recv().await {
                Ok(message) => assert!(message.is_some(), "the dialer goes on"),
                Err(error) => break error,
            }
        };
        let limit = TimeLimit::Lifetime;
        assert!(
            matches!(error, RecvError::TimedOut { limit: it } if it == limit),
            "{error:?}"
        );
        assert!(error.to_string().contains("Config::max_lifetime"));
        assert!(start.elapsed() >= SHORT * 8);
        assert!(listener.send(b"late").await.is_err() || listener.flush().await.is_err());
        assert_eq!(asked.await, on_native());
        sending.await;
    });
}

fn a_connection_that_ends_before_its_lifetime_is_over_ends_in_order() {
    run(async {
        let limited = config(2).max_lifetime(LONG * 30);
        let (dialer, mut listener) = pair_with(&config(1), &limited).await;
        dialer.close().await.expect("close");
        assert!(listener.recv().await.expect("recv").is_none());
    });
}

crate::on_every_setting! {
    a_connection_lasts_no_longer_than_it_may_and_asks_the_peer_to_end_before,
    a_connection_that_ends_before_its_lifetime_is_over_ends_in_order,
    a_short_limit_beside_long_ones_is_kept,
    a_silent_peer_is_idle_and_both_halves_say_so,
    a_peer_that_goes_on_sending_is_not_idle,
    not_receiving_is_not_the_peers_silence,
    a_peer_that_never_reads_is_cut_off,
    both_ends_are_told_when_both_write_and_neither_reads,
    a_slow_reader_that_goes_on_is_not_cut_off,
    a_record_that_does_not_go_on_ends_the_connection,
    a_quiet_connection_without_limits_stays,
}
