//! Wakers that run code of their own whenever they are cloned, called or dropped.

#![expect(unsafe_code, reason = "only a vtable sees its waker being cloned")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::ptr;
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::{Duration, Instant};

use super::peers::{builder, config, pair, patience, patiently, run};
use super::setting::spawn;
use super::transport::{RawStream, somewhere};
use futures::executor::block_on;
use ringseal::{Admission, Connection, Listener, RingHandle, RingThreads};

/// When a waker does its mischief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Clone,
    Wake,
    Drop,
}

const EVENTS: [Event; 3] = [Event::Clone, Event::Wake, Event::Drop];

thread_local! {
    /// What an event does, once, and how many events of its kind come before.
    static MISCHIEF: RefCell<Option<Mischief>> = const { RefCell::new(None) };
}

struct Mischief {
    event: Event,
    after: usize,
    work: Box<dyn FnOnce()>,
}

fn happens(event: Event) {
    let due = MISCHIEF.with_borrow_mut(|next| {
        next.take_if(|mischief| {
            let is_due = mischief.event == event && mischief.after == 0;
            mischief.after -= usize::from(mischief.event == event && !is_due);
            is_due
        })
    });
    if let Some(mischief) = due {
        (mischief.work)();
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |_| {
        happens(Event::Clone);
        RawWaker::new(ptr::null(), &VTABLE)
    },
    |_| {
        happens(Event::Wake);
        happens(Event::Drop);
    },
    |_| happens(Event::Wake),
    |_| happens(Event::Drop),
);

/// A waker that does what is set for its next event.
fn foreign() -> Waker {
    // SAFETY: the functions of the table use no data, and on a thread for which no mischief is set,
    // as that of a handle, they do nothing.
    unsafe { Waker::new(ptr::null(), &VTABLE) }
}

/// Sets what the event of this kind that comes after this many others does. Returns whether it
/// has come.
fn on(event: Event, after: usize, work: impl FnOnce() + 'static) -> Rc<Cell<bool>> {
    let done = Rc::new(Cell::new(false));
    let told = Rc::clone(&done);
    MISCHIEF.set(Some(Mischief {
        event,
        after,
        work: Box::new(move || {
            work();
            told.set(true);
        }),
    }));
    done
}

type Waiting = Pin<Box<dyn Future<Output = ()>>>;

fn poll_by(waiting: &mut Waiting, waker: &Waker) -> Poll<()> {
    waiting.as_mut().poll(&mut Context::from_waker(waker))
}

/// Things that are waited for, and dropped and used in the middle of something else.
async fn bystanders() -> impl FnOnce() + 'static {
    let mut sleep: Waiting = Box::pin(ringseal::sleep(Duration::from_secs(3600)));
    assert!(poll_by(&mut sleep, Waker::noop()).is_pending());
    let (dialer, mut idle) = pair().await;
    let (other, mut receiver) = pair().await;
    let mut recv: Waiting = Box::pin(async move {
        let _other = other;
        drop(receiver.recv().await);
    });
    assert!(poll_by(&mut recv, Waker::noop()).is_pending());
    assert!(futures_util::poll!(pin!(idle.recv())).is_pending());
    move || {
        drop(sleep);
        let mut another: Waiting = Box::pin(ringseal::sleep(Duration::from_millis(1)));
        assert!(poll_by(&mut another, Waker::noop()).is_pending());
        assert!(poll_by(&mut recv, &foreign()).is_pending());
        drop(recv);
        drop((dialer, idle));
    }
}

/// Polls what `make` gives by foreign wakers and by one that is not, has `release` end the wait
/// while a foreign one waits, and has bystanders dropped and used in each event of a waker.
async fn survives<F, W>(make: impl Fn() -> F, release: impl AsyncFn())
where
    F: Future<Output = (W, Waiting)>,
{
    for event in EVENTS {
        for after in 0.. {
            let (held, mut waiting) = make().await;
            let done = on(event, after, bystanders().await);
            let mut is_over = false;
            for waker in [foreign(), Waker::noop().clone(), foreign(), foreign()] {
                is_over = is_over || poll_by(&mut waiting, &waker).is_ready();
            }
            release().await;
            for _ in 0..20 {
                is_over = is_over || poll_by(&mut waiting, &foreign()).is_ready();
                if is_over {
                    break;
                }
                ringseal::sleep(Duration::from_millis(1)).await;
            }
            drop(waiting);
            drop(held);
            MISCHIEF.take();
            if !done.get() {
                // There were no more of them.
                assert!(after > 0, "nothing was ever {event:?}d");
                break;
            }
            if after == 5 {
                break;
            }
        }
    }
}

// HAZARDS F17.
fn a_sleep_survives_what_its_waker_does() {
    run(async {
        survives(
            async || {
                let sleep = ringseal::sleep(Duration::from_millis(10));
                ((), Box::pin(sleep) as Waiting)
            },
            async || (),
        )
        .await;
    });
}

