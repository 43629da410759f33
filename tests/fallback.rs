//! `Backend::Auto` where io_uring is refused: it falls back to epoll and says why; a backend that
//! was asked for by name refuses with that reason.
#![cfg(feature = "cli")]

mod seccomp;

use std::process::{Command, Output};

use futures_util::join;
use ringseal::{Admission, Backend, Config, Identity, Listener, Runtime, StartError, dial};
use seccomp::{IO_URING, deny};

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
        let done = ringseal::timeout(core::time::Duration::from_secs(30), exchange()).await;
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

fn tool(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_ringseal");
    Command::new(program).args(args).output().expect("it runs")
}

#[test]
fn the_tool_falls_back_with_one_warning() {
    let output = deny(&IO_URING, libc::EPERM, || {
        tool(&["demo", "--seconds", "0.1"])
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    for part in [
        "falling back to epoll",
        "io_uring_setup is denied",
        "ringseal doctor",
    ] {
        assert!(errors.contains(part), "{errors}");
    }
}

#[test]
fn the_tool_refuses_a_backend_by_name() {
    let key = tempfile::tempdir().expect("a directory");
    let file = key.path().join("key.pem");
    let file = file.to_str().expect("a path");
    assert!(tool(&["keygen", "--out", file]).status.success());
    let listen = |backend| {
        let arguments = [
            "listen",
            "127.0.0.1:0",
            "--identity",
            file,
            "--namespace",
            "test",
        ];
        let rest = ["--allow-any", "--backend", backend];
        deny(&IO_URING, libc::EPERM, || {
            tool(&[&arguments[..], &rest].concat())
        })
    };
    let output = listen("uring");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("io_uring_setup is denied"), "{errors}");
}
