//! An admission that is replaced while its listener goes on.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringseal::{
    Address, Admission, Connection, DialError, KeyFile, Listener, RemoteError, RingThreads,
    Statistics, Task, dial,
};

use super::peers::{builder, config, is_not_admitted, key, patience, run};
use super::transport::{RawStream, somewhere};

fn dialing(address: Address, seed: u8) -> Task<Result<Connection, DialError>> {
    ringseal::spawn(async move { dial(address, key(2), &config(seed)).await })
}

/// Whether the peer with this seed is let in. The one that is has to be told.
async fn lets_in(listener: &mut Listener, seed: u8) -> bool {
    let dialed = dialing(listener.local_address(), seed);
    match listener.accept().await {
        Ok(accepted) => {
            assert_eq!(accepted.peer(), key(seed));
            dialed.await.expect("dial");
            true
        }
        Err(error) => {
            assert!(is_not_admitted(&error.reason), "{error:?}");
            dialed.await.expect_err("not admitted");
            false
        }
    }
}

/// A check that says yes, but not before a permit is there, and how many it has asked for one.
fn slow_admission() -> (Admission, Arc<AtomicUsize>, Arc<tokio::sync::Semaphore>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let permits = Arc::new(tokio::sync::Semaphore::new(0));
    let (count, allowed) = (Arc::clone(&asked), Arc::clone(&permits));
    let admission = Admission::check_async(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let allowed = Arc::clone(&allowed);
        async move { allowed.acquire().await.is_ok() }
    });
    (admission, asked, permits)
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        ringseal::sleep(Duration::from_millis(1)).await;
    }
}

fn refused() -> u64 {
    Statistics::current().expect("inside").refused
}

fn what_begins_after_the_change_goes_by_the_new_admission() {
    run(async {
        let only_one = Admission::allow_list([key(1)]);
        let listener = Listener::bind(somewhere(), &config(2), only_one).await;
        let mut listener = listener.expect("bind");
        assert!(lets_in(&mut listener, 1).await);
        assert!(!lets_in(&mut listener, 3).await);
        listener.set_admission(Admission::allow_list([key(3)]));
        assert!(!lets_in(&mut listener, 1).await);
        assert!(lets_in(&mut listener, 3).await);
        listener.set_admission(Admission::any().filter(|_, _| false));
        let mut client = RawStream::connect(listener.local_address());
        client.set_read_timeout(patience());
        until(|| refused() == 1).await;
        // An end, or a reset.
        assert!(matches!(client.read(&mut [0; 1]), Ok(0) | Err(_)));
        listener.set_admission(Admission::any());
        assert!(lets_in(&mut listener, 1).await);
    });
}

fn what_is_under_way_ends_by_what_it_began_with() {
    run(async {
        let (slow, asked, permits) = slow_admission();
        let listener = Listener::bind(somewhere(), &config(2), slow).await;
        let mut listener = listener.expect("bind");
        let dialed = dialing(listener.local_address(), 1);
        until(|| asked.load(Ordering::Relaxed) == 1).await;
        listener.set_admission(Admission::allow_list([]));
        assert!(!lets_in(&mut listener, 1).await, "it goes by the new one");
        permits.add_permits(1);
        assert_eq!(listener.accept().await.expect("the old one").peer(), key(1));
        dialed.await.expect("dial");
    });
}

fn who_waits_for_room_goes_by_what_holds_when_there_is_some() {
    run(async {
        let (slow, asked, permits) = slow_admission();
        let one = config(2).max_handshakes(1);
        let listener = Listener::bind(somewhere(), &one, slow).await;
        let mut listener = listener.expect("bind");
        let dialed = dialing(listener.local_address(), 1);
        until(|| asked.load(Ordering::Relaxed) == 1).await;
        let mut waiting = RawStream::connect(listener.local_address());
        waiting.set_read_timeout(patience());
        ringseal::sleep(Duration::from_millis(50)).await;
        listener.set_admission(Admission::any().filter(|_, _| false));
        assert_eq!(refused(), 0, "it waits for room");
        permits.add_permits(1);
        listener.accept().await.expect("the one that has begun");
        dialed.await.expect("dial");
        until(|| refused() == 1).await;
        assert!(matches!(waiting.read(&mut [0; 1]), Ok(0) | Err(_)));
    });
}

fn a_remote_listener_changes_its_admission_at_once() {
    let threads = RingThreads::start(builder(), 1).expect("a ring");
    let handle = threads.handle();
    futures::executor::block_on(async {
        let (ours, theirs) = (config(2), config(1));
        let listener = handle.listen(somewhere(), &ours, Admission::any()).await;
        let mut listener = listener.expect("listen");
        let address = listener.local_address();
        for round in 0..10 {
            let admits = round % 2 == 1;
            listener.set_admission(match admits {
                true => Admission::allow_list([key(1)]),
                false => Admission::allow_list([key(7)]),
            });
            let dialed = handle.dial(&address, key(2), &theirs);
            let (dialed, accepted) = futures_util::join!(dialed, listener.accept());
            match accepted {
                Ok(accepted) => assert_eq!((admits, accepted.peer()), (true, key(1))),
                Err(error) => {
                    assert!(matches!(error, RemoteError::Call(_)), "{error:?}");
                    assert!(!admits);
                }
            }
            assert_eq!(dialed.is_ok(), admits);
        }
        threads.shutdown().await.expect("no panic");
    });
}

/// A file of keys; what it lists holds for listeners at once, and a broken one changes nothing.
fn a_key_file_is_reloaded_while_listeners_go_by_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys");
    let write = |text: String| std::fs::write(&path, text).expect("write");
    write(format!("{} one\n", key(1)));
    let keys = KeyFile::load(&path).expect("a list");
    run(async {
        let listener = Listener::bind(somewhere(), &config(2), keys.admission()).await;
        let mut first = listener.expect("bind");
        let by_list = Admission::key_list(&keys.list());
        let listener = Listener::bind(somewhere(), &config(2), by_list).await;
        let mut fixed = listener.expect("bind");
        assert!(lets_in(&mut first, 1).await);
        assert!(!lets_in(&mut first, 3).await);
        write(format!("{} three\n12 nobody\n", key(3)));
        keys.reload().expect_err("12 is no key");
        assert!(lets_in(&mut first, 1).await);
        assert!(!lets_in(&mut first, 3).await);
        write(format!("{} three\n", key(3)));
        assert_eq!(keys.reload().expect("a list").removed, [key(1)]);
        assert!(!lets_in(&mut first, 1).await);
        assert!(lets_in(&mut first, 3).await);
        assert!(lets_in(&mut fixed, 1).await, "it has a list of its own");
        assert!(!lets_in(&mut fixed, 3).await);
    });
}

crate::on_every_setting! {
    what_begins_after_the_change_goes_by_the_new_admission,
    what_is_under_way_ends_by_what_it_began_with,
    who_waits_for_room_goes_by_what_holds_when_there_is_some,
    a_remote_listener_changes_its_admission_at_once,
    a_key_file_is_reloaded_while_listeners_go_by_it,
}
