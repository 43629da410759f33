//! In the place of the kernel's counter of rings.

use std::io;
use std::sync::{Arc, PoisonError};

use crate::sync::{Condvar, Mutex, MutexGuard};

/// Says that somebody has rung until it is cleared.
#[derive(Clone, Debug, Default)]
pub(super) struct Doorbell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    has_rung: Mutex<bool>,
    changed: Condvar,
}

impl Doorbell {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the library's, which is a descriptor, may fail"
    )]
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self::default())
    }

    pub(super) fn ring(&self) {
        *self.has_rung() = true;
        self.0.changed.notify_one();
    }

    pub(super) fn clear(&self) {
        *self.has_rung() = false;
    }

    /// Whether somebody has rung.
    pub(super) fn is_rung(&self) -> bool {
        *self.has_rung()
    }

    /// Waits until somebody has rung.
    pub(super) fn wait(&self) {
        let mut has_rung = self.has_rung();
        while !*has_rung {
            let changed = self.0.changed.wait(has_rung);
            has_rung = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn has_rung(&self) -> MutexGuard<'_, bool> {
        (self.0.has_rung.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}
