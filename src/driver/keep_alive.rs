//! Has the kernel look after connections whose peer's host is silent.

use core::time::Duration;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::net::{AddressFamily, sockopt};

/// Probes that go unanswered before the kernel gives a connection up.
const PROBES: u32 = 3;
/// What a limit is divided by for the time between two probes.
const INTERVALS: u32 = 6;

/// How long the kernel bears with a peer's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeepAlive {
    /// Without an answer to a probe, while nothing is sent.
    pub(crate) silent: Duration,
    /// Without an acknowledgement of what was sent, or without room for it; `None` for what the
    /// system has by itself.
    pub(crate) unacknowledged: Option<Duration>,
}

impl KeepAlive {
    /// Sets it on a socket, if that is one of TCP.
    ///
    /// # Errors
    ///
    /// What `setsockopt(2)` says.
    pub(super) fn apply(self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let family = rustix::net::getsockname(socket)?.address_family();
        if family == AddressFamily::UNIX {
            return Ok(());
        }
        // Whole seconds, which both of them are rounded to.
        let interval = whole_seconds(self.silent / INTERVALS);
        let idle = whole_seconds(self.silent.saturating_sub(interval * PROBES));
        sockopt::set_socket_keepalive(socket, true)?;
        sockopt::set_tcp_keepidle(socket, idle)?;
        sockopt::set_tcp_keepintvl(socket, interval)?;
        sockopt::set_tcp_keepcnt(socket, PROBES)?;
        #[cfg(target_os = "linux")]
        if let Some(limit) = self.unacknowledged {
            let milliseconds = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
            sockopt::set_tcp_user_timeout(socket, milliseconds)?;
        }
        Ok(())
    }
}

/// Rounds up to what the kernel takes: whole seconds, one at least, up to nine hours.
fn whole_seconds(duration: Duration) -> Duration {
    const MOST: u64 = 32_767;
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    Duration::from_secs(seconds.clamp(1, MOST))
}

/// Whether `error` is what the kernel ends a connection with whose peer's host does not answer.
pub(crate) fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_what_the_kernel_takes() {
        for (given, taken) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (u64::MAX, 32_767)] {
            let rounded = whole_seconds(Duration::from_millis(given));
            assert_eq!(rounded.as_secs(), taken, "{given} ms");
        }
    }
}
