//! Everything that was found out, before anybody judges it.

use core::time::Duration;

use ringseal::Inspection;

use super::choice::Choice;
use super::ciphers::Ciphers;
use super::huge_pages::HugePages;
use super::kernel_files;
use super::locked_memory::LockedMemory;
use super::native_ciphers::NativeCiphers;
use super::processors::Processors;
use super::restrictions::Restrictions;

#[derive(Debug)]
pub(super) struct Findings {
    pub(super) kernel: Kernel,
    pub(super) choice: Choice,
    pub(super) inspection: Inspection,
    pub(super) restrictions: Restrictions,
    pub(super) locked_memory: LockedMemory,
    pub(super) huge_pages: HugePages,
    pub(super) processors: Processors,
    pub(super) ciphers: Ciphers,
    pub(super) native_ciphers: NativeCiphers,
    pub(super) tcp_buffers: TcpBuffers,
}

impl Findings {
    /// Looks around, and seals for `seconds` with each cipher.
    pub(super) fn take(seconds: Duration) -> Self {
        // First: locked memory of other rings comes back only some time after their end.
        let choice = Choice::make();
        let processors = Processors::look();
        Self {
            kernel: Kernel::look(),
            choice,
            inspection: Inspection::take(),
            restrictions: Restrictions::look(),
            locked_memory: LockedMemory::look(),
            huge_pages: HugePages::look(),
            ciphers: Ciphers::measure(seconds),
            native_ciphers: NativeCiphers::measure(seconds, &processors),
            processors,
            tcp_buffers: TcpBuffers::look(),
        }
    }
}

/// What `uname` says.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) release: Option<String>,
    pub(super) version: Option<String>,
    pub(super) machine: &'static str,
}

impl Kernel {
    fn look() -> Self {
        Self {
            release: kernel_files::text("/proc/sys/kernel/osrelease"),
            version: kernel_files::text("/proc/sys/kernel/version"),
            machine: std::env::consts::ARCH,
        }
    }
}

/// The kernel's limits on socket buffers in bytes; `None` where it does not tell.
#[derive(Debug)]
pub(super) struct TcpBuffers {
    /// Least, at first, and most.
    pub(super) tcp_rmem: Option<[u64; 3]>,
    /// Least, at first, and most.
    pub(super) tcp_wmem: Option<[u64; 3]>,
    pub(super) rmem_max: Option<u64>,
    pub(super) wmem_max: Option<u64>,
}

impl TcpBuffers {
    fn look() -> Self {
        Self {
            tcp_rmem: kernel_files::numbers("/proc/sys/net/ipv4/tcp_rmem"),
            tcp_wmem: kernel_files::numbers("/proc/sys/net/ipv4/tcp_wmem"),
            rmem_max: kernel_files::number("/proc/sys/net/core/rmem_max"),
            wmem_max: kernel_files::number("/proc/sys/net/core/wmem_max"),
        }
    }
}
