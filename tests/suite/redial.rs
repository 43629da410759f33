//! A dialer that dials again: listeners that go away and come back, refuse, cut, or are stopped.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{BufRead, BufReader, Write};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use ringseal::{
    Address, Admission, AttemptError, Backoff, Config, Connection, DialError, Listener,
    RedialState, Redialer, RemoteError, RemoteRedialer, RetryOutlook, RingThreads, SendError,
    Statistics,
};
use rustix::process::{Pid, Signal, kill_process};

use super::child::{is_case, said, start};
use super::peers::{builder, config, key, pair, patiently, run};
use super::setting::{on_native, spawn, transport};
use super::transport::{RawListener, RawStream, Transport, somewhere};

/// Quick, since nobody else is disturbed.
fn quick() -> Backoff {
    Backoff::new(Duration::from_millis(2), Duration::from_millis(20))
}

/// Returns an address at which nobody else listens after the test has gone away from it for a moment.
fn own_address() -> Address {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    match transport() {
        Transport::Unix => somewhere(),
        Transport::Tcp | Transport::Memory => {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let process = std::process::id() % 250;
            format!("127.77.{process}.{number}:0").into()
        }
    }
}

async fn bind(address: &Address, admission: Admission) -> Listener {
    let bound = Listener::bind(address, &config(2), admission).await;
    bound.expect("bind")
}

/// What a redialer has told, in the order of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Connecting(u64),
    Connected,
    /// With what its error makes of another attempt.
    Waiting(Option<RetryOutlook>),
    GivenUp(RetryOutlook),
}

fn told(state: &RedialState<'_>) -> Told {
    match state {
        RedialState::Connecting { attempt } => Told::Connecting(*attempt),
        RedialState::Connected { .. } => Told::Connected,
        RedialState::Waiting { pause, why } => {
            assert!(*pause <= quick().longest(), "{pause:?}");
            Told::Waiting(why.map(DialError::retry_outlook))
        }
        RedialState::GivenUp { why } => Told::GivenUp(why.retry_outlook()),
        other => panic!("{other:?}"),
    }
}

type List = Rc<RefCell<Vec<Told>>>;

/// Dials the second peer at `address`, as the one that `config` is of.
fn redialer(address: &Address, config: Config) -> (Redialer, List) {
    let list = List::default();
    let told_to = Rc::clone(&list);
    let redialer = Redialer::new(address, key(2), config)
        .backoff(quick())
        .watch(move |state| told_to.borrow_mut().push(told(state)));
    (redialer, list)
}

async fn exchange(near: &mut Connection, far: &mut Connection) {
    near.send(b"there").await.expect("send");
    let there = far.recv().await.expect("recv").expect("a message");
    assert_eq!(&*there, b"there");
    far.send(b"back").await.expect("send");
    let back = near.recv().await.expect("recv").expect("a message");
    assert_eq!(&*back, b"back");
}

/// Whether another message comes.
async fn is_alive(connection: &mut Connection) -> bool {
    matches!(connection.recv().await, Ok(Some(_)))
}

fn a_listener_that_returns_at_its_address_is_dialed_again() {
    run(async {
        let mut listener = bind(&own_address(), Admission::any()).await;
        let address = listener.local_address();
        let (mut redialer, list) = redialer(&address, config(1));
        let (dialed, accepted) = futures_util::join!(redialer.connect(), listener.accept());
        let (mut dialed, mut accepted) = (dialed.expect("dial"), accepted.expect("accept"));
        exchange(&mut dialed, &mut accepted).await;
        assert_eq!(list.take(), [Told::Connecting(1), Told::Connected]);

        drop((accepted, listener));
        assert!(!is_alive(&mut dialed).await);
        drop(dialed);
        let failures = Rc::clone(&list);
        let returning = async {
            while failures.borrow().len() < 6 {
                ringseal::sleep(Duration::from_millis(1)).await;
            }
            let mut listener = bind(&address, Admission::any()).await;
            let accepted = listener.accept().await;
            (listener, accepted)
        };
        let (dialed, (_listener, accepted)) = futures_util::join!(redialer.connect(), returning);
        exchange(&mut dialed.expect("dial"), &mut accepted.expect("accept")).await;
        let list = list.take();
        let good = Some(RetryOutlook::Good);
        let start = [
            Told::Waiting(None),
            Told::Connecting(1),
            Told::Waiting(good),
        ];
        assert_eq!(list[..3], start, "{list:?}");
        assert_eq!(list.last(), Some(&Told::Connected), "{list:?}");
        let is_refused = |told: &Told| matches!(told, Told::Waiting(Some(RetryOutlook::Good)));
        assert!(list.iter().filter(|told| is_refused(told)).count() >= 2);
    });
}

