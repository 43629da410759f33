//! What works and could be faster.

use ringseal::RuntimeBuilder;

use super::findings::Findings;
use super::problem::Problem;

pub(super) fn on(findings: &Findings) -> Vec<Problem> {
    let hints = [
        huge_pages(findings),
        socket_buffers(findings),
        quota(findings),
        cipher(findings),
    ];
    hints.into_iter().flatten().collect()
}

fn huge_pages(findings: &Findings) -> Option<Problem> {
    (findings.huge_pages.transparent.as_deref() == Some("never")).then(|| {
        Problem::new(
            "transparent huge pages are off, and the slots ask for them",
            ["on the host: echo madvise | sudo tee \
              /sys/kernel/mm/transparent_hugepage/enabled"],
        )
    })
}

fn socket_buffers(findings: &Findings) -> Option<Problem> {
    // Less than a slot in flight makes every full submission wait for the peer.
    let slot = RuntimeBuilder::DEFAULT_SLOT_SIZE as u64;
    let buffers = &findings.tcp_buffers;
    let is_short = |limits: Option<[u64; 3]>| limits.is_some_and(|[_, _, most]| most < slot);
    (is_short(buffers.tcp_rmem) || is_short(buffers.tcp_wmem)).then(|| {
        Problem::new(
            format!("TCP buffers may not grow to the {slot} bytes of one slot"),
            [
                "on the host: sudo sysctl -w net.ipv4.tcp_rmem='4096 131072 6291456' \
                 net.ipv4.tcp_wmem='4096 16384 4194304'",
                "Docker: docker run --sysctl net.ipv4.tcp_rmem='4096 131072 6291456' --sysctl \
                 net.ipv4.tcp_wmem='4096 16384 4194304' ...",
            ],
        )
    })
}

fn quota(findings: &Findings) -> Option<Problem> {
    let quota = findings.processors.quota.as_ref()?;
    (quota.processors < 1.0).then(|| {
        Problem::new(
            format!(
                "a control group leaves {:.2} of one processor: the thread stands still for the \
                 rest of each period",
                quota.processors
            ),
            [
                "Docker: docker run --cpus 1 ..., or more",
                "systemd: CPUQuota=100%, or more",
                "Kubernetes: resources: {limits: {cpu: \"1\"}}, or more",
            ],
        )
    })
}

fn cipher(findings: &Findings) -> Option<Problem> {
    let in_use = findings.ciphers.in_use;
    if in_use == "chacha20poly1305" {
        return Some(Problem::new(
            "the pure Rust cipher is in use, the slowest of the three",
            ["build with the feature: cargo build --release --features aws-lc-rs"],
        ));
    }
    let uses_it = ["avx512", "openssl"].contains(&in_use);
    (!uses_it && findings.processors.has("avx512f")).then(|| {
        Problem::new(
            format!("{in_use} leaves AVX-512 unused, which OpenSSL uses for long messages"),
            [
                "build with the feature: cargo build --release --features openssl",
                "or, where avx512ifma is there, with our own cipher, which nobody outside has \
                 audited: cargo build --release --features avx512",
            ],
        )
    })
}
