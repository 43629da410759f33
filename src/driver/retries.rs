//! Operations that are to be tried again.

use core::cell::Cell;
use std::io;

use rustix::io::Errno;

/// How often one operation is tried again.
const MAX_RETRIES: u32 = 64;

/// Counts how often an operation was tried again.
#[derive(Debug, Default)]
pub(super) struct Retries {
    count: Cell<u32>,
}

impl Retries {
    /// Whether an operation that ended so is to be tried again: it was interrupted, or would have
    /// had to wait, or was cancelled and `is_cancelled` says that this was not our doing. The
    /// kernel does that to what waits for a thread of its own which a signal keeps it from
    /// starting. There is a bound, which any success resets.
    pub(super) fn again(&self, result: &io::Result<usize>, is_cancelled: bool) -> bool {
        let Err(error) = result else {
            self.count.set(0);
            return false;
        };
        let again = match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => true,
            _ => !is_cancelled && error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()),
        };
        let tries = self.count.get();
        self.count.set(tries + 1);
        again && tries < MAX_RETRIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // HAZARDS B5.
    #[test]
    fn an_operation_is_tried_again_a_bounded_number_of_times() {
        let retries = Retries::default();
        let interrupted = Err(Errno::INTR.into());
        let tries = (0..1000)
            .take_while(|_| retries.again(&interrupted, false))
            .count();
        assert_eq!(tries, MAX_RETRIES as usize);
        assert!(!retries.again(&Ok(1), false));
        assert!(retries.again(&interrupted, false));
    }

    // HAZARDS B5, F18.
    #[test]
    fn nothing_is_tried_again_but_what_passes_by_itself() {
        let passes = [Errno::INTR, Errno::AGAIN, Errno::CANCELED];
        for errno in [
            Errno::INTR,
            Errno::AGAIN,
            Errno::CANCELED,
            Errno::NOBUFS,
            Errno::FAULT,
            Errno::BADF,
            Errno::NOMEM,
            Errno::PIPE,
        ] {
            let again = Retries::default().again(&Err(errno.into()), false);
            assert_eq!(again, passes.contains(&errno), "{errno:?}");
        }
        assert!(!Retries::default().again(&Err(Errno::CANCELED.into()), true));
    }
}
