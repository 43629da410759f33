//! The findings in words.

use core::fmt::{Display, Write};

use ringseal::Support;

use super::advice::Advice;
use super::choice::Choice;
use super::ciphers::MESSAGE_SIZE;
use super::findings::Findings;
use super::locked_memory::LockedMemory;
use super::native_ciphers::NativeCiphers;
use super::problem::Problem;
use crate::failure;

/// What to write for what the kernel does not tell.
const UNKNOWN: &str = "unknown";

pub(super) fn write(findings: &Findings, advice: &Advice) -> String {
    let mut report = Report(String::new());
    report.host(findings);
    report.io_uring(findings);
    report.memory(findings);
    report.processors(findings);
    report.native_ciphers(&findings.native_ciphers);
    report.network(findings);
    report.choice(&findings.choice);
    for problem in &advice.problems {
        report.problem("problem", "fix", problem);
    }
    for hint in &advice.hints {
        report.problem("faster", "how", hint);
    }
    report.0.trim_end().to_owned()
}

struct Report(String);

impl Report {
    /// Appends a line.
    fn line(&mut self, label: &str, text: impl Display) {
        // Writing to a string never fails.
        let _ = writeln!(self.0, "{label:<15} {text}");
    }

    fn host(&mut self, findings: &Findings) {
        let kernel = &findings.kernel;
        let release = kernel.release.as_deref().unwrap_or(UNKNOWN);
        self.line("kernel", format_args!("Linux {release} {}", kernel.machine));
    }

    fn io_uring(&mut self, findings: &Findings) {
        let inspection = &findings.inspection;
        for (index, call) in inspection.calls.iter().enumerate() {
            let label = if index == 0 { "io_uring" } else { "" };
            match &call.refusal {
                None => self.line(label, format_args!("{} yes", call.name)),
                Some(refusal) => self.line(
                    label,
                    format_args!("{} no: {}", call.name, failure::chain(refusal)),
                ),
            }
        }
        self.line("  operations", answers(&inspection.operations));
        self.line("  set-up flags", answers(&inspection.setup_flags));
        let restrictions = &findings.restrictions;
        self.line(
            "  switch",
            format_args!(
                "kernel.io_uring_disabled {}: {}",
                or_unknown(restrictions.io_uring_disabled),
                restrictions.io_uring_disabled_words()
            ),
        );
        self.line(
            "seccomp",
            format_args!(
                "mode {} ({}), {} filters",
                or_unknown(restrictions.seccomp_mode),
                restrictions.seccomp_words(),
                or_unknown(restrictions.seccomp_filters)
            ),
        );
    }

    fn memory(&mut self, findings: &Findings) {
        let memory = &findings.locked_memory;
        let limit =
            |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
        let exempt = if memory.is_exempt {
            "; CAP_IPC_LOCK: no limit applies"
        } else {
            ""
        };
        self.line(
            "locked memory",
            format_args!(
                "soft limit {}, hard limit {}, needed {} bytes (slots {}, ring {}){exempt}",
                limit(memory.soft),
                limit(memory.hard),
                LockedMemory::NEEDED,
                LockedMemory::ARENA,
                LockedMemory::RING,
            ),
        );
        let pages = &findings.huge_pages;
        self.line(
            "huge pages",
            format_args!(
                "transparent {} (defragmentation {}), reserved {} of {} bytes each, {} free",
                pages.transparent.as_deref().unwrap_or(UNKNOWN),
                pages.defragmentation.as_deref().unwrap_or(UNKNOWN),
                or_unknown(pages.reserved),
                or_unknown(pages.reserved_size),
                or_unknown(pages.reserved_free),
            ),
        );
    }

    fn processors(&mut self, findings: &Findings) {
        let processors = &findings.processors;
        let quota = processors.quota.as_ref().map_or_else(
            || "no control group's quota".to_owned(),
            |quota| {
                format!(
                    "a quota of {:.2} by {}",
                    quota.processors,
                    quota.group.display()
                )
            },
        );
        self.line(
            "processors",
            format_args!(
                "online {}, allowed {} ({}), {quota}",
                processors.online.as_deref().unwrap_or(UNKNOWN),
                processors.allowed.as_deref().unwrap_or(UNKNOWN),
                or_unknown(processors.allowed_count),
            ),
        );
        let features = processors
            .features
            .iter()
            .map(|(name, has)| format!("{name} {}", yes_or_no(*has)));
        self.line("  features", features.collect::<Vec<_>>().join(", "));
        let ciphers = &findings.ciphers;
        self.line(
            "cipher",
            format_args!("{} in use on the commonware wire", ciphers.in_use),
        );
        for (name, rate) in &ciphers.rates {
            let rate = rate / 1e6;
            self.line(
                "",
                format_args!("{name} seals {rate:.0} MB/s in messages of {MESSAGE_SIZE} bytes"),
            );
        }
    }

    fn native_ciphers(&mut self, ciphers: &NativeCiphers) {
        self.line(
            "native wire",
            format_args!(
                "dials with {} unless --wire names another; ML-KEM-768 by {}",
                ciphers.dialed, ciphers.kem
            ),
        );
        let features = ciphers
            .features
            .iter()
            .map(|(name, has)| format!("{name} {}", yes_or_no(*has)));
        self.line("  decided by", features.collect::<Vec<_>>().join(", "));
        for finding in &ciphers.suites {
            self.line(
                "",
                format_args!(
                    "{} is sealed by {}: {}",
                    finding.suite, finding.library, finding.reason
                ),
            );
            for (name, rate) in &finding.rates {
                let rate = rate / 1e6;
                self.line(
                    "",
                    format_args!(
                        "  {name} seals {rate:.0} MB/s in messages of {MESSAGE_SIZE} bytes"
                    ),
                );
            }
        }
    }

    fn network(&mut self, findings: &Findings) {
        let buffers = &findings.tcp_buffers;
        let triple = |limits: Option<[u64; 3]>| {
            limits.map_or_else(
                || UNKNOWN.to_owned(),
                |[least, first, most]| format!("{least} {first} {most}"),
            )
        };
        self.line(
            "TCP buffers",
            format_args!(
                "tcp_rmem {}, tcp_wmem {}, rmem_max {}, wmem_max {}",
                triple(buffers.tcp_rmem),
                triple(buffers.tcp_wmem),
                or_unknown(buffers.rmem_max),
                or_unknown(buffers.wmem_max),
            ),
        );
    }

    fn choice(&mut self, choice: &Choice) {
        match choice {
            Choice::Uring => self.line("auto takes", "uring, with registered slots: the fast path"),
            Choice::Epoll { reason, .. } => self.line(
                "auto takes",
                format_args!("epoll, because {}", failure::chain(reason)),
            ),
            Choice::Nothing { reason, .. } => self.line(
                "auto takes",
                format_args!("nothing, because {}", failure::chain(reason)),
            ),
        }
    }

    fn problem(&mut self, what: &str, how: &str, problem: &Problem) {
        let _ = writeln!(self.0, "\n{what}: {}", problem.what);
        for fix in &problem.fixes {
            let _ = writeln!(self.0, "  {how}: {fix}");
        }
    }
}

fn answers(items: &[Support]) -> String {
    let answers = items.iter().map(|item| {
        let answer = item.is_supported.map_or(UNKNOWN, yes_or_no);
        format!("{} {answer}", item.name)
    });
    answers.collect::<Vec<_>>().join(", ")
}

fn yes_or_no(answer: bool) -> &'static str {
    if answer { "yes" } else { "no" }
}

fn or_unknown(value: Option<impl Display>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}
