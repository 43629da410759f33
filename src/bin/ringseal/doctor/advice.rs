//! What stands in the way, and the command that removes it.

use ringseal::{RuntimeBuilder, StartError};

use super::choice::Choice;
use super::findings::Findings;
use super::hints;
use super::locked_memory::LockedMemory;
use super::problem::Problem;
use crate::failure;

/// Bytes of locked memory to ask for: some threads' worth, and a number, because "unlimited" is
/// refused where the container engine's own limit is lower.
const LOCKED_MEMORY: u64 = 16 << 20;

#[derive(Debug)]
pub(super) struct Advice {
    /// What keeps a runtime from io_uring with registered slots, or from starting at all.
    pub(super) problems: Vec<Problem>,
    /// What only costs speed.
    pub(super) hints: Vec<Problem>,
}

impl Advice {
    pub(super) fn on(findings: &Findings) -> Self {
        let mut problems = Vec::new();
        problems.extend(sysctl(findings));
        problems.extend(refused_calls(findings));
        problems.extend(missing_operations(findings));
        problems.extend(locked_memory(findings));
        problems.extend(no_fallback(findings));
        if let Some(reason) = findings.choice.reason()
            && problems.is_empty()
        {
            problems.push(Problem::new(failure::chain(reason), []));
        }
        Self {
            problems,
            hints: hints::on(findings),
        }
    }
}

/// Whether the switch keeps us from making a ring.
fn is_disabled(findings: &Findings) -> bool {
    let [setup, ..] = &findings.inspection.calls;
    let is_denied = matches!(setup.refusal, Some(StartError::Denied { .. }));
    is_denied && findings.restrictions.io_uring_disabled.unwrap_or(0) > 0
}

fn sysctl(findings: &Findings) -> Option<Problem> {
    if !is_disabled(findings) {
        return None;
    }
    let restrictions = &findings.restrictions;
    let value = restrictions.io_uring_disabled?;
    let mut problem = Problem::new(
        format!(
            "kernel.io_uring_disabled is {value}: {}",
            restrictions.io_uring_disabled_words()
        ),
        [
            "on the host: sudo sysctl -w kernel.io_uring_disabled=0",
            "on the host, for good: echo 'kernel.io_uring_disabled = 0' | sudo tee \
             /etc/sysctl.d/60-io-uring.conf",
        ],
    );
    if value == 1 {
        problem.fixes.push(format!(
            "on the host, for one group: sudo sysctl -w kernel.io_uring_group={}",
            rustix::process::getegid().as_raw()
        ));
    }
    Some(problem)
}

/// Calls that are refused for another reason than the switch.
fn refused_calls(findings: &Findings) -> Option<Problem> {
    let mut answer = "";
    let names: Vec<&str> = findings
        .inspection
        .calls
        .iter()
        .filter(|call| !(is_disabled(findings) && call.name == "io_uring_setup"))
        .filter_map(|call| {
            answer = match call.refusal {
                Some(StartError::Denied { .. }) => "EPERM",
                Some(StartError::Unavailable { .. }) => "ENOSYS",
                _ => return None,
            };
            Some(call.name)
        })
        .collect();
    if names.is_empty() {
        return None;
    }
    let names = names.join(", ");
    if findings.restrictions.has_seccomp_filter() {
        return Some(Problem::new(
            format!("a seccomp filter refuses {names} ({answer})"),
            SECCOMP_FIXES,
        ));
    }
    Some(match answer {
        "ENOSYS" => Problem::new(
            format!("the kernel has no {names} (ENOSYS)"),
            [
                "run Linux 5.19 or later, built with CONFIG_IO_URING=y: zgrep IO_URING \
                 /proc/config.gz tells",
            ],
        ),
        _ => Problem::new(
            format!(
                "{names} is refused ({answer}), by no seccomp filter: a security module does it"
            ),
            [
                "find its rule: sudo ausearch -m avc -ts recent, or sudo dmesg | grep -i denied, \
                 and allow io_uring in it",
            ],
        ),
    })
}

