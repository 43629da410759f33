//! A port that the threads of a process share on purpose, and nobody by accident.

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{Either, join, select};
use ringseal::{
    Address, Admission, BindError, BindOptions, Listener, RemoteError, RingThreads, UnixSocket,
    dial,
};
use rustix::thread::set_thread_res_uid;

use super::peers::{builder, config, key, run, run_with};
use super::setting;
use super::skipped::skipped;

fn shared() -> BindOptions {
    BindOptions::new().share_port(true)
}

async fn bind(address: impl Into<Address>, options: BindOptions) -> Result<Listener, BindError> {
    Listener::bind_with(address, &options, &config(2), Admission::any()).await
}

fn assert_kind(result: Result<Listener, BindError>, kind: ErrorKind) {
    match result {
        Err(BindError::Bind { source, .. }) => assert_eq!(source.kind(), kind, "{source}"),
        other => panic!("{other:?}"),
    }
}

/// A thread that accepts, and counts, until it is told to stop.
struct Accepting {
    thread: JoinHandle<()>,
    count: Arc<AtomicUsize>,
}

impl Accepting {
    /// Starts one at `address`; returns where it listens.
    fn start(address: Address, stop: &Arc<AtomicBool>) -> (Self, Address) {
        let (stop, count) = (Arc::clone(stop), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        let (bound, addresses) = mpsc::channel();
        let thread = setting::spawn(move || {
            run(async {
                let mut listener = bind(address, shared()).await.expect("bind");
                bound.send(listener.local_address()).expect("somebody");
                while !stop.load(Ordering::Relaxed) {
                    let next = ringseal::timeout(Duration::from_millis(10), listener.accept());
                    if let Some(accepted) = next.await {
                        drop(accepted.expect("accept"));
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        });
        let address = addresses.recv().expect("it listens");
        (Self { thread, count }, address)
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

fn each_thread_that_shares_a_port_gets_some_of_the_clients() {
    const MOST: usize = 500;

    let stop = Arc::default();
    let (first, address) = Accepting::start("127.0.0.1:0".into(), &stop);
    let (second, same) = Accepting::start(address.clone(), &stop);
    assert_eq!(address, same);
    run(async {
        let mut dialed = 0;
        // The kernel chooses by a hash of the addresses, so that each has half of them in the long
        // run.
        while dialed < 16 || first.count() == 0 || second.count() == 0 {
            assert!(dialed < MOST, "one thread gets all of {dialed} clients");
            drop(dial(&address, key(2), &config(1)).await.expect("dial"));
            dialed += 1;
        }
        while first.count() + second.count() < dialed {
            ringseal::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(first.count() + second.count(), dialed);
    });
    stop.store(true, Ordering::Relaxed);
    for accepting in [first, second] {
        accepting.thread.join().expect("it accepts");
    }
}

fn a_port_is_shared_only_where_both_ask_for_it() {
    run(async {
        for (first, second) in [
            (BindOptions::new(), BindOptions::new()),
            (BindOptions::new(), shared()),
            (shared(), BindOptions::new()),
        ] {
            let listener = bind("127.0.0.1:0", first).await.expect("bind");
            let taken = bind(listener.local_address(), second).await;
            assert_kind(taken, ErrorKind::AddrInUse);
        }
        // A port that the system chooses is nobody else's.
        let first = bind("127.0.0.1:0", shared()).await.expect("bind");
        let second = bind("127.0.0.1:0", shared()).await.expect("bind");
        assert_ne!(first.local_address(), second.local_address());
    });
}

fn a_port_that_is_shared_is_not_shared_with_another_user() {
    if !rustix::process::geteuid().is_root() {
        skipped(format_args!(
            "only root can be another user; NOBODY HAS SEEN WHO SHARES A PORT"
        ));
        return;
    }
    run(async {
        let listener = bind("127.0.0.1:0", shared()).await.expect("bind");
        let address = listener.local_address();
        let foreign = setting::spawn(move || {
            let nobody = rustix::process::Uid::from_raw(65_534);
            let runtime = builder().build().expect("a ring");
            // Of this thread alone.
            set_thread_res_uid(nobody, nobody, nobody).expect("another user");
            let outcome = runtime.block_on(bind(address, shared()));
            assert_kind(outcome, ErrorKind::AddrInUse);
        });
        foreign.join().expect("it is refused");
    });
}

fn what_cannot_be_shared_says_so() {
    run(async {
        let name = format!("ringseal-unshared-{}", std::process::id());
        let outcome = bind(UnixSocket::abstract_name(name), shared()).await;
        assert_kind(outcome, ErrorKind::Unsupported);
    });
}

fn all_addresses_of_a_listener_can_be_shared() {
    run_with(builder(), async {
        let both = "127.0.0.1:0,127.0.0.2:0";
        let first = bind(both, shared()).await.expect("bind");
        let addresses: Vec<_> = (first.local_addresses().iter())
            .filter_map(Address::socket_address)
            .collect();
        let second = bind(addresses, shared()).await.expect("bind");
        assert_eq!(first.local_addresses(), second.local_addresses());
    });
}

fn ring_threads_share_a_port() {
    let threads = RingThreads::start(builder(), 2).expect("rings");
    let handle = threads.handle();
    futures::executor::block_on(async {
        let (ours, theirs) = (config(2), config(1));
        let listen = |address, options| {
            let (handle, ours) = (&handle, &ours);
            async move {
                handle
                    .listen_with(address, &options, ours, Admission::any())
                    .await
            }
        };
        let first = listen(Address::from("127.0.0.1:0"), shared()).await;
        let mut first = first.expect("listen");
        let address = first.local_address();
        let error = listen(address.clone(), BindOptions::new()).await;
        match error.expect_err("it does not ask to share") {
            RemoteError::Call(BindError::Bind { source, .. }) => {
                assert_eq!(source.kind(), ErrorKind::AddrInUse);
            }
            other => panic!("{other:?}"),
        }
        let second = listen(address.clone(), shared()).await;
        let mut second = second.expect("the port is shared");
        let (mut by_first, mut by_second) = (0, 0);
        while by_first == 0 || by_second == 0 {
            assert!(by_first + by_second < 500, "one thread gets all clients");
            let (by_one, by_other) = (pin!(first.accept()), pin!(second.accept()));
            let accepted = select(by_one, by_other);
            let dialed = handle.dial(&address, key(2), &theirs);
            match join(dialed, accepted).await {
                (Ok(_), Either::Left((Ok(_), _))) => by_first += 1,
                (Ok(_), Either::Right((Ok(_), _))) => by_second += 1,
                (dialed, _) => panic!("{:?}", dialed.err()),
            }
        }
        threads.shutdown().await.expect("no panic");
    });
}

crate::on_every_driver!(
    each_thread_that_shares_a_port_gets_some_of_the_clients,
    a_port_is_shared_only_where_both_ask_for_it,
    a_port_that_is_shared_is_not_shared_with_another_user,
    what_cannot_be_shared_says_so,
    all_addresses_of_a_listener_can_be_shared,
    ring_threads_share_a_port,
);
