//! What a listening socket takes up in the system: its port, and its file.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};

use super::ProcessMark;
use super::unix_path::UnixPath;

/// The port of a socket that listens. A descriptor of the socket may live longer, in an operation that
/// the kernel has yet to give back, or on another thread; nobody gets in there any more once the port is
/// closed.
#[derive(Debug)]
pub(super) struct Port {
    /// Whether there is nobody else who may listen on the socket.
    is_ours: bool,
    /// Removed when the port is closed.
    path: Option<UnixPath>,
    process: ProcessMark,
}

impl Port {
    /// A port that was bound here, and its file if it has one.
    pub(super) fn bound(path: Option<UnixPath>) -> Self {
        Self {
            is_ours: true,
            path,
            process: ProcessMark::current(),
        }
    }

    /// A port that others may have as well, and that is left to them.
    pub(super) fn shared() -> Self {
        Self {
            is_ours: false,
            path: None,
            process: ProcessMark::current(),
        }
    }

    /// Lets nobody in any more, if the port is ours, and removes its file. A forked child leaves its
    /// parent's alone.
    pub(super) fn close(&mut self, socket: impl AsFd) {
        let is_ours = core::mem::replace(&mut self.is_ours, false);
        if is_ours && !self.process.is_inherited() {
            match shutdown(socket, Shutdown::Both) {
                // Some systems do not shut down what listens; its last descriptor closes it there.
                Ok(()) | Err(Errno::NOTCONN) => {}
                Err(error) => tracing::debug!(%error, "a listening socket can't be shut down"),
            }
        }
        self.path = None;
    }
}