/// Relays the connection behind the first `cut` ones, which are closed at once.
fn behind_cuts(cut: usize, target: Address) -> Address {
    let front = RawListener::bind();
    let address = front.address();
    spawn(move || {
        for _ in 0..cut {
            drop(front.accept());
        }
        let (mut client, mut server) = (front.accept(), RawStream::connect(target));
        let (mut back, mut forth) = (server.try_clone(), client.try_clone());
        let answers = spawn(move || std::io::copy(&mut back, &mut forth));
        let _ = std::io::copy(&mut client, &mut server);
        server.shutdown(std::net::Shutdown::Write);
        let _ = answers.join();
    });
    address
}

fn whoever_cuts_handshakes_is_dialed_again_and_called_doubtful() {
    run(async {
        let mut listener = bind(&somewhere(), Admission::any()).await;
        let front = behind_cuts(3, listener.local_address());
        let (mut redialer, list) = redialer(&front, config(1));
        let (dialed, accepted) = futures_util::join!(redialer.connect(), listener.accept());
        exchange(&mut dialed.expect("dial"), &mut accepted.expect("accept")).await;
        let cut = Told::Waiting(Some(RetryOutlook::Doubtful));
        let list = list.take();
        assert_eq!(
            list.iter().filter(|told| **told == cut).count(),
            3,
            "{list:?}"
        );
    });
}

fn a_listener_that_has_another_key_is_doubtful_and_ends_it_on_request() {
    run(async {
        let listener = Listener::bind(somewhere(), &config(5), Admission::any()).await;
        let mut listener = listener.expect("bind");
        let (redialer, list) = redialer(&listener.local_address(), config(1));
        let mut redialer =
            redialer.give_up_when(|error| error.retry_outlook() != RetryOutlook::Good);
        let (dialed, accepted) = futures_util::join!(redialer.connect(), listener.accept());
        dialed.expect_err("another key");
        accepted.expect_err("another key");
        let given_up = Told::GivenUp(RetryOutlook::Doubtful);
        assert_eq!(list.take(), [Told::Connecting(1), given_up]);
    });
}

/// On the native wire the listener says so under its key; on the other one it just closes.
fn a_key_that_is_not_admitted_ends_it_where_the_listener_can_say_so() {
    run(async {
        let is_open = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&is_open);
        let admission = Admission::check(move |_| asked.load(Ordering::Relaxed));
        let mut listener = bind(&somewhere(), admission).await;
        let (mut redialer, list) = redialer(&listener.local_address(), config(1));
        let accepting = ringseal::spawn(async move {
            loop {
                if let Ok(connection) = listener.accept().await {
                    return connection;
                }
            }
        });
        if on_native() {
            let error = redialer.connect().await.expect_err("not admitted");
            let refused = matches!(error, DialError::Attempt(AttemptError::Refused { .. }));
            assert!(refused, "{error:?}");
            let given_up = Told::GivenUp(RetryOutlook::Hopeless);
            assert_eq!(list.take(), [Told::Connecting(1), given_up]);
            is_open.store(true, Ordering::Relaxed);
        }
        let open = async {
            while !on_native() && list.borrow().len() < 4 {
                ringseal::sleep(Duration::from_millis(1)).await;
            }
            is_open.store(true, Ordering::Relaxed);
        };
        let (dialed, ()) = futures_util::join!(redialer.connect(), open);
        exchange(&mut dialed.expect("dial"), &mut accepting.await).await;
        let list = list.take();
        let doubtful = Told::Waiting(Some(RetryOutlook::Doubtful));
        assert_eq!(list.contains(&doubtful), !on_native(), "{list:?}");
    });
}

