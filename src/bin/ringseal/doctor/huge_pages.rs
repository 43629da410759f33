//! Huge pages: the transparent ones that the arena asks for, and the reserved ones.

use super::kernel_files::{chosen, field, text};

#[derive(Debug)]
pub(super) struct HugePages {
    /// `always`, `madvise` or `never`; nothing where the kernel has none.
    pub(super) transparent: Option<String>,
    /// What the kernel does to find one when it is asked.
    pub(super) defragmentation: Option<String>,
    /// Reserved pages, which ringseal does not use.
    pub(super) reserved: Option<u64>,
    pub(super) reserved_free: Option<u64>,
    /// Bytes in a reserved page.
    pub(super) reserved_size: Option<u64>,
}

impl HugePages {
    pub(super) fn look() -> Self {
        let setting = |name| {
            let text = text(format!("/sys/kernel/mm/transparent_hugepage/{name}"))?;
            chosen(&text).map(str::to_owned)
        };
        let memory = text("/proc/meminfo").unwrap_or_default();
        let number_of = |name| -> Option<u64> {
            let value = field(&memory, name)?;
            value.split_whitespace().next()?.parse().ok()
        };
        Self {
            transparent: setting("enabled"),
            defragmentation: setting("defrag"),
            reserved: number_of("HugePages_Total"),
            reserved_free: number_of("HugePages_Free"),
            reserved_size: number_of("Hugepagesize").map(|kilobytes| kilobytes * 1024),
        }
    }
}
