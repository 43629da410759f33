//! The wire in memory and time that is paused: that each fault is what it says, and what a
//! connection makes of it.

use std::time::Duration;

use futures_util::join;
use ringseal::protocol::native::record::OpenError;
use ringseal::testing::{Conditions, Cut, DirectionControl, duplex};
use ringseal::{
    Admission, AttemptError, Backend, Config, Connection, DialError, Identity, RecvError, Runtime,
    SendError, StartError, TimeLimit, Wire, accept_over, dial_over,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HOUR: Duration = Duration::from_secs(3600);

fn config(seed: u8) -> Config {
    Config::new(Identity::from_seed(&[seed; 32]), "ringseal tests")
}

/// Runs `test` on paused time. One that hangs ends as well: the clock jumps to the deadline.
fn paused(test: impl AsyncFnOnce()) {
    let runtime = Runtime::builder().paused_time().build().expect("epoll");
    assert_eq!(runtime.backend(), Backend::Epoll);
    runtime.block_on(async {
        let done = ringseal::timeout(1000 * HOUR, test()).await;
        done.expect("took too long");
    });
}

/// Two peers on a wire, and a hold of each direction: the dialer's first.
struct Pair {
    dialed: Connection,
    accepted: Connection,
    forth: DirectionControl,
    back: DirectionControl,
}

async fn pair(dialer: Config, conditions: Conditions) -> Pair {
    let listener = config(2).wires([Wire::native(), Wire::COMMONWARE]);
    let (ours, theirs) = duplex(conditions, conditions);
    let (forth, back) = (ours.outgoing(), ours.incoming());
    let anybody = Admission::any();
    let (dialed, accepted) = join!(
        dial_over(ours, listener.public_key(), &dialer),
        accept_over(theirs, &listener, &anybody)
    );
    Pair {
        dialed: dialed.expect("dial"),
        accepted: accepted.expect("accept"),
        forth,
        back,
    }
}

/// The time that passed for the tasks while `work` ran.
async fn elapsed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = tokio::time::Instant::now();
    let output = work.await;
    (output, start.elapsed())
}

#[test]
fn bytes_take_the_latency_and_no_time() {
    paused(async || {
        let slow = Conditions::default().latency(HOUR);
        let (mut ours, mut theirs) = duplex(slow, Conditions::default());
        let (count, took) = elapsed(async {
            ours.write_all(b"hello").await.expect("write");
            let mut bytes = [0; 16];
            theirs.read(&mut bytes).await.expect("read")
        })
        .await;
        assert_eq!((count, took), (5, HOUR));
        let (_, took) = elapsed(async {
            theirs.write_all(b"hello").await.expect("write");
            ours.read_exact(&mut [0; 5]).await.expect("read")
        })
        .await;
        assert_eq!(took, Duration::ZERO);
    });
}

#[test]
fn chunks_and_capacity_are_what_was_asked_for() {
    paused(async || {
        let narrow = Conditions::default().chunk(3).capacity(7);
        let (mut ours, mut theirs) = duplex(narrow, narrow);
        for expected in [3, 3, 1] {
            assert_eq!(ours.write(&[1; 10]).await.expect("write"), expected);
        }
        let full = ringseal::timeout(HOUR, ours.write(&[1; 10])).await;
        assert!(full.is_none(), "there is no room");
        assert_eq!(theirs.read(&mut [0; 10]).await.expect("read"), 3);
        assert_eq!(ours.write(&[1; 10]).await.expect("write"), 3);
        assert_eq!(ours.outgoing().written(), 10);
    });
}

#[test]
fn a_cut_comes_after_the_byte_that_was_named() {
    paused(async || {
        for (cut, reads) in [
            (Cut::End, Some(Ok(5))),
            (Cut::Reset, Some(Err(std::io::ErrorKind::ConnectionReset))),
            (Cut::Silence, None),
        ] {
            let cutting = Conditions::default().cut_after(5, cut);
            let (mut ours, mut theirs) = duplex(cutting, Conditions::default());
            assert_eq!(ours.write(&[1; 10]).await.expect("write"), 5);
            let next = ours.write(&[1; 5]).await.map_err(|error| error.kind());
            let mut bytes = Vec::new();
            let read = ringseal::timeout(HOUR, theirs.read_to_end(&mut bytes)).await;
            assert_eq!(read.map(|read| read.map_err(|error| error.kind())), reads);
            match cut {
                Cut::End => assert_eq!(next, Err(std::io::ErrorKind::BrokenPipe)),
                Cut::Reset => assert_eq!(next, Err(std::io::ErrorKind::ConnectionReset)),
                _ => {
                    assert_eq!(next, Ok(5), "nobody is told");
                    assert_eq!(bytes.len(), 5, "what was under way arrives");
                }
            }
        }
    });
}

