//! Runtimes that follow each other closely under a limit on locked memory.

use super::child::{is_case, limit, run_case};
use super::peers::{builder, pair, patiently};
use super::setting::backend;
use ringseal::{Backend, StartError};
use rustix::process::Resource;

// HAZARDS F8: the memory of a runtime is free again when it has ended, whatever its connections
// were doing.
fn runtimes_that_follow_each_other_all_have_their_memory_registered() {
    const TEST: &str = "runtimes_that_follow_each_other_all_have_their_memory_registered";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    limit(Resource::Memlock, 4 << 20);
    for round in 0..50 {
        let runtime = builder()
            .build()
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        let is_registered = runtime.statistics().registered;
        assert_eq!(is_registered, backend() != Backend::Epoll, "round {round}");
        let connections = runtime.block_on(patiently(async {
            let (dialer, mut listener) = pair().await;
            // A read is in flight.
            assert!(futures_util::poll!(std::pin::pin!(listener.recv())).is_pending());
            (dialer, listener)
        }));
        match round % 3 {
            0 => drop(connections),
            1 => {
                drop(runtime);
                drop(connections);
                continue;
            }
            _ => {
                runtime.block_on(async {
                    ringseal::spawn(async move {
                        let _held = connections;
                        std::future::pending::<()>().await;
                    });
                    tokio::task::yield_now().await;
                });
            }
        }
        drop(runtime);
    }
}

// HAZARDS F8: what is locked now may be free in a moment, so a start waits that long; what can't
// ever be had is refused at once.
fn a_start_waits_a_moment_for_locked_memory_and_says_so() {
    const TEST: &str = "a_start_waits_a_moment_for_locked_memory_and_says_so";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    limit(Resource::Memlock, 4 << 20);
    let first = builder().build().expect("the first");
    if backend() == Backend::Epoll {
        builder().build().expect("nothing is locked");
        return;
    }
    let error = builder().build().expect_err("the first has the memory");
    assert!(
        matches!(error, StartError::LockedMemory { .. }),
        "{error:?}"
    );
    let text = error.to_string();
    for part in ["Cannot allocate memory (os error 12)", "ms", "4194304"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    drop(first);
    builder().build().expect("free again");
}

crate::on_every_driver! {
    runtimes_that_follow_each_other_all_have_their_memory_registered,
    a_start_waits_a_moment_for_locked_memory_and_says_so,
}
