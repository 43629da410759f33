//! The findings in JSON. What the kernel does not tell is `null`.

use ringseal::Support;
use serde_json::{Map, Value, json};

use super::advice::Advice;
use super::choice::Choice;
use super::ciphers::MESSAGE_SIZE;
use super::findings::Findings;
use super::locked_memory::LockedMemory;
use super::native_ciphers::{NativeCiphers, SuiteFinding};
use super::problem::Problem;
use crate::failure;

pub(super) fn write(findings: &Findings, advice: &Advice) -> Value {
    json!({
        "kernel": {
            "release": findings.kernel.release,
            "version": findings.kernel.version,
            "machine": findings.kernel.machine,
        },
        "io_uring": io_uring(findings),
        "seccomp": {
            "mode": findings.restrictions.seccomp_mode,
            "filters": findings.restrictions.seccomp_filters,
            "no_new_privileges": findings.restrictions.no_new_privileges,
        },
        "locked_memory": {
            "soft_limit": findings.locked_memory.soft,
            "hard_limit": findings.locked_memory.hard,
            "is_exempt": findings.locked_memory.is_exempt,
            "user": findings.restrictions.user,
            "needed": LockedMemory::NEEDED,
            "slots": LockedMemory::ARENA,
            "ring": LockedMemory::RING,
        },
        "huge_pages": {
            "transparent": findings.huge_pages.transparent,
            "defragmentation": findings.huge_pages.defragmentation,
            "reserved": findings.huge_pages.reserved,
            "reserved_free": findings.huge_pages.reserved_free,
            "reserved_size": findings.huge_pages.reserved_size,
        },
        "processors": processors(findings),
        "cipher": cipher(findings),
        "native": native(&findings.native_ciphers),
        "tcp_buffers": {
            "tcp_rmem": findings.tcp_buffers.tcp_rmem,
            "tcp_wmem": findings.tcp_buffers.tcp_wmem,
            "rmem_max": findings.tcp_buffers.rmem_max,
            "wmem_max": findings.tcp_buffers.wmem_max,
        },
        "auto": auto(&findings.choice),
        "problems": problems(&advice.problems),
        "hints": problems(&advice.hints),
        "exit_code": findings.choice.verdict() as u8,
    })
}

fn io_uring(findings: &Findings) -> Value {
    let inspection = &findings.inspection;
    let calls: Map<String, Value> = inspection
        .calls
        .iter()
        .map(|call| {
            let refusal = call.refusal.as_ref();
            let answer = json!({
                "is_allowed": refusal.is_none(),
                "refusal": refusal.map(|refusal| failure::chain(refusal)),
            });
            (call.name.to_owned(), answer)
        })
        .collect();
    json!({
        "calls": calls,
        "operations": answers(&inspection.operations),
        "setup_flags": answers(&inspection.setup_flags),
        "disabled": findings.restrictions.io_uring_disabled,
        "group": findings.restrictions.io_uring_group,
    })
}

fn answers(items: &[Support]) -> Map<String, Value> {
    items
        .iter()
        .map(|item| (item.name.to_owned(), json!(item.is_supported)))
        .collect()
}

fn processors(findings: &Findings) -> Value {
    let processors = &findings.processors;
    json!({
        "online": processors.online,
        "allowed": processors.allowed,
        "allowed_count": processors.allowed_count,
        "quota": processors.quota.as_ref().map(|quota| json!({
            "processors": quota.processors,
            "group": quota.group.to_string_lossy(),
        })),
        "features": features(&processors.features),
    })
}

fn features(features: &[(&str, bool)]) -> Map<String, Value> {
    let features = features.iter();
    features
        .map(|(name, has)| ((*name).to_owned(), json!(has)))
        .collect()
}

fn rates(rates: &[(&str, f64)]) -> Map<String, Value> {
    let rates = rates.iter();
    rates
        .map(|(name, rate)| ((*name).to_owned(), json!(rate)))
        .collect()
}

fn native(ciphers: &NativeCiphers) -> Value {
    let suite = |finding: &SuiteFinding| {
        json!({
            "library": finding.library,
            "reason": finding.reason,
            "sealed_bytes_per_second": rates(&finding.rates),
        })
    };
    let suites: Map<String, Value> = ciphers
        .suites
        .iter()
        .map(|finding| (finding.suite.to_string(), suite(finding)))
        .collect();
    json!({
        "dialed_suite": ciphers.dialed.name(),
        "features": features(&ciphers.features),
        "suites": suites,
        "ml_kem_768": ciphers.kem,
        "message_size": MESSAGE_SIZE,
    })
}

fn cipher(findings: &Findings) -> Value {
    json!({
        "in_use": findings.ciphers.in_use,
        "message_size": MESSAGE_SIZE,
        "sealed_bytes_per_second": rates(&findings.ciphers.rates),
    })
}

fn auto(choice: &Choice) -> Value {
    json!({
        "backend": choice.backend(),
        "registered": matches!(choice, Choice::Uring),
        "unregistered_ring_possible": match choice {
            Choice::Uring => true,
            Choice::Epoll { is_unregistered_possible, .. } => *is_unregistered_possible,
            Choice::Nothing { .. } => false,
        },
        "reason": choice.reason().map(|reason| failure::chain(reason)),
    })
}

fn problems(problems: &[Problem]) -> Vec<Value> {
    problems
        .iter()
        .map(|problem| json!({ "what": problem.what, "fixes": problem.fixes }))
        .collect()
}
