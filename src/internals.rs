//! What benches measure and tests try from within: no part of the interface, behind the feature
//! of the same name, and free to change at any time.

use std::io;

use crate::memory::{Buffer, Class, Mapping, Pool};
use crate::net::Shard;
#[cfg(all(feature = "avx512", target_arch = "x86_64"))]
use crate::protocol::cipher::Avx512;

/// Our own cipher with a one-time key of choice for nonce 0, where the processor can run it.
#[cfg(all(feature = "avx512", target_arch = "x86_64"))]
#[must_use]
pub fn with_one_time_key(key: &[u8; 32], one_time_key: &[u8; 32]) -> Avx512 {
    Avx512::with_one_time_key(key, one_time_key)
}

/// Returns how many connections and plain sockets the runtime of this thread knows, those included that
/// only a task of it still has.
#[must_use]
pub fn connections() -> Option<usize> {
    Shard::current().map(|shard| shard.members())
}

/// The slots of a runtime, without the runtime.
#[derive(Debug)]
pub struct Slots {
    pool: Pool,
}

impl Slots {
    /// Maps `count` slots of `size` bytes, which are whole pages.
    ///
    /// # Errors
    ///
    /// What the kernel says to the mapping.
    ///
    /// # Panics
    ///
    /// If there are fewer slots than one connection needs.
    pub fn new(count: usize, size: usize) -> io::Result<Self> {
        let length = count.checked_mul(size).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self {
            pool: Pool::new(Mapping::new(length)?, count, size, 0),
        })
    }

    /// Takes a slot for sending, if one is free. Dropping it returns it.
    pub fn take(&self) -> Option<Slot> {
        self.pool.try_acquire(Class::Send).map(Slot)
    }
}

/// A slot that was taken.
#[derive(Debug)]
pub struct Slot(Buffer);

impl Slot {
    /// Returns its bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