#[test]
fn what_stalls_goes_on_where_it_was() {
    paused(async || {
        let (mut ours, mut theirs) = duplex(Conditions::default(), Conditions::default());
        let control = ours.outgoing();
        control.stall();
        ours.write_all(b"hello").await.expect("write");
        let mut bytes = [0; 5];
        let stalled = ringseal::timeout(HOUR, theirs.read_exact(&mut bytes)).await;
        assert!(stalled.is_none());
        control.resume();
        theirs.read_exact(&mut bytes).await.expect("read");
        assert_eq!(&bytes, b"hello");
        drop(ours);
        assert_eq!(theirs.read(&mut bytes).await.expect("the end"), 0);
        let error = theirs.write(&bytes).await.expect_err("nobody reads");
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn messages_cross_a_narrow_and_slow_wire() {
    paused(async || {
        let conditions = Conditions::default()
            .latency(Duration::from_millis(30))
            .chunk(11)
            .capacity(200);
        let pair = pair(config(1).handshake_deadline(HOUR), conditions).await;
        let (mut dialed, mut accepted) = (pair.dialed, pair.accepted);
        let sending = ringseal::spawn(async move {
            for size in [0, 1, 100, 5000] {
                dialed.send(&vec![7; size]).await.expect("send");
            }
            dialed.flush().await.expect("flush");
            dialed
        });
        for size in [0, 1, 100, 5000] {
            let message = accepted.recv().await.expect("recv").expect("one");
            assert!(*message == *vec![7; size]);
        }
        drop(sending.await);
        assert!(accepted.recv().await.expect("the end").is_none());
    });
}

/// Neither undercut nor overrun by more than the ticks of the limits.
#[track_caller]
fn assert_kept_to_the_second(limit: Duration, took: Duration) {
    assert!(
        (limit..limit + Duration::from_secs(1)).contains(&took),
        "{took:?}"
    );
}

// HAZARDS R8: the limit is kept to the second on a clock that jumps, and never undercut.
#[test]
fn a_silent_peer_meets_the_idle_limit() {
    paused(async || {
        let limit = 2 * HOUR;
        let mut pair = pair(config(1).idle_timeout(limit), Conditions::default()).await;
        pair.back.cut(Cut::Silence);
        pair.accepted.send(b"lost").await.expect("send");
        pair.accepted.flush().await.expect("nobody is told");
        let (result, took) = elapsed(pair.dialed.recv()).await;
        let error = result.expect_err("nothing comes");
        assert!(
            matches!(
                error,
                RecvError::TimedOut {
                    limit: TimeLimit::Idle
                }
            ),
            "{error:?}"
        );
        assert_kept_to_the_second(limit, took);
    });
}

// HAZARDS R10, R11: both ends write and neither reads.
#[test]
fn ends_that_never_read_meet_the_progress_limit() {
    paused(async || {
        let limit = HOUR;
        let pair = pair(config(1).progress_timeout(limit), Conditions::default()).await;
        let Pair {
            mut dialed,
            accepted: _kept,
            ..
        } = pair;
        let (error, took) = elapsed(async {
            loop {
                if let Err(error) = dialed.send(&[1; 10_000]).await {
                    break error;
                }
            }
        })
        .await;
        assert!(
            matches!(
                error,
                SendError::TimedOut {
                    limit: TimeLimit::Progress
                }
            ),
            "{error:?}"
        );
        assert_kept_to_the_second(limit, took);
    });
}

// HAZARDS R7.
#[test]
fn a_reset_is_an_error_on_both_sides() {
    paused(async || {
        let mut pair = pair(config(1), Conditions::default()).await;
        pair.forth.cut(Cut::Reset);
        pair.back.cut(Cut::Reset);
        for connection in [&mut pair.dialed, &mut pair.accepted] {
            let error = connection.recv().await.expect_err("reset");
            assert!(
                matches!(&error, RecvError::Transport(error)
                    if error.kind() == std::io::ErrorKind::ConnectionReset),
                "{error:?}"
            );
        }
    });
}

// HAZARDS R6, H17's sibling for lengths: the wire ends after each byte that a dialer sends.
#[test]
fn a_cut_at_any_byte_is_never_a_message() {
    for wire in [Wire::native(), Wire::COMMONWARE] {
        cut_at_any_byte(wire);
    }
}

fn cut_at_any_byte(wire: Wire) {
    paused(async || {
        let config = |seed| config(seed).wire(wire);
        let whole = {
            let mut pair = pair(config(1), Conditions::default()).await;
            pair.dialed.send(&[1; 100]).await.expect("send");
            pair.dialed.flush().await.expect("flush");
            pair.forth.written()
        };
        let listener = config(2);
        let anybody = Admission::any();
        for bytes in 1..whole {
            let cutting = Conditions::default().cut_after(bytes, Cut::End);
            let (ours, theirs) = duplex(cutting, Conditions::default());
            let ours = async {
                let dialer = config(1);
                let mut connection = dial_over(ours, listener.public_key(), &dialer).await?;
                let _ = connection.send(&[1; 100]).await;
                let _ = connection.flush().await;
                Ok::<_, DialError>(())
            };
            let theirs = async {
                let accepted = accept_over(theirs, &listener, &anybody).await;
                match accepted {
                    Ok(mut connection) => Some(connection.recv().await),
                    Err(DialError::Attempt(AttemptError::UnexpectedEnd)) => None,
                    Err(error) => panic!("{bytes}: {error:?}"),
                }
            };
            let (_, received) = join!(ours, theirs);
            match received {
                // Cut within the handshake, or within a record.
                None
                | Some(Err(RecvError::Record(_) | RecvError::NativeRecord(OpenError::Truncated))) =>
                    {}
                // Or between records, which only the native wire tells from an end.
                Some(Ok(None)) if !wire.is_native() => {}
                other => panic!("{bytes}: {other:?}"),
            }
        }
    });
}

#[test]
fn a_ring_has_no_time_to_pause() {
    for backend in [Backend::Uring, Backend::TokioUring] {
        let error = Runtime::builder().backend(backend).paused_time().build();
        assert!(
            matches!(error, Err(StartError::Configuration(_))),
            "{error:?}"
        );
    }
}

// Without paused time the wire works on every backend.
#[test]
fn the_wire_works_on_every_backend() {
    for backend in [Backend::Uring, Backend::TokioUring, Backend::Epoll] {
        let runtime = Runtime::builder().backend(backend).build().expect("one");
        runtime.block_on(async {
            let slow = Conditions::default().latency(Duration::from_millis(2));
            let mut pair = pair(config(1), slow).await;
            pair.dialed.send(b"hello").await.expect("send");
            let message = pair.accepted.recv().await.expect("recv").expect("one");
            assert_eq!(&*message, b"hello");
        });
    }
}

// HAZARDS F19.
#[test]
fn a_short_limit_beside_long_ones_is_kept() {
    paused(async || {
        let long = config(1).idle_timeout(Duration::from_secs(60));
        let _long = pair(long, Conditions::default()).await;
        // The tick that suits the long limit has begun.
        ringseal::sleep(Duration::from_millis(1)).await;
        let limit = Duration::from_millis(20);
        let mut short = pair(config(1).idle_timeout(limit), Conditions::default()).await;
        let (error, took) = elapsed(short.dialed.recv()).await;
        let error = error.expect_err("nothing comes");
        assert!(
            matches!(error, RecvError::TimedOut { limit } if limit == TimeLimit::Idle),
            "{error:?}"
        );
        // A quarter of the limit late at most, and what timers round up to.
        assert!((limit..limit * 3 / 2).contains(&took), "{took:?}");
    });
}

// HAZARDS F10: the clock jumps, as it does for a process that is stopped for a while.
#[test]
fn a_pause_of_our_own_is_not_charged_to_the_peer() {
    paused(async || {
        let limit = Duration::from_secs(1);
        // The native wire would keep the connection alive.
        let limited = config(1)
            .wire(Wire::COMMONWARE)
            .idle_timeout(limit)
            .progress_timeout(limit);
        let Pair {
            mut dialed,
            mut accepted,
            ..
        } = pair(limited, Conditions::default()).await;
        let receiving = ringseal::spawn(async move {
            for round in 0..40 {
                let message = dialed.recv().await.expect("recv").expect("a message");
                assert_eq!(&*message, &[round]);
            }
            let (result, took) = elapsed(dialed.recv()).await;
            assert!(
                matches!(result, Err(RecvError::TimedOut { .. })),
                "{result:?}"
            );
            took
        });
        for round in 0..40 {
            accepted.send(&[round]).await.expect("send");
            ringseal::sleep(Duration::from_millis(150)).await;
            if round % 7 == 6 {
                tokio::time::advance(Duration::from_millis(3_500)).await;
            }
        }
        // Silence is silence all the same.
        let took = receiving.await;
        assert!((limit..limit * 2).contains(&took), "{took:?}");
    });
}
