//! Hosts that give less than one would like: locked memory, descriptors. Each case runs in a child
//! process of its own.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use super::child::{is_case, limit, run_case, said, start};
use super::peers::{builder, config, key, pair, patiently, run};
use super::setting::backend;
use super::transport::somewhere;
use ringseal::{Admission, Backend, Listener, Registration, StartError, Statistics, dial};
use rustix::process::Resource;

async fn exchange() {
    let (mut dialer, mut listener) = pair().await;
    dialer.send(&[1; 100_000]).await.expect("send");
    let message = listener.recv().await.expect("recv").expect("one");
    assert_eq!(&*message, &[1; 100_000]);
}

// HAZARDS S2.
fn an_arena_beyond_the_locked_memory_limit_is_an_error_that_names_it() {
    const TEST: &str = "an_arena_beyond_the_locked_memory_limit_is_an_error_that_names_it";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    limit(Resource::Memlock, 256 * 1024);
    if backend() == Backend::Epoll {
        // Nothing is locked without a ring.
        let runtime = builder().build().expect("no ring");
        return runtime.block_on(patiently(exchange()));
    }
    let error = builder().build().expect_err("too little");
    assert!(
        matches!(error, StartError::LockedMemory { .. }),
        "{error:?}"
    );
    let text = error.to_string();
    for part in [
        "262144 bytes",
        "2785280",
        "RLIMIT_MEMLOCK",
        "raise it",
        "fewer",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    // The two ways out: less, or none.
    let small = builder().slots(4).slot_size(8192);
    small.build().expect("32 KiB fit");
    let unregistered = builder().registration(Registration::Preferred);
    let runtime = unregistered.build().expect("without registration");
    assert!(!runtime.statistics().registered);
    runtime.block_on(patiently(exchange()));
}

// HAZARDS S2.
fn no_locked_memory_at_all_is_an_error_that_names_it() {
    const TEST: &str = "no_locked_memory_at_all_is_an_error_that_names_it";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    limit(Resource::Memlock, 0);
    if backend() == Backend::Epoll {
        let runtime = builder().build().expect("no ring");
        return runtime.block_on(patiently(exchange()));
    }
    let error = builder().build().expect_err("nothing to lock");
    assert!(
        matches!(error, StartError::LockedMemory { .. }),
        "{error:?}"
    );
}

fn two_default_runtimes_start_under_8_mib_without_privileges() {
    const TEST: &str = "two_default_runtimes_start_under_8_mib_without_privileges";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    limit(Resource::Memlock, 8 << 20);
    let first = builder().build().expect("the first");
    let second = builder().build().expect("the second");
    for runtime in [&first, &second] {
        assert_eq!(runtime.statistics().registered, backend() != Backend::Epoll);
    }
    first.block_on(patiently(exchange()));
    second.block_on(patiently(exchange()));
}

// HAZARDS S4: clients wait while descriptors are short, and nobody else is disturbed.
fn a_listener_short_of_descriptors_pauses_and_recovers() {
    const TEST: &str = "a_listener_short_of_descriptors_pauses_and_recovers";
    if is_case(TEST) {
        return serve_short_of_descriptors();
    }
    let mut process = start(module_path!(), TEST);
    let mut lines = BufReader::new(process.child.stdout.take().expect("piped")).lines();
    let address = said(&mut lines, "ADDRESS");
    run(async {
        let mut first = dial(&address, key(2), &config(1)).await.expect("dial");
        assert!(first.recv().await.expect("recv").is_some(), "short now");
        let patient = config(1).handshake_deadline(super::peers::patience());
        let second = ringseal::spawn(async move { dial(&address, key(2), &patient).await });
        ringseal::sleep(Duration::from_millis(50)).await;
        for round in 0..20_u8 {
            first.send(&[round]).await.expect("send");
            assert_eq!(&*first.recv().await.expect("recv").expect("echo"), &[round]);
        }
        first.send(b"free them").await.expect("send");
        first.flush().await.expect("flush");
        second.await.expect("dial when descriptors are back");
    });
    drop(process.child.stdin.take());
    assert!(process.child.wait().expect("wait").success());
}

fn serve_short_of_descriptors() {
    run(async {
        let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        println!("\nADDRESS {}", listener.local_address());
        std::io::stdout().flush().expect("flush");
        let mut first = listener.accept().await.expect("accept");
        limit(Resource::Nofile, 64);
        let mut taken = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            taken.push(file);
        }
        first.send(b"short").await.expect("send");
        loop {
            let message = first.recv().await.expect("recv").expect("one");
            if *message == *b"free them" {
                break;
            }
            first.send(&message).await.expect("echo");
        }
        taken.clear();
        let second = listener.accept().await.expect("accept again");
        assert_eq!(second.peer(), key(1));
    });
}

// HAZARDS B11, S11: what the kernel says of the mapping that messages lie in.
fn the_arena_is_kept_out_of_forks_and_core_files() {
    run(async {
        let (mut dialer, mut listener) = pair().await;
        dialer.send(b"where am I?").await.expect("send");
        let message = listener.recv().await.expect("recv").expect("one");
        let address = message.as_ptr().addr();
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("procfs");
        let mut inside = false;
        let mut flags = None;
        for line in maps.lines() {
            let range = line.split_once(' ').and_then(|(range, _)| {
                let (start, end) = range.split_once('-')?;
                let parse = |text| usize::from_str_radix(text, 16).ok();
                Some(parse(start)?..parse(end)?)
            });
            if let Some(range) = range {
                inside = range.contains(&address);
            }
            if inside && let Some(found) = line.strip_prefix("VmFlags:") {
                flags = Some(found.to_owned());
            }
        }
        let flags = flags.expect("the mapping of the message");
        for flag in ["dc", "dd"] {
            assert!(
                flags.split_whitespace().any(|found| found == flag),
                "{flag} is not among {flags}"
            );
        }
        let registered = Statistics::current().expect("inside").registered;
        assert_eq!(registered, backend() != Backend::Epoll);
    });
}

crate::on_every_setting! {
    an_arena_beyond_the_locked_memory_limit_is_an_error_that_names_it,
    no_locked_memory_at_all_is_an_error_that_names_it,
    two_default_runtimes_start_under_8_mib_without_privileges,
    a_listener_short_of_descriptors_pauses_and_recovers,
    the_arena_is_kept_out_of_forks_and_core_files,
}
