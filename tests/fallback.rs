//! `Backend::Auto` where io_uring is refused: it falls back to epoll and says why; a backend that
//! was asked for by name refuses with that reason.

mod seccomp;
mod slowness;

use std::process::Command;

use futures_util::join;
use ringseal::{Admission, Backend, Config, Identity, Listener, Runtime, StartError, dial};
use seccomp::{IO_URING, deny};
use slowness::slowed;

fn config(seed: u8) -> Config {
    Config::new(Identity::from_seed(&[seed; 32]), "ringseal tests")
}

async fn exchange() {
    let (ours, theirs) = (config(1), config(2));
    let mut listener = Listener::bind("127.0.0.1:0", &theirs, Admission::any())
        .await
        .expect("bind");
    let address = listener.local_address();
    let (dialed, accepted) = join!(dial(address, theirs.public_key(), &ours), listener.accept());
    let (mut dialed, mut accepted) = (dialed.expect("dial"), accepted.expect("accept"));
    dialed.send(&[7; 200_000]).await.expect("send");
    let message = accepted.recv().await.expect("recv").expect("one");
    assert_eq!(&*message, &[7; 200_000]);
}

fn works(runtime: &Runtime) {
    runtime.block_on(async {
        let done = ringseal::timeout(slowed(core::time::Duration::from_secs(30)), exchange()).await;
        done.expect("took too long");
    });
}

#[test]
fn auto_takes_io_uring_where_it_is_allowed() {
    let runtime = Runtime::builder().build().expect("a runtime");
    assert_eq!(runtime.backend(), Backend::Uring);
    assert!(runtime.fallback_reason().is_none());
    works(&runtime);
}

// HAZARDS S1: all three calls denied, in both ways that container runtimes have, and each alone.
#[test]
fn auto_falls_back_to_epoll_and_knows_why() {
    let mut cases: Vec<(&[i64], i32)> = vec![(&IO_URING, libc::EPERM), (&IO_URING, libc::ENOSYS)];
    cases.extend(IO_URING.chunks(1).map(|call| (call, libc::EPERM)));
    for (calls, errno) in cases {
        deny(calls, errno, || {
            let runtime = Runtime::builder().build().expect("epoll at least");
            assert_eq!(runtime.backend(), Backend::Epoll);
            let reason = runtime.fallback_reason().expect("a reason");
            let expected = if errno == libc::EPERM {
                matches!(reason, StartError::Denied { .. })
            } else {
                matches!(reason, StartError::Unavailable { .. })
            };
            assert!(expected, "{reason:?}");
            works(&runtime);
        });
    }
}

// HAZARDS S1.
#[test]
fn a_backend_by_name_refuses_with_the_reason() {
    deny(&IO_URING, libc::EPERM, || {
        for backend in [Backend::Uring, Backend::TokioUring] {
            let error = Runtime::builder().backend(backend).build();
            assert!(matches!(error, Err(StartError::Denied { .. })), "{error:?}");
        }
        let epoll = Runtime::builder().backend(Backend::Epoll);
        let runtime = epoll.build().expect("epoll");
        assert!(runtime.fallback_reason().is_none(), "it was asked for");
        works(&runtime);
    });
}

#[test]
fn busy_polling_is_left_out_where_auto_falls_back() {
    let builder = Runtime::builder().busy_poll(core::time::Duration::from_micros(50));
    let error = builder.clone().backend(Backend::Epoll).build();
    assert!(
        matches!(error, Err(StartError::Configuration(_))),
        "{error:?}"
    );
    deny(&IO_URING, libc::EPERM, || {
        works(&builder.build().expect("epoll"));
    });
}

