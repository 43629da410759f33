//! Which backend a runtime gets here, found out by making one.

use std::io;

use ringseal::{Backend, Registration, Runtime, StartError};

/// What there is in the end, by exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// io_uring with registered slots.
    FastPath = 0,
    /// Anything else that works.
    Fallback = 1,
    Nothing = 2,
}

#[derive(Debug)]
pub(super) enum Choice {
    /// io_uring with registered slots.
    Uring,
    /// What runs where that can't be had.
    Epoll {
        /// Why not io_uring with registered slots.
        reason: StartError,
        /// Whether io_uring starts with slots that are not registered.
        is_unregistered_possible: bool,
    },
    /// No runtime starts at all.
    Nothing {
        /// Why not io_uring.
        reason: StartError,
        /// Why not epoll either, when it is not for the same reason.
        epoll: Option<io::Error>,
    },
}

impl Choice {
    pub(super) fn make() -> Self {
        match Runtime::builder().build() {
            Ok(runtime) if runtime.backend() == Backend::Uring => return Self::Uring,
            Ok(_fallen_back) => {}
            Err(StartError::Nothing { uring, epoll }) => {
                return Self::Nothing {
                    reason: *uring,
                    epoll: Some(epoll),
                };
            }
            Err(reason) => {
                return Self::Nothing {
                    reason,
                    epoll: None,
                };
            }
        }
        let forced = Runtime::builder().backend(Backend::Uring);
        let Err(reason) = forced.clone().build() else {
            // It came back between two looks.
            return Self::Uring;
        };
        Self::Epoll {
            reason,
            is_unregistered_possible: forced.registration(Registration::Preferred).build().is_ok(),
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Uring => Verdict::FastPath,
            Self::Epoll { .. } => Verdict::Fallback,
            Self::Nothing { .. } => Verdict::Nothing,
        }
    }

    /// The backend's name on the command line.
    pub(super) fn backend(&self) -> Option<&'static str> {
        match self {
            Self::Uring => Some("uring"),
            Self::Epoll { .. } => Some("epoll"),
            Self::Nothing { .. } => None,
        }
    }

    /// Why it is not io_uring with registered slots.
    pub(super) fn reason(&self) -> Option<&StartError> {
        match self {
            Self::Uring => None,
            Self::Epoll { reason, .. } | Self::Nothing { reason, .. } => Some(reason),
        }
    }
}
