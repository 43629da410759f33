//! The tool where io_uring is refused or memory is short: it falls back to epoll with a warning,
//! refuses a backend that was asked for by name, and stays on the ring where that can be had.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use crate::harness::{Pair, stop};
use crate::runnable_copy::runnable_copy;
use crate::seccomp::{IO_URING, deny};

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

// HAZARDS F16.
#[test]
fn the_tool_says_what_the_system_said() {
    for (errno, said) in [
        (
            libc::EMFILE,
            "io_uring_setup failed: Too many open files (os error 24)",
        ),
        (
            libc::EINVAL,
            "io_uring_setup failed: Invalid argument (os error 22)",
        ),
    ] {
        let (demo, doctor) = deny(&[libc::SYS_io_uring_setup], errno, || {
            (
                tool(&["demo", "--seconds", "0.1"]),
                tool(&["doctor", "--json"]),
            )
        });
        let errors = String::from_utf8_lossy(&demo.stderr);
        assert!(errors.contains(said), "{errors}");
        let report = String::from_utf8_lossy(&doctor.stdout);
        assert!(report.contains(said), "{report}");
    }
}

/// Runs the tool as another user, with as much locked memory as containers give: its program has
/// to be where that user may read it.
fn tool_as_another_user(directory: &std::path::Path, user: u32, arguments: &str) -> Command {
    let program = directory.join("ringseal");
    if !program.exists() {
        runnable_copy(env!("CARGO_BIN_EXE_ringseal"), directory, "ringseal");
    }
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!(
        "ulimit -l 8192 && exec {} {arguments}",
        program.display()
    ));
    if rustix::process::geteuid().is_root() {
        command.uid(user).gid(user);
    }
    command
}

// HAZARDS F8: its memory is free again when it has ended.
#[test]
fn the_tool_restarted_at_once_stays_on_the_ring() {
    let directory = tempfile::tempdir().expect("a directory");
    let user = 50_000 + std::process::id() % 10_000;
    for round in 0..40 {
        let output = tool_as_another_user(directory.path(), user, "demo --seconds 0.02")
            .output()
            .expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "round {round}: {errors}");
        assert_eq!(errors, "", "round {round}");
    }
}

// HAZARDS F8: a process that is killed gives nothing back by itself.
#[test]
fn the_tool_started_after_one_was_killed_stays_on_the_ring() {
    let directory = tempfile::tempdir().expect("a directory");
    let user = 60_000 + std::process::id() % 10_000;
    for round in 0..15 {
        let mut killed = tool_as_another_user(directory.path(), user, "demo --seconds 60")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        // Until it holds its memory, or a while if it never will.
        for _ in 0..500 {
            let descriptors = std::fs::read_dir(format!("/proc/{}/fd", killed.id()));
            let has_ring = descriptors.is_ok_and(|entries| {
                let is_ring = |path: std::path::PathBuf| {
                    std::fs::read_link(path)
                        .is_ok_and(|to| to.to_string_lossy().contains("io_uring"))
                };
                entries
                    .flatten()
                    .filter(|entry| is_ring(entry.path()))
                    .count()
                    >= 2
            });
            if has_ring {
                break;
            }
            std::thread::sleep(core::time::Duration::from_millis(2));
        }
        killed.kill().expect("kill");
        killed.wait().expect("wait");
        let output = tool_as_another_user(directory.path(), user, "demo --seconds 0.02")
            .output()
            .expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "round {round}: {errors}");
        assert_eq!(errors, "", "round {round}");
    }
}

#[test]
fn a_server_without_rings_serves_with_one_warning_for_all_of_its_threads() {
    let pair = Pair::new();
    let start = || pair.listen(&["--mode", "echo"]);
    let (listener, address) = deny(&IO_URING, libc::EPERM, start);
    let ping = pair.dial(&address, &["--ping", "--seconds", "0.05"]);
    ping.wait().expect_success();
    let ended = stop(listener);
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.errors);
    let [line] = &ended.errors[..] else {
        panic!("not one line: {:?}", ended.errors);
    };
    for part in ["falling back to epoll", "io_uring_setup is denied"] {
        assert!(line.contains(part), "{line}");
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