fn what_no_attempt_can_mend_ends_it_at_once() {
    let raw = RawListener::bind();
    run(async {
        let (mut redialer, list) = redialer(&raw.address(), config(2));
        redialer.connect().await.expect_err("its own identity");
        let given_up = Told::GivenUp(RetryOutlook::Hopeless);
        assert_eq!(list.take(), [Told::Connecting(1), given_up.clone()]);
    });
    let (mut redialer, list) = redialer(&raw.address(), config(1));
    let outside = futures::executor::block_on(redialer.connect());
    assert!(matches!(outside, Err(DialError::OutsideRuntime)));
    assert_eq!(list.take().len(), 2);
}

/// Gives `future` up at its so many-th wait.
async fn up_to_wait<F: Future>(future: F, waits: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = waits;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

fn giving_up_at_any_wait_loses_nothing() {
    run(async {
        let mut listener = bind(&somewhere(), Admission::any()).await;
        let address = listener.local_address();
        let sessions = Rc::new(RefCell::new(Vec::new()));
        let begun = Rc::clone(&sessions);
        let accepting = ringseal::spawn(async move {
            loop {
                let Ok(mut connection) = listener.accept().await else {
                    continue;
                };
                begun.borrow_mut().push(ringseal::spawn(async move {
                    while let Ok(Some(message)) = connection.recv().await {
                        if connection.send(&message).await.is_err() {
                            break;
                        }
                    }
                }));
            }
        });
        let (mut redialer, list) = redialer(&address, config(1));
        let mut connections = 0;
        for waits in 0.. {
            // Whatever was given up before, each goes on from there.
            let Some(dialed) = up_to_wait(redialer.connect(), waits).await else {
                continue;
            };
            let mut dialed = dialed.expect("dial");
            dialed.send(b"hello").await.expect("send");
            let echo = dialed.recv().await.expect("recv").expect("an echo");
            assert_eq!(&*echo, b"hello");
            drop(dialed);
            connections += 1;
            if connections == 4 {
                break;
            }
        }
        let connected = list
            .borrow()
            .iter()
            .filter(|&told| *told == Told::Connected)
            .count();
        assert_eq!(
            connected, connections,
            "none is lost on the way to the caller"
        );
        accepting.abort();
        for session in sessions.take() {
            patiently(session).await;
        }
        patiently(async {
            while Statistics::current().expect("inside").lingering > 0 {
                ringseal::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    });
}

/// Sockets of another process, which is stopped: its kernel connects, and nobody answers.
fn a_stopped_process_is_dialed_until_it_goes_on() {
    const TEST: &str = "a_stopped_process_is_dialed_until_it_goes_on";
    if is_case(TEST) {
        return serve_one();
    }
    let mut process = start(module_path!(), TEST);
    let mut lines = BufReader::new(process.child.stdout.take().expect("piped")).lines();
    let address: Address = said(&mut lines, "ADDRESS").into();
    let id = Pid::from_child(&process.child);
    kill_process(id, Signal::STOP).expect("stop it");
    run(async {
        let impatient = config(1).handshake_deadline(Duration::from_millis(500));
        let (mut redialer, list) = redialer(&address, impatient);
        let going_on = async {
            while list.borrow().len() < 2 {
                ringseal::sleep(Duration::from_millis(1)).await;
            }
            kill_process(id, Signal::CONT).expect("let it go on");
        };
        let (dialed, ()) = futures_util::join!(redialer.connect(), going_on);
        let mut dialed = dialed.expect("dial");
        dialed.send(b"end").await.expect("send");
        dialed.flush().await.expect("flush");
        assert!(!is_alive(&mut dialed).await);
        assert_eq!(list.borrow()[1], Told::Waiting(Some(RetryOutlook::Good)));
    });
    drop(process.child.stdin.take());
    assert!(process.child.wait().expect("wait").success());
}

/// The child: takes clients until one says that it is the last. Those that gave up meanwhile are gone.
fn serve_one() {
    run(async {
        let mut listener = bind(&somewhere(), Admission::any()).await;
        println!("\nADDRESS {}", listener.local_address());
        std::io::stdout().flush().expect("flush");
        loop {
            let Ok(mut connection) = listener.accept().await else {
                continue;
            };
            if let Ok(Some(message)) = connection.recv().await {
                assert_eq!(&*message, b"end");
                return;
            }
        }
    });
}

fn a_sender_says_what_was_confirmed_also_when_its_connection_is_lost() {
    run(async {
        let (mut near, mut far) = pair().await;
        for _ in 0..5 {
            near.send(b"message").await.expect("send");
        }
        let progress = near.progress();
        assert_eq!((progress.accepted, progress.flushed), (5, 0));
        near.flush().await.expect("flush");
        near.send(b"behind the flush").await.expect("send");
        for _ in 0..6 {
            far.recv().await.expect("recv").expect("a message");
        }
        let progress = near.progress();
        assert_eq!(
            (progress.accepted, progress.flushed),
            (6, 5),
            "nobody asked"
        );
        assert!(matches!(
            near.send(&vec![0; 1 << 21]).await,
            Err(SendError::TooLarge { .. })
        ));
        drop(far);
        let error = loop {
            if let Err(error) = near.send(&[0; 1024]).await {
                break error;
            }
            if let Err(error) = near.flush().await {
                break error;
            }
        };
        assert!(matches!(error, SendError::Transport(_)), "{error:?}");
        let progress = near.progress();
        assert!(progress.flushed >= 5 && progress.flushed <= progress.accepted);
        near.send(b"for nobody").await.expect_err("it is lost");
        assert_eq!(near.progress(), progress);
    });
}

fn a_remote_redialer_does_the_same_from_any_thread() {
    let threads = RingThreads::start(builder(), 2).expect("rings");
    let handle = threads.handle();
    let told = Arc::new(Mutex::new(Vec::new()));
    let told_to = Arc::clone(&told);
    futures::executor::block_on(async {
        let front = behind_cuts(2, {
            let listener = handle
                .listen(somewhere(), &config(2), Admission::any())
                .await;
            let mut listener = listener.expect("listen");
            let address = listener.local_address();
            spawn(move || {
                futures::executor::block_on(async {
                    let mut accepted = listener.accept().await.expect("accept");
                    let message = accepted.recv().await.expect("recv").expect("a message");
                    accepted.send(message).await.expect("send");
                    accepted.close().await.expect("close");
                });
            });
            address
        });
        let mut redialer = RemoteRedialer::new(handle.clone(), front, key(2), config(1))
            .backoff(quick())
            .watch(move |state| told_to.lock().expect("no panic").push(format!("{state:?}")));
        let mut dialed = redialer.connect().await.expect("dial");
        dialed.send("hello").await.expect("send");
        let progress = dialed.progress();
        assert_eq!((progress.accepted, progress.flushed), (1, 0));
        dialed.flush().await.expect("flush");
        assert_eq!(dialed.progress().flushed, 1);
        let echo = dialed.recv().await.expect("recv").expect("an echo");
        assert_eq!(&*echo, b"hello");
        drop(dialed);
        threads.shutdown().await.expect("no panic");
        let ended = redialer.connect().await;
        assert!(matches!(ended, Err(RemoteError::ThreadEnded)), "{ended:?}");
    });
    let told = told.lock().expect("no panic");
    let waiting = told.iter().filter(|line| line.starts_with("Waiting"));
    assert!(waiting.count() >= 2, "{told:?}");
}

/// What the wire makes a difference to.
mod on_each_wire {
    use super::{
        a_key_that_is_not_admitted_ends_it_where_the_listener_can_say_so,
        a_sender_says_what_was_confirmed_also_when_its_connection_is_lost,
        what_no_attempt_can_mend_ends_it_at_once,
    };

    crate::on_every_setting! {
        a_key_that_is_not_admitted_ends_it_where_the_listener_can_say_so,
        a_sender_says_what_was_confirmed_also_when_its_connection_is_lost,
        what_no_attempt_can_mend_ends_it_at_once,
    }
}

/// On a name instead of a port.
mod on_unix {
    use super::a_listener_that_returns_at_its_address_is_dialed_again;

    crate::on_setting! {
        uring_unix, Native, Uring, Unix,
        a_listener_that_returns_at_its_address_is_dialed_again,
    }
}

crate::on_every_driver! {
    a_listener_that_returns_at_its_address_is_dialed_again,
    whoever_cuts_handshakes_is_dialed_again_and_called_doubtful,
    a_listener_that_has_another_key_is_doubtful_and_ends_it_on_request,
    giving_up_at_any_wait_loses_nothing,
    a_stopped_process_is_dialed_until_it_goes_on,
    a_remote_redialer_does_the_same_from_any_thread,
}
