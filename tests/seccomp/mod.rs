//! Runs something where system calls are refused, as in a container.
//!
//! A filter holds for one thread and for what that thread starts, threads and processes, and can
//! never be taken off. So what is to run under one runs on a thread of its own, and no `unsafe`
//! between fork and exec is needed.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

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
#[allow(dead_code, reason = "not every test has a thread for it alone")]
pub(crate) fn deny<T: Send>(calls: &[i64], errno: i32, work: impl FnOnce() -> T + Send) -> T {
    on_a_thread(|| {
        deny_from_now_on(calls, errno);
        work()
    })
}

/// Has each of `calls` answer `errno` on this thread, and what it starts, to its end.
///
/// # Panics
///
/// When there is no seccomp here.
pub(crate) fn deny_from_now_on(calls: &[i64], errno: i32) {
    apply(calls.iter().map(|&call| (call, Vec::new())), errno);
}

/// Runs `work` on a thread on which `call` answers `errno` when its argument of this index, counted
/// from zero, has `flag` set.
///
/// # Panics
///
/// As [`deny`].
#[allow(dead_code, reason = "not every test denies a part of a call")]
pub(crate) fn deny_flag<T: Send>(
    call: i64,
    argument: u8,
    flag: u64,
    errno: i32,
    work: impl FnOnce() -> T + Send,
) -> T {
    let comparison = SeccompCmpOp::MaskedEq(flag);
    on_a_thread(|| {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, comparison, flag);
        let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
        apply([(call, vec![rule.expect("a valid rule")])], errno);
        work()
    })
}

fn apply(rules: impl IntoIterator<Item = (i64, Vec<SeccompRule>)>, errno: i32) {
    let errno = u32::try_from(errno).expect("errnos are positive");
    let architecture = std::env::consts::ARCH.try_into().expect("a known machine");
    let filter = SeccompFilter::new(
        rules.into_iter().collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        architecture,
    );
    let program: BpfProgram = filter
        .and_then(SeccompFilter::try_into)
        .expect("a valid filter");
    seccompiler::apply_filter(&program).expect("seccomp");
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(work);
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
