//! The arena as tokio-uring's one fixed buffer.
//!
//! Its own buffer handles are not used: slots are addressed inside the registered range, and
//! [`Pool`] alone keeps the free list.

#![expect(unsafe_code, reason = "tokio-uring's buffer traits are unsafe")]

use std::io;

use tokio_uring::buf::fixed::FixedBufRegistry;
use tokio_uring::buf::{IoBuf, IoBufMut};

use crate::memory::Pool;

/// The arena of a pool, kept alive by the registry that holds it.
struct Arena {
    pool: Pool,
}

// SAFETY: the mapping behind a pool never moves and lives as long as the pool's last handle, of
// which this is one. Nothing is ever checked out of the registry, so nobody reads or writes the
// bytes through these traits.
unsafe impl IoBuf for Arena {
    fn stable_ptr(&self) -> *const u8 {
        self.pool.arena().0.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.pool.arena().1
    }

    fn bytes_total(&self) -> usize {
        self.pool.arena().1
    }
}

// SAFETY: as above; `set_init` has nothing to record, since the whole arena starts zeroed.
unsafe impl IoBufMut for Arena {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.pool.arena().0.as_ptr()
    }

    unsafe fn set_init(&mut self, _length: usize) {}
}

/// The arena while it is registered with a ring.
pub(super) struct Registered {
    registry: FixedBufRegistry<Arena>,
}

impl Registered {
    /// Registers the arena with the ring that this thread is running.
    ///
    /// # Errors
    ///
    /// What the kernel says: `ENOMEM` when the locked-memory limit is too small.
    pub(super) fn new(pool: Pool) -> io::Result<Self> {
        let registry = FixedBufRegistry::new([Arena { pool }]);
        registry.register()?;
        Ok(Self { registry })
    }

    /// Has the kernel let go of the arena, on the ring that this thread is running.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub(super) fn end(self) -> io::Result<()> {
        self.registry.unregister()
    }
}