// HAZARDS F17.
fn a_receiver_survives_what_its_waker_does() {
    run(async {
        let peer: Rc<RefCell<Option<Connection>>> = Rc::default();
        survives(
            async || {
                let (dialer, mut listener) = pair().await;
                peer.replace(Some(dialer));
                let recv = async move {
                    listener.recv().await.expect("recv").expect("one");
                };
                ((), Box::pin(recv) as Waiting)
            },
            async || {
                let mut dialer = peer.take().expect("made");
                dialer.send(b"at last").await.expect("send");
                dialer.flush().await.expect("flush");
                peer.replace(Some(dialer));
            },
        )
        .await;
    });
}

// HAZARDS F17: waits for a slot, and for room to send.
fn a_sender_survives_what_its_waker_does() {
    run(async {
        survives(
            async || {
                let (mut dialer, listener) = pair().await;
                let send = async move {
                    while dialer.send(&[7; 60_000]).await.is_ok() {}
                    drop(dialer.flush().await);
                };
                (listener, Box::pin(send) as Waiting)
            },
            async || ringseal::sleep(Duration::from_millis(5)).await,
        )
        .await;
    });
}

// HAZARDS F17.
fn a_listener_survives_what_its_waker_does() {
    run(async {
        let address = Rc::new(RefCell::new(None));
        survives(
            async || {
                let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
                    .await
                    .expect("bind");
                address.replace(Some(listener.local_address()));
                let accept = async move { drop(listener.accept().await) };
                ((), Box::pin(accept) as Waiting)
            },
            async || {
                // A client that goes again at once.
                let address = address.take().expect("bound");
                drop(RawStream::connect(address));
            },
        )
        .await;
    });
}

// HAZARDS F17: what is still waited for when the runtime goes.
fn a_runtime_ends_whatever_the_wakers_in_it_do() {
    for (event, after) in EVENTS
        .into_iter()
        .flat_map(|event| (0..4).map(move |n| (event, n)))
    {
        let runtime = builder().build().expect("a ring");
        let mut waiting: Vec<Waiting> = Vec::new();
        let sleeping: Rc<RefCell<Option<Waiting>>> = Rc::default();
        runtime.block_on(patiently(async {
            let (mut dialer, mut listener) = pair().await;
            waiting.push(Box::pin(async move {
                while dialer.send(&[7; 60_000]).await.is_ok() {}
            }));
            waiting.push(Box::pin(async move {
                while let Ok(Some(_)) = listener.recv().await {}
            }));
            sleeping.replace(Some(Box::pin(ringseal::sleep(Duration::from_secs(3600)))));
            for future in waiting.iter_mut().chain(&mut *sleeping.borrow_mut()) {
                assert!(poll_by(future, &foreign()).is_pending());
            }
        }));
        let dropped = Rc::clone(&sleeping);
        on(event, after, move || drop(dropped.take()));
        drop(runtime);
        drop(waiting);
        MISCHIEF.take();
    }
}

// HAZARDS F17: the other half takes the lock that the waker of this one is kept behind.
fn a_handle_survives_what_its_waker_does() {
    let work = spawn(|| {
        let threads = RingThreads::start(builder(), 1).expect("a ring");
        let handle = threads.handle();
        for (event, after) in [(Event::Clone, 0), (Event::Drop, 0), (Event::Drop, 1)] {
            for is_sender in [true, false] {
                let (done, waiting) = block_on(wait_by_handle(&handle, event, after, is_sender));
                assert!(done.get(), "nothing was {event:?}d");
                drop(waiting);
                MISCHIEF.take();
            }
        }
    });
    let deadline = Instant::now() + patience();
    while !work.is_finished() {
        assert!(Instant::now() < deadline, "it hangs");
        std::thread::sleep(Duration::from_millis(5));
    }
    work.join().expect("no panic");
}

/// Has one half of a connection wait by a foreign waker that drops the other half, and then by
/// others.
async fn wait_by_handle(
    handle: &RingHandle,
    event: Event,
    after: usize,
    is_sender: bool,
) -> (Rc<Cell<bool>>, Waiting) {
    let (dialing, listening) = (config(1), config(2));
    let mut listener = handle
        .listen(somewhere(), &listening, Admission::any())
        .await
        .expect("listen");
    let address = listener.local_address();
    let (dialed, accepted) = futures_util::join!(
        handle.dial(&address, listening.public_key(), &dialing),
        listener.accept()
    );
    let (mut sender, mut receiver) = dialed.expect("dial").split();
    // Held, and nothing is read of it.
    let peer = accepted.expect("accept");
    let (done, mut waiting): (_, Waiting) = if is_sender {
        let sending = async move {
            let _peer = peer;
            while sender.send(vec![7; 60_000]).await.is_ok() {}
        };
        (on(event, after, move || drop(receiver)), Box::pin(sending))
    } else {
        let receiving = async move {
            let _peer = peer;
            while let Ok(Some(_)) = receiver.recv().await {}
        };
        (on(event, after, move || drop(sender)), Box::pin(receiving))
    };
    for waker in [foreign(), Waker::noop().clone(), foreign(), foreign()] {
        assert!(poll_by(&mut waiting, &waker).is_pending());
    }
    (done, waiting)
}

crate::on_every_transport! {
    a_sleep_survives_what_its_waker_does,
    a_receiver_survives_what_its_waker_does,
    a_sender_survives_what_its_waker_does,
    a_listener_survives_what_its_waker_does,
    a_runtime_ends_whatever_the_wakers_in_it_do,
    a_handle_survives_what_its_waker_does,
}