const SECCOMP_FIXES: [&str; 5] = [
    "make a profile, out of the engine's default one (seccomp/default.json of \
     github.com/moby/profiles): jq '.syscalls += [{\"names\":[\"io_uring_setup\",\
     \"io_uring_enter\",\"io_uring_register\"],\"action\":\"SCMP_ACT_ALLOW\"}]' default.json > \
     profile.json",
    "Docker, Podman: docker run --security-opt seccomp=profile.json --cap-drop ALL --security-opt \
     no-new-privileges ...",
    "Compose: security_opt: [\"seccomp=profile.json\", \"no-new-privileges\"]",
    "Kubernetes: securityContext: {seccompProfile: {type: Localhost, localhostProfile: \
     profile.json}}",
    "systemd: SystemCallFilter=io_uring_setup io_uring_enter io_uring_register, beside what the \
     unit allows already",
];

fn missing_operations(findings: &Findings) -> Option<Problem> {
    let missing: Vec<&str> = findings
        .inspection
        .operations
        .iter()
        .filter(|operation| operation.is_supported == Some(false))
        .map(|operation| operation.name)
        .collect();
    (!missing.is_empty()).then(|| {
        Problem::new(
            format!("the kernel's io_uring lacks {}", missing.join(", ")),
            ["run Linux 5.19 or later"],
        )
    })
}

fn locked_memory(findings: &Findings) -> Option<Problem> {
    let memory = &findings.locked_memory;
    let reason = findings.choice.reason();
    let is_refused = matches!(reason, Some(StartError::LockedMemory { .. }));
    if !is_refused && !memory.is_short() {
        return None;
    }
    let user = findings.restrictions.user;
    let soft = memory.soft.map_or_else(
        || "there is no limit".to_owned(),
        |soft| format!("the soft limit is {soft} bytes"),
    );
    let cause = if memory.is_short() {
        soft
    } else {
        format!("{soft}, and other processes of user {user} have locked too much of it")
    };
    let bytes = LOCKED_MEMORY;
    let kibibytes = bytes / 1024;
    let mut problem = Problem::new(
        format!(
            "locked memory (RLIMIT_MEMLOCK) is short: the default slots and ring need {} bytes, \
             {cause}",
            LockedMemory::NEEDED
        ),
        [],
    );
    if memory.hard.is_none_or(|hard| hard >= bytes) && memory.is_short() {
        let shell = format!("in this shell: ulimit -S -l {kibibytes}");
        problem.fixes.push(shell);
    }
    problem.fixes.extend([
        format!("Docker, Podman: docker run --ulimit memlock={bytes}:{bytes} ..."),
        format!("systemd: LimitMEMLOCK={bytes}"),
        format!("in this shell, as root: prlimit --pid $$ --memlock={bytes}:{bytes}"),
        // By number a user is written as a range in that file.
        format!(
            "on login: echo '{user}:{user} - memlock {kibibytes}' | sudo tee \
             /etc/security/limits.d/60-ringseal.conf"
        ),
        format!(
            "in the program: fewer or smaller slots than {} of {} bytes, by RuntimeBuilder::slots and \
             RuntimeBuilder::slot_size",
            RuntimeBuilder::DEFAULT_SLOTS,
            RuntimeBuilder::DEFAULT_SLOT_SIZE
        ),
    ]);
    if let Choice::Epoll {
        is_unregistered_possible: true,
        ..
    } = findings.choice
    {
        problem.fixes.push(
            "in the program, to use io_uring with slots that are not registered: \
             RuntimeBuilder::registration(Registration::Preferred)"
                .to_owned(),
        );
    }
    Some(problem)
}

/// Why there is not even the fallback.
fn no_fallback(findings: &Findings) -> Option<Problem> {
    match &findings.choice {
        Choice::Nothing {
            epoll: Some(error), ..
        } => Some(Problem::new(
            format!("epoll_create1 is refused as well: {error}"),
            [
                "allow epoll_create1, epoll_ctl and epoll_wait in the seccomp profile, or raise \
                 the limit on descriptors: ulimit -n 65536",
            ],
        )),
        Choice::Nothing {
            reason: StartError::Arena(error),
            ..
        } => Some(Problem::new(
            format!(
                "the slots, {} bytes, can't be mapped: {error}",
                LockedMemory::ARENA
            ),
            [
                "in this shell: ulimit -v unlimited",
                "Docker, Podman: docker run --memory 64m ..., or more",
            ],
        )),
        _ => None,
    }
}
