//! Runs something where system calls are refused, as in a container.
//!
//! A filter holds for one thread and for what that thread starts, threads and processes, and can
//! never be taken off. So what is to run under one runs on a thread of its own, and no `unsafe`
//! between fork and exec is needed.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The three system calls of io_uring.
#[allow(dead_code, reason = "not every test denies all three")]
pub(crate) const IO_URING: [i64; 3] = [
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Runs `work` on a thread on which each of `calls` answers `errno`, and so in all processes that
/// it starts. Several filters hold when this is called within `work`.
///
/// # Panics
///
/// When there is no seccomp here, or `work` panics.
pub(crate) fn deny<T: Send>(calls: &[i64], errno: i32, work: impl FnOnce() -> T + Send) -> T {
    let rules: BTreeMap<_, _> = calls.iter().map(|&call| (call, Vec::new())).collect();
    let errno = u32::try_from(errno).expect("errnos are positive");
    let architecture = std::env::consts::ARCH.try_into().expect("a known machine");
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        architecture,
    );
    let program: BpfProgram = filter
        .and_then(SeccompFilter::try_into)
        .expect("a valid filter");
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            seccompiler::apply_filter(&program).expect("seccomp");
            work()
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
