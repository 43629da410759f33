//! `RLIMIT_MEMLOCK` against what the default pool and ring take.

use ringseal::{Inspection, RuntimeBuilder};
use rustix::process::{Resource, getrlimit};

use super::kernel_files::{field, text};

/// `CAP_IPC_LOCK`, by its number in `linux/capability.h`.
const IPC_LOCK: u32 = 14;

#[derive(Debug)]
pub(super) struct LockedMemory {
    /// In bytes; `None` is no limit.
    pub(super) soft: Option<u64>,
    /// In bytes; `None` is no limit.
    pub(super) hard: Option<u64>,
    /// Whether the limit does not apply, because of `CAP_IPC_LOCK`.
    pub(super) is_exempt: bool,
}

impl LockedMemory {
    /// Bytes that the default slots lock.
    pub(super) const ARENA: u64 =
        (RuntimeBuilder::DEFAULT_SLOTS * RuntimeBuilder::DEFAULT_SLOT_SIZE) as u64;
    /// Bytes that the default ring locks.
    pub(super) const RING: u64 = Inspection::DEFAULT_RING_SIZE as u64;
    /// Bytes that a default runtime locks.
    pub(super) const NEEDED: u64 = Self::ARENA + Self::RING;

    pub(super) fn look() -> Self {
        let limit = getrlimit(Resource::Memlock);
        Self {
            soft: limit.current,
            hard: limit.maximum,
            is_exempt: is_exempt(),
        }
    }

    /// Whether one default runtime alone is beyond the limit.
    pub(super) fn is_short(&self) -> bool {
        !self.is_exempt && self.soft.is_some_and(|soft| soft < Self::NEEDED)
    }
}

fn is_exempt() -> bool {
    let effective = text("/proc/self/status")
        .as_deref()
        .and_then(|status| field(status, "CapEff"))
        .and_then(|value| u64::from_str_radix(value, 16).ok());
    // A capability within a user namespace exempts from nothing.
    let is_at_the_root = text("/proc/self/uid_map")
        .is_some_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]));
    is_at_the_root && effective.is_some_and(|effective| effective >> IPC_LOCK & 1 == 1)
}
