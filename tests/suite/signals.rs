//! Threads that signals interrupt at their system calls all the time.

#![expect(
    unsafe_code,
    reason = "signal handlers, and signals to a thread, are unsafe"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::child::{is_case, run_case};
use super::peers::{builder, config, key, patiently};
use super::transport::somewhere;
use ringseal::{Admission, Listener, dial};

/// Between two signals to a thread.
const PAUSE: Duration = Duration::from_micros(150);
const CONNECTIONS: usize = 20;
const ROUNDS: usize = 100;
/// Longer than a slot, so that writes are short and waited for.
const LARGE: usize = 400_000;

extern "C" fn ignore(_signal: libc::c_int) {}

/// Has SIGUSR1 end system calls early, and do nothing else.
fn handle_without_restart() {
    let handler: extern "C" fn(libc::c_int) = ignore;
    // SAFETY: all bytes of this struct may be zero: no flags, and no signals masked.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    // SAFETY: the handler touches nothing, and the struct lives as long as the call.
    let result =
        unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, core::ptr::null_mut()) };
    assert_eq!(result, 0, "sigaction");
}

/// Sends SIGUSR1 to every other thread of this process, those included that the kernel runs for it.
fn signal_all_threads() {
    let process = std::process::id();
    // SAFETY: it only asks for a number.
    let own = unsafe { libc::gettid() };
    for entry in std::fs::read_dir("/proc/self/task").expect("our threads") {
        let name = entry.expect("an entry").file_name();
        let thread: libc::pid_t = name
            .to_str()
            .and_then(|it| it.parse().ok())
            .expect("a number");
        if thread != own {
            // SAFETY: it only sends a signal, which has a handler; the thread may have ended.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGUSR1) };
        }
    }
}

// HAZARDS F18.
fn a_storm_of_signals_ends_no_operation() {
    const TEST: &str = "a_storm_of_signals_ends_no_operation";
    if !is_case(TEST) {
        return run_case(module_path!(), TEST);
    }
    handle_without_restart();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                signal_all_threads();
                std::thread::sleep(PAUSE);
            }
        });
        let talked = std::panic::catch_unwind(|| {
            let runtime = builder().build().expect("a runtime");
            runtime.block_on(patiently(talk()));
        });
        is_over.store(true, Ordering::Relaxed);
        talked.expect("signals change nothing");
    });
}

/// Connects, and moves messages to and fro: short ones one at a time, and long ones.
async fn talk() {
    let mut listener = Listener::bind(somewhere(), &config(2), Admission::any())
        .await
        .expect("bind");
    let address = listener.local_address();
    let accepting = ringseal::spawn(async move {
        let mut echoes = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut connection = listener.accept().await.expect("accept");
            echoes.push(ringseal::spawn(async move {
                while let Some(message) = connection.recv().await.expect("recv") {
                    connection.send(&message).await.expect("send");
                }
                connection.close().await.expect("close");
            }));
        }
        for echo in echoes {
            echo.await;
        }
    });
    for index in 0..CONNECTIONS {
        let mut connection = dial(address.clone(), key(2), &config(1))
            .await
            .expect("dial");
        for round in 0..ROUNDS {
            let length = if round % 20 == 0 { LARGE } else { round };
            let sent = vec![index.to_le_bytes()[0]; length];
            connection.send(&sent).await.expect("send");
            let message = connection.recv().await.expect("recv").expect("an echo");
            assert_eq!(*message, *sent);
        }
        connection.close().await.expect("close");
    }
    accepting.await;
}

crate::on_every_driver! {
    a_storm_of_signals_ends_no_operation,
}