// Without epoll there is nothing to fall back to; the error tells of both.
#[test]
fn with_neither_the_error_tells_of_both() {
    let calls = [IO_URING.as_slice(), &[libc::SYS_epoll_create1]].concat();
    deny(&calls, libc::EPERM, || {
        let error = Runtime::builder().build().expect_err("nothing works");
        assert!(matches!(error, StartError::Nothing { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("io_uring_setup is denied"), "{text}");
        assert!(text.contains("epoll"), "{text}");
    });
}

// HAZARDS F16: the operation, the object and the system's own word for it.
#[test]
fn the_reason_names_the_call_and_what_the_system_says() {
    for errno in [libc::EINVAL, libc::EMFILE, libc::ENFILE, libc::EIO] {
        let said = std::io::Error::from_raw_os_error(errno).to_string();
        deny(&[libc::SYS_io_uring_setup], errno, || {
            let runtime = Runtime::builder().build().expect("epoll at least");
            let reason = runtime.fallback_reason().expect("a reason").to_string();
            let expected = format!("io_uring_setup failed: {said}");
            assert!(reason.contains(&expected), "{reason}");
            for backend in [Backend::Uring, Backend::TokioUring] {
                let error = Runtime::builder().backend(backend).build();
                let text = error.expect_err("no ring").to_string();
                assert!(text.contains(&expected), "{text}");
            }
        });
    }
}

// HAZARDS F16: each call that a start makes.
#[test]
fn each_call_of_a_start_is_named_when_it_fails() {
    let cases = [
        (Backend::Uring, libc::SYS_io_uring_enter, "io_uring_enter"),
        (
            Backend::Uring,
            libc::SYS_io_uring_register,
            "io_uring_register",
        ),
        (Backend::Uring, libc::SYS_eventfd2, "eventfd"),
        (
            Backend::TokioUring,
            libc::SYS_io_uring_enter,
            "io_uring_enter",
        ),
        (
            Backend::TokioUring,
            libc::SYS_io_uring_register,
            "io_uring_register",
        ),
        (Backend::TokioUring, libc::SYS_epoll_create1, "epoll"),
        (Backend::Epoll, libc::SYS_epoll_create1, "epoll"),
        (Backend::Epoll, libc::SYS_eventfd2, "epoll"),
    ];
    for errno in [libc::EINVAL, libc::EMFILE] {
        let said = std::io::Error::from_raw_os_error(errno).to_string();
        for (backend, call, name) in cases {
            deny(&[call], errno, || {
                let error = Runtime::builder().backend(backend).build();
                let text = error.expect_err("a call is missing").to_string();
                assert!(
                    text.contains(name) && text.contains(&said),
                    "{backend:?}, {name}: {text}"
                );
            });
        }
    }
}

const DESCRIPTORS_LEFT: &str = "RINGSEAL_DESCRIPTORS_LEFT";

/// Builds a runtime with a few descriptors left; `None` when that was no problem.
fn build_with_descriptors_left(count: usize) -> Option<String> {
    let limit = rustix::process::Rlimit {
        current: Some(64),
        maximum: Some(64),
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("lower a limit");
    let files = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok());
    let mut taken: Vec<_> = files.collect();
    taken.truncate(taken.len() - count);
    match Runtime::builder().build() {
        Ok(runtime) => runtime.fallback_reason().map(ToString::to_string),
        Err(error) => Some(error.to_string()),
    }
}

// HAZARDS F16: descriptors that run out at any point of a start.
#[test]
fn a_start_short_of_descriptors_says_so() {
    if let Ok(count) = std::env::var(DESCRIPTORS_LEFT) {
        let text = build_with_descriptors_left(count.parse().expect("a number"));
        println!("SAID {}", text.unwrap_or_default());
        return;
    }
    let said: Vec<String> = (0..8_u32)
        .map(|left| {
            let output = Command::new(std::env::current_exe().expect("our path"))
                .args([
                    "--exact",
                    "a_start_short_of_descriptors_says_so",
                    "--nocapture",
                ])
                .arg("--test-threads=1")
                .env(DESCRIPTORS_LEFT, left.to_string())
                .output()
                .expect("it runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{text}");
            let (_, said) = text.split_once("SAID ").expect("its word");
            said.lines().next().unwrap_or_default().to_owned()
        })
        .collect();
    let (last, shorts) = said.split_last().expect("some");
    assert_eq!(last, "", "enough");
    assert_ne!(shorts[0], "", "none left");
    for text in shorts.iter().filter(|text| !text.is_empty()) {
        assert!(text.contains("Too many open files (os error 24)"), "{text}");
        assert!(text.contains(" failed: "), "{text}");
    }
}
